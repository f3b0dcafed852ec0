# make lint: formatting, lock annotations, layers, lengths.

LINT_C := $(filter %.c,$(KERNEL_SRCS) $(TEST_KERNEL_SRCS) $(NO_KTEST_SRCS) $(KASAN_SRCS) $(UBSAN_SRCS))

.PHONY: lint
lint:
	$(Q)tools/setup.sh lint
	$(Q)python3 tools/lint.py --clang "$(CLANG) $(filter-out -fno-delete-null-pointer-checks,$(KERNEL_CFLAGS)) -DDEBUG -DEXPLORE" \
	    --kernel $(LINT_C)
