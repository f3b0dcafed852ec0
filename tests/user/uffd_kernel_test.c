/*
 * userfaultfd: what the kernel itself reads and writes for a program waits for the pager as the
 * program would, or fails by the rules (C4 to C6, J16).
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_kernel"
#include "utest.h"
#include "uffd_tools.h"
#include "gup_device.h"

#include <linux/futex.h>
#include <sys/uio.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

enum { NR = 3, LENGTH = NR * 4096 - 200 };

/** struct call - a system call in a thread of its own, about memory that is not there. */
struct call {
    pthread_t thread;
    long (*make)(struct call *call);
    char *p;
    int ends[2];
    int fd;
    long result;
    int error;
    atomic_int is_through;
};

static void *make_call(void *argument)
{
    struct call *c = argument;

    errno = 0;
    c->result = c->make(c);
    c->error = errno;
    c->is_through = 1;
    return NULL;
}

static long write_to_pipe(struct call *c)
{
    return write(c->ends[1], c->p + 100, LENGTH);
}

static long read_from_pipe(struct call *c)
{
    return read(c->ends[0], c->p + 100, LENGTH);
}

static long write_to_file(struct call *c)
{
    return pwrite(c->fd, c->p + 100, LENGTH, 0);
}

static long read_from_file(struct call *c)
{
    return pread(c->fd, c->p + 100, LENGTH, 0);
}

static char own[NR * 4096];

