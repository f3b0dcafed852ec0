# Boot images and QEMU: make run, iso, debug.

QEMU     := qemu-system-x86_64
APPEND   ?=
GUEST_CPU ?= $(if $(filter kvm,$(ACCEL)),host,max)
QEMU_MACHINE := -machine q35,accel=$(ACCEL) -cpu $(GUEST_CPU) -smp $(SMP) -m $(MEM) -no-reboot \
    -display none -nodefaults -nic none

.PHONY: run iso debug setup
setup:
	$(Q)tools/setup.sh all

iso: $(O)/cowbell.iso
$(O)/cowbell.iso: $(O)/kernel/kernel.elf $(O)/initrd.cpio boot/grub.cfg tools/mkiso.sh
	$(call say,ISO,$@)
	$(Q)tools/mkiso.sh $(O)/kernel/kernel.elf $(O)/initrd.cpio boot/grub.cfg $@

# -no-reboot would end the machine on `reboot`: a student's shell must come back instead.
run:
	$(Q)tools/setup.sh run
	$(Q)$(MAKE) --no-print-directory iso
	$(Q)tools/run_qemu.sh $(QEMU) $(filter-out -no-reboot,$(QEMU_MACHINE)) \
	    $(if $(UEFI),-bios /usr/share/ovmf/OVMF.fd) -cdrom $(O)/cowbell.iso -boot d

debug:
	$(Q)tools/setup.sh debug
	$(Q)$(MAKE) --no-print-directory test-kernel $(O)/initrd-test.cpio DEBUG=1
	$(Q)tools/debug.sh $(O)/test-kernel/kernel.elf $(O)/initrd-test.cpio \
	    "$(if $(filter-out *,$(T)),test=$(T)) $(APPEND)" $(QEMU) $(QEMU_MACHINE)
