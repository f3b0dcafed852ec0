/*
 * Which orders an exploration runs, and what it says about one that fails.
 *
 * An order is the list of its decisions: who runs, wherever more than one operation could. The
 * usual answer is "the one that runs already", or the first. Changing the last decision that has
 * another answer left, and keeping what stands before it, visits every order once. Orders with
 * fewer switches at points come first, so that a failure is shown by a simple one. Only the answers
 * that are not usual are printed: `14b,22a` says that b runs at decision 14, and a at 22.
 */
#include <debug/explore_internal.h>

#include <arch/cpu.h>
#include <arch/thread.h>
#include <debug/backtrace.h>
#include <debug/ktest.h>
#include <debug/lockdep.h>
#include <lib/assert.h>
#include <lib/cmdline.h>
#include <lib/fmt.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/verify.h>
#include <proc/lock_rank.h>
#include <proc/sched.h>
#include <proc/thread.h>

#define DEFAULT_PREEMPTIONS 3
#define MAX_DECISIONS       4096u
#define TEXT_SIZE           512u
#define MAX_FRAMES          10u
#define SHOWN_FRAMES        3u

/*
 * Locks of the objects that races are about. Those of the memory allocators, the scheduler and the
 * console are left out: they protect what belongs to one processor, which here is all of them.
 */
#define RANKS_OF(first, last) (BIT((last) + 1) - BIT(first))
#define EXPLORE_RANKS                                                                              \
    ((RANKS_OF(RANK_EXEC, RANK_EPOLL_QUEUE) | BIT(RANK_SLEEP_LOCK)) & ~BIT(RANK_OBJECT_LIST))

_Static_assert(RANK_COUNT <= 64, "a set of ranks is a 64-bit word");

/* One place of an order where more than one operation could run. */
struct decision {
    u8 options; /* operations that could */
    u8 tried;   /* those that have been chosen here, after the same decisions before */
    u8 chosen;
    u8 current; /* the one that was running and could go on, or NO_OP */
};

#define NO_OP 0xff

static struct {
    const struct explore *test;
    struct decision decisions[MAX_DECISIONS];
    u32 nr_decisions;
    u32 nr_given;     /* decisions at the front that are made already */
    u32 nr_preempted; /* switches at points so far in this order */
    u32 bound;        /* how many the orders of this pass have */
    u32 nr_longest;   /* decisions of the longest order */
    bool is_replay;   /* the answers come from the kernel option */
    char given[TEXT_SIZE];
} search;

static u32 usual_answer(u32 options, u32 current);
static u32 replayed_answer(u32 index, u32 otherwise);
static void show_decision(u32 index, const struct decision *decision);
static void format_order(char *text, size_t size);
static void run_order(void);
static bool next_order(void);
static void check_all_ended(void);

/* --- decisions -------------------------------------------------------------------------------- */

u32 explore_decide(u32 options, u32 current)
{
    u32 index = search.nr_decisions;
    struct decision *decision = &search.decisions[index];
    u8 running = current == EXPLORE_NONE ? NO_OP : (u8)current;

    if ((options & (options - 1)) == 0) {
        return (u32)__builtin_ctz(options);
    }
    ASSERT(index < MAX_DECISIONS, "the operations of an exploration come to an end");
    if (index >= search.nr_given) {
        decision->options = (u8)options;
        decision->current = running;
        decision->chosen = (u8)usual_answer(options, current);
        if (search.is_replay) {
            decision->chosen = (u8)replayed_answer(index, decision->chosen);
        }
        decision->tried = (u8)BIT(decision->chosen);
    }
    ASSERT(decision->options == options && decision->current == running,
           "the same decisions lead to the same place: an exploration has no other input");
    search.nr_decisions++;
    search.nr_longest = max(search.nr_longest, search.nr_decisions);
    search.nr_preempted += running != NO_OP && decision->chosen != running;
    if (search.is_replay) {
        show_decision(index, decision);
    }
    return decision->chosen;
}

static u32 usual_answer(u32 options, u32 current)
{
    return current != EXPLORE_NONE ? current : (u32)__builtin_ctz(options);
}

