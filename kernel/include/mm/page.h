/*
 * struct page: what the kernel knows about one frame of RAM.
 *
 * Owns: the page flags and which of them may go together, the three counts, and the conversions
 * between frame number, physical address, direct-map address and struct page. The array of all
 * struct pages stands at VMEMMAP_BASE, indexed by frame number, and has memory behind it only
 * where the machine has RAM. Read next: mm/frames.h, which hands pages out.
 *
 * The counts are exact and mean one thing each (I5): `refcount` counts everybody who keeps the
 * frame, `mapcount` the page-table entries that map it, `pincount` the outstanding pins. A mapping
 * and a pin hold a reference too.
 */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include <arch/layout.h>
#include <lib/atomic.h>
#include <lib/list.h>
#include <lib/types.h>
#include <proc/spinlock.h>

struct mm;
struct kmem_cache;

/*
 * The first group is the page's type: at most one of them is set, by the allocator that owns the
 * page. The flags of the second group may be set only on pages without a type.
 */
enum page_flag {
    PG_reserved, /* never handed out: firmware, kernel image, boot-time memory */
    PG_buddy,    /* head of a free block in the buddy lists; `order` is valid */
    PG_cached,   /* free, on a chain of single frames */
    PG_slab,     /* carved into kernel objects */
    PG_table,    /* a page table; `ptl`, `table_mm` and `nr_present` are valid */
    PG_stack,    /* part of a kernel stack */
    PG_zeroed,   /* all zero, and on its way back to the allocator, which need not clear it */
    NR_PAGE_TYPES,

    PG_anon = NR_PAGE_TYPES, /* `owner` is an anon_vma, `index` the page's number in it */
    PG_anon_exclusive,       /* I2: mapped once at most; I1: a writable entry needs it */
    PG_object,               /* `owner` is a vm_object, `index` the page's number in it */
    PG_dirty,                /* differs from what backs it */
    PG_uptodate,             /* holds its object's data */
    PG_locked,               /* the page lock: identity does not change */
    PG_waiters,              /* somebody sleeps for the page lock */
    PG_zero,                 /* the shared zero page */
    PG_referenced,           /* used since reclaim looked last */
    PG_lru,                  /* on a reclaim list */
    PG_swapcache,            /* `swap_slot` is valid */
    PG_mlocked,              /* reclaim must not take it */
    PG_lazyfree,             /* anonymous, and not wanted any more unless it is written again */
    PG_device,               /* belongs to a direct device, which holds one reference for ever */
    NR_PAGE_FLAGS,
};

_Static_assert(NR_PAGE_FLAGS <= 32, "page flags are one 32-bit word");

#define PAGE_TYPE_MASK ((u32)(BIT(NR_PAGE_TYPES) - 1))
#define PAGE_FREE_MASK ((u32)(BIT(PG_buddy) | BIT(PG_cached)))

/*
 * [a] atomic, [o] the page's owner by its own lock, [f] the frame allocator's lock,
 * [s] the slab cache's lock, [p] the page-table lock.
 */
struct page {
    struct atomic_u32 flags;    /* [a] BIT(enum page_flag) */
    struct atomic_u32 pincount; /* [a] outstanding pins */
    union {
        struct {
            struct atomic_u32 refcount; /* [a] */
            struct atomic_s32 mapcount; /* [a] page-table entries that map the page */
        };
        struct atomic_u64 counts; /* [a] both: PAGE_MAPPED_ONCE is one of each */
    };
    union {
        struct {
            void *owner;           /* [o] vm_object or anon_vma, as PG_object and PG_anon say */
            u64 index;             /* [o] page number within the owner */
            struct list_node link; /* [o] reclaim list, or any list of the owner */
            u64 swap_slot;         /* [o] PG_swapcache */
            u64 private;           /* [o] */
        };
        struct {
            struct kmem_cache *slab_cache;
            void *slab_free;            /* [s] free objects of this slab */
            struct list_node slab_link; /* [s] the cache's list of slabs with free objects */
            u32 slab_in_use;            /* [s] objects given out, per-CPU lists included */
            u32 slab_order;             /* [I] of a large kmalloc, whose slab_cache is NULL */
        };
        struct {
            struct spinlock ptl;
            struct mm *table_mm;          /* [o] NULL for the kernel's own tables */
            struct atomic_u32 nr_present; /* [p] entries that are not none */
            u32 table_level;              /* [o] 0 is the lowest */
            u64 table_addr;               /* [o] the first virtual address it translates */
            struct list_node table_link;  /* [o] */
        };
        struct {
            struct page *next_free;      /* PG_cached: the next page of the chain */
            struct page *next_chain;     /* [f] the first page of a chain in the depot: the next */
            u32 order;                   /* [f] PG_buddy: log2 of the block's pages */
            struct list_node buddy_link; /* [f] PG_buddy */
        };
    };
};

