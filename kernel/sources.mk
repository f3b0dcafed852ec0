# The kernel's own top: where its start can be read.
KERNEL_SRCS += kernel/main.c
# Takes the place of the suites in a kernel that is not built for testing.
NO_KTEST_SRCS := kernel/debug/no_ktest.c
