# How the kernel is built: once for running, once with the suites for testing.

GCC_INCLUDE := $(shell $(CC) -print-file-name=include 2>/dev/null)

KERNEL_CFLAGS := -std=gnu11 -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
    -mgeneral-regs-only -fno-strict-aliasing -fno-common -fno-stack-protector \
    -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-delete-null-pointer-checks \
    -fcf-protection=none -ffile-prefix-map=$(CURDIR)/= -O2 -g \
    -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wno-unused-parameter \
    -nostdinc -isystem $(GCC_INCLUDE) -Ikernel/include -Iarch/x86_64/include
KERNEL_LDFLAGS := -nostdlib -static -no-pie -Wl,-z,max-page-size=0x1000 -Wl,--build-id=none \
    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -T linker.ld

comma := ,
SANITIZERS := $(subst $(comma), ,$(SANITIZE))

# $(1) sanitizers: the sources and the flags that they take.
sanitizer_sources = $(if $(filter kasan,$(1)),$(KASAN_SRCS),$(NO_KASAN_SRCS)) \
    $(if $(filter ubsan,$(1)),$(UBSAN_SRCS))
sanitizer_flags = $(if $(filter kasan,$(1)),$(KASAN_CFLAGS)) \
    $(if $(filter ubsan,$(1)),$(UBSAN_CFLAGS))

# $(1) variant folder, $(2) sources, $(3) extra flags, $(4) sanitizers.  A file that must not be
# instrumented is listed in NO_SANITIZE_SRCS.
define kernel_variant
$(1)_OBJS := $$(patsubst %,$(O)/$(1)/%.o,$(2) $(call sanitizer_sources,$(4)))

$(O)/$(1)/%.c.o: %.c $(O)/$(1)/flags
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KERNEL_CFLAGS) $(3) $$(if $$(filter $$<,$$(NO_SANITIZE_SRCS)),,$(call sanitizer_flags,$(4))) -MMD -MP -c -o $$@ $$<

$(O)/$(1)/%.S.o: %.S $(O)/$(1)/flags
	$$(call say,AS,$$<)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KERNEL_CFLAGS) $(3) -D__ASSEMBLER__ -MMD -MP -c -o $$@ $$<

# Linked twice: the second time with the symbol table that backtraces need, of the same size.
$(O)/$(1)/kernel.elf: $$($(1)_OBJS) linker.ld tools/gen_symbols.py
	$$(call say,LD,$$@)
	$$(Q)python3 tools/gen_symbols.py --empty > $(O)/$(1)/symbols0.S
	$$(Q)$$(CC) $$(KERNEL_CFLAGS) -c -o $(O)/$(1)/symbols0.o $(O)/$(1)/symbols0.S
	$$(Q)$$(CC) $$(KERNEL_LDFLAGS) -o $(O)/$(1)/kernel0.elf $$($(1)_OBJS) $(O)/$(1)/symbols0.o
	$$(Q)$$(NM) -n $(O)/$(1)/kernel0.elf | python3 tools/gen_symbols.py > $(O)/$(1)/symbols1.S
	$$(Q)$$(CC) $$(KERNEL_CFLAGS) -c -o $(O)/$(1)/symbols1.o $(O)/$(1)/symbols1.S
	$$(Q)$$(CC) $$(KERNEL_LDFLAGS) -o $$@ $$($(1)_OBJS) $(O)/$(1)/symbols1.o

$(O)/$(1)/flags: FORCE
	$$(Q)mkdir -p $$(@D)
	$$(Q)echo '$$(CC) $$(KERNEL_CFLAGS) $(3) $(call sanitizer_flags,$(4))' | cmp -s - $$@ || \
	    echo '$$(CC) $$(KERNEL_CFLAGS) $(3) $(call sanitizer_flags,$(4))' > $$@

-include $$(patsubst %.o,%.d,$$($(1)_OBJS))
endef

.PHONY: FORCE
FORCE:

RUN_DEFINES := $(if $(filter 1,$(DEBUG)),-DDEBUG)
TEST_DEFINES := -DDEBUG -DEXPLORE
$(eval $(call kernel_variant,kernel,$(KERNEL_SRCS) $(NO_KTEST_SRCS),$(RUN_DEFINES),$(SANITIZERS)))
$(eval $(call kernel_variant,test-kernel,$(KERNEL_SRCS) $(TEST_KERNEL_SRCS),$(TEST_DEFINES),$(SANITIZERS)))
# The same suites with every access and every operation checked, whatever SANITIZE says.
$(eval $(call kernel_variant,test-kernel-sanitized,$(KERNEL_SRCS) $(TEST_KERNEL_SRCS),$(TEST_DEFINES),kasan ubsan))

.PHONY: kernel test-kernel
kernel: $(O)/kernel/kernel.elf
test-kernel: $(O)/test-kernel/kernel.elf

.PHONY: compile_commands.json
compile_commands.json: $(O)/compile_commands.json
$(O)/compile_commands.json: $(O)/test-kernel/flags
	$(call say,GEN,$@)
	$(Q)python3 tools/compile_commands.py "$(CC) $(KERNEL_CFLAGS) -DDEBUG -DEXPLORE" \
	    $(filter %.c,$(KERNEL_SRCS) $(TEST_KERNEL_SRCS)) > $@
