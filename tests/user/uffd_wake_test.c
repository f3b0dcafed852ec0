/*
 * userfaultfd: whatever ends first, a waiting thread is woken once: resolution, unregistering,
 * unmapping, closing, the end of the pager or of itself, a signal. uffd_bad_pager_test.c goes on
 * with pagers that do not do what they should.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_wake"
#include "utest.h"
#include "uffd_tools.h"
#include "cowbell.h"

#include <setjmp.h>

enum reason { REASON_MISSING, REASON_WP, REASON_MINOR, NR_REASONS };

static const char *const reason_names[NR_REASONS] = {"missing", "write-protect", "minor"};

/** struct waiter - a thread that adds one to a word, how often it did, and what stopped it. */
struct waiter {
    pthread_t thread;
    uint64_t *word;
    int signal;
    atomic_int is_through;
};

static __thread sigjmp_buf after_signal;

static void on_signal(int signal)
{
    siglongjmp(after_signal, signal);
}

static void *wait_at_word(void *argument)
{
    struct waiter *w = argument;

    w->signal = sigsetjmp(after_signal, 1);
    if (w->signal == 0) {
        __atomic_fetch_add(w->word, 1, __ATOMIC_SEQ_CST);
    }
    w->is_through = 1;
    return NULL;
}

static void waiter_start(struct waiter *w, void *word)
{
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    memset(w, 0, sizeof(*w));
    w->word = word;
    EXPECT_EQ(0, pthread_create(&w->thread, NULL, wait_at_word, w));
}

/* Return: the signal that stopped it, or 0. */
static int waiter_join(struct waiter *w)
{
    pthread_join(w->thread, NULL);
    return w->signal;
}

/** struct scene - a page at which a write faults for a reason, and its descriptor. */
struct scene {
    enum reason reason;
    int fd;
    struct region r;
};

