/* Processes: making, ending, waiting, groups, limits. */
#include "proc_test.h"

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <debug/ktest.h>
#include <mm/fail_inject.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process_internal.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <uapi/linux/sched.h>
#include <uapi/linux/wait.h>

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

static void ignore_children(void)
{
    const struct signal_action ignore = {.handler = SIG_IGN};

    signal_set_action(SIGCHLD, &ignore, NULL);
}

static void body_exit_status(void)
{
    s64 pid = program_clone(program_exit(42), 0);

    EXPECT_TRUE(pid > 0);
    EXPECT_EQ(WAIT_STATUS_EXIT(42), program_wait((s32)pid, 0));
    EXPECT_ERR(-ECHILD, program_wait((s32)pid, 0));
    EXPECT_ERR(-ECHILD, program_wait(-1, 0));
}

TEST(process, exit_status_reaches_the_parent_once)
{
    EXPECT_EQ(0, proc_test_run(body_exit_status));
}

static void body_wait_nohang(void)
{
    s64 pid = program_clone(program_pause(), 0);
    struct process *child = process_find_get((s32)pid);

    ASSERT_TRUE(child != NULL);
    EXPECT_ERR(-EAGAIN, program_wait((s32)pid, WNOHANG));
    EXPECT_EQ(0, signal_send_process(child, SIGKILL, NULL));
    EXPECT_EQ(WAIT_STATUS_SIGNAL(SIGKILL), program_wait((s32)pid, 0));
    EXPECT_EQ(PROCESS_DEAD, child->state);
    process_put(child);
}

TEST(process, a_running_child_is_waited_for_without_hanging)
{
    proc_test_run(body_wait_nohang);
}

static void body_spin_killed(void)
{
    s64 pid = program_clone(program_spin(), 0);
    struct process *child = process_find_get((s32)pid);

    ASSERT_TRUE(child != NULL);
    sched_yield_current();
    EXPECT_EQ(0, signal_send_process(child, SIGTERM, NULL));
    EXPECT_EQ(WAIT_STATUS_SIGNAL(SIGTERM), program_wait((s32)pid, 0));
    process_put(child);
}

TEST(process, a_signal_reaches_a_program_that_makes_no_calls)
{
    proc_test_run(body_spin_killed);
}

static void body_nowait(void)
{
    s64 pid = program_clone(program_exit(7), 0);

    EXPECT_EQ(WAIT_STATUS_EXIT(7), program_wait((s32)pid, WNOWAIT));
    EXPECT_EQ(WAIT_STATUS_EXIT(7), program_wait((s32)pid, WNOWAIT));
    EXPECT_EQ(WAIT_STATUS_EXIT(7), program_wait((s32)pid, 0));
}

TEST(process, wnowait_leaves_the_zombie)
{
    proc_test_run(body_nowait);
}

static void body_zombie_keeps_pid(void)
{
    s64 pid = program_clone(program_exit(0), 0);
    struct process *child = process_find_get((s32)pid);

    ASSERT_TRUE(child != NULL);
    program_until(READ_ONCE(child->state) == PROCESS_ZOMBIE);
    EXPECT_TRUE(thread_find_get((s32)pid) == NULL);
    EXPECT_TRUE(child->mm == NULL && child->files == NULL && child->fs == NULL);
    EXPECT_EQ('Z', process_state_char(child));
    EXPECT_EQ(0, program_wait((s32)pid, 0));
    EXPECT_TRUE(process_find_get((s32)pid) == NULL);
    process_put(child);
}

TEST(process, a_zombie_keeps_its_number_and_nothing_else)
{
    proc_test_run(body_zombie_keeps_pid);
}

