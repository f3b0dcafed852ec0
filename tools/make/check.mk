# make check and its parts, and the oracle.

CHECK_ICOUNT ?=
CHECK_SMP    ?=
CHECK_MEM    ?=
SCHEDULE     ?=
PROG         ?=
ARGS         ?=
RECORD       ?=

# Built only where it runs: see SANITIZED in tools/check.py.
SANITIZED_KERNEL = $(if $(filter-out 2,$(CHECK_SMP))$(filter-out 512M,$(CHECK_MEM))$(filter 0,$(CHECK_ICOUNT)),,$(O)/test-kernel-sanitized/kernel.elf)

CHECK_ARGS = --select '$(T)' --kernel $(O)/test-kernel/kernel.elf \
    $(if $(SANITIZED_KERNEL),--sanitized-kernel $(SANITIZED_KERNEL)) \
    --run-kernel $(O)/kernel/kernel.elf --initrd $(O)/initrd-test.cpio \
    --run-initrd $(O)/initrd.cpio --iso $(O)/cowbell.iso \
    --host $(HOST_TEST_PROGRAMS) --fuzz $(FUZZ_PROGRAMS) --programs $(USER_TEST_NAMES) \
    $(if $(CHECK_SMP),--smp $(CHECK_SMP)) $(if $(CHECK_MEM),--mem $(CHECK_MEM)) \
    $(if $(CHECK_ICOUNT),--icount $(CHECK_ICOUNT)) $(if $(SCHEDULE),--schedule '$(SCHEDULE)')

.PHONY: check check-build check-host check-kernel check-user check-shell
check:
	$(Q)tools/setup.sh check
	$(Q)$(MAKE) --no-print-directory check-build $(SANITIZED_KERNEL) host-tests fuzzers iso
	$(Q)python3 tools/check.py $(CHECK_ARGS)

check-build: $(O)/test-kernel/kernel.elf $(O)/initrd-test.cpio

check-host:
	$(Q)tools/setup.sh check
	$(Q)$(MAKE) --no-print-directory host-tests fuzzers
	$(Q)python3 tools/check.py $(CHECK_ARGS) --only host fuzz

check-kernel: check-build
	$(if $(SANITIZED_KERNEL),$(Q)$(MAKE) --no-print-directory $(SANITIZED_KERNEL))
	$(Q)python3 tools/check.py $(CHECK_ARGS) --only kernel

check-user: check-build
	$(Q)python3 tools/check.py $(CHECK_ARGS) --only user scripts

check-shell: check-build iso
	$(Q)python3 tools/check.py $(CHECK_ARGS) --only shell boot

# With PROG the guests hold that program as well, and Cowbell is the one without debugging checks.
ORACLE_KERNEL = $(O)/$(if $(PROG),kernel,test-kernel)/kernel.elf
ORACLE_INITRD = $(O)/initrd-$(if $(PROG),program,test).cpio
ORACLE_LINUX_INITRD = $(O)/initrd-$(if $(PROG),program-)linux.cpio

.PHONY: oracle
oracle:
	$(Q)tools/setup.sh oracle
	$(Q)$(MAKE) --no-print-directory check-build $(ORACLE_KERNEL) $(ORACLE_INITRD) \
	    $(ORACLE_LINUX_INITRD) $(O)/oracle/vmlinuz-6.12
	$(Q)python3 tools/oracle.py --select '$(T)' --kernel $(ORACLE_KERNEL) \
	    --initrd $(ORACLE_INITRD) --linux $(O)/oracle/vmlinuz-6.12 \
	    --linux-initrd $(ORACLE_LINUX_INITRD) --programs $(USER_TEST_NAMES) \
	    $(if $(RECORD),--record) $(if $(PROG),--program '$(PROG)' --arguments '$(ARGS)')

$(O)/oracle/vmlinuz-%: tools/fetch_linux.sh
	$(Q)mkdir -p $(@D)
	$(Q)tools/fetch_linux.sh $* $@
