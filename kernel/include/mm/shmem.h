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

/** shmem_grow_page() - object_get_page() with OBJECT_CREATE that also goes beyond the size. */
int MUST_CHECK shmem_grow_page(struct vm_object *object, u64 index, struct page **out);

/**
 * shmem_disown_pages() - take the pages of indices [first, end) out of the tree.
 * @removed: the pages are added here, each with the tree's reference, for shmem_put_pages()
 *
 * From here on object_owns_page() is false for them; the caller zaps the mappings next.
 * Context: object lock held for writing.
 */
void shmem_disown_pages(struct vm_object *object, u64 first, u64 end, struct list_node *removed);

/** shmem_put_pages() - drop the references of disowned pages. */
void shmem_put_pages(struct list_node *removed);

/** shmem_zero_part() - make bytes [from, to) of one page zero, if the page exists. */
void shmem_zero_part(struct vm_object *object, u64 index, size_t from, size_t to);

/** shmem_release_pages() - free all pages of an object that nobody refers to. */
void shmem_release_pages(struct vm_object *object);

#endif
