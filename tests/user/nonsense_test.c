/*
 * What a bad client does to the servers: nothing. Clients send them nonsense, or die in the middle
 * of their calls, while another client works; afterwards nothing of the bad ones is left.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "nonsense"
#include "utest.h"
#include "nonsense.h"

#define CLIENTS      6 /* at once */
#define WARM_UP      10
#define ROUNDS       60
#define KERNEL_SLACK (128 * 4096) /* caches that grow in steps */
#define SERVER_SLACK (16 * 4096)
#define SETTLE_US    20000

/* --- the good client ------------------------------------------------------------------------- */

static bool work_once(unsigned turn)
{
    char out[3000], in[3000], path[64], other[64];
    bool is_right = true;
    struct stat st;

    snprintf(path, sizeof(path), "/tmp/good.%u", turn % 7);
    snprintf(other, sizeof(other), "/tmp/better.%u", turn % 7);
    memset(out, 'a' + (int)(turn % 26), sizeof(out));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    is_right = is_right && fd >= 0;
    is_right = is_right && write(fd, out, sizeof(out)) == sizeof(out);
    is_right = is_right && pread(fd, in, sizeof(in), 0) == sizeof(in);
    is_right = is_right && memcmp(in, out, sizeof(in)) == 0;
    is_right = is_right && rename(path, other) == 0 && stat(path, &st) != 0;
    is_right = is_right && stat(other, &st) == 0 && st.st_size == sizeof(out);
    is_right = is_right && unlink(other) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0;
    close(fd);
    return is_right;
}

struct worker {
    pid_t pid;
    int stop;   /* closing it ends the worker */
    int report; /* it writes one number: its turns, or 0 for a mistake */
};

static void work(int stop, int report)
{
    unsigned turn = 0;
    char byte;

    fcntl(stop, F_SETFL, O_NONBLOCK);
    while (read(stop, &byte, 1) < 0) {
        turn++;
        if (!work_once(turn)) {
            printf("# the good client failed in turn %u: errno %d\n", turn, errno);
            turn = 0;
            break;
        }
    }
    write(report, &turn, sizeof(turn));
    fflush(stdout);
    _exit(0);
}

static struct worker worker_start(void)
{
    int stop[2], report[2];
    struct worker worker;

    EXPECT_EQ(0, pipe2(stop, O_CLOEXEC));
    EXPECT_EQ(0, pipe2(report, O_CLOEXEC));
    worker.pid = fork();
    if (worker.pid == 0) {
        close(stop[1]);
        work(stop[0], report[1]);
    }
    close(stop[0]);
    close(report[1]);
    worker.stop = stop[1];
    worker.report = report[0];
    return worker;
}

static unsigned worker_end(struct worker *worker)
{
    unsigned turns = 0;

    close(worker->stop);
    read(worker->report, &turns, sizeof(turns));
    close(worker->report);
    waitpid(worker->pid, NULL, 0);
    return turns;
}

/* --- what is left ---------------------------------------------------------------------------- */

struct counts {
    long fs_descriptors;
    long console_descriptors;
    long fs_memory;
    long console_memory;
    uint64_t free;
    int processes;
};

static void count(struct counts *counts)
{
    static int32_t pids[1024];
    pid_t fs = server_pid("fs"), console = server_pid("console");
    struct cb_mem_info memory;
    struct stat st;

    /* The servers have seen every earlier message once they answer a later one. */
    stat("/", &st);
    ioctl(1, TIOCGWINSZ, &st);
    counts->processes = (int)(cb_kinfo(CB_KINFO_PROC_LIST, 0, pids, sizeof(pids)) / 4);
    counts->fs_descriptors = open_descriptors(fs);
    counts->console_descriptors = open_descriptors(console);
    counts->fs_memory = anonymous_memory(fs);
    counts->console_memory = anonymous_memory(console);
    cb_kinfo(CB_KINFO_MEM, 0, &memory, sizeof(memory));
    counts->free = memory.free;
}

static void expect_same(const struct counts *before, const struct counts *after)
{
    EXPECT_EQ(before->processes, after->processes);
    EXPECT_EQ(before->fs_descriptors, after->fs_descriptors);
    EXPECT_EQ(before->console_descriptors, after->console_descriptors);
    EXPECT_LE(after->fs_memory, before->fs_memory + SERVER_SLACK);
    EXPECT_LE(after->console_memory, before->console_memory + SERVER_SLACK);
    EXPECT_LE(before->free, after->free + KERNEL_SLACK);
}

