/*
 * fault_classify() over the full cross product of its facts: every combination is compared with a
 * list of rules, in the words of the design, and checked against what must hold whatever the kind.
 */
#include <host_test.h>
#include <mm/fault.h>
#include <mm/fault_classify.h>
#include <mm/vma.h>

/* The bits of vm_flags that the decision may look at. */
static const u64 flag_bits[] = {VM_READ,     VM_WRITE,        VM_EXEC,    VM_MAYREAD,
                                VM_MAYWRITE, VM_UFFD_MISSING, VM_UFFD_WP, VM_SOFTDIRTY};

static const u32 access_bits[] = {FAULT_FLAG_WRITE, FAULT_FLAG_EXEC, FAULT_FLAG_UNSHARE,
                                  FAULT_FLAG_FORCE};

#define NR_FLAG_SETS   (1u << ARRAY_SIZE(flag_bits))
#define NR_ACCESS_SETS (1u << ARRAY_SIZE(access_bits))
#define NR_ENTRIES     64

static struct pte entries[NR_ENTRIES];
static u32 nr_entries;
static u32 nr_seen[FAULT_KIND_NR];

static void add_entry(struct pte entry)
{
    entries[nr_entries++] = entry;
}

static void make_entries(void)
{
    nr_entries = 0;
    add_entry(pte_none());
    for (u32 access = PTE_ACCESS_NONE; access <= PTE_ACCESS_READ_EXEC; access++) {
        struct pte entry = pte_make_page(5, access);

        add_entry(entry);
        add_entry(pte_with_uffd_wp(entry));
        add_entry(pte_with_soft_dirty(entry));
        if (access != PTE_ACCESS_NONE) {
            add_entry(pte_with_write(entry));
        }
    }
    add_entry(pte_make_swap(3));
    add_entry(pte_with_uffd_wp(pte_make_swap(3)));
    add_entry(pte_make_migration(5, PTE_MIGRATION_WRITE));
    for (u32 markers = 0; markers <= PTE_MARKER_MASK; markers++) {
        add_entry(pte_make_marker(markers));
    }
    add_entry((struct pte){7ull << PTE_TYPE_SHIFT});
}

static u64 pick_flags(u32 set)
{
    u64 flags = 0;

    for (u32 i = 0; i < ARRAY_SIZE(flag_bits); i++) {
        flags |= set & BIT(i) ? flag_bits[i] : 0;
    }
    return flags;
}

static u32 pick_access(u32 set)
{
    u32 access = 0;

    for (u32 i = 0; i < ARRAY_SIZE(access_bits); i++) {
        access |= set & BIT(i) ? access_bits[i] : 0;
    }
    return access;
}

/* Could these facts come together? What cannot be is not decided on. */
static bool is_possible(const struct fault_facts *facts)
{
    bool is_anon_page = facts->page >= FAULT_PAGE_ANON_EXCLUSIVE;

    if ((facts->access & FAULT_FLAG_WRITE) &&
        (facts->access & (FAULT_FLAG_UNSHARE | FAULT_FLAG_EXEC))) {
        return false;
    }
    if ((facts->access & FAULT_FLAG_UNSHARE) && (facts->access & FAULT_FLAG_EXEC)) {
        return false;
    }
    if (pte_is_present(facts->entry) != (facts->page != FAULT_PAGE_NONE)) {
        return false;
    }
    if (facts->vma_kind == FAULT_VMA_SHARED && is_anon_page) {
        return false;
    }
    if (facts->vma_kind == FAULT_VMA_ANON && facts->page == FAULT_PAGE_FILE) {
        return false;
    }
    /* I1. */
    if (pte_is_present(facts->entry) && pte_is_writable(facts->entry) &&
        facts->vma_kind != FAULT_VMA_SHARED && facts->page != FAULT_PAGE_ANON_EXCLUSIVE) {
        return false;
    }
    return true;
}

/* One rule: what must hold for the kind. The first rule that matches is the answer. */
struct rule {
    enum fault_kind kind;
    bool holds;
};

