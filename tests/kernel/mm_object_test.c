/*
 * Memory objects: reading, writing, size, holes, seals, promises, and all of that under mappings
 * and under want of memory.
 */
#include <ipc/iov.h>
#include <lib/string.h>
#include <mm/frames.h>
#include "mm_test.h"
#include "sched_test.h"

static struct vm_object *new_object(u64 size)
{
    struct vm_object *object = NULL;

    return object_create_shmem(size, &object) == 0 ? object : NULL;
}

/* The byte at an offset, or -1 behind the end. */
static int byte_at(struct vm_object *object, u64 offset)
{
    u8 byte = 0;
    u64 done = 0;

    EXPECT_OK(object_read_kernel(object, offset, &byte, 1, &done));
    return done == 1 ? byte : -1;
}

static int write_byte(struct vm_object *object, u64 offset, u8 byte)
{
    u64 done;

    return object_write_kernel(object, offset, &byte, 1, &done);
}

TEST(object, holes_read_as_zero_and_cost_nothing)
{
    struct vm_object *object = new_object(GIB);
    u64 before = frames_held_count();

    ASSERT_TRUE(object != NULL);
    EXPECT_EQ(0, byte_at(object, GIB - 1));
    EXPECT_EQ(-1, byte_at(object, GIB));
    EXPECT_EQ(0, object_nr_pages(object));
    EXPECT_EQ(before, frames_held_count());
    EXPECT_OK(write_byte(object, GIB - 1, 5));
    EXPECT_EQ(5, byte_at(object, GIB - 1));
    EXPECT_EQ(0, byte_at(object, GIB - 2));
    EXPECT_EQ(1, object_nr_pages(object));
    object_put(object);
    EXPECT_EQ(before, frames_held_count());
}

TEST(object, write_grows_and_crosses_pages)
{
    struct vm_object *object = new_object(0);
    char text[] = "across the end of a page";
    char back[sizeof(text)];
    u64 done = 0;

    ASSERT_TRUE(object != NULL);
    EXPECT_OK(object_write_kernel(object, PAGE_SIZE - 7, text, sizeof(text), &done));
    EXPECT_EQ(sizeof(text), done);
    EXPECT_EQ(PAGE_SIZE - 7 + sizeof(text), object_size(object));
    EXPECT_OK(object_read_kernel(object, PAGE_SIZE - 7, back, sizeof(back), &done));
    EXPECT_EQ(sizeof(text), done);
    EXPECT_STR(text, back);
    EXPECT_ERR(-EFBIG, write_byte(object, S64_MAX, 1));
    object_put(object);
}

TEST(object, write_from_a_bad_address_leaves_the_size)
{
    struct vm_object *object = new_object(10);
    u64 addr = test_map(2);
    struct iov_iter iter;
    u64 done;

    ASSERT_TRUE(object != NULL && addr != 0);
    EXPECT_OK(mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE));
    iov_init_user(&iter, addr + PAGE_SIZE, 5);
    EXPECT_ERR(-EFAULT, object_write(object, 3 * PAGE_SIZE, &iter, &done));
    EXPECT_EQ(10, object_size(object));
    EXPECT_EQ(0, object_nr_pages(object));
    /* What could be copied counts. */
    iov_init_user(&iter, addr + PAGE_SIZE - 3, 9);
    EXPECT_OK(object_write(object, 3 * PAGE_SIZE, &iter, &done));
    EXPECT_EQ(3, done);
    EXPECT_EQ(3 * PAGE_SIZE + 3, object_size(object));
    object_put(object);
}

TEST(object, truncation_zeroes_the_tail_and_frees_the_rest)
{
    struct vm_object *object = new_object(3 * PAGE_SIZE);

    ASSERT_TRUE(object != NULL);
    EXPECT_OK(write_byte(object, 99, 1));
    EXPECT_OK(write_byte(object, 100, 2));
    EXPECT_OK(write_byte(object, 2 * PAGE_SIZE, 3));
    EXPECT_OK(object_truncate(object, 100));
    EXPECT_EQ(1, object_nr_pages(object));
    EXPECT_EQ(-1, byte_at(object, 100));
    EXPECT_OK(object_truncate(object, 3 * PAGE_SIZE));
    EXPECT_EQ(1, byte_at(object, 99));
    EXPECT_EQ(0, byte_at(object, 100));
    EXPECT_EQ(0, byte_at(object, 2 * PAGE_SIZE));
    object_put(object);
}

