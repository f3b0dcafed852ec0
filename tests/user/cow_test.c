/*
 * Copy-on-write as the frames show it: which frame each process has before and after a write, a
 * fork, a pin, a forced write. The rules in front of the tests are those of docs/rules.md.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "cow"
#include "pagemap.h"
#include "utest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static char *map_anon(size_t nr_pages)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, ANON, -1, 0);

    EXPECT_TRUE(p != MAP_FAILED);
    return p;
}

/* A memfd of one page, whose first byte is 'f'. */
static int make_memfd(void)
{
    int fd = memfd_create("cow", 0);

    EXPECT_EQ(1, pwrite(fd, "f", 1, 0));
    EXPECT_EQ(0, ftruncate(fd, PAGE));
    return fd;
}

static int open_proc(pid_t pid, const char *name, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return open(path, flags);
}

static uint64_t frame_of(pid_t pid, const char *p)
{
    uint64_t word = pagemap_entry_of(pid, p);

    EXPECT_TRUE(word & PM_PRESENT);
    return word & PM_FRAME;
}

static uint64_t frame(const char *p)
{
    return frame_of(getpid(), p);
}

static char byte_of(pid_t pid, const char *p)
{
    int fd = open_proc(pid, "mem", O_RDONLY);
    char byte = 0;

    EXPECT_EQ(1, pread(fd, &byte, 1, (off_t)(uintptr_t)p));
    close(fd);
    return byte;
}

/* A child that touches nothing until it is killed. */
static pid_t start_child(void)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    EXPECT_TRUE(pid > 0);
    return pid;
}

static void end_child(pid_t pid)
{
    EXPECT_EQ(0, kill(pid, SIGKILL));
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
}

/* --- fork and writes -------------------------------------------------------------------------- */

/* HT1: a frame that was the parent's alone is both's, and whoever writes gets another. */
TEST(fork_shares_a_frame_and_the_writer_leaves_it)
{
    char *p = map_anon(1);
    uint64_t first;
    pid_t child;

    p[0] = 'a';
    first = frame(p);
    child = start_child();
    EXPECT_EQ(first, frame(p));
    EXPECT_EQ(first, frame_of(child, p));
    p[0] = 'b';
    EXPECT_NE(first, frame(p));
    EXPECT_EQ(first, frame_of(child, p));
    EXPECT_EQ('a', byte_of(child, p));
    end_child(child);
}

/* HT3: a frame that is shared already is shared with one more. */
TEST(fork_of_a_shared_frame_shares_it_again)
{
    char *p = map_anon(1);
    pid_t first, second;

    p[0] = 'a';
    first = start_child();
    second = start_child();
    EXPECT_EQ(frame(p), frame_of(first, p));
    EXPECT_EQ(frame(p), frame_of(second, p));
    end_child(first);
    p[0] = 'b';
    EXPECT_NE(frame(p), frame_of(second, p));
    EXPECT_EQ('a', byte_of(second, p));
    end_child(second);
}

/* HT5: who is left alone writes in place. */
TEST(the_last_owner_writes_in_place)
{
    char *p = map_anon(1);
    uint64_t first;

    p[0] = 'a';
    first = frame(p);
    end_child(start_child());
    p[0] = 'b';
    EXPECT_EQ(first, frame(p));
}

/* Holds a reference to the page, in a pipe. */
static void refer_to(char *p, int ends[2])
{
    struct iovec iov = {p, 1};

    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(1, vmsplice(ends[1], &iov, 1, 0));
}

/* HT5, J18: not where somebody else refers to the page, who keeps what was there. */
TEST(another_reference_makes_the_last_owner_copy)
{
    char *p = map_anon(1);
    char byte = 0;
    uint64_t first;
    int ends[2];

    p[0] = 'a';
    first = frame(p);
    end_child(start_child());
    refer_to(p, ends);
    p[0] = 'b';
    EXPECT_NE(first, frame(p));
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    EXPECT_EQ('a', byte);
}

