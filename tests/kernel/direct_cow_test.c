/*
 * The handler that makes the copy for a private write fault on a direct object: rules N1 to N7, and
 * truncations that come between its steps.
 *
 * A test puts a handler of its own in front of the object's: it looks at what the object's handler
 * gets and gives back, and lets something else happen in between, in a thread of its own.
 */
#include <lib/string.h>
#include <mm/direct_internal.h>
#include <mm/shmem.h>
#include <mm/vm_fault.h>
#include "direct_test.h"
#include "sched_test.h"

#define FRAME 5
#define OLD   0x1111111111111111ul
#define NEW   0x2222222222222222ul

static struct {
    struct object_ops ops;          /* with probe_cow() in the place of the handler */
    const struct object_ops *inner; /* the object's own */
    struct vm_object *object;
    u64 addr;
    u32 nr_calls;
    void (*before)(void);     /* done once, in front of the object's handler; NULL: nothing */
    void (*after)(void);      /* behind it */
    enum cow_outcome outcome; /* the last one of the object's handler */
    struct page *page;        /* that it was given */
} probe;

static void thread_main(void *arg)
{
    void (*const *action)(void) = arg;

    (*action)();
}

/* Another thread does it while the fault is where it is. */
static void do_once(void (**action)(void))
{
    struct crew crew = {.nr_threads = 0};

    if (*action != NULL) {
        (void)crew_add(&crew, thread_main, action);
        crew_join(&crew);
        *action = NULL;
    }
}

static enum cow_outcome probe_cow(struct vm_object *object, u64 index, struct vm_fault *vmf)
{
    probe.nr_calls++;
    probe.page = vmf->cow_page;
    /* N1: fresh, nobody else's. */
    EXPECT_TRUE(vmf->cow_page != NULL);
    EXPECT_EQ(1, page_refcount(vmf->cow_page));
    EXPECT_EQ(0, page_mapcount(vmf->cow_page));
    /* N7: the VMA is held by its own lock, and nothing else is. */
    EXPECT_NE(0, atomic_u32_load(&vmf->vma->readers));
    EXPECT_FALSE(rwsem_is_held(&vmf->mm->mmap_lock));
    EXPECT_FALSE(rwsem_is_held(&object->lock));
    do_once(&probe.before);
    probe.outcome = probe.inner->cow_fault(object, index, vmf);
    do_once(&probe.after);
    return probe.outcome;
}

/* A private mapping of one page, behind the probe. Frame FRAME holds OLD. */
static bool probe_start(enum direct_cow cow)
{
    struct mm *mm = current_mm();

    memset(&probe, 0, sizeof(probe));
    probe.object = test_direct_file(cow, 1);
    if (probe.object == NULL) {
        return false;
    }
    *test_frame_word(FRAME) = OLD;
    EXPECT_EQ(1, test_grant(probe.object, 0, FRAME, 1));
    probe.inner = probe.object->ops;
    probe.ops = *probe.inner;
    probe.ops.cow_fault = probe_cow;
    probe.object->ops = &probe.ops;
    probe.addr = test_map_object(probe.object, 1, MAP_PRIVATE);
    EXPECT_EQ((u64)mm, (u64)current_mm());
    return probe.addr != 0;
}

static void probe_end(void)
{
    EXPECT_OK(mm_unmap(current_mm(), probe.addr, PAGE_SIZE));
    probe.object->ops = probe.inner;
    object_put(probe.object);
    EXPECT_EQ(1, page_refcount(pfn_to_page(test_frame_pfn(FRAME))));
}

static enum fault_outcome write_fault(void)
{
    return test_fault(current_mm(), probe.addr, FAULT_FLAG_WRITE);
}

static u64 word_at(u64 addr)
{
    u64 value = ~0ul;

    EXPECT_OK(get_user_u64(&value, addr));
    return value;
}

static enum cow_outcome success_of(enum direct_cow cow)
{
    return cow == DIRECT_COW_FILLS ? COW_FILLED : COW_INSTALLED;
}

/* --- the rules ------------------------------------------------------------------------------- */

