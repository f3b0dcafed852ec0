# make fuzz-diff: random sequences of memory calls, the same on Cowbell and on Linux.

SEED   ?= 1
OPS    ?= 2000
REPLAY ?=
PLANT  ?=

PACK_FUZZ = tests/fuzz_ops=$(O)/user/fuzz_ops:755

$(O)/initrd-fuzz.cpio: $(SERVER_PROGRAMS) $(O)/user/fuzz_ops $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_SERVERS) $(PACK_FUZZ))
$(O)/initrd-fuzz-linux.cpio: $(O)/user/fuzz_ops $(O)/user/linux_init $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_LINUX) $(PACK_FUZZ))

.PHONY: fuzz-diff
fuzz-diff:
	$(Q)tools/setup.sh oracle
	$(Q)$(MAKE) --no-print-directory test-kernel $(O)/initrd-fuzz.cpio $(O)/initrd-fuzz-linux.cpio \
	    $(O)/oracle/vmlinuz-6.12
	$(Q)python3 tools/fuzz_diff.py --kernel $(O)/test-kernel/kernel.elf --initrd $(O)/initrd-fuzz.cpio \
	    --linux $(O)/oracle/vmlinuz-6.12 --linux-initrd $(O)/initrd-fuzz-linux.cpio \
	    --output $(O)/fuzz --seeds '$(SEED)' --ops $(OPS) $(if $(REPLAY),--replay $(REPLAY)) \
	    $(if $(filter 1,$(PLANT)),--compile '$(MUSL_CC) $(TEST_CFLAGS) -Wno-unused $(LINUX_HEADERS)')
