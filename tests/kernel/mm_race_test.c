/*
 * Threads that work on one address space at the same time, on as many CPUs as there are. Each owns
 * some of the pages and always knows what must be in them; what it finds is compared at every step.
 */
#include <arch/thread.h>
#include <lib/atomic.h>
#include <proc/sched.h>
#include "mm_test.h"

#define NR_THREADS 4
#define NR_ROUNDS  150
#define NR_OWN     24 /* pages of each thread */

struct worker {
    struct thread *thread;
    struct mm *mm;
    u64 base; /* of the pages that all workers share out among themselves */
    u32 number;
    u64 seed;
    u64 expected[NR_OWN];
};

static struct worker workers[NR_THREADS];
static u32 nr_mismatches; /* [x] */

static u64 next_random(struct worker *worker)
{
    worker->seed = worker->seed * 6364136223846793005ull + 1442695040888963407ull;
    return worker->seed >> 33;
}

/* Pages of different workers lie next to each other, so that they share tables and VMAs. */
static u64 page_of(const struct worker *worker, u64 i)
{
    return worker->base + (i * NR_THREADS + worker->number) * PAGE_SIZE;
}

static void mismatch(bool is_mismatch)
{
    if (is_mismatch) {
        __atomic_fetch_add(&nr_mismatches, 1, __ATOMIC_RELAXED);
    }
}

static void check_own(struct worker *worker, u64 i)
{
    u64 value = ~0ull;

    mismatch(get_user_u64(&value, page_of(worker, i)) != 0 || value != worker->expected[i]);
}

static void step_write(struct worker *worker, u64 i)
{
    worker->expected[i] = next_random(worker);
    mismatch(put_user_u64(page_of(worker, i), worker->expected[i]) != 0);
}

static void step_drop(struct worker *worker, u64 i)
{
    mismatch(mm_advise(worker->mm, page_of(worker, i), PAGE_SIZE, MADV_DONTNEED) != 0);
    worker->expected[i] = 0;
}

static void step_protect(struct worker *worker, u64 i)
{
    u64 addr = page_of(worker, i);

    mismatch(mm_protect(worker->mm, addr, PAGE_SIZE, PROT_READ) != 0);
    mismatch(put_user_u64(addr, 1) != -EFAULT);
    check_own(worker, i);
    mismatch(mm_protect(worker->mm, addr, PAGE_SIZE, PROT_READ | PROT_WRITE) != 0);
}

/* The child sees this worker's pages as they are now, whatever is written afterwards. */
static void step_fork(struct worker *worker, u64 i)
{
    struct mm *child;
    u64 before = worker->expected[i];

    if (mm_fork(worker->mm, &child) != 0) {
        return;
    }
    step_write(worker, i);
    mismatch(test_peek(child, page_of(worker, i)) != before);
    check_own(worker, i);
    mm_put(child);
}

/* While the pin lasts, what it shows is what the process has, whoever forks meanwhile. */
static void step_pin(struct worker *worker, u64 i)
{
    u32 flags = next_random(worker) % 2 ? FOLL_WRITE : FOLL_LONGTERM;
    u64 addr = page_of(worker, i);
    struct page *page;
    const u64 *pinned;

    if (pin_user_pages_fast(addr, 1, flags, &page) != 1) {
        mismatch(true);
        return;
    }
    pinned = page_to_virt(page);
    for (u32 round = 0; round < 4; round++) {
        mismatch(READ_ONCE(*pinned) != worker->expected[i]);
        step_write(worker, i);
        sched_yield_current();
        mismatch(READ_ONCE(*pinned) != worker->expected[i]);
    }
    unpin_user_page(page);
}

static void (*const steps[])(struct worker *worker, u64 i) = {
    step_write, check_own, step_write, check_own, step_drop, step_protect, step_fork, step_pin};

