/*
 * Direct (DAX) objects: whose a frame is, what mappings see, and what a truncation takes back.
 * The handler's copies are in direct_cow_test.c.
 */
#include <ipc/iov.h>
#include <lib/string.h>
#include "direct_test.h"

#define FRAME 3 /* the first one that tests grant; no round number, so that mix-ups show */
#define OLD   0x1111111111111111ul
#define NEW   0x2222222222222222ul

static u64 read_word(u64 addr)
{
    u64 value = ~0ul;

    EXPECT_OK(get_user_u64(&value, addr));
    return value;
}

/* A file of @nr_pages frames from FRAME on; the first word of page i is OLD + i. */
static struct vm_object *new_file(enum direct_cow cow, u64 nr_pages)
{
    struct vm_object *object = test_direct_file(cow, nr_pages);

    if (object != NULL) {
        for (u64 i = 0; i < nr_pages; i++) {
            *test_frame_word(FRAME + i) = OLD + i;
        }
        EXPECT_EQ(nr_pages, test_grant(object, 0, FRAME, nr_pages));
    }
    return object;
}

/* --- mappings -------------------------------------------------------------------------------- */

DIRECT_TEST(shared_mappings_map_the_frames_themselves)
{
    struct vm_object *object = new_file(cow, 2);
    u64 held = frames_held_count();
    u64 first, second;

    ASSERT_TRUE(object != NULL);
    first = test_map_object(object, 2, MAP_SHARED);
    second = test_map_object(object, 2, MAP_SHARED);
    ASSERT_TRUE(first != 0 && second != 0);
    EXPECT_EQ(OLD + 1, read_word(first + PAGE_SIZE));
    EXPECT_EQ(test_frame_pfn(FRAME + 1), pte_pfn(test_entry(current_mm(), first + PAGE_SIZE)));
    EXPECT_OK(put_user_u64(first, NEW));
    EXPECT_EQ(NEW, read_word(second));
    EXPECT_EQ(NEW, *test_frame_word(FRAME));
    EXPECT_EQ(3, page_refcount(pfn_to_page(test_frame_pfn(FRAME))) - 1);
    EXPECT_OK(mm_unmap(current_mm(), first, 2 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), second, 2 * PAGE_SIZE));
    object_put(object);
    /* No cache: what was taken were page tables alone. */
    EXPECT_LE(frames_held_count(), held + 4);
}

DIRECT_TEST(N8_reads_of_holes_map_the_zero_page)
{
    struct vm_object *object = test_direct_file(cow, 2);
    u64 shared, private;

    ASSERT_TRUE(object != NULL);
    shared = test_map_object(object, 2, MAP_SHARED);
    private = test_map_object(object, 2, MAP_PRIVATE);
    ASSERT_TRUE(shared != 0 && private != 0);
    EXPECT_EQ(0, read_word(shared + PAGE_SIZE));
    EXPECT_EQ(0, read_word(private));
    EXPECT_EQ((u64)zero_page(), (u64)test_page(current_mm(), shared + PAGE_SIZE));
    EXPECT_EQ((u64)zero_page(), (u64)test_page(current_mm(), private));
    EXPECT_EQ(0, mm_rss_total(current_mm()));
    EXPECT_EQ(0, object_nr_pages(object));
    /* A hole is the server's to fill. */
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), shared, FAULT_FLAG_WRITE));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), shared + PAGE_SIZE, FAULT_FLAG_WRITE));
    EXPECT_OK(put_user_u64(private, NEW));
    EXPECT_EQ(NEW, read_word(private));
    EXPECT_OK(mm_unmap(current_mm(), shared, 2 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), private, 2 * PAGE_SIZE));
    object_put(object);
}

