/*
 * Pages that live in memory objects: made when first needed, found by index, taken away again.
 *
 * The tree of an object holds one reference on each of its pages, and page->owner leads back. A
 * page is disowned (owner becomes NULL) before its mappings are zapped: a fault that looked the
 * page up before re-checks the owner under the page-table lock, so that it either comes before the
 * zap and is undone by it, or sees that it is too late. Read next: object_size.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/account.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/shmem.h>

static u64 size_in_pages(const struct vm_object *object)
{
    return DIV_ROUND_UP(object->size, PAGE_SIZE);
}

bool object_owns_page(const struct vm_object *object, u64 index, const struct page *page)
{
    return READ_ONCE(page->owner) == object && READ_ONCE(page->index) == index;
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

/* Enters a fresh page into the tree; the reference from its allocation becomes the tree's. */
static int insert_locked(struct vm_object *object, u64 index, struct page *page)
{
    int error = radix_insert(&object->pages, index, page);

    if (error != 0) {
        return error;
    }
    page->owner = object;
    page->index = index;
    list_init(&page->link);
    page_set_object(page);
    page_set_uptodate(page);
    object->nr_pages++;
    if (object->promise == OBJECT_PROMISE_LATER) {
        object->nr_promised++;
    }
    mem_account(MEM_SHMEM, 1);
    return 0;
}

enum size_rule { WITHIN_SIZE, BEYOND_SIZE_TOO };

static int create_page(struct vm_object *object, u64 index, enum size_rule rule, struct page **out)
{
    struct page *fresh;
    struct page *page = NULL;
    int error = alloc_page(object, &fresh);

    if (error != 0) {
        return error;
    }
    rwsem_write_lock(&object->lock);
    if (rule == WITHIN_SIZE && index >= size_in_pages(object)) {
        error = -ERANGE;
    } else {
        page = lookup_locked(object, index);
        if (page == NULL) {
            error = insert_locked(object, index, fresh);
        }
    }
    if (page == NULL && error == 0) {
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

static int shmem_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                          struct page **out)
{
    struct page *page = NULL;
    bool is_inside;

    rwsem_read_lock(&object->lock);
    is_inside = index < size_in_pages(object);
    if (is_inside) {
        page = lookup_locked(object, index);
    }
    rwsem_read_unlock(&object->lock);
    if (!is_inside) {
        return -ERANGE;
    }
    if (page == NULL) {
        return mode == OBJECT_FIND ? -ENOENT : create_page(object, index, WITHIN_SIZE, out);
    }
    *out = page;
    return 0;
}

const struct object_ops shmem_ops = {.get_page = shmem_get_page};

int shmem_grow_page(struct vm_object *object, u64 index, struct page **out)
{
    struct page *page;

    rwsem_read_lock(&object->lock);
    page = lookup_locked(object, index);
    rwsem_read_unlock(&object->lock);
    if (page == NULL) {
        return create_page(object, index, BEYOND_SIZE_TOO, out);
    }
    *out = page;
    return 0;
}

void shmem_disown_pages(struct vm_object *object, u64 first, u64 end, struct list_node *removed)
{
    u64 index = first;
    u64 nr_pages = 0;
    struct page *page = radix_next(&object->pages, &index);

    while (page != NULL && index < end) {
        ASSERT(page->owner == object && page->index == index,
               "a page in an object's tree is owned by it");
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
    mem_account(MEM_SHMEM, -(s64)nr_pages);
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
