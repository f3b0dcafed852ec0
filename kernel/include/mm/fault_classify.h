#ifndef MM_FAULT_CLASSIFY_H
#define MM_FAULT_CLASSIFY_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <arch/pgtable.h>
#include <mm/fault.h>
#include <mm/vma.h>

/*
 * The decision of a page fault: from what the VMA permits, what the entry says, what the page is
 * and what the access wants, to one named kind. A pure function; resolvers act on the kind.
 *
 * It is inline because every fault asks, and whoever knows that an entry is absent should not pay
 * for the questions about present ones. tests/host/test_fault_classify.c tries every combination
 * of facts.
 */

/* What stands behind a present entry. */
enum fault_page {
    FAULT_PAGE_NONE,           /* the entry is not present */
    FAULT_PAGE_ZERO,           /* the shared zero page, or another frame without counts */
    FAULT_PAGE_FILE,           /* a page of an object */
    FAULT_PAGE_ANON_EXCLUSIVE, /* anonymous, and this entry's alone (I2) */
    FAULT_PAGE_ANON_SOLE,      /* anonymous, once shared, but nobody else refers to it any more */
    FAULT_PAGE_ANON_SHARED,    /* anonymous, others may map or hold it */
    FAULT_PAGE_NR,
};

enum fault_vma_kind {
    FAULT_VMA_ABSENT,
    FAULT_VMA_ANON,    /* private, no object */
    FAULT_VMA_PRIVATE, /* private mapping of an object */
    FAULT_VMA_SHARED,  /* shared mapping of an object */
    FAULT_VMA_NR,
};

struct fault_facts {
    enum fault_vma_kind vma_kind;
    u64 vm_flags; /* VM_*; 0 without a VMA */
    struct pte entry;
    enum fault_page page; /* FAULT_PAGE_NONE exactly if the entry is not present */
    u32 access;           /* enum fault_flag; not both WRITE and UNSHARE */
};

enum fault_kind {
    FAULT_KIND_BAD_ADDRESS,    /* no VMA */
    FAULT_KIND_BAD_ACCESS,     /* the VMA forbids it */
    FAULT_KIND_ANON_ZERO,      /* enter a fresh zeroed page */
    FAULT_KIND_ANON_ZERO_READ, /* enter the shared zero page */
    FAULT_KIND_FILE_MAP,       /* enter the object's page, read-only */
    FAULT_KIND_FILE_COPY,      /* enter a private copy of the object's page */
    FAULT_KIND_FILE_SHARED,    /* enter the object's page for writing */
    FAULT_KIND_MARKER_WP,      /* as for none, the new entry write-protected */
    FAULT_KIND_MARKER_POISON,
    FAULT_KIND_MARKER_GUARD,
    FAULT_KIND_MARKER_STALE, /* nobody is registered any more: forget the marker */
    FAULT_KIND_SWAP_IN,
    FAULT_KIND_MIGRATION_WAIT,
    FAULT_KIND_PAGER_MISSING, /* ask the pager before a page is made */
    FAULT_KIND_PAGER_WP,      /* tell the pager before a page is written */
    FAULT_KIND_SPURIOUS,      /* the entry permits the access already */
    FAULT_KIND_ACCESS,        /* the entry is narrower than the VMA: widen it, not to writing */
    FAULT_KIND_FILE_DIRTY,    /* a shared page is about to be written: make it writable */
    FAULT_KIND_FILE_HOLE,     /* the zero page stands for a hole that is about to be written */
    FAULT_KIND_ANON_REUSE,    /* the page is ours alone: make it exclusive and writable */
    FAULT_KIND_ANON_COPY,     /* replace the page by a private writable copy */
    FAULT_KIND_UNSHARE_REUSE, /* the page is ours alone: make it exclusive, keep the entry */
    FAULT_KIND_UNSHARE_COPY,  /* replace the page by a private copy, still read-only */
    FAULT_KIND_CORRUPT,       /* an entry that this kernel never writes */
    FAULT_KIND_NR,
};

/**
 * fault_is_permitted() - may the VMA grant the access at all, whatever the entry says?
 *
 * x86 grants reading with any right, and a debugger (FORCE) what the mapping could be given, as
 * long as a forced write lands in a private copy.
 */
static ALWAYS_INLINE bool fault_is_permitted(const struct fault_facts *facts)
{
    u64 flags = facts->vm_flags;
    bool is_forced = facts->access & FAULT_FLAG_FORCE;

    if (facts->access & FAULT_FLAG_WRITE) {
        bool may_force = facts->vma_kind != FAULT_VMA_SHARED && (flags & VM_MAYWRITE);

        return (flags & VM_WRITE) || (is_forced && may_force);
    }
    if (facts->access & FAULT_FLAG_EXEC) {
        return flags & VM_EXEC;
    }
    return (flags & VM_ACCESS_FLAGS) || (is_forced && (flags & VM_MAYREAD));
}