DIRECT_TEST(N8_a_filled_hole_is_seen_through_the_zero_page)
{
    struct vm_object *object = test_direct_file(cow, 2);
    u64 shared, private;

    ASSERT_TRUE(object != NULL);
    shared = test_map_object(object, 2, MAP_SHARED);
    private = test_map_object(object, 2, MAP_PRIVATE);
    ASSERT_TRUE(shared != 0 && private != 0);
    EXPECT_EQ(0, read_word(shared));
    EXPECT_EQ(0, read_word(private));
    *test_frame_word(FRAME) = OLD;
    EXPECT_EQ(1, test_grant(object, 0, FRAME, 1));
    EXPECT_EQ(OLD, read_word(shared));
    EXPECT_EQ(OLD, read_word(private));
    EXPECT_OK(put_user_u64(shared, NEW));
    EXPECT_EQ(NEW, read_word(private));
    EXPECT_OK(mm_unmap(current_mm(), shared, 2 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), private, 2 * PAGE_SIZE));
    object_put(object);
}

/* A write through the zero page first takes its entry away; the frame is there by then. */
DIRECT_TEST(shared_write_after_a_read_of_the_hole_reaches_the_frame)
{
    struct vm_object *object = test_direct_file(cow, 1);
    u64 addr;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_EQ(0, read_word(addr));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, FAULT_FLAG_WRITE));
    EXPECT_EQ(0, read_word(addr));
    EXPECT_EQ(1, test_grant_zeroed(object, 0, FRAME, 1));
    EXPECT_OK(put_user_u64(addr, NEW));
    EXPECT_EQ(NEW, *test_frame_word(FRAME));
    EXPECT_EQ(0, READ_ONCE(*(u64 *)page_to_virt(zero_page())));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    object_put(object);
}

DIRECT_TEST(a_read_maps_the_frames_around_but_no_hole)
{
    struct vm_object *object = test_direct_file(cow, 8);
    u64 addr;

    ASSERT_TRUE(object != NULL);
    EXPECT_EQ(4, test_grant(object, 0, FRAME, 4));
    EXPECT_EQ(1, test_grant(object, 6, FRAME + 6, 1));
    addr = test_map_object(object, 8, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    (void)read_word(addr);
    EXPECT_EQ(5, mm_rss_total(current_mm()));
    EXPECT_TRUE(pte_is_none(test_entry(current_mm(), addr + 5 * PAGE_SIZE)));
    EXPECT_EQ(test_frame_pfn(FRAME + 6), pte_pfn(test_entry(current_mm(), addr + 6 * PAGE_SIZE)));
    EXPECT_OK(mm_unmap(current_mm(), addr, 8 * PAGE_SIZE));
    object_put(object);
}

/* --- truncation ------------------------------------------------------------------------------ */

DIRECT_TEST(truncation_revokes_every_mapping)
{
    struct vm_object *object = new_file(cow, 3);
    struct mm *child;
    u64 shared, private;

    ASSERT_TRUE(object != NULL);
    shared = test_map_object(object, 3, MAP_SHARED);
    private = test_map_object(object, 3, MAP_PRIVATE);
    ASSERT_TRUE(shared != 0 && private != 0);
    for (u64 i = 0; i < 3; i++) {
        EXPECT_OK(put_user_u64(shared + i * PAGE_SIZE, NEW));
        EXPECT_OK(put_user_u64(private + i * PAGE_SIZE, NEW + i));
    }
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(NEW, test_peek(child, shared + PAGE_SIZE));
    EXPECT_OK(object_truncate(object, PAGE_SIZE));
    EXPECT_EQ(1, object_nr_pages(object));
    EXPECT_EQ(NEW, read_word(shared));
    EXPECT_EQ(NEW, read_word(private));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), shared + PAGE_SIZE, 0));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), shared + PAGE_SIZE, FAULT_FLAG_WRITE));
    /* Private copies beyond the end go as well, as Linux has it. */
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), private + PAGE_SIZE, 0));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), private + 2 * PAGE_SIZE, FAULT_FLAG_WRITE));
    EXPECT_EQ(~0ul, test_peek(child, shared + PAGE_SIZE));
    EXPECT_EQ(~0ul, test_peek(child, private + 2 * PAGE_SIZE));
    EXPECT_EQ(1, page_refcount(pfn_to_page(test_frame_pfn(FRAME + 1))));
    mm_put(child);
    EXPECT_OK(mm_unmap(current_mm(), shared, 3 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), private, 3 * PAGE_SIZE));
    object_put(object);
}

