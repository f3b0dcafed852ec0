/*
 * Section F of the semantics, cell by cell: what becomes of an entry of each state by each
 * operation, on each kind of memory, and that no other address space notices.
 */
#include <lib/printk.h>
#include <mm/verify.h>
#include "uffd_test.h"

#define WORD 0x1234567812345678ul

enum operation {
    PROTECT,
    UNPROTECT,
    COPY,
    COPY_PROTECTED,
    POISON,
    READ,
    WRITE,
    DROP,       /* MADV_DONTNEED */
    TRUNCATE,   /* of the object behind it */
    PUNCH,      /* a hole into the object behind it */
    FORK_KEEPS, /* the child's entry, which keeps its pager */
    FORK_LOSES, /* the child's entry, which does not */
    NR_OPERATIONS,
};

/* What an operation answers: the first letter of a cell. */
enum answer {
    IS_OK = '.',
    EXISTS = 'e',      /* -EEXIST */
    ASKS = 'a',        /* the fault asks the pager */
    IS_POISONED = 's', /* the fault is a SIGBUS */
};

/* One kind of memory with one kind of context. */
struct setting {
    const char *name;
    enum memory memory;
    u64 features;
    /* A row for each state: for each operation the answer and the state after it; "--": there is no
     * such operation. */
    const char *rows[5];
};

static const char states[] = {STATE_NONE, STATE_MARKER, STATE_POISON, STATE_PRESENT,
                              STATE_PROTECTED};

/* clang-format off */
static const struct setting settings[] = {
    {"anon", ANON, 0, {
        /* WP  !WP  COPY +WP  PSN  read wrt  drop trnc hole keep lose */
        ".n  .n   .r   .w   .p   .r   .r   .n   --   --   .n   .n",
        NULL,
        ".p  .p   .r   .w   ep   sp   sp   .n   --   --   .p   .p",
        ".w  .r   er   er   er   .r   .r   .n   --   --   .r   .r",
        ".w  .r   ew   ew   ew   .w   aw   .n   --   --   .w   .r"}},
    {"anon, WP_UNPOPULATED", ANON, UFFD_FEATURE_WP_UNPOPULATED, {
        ".m  .n   .r   .w   .p   .r   .r   .n   --   --   .n   .n",
        ".m  .n   .r   .w   em   .w   aw   .n   --   --   .m   .n",
        ".p  .p   .r   .w   ep   sp   sp   .n   --   --   .p   .p",
        ".w  .r   er   er   er   .r   .r   .n   --   --   .r   .r",
        ".w  .r   ew   ew   ew   .w   aw   .n   --   --   .w   .r"}},
    {"private shmem", SHMEM_PRIVATE, 0, {
        ".m  .n   .r   .w   .p   .r   .r   .n   .n   .n   .n   .n",
        ".m  .n   .r   .w   em   .w   aw   .m   .m   .m   .m   .n",
        ".p  .p   .r   .w   ep   sp   sp   .n   .n   .p   .p   .p",
        ".w  .r   er   er   er   .r   .r   .n   .n   .r   .r   .r",
        ".w  .r   ew   ew   ew   .w   aw   .m   .m   .w   .w   .r"}},
    {"shared shmem", SHMEM_SHARED, 0, {
        ".m  .n   .r   .w   .p   .r   .r   .n   .n   .n   .n   .n",
        ".m  .n   .r   .w   em   .w   aw   .m   .m   .m   .m   .n",
        ".p  .p   .r   .w   ep   sp   sp   .n   .n   .p   .p   .n",
        ".w  .r   er   er   er   .r   .r   .n   .n   .n   .r   .n",
        ".w  .r   ew   ew   ew   .w   aw   .m   .m   .m   .w   .n"}},
};
/* clang-format on */

#define CELL_WIDTH 5

/* The cell of an operation in a row: the first one is a column narrower. */
static const char *cell_of(const char *row, enum operation operation)
{
    return operation == PROTECT ? row : row + CELL_WIDTH * (u32)operation - 1;
}

