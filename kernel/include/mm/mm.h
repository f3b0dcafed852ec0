/*
 * Address spaces: the object, its locks, its accounts, and the operations on ranges of it.
 *
 * Lock legend: [I] immutable, [m] mmap_lock, [w] mmap_lock held for writing to change it and read
 * without a lock by those who accept a stale value, [x] atomic, [1] the thread that builds the
 * address space, before anybody else can see it.
 */
#ifndef MM_MM_H
#define MM_MM_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/atomic.h>
#include <lib/list.h>
#include <lib/rbtree.h>
#include <proc/seqcount.h>
#include <proc/rwsem.h>
#include <proc/spinlock.h>

struct file;
struct vma;
struct vm_object;

/** User addresses are [0, TASK_SIZE): the last page below the canonical hole is never mapped. */
#define TASK_SIZE     0x7ffffffff000UL
#define MMAP_MIN_ADDR 0x10000UL

/** Pages mapped, by what they are. */
enum mm_rss_kind { MM_RSS_ANON, MM_RSS_FILE, MM_RSS_SHMEM, MM_RSS_NR };

#define AUXV_WORDS 48

/** The auxiliary vector as it was put on the stack; exec makes it, and what it forks shares it. */
struct mm_auxv {
    struct refcount refs;  /* [x] address spaces */
    u64 words[AUXV_WORDS]; /* [1] */
};

/** Addresses that exec learns from the program, for brk and for /proc. */
struct mm_layout {
    u64 start_code, end_code;
    u64 start_data, end_data;
    u64 start_brk, brk;
    u64 start_stack;
    u64 arg_start, arg_end;
    u64 env_start, env_end;
};

struct mm {
    struct rb_root vmas;       /* [m] by address, augmented with the largest gap */
    struct list_node vma_list; /* [m] the same VMAs in address order */
    u32 map_count;             /* [w] number of VMAs */
    struct seqcount vma_seq;   /* [m] odd while the tree changes, for walks without mmap_lock */
    u64 lock_seq;              /* [w] VMAs whose lock_seq equals it are write-locked */
    struct rwsem mmap_lock;    /* the shape of the address space */

    u64 pgd;                         /* [I] physical address of the top-level page table */
    struct spinlock pt_lock;         /* upper levels of the page tables */
    struct atomic_u64 pgtable_bytes; /* [x] memory of the page tables */
    struct atomic_u64 cpumask;       /* [x] CPUs that have it loaded: the targets of a shootdown */
    struct atomic_u64 tlb_gen;       /* [x] counts shootdowns, for a CPU that loads it later */
    u64 tlb_context;                 /* [I] names it among all that ever were (T2); not 0 */
    struct seqcount write_protect_seq; /* [m] odd while fork takes write permission away (I1) */
    struct atomic_u32 has_lazyfree;    /* [x] MADV_FREE marked pages since reclaim looked last */
    bool has_uffd;                     /* [w] a VMA was registered with a userfaultfd once */
    bool has_sealed;                   /* [w] a VMA was sealed once */
    struct atomic_u32 has_pinned; /* [x] a page was pinned through this address space once (J17) */

    struct refcount users; /* [x] threads and remote users; at zero the memory goes */
    struct refcount count; /* [x] references on the structure; users hold one together */

    u64 total_vm;                     /* [w] pages mapped, all kinds */
    u64 data_vm;                      /* [w] private writable pages, what RLIMIT_DATA bounds */
    u64 stack_vm;                     /* [w] pages of growing stacks */
    u64 exec_vm;                      /* [w] pages of executable, not writable mappings */
    u64 locked_vm;                    /* [w] pages of VM_LOCKED mappings */
    struct atomic_u64 rss[MM_RSS_NR]; /* [x] pages mapped now */
    u64 hiwater_rss;                  /* [w] largest sum of rss seen, updated before memory goes */
    u64 hiwater_vm;                   /* [w] largest total_vm */

