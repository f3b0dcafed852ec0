/*
 * Objects with a pager: their life, and how a page comes in (PAGE_IN).
 *
 * The tree of pages is shmem.c's; what differs is a hole, which stands for content that the pager
 * has. The first thread that needs it takes fresh frames, lets the pager fill them, and enters them
 * (G2); meanwhile a request in the pager's list keeps others from asking for the same (G3). No lock
 * is held while the pager is waited for. Read next: pager_write.c.
 */
#include <ipc/iov.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/pager.h>
#include <mm/pager_internal.h>
#include <mm/reclaim.h>
#include <mm/shmem.h>
#include <mm/slab.h>
#include <mm/vmstat.h>
#include <proc/sched.h>
#include <proc/thread.h>

/* A PAGE_IN under way. It stands on the stack of the thread that waits for the pager. */
struct page_in {
    struct list_node link; /* [o] in pager->page_ins */
    u64 first;             /* [I] indices [first, end) */
    u64 end;               /* [I] */
    u64 generation;        /* [I] of the object when it was asked for */
    struct page *pages[PAGER_WINDOW_PAGES];
};

static struct kmem_cache *pager_cache;

void pager_init(void)
{
    pager_cache = kmem_cache_create("pager", sizeof(struct pager), 0, NULL);
}

static int pager_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                          struct page **out)
{
    int error = shmem_find_page(object, index, out);

    if (error != -ENOENT || mode == OBJECT_FIND || mode == OBJECT_USE) {
        return error;
    }
    /* A page that came before the end of the pager is found by the second look. */
    return READ_ONCE(object->pager->is_settled) ? shmem_ops.get_page(object, index, mode, out)
                                                : -EINPROGRESS;
}

/* A writer that brought only a part of a page would leave the rest of it wrong (G2). */
static int pager_grow_page(struct vm_object *object, u64 index, struct page **out)
{
    int error = pager_get_page(object, index, OBJECT_NEED, out);

    if (error == -EINPROGRESS) {
        return -ENODATA;
    }
    return error == 0 ? 0 : shmem_ops.grow_page(object, index, out);
}

static void pager_release(struct vm_object *object)
{
    struct pager *pager = object->pager;

    ASSERT(list_is_empty(&pager->page_ins), "G3: who waits for a pager refers to the object");
    reclaim_remove_pager(pager);
    shmem_release_pages(object);
    pager->ops->release(pager->channel);
    kmem_cache_free(pager_cache, pager);
}

static const struct object_ops paged_ops = {
    .get_page = pager_get_page,
    .peek_pages = shmem_peek_pages,
    .grow_page = pager_grow_page,
    .next_data = shmem_next_data,
    .disown_pages = shmem_disown_pages,
    .release = pager_release,
};

int object_create_pager(u64 size, enum pager_mode mode, const struct pager_ops *ops, void *channel,
                        struct vm_object **out)
{
    struct pager *pager = kmem_cache_alloc(pager_cache, ALLOC_ZERO);
    struct vm_object *object;
    int error = -ENOMEM;

    if (pager != NULL) {
        error = object_new(OBJECT_PAGED, &paged_ops, OBJECT_PROMISE_LATER, size, &object);
    }
    if (error != 0) {
        if (pager != NULL) {
            kmem_cache_free(pager_cache, pager);
        }
        ops->release(channel);
        return error;
    }
    pager->ops = ops;
    pager->channel = channel;
    pager->mode = mode;
    list_init(&pager->page_ins);
    wait_queue_init(&pager->waiters);
    object->pager = pager;
    pager->object = object;
    reclaim_add_pager(pager);
    *out = object;
    return 0;
}

bool object_has_pager(const struct vm_object *object)
{
    return object->pager != NULL && !READ_ONCE(object->pager->is_settled);
}

int object_settle(struct vm_object *object)
{
    if (object->pager == NULL) {
        return -EINVAL;
    }
    object_lock(object);
    WRITE_ONCE(object->pager->is_settled, true);
    object_unlock(object);
    return 0;
}

