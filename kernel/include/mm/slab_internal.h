/*
 * Shared by slab.c, kmalloc.c and slab_debug.c alone: what a cache is, and where things lie in an
 * object's slot.
 *
 * A slab is a block of frames cut into slots of `stride` bytes. A slot holds the object; in debug
 * builds a red zone; and, while the object is free, a pointer to the next free one. The pointer
 * lies over the object's first bytes, unless they must survive (constructed objects) or are checked
 * (debug builds); then it has a place of its own at the slot's end.
 */
#ifndef MM_SLAB_INTERNAL_H
#define MM_SLAB_INTERNAL_H

#include <mm/slab.h>

enum kmem_cache_flags {
    KMEM_TYPE_STABLE = 1 << 0, /* freed objects stay objects: see kmem_cache_create_type_stable() */
    KMEM_IN_USE = 1 << 1,      /* this entry of the table of caches is taken */
};

/* [I] immutable, [s] lock. */
struct kmem_cache {
    u32 cpu_offset;       /* [I] bytes from a CPU's first list to the one for this cache */
    u32 link_offset;      /* [I] bytes from an object to its pointer to the next free one */
    u32 object_size;      /* [I] what the user asked for */
    u32 stride;           /* [I] bytes from one object to the next */
    u32 order;            /* [I] a slab has 2^order frames */
    u32 per_slab;         /* [I] objects in a slab */
    u32 batch;            /* [I] objects moved to or from a CPU's list at once */
    u32 limit;            /* [I] objects on a CPU's list before it gives some back */
    u32 flags;            /* [I] enum kmem_cache_flags */
    void (*ctor)(void *); /* [I] or NULL */
    const char *name;     /* [I] */
    struct spinlock lock;
    struct list_node partial; /* [s] slabs that have free objects */
    u64 nr_given;             /* [s] objects out of their slabs: used, or on a CPU's list */
    u64 nr_slabs;             /* [s] */
    u64 nr_empty;             /* [s] slabs on the list above without a used object */
};

/* Bytes after each object that nobody may write, in debug builds. */
#define RED_ZONE_SIZE (DEBUG_ENABLED ? 16U : 0U)

/**
 * kmalloc_large_in_use() - blocks of whole frames that kmalloc() has given out.
 */
u64 kmalloc_large_in_use(void);

/**
 * slab_debug_new() - an object's memory is new: it counts as free.
 */
void slab_debug_new(const struct kmem_cache *cache, void *object);

/**
 * slab_debug_alloc() - check that nobody has touched a free object, and mark it used.
 */
void slab_debug_alloc(const struct kmem_cache *cache, void *object);

/**
 * slab_debug_free() - check that a used object was freed once and not overrun; mark it free.
 */
void slab_debug_free(const struct kmem_cache *cache, void *object);

/**
 * slab_debug_check_free() - check that nobody has touched a free object.
 */
void slab_debug_check_free(const struct kmem_cache *cache, void *object);

#endif