DIRECT_TEST(N1_N2_the_handler_fills_the_page_that_is_mapped)
{
    ASSERT_TRUE(probe_start(cow));
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_EQ(1, probe.nr_calls);
    EXPECT_EQ(success_of(cow), probe.outcome);
    EXPECT_EQ((u64)probe.page, (u64)test_page(current_mm(), probe.addr));
    EXPECT_EQ(OLD, word_at(probe.addr));
    EXPECT_OK(put_user_u64(probe.addr, NEW));
    EXPECT_EQ(OLD, *test_frame_word(FRAME));
    EXPECT_EQ(NEW, word_at(probe.addr));
    probe_end();
}

DIRECT_TEST(N2_a_hole_is_copied_as_zeros)
{
    ASSERT_TRUE(probe_start(cow));
    EXPECT_OK(object_revoke(probe.object, 0, PAGE_SIZE));
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_EQ(success_of(cow), probe.outcome);
    for (u64 offset = 0; offset < PAGE_SIZE; offset += 8) {
        EXPECT_EQ(0, word_at(probe.addr + offset));
    }
    EXPECT_EQ(0, object_nr_pages(probe.object));
    probe_end();
}

/* An unshare fault copies as well, for a reader (J10). */
DIRECT_TEST(N2_an_unshared_copy_is_read_only_and_clean)
{
    struct pte entry;

    ASSERT_TRUE(probe_start(cow));
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), probe.addr, FAULT_FLAG_UNSHARE));
    EXPECT_EQ(1, probe.nr_calls);
    entry = test_entry(current_mm(), probe.addr);
    EXPECT_FALSE(pte_is_writable(entry));
    EXPECT_FALSE(pte_is_dirty(entry));
    EXPECT_TRUE(test_is_exclusive(current_mm(), probe.addr));
    EXPECT_EQ(OLD, word_at(probe.addr));
    probe_end();
}

static void truncate_to_nothing(void)
{
    EXPECT_OK(object_truncate(probe.object, 0));
}

/*
 * N3. What the handler has installed is gone before the fault's core runs again: a core that still
 * touched the page, put it or installed it, would find it free.
 */
DIRECT_TEST(N3_the_core_leaves_an_installed_page_alone)
{
    ASSERT_TRUE(probe_start(cow));
    probe.after = truncate_to_nothing;
    EXPECT_EQ(cow == DIRECT_COW_INSTALLS ? FAULT_OK : FAULT_SIGBUS, write_fault());
    EXPECT_TRUE(pte_is_none(test_entry(current_mm(), probe.addr)));
    EXPECT_EQ(0, mm_rss_total(current_mm()));
    EXPECT_EQ(FAULT_SIGBUS, write_fault());
    probe_end();
}

static struct mm *the_mm;

static void read_it_elsewhere(void)
{
    EXPECT_EQ(OLD, test_peek(the_mm, probe.addr));
}

/* N4. The entry is another one by the time of the install: the page goes, and the fault looks
 * again. */
DIRECT_TEST(N4_an_unused_page_is_freed_and_the_fault_looks_again)
{
    u64 held;

    ASSERT_TRUE(probe_start(cow));
    the_mm = current_mm();
    EXPECT_EQ(OLD, word_at(probe.addr));
    EXPECT_OK(mm_advise(the_mm, probe.addr, PAGE_SIZE, MADV_DONTNEED));
    held = frames_held_count();
    probe.before = read_it_elsewhere;
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_EQ(1, probe.nr_calls);
    EXPECT_EQ(cow == DIRECT_COW_FILLS ? COW_FILLED : COW_AGAIN, probe.outcome);
    EXPECT_EQ(held + 1, frames_held_count());
    EXPECT_EQ(OLD, word_at(probe.addr));
    EXPECT_TRUE(test_is_exclusive(the_mm, probe.addr));
    probe_end();
}

/* A handler that fails keeps nothing either. */
static enum cow_outcome failing_cow(struct vm_object *object, u64 index, struct vm_fault *vmf)
{
    probe.nr_calls++;
    return probe.outcome;
}

