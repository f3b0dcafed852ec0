# Programs that run on the host: kernel data structures under sanitizers, and fuzz targets.

HOST_CFLAGS := -std=gnu11 -g -O1 -Wall -Wextra -Werror -Wno-unused-parameter -DDEBUG \
    -ffile-prefix-map=$(CURDIR)/= -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=undefined -Itests/host -Ikernel/include -I.
FUZZ_CFLAGS := $(HOST_CFLAGS) -fsanitize=fuzzer -Wno-unknown-warning-option

HOST_TEST_PROGRAMS := $(patsubst %,$(O)/host/%,$(HOST_TESTS))
FUZZ_PROGRAMS := $(patsubst %,$(O)/host/%,$(FUZZ_TARGETS))

# $(1) program, $(2) compiler and its flags. Kernel headers that <string.h> would hide stay behind
# <lib/...>, so one include path serves both.
define host_program
$(O)/host/$(1): $$($(1)_SRCS)
	$$(call say,HOSTCC,$$@)
	$$(Q)mkdir -p $$(@D)/$(1).d
	$$(Q)for source in $$($(1)_SRCS); do \
	    (cd $$(CURDIR) && $(2) $$($(1)_CFLAGS) -MMD -MP -MT $$@ \
	        -MF $(O)/host/$(1).d/$$$$(echo $$$$source | tr / _).d -c $$$$source \
	        -o $(O)/host/$(1).d/$$$$(echo $$$$source | tr / _).o) || exit 1; done
	$$(Q)$(2) -o $$@ $$(foreach s,$$($(1)_SRCS),$(O)/host/$(1).d/$$(subst /,_,$$(s)).o)
-include $(wildcard $(O)/host/$(1).d/*.d)
endef

$(foreach t,$(HOST_TESTS),$(eval $(call host_program,$(t),$(HOSTCC) $(HOST_CFLAGS))))
$(foreach t,$(FUZZ_TARGETS),$(eval $(call host_program,$(t),$(CLANG) $(FUZZ_CFLAGS))))

.PHONY: host-tests fuzzers
host-tests: $(HOST_TEST_PROGRAMS)
fuzzers: $(FUZZ_PROGRAMS)
