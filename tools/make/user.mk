# User programs and the initial file systems: one for `make run`, one with the tests, one with the
# benchmark, and two for Linux, which hold the same programs and an /init of their own.

LINUX_HEADERS := -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
TEST_CFLAGS := -static -O2 -g -Wall -Wextra -Werror -Wno-unused-result -Itests/user -Iuser/lib \
    -ffile-prefix-map=$(CURDIR)/= -pthread

$(O)/user/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(MUSL_CC) $(USER_CFLAGS) $(TEST_CFLAGS)' | cmp -s - $@ || \
	    echo '$(MUSL_CC) $(USER_CFLAGS) $(TEST_CFLAGS)' > $@

USER_HEADERS := $(wildcard user/lib/*.h user/servers/*/*.h kernel/include/uapi/*.h kernel/include/lib/cpio.h)
define user_program
$(O)/user/$(1): $$($(1)_SRCS) $(USER_HEADERS) $(O)/user/flags
	$$(call say,MUSLCC,$$@)
	$$(Q)$(MUSL_CC) $(USER_CFLAGS) -ffile-prefix-map=$(CURDIR)/= $(LINUX_HEADERS) -o $$@ $$($(1)_SRCS)
endef
$(foreach p,$(USER_PROGS),$(eval $(call user_program,$(p))))

$(O)/user/%_glibc: tests/user/%.c $(wildcard tests/user/*.h user/lib/*.h) $(wildcard kernel/include/uapi/*.h) $(O)/user/flags
	$(call say,CC,$@)
	$(Q)$(HOSTCC) $(TEST_CFLAGS) -o $@ $<

$(O)/user/%: tests/user/%.c $(wildcard tests/user/*.h user/lib/*.h) $(wildcard kernel/include/uapi/*.h) $(O)/user/flags
	$(call say,MUSLCC,$@)
	$(Q)$(MUSL_CC) $(TEST_CFLAGS) $(LINUX_HEADERS) -o $@ $<

# The example pagers, each of several files.
define pager_program
$(O)/user/$(1): $$($(1)_SRCS) $$(wildcard tests/user/*.h user/lib/*.h $$(dir $$(firstword $$($(1)_SRCS)))*.h) $(O)/user/flags
	$$(call say,MUSLCC,$$@)
	$$(Q)$(MUSL_CC) $(TEST_CFLAGS) $(LINUX_HEADERS) -o $$@ $$($(1)_SRCS)
endef
$(foreach p,$(USER_PAGER_NAMES),$(eval $(call pager_program,$(p))))

$(O)/user/bench: $(BENCH_SRCS) tests/bench/bench.h $(wildcard kernel/include/uapi/*.h) $(O)/user/flags
	$(call say,MUSLCC,$@)
	$(Q)$(MUSL_CC) $(TEST_CFLAGS) -Ikernel/include $(LINUX_HEADERS) -o $@ $(BENCH_SRCS)

$(O)/user/linux_init: tests/oracle/linux_init.c $(O)/user/flags
	$(call say,MUSLCC,$@)
	$(Q)$(MUSL_CC) $(TEST_CFLAGS) -o $@ $<

# Arguments of tools/mkinitrd.py. The servers come before the other files.
PACK_SERVERS = $(foreach p,$(USER_PROGS),$($(p)_PATH)=$(O)/user/$(p):755)
PACK_TESTS = tests/run.sh=tests/user/run.sh:755 \
    $(foreach t,$(USER_TEST_NAMES) $(USER_HOG_NAMES),tests/$(t)=$(O)/user/$(t):755) \
    $(foreach s,$(USER_TEST_SCRIPTS),tests/scripts/$(notdir $(s))=$(s):755)
PACK_SCALE = tests/run.sh=tests/user/run.sh:755 \
    $(foreach t,$(USER_SCALE_NAMES),tests/$(t)=$(O)/user/$(t):755)
PACK_BENCH = tests/bench=$(O)/user/bench:755
PACK_LINUX = init=$(O)/user/linux_init:755
# A program of the user's, in front of the tests in case it has the name of one.
PACK_PROG = tests/run_program.sh=tests/oracle/run_program.sh:755 \
    $(if $(wildcard $(PROG)),tests/$(notdir $(PROG))=$(PROG):755)

SERVER_PROGRAMS := $(patsubst %,$(O)/user/%,$(USER_PROGS))
TEST_PROGRAMS := $(patsubst %,$(O)/user/%,$(USER_TEST_NAMES) $(USER_HOG_NAMES))
INITRD_SOURCES := $(foreach f,$(INITRD_FILES),$(firstword $(subst :, ,$(lastword $(subst =, ,$(f)))))) tools/mkinitrd.py user/sources.mk \
    tools/make/user.mk tests/user/sources.mk

define make_initrd
	$(call say,INITRD,$@)
	$(Q)tools/mkinitrd.py $@ --dir $(INITRD_DIRS) tests/scripts:755 --file $(1) $(INITRD_FILES) \
	    --link $(INITRD_LINKS) --applets-of $(INITRD_APPLETS_OF) --applets-not $(INITRD_APPLETS_NOT)
endef

$(O)/initrd.cpio: $(SERVER_PROGRAMS) $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_SERVERS))
$(O)/initrd-test.cpio: $(SERVER_PROGRAMS) $(TEST_PROGRAMS) $(USER_TEST_SCRIPTS) tests/user/run.sh $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_SERVERS) $(PACK_TESTS))
$(O)/initrd-scale.cpio: $(SERVER_PROGRAMS) $(patsubst %,$(O)/user/%,$(USER_SCALE_NAMES)) tests/user/run.sh $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_SERVERS) $(PACK_SCALE))
$(O)/initrd-linux.cpio: $(TEST_PROGRAMS) $(USER_TEST_SCRIPTS) tests/user/run.sh $(O)/user/linux_init $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_LINUX) $(PACK_TESTS))
$(O)/initrd-program.cpio: $(O)/initrd-test.cpio FORCE
	$(call make_initrd,$(PACK_SERVERS) $(PACK_PROG) $(PACK_TESTS))
$(O)/initrd-program-linux.cpio: $(O)/initrd-linux.cpio FORCE
	$(call make_initrd,$(PACK_LINUX) $(PACK_PROG) $(PACK_TESTS))
$(O)/initrd-bench.cpio: $(SERVER_PROGRAMS) $(O)/user/bench $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_SERVERS) $(PACK_BENCH))
$(O)/initrd-bench-linux.cpio: $(O)/user/bench $(O)/user/linux_init $(INITRD_SOURCES)
	$(call make_initrd,$(PACK_LINUX) $(PACK_BENCH))
