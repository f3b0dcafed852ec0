/*
 * userfaultfd: the round trip of each kind of fault through a thread that reads, one that polls
 * first, and a signal handler; and the calls for many pages.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

enum { NR_PAGES = 4096, NR_TRIPS = 1024 };
#define LENGTH (NR_PAGES * PAGE)

enum answer { ANSWER_COPY, ANSWER_UNPROTECT, ANSWER_CONTINUE, NR_ANSWERS };

static int uffd;
static int open_flags = O_CLOEXEC; /* with O_NONBLOCK the descriptor is polled */
static char *source;
static enum answer signal_answer;

/* Return: 0, or -1 with errno. */
static int open_uffd(uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};

    uffd = (int)syscall(SYS_userfaultfd, open_flags);
    return uffd < 0 ? -1 : ioctl(uffd, UFFDIO_API, &api);
}

static int watch_range(char *p, uint64_t mode)
{
    struct uffdio_register range = {.range = {(uintptr_t)p, LENGTH}, .mode = mode};

    return ioctl(uffd, UFFDIO_REGISTER, &range);
}

static int copy_to(uint64_t address, size_t nr_pages)
{
    struct uffdio_copy copy = {.dst = address, .src = (uintptr_t)source, .len = nr_pages * PAGE};

    return ioctl(uffd, UFFDIO_COPY, &copy);
}

static int protect(uint64_t address, size_t nr_pages, uint64_t mode)
{
    struct uffdio_writeprotect range = {.range = {address, nr_pages * PAGE}, .mode = mode};

    return ioctl(uffd, UFFDIO_WRITEPROTECT, &range);
}

static int proceed(uint64_t address, size_t nr_pages)
{
    struct uffdio_continue range = {.range = {address, nr_pages * PAGE}};

    return ioctl(uffd, UFFDIO_CONTINUE, &range);
}

static void give(enum answer answer, uint64_t address)
{
    if (answer == ANSWER_COPY) {
        copy_to(address, 1);
    } else if (answer == ANSWER_UNPROTECT) {
        protect(address, 1, 0);
    } else {
        proceed(address, 1);
    }
}

/* Return: the page that a thread waits for. */
static uint64_t next_fault(void)
{
    int is_polled = open_flags & O_NONBLOCK;
    struct uffd_msg message;
    ssize_t n;

    do {
        if (is_polled) {
            poll(&(struct pollfd){uffd, POLLIN, 0}, 1, -1);
        }
        n = read(uffd, &message, sizeof(message));
    } while (is_polled && n < 0 && errno == EAGAIN);
    if (n != (ssize_t)sizeof(message)) {
        _exit(3);
    }
    return message.arg.pagefault.address & ~(PAGE - 1);
}

static void *answer_faults(void *argument)
{
    enum answer answer = *(enum answer *)argument;

    for (int i = 0; i < NR_TRIPS; i++) {
        give(answer, next_fault());
    }
    return NULL;
}

static void round_trips(struct row *row, char *p, enum answer answer)
{
    pthread_t thread;

    pthread_create(&thread, NULL, answer_faults, &answer);
    sched_yield();
    TIMED(row, NR_TRIPS)
    {
        write_pages(p, NR_TRIPS);
    }
    pthread_join(thread, NULL);
}

static char *make_source(void)
{
    source = map_at(BASE2, LENGTH, RW);
    memset(source, 5, LENGTH);
    return source;
}

static void missing(struct row *rows)
{
    make_source();
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        uint64_t address = (uintptr_t)p;
        struct uffdio_zeropage zero = {.range = {address + 3 * NR_TRIPS * PAGE, NR_TRIPS * PAGE}};
        int error;

        if (open_uffd(0) != 0 || watch_range(p, UFFDIO_REGISTER_MODE_MISSING) != 0) {
            rows_fail(rows);
            return;
        }
        round_trips(&rows[0], p, ANSWER_COPY);
        TIMED(&rows[1], NR_TRIPS)
        {
            error = copy_to(address + NR_TRIPS * PAGE, NR_TRIPS);
        }
        if (error != 0) {
            row_fail(&rows[1]);
        }
        TIMED(&rows[2], NR_TRIPS)
        {
            for (size_t i = 0; i < NR_TRIPS; i++) {
                copy_to(address + (2 * NR_TRIPS + i) * PAGE, 1);
            }
        }
        TIMED(&rows[3], NR_TRIPS)
        {
            error = ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
        }
        if (error != 0) {
            row_fail(&rows[3]);
        }
        close(uffd);
        munmap(p, LENGTH);
    }
}

static void write_protect(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        uint64_t address = (uintptr_t)p;
        int error;

        write_pages(p, NR_PAGES);
        if (open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0 ||
            watch_range(p, UFFDIO_REGISTER_MODE_WP) != 0) {
            rows_fail(rows);
            return;
        }
        TIMED(&rows[0], NR_PAGES)
        {
            error = protect(address, NR_PAGES, UFFDIO_WRITEPROTECT_MODE_WP);
        }
        if (error != 0) {
            rows_fail(rows);
            row_fail(&rows[0]);
            return;
        }
        round_trips(&rows[1], p, ANSWER_UNPROTECT);
        TIMED(&rows[2], NR_PAGES)
        {
            protect(address, NR_PAGES, 0);
        }
        TIMED(&rows[3], NR_PAGES)
        {
            for (size_t i = 0; i < NR_PAGES; i++) {
                protect(address + i * PAGE, 1, UFFDIO_WRITEPROTECT_MODE_WP);
            }
        }
        close(uffd);
        munmap(p, LENGTH);
    }
}

