/*
 * Processes: fork, vfork, execve, wait, exit status, process groups and sessions, limits.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "process"
#include "utest.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>

static pid_t start_child(void (*body)(void))
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    return pid;
}

static void sleep_forever(void)
{
    for (;;) {
        pause();
    }
}

TEST(exit_status_reaches_the_parent)
{
    for (int code = 0; code < 256; code += 51) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            _exit(code);
        }
        ASSERT_EQ(pid, waitpid(pid, &status, 0));
        EXPECT_TRUE(WIFEXITED(status));
        EXPECT_EQ(code, WEXITSTATUS(status));
    }
    EXPECT_ERRNO(ECHILD, waitpid(-1, NULL, 0));
}

TEST(wait_checks_its_arguments)
{
    EXPECT_ERRNO(EINVAL, waitpid(-1, NULL, 0x1234567));
    EXPECT_ERRNO(ECHILD, waitpid(1, NULL, 0));
    EXPECT_ERRNO(ESRCH, waitpid((pid_t)0x80000000, NULL, 0));
    EXPECT_ERRNO(EINVAL, waitid(P_ALL, 0, NULL, 0));
    EXPECT_ERRNO(EINVAL, waitid(77, 0, NULL, WEXITED));
}

TEST(wnohang_returns_zero_while_the_child_lives)
{
    pid_t pid = start_child(sleep_forever);
    int status;

    EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
    EXPECT_EQ(0, kill(pid, SIGKILL));
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

TEST(waitid_can_look_without_taking)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(7);
    }
    memset(&info, 0, sizeof(info));
    EXPECT_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    EXPECT_EQ(pid, info.si_pid);
    EXPECT_EQ(SIGCHLD, info.si_signo);
    EXPECT_EQ(CLD_EXITED, info.si_code);
    EXPECT_EQ(7, info.si_status);
    memset(&info, 0, sizeof(info));
    EXPECT_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED));
    EXPECT_EQ(7, info.si_status);
    EXPECT_ERRNO(ECHILD, waitid(P_PID, (id_t)pid, &info, WEXITED));
}

TEST(stopped_and_continued_children_are_reported)
{
    pid_t pid = start_child(sleep_forever);
    int status;

    EXPECT_EQ(0, kill(pid, SIGSTOP));
    EXPECT_EQ(pid, waitpid(pid, &status, WUNTRACED));
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(SIGSTOP, WSTOPSIG(status));
    EXPECT_EQ(0, kill(pid, SIGCONT));
    EXPECT_EQ(pid, waitpid(pid, &status, WCONTINUED));
    EXPECT_TRUE(WIFCONTINUED(status));
    EXPECT_EQ(0, kill(pid, SIGTERM));
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(SIGTERM, WTERMSIG(status));
}

TEST(vfork_child_runs_first_and_shares_memory)
{
    volatile int *cell =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        *cell = 5;
        _exit(3);
    }
    EXPECT_EQ(5, *cell);
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(3, WEXITSTATUS(status));
}

static int run_program(const char *path, char *const argv[])
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        static char *const environment[] = {"COLOUR=green", NULL};

        execve(path, argv, environment);
        _exit(errno);
    }
    if (waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    return status;
}

TEST(exec_passes_arguments_and_environment)
{
    char *const good[] = {"sh", "-c",  "[ \"$1\" = 'a b' ] && [ \"$COLOUR\" = green ]",
                          "x",  "a b", NULL};
    char *const bad[] = {"sh", "-c", "[ \"$1\" = 'a b' ]", "x", "c", NULL};

    EXPECT_EQ(0, run_program("/bin/sh", good));
    EXPECT_EQ(1, WEXITSTATUS(run_program("/bin/sh", bad)));
}

static int exec_errno(const char *path)
{
    char *const argv[] = {"x", NULL};

    return WEXITSTATUS(run_program(path, argv));
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    write(fd, text, strlen(text));
    fchmod(fd, mode);
    close(fd);
}

TEST(exec_of_what_is_no_program_gets_linux_errnos)
{
    write_file("/tmp/text", "hello\n", 0755);
    write_file("/tmp/noexec", "#!/bin/sh\n", 0644);
    write_file("/tmp/lost", "#!/no/such/interpreter\n", 0755);
    write_file("/tmp/stub", "\177ELF", 0755);
    write_file("/tmp/loop", "#!/tmp/loop\n", 0755);
    EXPECT_EQ(ENOENT, exec_errno("/no/such/file"));
    EXPECT_EQ(EACCES, exec_errno("/tmp"));
    EXPECT_EQ(ENOTDIR, exec_errno("/tmp/text/x"));
    EXPECT_EQ(ENOEXEC, exec_errno("/tmp/text"));
    EXPECT_EQ(EACCES, exec_errno("/tmp/noexec"));
    EXPECT_EQ(ENOENT, exec_errno("/tmp/lost"));
    EXPECT_EQ(ENOEXEC, exec_errno("/tmp/stub"));
    EXPECT_EQ(ELOOP, exec_errno("/tmp/loop"));
}

TEST(exec_of_a_script_names_the_script_to_its_interpreter)
{
    char *const argv[] = {"ignored", "one", NULL};

    write_file("/tmp/script",
               "#!/bin/sh -e\n[ \"$0\" = /tmp/script ] && [ \"$1\" = one ] && exit 9\n", 0755);
    EXPECT_EQ(9, WEXITSTATUS(run_program("/tmp/script", argv)));
}

static void note_alarm(int signal)
{
    (void)signal;
}

/* The timer goes off somewhere in the middle of exec, and again later. */
static int exec_with_alarm(int first_us, void (*handler)(int))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct itimerval timer = {.it_value = {.tv_usec = first_us},
                                  .it_interval = {.tv_usec = 20000}};

        signal(SIGALRM, handler);
        setitimer(ITIMER_REAL, &timer, NULL);
        execl("/bin/busybox", "sleep", "1000", (char *)NULL);
        _exit(errno);
    }
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Wherever exec is when the signal comes: it is the signal that ends the program. */
TEST(a_signal_in_the_middle_of_exec_is_what_ends_the_program)
{
    enum { NR_MOMENTS = 200, STEP_US = 3 };

    for (int moment = 1; moment <= NR_MOMENTS; moment++) {
        ASSERT_EQ(SIGALRM, exec_with_alarm(moment * STEP_US, SIG_DFL));
        ASSERT_EQ(SIGALRM, exec_with_alarm(moment * STEP_US, note_alarm));
    }
}

