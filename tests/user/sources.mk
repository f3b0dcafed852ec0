# Programs that run on Cowbell and on Linux: each NAME is tests/user/NAME.c, one static binary with
# musl. NAME_glibc is the same source, linked with glibc.
USER_TEST_MUSL := mm_test map_test process_test signal_test thread_test pipe_test badptr_test
USER_TEST_GLIBC := process_test_glibc signal_test_glibc thread_test_glibc
USER_TEST_NAMES := $(USER_TEST_MUSL) $(USER_TEST_GLIBC)
# Not tests by themselves: what the shell conversations start.
USER_HOG_NAMES := hog_memory hog_processes hog_descriptors
USER_TEST_SCRIPTS := $(sort $(wildcard tests/user/scripts/*.sh))
