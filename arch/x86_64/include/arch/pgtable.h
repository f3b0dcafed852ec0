#ifndef ARCH_PGTABLE_H
#define ARCH_PGTABLE_H

#include <lib/compiler.h>
#include <lib/types.h>

/*
 * Page-table entries of x86-64 (Intel SDM 3A 4.5; 4-level paging), and what this kernel writes into
 * them. Everything here is a pure function of one entry; walking is the cursor's work.
 *
 * A leaf entry is one of five kinds, told apart by bits that the processor ignores while bit 0 (P)
 * is clear:
 *
 *   none        all 64 bits clear
 *   present     P, or, for a page that its VMA makes inaccessible, bit 8 with P clear
 *   swap        P = 0, bit 8 = 0, bits 1..3 = 1, payload = slot
 *   migration   P = 0, bit 8 = 0, bits 1..3 = 2, bits 4..5 = access, payload = frame number
 *   marker      P = 0, bit 8 = 0, bits 1..3 = 3, payload = set of enum pte_marker
 *
 *   63 | 62..52 |   51..12    | 11         | 10      | 9                        | 8       | 7..0
 *   NX |   0    |   payload   | soft_dirty | uffd_wp | special (present)        | no      | machine
 *      |        |             |            |         | exclusive (swap)         | access  |
 *
 * uffd_wp and soft_dirty stand at the same place in every kind, so one mask carries both from one
 * kind to another.
 */

#define PT_INDEX_BITS 9
#define PT_ENTRIES    512
#define PT_LEVELS     4 /* level 0 holds the leaves, level 3 is the root */

struct pte {
    u64 bits;
};

_Static_assert(sizeof(struct pte) == 8, "an entry is one machine word");

/* Bits that the processor reads or writes (SDM 3A table 4-20). */
#define PTE_BIT_PRESENT  BIT(0)
#define PTE_BIT_WRITE    BIT(1)
#define PTE_BIT_USER     BIT(2)
#define PTE_BIT_PWT      BIT(3)
#define PTE_BIT_PCD      BIT(4)
#define PTE_BIT_ACCESSED BIT(5)
#define PTE_BIT_DIRTY    BIT(6)
#define PTE_BIT_HUGE     BIT(7) /* in tables of level 1 and 2 */
#define PTE_BIT_GLOBAL   BIT(8) /* if present; else PTE_BIT_NO_ACCESS */
#define PTE_BIT_NX       BIT(63)

/* Bits that belong to software. */
#define PTE_BIT_NO_ACCESS  BIT(8) /* only while P is clear */
#define PTE_BIT_SPECIAL    BIT(9) /* present: no counts are kept for the frame */
#define PTE_BIT_EXCLUSIVE  BIT(9) /* swap: the page was exclusive */
#define PTE_BIT_UFFD_WP    BIT(10)
#define PTE_BIT_SOFT_DIRTY BIT(11)

#define PTE_PAYLOAD_SHIFT 12
#define PTE_PAYLOAD_ABOVE 12 /* bits above it */
#define PTE_PAYLOAD_MASK  0x000ffffffffff000ull
#define PTE_TYPE_SHIFT    1
#define PTE_TYPE_MASK     (7ull << PTE_TYPE_SHIFT)
#define PTE_ACCESS_SHIFT  4
#define PTE_ACCESS_MASK   (3ull << PTE_ACCESS_SHIFT)
#define PTE_CARRIED_MASK  (PTE_BIT_UFFD_WP | PTE_BIT_SOFT_DIRTY)
#define PTE_PAYLOAD_MAX   (PTE_PAYLOAD_MASK >> PTE_PAYLOAD_SHIFT)

enum pte_type { PTE_TYPE_SWAP = 1, PTE_TYPE_MIGRATION = 2, PTE_TYPE_MARKER = 3 };

enum pte_kind {
    PTE_KIND_NONE,
    PTE_KIND_PRESENT,
    PTE_KIND_SWAP,
    PTE_KIND_MIGRATION,
    PTE_KIND_MARKER,
    PTE_KIND_CORRUPT, /* no such entry is ever written */
};

/* What user mode may do through a present entry, besides writing. */
enum pte_access { PTE_ACCESS_NONE, PTE_ACCESS_READ, PTE_ACCESS_READ_EXEC };