DIRECT_TEST(N4_a_failing_handler_costs_nothing)
{
    u64 held;

    ASSERT_TRUE(probe_start(cow));
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_OK(mm_advise(current_mm(), probe.addr, PAGE_SIZE, MADV_DONTNEED));
    held = frames_held_count();
    probe.ops.cow_fault = failing_cow;
    probe.outcome = COW_SIGBUS;
    EXPECT_EQ(FAULT_SIGBUS, write_fault());
    probe.outcome = COW_OOM;
    EXPECT_EQ(FAULT_OOM, write_fault());
    EXPECT_EQ(3, probe.nr_calls);
    EXPECT_EQ(held, frames_held_count());
    EXPECT_TRUE(pte_is_none(test_entry(current_mm(), probe.addr)));
    probe_end();
}

DIRECT_TEST(N5_the_copy_is_anonymous_exclusive_and_counted)
{
    struct page *page;
    struct pte entry;

    ASSERT_TRUE(probe_start(cow));
    EXPECT_EQ(FAULT_OK, write_fault());
    page = test_page(current_mm(), probe.addr);
    entry = test_entry(current_mm(), probe.addr);
    ASSERT_TRUE(page != NULL);
    EXPECT_TRUE(page_is_anon(page) && page_is_anon_exclusive(page));
    EXPECT_FALSE(page_is_device(page));
    EXPECT_TRUE(pte_is_writable(entry) && pte_is_dirty(entry) && !pte_is_special(entry));
    EXPECT_EQ(1, page_mapcount(page));
    EXPECT_EQ(1, mm_rss(current_mm(), MM_RSS_ANON));
    EXPECT_EQ(1, mm_rss_total(current_mm()));
    probe_end();
}

/* A fault whose entry is a marker of write protection, in front of the handler. */
DIRECT_TEST(N5_a_write_protect_marker_is_honoured)
{
    struct mm *mm = current_mm();
    struct pte marker = pte_make_marker(PTE_MARKER_UFFD_WP);
    struct vm_fault vmf = {.mm = mm, .flags = FAULT_FLAG_WRITE, .entry = marker};
    struct pte entry;

    ASSERT_TRUE(probe_start(cow));
    probe.ops.cow_fault = probe.inner->cow_fault; /* the VMA is held by mmap_lock this time */
    ASSERT_OK(cursor_prepare(&vmf.cursor, mm, probe.addr));
    cursor_lock(&vmf.cursor);
    cursor_set(&vmf.cursor, marker);
    cursor_unlock(&vmf.cursor);
    mm_read_lock(mm);
    vmf.vma = vma_find_at(mm, probe.addr);
    vmf.addr = probe.addr;
    EXPECT_EQ(FAULT_STEP_DONE, fault_file_copy(&vmf));
    mm_read_unlock(mm);
    entry = test_entry(mm, probe.addr);
    EXPECT_TRUE(pte_is_present(entry) && pte_is_uffd_wp(entry));
    EXPECT_FALSE(pte_is_writable(entry));
    EXPECT_EQ(OLD, word_at(probe.addr));
    probe_end();
}

/* N6. There is no table yet, so each of the fault's allocations is one that may fail. */
DIRECT_TEST_FLAGS(N6_a_copy_without_memory_leaves_nothing,
                  KTEST_DIRECT | KTEST_FAIL_EACH_ALLOCATION)
{
    struct vm_object *object = test_direct_file(cow, 1);
    struct map_request req = {.addr = 1ul << 40,
                              .len = PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_FIXED,
                              .object = object};
    u64 addr = 0;
    enum fault_outcome outcome;

    if (object == NULL || mm_map(current_mm(), &req, &addr) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        bool had_failed = ktest_alloc_failed();

        outcome = test_fault(current_mm(), addr, FAULT_FLAG_WRITE);
        EXPECT_EQ(!had_failed && ktest_alloc_failed() ? FAULT_OOM : FAULT_OK, outcome);
        EXPECT_EQ(outcome == FAULT_OK, pte_is_present(test_entry(current_mm(), addr)));
        EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    }
    if (object != NULL) {
        object_put(object);
    }
}

