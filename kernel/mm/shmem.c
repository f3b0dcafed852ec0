/*
 * Pages that live in memory objects: made when first needed, found by index, taken away again.
 *
 * The tree of an object holds one reference on each of its pages, and page->owner leads back. A
 * page is disowned (owner becomes NULL) before its mappings are zapped: a fault that looked the
 * page up before re-checks the owner under the page-table lock, so that it either comes before the
 * zap and is undone by it, or sees that it is too late.
 *
 * Pages that are there are found without the object lock: look into the tree, take a reference if
 * anybody has one, and see then whether the frame is still the page that was meant. It is for as
 * long as it has its owner, which is set when the page is in the tree and taken away before the
 * tree's reference is dropped. Only making pages and taking them away needs the lock.
 *
 * A page that fallocate(2) made is reserved: it stands in the tree without an owner, so that every
 * look-up without the lock passes it over, and without PG_uptodate. Reading sees a hole. The first
 * fault, write or second allocation uses it (use_page()); from then on it is like any other.
 * Read next: object_size.c.
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/account.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/shmem.h>

void object_peek_pages(struct vm_object *object, u64 first, u32 nr, struct page **pages)
{
    if (object->ops->peek_pages != NULL) {
        object->ops->peek_pages(object, first, nr, pages);
        return;
    }
    for (u32 i = 0; i < nr; i++) {
        if (object_get_page(object, first + i, OBJECT_FIND, &pages[i]) == 0) {
            page_put(pages[i]);
        } else {
            pages[i] = NULL;
        }
    }
}

void shmem_peek_pages(struct vm_object *object, u64 first, u32 nr, struct page **pages)
{
    if (!radix_peek(&object->pages, first, nr, (void **)pages)) {
        memset(pages, 0, nr * sizeof(struct page *));
    }
}

/* A zeroed page with the promise for it, known to nobody. */
static int alloc_page(struct vm_object *object, struct page **out)
{
    bool needs_promise = object->promise == OBJECT_PROMISE_LATER;

    if (needs_promise && vm_commit_charge(NULL, 1) != 0) {
        return -ENOSPC;
    }
    *out = page_alloc(0, ALLOC_ZERO | ALLOC_USER);
    if (*out != NULL) {
        return 0;
    }
    if (needs_promise) {
        vm_commit_release(1);
    }
    return -ENOMEM;
}

/* Last: with its owner the page is one that is found without a lock. */
static void own_page(struct vm_object *object, struct page *page)
{
    page_set_uptodate(page);
    __atomic_store_n(&page->owner, object, __ATOMIC_RELEASE);
}

/* The page of an index with a reference, NULL for a hole. Object lock held. */
static struct page *lookup_locked(struct vm_object *object, u64 index)
{
    struct page *page = radix_lookup(&object->pages, index);

    if (page != NULL) {
        page_get(page);
    }
    return page;
}

/*
 * A reserved page is used from here on. Object lock held, for reading at least: several may come
 * at once, and all say the same.
 */
static void use_page(struct vm_object *object, struct page *page)
{
    if (READ_ONCE(page->owner) == NULL) {
        own_page(object, page);
    }
}

/* Enters a page that is to be findable without a lock only after own_page(). */
static ALWAYS_INLINE int insert_unowned(struct vm_object *object, u64 index, struct page *page)
{
    int error = radix_insert(&object->pages, index, page);

    if (error != 0) {
        return error;
    }
    page->index = index;
    list_init(&page->link);
    page_set_object(page);
    object->nr_pages++;
    if (object->promise == OBJECT_PROMISE_LATER) {
        object->nr_promised++;
    }
    if (object->device == NULL) {
        mem_account(MEM_SHMEM, 1);
    }
    return 0;
}

int shmem_insert_page(struct vm_object *object, u64 index, struct page *page)
{
    int error = insert_unowned(object, index, page);

    if (error == 0) {
        own_page(object, page);
    }
    return error;
}

enum size_rule { WITHIN_SIZE, BEYOND_SIZE_TOO };
enum page_use { PAGE_USED, PAGE_RESERVED };

/* A page that is there already is used, if only because somebody asks for it a second time. */
static int create_page(struct vm_object *object, u64 index, enum size_rule rule, enum page_use use,
                       struct page **out)
{
    struct page *fresh;
    struct page *page = NULL;
    int error = alloc_page(object, &fresh);

