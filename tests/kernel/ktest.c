/*
 * Runs the in-kernel tests: picks them by the command line, gives each a fresh address space and a
 * time limit, checks afterwards that every rule still holds and nothing leaked, reports as KTAP.
 *
 * It must not know any suite. A crash or a hang ends the guest with the test's name as the last
 * `# start` line; tools/runner/kernel_suites.py goes on in a new guest. Read next: any suite here.
 */
#include <debug/ktest.h>

#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/thread.h>
#include <lib/assert.h>
#include <lib/atomic.h>
#include <lib/cmdline.h>
#include <lib/fmt.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/direct.h>
#include <mm/fail_inject.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/verify.h>
#include <mm/vmap.h>
#include <proc/clock.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <proc/timer.h>
#include <proc/waitqueue.h>

#define MAX_REPORTED   10u
#define MAX_CACHES     64u
#define QUIET_LIMIT_NS (2ull * 1000 * 1000 * 1000)
#define QUIET_STEP_NS  (100ull * 1000)
/* How much longer things may take by a clock that goes on while the host does something else. */
#define UNCOUNTED_PATIENCE 20u

extern const struct ktest __ktests_start[];
extern const struct ktest __ktests_end[];

/** struct inventory - what must be the same before and after a test. */
struct inventory {
    u64 frames;  /* frames that somebody holds */
    u64 objects; /* slab objects and large kmallocs in use */
};

static struct {
    const struct ktest *test;
    u32 nr_checks;     /* [x] checks made by the running test, from any of its threads */
    u32 nr_failures;   /* [x] */
    bool is_injecting; /* [t] of the test's thread */
    bool expects_panic;
    struct timer limit;
    u64 cache_usage[MAX_CACHES]; /* objects in use before the test, by cache */
    u32 nr_caches;
} run;

static bool glob_matches(const char *pattern, const char *end, const char *text)
{
    while (pattern < end && *pattern != '*') {
        if (*text == '\0' || (*pattern != '?' && *pattern != *text)) {
            return false;
        }
        pattern++;
        text++;
    }
    if (pattern == end) {
        return *text == '\0';
    }
    for (;; text++) {
        if (glob_matches(pattern + 1, end, text)) {
            return true;
        }
        if (*text == '\0') {
            return false;
        }
    }
}

static bool is_selected(const struct ktest *test, const char *selection)
{
    char name[128];

    snprintf(name, sizeof(name), "%s.%s", test->suite, test->name);
    while (*selection != '\0') {
        const char *end = strchr(selection, ',');

        if (end == NULL) {
            end = selection + strlen(selection);
        }
        if (glob_matches(selection, end, name)) {
            return true;
        }
        selection = *end == ',' ? end + 1 : end;
    }
    return false;
}

static void note_failure(const char *file, u32 line)
{
    __atomic_fetch_add(&run.nr_failures, 1, __ATOMIC_RELAXED);
    printk("# %s:%u: ", file, line);
}

void ktest_check_u64(bool is_ok, u64 expected, u64 actual, const char *text, const char *file,
                     u32 line)
{
    __atomic_fetch_add(&run.nr_checks, 1, __ATOMIC_RELAXED);
    if (!is_ok && READ_ONCE(run.nr_failures) < MAX_REPORTED) {
        note_failure(file, line);
        printk("expected %lld (0x%llx), actual %lld (0x%llx): %s\n", (long long)expected,
               (unsigned long long)expected, (long long)actual, (unsigned long long)actual, text);
    }
}

void ktest_check_true(bool is_ok, const char *text, const char *file, u32 line)
{
    __atomic_fetch_add(&run.nr_checks, 1, __ATOMIC_RELAXED);
    if (!is_ok && READ_ONCE(run.nr_failures) < MAX_REPORTED) {
        note_failure(file, line);
        printk("expected true, actual false: %s\n", text);
    }
}