/* What the kernel option says about a decision: entries like `14b`, with commas between them. */
static u32 replayed_answer(u32 index, u32 otherwise)
{
    const char *at = search.given;

    while (*at != '\0') {
        u32 number = 0;

        while (*at >= '0' && *at <= '9') {
            number = number * 10 + (u32)(*at++ - '0');
        }
        if (*at >= 'a' && *at < 'a' + EXPLORE_MAX_OPS && number == index) {
            return (u32)(*at - 'a');
        }
        while (*at != '\0' && *at++ != ',') {}
    }
    return otherwise;
}

/* In a replay: every decision, and what the operation that has come to it is doing. */
static void show_decision(u32 index, const struct decision *decision)
{
    u64 frames[MAX_FRAMES];
    u32 nr_frames = backtrace_capture(frames, MAX_FRAMES);
    u32 nr_shown = 0;

    printk("# %4u: ", index);
    if (decision->current == NO_OP) {
        printk("%c runs\n", 'a' + decision->chosen);
        return;
    }
    printk("%c at", 'a' + decision->current);
    for (u32 i = 0; i < nr_frames && nr_shown < SHOWN_FRAMES; i++) {
        u64 offset;
        const char *name = symbol_lookup(frames[i], &offset);

        if (name != NULL && strncmp(name, "explore_", 8) != 0) {
            printk("%s %s", nr_shown++ == 0 ? "" : " <-", name);
        }
    }
    if (decision->chosen != decision->current) {
        printk(", then %c", 'a' + decision->chosen);
    }
    printk("\n");
}

static void format_order(char *text, size_t size)
{
    size_t len = 0;

    for (u32 i = 0; i < search.nr_decisions; i++) {
        const struct decision *decision = &search.decisions[i];
        u32 current = decision->current == NO_OP ? EXPLORE_NONE : decision->current;

        if (decision->chosen != usual_answer(decision->options, current)) {
            len += (size_t)scnprintf(text + len, size - len, "%s%u%c", len == 0 ? "" : ",", i,
                                     'a' + decision->chosen);
        }
    }
    if (len == 0) {
        (void)strlcpy(text, "0a", size);
    }
}

/* --- one order -------------------------------------------------------------------------------- */

static void use_mm(struct mm *mm)
{
    u64 flags = irq_save();

    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
}

static void op_main(void *arg)
{
    u32 number = (u32)(u64)arg;

    use_mm(explore_engine.ops[number].mm);
    explore_join(number);
    search.test->ops[number]();
    explore_leave();
    use_mm(NULL);
}

static void start_ops(void)
{
    for (u32 i = 0; i < search.test->nr_ops; i++) {
        if (search.test->ops[i] == NULL) {
            continue;
        }
        if (thread_create_kernel(op_main, (void *)(u64)i, "op") == NULL) {
            panic("explore: no memory for the thread of an operation");
        }
    }
    for (u32 i = 0; i < search.test->nr_ops; i++) {
        while (READ_ONCE(explore_engine.ops[i].thread) == NULL) {
            sched_yield_current();
        }
    }
}

/* Waits until the threads that belong to the exploration are gone, and lets go of all of them. */
static void end_ops(void)
{
    for (u32 i = 0; i < search.test->nr_ops; i++) {
        struct explore_op *op = &explore_engine.ops[i];

        if (search.test->ops[i] != NULL) {
            thread_join_kernel(op->thread);
        }
        thread_put(op->thread);
    }
}

static void call(void (*fn)(void))
{
    if (fn != NULL) {
        fn();
    }
}

static void verify_one(struct mm *mm, void *unused)
{
    mm_verify(mm);
}

static void run_order(void)
{
    const struct explore *test = search.test;

    search.nr_decisions = 0;
    search.nr_preempted = 0;
    explore_engine = (struct explore_engine){
        .nr_ops = test->nr_ops,
        .kinds = test->kinds != 0 ? test->kinds : U32_MAX,
        .ranks = test->ranks != 0 ? test->ranks : EXPLORE_RANKS,
    };
    for (u32 i = 0; i < test->nr_ops; i++) {
        explore_engine.ops[i].mm = current_mm();
    }
    explore_is_active = true;
    call(test->prepare);
    start_ops();
    explore_engine_run();
    check_all_ended();
    explore_is_active = false;
    end_ops();
    call(test->check);
    mm_for_each(verify_one, NULL);
    call(test->cleanup);
}

void explore_use_mm(u32 op, struct mm *mm)
{
    explore_engine.ops[op].mm = mm;
}

/* --- all orders ------------------------------------------------------------------------------- */