DIRECT_TEST(truncated_bytes_read_as_zero_when_the_file_grows_again)
{
    struct vm_object *object = new_file(cow, 2);
    u64 addr;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 2, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 512, NEW));
    EXPECT_OK(object_truncate(object, 512));
    EXPECT_OK(put_user_u64(addr + 1024, NEW));
    EXPECT_OK(object_truncate(object, 2 * PAGE_SIZE));
    EXPECT_EQ(OLD, read_word(addr));
    EXPECT_EQ(0, read_word(addr + 512));
    EXPECT_EQ(0, read_word(addr + 1024));
    EXPECT_EQ(0, read_word(addr + PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    object_put(object);
}

DIRECT_TEST(revoked_pages_are_holes_and_private_copies_stay)
{
    struct vm_object *object = new_file(cow, 3);
    u64 shared, private;

    ASSERT_TRUE(object != NULL);
    shared = test_map_object(object, 3, MAP_SHARED);
    private = test_map_object(object, 3, MAP_PRIVATE);
    ASSERT_TRUE(shared != 0 && private != 0);
    EXPECT_EQ(OLD + 1, read_word(shared + PAGE_SIZE));
    EXPECT_OK(put_user_u64(private + PAGE_SIZE, NEW));
    EXPECT_EQ(OLD + 2, read_word(private + 2 * PAGE_SIZE));
    EXPECT_ERR(-EINVAL, object_revoke(object, 1, PAGE_SIZE));
    EXPECT_OK(object_revoke(object, PAGE_SIZE, 3 * PAGE_SIZE));
    EXPECT_EQ(OLD, read_word(shared));
    EXPECT_EQ(0, read_word(shared + PAGE_SIZE));
    EXPECT_EQ(NEW, read_word(private + PAGE_SIZE));
    EXPECT_EQ(0, read_word(private + 2 * PAGE_SIZE));
    EXPECT_EQ(1, object_nr_pages(object));
    EXPECT_OK(mm_unmap(current_mm(), shared, 3 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), private, 3 * PAGE_SIZE));
    object_put(object);
}

/* MADV_REMOVE comes from a client, who cannot take frames away from the server. */
DIRECT_TEST(a_punched_hole_is_zeroed_in_place)
{
    struct vm_object *object = new_file(cow, 3);
    u64 addr;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 3, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 512, NEW));
    EXPECT_OK(mm_advise(current_mm(), addr + PAGE_SIZE, PAGE_SIZE, MADV_REMOVE));
    EXPECT_EQ(3, object_nr_pages(object));
    EXPECT_EQ(0, read_word(addr + PAGE_SIZE));
    EXPECT_EQ(OLD + 2, read_word(addr + 2 * PAGE_SIZE));
    EXPECT_OK(object_punch_hole(object, 8, 512));
    EXPECT_EQ(OLD, read_word(addr));
    EXPECT_EQ(NEW, read_word(addr + 512));
    EXPECT_OK(mm_unmap(current_mm(), addr, 3 * PAGE_SIZE));
    object_put(object);
}

/* --- whose a frame is ------------------------------------------------------------------------ */

