/*
 * What a pager hears of writes: WRITE_NOTIFY before a clean page is written through a mapping, and
 * WRITE_BACK to have what was written.
 *
 * PG_dirty of a page says that the pager was asked, and that it does not have the content. The
 * order of G1 is: to write, dirty first, then the writable entry; to clean, not dirty first, then
 * every entry read-only. So an installer that still finds the page dirty under the table's lock
 * enters its entry before the pass over the mappings, which takes the permission away again.
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/pager.h>
#include <mm/pager_internal.h>
#include <mm/shmem.h>
#include <mm/tlb.h>
#include <mm/vma.h>

bool object_tracks_writes(const struct vm_object *object)
{
    const struct pager *pager = object->pager;

    return pager != NULL && pager->mode == PAGER_TRACKS && !READ_ONCE(pager->is_settled);
}

/* --- WRITE_NOTIFY ---------------------------------------------------------------------------- */

static bool is_clean_at(struct vm_object *object, u64 index)
{
    const struct page *page;
    bool is_clean;

    rwsem_read_lock(&object->lock);
    page = radix_lookup(&object->pages, index);
    is_clean = page != NULL && !page_is_dirty(page);
    rwsem_read_unlock(&object->lock);
    return is_clean;
}

int object_announce_write(struct vm_object *object, u64 index)
{
    struct pager *pager = object->pager;
    struct page *page;
    int error;

    if (!object_tracks_writes(object) || !is_clean_at(object, index)) {
        return 0;
    }
    error = pager->ops->write_notify(pager->channel, index << PAGE_SHIFT);
    if (error != 0) {
        return error;
    }
    object_lock(object);
    page = radix_lookup(&object->pages, index);
    if (page != NULL && !page_is_dirty(page)) {
        page_set_dirty(page);
    }
    object_unlock(object);
    return 0;
}

/* --- WRITE_BACK ------------------------------------------------------------------------------ */

/* Neighbouring pages on their way to the pager. */
struct hand_over {
    u64 first;
    u32 nr_pages;
    struct page *pages[PAGER_WINDOW_PAGES]; /* referenced */
};

static struct atomic_u64 nr_protect_steps; /* in debug builds */

u64 object_nr_protect_steps(void)
{
    return atomic_u64_load(&nr_protect_steps);
}

/* Makes the entries of one mapping read-only and clean, where they map a page that is handed over.
 */
static void protect_mapping(const struct vma *vma, u64 low, u64 high, struct tlb_batch *batch)
{
    struct pt_cursor cursor;

    if (!cursor_first(&cursor, vma->mm, low, high)) {
        return;
    }
    do {
        u64 table_end = cursor_table_end(&cursor, high);

        cursor_lock(&cursor);
        while (cursor.addr < table_end) {
            struct pte entry = cursor_pte(&cursor);
            const struct page *page = pte_is_present(entry) ? pte_page(entry) : NULL;

            if (page != NULL && !page_is_anon(page) &&
                (pte_is_writable(entry) || pte_is_dirty(entry))) {
                if (!cursor_replace(&cursor, entry, pte_without_write(pte_without_dirty(entry)))) {
                    continue; /* The processor has just set a bit. */
                }
                tlb_batch_add_range(batch, cursor.addr, cursor.addr + PAGE_SIZE);
            }
            cursor_step(&cursor);
        }
        cursor_unlock(&cursor);
    } while (cursor_resume(&cursor, high));
}

/* After this no processor writes to the pages without a fault (I8). Object lock held. */
static void protect_mappings(struct vm_object *object, u64 first, u64 end)
{
    struct interval_node *node;
    struct tlb_batch batch;

    interval_tree_for_each (node, &object->mappings, first, end) {
        struct vma *vma = container_of(node, struct vma, object_node);
        u64 low = vma->start + ((max(first, node->start) - vma->pgoff) << PAGE_SHIFT);
        u64 high = vma->start + ((min(end, node->end) - vma->pgoff) << PAGE_SHIFT);

        if (DEBUG_ENABLED) {
            atomic_u64_add(&nr_protect_steps, 1);
        }
        if (vma->flags & VM_SHARED) {
            tlb_batch_begin(&batch, vma->mm);
            protect_mapping(vma, low, high, &batch);
            tlb_batch_finish(&batch);
        }
    }
}

