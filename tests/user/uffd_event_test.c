/*
 * userfaultfd: events about the layout (rules G): fork, mremap, MADV_DONTNEED and its like, munmap.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_event"
#include "utest.h"
#include "uffd_tools.h"

#include <sys/resource.h>

#define ALL_EVENTS                                                                                 \
    (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |              \
     UFFD_FEATURE_EVENT_UNMAP)

/** struct deed - a call that a thread makes, and that it has come back. */
struct deed {
    pthread_t thread;
    int kind;
    int advice; /* of DEED_DROP */
    char *p;
    size_t len;
    char *target;
    long result;
    atomic_int is_through;
};

enum { DEED_FORK, DEED_REMAP, DEED_UNMAP, DEED_DROP, DEED_MAP_OVER };

static void *do_deed(void *argument)
{
    struct deed *d = argument;

    if (d->kind == DEED_FORK) {
        d->result = fork();
        if (d->result == 0) {
            pause();
            _exit(0);
        }
    } else if (d->kind == DEED_REMAP) {
        d->result = (long)mremap(d->p, d->len, d->len, MREMAP_MAYMOVE | MREMAP_FIXED, d->target);
    } else if (d->kind == DEED_UNMAP) {
        d->result = munmap(d->p, d->len);
    } else if (d->kind == DEED_MAP_OVER) {
        d->result = (long)mmap(d->p, d->len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    } else {
        d->result = madvise(d->p, d->len, d->advice);
    }
    d->is_through = 1;
    return NULL;
}

static void start(struct deed *d, int kind, char *p, size_t nr_pages)
{
    d->kind = kind;
    d->p = p;
    d->len = nr_pages * PAGE;
    d->is_through = 0;
    EXPECT_EQ(0, pthread_create(&d->thread, NULL, do_deed, d));
}

static void end_child(pid_t pid)
{
    EXPECT_LE(1, pid);
    if (pid > 0) {
        kill(pid, SIGKILL);
        EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    }
}

static long finish(struct deed *d)
{
    pthread_join(d->thread, NULL);
    return d->result;
}

TEST(a_fork_waits_until_it_is_read_and_gives_a_descriptor)
{
    int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
    struct deed d = {0};
    struct uffd_msg message;
    char *p = map_anonymous(2);
    int child_fd;
    pid_t pid;

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    start(&d, DEED_FORK, NULL, 0);
    EXPECT_EQ(0, uffd_wait(fd));
    give_way();
    EXPECT_EQ(0, d.is_through);
    EXPECT_EQ(UFFD_EVENT_FORK, uffd_read(fd, &message));
    pid = (pid_t)finish(&d);
    child_fd = (int)message.arg.fork.ufd;
    EXPECT_TRUE(fcntl(child_fd, F_GETFL) & O_NONBLOCK);
    /* The descriptor is about the child's memory, registered as the parent's. */
    EXPECT_EQ(0, uffd_copy(child_fd, p, filled_page(1), 1, 0));
    EXPECT_EQ(-EEXIST, uffd_copy(child_fd, p, filled_page(1), 1, 0));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(2), 1, 0));
    end_child(pid);
    EXPECT_EQ(-ESRCH, uffd_copy(child_fd, p + PAGE, filled_page(1), 1, 0));
}

/* A thread that reads the event of a fork and keeps its descriptor. */
static void *read_fork(void *argument)
{
    struct uffd_msg message = {0};
    int event = uffd_read(*(int *)argument, &message);

    return (void *)(intptr_t)(event == UFFD_EVENT_FORK ? (int)message.arg.fork.ufd : -1);
}

/* Fork, reading the event. Return: as fork(); in the parent, the child's descriptor in @child_fd.
 */
static pid_t fork_and_read(int fd, int *child_fd)
{
    pthread_t reader;
    void *result = NULL;
    pid_t pid;

    fflush(stdout);
    pthread_create(&reader, NULL, read_fork, &fd);
    pid = fork();
    if (pid != 0) {
        pthread_join(reader, &result);
        *child_fd = (int)(intptr_t)result;
        EXPECT_LE(0, *child_fd);
    }
    return pid;
}

