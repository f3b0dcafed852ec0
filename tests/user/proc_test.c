/* /proc: what programs read there, in the formats that they expect. */
#define _GNU_SOURCE
#define UTEST_SUITE "proc"
#include "utest.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

static char text[65536];

static long read_text(const char *path)
{
    int fd = open(path, O_RDONLY);
    long len = 0, got;

    if (fd < 0) {
        return -errno;
    }
    while ((got = read(fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0) {
        len += got;
    }
    close(fd);
    text[len] = '\0';
    return got < 0 ? -errno : len;
}

/* The number behind "Name:" in a file of such lines. */
static long long field(const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? atoll(at + strlen(name)) : -1;
}

TEST(self_is_the_reader)
{
    char buf[32] = {0}, expected[32];

    snprintf(expected, sizeof(expected), "%d", getpid());
    EXPECT_EQ(strlen(expected), readlink("/proc/self", buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp(expected, buf));
    memset(buf, 0, sizeof(buf));
    snprintf(expected, sizeof(expected), "%d/task/%d", getpid(), getpid());
    EXPECT_EQ(strlen(expected), readlink("/proc/thread-self", buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp(expected, buf));
}

TEST(stat_has_its_fields)
{
    int pid, ppid, pgid, sid;
    char name[64], state;
    int fields = 1;

    ASSERT_TRUE(read_text("/proc/self/stat") > 0);
    EXPECT_EQ(6, sscanf(text, "%d (%63[^)]) %c %d %d %d", &pid, name, &state, &ppid, &pgid, &sid));
    EXPECT_EQ(getpid(), pid);
    EXPECT_EQ(getppid(), ppid);
    EXPECT_EQ(getpgrp(), pgid);
    EXPECT_EQ(getsid(0), sid);
    EXPECT_EQ('R', state);
    EXPECT_EQ(0, strcmp("proc_test", name));
    for (const char *at = text; *at != '\0'; at++) {
        fields += *at == ' ' && at[1] != '\n';
    }
    EXPECT_EQ(52, fields);
}

TEST(status_has_its_lines)
{
    static const char *const lines[] = {"Name:\tproc_test\n",
                                        "\nUmask:\t00",
                                        "\nState:\tR (running)\n",
                                        "\nTgid:\t",
                                        "\nTracerPid:\t0\n",
                                        "\nGroups:\t",
                                        "\nVmPeak:\t",
                                        "\nVmSize:\t",
                                        "\nVmHWM:\t",
                                        "\nVmRSS:\t",
                                        "\nRssAnon:\t",
                                        "\nVmStk:\t",
                                        "\nVmPTE:\t",
                                        "\nThreads:\t1\n",
                                        "\nSigQ:\t",
                                        "\nSigPnd:\t0000000000000000\n",
                                        "\nSigBlk:\t",
                                        "\nSigIgn:\t",
                                        "\nSigCgt:\t",
                                        "\nCapEff:\t",
                                        "\nSeccomp:\t0\n",
                                        "\nCpus_allowed:\t",
                                        "\nvoluntary_ctxt_switches:\t"};

    ASSERT_TRUE(read_text("/proc/self/status") > 0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strstr(text, lines[i]) == NULL) {
            printf("# missing: %s\n", lines[i]);
        }
        EXPECT_TRUE(strstr(text, lines[i]) != NULL);
    }
    EXPECT_EQ(getpid(), field("\nPid:"));
    EXPECT_EQ(getppid(), field("\nPPid:"));
}

TEST(maps_tell_a_mapping)
{
    char line[128];
    void *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT_EQ(0, mprotect((char *)map + 4096, 4096, PROT_NONE));
    ASSERT_TRUE(read_text("/proc/self/maps") > 0);
    snprintf(line, sizeof(line), "%lx-%lx ---p 00000000 00:00 0 \n", (long)map + 4096,
             (long)map + 8192);
    EXPECT_TRUE(strstr(text, line) != NULL);
    EXPECT_TRUE(strstr(text, "[stack]\n") != NULL);
    EXPECT_TRUE(strstr(text, "/proc_test\n") != NULL);
}

TEST(maps_tell_a_file)
{
    char expected[256];
    struct stat st;

    int fd = open("/tmp/proc_test_file", O_RDWR | O_CREAT | O_TRUNC, 0644);
    ASSERT_EQ(0, ftruncate(fd, 8192));
    char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
    ASSERT_TRUE(map != MAP_FAILED);
    ASSERT_EQ(0, fstat(fd, &st));
    ASSERT_TRUE(read_text("/proc/self/maps") > 0);
    snprintf(expected, sizeof(expected), "%lx-%lx r--s 00001000 %02x:%02x %lu ", (long)map,
             (long)map + 4096, (unsigned)(st.st_dev >> 8), (unsigned)(st.st_dev & 255),
             (unsigned long)st.st_ino);
    EXPECT_TRUE(strstr(text, expected) != NULL);
    EXPECT_TRUE(strstr(text, " /tmp/proc_test_file\n") != NULL);
    unlink("/tmp/proc_test_file");
    ASSERT_TRUE(read_text("/proc/self/maps") > 0);
    EXPECT_TRUE(strstr(text, " /tmp/proc_test_file (deleted)\n") != NULL);
}

TEST(links_lead_to_what_they_name)
{
    char buf[PATH_MAX] = {0};
    struct stat direct, linked;

    EXPECT_TRUE(readlink("/proc/self/exe", buf, sizeof(buf)) > 0);
    EXPECT_TRUE(strstr(buf, "/proc_test") != NULL);
    EXPECT_EQ(0, stat(buf, &direct));
    EXPECT_EQ(0, stat("/proc/self/exe", &linked));
    EXPECT_EQ(direct.st_ino, linked.st_ino);
    ASSERT_EQ(0, chdir("/etc"));
    memset(buf, 0, sizeof(buf));
    EXPECT_EQ(4, readlink("/proc/self/cwd", buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp("/etc", buf));
    EXPECT_EQ(0, access("/proc/self/cwd/passwd", F_OK));
}

TEST(fd_lists_descriptors)
{
    char path[64], buf[PATH_MAX] = {0};
    struct stat st;

    int fd = open("/tmp/proc_test_fd", O_RDWR | O_CREAT, 0644);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    EXPECT_EQ(strlen("/tmp/proc_test_fd"), readlink(path, buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp("/tmp/proc_test_fd", buf));
    EXPECT_EQ(0, lstat(path, &st));
    EXPECT_EQ(0700, st.st_mode & 0777);
    EXPECT_EQ(4, write(fd, "abcd", 4));
    unlink("/tmp/proc_test_fd");
    int again = open(path, O_RDONLY);
    EXPECT_TRUE(again >= 0);
    EXPECT_EQ(4, read(again, buf, sizeof(buf)));
    memset(buf, 0, sizeof(buf));
    EXPECT_TRUE(readlink(path, buf, sizeof(buf)) > 0);
    EXPECT_EQ(0, strcmp("/tmp/proc_test_fd (deleted)", buf));
    close(fd);
    EXPECT_ERRNO(ENOENT, lstat(path, &st));
    int fds[2];
    ASSERT_EQ(0, pipe(fds));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    memset(buf, 0, sizeof(buf));
    EXPECT_TRUE(readlink(path, buf, sizeof(buf)) > 0);
    EXPECT_EQ(0, strncmp("pipe:[", buf, 6));
}

TEST(pipe_is_opened_again_through_its_link)
{
    char path[64], byte = 0;
    int fds[2];

    ASSERT_EQ(0, pipe(fds));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
    int writer = open(path, O_WRONLY);
    ASSERT_TRUE(writer >= 0);
    EXPECT_EQ(1, write(writer, "x", 1));
    EXPECT_EQ(1, read(fds[0], &byte, 1));
    EXPECT_EQ('x', byte);
}

static int open_again(int fd, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags);
}

TEST(reading_end_opens_the_writing_one)
{
    char byte = 0;
    int fds[2];

    ASSERT_EQ(0, pipe(fds));
    close(fds[1]);
    EXPECT_EQ(0, read(fds[0], &byte, 1));
    int writer = open_again(fds[0], O_WRONLY);
    EXPECT_ERRNO(EBADF, read(writer, &byte, 1));
    EXPECT_EQ(1, write(writer, "y", 1));
    EXPECT_EQ(1, read(fds[0], &byte, 1));
    EXPECT_EQ('y', byte);
    int both = open_again(fds[0], O_RDWR);
    EXPECT_EQ(1, write(both, "z", 1));
    EXPECT_EQ(1, read(both, &byte, 1));
    EXPECT_EQ('z', byte);
    close(writer);
    close(both);
    EXPECT_EQ(0, read(fds[0], &byte, 1));
}

TEST(pipe_opened_again_has_its_own_flags)
{
    char byte;
    int fds[2];

    ASSERT_EQ(0, pipe(fds));
    int reader = open_again(fds[0], O_RDONLY | O_NONBLOCK);
    EXPECT_ERRNO(EAGAIN, read(reader, &byte, 1));
    EXPECT_EQ(0, fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    close(fds[0]);
    /* The pipe still has a reader. */
    EXPECT_EQ(1, write(fds[1], "x", 1));
    close(reader);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_ERRNO(EPIPE, write(fds[1], "x", 1));
}

TEST(link_of_a_pipe_has_its_status)
{
    struct stat direct, linked;
    char path[64];
    int fds[2];

    ASSERT_EQ(0, pipe(fds));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    EXPECT_EQ(0, fstat(fds[0], &direct));
    EXPECT_EQ(0, stat(path, &linked));
    EXPECT_TRUE(S_ISFIFO(linked.st_mode));
    EXPECT_EQ(direct.st_ino, linked.st_ino);
    EXPECT_EQ(0, access(path, R_OK | W_OK));
    EXPECT_ERRNO(EACCES, access(path, X_OK));
    EXPECT_EQ(0, lstat(path, &linked));
    EXPECT_TRUE(S_ISLNK(linked.st_mode));
    strcat(path, "/");
    EXPECT_ERRNO(ENOTDIR, stat(path, &linked));
    EXPECT_ERRNO(ENOTDIR, open(path, O_RDONLY));
}

TEST(memfd_opened_again_has_its_own_position)
{
    char buf[8] = {0};

    int fd = memfd_create("again", 0);
    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(4, write(fd, "abcd", 4));
    int reader = open_again(fd, O_RDONLY);
    EXPECT_EQ(4, read(reader, buf, 8));
    EXPECT_BYTES("abcd", buf, 4);
    EXPECT_ERRNO(EBADF, write(reader, "x", 1));
    int appender = open_again(reader, O_WRONLY | O_APPEND);
    EXPECT_EQ(2, write(appender, "ef", 2));
    EXPECT_EQ(6, lseek(fd, 0, SEEK_END));
    close(fd);
    EXPECT_EQ(2, read(reader, buf, 8));
    EXPECT_BYTES("ef", buf, 2);
    int truncated = open_again(reader, O_RDWR | O_TRUNC);
    EXPECT_EQ(0, lseek(truncated, 0, SEEK_END));
}

TEST(descriptors_without_a_name_cannot_be_opened_again)
{
    int fd = eventfd(0, 0);

    EXPECT_ERRNO(ENXIO, open_again(fd, O_RDWR));
    EXPECT_ERRNO(ENOENT, open_again(999, O_RDWR));
}

TEST(pipe_of_another_process_is_opened_through_its_link)
{
    char path[64], byte = 0;
    int fds[2], go[2];

    ASSERT_EQ(0, pipe(go));
    pid_t pid = fork();
    if (pid == 0) {
        ASSERT_EQ(0, pipe(fds));
        EXPECT_EQ(4, write(go[1], &fds[1], sizeof(int)));
        EXPECT_EQ(1, read(fds[0], &byte, 1));
        EXPECT_EQ('!', byte);
        _exit(utest_failures != 0);
    }
    ASSERT_EQ(4, read(go[0], &fds[1], sizeof(int)));
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fds[1]);
    int writer = open(path, O_WRONLY);
    EXPECT_EQ(1, write(writer, "!", 1));
    int status;
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    /* Somebody else's is closed to the unprivileged. */
    pid = fork();
    if (pid == 0) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", getppid(), go[0]);
        EXPECT_EQ(0, setuid(65534));
        EXPECT_ERRNO(EACCES, open(path, O_RDONLY));
        _exit(utest_failures != 0);
    }
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
}

static int write_text(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY);
    ssize_t done = write(fd, value, strlen(value));

    close(fd);
    return done == (ssize_t)strlen(value) ? 0 : -1;
}

static int promise(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED && munmap(p, size) == 0 ? 0 : -1;
}

TEST(overcommit_mode_says_what_may_be_promised)
{
    static const char *const mode = "/proc/sys/vm/overcommit_memory";
    size_t more_than_there_is = (size_t)1 << 40;

    ASSERT_TRUE(read_text(mode) > 0);
    EXPECT_EQ(0, strcmp("0\n", text));
    EXPECT_ERRNO(ENOMEM, promise(more_than_there_is));
    EXPECT_EQ(0, write_text(mode, "1\n"));
    EXPECT_TRUE(read_text(mode) > 0);
    EXPECT_EQ(0, strcmp("1\n", text));
    EXPECT_EQ(0, promise(more_than_there_is));
    EXPECT_EQ(0, write_text(mode, "0"));
    EXPECT_ERRNO(ENOMEM, promise(more_than_there_is));
    EXPECT_ERRNO(EINVAL, write_text(mode, "3\n"));
    EXPECT_ERRNO(EINVAL, write_text(mode, "x\n"));
    EXPECT_TRUE(read_text("/proc/sys/vm/overcommit_ratio") > 0);
    EXPECT_EQ(0, strcmp("50\n", text));
    EXPECT_EQ(0, setuid(65534));
    EXPECT_ERRNO(EACCES, open(mode, O_WRONLY));
}

/* A guest with huge pages has them on: there the test has nothing to say. */
TEST(transparent_huge_pages_that_are_off_say_so)
{
#define THP "/sys/kernel/mm/transparent_hugepage/"
    if (read_text(THP "enabled") <= 0 || strstr(text, "[never]") == NULL) {
        SKIP("there are huge pages");
    }
    EXPECT_EQ(0, strcmp("always madvise [never]\n", text));
    EXPECT_TRUE(read_text(THP "hpage_pmd_size") > 0);
    EXPECT_EQ(0, strcmp("2097152\n", text));
    EXPECT_ERRNO(EINVAL, write_text(THP "enabled", "sometimes"));
    EXPECT_EQ(0, write_text(THP "enabled", "never\n"));
    EXPECT_ERRNO(EINVAL, write_text(THP "enabled", "always\n"));
    EXPECT_EQ(0, write_text(THP "khugepaged/max_ptes_none", "64"));
    EXPECT_TRUE(read_text(THP "khugepaged/max_ptes_none") > 0);
    EXPECT_EQ(0, strcmp("64\n", text));
    EXPECT_ERRNO(EINVAL, write_text(THP "khugepaged/max_ptes_none", "512"));
}

TEST(command_line_and_environment)
{
    ASSERT_TRUE(read_text("/proc/self/cmdline") > 0);
    EXPECT_TRUE(strstr(text, "proc_test") != NULL);
    EXPECT_TRUE(read_text("/proc/self/environ") >= 0);
    ASSERT_TRUE(read_text("/proc/self/comm") > 0);
    EXPECT_EQ(0, strcmp("proc_test\n", text));
    EXPECT_TRUE(read_text("/proc/self/auxv") >= 32);
}

TEST(other_processes_are_there_while_they_live)
{
    char path[64];
    int fds[2];
    char byte;

    ASSERT_EQ(0, pipe(fds));
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) != 0);
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    EXPECT_TRUE(read_text(path) > 0);
    int fd = open(path, O_RDONLY);
    close(fds[1]);
    siginfo_t info;
    EXPECT_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    EXPECT_TRUE(read_text(path) > 0);
    EXPECT_TRUE(strstr(text, ") Z ") != NULL);
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    EXPECT_EQ(-ENOENT, read_text(path));
    EXPECT_ERRNO(ESRCH, read(fd, &byte, 1));
}

