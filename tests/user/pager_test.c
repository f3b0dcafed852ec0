/*
 * Files whose pages a process brings in, as its clients see them: a pager that works, fails, lies,
 * hangs and dies; and memory that needs the very server that is asked to copy it.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "pager"
#include "utest.h"
#include "cowbell.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE     4096ul
#define NR_PAGES 40ul
#define FILE_LEN (NR_PAGES * PAGE)
#define RW       (PROT_READ | PROT_WRITE)

enum behaviour { ANSWER, FAIL, SHORT, LONG, NOTHING, DIE, HANG, REPEAT };

/* What test and pager share. */
struct shared {
    volatile enum behaviour page_in;
    volatile enum behaviour notify;
    volatile enum behaviour write_back;
    volatile unsigned nr_page_ins;
    volatile unsigned nr_notifies;
    volatile unsigned nr_write_backs;
    char store[FILE_LEN];
};

static struct shared *shared;
static int port;
static int conn;
static int object;

static long reply_with(const struct cb_msg *msg, long result, const void *data, size_t len, int fd)
{
    struct cb_reply reply = {
        .id = msg->id,
        .result = result,
        .data = (uintptr_t)data,
        .data_len = (uint32_t)len,
        .flags = fd >= 0 ? CB_REPLY_FD : 0,
        .fd = fd,
    };

    return syscall(CB_SYS_MSG_REPLY, port, &reply);
}

static void misbehave(const struct cb_msg *msg, enum behaviour behaviour)
{
    switch (behaviour) {
    case FAIL:
        reply_with(msg, -EIO, NULL, 0, -1);
        break;
    case SHORT:
        reply_with(msg, 100, NULL, 0, -1);
        break;
    case LONG:
        reply_with(msg, (long)msg->args[1] + 1, NULL, 0, -1);
        break;
    case NOTHING:
        reply_with(msg, 0, NULL, 0, -1);
        break;
    case REPEAT:
        reply_with(msg, -CB_EPAGING, NULL, 0, -1);
        break;
    case DIE:
        _exit(0);
    default:
        break;
    }
}

static void serve_page_in(const struct cb_msg *msg)
{
    shared->nr_page_ins++;
    if (shared->page_in != ANSWER) {
        misbehave(msg, shared->page_in);
    } else {
        reply_with(msg, (long)msg->args[1], shared->store + msg->args[0], msg->args[1], -1);
    }
}

static void serve_notify(const struct cb_msg *msg)
{
    shared->nr_notifies++;
    if (shared->notify != ANSWER) {
        misbehave(msg, shared->notify);
    } else {
        reply_with(msg, 0, NULL, 0, -1);
    }
}

static void serve_write_back(const struct cb_msg *msg)
{
    shared->nr_write_backs++;
    if (shared->write_back != ANSWER) {
        misbehave(msg, shared->write_back);
    } else {
        reply_with(
            msg,
            syscall(CB_SYS_MSG_READ, port, msg->id, 0, shared->store + msg->args[0], msg->args[1]),
            NULL, 0, -1);
    }
}

/* Reads and writes go to the store alone: what is tested is the client's buffer. */
static void serve_transfer(const struct cb_msg *msg)
{
    bool is_read = msg->op == CB_OP_READ;
    char *at = shared->store + msg->args[0];
    long done =
        syscall(is_read ? CB_SYS_MSG_WRITE : CB_SYS_MSG_READ, port, msg->id, 0, at, msg->args[1]);

    reply_with(msg, done < 0 ? -errno : done, NULL, 0, -1);
}

static void serve(void)
{
    static _Alignas(16) char buf[CB_MSG_BUF_MIN];
    const struct cb_msg *msg = (const void *)buf;

    while (syscall(CB_SYS_MSG_RECEIVE, port, buf, sizeof(buf), CB_TIMEOUT_NONE) == 0) {
        switch (msg->op) {
        case CB_OP_PAGE_IN:
            serve_page_in(msg);
            break;
        case CB_OP_WRITE_NOTIFY:
            serve_notify(msg);
            break;
        case CB_OP_WRITE_BACK:
            serve_write_back(msg);
            break;
        case CB_OP_READ:
        case CB_OP_WRITE:
            serve_transfer(msg);
            break;
        case CB_OP_OBJECT:
        case CB_OP_FSYNC:
            reply_with(msg, 0, NULL, 0, object);
            break;
        case CB_OP_CLOSE:
        case CB_OP_INTERRUPT:
            break;
        default:
            reply_with(msg, -EOPNOTSUPP, NULL, 0, -1);
        }
    }
}