static void worker_main(void *arg)
{
    struct worker *worker = arg;
    u64 irq_flags = irq_save();

    current_thread()->mm = worker->mm;
    arch_mm_switch(worker->mm);
    irq_restore(irq_flags);
    for (u32 round = 0; round < NR_ROUNDS; round++) {
        u64 i = next_random(worker) % NR_OWN;

        steps[next_random(worker) % ARRAY_SIZE(steps)](worker, i);
        if (next_random(worker) % 8 == 0) {
            sched_yield_current();
        }
    }
    for (u64 i = 0; i < NR_OWN; i++) {
        check_own(worker, i);
    }
    irq_flags = irq_save();
    current_thread()->mm = NULL;
    arch_mm_switch(NULL);
    irq_restore(irq_flags);
}

static void run_workers(u64 base)
{
    nr_mismatches = 0;
    for (u32 i = 0; i < NR_THREADS; i++) {
        workers[i] = (struct worker){
            .mm = current_mm(), .base = base, .number = i, .seed = 12345 + i * 7919ull};
        workers[i].thread = thread_create_kernel(worker_main, &workers[i], "race");
        ASSERT_TRUE(workers[i].thread != NULL);
    }
    for (u32 i = 0; i < NR_THREADS; i++) {
        thread_join_kernel(workers[i].thread);
    }
    EXPECT_EQ(0, nr_mismatches);
}

TEST_LIMIT(mm, race_of_faults_forks_pins_and_protections_on_private_memory, 60)
{
    u64 base = test_map(NR_THREADS * NR_OWN);

    ASSERT_TRUE(base != 0);
    run_workers(base);
}

/* Private copies of a file's pages, first read, then written, dropped and read again. */
TEST_LIMIT(mm, race_of_faults_forks_pins_and_protections_on_private_files, 60)
{
    struct vm_object *object;
    u64 base;

    ASSERT_OK(object_create_shmem(NR_THREADS * NR_OWN * PAGE_SIZE, &object));
    base = test_map_object(object, NR_THREADS * NR_OWN, MAP_PRIVATE);
    EXPECT_TRUE(base != 0);
    run_workers(base);
    object_put(object);
}

#define NR_GENERATIONS 100

/* Two threads take turns: the main one makes a turn odd, the reader even again. */
static struct {
    struct mm *mm;
    u64 addr;
    u32 turn; /* [x] */
} duet;

static void wait_for_turn(u32 turn)
{
    while (__atomic_load_n(&duet.turn, __ATOMIC_ACQUIRE) != turn) {
        sched_yield_current();
    }
}

static void give_turn(u32 turn)
{
    __atomic_store_n(&duet.turn, turn, __ATOMIC_RELEASE);
}

/* Reads before each copy, so that this CPU knows the old page, and after it. */
static void reader_main(void *arg)
{
    u64 irq_flags = irq_save();

    current_thread()->mm = duet.mm;
    arch_mm_switch(duet.mm);
    irq_restore(irq_flags);
    for (u32 i = 0; i < NR_GENERATIONS; i++) {
        u64 value = ~0ull;

        wait_for_turn(4 * i + 1);
        mismatch(get_user_u64(&value, duet.addr) != 0 || value != i);
        give_turn(4 * i + 2);
        wait_for_turn(4 * i + 3);
        mismatch(get_user_u64(&value, duet.addr) != 0 || value != i + 1);
        give_turn(4 * i + 4);
    }
    irq_flags = irq_save();
    current_thread()->mm = NULL;
    arch_mm_switch(NULL);
    irq_restore(irq_flags);
}

/* K2. */
TEST_LIMIT(mm, race_copy_is_seen_at_once_by_every_processor, 60)
{
    struct thread *reader;
    struct mm *child;

    duet.mm = current_mm();
    duet.addr = test_map(1);
    duet.turn = 0;
    nr_mismatches = 0;
    ASSERT_OK(put_user_u64(duet.addr, 0));
    reader = thread_create_kernel(reader_main, NULL, "reader");
    ASSERT_TRUE(reader != NULL);
    for (u32 i = 0; i < NR_GENERATIONS; i++) {
        EXPECT_OK(mm_fork(current_mm(), &child));
        give_turn(4 * i + 1);
        wait_for_turn(4 * i + 2);
        EXPECT_OK(put_user_u64(duet.addr, i + 1));
        give_turn(4 * i + 3);
        wait_for_turn(4 * i + 4);
        mm_put(child);
    }
    thread_join_kernel(reader);
    EXPECT_EQ(0, nr_mismatches);
}
