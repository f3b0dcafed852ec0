/*
 * What the suites of kernel/mm share: mappings of the test's own address space, and a look at the
 * page behind an address of any address space.
 */
#ifndef TESTS_KERNEL_MM_TEST_H
#define TESTS_KERNEL_MM_TEST_H

#include <debug/ktest.h>
#include <mm/cursor.h>
#include <mm/fault.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/page.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/thread.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/signal.h>

/** test_map() - private anonymous memory; 0 if there is none. */
static inline u64 test_map_prot(u64 nr_pages, u32 prot)
{
    struct map_request req = {
        .len = nr_pages * PAGE_SIZE, .prot = prot, .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    u64 addr = 0;

    return mm_map(current_mm(), &req, &addr) == 0 ? addr : 0;
}

static inline u64 test_map(u64 nr_pages)
{
    return test_map_prot(nr_pages, PROT_READ | PROT_WRITE);
}

/** test_map_object() - a mapping of an object from its start; @sharing is MAP_SHARED or _PRIVATE.
 */
static inline u64 test_map_object(struct vm_object *object, u64 nr_pages, u32 sharing)
{
    struct map_request req = {.len = nr_pages * PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = sharing,
                              .object = object};
    u64 addr = 0;

    return mm_map(current_mm(), &req, &addr) == 0 ? addr : 0;
}

/** test_entry() - the entry behind an address; none without a table. */
static inline struct pte test_entry(struct mm *mm, u64 addr)
{
    struct pt_cursor cursor;

    return cursor_find(&cursor, mm, addr) ? cursor_pte(&cursor) : pte_none();
}

/** test_page() - the page that an address maps, or NULL. */
static inline struct page *test_page(struct mm *mm, u64 addr)
{
    struct pte entry = test_entry(mm, addr);

    return pte_is_present(entry) ? pfn_to_page(pte_pfn(entry)) : NULL;
}

static inline bool test_is_exclusive(struct mm *mm, u64 addr)
{
    struct page *page = test_page(mm, addr);

    return page != NULL && page_is_anon_exclusive(page);
}

/** test_peek() - the word at an address of any address space; all ones if it cannot be read. */
static inline u64 test_peek(struct mm *mm, u64 addr)
{
    u64 value;

    return mm_copy_remote(mm, addr, &value, sizeof(value), REMOTE_READ) == sizeof(value) ? value
                                                                                         : ~0ull;
}

/** test_poke() - write a word through any address space; false if it cannot be written. */
static inline bool test_poke(struct mm *mm, u64 addr, u64 value)
{
    return mm_copy_remote(mm, addr, &value, sizeof(value), REMOTE_WRITE) == sizeof(value);
}

/** test_fault() - one access, as the fault handler sees it. */
static inline enum fault_outcome test_fault(struct mm *mm, u64 addr, u32 flags)
{
    struct fault_info info;

    return handle_mm_fault(mm, addr, flags, &info);
}

#endif
