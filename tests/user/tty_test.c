/*
 * The controlling terminal: settings, lines and raw input, job control. What a typist would type is
 * put into the terminal's input with TIOCSTI.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "tty"
#include "utest.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

static int tty;
static struct termios before;

static pid_t group_before;

static void set_foreground(pid_t pgid)
{
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(tty, pgid);
    signal(SIGTTOU, SIG_DFL);
}

/*
 * A quiet terminal with this test alone in the foreground: nothing that is typed appears on the
 * console, and typed signals reach nobody else.
 */
static void quiet(tcflag_t lflag_clear)
{
    struct termios termios;

    tty = open("/dev/tty", O_RDWR);
    if (tty < 0) {
        SKIP("no controlling terminal");
    }
    group_before = getpgrp();
    setpgid(0, 0);
    set_foreground(getpgrp());
    tcgetattr(tty, &before);
    termios = before;
    termios.c_lflag |= ICANON | ISIG | IEXTEN;
    termios.c_lflag &= ~(ECHO | ECHONL | lflag_clear);
    termios.c_iflag = ICRNL | IXON;
    termios.c_cc[VMIN] = 1;
    termios.c_cc[VTIME] = 0;
    tcsetattr(tty, TCSAFLUSH, &termios);
}

static void loud(void)
{
    tcsetattr(tty, TCSAFLUSH, &before);
    set_foreground(group_before);
}

static void type(const char *text)
{
    for (; *text != '\0'; text++) {
        EXPECT_EQ(0, ioctl(tty, TIOCSTI, text));
    }
}

/* Read at most @len bytes without waiting. */
static long take(char *buf, size_t len)
{
    int flags = fcntl(tty, F_GETFL);

    memset(buf, 0, len);
    fcntl(tty, F_SETFL, flags | O_NONBLOCK);
    long got = read(tty, buf, len);
    int error = errno;
    fcntl(tty, F_SETFL, flags);
    errno = error;
    return got;
}

TEST(is_a_terminal)
{
    struct termios termios;

    quiet(0);
    EXPECT_EQ(1, isatty(tty));
    EXPECT_EQ(getsid(0), tcgetsid(tty));
    EXPECT_EQ(0, tcgetattr(tty, &termios));
    EXPECT_EQ(3, termios.c_cc[VINTR]);
    EXPECT_EQ(4, termios.c_cc[VEOF]);
    loud();
    int null = open("/dev/null", O_RDWR);
    EXPECT_ERRNO(ENOTTY, tcgetattr(null, &termios));
    EXPECT_ERRNO(ENOTTY, ioctl(tty, 0x12345678));
    EXPECT_ERRNO(EFAULT, ioctl(tty, TCGETS, NULL));
    EXPECT_ERRNO(ESPIPE, lseek(tty, 0, SEEK_CUR));
}

TEST(lines_are_edited)
{
    char buf[32];

    quiet(0);
    EXPECT_EQ(-1, take(buf, sizeof(buf)));
    EXPECT_EQ(EAGAIN, errno);
    type("ab\x7f"
         "c");
    EXPECT_EQ(-1, take(buf, sizeof(buf)));
    type("\r");
    EXPECT_EQ(3, take(buf, sizeof(buf)));
    EXPECT_BYTES("ac\n", buf, 3);
    type("wrong words\x17\x15right\n");
    EXPECT_EQ(6, take(buf, sizeof(buf)));
    EXPECT_BYTES("right\n", buf, 6);
    type("end\x04\x04");
    EXPECT_EQ(3, take(buf, sizeof(buf)));
    EXPECT_EQ(0, take(buf, sizeof(buf)));
    loud();
}

TEST(input_is_counted_and_flushed)
{
    char buf[32];
    int count;

    quiet(0);
    type("one\ntwo\n");
    EXPECT_EQ(0, ioctl(tty, FIONREAD, &count));
    EXPECT_EQ(8, count);
    struct pollfd wait = {.fd = tty, .events = POLLIN | POLLOUT};
    EXPECT_EQ(1, poll(&wait, 1, 0));
    EXPECT_EQ(POLLIN | POLLOUT, wait.revents);
    EXPECT_EQ(2, take(buf, 2));
    EXPECT_EQ(2, take(buf, sizeof(buf)));
    EXPECT_EQ(0, tcflush(tty, TCIFLUSH));
    EXPECT_EQ(1, poll(&wait, 1, 0));
    EXPECT_EQ(POLLOUT, wait.revents);
    EXPECT_EQ(-1, take(buf, sizeof(buf)));
    EXPECT_ERRNO(EINVAL, tcflush(tty, 99));
    loud();
}