static ALWAYS_INLINE enum fault_kind classify_none(const struct fault_facts *facts)
{
    bool is_write = facts->access & FAULT_FLAG_WRITE;
    bool needs_own_page = facts->access & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE);

    if (facts->vma_kind == FAULT_VMA_ANON) {
        if (facts->vm_flags & VM_UFFD_MISSING) {
            return FAULT_KIND_PAGER_MISSING;
        }
        return needs_own_page ? FAULT_KIND_ANON_ZERO : FAULT_KIND_ANON_ZERO_READ;
    }
    if (facts->vma_kind == FAULT_VMA_PRIVATE) {
        return needs_own_page ? FAULT_KIND_FILE_COPY : FAULT_KIND_FILE_MAP;
    }
    return is_write ? FAULT_KIND_FILE_SHARED : FAULT_KIND_FILE_MAP;
}

/* Several reasons may stand in one marker; the worst one counts (F8). */
static ALWAYS_INLINE enum fault_kind classify_marker(const struct fault_facts *facts)
{
    u32 markers = pte_markers(facts->entry);

    if (markers & PTE_MARKER_POISON) {
        return FAULT_KIND_MARKER_POISON;
    }
    if (markers & PTE_MARKER_GUARD) {
        return FAULT_KIND_MARKER_GUARD;
    }
    if (!(markers & PTE_MARKER_UFFD_WP)) {
        return FAULT_KIND_CORRUPT;
    }
    return facts->vm_flags & VM_UFFD_WP ? FAULT_KIND_MARKER_WP : FAULT_KIND_MARKER_STALE;
}

/* A reader that needs the page for itself. Never a notification, never a writable entry (J10). */
static ALWAYS_INLINE enum fault_kind classify_unshare(const struct fault_facts *facts)
{
    switch (facts->page) {
    case FAULT_PAGE_ANON_EXCLUSIVE:
        return FAULT_KIND_SPURIOUS;
    case FAULT_PAGE_ANON_SOLE:
        return FAULT_KIND_UNSHARE_REUSE;
    default:
        return FAULT_KIND_UNSHARE_COPY;
    }
}

/*
 * A forced write needs no more than exclusivity: the entry stays read-only (J7). But who tracks
 * writes must hear of it.
 */
static ALWAYS_INLINE bool is_written_as_it_is(const struct fault_facts *facts)
{
    return !(facts->vm_flags & VM_WRITE) &&
           ((facts->vm_flags & VM_SOFTDIRTY) || pte_is_soft_dirty(facts->entry));
}

static ALWAYS_INLINE enum fault_kind classify_write(const struct fault_facts *facts)
{
    if (pte_is_writable(facts->entry)) {
        return FAULT_KIND_SPURIOUS;
    }
    if (pte_is_uffd_wp(facts->entry) && (facts->vm_flags & VM_UFFD_WP)) {
        return FAULT_KIND_PAGER_WP;
    }
    if (facts->vma_kind == FAULT_VMA_SHARED) {
        return facts->page == FAULT_PAGE_ZERO ? FAULT_KIND_FILE_HOLE : FAULT_KIND_FILE_DIRTY;
    }
    if (facts->page == FAULT_PAGE_ANON_EXCLUSIVE) {
        return is_written_as_it_is(facts) ? FAULT_KIND_SPURIOUS : FAULT_KIND_ANON_REUSE;
    }
    return facts->page == FAULT_PAGE_ANON_SOLE ? FAULT_KIND_ANON_REUSE : FAULT_KIND_ANON_COPY;
}

static ALWAYS_INLINE enum fault_kind classify_present(const struct fault_facts *facts)
{
    bool is_shared = facts->vma_kind == FAULT_VMA_SHARED;

    if (facts->access & FAULT_FLAG_WRITE) {
        return classify_write(facts);
    }
    if ((facts->access & FAULT_FLAG_UNSHARE) && !is_shared) {
        return classify_unshare(facts);
    }
    if (!pte_is_accessible(facts->entry)) {
        return FAULT_KIND_ACCESS;
    }
    if ((facts->access & FAULT_FLAG_EXEC) && !pte_is_executable(facts->entry)) {
        return FAULT_KIND_ACCESS;
    }
    return FAULT_KIND_SPURIOUS;
}

/**
 * fault_classify() - what kind of fault is this?
 * Context: any; touches nothing.
 */
static ALWAYS_INLINE enum fault_kind fault_classify(const struct fault_facts *facts)
{
    if (facts->vma_kind == FAULT_VMA_ABSENT) {
        return FAULT_KIND_BAD_ADDRESS;
    }
    if (!fault_is_permitted(facts)) {
        return FAULT_KIND_BAD_ACCESS;
    }
    switch (pte_kind(facts->entry)) {
    case PTE_KIND_NONE:
        return classify_none(facts);
    case PTE_KIND_PRESENT:
        return classify_present(facts);
    case PTE_KIND_MARKER:
        return classify_marker(facts);
    case PTE_KIND_SWAP:
        return FAULT_KIND_SWAP_IN;
    case PTE_KIND_MIGRATION:
        return FAULT_KIND_MIGRATION_WAIT;
    case PTE_KIND_CORRUPT:
        break;
    }
    return FAULT_KIND_CORRUPT;
}

/** fault_kind_name() - the kind's name, for messages. */
const char *fault_kind_name(enum fault_kind kind);

#endif
