# Programs that run on Cowbell and on Linux: each NAME is tests/user/NAME.c, one static binary with
# musl. NAME_glibc is the same source, linked with glibc.
USER_TEST_MUSL := machine_test mm_test map_test process_test signal_test sigaction_test thread_test \
    time_test sched_test pipe_test splice_test process_vm_test pin_test gup_test badptr_test fs_test \
    name_test resolve_test proc_test proc_task_test tty_test
USER_TEST_MUSL += cow_test nonsense_test counters_test dax_test dax_file_test dax_map_test pager_test
USER_TEST_MUSL += mmap_errno_test mremap_test advise_test mlock_test seal_test mseal_test inspect_test \
    fault_around_test track_test record_lock_test
USER_TEST_MUSL += torture
USER_TEST_MUSL += uffd_api_test uffd_errno_test uffd_fault_test uffd_fill_test uffd_move_test \
    uffd_wp_test uffd_wp_table_test uffd_event_test uffd_kernel_test uffd_deadlock_test \
    uffd_wake_test uffd_bad_pager_test uffd_storm_test
# Last: it takes the terminal away from the session of the tests.
USER_TEST_MUSL += hangup_test
USER_TEST_GLIBC := process_test_glibc signal_test_glibc thread_test_glibc
USER_TEST_NAMES := $(USER_TEST_MUSL) $(USER_TEST_GLIBC) $(USER_PAGER_NAMES)
# Not tests by themselves: what the shell conversations start.
USER_HOG_NAMES := hog_memory hog_processes hog_descriptors
# Run by `make scale` in a machine of its own.
USER_SCALE_NAMES := scale
USER_TEST_SCRIPTS := $(sort $(wildcard tests/user/scripts/*.sh))