static long long elapsed_ms(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000ll + (now.tv_nsec - start->tv_nsec) / 1000000;
}

TEST(raw_reads_obey_min_and_time)
{
    struct termios termios;
    struct timespec start;
    char buf[32];

    quiet(ICANON | ISIG);
    type("abc");
    EXPECT_EQ(2, read(tty, buf, 2));
    EXPECT_EQ(1, read(tty, buf, sizeof(buf)));
    tcgetattr(tty, &termios);
    termios.c_cc[VMIN] = 0;
    tcsetattr(tty, TCSANOW, &termios);
    EXPECT_EQ(0, read(tty, buf, sizeof(buf)));
    termios.c_cc[VTIME] = 2;
    tcsetattr(tty, TCSANOW, &termios);
    clock_gettime(CLOCK_MONOTONIC, &start);
    EXPECT_EQ(0, read(tty, buf, sizeof(buf)));
    EXPECT_TRUE(elapsed_ms(&start) >= 190);
    termios.c_cc[VMIN] = 5;
    termios.c_cc[VTIME] = 1;
    tcsetattr(tty, TCSANOW, &termios);
    type("xyz");
    EXPECT_EQ(3, read(tty, buf, sizeof(buf)));
    type("\x03\x04\r");
    EXPECT_EQ(3, read(tty, buf, sizeof(buf)));
    EXPECT_BYTES("\x03\x04\n", buf, 3);
    loud();
}

static volatile sig_atomic_t last_signal;

static void note(int signal)
{
    last_signal = signal;
}

TEST(size_is_kept_and_its_change_told)
{
    struct winsize old, size = {.ws_row = 33, .ws_col = 77};

    quiet(0);
    signal(SIGWINCH, note);
    EXPECT_EQ(0, ioctl(tty, TIOCGWINSZ, &old));
    EXPECT_EQ(0, ioctl(tty, TIOCSWINSZ, &size));
    EXPECT_EQ(SIGWINCH, last_signal);
    memset(&size, 0, sizeof(size));
    EXPECT_EQ(0, ioctl(tty, TIOCGWINSZ, &size));
    EXPECT_EQ(33, size.ws_row);
    EXPECT_EQ(77, size.ws_col);
    last_signal = 0;
    EXPECT_EQ(0, ioctl(tty, TIOCSWINSZ, &size));
    EXPECT_EQ(0, last_signal);
    ioctl(tty, TIOCSWINSZ, &old);
    loud();
}

TEST(typed_signals_reach_the_foreground)
{
    quiet(0);
    signal(SIGINT, note);
    signal(SIGQUIT, note);
    signal(SIGTSTP, note);
    type("\x03");
    EXPECT_EQ(SIGINT, last_signal);
    type("\x1c");
    EXPECT_EQ(SIGQUIT, last_signal);
    type("\x1a");
    EXPECT_EQ(SIGTSTP, last_signal);
    loud();
}

static int wait_for(pid_t pid)
{
    int status = -1;

    waitpid(pid, &status, WUNTRACED);
    return status;
}

TEST(background_group_is_stopped)
{
    char byte;

    quiet(0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        _exit(read(tty, &byte, 1) == -1 && errno == EIO ? 0 : 1);
    }
    setpgid(pid, pid);
    int status = wait_for(pid);
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(SIGTTIN, WSTOPSIG(status));
    kill(pid, SIGKILL);
    wait_for(pid);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGTTIN, SIG_IGN);
        _exit(read(tty, &byte, 1) == -1 && errno == EIO ? 0 : 1);
    }
    EXPECT_EQ(0, wait_for(pid));
    loud();
}

