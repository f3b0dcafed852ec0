#ifndef MM_GUP_H
#define MM_GUP_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;
struct page;

/* What a holder wants. The values are Linux's, because programs hand them to gup_test. */
enum foll_flag {
    FOLL_WRITE = 1u << 0,          /* the holder will write to the pages */
    FOLL_FORCE = 1u << 3,          /* as a debugger: VM_MAYREAD / private VM_MAYWRITE suffice */
    FOLL_NOWAIT = 1u << 4,         /* stop where a pager would have to be waited for */
    FOLL_NOFAULT = 1u << 5,        /* only what is mapped already */
    FOLL_HWPOISON = 1u << 6,       /* poisoned memory is -EHWPOISON, not -EFAULT */
    FOLL_LONGTERM = 1u << 8,       /* for an unbounded time; pins only */
    FOLL_INTERRUPTIBLE = 1u << 11, /* any signal ends a wait, not only a fatal one */
    FOLL_BREAK_COW = 1u << 13, /* a reader that must not see later writes of another owner's copy */
    FOLL_UNLOCKABLE = 1u << 21, /* the caller can wait for the pager of a userfaultfd */
};

/* What a program may ask for; the rest is the kernel's to say. */
#define FOLL_USER_MASK                                                                             \
    ((u32)(FOLL_WRITE | FOLL_FORCE | FOLL_NOWAIT | FOLL_NOFAULT | FOLL_HWPOISON | FOLL_LONGTERM |  \
           FOLL_INTERRUPTIBLE | FOLL_BREAK_COW))
#define FOLL_VALID_MASK (FOLL_USER_MASK | (u32)FOLL_UNLOCKABLE)
#define FOLL_FAST_MASK                                                                             \
    ((u32)(FOLL_WRITE | FOLL_FORCE | FOLL_NOFAULT | FOLL_LONGTERM | FOLL_BREAK_COW))

/**
 * get_user_pages_remote() - take references on the pages behind a range.
 * @mm:       address space; the caller keeps it alive
 * @start:    user address; the range begins with its page
 * @nr_pages: 0 takes nothing
 * @flags:    FOLL_VALID_MASK. WRITE and BREAK_COW exclude each other; LONGTERM needs a pin
 * @pages:    out: one pointer a page, in address order, as many as returned; not NULL
 *
 * A reference keeps the frame, not its place: a later copy-on-write gives the address another page.
 * Without FOLL_UNLOCKABLE a page that a userfaultfd's pager would have to bring is -EFAULT.
 *
 * Context: thread; may sleep; takes mmap_lock (read). No lock may be held.
 * Return:  pages taken, or the error that stopped the first one: -EINVAL (flags, no array),
 *          -EFAULT, -ENOMEM, -EINTR, -EOPNOTSUPP (LONGTERM of device memory), -EHWPOISON. With
 *          FOLL_NOWAIT 0 if the first one needs a wait.
 */
MUST_CHECK s64 get_user_pages_remote(struct mm *mm, u64 start, u64 nr_pages, u32 flags,
                                     struct page **pages);

/** get_user_pages() - get_user_pages_remote() for the current thread's address space. */
MUST_CHECK s64 get_user_pages(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/**
 * get_user_pages_fast() - get_user_pages() that takes no lock where everything is mapped.
 * @flags: FOLL_FAST_MASK; FOLL_UNLOCKABLE is understood
 *
 * Return: as get_user_pages(), and -EFAULT or -EOVERFLOW if the range leaves user space.
 */
MUST_CHECK s64 get_user_pages_fast(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/**
 * pin_user_pages_remote() - keep the pages behind a range in place and in step with it.
 *
 * As get_user_pages_remote(), and while the pin lasts the address keeps mapping that page (I3):
 * what the holder writes is what the process reads, and the other way round. A shared anonymous
 * page is unshared first (I4), without a write-protect notification. A page of an object, or the
 * zero page, in a private mapping becomes a private copy if FOLL_LONGTERM asks for it.
 *
 * Keeps: I3, I4. Pages are given back with unpin_user_page(s).
 */
MUST_CHECK s64 pin_user_pages_remote(struct mm *mm, u64 start, u64 nr_pages, u32 flags,
                                     struct page **pages);

/** pin_user_pages() - pin_user_pages_remote() for the current thread's address space. */
MUST_CHECK s64 pin_user_pages(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/** pin_user_pages_fast() - get_user_pages_fast() for pins. */
MUST_CHECK s64 pin_user_pages_fast(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/** unpin_user_page() - end one pin and drop its reference. */
void unpin_user_page(struct page *page);

/** unpin_user_pages() - unpin_user_page() for each of @nr_pages. */
void unpin_user_pages(struct page **pages, u64 nr_pages);

/** unpin_user_pages_dirty_lock() - the holder wrote: mark each page dirty, then unpin it. */
void unpin_user_pages_dirty_lock(struct page **pages, u64 nr_pages);

enum remote_access { REMOTE_READ, REMOTE_WRITE };

/**
 * mm_copy_remote() - copy between a kernel buffer and any address space.
 * @access: REMOTE_READ fills @buf; REMOTE_WRITE stores it at @addr
 *
 * Never waits for a pager, which may be the very process that copies.
 *
 * Context: thread; may sleep; no lock may be held.
 * Return:  bytes copied, less than @len if a later page is missing, or -EFAULT, -ENOMEM, -EINTR or
 *          -EAGAIN (a pager has the page) if nothing was.
 */
MUST_CHECK s64 mm_copy_remote(struct mm *mm, u64 addr, void *buf, size_t len,
                              enum remote_access access);

/** mm_probe_remote() - what mm_copy_remote() would say of the first byte. Return: 0 or its error.
 */
MUST_CHECK int mm_probe_remote(struct mm *mm, u64 addr, enum remote_access access);

/**
 * mm_copy_between() - copy from one address space to another, or within one, without a bounce.
 * The ranges may not overlap in one address space.
 *
 * Return: as mm_copy_remote().
 */
MUST_CHECK s64 mm_copy_between(struct mm *dst_mm, u64 dst, struct mm *src_mm, u64 src, size_t len);

/* What two threads must agree on to mean the same futex word across address spaces. */
struct futex_key {
    u64 owner;  /* identity of an object, or of an mm */
    u64 offset; /* byte offset in the object, or user address */
};

enum futex_scope { FUTEX_SCOPE_PRIVATE, FUTEX_SCOPE_SHARED };

/**
 * mm_futex_key() - name the word at @addr.
 * @addr: 4-byte aligned user address
 *
 * In a shared mapping the name is the object and the offset; in private memory it is the address
 * space and the address. FUTEX_SCOPE_PRIVATE looks nothing up.
 *
 * Context: thread; may sleep.
 * Return:  0, or -EFAULT (nothing readable is mapped there).
 */
MUST_CHECK int mm_futex_key(struct mm *mm, u64 addr, enum futex_scope scope, struct futex_key *key);

#endif
