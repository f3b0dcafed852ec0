/*
 * VMAs as such: their memory, their locks, and how they are split and merged.
 *
 * A VMA is type-stable: its memory is only ever used for VMAs. Its reader count and the sequence
 * number of its last write lock survive freeing, so that a fault may try to lock a VMA that a
 * lock-free walk found, and see afterwards whether it is still the one it looked for.
 *
 * What VMAs count for (total_vm, locked_vm, the overcommit account) is the business of the
 * operations, not of this file. Read next: map.c, unmap.c, protect.c.
 */
#include <debug/explore.h>
#include <debug/lockstat.h>
#include <ipc/file.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/rmap.h>
#include <mm/slab.h>
#include <mm/vma.h>
#include <proc/waitqueue.h>

/* In vma->readers: a writer waits for the readers to leave, and no new one may come. */
#define VMA_WRITER ((u32)BIT(31))

static struct kmem_cache *vma_cache;

/* Writers that wait for readers. One queue for all VMAs: waits are rare, and a reader that backs
 * out of a VMA that is not its own any longer must not touch the address space it now belongs to.
 */
static struct wait_queue writer_wait = WAIT_QUEUE_INIT(writer_wait);

static void vma_construct(void *memory)
{
    struct vma *vma = memory;

    *vma = (struct vma){.mm = NULL};
    list_init(&vma->link);
    list_init(&vma->anon_link);
}

void vma_init(void)
{
    vma_cache = kmem_cache_create_type_stable("vma", sizeof(struct vma), 64, vma_construct);
}

/* --- locks ----------------------------------------------------------------------------------- */

/* Inline, since every fault comes here. */
static ALWAYS_INLINE bool read_trylock(struct mm *mm, struct vma *vma)
{
    u32 readers;

    explore_lock(RANK_VMA);
    readers = atomic_u32_load(&vma->readers);
    if (READ_ONCE(vma->lock_seq) == READ_ONCE(mm->lock_seq)) {
        return false;
    }
    explore_point(EXPLORE_COUNT);
    do {
        if (readers & VMA_WRITER) {
            return false;
        }
    } while (!atomic_u32_compare_exchange(&vma->readers, &readers, readers + 1));

    explore_point(EXPLORE_COUNT);
    /* A writer that came first has stored its lock_seq; a new owner stores lock_seq before mm. */
    if (__atomic_load_n(&vma->mm, __ATOMIC_ACQUIRE) == mm &&
        __atomic_load_n(&vma->lock_seq, __ATOMIC_ACQUIRE) !=
            __atomic_load_n(&mm->lock_seq, __ATOMIC_ACQUIRE)) {
        return true;
    }
    vma_read_unlock(vma);
    return false;
}

bool vma_read_trylock(struct mm *mm, struct vma *vma)
{
    return read_trylock(mm, vma);
}

void vma_read_unlock(struct vma *vma)
{
    if (unlikely(atomic_u32_fetch_sub(&vma->readers, 1) == (VMA_WRITER | 1))) {
        wake_up_all(&writer_wait);
    }
    explore_unlock(RANK_VMA);
}

void vma_write_lock(struct vma *vma)
{
    struct mm *mm = vma->mm;
    u32 readers;

    DEBUG_ASSERT(rwsem_is_write_held(&mm->mmap_lock), "a VMA is write-locked under mmap_lock");
    if (vma->lock_seq == mm->lock_seq) {
        return;
    }
    explore_lock(RANK_VMA);
    readers = atomic_u32_fetch_or(&vma->readers, VMA_WRITER);
    ASSERT(!(readers & VMA_WRITER), "a VMA has one writer, the holder of mmap_lock");
    if (readers != 0) {
        lockstat_contended(RANK_VMA);
        wait_event(&writer_wait, atomic_u32_load_acquire(&vma->readers) == VMA_WRITER);
    }
    __atomic_store_n(&vma->lock_seq, mm->lock_seq, __ATOMIC_RELEASE);
    explore_point(EXPLORE_COUNT);
    atomic_u32_store_release(&vma->readers, 0);
}