/* --- one cell --------------------------------------------------------------------------------- */

static struct {
    const struct setting *setting;
    struct uffd_ctx *ctx;
    struct region region;
    u64 source;
} now;

static void set_up(const struct setting *setting, u64 more_features)
{
    now.setting = setting;
    now.source = source_pages(1, WORD);
    now.region = region_make(setting->memory, 1);
    now.ctx = uffd_make(setting->features | more_features);
    EXPECT_OK(uffd_watch(now.ctx, now.region.addr, 1, WP));
}

static void tear_down(void)
{
    uffd_release(now.ctx);
    EXPECT_NE(STATE_MARKER, entry_state(current_mm(), now.region.addr));
    EXPECT_NE(STATE_PROTECTED, entry_state(current_mm(), now.region.addr));
    region_drop(&now.region);
    EXPECT_OK(mm_unmap(current_mm(), now.source, PAGE_SIZE));
}

/* Brings the entry into a state. Return: is there such a state here? */
static bool enter_state(enum entry_state state)
{
    u64 addr = now.region.addr;

    switch (state) {
    case STATE_MARKER:
        EXPECT_OK(uffd_protect(now.ctx, addr, 1));
        break;
    case STATE_POISON:
        EXPECT_EQ(PAGE_SIZE, uffd_enter(now.ctx, UFFD_FILL_POISON, addr, 1));
        break;
    case STATE_PRESENT:
        EXPECT_OK(put_user_u64(addr, WORD));
        break;
    case STATE_PROTECTED:
        EXPECT_OK(put_user_u64(addr, WORD));
        EXPECT_OK(uffd_protect(now.ctx, addr, 1));
        break;
    default:
        break;
    }
    return entry_state(current_mm(), addr) == state;
}

static enum answer answer_of(s64 result)
{
    EXPECT_TRUE(result >= 0 || result == -EEXIST);
    return result == -EEXIST ? EXISTS : IS_OK;
}

/* A write may need a second fault: the first enters the page, protected (C20). */
static enum answer touch(u32 flags)
{
    u32 all = flags | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_NOWAIT;
    enum fault_outcome outcome = test_fault(current_mm(), now.region.addr, all);

    if (outcome == FAULT_OK) {
        outcome = test_fault(current_mm(), now.region.addr, all);
    }
    switch (outcome) {
    case FAULT_WOULD_WAIT:
        return ASKS;
    case FAULT_SIGBUS:
        return IS_POISONED;
    default:
        EXPECT_EQ(FAULT_OK, outcome);
        return IS_OK;
    }
}

static enum answer copy(bool is_protected)
{
    struct uffd_fill fill = {.kind = UFFD_FILL_COPY,
                             .dst = now.region.addr,
                             .src = now.source,
                             .len = PAGE_SIZE,
                             .is_protected = is_protected};

    return answer_of(uffd_fill(now.ctx, &fill));
}

/* Forks, and looks at the child's entry. */
static enum answer fork_and_look(enum entry_state *after)
{
    bool tells = (now.ctx->features & UFFD_FEATURE_EVENT_FORK) != 0;
    struct helper reader;
    struct mm *child;

    if (tells) {
        helper_start(&reader, help_take_fork, (u64)now.ctx, 0);
    }
    EXPECT_OK(mm_fork(current_mm(), &child));
    *after = entry_state(child, now.region.addr);
    if (tells) {
        EXPECT_EQ(UFFD_EVENT_FORK, helper_join(&reader));
        uffd_release((struct uffd_ctx *)reader.word);
        EXPECT_EQ(*after == STATE_PROTECTED ? STATE_PRESENT
                                            : (*after == STATE_MARKER ? STATE_NONE : *after),
                  entry_state(child, now.region.addr));
    }
    mm_put(child);
    return IS_OK;
}

static enum answer act(enum operation operation, enum entry_state *after)
{
    u64 addr = now.region.addr;
    enum answer answer = IS_OK;

