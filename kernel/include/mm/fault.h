#ifndef MM_FAULT_H
#define MM_FAULT_H

#include <arch/pgtable.h>
#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/uffd_waiter.h>

struct mm;
struct page;
struct uffd_ctx;
struct vm_object;
struct vma;

/**
 * A read fault on a mapped object enters what the object has of this many bytes around it: a power
 * of two, from PAGE_SIZE, which is nothing more, to FAULT_AROUND_MAX, which is what one page table
 * serves.
 */
extern u64 fault_around_bytes;

#define FAULT_AROUND_MAX ((u64)PT_ENTRIES * PAGE_SIZE)

/*
 * What an access wants, and what the fault handler may do for it. The first three have the values
 * of enum page_fault_access, so that a trap's access word needs no translation.
 */
enum fault_flag {
    FAULT_FLAG_WRITE = 1u << 1,          /* a store, or a read-modify-write */
    FAULT_FLAG_USER = 1u << 2,           /* made by user mode */
    FAULT_FLAG_EXEC = 1u << 4,           /* an instruction fetch */
    FAULT_FLAG_REMOTE = 1u << 5,         /* the mm is not the current thread's */
    FAULT_FLAG_UNSHARE = 1u << 6,        /* break COW for a reader; excludes WRITE */
    FAULT_FLAG_ALLOW_RETRY = 1u << 7,    /* the handler may sleep with every lock dropped */
    FAULT_FLAG_NOWAIT = 1u << 8,         /* never sleep for a pager: report FAULT_WOULD_WAIT */
    FAULT_FLAG_FORCE = 1u << 9,          /* debugger's: VM_MAYREAD / VM_MAYWRITE suffice */
    FAULT_FLAG_KILLABLE = 1u << 10,      /* a wait ends at a fatal signal */
    FAULT_FLAG_INTERRUPTIBLE = 1u << 11, /* a wait ends at any signal */
    FAULT_FLAG_NOEXPAND = 1u << 12,      /* do not grow a stack for this access */
    FAULT_FLAG_TRIED = 1u << 13,         /* not the first round for this access */
};

enum fault_outcome {
    FAULT_OK,           /* the access can be made (or repeated) */
    FAULT_SIGSEGV,      /* fault_info.si_code is SEGV_MAPERR or SEGV_ACCERR */
    FAULT_SIGBUS,       /* fault_info.si_code is BUS_ADRERR, ... */
    FAULT_OOM,          /* no memory for a page or a table */
    FAULT_RETRY_SIGNAL, /* a signal ended the wait; the access was not made */
    FAULT_WOULD_WAIT,   /* FAULT_FLAG_NOWAIT and someone must be waited for */
};

/*
 * What a fault waits for. Either a userfaultfd, in whose queue it is already; or the pager of an
 * object, which is to be asked; or neither: it may not wait.
 */
struct fault_wait {
    struct uffd_ctx *uffd;    /* referenced while the fault handler is at it, or NULL */
    struct vm_object *object; /* if uffd is NULL: referenced as well, or NULL */
    u64 index;
    u32 nr_pages; /* to bring in; 0: the page is there, and about to be written */
    struct uffd_waiter waiter;
};

struct fault_info {
    s32 si_code;            /* written for FAULT_SIGSEGV and FAULT_SIGBUS */
    struct fault_wait wait; /* the fault handler's own */
};

/** fault_init() - set up the shared zero page. Called once, after frames_init(). */
void fault_init(void);

/** zero_page() - the page that every read of untouched anonymous memory maps, always read-only. */
struct page *zero_page(void);

/**
 * handle_mm_fault() - make one access possible.
 * @mm:    address space; the caller keeps it alive
 * @addr:  any user address
 * @flags: enum fault_flag bits
 * @info:  out: details of a signal; may not be NULL
 *
 * Finds and locks the VMA itself, its own lock first and mmap_lock else; repeats by itself until
 * the access can be made or an outcome other than FAULT_OK is due.
 *
 * Context: thread, interrupts on; may sleep; neither mmap_lock nor a VMA lock of @mm may be held.
 */
MUST_CHECK enum fault_outcome handle_mm_fault(struct mm *mm, u64 addr, u32 flags,
                                              struct fault_info *info);

/**
 * handle_vma_fault() - handle_mm_fault() for a caller that holds mmap_lock and found the VMA.
 * Return: as handle_mm_fault(); FAULT_WOULD_WAIT if the lock would have to be dropped.
 */
MUST_CHECK enum fault_outcome handle_vma_fault(struct vma *vma, u64 addr, u32 flags,
                                               struct fault_info *info);

/**
 * fault_error() - the error of a call for which a fault ended so (J13).
 * @info:       as handle_mm_fault() left it
 * @foll_flags: enum foll_flag: FOLL_HWPOISON and FOLL_NOWAIT have errors of their own
 *
 * Return: 0, -ENOMEM, -EINTR, -EAGAIN, -EHWPOISON or -EFAULT.
 */
MUST_CHECK int fault_error(enum fault_outcome outcome, const struct fault_info *info,
                           u32 foll_flags);

/* page_fault_entry(), the machine's way in, is declared in arch/platform.h. */

#endif
