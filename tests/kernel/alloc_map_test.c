/*
 * The calls that change an address space, with each allocation failing: the table of them. What a
 * call may do without the memory, or leave half done, is what Linux's manual pages say.
 */
#include "alloc_test.h"

#define RW     (PROT_READ | PROT_WRITE)
#define ANON   (MAP_PRIVATE | MAP_ANONYMOUS)
#define MIDDLE (2 * PAGE_SIZE) /* in the middle of each mapping */
#define NO_FD  (~0ul)

/* What a call works on: two pages, so that a VMA is split twice. */
#define PART(base) (base) + MIDDLE, 2 * PAGE_SIZE

static s64 map_anon(u64 addr, u64 flags)
{
    return sys_mmap(addr, ALLOC_SIZE, RW, ANON | flags, NO_FD, 0);
}

static s64 map_memfd(u64 addr, u64 flags)
{
    return sys_mmap(addr, ALLOC_SIZE, RW, flags, ALLOC_MEMFD, 0);
}

/* --- mmap ------------------------------------------------------------------------------------- */

/* A new mapping besides the others. */
#define MAP_TEST(name, expression, ...)                                                            \
    ALLOC_TEST(mmap_##name, expression, .on_success = ALLOC_CONTENT, __VA_ARGS__)

MAP_TEST(private, map_anon(0, 0))
MAP_TEST(shared_anonymous, sys_mmap(0, ALLOC_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, NO_FD, 0))
MAP_TEST(fixed, map_anon(ALLOC_FREE, MAP_FIXED))
MAP_TEST(fixed_noreplace, map_anon(ALLOC_FREE, MAP_FIXED_NOREPLACE))
MAP_TEST(growsdown, map_anon(ALLOC_FREE, MAP_GROWSDOWN))
MAP_TEST(stack, map_anon(ALLOC_FREE, MAP_STACK))
MAP_TEST(noreserve, map_anon(ALLOC_FREE, MAP_NORESERVE))
MAP_TEST(32bit, map_anon(0, MAP_32BIT))
MAP_TEST(beside_a_neighbour, map_anon(ALLOC_ANON + ALLOC_SIZE, MAP_FIXED_NOREPLACE))
/* Populating is on a best-effort basis: the mapping stands without its pages. */
MAP_TEST(populate, map_anon(ALLOC_FREE, MAP_POPULATE), .may_ignore = true)
MAP_TEST(populate_nonblock, map_anon(ALLOC_FREE, MAP_POPULATE | MAP_NONBLOCK))
MAP_TEST(locked, map_anon(ALLOC_FREE, MAP_LOCKED), .may_ignore = true)
MAP_TEST(file_shared, map_memfd(ALLOC_FREE, MAP_SHARED))
MAP_TEST(file_private, map_memfd(ALLOC_FREE, MAP_PRIVATE))
MAP_TEST(file_shared_validate, map_memfd(ALLOC_FREE, MAP_SHARED_VALIDATE))
MAP_TEST(file_populate, map_memfd(ALLOC_FREE, MAP_PRIVATE | MAP_POPULATE), .may_ignore = true)
ALLOC_TEST(mmap_fixed_over_the_middle, sys_mmap(PART(ALLOC_ANON), RW, ANON | MAP_FIXED, NO_FD, 0),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mmap_file_over_the_middle,
           sys_mmap(PART(ALLOC_SHARED), RW, MAP_PRIVATE | MAP_FIXED, ALLOC_MEMFD, MIDDLE),
           .on_success = ALLOC_CONTENT)

/* --- munmap, mprotect, brk -------------------------------------------------------------------- */

ALLOC_TEST(munmap_all, sys_munmap(ALLOC_ANON, ALLOC_SIZE), .on_success = ALLOC_CHANGED)
ALLOC_TEST(munmap_of_the_middle, sys_munmap(PART(ALLOC_ANON)), .on_success = ALLOC_CHANGED)
ALLOC_TEST(munmap_of_a_files_middle, sys_munmap(PART(ALLOC_SHARED)), .on_success = ALLOC_CHANGED)
ALLOC_TEST(munmap_of_several, sys_munmap(ALLOC_ANON + MIDDLE, ALLOC_FILE - ALLOC_ANON),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mprotect_all, sys_mprotect(ALLOC_ANON, ALLOC_SIZE, PROT_READ),
           .on_success = ALLOC_CONTENT)
ALLOC_TEST(mprotect_of_the_middle, sys_mprotect(PART(ALLOC_ANON), PROT_READ),
           .on_success = ALLOC_CONTENT)
ALLOC_TEST(mprotect_of_a_files_middle, sys_mprotect(PART(ALLOC_FILE), PROT_READ),
           .on_success = ALLOC_CONTENT)

static void map_neighbours(void)
{
    EXPECT_TRUE(sys_mmap(ALLOC_ANON + ALLOC_SIZE, ALLOC_SIZE, RW, ANON | MAP_FIXED | MAP_NORESERVE,
                         NO_FD, 0) > 0);
}

/* The mappings in front of the one that failed are changed. */
ALLOC_TEST(mprotect_of_several, sys_mprotect(ALLOC_ANON + MIDDLE, ALLOC_SIZE, PROT_READ),
           .prepare = map_neighbours, .on_failure = ALLOC_CONTENT, .on_success = ALLOC_CONTENT)

static u64 heap_start;

static void find_heap(void)
{
    heap_start = (u64)sys_brk(0);
}

/* brk(2) tells the end of the heap, moved or not. */
static s64 grow_heap(void)
{
    u64 wanted = heap_start + ALLOC_SIZE;
    u64 end = (u64)sys_brk(wanted);

    if (end == wanted) {
        EXPECT_EQ(heap_start, sys_brk(heap_start));
        return 0;
    }
    EXPECT_EQ(heap_start, end);
    return -ENOMEM;
}

ALLOC_TEST(brk, grow_heap(), .prepare = find_heap, .on_success = ALLOC_CONTENT)

/* --- mremap ----------------------------------------------------------------------------------- */

#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)

static s64 remap(u64 addr, u64 old_len, u64 new_len, u64 flags, u64 to)
{
    return sys_mremap(addr, old_len, new_len, flags, to);
}

ALLOC_TEST(mremap_in_place, remap(ALLOC_ANON, ALLOC_SIZE, 2 * ALLOC_SIZE, 0, 0),
           .on_success = ALLOC_CONTENT)
ALLOC_TEST(mremap_shrinks, remap(ALLOC_ANON, ALLOC_SIZE, PAGE_SIZE, 0, 0),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mremap_grows_elsewhere,
           remap(ALLOC_ANON, ALLOC_SIZE, 2 * (ALLOC_FILE - ALLOC_ANON), MREMAP_MAYMOVE, 0),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mremap_moves, remap(ALLOC_ANON, ALLOC_SIZE, ALLOC_SIZE, FIXED, ALLOC_FREE),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mremap_moves_the_middle, remap(PART(ALLOC_ANON), 2 * PAGE_SIZE, FIXED, ALLOC_FREE),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mremap_moves_a_files_middle, remap(PART(ALLOC_FILE), 2 * PAGE_SIZE, FIXED, ALLOC_FREE),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mremap_dontunmap,
           remap(ALLOC_ANON, ALLOC_SIZE, ALLOC_SIZE, FIXED | MREMAP_DONTUNMAP, ALLOC_FREE),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(mremap_duplicates, remap(ALLOC_SHARED, 0, ALLOC_SIZE, FIXED, ALLOC_FREE),
           .on_success = ALLOC_CONTENT)
/* What stood at the target is gone, whatever happens then. */
ALLOC_TEST(mremap_over_another,
           remap(PART(ALLOC_ANON), 2 * PAGE_SIZE, FIXED, ALLOC_SHARED + MIDDLE),
           .on_failure = ALLOC_CHANGED, .on_success = ALLOC_CHANGED)

/* --- madvise ---------------------------------------------------------------------------------- */

/* Each takes EAGAIN for a want of kernel resources; ENOMEM it keeps for addresses. */
#define ADVICE_TEST(name, base, advice, ...)                                                       \
    ALLOC_TEST(madvise_##name, sys_madvise(PART(base), advice), .error = -EAGAIN,                  \
               .on_success = ALLOC_CONTENT, __VA_ARGS__)

/* What the advice before said about all of it, it takes back for the middle. */
#define TAKE_BACK_TEST(name, base, advice_before, advice)                                          \
    static void advise_##name(void)                                                                \
    {                                                                                              \
        EXPECT_OK(sys_madvise(base, ALLOC_SIZE, advice_before));                                   \
    }                                                                                              \
    ADVICE_TEST(name, base, advice, .prepare = advise_##name)

TAKE_BACK_TEST(normal, ALLOC_ANON, MADV_RANDOM, MADV_NORMAL)
TAKE_BACK_TEST(dofork, ALLOC_ANON, MADV_DONTFORK, MADV_DOFORK)
TAKE_BACK_TEST(keeponfork, ALLOC_ANON, MADV_WIPEONFORK, MADV_KEEPONFORK)
TAKE_BACK_TEST(dodump, ALLOC_FILE, MADV_DONTDUMP, MADV_DODUMP)
ADVICE_TEST(random, ALLOC_ANON, MADV_RANDOM)
ADVICE_TEST(sequential, ALLOC_FILE, MADV_SEQUENTIAL)
ADVICE_TEST(willneed, ALLOC_SHARED, MADV_WILLNEED, .may_ignore = true)
ADVICE_TEST(dontfork, ALLOC_ANON, MADV_DONTFORK)
ADVICE_TEST(wipeonfork, ALLOC_ANON, MADV_WIPEONFORK)
ADVICE_TEST(hugepage, ALLOC_ANON, MADV_HUGEPAGE)
ADVICE_TEST(nohugepage, ALLOC_ANON, MADV_NOHUGEPAGE)
ADVICE_TEST(dontdump, ALLOC_FILE, MADV_DONTDUMP)
ADVICE_TEST(cold, ALLOC_ANON, MADV_COLD)
ADVICE_TEST(pageout, ALLOC_ANON, MADV_PAGEOUT)
ADVICE_TEST(free, ALLOC_ANON, MADV_FREE)
ALLOC_TEST(madvise_dontneed, sys_madvise(PART(ALLOC_ANON), MADV_DONTNEED),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(madvise_remove, sys_madvise(PART(ALLOC_SHARED), MADV_REMOVE),
           .on_success = ALLOC_CHANGED)

static void map_far_away(void)
{
    EXPECT_TRUE(map_anon(ALLOC_FREE, MAP_FIXED) > 0);
}

ALLOC_TEST(madvise_populate_read, sys_madvise(ALLOC_FREE, ALLOC_SIZE, MADV_POPULATE_READ),
           .prepare = map_far_away)
ALLOC_TEST(madvise_populate_write, sys_madvise(ALLOC_ANON, ALLOC_SIZE, MADV_POPULATE_WRITE))
ALLOC_TEST(madvise_populate_write_of_a_file,
           sys_madvise(ALLOC_FILE, ALLOC_SIZE, MADV_POPULATE_WRITE))

/* --- mlock and its like ----------------------------------------------------------------------- */

/* The memory counts as locked even where a page could not be had. */
#define LOCK_TEST(name, expression, ...)                                                           \
    ALLOC_TEST(name, expression, .other_error = -EAGAIN, .on_failure = ALLOC_CONTENT,              \
               .on_success = ALLOC_CONTENT, __VA_ARGS__)

LOCK_TEST(mlock, sys_mlock(ALLOC_ANON + MIDDLE, 4 * PAGE_SIZE))
LOCK_TEST(mlock2_onfault, sys_mlock2(ALLOC_ANON + MIDDLE, 4 * PAGE_SIZE, MLOCK_ONFAULT))
LOCK_TEST(mlock_of_a_file, sys_mlock(PART(ALLOC_FILE)))
/* What mlockall() cannot bring in it passes over. */
LOCK_TEST(mlockall_current, sys_mlockall(MCL_CURRENT), .may_ignore = true)
LOCK_TEST(mlockall_future, sys_mlockall(MCL_FUTURE))

static void lock_anon(void)
{
    EXPECT_OK(sys_mlock(ALLOC_ANON, ALLOC_SIZE));
}

LOCK_TEST(munlockall, sys_munlockall(), .prepare = lock_anon)
LOCK_TEST(munlock_of_the_middle, sys_munlock(PART(ALLOC_ANON)), .prepare = lock_anon)
ALLOC_TEST(msync, sys_msync(ALLOC_SHARED, ALLOC_SIZE, MS_SYNC))
ALLOC_TEST(mincore, sys_mincore(ALLOC_ANON, ALLOC_SIZE, ALLOC_RESULT))