#define PAGE_MAPPED_ONCE ((1ull << 32) | 1)

_Static_assert(offsetof(struct page, counts) % 8 == 0 &&
                   offsetof(struct page, mapcount) - offsetof(struct page, counts) == 4,
               "refcount and mapcount are the halves of an aligned word");

/* One cache line, and a shift instead of a division in every conversion. */
_Static_assert(sizeof(struct page) == 64, "struct page is one cache line");

static inline struct page *pfn_to_page(u64 pfn)
{
    return (struct page *)VMEMMAP_BASE + pfn;
}

static inline u64 page_to_pfn(const struct page *page)
{
    return (u64)(page - (const struct page *)VMEMMAP_BASE);
}

static inline u64 page_to_phys(const struct page *page)
{
    return page_to_pfn(page) << PAGE_SHIFT;
}

static inline struct page *phys_to_page(u64 phys)
{
    return pfn_to_page(phys >> PAGE_SHIFT);
}

static inline void *page_to_virt(const struct page *page)
{
    return phys_to_virt(page_to_phys(page));
}

static inline struct page *virt_to_page(const void *virt)
{
    return phys_to_page(virt_to_phys(virt));
}

/**
 * pfn_is_ram() - whether a frame number belongs to RAM that has a struct page.
 */
bool pfn_is_ram(u64 pfn);

/**
 * pfn_is_dormant() - whether a frame of RAM is free and was never used: nobody may look at its
 *                    struct page. It does not become dormant again.
 */
bool pfn_is_dormant(u64 pfn);

/**
 * pfn_is_usable() - whether a user's entry may map the frame: RAM, or memory of a direct device.
 */
bool pfn_is_usable(u64 pfn);

static inline bool page_has_flag(const struct page *page, enum page_flag flag)
{
    return (atomic_u32_load(&page->flags) & BIT(flag)) != 0;
}

/* For the allocator that owns a page outright: nobody else looks at its flags meanwhile. */
static inline void page_set_type(struct page *page, enum page_flag type)
{
    ASSERT(type < NR_PAGE_TYPES, "a page's type is one of the type flags");
    ASSERT(atomic_u32_load(&page->flags) == 0, "a page gets a type only while it has no flags");
    atomic_u32_store(&page->flags, (u32)BIT(type));
}

static inline void page_clear_type(struct page *page, enum page_flag type)
{
    ASSERT(atomic_u32_load(&page->flags) == BIT(type), "a page loses only the type that it has");
    atomic_u32_store(&page->flags, 0);
}

/*
 * page_is_x(), page_set_x() and page_clear_x() for the flags that may change while others look.
 * page_test_and_set_x() reports whether the flag was set before.
 */
