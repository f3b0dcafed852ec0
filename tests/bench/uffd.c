/* userfaultfd: a handler thread's round trip for each kind of fault, and the bulk calls. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NR_PAGES = 4096, NR_TRIPS = 1024 };
#define LENGTH (NR_PAGES * PAGE)

enum answer { ANSWER_COPY, ANSWER_UNPROTECT, ANSWER_CONTINUE };

static int uffd;
static char *source;

/* Return: 0, or -1 with errno. */
static int open_uffd(uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};

    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
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

static void *answer_faults(void *argument)
{
    enum answer answer = *(enum answer *)argument;

    for (int i = 0; i < NR_TRIPS; i++) {
        struct uffd_msg message;
        uint64_t address;

        if (read(uffd, &message, sizeof(message)) != (ssize_t)sizeof(message)) {
            _exit(3);
        }
        address = message.arg.pagefault.address & ~(PAGE - 1);
        if (answer == ANSWER_COPY) {
            copy_to(address, 1);
        } else if (answer == ANSWER_UNPROTECT) {
            protect(address, 1, 0);
        } else {
            proceed(address, 1);
        }
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

static void copy_on_sigbus(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    copy_to((uintptr_t)info->si_addr & ~(PAGE - 1), 1);
}

static void sigbus(struct row *rows)
{
    struct sigaction action = {.sa_sigaction = copy_on_sigbus, .sa_flags = SA_SIGINFO};

    make_source();
    sigaction(SIGBUS, &action, NULL);
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);

        if (open_uffd(UFFD_FEATURE_SIGBUS) != 0 ||
            watch_range(p, UFFDIO_REGISTER_MODE_MISSING) != 0) {
            rows_fail(rows);
            return;
        }
        TIMED(&rows[0], NR_TRIPS)
        {
            write_pages(p, NR_TRIPS);
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
    {sigbus, {"uffd_sigbus_roundtrip_copy"}},
    {life, {"uffd_open_register_close"}},
    {0},
};