/* What the page behind a migration entry was mapped as. */
enum pte_migration { PTE_MIGRATION_READ, PTE_MIGRATION_READ_EXCLUSIVE, PTE_MIGRATION_WRITE };

/* Reasons to keep an entry without a page; several may hold at once. */
enum pte_marker {
    PTE_MARKER_UFFD_WP = 1u << 0,
    PTE_MARKER_POISON = 1u << 1,
    PTE_MARKER_GUARD = 1u << 2,
    PTE_MARKER_MASK = (1u << 3) - 1,
};

/* Geometry. */

static inline u64 pt_level_shift(unsigned level)
{
    return PAGE_SHIFT + level * PT_INDEX_BITS;
}

/** pt_level_size() - bytes that one entry of a table of @level covers. */
static inline u64 pt_level_size(unsigned level)
{
    return 1ull << pt_level_shift(level);
}

static inline unsigned pt_index(u64 addr, unsigned level)
{
    return (addr >> pt_level_shift(level)) & (PT_ENTRIES - 1);
}

/* Slots of a live table, which the processor and other CPUs read and write as well. */

static inline struct pte pte_load(const struct pte *slot)
{
    return (struct pte){__atomic_load_n(&slot->bits, __ATOMIC_RELAXED)};
}

/** pte_store() - replace an entry that the processor cannot be writing to (not present). */
static inline void pte_store(struct pte *slot, struct pte pte)
{
    __atomic_store_n(&slot->bits, pte.bits, __ATOMIC_RELEASE);
}

/** pte_exchange() - replace an entry, keeping accessed and dirty bits set until this instant. */
static inline struct pte pte_exchange(struct pte *slot, struct pte pte)
{
    return (struct pte){__atomic_exchange_n(&slot->bits, pte.bits, __ATOMIC_ACQ_REL)};
}

