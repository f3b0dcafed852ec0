/* Signals: sending, blocking, frames, restarts, job control. */
#include "proc_test.h"

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <debug/ktest.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process_internal.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <syscall/syscalls.h>
#include <uapi/linux/wait.h>

#define HANDLER     0x10000100UL
#define RESTORER    0x10000200UL
#define SYSCALL_NR  35
#define SYSCALL_LEN 2

/* Offsets in Linux's struct rt_sigframe for x86-64. */
#define FRAME_UC_LINK    16
#define FRAME_SS_SP      24
#define FRAME_R8         48
#define FRAME_RIP        176
#define FRAME_EFLAGS     184
#define FRAME_FPSTATE    232
#define FRAME_SIGMASK    304
#define FRAME_INFO       312
#define XSTATE_MAGIC1    0x46505853
#define FP_SOFTWARE_AREA 464

static struct trapframe *own_frame(void)
{
    return arch_thread_trapframe(&current_thread()->arch);
}

/* User registers with a recognisable value in each. */
static void fill_frame(struct trapframe *frame)
{
    tf_init_user(frame, 0x10000000, PROGRAM_STACK - 64);
    frame->r8 = 0x1111;
    frame->r15 = 0x2222;
    frame->rbx = 0x3333;
    frame->rcx = 0x4444;
    frame->rax = 0x5555;
}

static void set_handler(int signal, u64 flags, u64 mask)
{
    const struct signal_action action = {
        .handler = HANDLER, .flags = flags | SA_RESTORER, .restorer = RESTORER, .mask = mask};

    signal_set_action(signal, &action, NULL);
}

static int raise_self(int signal)
{
    return signal_send_thread(current_thread(), signal, NULL);
}

static u64 frame_word(u64 offset)
{
    u64 word = 0;

    EXPECT_OK(get_user_u64(&word, tf_sp(own_frame()) + offset));
    return word;
}

/* --- sending --------------------------------------------------------------------------------- */

static void body_standard_merge(void)
{
    struct siginfo info = {.si_code = SI_USER};
    struct siginfo taken;

    signal_set_blocked(SIGNAL_BIT(SIGUSR1) | SIGNAL_BIT(SIGRTMIN));
    for (int i = 0; i < 3; i++) {
        info.rt.pid = 100 + i;
        EXPECT_OK(signal_send_process(current_process(), SIGUSR1, &info));
        info.si_code = SI_QUEUE;
        info.rt.value.sival_int = i;
        EXPECT_OK(signal_send_process(current_process(), SIGRTMIN, &info));
        info.si_code = SI_USER;
    }
    EXPECT_FALSE(signal_pending(current_thread()));
    u64 flags = spin_lock_irqsave(&current_process()->sig_lock);
    EXPECT_EQ(SIGUSR1, signal_dequeue(current_thread(), 0, &taken));
    EXPECT_EQ(100, taken.rt.pid);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(SIGRTMIN, signal_dequeue(current_thread(), 0, &taken));
        EXPECT_EQ(i, taken.rt.value.sival_int);
    }
    EXPECT_EQ(0, signal_dequeue(current_thread(), 0, &taken));
    spin_unlock_irqrestore(&current_process()->sig_lock, flags);
}

TEST(signal, standard_signals_merge_and_real_time_signals_queue)
{
    proc_test_run(body_standard_merge);
}

static void body_queue_limit(void)
{
    const struct siginfo info = {.si_code = SI_QUEUE};
    const struct rlimit limit = {2, 2};

    signal_set_blocked(~0UL);
    EXPECT_OK(rlimit_change(current_process(), RLIMIT_SIGPENDING, &limit, NULL));
    EXPECT_OK(signal_send_process(current_process(), SIGRTMIN, &info));
    EXPECT_OK(signal_send_process(current_process(), SIGRTMIN, &info));
    EXPECT_ERR(-EAGAIN, signal_send_process(current_process(), SIGRTMIN, &info));
    EXPECT_OK(signal_send_process(current_process(), SIGUSR1, NULL));
    EXPECT_TRUE((current_process()->pending.set & SIGNAL_BIT(SIGUSR1)) != 0);
}