static enum fault_kind expected_kind(const struct fault_facts *f)
{
    bool is_write = f->access & FAULT_FLAG_WRITE;
    bool is_exec = f->access & FAULT_FLAG_EXEC;
    bool is_shared = f->vma_kind == FAULT_VMA_SHARED;
    bool is_unshare = (f->access & FAULT_FLAG_UNSHARE) && !is_shared;
    bool is_forced = f->access & FAULT_FLAG_FORCE;
    bool is_private = f->vma_kind == FAULT_VMA_ANON || f->vma_kind == FAULT_VMA_PRIVATE;
    bool is_own = is_write || is_unshare;
    bool may_write =
        (f->vm_flags & VM_WRITE) || (is_forced && is_private && (f->vm_flags & VM_MAYWRITE));
    bool may_read = (f->vm_flags & VM_ACCESS_FLAGS) || (is_forced && (f->vm_flags & VM_MAYREAD));
    bool may = is_write ? may_write : is_exec ? (f->vm_flags & VM_EXEC) != 0 : may_read;
    enum pte_kind kind = pte_kind(f->entry);
    u32 markers = kind == PTE_KIND_MARKER ? pte_markers(f->entry) : 0;
    bool is_none = kind == PTE_KIND_NONE;
    bool is_present = kind == PTE_KIND_PRESENT;
    bool is_wp = f->vm_flags & VM_UFFD_WP;
    bool is_sole = f->page == FAULT_PAGE_ANON_SOLE;
    bool is_exclusive = f->page == FAULT_PAGE_ANON_EXCLUSIVE;
    bool usable = pte_is_accessible(f->entry) && (!is_exec || pte_is_executable(f->entry));
    const struct rule rules[] = {
        {FAULT_KIND_BAD_ADDRESS, f->vma_kind == FAULT_VMA_ABSENT},
        {FAULT_KIND_BAD_ACCESS, !may},
        {FAULT_KIND_CORRUPT, kind == PTE_KIND_CORRUPT || (kind == PTE_KIND_MARKER && !markers)},
        {FAULT_KIND_SWAP_IN, kind == PTE_KIND_SWAP},
        {FAULT_KIND_MIGRATION_WAIT, kind == PTE_KIND_MIGRATION},
        {FAULT_KIND_MARKER_POISON, markers & PTE_MARKER_POISON},
        {FAULT_KIND_MARKER_GUARD, markers & PTE_MARKER_GUARD},
        {FAULT_KIND_MARKER_WP, markers && is_wp},
        {FAULT_KIND_MARKER_STALE, markers && !is_wp},
        {FAULT_KIND_PAGER_MISSING,
         is_none && f->vma_kind == FAULT_VMA_ANON && (f->vm_flags & VM_UFFD_MISSING)},
        {FAULT_KIND_ANON_ZERO, is_none && f->vma_kind == FAULT_VMA_ANON && is_own},
        {FAULT_KIND_ANON_ZERO_READ, is_none && f->vma_kind == FAULT_VMA_ANON},
        {FAULT_KIND_FILE_COPY, is_none && !is_shared && is_own},
        {FAULT_KIND_FILE_SHARED, is_none && is_write},
        {FAULT_KIND_FILE_MAP, is_none},
        {FAULT_KIND_SPURIOUS, is_present && is_write && pte_is_writable(f->entry)},
        {FAULT_KIND_PAGER_WP, is_write && is_wp && pte_is_uffd_wp(f->entry)},
        {FAULT_KIND_FILE_HOLE, is_write && is_shared && f->page == FAULT_PAGE_ZERO},
        {FAULT_KIND_FILE_DIRTY, is_write && is_shared},
        {FAULT_KIND_SPURIOUS, is_write && is_exclusive && !(f->vm_flags & VM_WRITE) &&
                                  ((f->vm_flags & VM_SOFTDIRTY) || pte_is_soft_dirty(f->entry))},
        {FAULT_KIND_ANON_REUSE, is_write && (is_exclusive || is_sole)},
        {FAULT_KIND_ANON_COPY, is_write},
        {FAULT_KIND_SPURIOUS, is_unshare && is_exclusive},
        {FAULT_KIND_UNSHARE_REUSE, is_unshare && is_sole},
        {FAULT_KIND_UNSHARE_COPY, is_unshare},
        {FAULT_KIND_SPURIOUS, usable},
        {FAULT_KIND_ACCESS, true},
    };