/* The next order of this pass: the last decision that has an answer left gets it. */
static bool next_order(void)
{
    u32 nr_preempted = search.nr_preempted;

    for (u32 i = search.nr_decisions; i-- > 0;) {
        struct decision *decision = &search.decisions[i];
        u32 left = decision->options & ~(u32)decision->tried;
        bool is_point = decision->current != NO_OP;

        nr_preempted -= is_point && decision->chosen != decision->current;
        if (left != 0 && nr_preempted + is_point <= search.bound) {
            decision->chosen = (u8)__builtin_ctz(left);
            decision->tried |= (u8)BIT(decision->chosen);
            search.nr_given = i + 1;
            return true;
        }
    }
    return false;
}

/** struct holdings - what every order must leave as it was. */
struct holdings {
    u64 frames;
    u64 objects;
};

static struct holdings take_holdings(void)
{
    sched_reap();
    return (struct holdings){.frames = frames_held_count(), .objects = slab_objects_in_use()};
}

static void check_holdings(struct holdings before)
{
    struct holdings after = take_holdings();

    ktest_check_u64(before.frames == after.frames, before.frames, after.frames,
                    "frames held after this order", __FILE__, __LINE__);
    ktest_check_u64(before.objects == after.objects, before.objects, after.objects,
                    "objects in use after this order", __FILE__, __LINE__);
}

static void print_failure(void)
{
    char order[TEXT_SIZE];

    format_order(order, sizeof(order));
    printk("# explore: fails with test=%s.%s schedule=%s\n", ktest_current()->suite,
           ktest_current()->name, order);
}

/* Runs the orders with exactly so many switches at points. Return: their number, 0 on failure. */
static u64 run_pass(u32 bound)
{
    u64 nr_orders = 0;

    search.bound = bound;
    search.nr_given = 0;
    do {
        struct holdings before = take_holdings();

        run_order();
        check_holdings(before);
        if (ktest_nr_failures() != 0) {
            print_failure();
            return 0;
        }
        nr_orders += search.nr_preempted == bound;
    } while (next_order());
    return nr_orders;
}

static bool wants_replay(void)
{
    return cmdline_copy("schedule", search.given, sizeof(search.given)) > 0;
}

u64 explore_run(const struct explore *test)
{
    u32 bound = test->nr_preemptions != 0 ? test->nr_preemptions : DEFAULT_PREEMPTIONS;
    u64 nr_orders = 0;

    ASSERT(cpu_count() == 1, "an exploration runs on one CPU");
    ASSERT(test->nr_ops >= 2 && test->nr_ops <= EXPLORE_MAX_OPS, "a race has two or three sides");
    search.test = test;
    search.nr_longest = 0;
    search.is_replay = wants_replay();
    if (search.is_replay) {
        search.nr_given = 0;
        run_order();
        printk("# explored the order %s\n", search.given);
        return 0;
    }
    for (u32 i = 0; i <= bound; i++) {
        nr_orders += run_pass(i);
        if (ktest_nr_failures() != 0) {
            return 0;
        }
    }
    printk("# explored %llu orders with up to %u preemptions at up to %u points\n",
           (unsigned long long)nr_orders, bound, search.nr_longest);
    return nr_orders;
}

/* --- failures --------------------------------------------------------------------------------- */

static void print_waiting_op(u32 number)
{
    const struct explore_op *op = &explore_engine.ops[number];

    printk("#   %c ", 'a' + number);
    if (explore_op_has_ended(op)) {
        printk("has ended\n");
        return;
    }
    if (op->spins_on != NULL) {
        printk("waits for the spin lock %p\n", op->spins_on);
    } else if (op->flushes != NULL) {
        printk("waits for a shootdown\n");
    } else {
        printk("sleeps, state %u\n", op->thread->state);
    }
    lockdep_print_held(op->thread);
}

static void check_all_ended(void)
{
    bool has_ended = true;

    for (u32 i = 0; i < search.test->nr_ops; i++) {
        has_ended = has_ended && explore_op_has_ended(&explore_engine.ops[i]);
    }
    if (has_ended) {
        return;
    }
    printk("# explore: deadlock\n");
    for (u32 i = 0; i < search.test->nr_ops; i++) {
        print_waiting_op(i);
    }
    panic("explore: every operation that has not ended waits, and nobody is left to wake one");
}

void explore_report(void)
{
    if (explore_is_active || search.nr_decisions != 0) {
        explore_is_active = false;
        print_failure();
    }
}
