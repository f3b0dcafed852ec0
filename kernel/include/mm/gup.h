#ifndef MM_GUP_H
#define MM_GUP_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;
struct page;

enum foll_flag {
    FOLL_WRITE = 1u << 0,         /* the holder will write to the pages */
    FOLL_FORCE = 1u << 1,         /* as a debugger: VM_MAYREAD / private VM_MAYWRITE suffice */
    FOLL_LONGTERM = 1u << 2,      /* for an unbounded time; pins only */
    FOLL_NOWAIT = 1u << 3,        /* never wait for a pager */
    FOLL_NOFAULT = 1u << 4,       /* only what is mapped already */
    FOLL_INTERRUPTIBLE = 1u << 5, /* any signal ends a wait, not only a fatal one */
    FOLL_BREAK_COW = 1u << 6, /* a reader that must not see later writes of another owner's copy */
    FOLL_VALID_MASK = (1u << 7) - 1,
};

/**
 * get_user_pages_remote() - take references on the pages behind a range.
 * @mm:       address space; the caller keeps it alive
 * @start:    page-aligned user address
 * @nr_pages: 1..
 * @flags:    enum foll_flag bits
 * @pages:    out: one pointer a page, in address order, as many as returned
 *
 * A reference keeps the frame, not its place: a later copy-on-write gives the address another page.
 *
 * Context: thread; may sleep; takes mmap_lock (read). No lock may be held.
 * Return:  pages taken, 1..nr_pages, or -EINVAL, -EFAULT, -ENOMEM, -EINTR, -EAGAIN (NOWAIT) if
 *          none could be taken.
 */
MUST_CHECK s64 get_user_pages_remote(struct mm *mm, u64 start, u64 nr_pages, u32 flags,
                                     struct page **pages);

/** get_user_pages() - get_user_pages_remote() for the current thread's address space. */
MUST_CHECK s64 get_user_pages(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/** get_user_pages_fast() - get_user_pages() that takes no lock where everything is mapped. */
MUST_CHECK s64 get_user_pages_fast(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/**
 * pin_user_pages_remote() - keep the pages behind a range in place and in step with it.
 *
 * As get_user_pages_remote(), and while the pin lasts the address keeps mapping that page (I3):
 * what the holder writes is what the process reads, and the other way round. A shared anonymous
 * page is unshared first (I4), without a write-protect notification.
 *
 * Keeps: I3, I4. Pages are given back with unpin_user_page(s).
 */
MUST_CHECK s64 pin_user_pages_remote(struct mm *mm, u64 start, u64 nr_pages, u32 flags,
                                     struct page **pages);

/** pin_user_pages() - pin_user_pages_remote() for the current thread's address space. */
MUST_CHECK s64 pin_user_pages(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/** pin_user_pages_fast() - pin_user_pages() that takes no lock where everything is mapped. */
MUST_CHECK s64 pin_user_pages_fast(u64 start, u64 nr_pages, u32 flags, struct page **pages);

/** unpin_user_page() - end one pin and drop its reference. */
void unpin_user_page(struct page *page);

/** unpin_user_pages() - unpin_user_page() for each of @nr_pages. */
void unpin_user_pages(struct page **pages, u64 nr_pages);

/** unpin_user_pages_dirty() - the holder wrote: mark each page dirty, then unpin it. */
void unpin_user_pages_dirty(struct page **pages, u64 nr_pages);

enum remote_access { REMOTE_READ, REMOTE_WRITE };

/**
 * mm_copy_remote() - copy between a kernel buffer and any address space.
 * @access: REMOTE_READ fills @buf; REMOTE_WRITE stores it at @addr
 *
 * Context: thread; may sleep; no lock may be held.
 * Return:  bytes copied, less than @len if a later page is missing, or -EFAULT, -ENOMEM or -EINTR
 *          if nothing was.
 */
MUST_CHECK s64 mm_copy_remote(struct mm *mm, u64 addr, void *buf, size_t len,
                              enum remote_access access);

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