/** pte_compare_exchange() - replace @expected by @desired; false if another value stands there. */
static inline bool pte_compare_exchange(struct pte *slot, struct pte expected, struct pte desired)
{
    return __atomic_compare_exchange_n(&slot->bits, &expected.bits, desired.bits, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/** pte_clear_write() - take the right to write away, keeping bits the processor sets meanwhile. */
static inline void pte_clear_write(struct pte *slot)
{
    __atomic_fetch_and(&slot->bits, ~PTE_BIT_WRITE, __ATOMIC_ACQ_REL);
}

/** pte_clear_tracked() - take write and soft_dirty away: the next write faults and is seen. */
static inline void pte_clear_tracked(struct pte *slot)
{
    __atomic_fetch_and(&slot->bits, ~(PTE_BIT_WRITE | PTE_BIT_SOFT_DIRTY), __ATOMIC_ACQ_REL);
}

/** pte_clear_accessed() - as if nobody had used the page yet. */
static inline void pte_clear_accessed(struct pte *slot)
{
    __atomic_fetch_and(&slot->bits, ~PTE_BIT_ACCESSED, __ATOMIC_ACQ_REL);
}

static inline bool pte_is_same(struct pte a, struct pte b)
{
    return a.bits == b.bits;
}

/* Kinds. */

static inline struct pte pte_none(void)
{
    return (struct pte){0};
}

static inline bool pte_is_none(struct pte pte)
{
    return pte.bits == 0;
}

/** pte_is_present() - does the entry map a frame, accessible to the processor or not? */
static inline bool pte_is_present(struct pte pte)
{
    return pte.bits & (PTE_BIT_PRESENT | PTE_BIT_NO_ACCESS);
}

/** pte_is_accessible() - may the processor use the entry, and so cache it? */
static inline bool pte_is_accessible(struct pte pte)
{
    return pte.bits & PTE_BIT_PRESENT;
}

static inline enum pte_kind pte_kind(struct pte pte)
{
    if (pte_is_none(pte)) {
        return PTE_KIND_NONE;
    }
    if (pte_is_present(pte)) {
        return PTE_KIND_PRESENT;
    }
    switch ((pte.bits & PTE_TYPE_MASK) >> PTE_TYPE_SHIFT) {
    case PTE_TYPE_SWAP:
        return PTE_KIND_SWAP;
    case PTE_TYPE_MIGRATION:
        return PTE_KIND_MIGRATION;
    case PTE_TYPE_MARKER:
        return PTE_KIND_MARKER;
    default:
        return PTE_KIND_CORRUPT;
    }
}

/* Present entries. */

/** pte_make_page() - a read-only, clean, accessed user entry for frame @pfn. */
static inline struct pte pte_make_page(u64 pfn, enum pte_access access)
{
    u64 bits = (pfn << PTE_PAYLOAD_SHIFT) | PTE_BIT_USER | PTE_BIT_ACCESSED;

    bits |= access == PTE_ACCESS_NONE ? PTE_BIT_NO_ACCESS : PTE_BIT_PRESENT;
    bits |= access == PTE_ACCESS_READ_EXEC ? 0 : PTE_BIT_NX;
    return (struct pte){bits};
}

/** pte_with_pfn() - an entry that was made for frame 0, for frame @pfn. */
static inline struct pte pte_with_pfn(struct pte pte, u64 pfn)
{
    return (struct pte){pte.bits | (pfn << PTE_PAYLOAD_SHIFT)};
}

/**
 * pte_change_access() - the same frame and software bits with other rights.
 * Without access an entry is not writable either.
 */
static inline struct pte pte_change_access(struct pte pte, enum pte_access access)
{
    u64 bits = pte.bits & ~(PTE_BIT_PRESENT | PTE_BIT_NO_ACCESS | PTE_BIT_NX);

    bits |= access == PTE_ACCESS_NONE ? PTE_BIT_NO_ACCESS : PTE_BIT_PRESENT;
    bits |= access == PTE_ACCESS_READ_EXEC ? 0 : PTE_BIT_NX;
    bits &= access == PTE_ACCESS_NONE ? ~PTE_BIT_WRITE : ~0ull;
    return (struct pte){bits};
}

static inline enum pte_access pte_access(struct pte pte)
{
    if (!pte_is_accessible(pte)) {
        return PTE_ACCESS_NONE;
    }
    return pte.bits & PTE_BIT_NX ? PTE_ACCESS_READ : PTE_ACCESS_READ_EXEC;
}

/* What an entry carries, by two shifts, which need no mask of 64 bits in a register. */
static inline u64 pte_payload(struct pte pte)
{
    return (pte.bits << PTE_PAYLOAD_ABOVE) >> (PTE_PAYLOAD_ABOVE + PTE_PAYLOAD_SHIFT);
}

static inline u64 pte_pfn(struct pte pte)
{
    return pte_payload(pte);
}

static inline bool pte_is_writable(struct pte pte)
{
    return pte.bits & PTE_BIT_WRITE;
}

static inline bool pte_is_executable(struct pte pte)
{
    return pte_is_accessible(pte) && !(pte.bits & PTE_BIT_NX);
}

static inline bool pte_is_dirty(struct pte pte)
{
    return pte.bits & PTE_BIT_DIRTY;
}

static inline bool pte_is_accessed(struct pte pte)
{
    return pte.bits & PTE_BIT_ACCESSED;
}

static inline bool pte_is_special(struct pte pte)
{
    return pte.bits & PTE_BIT_SPECIAL;
}

static inline bool pte_is_uffd_wp(struct pte pte)
{
    return pte.bits & PTE_BIT_UFFD_WP;
}

static inline bool pte_is_soft_dirty(struct pte pte)
{
    return pte.bits & PTE_BIT_SOFT_DIRTY;
}

static inline struct pte pte_with_write(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_WRITE};
}

static inline struct pte pte_without_write(struct pte pte)
{
    return (struct pte){pte.bits & ~PTE_BIT_WRITE};
}

/** pte_with_dirty() - written to, which a soft-dirty tracker sees as well. */
static inline struct pte pte_with_dirty(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_DIRTY | PTE_BIT_SOFT_DIRTY};
}

static inline struct pte pte_without_dirty(struct pte pte)
{
    return (struct pte){pte.bits & ~PTE_BIT_DIRTY};
}

static inline struct pte pte_with_accessed(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_ACCESSED};
}

static inline struct pte pte_without_accessed(struct pte pte)
{
    return (struct pte){pte.bits & ~PTE_BIT_ACCESSED};
}

static inline struct pte pte_with_special(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_SPECIAL};
}

