/*
 * mremap in the page tables: whole tables and single entries move, pages keep their identity, and
 * a move that runs out of memory half-way puts everything back.
 */
#include "mm_test.h"

#define TABLE  (2 * MIB) /* what one lowest table serves */
#define FROM   0x40000000ul
#define TO     0x80000000ul
#define MAYFIX (MREMAP_MAYMOVE | MREMAP_FIXED)

static bool map_at(u64 addr, u64 len)
{
    struct map_request req = {.addr = addr,
                              .len = len,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS};
    u64 got;

    return mm_map(current_mm(), &req, &got) == 0;
}

/* One word in every fifth page. */
static bool fill(u64 addr, u64 len)
{
    for (u64 at = 0; at < len; at += 5 * PAGE_SIZE) {
        if (put_user_u64(addr + at, at + 1) != 0) {
            return false;
        }
    }
    return true;
}

static u64 count_wrong(u64 addr, u64 len)
{
    u64 nr_wrong = 0;

    for (u64 at = 0; at < len; at += 5 * PAGE_SIZE) {
        u64 value = 0;

        nr_wrong += get_user_u64(&value, addr + at) != 0 || value != at + 1;
    }
    return nr_wrong;
}

static struct page *table_of(u64 addr)
{
    struct pt_cursor cursor;

    return cursor_find(&cursor, current_mm(), addr) ? cursor.table : NULL;
}

static int move(u64 from, u64 len, u64 to)
{
    u64 result = 0;
    int error = mm_remap(current_mm(), from, len, len, MAYFIX, to, &result);

    EXPECT_TRUE(error != 0 || result == to);
    return error;
}

TEST(mm, remap_moves_whole_tables_between_aligned_addresses)
{
    struct page *table;

    ASSERT_TRUE(map_at(FROM, 3 * TABLE) && fill(FROM, 3 * TABLE));
    table = table_of(FROM + TABLE);
    EXPECT_OK(move(FROM, 3 * TABLE, TO));
    EXPECT_TRUE(table_of(TO + TABLE) == table);
    EXPECT_TRUE(table_of(FROM + TABLE) == NULL);
    EXPECT_EQ(0, count_wrong(TO, 3 * TABLE));
    EXPECT_EQ(TO + TABLE, table->table_addr);
}

TEST(mm, remap_moves_entries_where_a_table_serves_others_too)
{
    ASSERT_TRUE(map_at(FROM, 2 * TABLE) && fill(FROM, 2 * TABLE));
    /* Neighbours at both places keep their tables. */
    ASSERT_TRUE(map_at(FROM - PAGE_SIZE, PAGE_SIZE) && map_at(FROM + 2 * TABLE, PAGE_SIZE));
    ASSERT_TRUE(map_at(TO + 2 * TABLE, PAGE_SIZE));
    EXPECT_OK(put_user_u64(TO + 2 * TABLE, 77));
    EXPECT_OK(move(FROM, 2 * TABLE, TO + PAGE_SIZE));
    EXPECT_EQ(0, count_wrong(TO + PAGE_SIZE, 2 * TABLE));
    EXPECT_OK(move(TO + PAGE_SIZE, 2 * TABLE, FROM));
    EXPECT_EQ(0, count_wrong(FROM, 2 * TABLE));
}

TEST(mm, remap_moves_entries_into_a_table_that_is_there)
{
    u64 value = 0;

    ASSERT_TRUE(map_at(FROM, TABLE) && fill(FROM, TABLE));
    ASSERT_TRUE(map_at(TO, TABLE) && fill(TO, TABLE));
    /* The end of what stands in the way goes, its table does not. */
    EXPECT_OK(mm_unmap(current_mm(), TO, TABLE - PAGE_SIZE));
    EXPECT_OK(move(FROM, TABLE - PAGE_SIZE, TO));
    EXPECT_EQ(0, count_wrong(TO, TABLE - PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, FROM + TABLE - PAGE_SIZE));
}

TEST(mm, remap_keeps_a_pinned_page_in_place)
{
    struct page *page = NULL;
    u64 value = 0;

    ASSERT_TRUE(map_at(FROM, TABLE) && fill(FROM, TABLE));
    ASSERT_EQ(1, pin_user_pages(FROM, 1, FOLL_WRITE, &page));
    EXPECT_OK(move(FROM, TABLE, TO));
    EXPECT_TRUE(test_page(current_mm(), TO) == page);
    *(u64 *)page_to_virt(page) = 4711;
    EXPECT_OK(get_user_u64(&value, TO));
    EXPECT_EQ(4711, value);
    unpin_user_page(page);
}