TEST(signal, the_limit_stops_real_time_signals_only)
{
    proc_test_run(body_queue_limit);
}

static void body_synchronous_first(void)
{
    struct siginfo taken;

    signal_set_blocked(~0UL);
    EXPECT_OK(raise_self(SIGHUP));
    EXPECT_OK(raise_self(SIGSEGV));
    u64 flags = spin_lock_irqsave(&current_process()->sig_lock);
    EXPECT_EQ(SIGSEGV, signal_dequeue(current_thread(), 0, &taken));
    EXPECT_EQ(SIGHUP, signal_dequeue(current_thread(), 0, &taken));
    spin_unlock_irqrestore(&current_process()->sig_lock, flags);
}

TEST(signal, faults_are_taken_before_lower_numbers)
{
    proc_test_run(body_synchronous_first);
}

static void body_ignored(void)
{
    const struct signal_action ignore = {.handler = SIG_IGN};

    EXPECT_OK(raise_self(SIGCHLD));
    EXPECT_FALSE(signal_pending(current_thread()));
    signal_set_blocked(SIGNAL_BIT(SIGTERM));
    EXPECT_OK(raise_self(SIGTERM));
    EXPECT_TRUE(current_thread()->sig.pending.set != 0);
    signal_set_action(SIGTERM, &ignore, NULL);
    EXPECT_EQ(0, current_thread()->sig.pending.set);
    signal_set_blocked(0);
    EXPECT_OK(raise_self(SIGTERM));
    EXPECT_FALSE(signal_pending(current_thread()));
}

TEST(signal, ignored_signals_are_dropped_also_when_pending)
{
    EXPECT_EQ(0, proc_test_run(body_ignored));
}

static void body_unblockable(void)
{
    signal_set_blocked(~0UL);
    EXPECT_EQ(~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP)), current_thread()->sig.blocked);
}

