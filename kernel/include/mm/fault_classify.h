#ifndef MM_FAULT_CLASSIFY_H
#define MM_FAULT_CLASSIFY_H

#include <lib/types.h>
#include <arch/pgtable.h>

/*
 * The decision of a page fault: from what the VMA permits, what the entry says, what the page is
 * and what the access wants, to one named kind. A pure function; resolvers act on the kind.
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
 * fault_classify() - what kind of fault is this?
 * Context: any; touches nothing.
 */
enum fault_kind fault_classify(const struct fault_facts *facts);

/** fault_kind_name() - the kind's name, for messages. */
const char *fault_kind_name(enum fault_kind kind);

#endif