void ktest_check_str(const char *expected, const char *actual, const char *text, const char *file,
                     u32 line)
{
    __atomic_fetch_add(&run.nr_checks, 1, __ATOMIC_RELAXED);
    if (strcmp(expected, actual) != 0 && READ_ONCE(run.nr_failures) < MAX_REPORTED) {
        note_failure(file, line);
        printk("expected \"%s\", actual \"%s\": %s\n", expected, actual, text);
    }
}

const struct ktest *ktest_current(void)
{
    return run.test;
}

u32 ktest_nr_failures(void)
{
    return READ_ONCE(run.nr_failures);
}

void ktest_expect_panic(const char *text)
{
    run.expects_panic = true;
    printk("# expects panic: %s\n", text);
}

bool ktest_alloc_failed(void)
{
    return run.is_injecting && current_thread()->fail_nth == 0;
}

static void run_body(const struct ktest *test)
{
    if ((test->flags & KTEST_FAIL_EACH_ALLOCATION) == 0) {
        test->body();
        return;
    }
    for (u64 nth = 1;; nth++) {
        bool has_fired;

        fail_inject_begin((u32)nth);
        run.is_injecting = true;
        test->body();
        run.is_injecting = false;
        has_fired = fail_inject_end();
        if (!has_fired || run.nr_failures != 0) {
            if (run.nr_failures != 0) {
                printk("# with allocation %llu failing\n", (unsigned long long)nth);
            }
            return;
        }
    }
}

static void use_mm(struct mm *mm)
{
    u64 flags = irq_save();

    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
}

static void test_thread(void *unused)
{
    struct mm *mm;

    if (mm_create(&mm) != 0) {
        panic("ktest: no memory for a test's address space");
    }
    use_mm(mm);
    run_body(run.test);
    use_mm(NULL);
    mm_put(mm);
}

u64 ktest_patience_ns(u64 ns)
{
    return cmdline_has("counted") ? ns : ns * UNCOUNTED_PATIENCE;
}

static void limit_expired(struct timer *timer)
{
    panic("ktest: %s.%s is still running after its limit of %llu ms of guest time", run.test->suite,
          run.test->name, (unsigned long long)(ktest_patience_ns(run.test->limit_ns) / 1000000));
}

static struct inventory take_inventory(void)
{
    sched_reap();
    return (struct inventory){.frames = frames_held_count(), .objects = slab_objects_in_use()};
}

static void sleep_until(u64 deadline_ns)
{
    struct wait_queue never;

    wait_queue_init(&never);
    (void)wait_event_interruptible_until(&never, false, deadline_ns);
}

static void note_cache(const struct kmem_cache_stats *stats, void *unused)
{
    if (run.nr_caches < MAX_CACHES) {
        run.cache_usage[run.nr_caches++] = stats->objects_in_use;
    }
}

static void report_cache(const struct kmem_cache_stats *stats, void *index_arg)
{
    u32 *index = index_arg;

    if (*index < run.nr_caches && stats->objects_in_use != run.cache_usage[*index]) {
        printk("#   cache %s: expected %llu in use, actual %llu\n", stats->name,
               (unsigned long long)run.cache_usage[*index],
               (unsigned long long)stats->objects_in_use);
    }
    (*index)++;
}

/* A dead thread's stack and address space are given back by other CPUs in their own time: wait for
 * that, in guest time, and let the inventory be wrong only if it stays wrong. */
static struct inventory wait_until_same(struct inventory before)
{
    u64 deadline = clock_monotonic_ns() + ktest_patience_ns(QUIET_LIMIT_NS);
    struct inventory now = take_inventory();

    while ((now.frames != before.frames || now.objects != before.objects) &&
           clock_monotonic_ns() < deadline) {
        sleep_until(clock_monotonic_ns() + QUIET_STEP_NS);
        now = take_inventory();
    }
    return now;
}