/* Who looks a thread up, as sched_setattr(2) does, may use its process until the reference goes. */
static void body_thread_keeps_process(void)
{
    s64 pid = program_clone(program_pause(), 0);
    struct thread *thread = thread_find_get((s32)pid);

    ASSERT_TRUE(thread != NULL);
    EXPECT_EQ(0, signal_send_process(thread->process, SIGKILL, NULL));
    EXPECT_EQ(WAIT_STATUS_SIGNAL(SIGKILL), program_wait((s32)pid, 0));
    ASSERT_TRUE(thread->process != NULL);
    EXPECT_EQ(PROCESS_DEAD, thread->process->state);
    thread_put(thread);
}

TEST(process, a_reference_to_a_thread_keeps_its_process)
{
    proc_test_run(body_thread_keeps_process);
}

static void body_autoreap(void)
{
    ignore_children();
    s64 pid = program_clone(program_exit(0), 0);

    EXPECT_TRUE(pid > 0);
    EXPECT_ERR(-ECHILD, program_wait((s32)pid, 0));
}

TEST(process, ignoring_sigchld_leaves_no_zombies)
{
    proc_test_run(body_autoreap);
}

static void body_unwaited_children(void)
{
    s64 sleeper = program_clone(program_pause(), 0);
    struct process *child = process_find_get((s32)sleeper);

    ASSERT_TRUE(child != NULL);
    EXPECT_EQ(0, signal_send_process(child, SIGKILL, NULL));
    process_put(child);
    EXPECT_TRUE(program_clone(program_exit(1), 0) > 0);
}

TEST(process, children_of_a_dead_parent_leave_nothing_behind)
{
    EXPECT_EQ(0, proc_test_run(body_unwaited_children));
}

/* --- threads --------------------------------------------------------------------------------- */

static void body_thread_exit(void)
{
    struct process *self = current_process();
    s64 tid = program_clone(program_store_exit(0x1234, 0), THREAD_FLAGS);
    u32 seen = 0;

    EXPECT_TRUE(tid > 0);
    program_until(READ_ONCE(self->nr_threads) == 1);
    EXPECT_OK(get_user_u32(&seen, PROGRAM_DATA));
    EXPECT_EQ(0x1234, seen);
    EXPECT_ERR(-ECHILD, program_wait(-1, __WALL));
}

TEST(process, a_thread_shares_memory_and_is_no_child)
{
    EXPECT_EQ(0, proc_test_run(body_thread_exit));
}

static void body_threads_die_with_process(void)
{
    for (int i = 0; i < 4; i++) {
        EXPECT_TRUE(program_clone(program_spin(), THREAD_FLAGS) > 0);
    }
    EXPECT_EQ(5, current_process()->nr_threads);
}

TEST(process, exit_group_ends_every_thread)
{
    EXPECT_EQ(0, proc_test_run(body_threads_die_with_process));
}

static void body_kill_other_threads(void)
{
    struct process *self = current_process();

    EXPECT_TRUE(program_clone(program_spin(), THREAD_FLAGS) > 0);
    EXPECT_TRUE(program_clone(program_pause(), THREAD_FLAGS) > 0);
    EXPECT_OK(process_kill_other_threads());
    EXPECT_EQ(1, self->nr_threads);
    EXPECT_EQ(1, atomic_u32_load(&self->nr_live));
    EXPECT_FALSE(signal_pending(current_thread()));
}

TEST(process, execve_leaves_one_thread)
{
    EXPECT_EQ(0, proc_test_run(body_kill_other_threads));
}

static void body_copy_on_fork(void)
{
    u32 seen = 0;

    EXPECT_OK(put_user_u32(PROGRAM_DATA, 1));
    s64 pid = program_clone(program_store_exit(2, 0), 0);

    EXPECT_EQ(0, program_wait((s32)pid, 0));
    EXPECT_OK(get_user_u32(&seen, PROGRAM_DATA));
    EXPECT_EQ(1, seen);
    pid = program_clone(program_store_exit(3, 0), CLONE_VM | CLONE_VFORK);
    EXPECT_OK(get_user_u32(&seen, PROGRAM_DATA));
    EXPECT_EQ(3, seen);
    EXPECT_EQ(0, program_wait((s32)pid, 0));
}