static void place(struct scene *s, enum reason reason, int flags)
{
    static const uint64_t modes[] = {MISSING, WP, MINOR};

    s->reason = reason;
    s->fd = uffd_open(flags, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    s->r = region_make(reason == REASON_MINOR ? SHMEM_SHARED : ANON, 1);
    if (reason == REASON_MINOR) {
        s->r.other[0] = 0;
    } else if (reason == REASON_WP) {
        s->r.p[0] = 0;
    }
    EXPECT_EQ(0, uffd_register(s->fd, s->r.p, 1, modes[reason]));
    if (reason == REASON_WP) {
        EXPECT_EQ(0, uffd_protect(s->fd, s->r.p, 1));
    }
}

static void resolve(struct scene *s)
{
    if (s->reason == REASON_MISSING) {
        EXPECT_EQ(0, uffd_zeropage(s->fd, s->r.p, 1, 0));
    } else if (s->reason == REASON_WP) {
        EXPECT_EQ(0, uffd_unprotect(s->fd, s->r.p, 1));
    } else {
        EXPECT_EQ(0, uffd_continue(s->fd, s->r.p, 1, 0));
    }
}

/* Whether the message has been read when the end comes must make no difference. */
static void meet(struct scene *s, int is_read)
{
    if (is_read) {
        EXPECT_EQ(s->r.p, uffd_next_page(s->fd, NULL));
    } else {
        EXPECT_EQ(0, uffd_wait(s->fd));
    }
}

/* A way to end a wait. Return: the signal that the thread must get. */
typedef int ending(struct scene *s);

static void check_ending(ending *end)
{
    for (enum reason reason = 0; reason < NR_REASONS; reason++) {
        for (int is_read = 0; is_read < 2; is_read++) {
            struct scene s;
            struct waiter w;
            int expected;

            place(&s, reason, is_read ? 0 : O_NONBLOCK);
            waiter_start(&w, s.r.p);
            meet(&s, is_read);
            EXPECT_EQ(0, w.is_through);
            expected = end(&s);
            if (waiter_join(&w) != expected) {
                printf("# %s, %s\n", reason_names[reason], is_read ? "read" : "not read");
            }
            EXPECT_EQ(expected, w.signal);
            if (expected == 0) {
                EXPECT_EQ(1, *w.word);
            }
            close(s.fd);
            region_drop(&s.r);
        }
    }
}

static int by_resolution(struct scene *s)
{
    resolve(s);
    return 0;
}

/* Linux wakes only those who wait for what is missing: the others need the second call there. */
static int by_unregistering(struct scene *s)
{
    EXPECT_EQ(0, uffd_unregister(s->fd, s->r.p, 1));
    EXPECT_EQ(0, uffd_wake(s->fd, s->r.p, 1));
    return 0;
}

static int by_unmapping_and_waking(struct scene *s)
{
    EXPECT_EQ(0, munmap(s->r.p, PAGE));
    EXPECT_EQ(0, uffd_wake(s->fd, s->r.p, 1));
    return SIGSEGV;
}

static int by_unmapping_alone(struct scene *s)
{
    EXPECT_EQ(0, munmap(s->r.p, PAGE));
    return SIGSEGV;
}

static int by_unregistering_alone(struct scene *s)
{
    EXPECT_EQ(0, uffd_unregister(s->fd, s->r.p, 1));
    return 0;
}

static int by_closing(struct scene *s)
{
    close(s->fd);
    s->fd = -1;
    return 0;
}

static int by_mapping_over(struct scene *s)
{
    EXPECT_TRUE(mmap(s->r.p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == s->r.p);
    EXPECT_EQ(0, uffd_wake(s->fd, s->r.p, 1));
    return 0;
}

static int by_protection(struct scene *s)
{
    EXPECT_EQ(0, mprotect(s->r.p, PAGE, PROT_NONE));
    EXPECT_EQ(0, uffd_wake(s->fd, s->r.p, 1));
    return SIGSEGV;
}

static int by_poison(struct scene *s)
{
    if (s->reason == REASON_WP) {
        resolve(s);
        return 0;
    }
    EXPECT_EQ(0, uffd_poison(s->fd, s->r.p, 1, 0));
    return SIGBUS;
}

TEST(resolution)
{
    check_ending(by_resolution);
}

TEST(unregistering)
{
    check_ending(by_unregistering);
}

TEST(unmapping)
{
    check_ending(by_unmapping_and_waking);
}

TEST(cowbell_unmapping_wakes_by_itself)
{
    need_cowbell();
    check_ending(by_unmapping_alone);
}

TEST(cowbell_unregistering_wakes_everybody)
{
    need_cowbell();
    check_ending(by_unregistering_alone);
}

TEST(closing)
{
    check_ending(by_closing);
}

TEST(mapping_something_else_there)
{
    check_ending(by_mapping_over);
}

TEST(taking_the_permission)
{
    check_ending(by_protection);
}

TEST(poisoning)
{
    check_ending(by_poison);
}

/* --- processes -------------------------------------------------------------------------------- */

/* The body of a process whose thread waits: its pager is a child of it. */
static void wait_for_a_child_pager(struct scene *s, int is_read, int is_killed)
{
    int ends[2];
    char byte;
    pid_t pid;

    EXPECT_EQ(0, pipe(ends));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        meet(s, is_read);
        write(ends[1], "x", 1);
        if (is_killed) {
            pause();
        }
        _exit(0);
    }
    close(s->fd);
    if (is_killed) {
        struct waiter w;

        waiter_start(&w, s->r.p);
        EXPECT_EQ(1, read(ends[0], &byte, 1));
        kill(pid, SIGKILL);
        EXPECT_EQ(0, waiter_join(&w));
    } else {
        __atomic_fetch_add((uint64_t *)s->r.p, 1, __ATOMIC_SEQ_CST);
    }
    EXPECT_EQ(1, *(uint64_t *)s->r.p);
    waitpid(pid, NULL, 0);
    s->fd = -1;
}

TEST(the_end_of_the_pager)
{
    for (enum reason reason = 0; reason < NR_REASONS; reason++) {
        for (int way = 0; way < 4; way++) {
            struct scene s;

            place(&s, reason, way & 1 ? 0 : O_NONBLOCK);
            wait_for_a_child_pager(&s, way & 1, way >> 1);
            region_drop(&s.r);
        }
    }
}

/* A process with a waiting thread, which its parent ends. */
static pid_t start_stuck(int is_read, int is_main_waiting)
{
    int ends[2];
    char byte;
    pid_t pid;

    EXPECT_EQ(0, pipe(ends));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct scene s;
        struct waiter w;

        place(&s, REASON_MISSING, is_read ? 0 : O_NONBLOCK);
        waiter_start(&w, s.r.p);
        meet(&s, is_read);
        write(ends[1], "x", 1);
        if (is_main_waiting) {
            *(volatile char *)s.r.p;
        }
        pause();
        _exit(7);
    }
    close(ends[1]);
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    close(ends[0]);
    return pid;
}

