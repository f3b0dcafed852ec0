/*
 * /dev/gup_test as programs use it: Linux's commands and layouts. A Linux that is not built for it
 * has no such file; then the test is skipped.
 */
#ifndef COWBELL_TESTS_GUP_DEVICE_H
#define COWBELL_TESTS_GUP_DEVICE_H

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

struct gup_test {
    uint64_t get_delta_usec;
    uint64_t put_delta_usec;
    uint64_t addr;
    uint64_t size;
    uint32_t nr_pages_per_call;
    uint32_t gup_flags;
    uint32_t test_flags;
    uint32_t which_pages[8];
};

struct pin_longterm_test {
    uint64_t addr;
    uint64_t size;
    uint32_t flags;
};

#define GUP_FAST_BENCHMARK      _IOWR('g', 1, struct gup_test)
#define PIN_FAST_BENCHMARK      _IOWR('g', 2, struct gup_test)
#define PIN_LONGTERM_BENCHMARK  _IOWR('g', 3, struct gup_test)
#define GUP_BASIC_TEST          _IOWR('g', 4, struct gup_test)
#define PIN_BASIC_TEST          _IOWR('g', 5, struct gup_test)
#define DUMP_USER_PAGES_TEST    _IOWR('g', 6, struct gup_test)
#define PIN_LONGTERM_TEST_START _IOW('g', 7, struct pin_longterm_test)
#define PIN_LONGTERM_TEST_STOP  _IO('g', 8)
#define PIN_LONGTERM_TEST_READ  _IOW('g', 9, uint64_t)

#define DUMP_PAGES_USE_PIN 1
#define LONGTERM_USE_WRITE 1
#define LONGTERM_USE_FAST  2
#define FOLL_WRITE         1
#define FOLL_BREAK_COW     (1 << 13) /* Cowbell's own */

#define GUP_DEBUGFS "/sys/kernel/debug"

/** gup_open_flags() - the device, or -1 where there is none. */
static inline int gup_open_flags(int flags)
{
    int fd = open("/dev/gup_test", flags);

    if (fd < 0) {
        fd = open(GUP_DEBUGFS "/gup_test", flags);
    }
    if (fd < 0 && errno == ENOENT && mount("debugfs", GUP_DEBUGFS, "debugfs", 0, NULL) == 0) {
        fd = open(GUP_DEBUGFS "/gup_test", flags);
    }
    return fd;
}

#ifdef UTEST_SUITE
/** gup_open() - the device; skips the test where there is none. */
static inline int gup_open(void)
{
    int fd = gup_open_flags(O_RDWR);

    if (fd < 0) {
        SKIP("there is no gup_test device");
    }
    return fd;
}
#endif

#endif