TEST(pids_are_listed)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int has_self = 0, has_init = 0, has_meminfo = 0;

    while ((entry = readdir(dir)) != NULL) {
        has_self += atoi(entry->d_name) == getpid();
        has_init += strcmp(entry->d_name, "1") == 0;
        has_meminfo += strcmp(entry->d_name, "meminfo") == 0;
    }
    EXPECT_EQ(1, has_self);
    EXPECT_EQ(1, has_init);
    EXPECT_EQ(1, has_meminfo);
}

TEST(memory_is_told)
{
    ASSERT_TRUE(read_text("/proc/meminfo") > 0);
    EXPECT_EQ(0, strncmp(text, "MemTotal:       ", 16));
    EXPECT_TRUE(field("MemTotal:") > 1000);
    EXPECT_TRUE(field("MemFree:") > 0);
    EXPECT_TRUE(field("MemFree:") <= field("MemTotal:"));
    EXPECT_EQ(0, field("SwapTotal:"));
}

TEST(system_files_have_their_form)
{
    double up, idle, load;
    int running, total;

    ASSERT_TRUE(read_text("/proc/uptime") > 0);
    EXPECT_EQ(2, sscanf(text, "%lf %lf\n", &up, &idle));
    EXPECT_TRUE(up > 0);
    ASSERT_TRUE(read_text("/proc/loadavg") > 0);
    EXPECT_EQ(5, sscanf(text, "%lf %lf %lf %d/%d", &load, &load, &load, &running, &total));
    ASSERT_TRUE(read_text("/proc/stat") > 0);
    EXPECT_EQ(0, strncmp(text, "cpu  ", 5));
    EXPECT_TRUE(strstr(text, "\ncpu0 ") != NULL);
    EXPECT_TRUE(field("\nbtime ") > 0);
    ASSERT_TRUE(read_text("/proc/version") > 0);
    EXPECT_EQ(0, strncmp(text, "Linux version ", 14));
    ASSERT_TRUE(read_text("/proc/mounts") > 0);
    EXPECT_TRUE(strstr(text, " /proc proc rw") != NULL);
    ASSERT_TRUE(read_text("/proc/cpuinfo") > 0);
    EXPECT_EQ(0, strncmp(text, "processor\t: 0\nvendor_id\t: ", 26));
    ASSERT_TRUE(read_text("/proc/filesystems") > 0);
    EXPECT_TRUE(strstr(text, "nodev\ttmpfs\n") != NULL);
}