/* --- tests ----------------------------------------------------------------------------------- */

static long call_with(int fd, struct cb_call *call)
{
    long result = syscall(CB_SYS_MSG_CALL, fd, call);

    return result < 0 ? -errno : result;
}

static long call_op(int fd, uint32_t op)
{
    struct cb_call call = {.op = op};

    return call_with(fd, &call);
}

TEST(operations_that_do_not_exist_are_refused)
{
    need_cowbell();
    int fs = open("/", O_RDONLY | O_DIRECTORY);
    int console = open("/dev/console", O_RDWR | O_NOCTTY);

    for (uint32_t op = 0; op <= CB_OP_END; op++) {
        EXPECT_EQ(-EINVAL, call_op(fs, op));
        EXPECT_EQ(-EINVAL, call_op(console, op));
    }
    EXPECT_EQ(-EINVAL, call_op(fs, CB_OP_USER - 1));
    for (uint32_t op = 0; op < 64; op++) {
        EXPECT_EQ(-EOPNOTSUPP, call_op(fs, CB_OP_USER + op));
        EXPECT_EQ(-ENOTDIR, call_op(console, CB_OP_USER + op));
    }
    EXPECT_EQ(-EOPNOTSUPP, call_op(fs, UINT32_MAX));
    EXPECT_EQ(-EBADF, call_op(-1, CB_OP_USER));
}

TEST(calls_that_name_bad_memory_or_descriptors_are_refused)
{
    need_cowbell();
    int fs = open("/", O_RDONLY | O_DIRECTORY);
    struct cb_iovec kernel = {0xffff800000001000u, 4096};
    struct cb_iovec huge[2] = {{0x10000, INT64_MAX}, {0x10000, INT64_MAX}};
    int fds[2];

    ASSERT_EQ(0, pipe(fds));
    const struct {
        int error;
        struct cb_call call;
    } bad[] = {
        {-EINVAL, {.flags = 1}},
        {-EINVAL, {.nr_fds = CB_MSG_FDS + 1}},
        {-EBADF, {.nr_fds = 1, .fds = {1000}}},
        {-EINVAL, {.nr_send = CB_IOV_MAX + 1, .send_iov = (uintptr_t)huge}},
        {-EFAULT, {.nr_send = 1, .send_iov = 8}},
        {-EFAULT, {.nr_recv = 1, .recv_iov = 0xffff800000001000u}},
        {-EFAULT, {.nr_send = 1, .send_iov = (uintptr_t)&kernel}},
        {-EFAULT, {.nr_recv = 1, .recv_iov = (uintptr_t)&kernel}},
        {-EFAULT, {.nr_recv = 2, .recv_iov = (uintptr_t)huge}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cb_call call = bad[i].call;
        call.op = CB_OP_USER;
        EXPECT_EQ(bad[i].error, call_with(fs, &call));
    }
    EXPECT_EQ(-EINVAL, call_op(fds[0], CB_OP_USER));
    EXPECT_ERRNO(EFAULT, syscall(CB_SYS_MSG_CALL, fs, NULL));
}

/* A server takes what a message brings; if it does not want it, it must let it go. */
TEST(descriptors_that_nobody_asked_for_are_closed)
{
    static const char *const ways[] = {"/", "/dev/console"};

    need_cowbell();
    for (size_t i = 0; i < 2; i++) {
        struct counts before, after;
        int fd = open(ways[i], O_RDONLY | O_NOCTTY);
        struct cb_call call = {.op = CB_OP_USER, .nr_fds = 4, .fds = {fd, 0, 1, fd}};
        count(&before);
        for (int k = 0; k < 300; k++) {
            EXPECT_TRUE(call_with(fd, &call) < 0);
        }
        close(fd);
        count(&after);
        EXPECT_EQ(before.fs_descriptors, after.fs_descriptors);
        EXPECT_EQ(before.console_descriptors, after.console_descriptors);
    }
}

static void bad_round(void)
{
    pid_t pids[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        seed += (uint64_t)i + 1;
        pids[i] = fork();
        if (pids[i] == 0) {
            bad_client();
        }
    }
    usleep((useconds_t)below(6000));
    for (int i = 0; i < CLIENTS; i++) {
        int status;
        kill(pids[i], SIGKILL);
        EXPECT_EQ(pids[i], waitpid(pids[i], &status, 0));
        EXPECT_TRUE(WIFSIGNALED(status));
    }
    clean_up();
    prepare();
}

TEST(clients_killed_in_the_middle_of_nonsense_leave_nothing)
{
    struct counts before, after;

    need_cowbell();
    prepare();
    for (int i = 0; i < WARM_UP; i++) {
        bad_round();
    }
    count(&before);
    struct worker worker = worker_start();
    for (int i = 0; i < ROUNDS; i++) {
        bad_round();
    }
    EXPECT_NE(0, worker_end(&worker));
    count(&after);
    expect_same(&before, &after);
    clean_up();
}

static void wait_for_reader(void)
{
    open(FIFO, O_WRONLY);
}

static void wait_for_writer(void)
{
    open(FIFO, O_RDONLY);
}

static void wait_for_bytes(void)
{
    char byte;

    read(open(FIFO, O_RDWR), &byte, 1);
}

static void wait_for_room(void)
{
    static char bytes[BIG];

    write(open(FIFO, O_RDWR), bytes, sizeof(bytes));
}

static void wait_for_lock(void)
{
    flock(open(SHARED, O_RDWR), LOCK_EX);
}

static void wait_for_input(void)
{
    char byte;

    read(open("/dev/console", O_RDWR | O_NOCTTY), &byte, 1);
}

static pid_t start_waiting(void (*wait)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        wait();
        _exit(0);
    }
    return pid;
}