TEST(a_childs_faults_arrive_at_its_own_descriptor)
{
    int fd = uffd_open(0, UFFD_FEATURE_EVENT_FORK);
    char *p = map_anonymous(1);
    int child_fd = -1;
    int status = -1;
    pid_t pid;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    pid = fork_and_read(fd, &child_fd);
    if (pid == 0) {
        _exit(!page_is(p, 8));
    }
    EXPECT_EQ(p, uffd_next_page(child_fd, NULL));
    EXPECT_EQ(0, uffd_copy(child_fd, p, filled_page(8), 1, 0));
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);
}

TEST(a_child_keeps_protection_with_the_event_only)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        for (int with_event = 0; with_event < 2; with_event++) {
            int fd = uffd_open(0, UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_PAGEFAULT_FLAG_WP |
                                      (with_event ? UFFD_FEATURE_EVENT_FORK : 0));
            struct region r = region_make(memory, 2);
            int child_fd = -1;
            int status = -1;
            pid_t pid;

            r.p[0] = 1;
            EXPECT_EQ(0, uffd_register(fd, r.p, 2, WP));
            EXPECT_EQ(0, uffd_protect(fd, r.p, 2));
            if (with_event) {
                pid = fork_and_read(fd, &child_fd);
            } else {
                fflush(stdout);
                pid = fork();
            }
            if (pid == 0) {
                _exit(page_is_protected(r.p) + 2 * page_is_protected(r.p + PAGE));
            }
            waitpid(pid, &status, 0);
            EXPECT_EQ(with_event ? 3 << 8 : 0, status);
            EXPECT_TRUE(page_is_protected(r.p) && page_is_protected(r.p + PAGE));
            close(child_fd);
            close(fd);
            region_drop(&r);
        }
    }
}

TEST(without_the_event_a_child_is_not_registered)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    int status = -1;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    fflush(stdout);
    if (fork() == 0) {
        _exit(*(volatile char *)p);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

TEST(every_registration_of_a_fork_has_one_descriptor)
{
    int fd = uffd_open(0, UFFD_FEATURE_EVENT_FORK);
    char *p = map_anonymous(3);
    int child_fd = -1;
    pid_t pid;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING) | uffd_register(fd, p + 2 * PAGE, 1, MISSING));
    pid = fork_and_read(fd, &child_fd);
    if (pid == 0) {
        pause();
        _exit(0);
    }
    EXPECT_EQ(0, uffd_zeropage(child_fd, p, 1, 0));
    EXPECT_EQ(0, uffd_zeropage(child_fd, p + 2 * PAGE, 1, 0));
    EXPECT_EQ(-ENOENT, uffd_zeropage(child_fd, p + PAGE, 1, 0));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    EXPECT_FALSE(uffd_is_readable(fd));
    end_child(pid);
}

TEST(a_fork_that_cannot_give_a_descriptor_stays_to_be_read)
{
    int fd = uffd_open(O_NONBLOCK, UFFD_FEATURE_EVENT_FORK);
    struct deed d = {0};
    struct uffd_msg message;
    int filler[64];
    int nr = 0;
    pid_t pid;

    EXPECT_EQ(0, uffd_register(fd, map_anonymous(1), 1, MISSING));
    EXPECT_EQ(0, setrlimit(RLIMIT_NOFILE, &(struct rlimit){32, 32}));
    start(&d, DEED_FORK, NULL, 0);
    EXPECT_EQ(0, uffd_wait(fd));
    while ((filler[nr] = dup(fd)) >= 0) {
        nr++;
    }
    EXPECT_EQ(-EMFILE, uffd_read(fd, &message));
    EXPECT_EQ(0, d.is_through);
    close(filler[--nr]);
    EXPECT_EQ(UFFD_EVENT_FORK, uffd_read(fd, &message));
    pid = (pid_t)finish(&d);
    end_child(pid);
}

/* ---------------------------------------------------------------------------------------------- */