TEST(exec_refuses_arguments_that_are_too_long)
{
    static char text[140 * 1024];
    char *argv[] = {"sh", "-c", "exit 0", text, NULL};

    memset(text, 'x', sizeof(text) - 1);
    EXPECT_EQ(E2BIG, WEXITSTATUS(run_program("/bin/sh", argv)));
    text[1000] = '\0';
    EXPECT_EQ(0, run_program("/bin/sh", argv));
}

TEST(exec_closes_marked_descriptors)
{
    char *const argv[] = {"sh", "-c", "[ -e /proc/self/fd/9 ] || exit 4", NULL};

    ASSERT_EQ(9, dup2(0, 9));
    EXPECT_EQ(0, run_program("/bin/sh", argv));
    EXPECT_EQ(0, fcntl(9, F_SETFD, FD_CLOEXEC));
    EXPECT_EQ(4, WEXITSTATUS(run_program("/bin/sh", argv)));
}

TEST(orphans_are_reaped_by_their_subreaper)
{
    pid_t pid;
    int status;

    ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            while (getppid() == 1) {}
            _exit(21);
        }
        _exit(20);
    }
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(20, WEXITSTATUS(status));
    EXPECT_TRUE(waitpid(-1, &status, 0) > 0);
    EXPECT_EQ(21, WEXITSTATUS(status));
}

TEST(process_groups_and_sessions_follow_the_rules)
{
    pid_t pid = start_child(sleep_forever);
    int status;

    EXPECT_EQ(getpgrp(), getpgid(pid));
    EXPECT_EQ(0, setpgid(pid, pid));
    EXPECT_EQ(pid, getpgid(pid));
    EXPECT_ERRNO(EPERM, setpgid(pid, 0x7ffffff0));
    EXPECT_ERRNO(EINVAL, setpgid(pid, -1));
    EXPECT_ERRNO(ESRCH, setpgid(1, 0));
    EXPECT_ERRNO(ESRCH, getpgid(0x7ffffff0));
    EXPECT_EQ(0, kill(-pid, SIGKILL));
    EXPECT_EQ(pid, waitpid(-pid, &status, 0));
    pid = fork();
    if (pid == 0) {
        int is_good = setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid();

        errno = 0;
        is_good = is_good && setsid() == -1 && errno == EPERM;
        _exit(is_good ? 0 : 1);
    }
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
}

TEST(limits_can_be_read_and_lowered)
{
    struct rlimit limit;

    ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 10;
    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
    for (int i = 0; i < 20; i++) {
        int fd = dup(0);

        if (fd < 0) {
            EXPECT_EQ(EMFILE, errno);
            break;
        }
        EXPECT_TRUE(fd < 10);
    }
    limit.rlim_cur = limit.rlim_max + 1;
    EXPECT_ERRNO(EINVAL, setrlimit(RLIMIT_NOFILE, &limit));
    EXPECT_ERRNO(EINVAL, getrlimit(99, &limit));
    EXPECT_ERRNO(EFAULT, syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, 8));
}

