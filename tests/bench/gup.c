/* Reaching into the memory of others, and keeping pages in place: process_vm_readv, io_uring's
 * fixed buffers, vmsplice, and the pins of /dev/gup_test. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_PAGES = 512 };
#define LENGTH (NR_PAGES * PAGE)

static char *here;

/* Return: the pid of a child that has touched the memory at BASE and sleeps until *@gate closes. */
static pid_t start_target(int *gate)
{
    int ready[2], go[2];
    char byte = 0;
    pid_t pid;

    if (pipe(ready) != 0 || pipe(go) != 0) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        close(go[1]);
        write_pages(BASE, NR_PAGES);
        if (write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) >= 0) {
            _exit(0);
        }
        _exit(1);
    }
    close(go[0]);
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) {
        return -1;
    }
    close(ready[0]);
    *gate = go[1];
    return pid;
}

typedef ssize_t remote_call(pid_t, const struct iovec *, unsigned long, const struct iovec *,
                            unsigned long, unsigned long);

static void transfer(struct row *row, pid_t pid, remote_call *call, size_t len, int rounds)
{
    struct iovec local = {here, len};
    struct iovec remote = {BASE, len};

    for (int r = 0; r < bench_repeats; r++) {
        int is_ok = 1;

        TIMED(row, rounds)
        {
            for (int i = 0; i < rounds; i++) {
                is_ok &= call(pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
            }
        }
        if (!is_ok) {
            row_fail(row);
            return;
        }
    }
}

static void remote_memory(struct row *rows)
{
    int gate = -1;
    pid_t pid;

    write_pages(map_rw(LENGTH), NR_PAGES);
    here = map_at(BASE2, LENGTH, RW);
    write_pages(here, NR_PAGES);
    pid = start_target(&gate);
    if (pid < 0) {
        rows_fail(rows);
        return;
    }
    transfer(&rows[0], pid, process_vm_readv, PAGE, 500);
    transfer(&rows[1], pid, process_vm_writev, PAGE, 500);
    transfer(&rows[2], pid, process_vm_readv, MIB, 8);
    transfer(&rows[3], pid, process_vm_writev, MIB, 8);
    transfer(&rows[4], pid, process_vm_readv, 1, 500);
    close(gate);
    waitpid(pid, NULL, 0);
}

#define SYS_URING_SETUP    425
#define SYS_URING_REGISTER 427
#define REGISTER_BUFFERS   0
#define UNREGISTER_BUFFERS 1

static int open_uring(void)
{
    unsigned params[30] = {0};

    return (int)syscall(SYS_URING_SETUP, 4, params);
}

static int uring_pin(int ring, size_t len)
{
    struct iovec buffer = {BASE, len};

    return (int)syscall(SYS_URING_REGISTER, ring, REGISTER_BUFFERS, &buffer, 1);
}

static int uring_unpin(int ring)
{
    return (int)syscall(SYS_URING_REGISTER, ring, UNREGISTER_BUFFERS, NULL, 0);
}

/* A long-term pin and its end. Return: 0, or -1 with errno. */
static int time_pins(struct row *pin, struct row *unpin, int ring, size_t len, int rounds)
{
    for (int r = 0; r < bench_repeats; r++) {
        struct watch pins = watch_of(pin);
        struct watch unpins = watch_of(unpin);

        for (int i = 0; i < rounds; i++) {
            int error;

            watch_start(&pins);
            error = uring_pin(ring, len);
            watch_stop(&pins);
            if (error != 0) {
                return -1;
            }
            watch_start(&unpins);
            uring_unpin(ring);
            watch_stop(&unpins);
        }
        row_add(pin, &pins, rounds);
        row_add(unpin, &unpins, rounds);
    }
    return 0;
}

static void time_forks(struct row *row)
{
    child_exit();
    for (int i = 0; i < 5; i++) {
        TIMED(row, 1)
        {
            child_exit();
        }
    }
}

static void fixed_buffers(struct row *rows)
{
    int ring = open_uring();

    write_pages(map_rw(LENGTH), NR_PAGES);
    if (ring < 0 || time_pins(&rows[0], &rows[1], ring, PAGE, 100) != 0 ||
        time_pins(&rows[2], &rows[3], ring, MIB, 20) != 0 || uring_pin(ring, MIB) != 0) {
        rows_fail(rows);
        return;
    }
    time_forks(&rows[4]); /* pinned pages are copied for the child */
    uring_unpin(ring);
    time_forks(&rows[5]);
    close(ring);
}

/* As in Linux's mm/gup_test.h. */
struct gup_test {
    uint64_t get_delta_us;
    uint64_t put_delta_us;
    uint64_t address;
    uint64_t size;
    uint32_t nr_pages_per_call;
    uint32_t gup_flags;
    uint32_t test_flags;
    uint32_t which_pages[8];
};
#define PIN_FAST_BENCHMARK _IOWR('g', 2, struct gup_test)

/*
 * Pinning 512 pages and unpinning them by the shortest way from user space: /dev/gup_test, which
 * Debian's Linux lacks, else a fixed buffer of io_uring.
 */
static void pin_512_pages(struct row *rows)
{
    int device = open("/dev/gup_test", O_RDWR);
    int ring = device < 0 ? open_uring() : -1;

    write_pages(map_rw(LENGTH), NR_PAGES);
    if (device < 0 && ring < 0) {
        rows_fail(rows);
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        struct gup_test request = {.address = (uintptr_t)BASE,
                                   .size = LENGTH,
                                   .nr_pages_per_call = NR_PAGES,
                                   .gup_flags = 1};
        int error;

        TIMED(&rows[0], 1)
        {
            error = device >= 0 ? ioctl(device, PIN_FAST_BENCHMARK, &request)
                                : uring_pin(ring, LENGTH) | uring_unpin(ring);
        }
        if (error != 0) {
            row_fail(&rows[0]);
            return;
        }
    }
}

static void splices(struct row *rows)
{
    enum { ROUNDS = 200, SIZE = 65536 };
    int null = open("/dev/null", O_WRONLY);
    int fds[2];

    write_pages(map_rw(LENGTH), NR_PAGES);
    if (null < 0 || pipe(fds) != 0) {
        rows_fail(rows);
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        struct watch in = watch_of(&rows[0]);
        struct watch out = watch_of(&rows[1]);
        struct iovec pages = {BASE, SIZE};

        for (int i = 0; i < ROUNDS; i++) {
            ssize_t moved;

            watch_start(&in);
            moved = vmsplice(fds[1], &pages, 1, 0);
            watch_stop(&in);
            if (moved != SIZE) {
                rows_fail(rows);
                return;
            }
            watch_start(&out);
            moved = splice(fds[0], NULL, null, NULL, SIZE, 0);
            watch_stop(&out);
            if (moved != SIZE) {
                rows_fail(rows);
                return;
            }
        }
        row_add(&rows[0], &in, ROUNDS);
        row_add(&rows[1], &out, ROUNDS);
    }
}

const struct bench bench_gup[] = {
    {remote_memory,
     {"process_vm_readv_4K", "process_vm_writev_4K", "process_vm_readv_1M", "process_vm_writev_1M",
      "process_vm_readv_1byte"}},
    {fixed_buffers,
     {"iouring_pin_4K", "iouring_unpin_4K", "iouring_pin_1M", "iouring_unpin_1M",
      "fork_exit_wait_1M_of_2M_pinned", "fork_exit_wait_2M_unpinned"}},
    {pin_512_pages, {"pin_unpin_512_pages"}},
    {splices, {"vmsplice_64K_gup16", "splice_devnull_64K_put16"}},
    {0},
};
