/*
 * Memory objects: sequences of pages that address spaces map and files read and write.
 *
 * An object owns its pages through a radix tree: the tree holds one reference on each.  A page
 * belongs to its object for as long as page_object() says so; truncation takes that away first and
 * the mappings afterwards, so whoever installs a page asks object_owns_page() under the page-table
 * lock.
 *
 * Lock legend: [I] immutable, [o] object lock (read to rely on it, write to change it), [x] atomic.
 */
#ifndef MM_OBJECT_H
#define MM_OBJECT_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/atomic.h>
#include <lib/interval_tree.h>
#include <lib/list.h>
#include <lib/radix.h>
#include <debug/explore.h>
#include <mm/page.h>
#include <proc/mutex.h>
#include <proc/rwsem.h>

struct vma;
struct iov_iter;
struct vm_fault;
struct vm_object;
struct direct_device;
struct pager;

enum object_kind {
    OBJECT_ANON_SHARED, /* MAP_SHARED | MAP_ANONYMOUS */
    OBJECT_SHMEM,       /* memfd and files of the RAM file system */
    OBJECT_DIRECT,      /* a file whose pages are frames of a direct device */
    OBJECT_DEVICE,      /* the frames of a direct device that no file has */
    OBJECT_PAGED,       /* a file whose missing pages a pager brings in */
};

/** When the memory of an object is promised (overcommit). */
enum object_promise {
    OBJECT_PROMISE_NOW,   /* all of it, when the object is made */
    OBJECT_PROMISE_LATER, /* page by page, as they appear */
};

/** What object_get_page() does about a hole. */
enum object_get_mode {
    OBJECT_FIND,   /* -ENOENT; a page that is only reserved is found, and stays so */
    OBJECT_USE,    /* -ENOENT; such a page is used from here on, and owned */
    OBJECT_NEED,   /* as OBJECT_FIND, but -EINPROGRESS if a pager has what belongs there */
    OBJECT_CREATE, /* as OBJECT_USE, but a zeroed page, if this kind of object makes pages itself */
};

/** What became of a fault that an object's own handler copies for (rules N2 to N4). */
enum cow_outcome {
    COW_FILLED,    /* vmf->cow_page holds the data as of vmf->generation: the caller installs it */
    COW_INSTALLED, /* the handler has installed it by vm_fault_finish_cow() */
    COW_AGAIN,     /* something changed meanwhile: look again */
    COW_SIGBUS,    /* there is nothing at this index, or it cannot be had */
    COW_OOM,
};

/** The seals of a memfd, with Linux's values (F_SEAL_*). */
#define OBJECT_SEAL_SEAL         0x0001
#define OBJECT_SEAL_SHRINK       0x0002
#define OBJECT_SEAL_GROW         0x0004
#define OBJECT_SEAL_WRITE        0x0008
#define OBJECT_SEAL_FUTURE_WRITE 0x0010
#define OBJECT_SEAL_EXEC         0x0020
#define OBJECT_SEAL_ALL          0x003f

/** What a kind of object does by its own; the rest is common. */
struct object_ops {
    /** Provide the page of an index below the size, referenced; called without locks. */
    int (*get_page)(struct vm_object *object, u64 index, enum object_get_mode mode,
                    struct page **out);
    /** As object_peek_pages(). NULL: it asks get_page. */
    void (*peek_pages)(struct vm_object *object, u64 first, u32 nr, struct page **pages);
    /** get_page with OBJECT_CREATE that goes beyond the size, for a writer; -ENOSPC if it cannot.
     */
    int (*grow_page)(struct vm_object *object, u64 index, struct page **out);
    /** grow_page for fallocate(2): a new page is only reserved. NULL: grow_page. */
    int (*reserve_page)(struct vm_object *object, u64 index, struct page **out);
    /** The first index at or above *index that has a page which is used. Object lock held. */
    bool (*next_data)(struct vm_object *object, u64 *index);
    /** As shmem_disown_pages(). */
    void (*disown_pages)(struct vm_object *object, u64 first, u64 end, struct list_node *removed);
    /** Free what the object has; nobody refers to it any more. */
    void (*release)(struct vm_object *object);
    /**
     * Make the private copy of a fault: fill vmf->cow_page, which nobody else knows, with the data
     * of an index, or zeros for a hole. NULL: fault_file_copy() does it by get_page.
     *
     * Called with the VMA held and no other lock. On any outcome but COW_INSTALLED the page stays
     * the caller's.
     */
    enum cow_outcome (*cow_fault)(struct vm_object *object, u64 index, struct vm_fault *vmf);
    bool is_granted; /* pages come and go only as the object's server says */
};

