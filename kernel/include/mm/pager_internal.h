/* What the two files that implement pagers share. Others use mm/pager.h. */
#ifndef MM_PAGER_INTERNAL_H
#define MM_PAGER_INTERNAL_H

#include <lib/list.h>
#include <lib/types.h>
#include <mm/pager.h>
#include <proc/waitqueue.h>

/* Locks: [I] immutable, [o] the object's lock, [x] atomic, [r] the lock of the list. */
struct pager {
    const struct pager_ops *ops;   /* [I] */
    void *channel;                 /* [I] ops->release ends it */
    enum pager_mode mode;          /* [I] */
    struct vm_object *object;      /* [I] whose pager it is, not referenced */
    bool is_settled;               /* [o] read without: never becomes false again */
    bool is_writing_back;          /* [o] a thread hands pages over */
    bool keeps_pages;              /* [o] somebody supplies what was not asked for: it must stay */
    u64 reclaim_next;              /* [o] the index at which reclaim goes on */
    struct list_node reclaim_link; /* [r] link in reclaim's list of pagers */
    struct list_node page_ins;     /* [o] struct page_in, the PAGE_INs under way */
    u64 nr_rounds;                 /* [x] how many requests have ended */
    struct wait_queue waiters;     /* for somebody else's request to end */
};

/** pager_round_ended() - a request has left the lists: let those look again who wait for it. */
void pager_round_ended(struct pager *pager);

/**
 * pager_await_round() - wait until another request has ended.
 * @round: nr_rounds as read under the object lock, when the caller found a reason to wait
 * Return: 0 or -EINTR.
 */
int MUST_CHECK pager_await_round(struct pager *pager, u64 round);

/**
 * reclaim_add_pager() / reclaim_remove_pager() - from now on, or no longer, clean pages of its
 *                                                object may go. Afterwards nobody is at work there.
 * Context: thread; may sleep.
 */
void reclaim_add_pager(struct pager *pager);
void reclaim_remove_pager(struct pager *pager);

#endif
