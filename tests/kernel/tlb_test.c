/*
 * Translations that outlive what they were made from, looked for wherever a processor could keep
 * them; and how many flushes, interrupts and loads of a root an operation costs.
 *
 * Where the machine has PCIDs, a processor keeps the translations of address spaces that it does
 * not run. Elsewhere the same tests pass for a simpler reason.
 */
#include <arch/thread.h>
#include <arch/tlb.h>
#include "mm_test.h"
#include "sched_test.h"

#define OLD 0x1111111111111111ul
#define NEW 0x2222222222222222ul

/* More address spaces than a processor has tags. */
#define NR_SPACES (2 * TLB_SLOTS_MAX + 1)

static void use_mm(struct mm *mm)
{
    u64 flags = irq_save();

    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
}

static u64 read_word(u64 addr)
{
    u64 value = ~0ul;

    EXPECT_OK(get_user_u64(&value, addr));
    return value;
}

/* A page of another address space at the same place as the test's own. */
static struct mm *make_space(u64 addr, u64 word)
{
    struct map_request req = {.addr = addr,
                              .len = PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
    struct mm *mm;
    u64 at;

    if (mm_create(&mm) != 0) {
        return NULL;
    }
    EXPECT_OK(mm_map(mm, &req, &at));
    EXPECT_TRUE(test_poke(mm, addr, word));
    return mm;
}

/* --- what is taken away while an address space is not loaded -----------------------------------
 */

/* Something is done to the test's address space; here, or on another processor if there is one. */
static struct {
    void (*fn)(struct mm *mm, u64 addr);
    struct mm *mm;
    u64 addr;
} errand;

static void errand_main(void *unused)
{
    errand.fn(errand.mm, errand.addr);
}

static void run_elsewhere(void (*fn)(struct mm *mm, u64 addr), struct mm *mm, u64 addr)
{
    struct crew crew = {.nr_threads = 0};

    errand.fn = fn;
    errand.mm = mm;
    errand.addr = addr;
    (void)crew_add_on(&crew, errand_main, NULL, BIT(cpu_count() - 1));
    crew_join(&crew);
}

static void drop(struct mm *mm, u64 addr)
{
    EXPECT_OK(mm_advise(mm, addr, PAGE_SIZE, MADV_DONTNEED));
}

static void unmap(struct mm *mm, u64 addr)
{
    EXPECT_OK(mm_unmap(mm, addr, PAGE_SIZE));
}

static void write_protect(struct mm *mm, u64 addr)
{
    EXPECT_OK(mm_protect(mm, addr, PAGE_SIZE, PROT_READ));
}

static void (*const take_away[])(struct mm *mm, u64 addr) = {drop, unmap, write_protect};

static void check_taken(u32 how, u64 addr)
{
    u64 value;

    switch (how) {
    case 0:
        EXPECT_EQ(0, read_word(addr));
        break;
    case 1:
        EXPECT_ERR(-EFAULT, get_user_u64(&value, addr));
        break;
    default:
        EXPECT_EQ(OLD, read_word(addr));
        EXPECT_ERR(-EFAULT, put_user_u64(addr, NEW));
        break;
    }
}

/* The thread stays on the first processor; the errand runs on the last one. */
TEST(tlb, nothing_stale_is_left_of_what_changed_while_another_space_was_loaded)
{
    struct mm *mine = current_mm();

    ASSERT_OK(sched_set_affinity(current_thread(), BIT(0)));
    for (u32 how = 0; how < ARRAY_SIZE(take_away); how++) {
        for (u32 is_elsewhere = 0; is_elsewhere < 2; is_elsewhere++) {
            u64 addr = test_map(1);
            struct mm *other = make_space(addr, NEW);

            ASSERT_TRUE(other != NULL);
            EXPECT_OK(put_user_u64(addr, OLD));
            use_mm(other);
            EXPECT_EQ(NEW, read_word(addr));
            if (is_elsewhere) {
                run_elsewhere(take_away[how], mine, addr);
            } else {
                take_away[how](mine, addr);
            }
            EXPECT_EQ(NEW, read_word(addr));
            use_mm(mine);
            check_taken(how, addr);
            mm_put(other);
            EXPECT_OK(mm_unmap(mine, addr, PAGE_SIZE));
        }
    }
}

/* One that is loaded on another processor is told at once. */
TEST(tlb, nothing_stale_is_left_of_what_another_processor_took_away)
{
    ASSERT_OK(sched_set_affinity(current_thread(), BIT(0)));
    for (u32 how = 0; how < ARRAY_SIZE(take_away); how++) {
        u64 addr = test_map(1);

        EXPECT_OK(put_user_u64(addr, OLD));
        run_elsewhere(take_away[how], current_mm(), addr);
        check_taken(how, addr);
        EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    }
}

/* --- more address spaces than tags -------------------------------------------------------------
 */

static struct mm *spaces[NR_SPACES];

TEST(tlb, each_space_sees_its_own_memory_however_many_there_are)
{
    struct mm *mine = current_mm();
    u64 addr = test_map(1);
    u32 nr = 0;

    ASSERT_OK(sched_set_affinity(current_thread(), BIT(0)));
    for (; nr < NR_SPACES; nr++) {
        spaces[nr] = make_space(addr, nr);
        if (spaces[nr] == NULL) {
            break;
        }
    }
    EXPECT_EQ(NR_SPACES, nr);
    /* Strides that come back to a space after few, and after many others. */
    for (u32 stride = 1; stride < nr; stride++) {
        for (u32 i = 0; i < 2 * nr; i++) {
            u32 number = i * stride % nr;

            use_mm(spaces[number]);
            EXPECT_EQ(number, read_word(addr));
        }
    }
    use_mm(mine);
    for (u32 i = 0; i < nr; i++) {
        mm_put(spaces[i]);
    }
}

/* A new address space never gets what a dead one left under its tag. */
TEST(tlb, a_new_space_sees_nothing_of_a_dead_one)
{
    struct mm *mine = current_mm();
    u64 addr = test_map(1);

    ASSERT_OK(sched_set_affinity(current_thread(), BIT(0)));
    for (u32 i = 0; i < 3 * NR_SPACES; i++) {
        struct mm *mm = make_space(addr, i);

        ASSERT_TRUE(mm != NULL);
        use_mm(mm);
        EXPECT_EQ(i, read_word(addr));
        use_mm(mine);
        mm_put(mm);
    }
}

/* --- what operations cost -----------------------------------------------------------------------
 */

static struct cpu_stats sum_of_stats(void)
{
    struct cpu_stats sum = {.nr_interrupts = 0};

