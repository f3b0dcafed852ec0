/*
 * A pager never waits for itself (rules P1, P2, P6, P7, P9). It write-protects a page, writes it
 * out, drops it, and gives back at the next fault what it wrote: the bytes that were there when it
 * protected the page. Five ways out: a file of the file server, a pipe, another process's copy, a
 * pipe that takes the page itself, a pin for long.
 *
 * The pager is the thread that would answer a fault of its own: if writing out raised one, the test
 * would end by its alarm. The page is the process's own, shared with a child, or a file's.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_deadlock"
#include "utest.h"
#include "uffd_tools.h"
#include "gup_device.h"

#include <sys/uio.h>

enum page_kind { OWN, SHARED_WITH_CHILD, PRIVATE_FILE, SHARED_FILE, ZEROS, NR_PAGE_KINDS };

static const char *const kind_names[NR_PAGE_KINDS] = {
    "own", "shared with a child", "of a file, private", "of a file, shared", "of zeros"};

/** struct scene - one page, what it holds, and where it has been written to. */
struct scene {
    enum page_kind kind;
    int fd;
    struct region r;
    pid_t child;
    int out;
    int ends[2];
    int ask[2];
    pid_t reader;
    struct toucher writer;
    char expected[4096];
    char written[4096];
};

/* A way to write the page out, and to get what was written. */
struct way {
    void (*open)(struct scene *s);
    void (*write_out)(struct scene *s);
    void (*read_back)(struct scene *s);
    void (*close)(struct scene *s);
};

/* --- ways ------------------------------------------------------------------------------------- */

static void file_open(struct scene *s)
{
    s->out = open("/tmp/uffd_deadlock", O_RDWR | O_CREAT | O_TRUNC, 0600);
    EXPECT_LE(0, s->out);
    unlink("/tmp/uffd_deadlock");
}

static void file_write(struct scene *s)
{
    EXPECT_EQ(PAGE, write(s->out, s->r.p, PAGE));
}

static void file_read(struct scene *s)
{
    EXPECT_EQ(PAGE, pread(s->out, s->written, PAGE, 0));
}

static void file_close(struct scene *s)
{
    close(s->out);
}

static void pipe_open(struct scene *s)
{
    EXPECT_EQ(0, pipe(s->ends));
}

static void pipe_write(struct scene *s)
{
    EXPECT_EQ(PAGE, write(s->ends[1], s->r.p, PAGE));
}

static void pipe_gift(struct scene *s)
{
    struct iovec piece = {s->r.p, PAGE};

    EXPECT_EQ(PAGE, vmsplice(s->ends[1], &piece, 1, 0));
}

static void pipe_read(struct scene *s)
{
    EXPECT_EQ(PAGE, read(s->ends[0], s->written, PAGE));
}

static void pipe_close(struct scene *s)
{
    close(s->ends[0]);
    close(s->ends[1]);
}

/* Another process reads the page when it is asked, and sends what it got. */
static void reader_open(struct scene *s)
{
    pid_t parent = getpid();

    EXPECT_EQ(0, pipe(s->ends) | pipe(s->ask));
    fflush(stdout);
    s->reader = fork();
    if (s->reader == 0) {
        static char copy[4096];
        struct iovec local = {copy, PAGE};
        struct iovec remote = {s->r.p, PAGE};
        char byte;

        while (read(s->ask[0], &byte, 1) == 1) {
            write(s->ends[1], copy, (size_t)process_vm_readv(parent, &local, 1, &remote, 1, 0));
        }
        _exit(0);
    }
}

static void reader_write(struct scene *s)
{
    EXPECT_EQ(1, write(s->ask[1], "x", 1));
    EXPECT_EQ(PAGE, read(s->ends[0], s->written, PAGE));
}

static void reader_read(struct scene *s)
{
    (void)s;
}

static void reader_close(struct scene *s)
{
    kill(s->reader, SIGKILL);
    waitpid(s->reader, NULL, 0);
    close(s->ask[0]);
    close(s->ask[1]);
    pipe_close(s);
}

static void pin_open(struct scene *s)
{
    s->out = gup_open();
}

static void pin_write(struct scene *s)
{
    struct pin_longterm_test pin = {(uintptr_t)s->r.p, PAGE, 0};

    EXPECT_EQ(0, ioctl(s->out, PIN_LONGTERM_TEST_START, &pin));
}

static void pin_read(struct scene *s)
{
    uint64_t to = (uintptr_t)s->written;

    EXPECT_EQ(0, ioctl(s->out, PIN_LONGTERM_TEST_READ, &to));
    EXPECT_EQ(0, ioctl(s->out, PIN_LONGTERM_TEST_STOP, 0));
}

/* --- scene ------------------------------------------------------------------------------------ */

static void place(struct scene *s, enum page_kind kind)
{
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->fd = uffd_open(O_NONBLOCK, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED);
    s->r = region_make(kind == PRIVATE_FILE  ? SHMEM_PRIVATE
                       : kind == SHARED_FILE ? SHMEM_SHARED
                                             : ANON,
                       1);
    if (kind == ZEROS) {
        EXPECT_TRUE(*(volatile char *)s->r.p == 0);
    } else {
        fill_page(s->expected, 77);
        fill_page(s->r.other != NULL ? s->r.other : s->r.p, 77);
    }
    EXPECT_BYTES(s->expected, s->r.p, PAGE);
    if (kind == SHARED_WITH_CHILD) {
        fflush(stdout);
        s->child = fork();
        if (s->child == 0) {
            close(s->fd);
            pause();
            _exit(0);
        }
    }
    EXPECT_EQ(0, uffd_register(s->fd, s->r.p, 1, MISSING | WP));
}