static inline struct pte pte_with_uffd_wp(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_UFFD_WP};
}

static inline struct pte pte_without_uffd_wp(struct pte pte)
{
    return (struct pte){pte.bits & ~PTE_BIT_UFFD_WP};
}

static inline struct pte pte_with_soft_dirty(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_SOFT_DIRTY};
}

static inline struct pte pte_without_soft_dirty(struct pte pte)
{
    return (struct pte){pte.bits & ~PTE_BIT_SOFT_DIRTY};
}

/** pte_carry() - @pte with uffd_wp and soft_dirty of @from, whatever kinds the two are. */
static inline struct pte pte_carry(struct pte pte, struct pte from)
{
    return (struct pte){(pte.bits & ~PTE_CARRIED_MASK) | (from.bits & PTE_CARRIED_MASK)};
}

/** pte_union() - every bit of both: for a test that is made once for many entries. */
static inline struct pte pte_union(struct pte a, struct pte b)
{
    return (struct pte){a.bits | b.bits};
}

/** pte_intersection() - every bit that both have: to clear the same bits of many entries. */
static inline struct pte pte_intersection(struct pte a, struct pte b)
{
    return (struct pte){a.bits & b.bits};
}

/** pte_all() - no entry, but what others make of it is a mask for pte_intersection(). */
static inline struct pte pte_all(void)
{
    return (struct pte){~0ull};
}

/* Entries without a page in place. */

static inline struct pte pte_make_swap(u64 slot)
{
    return (struct pte){((u64)PTE_TYPE_SWAP << PTE_TYPE_SHIFT) | (slot << PTE_PAYLOAD_SHIFT)};
}

static inline u64 pte_swap_slot(struct pte pte)
{
    return pte_payload(pte);
}

static inline bool pte_swap_is_exclusive(struct pte pte)
{
    return pte.bits & PTE_BIT_EXCLUSIVE;
}

static inline struct pte pte_swap_with_exclusive(struct pte pte)
{
    return (struct pte){pte.bits | PTE_BIT_EXCLUSIVE};
}

static inline struct pte pte_swap_without_exclusive(struct pte pte)
{
    return (struct pte){pte.bits & ~PTE_BIT_EXCLUSIVE};
}

static inline struct pte pte_make_migration(u64 pfn, enum pte_migration access)
{
    return (struct pte){((u64)PTE_TYPE_MIGRATION << PTE_TYPE_SHIFT) |
                        ((u64)access << PTE_ACCESS_SHIFT) | (pfn << PTE_PAYLOAD_SHIFT)};
}

static inline enum pte_migration pte_migration_access(struct pte pte)
{
    return (enum pte_migration)((pte.bits & PTE_ACCESS_MASK) >> PTE_ACCESS_SHIFT);
}

static inline u64 pte_migration_pfn(struct pte pte)
{
    return pte_payload(pte);
}

/** pte_make_marker() - @markers is a non-empty set of enum pte_marker. */
static inline struct pte pte_make_marker(u32 markers)
{
    return (struct pte){((u64)PTE_TYPE_MARKER << PTE_TYPE_SHIFT) |
                        ((u64)markers << PTE_PAYLOAD_SHIFT)};
}

static inline u32 pte_markers(struct pte pte)
{
    return pte_payload(pte) & PTE_MARKER_MASK;
}

/* Entries of the upper levels. */

/** pte_make_table() - refer to a table; rights are decided by the leaves. */
static inline struct pte pte_make_table(u64 phys)
{
    return (struct pte){phys | PTE_BIT_PRESENT | PTE_BIT_WRITE | PTE_BIT_USER | PTE_BIT_ACCESSED};
}

static inline bool pte_is_table(struct pte pte)
{
    return (pte.bits & (PTE_BIT_PRESENT | PTE_BIT_HUGE)) == PTE_BIT_PRESENT;
}

static inline u64 pte_table_phys(struct pte pte)
{
    return pte.bits & PTE_PAYLOAD_MASK;
}

/**
 * arch_init_user_root() - make a zeroed root table usable: it shares the kernel's half.
 * @root: direct-map address of the table
 */
void arch_init_user_root(struct pte *root);

/** arch_clear_user_root() - make a root table that nobody uses any more all zero again. */
void arch_clear_user_root(struct pte *root);

#endif