struct vm_object {
    struct refcount refcount;      /* [x] */
    enum object_kind kind;         /* [I] */
    u64 number;                    /* [I] no two objects have the same */
    const struct object_ops *ops;  /* [I] */
    struct mutex io_lock;          /* whoever writes to it or sets its size, one at a time;
                                      outside mmap_lock, user memory is copied under it */
    struct rwsem lock;             /* the object lock */
    u64 size;                      /* [o] bytes */
    struct radix pages;            /* [o] struct page * by index */
    u64 nr_pages;                  /* [o] pages in the tree */
    u64 kept_end;                  /* [o] an index: below it fallocate(2) may have put pages that
                                      wait behind the size until the file grows */
    struct interval_tree mappings; /* [o] the VMAs that map it, by page index */
    u32 nr_shared_writable;        /* [o] VMAs through which it could be written */
    u32 seals;                     /* [o] OBJECT_SEAL_* */
    enum object_promise promise;   /* [I] */
    u64 nr_promised;               /* [o] pages of the overcommit account */
    struct atomic_u64 generation;  /* [x] how often something behind an index was replaced */
    struct direct_device *device;  /* [I] whose frames the pages are; NULL: they are RAM */
    struct pager *pager;           /* [I] who brings missing pages in; NULL: nobody */
    struct list_node all_link;     /* link in the list of all objects */
};

/** object_init() - prepare the cache of objects, once at boot. */
void object_init(void);

/**
 * object_create_anon() - memory to share between processes, behind no file.
 * @size: bytes; the pages are zero and appear when they are first touched
 *
 * Return: 0 with one reference in *out, or -ENOMEM.
 */
int MUST_CHECK object_create_anon(u64 size, enum object_promise promise, struct vm_object **out);

/** object_create_shmem() - the same for a file, promised page by page. */
int MUST_CHECK object_create_shmem(u64 size, struct vm_object **out);

void object_get(struct vm_object *object);

/** object_put() - drop a reference; the last one frees the pages. May sleep. */
void object_put(struct vm_object *object);

/** object_size() - bytes, as of now. */
static inline u64 object_size(const struct vm_object *object)
{
    return READ_ONCE(object->size);
}

/** object_nr_pages() - pages that it holds, as of now (st_blocks / 8). */
u64 object_nr_pages(struct vm_object *object);

/**
 * object_get_page() - the page behind an index.
 * @out: the page with a reference for the caller (page_put)
 *
 * Context: thread; may sleep; takes the object lock where a page is made.
 * Return:  0, -ENOENT (a hole, OBJECT_FIND or one that the object does not fill), -EINPROGRESS
 *          (object_bring_in() first; never for OBJECT_FIND), -ERANGE (beyond the size: SIGBUS),
 *          -ENOMEM (no frame), -ENOSPC (the overcommit policy promises no more: SIGBUS), -EBUSY
 *          (a frame that a file of the device has: SIGBUS).
 */
int MUST_CHECK object_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                               struct page **out);

/**
 * object_peek_pages() - which pages stand behind @nr indices from @first on, as far as that can be
 *                       said at once.
 * @pages: out: hints without a reference, for object_take_owned_page(); NULL where nothing is known
 *
 * Context: any VMA lock; takes no other lock for pages that are in memory.
 */
void object_peek_pages(struct vm_object *object, u64 first, u32 nr, struct page **pages);

/**
 * object_owns_page() - is this still the page of that index?
 *
 * Context: no lock needed; under a page-table lock the answer orders an installer against
 *          truncation, which disowns the page before it zaps.
 */
static inline bool object_owns_page(const struct vm_object *object, u64 index,
                                    const struct page *page)
{
    return READ_ONCE(page->owner) == object && READ_ONCE(page->index) == index;
}

/**
 * object_take_owned_page() - a reference on a page that object_peek_pages() has found.
 *
 * Context: any; takes no lock.
 * Return:  false if the page is not the object's at that index any more.
 */
static inline bool MUST_CHECK object_take_owned_page(const struct vm_object *object, u64 index,
                                                     struct page *page)
{
    explore_point(EXPLORE_COUNT);
    if (unlikely(!page_get_not_zero(page))) {
        return false;
    }
    explore_point(EXPLORE_COUNT);
    if (likely(object_owns_page(object, index, page))) {
        return true;
    }
    page_put(page);
    return false;
}

/**
 * object_generation() - a number that differs once anything behind an index was taken away or a
 *                       hole was filled.
 *
 * Whoever installs what it has looked up reads the number before the look-up and again under the
 * page-table lock. It changes before the mappings are zapped, so that an installer that still finds
 * the same number is seen by the zap.
 */
static inline u64 object_generation(const struct vm_object *object)
{
    return atomic_u64_load_acquire(&object->generation);
}

