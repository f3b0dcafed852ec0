/*
 * Pagers that do not do what they should: one that stops answering, one that dies, one that answers
 * what nobody asked, one that closes its descriptor in a signal handler. Whoever waits for them can
 * be killed or goes on, and nothing is left behind: at the end each of them comes many times, and
 * the kernel must not need more memory than before.
 */
#define _GNU_SOURCE
#define UTEST_SUITE   "uffd_bad_pager"
#define UTEST_LIMIT_S 120
#include "utest.h"
#include "uffd_tools.h"
#include "cowbell.h"

#include <time.h>

enum { NR_TOUCHERS = 4 };

/* --- one that stops answering ----------------------------------------------------------------- */

static void *wait_in_a_call(void *argument)
{
    int ends[2];

    if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1) {
        _exit(3);
    }
    (void)!read(ends[0], argument, 1);
    _exit(4);
}

/* Faults of every reason, and a system call that faults: all have been told when this returns. */
static void get_stuck(int fd)
{
    static struct toucher touchers[NR_TOUCHERS];
    struct region r = region_make(SHMEM_SHARED, 3);
    struct uffd_msg message;
    pthread_t caller;

    r.other[PAGE] = 1;
    r.p[2 * PAGE] = 1;
    if (uffd_register(fd, r.p, 2, MISSING | MINOR) != 0 ||
        uffd_register(fd, r.p + 2 * PAGE, 1, WP) != 0 || uffd_protect(fd, r.p + 2 * PAGE, 1) != 0) {
        _exit(5);
    }
    for (int i = 0; i < NR_TOUCHERS; i++) {
        toucher_start(&touchers[i], r.p + (i % 3) * PAGE, TOUCH_WRITE, 1);
    }
    pthread_create(&caller, NULL, wait_in_a_call, r.p);
    for (int i = 0; i < NR_TOUCHERS + 1; i++) {
        if (uffd_read(fd, &message) != UFFD_EVENT_PAGEFAULT) {
            _exit(6);
        }
    }
}

/** struct stuck - a process whose threads wait for a pager that has stopped. */
struct stuck {
    pid_t pid;
    pid_t pager; /* another process, which lives on; or 0, a thread of the same */
    int alive;   /* its end of file tells that nobody is left */
};

static void be_stuck(int has_pager_outside, int report)
{
    int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    pid_t pager = has_pager_outside ? fork() : 0;

    if (has_pager_outside && pager == 0) {
        pause();
        _exit(0);
    }
    get_stuck(fd);
    (void)!write(report, &pager, sizeof(pager));
    for (;;) {
        pause();
    }
}

static void start_stuck(struct stuck *stuck, int has_pager_outside)
{
    int ends[2];

    EXPECT_EQ(0, pipe(ends));
    fflush(stdout);
    stuck->pid = fork();
    if (stuck->pid == 0) {
        close(ends[0]);
        be_stuck(has_pager_outside, ends[1]);
    }
    close(ends[1]);
    stuck->alive = ends[0];
    EXPECT_EQ(sizeof(stuck->pager), read(ends[0], &stuck->pager, sizeof(stuck->pager)));
}

static void one_that_stops_answering(void)
{
    for (int has_pager_outside = 0; has_pager_outside < 2; has_pager_outside++) {
        struct stuck stuck;
        int status = 0;
        char byte;

        start_stuck(&stuck, has_pager_outside);
        EXPECT_EQ(0, kill(stuck.pid, SIGKILL));
        EXPECT_EQ(stuck.pid, waitpid(stuck.pid, &status, 0));
        EXPECT_EQ(SIGKILL, status);
        if (has_pager_outside) {
            EXPECT_EQ(0, kill(stuck.pager, SIGKILL));
        }
        EXPECT_EQ(0, read(stuck.alive, &byte, 1));
        close(stuck.alive);
    }
}

TEST(one_that_stops_answering_keeps_nobody_from_being_killed)
{
    one_that_stops_answering();
}

/* --- one that dies ---------------------------------------------------------------------------- */

static void *take_one_message(void *argument)
{
    struct uffd_msg message;

    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(*(int *)argument, &message));
    return NULL;
}

