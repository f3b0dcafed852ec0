/*
 * The checks of the frame allocator's rules (F1 to F4 in frames.c), for mm/verify.c and the tests.
 */
#include <arch/cpu.h>
#include <mm/frames.h>
#include <mm/frames_internal.h>

static u64 verify_order(u32 order)
{
    struct page *page;
    u64 count = 0;

    list_for_each_entry (page, &frame_pool.free[order], buddy_link) {
        struct page *buddy = pfn_to_page(page_to_pfn(page) ^ BIT(order));

        ASSERT(atomic_u32_load(&page->flags) == BIT(PG_buddy) && page->order == order,
               "F3: the first page of a free block says so");
        ASSERT(IS_ALIGNED(page_to_pfn(page), BIT(order)), "F2: a block is aligned to its size");
        ASSERT(order == MAX_PAGE_ORDER || !page_is_buddy(buddy) || buddy->order != order,
               "F2: two free buddies are one block");
        for (u32 i = 0; i < 1U << order; i++) {
            ASSERT(page_refcount(page + i) == 0 && page_mapcount(page + i) == 0 &&
                       page_pincount(page + i) == 0,
                   "F4: a free frame has no references, mappings or pins");
            ASSERT(i == 0 || atomic_u32_load(&page[i].flags) == 0,
                   "F3: the other pages of a free block have no flags");
        }
        count += BIT(order);
    }
    return count;
}

static void verify_chain(const struct frame_chain *chain)
{
    const struct page *page = chain->head;

    for (u32 left = chain->count; left > 0; left--) {
        ASSERT(page != NULL, "F1: a chain is as long as its count");
        ASSERT(atomic_u32_load(&page->flags) == BIT(PG_cached) && page_refcount(page) == 0,
               "F1: a frame on a chain is nowhere else");
        page = page->next_free;
    }
    ASSERT(page == NULL, "F1: a chain is as long as its count");
}

void frames_verify(void)
{
    u64 count = 0;

    spin_lock(&frame_pool.lock);
    for (u32 order = 0; order < NR_PAGE_ORDERS; order++) {
        count += verify_order(order);
    }
    ASSERT(count == frame_pool.nr_free, "F1: the number of free frames is exact");
    count = 0;
    for (struct page *page = frame_pool.depot; page != NULL; page = page->next_chain) {
        verify_chain(&(struct frame_chain){.head = page, .count = frame_pool.chain_frames});
        count++;
    }
    ASSERT(count == frame_pool.nr_depot, "F1: the number of chains in the depot is exact");
    spin_unlock(&frame_pool.lock);

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        verify_chain(&cpu_frames[cpu].current);
        verify_chain(&cpu_frames[cpu].other);
        verify_chain(&cpu_frames[cpu].zeroed);
    }
}