void pager_round_ended(struct pager *pager)
{
    __atomic_fetch_add(&pager->nr_rounds, 1, __ATOMIC_SEQ_CST);
    if (wait_queue_is_waited(&pager->waiters)) {
        wake_up_all(&pager->waiters);
    }
}

int pager_await_round(struct pager *pager, u64 round)
{
    return wait_event_killable(&pager->waiters,
                               __atomic_load_n(&pager->nr_rounds, __ATOMIC_ACQUIRE) != round);
}

/* --- PAGE_IN --------------------------------------------------------------------------------- */

/* The request that covers an index, or else the first one behind it; NULL. Object lock held. */
static struct page_in *find_page_in(const struct pager *pager, u64 index)
{
    struct page_in *best = NULL;
    struct page_in *other;

    list_for_each_entry (other, &pager->page_ins, link) {
        if (index < other->end && (best == NULL || other->first < best->first)) {
            best = other;
        }
    }
    return best;
}

/* How far from @index on nothing is there, on its way, or behind the end. Object lock held. */
static u64 end_of_hole(struct vm_object *object, u64 index, u64 end)
{
    const struct page_in *other = find_page_in(object->pager, index);
    u64 next_page = index;

    end = min(end, object_size_in_pages(object));
    end = other != NULL ? min(end, other->first) : end;
    return radix_next(&object->pages, &next_page) != NULL ? min(end, next_page) : end;
}

enum begin_outcome {
    BEGIN_ASKING,  /* the request is in the list, and the caller's to carry out */
    BEGIN_WAITING, /* somebody else's covers the index */
    BEGIN_NOTHING, /* there is nothing to ask for */
    BEGIN_BEYOND,
};

static enum begin_outcome begin_page_in(struct vm_object *object, struct page_in *request)
    REQUIRES(&object->lock)
{
    const struct page_in *other = find_page_in(object->pager, request->first);

    if (request->first >= object_size_in_pages(object)) {
        return BEGIN_BEYOND;
    }
    if (object->pager->is_settled || radix_lookup(&object->pages, request->first) != NULL) {
        return BEGIN_NOTHING;
    }
    if (other != NULL && other->first <= request->first) {
        return BEGIN_WAITING;
    }
    request->end = end_of_hole(object, request->first, request->end);
    request->generation = object_generation(object);
    list_add_tail(&object->pager->page_ins, &request->link);
    return BEGIN_ASKING;
}

/* The pages behind the first are a favour: without memory there are fewer. */
static u32 alloc_frames(struct page_in *request)
{
    u32 nr = 0;

    while (nr < request->end - request->first) {
        request->pages[nr] = page_alloc(0, ALLOC_ZERO | ALLOC_USER);
        if (request->pages[nr] == NULL) {
            break;
        }
        nr++;
    }
    return nr;
}

/* How many whole pages a pager has supplied; the end of the object may lie in the last one. */
static s64 pages_supplied(const struct vm_object *object, const struct page_in *request, s64 bytes,
                          u32 nr_pages)
{
    u64 first_byte = request->first << PAGE_SHIFT;

    if (bytes < 0) {
        return bytes;
    }
    if ((u64)bytes > (u64)nr_pages << PAGE_SHIFT) {
        return -EIO;
    }
    if (first_byte + (u64)bytes >= object->size) {
        return (s64)DIV_ROUND_UP((u64)bytes, PAGE_SIZE);
    }
    return bytes >> PAGE_SHIFT;
}

/* Enters a filled frame, which then is the tree's and NULL here. Object lock held. */
static int enter_frame(struct vm_object *object, u64 index, struct page **page)
{
    int error = vm_commit_charge(NULL, 1) != 0 ? -ENOSPC : 0;

    if (error != 0) {
        return error;
    }
    error = shmem_insert_page(object, index, *page);
    if (error == 0) {
        *page = NULL;
    } else {
        vm_commit_release(1);
    }
    return error == -EEXIST ? 0 : error;
}

