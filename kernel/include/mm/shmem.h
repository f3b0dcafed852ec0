/*
 * The pages of memory objects, for the files that implement objects. Others use mm/object.h.
 */
#ifndef MM_SHMEM_H
#define MM_SHMEM_H

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <mm/object.h>

extern const struct object_ops shmem_ops;

/** object_new() - an object of some kind, with one reference. Return: 0 or -ENOMEM. */
int MUST_CHECK object_new(enum object_kind kind, const struct object_ops *ops,
                          enum object_promise promise, u64 size, struct vm_object **out);

/** object_size_in_pages() - the first index behind the end. Context: object lock held. */
static inline u64 object_size_in_pages(const struct vm_object *object)
{
    return DIV_ROUND_UP(object->size, PAGE_SIZE);
}

/** shmem_find_page() - the page in the tree at an index below the size. Return: 0, -ERANGE,
 * -ENOENT. */
int MUST_CHECK shmem_find_page(struct vm_object *object, u64 index, struct page **out);

/** shmem_peek_pages() - object_ops.peek_pages for objects with their pages in the tree. */
void shmem_peek_pages(struct vm_object *object, u64 first, u32 nr, struct page **pages);

/** shmem_next_data() - object_ops.next_data for objects with their pages in the tree. */
bool shmem_next_data(struct vm_object *object, u64 *index);

enum object_zap { OBJECT_ZAP_ALL, OBJECT_ZAP_FILE_PAGES };

/**
 * object_zap_mappings() - begin a new generation and take [first, end) out of every mapping.
 * @what: with the private copies, or without
 *
 * Context: object lock held for writing.
 */
void object_zap_mappings(struct vm_object *object, u64 first, u64 end, enum object_zap what);

/** object_nr_zap_steps() - mappings that zaps have visited since boot; counted in debug builds. */
u64 object_nr_zap_steps(void);

/**
 * shmem_insert_page() - enter a page that nobody else knows into the tree.
 * The caller's reference becomes the tree's. Return: 0, -EEXIST, -ENOMEM.
 * Context: object lock held for writing.
 */
int MUST_CHECK shmem_insert_page(struct vm_object *object, u64 index, struct page *page);

/**
 * shmem_fill_page() - enter a page at a hole, and map it before anybody else can find it.
 * @page:  filled, known to nobody; the tree takes a reference of its own
 * @enter: maps the page; called with the object lock held, may take page-table locks; an error of
 *         it takes the page out of the tree again
 *
 * Context: thread; may sleep; takes the object lock.
 * Return:  0, -EEXIST (there is a page), -ERANGE (beyond the size), -ENOMEM, or @enter's error.
 */
int MUST_CHECK shmem_fill_page(struct vm_object *object, u64 index, struct page *page,
                               int (*enter)(struct page *page, void *arg), void *arg);

/**
 * shmem_disown_pages() - take the pages of indices [first, end) out of the tree.
 * @removed: the pages are added here, each with the tree's reference, for shmem_put_pages()
 *
 * From here on object_owns_page() is false for them; the caller zaps the mappings next.
 * Context: object lock held for writing.
 */
void shmem_disown_pages(struct vm_object *object, u64 first, u64 end, struct list_node *removed);

/**
 * shmem_hide_page() - let nobody find a page of the tree any more; a full barrier.
 *
 * Whoever has taken a reference by then is counted, and nobody takes one afterwards.
 * Context: object lock held for writing, until shmem_show_page() or shmem_drop_hidden_page().
 */
void shmem_hide_page(struct page *page);

/** shmem_show_page() - let a hidden page be found again. */
void shmem_show_page(struct vm_object *object, struct page *page);

/** shmem_drop_hidden_page() - take a hidden page, which nobody maps, out of the tree for good. */
void shmem_drop_hidden_page(struct vm_object *object, u64 index, struct page *page);

/** shmem_put_pages() - drop the references of disowned pages. */
void shmem_put_pages(struct list_node *removed);

/** shmem_zero_part() - make bytes [from, to) of one page zero, if the page exists. */
void shmem_zero_part(struct vm_object *object, u64 index, size_t from, size_t to);

/** shmem_release_pages() - free all pages of an object that nobody refers to. */
void shmem_release_pages(struct vm_object *object);

#endif