static bool is_locked;
static bool may_unlock;

static void hold_mmap_lock(void *unused)
{
    mm_write_lock(the_mm);
    WRITE_ONCE(is_locked, true);
    while (!READ_ONCE(may_unlock)) {
        test_sleep_ns(20 * NSEC_PER_USEC);
    }
    mm_write_unlock(the_mm);
}

/* N7. A fault goes by the VMA's own lock: a writer of the address space is not waited for. */
DIRECT_TEST(N7_the_handler_runs_beside_a_writer_of_the_address_space)
{
    struct crew crew = {.nr_threads = 0};

    ASSERT_TRUE(probe_start(cow));
    the_mm = current_mm();
    is_locked = false;
    may_unlock = false;
    probe.ops.cow_fault = probe.inner->cow_fault;
    (void)crew_add(&crew, hold_mmap_lock, NULL);
    while (!READ_ONCE(is_locked)) {
        test_sleep_ns(20 * NSEC_PER_USEC);
    }
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_TRUE(rwsem_is_held(&the_mm->mmap_lock));
    WRITE_ONCE(may_unlock, true);
    crew_join(&crew);
    EXPECT_EQ(OLD, word_at(probe.addr));
    probe_end();
}

/* --- truncation between the steps ------------------------------------------------------------ */

static struct vm_object *taker;

/* The file loses its frame, and another one gets it for something new. */
static void give_frame_away(void)
{
    EXPECT_OK(object_truncate(probe.object, 0));
    EXPECT_EQ(1, test_grant_zeroed(taker, 0, FRAME, 1));
    *test_frame_word(FRAME) = NEW;
}

/* The file loses the old content and has a hole there. */
static void truncate_and_grow(void)
{
    EXPECT_OK(object_truncate(probe.object, 0));
    EXPECT_OK(object_truncate(probe.object, PAGE_SIZE));
}

DIRECT_TEST(a_truncation_in_front_of_the_handler_is_a_sigbus)
{
    ASSERT_TRUE(probe_start(cow));
    taker = test_direct_file(cow, 1);
    ASSERT_TRUE(taker != NULL);
    probe.before = give_frame_away;
    EXPECT_EQ(FAULT_SIGBUS, write_fault());
    EXPECT_EQ(NEW, *test_frame_word(FRAME));
    object_put(taker);
    probe_end();
}

DIRECT_TEST(a_truncation_behind_the_handler_leaves_no_old_content)
{
    ASSERT_TRUE(probe_start(cow));
    taker = test_direct_file(cow, 1);
    ASSERT_TRUE(taker != NULL);
    probe.after = give_frame_away;
    (void)write_fault();
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), probe.addr, 0));
    EXPECT_EQ(NEW, *test_frame_word(FRAME));
    object_put(taker);
    probe_end();
}

DIRECT_TEST(a_hole_made_behind_the_handler_is_what_is_copied)
{
    ASSERT_TRUE(probe_start(cow));
    probe.after = truncate_and_grow;
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_EQ(0, word_at(probe.addr));
    /* What was filled is not installed; what was installed is taken away, and the access faults. */
    EXPECT_EQ(cow == DIRECT_COW_FILLS ? 2 : 1, probe.nr_calls);
    probe_end();
}

/* A handler that is slow keeps its frame from being given away, or has it given away before. */
static void try_to_take_frame(void)
{
    EXPECT_OK(object_revoke(probe.object, 0, PAGE_SIZE));
    EXPECT_EQ(1, test_grant_zeroed(taker, 0, FRAME, 1));
}

DIRECT_TEST(a_revoked_frame_is_copied_as_a_hole)
{
    ASSERT_TRUE(probe_start(cow));
    taker = test_direct_file(cow, 1);
    ASSERT_TRUE(taker != NULL);
    probe.before = try_to_take_frame;
    EXPECT_EQ(FAULT_OK, write_fault());
    EXPECT_EQ(0, word_at(probe.addr));
    object_put(taker);
    probe_end();
}
