/*
 * What is in memory: mincore(2). A page counts if an entry maps it, or if the object behind the
 * address holds it.
 */
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/page.h>
#include <mm/vma.h>

static bool object_has_page(const struct vma *vma, u64 addr)
{
    struct page *page;

    if (vma->object == NULL ||
        object_get_page(vma->object, vma_page_index(vma, addr), OBJECT_FIND, &page) != 0) {
        return false;
    }
    page_put(page);
    return true;
}

static bool page_is_in_core(const struct vma *vma, u64 addr)
{
    struct pt_cursor cursor;

    if (cursor_find(&cursor, vma->mm, addr)) {
        struct pte pte = cursor_pte(&cursor);

        if (!pte_is_none(pte)) {
            return pte_is_present(pte);
        }
    }
    return object_has_page(vma, addr);
}

int mm_incore(struct mm *mm, u64 addr, u64 nr_pages, u8 *vec)
{
    struct vma *vma;
    int error = 0;

    mm_read_lock(mm);
    vma = vma_find(mm, addr);
    for (u64 i = 0; i < nr_pages; i++, addr += PAGE_SIZE) {
        if (vma != NULL && addr >= vma->end) {
            vma = vma_next(vma);
        }
        if (vma == NULL || addr < vma->start) {
            error = -ENOMEM;
            break;
        }
        vec[i] = page_is_in_core(vma, addr) ? 1 : 0;
    }
    mm_read_unlock(mm);
    return error;
}
