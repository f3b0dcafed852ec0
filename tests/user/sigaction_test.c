/*
 * Who sees a change of a signal's action: threads and CLONE_SIGHAND do, a fork's other side does
 * not.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "sigaction"
#include "utest.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { STACK_SIZE = 64 * 1024, NR_ROUNDS = 200, NR_THREADS = 3 };

static volatile sig_atomic_t nr_calls;

static void on_signal(int signal)
{
    (void)signal;
    nr_calls++;
}

static void other_handler(int signal)
{
    (void)signal;
}

static void (*handler_of(int signal))(int)
{
    struct sigaction action;

    sigaction(signal, NULL, &action);
    return action.sa_handler;
}

static int wait_for(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

/* Two processes take turns: each waits at a pipe of its own. */
struct turn {
    int ends[2][2];
};

static void turn_make(struct turn *turn)
{
    EXPECT_EQ(0, pipe(turn->ends[0]));
    EXPECT_EQ(0, pipe(turn->ends[1]));
}

static void turn_give(struct turn *turn, int to)
{
    EXPECT_EQ(1, write(turn->ends[to][1], "x", 1));
}

static void turn_take(struct turn *turn, int me)
{
    char byte;

    EXPECT_EQ(1, read(turn->ends[me][0], &byte, 1));
}

static void change_in_child(void)
{
    EXPECT_TRUE(handler_of(SIGUSR1) == on_signal);
    signal(SIGUSR1, other_handler);
    signal(SIGUSR2, SIG_IGN);
    EXPECT_TRUE(handler_of(SIGUSR1) == other_handler);
}

TEST(change_in_the_child_does_not_reach_the_parent)
{
    signal(SIGUSR1, on_signal);
    EXPECT_EQ(0, utest_in_child(change_in_child));
    EXPECT_TRUE(handler_of(SIGUSR1) == on_signal);
    EXPECT_TRUE(handler_of(SIGUSR2) == SIG_DFL);
    raise(SIGUSR1);
    EXPECT_EQ(1, nr_calls);
}

TEST(change_in_the_parent_does_not_reach_the_child)
{
    struct turn turn;

    turn_make(&turn);
    signal(SIGUSR1, on_signal);
    pid_t pid = fork();

    if (pid == 0) {
        turn_take(&turn, 1);
        raise(SIGUSR1);
        _exit(nr_calls == 1 && handler_of(SIGUSR1) == on_signal ? 0 : 1);
    }
    signal(SIGUSR1, SIG_DFL);
    turn_give(&turn, 1);
    EXPECT_EQ(0, wait_for(pid));
    EXPECT_TRUE(handler_of(SIGUSR1) == SIG_DFL);
}

TEST(three_generations_part_one_by_one)
{
    signal(SIGUSR1, on_signal);
    pid_t pid = fork();

    if (pid == 0) {
        pid_t grandchild = fork();

        if (grandchild == 0) {
            signal(SIGUSR1, SIG_IGN);
            raise(SIGUSR1);
            _exit(nr_calls);
        }
        int is_same = wait_for(grandchild) == 0 && handler_of(SIGUSR1) == on_signal;

        signal(SIGUSR1, other_handler);
        _exit(is_same ? 0 : 1);
    }
    EXPECT_EQ(0, wait_for(pid));
    raise(SIGUSR1);
    EXPECT_EQ(1, nr_calls);
}

static void take_one(void)
{
    raise(SIGUSR1);
    EXPECT_EQ(1, nr_calls);
    EXPECT_TRUE(handler_of(SIGUSR1) == SIG_DFL);
}

TEST(one_shot_handler_of_a_child_is_used_up_for_itself)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    sigaction(SIGUSR1, &action, NULL);
    EXPECT_EQ(0, utest_in_child(take_one));
    EXPECT_TRUE(handler_of(SIGUSR1) == on_signal);
    raise(SIGUSR1);
    EXPECT_EQ(1, nr_calls);
    EXPECT_TRUE(handler_of(SIGUSR1) == SIG_DFL);
    EXPECT_EQ(0, utest_in_child(take_one) == 0); /* the default action ends it */
}

static void fault(void)
{
    volatile char *volatile nowhere = NULL;

    *nowhere = 1;
}

static void fault_while_blocked(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fault();
}

TEST(fault_that_a_child_cannot_take_ends_it_alone)
{
    signal(SIGSEGV, on_signal);
    int status = utest_in_child(fault_while_blocked);

    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    EXPECT_TRUE(handler_of(SIGSEGV) == on_signal);
    signal(SIGSEGV, SIG_IGN);
    status = utest_in_child(fault);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    EXPECT_TRUE(handler_of(SIGSEGV) == SIG_IGN);
}

