/*
 * /dev/gup_test: takes references and pins on the caller's memory, as its commands ask.
 *
 * Two kinds of commands. One takes pages, tells how far it got and how long that took, and gives
 * them back before it returns. The other keeps long-term pins until it is told to stop, and reads
 * the pinned pages meanwhile, whatever has become of the addresses. There is one such set of pins
 * in the system, and the last close of any open file of this kind ends it: both as on Linux.
 */
#include <ipc/gup_test_file.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/gup.h>
#include <mm/page.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/mutex.h>
#include <proc/sched.h>
#include <uapi/cowbell.h>
#include <uapi/linux/gup_test.h>
#include <uapi/linux/stat.h>

static const struct file_ops gup_test_ops;

/* The set of long-term pins. */
static struct {
    struct mutex lock;
    struct page **pages; /* [lock] NULL while there are none */
    u64 nr_pages;        /* [lock] */
} pinned = {.lock = MUTEX_INIT(pinned.lock, RANK_FILE_DATA)};

int gup_test_file_open(s32 pid, u32 flags, struct file **out)
{
    return pid != 0 ? -EINVAL : file_alloc(&gup_test_ops, flags, 0, NULL, out);
}

/* Return: as get_user_pages(). */
static s64 take(u32 cmd, const struct gup_test *test, u64 addr, u64 nr_pages, struct page **pages)
{
    u32 flags = test->gup_flags;

    if ((flags & ~FOLL_USER_MASK) != 0) {
        return -EINVAL;
    }
    switch (cmd) {
    case GUP_FAST_BENCHMARK:
        return get_user_pages_fast(addr, nr_pages, flags, pages);
    case PIN_FAST_BENCHMARK:
        return pin_user_pages_fast(addr, nr_pages, flags, pages);
    case GUP_BASIC_TEST:
        return get_user_pages(addr, nr_pages, flags, pages);
    case PIN_BASIC_TEST:
        return pin_user_pages(addr, nr_pages, flags, pages);
    case PIN_LONGTERM_BENCHMARK:
        return pin_user_pages(addr, nr_pages, flags | FOLL_LONGTERM, pages);
    default:
        return test->test_flags & GUP_TEST_FLAG_DUMP_PAGES_USE_PIN
                   ? pin_user_pages(addr, nr_pages, flags, pages)
                   : get_user_pages(addr, nr_pages, flags, pages);
    }
}

static bool takes_pins(u32 cmd, const struct gup_test *test)
{
    return cmd == PIN_FAST_BENCHMARK || cmd == PIN_BASIC_TEST || cmd == PIN_LONGTERM_BENCHMARK ||
           (cmd == DUMP_USER_PAGES_TEST && (test->test_flags & GUP_TEST_FLAG_DUMP_PAGES_USE_PIN));
}

static void give_back(u32 cmd, const struct gup_test *test, struct page **pages, u64 nr_pages)
{
    if (takes_pins(cmd, test)) {
        unpin_user_pages(pages, nr_pages);
        return;
    }
    for (u64 i = 0; i < nr_pages; i++) {
        page_put(pages[i]);
    }
}

/* Each pinned page must say so; only the zero page, which is never counted, does not. */
static void check_pins(struct page *const *pages, u64 nr_pages)
{
    for (u64 i = 0; i < nr_pages; i++) {
        ASSERT(page_is_zero(pages[i]) || page_pincount(pages[i]) > 0,
               "I5: a pin that is held is counted");
    }
}

static void dump(struct gup_test *test, struct page *const *pages, u64 nr_pages)
{
    for (u32 i = 0; i < GUP_TEST_MAX_PAGES_TO_DUMP; i++) {
        if (test->which_pages[i] > nr_pages) {
            test->which_pages[i] = 0;
        }
        if (test->which_pages[i] != 0) {
            page_dump(pages[test->which_pages[i] - 1], "gup_test");
        }
    }
}

/*
 * Takes the pages of a test in calls of the size it asks for, until one of them gets fewer than it
 * asked for. The error of a call is not told: the size that is left says how far it went.
 * Return: pages taken.
 */
static u64 take_in_calls(u32 cmd, struct gup_test *test, struct page **pages)
{
    u64 end = test->addr + test->size;
    u64 addr = test->addr;
    s64 nr = test->nr_pages_per_call;
    u64 nr_taken = 0;

    while (addr < end && nr == test->nr_pages_per_call) {
        u64 next = addr + (u64)nr * PAGE_SIZE;

        if (next > end) {
            next = end;
            nr = (s64)((next - addr) / PAGE_SIZE);
        }
        nr = take(cmd, test, addr, (u64)nr, pages + nr_taken);
        if (nr <= 0) {
            break;
        }
        nr_taken += (u64)nr;
        addr = next;
        sched_point();
    }
    test->size = addr - test->addr;
    return nr_taken;
}

static int run_test(u32 cmd, struct gup_test *test)
{
    u64 start_ns = clock_monotonic_ns();
    struct page **pages;
    u64 nr_taken;

    if (test->size > U64_MAX - test->addr) {
        return -EINVAL;
    }
    pages = kmalloc_array(test->size / PAGE_SIZE + 1, sizeof(*pages), ALLOC_KERNEL);
    if (pages == NULL) {
        return -ENOMEM;
    }
    nr_taken = take_in_calls(cmd, test, pages);
    test->get_delta_usec = (clock_monotonic_ns() - start_ns) / NSEC_PER_USEC;
    if (takes_pins(cmd, test)) {
        check_pins(pages, nr_taken);
    }
    if (cmd == DUMP_USER_PAGES_TEST) {
        dump(test, pages, nr_taken);
    }
    start_ns = clock_monotonic_ns();
    give_back(cmd, test, pages, nr_taken);
    test->put_delta_usec = (clock_monotonic_ns() - start_ns) / NSEC_PER_USEC;
    kfree(pages);
    return 0;
}

