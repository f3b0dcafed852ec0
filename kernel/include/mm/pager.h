/*
 * Objects whose pages a pager has: brought in when somebody needs them, given back when written.
 *
 * The pager is a user process, so everything that waits for it is in three functions, which are
 * called without any lock and end at a fatal signal. Whatever it answers is checked; what it owes
 * costs those who wait for the page a SIGBUS or an EIO, and nobody else anything. How it is reached
 * is the channel's business (kernel/ipc/pager_channel.c).
 *
 * G1. A page of a pager that hears of writes is PG_dirty before an entry that maps it is writable.
 *     Whoever enters such an entry asks object_lets_write() under the page-table lock; whoever
 *     makes the page clean write-protects every mapping afterwards.
 * G2. A page is in the tree only with its whole content: the pager fills frames that are nobody's.
 *     A clean page may be forgotten when memory is short, and is asked for again (reclaim_paged.c).
 * G3. One request at a time brings an index in. Who comes second waits for the first, and asks
 *     anew if that one failed or was killed.
 */
#ifndef MM_PAGER_H
#define MM_PAGER_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/object.h>
#include <mm/page.h>

/* So many pages are asked for at once, as far as they lie behind the one that is needed. */
#define PAGER_WINDOW_PAGES 16

/** How a pager is reached. Each may sleep, ends with -EINTR at a fatal signal, and locks nothing.
 */
struct pager_ops {
    /**
     * Fill zeroed frames with the object's bytes from @offset on.
     * @pages: the caller's; a channel that hands them to somebody else takes references
     * Return: bytes, from the first page on without a gap; or -errno, the pager's own included.
     */
    s64 (*page_in)(void *channel, u64 offset, struct page **pages, u32 nr_pages);
    /** Tell that a clean page is about to be written. Return: 0, or why it must not be. */
    int (*write_notify)(void *channel, u64 offset);
    /** Hand over pages that were written. Return: bytes that need not be kept any more; -errno. */
    s64 (*write_back)(void *channel, u64 offset, struct page **pages, u32 nr_pages, u64 len);
    /** The object is gone. */
    void (*release)(void *channel);
};

/** Does the pager hear of writes (WRITE_NOTIFY, WRITE_BACK)? */
enum pager_mode {
    PAGER_SUPPLIES, /* no: pages that were written stay until the object ends */
    PAGER_TRACKS,   /* yes */
};

/** pager_init() - the cache; once at boot. */
void pager_init(void);

/**
 * object_create_pager() - an object of @size bytes, none of them in memory yet.
 * @channel: taken over: ops->release gets it, also if this fails
 * Return: 0 with one reference in *out, or -ENOMEM.
 */
int MUST_CHECK object_create_pager(u64 size, enum pager_mode mode, const struct pager_ops *ops,
                                   void *channel, struct vm_object **out);

/**
 * object_settle() - from now on what is not in memory is zero, as in a memory file.
 *
 * The pager is not asked any more. Return: 0, or -EINVAL for an object that has no pager.
 */
int MUST_CHECK object_settle(struct vm_object *object);

/**
 * object_supply() - enter content that nobody has asked for; pages that are there stay as they are.
 *
 * From here on reclaim leaves the object alone: it may be about to be settled.
 * @offset: of a page
 * @iter:   the bytes: whole pages, but for the last one at the object's end
 *
 * Context: thread; user memory is copied with no lock held.
 * Return:  bytes, or with none -EINVAL (no pager, not whole pages, beyond the size), -EFAULT,
 *          -ENOMEM, -ENOSPC.
 */
s64 MUST_CHECK object_supply(struct vm_object *object, u64 offset, struct iov_iter *iter);

/** object_has_pager() - is what is missing somebody else's to bring? */
bool object_has_pager(const struct vm_object *object);

/**
 * object_tracks_writes() - does a pager hear of the first write to a clean page?
 *
 * Then nobody pins its shared pages for long to write to them (J6).
 */
bool object_tracks_writes(const struct vm_object *object);

/** object_lets_write() - may a shared entry of this page be writable? Context: table locked (G1).
 */
static inline bool object_lets_write(const struct vm_object *object, const struct page *page)
{
    return likely(object->pager == NULL) || !object_tracks_writes(object) || page_is_dirty(page);
}

/**
 * object_bring_in() - have the page of an index in memory.
 * @nr_pages: how many are wanted from there on, 1..PAGER_WINDOW_PAGES
 *
 * Context: thread; may sleep for as long as the pager likes; no lock may be held.
 * Return:  0: look again; -ERANGE (beyond the size), -EIO (no pager, or one that lies), -EINTR
 *          (fatal signal), -ENOMEM, or the pager's own error.
 */
int MUST_CHECK object_bring_in(struct vm_object *object, u64 index, u32 nr_pages);

/** object_announce_write() - ask the pager to let a page be written. As object_bring_in(). */
int MUST_CHECK object_announce_write(struct vm_object *object, u64 index);

/**
 * object_write_back() - hand the written pages of [start, end) bytes to the pager.
 *
 * Return: 0 if none is left that was written before the call; else as object_bring_in(), and the
 *         pages that were not taken stay as written.
 */
int MUST_CHECK object_write_back(struct vm_object *object, u64 start, u64 end);

/** object_nr_protect_steps() - mappings that write-backs have visited; counted in debug builds. */
u64 object_nr_protect_steps(void);

#endif
