/*
 * What the suites of userfaultfd share: contexts of the test's own address space, memory of each
 * kind, entries by their state, and a thread that touches memory and may have to wait for it.
 */
#ifndef TESTS_KERNEL_UFFD_TEST_H
#define TESTS_KERNEL_UFFD_TEST_H

#include <arch/cpu.h>
#include <arch/thread.h>
#include <lib/errno.h>
#include <mm/uffd_internal.h>
#include <proc/sched.h>
#include <proc/waitqueue.h>
#include "mm_test.h"

#define MISSING VM_UFFD_MISSING
#define WP      VM_UFFD_WP
#define MINOR   VM_UFFD_MINOR

/* --- memory ----------------------------------------------------------------------------------- */

enum memory { ANON, SHMEM_PRIVATE, SHMEM_SHARED, NR_MEMORIES };

struct region {
    enum memory kind;
    u64 addr;
    u64 nr_pages;
    struct vm_object *object; /* NULL for ANON */
};

static inline struct region region_make(enum memory kind, u64 nr_pages)
{
    struct region region = {.kind = kind, .nr_pages = nr_pages};

    if (kind == ANON) {
        region.addr = test_map(nr_pages);
    } else {
        EXPECT_OK(object_create_shmem(nr_pages * PAGE_SIZE, &region.object));
        region.addr = test_map_object(region.object, nr_pages,
                                      kind == SHMEM_SHARED ? MAP_SHARED : MAP_PRIVATE);
    }
    EXPECT_NE(0, region.addr);
    return region;
}

static inline void region_drop(struct region *region)
{
    EXPECT_OK(mm_unmap(current_mm(), region->addr, region->nr_pages * PAGE_SIZE));
    if (region->object != NULL) {
        object_put(region->object);
    }
}

/** source_page() - mapped memory with a word in each page, to copy from; dropped with its test. */
static inline u64 source_pages(u64 nr_pages, u64 word)
{
    u64 addr = test_map(nr_pages);

    for (u64 i = 0; i < nr_pages; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, word));
    }
    return addr;
}

/* --- contexts --------------------------------------------------------------------------------- */

/** uffd_make() - a context of the test's address space; uffd_release() is its end. */
static inline struct uffd_ctx *uffd_make(u64 features)
{
    struct uffd_ctx *ctx = NULL;

    EXPECT_OK(uffd_create(current_mm(), 0, &ctx));
    EXPECT_OK(uffd_enable(ctx, features));
    return ctx;
}

static inline int uffd_watch(struct uffd_ctx *ctx, u64 addr, u64 nr_pages, u64 vm_flags)
{
    return uffd_register(ctx, addr, addr + nr_pages * PAGE_SIZE, vm_flags);
}

static inline s64 uffd_copy(struct uffd_ctx *ctx, u64 dst, u64 src, u64 nr_pages)
{
    struct uffd_fill fill = {
        .kind = UFFD_FILL_COPY, .dst = dst, .src = src, .len = nr_pages * PAGE_SIZE};

    return uffd_fill(ctx, &fill);
}

static inline s64 uffd_enter(struct uffd_ctx *ctx, enum uffd_fill_kind kind, u64 dst, u64 nr_pages)
{
    struct uffd_fill fill = {.kind = kind, .dst = dst, .len = nr_pages * PAGE_SIZE};

    return uffd_fill(ctx, &fill);
}

static inline int uffd_protect(struct uffd_ctx *ctx, u64 addr, u64 nr_pages)
{
    return uffd_writeprotect(ctx, addr, addr + nr_pages * PAGE_SIZE, UFFD_PROTECT);
}

/** uffd_unprotect() - as UFFDIO_WRITEPROTECT does it: with a wake. */
static inline int uffd_unprotect(struct uffd_ctx *ctx, u64 addr, u64 nr_pages)
{
    u64 end = addr + nr_pages * PAGE_SIZE;
    int error = uffd_writeprotect(ctx, addr, end, UFFD_UNPROTECT);

    uffd_wake(ctx, addr, end);
    return error;
}