TEST(mm, remap_of_a_shared_mapping_is_found_by_truncation)
{
    struct vm_object *object = NULL;
    struct map_request req = {.addr = FROM,
                              .len = TABLE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_FIXED | MAP_SHARED};
    u64 value;

    ASSERT_OK(object_create_shmem(TABLE, &object));
    req.object = object;
    EXPECT_OK(mm_map(current_mm(), &req, &value));
    EXPECT_TRUE(fill(FROM, TABLE));
    EXPECT_OK(move(FROM, TABLE, TO));
    EXPECT_EQ(0, count_wrong(TO, TABLE));
    EXPECT_OK(object_truncate(object, PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, TO));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, TO + 5 * PAGE_SIZE));
    EXPECT_TRUE(test_page(current_mm(), TO + 5 * PAGE_SIZE) == NULL);
    object_put(object);
}

TEST(mm, remap_of_nothing_duplicates_a_shared_mapping)
{
    struct vm_object *object = NULL;
    u64 addr, other, value;

    ASSERT_OK(object_create_shmem(4 * PAGE_SIZE, &object));
    addr = test_map_object(object, 4, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 5));
    EXPECT_OK(mm_remap(current_mm(), addr, 0, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &other));
    EXPECT_OK(get_user_u64(&value, other + PAGE_SIZE));
    EXPECT_EQ(5, value);
    EXPECT_TRUE(test_page(current_mm(), addr + PAGE_SIZE) ==
                test_page(current_mm(), other + PAGE_SIZE));
    object_put(object);
}

/* A move of tables and of entries, which fails at each of its allocations in turn. */
static void move_or_stay(u64 len, u64 to)
{
    if (!map_at(FROM, len) || !fill(FROM, len)) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else if (move(FROM, len, to) == 0) {
        EXPECT_TRUE(count_wrong(to, len) == 0 || ktest_alloc_failed());
        EXPECT_TRUE(test_page(current_mm(), FROM) == NULL);
    } else {
        EXPECT_TRUE(ktest_alloc_failed());
        EXPECT_EQ(0, count_wrong(FROM, len));
        EXPECT_TRUE(test_page(current_mm(), to) == NULL);
    }
    EXPECT_OK(mm_unmap(current_mm(), FROM, len));
    EXPECT_OK(mm_unmap(current_mm(), to, len));
}

TEST_EACH_ALLOC(mm, remap_of_tables_moves_all_or_nothing)
{
    move_or_stay(2 * TABLE, TO);
}

TEST_EACH_ALLOC(mm, remap_of_entries_moves_all_or_nothing)
{
    move_or_stay(2 * TABLE, TO + 3 * PAGE_SIZE);
}

TEST_EACH_ALLOC(mm, remap_of_both_kinds_moves_all_or_nothing)
{
    /* The first table cannot move as it is, the second can, and their levels are all new. */
    if (!map_at((1ul << 39) - PAGE_SIZE, PAGE_SIZE)) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    move_or_stay(2 * TABLE + 7 * PAGE_SIZE, 1ul << 39);
}

TEST_EACH_ALLOC(mm, remap_without_unmapping_moves_all_or_nothing)
{
    u64 addr = test_map(4);
    u64 moved = 0;
    u64 value = 0;
    int error;

    if (addr == 0 || put_user_u64(addr + PAGE_SIZE, 9) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    error = mm_remap(current_mm(), addr, 4 * PAGE_SIZE, 4 * PAGE_SIZE,
                     MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, &moved);
    EXPECT_TRUE(error == 0 || ktest_alloc_failed());
    EXPECT_OK(get_user_u64(&value, (error == 0 ? moved : addr) + PAGE_SIZE));
    EXPECT_EQ(9, value);
    if (error == 0 && get_user_u64(&value, addr + PAGE_SIZE) == 0) {
        EXPECT_EQ(0, value);
    }
}

TEST(mm, remap_lets_touched_neighbours_become_one)
{
    u64 addr = test_map(6);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(mm_protect(current_mm(), addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ | PROT_EXEC));
    EXPECT_EQ(3, current_mm()->map_count);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(mm_protect(current_mm(), addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE,
                         PROT_READ | PROT_WRITE | PROT_EXEC));
    EXPECT_OK(put_user_u64(addr + 2 * PAGE_SIZE, 2));
    /* Both have pages of their own by now, of one generation. */
    EXPECT_OK(
        mm_protect(current_mm(), addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_EQ(1, current_mm()->map_count);
}