    for (u32 id = 0; id < cpu_count(); id++) {
        const struct cpu_stats *stats = &cpu_at(id)->stats;

        sum.nr_ipis_sent += READ_ONCE(stats->nr_ipis_sent);
        sum.nr_tlb_page_flushes += READ_ONCE(stats->nr_tlb_page_flushes);
        sum.nr_tlb_full_flushes += READ_ONCE(stats->nr_tlb_full_flushes);
    }
    return sum;
}

static struct cpu_stats stats_before;

static void begin_counting(void)
{
    stats_before = sum_of_stats();
}

/* The address space runs here alone, so nobody else is interrupted for it. */
static void expect_flushes(u64 nr_pages, u64 nr_full)
{
    struct cpu_stats now = sum_of_stats();

    EXPECT_EQ(nr_pages, now.nr_tlb_page_flushes - stats_before.nr_tlb_page_flushes);
    EXPECT_EQ(nr_full, now.nr_tlb_full_flushes - stats_before.nr_tlb_full_flushes);
    EXPECT_EQ(0, now.nr_ipis_sent - stats_before.nr_ipis_sent);
}

#define NR_SOME 8   /* pages that are flushed one by one */
#define NR_MANY 100 /* pages for which one flush of all is cheaper */

static void touch(u64 addr, u64 nr_pages)
{
    for (u64 i = 0; i < nr_pages; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, OLD));
    }
}