TEST(signal, kill_and_stop_cannot_be_blocked)
{
    proc_test_run(body_unblockable);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void body_frame(void)
{
    struct trapframe *frame = own_frame();
    struct trapframe before;

    set_handler(SIGUSR1, SA_SIGINFO, SIGNAL_BIT(SIGUSR2));
    signal_set_blocked(SIGNAL_BIT(SIGHUP));
    fill_frame(frame);
    before = *frame;
    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    u64 sp = tf_sp(frame);

    EXPECT_EQ(HANDLER, tf_ip(frame));
    EXPECT_EQ(8, sp % 16);
    EXPECT_EQ(SIGUSR1, frame->rdi);
    EXPECT_EQ(sp + FRAME_INFO, frame->rsi);
    EXPECT_EQ(sp + 8, frame->rdx);
    EXPECT_EQ(0, frame->rax);
    EXPECT_EQ(RESTORER, frame_word(0));
    EXPECT_EQ(0, frame_word(FRAME_UC_LINK));
    EXPECT_EQ(0x1111, frame_word(FRAME_R8));
    EXPECT_EQ(before.rip, frame_word(FRAME_RIP));
    EXPECT_EQ(before.eflags, frame_word(FRAME_EFLAGS));
    EXPECT_EQ(SIGNAL_BIT(SIGHUP), frame_word(FRAME_SIGMASK));
    EXPECT_EQ(SIGUSR1, (u32)frame_word(FRAME_INFO));
    EXPECT_EQ(0, frame_word(FRAME_FPSTATE) % 64);
    EXPECT_EQ(SIGNAL_BIT(SIGHUP) | SIGNAL_BIT(SIGUSR1) | SIGNAL_BIT(SIGUSR2),
              current_thread()->sig.blocked);

    tf_set_sp(frame, sp + 8); /* the handler returns to the restorer */
    EXPECT_EQ(0x5555, sys_rt_sigreturn());
    EXPECT_EQ(0, memcmp(&before, frame, sizeof(before)));
    EXPECT_EQ(SIGNAL_BIT(SIGHUP), current_thread()->sig.blocked);
}

TEST(signal, a_handler_frame_is_linuxs_and_sigreturn_restores_everything)
{
    EXPECT_EQ(0, proc_test_run(body_frame));
}

static void body_xstate(void)
{
    const struct arch_fpu_layout *layout = arch_fpu_layout();
    struct trapframe *frame = own_frame();
    u32 magic = 0;

    set_handler(SIGUSR1, 0, 0);
    fill_frame(frame);
    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    u64 fpstate = frame_word(FRAME_FPSTATE);

    EXPECT_OK(get_user_u32(&magic, fpstate + FP_SOFTWARE_AREA));
    EXPECT_EQ(layout->has_xsave ? XSTATE_MAGIC1 : 0, magic);
    /* A reserved bit of MXCSR would make the CPU refuse the image. */
    EXPECT_OK(put_user_u32(fpstate + 24, 0xffffffff));
    tf_set_sp(frame, tf_sp(frame) + 8);
    (void)sys_rt_sigreturn();
    EXPECT_TRUE((current_thread()->sig.pending.set & SIGNAL_BIT(SIGSEGV)) != 0);
}

TEST(signal, an_impossible_fpu_image_is_a_segv)
{
    EXPECT_EQ(0, proc_test_run(body_xstate));
}

static void body_sigreturn_privilege(void)
{
    struct trapframe *frame = own_frame();

    set_handler(SIGUSR1, 0, 0);
    fill_frame(frame);
    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    EXPECT_OK(put_user_u64(tf_sp(frame) + FRAME_EFLAGS, ~0UL));
    EXPECT_OK(put_user_u64(tf_sp(frame) + FRAME_EFLAGS + 8, 0)); /* cs, gs, fs, ss */
    tf_set_sp(frame, tf_sp(frame) + 8);
    (void)sys_rt_sigreturn();
    EXPECT_TRUE(tf_is_user(frame));
    EXPECT_EQ(0, frame->eflags & 0x3000); /* I/O privilege level */
    EXPECT_TRUE((frame->eflags & 0x200) != 0);
}

TEST(signal, sigreturn_gives_no_privilege)
{
    EXPECT_EQ(0, proc_test_run(body_sigreturn_privilege));
}

static void body_bad_stack(void)
{
    struct trapframe *frame = own_frame();

    set_handler(SIGUSR1, 0, 0);
    fill_frame(frame);
    tf_set_sp(frame, 0x40000000);
    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    EXPECT_TRUE((current_thread()->sig.pending.set & SIGNAL_BIT(SIGSEGV)) != 0);
    EXPECT_TRUE(signal_pending(current_thread()));
}

TEST(signal, a_frame_without_stack_is_a_segv)
{
    EXPECT_EQ(0, proc_test_run(body_bad_stack));
}

static void body_altstack(void)
{
    struct trapframe *frame = own_frame();
    u64 outside = PROGRAM_STACK - 64;

    EXPECT_ERR(-ENOMEM, signal_set_altstack(PROGRAM_DATA, 0, MINSIGSTKSZ - 1, outside));
    EXPECT_ERR(-EINVAL, signal_set_altstack(PROGRAM_DATA, 5, PAGE_SIZE, outside));
    EXPECT_OK(signal_set_altstack(PROGRAM_DATA, 0, PAGE_SIZE, outside));
    EXPECT_ERR(-EPERM, signal_set_altstack(PROGRAM_DATA, 0, PAGE_SIZE, PROGRAM_DATA + 100));
    set_handler(SIGUSR1, SA_ONSTACK, 0);
    set_handler(SIGUSR2, 0, 0);
    fill_frame(frame);
    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    EXPECT_TRUE(tf_sp(frame) > PROGRAM_DATA && tf_sp(frame) < PROGRAM_DATA + PAGE_SIZE);
    EXPECT_EQ(PROGRAM_DATA, frame_word(FRAME_SS_SP));
    u64 first = tf_sp(frame);

    EXPECT_OK(raise_self(SIGUSR2));
    signal_deliver(frame);
    EXPECT_TRUE(tf_sp(frame) < first && tf_sp(frame) > PROGRAM_DATA);
}

TEST(signal, handlers_run_on_the_alternate_stack_and_stay_there)
{
    EXPECT_EQ(0, proc_test_run(body_altstack));
}

static void body_altstack_overflow(void)
{
    struct trapframe *frame = own_frame();

    EXPECT_OK(signal_set_altstack(PROGRAM_DATA, 0, MINSIGSTKSZ, PROGRAM_STACK - 64));
    set_handler(SIGUSR1, SA_ONSTACK | SA_NODEFER, 0);
    fill_frame(frame);
    for (int i = 0; i < 4 && (current_thread()->sig.pending.set & SIGNAL_BIT(SIGSEGV)) == 0; i++) {
        EXPECT_OK(raise_self(SIGUSR1));
        signal_deliver(frame);
        EXPECT_TRUE(tf_sp(frame) > PROGRAM_DATA);
    }
    EXPECT_TRUE((current_thread()->sig.pending.set & SIGNAL_BIT(SIGSEGV)) != 0);
}

TEST(signal, an_overflow_of_the_alternate_stack_is_a_segv)
{
    EXPECT_EQ(0, proc_test_run(body_altstack_overflow));
}

static void body_resethand(void)
{
    struct trapframe *frame = own_frame();
    struct signal_action action;

    set_handler(SIGUSR1, SA_RESETHAND | SA_NODEFER, 0);
    fill_frame(frame);
    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    EXPECT_EQ(HANDLER, tf_ip(frame));
    EXPECT_EQ(0, current_thread()->sig.blocked);
    signal_set_action(SIGUSR1, NULL, &action);
    EXPECT_EQ(SIG_DFL, action.handler);
}

TEST(signal, resethand_and_nodefer_do_what_they_say)
{
    EXPECT_EQ(0, proc_test_run(body_resethand));
}

/* --- restarts -------------------------------------------------------------------------------- */

struct restart_case {
    s64 error;
    u64 flags;
    s64 result; /* with a handler; 0 means the call is repeated */
};

static void check_restart(const struct restart_case *c)
{
    struct trapframe *frame = own_frame();

    set_handler(SIGUSR1, c->flags, 0);
    signal_set_blocked(0);
    fill_frame(frame);
    frame->orig_rax = SYSCALL_NR;
    tf_set_result(frame, c->error);
    u64 ip = tf_ip(frame);

    EXPECT_OK(raise_self(SIGUSR1));
    signal_deliver(frame);
    tf_set_sp(frame, tf_sp(frame) + 8);
    s64 result = sys_rt_sigreturn();

    EXPECT_EQ(c->result != 0 ? c->result : SYSCALL_NR, result);
    EXPECT_EQ(c->result != 0 ? ip : ip - SYSCALL_LEN, tf_ip(frame));
}

static void body_restarts(void)
{
    static const struct restart_case cases[] = {
        {-ERESTARTSYS, SA_RESTART, 0},
        {-ERESTARTSYS, 0, -EINTR},
        {-ERESTARTNOINTR, 0, 0},
        {-ERESTARTNOHAND, SA_RESTART, -EINTR},
        {-ERESTART_RESTARTBLOCK, SA_RESTART, -EINTR},
        {-EINTR, SA_RESTART, -EINTR},
    };

    for (u64 i = 0; i < ARRAY_SIZE(cases); i++) {
        check_restart(&cases[i]);
    }
}

TEST(signal, interrupted_calls_restart_as_the_handler_says)
{
    EXPECT_EQ(0, proc_test_run(body_restarts));
}

static void body_restart_without_handler(void)
{
    static const struct {
        s64 error;
        u64 nr;
    } cases[] = {
        {-ERESTARTSYS, SYSCALL_NR},
        {-ERESTARTNOINTR, SYSCALL_NR},
        {-ERESTARTNOHAND, SYSCALL_NR},
        {-ERESTART_RESTARTBLOCK, 219},
    };
    struct trapframe *frame = own_frame();

    for (u64 i = 0; i < ARRAY_SIZE(cases); i++) {
        fill_frame(frame);
        frame->orig_rax = SYSCALL_NR;
        tf_set_result(frame, cases[i].error);
        u64 ip = tf_ip(frame);

        signal_deliver(frame);
        EXPECT_EQ(cases[i].nr, tf_result(frame));
        EXPECT_EQ(ip - SYSCALL_LEN, tf_ip(frame));
    }
}

TEST(signal, without_a_handler_every_interrupted_call_goes_on)
{
    EXPECT_EQ(0, proc_test_run(body_restart_without_handler));
}

static void body_temp_mask(void)
{
    struct trapframe *frame = own_frame();

    set_handler(SIGUSR1, 0, 0);
    signal_set_blocked(SIGNAL_BIT(SIGUSR1));
    EXPECT_OK(raise_self(SIGUSR1));
    EXPECT_FALSE(signal_pending(current_thread()));
    signal_set_temp_mask(0);
    EXPECT_TRUE(signal_pending(current_thread()));
    fill_frame(frame);
    signal_deliver(frame);
    EXPECT_EQ(HANDLER, tf_ip(frame));
    EXPECT_EQ(SIGNAL_BIT(SIGUSR1), frame_word(FRAME_SIGMASK));
}

TEST(signal, a_temporary_mask_ends_with_the_handler)
{
    EXPECT_EQ(0, proc_test_run(body_temp_mask));
}

/* --- faults ---------------------------------------------------------------------------------- */

static void body_fault_status(void)
{
    s64 pid = program_clone(program_read_null(), 0);

    EXPECT_EQ(SIGSEGV, program_wait((s32)pid, 0));
    pid = program_clone(program_divide_by_zero(), 0);
    EXPECT_EQ(SIGFPE, program_wait((s32)pid, 0));
    pid = program_clone(program_undefined(), 0);
    EXPECT_EQ(SIGILL, program_wait((s32)pid, 0));
}

TEST(signal, faulting_programs_end_with_the_right_signal_and_no_core)
{
    EXPECT_EQ(0, proc_test_run(body_fault_status));
}

static void body_forced(void)
{
    struct signal_action action;
    struct siginfo taken;

    set_handler(SIGSEGV, 0, 0);
    signal_set_blocked(SIGNAL_BIT(SIGSEGV));
    signal_force_fault(SIGSEGV, SEGV_ACCERR, 0x1234);
    signal_set_action(SIGSEGV, NULL, &action);
    EXPECT_EQ(SIG_DFL, action.handler);
    EXPECT_EQ(0, current_thread()->sig.blocked);
    u64 flags = spin_lock_irqsave(&current_process()->sig_lock);
    EXPECT_EQ(SIGSEGV, signal_dequeue(current_thread(), 0, &taken));
    spin_unlock_irqrestore(&current_process()->sig_lock, flags);
    EXPECT_EQ(SEGV_ACCERR, taken.si_code);
    EXPECT_EQ(0x1234, taken.fault.addr);
}

TEST(signal, a_blocked_fault_is_not_deaf)
{
    EXPECT_EQ(0, proc_test_run(body_forced));
}

/* --- job control ----------------------------------------------------------------------------- */

static void body_stop_continue(void)
{
    s64 pid = program_clone(program_spin(), 0);
    struct process *child = process_find_get((s32)pid);

    ASSERT_TRUE(child != NULL);
    EXPECT_OK(signal_send_process(child, SIGSTOP, NULL));
    EXPECT_EQ(WAIT_STATUS_STOPPED(SIGSTOP), program_wait((s32)pid, WUNTRACED));
    EXPECT_EQ('T', process_state_char(child));
    EXPECT_ERR(-EAGAIN, program_wait((s32)pid, WUNTRACED | WNOHANG));
    EXPECT_OK(signal_send_process(child, SIGCONT, NULL));
    EXPECT_EQ(WAIT_STATUS_CONTINUED, program_wait((s32)pid, WCONTINUED));
    EXPECT_ERR(-EAGAIN, program_wait((s32)pid, WCONTINUED | WUNTRACED | WNOHANG));
    EXPECT_OK(signal_send_process(child, SIGSTOP, NULL));
    EXPECT_EQ(WAIT_STATUS_STOPPED(SIGSTOP), program_wait((s32)pid, WUNTRACED));
    EXPECT_OK(signal_send_process(child, SIGKILL, NULL));
    EXPECT_EQ(SIGKILL, program_wait((s32)pid, 0));
    process_put(child);
}

TEST(signal, stop_and_continue_are_reported_once_each)
{
    EXPECT_EQ(0, proc_test_run(body_stop_continue));
}

static void body_stop_undone(void)
{
    struct process *self = current_process();

    signal_set_blocked(SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGCONT));
    EXPECT_OK(signal_send_process(self, SIGTSTP, NULL));
    EXPECT_EQ(SIGNAL_BIT(SIGTSTP), self->pending.set);
    EXPECT_OK(signal_send_process(self, SIGCONT, NULL));
    EXPECT_EQ(SIGNAL_BIT(SIGCONT), self->pending.set);
    EXPECT_OK(signal_send_process(self, SIGTSTP, NULL));
    EXPECT_EQ(SIGNAL_BIT(SIGTSTP), self->pending.set);
    EXPECT_TRUE(list_length(&self->pending.queue) == 1);
}