static void check_inventory(const struct ktest *test, struct inventory before)
{
    struct inventory after = wait_until_same(before);

    if (after.frames != before.frames) {
        note_failure(test->file, test->line);
        printk("frames leaked: expected %llu held, actual %llu\n",
               (unsigned long long)before.frames, (unsigned long long)after.frames);
    }
    if (after.objects != before.objects) {
        u32 index = 0;

        note_failure(test->file, test->line);
        printk("objects leaked: expected %llu in use, actual %llu\n",
               (unsigned long long)before.objects, (unsigned long long)after.objects);
        slab_for_each_cache(report_cache, &index);
    }
}

static bool run_test(const struct ktest *test)
{
    struct inventory before = take_inventory();
    struct thread *thread;

    run.nr_caches = 0;
    slab_for_each_cache(note_cache, NULL);
    run.test = test;
    run.nr_checks = 0;
    run.nr_failures = 0;
    run.expects_panic = false;
    timer_start(&run.limit, clock_monotonic_ns() + ktest_patience_ns(test->limit_ns));
    thread = thread_create_kernel(test_thread, NULL, "ktest");
    if (thread == NULL) {
        panic("ktest: no memory for a test's thread");
    }
    thread_join_kernel(thread);
    timer_cancel(&run.limit);
    if (run.expects_panic) {
        note_failure(test->file, test->line);
        printk("the kernel did not panic\n");
    } else if (run.nr_checks == 0) {
        note_failure(test->file, test->line);
        printk("the test checked nothing\n");
    }
    check_inventory(test, before);
    mm_verify_all();
    thread_verify_stacks();
    return run.nr_failures == 0;
}

/* Why the test cannot be run on this machine, or NULL. */
static const char *reason_to_skip(const struct ktest *test)
{
    if ((test->flags & KTEST_COUNTED) != 0 && !cmdline_has("counted")) {
        return "time does not count instructions here";
    }
    if ((test->flags & KTEST_ONE_CPU) != 0 && cpu_count() != 1) {
        return "needs a machine with one CPU";
    }
    if ((test->flags & KTEST_DIRECT) != 0 && direct_device_find(0) == NULL) {
        return "needs a direct device: dax=64M";
    }
    return NULL;
}

static u32 count_selected(const char *selection)
{
    u32 count = 0;

    for (const struct ktest *test = __ktests_start; test < __ktests_end; test++) {
        count += is_selected(test, selection) ? 1 : 0;
    }
    return count;
}

NORETURN void ktest_main(void)
{
    const char *selection = cmdline_get("test");
    u32 first = (u32)cmdline_u64("test_from", 1);
    u32 number = 0;
    u32 nr_failed = 0;

    timer_init(&run.limit, limit_expired);
    if (selection == NULL || *selection == '\0') {
        selection = "*";
    }
    printk("KTAP version 1\n1..%u\n", count_selected(selection));
    printk("# first test %llu us after kernel entry\n",
           (unsigned long long)(clock_monotonic_ns() / 1000));
    for (const struct ktest *test = __ktests_start; test < __ktests_end; test++) {
        u64 started = clock_monotonic_ns();
        const char *skip_reason = reason_to_skip(test);
        bool is_ok;

        if (!is_selected(test, selection) || ++number < first) {
            continue;
        }
        if (skip_reason != NULL) {
            printk("ok %u %s.%s # SKIP %s\n", number, test->suite, test->name, skip_reason);
            continue;
        }
        printk("# start %s.%s\n", test->suite, test->name);
        is_ok = run_test(test);
        nr_failed += is_ok ? 0 : 1;
        printk("%s %u %s.%s # %llu us\n", is_ok ? "ok" : "not ok", number, test->suite, test->name,
               (unsigned long long)((clock_monotonic_ns() - started) / 1000));
    }
    printk("# kernel stacks: at most %u of %u bytes used\n", thread_deepest_stack(),
           (u32)KSTACK_SIZE);
    printk("# end\n");
    platform_exit_debug(nr_failed == 0 ? DEBUG_EXIT_OK : DEBUG_EXIT_FAILED);
}