/* A thread that ends leaves the descriptor open: whoever waits does so until it is closed. */
static void a_thread_that_dies(void)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    struct toucher toucher;
    pthread_t pager;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    pthread_create(&pager, NULL, take_one_message, &fd);
    toucher_start(&toucher, p, TOUCH_WRITE, 7);
    pthread_join(pager, NULL);
    give_way();
    EXPECT_EQ(0, toucher.is_through);
    close(fd);
    toucher_join(&toucher);
    EXPECT_EQ(7, *p);
    munmap(p, PAGE);
}

/* A process that ends closes the descriptor. */
static void a_process_that_dies(void)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(2);
    struct toucher touchers[2];
    int status = 0;
    pid_t pid;

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct uffd_msg message;

        uffd_read(fd, &message);
        kill(getpid(), SIGKILL);
    }
    close(fd);
    for (int i = 0; i < 2; i++) {
        toucher_start(&touchers[i], p + i * PAGE, TOUCH_WRITE, 8);
    }
    for (int i = 0; i < 2; i++) {
        toucher_join(&touchers[i]);
        EXPECT_EQ(8, p[i * PAGE]);
    }
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(SIGKILL, status);
    munmap(p, 2 * PAGE);
}

static void one_that_dies(void)
{
    a_thread_that_dies();
    a_process_that_dies();
}

TEST(one_that_dies_lets_everybody_go_on)
{
    one_that_dies();
}

/* --- one that answers what nobody asked ------------------------------------------------------- */

static int answer_unasked(int fd, char *page, int way)
{
    int error = way == 0   ? uffd_copy(fd, page, filled_page(1), 1, 0)
                : way == 1 ? uffd_zeropage(fd, page, 1, 0)
                           : uffd_poison(fd, page, 1, 0);

    return error | uffd_wake(fd, page, 1) | uffd_unprotect(fd, page, 1);
}

static void one_that_answers_what_nobody_asked(void)
{
    enum { NR = 64, ASKED = 20 };
    int fd = uffd_open(0, UFFD_FEATURE_POISON | UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    char *p = map_anonymous(NR);
    char *elsewhere = map_anonymous(1);
    struct toucher toucher;

    EXPECT_EQ(0, uffd_register(fd, p, NR, MISSING | WP));
    toucher_start(&toucher, p + ASKED * PAGE, TOUCH_WRITE, 9);
    EXPECT_EQ(p + ASKED * PAGE, uffd_next_page(fd, NULL));
    for (int i = 0; i < NR; i++) {
        if (i != ASKED) {
            EXPECT_EQ(0, answer_unasked(fd, p + i * PAGE, i % 3));
        }
    }
    EXPECT_EQ(-ENOENT, uffd_copy(fd, elsewhere, p, 1, 0));
    give_way();
    EXPECT_EQ(0, toucher.is_through);
    EXPECT_EQ(0, uffd_copy(fd, p + ASKED * PAGE, filled_page(0), 1, 0));
    toucher_join(&toucher);
    EXPECT_EQ(9, p[ASKED * PAGE]);
    close(fd);
    munmap(p, NR * PAGE);
    munmap(elsewhere, PAGE);
}

TEST(one_that_answers_what_nobody_asked_wakes_nobody_else)
{
    one_that_answers_what_nobody_asked();
}

/* --- one that closes in a signal handler ------------------------------------------------------ */

static int fd_to_close;
static atomic_int pager_tid;

static void close_it(int signal)
{
    (void)signal;
    close(fd_to_close);
}

static void *answer_until_closed(void *argument)
{
    struct uffd_msg message;

    (void)argument;
    /* The first message is read and not answered; the second does not come. */
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(fd_to_close, &message));
    pager_tid = (int)syscall(SYS_gettid);
    EXPECT_TRUE(uffd_read(fd_to_close, &message) < 0);
    return NULL;
}

