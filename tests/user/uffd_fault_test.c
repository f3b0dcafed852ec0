/*
 * userfaultfd: what a fault tells, who reads it, and what wakes its thread (rules C).
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_fault"
#include "utest.h"
#include "uffd_tools.h"
#include "uffd_touch.h"

#include <sys/epoll.h>

/* Everything that a message says, and zeros where it says nothing. */
static void expect_fault(int fd, const void *address, uint64_t flags, uint32_t ptid)
{
    struct uffd_msg expected;
    struct uffd_msg message;

    memset(&expected, 0, sizeof(expected));
    memset(&message, 0xff, sizeof(message));
    expected.event = UFFD_EVENT_PAGEFAULT;
    expected.arg.pagefault.flags = flags;
    expected.arg.pagefault.address = (uintptr_t)address;
    expected.arg.pagefault.feat.ptid = ptid;
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(fd, &message));
    EXPECT_BYTES(&expected, &message, sizeof(message));
}

TEST(a_missing_fault_says_where_and_whether_it_writes)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, 0);
        struct region r = region_make(memory, 2);
        struct toucher t;

        EXPECT_EQ(0, uffd_register(fd, r.p, 2, MISSING | WP));
        toucher_start(&t, r.p + 77, TOUCH_READ, 0);
        expect_fault(fd, r.p, 0, 0);
        EXPECT_EQ(0, t.is_through);
        EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(1), 1, 0));
        toucher_join(&t);
        EXPECT_EQ(((char *)filled_page(1))[77], t.value);
        toucher_start(&t, r.p + PAGE + 4095, TOUCH_WRITE, 5);
        expect_fault(fd, r.p + PAGE, UFFD_PAGEFAULT_FLAG_WRITE, 0);
        EXPECT_EQ(0, uffd_zeropage(fd, r.p + PAGE, 1, 0));
        toucher_join(&t);
        EXPECT_EQ(5, r.p[2 * PAGE - 1]);
        close(fd);
        region_drop(&r);
    }
}

TEST(a_write_protect_fault_says_so)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
        struct region r = region_make(memory, 1);
        struct toucher t;

        r.p[0] = 3;
        EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING | WP));
        EXPECT_EQ(0, uffd_protect(fd, r.p, 1));
        EXPECT_EQ(0, touch(r.p, TOUCH_READ));
        toucher_start(&t, r.p + 8, TOUCH_WRITE, 4);
        expect_fault(fd, r.p, UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, 0);
        EXPECT_EQ(0, t.is_through);
        EXPECT_EQ(0, uffd_unprotect(fd, r.p, 1));
        toucher_join(&t);
        EXPECT_EQ(3, r.p[0]);
        EXPECT_EQ(4, r.p[8]);
        close(fd);
        region_drop(&r);
    }
}

TEST(a_minor_fault_says_so)
{
    for (int memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        for (enum touch kind = TOUCH_READ; kind <= TOUCH_WRITE; kind++) {
            int fd = uffd_open(0, UFFD_FEATURE_MINOR_SHMEM);
            struct region r = region_make(memory, 1);
            struct toucher t;

            fill_page(r.other, 6);
            EXPECT_EQ(0, uffd_register(fd, r.p, 1, MINOR | MISSING));
            toucher_start(&t, r.p, kind, 1);
            expect_fault(fd, r.p,
                         UFFD_PAGEFAULT_FLAG_MINOR |
                             (kind == TOUCH_WRITE ? UFFD_PAGEFAULT_FLAG_WRITE : 0),
                         0);
            r.other[1] = 99;
            EXPECT_EQ(0, uffd_continue(fd, r.p, 1, 0));
            toucher_join(&t);
            EXPECT_EQ(99, r.p[1]);
            close(fd);
            region_drop(&r);
        }
    }
}

TEST(the_exact_address_and_the_thread_if_asked_for)
{
    int fd = uffd_open(0, UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_THREAD_ID);
    char *p = map_anonymous(1);
    struct toucher t;
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p + 1234, TOUCH_READ, 0);
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(fd, &message));
    EXPECT_EQ((uintptr_t)p + 1234, message.arg.pagefault.address);
    EXPECT_EQ(t.tid, message.arg.pagefault.feat.ptid);
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    toucher_join(&t);
}