TEST(process, fork_copies_memory_and_vfork_lends_it_until_the_child_ends)
{
    EXPECT_EQ(0, proc_test_run(body_copy_on_fork));
}

static void body_clone_tids(void)
{
    struct clone_request request = {
        .flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_VM | CLONE_VFORK,
        .exit_signal = SIGCHLD,
        .parent_tid = PROGRAM_DATA + 8,
        .child_tid = PROGRAM_DATA + 12,
    };
    u32 seen_by_parent = 0, seen_by_child = 0;
    s32 pid = 0;

    tf_init_user(arch_thread_trapframe(&current_thread()->arch), program_exit(0), PROGRAM_STACK);
    ASSERT_OK(process_clone(&request, &pid));
    EXPECT_OK(get_user_u32(&seen_by_parent, PROGRAM_DATA + 8));
    EXPECT_OK(get_user_u32(&seen_by_child, PROGRAM_DATA + 12));
    EXPECT_EQ(pid, seen_by_parent);
    EXPECT_EQ(pid, seen_by_child);
    EXPECT_EQ(0, program_wait(pid, 0));
}

TEST(process, clone_writes_the_new_id_where_it_was_asked)
{
    proc_test_run(body_clone_tids);
}

static void body_clone_flags(void)
{
    u64 entry = program_exit(0);

    EXPECT_ERR(-EINVAL, program_clone(entry, CLONE_THREAD));
    EXPECT_ERR(-EINVAL, program_clone(entry, CLONE_SIGHAND));
    EXPECT_ERR(-EINVAL, program_clone(entry, CLONE_THREAD | CLONE_SIGHAND));
    EXPECT_ERR(-EINVAL, program_clone(entry, CLONE_NEWPID));
    EXPECT_ERR(-EINVAL, program_clone(entry, CLONE_NEWNS));
    EXPECT_ERR(-EINVAL, program_clone(entry, CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND));
    EXPECT_EQ(1, current_process()->nr_threads);
}