bool vma_lock_lookup(struct mm *mm, u64 addr, struct vma **out)
{
    u32 seq = seqcount_read_raw(&mm->vma_seq);
    struct vma *vma = vma_tree_walk_lockless(mm, addr);

    if (vma == NULL && seqcount_read_retry(&mm->vma_seq, seq)) {
        vma = vma_tree_walk_lockless(mm, addr);
    }
    if (vma == NULL) {
        return false;
    }
    if (!read_trylock(mm, vma)) {
        lockstat_contended(RANK_VMA);
        return false;
    }
    /* The lock keeps the range as it is; before it, the walk may have read anything. */
    if (addr < vma->start || addr >= vma->end) {
        vma_read_unlock(vma);
        return false;
    }
    *out = vma;
    return true;
}

/* --- life ------------------------------------------------------------------------------------ */

struct vma *vma_alloc(struct mm *mm, u64 start, u64 end, const struct vma_props *props)
{
    struct vma *vma = kmem_cache_alloc(vma_cache, 0);

    if (vma == NULL) {
        return NULL;
    }
    ASSERT(vma->mm == NULL, "a free VMA belongs to no address space");
    WRITE_ONCE(vma->start, start);
    WRITE_ONCE(vma->end, end);
    vma->flags = props->flags;
    vma->pgoff = props->pgoff;
    vma->object = props->object;
    vma->file = props->file;
    vma->anon_vma = NULL;
    vma->uffd = props->uffd;
    if (vma->object != NULL) {
        object_get(vma->object);
    }
    if (vma->file != NULL) {
        file_get(vma->file);
    }
    /* Born write-locked: a reader with a stale pointer sees mm only with this lock_seq. */
    vma->lock_seq = mm->lock_seq;
    __atomic_store_n(&vma->mm, mm, __ATOMIC_RELEASE);
    return vma;
}

void vma_free(struct vma *vma)
{
    ASSERT(!list_is_linked(&vma->link), "only a VMA that is in no tree is freed");
    ASSERT(vma->anon_vma == NULL, "a VMA leaves its anon_vma before it is freed");
    if (vma->file != NULL) {
        file_put(vma->file);
    }
    if (vma->object != NULL) {
        object_put(vma->object);
    }
    WRITE_ONCE(vma->mm, NULL);
    kmem_cache_free(vma_cache, vma);
}

void vma_free_list(struct list_node *list)
{
    while (!list_is_empty(list)) {
        struct vma *vma = list_first_entry(list, struct vma, link);

        list_del(&vma->link);
        vma_free(vma);
    }
}

void vma_link(struct mm *mm, struct vma *vma, struct vma *prev)
{
    vma_tree_insert(mm, vma, prev);
    mm->map_count++;
    if (vma->object != NULL) {
        object_lock(vma->object);
        object_insert_vma(vma);
        object_unlock(vma->object);
    }
}

void vma_append_copy(struct mm *mm, struct vma *vma, struct vma *original)
{
    vma_tree_append(mm, vma);
    mm->map_count++;
    if (vma->object != NULL) {
        object_lock(vma->object);
        object_insert_twin(vma, original);
        object_unlock(vma->object);
    }
}

/* A VMA leaves those who find it by its pages. */
static void leave_reverse_maps(struct vma *vma)
{
    if (vma->object != NULL) {
        object_lock(vma->object);
        object_remove_vma(vma);
        object_unlock(vma->object);
    }
    if (vma->anon_vma != NULL) {
        anon_vma_unlink(vma);
    }
}

void vma_unlink(struct mm *mm, struct vma *vma)
{
    ASSERT(vma_is_write_locked(vma), "a VMA is write-locked before it leaves the tree");
    leave_reverse_maps(vma);
    vma_tree_remove(mm, vma);
    mm->map_count--;
    /* From here on no lock-free walk accepts it. */
    __atomic_store_n(&vma->mm, NULL, __ATOMIC_RELEASE);
}

