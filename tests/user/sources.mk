# Programs that run on Cowbell and on Linux: each NAME is tests/user/NAME.c, one static binary with
# musl. NAME_glibc is the same source, linked with glibc.
USER_TEST_MUSL := machine_test mm_test map_test process_test signal_test thread_test time_test \
    pipe_test splice_test process_vm_test pin_test gup_test badptr_test fs_test name_test proc_test tty_test
USER_TEST_MUSL += nonsense_test counters_test dax_test
USER_TEST_GLIBC := process_test_glibc signal_test_glibc thread_test_glibc
USER_TEST_NAMES := $(USER_TEST_MUSL) $(USER_TEST_GLIBC)
# Not tests by themselves: what the shell conversations start.
USER_HOG_NAMES := hog_memory hog_processes hog_descriptors
USER_TEST_SCRIPTS := $(sort $(wildcard tests/user/scripts/*.sh))