    for (u32 i = 0;; i++) {
        if (rules[i].holds) {
            return rules[i].kind;
        }
    }
}

/* What a resolver of the kind may come to do must be allowed, whatever led to the kind. */
static void check_consequences(const struct fault_facts *facts, enum fault_kind kind)
{
    bool is_write = facts->access & FAULT_FLAG_WRITE;

    switch (kind) {
    case FAULT_KIND_ANON_REUSE:
    case FAULT_KIND_UNSHARE_REUSE:
        EXPECT_TRUE(facts->page == FAULT_PAGE_ANON_EXCLUSIVE ||
                    facts->page == FAULT_PAGE_ANON_SOLE);
        EXPECT_TRUE(facts->vma_kind != FAULT_VMA_SHARED);
        break;
    case FAULT_KIND_ANON_COPY:
    case FAULT_KIND_UNSHARE_COPY:
    case FAULT_KIND_FILE_COPY:
        EXPECT_TRUE(facts->vma_kind != FAULT_VMA_SHARED);
        EXPECT_TRUE(facts->page != FAULT_PAGE_ANON_EXCLUSIVE);
        break;
    case FAULT_KIND_PAGER_WP:
    case FAULT_KIND_FILE_DIRTY:
    case FAULT_KIND_FILE_HOLE:
    case FAULT_KIND_FILE_SHARED:
        EXPECT_TRUE(is_write);
        EXPECT_TRUE(kind != FAULT_KIND_FILE_DIRTY || facts->page != FAULT_PAGE_ZERO);
        break;
    case FAULT_KIND_ANON_ZERO_READ:
    case FAULT_KIND_ACCESS:
        EXPECT_TRUE(!is_write);
        break;
    default:
        EXPECT_TRUE(kind < FAULT_KIND_NR);
        break;
    }
}

static void try_one(const struct fault_facts *facts)
{
    enum fault_kind kind;

    if (!is_possible(facts)) {
        return;
    }
    kind = fault_classify(facts);
    EXPECT_STR(fault_kind_name(expected_kind(facts)), fault_kind_name(kind));
    check_consequences(facts, kind);
    nr_seen[kind]++;
}

static void for_each_combination(void (*try)(const struct fault_facts *facts))
{
    struct fault_facts facts;

    make_entries();
    for (u32 vma_kind = 0; vma_kind < FAULT_VMA_NR; vma_kind++) {
        for (u32 flags = 0; flags < NR_FLAG_SETS; flags++) {
            for (u32 access = 0; access < NR_ACCESS_SETS; access++) {
                for (u32 i = 0; i < nr_entries * FAULT_PAGE_NR; i++) {
                    facts.vma_kind = vma_kind;
                    facts.vm_flags = pick_flags(flags);
                    facts.access = pick_access(access);
                    facts.entry = entries[i / FAULT_PAGE_NR];
                    facts.page = i % FAULT_PAGE_NR;
                    try(&facts);
                }
            }
        }
    }
}

TEST(every_combination_has_the_kind_that_the_rules_give)
{
    for_each_combination(try_one);
}

TEST(every_kind_is_reached)
{
    for (u32 kind = 0; kind < FAULT_KIND_NR; kind++) {
        EXPECT_TRUE(nr_seen[kind] != 0);
    }
}

/* Every entry that the kernel can write is of exactly one kind. */
TEST(entry_kinds_do_not_overlap)
{
    make_entries();
    for (u32 i = 0; i < nr_entries; i++) {
        struct pte entry = entries[i];
        enum pte_kind kind = pte_kind(entry);

        EXPECT_EQ(kind == PTE_KIND_NONE, pte_is_none(entry));
        EXPECT_EQ(kind == PTE_KIND_PRESENT, pte_is_present(entry));
        if (kind != PTE_KIND_PRESENT) {
            EXPECT_FALSE(pte_is_accessible(entry));
            EXPECT_FALSE(pte_is_table(entry));
        }
    }
}