/** object_refuses_longterm() - may its pages be taken back, so that nobody pins them for long? */
static inline bool object_refuses_longterm(const struct vm_object *object)
{
    return object->kind == OBJECT_DIRECT;
}

/**
 * object_read() - copy bytes out, holes as zeroes, no further than the size.
 * @done: out: bytes copied
 *
 * Return: 0, or with nothing copied -EFAULT, or -ENODATA (its pager has that).
 */
int MUST_CHECK object_read(struct vm_object *object, u64 offset, struct iov_iter *iter, u64 *done);

/**
 * object_write() - copy bytes in, growing the size as needed.
 * @done: out: bytes copied
 *
 * Return: 0, or with nothing copied -EFAULT, -ENOMEM, -ENOSPC, -EFBIG, -EPERM (sealed), -ENODATA
 *         (a page that its pager has not supplied).
 */
int MUST_CHECK object_write(struct vm_object *object, u64 offset, struct iov_iter *iter, u64 *done);

/** object_read_kernel() / object_write_kernel() - the same for a buffer of the kernel. */
int MUST_CHECK object_read_kernel(struct vm_object *object, u64 offset, void *buf, size_t len,
                                  u64 *done);
int MUST_CHECK object_write_kernel(struct vm_object *object, u64 offset, const void *buf,
                                   size_t len, u64 *done);

/**
 * object_truncate() - set the size.
 *
 * Pages beyond the new end go, in every mapping too, private copies included; the rest of the last
 * page becomes zero.
 * Return: 0, -EFBIG, -EPERM (sealed), -ENOMEM.
 */
int MUST_CHECK object_truncate(struct vm_object *object, u64 size);

/**
 * object_punch_hole() - make [start, end) bytes read as zero and free the whole pages in it.
 * Pages that a server granted become zero instead: only it takes them back (object_revoke()).
 */
int MUST_CHECK object_punch_hole(struct vm_object *object, u64 start, u64 end);

/**
 * object_revoke() - take the whole pages in [start, end) bytes back, in shared mappings too.
 * @object: of a kind whose server grants the pages; private copies stay
 * Return:  0, or -EINVAL (not of that kind, not whole pages).
 */
int MUST_CHECK object_revoke(struct vm_object *object, u64 start, u64 end);

/**
 * object_allocate() - make sure that [start, end) bytes have pages; grows the size on request.
 *
 * Without it those behind the size are kept for the time when the object grows, and are given up by
 * the next object_truncate() that does not grow it.
 */
enum object_allocate_mode { OBJECT_ALLOCATE_KEEP_SIZE, OBJECT_ALLOCATE_GROW };
int MUST_CHECK object_allocate(struct vm_object *object, u64 start, u64 end,
                               enum object_allocate_mode mode);

/** object_seek_data() / object_seek_hole() - the next of either from an offset, or -ENXIO. */
int MUST_CHECK object_seek_data(struct vm_object *object, u64 offset, u64 *out);
int MUST_CHECK object_seek_hole(struct vm_object *object, u64 offset, u64 *out);

/** object_get_seals() / object_add_seals() - F_GET_SEALS, F_ADD_SEALS (-EPERM, -EBUSY). */
u32 object_get_seals(struct vm_object *object);
int MUST_CHECK object_add_seals(struct vm_object *object, u32 seals);

/** object_lock() / object_unlock() - the object lock for writing; for changes of mappings. */
static inline void object_lock(struct vm_object *object) ACQUIRES(&object->lock)
{
    rwsem_write_lock(&object->lock);
}

static inline void object_unlock(struct vm_object *object) RELEASES(&object->lock)
{
    rwsem_write_unlock(&object->lock);
}

/**
 * object_insert_vma() / object_remove_vma() - keep the tree of mappings. Context: object lock.
 * object_insert_twin() - the same for a VMA that maps what @twin maps, which is in the tree. O(1).
 */
void object_insert_vma(struct vma *vma);
void object_insert_twin(struct vma *vma, struct vma *twin);
void object_remove_vma(struct vma *vma);

/**
 * object_admit_mapping() - do the seals allow a mapping, and which rights must it never gain?
 * @vm_flags: in: of the new mapping; out: without VM_MAYWRITE if a seal forbids it
 *
 * Return: 0 or -EPERM. After 0 a writable shared mapping counts for object_add_seals() until
 *         object_admit_done().
 */
int MUST_CHECK object_admit_mapping(struct vm_object *object, u64 *vm_flags);

/** object_admit_done() - the mapping is linked, or failed. @vm_flags as admitted. */
void object_admit_done(struct vm_object *object, u64 vm_flags);

/** object_for_each() - call a function for every object; for checks of a quiet system. */
void object_for_each(void (*fn)(struct vm_object *object, void *arg), void *arg);

#endif
