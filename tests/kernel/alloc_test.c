/* How a case of alloc_test.h is run. */
#include "alloc_test.h"

#include <ipc/fdtable.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/fail_inject.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <mm/verify.h>
#include <mm/vma.h>
#include <proc/thread.h>

#define TRIES_MAX  500
#define SHAPES_MAX 64

/* A VMA as programs may know it. */
struct shape {
    u64 start;
    u64 end;
    u64 flags;
    u64 pgoff;
    const struct vm_object *object;
};

static struct shape before[SHAPES_MAX];
static struct shape after[SHAPES_MAX];
static const struct alloc_case *the_case;

static u64 file_value(u64 page)
{
    return 0x2000 + page;
}

static u64 anon_value(u64 page)
{
    return page < ALLOC_PAGES / 2 ? 0x1000 + page : 0;
}

/* What the private mapping holds: its second page is a copy. */
static u64 private_value(u64 page)
{
    return page == 1 ? 0x3001 : file_value(page);
}

static void map_memory(u64 addr, u64 flags, u64 fd)
{
    EXPECT_EQ(addr, sys_mmap(addr, ALLOC_SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0));
}

static void make_memory(void)
{
    EXPECT_OK(copy_to_user(ALLOC_ARGS, "4", 2)); /* a name, and an order for clear_refs */
    EXPECT_EQ(ALLOC_MEMFD, sys_memfd_create(ALLOC_ARGS, 0));
    EXPECT_OK(sys_ftruncate(ALLOC_MEMFD, ALLOC_SIZE));
    map_memory(ALLOC_ANON, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul);
    map_memory(ALLOC_FILE, MAP_PRIVATE, ALLOC_MEMFD);
    map_memory(ALLOC_SHARED, MAP_SHARED, ALLOC_MEMFD);
    for (u64 i = 0; i < ALLOC_PAGES; i++) {
        u64 offset = i * PAGE_SIZE;

        EXPECT_OK(put_user_u64(ALLOC_SHARED + offset, file_value(i)));
        if (anon_value(i) != 0) {
            EXPECT_OK(put_user_u64(ALLOC_ANON + offset, anon_value(i)));
        }
    }
    EXPECT_OK(put_user_u64(ALLOC_FILE + PAGE_SIZE, private_value(1)));
    if (the_case->prepare != NULL) {
        the_case->prepare();
    }
}

/* Everything that was mapped, opened or started, but for the three pages of the fixture. */
static void drop_everything(void)
{
    EXPECT_OK(sys_munlockall());
    EXPECT_OK(sys_close_range(0, ~0u, 0));
    EXPECT_OK(sys_munmap(ALLOC_ANON, ALLOC_FREE - ALLOC_ANON));
    EXPECT_OK(sys_munmap(ALLOC_FREE, TASK_SIZE - ALLOC_FREE));
    while (program_wait(-1, 0) >= 0) {}
}

static u32 take_shapes(struct shape *shapes)
{
    struct mm *mm = current_mm();
    struct vma *vma;
    u32 nr = 0;

    mm_read_lock(mm);
    for_each_vma (vma, mm) {
        if (nr < SHAPES_MAX) {
            shapes[nr++] =
                (struct shape){vma->start, vma->end, vma->flags, vma->pgoff, vma->object};
        }
    }
    mm_read_unlock(mm);
    return nr;
}

static void check_shapes(u32 nr_before)
{
    u32 nr_after = take_shapes(after);

    EXPECT_EQ(nr_before, nr_after);
    EXPECT_EQ(0, memcmp(before, after, min(nr_before, nr_after) * sizeof(before[0])));
}

static void check_contents(void)
{
    for (u64 i = 0; i < ALLOC_PAGES; i++) {
        u64 offset = i * PAGE_SIZE;
        u64 value = 0;

        EXPECT_OK(get_user_u64(&value, ALLOC_ANON + offset));
        EXPECT_EQ(anon_value(i), value);
        EXPECT_OK(get_user_u64(&value, ALLOC_FILE + offset));
        EXPECT_EQ(private_value(i), value);
        EXPECT_OK(get_user_u64(&value, ALLOC_SHARED + offset));
        EXPECT_EQ(file_value(i), value);
    }
}

static s64 wanted_error(void)
{
    return the_case->error != 0 ? the_case->error : -ENOMEM;
}

/* Tries the call once. Return: has an allocation failed? */
static bool try_once(u32 nth)
{
    enum alloc_after wanted;
    u32 nr_before;
    bool has_failed;
    s64 result;

    make_memory();
    nr_before = take_shapes(before);
    fail_inject_begin(nth);
    result = the_case->call();
    has_failed = fail_inject_end();
    if (result < 0) {
        EXPECT_TRUE(has_failed);
        EXPECT_TRUE(result == wanted_error() || result == the_case->other_error);
    } else {
        EXPECT_TRUE(!has_failed || the_case->may_ignore);
    }
    wanted = result < 0 ? the_case->on_failure : the_case->on_success;
    if (wanted == ALLOC_SAME) {
        check_shapes(nr_before);
    }
    if (wanted != ALLOC_CHANGED) {
        check_contents();
    }
    mm_verify(current_mm());
    if (ktest_nr_failures() != 0) {
        printk("# with allocation %u failing the call returned %lld\n", nth, (long long)result);
    }
    drop_everything();
    return has_failed;
}

static void try_all(void)
{
    u32 nth = 1;

    EXPECT_OK(put_user_u64(ALLOC_ARGS, 0));
    while (try_once(nth) && nth < TRIES_MAX && ktest_nr_failures() == 0) {
        nth++;
    }
    EXPECT_TRUE(nth < TRIES_MAX);
    printk("# %u allocations\n", nth - 1);
}

void alloc_run(const struct alloc_case *chosen)
{
    the_case = chosen;
    EXPECT_EQ(0, proc_test_run(try_all));
}
