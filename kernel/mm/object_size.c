/*
 * The extent of memory objects: truncation, holes, allocation in advance, and where data is.
 *
 * Pages go in this order, under one hold of the object lock: the size shrinks, so nobody makes new
 * ones; the pages are disowned; every mapping is zapped and flushed; then the references are
 * dropped. Read next: object_io.c.
 */
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/page.h>
#include <mm/shmem.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <mm/zap.h>

/* The last byte of a file has an offset that fits a loff_t. */
#define OBJECT_MAX_SIZE ((u64)S64_MAX)

/* A zap of one VMA: with its private copies, or without. */
typedef void (*zap_function)(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch);

/* Takes the pages [first, end) out of every address space. Object lock held for writing. */
static void zap_mappings(struct vm_object *object, u64 first, u64 end, zap_function zap)
{
    struct interval_node *node;
    struct tlb_batch batch;

    interval_tree_for_each (node, &object->mappings, first, end) {
        struct vma *vma = container_of(node, struct vma, object_node);
        u64 low = max(first, node->start);
        u64 high = min(end, node->end);

        tlb_batch_begin(&batch, vma->mm);
        zap(vma, vma->start + ((low - vma->pgoff) << PAGE_SHIFT),
            vma->start + ((high - vma->pgoff) << PAGE_SHIFT), &batch);
        tlb_batch_finish(&batch);
    }
}

/* Removes whole pages [first, end), private copies in their place too if zap says so. */
static void remove_pages(struct vm_object *object, u64 first, u64 end, zap_function zap)
{
    struct list_node removed = LIST_INIT(removed);

    shmem_disown_pages(object, first, end, &removed);
    zap_mappings(object, first, end, zap);
    shmem_put_pages(&removed);
}

static int truncate_locked(struct vm_object *object, u64 size)
{
    if ((size < object->size && (object->seals & OBJECT_SEAL_SHRINK)) ||
        (size > object->size && (object->seals & OBJECT_SEAL_GROW))) {
        return -EPERM;
    }
    if (size < object->size) {
        WRITE_ONCE(object->size, size);
        remove_pages(object, DIV_ROUND_UP(size, PAGE_SIZE), U64_MAX, zap_range);
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
        remove_pages(object, first, last, zap_file_pages);
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
    mutex_lock(&object->io_lock);
    object_lock(object);
    error = punch_locked(object, start, end);
    object_unlock(object);
    mutex_unlock(&object->io_lock);
    return error;
}

/* Makes the pages of [start, end) bytes. */
static int populate_pages(struct vm_object *object, u64 start, u64 end)
{
    u64 last = DIV_ROUND_UP(end, PAGE_SIZE);

    for (u64 index = start >> PAGE_SHIFT; index < last; index++) {
        struct page *page;
        int error = shmem_grow_page(object, index, &page);

        if (error != 0) {
            return error;
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

    if (grows && (object->seals & OBJECT_SEAL_GROW)) {
        return -EPERM;
    }
    if (!grows) {
        /* Pages behind the end would be of no use to anybody. */
        end = min(end, object->size);
    }
    error = start < end ? populate_pages(object, start, end) : 0;
    object_lock(object);
    if (error == 0 && grows) {
        error = truncate_locked(object, end);
    } else if (error != 0 && grows) {
        remove_pages(object, DIV_ROUND_UP(object->size, PAGE_SIZE), U64_MAX, zap_range);
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

/* The first index at or above one that has no page. Object lock held. */
static u64 next_hole(struct vm_object *object, u64 index)
{
    u64 expected = index;

    while (radix_next(&object->pages, &index) != NULL && index == expected) {
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
    if (offset < object->size && radix_next(&object->pages, &index) != NULL &&
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