TEST(settings_can_be_read)
{
    ASSERT_TRUE(read_text("/proc/sys/kernel/ostype") > 0);
    EXPECT_EQ(0, strcmp("Linux\n", text));
    EXPECT_EQ(37, read_text("/proc/sys/kernel/random/boot_id"));
    char first[64];
    strcpy(first, text);
    EXPECT_EQ(37, read_text("/proc/sys/kernel/random/boot_id"));
    EXPECT_EQ(0, strcmp(first, text));
    EXPECT_EQ(37, read_text("/proc/sys/kernel/random/uuid"));
    EXPECT_NE(0, strcmp(first, text));
    EXPECT_TRUE(read_text("/proc/sys/vm/max_map_count") > 0);
    EXPECT_TRUE(read_text("/proc/sys/kernel/pid_max") > 0);
}

TEST(reading_goes_on_where_it_was)
{
    static char whole[65536];
    char byte;
    long len = read_text("/proc/self/limits");

    ASSERT_TRUE(len > 0);
    strcpy(whole, text);
    int fd = open("/proc/self/limits", O_RDONLY);
    for (long i = 0; i < len; i++) {
        EXPECT_EQ(1, read(fd, &byte, 1));
        EXPECT_EQ(whole[i], byte);
    }
    EXPECT_EQ(0, read(fd, &byte, 1));
    EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
    EXPECT_EQ(1, read(fd, &byte, 1));
    EXPECT_EQ('L', byte);
}

TEST(nothing_is_made_in_proc)
{
    EXPECT_ERRNO(ENOENT, open("/proc/new", O_CREAT | O_RDWR, 0644));
    EXPECT_ERRNO(ENOENT, mkdir("/proc/new", 0755));
    EXPECT_ERRNO(ENOENT, access("/proc/999999999", F_OK));
    EXPECT_ERRNO(ENOTDIR, access("/proc/uptime/x", F_OK));
    EXPECT_ERRNO(ENOENT, access("/proc/self/none", F_OK));
    EXPECT_ERRNO(EPERM, unlink("/proc/uptime"));
}

UTEST_MAIN