static long read_by_process_vm(struct call *c)
{
    struct iovec local = {own, LENGTH};
    struct iovec remote = {c->p + 100, LENGTH};

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

static long write_by_process_vm(struct call *c)
{
    struct iovec local = {own, LENGTH};
    struct iovec remote = {c->p + 100, LENGTH};

    return process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static long gift_to_pipe(struct call *c)
{
    struct iovec piece = {c->p + 100, LENGTH};

    return vmsplice(c->ends[1], &piece, 1, 0);
}

static long populate_for_reading(struct call *c)
{
    return madvise(c->p, NR * PAGE, MADV_POPULATE_READ);
}

static long populate_for_writing(struct call *c)
{
    return madvise(c->p, NR * PAGE, MADV_POPULATE_WRITE);
}

static long lock(struct call *c)
{
    return mlock(c->p, NR * PAGE);
}

static long ask_futex(struct call *c)
{
    return syscall(SYS_futex, c->p, FUTEX_WAIT, 0x1234, NULL, NULL, 0);
}

static long ask_stat(struct call *c)
{
    return syscall(SYS_fstat, c->fd, c->p + PAGE);
}

static void call_prepare(struct call *c, long (*make)(struct call *call), char *p)
{
    memset(c, 0, sizeof(*c));
    c->make = make;
    c->p = p;
    EXPECT_EQ(0, pipe(c->ends));
    fcntl(c->ends[1], F_SETPIPE_SZ, 8 * PAGE);
    c->fd = open("/tmp/uffd_kernel", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink("/tmp/uffd_kernel");
    if (make == read_from_pipe) {
        EXPECT_EQ(LENGTH, write(c->ends[1], own, LENGTH));
    } else if (make == read_from_file) {
        EXPECT_EQ(LENGTH, write(c->fd, own, LENGTH));
    }
}

static void call_drop(struct call *c)
{
    close(c->ends[0]);
    close(c->ends[1]);
    close(c->fd);
}

static void fill_own(void)
{
    for (int i = 0; i < NR; i++) {
        fill_page(own + i * PAGE, (uint64_t)i + 50);
    }
}

/* The call asks for each page in turn, gets pages with the seeds 0, 1, …, and is through. */
static void serve(struct call *c, int nr_pages, char *first)
{
    int fd = uffd_open(0, 0);

    EXPECT_EQ(0, uffd_register(fd, c->p, NR, MISSING));
    EXPECT_EQ(0, pthread_create(&c->thread, NULL, make_call, c));
    for (int i = 0; i < nr_pages; i++) {
        EXPECT_EQ(first + i * PAGE, uffd_next_page(fd, NULL));
        EXPECT_EQ(0, c->is_through);
        EXPECT_EQ(0, uffd_copy(fd, first + i * PAGE, filled_page((uint64_t)i), 1, 0));
    }
    pthread_join(c->thread, NULL);
    close(fd);
}

struct plan {
    long (*make)(struct call *call);
    int nr_pages;
    int first;
    long result;
};

static const struct plan readers[] = {
    {write_to_pipe, NR, 0, LENGTH},      {write_to_file, NR, 0, LENGTH},
    {read_by_process_vm, NR, 0, LENGTH}, {gift_to_pipe, NR, 0, LENGTH},
    {populate_for_reading, NR, 0, 0},
};

static const struct plan writers[] = {
    {read_from_pipe, NR, 0, LENGTH},
    {read_from_file, NR, 0, LENGTH},
    {write_by_process_vm, NR, 0, LENGTH},
    {populate_for_writing, NR, 0, 0},
    {lock, NR, 0, 0},
    {ask_stat, 1, 1, 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_plan(const struct plan *plan, struct call *c)
{
    char *p = map_anonymous(NR);

    call_prepare(c, plan->make, p);
    serve(c, plan->nr_pages, p + plan->first * PAGE);
    EXPECT_EQ(plan->result, c->result);
}

TEST(a_call_that_reads_waits_for_every_page)
{
    static char expected[NR * 4096];
    static char got[NR * 4096];

    for (int i = 0; i < NR; i++) {
        fill_page(expected + i * PAGE, (uint64_t)i);
    }
    for (size_t i = 0; i < COUNT(readers); i++) {
        struct call c;

        check_plan(&readers[i], &c);
        memset(got, 0, sizeof(got));
        if (c.make == write_to_pipe || c.make == gift_to_pipe) {
            EXPECT_EQ(LENGTH, read(c.ends[0], got, LENGTH));
        } else if (c.make == write_to_file) {
            EXPECT_EQ(LENGTH, pread(c.fd, got, LENGTH, 0));
        } else if (c.make == read_by_process_vm) {
            memcpy(got, own, LENGTH);
        } else {
            memcpy(got, c.p + 100, LENGTH);
        }
        EXPECT_BYTES(expected + 100, got, LENGTH);
        call_drop(&c);
    }
}

TEST(a_call_that_writes_waits_for_every_page)
{
    fill_own();
    for (size_t i = 0; i < COUNT(writers); i++) {
        struct call c;

        check_plan(&writers[i], &c);
        if (c.make == read_from_pipe || c.make == read_from_file || c.make == write_by_process_vm) {
            EXPECT_BYTES(own, c.p + 100, LENGTH);
        }
        /* What the call did not write is what the pager gave. */
        if (writers[i].nr_pages == NR) {
            EXPECT_BYTES(filled_page(0), c.p, 100);
        }
        call_drop(&c);
    }
}

TEST(a_futex_waits_for_its_word)
{
    struct call c;

    call_prepare(&c, ask_futex, map_anonymous(NR));
    serve(&c, 1, c.p);
    EXPECT_EQ(-1, c.result);
    EXPECT_EQ(EAGAIN, c.error);
}

TEST(a_call_that_writes_waits_for_a_protected_page)
{
    fill_own();
    for (size_t i = 0; i < COUNT(writers); i++) {
        int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
        char *p = map_anonymous(NR);
        struct call c;

        if (writers[i].make == lock) {
            continue; /* finds every page there */
        }
        call_prepare(&c, writers[i].make, p);
        memset(p, 1, NR * PAGE);
        EXPECT_EQ(0, uffd_register(fd, p, NR, WP));
        EXPECT_EQ(0, uffd_protect(fd, p, NR));
        pthread_create(&c.thread, NULL, make_call, &c);
        for (int j = 0; j < writers[i].nr_pages; j++) {
            uint64_t flags = 0;
            char *page = uffd_next_page(fd, &flags);

            EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, flags);
            EXPECT_EQ(0, c.is_through);
            EXPECT_EQ(1, page[0]);
            EXPECT_EQ(0, uffd_unprotect(fd, page, 1));
        }
        pthread_join(c.thread, NULL);
        EXPECT_EQ(writers[i].result, c.result);
        call_drop(&c);
        close(fd);
    }
}

TEST(a_call_that_reads_does_not_wait_for_a_protected_page)
{
    static const struct plan *plans = readers;
    int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    char *p = map_anonymous(NR);

    memset(p, 1, NR * PAGE);
    EXPECT_EQ(0, uffd_register(fd, p, NR, WP));
    EXPECT_EQ(0, uffd_protect(fd, p, NR));
    for (size_t i = 0; i < COUNT(readers); i++) {
        struct call c;

        call_prepare(&c, plans[i].make, p);
        EXPECT_EQ(plans[i].result, c.make(&c));
        call_drop(&c);
    }
    for (int i = 0; i < NR; i++) {
        EXPECT_TRUE(page_is_protected(p + i * PAGE));
    }
}

static void check_refusals(int fd, uint64_t modes, const struct plan *plans, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        char *p = map_anonymous(NR);
        struct call c;

        call_prepare(&c, plans[i].make, p);
        if (modes == WP) {
            memset(p, 1, NR * PAGE);
        }
        EXPECT_EQ(0, uffd_register(fd, p, NR, modes));
        if (modes == WP) {
            EXPECT_EQ(0, uffd_protect(fd, p, NR));
        }
        errno = 0;
        c.result = c.make(&c);
        c.error = errno;
        EXPECT_EQ(-1, c.result);
        EXPECT_EQ(c.make == lock ? ENOMEM : EFAULT, c.error);
        call_drop(&c);
    }
}

/* mlock() finds what is protected there already, so it is left out of the last. */
TEST(user_mode_only_and_sigbus_make_calls_fail)
{
    check_refusals(uffd_open(UFFD_USER_MODE_ONLY, 0), MISSING, readers, COUNT(readers));
    check_refusals(uffd_open(UFFD_USER_MODE_ONLY, 0), MISSING, writers, COUNT(writers));
    check_refusals(uffd_open(UFFD_USER_MODE_ONLY, 0), WP, writers, 3);
    check_refusals(uffd_open(0, UFFD_FEATURE_SIGBUS), MISSING, readers, COUNT(readers));
    check_refusals(uffd_open(0, UFFD_FEATURE_SIGBUS), MISSING, writers, COUNT(writers));
    check_refusals(uffd_open(0, UFFD_FEATURE_SIGBUS), WP, writers, 3);
}

TEST(user_mode_only_still_serves_the_program)
{
    int fd = uffd_open(UFFD_USER_MODE_ONLY, 0);
    char *p = map_anonymous(1);
    struct toucher t;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p, TOUCH_READ, 0);
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(1), 1, 0));
    toucher_join(&t);
}