    u64 mmap_base;             /* [1] top of the area that mmap fills downwards */
    u64 def_flags;             /* [m] VM_* that every new mapping gets (mlockall) */
    struct mm_layout layout;   /* [m] */
    struct mm_auxv *auxv;      /* [1] a reference; NULL before exec */
    struct file *exe_file;     /* [m] what exec ran; a reference */
    struct list_node all_link; /* link in the list of all address spaces, for mm_verify_all() */
};

/** What a mapping is to be. */
struct map_request {
    u64 addr;                 /* hint, or the place with MAP_FIXED */
    u64 len;                  /* bytes; rounded up to pages */
    u32 prot;                 /* PROT_* */
    u32 flags;                /* MAP_* */
    struct file *file;        /* whose name the mapping shows; NULL for anonymous memory */
    struct vm_object *object; /* what is mapped; NULL for private anonymous memory */
    u64 pgoff;                /* page index in the object */
    u64 vm_flags;             /* further VM_* to set */
    u64 vm_flags_clear;       /* VM_MAY* that this mapping must never gain */
    int late_error;           /* what a check of the file found; returned after the checks of the
                                 place, which come first in Linux's order */
};

/* --- life ------------------------------------------------------------------------------------ */

/** mm_init() - prepare the caches of this subsystem, once at boot. */
void mm_init(void);

/**
 * mm_create() - an empty address space with the kernel's half.
 * @out: the address space with one user reference
 *
 * Return: 0 or -ENOMEM.
 */
int MUST_CHECK mm_create(struct mm **out);

/** mm_create_auxv() - make room for what exec puts on the stack of a new one. Return: 0, -ENOMEM.
 */
int MUST_CHECK mm_create_auxv(struct mm *mm);

/** mm_get() - one more user; the caller knows that there is one already. */
void mm_get(struct mm *mm);

/** mm_get_not_zero() - one more user if any is left; for those who hold only a count. */
bool mm_get_not_zero(struct mm *mm);

/**
 * mm_put() - one user less; the last one unmaps everything.
 *
 * Context: thread; may sleep.  The caller does not run on the address space any longer if it is
 *          the last user.
 */
void mm_put(struct mm *mm);

/** mm_count_get() - keep the structure and its top-level table, not the memory. */
void mm_count_get(struct mm *mm);

/** mm_count_put() - the opposite; callable with the scheduler's locks not held. */
void mm_count_put(struct mm *mm);

/**
 * mm_fork() - a copy-on-write copy of an address space.
 * @out: the copy with one user reference, written on success
 *
 * Context: thread; may sleep; takes the parent's mmap_lock for writing.
 * Return:  0, -ENOMEM, or -EINTR (killed while waiting for the lock).
 */
int MUST_CHECK mm_fork(struct mm *parent, struct mm **out);

/**
 * mm_next_counted() - the address space after @mm (NULL: the first), or NULL behind the last.
 * The count on @mm is dropped, and one is taken on what is returned (mm_count_put()).
 */
struct mm *mm_next_counted(struct mm *mm);

/** mm_for_each() - call a function for every address space; for checks of a quiet system. */
void mm_for_each(void (*fn)(struct mm *mm, void *arg), void *arg);

/* --- locks ----------------------------------------------------------------------------------- */

static inline void mm_read_lock(struct mm *mm) ACQUIRES_SHARED(&mm->mmap_lock)
{
    rwsem_read_lock(&mm->mmap_lock);
}

static inline void mm_read_unlock(struct mm *mm) RELEASES_SHARED(&mm->mmap_lock)
{
    rwsem_read_unlock(&mm->mmap_lock);
}

static inline void mm_write_lock(struct mm *mm) ACQUIRES(&mm->mmap_lock)
{
    rwsem_write_lock(&mm->mmap_lock);
}