DIRECT_TEST(a_frame_is_granted_to_one_file_at_a_time)
{
    struct vm_object *first = new_file(cow, 2);
    struct vm_object *second = test_direct_file(cow, 4);
    u64 nr_frames = test_device()->nr_frames;

    ASSERT_TRUE(first != NULL && second != NULL);
    EXPECT_ERR(-EBUSY, test_grant(second, 0, FRAME, 1));
    EXPECT_EQ(1, test_grant(second, 0, FRAME - 1, 2));
    EXPECT_ERR(-EEXIST, test_grant(second, 0, FRAME + 2, 1));
    EXPECT_EQ(1, object_nr_pages(second));
    EXPECT_OK(object_truncate(first, 0));
    EXPECT_EQ(2, test_grant_zeroed(second, 2, FRAME, 2));
    EXPECT_EQ(0, *test_frame_word(FRAME));
    EXPECT_ERR(-EINVAL, test_grant(second, 1, nr_frames, 1));
    EXPECT_ERR(-EINVAL, test_grant(second, 1, nr_frames - 1, 2));
    EXPECT_ERR(-EINVAL, test_grant(second, 1, 0, 0));
    EXPECT_ERR(-EINVAL, test_grant(second, U64_MAX - 1, 0, 4));
    EXPECT_ERR(-EINVAL, test_grant(test_device()->object, 0, 0, 1));
    object_put(first);
    object_put(second);
}

DIRECT_TEST(a_pinned_frame_is_not_given_away)
{
    struct vm_object *object = new_file(cow, 1);
    struct vm_object *other = test_direct_file(cow, 1);
    struct page *page;
    u64 addr;

    ASSERT_TRUE(object != NULL && other != NULL);
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_WRITE, &page));
    EXPECT_EQ(test_frame_pfn(FRAME), page_to_pfn(page));
    EXPECT_OK(object_truncate(object, 0));
    EXPECT_EQ(2, page_refcount(page));
    EXPECT_ERR(-EBUSY, test_grant_zeroed(other, 0, FRAME, 1));
    EXPECT_EQ(OLD, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
    EXPECT_EQ(1, test_grant_zeroed(other, 0, FRAME, 1));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, 0));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    object_put(object);
    object_put(other);
}

DIRECT_TEST(a_mapping_keeps_the_frames_of_a_closed_file)
{
    struct vm_object *object = new_file(cow, 1);
    struct vm_object *other = test_direct_file(cow, 1);
    u64 addr;

    ASSERT_TRUE(object != NULL && other != NULL);
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    object_put(object);
    EXPECT_ERR(-EBUSY, test_grant(other, 0, FRAME, 1));
    EXPECT_EQ(OLD, read_word(addr));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    EXPECT_EQ(1, test_grant(other, 0, FRAME, 1));
    object_put(other);
}

DIRECT_TEST(a_grant_takes_the_frame_from_the_devices_mappings)
{
    struct vm_object *device = test_device()->object;
    struct vm_object *object = test_direct_file(cow, 1);
    u64 shared, private;

    ASSERT_TRUE(object != NULL);
    shared = test_map_object(device, FRAME + 2, MAP_SHARED);
    private = test_map_object(device, FRAME + 2, MAP_PRIVATE);
    ASSERT_TRUE(shared != 0 && private != 0);
    shared += FRAME * PAGE_SIZE;
    private += FRAME * PAGE_SIZE;
    EXPECT_OK(put_user_u64(shared, OLD));
    EXPECT_OK(put_user_u64(shared + PAGE_SIZE, OLD + 1));
    EXPECT_OK(put_user_u64(private, NEW));
    EXPECT_EQ(OLD + 1, read_word(private + PAGE_SIZE));
    EXPECT_EQ(1, test_grant(object, 0, FRAME, 1));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), shared, 0));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), shared, FAULT_FLAG_WRITE));
    EXPECT_EQ(OLD + 1, read_word(shared + PAGE_SIZE));
    EXPECT_EQ(NEW, read_word(private));
    object_put(object);
    /* With its file the frame comes back to the device. */
    EXPECT_EQ(OLD, read_word(shared));
    EXPECT_OK(mm_unmap(current_mm(), shared - FRAME * PAGE_SIZE, (FRAME + 2) * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), private - FRAME * PAGE_SIZE, (FRAME + 2) * PAGE_SIZE));
}

