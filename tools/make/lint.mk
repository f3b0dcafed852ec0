# make lint: formatting, lock annotations, layers, lengths.

LINT_C := $(filter %.c,$(KERNEL_SRCS) $(TEST_KERNEL_SRCS) $(NO_KTEST_SRCS) $(KASAN_SRCS) $(UBSAN_SRCS))

.PHONY: lint rules
lint:
	$(Q)tools/setup.sh lint
	$(Q)python3 tools/lint.py --clang "$(CLANG) $(filter-out -fno-delete-null-pointer-checks,$(KERNEL_CFLAGS)) -DDEBUG -DEXPLORE" \
	    --kernel $(LINT_C)
	$(Q)python3 tools/uffd_errno_doc.py --check

# The table of rules and their tests, in docs/rules.md.
rules:
	$(Q)python3 tools/rules.py --write