static int sharer(void *argument)
{
    (void)argument;
    if (handler_of(SIGUSR1) != on_signal) {
        _exit(1);
    }
    signal(SIGUSR1, other_handler);
    _exit(0);
}

static pid_t clone_with(int flags, int (*body)(void *), void *argument)
{
    char *stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return clone(body, stack + STACK_SIZE, flags | SIGCHLD, argument);
}

TEST(change_reaches_those_who_share_by_clone_sighand)
{
    signal(SIGUSR1, on_signal);
    EXPECT_EQ(0, wait_for(clone_with(CLONE_VM | CLONE_SIGHAND, sharer, NULL)));
    EXPECT_TRUE(handler_of(SIGUSR1) == other_handler);
}

/* The table is another process's too, from before; clone must not share what will part. */
TEST(clone_sighand_does_not_reach_an_earlier_child)
{
    struct turn turn;

    turn_make(&turn);
    signal(SIGUSR1, on_signal);
    pid_t pid = fork();

    if (pid == 0) {
        turn_take(&turn, 1);
        _exit(handler_of(SIGUSR1) == on_signal ? 0 : 1);
    }
    EXPECT_EQ(0, wait_for(clone_with(CLONE_VM | CLONE_SIGHAND, sharer, NULL)));
    turn_give(&turn, 1);
    EXPECT_EQ(0, wait_for(pid));
    EXPECT_TRUE(handler_of(SIGUSR1) == other_handler);
}

static int wait_for_turn(void *argument)
{
    turn_take(argument, 1);
    _exit(0);
}

TEST(fork_parts_from_a_common_table_at_once)
{
    struct turn turn;

    turn_make(&turn);
    signal(SIGUSR1, on_signal);
    pid_t other = clone_with(CLONE_VM | CLONE_SIGHAND, wait_for_turn, &turn);

    EXPECT_EQ(0, utest_in_child(change_in_child));
    EXPECT_TRUE(handler_of(SIGUSR1) == on_signal);
    turn_give(&turn, 1);
    EXPECT_EQ(0, wait_for(other));
    EXPECT_EQ(0, utest_in_child(change_in_child));
    EXPECT_TRUE(handler_of(SIGUSR1) == on_signal);
}

TEST(unshare_refuses_a_common_table_only)
{
    struct turn turn;

    turn_make(&turn);
    pid_t child = fork();

    if (child == 0) {
        turn_take(&turn, 1);
        _exit(0);
    }
    EXPECT_EQ(0, unshare(CLONE_SIGHAND));
    pid_t other = clone_with(CLONE_VM | CLONE_SIGHAND, wait_for_turn, &turn);

    EXPECT_ERRNO(EINVAL, unshare(CLONE_SIGHAND));
    turn_give(&turn, 1);
    turn_give(&turn, 1);
    EXPECT_EQ(0, wait_for(child));
    EXPECT_EQ(0, wait_for(other));
}

static volatile int may_end;

static void *change_all_the_time(void *argument)
{
    int signal = SIGRTMIN + (int)(intptr_t)argument;

    while (!may_end) {
        struct sigaction before, action = {.sa_handler = on_signal};

        sigaction(signal, &action, NULL);
        action.sa_handler = other_handler;
        sigaction(signal, &action, &before);
        if (before.sa_handler != on_signal) {
            return "a change was lost";
        }
    }
    return NULL;
}

/* Each of the child's changes meets a table that the parent's threads are changing or leaving. */
TEST(changes_while_others_fork_are_not_lost)
{
    pthread_t threads[NR_THREADS];

    signal(SIGUSR1, on_signal);
    for (long i = 0; i < NR_THREADS; i++) {
        EXPECT_EQ(0, pthread_create(&threads[i], NULL, change_all_the_time, (void *)i));
    }
    for (int i = 0; i < NR_ROUNDS; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            int was_same = handler_of(SIGUSR1) == on_signal;

            signal(SIGUSR1, SIG_IGN);
            signal(SIGRTMIN, SIG_IGN);
            _exit(was_same && handler_of(SIGRTMIN) == SIG_IGN ? 0 : 1);
        }
        EXPECT_EQ(0, wait_for(pid));
    }
    may_end = 1;
    for (int i = 0; i < NR_THREADS; i++) {
        void *trouble = NULL;

        pthread_join(threads[i], &trouble);
        EXPECT_TRUE(trouble == NULL);
    }
    EXPECT_TRUE(handler_of(SIGUSR1) == on_signal);
}

UTEST_MAIN