TEST(sigbus_instead_of_a_message_for_every_reason)
{
    int fd = uffd_open(O_NONBLOCK, UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    struct region r = region_make(SHMEM_SHARED, 3);
    struct uffd_msg message;

    r.other[PAGE] = 1;
    r.p[2 * PAGE] = 2;
    EXPECT_EQ(0, uffd_register(fd, r.p, 3, MISSING | WP | MINOR));
    EXPECT_EQ(0, uffd_protect(fd, r.p + 2 * PAGE, 1));
    for (int page = 0; page < 3; page++) {
        EXPECT_EQ(SIGBUS, touch(r.p + page * PAGE + 21, TOUCH_WRITE));
        EXPECT_EQ(BUS_ADRERR, last_signal.si_code);
        EXPECT_EQ((uintptr_t)r.p + page * PAGE + 21, (uintptr_t)last_signal.si_addr);
    }
    EXPECT_EQ(0, touch(r.p + 2 * PAGE, TOUCH_READ));
    EXPECT_EQ(-EAGAIN, uffd_read(fd, &message));
}

TEST(reading_takes_whole_messages_in_order)
{
    enum { NR = 5 };
    int fd = uffd_open(O_NONBLOCK, 0);
    char *p = map_anonymous(NR);
    struct toucher t[NR];
    struct uffd_msg messages[NR + 1];
    char small[sizeof(struct uffd_msg)];

    EXPECT_ERRNO(EINVAL, read(fd, small, sizeof(small) - 1));
    EXPECT_ERRNO(EAGAIN, read(fd, small, sizeof(small)));
    EXPECT_EQ(0, uffd_register(fd, p, NR, MISSING));
    for (int i = 0; i < NR; i++) {
        struct pollfd before = {fd, POLLIN, 0};

        toucher_start(&t[i], p + i * PAGE, TOUCH_READ, 0);
        poll(&before, 1, i == 0 ? -1 : 0);
    }
    for (int got = 0; got < NR;) {
        /* Room for two and a half. */
        ssize_t n = read(fd, messages + got, sizeof(messages[0]) * 5 / 2);

        if (n < 0) {
            EXPECT_EQ(EAGAIN, errno);
            sched_yield();
            continue;
        }
        EXPECT_EQ(0, n % (ssize_t)sizeof(messages[0]));
        EXPECT_LE(n, 2 * (ssize_t)sizeof(messages[0]));
        got += (int)(n / (ssize_t)sizeof(messages[0]));
    }
    EXPECT_ERRNO(EAGAIN, read(fd, small, sizeof(small)));
    EXPECT_EQ(0, uffd_zeropage(fd, p, NR, 0));
    for (int i = 0; i < NR; i++) {
        toucher_join(&t[i]);
    }
}

TEST(each_fault_is_read_once_by_one_reader)
{
    int fd = uffd_open(O_NONBLOCK, 0);
    char *p = map_anonymous(1);
    struct toucher t;
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p, TOUCH_READ, 0);
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(fd, &message));
    give_way();
    EXPECT_FALSE(uffd_is_readable(fd));
    EXPECT_EQ(-EAGAIN, uffd_read(fd, &message));
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    toucher_join(&t);
}

TEST(a_message_that_nobody_read_goes_when_its_page_comes)
{
    int fd = uffd_open(O_NONBLOCK, 0);
    char *p = map_anonymous(1);
    struct toucher t;
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p, TOUCH_READ, 0);
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(4), 1, 0));
    toucher_join(&t);
    EXPECT_EQ(-EAGAIN, uffd_read(fd, &message));
    EXPECT_FALSE(uffd_is_readable(fd));
}

TEST(polling_a_descriptor_that_blocks_is_an_error)
{
    int fd = uffd_open(0, 0);
    struct pollfd waiting = {fd, POLLIN, 0};

    EXPECT_EQ(1, poll(&waiting, 1, 0));
    EXPECT_EQ(POLLERR, waiting.revents);
    EXPECT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
    EXPECT_EQ(0, poll(&waiting, 1, 0));
}

TEST(epoll_tells_of_faults)
{
    int fd = uffd_open(O_NONBLOCK, 0);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    char *p = map_anonymous(1);
    struct toucher t;

    EXPECT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p, TOUCH_READ, 0);
    EXPECT_EQ(1, epoll_wait(ep, &event, 1, -1));
    EXPECT_EQ(EPOLLIN, event.events);
    EXPECT_EQ(7, event.data.u32);
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    toucher_join(&t);
}

TEST(waking_without_a_page_makes_the_thread_ask_again)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    struct toucher t;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p, TOUCH_READ, 0);
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(p, uffd_next_page(fd, NULL));
        EXPECT_EQ(0, uffd_wake(fd, p, 1));
    }
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, t.is_through);
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    toucher_join(&t);
}

TEST(dontwake_fills_and_leaves_the_thread_waiting)
{
    for (int way = 0; way < 3; way++) {
        int fd = uffd_open(0, 0);
        struct region r = region_make(way == 2 ? SHMEM_SHARED : ANON, 1);
        struct toucher t;

        EXPECT_EQ(0, uffd_register(fd, r.p, 1, way == 2 ? MINOR : MISSING));
        if (way == 2) {
            r.other[0] = 1;
        }
        toucher_start(&t, r.p, TOUCH_READ, 0);
        EXPECT_EQ(r.p, uffd_next_page(fd, NULL));
        EXPECT_EQ(0, toucher_await_sleep(&t));
        if (way == 0) {
            EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(1), 1, UFFDIO_COPY_MODE_DONTWAKE));
        } else if (way == 1) {
            EXPECT_EQ(0, uffd_zeropage(fd, r.p, 1, UFFDIO_ZEROPAGE_MODE_DONTWAKE));
        } else {
            EXPECT_EQ(0, uffd_continue(fd, r.p, 1, UFFDIO_CONTINUE_MODE_DONTWAKE));
        }
        give_way();
        EXPECT_EQ(0, t.is_through);
        EXPECT_EQ(0, uffd_wake(fd, r.p, 1));
        toucher_join(&t);
        close(fd);
        region_drop(&r);
    }
}

