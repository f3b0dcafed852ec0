# The in-kernel suites, in the order they run: what everything stands on comes first.
TEST_KERNEL_SRCS += tests/kernel/ktest.c
TEST_KERNEL_SRCS += tests/kernel/mm_pte_test.c
TEST_KERNEL_SRCS += tests/kernel/mm_fault_test.c
TEST_KERNEL_SRCS += tests/kernel/mm_zap_test.c
TEST_KERNEL_SRCS += tests/kernel/mm_fork_test.c
TEST_KERNEL_SRCS += tests/kernel/mm_gup_test.c
TEST_KERNEL_SRCS += tests/kernel/mm_map_test.c
TEST_KERNEL_SRCS += tests/kernel/mm_object_test.c
TEST_KERNEL_SRCS += tests/kernel/lock_test.c
TEST_KERNEL_SRCS += tests/kernel/sched_test.c
TEST_KERNEL_SRCS += tests/kernel/timer_test.c
TEST_KERNEL_SRCS += tests/kernel/futex_test.c
