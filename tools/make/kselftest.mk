# make kselftest: Linux's own memory-management selftests, unmodified, here and on Linux.

KSELFTEST = $(O)/kselftest
KSELFTEST_MM = $(KSELFTEST)/source/linux/tools/testing/selftests/mm
KSELFTEST_PROGRAMS := $(shell awk '!/^\#/ && NF { print $$4 }' tests/kselftest/programs | sort -u)
KSELFTEST_BUILT = $(patsubst %,$(abspath $(KSELFTEST))/bin/%,$(KSELFTEST_PROGRAMS))

$(KSELFTEST)/source/package: tools/fetch_selftests.sh
	$(Q)mkdir -p $(KSELFTEST)
	$(Q)tools/fetch_selftests.sh 6.12 $(KSELFTEST)/source

# Built by their own Makefile, in an environment without this one's flags.
$(KSELFTEST)/built: $(KSELFTEST)/source/package tests/kselftest/programs
	$(call say,MAKE,$(KSELFTEST)/bin)
	$(Q)mkdir -p $(KSELFTEST)/bin
	$(Q)env -u MAKEFLAGS -u MFLAGS -u O make -C $(KSELFTEST_MM) ARCH=x86_64 EXTRA_CFLAGS='-static -w' \
	    OUTPUT=$(abspath $(KSELFTEST))/bin $(KSELFTEST_BUILT) > $(KSELFTEST)/build.log 2>&1 || \
	    { tail -n 20 $(KSELFTEST)/build.log; exit 1; }
	$(Q)touch $@

PACK_KSELFTEST = tests/run.sh=tests/kselftest/run.sh:755 tests/programs=tests/kselftest/programs:644 \
    $(foreach p,$(KSELFTEST_PROGRAMS),tests/$(p)=$(KSELFTEST)/bin/$(p):755)

$(O)/initrd-kselftest.cpio: $(SERVER_PROGRAMS) $(KSELFTEST)/built tests/kselftest/run.sh $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_SERVERS) $(PACK_KSELFTEST))
$(O)/initrd-kselftest-linux.cpio: $(O)/user/linux_init $(KSELFTEST)/built tests/kselftest/run.sh $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_LINUX) $(PACK_KSELFTEST))

.PHONY: kselftest
kselftest:
	$(Q)tools/setup.sh kselftest
	$(Q)$(MAKE) --no-print-directory test-kernel $(O)/initrd-kselftest.cpio \
	    $(O)/initrd-kselftest-linux.cpio $(O)/oracle/vmlinuz-6.12
	$(Q)python3 tools/kselftest.py --select '$(T)' --kernel $(O)/test-kernel/kernel.elf \
	    --initrd $(O)/initrd-kselftest.cpio --linux $(O)/oracle/vmlinuz-6.12 \
	    --linux-initrd $(O)/initrd-kselftest-linux.cpio --output $(KSELFTEST)