TEST(unprotecting_with_dontwake_leaves_the_thread_waiting)
{
    int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    char *p = map_anonymous(1);
    struct toucher t;

    p[0] = 1;
    EXPECT_EQ(0, uffd_register(fd, p, 1, WP));
    EXPECT_EQ(-EINVAL,
              uffd_wp(fd, p, 1, UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE));
    EXPECT_EQ(0, uffd_protect(fd, p, 1));
    toucher_start(&t, p, TOUCH_WRITE, 2);
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, toucher_await_sleep(&t));
    EXPECT_EQ(0, uffd_wp(fd, p, 1, UFFDIO_WRITEPROTECT_MODE_DONTWAKE));
    give_way();
    EXPECT_EQ(0, t.is_through);
    EXPECT_EQ(0, uffd_wake(fd, p, 1));
    toucher_join(&t);
    EXPECT_EQ(2, p[0]);
}

TEST(waking_reaches_exactly_its_range)
{
    enum { NR = 3 };
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(NR);
    struct toucher t[NR];

    EXPECT_EQ(0, uffd_register(fd, p, NR, MISSING));
    for (int i = 0; i < NR; i++) {
        toucher_start(&t[i], p + i * PAGE, TOUCH_READ, 0);
        EXPECT_EQ(p + i * PAGE, uffd_next_page(fd, NULL));
        EXPECT_EQ(0, toucher_await_sleep(&t[i]));
    }
    EXPECT_EQ(0, uffd_zeropage(fd, p, NR, UFFDIO_ZEROPAGE_MODE_DONTWAKE));
    EXPECT_EQ(0, uffd_wake(fd, p + PAGE, 1));
    toucher_join(&t[1]);
    give_way();
    EXPECT_EQ(0, t[0].is_through | t[2].is_through);
    EXPECT_EQ(0, uffd_wake(fd, p, 1));
    toucher_join(&t[0]);
    EXPECT_EQ(0, uffd_wake(fd, p + 2 * PAGE, 1));
    toucher_join(&t[2]);
}

TEST(many_threads_at_one_page_are_woken_by_one_answer)
{
    enum { NR = 8 };
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    struct toucher t[NR];

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    for (int i = 0; i < NR; i++) {
        toucher_start(&t[i], p + i, TOUCH_READ, 0);
        EXPECT_EQ(p, uffd_next_page(fd, NULL));
    }
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(2), 1, 0));
    for (int i = 0; i < NR; i++) {
        toucher_join(&t[i]);
        EXPECT_EQ(((char *)filled_page(2))[i], t[i].value);
    }
}

TEST(a_page_that_is_there_makes_no_fault)
{
    int fd = uffd_open(O_NONBLOCK, 0);
    char *p = map_anonymous(2);
    struct uffd_msg message;

    p[0] = 1;
    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    p[1] = 2;
    EXPECT_EQ(1, p[0]);
    EXPECT_EQ(0, uffd_zeropage(fd, p + PAGE, 1, 0));
    p[PAGE] = 3; /* copies the page of zeros: no fault of the pager's */
    EXPECT_EQ(-EAGAIN, uffd_read(fd, &message));
}

static volatile int nr_handled;

static void count_signal(int signal)
{
    (void)signal;
    nr_handled++;
}

TEST(a_signal_handler_runs_while_its_thread_waits)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    struct toucher t;

    sigaction(SIGUSR1, &action, NULL);
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p, TOUCH_READ, 0);
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, pthread_kill(t.thread, SIGUSR1));
    /* The instruction is run again, and asks again. */
    EXPECT_EQ(p, uffd_next_page(fd, NULL));
    EXPECT_EQ(1, nr_handled);
    EXPECT_EQ(0, t.is_through);
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(1), 1, 0));
    toucher_join(&t);
}

static void *read_one(void *argument)
{
    struct uffd_msg message;

    return (void *)(intptr_t)uffd_read(*(int *)argument, &message);
}

TEST(a_blocking_reader_waits_for_a_fault)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    struct toucher t;
    pthread_t reader;
    void *event;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    pthread_create(&reader, NULL, read_one, &fd);
    give_way();
    toucher_start(&t, p, TOUCH_READ, 0);
    pthread_join(reader, &event);
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, (intptr_t)event);
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    toucher_join(&t);
}

UTEST_MAIN