/* HT4, H3: a frame that was never shared is written in place, whoever refers to it. */
TEST(an_exclusive_frame_is_written_in_place_whoever_refers_to_it)
{
    char *p = map_anon(1);
    char byte = 0;
    uint64_t first;
    int ends[2];

    p[0] = 'a';
    first = frame(p);
    refer_to(p, ends);
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_EQ(0, mprotect(p, PAGE, RW));
    p[0] = 'b';
    EXPECT_EQ(first, frame(p));
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    EXPECT_EQ('b', byte);
}

/* H2: the right to write comes back to an exclusive frame alone. */
TEST(mprotect_does_not_make_a_shared_frame_writable)
{
    char *p = map_anon(1);
    pid_t child;

    p[0] = 'a';
    child = start_child();
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_EQ(0, mprotect(p, PAGE, RW));
    p[0] = 'b';
    EXPECT_EQ('a', byte_of(child, p));
    end_child(child);
}

/* rule I4: what a fault finds again in the file is not copied; what was written privately is. */
TEST(fork_copies_no_entries_of_files_without_private_pages)
{
    int fd = make_memfd();
    char *shared = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    char *clean = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    char *written = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    pid_t child;

    ASSERT_TRUE(shared != MAP_FAILED && clean != MAP_FAILED && written != MAP_FAILED);
    shared[1] = 's';
    EXPECT_EQ('f', clean[0]);
    written[0] = 'w';
    child = start_child();
    EXPECT_FALSE(pagemap_entry_of(child, shared) & PM_PRESENT);
    EXPECT_FALSE(pagemap_entry_of(child, clean) & PM_PRESENT);
    EXPECT_EQ(frame(written), frame_of(child, written));
    EXPECT_EQ('s', byte_of(child, shared + 1));
    EXPECT_EQ('f', byte_of(child, clean));
    EXPECT_EQ('w', byte_of(child, written));
    end_child(child);
}

/* K3: nobody who writes through a shared mapping gets a frame of their own. */
TEST(a_write_through_a_shared_mapping_never_copies)
{
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED, make_memfd(), 0);
    uint64_t first;
    pid_t child;

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ('f', p[0]);
    first = frame(p);
    child = start_child();
    p[0] = 'g';
    EXPECT_EQ(first, frame(p));
    EXPECT_EQ('g', byte_of(child, p));
    EXPECT_EQ(first, frame_of(child, p));
    end_child(child);
}

/* K4: the zero page is everybody's, and a write to it gives a page of zeros. */
TEST(a_write_to_the_zero_page_gives_a_frame_of_zeros)
{
    char *p = map_anon(2);
    uint64_t zero;

    EXPECT_EQ(0, p[0]);
    EXPECT_EQ(0, p[PAGE]);
    zero = frame(p);
    EXPECT_EQ(zero, frame(p + PAGE));
    p[1] = 'x';
    EXPECT_NE(zero, frame(p));
    EXPECT_EQ(0, p[0]);
    EXPECT_EQ('x', p[1]);
    EXPECT_EQ(0, p[PAGE + 1]);
    EXPECT_EQ(zero, frame(p + PAGE));
}

#define ROUNDS 100

static volatile int *shared_word;
static _Atomic int nr_written; /* by the test */
static _Atomic int nr_seen;    /* by the thread */
static _Atomic int nr_late;

static void *look(void *unused)
{
    for (int i = 1; i <= ROUNDS; i++) {
        while (atomic_load(&nr_written) < i) {
            (void)*shared_word; /* keeps the old translation in use */
        }
        nr_late += *shared_word != i;
        atomic_store(&nr_seen, i);
    }
    return unused;
}