TEST(a_remap_tells_from_where_to_where)
{
    int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
    char *p = map_anonymous(2);
    char *target = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct deed d = {.target = target};
    struct uffd_msg message;
    struct toucher t;

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING | WP));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(1), 1, UFFDIO_COPY_MODE_WP));
    start(&d, DEED_REMAP, p, 2);
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(UFFD_EVENT_REMAP, uffd_read(fd, &message));
    EXPECT_EQ((uintptr_t)p, message.arg.remap.from);
    EXPECT_EQ((uintptr_t)target, message.arg.remap.to);
    EXPECT_EQ(2 * PAGE, message.arg.remap.len);
    /* What is left behind counts as unmapped. */
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(UFFD_EVENT_UNMAP, uffd_read(fd, &message));
    EXPECT_EQ((uintptr_t)p, message.arg.remove.start);
    EXPECT_EQ((uintptr_t)p + 2 * PAGE, message.arg.remove.end);
    EXPECT_EQ((long)target, finish(&d));
    EXPECT_TRUE(page_is_protected(target));
    /* It is registered where it is now. */
    toucher_start(&t, target + PAGE, TOUCH_READ, 0);
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(target + PAGE, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, uffd_zeropage(fd, target + PAGE, 1, 0));
    toucher_join(&t);
}

TEST(without_the_event_a_remap_ends_the_registration)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(2);
    char *target = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    EXPECT_TRUE(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    EXPECT_EQ(-ENOENT, uffd_zeropage(fd, target, 1, 0));
    EXPECT_EQ(0, target[0]);
}

TEST(a_remap_that_fails_tells_nothing_and_blocks_nothing)
{
    int fd = uffd_open(O_NONBLOCK, UFFD_FEATURE_EVENT_REMAP);
    char *p = map_anonymous(2);

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    EXPECT_TRUE(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 1) == MAP_FAILED);
    EXPECT_FALSE(uffd_is_readable(fd));
    EXPECT_EQ(0, uffd_zeropage(fd, p + PAGE, 1, 0));
}

/* O4. */
TEST(dropping_pages_is_told_before_they_go)
{
    static const int advice[] = {MADV_DONTNEED, MADV_FREE};

    for (int i = 0; i < 2; i++) {
        int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
        char *p = map_anonymous(4);
        struct deed d = {.advice = advice[i]};
        struct uffd_msg message;

        EXPECT_EQ(0, uffd_register(fd, p, 4, MISSING));
        EXPECT_EQ(0, uffd_copy(fd, p + PAGE, filled_page(1), 1, 0));
        start(&d, DEED_DROP, p + PAGE, 2);
        EXPECT_EQ(0, uffd_wait(fd));
        give_way();
        EXPECT_EQ(0, d.is_through);
        EXPECT_EQ(-EAGAIN, uffd_zeropage(fd, p, 1, 0));
        EXPECT_EQ(-EAGAIN, uffd_done);
        EXPECT_EQ(UFFD_EVENT_REMOVE, uffd_read(fd, &message));
        EXPECT_EQ((uintptr_t)p + PAGE, message.arg.remove.start);
        EXPECT_EQ((uintptr_t)p + 3 * PAGE, message.arg.remove.end);
        EXPECT_EQ(0, finish(&d));
        EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
        EXPECT_EQ(i == 0 ? 0 : -EEXIST, uffd_zeropage(fd, p + PAGE, 1, 0));
        close(fd);
    }
}

TEST(punching_a_hole_is_told_too)
{
    int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
    struct region r = region_make(SHMEM_SHARED, 2);
    struct deed d = {.advice = MADV_REMOVE};
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(fd, r.p, 2, MISSING));
    EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(1), 1, 0));
    start(&d, DEED_DROP, r.p, 1);
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(UFFD_EVENT_REMOVE, uffd_read(fd, &message));
    EXPECT_EQ((uintptr_t)r.p, message.arg.remove.start);
    EXPECT_EQ(0, finish(&d));
    EXPECT_EQ(0, uffd_zeropage(fd, r.p, 1, 0));
    /* Through another mapping it is nobody's business here. */
    EXPECT_EQ(0, madvise(r.other, PAGE, MADV_REMOVE));
    EXPECT_FALSE(uffd_is_readable(fd));
}