TEST(process, impossible_clone_flags_are_einval)
{
    proc_test_run(body_clone_flags);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void body_clone_without_memory(void)
{
    u64 entry = program_exit(0);
    bool has_failed = true;

    for (u32 nth = 1; has_failed; nth++) {
        fail_inject_begin(nth);
        s64 pid = program_clone(entry, 0);

        has_failed = fail_inject_end();
        if (pid > 0) {
            EXPECT_EQ(0, program_wait((s32)pid, 0));
        } else {
            EXPECT_TRUE(has_failed);
            EXPECT_TRUE(pid == -ENOMEM || pid == -EAGAIN);
            EXPECT_ERR(-ECHILD, program_wait(-1, 0));
        }
    }
}

TEST(process, fork_fails_cleanly_at_each_allocation)
{
    proc_test_run(body_clone_without_memory);
}

static void body_nproc(void)
{
    struct process *self = current_process();
    u32 in_use = atomic_u32_load(&self->account->nr_threads);
    const struct rlimit limit = {in_use + 1, in_use + 1};
    u64 entry = program_pause();

    EXPECT_OK(rlimit_change(self, RLIMIT_NPROC, &limit, NULL));
    self->cred.uid = 1000;
    self->cred.cap_effective = 0;
    s64 first = program_clone(entry, 0);

    EXPECT_TRUE(first > 0);
    EXPECT_ERR(-EAGAIN, program_clone(entry, 0));
    self->cred.uid = 0;
    self->cred.cap_effective = CAP_FULL_SET;
    s64 second = program_clone(entry, 0);

    EXPECT_TRUE(second > 0);
    EXPECT_EQ(0, signal_send_pgrp(process_pgid(self), SIGWINCH, NULL));
    struct process *child = process_find_get((s32)first);

    signal_kill_process(child);
    process_put(child);
    child = process_find_get((s32)second);
    signal_kill_process(child);
    process_put(child);
    EXPECT_EQ(SIGKILL, program_wait((s32)first, 0));
    EXPECT_EQ(SIGKILL, program_wait((s32)second, 0));
}

TEST(process, rlimit_nproc_bounds_users_but_not_user_0)
{
    proc_test_run(body_nproc);
}

static void body_rlimits(void)
{
    struct process *self = current_process();
    const struct rlimit backwards = {10, 5};
    const struct rlimit low = {5, 10};
    const struct rlimit raised = {5, 11};
    struct rlimit old;

    EXPECT_ERR(-EINVAL, rlimit_change(self, RLIMIT_FSIZE, &backwards, &old));
    EXPECT_OK(rlimit_change(self, RLIMIT_FSIZE, &low, &old));
    EXPECT_EQ(RLIM_INFINITY, old.rlim_max);
    self->cred.cap_effective = 0;
    EXPECT_ERR(-EPERM, rlimit_change(self, RLIMIT_FSIZE, &raised, &old));
    EXPECT_OK(rlimit_change(self, RLIMIT_FSIZE, NULL, &old));
    EXPECT_EQ(5, old.rlim_cur);
    EXPECT_EQ(10, old.rlim_max);
}

TEST(process, a_hard_limit_is_raised_by_privilege_only)
{
    proc_test_run(body_rlimits);
}

/* --- groups and sessions --------------------------------------------------------------------- */

static void body_groups(void)
{
    struct process *self = current_process();
    s64 pid = program_clone(program_pause(), 0);
    struct process *child = process_find_get((s32)pid);

    ASSERT_TRUE(child != NULL);
    EXPECT_EQ(process_pgid(self), process_pgid(child));
    EXPECT_EQ(process_sid(self), process_sid(child));
    EXPECT_ERR(-EPERM, process_set_group(0, 0));
    EXPECT_ERR(-EINVAL, process_set_group((s32)pid, -1));
    EXPECT_ERR(-EPERM, process_set_group((s32)pid, 31999));
    EXPECT_ERR(-ESRCH, process_set_group(31999, 0));
    EXPECT_OK(process_set_group((s32)pid, 0));
    EXPECT_EQ(pid, process_pgid(child));
    EXPECT_FALSE(process_is_orphaned_group(child));
    EXPECT_TRUE(process_is_orphaned_group(self));
    EXPECT_ERR(-EPERM, session_create());
    EXPECT_OK(signal_send_pgrp((s32)pid, SIGTERM, NULL));
    EXPECT_EQ(SIGTERM, program_wait((s32)pid, 0));
    EXPECT_ERR(-ESRCH, signal_send_pgrp((s32)pid, SIGTERM, NULL));
    process_put(child);
}

TEST(process, groups_follow_the_rules_of_setpgid)
{
    EXPECT_EQ(0, proc_test_run(body_groups));
}

static void body_group_number(void)
{
    s64 leader = program_clone(program_exit(0), 0);
    s64 member = program_clone(program_pause(), 0);

    EXPECT_OK(process_set_group((s32)leader, (s32)leader));
    EXPECT_OK(process_set_group((s32)member, (s32)leader));
    EXPECT_EQ(0, program_wait((s32)leader, 0));
    spin_lock(&process_tree_lock);
    struct pid *number = pid_find_locked((s32)leader);

    EXPECT_TRUE(number != NULL && number->process == NULL);
    spin_unlock(&process_tree_lock);
    EXPECT_OK(signal_send_pgrp((s32)leader, SIGKILL, NULL));
    EXPECT_EQ(SIGKILL, program_wait((s32)member, 0));
    spin_lock(&process_tree_lock);
    EXPECT_TRUE(pid_find_locked((s32)leader) == NULL);
    spin_unlock(&process_tree_lock);
}

TEST(process, a_group_keeps_its_number_after_its_leader)
{
    proc_test_run(body_group_number);
}
