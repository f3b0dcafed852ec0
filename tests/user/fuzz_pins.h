/*
 * Pages that somebody holds, for fuzz_ops: pipes hold them by reference (vmsplice), and one range
 * of one process is pinned for long and for writing. Cowbell pins with /dev/gup_test; Linux as its
 * packages build it has no such file, and pins the buffer of an io_uring.
 *
 * What was pinned is read back through the pin, never through the page tables.
 */
#ifndef COWBELL_TESTS_FUZZ_PINS_H
#define COWBELL_TESTS_FUZZ_PINS_H

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "gup_device.h"

/** struct ring - an io_uring with room for one request. */
struct ring {
    int fd;
    char *queues;
    struct io_uring_sqe *requests;
    struct io_uring_params params;
};

static int gup_device = -1;
static struct ring ring = {.fd = -1};
static char *pinned_at; /* in the process that has pinned; NULL: nothing is */
static size_t pinned_len;

static int ring_open(void)
{
    memset(&ring.params, 0, sizeof(ring.params));
    ring.fd = (int)syscall(SYS_io_uring_setup, 1, &ring.params);
    if (ring.fd < 0) {
        return -1;
    }
    ring.queues =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, (off_t)IORING_OFF_SQ_RING);
    ring.requests =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, (off_t)IORING_OFF_SQES);
    return ring.queues == MAP_FAILED || ring.requests == MAP_FAILED ? -1 : 0;
}

static uint32_t *ring_word(uint32_t offset)
{
    return (uint32_t *)(void *)(ring.queues + offset);
}

/* Write the pinned buffer into a file. Return: how many bytes were written, or -1. */
static long ring_write_out(int fd, const void *buffer, size_t len)
{
    const struct io_cqring_offsets *done = &ring.params.cq_off;
    uint32_t tail = *ring_word(ring.params.sq_off.tail);
    const struct io_uring_cqe *results = (const void *)(ring.queues + done->cqes);
    uint32_t head = *ring_word(done->head);

    ring.requests[0] = (struct io_uring_sqe){
        .opcode = IORING_OP_WRITE_FIXED, .fd = fd, .addr = (uintptr_t)buffer, .len = (uint32_t)len};
    *ring_word(ring.params.sq_off.array) = 0;
    __atomic_store_n(ring_word(ring.params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1) {
        return -1;
    }
    tail = __atomic_load_n(ring_word(done->tail), __ATOMIC_ACQUIRE);
    __atomic_store_n(ring_word(done->head), tail, __ATOMIC_RELEASE);
    return results[head & *ring_word(done->ring_mask)].res;
}

static void ring_close(void)
{
    if (ring.fd >= 0) {
        munmap(ring.queues, PAGE);
        munmap(ring.requests, PAGE);
        close(ring.fd);
        ring.fd = -1;
    }
}

/** pins_find() - can this kernel pin for a program? Before the first fork. */
static int pins_find(void)
{
    gup_device = gup_open_flags(O_RDWR | O_CLOEXEC);
    if (gup_device >= 0) {
        return 1;
    }
    if (ring_open() != 0) {
        return 0;
    }
    ring_close();
    return 1;
}

static long pin_drop(void)
{
    long result = 0;

    if (pinned_at != NULL) {
        result = gup_device >= 0
                     ? ioctl(gup_device, PIN_LONGTERM_TEST_STOP)
                     : syscall(SYS_io_uring_register, ring.fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
    }
    pinned_at = NULL;
    return result;
}

static long pin_take(char *p, size_t len)
{
    struct pin_longterm_test range = {
        .addr = (uintptr_t)p, .size = len, .flags = LONGTERM_USE_WRITE | LONGTERM_USE_FAST};
    struct iovec iov = {p, len};
    long result;

    if (gup_device < 0 && ring.fd < 0 && ring_open() != 0) {
        return -1;
    }
    result = gup_device >= 0
                 ? ioctl(gup_device, PIN_LONGTERM_TEST_START, &range)
                 : syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &iov, 1);
    if (result == 0) {
        pinned_at = p;
        pinned_len = len;
    }
    return result;
}

/** pin_read() - what the pinned pages hold. Return: how many bytes, or -1. */
static long pin_read(char *to)
{
    uint64_t address = (uintptr_t)to;
    long n = -1;
    int fd;

    if (pinned_at == NULL) {
        return 0;
    }
    if (gup_device >= 0) {
        return ioctl(gup_device, PIN_LONGTERM_TEST_READ, &address) == 0 ? (long)pinned_len : -1;
    }
    fd = memfd_create("pinned", MFD_CLOEXEC);
    if (ring_write_out(fd, pinned_at, pinned_len) == (long)pinned_len) {
        n = pread(fd, to, pinned_len, 0);
    }
    close(fd);
    return n;
}

/** pins_after_fork() - in the child: the pin is its parent's. */
static void pins_after_fork(void)
{
    ring_close();
    pinned_at = NULL;
}

/** pins_end() - the processes of the sequence are gone; the device is shared by all. */
static void pins_end(void)
{
    if (gup_device >= 0) {
        ioctl(gup_device, PIN_LONGTERM_TEST_STOP);
    }
}

#endif
