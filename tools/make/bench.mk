# make bench: one program on Cowbell and on two Linuxes, in guest instructions or in wall time.
# make profile: where one row of it spends its instructions.

B    ?= *
WALL ?=

LINUX_VERSIONS := 6.1 6.12
LINUX_IMAGES = $(foreach v,$(LINUX_VERSIONS),$(O)/oracle/vmlinuz-$(v))

.PHONY: bench
bench:
	$(Q)tools/setup.sh oracle
	$(Q)$(MAKE) --no-print-directory kernel $(O)/initrd-bench.cpio $(O)/initrd-bench-linux.cpio $(LINUX_IMAGES)
	$(Q)python3 tools/bench.py --select '$(B)' --kernel $(O)/kernel/kernel.elf \
	    --initrd $(O)/initrd-bench.cpio --linux-initrd $(O)/initrd-bench-linux.cpio \
	    --linux $(foreach v,$(LINUX_VERSIONS),$(v)=$(O)/oracle/vmlinuz-$(v)) \
	    --output $(O)/bench $(if $(RECORD),--record) $(if $(WALL),--wall --accel $(ACCEL))

$(O)/profile/plugin.so: tools/benchmark/plugin.c
	$(Q)mkdir -p $(@D)
	$(call say,HOSTCC,$@)
	$(Q)$(HOSTCC) -O2 -Wall -Wextra -Werror -fPIC -shared -o $@ $<

.PHONY: profile
profile:
	$(Q)tools/setup.sh run
	$(Q)$(MAKE) --no-print-directory kernel $(O)/initrd-bench.cpio $(O)/profile/plugin.so
	$(Q)NM=$(NM) python3 tools/profiler.py --select '$(B)' --kernel $(O)/kernel/kernel.elf \
	    --initrd $(O)/initrd-bench.cpio --plugin $(abspath $(O)/profile/plugin.so) --output $(O)/profile