/* Starts a pager in a child, which ends with the test. */
static void start_pager(void)
{
    struct cb_pager pager = {.size = FILE_LEN, .flags = CB_PAGER_TRACKS};

    need_cowbell();
    shared = mmap(NULL, sizeof(*shared), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned long i = 0; i < FILE_LEN; i++) {
        shared->store[i] = (char)('a' + i / PAGE % 26);
    }
    port = (int)syscall(CB_SYS_PORT_CREATE, O_CLOEXEC);
    conn = (int)syscall(CB_SYS_CONN_CREATE, port, 1, CB_CONN_SEEKABLE | CB_CONN_READY);
    object = (int)syscall(CB_SYS_PAGER_CREATE, port, &pager);
    EXPECT_TRUE(port >= 0 && conn >= 0 && object >= 0);
    if (fork() == 0) {
        close(conn);
        serve();
        _exit(0);
    }
    close(object);
    close(port);
}

static char *map(int prot, int flags)
{
    char *p = mmap(NULL, FILE_LEN, prot, flags, conn, 0);

    EXPECT_TRUE(p != MAP_FAILED);
    return p;
}

/* The signal that ends a child which makes one access, or 0. */
static int signal_of(char *p, bool is_write)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (is_write) {
            *(volatile char *)p = 'x';
        } else {
            (void)*(volatile char *)p;
        }
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* --- a pager that works ----------------------------------------------------------------------- */

TEST(pages_are_brought_when_touched)
{
    start_pager();
    char *p = map(PROT_READ, MAP_SHARED);
    char *q = map(RW, MAP_PRIVATE);

    EXPECT_EQ(0, shared->nr_page_ins);
    EXPECT_EQ('d', p[3 * PAGE + 17]);
    EXPECT_EQ(1, shared->nr_page_ins);
    EXPECT_EQ('e', q[4 * PAGE]);
    q[4 * PAGE] = '!';
    EXPECT_EQ('e', p[4 * PAGE]);
    EXPECT_EQ(1, shared->nr_page_ins);
    for (unsigned long i = 0; i < NR_PAGES; i++) {
        EXPECT_EQ('a' + i % 26, p[i * PAGE + PAGE - 1]);
    }
    EXPECT_LE(shared->nr_page_ins, 4);
    EXPECT_EQ(0, shared->nr_notifies);
}

TEST(writes_reach_the_pager_by_msync_and_fsync)
{
    start_pager();
    char *p = map(RW, MAP_SHARED);

    p[0] = '0';
    p[1] = '1';
    EXPECT_EQ(1, shared->nr_notifies);
    EXPECT_EQ('a', shared->store[0]);
    EXPECT_EQ(0, msync(p, PAGE, MS_SYNC));
    EXPECT_EQ('0', shared->store[0]);
    p[2] = '2';
    p[9 * PAGE] = '9';
    EXPECT_EQ(3, shared->nr_notifies);
    EXPECT_EQ(0, fsync(conn));
    EXPECT_BYTES("012a", shared->store, 4);
    EXPECT_EQ('9', shared->store[9 * PAGE]);
    EXPECT_EQ(3, shared->nr_write_backs);
    EXPECT_EQ(0, fdatasync(conn));
    EXPECT_EQ(3, shared->nr_write_backs);
}

TEST(program_object_pager_shows_and_changes_a_file)
{
    char text[32] = {0};
    int fd;

    need_cowbell();
    fd = open("/tmp/paged", O_RDWR | O_CREAT | O_TRUNC, 0600);
    EXPECT_EQ(12, write(fd, "hello pager\n", 12));
    EXPECT_EQ(0, WEXITSTATUS(system("object_pager /tmp/paged sh -c "
                                    "'test \"$(head -1 <&3)\" = \"hello pager\"'")));
    EXPECT_EQ(0, WEXITSTATUS(system("object_pager /tmp/paged sh -c 'echo HELLO >&3'")));
    EXPECT_EQ(12, pread(fd, text, 32, 0));
    EXPECT_BYTES("HELLO\npager\n", text, 12);
    unlink("/tmp/paged");
}

/* --- one that does not ------------------------------------------------------------------------ */

TEST(failures_and_lies_are_a_sigbus)
{
    static const enum behaviour lies[] = {FAIL, SHORT, LONG, NOTHING, REPEAT};

    start_pager();
    char *p = map(RW, MAP_SHARED);
    char *q = map(RW, MAP_PRIVATE);

    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        shared->page_in = lies[i];
        EXPECT_EQ(SIGBUS, signal_of(p, false));
        EXPECT_EQ(SIGBUS, signal_of(p, true));
        EXPECT_EQ(SIGBUS, signal_of(q, true));
    }
    EXPECT_ERRNO(EFAULT, write(STDOUT_FILENO, p, 1));
    shared->page_in = ANSWER;
    EXPECT_EQ(0, signal_of(p, false));
    EXPECT_EQ('a', p[0]);
}

TEST(a_refused_write_is_a_sigbus)
{
    start_pager();
    char *p = map(RW, MAP_SHARED);

    EXPECT_EQ('a', p[0]);
    shared->notify = FAIL;
    EXPECT_EQ(SIGBUS, signal_of(p, true));
    shared->notify = ANSWER;
    EXPECT_EQ(0, signal_of(p, true));
    EXPECT_EQ('x', p[0]);
}