/* Takes the first run of written pages at or above @index. Object lock held. */
static void collect(struct vm_object *object, u64 index, u64 end, struct hand_over *over)
{
    struct page *page = radix_next(&object->pages, &index);

    while (page != NULL && index < end && !page_is_dirty(page)) {
        index++;
        page = radix_next(&object->pages, &index);
    }
    over->first = index;
    over->nr_pages = 0;
    end = min(end, index + PAGER_WINDOW_PAGES);
    while (page != NULL && index < end && page_is_dirty(page)) {
        page_get(page);
        page_clear_dirty(page);
        over->pages[over->nr_pages++] = page;
        index++;
        page = radix_lookup(&object->pages, index);
    }
    explore_point(EXPLORE_COUNT);
    if (over->nr_pages == 0) {
        return;
    }
    protect_mappings(object, over->first, over->first + over->nr_pages);
}

/* What the pager did not take is as written as before. */
static void give_back(struct vm_object *object, struct hand_over *over, u32 nr_taken)
{
    object_lock(object);
    for (u32 i = 0; i < over->nr_pages; i++) {
        struct page *page = over->pages[i];

        if (i >= nr_taken && object_owns_page(object, over->first + i, page) &&
            !page_is_dirty(page)) {
            page_set_dirty(page);
        }
    }
    object_unlock(object);
    for (u32 i = 0; i < over->nr_pages; i++) {
        page_put(over->pages[i]);
    }
}

static int hand_over(struct vm_object *object, struct hand_over *over, u64 size)
{
    struct pager *pager = object->pager;
    u64 offset = over->first << PAGE_SHIFT;
    u64 len = min((u64)over->nr_pages << PAGE_SHIFT, size - offset);
    s64 taken = pager->ops->write_back(pager->channel, offset, over->pages, over->nr_pages, len);
    u32 nr_taken = 0;

    if (taken > (s64)len || taken == 0) {
        taken = -EIO;
    }
    if (taken > 0) {
        nr_taken = taken == (s64)len ? over->nr_pages : (u32)((u64)taken >> PAGE_SHIFT);
        taken = nr_taken == 0 ? -EIO : 0;
    }
    give_back(object, over, nr_taken);
    over->first += nr_taken;
    return (int)taken;
}

/* Only one thread hands pages over, so that whoever comes second waits for what is on its way. */
static int begin_write_back(struct vm_object *object)
{
    struct pager *pager = object->pager;

    for (;;) {
        bool is_busy;
        u64 round;
        int error;

        object_lock(object);
        round = pager->nr_rounds;
        is_busy = pager->is_writing_back;
        pager->is_writing_back = true;
        object_unlock(object);
        if (!is_busy) {
            return 0;
        }
        error = pager_await_round(pager, round);
        if (error != 0) {
            return error;
        }
    }
}

static void end_write_back(struct vm_object *object)
{
    object_lock(object);
    object->pager->is_writing_back = false;
    object_unlock(object);
    pager_round_ended(object->pager);
}

int object_write_back(struct vm_object *object, u64 start, u64 end)
{
    u64 index = start >> PAGE_SHIFT;
    int error = 0;

    if (!object_tracks_writes(object)) {
        return 0;
    }
    error = begin_write_back(object);
    if (error != 0) {
        return error;
    }
    while (error == 0) {
        struct hand_over over;
        u64 size;

        object_lock(object);
        size = object->size;
        collect(object, index, min(DIV_ROUND_UP(end, PAGE_SIZE), object_size_in_pages(object)),
                &over);
        object_unlock(object);
        if (over.nr_pages == 0) {
            break;
        }
        error = hand_over(object, &over, size);
        index = over.first;
    }
    end_write_back(object);
    return error;
}
