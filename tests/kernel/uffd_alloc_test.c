/*
 * What userfaultfd does, with each of its allocations failing in turn: the call fails with ENOMEM,
 * what was there is as before, and nothing is lost. Only the call itself meets failures; what it
 * works on is made anew for each try.
 */
#include <mm/fail_inject.h>
#include <mm/verify.h>
#include "uffd_test.h"

#define WORD      0x4444111144441111ul
#define MAX_TRIES 64
#define FAR_AWAY  0x5000000000ul

/* What a call works on. */
static struct {
    struct uffd_ctx *ctx;
    struct region region;
    u64 source;
    struct mm *child;
} now;

struct alloc_case {
    enum memory memory;
    u64 nr_pages;
    u64 vm_flags;
    u64 features;
    void (*prepare)(void); /* NULL: nothing more */
    s64 (*call)(void);
    s64 result;                 /* without a failure */
    enum entry_state state;     /* of the first page, without a failure */
    enum entry_state unchanged; /* of the first page, after one */
};

/* Far from everything else, so that there are no tables. */
static void make_region(const struct alloc_case *it)
{
    struct map_request req = {.addr = FAR_AWAY,
                              .len = it->nr_pages * PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_FIXED};

    now.region = (struct region){.kind = it->memory, .nr_pages = it->nr_pages};
    if (it->memory == ANON) {
        req.flags |= MAP_ANONYMOUS;
    } else {
        EXPECT_OK(object_create_shmem(req.len, &now.region.object));
        req.object = now.region.object;
    }
    req.flags |= it->memory == SHMEM_SHARED ? MAP_SHARED : MAP_PRIVATE;
    EXPECT_OK(mm_map(current_mm(), &req, &now.region.addr));
}

static void set_up(const struct alloc_case *it)
{
    now.child = NULL;
    now.source = source_pages(1, WORD);
    make_region(it);
    now.ctx = uffd_make(it->features);
    if (it->vm_flags != 0) {
        EXPECT_OK(uffd_watch(now.ctx, now.region.addr, it->nr_pages, it->vm_flags));
    }
    if (it->prepare != NULL) {
        it->prepare();
    }
}

static void tear_down(void)
{
    if (now.child != NULL) {
        mm_put(now.child);
    }
    EXPECT_EQ(0, atomic_u32_load(&now.ctx->nr_changing));
    uffd_release(now.ctx);
    region_drop(&now.region);
    EXPECT_OK(mm_unmap(current_mm(), now.source, PAGE_SIZE));
}

static void check(const struct alloc_case *it, s64 result, bool has_failed)
{
    enum entry_state state = entry_state(current_mm(), now.region.addr);

    if (has_failed) {
        EXPECT_EQ(-ENOMEM, result);
        EXPECT_EQ(it->unchanged, state);
    } else {
        EXPECT_EQ(it->result, result);
        EXPECT_EQ(it->state, state);
    }
    mm_verify(current_mm());
}

/* A failure need not hurt: what could not be had may come from elsewhere. */
static void try_each(const struct alloc_case *it)
{
    bool has_failed = true;
    u32 nr_failed = 0;

    for (u32 n = 1; has_failed && n < MAX_TRIES; n++) {
        s64 result;

        set_up(it);
        fail_inject_begin(n);
        result = it->call();
        has_failed = fail_inject_end();
        nr_failed += has_failed;
        check(it, result, has_failed);
        tear_down();
    }
    EXPECT_FALSE(has_failed);
    EXPECT_NE(0, nr_failed);
}

static s64 call_register(void)
{
    return uffd_watch(now.ctx, now.region.addr + PAGE_SIZE, 1, MISSING);
}

