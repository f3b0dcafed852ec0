/*
 * The extent of memory objects: truncation, holes, allocation in advance, and where data is.
 *
 * Pages go in this order, under one hold of the object lock: the size shrinks, so nobody makes new
 * ones; the pages are disowned; every mapping is zapped and flushed; then the references are
 * dropped. Read next: object_io.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/page.h>
#include <mm/pager.h>
#include <mm/shmem.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <mm/zap.h>
#include <proc/sched.h>

/* The last byte of a file has an offset that fits a loff_t. */
#define OBJECT_MAX_SIZE ((u64)S64_MAX)

static struct atomic_u64 nr_zap_steps; /* in debug builds */

u64 object_nr_zap_steps(void)
{
    return atomic_u64_load(&nr_zap_steps);
}

void object_zap_mappings(struct vm_object *object, u64 first, u64 end, enum object_zap what)
{
    struct interval_node *node;
    struct tlb_batch batch;

    ASSERT(rwsem_is_write_held(&object->lock), "O1: no mapping comes or goes during the zap");
    /* A full barrier: an installer whose table the zap does not see yet finds the new number. */
    atomic_u64_fetch_add(&object->generation, 1);
    interval_tree_for_each (node, &object->mappings, first, end) {
        struct vma *vma = container_of(node, struct vma, object_node);
        u64 low = vma->start + ((max(first, node->start) - vma->pgoff) << PAGE_SHIFT);
        u64 high = vma->start + ((min(end, node->end) - vma->pgoff) << PAGE_SHIFT);

        if (DEBUG_ENABLED) {
            atomic_u64_add(&nr_zap_steps, 1);
        }
        tlb_batch_begin(&batch, vma->mm);
        if (what == OBJECT_ZAP_ALL) {
            zap_keeping_markers(vma, low, high, &batch);
        } else {
            zap_file_pages(vma, low, high, &batch);
        }
        tlb_batch_finish(&batch);
    }
}

/* Removes whole pages [first, end). */
static void remove_pages(struct vm_object *object, u64 first, u64 end, enum object_zap what)
{
    struct list_node removed = LIST_INIT(removed);

    object->ops->disown_pages(object, first, end, &removed);
    object_zap_mappings(object, first, end, what);
    shmem_put_pages(&removed);
}

static int truncate_locked(struct vm_object *object, u64 size)
{
    if ((size < object->size && (object->seals & OBJECT_SEAL_SHRINK)) ||
        (size > object->size && (object->seals & OBJECT_SEAL_GROW))) {
        return -EPERM;
    }
    if (size < object->size || (size == object->size && object->kept_end != 0)) {
        WRITE_ONCE(object->size, size);
        object->kept_end = 0;
        remove_pages(object, DIV_ROUND_UP(size, PAGE_SIZE), U64_MAX, OBJECT_ZAP_ALL);
        if (PAGE_OFFSET(size) != 0) {
            shmem_zero_part(object, size >> PAGE_SHIFT, PAGE_OFFSET(size), PAGE_SIZE);
        }
        return 0;
    }
    /* What a mapping wrote behind the end must not become part of the file. */
    if (PAGE_OFFSET(object->size) != 0) {
        shmem_zero_part(object, object->size >> PAGE_SHIFT, PAGE_OFFSET(object->size), PAGE_SIZE);
    }
    WRITE_ONCE(object->size, size);
    return 0;
}

int object_truncate(struct vm_object *object, u64 size)
{
    int error;

    if (size > OBJECT_MAX_SIZE) {
        return -EFBIG;
    }
    mutex_lock(&object->io_lock);
    object_lock(object);
    error = truncate_locked(object, size);
    object_unlock(object);
    mutex_unlock(&object->io_lock);
    return error;
}

static int punch_locked(struct vm_object *object, u64 start, u64 end)
{
    u64 first = DIV_ROUND_UP(start, PAGE_SIZE);
    u64 last = end >> PAGE_SHIFT;

    if (object->seals & (OBJECT_SEAL_WRITE | OBJECT_SEAL_FUTURE_WRITE)) {
        return -EPERM;
    }
    if (first > last) {
        /* Both ends lie in one page. */
        shmem_zero_part(object, last, PAGE_OFFSET(start), PAGE_OFFSET(end));
        return 0;
    }
    if (PAGE_OFFSET(start) != 0) {
        shmem_zero_part(object, start >> PAGE_SHIFT, PAGE_OFFSET(start), PAGE_SIZE);
    }
    shmem_zero_part(object, last, 0, PAGE_OFFSET(end));
    if (first < last) {
        remove_pages(object, first, last, OBJECT_ZAP_FILE_PAGES);
    }
    return 0;
}