/* A thread of the program writes while the pager has the page out: it waits, and its byte must not
 * be in what was written. */
static void start_writer(struct scene *s)
{
    uint64_t flags = 0;

    toucher_start(&s->writer, s->r.p + 5, TOUCH_WRITE, 99);
    EXPECT_EQ(0, uffd_wait(s->fd));
    EXPECT_EQ(s->r.p, uffd_next_page(s->fd, &flags));
    EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, flags);
}

/* The pager drops the page, is asked for it, and gives back what it wrote out. */
static void drop_and_refill(struct scene *s, const struct way *way, int has_writer)
{
    struct toucher toucher;
    uint64_t flags = 0;
    struct toucher *t = has_writer ? &s->writer : &toucher;

    if (s->kind == SHARED_FILE) {
        EXPECT_EQ(0, madvise(s->r.p, PAGE, MADV_REMOVE));
    } else if (s->kind == PRIVATE_FILE) {
        EXPECT_EQ(0, madvise(s->r.other, PAGE, MADV_REMOVE));
        EXPECT_EQ(0, madvise(s->r.p, PAGE, MADV_DONTNEED));
    } else {
        EXPECT_EQ(0, madvise(s->r.p, PAGE, MADV_DONTNEED));
    }
    if (has_writer) {
        EXPECT_EQ(0, uffd_wake(s->fd, s->r.p, 1));
    } else {
        toucher_start(t, s->r.p + 5, TOUCH_READ, 0);
    }
    EXPECT_EQ(0, uffd_wait(s->fd));
    EXPECT_EQ(s->r.p, uffd_next_page(s->fd, &flags));
    EXPECT_EQ(has_writer ? UFFD_PAGEFAULT_FLAG_WRITE : 0, flags);
    way->read_back(s);
    EXPECT_BYTES(s->expected, s->written, PAGE);
    EXPECT_EQ(0, uffd_copy(s->fd, s->r.p, s->written, 1, 0));
    toucher_join(t);
    if (has_writer) {
        s->expected[5] = 99;
    } else {
        EXPECT_EQ(s->expected[5], t->value);
    }
    EXPECT_BYTES(s->expected, s->r.p, PAGE);
}

static void check_way(const struct way *way)
{
    for (enum page_kind kind = 0; kind < NR_PAGE_KINDS; kind++) {
        for (int has_writer = 0; has_writer < 2; has_writer++) {
            struct uffd_msg message;
            unsigned before = utest_failures;
            struct scene s;

            place(&s, kind);
            way->open(&s);
            EXPECT_EQ(0, uffd_protect(s.fd, s.r.p, 1));
            if (has_writer) {
                start_writer(&s);
            }
            way->write_out(&s);
            /* Writing out asked nothing, and the page is protected still. */
            EXPECT_EQ(-EAGAIN, uffd_read(s.fd, &message));
            EXPECT_TRUE(page_is_protected(s.r.p));
            drop_and_refill(&s, way, has_writer);
            way->close(&s);
            if (s.child > 0) {
                kill(s.child, SIGKILL);
                waitpid(s.child, NULL, 0);
            }
            close(s.fd);
            region_drop(&s.r);
            if (utest_failures != before) {
                printf("# a page %s, %s\n", kind_names[kind],
                       has_writer ? "with a writer" : "without a writer");
            }
        }
    }
}

/* P9, P2, P6. */
TEST(writing_to_a_file)
{
    check_way(&(struct way){file_open, file_write, file_read, file_close});
}

TEST(writing_to_a_pipe)
{
    check_way(&(struct way){pipe_open, pipe_write, pipe_read, pipe_close});
}

/* P9: process_vm_readv(2) takes the page by a pin. */
TEST(another_process_copies)
{
    check_way(&(struct way){reader_open, reader_write, reader_read, reader_close});
}

TEST(a_pipe_takes_the_page)
{
    check_way(&(struct way){pipe_open, pipe_gift, pipe_read, pipe_close});
}

/* P9, P6. */
TEST(a_long_pin_for_reading)
{
    check_way(&(struct way){pin_open, pin_write, pin_read, file_close});
}

/* The pin gives the process a page of its own where it had shared one; its protection stays, so a
 * write asks (rule P7). */
TEST(a_page_pinned_while_protected_asks_at_its_next_write)
{
    for (enum page_kind kind = OWN; kind <= PRIVATE_FILE; kind++) {
        struct scene s;

        place(&s, kind);
        pin_open(&s);
        EXPECT_EQ(0, uffd_protect(s.fd, s.r.p, 1));
        pin_write(&s);
        EXPECT_TRUE(page_is_protected(s.r.p));
        start_writer(&s);
        EXPECT_EQ(0, uffd_unprotect(s.fd, s.r.p, 1));
        toucher_join(&s.writer);
        /* The pin and the process have one page. */
        pin_read(&s);
        EXPECT_EQ(99, s.written[5]);
        EXPECT_EQ(99, s.r.p[5]);
        if (s.child > 0) {
            kill(s.child, SIGKILL);
            waitpid(s.child, NULL, 0);
        }
        close(s.fd);
        region_drop(&s.r);
    }
}

UTEST_MAIN