TEST(object, mapped_write_behind_the_end_does_not_appear_later)
{
    struct vm_object *object = new_object(100);
    u64 addr;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 200, ~0ul));
    EXPECT_OK(object_truncate(object, PAGE_SIZE));
    EXPECT_EQ(0, byte_at(object, 200));
    EXPECT_OK(object_truncate(object, 100));
    EXPECT_OK(put_user_u64(addr + 200, ~0ul));
    EXPECT_OK(write_byte(object, 300, 1));
    EXPECT_EQ(0, byte_at(object, 200));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    object_put(object);
}

TEST(object, truncation_reaches_moved_and_split_mappings)
{
    struct vm_object *object = new_object(8 * PAGE_SIZE);
    u64 value = 0;
    u64 addr, moved;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 8, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    for (u64 i = 0; i < 8; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, i + 1));
    }
    EXPECT_OK(mm_protect(current_mm(), addr + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ));
    EXPECT_OK(mm_remap(current_mm(), addr + 4 * PAGE_SIZE, 4 * PAGE_SIZE, 4 * PAGE_SIZE,
                       MREMAP_MAYMOVE | MREMAP_FIXED, addr - 64 * PAGE_SIZE, &moved));
    EXPECT_OK(get_user_u64(&value, moved + 3 * PAGE_SIZE));
    EXPECT_EQ(8, value);
    EXPECT_OK(object_truncate(object, 2 * PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, addr + PAGE_SIZE));
    EXPECT_EQ(2, value);
    EXPECT_ERR(-EFAULT, get_user_u64(&value, addr + 2 * PAGE_SIZE));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, moved));
    EXPECT_EQ(2, mm_rss(current_mm(), MM_RSS_SHMEM));
    EXPECT_OK(mm_unmap(current_mm(), moved, 4 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), addr, 8 * PAGE_SIZE));
    object_put(object);
}

TEST(object, punched_hole_keeps_private_copies)
{
    struct vm_object *object = new_object(4 * PAGE_SIZE);
    u64 value = 0;
    u64 addr, copy;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 4, MAP_SHARED);
    copy = test_map_object(object, 4, MAP_PRIVATE);
    ASSERT_TRUE(addr != 0 && copy != 0);
    for (u64 i = 0; i < 4; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, 7));
    }
    EXPECT_OK(put_user_u64(copy + PAGE_SIZE, 8));
    EXPECT_OK(get_user_u64(&value, copy + 2 * PAGE_SIZE));
    EXPECT_OK(object_punch_hole(object, PAGE_SIZE, 3 * PAGE_SIZE + 8));
    EXPECT_EQ(2, object_nr_pages(object));
    EXPECT_EQ(0, byte_at(object, 3 * PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, copy + PAGE_SIZE));
    EXPECT_EQ(8, value);
    EXPECT_OK(get_user_u64(&value, copy + 2 * PAGE_SIZE));
    EXPECT_EQ(0, value);
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(7, value);
    EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), copy, 4 * PAGE_SIZE));
    object_put(object);
}

TEST(object, seek_finds_data_and_holes)
{
    struct vm_object *object = new_object(10 * PAGE_SIZE);
    u64 offset = 0;

    ASSERT_TRUE(object != NULL);
    EXPECT_OK(write_byte(object, 2 * PAGE_SIZE + 5, 1));
    EXPECT_OK(write_byte(object, 3 * PAGE_SIZE, 1));
    EXPECT_OK(object_seek_data(object, 7, &offset));
    EXPECT_EQ(2 * PAGE_SIZE, offset);
    EXPECT_OK(object_seek_data(object, 2 * PAGE_SIZE + 9, &offset));
    EXPECT_EQ(2 * PAGE_SIZE + 9, offset);
    EXPECT_OK(object_seek_hole(object, 2 * PAGE_SIZE, &offset));
    EXPECT_EQ(4 * PAGE_SIZE, offset);
    EXPECT_OK(object_seek_hole(object, 7, &offset));
    EXPECT_EQ(7, offset);
    EXPECT_ERR(-ENXIO, object_seek_data(object, 4 * PAGE_SIZE, &offset));
    EXPECT_ERR(-ENXIO, object_seek_hole(object, 10 * PAGE_SIZE, &offset));
    object_put(object);
}