/* The pages stay where they are, so nothing has to be told of it. io_lock held. */
static int zero_granted(struct vm_object *object, u64 start, u64 end)
{
    end = min(end, DIV_ROUND_UP(object_size(object), PAGE_SIZE) * PAGE_SIZE);
    while (start < end) {
        u64 len = min(end - start, PAGE_SIZE - PAGE_OFFSET(start));
        struct page *page;
        int error = object_get_page(object, start >> PAGE_SHIFT, OBJECT_FIND, &page);

        if (error == 0) {
            memset((u8 *)page_to_virt(page) + PAGE_OFFSET(start), 0, len);
            page_put(page);
        } else if (error != -ENOENT) {
            return error;
        }
        start += len;
        sched_point();
    }
    return 0;
}

int object_punch_hole(struct vm_object *object, u64 start, u64 end)
{
    int error;

    if (end > OBJECT_MAX_SIZE) {
        return -EFBIG;
    }
    if (start >= end) {
        return -EINVAL;
    }
    if (object_has_pager(object) && !PAGE_ALIGNED(start | end)) {
        return -EINVAL; /* Whole pages are forgotten, to be brought in anew. */
    }
    mutex_lock(&object->io_lock);
    if (object->ops->is_granted) {
        error = zero_granted(object, start, end);
    } else {
        object_lock(object);
        error = punch_locked(object, start, end);
        object_unlock(object);
    }
    mutex_unlock(&object->io_lock);
    return error;
}

int object_revoke(struct vm_object *object, u64 start, u64 end)
{
    if (object->kind != OBJECT_DIRECT || !PAGE_ALIGNED(start | end) || start >= end) {
        return -EINVAL;
    }
    mutex_lock(&object->io_lock);
    object_lock(object);
    remove_pages(object, start >> PAGE_SHIFT, end >> PAGE_SHIFT, OBJECT_ZAP_FILE_PAGES);
    object_unlock(object);
    mutex_unlock(&object->io_lock);
    return 0;
}

/* Makes the pages of [start, end) bytes. */
static int populate_pages(struct vm_object *object, u64 start, u64 end)
{
    u64 last = DIV_ROUND_UP(end, PAGE_SIZE);
    const struct object_ops *ops = object->ops;

    for (u64 index = start >> PAGE_SHIFT; index < last; index++) {
        struct page *page;
        int error = ops->reserve_page != NULL ? ops->reserve_page(object, index, &page)
                                              : ops->grow_page(object, index, &page);

        if (error != 0) {
            return error;
        }
        /* What was asked for must not be given up again for want of contents. */
        if (!page_is_dirty(page)) {
            page_set_dirty(page);
        }
        page_put(page);
    }
    return 0;
}

static int allocate_io_locked(struct vm_object *object, u64 start, u64 end,
                              enum object_allocate_mode mode)
{
    bool grows = mode == OBJECT_ALLOCATE_GROW && end > object->size;
    int error;

    /* Also for pages that are kept for later, behind the size. */
    if (end > object->size && (object->seals & OBJECT_SEAL_GROW)) {
        return -EPERM;
    }
    if (!grows && object->kind != OBJECT_SHMEM) {
        /* What is behind the end of others is not zero. */
        end = min(end, object->size);
    }
    error = start < end ? populate_pages(object, start, end) : 0;
    object_lock(object);
    if (error == 0 && grows) {
        error = truncate_locked(object, end);
    } else if (error == 0 && end > object->size) {
        object->kept_end = max(object->kept_end, DIV_ROUND_UP(end, PAGE_SIZE));
    } else if (error != 0 && end > object->size) {
        remove_pages(object, max(object->kept_end, DIV_ROUND_UP(object->size, PAGE_SIZE)), U64_MAX,
                     OBJECT_ZAP_ALL);
    }
    object_unlock(object);
    return error;
}

int object_allocate(struct vm_object *object, u64 start, u64 end, enum object_allocate_mode mode)
{
    int error;

    if (end > OBJECT_MAX_SIZE) {
        return -EFBIG;
    }
    if (start >= end) {
        return -EINVAL;
    }
    mutex_lock(&object->io_lock);
    error = allocate_io_locked(object, start, end, mode);
    mutex_unlock(&object->io_lock);
    return error;
}

/* The first index at or above one that has no used page. Object lock held. */
static u64 next_hole(struct vm_object *object, u64 index)
{
    u64 expected = index;

    while (object->ops->next_data(object, &index) && index == expected) {
        expected++;
        index = expected;
    }
    return expected;
}

int object_seek_data(struct vm_object *object, u64 offset, u64 *out)
{
    u64 index = offset >> PAGE_SHIFT;
    int error = -ENXIO;

    rwsem_read_lock(&object->lock);
    if (offset < object->size && object->ops->next_data(object, &index) &&
        (index << PAGE_SHIFT) < object->size) {
        *out = max(offset, index << PAGE_SHIFT);
        error = 0;
    }
    rwsem_read_unlock(&object->lock);
    return error;
}

int object_seek_hole(struct vm_object *object, u64 offset, u64 *out)
{
    int error = -ENXIO;

    rwsem_read_lock(&object->lock);
    if (offset < object->size) {
        u64 hole = next_hole(object, offset >> PAGE_SHIFT) << PAGE_SHIFT;

        *out = min(max(offset, hole), object->size);
        error = 0;
    }
    rwsem_read_unlock(&object->lock);
    return error;
}
