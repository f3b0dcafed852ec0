#ifndef MM_GUP_INTERNAL_H
#define MM_GUP_INTERNAL_H

#include <lib/compiler.h>
#include <mm/gup.h>
#include <mm/page.h>
#include <mm/mm.h>

/*
 * Shared by gup.c (any address space, with locks), gup_fast.c (the current one, without) and
 * remote_copy.c.
 */

enum gup_mode { GUP_GET, GUP_PIN };

/* Not for callers outside: the access stands for one of the owner's own, so a stack may grow. */
#define FOLL_GROW_STACK (1u << 24)

struct gup_request {
    struct mm *mm;
    u64 start;    /* page aligned */
    u64 nr_pages; /* gup_slow() clips it to TASK_SIZE */
    u32 flags;    /* enum foll_flag, FOLL_GROW_STACK */
    enum gup_mode mode;
    struct page **pages; /* out */
};

/**
 * gup_slow() - take the pages of a request, faulting them in.
 * @request: may lose the pages that lie beyond TASK_SIZE
 *
 * Return: as pin_user_pages().
 */
MUST_CHECK s64 gup_slow(struct gup_request *request);

/**
 * gup_fast() - take as many pages of a request as are mapped, without a lock.
 * Return: how many from the start on; 0 may mean that fork is at work.
 */
u64 gup_fast(const struct gup_request *request);

/** gup_note_pinner() - from now on fork of @mm looks at pin counts (J17). Before the first pin. */
static inline void gup_note_pinner(struct mm *mm, enum gup_mode mode)
{
    if (mode == GUP_PIN && atomic_u32_load(&mm->has_pinned) == 0) {
        atomic_u32_store(&mm->has_pinned, 1);
        memory_barrier();
    }
}

/** gup_take() - count one holder more. A pin of the zero page is not counted (J2). */
static inline void gup_take(struct page *page, enum gup_mode mode)
{
    if (mode == GUP_GET) {
        page_get(page);
    } else if (!page_is_zero(page)) {
        page_get(page);
        atomic_u32_add(&page->pincount, 1);
    }
}

#endif
