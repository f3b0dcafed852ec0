# make scale: much of everything in a large machine, and what it took.

SCALE_SMP ?= 16
SCALE_MEM ?= 64G

.PHONY: scale
scale:
	$(Q)tools/setup.sh run
	$(Q)$(MAKE) --no-print-directory test-kernel $(O)/initrd-scale.cpio
	$(Q)python3 tools/scale.py --kernel $(O)/test-kernel/kernel.elf --initrd $(O)/initrd-scale.cpio \
	    --smp $(SCALE_SMP) --mem $(SCALE_MEM) $(if $(RECORD),--record)