static u64 map_touched(u64 nr_pages)
{
    u64 addr = test_map(nr_pages);

    touch(addr, nr_pages);
    return addr;
}

TEST(tlb, operations_flush_no_more_than_they_must)
{
    struct mm *mm = current_mm();
    u64 addr = map_touched(NR_SOME);
    u64 many = map_touched(NR_MANY);
    u64 untouched = test_map(NR_MANY);

    /* Nothing was cached of what is entered. */
    begin_counting();
    touch(untouched, 1);
    expect_flushes(0, 0);
    /* Nothing was there to be cached. */
    begin_counting();
    EXPECT_OK(mm_protect(mm, untouched + PAGE_SIZE, PAGE_SIZE, PROT_READ));
    EXPECT_OK(mm_advise(mm, untouched + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED));
    expect_flushes(0, 0);
    begin_counting();
    EXPECT_OK(mm_advise(mm, addr, NR_SOME * PAGE_SIZE, MADV_DONTNEED));
    expect_flushes(NR_SOME, 0);
    begin_counting();
    EXPECT_OK(mm_protect(mm, many, NR_MANY * PAGE_SIZE, PROT_READ));
    expect_flushes(0, 1);
    /* What was forbidden is not cached as allowed: giving permission flushes nothing. */
    begin_counting();
    EXPECT_OK(mm_protect(mm, many, NR_MANY * PAGE_SIZE, PROT_READ | PROT_WRITE));
    touch(many, NR_MANY);
    expect_flushes(0, 0);
    touch(addr, NR_SOME);
    begin_counting();
    EXPECT_OK(mm_unmap(mm, addr, NR_SOME * PAGE_SIZE));
    expect_flushes(NR_SOME, 0);
}

TEST(tlb, fork_and_copies_flush_no_more_than_they_must)
{
    u64 addr = map_touched(NR_SOME);
    struct mm *child;

    begin_counting();
    ASSERT_OK(mm_fork(current_mm(), &child));
    /* Once for all mappings, after the last. */
    expect_flushes(0, 1);
    /* A copy replaces one translation; the sole owner's reuse only gives a permission. */
    begin_counting();
    EXPECT_OK(put_user_u64(addr, NEW));
    expect_flushes(1, 0);
    begin_counting();
    mm_put(child);
    expect_flushes(0, 0);
    begin_counting();
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, NEW));
    expect_flushes(0, 0);
}

/* An address space that runs nowhere is changed without a flush or an interrupt. */
TEST(tlb, a_space_that_runs_nowhere_is_flushed_nowhere)
{
    u64 addr = test_map(1);
    struct mm *other = make_space(addr, OLD);

    ASSERT_TRUE(other != NULL);
    begin_counting();
    EXPECT_OK(mm_unmap(other, addr, PAGE_SIZE));
    mm_put(other);
    expect_flushes(0, 0);
}

/* With tags, going to another address space and back costs no translations. */
TEST(tlb, a_switch_flushes_only_what_is_old)
{
    bool has_tags = cpu_features()->has_pcid;
    struct mm *mine = current_mm();
    u64 addr = map_touched(1);
    struct mm *other = make_space(addr, NEW);
    u64 nr_flushes;

    ASSERT_TRUE(other != NULL);
    ASSERT_OK(sched_set_affinity(current_thread(), BIT(0)));
    use_mm(other);
    use_mm(mine);
    nr_flushes = this_cpu()->stats.nr_switch_flushes;
    for (u32 i = 0; i < 10; i++) {
        use_mm(other);
        use_mm(mine);
    }
    EXPECT_EQ(has_tags ? 0 : 20, this_cpu()->stats.nr_switch_flushes - nr_flushes);
    use_mm(other);
    drop(mine, addr);
    nr_flushes = this_cpu()->stats.nr_switch_flushes;
    use_mm(mine);
    EXPECT_EQ(1, this_cpu()->stats.nr_switch_flushes - nr_flushes);
    EXPECT_EQ(0, read_word(addr));
    mm_put(other);
}