void vma_unlink_last_user(struct mm *mm, struct vma *vma)
{
    leave_reverse_maps(vma);
    mm->map_count--;
    __atomic_store_n(&vma->mm, NULL, __ATOMIC_RELEASE);
}

void vma_set_range(struct vma *vma, u64 start, u64 end, u64 pgoff)
{
    ASSERT(vma_is_write_locked(vma), "the shape of a VMA changes under its write lock");
    if (vma->object == NULL) {
        vma->pgoff = pgoff;
        vma_tree_resize(vma, start, end);
        return;
    }
    object_lock(vma->object);
    object_remove_vma(vma);
    vma->pgoff = pgoff;
    vma_tree_resize(vma, start, end);
    object_insert_vma(vma);
    object_unlock(vma->object);
}

void vma_set_flags(struct vma *vma, u64 flags)
{
    ASSERT(vma_is_write_locked(vma), "the flags of a VMA change under its write lock");
    ASSERT(((flags ^ vma->flags) & (VM_GROWSDOWN | VM_SHARED | VM_MAYWRITE)) == 0,
           "gaps and mapping counts rely on flags that never change");
    WRITE_ONCE(vma->flags, flags);
}

/* --- splitting and merging ------------------------------------------------------------------- */

/* Puts the upper part into the tree while the lower one gives up its range. Truncation must find
 * every page of the old VMA through one of the two, hence one hold of the object lock. */
static void split_ranges(struct mm *mm, struct vma *lower, struct vma *upper)
{
    struct vm_object *object = lower->object;

    mm->map_count++;
    if (object == NULL) {
        vma_tree_split(mm, lower, upper);
        return;
    }
    object_lock(object);
    object_remove_vma(lower);
    vma_tree_split(mm, lower, upper);
    object_insert_vma(lower);
    object_insert_vma(upper);
    object_unlock(object);
}

/* The opposite, for the same reason under one hold of the object lock. */
static void join_ranges(struct mm *mm, struct vma *lower, struct vma *upper)
{
    struct vm_object *object = lower->object;

    mm->map_count--;
    if (object == NULL) {
        vma_tree_absorb(mm, lower, upper);
        return;
    }
    object_lock(object);
    object_remove_vma(lower);
    object_remove_vma(upper);
    vma_tree_absorb(mm, lower, upper);
    object_insert_vma(lower);
    object_unlock(object);
}

int vma_split(struct mm *mm, struct vma *vma, u64 addr)
{
    struct vma_props props = vma_props_of(vma);
    struct vma *upper;

    ASSERT(addr > vma->start && addr < vma->end && PAGE_ALIGNED(addr),
           "a VMA is split at a page inside it");
    props.pgoff = vma_page_index(vma, addr);
    upper = vma_alloc(mm, addr, vma->end, &props);
    if (upper == NULL) {
        return -ENOMEM;
    }
    vma_write_lock(vma);
    if (vma->anon_vma != NULL) {
        anon_vma_clone(upper, vma);
    }
    split_ranges(mm, vma, upper);
    return 0;
}

bool vma_props_mergeable(const struct vma_props *lower, u64 lower_pages,
                         const struct vma_props *upper)
{
    return ((lower->flags ^ upper->flags) & ~VM_SOFTDIRTY) == 0 && lower->object == upper->object &&
           lower->file == upper->file && lower->uffd == upper->uffd &&
           lower->pgoff + lower_pages == upper->pgoff && (lower->flags & VM_SPECIAL) == 0 &&
           anon_vma_can_merge(lower->anon_vma, upper->anon_vma);
}

bool vma_can_merge(const struct vma *lower, const struct vma *upper)
{
    struct vma_props lower_props, upper_props;

    /* Most neighbours differ here; ask the rest only if they do not. */
    if (lower->end != upper->start || ((lower->flags ^ upper->flags) & ~VM_SOFTDIRTY) != 0) {
        return false;
    }
    lower_props = vma_props_of(lower);
    upper_props = vma_props_of(upper);
    return vma_props_mergeable(&lower_props, vma_nr_pages(lower), &upper_props);
}