/* --- reading, writing, seeking --------------------------------------------------------------- */

DIRECT_TEST(files_are_read_and_written_in_place)
{
    struct vm_object *object = test_direct_file(cow, 0);
    char text[] = "across two frames";
    char back[sizeof(text)] = {0};
    u64 done = 0;

    ASSERT_TRUE(object != NULL);
    EXPECT_EQ(1, test_grant_zeroed(object, 0, FRAME + 1, 1));
    EXPECT_EQ(1, test_grant_zeroed(object, 1, FRAME, 1));
    EXPECT_OK(object_write_kernel(object, PAGE_SIZE - 4, text, sizeof(text), &done));
    EXPECT_EQ(sizeof(text), done);
    EXPECT_EQ(PAGE_SIZE - 4 + sizeof(text), object_size(object));
    EXPECT_EQ(0, memcmp(test_frame_word(FRAME), text + 4, sizeof(text) - 4));
    EXPECT_OK(object_read_kernel(object, PAGE_SIZE - 4, back, sizeof(back), &done));
    EXPECT_STR(text, back);
    /* The server fills holes; a write does not. */
    EXPECT_ERR(-ENOSPC, object_write_kernel(object, 2 * PAGE_SIZE, text, 1, &done));
    EXPECT_EQ(2, object_nr_pages(object));
    EXPECT_EQ(PAGE_SIZE - 4 + sizeof(text), object_size(object));
    object_put(object);
}

DIRECT_TEST(holes_and_frames_are_found_by_seeking)
{
    struct vm_object *object = test_direct_file(cow, 8);
    u64 offset = 0;

    ASSERT_TRUE(object != NULL);
    EXPECT_EQ(2, test_grant(object, 3, FRAME, 2));
    EXPECT_OK(object_seek_data(object, 5, &offset));
    EXPECT_EQ(3 * PAGE_SIZE, offset);
    EXPECT_OK(object_seek_hole(object, 3 * PAGE_SIZE, &offset));
    EXPECT_EQ(5 * PAGE_SIZE, offset);
    EXPECT_ERR(-ENXIO, object_seek_data(object, 5 * PAGE_SIZE, &offset));
    object_put(object);
}

DIRECT_TEST(the_device_reads_what_no_file_has)
{
    struct vm_object *device = test_device()->object;
    struct vm_object *object = new_file(cow, 1);
    u64 value = 0;
    u64 done = 0;

    ASSERT_TRUE(object != NULL);
    EXPECT_ERR(-EBUSY, object_read_kernel(device, FRAME * PAGE_SIZE, &value, 8, &done));
    EXPECT_ERR(-EBUSY, object_write_kernel(device, FRAME * PAGE_SIZE, &value, 8, &done));
    object_put(object);
    EXPECT_OK(object_read_kernel(device, FRAME * PAGE_SIZE, &value, 8, &done));
    EXPECT_EQ(OLD, value);
    EXPECT_ERR(-ENOSPC, object_write_kernel(device, object_size(device), &value, 8, &done));
    EXPECT_EQ(test_device()->nr_frames * PAGE_SIZE, object_size(device));
    direct_sync(device);
}

/* --- pins ------------------------------------------------------------------------------------ */

DIRECT_TEST(J5_longterm_pins_of_files_are_refused)
{
    static const u32 sharing[] = {MAP_SHARED, MAP_PRIVATE};
    struct vm_object *object = new_file(cow, 1);

    ASSERT_TRUE(object != NULL);
    for (u32 i = 0; i < ARRAY_SIZE(sharing); i++) {
        u64 addr = test_map_object(object, 1, sharing[i]);
        struct page *page;

        ASSERT_TRUE(addr != 0);
        EXPECT_EQ(OLD, read_word(addr));
        EXPECT_ERR(-EOPNOTSUPP, pin_user_pages(addr, 1, FOLL_LONGTERM, &page));
        EXPECT_ERR(-EOPNOTSUPP, pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &page));
        EXPECT_ERR(-EOPNOTSUPP, pin_user_pages(addr, 1, FOLL_LONGTERM | FOLL_WRITE, &page));
        EXPECT_EQ(1, pin_user_pages(addr, 1, 0, &page));
        EXPECT_EQ(test_frame_pfn(FRAME), page_to_pfn(page));
        unpin_user_page(page);
        EXPECT_EQ(1, pin_user_pages_fast(addr, 1, 0, &page));
        unpin_user_page(page);
        EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    }
    object_put(object);
}