/** mm_write_lock_killable() - 0, or -EINTR if a fatal signal came first. */
static inline MUST_CHECK int mm_write_lock_killable(struct mm *mm) TRY_ACQUIRES(0, &mm->mmap_lock)
{
    return rwsem_write_lock_killable(&mm->mmap_lock);
}

/** mm_write_unlock() - also ends the write lock of every VMA that vma_write_lock() took. */
static inline void mm_write_unlock(struct mm *mm) RELEASES(&mm->mmap_lock)
{
    __atomic_store_n(&mm->lock_seq, mm->lock_seq + 1, __ATOMIC_RELEASE);
    rwsem_write_unlock(&mm->mmap_lock);
}

/* --- counters -------------------------------------------------------------------------------- */

static inline void mm_rss_add(struct mm *mm, enum mm_rss_kind kind, s64 nr_pages)
{
    __atomic_fetch_add(&mm->rss[kind].value, (u64)nr_pages, __ATOMIC_RELAXED);
}

/** mm_rss() - pages mapped of one kind. */
u64 mm_rss(const struct mm *mm, enum mm_rss_kind kind);

/** mm_rss_total() - pages mapped of all kinds. */
u64 mm_rss_total(const struct mm *mm);

/** mm_update_hiwater() - remember the largest size before memory is taken away. */
void mm_update_hiwater(struct mm *mm);

/* --- ranges ---------------------------------------------------------------------------------- */

/**
 * mm_map() - create a mapping.
 * @req:      what and where; the caller keeps its own references on file and object
 * @addr_out: the address, written on success
 *
 * Context: thread; may sleep; takes mmap_lock for writing.
 * Return:  0, or Linux's errors in Linux's order: -EINVAL, -ENOMEM, -EOVERFLOW, -EPERM, -EEXIST,
 *          -EAGAIN, -EINTR, or req->late_error.
 * Keeps:   I9.
 */
int MUST_CHECK mm_map(struct mm *mm, const struct map_request *req, u64 *addr_out);

/**
 * mm_unmap() - remove whatever is mapped in [addr, addr + len).
 *
 * Return: 0, -EINVAL (unaligned, empty, outside user space), -ENOMEM (a split would exceed the
 *         limits; nothing is changed), -EINTR.
 * Keeps:  I8, I9.
 */
int MUST_CHECK mm_unmap(struct mm *mm, u64 addr, u64 len);

/**
 * mm_protect() - change the permissions of a range.
 * @prot: PROT_*, with PROT_GROWSDOWN to reach the start of a stack
 *
 * Return: 0, -EINVAL, -ENOMEM (a hole, or limits), -EACCES (more than the mapping may have),
 *         -EINTR.  What lies in front of the failing place stays changed, as in Linux.
 * Keeps:  I1, I8, I9.
 */
int MUST_CHECK mm_protect(struct mm *mm, u64 addr, u64 len, u32 prot);

/** mm_brk() - move the end of the heap. Return: the end that holds now, moved or not. */
u64 mm_brk(struct mm *mm, u64 brk);

/** mm_remap() - mremap(2). Return: 0 with *addr_out, or -errno. */
int MUST_CHECK mm_remap(struct mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr,
                        u64 *addr_out);

/** mm_advise() - madvise(2). */
int MUST_CHECK mm_advise(struct mm *mm, u64 addr, u64 len, int advice);

/** mm_sync() - msync(2). */
int MUST_CHECK mm_sync(struct mm *mm, u64 addr, u64 len, u32 flags);

/**
 * mm_incore() - which pages of a range are in memory.
 * @vec: out: one byte a page, 1 or 0
 *
 * Return: 0 or -ENOMEM (a hole).
 */
int MUST_CHECK mm_incore(struct mm *mm, u64 addr, u64 nr_pages, u8 *vec);

/**
 * mm_seal() - mseal(2): from now on [addr, addr + len) stays mapped where and as it is.
 *
 * Return: 0, -EINVAL (not from a page's start, wraps), -ENOMEM (a hole; then nothing is sealed), or
 *         -EINTR.
 */