TEST(unmapping_is_told_for_what_was_registered)
{
    for (int kind = DEED_UNMAP; kind <= DEED_MAP_OVER; kind += DEED_MAP_OVER - DEED_UNMAP) {
        int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
        char *p = map_anonymous(6);
        struct deed d = {0};
        struct uffd_msg message;

        EXPECT_EQ(0, uffd_register(fd, p + PAGE, 4, MISSING));
        start(&d, kind, p + 2 * PAGE, 4);
        EXPECT_EQ(0, uffd_wait(fd));
        EXPECT_EQ(UFFD_EVENT_UNMAP, uffd_read(fd, &message));
        EXPECT_EQ((uintptr_t)p + 2 * PAGE, message.arg.remove.start);
        /* The call's range, cut to where the registered mapping ends or not, covers it. */
        EXPECT_LE((uintptr_t)p + 5 * PAGE, message.arg.remove.end);
        EXPECT_EQ(kind == DEED_UNMAP ? 0 : (long)(p + 2 * PAGE), finish(&d));
        EXPECT_FALSE(uffd_is_readable(fd));
        EXPECT_EQ(0, uffd_zeropage(fd, p + PAGE, 1, 0));
        close(fd);
    }
}

TEST(two_descriptors_hear_of_one_call)
{
    int one = uffd_open(O_NONBLOCK, ALL_EVENTS);
    int two = uffd_open(O_NONBLOCK, ALL_EVENTS);
    char *p = map_anonymous(2);
    struct deed d = {0};
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(one, p, 1, MISSING) | uffd_register(two, p + PAGE, 1, MISSING));
    start(&d, DEED_UNMAP, p, 2);
    EXPECT_EQ(0, uffd_wait(one));
    EXPECT_EQ(UFFD_EVENT_UNMAP, uffd_read(one, &message));
    EXPECT_EQ(0, uffd_wait(two));
    EXPECT_EQ(UFFD_EVENT_UNMAP, uffd_read(two, &message));
    EXPECT_EQ(0, finish(&d));
}

/* But not a fork: its child, not running yet, has the descriptor too. */
TEST(closing_frees_whoever_waits_to_be_read)
{
    for (int kind = DEED_REMAP; kind <= DEED_DROP; kind++) {
        int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
        char *p = map_anonymous(1);
        char *target = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct deed d = {.target = target, .advice = MADV_DONTNEED};

        EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
        start(&d, kind, p, 1);
        EXPECT_EQ(0, uffd_wait(fd));
        close(fd);
        EXPECT_EQ(kind == DEED_REMAP ? (long)target : 0, finish(&d));
    }
}

TEST(faults_are_read_before_events)
{
    int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
    char *p = map_anonymous(2);
    struct deed d = {.advice = MADV_DONTNEED};
    struct toucher t;
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    start(&d, DEED_DROP, p, 1);
    EXPECT_EQ(0, uffd_wait(fd));
    toucher_start(&t, p + PAGE, TOUCH_READ, 0);
    uffd_await_pending(fd, 1);
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(fd, &message));
    EXPECT_EQ(UFFD_EVENT_REMOVE, uffd_read(fd, &message));
    EXPECT_EQ(0, finish(&d));
    EXPECT_EQ(0, uffd_zeropage(fd, p + PAGE, 1, 0));
    toucher_join(&t);
}

TEST(a_kill_ends_whoever_waits_to_be_read)
{
    int status = 0;
    int ends[2];
    char byte;
    pid_t pid;

    EXPECT_EQ(0, pipe(ends));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int fd = uffd_open(O_NONBLOCK, ALL_EVENTS);
        char *p = map_anonymous(1);
        struct deed d = {.advice = MADV_DONTNEED};

        uffd_register(fd, p, 1, MISSING);
        start(&d, DEED_DROP, p, 1);
        uffd_wait(fd);
        write(ends[1], "x", 1);
        pause();
        _exit(0);
    }
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    kill(pid, SIGKILL);
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_TRUE(WIFSIGNALED(status));
}

UTEST_MAIN