/*
 * Makes the lower of two neighbours cover both, and frees the upper one, if they are alike.
 *
 * A fault under a VMA lock may give a VMA its anon_vma at any time, so that is asked about again
 * with both locked; all else changes under mmap_lock. Return: did they become one?
 */
static bool absorb_upper(struct mm *mm, struct vma *lower, struct vma *upper)
{
    if (!vma_can_merge(lower, upper)) {
        return false;
    }
    vma_write_lock(lower);
    vma_write_lock(upper);
    if (!anon_vma_can_merge(lower->anon_vma, upper->anon_vma)) {
        return false;
    }
    if (lower->anon_vma == NULL && upper->anon_vma != NULL) {
        anon_vma_clone(lower, upper);
    }
    if (upper->anon_vma != NULL) {
        anon_vma_unlink(upper);
    }
    lower->flags |= upper->flags & VM_SOFTDIRTY;
    join_ranges(mm, lower, upper);
    vma_free(upper);
    return true;
}

struct vma *vma_merge_around(struct vma *vma)
{
    struct mm *mm = vma->mm;
    struct vma *prev = vma_prev(vma);
    struct vma *next = vma_next(vma);

    if (prev != NULL && absorb_upper(mm, prev, vma)) {
        vma = prev;
    }
    if (next != NULL) {
        absorb_upper(mm, vma, next);
    }
    return vma;
}

/* May a fresh range continue, or be continued by, a VMA? Flags differ mostly; they are asked first.
 */
static bool can_follow(const struct vma *prev, const struct vma_props *props)
{
    struct vma_props other;

    if (((prev->flags ^ props->flags) & ~VM_SOFTDIRTY) != 0) {
        return false;
    }
    other = vma_props_of(prev);
    return vma_props_mergeable(&other, vma_nr_pages(prev), props);
}

static bool can_precede(const struct vma_props *props, u64 nr_pages, const struct vma *next)
{
    struct vma_props other;

    if (((next->flags ^ props->flags) & ~VM_SOFTDIRTY) != 0) {
        return false;
    }
    other = vma_props_of(next);
    return vma_props_mergeable(props, nr_pages, &other);
}

struct vma *vma_merge_new(struct mm *mm, struct vma *prev, struct vma *next, u64 start, u64 end,
                          const struct vma_props *props)
{
    if (prev != NULL && prev->end == start && can_follow(prev, props)) {
        vma_write_lock(prev);
        vma_set_range(prev, prev->start, end, prev->pgoff);
        WRITE_ONCE(prev->flags, prev->flags | (props->flags & VM_SOFTDIRTY));
        if (next != NULL) {
            absorb_upper(mm, prev, next);
        }
        return prev;
    }
    if (next != NULL && next->start == end &&
        can_precede(props, (end - start) >> PAGE_SHIFT, next)) {
        vma_write_lock(next);
        vma_set_range(next, start, next->end, props->pgoff);
        WRITE_ONCE(next->flags, next->flags | (props->flags & VM_SOFTDIRTY));
        return next;
    }
    return NULL;
}

int vma_isolate(struct mm *mm, struct vma **vma, u64 start, u64 end)
{
    struct vma *target = *vma;
    u32 nr_splits = (start > target->start) + (end < target->end);

    ASSERT(start >= target->start && end <= target->end && start < end,
           "a part of a VMA lies inside it");
    if (nr_splits > 0 && mm->map_count >= MAX_MAP_COUNT) {
        return -ENOMEM;
    }
    if (end < target->end && vma_split(mm, target, end) != 0) {
        return -ENOMEM;
    }
    if (start > target->start) {
        if (vma_split(mm, target, start) != 0) {
            vma_merge_around(target);
            return -ENOMEM;
        }
        target = vma_next(target);
    }
    vma_write_lock(target);
    *vma = target;
    return 0;
}