/* K2: once a write has returned, no thread finds the frame that was there before the copy. */
TEST(a_copy_is_what_every_thread_sees_at_once)
{
    pthread_t thread;

    shared_word = (volatile int *)map_anon(1);
    *shared_word = 0;
    ASSERT_EQ(0, pthread_create(&thread, NULL, look, NULL));
    for (int i = 1; i <= ROUNDS; i++) {
        pid_t child = start_child();

        *shared_word = i;
        atomic_store(&nr_written, i);
        while (atomic_load(&nr_seen) < i) {}
        end_child(child);
    }
    EXPECT_EQ(0, pthread_join(thread, NULL));
    EXPECT_EQ(0, nr_late);
}

/* --- pins ------------------------------------------------------------------------------------- */

static char read_remotely(pid_t pid, char *p)
{
    char byte = 0;
    struct iovec near = {&byte, 1};
    struct iovec remote = {p, 1};

    EXPECT_EQ(1, process_vm_readv(pid, &near, 1, &remote, 1, 0));
    return byte;
}

/* J8, HT6: a pin for reading takes no frame that somebody else has as well. */
TEST(a_read_pin_gives_a_shared_page_a_frame_of_its_own)
{
    char *p = map_anon(1);
    uint64_t first;
    pid_t child;

    p[0] = 'a';
    first = frame(p);
    child = start_child();
    EXPECT_EQ('a', read_remotely(child, p));
    EXPECT_NE(first, frame_of(child, p));
    EXPECT_EQ(first, frame(p));
    EXPECT_EQ('a', byte_of(child, p));
    EXPECT_EQ('a', p[0]);
    end_child(child);
}

static void clear_soft_dirty(pid_t pid)
{
    int fd = open_proc(pid, "clear_refs", O_WRONLY);

    EXPECT_EQ(1, write(fd, "4", 1));
    close(fd);
}

/* J10, P8: and dirties none. A write afterwards does, and needs no frame more. */
TEST(a_read_pin_is_no_write)
{
    char *p = map_anon(1);
    uint64_t own;
    pid_t child;

    p[0] = 'a';
    child = start_child();
    clear_soft_dirty(getpid());
    (void)read_remotely(getpid(), p);
    own = frame(p);
    EXPECT_NE(own, frame_of(child, p));
    EXPECT_FALSE(pagemap_entry(p) & PM_SOFT_DIRTY);
    p[0] = 'b';
    EXPECT_TRUE(pagemap_entry(p) & PM_SOFT_DIRTY);
    EXPECT_EQ(own, frame(p));
    EXPECT_EQ('a', byte_of(child, p));
    end_child(child);
}

/* J8: nor does a short pin touch what is a file's. */
TEST(a_short_read_pin_leaves_a_files_frame_where_it_is)
{
    int fd = make_memfd();
    char *shared = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    char *copy = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);

    ASSERT_TRUE(shared != MAP_FAILED && copy != MAP_FAILED);
    EXPECT_EQ('f', shared[0]);
    EXPECT_EQ('f', read_remotely(getpid(), copy));
    EXPECT_EQ('f', copy[0]);
    EXPECT_EQ(frame(shared), frame(copy));
    EXPECT_TRUE(pagemap_entry(copy) & PM_FILE);
}

static volatile char *where;

static void store(void)
{
    *where = 'x';
}

/* J7, J5: a debugger's write lands in a copy, in private memory alone, and gives nobody a right. */
TEST(a_forced_write_lands_in_a_copy_that_stays_read_only)
{
    int fd = make_memfd();
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    char *copy = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    int mem = open_proc(getpid(), "mem", O_RDWR);
    int status;

    ASSERT_TRUE(shared != MAP_FAILED && copy != MAP_FAILED && mem >= 0);
    EXPECT_EQ('f', copy[0]);
    EXPECT_EQ(1, pwrite(mem, "w", 1, (off_t)(uintptr_t)copy));
    EXPECT_EQ('w', copy[0]);
    EXPECT_EQ('f', shared[0]);
    EXPECT_NE(frame(shared), frame(copy));
    where = copy;
    status = utest_in_child(store);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    EXPECT_EQ(-1, pwrite(mem, "w", 1, (off_t)(uintptr_t)shared));
    EXPECT_EQ('f', shared[0]);
}

UTEST_MAIN