TEST(clients_killed_while_they_wait_are_forgotten)
{
    static void (*const waits[])(void) = {wait_for_reader, wait_for_writer, wait_for_bytes,
                                          wait_for_room,   wait_for_lock,   wait_for_input};
    struct counts before, after;

    need_cowbell();
    prepare();
    int lock = open(SHARED, O_RDWR);
    ASSERT_EQ(0, flock(lock, LOCK_EX));
    for (int turn = 0; turn < 4; turn++) {
        if (turn == 1) {
            count(&before);
        }
        for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
            int status;
            pid_t pid = start_waiting(waits[i]);
            usleep(SETTLE_US);
            EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
            kill(pid, SIGKILL);
            EXPECT_EQ(pid, waitpid(pid, &status, 0));
            /* Neither end of the FIFO is open any more, and nobody else has the lock. */
            EXPECT_ERRNO(ENXIO, open(FIFO, O_WRONLY | O_NONBLOCK));
            EXPECT_EQ(0, flock(lock, LOCK_SH | LOCK_NB));
            EXPECT_EQ(0, flock(lock, LOCK_EX | LOCK_NB));
        }
    }
    count(&after);
    expect_same(&before, &after);
    clean_up();
}

static void send_write(void)
{
    static char bytes[4096];

    pwrite(open(SHARED, O_RDWR), bytes, sizeof(bytes), 0);
}

static void send_mkdir(void)
{
    mkdir(PLACE "/made", 0777);
}

static void send_open(void)
{
    open(PLACE "/new", O_RDWR | O_CREAT, 0600);
}

static void stop_server(pid_t pid)
{
    struct cb_proc_info info = {0};

    EXPECT_EQ(0, kill(pid, SIGSTOP));
    while (info.state != 'T' && cb_kinfo(CB_KINFO_PROC, pid, &info, sizeof(info)) > 0) {
        usleep(1000);
    }
}

/* The server does not run: what is sent to it stays in its queue, and leaves with its sender. */
TEST(a_message_that_waits_in_the_queue_dies_with_its_sender)
{
    static void (*const sends[])(void) = {send_write, send_mkdir, send_open};
    pid_t pids[3];
    struct stat st;

    need_cowbell();
    pid_t fs = server_pid("fs");
    prepare();
    stop_server(fs);
    for (int i = 0; i < 3; i++) {
        pids[i] = start_waiting(sends[i]);
    }
    usleep(SETTLE_US);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(0, waitpid(pids[i], NULL, WNOHANG));
        EXPECT_EQ(0, kill(pids[i], SIGKILL));
        EXPECT_EQ(pids[i], waitpid(pids[i], NULL, 0));
    }
    EXPECT_EQ(0, kill(fs, SIGCONT));
    EXPECT_ERRNO(ENOENT, stat(PLACE "/made", &st));
    EXPECT_ERRNO(ENOENT, stat(PLACE "/new", &st));
    EXPECT_EQ(0, stat(SHARED, &st));
    EXPECT_EQ(0, st.st_size);
    clean_up();
}

UTEST_MAIN