/** uffd_next() - wait for a message. */
static inline struct uffd_msg uffd_next(struct uffd_ctx *ctx)
{
    struct uffd_event *fork;
    struct uffd_msg msg;

    do {
        wait_event(&ctx->readers, uffd_has_message(ctx));
    } while (!uffd_take_message(ctx, &msg, &fork));
    return msg;
}

/** asks_pager() - would this access ask a pager? Anything else it does is done. */
static inline bool asks_pager(u64 addr, u32 flags)
{
    return test_fault(current_mm(), addr, flags | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_NOWAIT) ==
           FAULT_WOULD_WAIT;
}

/* --- entries ---------------------------------------------------------------------------------- */

/** entry_state() - what an entry is, as one letter. */
enum entry_state {
    STATE_NONE = 'n',
    STATE_MARKER = 'm',    /* protected, without a page */
    STATE_POISON = 'p',    /* no page, ever */
    STATE_PRESENT = 'r',   /* a page */
    STATE_PROTECTED = 'w', /* a page, protected */
    STATE_UNEXPECTED = '?',
};

static inline enum entry_state entry_state(struct mm *mm, u64 addr)
{
    struct pte entry = test_entry(mm, addr);

    if (pte_is_none(entry)) {
        return STATE_NONE;
    }
    if (pte_is_present(entry)) {
        return pte_is_uffd_wp(entry) ? STATE_PROTECTED : STATE_PRESENT;
    }
    if (pte_is_same(entry, pte_make_marker(PTE_MARKER_UFFD_WP))) {
        return STATE_MARKER;
    }
    return pte_is_same(entry, pte_make_marker(PTE_MARKER_POISON)) ? STATE_POISON : STATE_UNEXPECTED;
}

/* --- a thread beside the test ------------------------------------------------------------------
 */

/** struct helper - a thread in the test's address space that runs one function. */
struct helper {
    void (*run)(struct helper *helper);
    struct mm *mm;
    struct thread *thread;
    u64 addr;
    u64 word; /* to write, or as it was read */
    s64 result;
};

static inline void helper_use_mm(struct mm *mm)
{
    u64 flags = irq_save();

    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
}

static inline void helper_main(void *arg)
{
    struct helper *helper = arg;

    helper_use_mm(helper->mm);
    helper->run(helper);
    helper_use_mm(NULL);
}

static inline void helper_start(struct helper *helper, void (*run)(struct helper *helper), u64 addr,
                                u64 word)
{
    *helper = (struct helper){.run = run, .mm = current_mm(), .addr = addr, .word = word};
    helper->thread = thread_create_kernel(helper_main, helper, "helper");
    if (helper->thread == NULL) {
        panic("uffd_test: no memory for a helper");
    }
}

/** helper_join() - wait until it has ended. Return: its result. */
static inline s64 helper_join(struct helper *helper)
{
    thread_join_kernel(helper->thread);
    return helper->result;
}

/** help_write() / help_read() - touch a word; the result is 0 or -EFAULT. */
static inline void help_write(struct helper *helper)
{
    helper->result = put_user_u64(helper->addr, helper->word);
}

static inline void help_read(struct helper *helper)
{
    helper->result = get_user_u64(&helper->word, helper->addr);
}

/** help_take_fork() - read the event of a fork from the context at addr. word: the child's. */
static inline void help_take_fork(struct helper *helper)
{
    struct uffd_ctx *ctx = (struct uffd_ctx *)helper->addr;
    struct uffd_event *fork = NULL;
    struct uffd_msg msg;

    while (fork == NULL) {
        wait_event(&ctx->readers, uffd_has_message(ctx));
        (void)uffd_take_message(ctx, &msg, &fork);
    }
    helper->word = (u64)fork->child;
    helper->result = msg.event;
    uffd_finish_fork(ctx, fork, 0);
}

/** help_take_events() - read as many messages as word says from the context at addr. */
static inline void help_take_events(struct helper *helper)
{
    for (u64 i = 0; i < helper->word; i++) {
        helper->result = uffd_next((struct uffd_ctx *)helper->addr).event;
    }
}

#endif