TEST(uname_and_ids_are_those_of_a_root_user)
{
    struct utsname name;

    ASSERT_EQ(0, uname(&name));
    EXPECT_EQ(0, strcmp("Linux", name.sysname));
    EXPECT_EQ(0, strcmp("x86_64", name.machine));
    EXPECT_ERRNO(EFAULT, syscall(SYS_uname, 8));
    EXPECT_EQ(0, getuid());
    EXPECT_EQ(0, geteuid());
    EXPECT_TRUE(getppid() > 0);
    EXPECT_EQ(getpid(), syscall(SYS_gettid));
}

TEST(identity_can_be_given_up_but_not_taken_back)
{
    EXPECT_EQ(0, setgid(100));
    EXPECT_EQ(0, setuid(1000));
    EXPECT_EQ(1000, geteuid());
    EXPECT_EQ(100, getegid());
    EXPECT_ERRNO(EPERM, setuid(0));
    EXPECT_ERRNO(EPERM, kill(1, SIGTERM));
}

static rlim_t file_limit_of(pid_t pid)
{
    struct rlimit limit = {0};

    EXPECT_EQ(0, prlimit(pid, RLIMIT_NOFILE, NULL, &limit));
    return limit.rlim_cur;
}

static void lower_own_limit(void)
{
    rlim_t before = file_limit_of(0);

    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &(struct rlimit){before - 1, before}));
    EXPECT_EQ(before - 1, file_limit_of(0));
}

TEST(limits_are_inherited_and_changed_apart)
{
    rlim_t before = file_limit_of(0);

    EXPECT_EQ(0, utest_in_child(lower_own_limit));
    EXPECT_EQ(before, file_limit_of(0));
    lower_own_limit();
    EXPECT_EQ(0, utest_in_child(lower_own_limit)); /* from a limit that is no default */
    EXPECT_EQ(before - 1, file_limit_of(0));
}

static void wait_for_the_end(void)
{
    pause();
}

TEST(limit_of_another_process_is_its_own)
{
    rlim_t before = file_limit_of(0);
    pid_t first = start_child(wait_for_the_end);
    pid_t second = start_child(wait_for_the_end);

    EXPECT_EQ(0, prlimit(first, RLIMIT_NOFILE, &(struct rlimit){20, 30}, NULL));
    EXPECT_EQ(20, file_limit_of(first));
    EXPECT_EQ(before, file_limit_of(second));
    EXPECT_EQ(before, file_limit_of(0));
    kill(first, SIGKILL);
    kill(second, SIGKILL);
    EXPECT_EQ(first, waitpid(first, NULL, 0));
    EXPECT_EQ(second, waitpid(second, NULL, 0));
}

static void use_high_descriptors(void)
{
    for (int fd = 10; fd <= 300; fd += 29) {
        EXPECT_EQ(fd % 2 ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
        EXPECT_EQ(fd, dup2(0, fd));
    }
    EXPECT_ERRNO(EBADF, fcntl(11, F_GETFD));
    EXPECT_EQ(11, fcntl(0, F_DUPFD, 11));
}

TEST(a_fork_copies_tables_of_descriptors_of_any_size)
{
    for (int fd = 10; fd <= 300; fd += 29) {
        EXPECT_EQ(fd, dup3(0, fd, fd % 2 ? O_CLOEXEC : 0));
        EXPECT_EQ(fd % 2 ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
    }
    EXPECT_EQ(0, utest_in_child(use_high_descriptors));
    EXPECT_ERRNO(EBADF, fcntl(11, F_GETFD));
}

TEST(thread_names_are_kept)
{
    char name[16] = "";

    EXPECT_EQ(0, prctl(PR_SET_NAME, "a-name-longer-than-fifteen", 0, 0, 0));
    EXPECT_EQ(0, prctl(PR_GET_NAME, name, 0, 0, 0));
    EXPECT_EQ(0, strcmp("a-name-longer-t", name));
    EXPECT_ERRNO(EFAULT, prctl(PR_GET_NAME, 8, 0, 0, 0));
    EXPECT_ERRNO(EINVAL, prctl(123456, 0, 0, 0, 0));
}

TEST(affinity_is_a_set_of_existing_processors)
{
    cpu_set_t set;

    EXPECT_LE(8, syscall(SYS_sched_getaffinity, 0, sizeof(set), &set));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_getaffinity, 0, 3, &set));
    CPU_ZERO(&set);
    EXPECT_ERRNO(EINVAL, sched_setaffinity(0, sizeof(set), &set));
    CPU_SET(0, &set);
    EXPECT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
    EXPECT_EQ(0, sched_getcpu());
    EXPECT_ERRNO(ESRCH, sched_setaffinity(0x7ffffff0, sizeof(set), &set));
    EXPECT_ERRNO(EFAULT, sched_setaffinity(0, sizeof(set), (cpu_set_t *)8));
}

UTEST_MAIN
