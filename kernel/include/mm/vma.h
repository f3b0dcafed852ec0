/*
 * Virtual memory areas: what one is, how one is found, locked, split and merged.
 *
 * A VMA says what a range of addresses may be used for.  It never says what is mapped there now:
 * the page tables alone know that.
 *
 * Lock legend: [I] immutable once linked, [m] mmap_lock held for writing and the VMA write-locked
 * to change it, mmap_lock (read) or the VMA's read lock to rely on it, [o] object lock,
 * [x] atomic.
 */
#ifndef MM_VMA_H
#define MM_VMA_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/atomic.h>
#include <lib/list.h>
#include <lib/rbtree.h>
#include <lib/interval_tree.h>
#include <mm/mm.h>

struct vm_object;
struct file;
struct anon_vma;
struct uffd_ctx;

/* The four permissions, the four that mprotect may yet grant (each four bits higher), kinds. */
#define VM_READ         BIT(0)
#define VM_WRITE        BIT(1)
#define VM_EXEC         BIT(2)
#define VM_SHARED       BIT(3)
#define VM_MAYREAD      BIT(4)
#define VM_MAYWRITE     BIT(5)
#define VM_MAYEXEC      BIT(6)
#define VM_GROWSDOWN    BIT(8)
#define VM_UFFD_MISSING BIT(9)
#define VM_PFNMAP       BIT(10)
#define VM_UFFD_WP      BIT(12)
#define VM_LOCKED       BIT(13)
#define VM_IO           BIT(14)
#define VM_SEQ_READ     BIT(15)
#define VM_RAND_READ    BIT(16)
#define VM_DONTCOPY     BIT(17)
#define VM_DONTEXPAND   BIT(18)
#define VM_LOCKONFAULT  BIT(19)
#define VM_ACCOUNT      BIT(20)
#define VM_NORESERVE    BIT(21)
#define VM_HUGETLB      BIT(22)
#define VM_SYNC         BIT(23)
#define VM_WIPEONFORK   BIT(25)
#define VM_DONTDUMP     BIT(26)
#define VM_SOFTDIRTY    BIT(27)
#define VM_HUGEPAGE     BIT(29)
#define VM_NOHUGEPAGE   BIT(30)
#define VM_MERGEABLE    BIT(31)
#define VM_UFFD_MINOR   BIT(38)
#define VM_SEALED       BIT(63)

#define VM_ACCESS_FLAGS (VM_READ | VM_WRITE | VM_EXEC)
#define VM_MAY_FLAGS    (VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)
#define VM_LOCKED_MASK  (VM_LOCKED | VM_LOCKONFAULT)
#define VM_UFFD_FLAGS   (VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR)
#define VM_STACK        VM_GROWSDOWN
#define VM_SPECIAL      (VM_IO | VM_PFNMAP | VM_DONTEXPAND)
#define VM_ADVICE_MASK  (VM_SEQ_READ | VM_RAND_READ)

/** The address range kept free below a mapping that grows down, for faults to hit. */
#define STACK_GUARD_GAP (256UL * PAGE_SIZE)

/** The largest number of VMAs of one address space (vm.max_map_count). */
extern u32 max_map_count;
#define DEFAULT_MAX_MAP_COUNT 65530
#define MAX_MAP_COUNT         READ_ONCE(max_map_count)

struct vma {
    u64 start;             /* [m] page aligned */
    u64 end;               /* [m] page aligned, greater than start */
    struct rb_node node;   /* [m] position in mm->vmas; walked without a lock by vma_lock_lookup */
    u64 gap;               /* [m] free bytes in front of it, guard gap not counted */
    u64 max_gap;           /* [m] largest gap of the VMAs of this subtree */
    struct mm *mm;         /* [m] NULL while the VMA is in no tree ("detached") */
    u64 flags;             /* [m] VM_* */
    struct list_node link; /* [m] position in mm->vma_list, in address order */
    u64 pgoff;             /* [m] page index of start in the object; without one, the index that
                              rmap gives start: its page number when the VMA was made */
    struct vm_object *object;   /* [I] what is mapped; NULL for private anonymous memory */
    struct file *file;          /* [I] the file it was mapped from, for its name; may be NULL */
    struct anon_vma *anon_vma;  /* [m] reverse map of the anonymous pages; NULL before the first */
    struct list_node anon_link; /* lock of the anon_vma: position in its generation */
    struct uffd_ctx *uffd;      /* [m] who handles the faults of VM_UFFD_* */
    struct interval_node object_node; /* [o] position among the mappings of the object */
    u64 lock_seq;                     /* [m] equal to mm->lock_seq while write-locked */
    struct atomic_u32 readers;        /* [x] faults that hold the read lock, and VMA_WRITER */
};