TEST(a_fatal_signal)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGINT};

    for (int i = 0; i < 3; i++) {
        for (int way = 0; way < 4; way++) {
            pid_t pid = start_stuck(way & 1, way >> 1);
            int status = 0;

            EXPECT_EQ(0, kill(pid, signals[i]));
            EXPECT_EQ(pid, waitpid(pid, &status, 0));
            EXPECT_TRUE(WIFSIGNALED(status));
            EXPECT_EQ(signals[i], WTERMSIG(status));
        }
    }
}

TEST(the_end_of_the_process)
{
    for (int is_read = 0; is_read < 2; is_read++) {
        int status = 0;

        fflush(stdout);
        if (fork() == 0) {
            struct scene s;
            struct waiter w;

            place(&s, REASON_MISSING, is_read ? 0 : O_NONBLOCK);
            waiter_start(&w, s.r.p);
            meet(&s, is_read);
            _exit(5);
        }
        wait(&status);
        EXPECT_EQ(5 << 8, status);
    }
}

TEST(a_new_program)
{
    int status = 1;

    fflush(stdout);
    if (fork() == 0) {
        struct scene s;
        struct waiter w;

        place(&s, REASON_MISSING, O_CLOEXEC);
        waiter_start(&w, s.r.p);
        meet(&s, 1);
        execl("/bin/busybox", "true", (char *)NULL);
        _exit(1);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

/* --- two pagers ------------------------------------------------------------------------------- */

struct pair {
    int fd;
    atomic_int nr_filled;
    atomic_int nr_late;
};

static void *answer_as_one_of_two(void *argument)
{
    struct pair *pair = argument;
    char *page;

    while ((page = uffd_next_page(pair->fd, NULL)) != NULL) {
        int error = uffd_zeropage(pair->fd, page, 1, 0);

        pair->nr_filled += error == 0;
        pair->nr_late += error == -EEXIST;
        if (error == -EEXIST) {
            uffd_wake(pair->fd, page, 1);
        }
    }
    return NULL;
}

TEST(two_pagers_share_the_work)
{
    enum { NR_PAGES = 64, NR_THREADS = 4 };
    struct pair pair = {.fd = uffd_open(O_NONBLOCK, 0)};
    char *p = map_anonymous(NR_PAGES);
    struct waiter w[NR_THREADS];
    pthread_t pagers[2];

    fcntl(pair.fd, F_SETFL, 0);
    EXPECT_EQ(0, uffd_register(pair.fd, p, NR_PAGES, MISSING));
    for (int i = 0; i < 2; i++) {
        pthread_create(&pagers[i], NULL, answer_as_one_of_two, &pair);
    }
    for (int page = 0; page < NR_PAGES; page++) {
        for (int i = 0; i < NR_THREADS; i++) {
            waiter_start(&w[i], p + page * PAGE);
        }
        for (int i = 0; i < NR_THREADS; i++) {
            EXPECT_EQ(0, waiter_join(&w[i]));
        }
        EXPECT_EQ(NR_THREADS, *w[0].word);
    }
    EXPECT_EQ(NR_PAGES, pair.nr_filled);
    for (int i = 0; i < 2; i++) {
        pthread_cancel(pagers[i]);
        pthread_join(pagers[i], NULL);
    }
}

UTEST_MAIN