/* Whether the file holds data there or nothing makes no difference. */
TEST(a_call_takes_what_it_gets_before_a_bad_page)
{
    for (int is_hole = 0; is_hole < 2; is_hole++) {
        int fd = uffd_open(0, UFFD_FEATURE_SIGBUS);
        int file = memfd_create("file", 0);
        char *p = map_anonymous(NR);

        EXPECT_EQ(0, ftruncate(file, NR * PAGE));
        p[0] = 1;
        if (!is_hole) {
            EXPECT_EQ(PAGE, pwrite(file, p, PAGE, 0));
        }
        EXPECT_EQ(0, uffd_register(fd, p, NR, MISSING));
        EXPECT_EQ(6, pread(file, p + PAGE - 6, PAGE, 0));
        EXPECT_EQ(6, pwrite(file, p + PAGE - 6, PAGE, 0));
        EXPECT_ERRNO(EFAULT, pread(file, p + PAGE, PAGE, 0));
        close(file);
        close(fd);
    }
}

TEST(who_brings_in_pages_in_advance_is_told_of_poison)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_POISON);
        struct region r = region_make(memory, 2);

        EXPECT_EQ(0, uffd_register(fd, r.p, 2, WP));
        EXPECT_EQ(0, uffd_poison(fd, r.p + PAGE, 1, 0));
        EXPECT_ERRNO(EHWPOISON, madvise(r.p, 2 * PAGE, MADV_POPULATE_READ));
        EXPECT_ERRNO(EHWPOISON, madvise(r.p, 2 * PAGE, MADV_POPULATE_WRITE));
        EXPECT_ERRNO(ENOMEM, mlock(r.p, 2 * PAGE));
        close(fd);
        region_drop(&r);
    }
}

static atomic_int nr_handled;

static void count_signal(int signal)
{
    (void)signal;
    nr_handled++;
}