/* Enters what was supplied. Object lock held. */
static int enter_frames(struct vm_object *object, struct page_in *request, u32 nr_pages)
{
    int error = 0;

    /* What was asked for before a truncation may be what it took away. */
    if (object->pager->is_settled || request->generation != object_generation(object)) {
        return 0;
    }
    for (u32 i = 0; i < nr_pages && error == 0; i++) {
        if (request->first + i >= object_size_in_pages(object)) {
            break;
        }
        error = enter_frame(object, request->first + i, &request->pages[i]);
        /* What was not asked for may as well be missing. */
        error = i > 0 ? 0 : error;
    }
    return error;
}

static int carry_out(struct vm_object *object, struct page_in *request)
{
    struct pager *pager = object->pager;
    u32 nr_pages = alloc_frames(request);
    s64 result = -ENOMEM;

    if (nr_pages != 0) {
        current_thread()->majflt++;
        vm_event(VM_EVENT_MAJOR, 1);
        result = pager->ops->page_in(pager->channel, request->first << PAGE_SHIFT, request->pages,
                                     nr_pages);
    }
    object_lock(object);
    list_del(&request->link);
    result = pages_supplied(object, request, result, nr_pages);
    /* A pager that says it has supplied, and has not, has failed. */
    if (result == 0) {
        result = -EIO;
    }
    if (result > 0) {
        result = enter_frames(object, request, (u32)result);
    }
    object_unlock(object);
    pager_round_ended(pager);
    for (u32 i = 0; i < nr_pages; i++) {
        if (request->pages[i] != NULL) {
            page_put(request->pages[i]);
        }
    }
    /* Under the object lock nothing of the object could be taken back for the tree itself. */
    if (result == -ENOMEM && nr_pages != 0 && reclaim_memory()) {
        return 0;
    }
    return (int)result;
}

static int supply_page(struct vm_object *object, u64 index, struct iov_iter *iter)
{
    size_t len = min((size_t)iov_count(iter), PAGE_SIZE);
    struct page *page = page_alloc(0, ALLOC_ZERO | ALLOC_USER);
    int error = 0;

    if (page == NULL) {
        return -ENOMEM;
    }
    if (iov_copy_from(iter, page_to_virt(page), len) != len) {
        page_put(page);
        return -EFAULT;
    }
    object_lock(object);
    if (object->pager->is_settled || index >= object_size_in_pages(object)) {
        error = -EINVAL;
    } else {
        error = enter_frame(object, index, &page);
    }
    object_unlock(object);
    if (page != NULL) {
        page_put(page);
    }
    return error;
}

s64 object_supply(struct vm_object *object, u64 offset, struct iov_iter *iter)
{
    u64 end = offset + iov_count(iter);
    u64 at = offset;

    if (object->pager == NULL || !PAGE_ALIGNED(offset) || end < offset ||
        (!PAGE_ALIGNED(end) && end < object_size(object))) {
        return -EINVAL;
    }
    object_lock(object);
    object->pager->keeps_pages = true;
    object_unlock(object);
    while (iov_count(iter) > 0) {
        int error = supply_page(object, at >> PAGE_SHIFT, iter);

        if (error != 0) {
            return at > offset ? (s64)(at - offset) : error;
        }
        at = min(at + PAGE_SIZE, end);
        sched_point();
    }
    return (s64)(at - offset);
}

int object_bring_in(struct vm_object *object, u64 index, u32 nr_pages)
{
    struct page_in request = {.first = index, .end = index + nr_pages};

    ASSERT(nr_pages >= 1 && nr_pages <= PAGER_WINDOW_PAGES, "a request has frames for a window");
    for (;;) {
        enum begin_outcome outcome;
        u64 round;
        int error;

        object_lock(object);
        round = object->pager->nr_rounds;
        outcome = begin_page_in(object, &request);
        object_unlock(object);
        switch (outcome) {
        case BEGIN_ASKING:
            return carry_out(object, &request);
        case BEGIN_NOTHING:
            return 0;
        case BEGIN_BEYOND:
            return -ERANGE;
        case BEGIN_WAITING:
            break;
        }
        error = pager_await_round(object->pager, round);
        if (error != 0) {
            return error;
        }
    }
}