TEST(signal, stop_and_continue_cancel_each_other_while_pending)
{
    EXPECT_EQ(0, proc_test_run(body_stop_undone));
}

static void body_orphan_tstp(void)
{
    struct trapframe *frame = own_frame();

    fill_frame(frame);
    EXPECT_OK(raise_self(SIGTSTP));
    signal_deliver(frame); /* would sleep for ever if the group could be stopped */
    EXPECT_FALSE(current_process()->stopped);
}

TEST(signal, the_terminal_cannot_stop_an_orphaned_group)
{
    EXPECT_EQ(0, proc_test_run(body_orphan_tstp));
}

static void body_orphan_hangup(void)
{
    s64 pid = program_clone(program_spin(), 0);
    struct process *child = process_find_get((s32)pid);

    ASSERT_TRUE(child != NULL);
    EXPECT_OK(process_set_group((s32)pid, 0));
    EXPECT_OK(signal_send_process(child, SIGSTOP, NULL));
    EXPECT_EQ(WAIT_STATUS_STOPPED(SIGSTOP), program_wait((s32)pid, WUNTRACED));
    process_put(child);
}

TEST(signal, a_stopped_group_that_becomes_orphaned_is_hung_up)
{
    /* Without the SIGHUP the stopped child would outlive the test and its frames be missed. */
    EXPECT_EQ(0, proc_test_run(body_orphan_hangup));
}