    switch (operation) {
    case PROTECT:
        answer = answer_of(uffd_protect(now.ctx, addr, 1));
        break;
    case UNPROTECT:
        answer = answer_of(uffd_unprotect(now.ctx, addr, 1));
        break;
    case COPY:
    case COPY_PROTECTED:
        answer = copy(operation == COPY_PROTECTED);
        break;
    case POISON:
        answer = answer_of(uffd_enter(now.ctx, UFFD_FILL_POISON, addr, 1));
        break;
    case READ:
        answer = touch(0);
        break;
    case WRITE:
        answer = touch(FAULT_FLAG_WRITE);
        break;
    case DROP:
        EXPECT_OK(mm_advise(current_mm(), addr, PAGE_SIZE, MADV_DONTNEED));
        break;
    case TRUNCATE:
        EXPECT_OK(object_truncate(now.region.object, 0));
        break;
    case PUNCH:
        EXPECT_OK(object_punch_hole(now.region.object, 0, PAGE_SIZE));
        break;
    default:
        return fork_and_look(after);
    }
    *after = entry_state(current_mm(), addr);
    return answer;
}

static void try_cell(const struct setting *setting, u32 row, enum operation operation)
{
    const char *cell = cell_of(setting->rows[row], operation);
    u64 more = operation == FORK_KEEPS ? UFFD_FEATURE_EVENT_FORK : 0;
    u32 nr_failures = ktest_nr_failures();
    enum entry_state after;

    if (cell[0] == '-') {
        return;
    }
    set_up(setting, more);
    EXPECT_TRUE(enter_state(states[row]));
    EXPECT_EQ(cell[0], act(operation, &after));
    EXPECT_EQ(cell[1], after);
    mm_verify(current_mm());
    tear_down();
    if (ktest_nr_failures() != nr_failures) {
        printk("# in %s, state '%c', operation %u\n", setting->name, states[row], operation);
    }
}

static void try_setting(const struct setting *setting)
{
    for (u32 row = 0; row < ARRAY_SIZE(states); row++) {
        for (u32 operation = 0; setting->rows[row] != NULL && operation < NR_OPERATIONS;
             operation++) {
            try_cell(setting, row, operation);
        }
    }
}

TEST(uffd, table_of_anonymous_memory)
{
    try_setting(&settings[0]);
}

TEST(uffd, table_of_anonymous_memory_with_markers)
{
    try_setting(&settings[1]);
}

TEST(uffd, table_of_private_shmem)
{
    try_setting(&settings[2]);
}

TEST(uffd, table_of_shared_shmem)
{
    try_setting(&settings[3]);
}

/*
 * Two address spaces map one object, one of them with a pager: nothing that it does to its entries
 * shows in the other's.
 */
static void try_beside_another(u32 row, enum operation operation)
{
    const struct setting *setting = &settings[3];
    enum entry_state after;
    struct mm *other;

    if (operation >= TRUNCATE) {
        return; /* These are of the object, or of a third address space. */
    }
    set_up(setting, 0);
    EXPECT_OK(put_user_u64(now.region.addr, WORD));
    EXPECT_OK(mm_fork(current_mm(), &other));
    EXPECT_EQ(WORD, test_peek(other, now.region.addr));
    EXPECT_OK(mm_advise(current_mm(), now.region.addr, PAGE_SIZE, MADV_DONTNEED));
    EXPECT_TRUE(enter_state(states[row]));
    (void)act(operation, &after);
    EXPECT_EQ(STATE_PRESENT, entry_state(other, now.region.addr));
    EXPECT_TRUE(test_poke(other, now.region.addr, WORD + 1));
    EXPECT_EQ(WORD + 1, test_peek(other, now.region.addr));
    mm_put(other);
    tear_down();
}

TEST(uffd, table_leaves_another_address_space_alone)
{
    for (u32 row = 0; row < ARRAY_SIZE(states); row++) {
        for (u32 operation = 0; operation < NR_OPERATIONS; operation++) {
            try_beside_another(row, operation);
        }
    }
}