/* The signal reaches the pager, which sleeps in read(2). */
static void closed_by_the_pager(int flags)
{
    struct sigaction action = {.sa_handler = close_it, .sa_flags = flags};
    char *p = map_anonymous(1);
    struct toucher toucher;
    pthread_t pager;

    sigaction(SIGUSR1, &action, NULL);
    fd_to_close = uffd_open(0, 0);
    EXPECT_EQ(0, uffd_register(fd_to_close, p, 1, MISSING));
    pager_tid = 0;
    pthread_create(&pager, NULL, answer_until_closed, NULL);
    toucher_start(&toucher, p, TOUCH_WRITE, 5);
    EXPECT_EQ(0, await_thread(&pager_tid, SYS_read));
    pthread_kill(pager, SIGUSR1);
    pthread_join(pager, NULL);
    toucher_join(&toucher);
    EXPECT_EQ(5, *p);
    munmap(p, PAGE);
}

/* The signal reaches the thread that waits for the page: its own handler ends its wait. */
static void closed_by_the_waiter(void)
{
    struct sigaction action = {.sa_handler = close_it};
    char *p = map_anonymous(1);
    struct toucher toucher;

    sigaction(SIGUSR1, &action, NULL);
    fd_to_close = uffd_open(0, 0);
    EXPECT_EQ(0, uffd_register(fd_to_close, p, 1, MISSING));
    toucher_start(&toucher, p, TOUCH_WRITE, 6);
    EXPECT_EQ(p, uffd_next_page(fd_to_close, NULL));
    pthread_kill(toucher.thread, SIGUSR1);
    toucher_join(&toucher);
    EXPECT_EQ(6, *p);
    munmap(p, PAGE);
}

static void one_that_closes_in_a_signal_handler(void)
{
    closed_by_the_pager(0);
    closed_by_the_pager(SA_RESTART);
    closed_by_the_waiter();
}

TEST(one_that_closes_in_a_signal_handler_lets_everybody_go_on)
{
    one_that_closes_in_a_signal_handler();
}

/* --- what is left ----------------------------------------------------------------------------- */

static long memory_in_use(void)
{
    struct cb_mem_info info = {0};

    cb_kinfo(CB_KINFO_MEM, 0, &info, sizeof(info));
    return (long)(info.anon + info.shmem + info.slab + info.page_tables + info.kernel_stacks);
}

/*
 * Many rounds of one pager, each in a process of its own. The first ones fill the allocators'
 * caches; what the others leave there now and then is less than one context with its memory each.
 */
static void check_for_leaks(void (*pager)(void))
{
    enum { FIRST_ROUNDS = 100, NR_ROUNDS = 150, LEFT_EACH_TIME = 512, PATIENCE_S = 20 };
    cpu_set_t first;
    long before = 0;
    long grown = 0;
    int status = 0;

    /* One CPU has fewer caches than all of them. */
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    for (int round = 0; status == 0 && round < FIRST_ROUNDS + NR_ROUNDS; round++) {
        before = round == FIRST_ROUNDS ? memory_in_use() : before;
        status = utest_in_child(pager);
    }
    EXPECT_EQ(0, status);
    /* Who has ended may still be on the way out. */
    time_t limit = time(NULL) + PATIENCE_S;
    do {
        sched_yield();
        grown = memory_in_use() - before;
    } while (grown >= NR_ROUNDS * LEFT_EACH_TIME && time(NULL) < limit);
    printf("# grown by %ld bytes\n", grown);
    EXPECT_LE(grown, NR_ROUNDS * LEFT_EACH_TIME - 1);
}

TEST(cowbell_one_that_stops_answering_leaves_nothing)
{
    need_cowbell();
    check_for_leaks(one_that_stops_answering);
}

TEST(cowbell_one_that_dies_leaves_nothing)
{
    need_cowbell();
    check_for_leaks(one_that_dies);
}

TEST(cowbell_one_that_answers_what_nobody_asked_leaves_nothing)
{
    need_cowbell();
    check_for_leaks(one_that_answers_what_nobody_asked);
}

TEST(cowbell_one_that_closes_in_a_signal_handler_leaves_nothing)
{
    need_cowbell();
    check_for_leaks(one_that_closes_in_a_signal_handler);
}

UTEST_MAIN