/* --- waiting --------------------------------------------------------------------------------- */

static void body_sigtimedwait(void)
{
    u64 set = PROGRAM_DATA, timeout = PROGRAM_DATA + 64, info = PROGRAM_DATA + 128;
    u32 signo = 0;

    signal_set_blocked(SIGNAL_BIT(SIGUSR1) | SIGNAL_BIT(SIGUSR2));
    EXPECT_OK(put_user_u64(set, SIGNAL_BIT(SIGUSR1)));
    EXPECT_OK(put_user_u64(timeout, 0));
    EXPECT_OK(put_user_u64(timeout + 8, 0));
    EXPECT_ERR(-EAGAIN, sys_rt_sigtimedwait(set, info, timeout, 8));
    EXPECT_ERR(-EINVAL, sys_rt_sigtimedwait(set, info, timeout, 4));
    EXPECT_ERR(-EFAULT, sys_rt_sigtimedwait(8, info, timeout, 8));
    EXPECT_OK(raise_self(SIGUSR2));
    EXPECT_ERR(-EAGAIN, sys_rt_sigtimedwait(set, info, timeout, 8));
    EXPECT_OK(raise_self(SIGUSR1));
    EXPECT_EQ(SIGUSR1, sys_rt_sigtimedwait(set, info, 0, 8));
    EXPECT_OK(get_user_u32(&signo, info));
    EXPECT_EQ(SIGUSR1, signo);
    EXPECT_EQ(0, current_thread()->sig.waited);
}

TEST(signal, sigtimedwait_takes_what_it_waits_for)
{
    EXPECT_EQ(0, proc_test_run(body_sigtimedwait));
}
