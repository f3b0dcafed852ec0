/*
 * The end of a session that has the terminal: who is told, and what is left of the open files. A
 * session of the test's own takes the terminal away from the one the tests run in, for good; so
 * this comes behind tty_test. And process groups that nobody controls any more.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "hangup"
#include "utest.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>

/* What the processes of the session tell. */
struct told {
    volatile int is_ready;
    volatile int nr_hup;
    volatile int nr_cont;
    volatile int leader_hup;
    volatile int leader_errors;
    volatile long read_result;
    volatile int read_errno;
    volatile int write_errno;
    volatile int group_errno;
    volatile int open_errno;
    volatile int nr_done;
};

static struct told *told;

static void count(int signal)
{
    if (signal == SIGHUP) {
        told->nr_hup++;
    } else {
        told->nr_cont++;
    }
}

static void hear(void)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};

    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
}

/* Reads the terminal until that ends, and says how. */
static void reader(void)
{
    int tty = open("/dev/tty", O_RDWR);
    char byte;

    hear();
    told->is_ready = tty >= 0 ? 1 : -1;
    told->read_result = read(tty, &byte, 1);
    told->read_errno = errno;
    told->write_errno = write(tty, "x", 1) < 0 ? errno : 0;
    told->group_errno = tcgetpgrp(tty) < 0 ? errno : 0;
    told->open_errno = open("/dev/tty", O_RDWR) < 0 ? errno : 0;
    told->nr_done = 1;
    _exit(0);
}

/* The session: its leader takes the terminal and has a child read it in the foreground. */
static void lead(void (*then)(int tty, pid_t child))
{
    int tty = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    pid_t child;

    setsid();
    told->leader_errors += ioctl(tty, TIOCSCTTY, 1) != 0;
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        while (tcgetpgrp(tty) != getpid()) {
            sched_yield();
        }
        reader();
    }
    setpgid(child, child);
    told->leader_errors += tcsetpgrp(tty, child) != 0;
    while (told->is_ready == 0) {
        sched_yield();
    }
    then(tty, child);
    _exit(0);
}

/* A pipe whose other end all descendants of one child hold: it ends when the last of them does. */
static int everybody;

/* fork(), where the child and all that it forks are waited for by await_everybody(). */
static pid_t fork_watched(void)
{
    int ends[2];
    pid_t pid;

    told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(0, pipe(ends));
    fflush(stdout);
    pid = fork();
    close(ends[pid == 0 ? 0 : 1]);
    everybody = ends[0];
    return pid;
}

static void await_everybody(void)
{
    char byte;

    EXPECT_EQ(0, read(everybody, &byte, 1));
    close(everybody);
}

/* Returns once everybody of the session has ended. */
static void run_session(void (*then)(int tty, pid_t child))
{
    pid_t leader = fork_watched();

    if (leader == 0) {
        lead(then);
    }
    EXPECT_EQ(leader, waitpid(leader, NULL, 0));
    await_everybody();
    EXPECT_EQ(1, told->is_ready);
    EXPECT_EQ(0, told->leader_errors);
}

static void just_end(int tty, pid_t child)
{
    (void)tty;
    (void)child;
}

TEST(the_leaders_end_hangs_up)
{
    run_session(just_end);
    EXPECT_EQ(1, told->nr_done);
    EXPECT_EQ(1, told->nr_hup);
    EXPECT_EQ(0, told->nr_cont);
    EXPECT_EQ(0, told->read_result);
    EXPECT_EQ(EIO, told->write_errno);
    EXPECT_EQ(EIO, told->group_errno);
    EXPECT_EQ(ENXIO, told->open_errno);
}

static void count_leader(int signal)
{
    (void)signal;
    told->leader_hup++;
}