    if (error != 0) {
        return error;
    }
    rwsem_write_lock(&object->lock);
    if (rule == WITHIN_SIZE && index >= object_size_in_pages(object)) {
        error = -ERANGE;
    } else {
        page = lookup_locked(object, index);
        if (page != NULL) {
            use_page(object, page);
        } else {
            error = insert_unowned(object, index, fresh);
        }
    }
    if (page == NULL && error == 0) {
        if (use == PAGE_USED) {
            own_page(object, fresh);
        }
        page_get(fresh);
        page = fresh;
        fresh = NULL;
    }
    rwsem_write_unlock(&object->lock);
    if (fresh != NULL) {
        page_put(fresh);
        if (object->promise == OBJECT_PROMISE_LATER) {
            vm_commit_release(1);
        }
    }
    if (error == 0) {
        *out = page;
    }
    return error;
}

/* Takes a page out that was not findable yet. Object lock held for writing. */
static void take_out(struct vm_object *object, u64 index, struct page *page)
{
    radix_erase(&object->pages, index);
    page_clear_object(page);
    object->nr_pages--;
    if (object->promise == OBJECT_PROMISE_LATER) {
        object->nr_promised--;
    }
    mem_account(MEM_SHMEM, -1);
}

void shmem_hide_page(struct page *page)
{
    (void)__atomic_exchange_n(&page->owner, NULL, __ATOMIC_SEQ_CST);
}

void shmem_show_page(struct vm_object *object, struct page *page)
{
    own_page(object, page);
}

void shmem_drop_hidden_page(struct vm_object *object, u64 index, struct page *page)
{
    ASSERT(page->owner == NULL && page->index == index, "nobody finds a page that is taken out");
    take_out(object, index, page);
    if (object->promise == OBJECT_PROMISE_LATER) {
        vm_commit_release(1);
    }
    page_put(page);
}

/*
 * The page stands in the tree without its owner while it is mapped: look-ups without the lock pass
 * it over and then wait for the lock. So nobody else maps it first, and it can be taken out again.
 */
static int fill_locked(struct vm_object *object, u64 index, struct page *page,
                       int (*enter)(struct page *page, void *arg), void *arg)
{
    int error =
        index < object_size_in_pages(object) ? insert_unowned(object, index, page) : -ERANGE;

    if (error != 0) {
        return error;
    }
    /* First: whoever zaps the entry drops the reference that the entry got. */
    page_get(page);
    error = enter(page, arg);
    if (error != 0) {
        take_out(object, index, page);
        page_put(page);
        return error;
    }
    own_page(object, page);
    return 0;
}

int shmem_fill_page(struct vm_object *object, u64 index, struct page *page,
                    int (*enter)(struct page *page, void *arg), void *arg)
{
    bool needs_promise = object->promise == OBJECT_PROMISE_LATER;
    int error;

    if (needs_promise && vm_commit_charge(NULL, 1) != 0) {
        return -ENOMEM;
    }
    rwsem_write_lock(&object->lock);
    error = fill_locked(object, index, page, enter, arg);
    rwsem_write_unlock(&object->lock);
    if (error != 0 && needs_promise) {
        vm_commit_release(1);
    }
    return error;
}

/* Where a writer is at work, or a page is only reserved, the tree is asked under the lock. */
static int find_page_locked(struct vm_object *object, u64 index, enum object_get_mode mode,
                            struct page **out)
{
    struct page *page = NULL;
    bool is_inside;

    rwsem_read_lock(&object->lock);
    is_inside = index < object_size_in_pages(object);
    if (is_inside) {
        page = lookup_locked(object, index);
    }
    if (page != NULL && (mode == OBJECT_USE || mode == OBJECT_CREATE)) {
        use_page(object, page);
    }
    rwsem_read_unlock(&object->lock);
    if (page == NULL) {
        return is_inside ? -ENOENT : -ERANGE;
    }
    *out = page;
    return 0;
}

/* object_take_owned_page(), and false as well if the index lies beyond the size. */
static ALWAYS_INLINE bool take_page_inside(struct vm_object *object, u64 index, struct page *page)
{
    if (!object_take_owned_page(object, index, page)) {
        return false;
    }
    /* Asked last: a truncation that has not yet shrunk the size zaps after the caller. */
    if (likely(index < DIV_ROUND_UP(object_size(object), PAGE_SIZE))) {
        return true;
    }
    page_put(page);
    return false;
}

