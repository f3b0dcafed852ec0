/*
 * What is in memory: mincore(2). A page counts if an entry maps it, or if none does and the object
 * behind the address holds it and it is more than reserved. A marker is an entry without a page, as
 * none is.
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
    bool is_used;

    if (vma->object == NULL ||
        object_get_page(vma->object, vma_page_index(vma, addr), OBJECT_FIND, &page) != 0) {
        return false;
    }
    is_used = page_is_uptodate(page);
    page_put(page);
    return is_used;
}

/* One byte a page of [addr, end), which one table serves if there is one. */
static void look_below_table(const struct vma *vma, u64 addr, u64 end, u8 *vec)
{
    struct pt_cursor cursor;

    if (!cursor_find(&cursor, vma->mm, addr)) {
        for (; addr < end; addr += PAGE_SIZE) {
            *vec++ = object_has_page(vma, addr);
        }
        return;
    }
    /* A copy of the cursor, which the compiler keeps in registers. */
    for (struct pt_cursor at = cursor; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        *vec++ = likely(pte_is_present(entry)) || object_has_page(vma, at.addr);
    }
}

static void look_in_vma(const struct vma *vma, u64 addr, u64 end, u8 *vec)
{
    while (addr < end) {
        u64 table_end = min(ALIGN_DOWN(addr, pt_level_size(1)) + pt_level_size(1), end);

        look_below_table(vma, addr, table_end, vec);
        vec += (table_end - addr) >> PAGE_SHIFT;
        addr = table_end;
    }
}

int mm_incore(struct mm *mm, u64 addr, u64 nr_pages, u8 *vec)
{
    u64 end = addr + (nr_pages << PAGE_SHIFT);
    struct vma *vma;
    int error = 0;

    mm_read_lock(mm);
    vma = vma_find(mm, addr);
    while (addr < end && error == 0) {
        if (vma == NULL || addr < vma->start) {
            error = -ENOMEM;
        } else {
            u64 part_end = min(vma->end, end);

            look_in_vma(vma, addr, part_end, vec);
            vec += (part_end - addr) >> PAGE_SHIFT;
            addr = part_end;
            vma = vma_next(vma);
        }
    }
    mm_read_unlock(mm);
    return error;
}
