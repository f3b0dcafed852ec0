/*
 * Faults of fuzz_ops: what stops the program when it touches its arena, and a thread that waits in
 * a userfaultfd for a page, is woken by UFFDIO_WAKE, and then gets what it waits for.
 */
#ifndef COWBELL_TESTS_FUZZ_FAULT_H
#define COWBELL_TESTS_FUZZ_FAULT_H

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>

#include "uffd.h"

/* Messages that one waiting thread is told of before the wait is given up. */
enum { WAIT_MESSAGES_MAX = 4 };

/** struct wait - a page that a thread touches while a userfaultfd of its own watches a range. */
struct wait {
    uint64_t start, len;           /* the range that is registered */
    volatile char *page;           /* what the thread touches */
    int is_write;                  /* a store, else a load */
    int is_protected;              /* the range is write-protected before */
    uint64_t wake_start, wake_len; /* the range of the first UFFDIO_WAKE */
    int signal;                    /* out: what stopped the thread, or 0 */
    int nr_messages;               /* out */
    uint64_t flags;                /* out: of the last message */
    long woken;                    /* out: 0, or the negative errno of that UFFDIO_WAKE */
};

static sigjmp_buf after_fault;
static volatile sig_atomic_t expects_fault;
static siginfo_t last_fault;
static int is_through[2]; /* a pipe: a byte comes when the thread has its page, or a signal */

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (!expects_fault) {
        _exit(100 + signal);
    }
    last_fault = *info;
    siglongjmp(after_fault, 1);
}

static void *touch_page(void *argument)
{
    struct wait *wait = argument;

    expects_fault = 1;
    if (sigsetjmp(after_fault, 0) != 0) {
        wait->signal = last_fault.si_signo;
    } else if (wait->is_write) {
        *wait->page = 'w';
    } else {
        (void)*wait->page;
    }
    expects_fault = 0;
    (void)!write(is_through[1], "", 1);
    return NULL;
}

/* Gives the page that the message is about, or lets it be written, in a range of one page. */
static void give_page(int fd, uint64_t address, uint64_t flags)
{
    void *page = (void *)(uintptr_t)(address & -PAGE);

    if (flags & UFFD_PAGEFAULT_FLAG_WP) {
        uffd_wp(fd, page, 1, UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
    } else {
        uffd_zeropage(fd, page, 1, UFFDIO_ZEROPAGE_MODE_DONTWAKE);
    }
    uffd_wake(fd, page, 1);
}

/* A thread that must not have been woken is given the time to show that it was. */
static int asks_again(int fd)
{
    struct pollfd asking = {fd, POLLIN, 0};

    for (int i = 0; i < 4; i++) {
        sched_yield();
    }
    return poll(&asking, 1, 0) == 1;
}

/* Answers what the thread waits for, until it is through. */
static void answer_messages(int fd, struct wait *wait)
{
    struct pollfd waiting[] = {{fd, POLLIN, 0}, {is_through[0], POLLIN, 0}};
    struct uffdio_range wake = {wait->wake_start, wait->wake_len};
    struct uffdio_range all = {wait->start, wait->len};
    struct uffd_msg message;

    while (poll(waiting, 2, -1) >= 0 && !waiting[1].revents) {
        uint64_t address;

        if (uffd_read(fd, &message) < 0) {
            continue;
        }
        address = message.arg.pagefault.address;
        wait->flags = message.arg.pagefault.flags;
        if (++wait->nr_messages == 1) {
            wait->woken = uffd_command(fd, UFFDIO_WAKE, &wake);
            if ((wait->woken == 0 && address - wake.start < wake.len) || asks_again(fd)) {
                continue; /* it has looked again, found nothing, and says so */
            }
        }
        if (wait->nr_messages < WAIT_MESSAGES_MAX) {
            give_page(fd, address, wait->flags);
        } else {
            ioctl(fd, UFFDIO_UNREGISTER, &all);
        }
    }
}

/**
 * wait_for_page() - have a thread touch a page, wake it in vain if the range of the plan has the
 * page, and give it the page. Return: 0, or -1 if the range cannot be watched, with errno.
 */
static int wait_for_page(struct wait *wait)
{
    struct uffdio_register watch = {.range = {wait->start, wait->len}, .mode = MISSING | WP};
    struct uffdio_writeprotect protect = {.range = {wait->start, wait->len},
                                          .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    int fd = uffd_open(O_CLOEXEC | O_NONBLOCK, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    pthread_t thread;
    int error = 0;

    if (ioctl(fd, UFFDIO_REGISTER, &watch) != 0 || pipe(is_through) != 0) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    if (wait->is_protected) {
        ioctl(fd, UFFDIO_WRITEPROTECT, &protect);
    }
    if (pthread_create(&thread, NULL, touch_page, wait) == 0) {
        answer_messages(fd, wait);
        pthread_join(thread, NULL);
    }
    close(is_through[0]);
    close(is_through[1]);
    close(fd);
    return 0;
}

#endif
