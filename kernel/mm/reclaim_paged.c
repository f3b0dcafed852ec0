/*
 * Taking back clean pages of objects whose pagers can bring them in again, when memory is short.
 *
 * L3. A page goes only if it is clean and the tree's reference is its last one. It loses its owner
 *     first, under the object lock: whoever finds it without that lock and takes a reference
 *     afterwards sees that it is nobody's, and whoever took one before is counted. Then its entries
 *     go, which may make it dirty, and only then the count and PG_dirty are looked at.
 * L4. Locked memory keeps its pages. mmap_lock of whoever maps a page is held while its entry goes,
 *     so that nothing becomes locked meanwhile.
 *
 * Pages that nobody maps go first. The others are taken in turn, object by object and index by
 * index, so that the same ones do not come and go all the time. Nothing is waited for: the thread
 * that needs memory may hold any sleeping lock, and what is locked is passed over.
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/pager_internal.h>
#include <mm/reclaim.h>
#include <mm/shmem.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <mm/zap.h>
#include <proc/mutex.h>

enum reclaim_kind { RECLAIM_UNMAPPED, RECLAIM_MAPPED };

/* All pagers, the one to begin with first. A pager that is listed has its object. */
static struct mutex pagers_lock = MUTEX_INIT(pagers_lock, RANK_MUTEX_INNER);
static struct list_node pagers = LIST_INIT(pagers);

void reclaim_add_pager(struct pager *pager)
{
    mutex_lock(&pagers_lock);
    list_add_tail(&pagers, &pager->reclaim_link);
    mutex_unlock(&pagers_lock);
}

void reclaim_remove_pager(struct pager *pager)
{
    mutex_lock(&pagers_lock);
    list_del(&pager->reclaim_link);
    mutex_unlock(&pagers_lock);
}

/* Object lock held. Return: false if a mapping keeps the page. (L4) */
static bool unmap_from(struct vma *vma, u64 index) NO_THREAD_SAFETY_ANALYSIS
{
    u64 addr = vma->start + ((index - vma->pgoff) << PAGE_SHIFT);
    bool is_locked;

    if (!rwsem_read_trylock(&vma->mm->mmap_lock)) {
        return false;
    }
    is_locked = (vma->flags & VM_LOCKED) != 0;
    if (!is_locked) {
        struct tlb_batch batch;

        tlb_batch_begin(&batch, vma->mm);
        zap_file_pages(vma, addr, addr + PAGE_SIZE, &batch);
        tlb_batch_finish(&batch);
    }
    mm_read_unlock(vma->mm);
    return !is_locked;
}

static bool unmap_everywhere(struct vm_object *object, u64 index)
{
    struct interval_node *node;

    interval_tree_for_each (node, &object->mappings, index, index + 1) {
        if (!unmap_from(container_of(node, struct vma, object_node), index)) {
            return false;
        }
    }
    return true;
}

/* Object lock held for writing. (L3) */
static bool take_page(struct vm_object *object, u64 index, struct page *page,
                      enum reclaim_kind kind)
{
    u32 nr_mappings = (u32)page_mapcount(page);
    bool is_taken = true;

    if (page_is_dirty(page) || page_refcount(page) != 1 + nr_mappings ||
        (kind == RECLAIM_UNMAPPED && nr_mappings != 0)) {
        return false;
    }
    shmem_hide_page(page);
    explore_point(EXPLORE_COUNT);
    if (nr_mappings != 0) {
        is_taken = unmap_everywhere(object, index);
        explore_point(EXPLORE_COUNT);
    }
    if (is_taken && page_refcount(page) == 1 && !page_is_dirty(page)) {
        shmem_drop_hidden_page(object, index, page);
        return true;
    }
    shmem_show_page(object, page);
    return false;
}

/* From the hand on to the end. Return: pages taken. Object lock held for writing. */
static u64 take_round(struct vm_object *object, u64 nr_wanted, enum reclaim_kind kind)
{
    struct pager *pager = object->pager;
    u64 nr_taken = 0;
    struct page *page;

    while (nr_taken < nr_wanted &&
           (page = radix_next(&object->pages, &pager->reclaim_next)) != NULL) {
        nr_taken += take_page(object, pager->reclaim_next, page, kind);
        pager->reclaim_next++;
    }
    return nr_taken;
}

static u64 take_from(struct pager *pager, u64 nr_wanted,
                     enum reclaim_kind kind) NO_THREAD_SAFETY_ANALYSIS
{
    struct vm_object *object = pager->object;
    u64 nr_taken = 0;

    if (!rwsem_write_trylock(&object->lock)) {
        return 0;
    }
    if (!pager->is_settled && !pager->keeps_pages) {
        nr_taken = take_round(object, nr_wanted, kind);
        if (nr_taken < nr_wanted) {
            pager->reclaim_next = 0;
            nr_taken += take_round(object, nr_wanted - nr_taken, kind);
        }
    }
    rwsem_write_unlock(&object->lock);
    return nr_taken;
}

static u64 take_from_all(u64 nr_wanted, enum reclaim_kind kind) REQUIRES(&pagers_lock)
{
    u64 nr_taken = 0;
    struct pager *pager;

    list_for_each_entry (pager, &pagers, reclaim_link) {
        nr_taken += take_from(pager, nr_wanted - nr_taken, kind);
        if (nr_taken == nr_wanted) {
            break;
        }
    }
    return nr_taken;
}

u64 reclaim_paged(u64 nr_wanted) NO_THREAD_SAFETY_ANALYSIS
{
    u64 nr_taken;

    if (list_is_empty(&pagers) || !mutex_trylock(&pagers_lock)) {
        return 0;
    }
    nr_taken = take_from_all(nr_wanted, RECLAIM_UNMAPPED);
    if (nr_taken == 0) {
        nr_taken = take_from_all(nr_wanted, RECLAIM_MAPPED);
    }
    if (!list_is_empty(&pagers)) {
        struct list_node *first = pagers.next;

        list_del(first);
        list_add_tail(&pagers, first);
    }
    mutex_unlock(&pagers_lock);
    return nr_taken;
}