#define PAGE_FLAG_READER(name)                                                                     \
    static inline bool page_is_##name(const struct page *page)                                     \
    {                                                                                              \
        return page_has_flag(page, PG_##name);                                                     \
    }

#define PAGE_FLAG_ACCESSORS(name)                                                                  \
    PAGE_FLAG_READER(name)                                                                         \
    static inline void page_set_##name(struct page *page)                                          \
    {                                                                                              \
        u32 old = atomic_u32_fetch_or(&page->flags, (u32)BIT(PG_##name));                          \
                                                                                                   \
        ASSERT((old & PAGE_TYPE_MASK) == 0, "only pages without a type have state flags");         \
    }                                                                                              \
    static inline void page_clear_##name(struct page *page)                                        \
    {                                                                                              \
        u32 old = atomic_u32_fetch_and(&page->flags, ~(u32)BIT(PG_##name));                        \
                                                                                                   \
        ASSERT((old & PAGE_TYPE_MASK) == 0, "only pages without a type have state flags");         \
    }                                                                                              \
    static inline MUST_CHECK bool page_test_and_set_##name(struct page *page)                      \
    {                                                                                              \
        u32 old = atomic_u32_fetch_or(&page->flags, (u32)BIT(PG_##name));                          \
                                                                                                   \
        ASSERT((old & PAGE_TYPE_MASK) == 0, "only pages without a type have state flags");         \
        return (old & BIT(PG_##name)) != 0;                                                        \
    }

PAGE_FLAG_READER(reserved)
PAGE_FLAG_READER(buddy)
PAGE_FLAG_READER(cached)
PAGE_FLAG_READER(slab)
PAGE_FLAG_READER(table)
PAGE_FLAG_READER(stack)
PAGE_FLAG_READER(zeroed)
PAGE_FLAG_READER(anon_exclusive)
PAGE_FLAG_READER(device)

PAGE_FLAG_ACCESSORS(anon)
PAGE_FLAG_ACCESSORS(object)
PAGE_FLAG_ACCESSORS(dirty)
PAGE_FLAG_ACCESSORS(uptodate)
PAGE_FLAG_ACCESSORS(locked)
PAGE_FLAG_ACCESSORS(waiters)
PAGE_FLAG_ACCESSORS(zero)
PAGE_FLAG_ACCESSORS(referenced)
PAGE_FLAG_ACCESSORS(lru)
PAGE_FLAG_ACCESSORS(swapcache)
PAGE_FLAG_ACCESSORS(mlocked)
PAGE_FLAG_ACCESSORS(lazyfree)

/*
 * Exclusivity belongs to anonymous pages alone. A pinned page never loses it (I3, I4), which
 * whoever clears it has made sure of; the count may still be up for a moment, until a lock-free
 * pinner has seen the change and takes its pin back.
 */
static inline void page_set_anon_exclusive(struct page *page)
{
    u32 old = atomic_u32_fetch_or(&page->flags, (u32)BIT(PG_anon_exclusive));

    ASSERT((old & BIT(PG_anon)) != 0, "I2: only anonymous pages are exclusive");
}

static inline void page_clear_anon_exclusive(struct page *page)
{
    atomic_u32_fetch_and(&page->flags, ~(u32)BIT(PG_anon_exclusive));
}

/* Whether the allocator has the page. */
static inline bool page_is_free(const struct page *page)
{
    return (atomic_u32_load(&page->flags) & PAGE_FREE_MASK) != 0;
}

static inline u32 page_refcount(const struct page *page)
{
    return atomic_u32_load(&page->refcount);
}

static inline s32 page_mapcount(const struct page *page)
{
    return atomic_s32_load(&page->mapcount);
}

static inline u32 page_pincount(const struct page *page)
{
    return atomic_u32_load(&page->pincount);
}

/* The caller holds a reference, or a lock under which somebody's cannot go away. */
static inline void page_get(struct page *page)
{
    u32 old = atomic_u32_fetch_add(&page->refcount, 1);

    ASSERT(old - 1 < REFCOUNT_LIMIT, "I5: a reference is taken only from a live page");
}

/**
 * page_get_not_zero() - take a reference to a page that may just be on its way out.
 *
 * Return: false if it has no owner any more.
 */
static inline MUST_CHECK bool page_get_not_zero(struct page *page)
{
    u32 old = atomic_u32_load(&page->refcount);

    while (old != 0) {
        if (atomic_u32_compare_exchange(&page->refcount, &old, old + 1)) {
            return true;
        }
    }
    return false;
}

/**
 * page_free_unreferenced() - free a single frame whose reference count has just reached zero.
 */
void page_free_unreferenced(struct page *page);

/* Drops a reference to a single frame; the last one frees it. */
static inline void page_put(struct page *page)
{
    u32 old = atomic_u32_fetch_sub(&page->refcount, 1);

    ASSERT(old - 1 < REFCOUNT_LIMIT, "I5: a reference is dropped only by an owner");
    if (old == 1) {
        page_free_unreferenced(page);
    }
}

/**
 * page_flags_format() - print a page's flags, as "anon|dirty".
 * @buf: @size bytes
 */
void page_flags_format(const struct page *page, char *buf, size_t size);

/**
 * page_dump() - print everything about a page, before a panic.
 */
void page_dump(const struct page *page, const char *why);

#endif