int MUST_CHECK mm_seal(struct mm *mm, u64 addr, u64 len);

/** mm_is_sealed() - is any part of [start, end) sealed? Context: mmap_lock held. */
bool mm_is_sealed(struct mm *mm, u64 start, u64 end);

/** mm_lock_range() - mlock2(2); mlock_flags is 0 or MLOCK_ONFAULT. */
int MUST_CHECK mm_lock_range(struct mm *mm, u64 addr, u64 len, u32 mlock_flags);

/** mm_unlock_range() - munlock(2). */
int MUST_CHECK mm_unlock_range(struct mm *mm, u64 addr, u64 len);

/** mm_lock_all() - mlockall(2). */
int MUST_CHECK mm_lock_all(struct mm *mm, u32 mcl_flags);

/** mm_unlock_all() - munlockall(2). */
int MUST_CHECK mm_unlock_all(struct mm *mm);

/**
 * mm_populate() - touch every page of a range as its own VMA permits.
 *
 * Context: thread; no lock held; may sleep.
 * Return:  0, -ENOMEM (hole, or no memory), -EFAULT, -EINTR.
 */
int MUST_CHECK mm_populate(struct mm *mm, u64 start, u64 end);

/* --- stack and exec -------------------------------------------------------------------------- */

/**
 * mm_expand_stack() - grow the stack VMA above an address down to it.
 *
 * Called by the fault path with no lock held when no VMA contains addr; the caller then looks up
 * again.
 * Return: 0 if a VMA covers addr now, -EFAULT (nothing above grows down, the guard gap is in the
 *         way, or the address is too low), -ENOMEM (RLIMIT_STACK, RLIMIT_AS, overcommit).
 */
int MUST_CHECK mm_expand_stack(struct mm *mm, u64 addr);

/** mm_setup_layout() - choose mmap_base for a program; done by exec before the first mapping. */
void mm_setup_layout(struct mm *mm, u64 stack_rlimit);

/**
 * mm_setup_stack() - map the first part of the stack of a program.
 * @size:     bytes that exec is going to write, rounded up to pages
 * @vm_flags: VM_EXEC or 0
 * @top:      out: the first address above the stack
 *
 * Return: 0 or -ENOMEM.
 */
int MUST_CHECK mm_setup_stack(struct mm *mm, u64 size, u64 vm_flags, u64 *top);

/** mm_set_brk() - where the heap begins; called by exec after the segments are mapped. */
void mm_set_brk(struct mm *mm, u64 start_brk);

/** mm_set_exe_file() - remember what was executed; takes a reference, drops the former one. */
void mm_set_exe_file(struct mm *mm, struct file *file);

/** mm_random_offset() - 0, or with randomisation on a page-aligned offset below 2^bits pages. */
u64 mm_random_offset(unsigned int bits);

/* --- overcommit ------------------------------------------------------------------------------ */

enum overcommit_mode { OVERCOMMIT_HEURISTIC, OVERCOMMIT_ALWAYS, OVERCOMMIT_NEVER };

/** Policy of the whole system, as /proc/sys/vm/overcommit_memory and its limit. */
struct overcommit_policy {
    enum overcommit_mode mode;
    u32 ratio_percent;
    u64 limit_kib; /* with OVERCOMMIT_NEVER, unless it is 0: then the ratio counts */
};
extern struct overcommit_policy overcommit_policy;

/** vm_commit_charge() - promise pages. Return: 0, or -ENOMEM with nothing promised. */
int MUST_CHECK vm_commit_charge(struct mm *mm, u64 nr_pages);

/** vm_commit_release() - take a promise back. */
void vm_commit_release(u64 nr_pages);

/** vm_committed() - pages promised now. */
u64 vm_committed(void);

/** vm_commit_limit() - pages that OVERCOMMIT_NEVER would promise at most. */
u64 vm_commit_limit(void);

#endif