TEST(object, seals_bind)
{
    struct vm_object *object = new_object(PAGE_SIZE);
    u64 addr;

    ASSERT_TRUE(object != NULL);
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_ERR(-EBUSY, object_add_seals(object, OBJECT_SEAL_WRITE));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    EXPECT_OK(object_add_seals(object, OBJECT_SEAL_GROW));
    EXPECT_ERR(-EPERM, write_byte(object, PAGE_SIZE, 1));
    EXPECT_ERR(-EPERM, object_truncate(object, 2 * PAGE_SIZE));
    EXPECT_OK(object_truncate(object, 5));
    EXPECT_OK(object_add_seals(object, OBJECT_SEAL_SHRINK | OBJECT_SEAL_WRITE | OBJECT_SEAL_SEAL));
    EXPECT_ERR(-EPERM, object_truncate(object, 4));
    EXPECT_ERR(-EPERM, write_byte(object, 0, 1));
    EXPECT_ERR(-EPERM, object_punch_hole(object, 0, 5));
    EXPECT_EQ(0, test_map_object(object, 1, MAP_SHARED));
    EXPECT_ERR(-EPERM, object_add_seals(object, OBJECT_SEAL_GROW));
    object_put(object);
}

TEST(object, promises_follow_the_pages)
{
    u64 before = vm_committed();
    struct vm_object *object = new_object(MIB);
    struct vm_object *anon = NULL;

    ASSERT_TRUE(object != NULL);
    EXPECT_EQ(before, vm_committed());
    EXPECT_OK(object_allocate(object, 0, 3 * PAGE_SIZE, OBJECT_ALLOCATE_GROW));
    EXPECT_EQ(before + 3, vm_committed());
    EXPECT_OK(object_truncate(object, PAGE_SIZE));
    EXPECT_EQ(before + 1, vm_committed());
    EXPECT_OK(object_create_anon(5 * PAGE_SIZE, OBJECT_PROMISE_NOW, &anon));
    EXPECT_EQ(before + 6, vm_committed());
    object_put(anon);
    object_put(object);
    EXPECT_EQ(before, vm_committed());
}

TEST_EACH_ALLOC(object, write_fails_cleanly_without_memory)
{
    struct vm_object *object = new_object(0);
    char text[3 * 64] = "x";
    u64 done = 0;
    int error;

    if (object == NULL) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    error = object_write_kernel(object, PAGE_SIZE - 64, text, sizeof(text), &done);
    EXPECT_TRUE(error == 0 || (ktest_alloc_failed() && error == -ENOMEM));
    EXPECT_EQ(done == 0 ? 0 : PAGE_SIZE - 64 + done, object_size(object));
    error = object_allocate(object, 0, 80 * PAGE_SIZE, OBJECT_ALLOCATE_GROW);
    EXPECT_TRUE(error == 0 || (ktest_alloc_failed() && error == -ENOMEM));
    EXPECT_TRUE(error != 0 || object_size(object) == 80 * PAGE_SIZE);
    object_put(object);
}

/* --- races ----------------------------------------------------------------------------------- */

struct truncator {
    struct vm_object *object;
    bool stop;
};

static void keep_truncating(void *arg)
{
    struct truncator *truncator = arg;

    while (!READ_ONCE(truncator->stop)) {
        EXPECT_OK(object_truncate(truncator->object, PAGE_SIZE));
        EXPECT_OK(object_truncate(truncator->object, 4 * PAGE_SIZE));
        sched_point();
    }
}

TEST(object, truncation_against_faults_leaves_no_page_behind)
{
    struct vm_object *object = new_object(4 * PAGE_SIZE);
    struct truncator truncator = {.object = object};
    struct crew crew = {.nr_threads = 0};
    u64 shared, copy;

    ASSERT_TRUE(object != NULL);
    shared = test_map_object(object, 4, MAP_SHARED);
    copy = test_map_object(object, 4, MAP_PRIVATE);
    ASSERT_TRUE(shared != 0 && copy != 0);
    (void)crew_add(&crew, keep_truncating, &truncator);
    for (u64 round = 0; round < 500; round++) {
        u64 offset = round % 4 * PAGE_SIZE;
        u64 value = 0;

        /* Behind the end of the moment the answer is EFAULT: both are right. */
        if (put_user_u64(shared + offset, round) != 0 || get_user_u64(&value, copy + offset) != 0 ||
            put_user_u64(copy + offset, round) != 0) {
            EXPECT_TRUE(offset != 0);
        }
        sched_point();
    }
    WRITE_ONCE(truncator.stop, true);
    crew_join(&crew);
    EXPECT_OK(object_truncate(object, 0));
    EXPECT_EQ(0, object_nr_pages(object));
    EXPECT_EQ(0, mm_rss_total(current_mm()));
    EXPECT_OK(mm_unmap(current_mm(), shared, 4 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(current_mm(), copy, 4 * PAGE_SIZE));
    object_put(object);
}