static s64 ioctl_test(u32 cmd, u64 arg)
{
    struct gup_test test;
    int error;

    if (copy_from_user(&test, arg, sizeof(test)) != 0) {
        return -EFAULT;
    }
    error = run_test(cmd, &test);
    return error != 0 ? error : copy_to_user(arg, &test, sizeof(test));
}

static void stop_pins(void) REQUIRES(&pinned.lock)
{
    unpin_user_pages(pinned.pages, pinned.nr_pages);
    kfree(pinned.pages);
    pinned.pages = NULL;
    pinned.nr_pages = 0;
}

/* Linux's checks, in Linux's order. */
static int check_start(const struct pin_longterm_test *test)
{
    u32 known = PIN_LONGTERM_TEST_FLAG_USE_WRITE | PIN_LONGTERM_TEST_FLAG_USE_FAST;

    if ((test->flags & ~known) != 0 || !PAGE_ALIGNED(test->addr | test->size) ||
        test->size > (u64)S64_MAX || test->size == 0) {
        return -EINVAL;
    }
    return 0;
}

static s64 pin_rest(const struct pin_longterm_test *test) REQUIRES(&pinned.lock)
{
    u64 addr = test->addr + pinned.nr_pages * PAGE_SIZE;
    u64 nr_left = test->size / PAGE_SIZE - pinned.nr_pages;
    struct page **out = pinned.pages + pinned.nr_pages;
    u32 flags = FOLL_LONGTERM;

    flags |= test->flags & PIN_LONGTERM_TEST_FLAG_USE_WRITE ? FOLL_WRITE : 0;
    if (test->flags & PIN_LONGTERM_TEST_FLAG_USE_FAST) {
        return pin_user_pages_fast(addr, nr_left, flags, out);
    }
    return pin_user_pages(addr, nr_left, flags, out);
}

static s64 start_pins(u64 arg) REQUIRES(&pinned.lock)
{
    struct pin_longterm_test test;
    int error;

    if (pinned.pages != NULL) {
        return -EINVAL;
    }
    if (copy_from_user(&test, arg, sizeof(test)) != 0) {
        return -EFAULT;
    }
    error = check_start(&test);
    if (error != 0) {
        return error;
    }
    pinned.pages = kmalloc_array(test.size / PAGE_SIZE, sizeof(*pinned.pages), ALLOC_KERNEL);
    if (pinned.pages == NULL) {
        return -ENOMEM;
    }
    while (pinned.nr_pages < test.size / PAGE_SIZE) {
        s64 nr = pin_rest(&test);

        if (nr < 0) {
            stop_pins();
            return nr;
        }
        pinned.nr_pages += (u64)nr;
    }
    return 0;
}

static s64 read_pins(u64 arg) REQUIRES(&pinned.lock)
{
    u64 addr;

    if (pinned.pages == NULL) {
        return -EINVAL;
    }
    if (get_user_u64(&addr, arg) != 0) {
        return -EFAULT;
    }
    for (u64 i = 0; i < pinned.nr_pages; i++) {
        if (copy_to_user(addr + i * PAGE_SIZE, page_to_virt(pinned.pages[i]), PAGE_SIZE) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static s64 ioctl_pins(u32 cmd, u64 arg)
{
    s64 result = mutex_lock_killable(&pinned.lock);

    if (result != 0) {
        return result;
    }
    if (cmd == PIN_LONGTERM_TEST_START) {
        result = start_pins(arg);
    } else if (cmd == PIN_LONGTERM_TEST_READ) {
        result = read_pins(arg);
    } else {
        stop_pins();
    }
    mutex_unlock(&pinned.lock);
    return result;
}

static s64 gup_test_ioctl(struct file *file, u32 cmd, u64 arg)
{
    switch (cmd) {
    case GUP_FAST_BENCHMARK:
    case PIN_FAST_BENCHMARK:
    case PIN_LONGTERM_BENCHMARK:
    case GUP_BASIC_TEST:
    case PIN_BASIC_TEST:
    case DUMP_USER_PAGES_TEST:
        return ioctl_test(cmd, arg);
    case PIN_LONGTERM_TEST_START:
    case PIN_LONGTERM_TEST_STOP:
    case PIN_LONGTERM_TEST_READ:
        return ioctl_pins(cmd, arg);
    default:
        return -EINVAL;
    }
}

static void gup_test_release(struct file *file)
{
    mutex_lock(&pinned.lock);
    stop_pins();
    mutex_unlock(&pinned.lock);
}

static int gup_test_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IFREG | S_IRUSR | S_IWUSR, stat);
    return 0;
}

static void gup_test_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "/sys/kernel/debug/gup_test", size);
}

static const struct file_ops gup_test_ops = {
    .kind = CB_FD_OTHER,
    .ioctl = gup_test_ioctl,
    .release = gup_test_release,
    .stat = gup_test_stat,
    .name = gup_test_name,
};