static ALWAYS_INLINE int find_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                                   struct page **out)
{
    struct page *page;

    if (index >= DIV_ROUND_UP(object_size(object), PAGE_SIZE)) {
        return -ERANGE;
    }
    if (radix_peek_one(&object->pages, index, (void **)&page)) {
        if (page == NULL) {
            return -ENOENT;
        }
        if (take_page_inside(object, index, page)) {
            *out = page;
            return 0;
        }
    }
    return find_page_locked(object, index, mode, out);
}

int shmem_find_page(struct vm_object *object, u64 index, struct page **out)
{
    return find_page(object, index, OBJECT_FIND, out);
}

static int shmem_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                          struct page **out)
{
    int error = find_page(object, index, mode, out);

    if (error == -ENOENT && mode == OBJECT_CREATE) {
        return create_page(object, index, WITHIN_SIZE, PAGE_USED, out);
    }
    return error;
}

bool shmem_next_data(struct vm_object *object, u64 *index)
{
    const struct page *page = radix_next(&object->pages, index);

    while (page != NULL && !page_is_uptodate(page)) {
        (*index)++;
        page = radix_next(&object->pages, index);
    }
    return page != NULL;
}

static bool use_existing(struct vm_object *object, u64 index, struct page **out)
{
    struct page *page;

    rwsem_read_lock(&object->lock);
    page = lookup_locked(object, index);
    if (page != NULL) {
        use_page(object, page);
        *out = page;
    }
    rwsem_read_unlock(&object->lock);
    return page != NULL;
}

static ALWAYS_INLINE int grow_page(struct vm_object *object, u64 index, enum page_use use,
                                   struct page **out)
{
    struct page *page;

    if (radix_peek_one(&object->pages, index, (void **)&page) && page != NULL) {
        if (object_take_owned_page(object, index, page)) {
            *out = page;
            return 0;
        }
        if (use_existing(object, index, out)) {
            return 0;
        }
    }
    return create_page(object, index, BEYOND_SIZE_TOO, use, out);
}

static int shmem_grow_page(struct vm_object *object, u64 index, struct page **out)
{
    return grow_page(object, index, PAGE_USED, out);
}

static int shmem_reserve_page(struct vm_object *object, u64 index, struct page **out)
{
    return grow_page(object, index, PAGE_RESERVED, out);
}

void shmem_disown_pages(struct vm_object *object, u64 first, u64 end, struct list_node *removed)
{
    u64 index = first;
    u64 nr_pages = 0;
    struct page *page = radix_next(&object->pages, &index);

    while (page != NULL && index < end) {
        ASSERT((page->owner == object || !page_is_uptodate(page)) && page->index == index,
               "a page in an object's tree is owned by it, unless it is only reserved");
        radix_erase(&object->pages, index);
        WRITE_ONCE(page->owner, NULL);
        page_clear_object(page);
        list_add_tail(removed, &page->link);
        nr_pages++;
        index++;
        page = radix_next(&object->pages, &index);
    }
    object->nr_pages -= nr_pages;
    if (object->promise == OBJECT_PROMISE_LATER) {
        object->nr_promised -= nr_pages;
        vm_commit_release(nr_pages);
    }
    if (object->device == NULL) {
        mem_account(MEM_SHMEM, -(s64)nr_pages);
    }
}

void shmem_put_pages(struct list_node *removed)
{
    while (!list_is_empty(removed)) {
        struct page *page = list_first_entry(removed, struct page, link);

        list_del(&page->link);
        page_put(page);
    }
}

void shmem_zero_part(struct vm_object *object, u64 index, size_t from, size_t to)
{
    struct page *page = radix_lookup(&object->pages, index);

    if (page != NULL && from < to) {
        memset((u8 *)page_to_virt(page) + from, 0, to - from);
    }
}

void shmem_release_pages(struct vm_object *object)
{
    struct list_node removed = LIST_INIT(removed);

    shmem_disown_pages(object, 0, U64_MAX, &removed);
    shmem_put_pages(&removed);
    ASSERT(object->nr_pages == 0, "nr_pages is the number of pages in the tree");
}

const struct object_ops shmem_ops = {
    .get_page = shmem_get_page,
    .peek_pages = shmem_peek_pages,
    .grow_page = shmem_grow_page,
    .reserve_page = shmem_reserve_page,
    .next_data = shmem_next_data,
    .disown_pages = shmem_disown_pages,
    .release = shmem_release_pages,
};