static void give_up(int tty, pid_t child)
{
    signal(SIGHUP, count_leader);
    told->leader_errors += ioctl(tty, TIOCNOTTY) != 0;
    told->leader_errors += tcgetpgrp(tty) != -1 || errno != ENOTTY;
    told->leader_errors += open("/dev/tty", O_RDWR) != -1 || errno != ENXIO;
    while (told->nr_hup == 0 || told->nr_cont == 0) {
        sched_yield();
    }
    /* It reads a terminal that is not its own any more. */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

TEST(a_leader_that_gives_up_tells_the_foreground)
{
    run_session(give_up);
    EXPECT_EQ(1, told->nr_hup);
    EXPECT_EQ(1, told->nr_cont);
    EXPECT_EQ(0, told->leader_hup);
    EXPECT_EQ(0, told->nr_done);
}

/* Whoever opens the terminal afterwards has it whole. */
TEST(the_terminal_is_free_afterwards)
{
    run_session(just_end);
    run_session(just_end);
    EXPECT_EQ(1, told->nr_done);
}

/* The leader gives the terminal up and takes it again: for itself and who is born afterwards. */
static void give_up_and_take(int tty, pid_t child)
{
    int gate[2];
    int status;
    pid_t older;
    char byte;

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    told->leader_errors += tcsetpgrp(tty, getpgrp()) != 0 || pipe(gate) != 0;
    older = fork();
    if (older == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 && open("/dev/tty", O_RDWR) < 0 ? errno : 0);
    }
    told->leader_errors += ioctl(tty, TIOCNOTTY) != 0;
    told->leader_errors += ioctl(tty, TIOCSCTTY, 0) != 0;
    told->leader_errors += tcgetpgrp(tty) != getpgrp();
    if (fork() == 0) {
        _exit(open("/dev/tty", O_RDWR) < 0);
    }
    waitpid(-1, &status, 0);
    told->leader_errors += status != 0;
    close(gate[1]);
    waitpid(older, &status, 0);
    told->leader_errors += WEXITSTATUS(status) != ENXIO;
}

TEST(a_terminal_taken_again_is_not_that_of_older_children)
{
    run_session(give_up_and_take);
    EXPECT_EQ(0, told->nr_done);
}

/* --- orphaned groups
 * ------------------------------------------------------------------------------ */

/* Stops in a group of its own, and tells what it hears when its parent is gone. */
static void stop_in_own_group(void)
{
    setpgid(0, 0);
    hear();
    told->is_ready = 1;
    raise(SIGSTOP);
    while (told->nr_hup == 0 || told->nr_cont == 0) {
        sched_yield();
    }
    told->nr_done = 1;
    _exit(0);
}

/* Nobody is left who could continue it: it is told to end. */
TEST(a_stopped_group_that_becomes_orphaned_is_hung_up)
{
    pid_t pid = fork_watched();
    int status;

    if (pid == 0) {
        pid_t child = fork();

        if (child == 0) {
            stop_in_own_group();
        }
        waitpid(child, &status, WUNTRACED);
        _exit(WIFSTOPPED(status) && told->nr_hup == 0 ? 0 : 1);
    }
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    await_everybody();
    EXPECT_EQ(1, told->nr_done);
    EXPECT_EQ(1, told->nr_hup);
    EXPECT_EQ(1, told->nr_cont);
}

/* One that runs is left alone. */
TEST(a_running_group_that_becomes_orphaned_is_not_told)
{
    int go[2];
    pid_t pid;
    char byte;

    EXPECT_EQ(0, pipe(go));
    pid = fork_watched();
    if (pid == 0) {
        close(go[1]);
        if (fork() == 0) {
            setpgid(0, 0);
            hear();
            told->is_ready = 1;
            told->read_result = read(go[0], &byte, 1);
            _exit(0);
        }
        while (told->is_ready == 0) {
            sched_yield();
        }
        _exit(0);
    }
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    close(go[1]);
    await_everybody();
    EXPECT_EQ(0, told->read_result);
    EXPECT_EQ(0, told->nr_hup);
    EXPECT_EQ(0, told->nr_cont);
}

UTEST_MAIN