static void minor(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        int fd = memfd_of(LENGTH, 1);
        char *p = map_fd(fd, LENGTH, MAP_SHARED);
        int error;

        if (open_uffd(UFFD_FEATURE_MINOR_SHMEM) != 0 ||
            watch_range(p, UFFDIO_REGISTER_MODE_MINOR) != 0) {
            rows_fail(rows);
            return;
        }
        round_trips(&rows[0], p, ANSWER_CONTINUE);
        TIMED(&rows[1], NR_PAGES - NR_TRIPS)
        {
            error = proceed((uintptr_t)p + NR_TRIPS * PAGE, NR_PAGES - NR_TRIPS);
        }
        if (error != 0) {
            row_fail(&rows[1]);
        }
        close(uffd);
        munmap(p, LENGTH);
        close(fd);
    }
}

/** struct scene - memory whose first NR_TRIPS pages fault for one reason. */
struct scene {
    char *p;
    int fd;
};

static int open_scene(struct scene *s, enum answer answer, uint64_t features)
{
    static const uint64_t modes[] = {UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP,
                                     UFFDIO_REGISTER_MODE_MINOR};
    static const uint64_t needed[] = {0, UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFD_FEATURE_MINOR_SHMEM};

    s->fd = answer == ANSWER_CONTINUE ? memfd_of(LENGTH, 1) : -1;
    s->p = s->fd >= 0 ? map_fd(s->fd, LENGTH, MAP_SHARED) : map_rw(LENGTH);
    if (answer == ANSWER_UNPROTECT) {
        write_pages(s->p, NR_TRIPS);
    }
    if (open_uffd(features | needed[answer]) != 0 || watch_range(s->p, modes[answer]) != 0) {
        return -1;
    }
    return answer == ANSWER_UNPROTECT
               ? protect((uintptr_t)s->p, NR_TRIPS, UFFDIO_WRITEPROTECT_MODE_WP)
               : 0;
}

static void close_scene(struct scene *s)
{
    close(uffd);
    munmap(s->p, LENGTH);
    close(s->fd);
}

static void polled(struct row *rows)
{
    make_source();
    open_flags |= O_NONBLOCK;
    for (int r = 0; r < bench_repeats; r++) {
        for (enum answer answer = 0; answer < NR_ANSWERS; answer++) {
            struct scene scene;

            if (open_scene(&scene, answer, 0) != 0) {
                row_fail(&rows[answer]);
            } else {
                round_trips(&rows[answer], scene.p, answer);
            }
            close_scene(&scene);
        }
    }
}

static void answer_on_sigbus(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    give(signal_answer, (uintptr_t)info->si_addr & ~(PAGE - 1));
}

static void sigbus(struct row *rows)
{
    struct sigaction action = {.sa_sigaction = answer_on_sigbus, .sa_flags = SA_SIGINFO};

    make_source();
    sigaction(SIGBUS, &action, NULL);
    for (int r = 0; r < bench_repeats; r++) {
        for (signal_answer = 0; signal_answer < NR_ANSWERS; signal_answer++) {
            struct scene scene;

            if (open_scene(&scene, signal_answer, UFFD_FEATURE_SIGBUS) != 0) {
                row_fail(&rows[signal_answer]);
            } else {
                TIMED(&rows[signal_answer], NR_TRIPS)
                {
                    write_pages(scene.p, NR_TRIPS);
                }
            }
            close_scene(&scene);
        }
    }
}

static void in_one_call(struct row *rows)
{
    make_source();
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        int error;

        if (open_uffd(0) != 0 || watch_range(p, UFFDIO_REGISTER_MODE_MISSING) != 0) {
            rows_fail(rows);
            return;
        }
        TIMED(&rows[0], NR_PAGES)
        {
            error = copy_to((uintptr_t)p, NR_PAGES);
        }
        if (error != 0) {
            row_fail(&rows[0]);
        }
        close(uffd);
        munmap(p, LENGTH);
    }
}

static void async(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);

        write_pages(p, NR_PAGES);
        if (open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC) != 0 ||
            watch_range(p, UFFDIO_REGISTER_MODE_WP) != 0 ||
            protect((uintptr_t)p, NR_PAGES, UFFDIO_WRITEPROTECT_MODE_WP) != 0) {
            rows_fail(rows);
            return;
        }
        TIMED(&rows[0], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        close(uffd);
        munmap(p, LENGTH);
    }
}

static void life(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        int error;

        TIMED(&rows[0], 1)
        {
            error = open_uffd(0) != 0 || watch_range(p, UFFDIO_REGISTER_MODE_MISSING) != 0;
            close(uffd);
        }
        if (error) {
            errno = ENOSYS;
            row_fail(&rows[0]);
            return;
        }
        munmap(p, LENGTH);
    }
}

const struct bench bench_uffd[] = {
    {missing,
     {"uffd_missing_roundtrip_copy_1thr", "uffd_copy_bulk_per_page", "uffd_copy_1page_ioctl",
      "uffd_zeropage_bulk_per_page"}},
    {write_protect,
     {"uffd_writeprotect_bulk_per_page", "uffd_wp_roundtrip_1thr", "uffd_unprotect_bulk_per_page",
      "uffd_writeprotect_1page_ioctl"}},
    {minor, {"uffd_minor_roundtrip_continue_1thr", "uffd_continue_bulk_per_page"}},
    {sigbus,
     {"uffd_sigbus_roundtrip_copy", "uffd_sigbus_roundtrip_wp", "uffd_sigbus_roundtrip_continue"}},
    {life, {"uffd_open_register_close"}},
    {polled,
     {"uffd_missing_roundtrip_copy_poll", "uffd_wp_roundtrip_poll",
      "uffd_minor_roundtrip_continue_poll"}},
    {in_one_call, {"uffd_copy_4096_pages_per_page"}},
    {async, {"uffd_wp_async_fault"}},
    {0},
};