TEST(uffd, alloc_register)
{
    const struct alloc_case it = {.memory = ANON,
                                  .nr_pages = 3,
                                  .call = call_register,
                                  .state = STATE_NONE,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static s64 call_unregister(void)
{
    return uffd_unregister(now.ctx, now.region.addr + PAGE_SIZE, now.region.addr + 2 * PAGE_SIZE);
}

TEST(uffd, alloc_unregister)
{
    const struct alloc_case it = {.memory = SHMEM_SHARED,
                                  .nr_pages = 3,
                                  .vm_flags = WP,
                                  .call = call_unregister,
                                  .state = STATE_NONE,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static s64 call_copy(void)
{
    return uffd_copy(now.ctx, now.region.addr, now.source, 1);
}

TEST(uffd, alloc_copy)
{
    for (enum memory memory = ANON; memory < NR_MEMORIES; memory++) {
        const struct alloc_case it = {.memory = memory,
                                      .nr_pages = 1,
                                      .vm_flags = MISSING,
                                      .call = call_copy,
                                      .result = PAGE_SIZE,
                                      .state = STATE_PRESENT,
                                      .unchanged = STATE_NONE};

        try_each(&it);
    }
}

/* The source has no page either. */
static void drop_source(void)
{
    EXPECT_OK(mm_advise(current_mm(), now.source, PAGE_SIZE, MADV_DONTNEED));
}

static s64 call_copy_of_nothing(void)
{
    s64 result = uffd_copy(now.ctx, now.region.addr, now.source, 1);

    /* Without memory for its own page a source is as bad as one that is not mapped. */
    return result == -EFAULT ? -ENOMEM : result;
}

TEST(uffd, alloc_copy_of_a_missing_source)
{
    const struct alloc_case it = {.memory = ANON,
                                  .nr_pages = 1,
                                  .vm_flags = MISSING,
                                  .prepare = drop_source,
                                  .call = call_copy_of_nothing,
                                  .result = PAGE_SIZE,
                                  .state = STATE_PRESENT,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static s64 call_zeropage(void)
{
    return uffd_enter(now.ctx, UFFD_FILL_ZERO, now.region.addr, 1);
}

TEST(uffd, alloc_zeropage)
{
    for (enum memory memory = ANON; memory < NR_MEMORIES; memory++) {
        const struct alloc_case it = {.memory = memory,
                                      .nr_pages = 1,
                                      .vm_flags = MISSING,
                                      .call = call_zeropage,
                                      .result = PAGE_SIZE,
                                      .state = STATE_PRESENT,
                                      .unchanged = STATE_NONE};

        try_each(&it);
    }
}

static s64 call_poison(void)
{
    return uffd_enter(now.ctx, UFFD_FILL_POISON, now.region.addr, 1);
}

TEST(uffd, alloc_poison)
{
    const struct alloc_case it = {.memory = SHMEM_SHARED,
                                  .nr_pages = 1,
                                  .vm_flags = MISSING,
                                  .call = call_poison,
                                  .result = PAGE_SIZE,
                                  .state = STATE_POISON,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static void fill_object(void)
{
    u64 second = test_map_object(now.region.object, 1, MAP_SHARED);

    EXPECT_OK(put_user_u64(second, WORD));
    EXPECT_OK(mm_unmap(current_mm(), second, PAGE_SIZE));
}

static s64 call_continue(void)
{
    return uffd_enter(now.ctx, UFFD_FILL_CONTINUE, now.region.addr, 1);
}

TEST(uffd, alloc_continue)
{
    for (enum memory memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        const struct alloc_case it = {.memory = memory,
                                      .nr_pages = 1,
                                      .vm_flags = MINOR,
                                      .prepare = fill_object,
                                      .call = call_continue,
                                      .result = PAGE_SIZE,
                                      .state = STATE_PRESENT,
                                      .unchanged = STATE_NONE};

        try_each(&it);
    }
}

static s64 call_protect(void)
{
    return uffd_protect(now.ctx, now.region.addr, 1);
}

/* F4: a marker needs a table. */
TEST(uffd, alloc_writeprotect)
{
    const struct alloc_case it = {.memory = ANON,
                                  .nr_pages = 1,
                                  .vm_flags = WP,
                                  .features = UFFD_FEATURE_WP_UNPOPULATED,
                                  .call = call_protect,
                                  .state = STATE_MARKER,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static s64 call_move(void)
{
    struct uffd_move move = {.dst = now.region.addr, .src = now.source, .len = PAGE_SIZE};
    s64 result = uffd_move(now.ctx, &move);

    EXPECT_EQ(result < 0 ? WORD : 0, test_peek(current_mm(), now.source));
    return result;
}

TEST(uffd, alloc_move)
{
    const struct alloc_case it = {.memory = ANON,
                                  .nr_pages = 1,
                                  .vm_flags = MISSING,
                                  .call = call_move,
                                  .result = PAGE_SIZE,
                                  .state = STATE_PRESENT,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

/* --- events: nobody reads, and the authors are told not to wait ------------------------------- */

static void close_reading(void)
{
    now.ctx->is_released = true;
}

static s64 call_fork(void)
{
    return mm_fork(current_mm(), &now.child);
}

/* G3. */
TEST(uffd, alloc_fork_that_is_told)
{
    const struct alloc_case it = {.memory = SHMEM_PRIVATE,
                                  .nr_pages = 1,
                                  .vm_flags = MISSING | WP,
                                  .features = UFFD_FEATURE_EVENT_FORK,
                                  .prepare = close_reading,
                                  .call = call_fork,
                                  .state = STATE_NONE,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static s64 call_unmap(void)
{
    s64 error = mm_unmap(current_mm(), now.region.addr + PAGE_SIZE, PAGE_SIZE);

    EXPECT_EQ(error == 0, vma_find_at(current_mm(), now.region.addr + PAGE_SIZE) == NULL);
    return error;
}

TEST(uffd, alloc_unmap_that_is_told)
{
    const struct alloc_case it = {.memory = ANON,
                                  .nr_pages = 3,
                                  .vm_flags = MISSING,
                                  .features = UFFD_FEATURE_EVENT_UNMAP,
                                  .prepare = close_reading,
                                  .call = call_unmap,
                                  .state = STATE_NONE,
                                  .unchanged = STATE_NONE};

    try_each(&it);
}

static s64 call_remap(void)
{
    u64 target = now.region.addr - 8 * MIB;
    u64 moved_to;
    s64 error = mm_remap(current_mm(), now.region.addr, 2 * PAGE_SIZE, 2 * PAGE_SIZE,
                         MREMAP_MAYMOVE | MREMAP_FIXED, target, &moved_to);

    EXPECT_EQ(WORD, test_peek(current_mm(), error == 0 ? target : now.region.addr));
    if (error == 0) {
        EXPECT_EQ(now.ctx, vma_find_at(current_mm(), target)->uffd);
        now.region.addr = target;
    }
    return error;
}

static void fill_and_close(void)
{
    EXPECT_EQ(PAGE_SIZE, uffd_copy(now.ctx, now.region.addr, now.source, 1));
    close_reading();
}

/* G4: a move that failed is not told, and fills go on. */
TEST(uffd, alloc_remap_that_is_told)
{
    const struct alloc_case it = {.memory = ANON,
                                  .nr_pages = 2,
                                  .vm_flags = MISSING,
                                  .features = UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP,
                                  .prepare = fill_and_close,
                                  .call = call_remap,
                                  .state = STATE_PRESENT,
                                  .unchanged = STATE_PRESENT};

    try_each(&it);
}