/* Copies in and out of the kernel are not broken off half-way. */
TEST(a_signal_with_a_handler_waits_until_the_call_is_over)
{
    int fd = uffd_open(O_NONBLOCK, 0);
    struct call c;

    nr_handled = 0;
    signal(SIGUSR1, count_signal);
    call_prepare(&c, read_from_pipe, map_anonymous(NR));
    EXPECT_EQ(0, uffd_register(fd, c.p, NR, MISSING));
    pthread_create(&c.thread, NULL, make_call, &c);
    EXPECT_EQ(0, uffd_wait(fd));
    pthread_kill(c.thread, SIGUSR1);
    give_way();
    EXPECT_EQ(0, c.is_through);
    EXPECT_EQ(0, nr_handled);
    for (int i = 0; i < NR; i++) {
        EXPECT_EQ(0, uffd_zeropage(fd, c.p + i * PAGE, 1, 0));
    }
    pthread_join(c.thread, NULL);
    EXPECT_EQ(LENGTH, c.result);
    EXPECT_EQ(1, nr_handled);
    close(fd);
}

TEST(a_kill_ends_a_call_that_waits)
{
    for (size_t i = 0; i < COUNT(readers) + COUNT(writers); i++) {
        const struct plan *plan = i < COUNT(readers) ? &readers[i] : &writers[i - COUNT(readers)];
        int ends[2];
        int status = 0;
        char byte;
        pid_t pid;

        EXPECT_EQ(0, pipe(ends));
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            int fd = uffd_open(0, 0);
            struct call c;

            call_prepare(&c, plan->make, map_anonymous(NR));
            uffd_register(fd, c.p, NR, MISSING);
            pthread_create(&c.thread, NULL, make_call, &c);
            uffd_next_page(fd, NULL);
            write(ends[1], "x", 1);
            pthread_join(c.thread, NULL);
            _exit(1);
        }
        EXPECT_EQ(1, read(ends[0], &byte, 1));
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status));
        close(ends[0]);
        close(ends[1]);
    }
}

TEST(another_process_waits_as_its_owner_would)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    int status = 1;
    pid_t parent = getpid();

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    fflush(stdout);
    if (fork() == 0) {
        static char page[4096];
        struct iovec local = {page, PAGE};
        struct iovec remote = {p, PAGE};

        _exit(process_vm_readv(parent, &local, 1, &remote, 1, 0) != (ssize_t)PAGE ||
              !page_is(page, 4));
    }
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(4), 1, 0));
    wait(&status);
    EXPECT_EQ(0, status);
}

static long pin_by(int fd, char *p, unsigned long command)
{
    struct gup_test test = {
        .addr = (uintptr_t)p, .size = NR * PAGE, .nr_pages_per_call = NR, .gup_flags = FOLL_WRITE};

    return ioctl(fd, command, &test) == 0 ? (long)test.size : -1;
}

static long pin(struct call *c)
{
    return pin_by(c->fd, c->p, PIN_FAST_BENCHMARK);
}

static long pin_for_long(struct call *c)
{
    struct pin_longterm_test request = {(uintptr_t)c->p, NR * PAGE,
                                        LONGTERM_USE_WRITE | LONGTERM_USE_FAST};

    return ioctl(c->fd, PIN_LONGTERM_TEST_START, &request);
}

/* J16. */
TEST(a_pin_waits_for_every_page)
{
    for (int is_long = 0; is_long < 2; is_long++) {
        int device = gup_open();
        struct call c;

        call_prepare(&c, is_long ? pin_for_long : pin, map_anonymous(NR));
        close(c.fd);
        c.fd = device;
        serve(&c, NR, c.p);
        EXPECT_EQ(is_long ? 0 : (long)(NR * PAGE), c.result);
        call_drop(&c);
    }
}

/* J16: this command keeps the memory's lock while it pins, so it may not wait. */
TEST(a_pin_that_may_not_wait_takes_nothing)
{
    int device = gup_open();
    int fd = uffd_open(O_NONBLOCK, 0);
    char *p = map_anonymous(NR);

    EXPECT_EQ(0, uffd_register(fd, p, NR, MISSING));
    EXPECT_EQ(0, pin_by(device, p, PIN_BASIC_TEST));
    EXPECT_FALSE(uffd_is_readable(fd));
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    EXPECT_EQ(-EEXIST, uffd_zeropage(fd, p, 1, 0));
}

UTEST_MAIN