TEST(foreground_is_given_and_taken)
{
    quiet(0);
    pid_t own = getpgrp();
    EXPECT_EQ(own, tcgetpgrp(tty));
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_IGN);
        int is_set = tcsetpgrp(tty, getpgrp()) == 0 && tcgetpgrp(tty) == getpgrp();
        _exit(is_set && tcsetpgrp(tty, own) == 0 ? 0 : 1);
    }
    EXPECT_EQ(0, wait_for(pid));
    EXPECT_EQ(own, tcgetpgrp(tty));
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        tcsetpgrp(tty, getpgrp());
        _exit(1);
    }
    int status = wait_for(pid);
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(SIGTTOU, WSTOPSIG(status));
    kill(pid, SIGKILL);
    wait_for(pid);
    EXPECT_ERRNO(ESRCH, tcsetpgrp(tty, 999999));
    EXPECT_ERRNO(EPERM, tcsetpgrp(tty, 1));
    EXPECT_ERRNO(EINVAL, tcsetpgrp(tty, -1));
    loud();
}

TEST(other_sessions_do_not_control_it)
{
    quiet(0);
    loud();
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        int failures = open("/dev/tty", O_RDWR) != -1 || errno != ENXIO;
        failures += tcgetpgrp(tty) != -1 || errno != ENOTTY;
        failures += ioctl(tty, TIOCSCTTY, 0) != -1 || errno != EPERM;
        _exit(failures);
    }
    EXPECT_EQ(0, wait_for(pid));
}

static int nr_stops;

static void count_stop(int signal)
{
    (void)signal;
    nr_stops++;
}

/* A child's look at the terminal of its own. Return: its wait status, 0 if it has got one. */
static int status_of_own(int gate)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        char byte;

        _exit(read(gate, &byte, 1) != 0 || open("/dev/tty", O_RDWR) < 0);
    }
    waitpid(pid, &status, 0);
    return status;
}

/* Which terminal /proc tells of, and its foreground group. */
static void expect_no_terminal(void)
{
    FILE *file = fopen("/proc/self/stat", "r");
    int tty_nr = -1;
    int group = 0;

    ASSERT_TRUE(file != NULL);
    EXPECT_EQ(2, fscanf(file, "%*d %*s %*c %*d %*d %*d %d %d", &tty_nr, &group));
    EXPECT_EQ(0, tty_nr);
    EXPECT_EQ(-1, group);
    fclose(file);
}

/* Who leads no session gives the terminal up for itself and its children to come. */
TEST(a_process_gives_its_terminal_up_alone)
{
    struct termios termios;
    int gate[2];
    int status = -1;
    pid_t older;

    tty = open("/dev/tty", O_RDWR);
    if (tty < 0) {
        SKIP("no controlling terminal");
    }
    ASSERT_EQ(0, pipe(gate));
    older = fork();
    if (older == 0) {
        close(gate[1]);
        _exit(WEXITSTATUS(status_of_own(gate[0])));
    }
    EXPECT_EQ(0, ioctl(tty, TIOCNOTTY));
    EXPECT_ERRNO(ENOTTY, ioctl(tty, TIOCNOTTY));
    EXPECT_ERRNO(ENXIO, open("/dev/tty", O_RDWR));
    EXPECT_ERRNO(ENOTTY, tcgetpgrp(tty));
    EXPECT_ERRNO(ENOTTY, tcgetsid(tty));
    EXPECT_ERRNO(ENOTTY, tcsetpgrp(tty, getpgrp()));
    EXPECT_ERRNO(EPERM, ioctl(tty, TIOCSCTTY, 0));
    expect_no_terminal();
    close(gate[1]);
    EXPECT_EQ(1, WEXITSTATUS(status_of_own(gate[0])));
    EXPECT_EQ(older, waitpid(older, &status, 0));
    EXPECT_EQ(0, status);
    /* It is a terminal like any other now: nobody stops who changes it. */
    signal(SIGTTOU, count_stop);
    EXPECT_EQ(0, setpgid(0, 0));
    EXPECT_EQ(0, tcgetattr(tty, &termios));
    EXPECT_EQ(0, tcsetattr(tty, TCSANOW, &termios));
    EXPECT_EQ(0, nr_stops);
}

UTEST_MAIN