DIRECT_TEST(the_device_itself_may_be_pinned_for_long)
{
    struct vm_object *object = test_direct_file(cow, 1);
    u64 addr = test_map_object(test_device()->object, FRAME + 1, MAP_SHARED);
    struct page *page;

    ASSERT_TRUE(object != NULL && addr != 0);
    EXPECT_EQ(1, pin_user_pages(addr + FRAME * PAGE_SIZE, 1, FOLL_LONGTERM | FOLL_WRITE, &page));
    /* It just keeps the frame from being granted. */
    EXPECT_ERR(-EBUSY, test_grant(object, 0, FRAME, 1));
    unpin_user_page(page);
    EXPECT_EQ(1, test_grant(object, 0, FRAME, 1));
    EXPECT_OK(mm_unmap(current_mm(), addr, (FRAME + 1) * PAGE_SIZE));
    object_put(object);
}

/* --- want of memory -------------------------------------------------------------------------- */

/* The outcome of an access that may have found no memory. */
static void expect_access(enum fault_outcome wanted, u64 addr, u32 flags)
{
    bool had_failed = ktest_alloc_failed();
    enum fault_outcome outcome = test_fault(current_mm(), addr, flags);

    if (outcome == FAULT_OOM) {
        EXPECT_TRUE(!had_failed && ktest_alloc_failed());
        outcome = test_fault(current_mm(), addr, flags);
    }
    EXPECT_EQ(wanted, outcome);
}

DIRECT_TEST_FLAGS(every_allocation_may_fail, KTEST_DIRECT | KTEST_FAIL_EACH_ALLOCATION)
{
    struct vm_object *object = test_direct_file(cow, 200);
    u64 shared = 0, private = 0;
    s64 granted = 0;

    if (object == NULL) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    /* More than one node of the tree is needed. */
    *test_frame_word(FRAME) = OLD;
    while (granted < 100) {
        s64 more = test_grant(object, (u64)granted, FRAME + (u64)granted, 100 - (u64)granted);

        EXPECT_TRUE(more > 0 || (more == -ENOMEM && ktest_alloc_failed()));
        EXPECT_TRUE(more == 100 - granted || ktest_alloc_failed());
        granted += more > 0 ? more : 0;
    }
    EXPECT_EQ(100, object_nr_pages(object));
    shared = test_map_object(object, 200, MAP_SHARED);
    private = test_map_object(object, 200, MAP_PRIVATE);
    EXPECT_TRUE((shared != 0 && private != 0) || ktest_alloc_failed());
    if (shared != 0) {
        expect_access(FAULT_OK, shared, FAULT_FLAG_WRITE);
        expect_access(FAULT_OK, shared + 150 * PAGE_SIZE, 0);
        expect_access(FAULT_SIGBUS, shared + 150 * PAGE_SIZE, FAULT_FLAG_WRITE);
        EXPECT_OK(mm_unmap(current_mm(), shared, 200 * PAGE_SIZE));
    }
    if (private != 0) {
        expect_access(FAULT_OK, private, FAULT_FLAG_WRITE);
        expect_access(FAULT_OK, private + 150 * PAGE_SIZE, FAULT_FLAG_WRITE);
        EXPECT_EQ(OLD, read_word(private));
        EXPECT_OK(mm_unmap(current_mm(), private, 200 * PAGE_SIZE));
    }
    object_put(object);
}