/** What two VMAs must share to be one: the arguments of every merge decision. */
struct vma_props {
    u64 flags;
    u64 pgoff;
    struct vm_object *object;
    struct file *file;
    struct anon_vma *anon_vma;
    struct uffd_ctx *uffd;
};

static inline u64 vma_nr_pages(const struct vma *vma)
{
    return (vma->end - vma->start) >> PAGE_SHIFT;
}

/** Private anonymous memory: pages come from nowhere but zero. */
static inline bool vma_is_anonymous(const struct vma *vma)
{
    return vma->object == NULL;
}

/** Private and possibly written: its pages are copied on write. */
static inline bool vma_is_cow(const struct vma *vma)
{
    return (vma->flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}

/** The object's page index behind an address of the VMA. */
static inline u64 vma_page_index(const struct vma *vma, u64 addr)
{
    return vma->pgoff + ((addr - vma->start) >> PAGE_SHIFT);
}

/** The lowest address the VMA lays claim to, guard gap of a growing stack included. */
static inline u64 vma_start_with_guard(const struct vma *vma)
{
    if (!(vma->flags & VM_GROWSDOWN)) {
        return vma->start;
    }
    return vma->start > STACK_GUARD_GAP ? vma->start - STACK_GUARD_GAP : 0;
}

/** Does this kind of VMA count against RLIMIT_DATA? */
static inline bool vm_flags_are_data(u64 flags)
{
    return (flags & (VM_WRITE | VM_SHARED | VM_STACK)) == VM_WRITE;
}

static inline struct vma *vma_next(const struct vma *vma)
{
    if (vma->link.next == &vma->mm->vma_list) {
        return NULL;
    }
    return container_of(vma->link.next, struct vma, link);
}

static inline struct vma *vma_prev(const struct vma *vma)
{
    if (vma->link.prev == &vma->mm->vma_list) {
        return NULL;
    }
    return container_of(vma->link.prev, struct vma, link);
}

static inline struct vma *vma_first(const struct mm *mm)
{
    if (mm->vma_list.next == &mm->vma_list) {
        return NULL;
    }
    return container_of(mm->vma_list.next, struct vma, link);
}

static inline struct vma *vma_last(const struct mm *mm)
{
    if (mm->vma_list.prev == &mm->vma_list) {
        return NULL;
    }
    return container_of(mm->vma_list.prev, struct vma, link);
}

/** All VMAs of an address space in address order; the holder of mmap_lock may not remove one. */
#define for_each_vma(vma, mm) for (vma = vma_first(mm); vma != NULL; vma = vma_next(vma))

/** The VMAs that intersect [start, end), in address order. */
#define for_each_vma_range(vma, mm, from, to)                                                      \
    for (vma = vma_find(mm, from); vma != NULL && vma->start < (to); vma = vma_next(vma))

/* --- finding and locking --------------------------------------------------------------------- */

/**
 * vma_find() - the first VMA that ends above an address.
 *
 * Context: mmap_lock held (read or write).
 * Return:  the VMA, which need not contain addr, or NULL if none ends above it.
 */
struct vma *vma_find(struct mm *mm, u64 addr);

/**
 * vma_find_at() - the VMA that contains an address, or NULL.
 *
 * Context: mmap_lock held (read or write).
 */
struct vma *vma_find_at(struct mm *mm, u64 addr);

/**
 * vma_find_intersection() - the first VMA that intersects [start, end), or NULL.
 *
 * Context: mmap_lock held (read or write).
 */
struct vma *vma_find_intersection(struct mm *mm, u64 start, u64 end);

/**
 * vma_lock_lookup() - find the VMA that contains an address and read-lock it, without mmap_lock.
 * @mm:   address space; the caller holds a reference
 * @addr: any address
 * @out:  out: the VMA, written only on success
 *
 * The walk takes no lock: VMAs are type-stable memory, a stale pointer still leads to some VMA,
 * and what is found is checked after its lock is held.
 *
 * Context: thread; does not sleep.
 * Return:  true with the VMA read-locked (vma_read_unlock), or false: no VMA, or a writer is at
 *          work.  The caller then takes mmap_lock and uses vma_find().
 * Source:  rule O1.
 */
bool vma_lock_lookup(struct mm *mm, u64 addr, struct vma **out);

/** vma_read_trylock() - take the read lock unless the VMA is write-locked or detached from mm. */
bool vma_read_trylock(struct mm *mm, struct vma *vma);

/** vma_read_unlock() - release what vma_lock_lookup() or vma_read_trylock() took. */
void vma_read_unlock(struct vma *vma);

/**
 * vma_write_lock() - keep faults out of a VMA until mm_write_unlock().
 *
 * Context: mmap_lock held for writing; may sleep until the readers are gone.
 */
void vma_write_lock(struct vma *vma);

static inline bool vma_is_write_locked(const struct vma *vma)
{
    return vma->lock_seq == vma->mm->lock_seq;
}

/* --- life and shape: for the files that change address spaces -------------------------------- */

/** vma_init() - create the cache of VMAs, once at boot. */
void vma_init(void);

/**
 * vma_alloc() - a write-locked VMA over [start, end), in no tree.
 * @props: copied; a reference on the object and on the file is taken
 *
 * Return: the VMA or NULL without memory.
 */
struct vma *vma_alloc(struct mm *mm, u64 start, u64 end, const struct vma_props *props);

/** vma_free() - give back a VMA that is in no tree, and its references. */
void vma_free(struct vma *vma);

/** vma_props_of() - the properties of a VMA, as a template for a copy. */
static inline struct vma_props vma_props_of(const struct vma *vma)
{
    return (struct vma_props){
        .flags = vma->flags,
        .pgoff = vma->pgoff,
        .object = vma->object,
        .file = vma->file,
        .anon_vma = vma->anon_vma,
        .uffd = vma->uffd,
    };
}

/** vma_free_list() - vma_free() for each VMA of a list that vma_unlink() left on its own. */
void vma_free_list(struct list_node *list);

/** vma_set_flags() - replace the flags. Context: VMA write-locked. Accounts are the caller's. */
void vma_set_flags(struct vma *vma, u64 flags);

/**
 * vma_link() - enter a VMA into its address space and among the mappings of its object.
 * @prev: the VMA below it, or NULL if it becomes the lowest
 *
 * Context: mmap_lock held for writing.  Counts it in map_count; total_vm is the caller's.
 */
void vma_link(struct mm *mm, struct vma *vma, struct vma *prev);

/**
 * vma_append_copy() - vma_link() above all others in an address space that nobody looks into yet;
 *                     the tree is made at the end, by vma_tree_build().
 * @original: the parent's VMA; who walks the mappings of the object meets it before the copy
 */
void vma_append_copy(struct mm *mm, struct vma *vma, struct vma *original);

/**
 * vma_unlink_last_user() - vma_unlink() when the whole address space goes: nobody looks anything up
 *                          in it, so the VMAs leave in any order, and the tree without turning.
 *                          It stays in the list, for vma_free_list().
 *
 * Context: no user is left; its entries zapped.
 */
void vma_unlink_last_user(struct mm *mm, struct vma *vma);

/**
 * vma_unlink() - the opposite of vma_link(); the VMA is detached afterwards.
 *
 * Context: mmap_lock held for writing, vma write-locked, its entries zapped.
 */
void vma_unlink(struct mm *mm, struct vma *vma);

/**
 * vma_set_range() - move the edges of a linked VMA.
 * @pgoff: the object index of the new start
 *
 * Context: mmap_lock held for writing, vma write-locked.  The new range meets no other VMA.
 */
void vma_set_range(struct vma *vma, u64 start, u64 end, u64 pgoff);

/**
 * vma_split() - cut a VMA in two at an address inside it.
 * @addr: page aligned, start < addr < end; becomes the start of the new upper VMA
 *
 * Context: mmap_lock held for writing. MAX_MAP_COUNT is the caller's to observe.
 * Return:  0, or -ENOMEM with nothing changed.
 */
int MUST_CHECK vma_split(struct mm *mm, struct vma *vma, u64 addr);

/**
 * vma_props_mergeable() - may two adjacent ranges be one VMA?
 * @lower_pages: pages of the lower range; the properties hold at the start of each
 */
bool vma_props_mergeable(const struct vma_props *lower, u64 lower_pages,
                         const struct vma_props *upper);

/** vma_can_merge() - could two neighbours be one VMA? */
bool vma_can_merge(const struct vma *lower, const struct vma *upper);

/**
 * vma_merge_new() - give a fresh range to the neighbours that can take it.
 * @prev, @next: the neighbours in address order, or NULL; no VMA lies between them
 *
 * Context: mmap_lock held for writing.
 * Return:  the VMA that now covers [start, end), or NULL if neither neighbour fits.
 * Keeps:   I9.
 */
struct vma *vma_merge_new(struct mm *mm, struct vma *prev, struct vma *next, u64 start, u64 end,
                          const struct vma_props *props);

/**
 * vma_merge_around() - melt a VMA with its neighbours where they have become alike.
 *
 * Context: mmap_lock held for writing.
 * Return:  the VMA that covers what vma covered; vma itself may be gone.
 * Keeps:   I9.
 */
struct vma *vma_merge_around(struct vma *vma);

/**
 * vma_isolate() - make [start, end) of one VMA a VMA of its own.
 * @vma: in: the VMA that contains [start, end); out: the one that is exactly it
 *
 * Return: 0, or -ENOMEM (no memory, or MAX_MAP_COUNT reached) with the old shape restored. After
 *         success the caller changes *vma and merges around it.
 */
int MUST_CHECK vma_isolate(struct mm *mm, struct vma **vma, u64 start, u64 end);

/* --- the tree -------------------------------------------------------------------------------- */

/** Where free address space is wanted. */
struct gap_request {
    u64 len;  /* bytes, page aligned */
    u64 low;  /* inclusive */
    u64 high; /* exclusive */
};

void vma_tree_insert(struct mm *mm, struct vma *vma, struct vma *prev);
void vma_tree_remove(struct mm *mm, struct vma *vma);

/** vma_tree_append() - enter a VMA above all others, in the list alone. */
void vma_tree_append(struct mm *mm, struct vma *vma);

/** vma_tree_build() - make the tree, which is empty, of what the list holds. O(n). */
void vma_tree_build(struct mm *mm);

/** vma_tree_forget() - the tree is empty; the list stays. For an address space without users. */
void vma_tree_forget(struct mm *mm);

/** vma_tree_resize() - change the bounds of a VMA and repair the gaps they define. */
void vma_tree_resize(struct vma *vma, u64 start, u64 end);

/** vma_tree_split() - enter the upper part of a VMA, which ends where the VMA did, beside it. */
void vma_tree_split(struct mm *mm, struct vma *lower, struct vma *upper);

/** vma_tree_absorb() - extend a VMA over its upper neighbour, which leaves the tree. */
void vma_tree_absorb(struct mm *mm, struct vma *lower, struct vma *upper);

/**
 * vma_tree_find_gap_top_down() - the highest free range of a length.
 *
 * Takes O(log n) steps.
 * Return: 0 with *addr set, or -ENOMEM.
 */
int MUST_CHECK vma_tree_find_gap_top_down(struct mm *mm, const struct gap_request *req, u64 *addr);

/** vma_tree_find_gap_bottom_up() - the lowest free range of a length; otherwise the same. */
int MUST_CHECK vma_tree_find_gap_bottom_up(struct mm *mm, const struct gap_request *req, u64 *addr);

/**
 * vma_tree_walk_lockless() - a VMA that seems to contain an address, or NULL.
 *
 * Context: any. The answer may be stale, or a VMA of another address space: lock it, then look.
 */
struct vma *vma_tree_walk_lockless(struct mm *mm, u64 addr);

/** vma_tree_check() - assert I9 and V3: shape, merging, gaps, counters. Context: mmap_lock held. */
void vma_tree_check(struct mm *mm);

#endif