TEST(a_failed_write_back_is_told_and_repeated)
{
    start_pager();
    char *p = map(RW, MAP_SHARED);

    p[0] = '0';
    shared->write_back = FAIL;
    EXPECT_ERRNO(EIO, msync(p, PAGE, MS_SYNC));
    shared->write_back = LONG;
    EXPECT_ERRNO(EIO, fsync(conn));
    shared->write_back = ANSWER;
    EXPECT_EQ(0, msync(p, PAGE, MS_SYNC));
    EXPECT_EQ('0', shared->store[0]);
}

TEST(a_dead_pager_leaves_what_is_there)
{
    start_pager();
    char *p = map(RW, MAP_SHARED);

    EXPECT_EQ('a', p[0]);
    p[1] = '1';
    shared->page_in = DIE;
    EXPECT_EQ(SIGBUS, signal_of(p + 30 * PAGE, false));
    EXPECT_EQ(SIGBUS, signal_of(p + 31 * PAGE, false));
    EXPECT_EQ('a', p[0]);
    EXPECT_EQ('1', p[1]);
    EXPECT_EQ(SIGBUS, signal_of(p + PAGE, true));
    EXPECT_ERRNO(EIO, msync(p, PAGE, MS_SYNC));
    EXPECT_ERRNO(EIO, fsync(conn));
    EXPECT_ERRNO(EIO, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, conn, 0) == MAP_FAILED ? -1 : 0);
}

/* A child that hangs on the pager, in a fault or with its pointer in a call. */
static pid_t start_hanging(char *p, bool is_call)
{
    unsigned before = shared->nr_page_ins;
    pid_t pid;

    shared->page_in = HANG;
    pid = fork();
    if (pid == 0) {
        if (is_call) {
            (void)!write(open("/dev/null", O_WRONLY), p, PAGE);
            (void)!access(p, F_OK);
        }
        _exit(*(volatile char *)p);
    }
    while (shared->nr_page_ins == before) {
        sched_yield();
    }
    return pid;
}

TEST(who_waits_for_a_hanging_pager_can_be_killed)
{
    static const int signals[] = {SIGKILL, SIGTERM};

    start_pager();
    char *p = map(PROT_READ, MAP_SHARED);

    for (int i = 0; i < 4; i++) {
        int status = 0;
        pid_t pid = start_hanging(p, i >= 2);

        EXPECT_EQ(0, kill(pid, signals[i % 2]));
        EXPECT_EQ(pid, waitpid(pid, &status, 0));
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(signals[i % 2], WTERMSIG(status));
    }
    shared->page_in = ANSWER;
    EXPECT_EQ('a', p[0]);
}

/* --- memory that needs the server which copies it --------------------------------------------- */

TEST(a_server_copies_from_a_mapping_of_its_own_file)
{
    start_pager();
    char *p = map(PROT_READ, MAP_SHARED);

    EXPECT_EQ(2 * PAGE, pwrite(conn, p + 5 * PAGE, 2 * PAGE, 20 * PAGE));
    EXPECT_EQ('f', shared->store[20 * PAGE]);
    EXPECT_EQ('g', shared->store[21 * PAGE]);
}

TEST(a_server_copies_to_a_mapping_of_its_own_file)
{
    start_pager();
    char *p = map(RW, MAP_PRIVATE);
    char *q = map(RW, MAP_SHARED);

    EXPECT_EQ(2 * PAGE, pread(conn, p + 8 * PAGE + 100, 2 * PAGE, PAGE));
    EXPECT_EQ('i', p[8 * PAGE + 99]);
    EXPECT_EQ('b', p[8 * PAGE + 100]);
    EXPECT_EQ('c', p[10 * PAGE + 99]);
    EXPECT_EQ('k', p[10 * PAGE + 100]);
    EXPECT_EQ(2 * PAGE, pread(conn, q + 8 * PAGE, 2 * PAGE, 0));
    EXPECT_EQ('a', q[8 * PAGE]);
    EXPECT_EQ(2, shared->nr_notifies);
}

/* The file server is the pager of this program: nobody has touched these pages yet. */
static const char untouched[8 * PAGE] = {[3 * PAGE] = 'u', [8 * PAGE - 1] = 'v'};
static char unwritten[8 * PAGE] = {1, [3 * PAGE] = 'u'};

TEST(the_file_server_copies_from_and_to_untouched_pages_of_a_program)
{
    char back = 0;
    int fd = open("/tmp/untouched", O_RDWR | O_CREAT | O_TRUNC, 0600);

    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(sizeof(untouched), write(fd, untouched, sizeof(untouched)));
    EXPECT_EQ(1, pread(fd, &back, 1, 8 * PAGE - 1));
    EXPECT_EQ('v', back);
    EXPECT_EQ(5 * PAGE, pread(fd, unwritten + PAGE, 5 * PAGE, 0));
    EXPECT_EQ('u', unwritten[4 * PAGE]);
    EXPECT_EQ(0, unwritten[3 * PAGE]);
    unlink("/tmp/untouched");
}

UTEST_MAIN
