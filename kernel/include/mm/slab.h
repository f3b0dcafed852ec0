/*
 * Kernel objects: caches of one size each, and kmalloc() over a row of such caches.
 *
 * A CPU takes objects from, and returns them to, a list of its own without a lock (see mm/frames.h
 * for why that is safe). In debug builds each object is followed by a red zone and filled with
 * poison while it is free; both are checked.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include <mm/frames.h>

struct kmem_cache;

/* The largest kmalloc(): a block of the largest order. */
#define KMALLOC_MAX (PAGE_SIZE << MAX_PAGE_ORDER)

/**
 * slab_init() - make the kmalloc caches; once, after frames_init().
 */
void slab_init(void);

/**
 * kmem_cache_create() - make a cache for one type of object.
 * @name:  kept, not copied
 * @size:  bytes, 1..8192
 * @align: a power of two up to PAGE_SIZE, or 0 for the natural one
 * @ctor:  run once for each object when its memory is new, or NULL. Objects of a cache with a
 *         constructor are freed in the state that it makes.
 *
 * Context: boot, or a test; panics when the table of caches is full.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
                                     void (*ctor)(void *));

/**
 * kmem_cache_create_type_stable() - a cache whose memory holds objects of the type for ever.
 *
 * A reader without a lock may look at a freed object: it sees a valid object, perhaps another one,
 * and must then find out whether it is still the one it wanted. Nothing is ever written over the
 * constructed state, and the frames are never given back.
 */
struct kmem_cache *kmem_cache_create_type_stable(const char *name, size_t size, size_t align,
                                                 void (*ctor)(void *));

/**
 * kmem_cache_destroy() - free a cache without objects; its frames go back.
 *
 * Context: no CPU uses the cache.
 */
void kmem_cache_destroy(struct kmem_cache *cache);

/**
 * kmem_cache_alloc() - an object.
 * @flags: enum alloc_flags; ALLOC_ZERO is not for caches with a constructor
 *
 * Context: thread, spin locks allowed; never an interrupt handler.
 * Return:  NULL if there is no memory.
 */
MUST_CHECK void *kmem_cache_alloc(struct kmem_cache *cache, u32 flags);

/**
 * kmem_cache_free() - give an object back.
 * @object: from this cache, not NULL
 */
void kmem_cache_free(struct kmem_cache *cache, void *object);

/**
 * kmalloc() - memory of any size up to KMALLOC_MAX, aligned to 16 bytes.
 *
 * Return: NULL if there is no memory, or @size is too large. 0 bytes get an address of their own.
 */
MUST_CHECK void *kmalloc(size_t size, u32 flags);

/**
 * kzalloc() - kmalloc() filled with zeros.
 */
MUST_CHECK void *kzalloc(size_t size, u32 flags);

/**
 * kmalloc_array() - kmalloc() for @n elements of @size bytes; NULL if the product overflows.
 */
MUST_CHECK void *kmalloc_array(size_t n, size_t size, u32 flags);

/**
 * kfree() - free memory from kmalloc(); NULL is allowed.
 */
void kfree(const void *ptr);

struct kmem_cache_stats {
    const char *name;
    u64 object_size;
    u64 objects_in_use;
    u64 slab_pages;
};

/**
 * slab_objects_in_use() - objects and large kmallocs that are allocated; exact when quiet.
 */
u64 slab_objects_in_use(void);

/**
 * slab_for_each_cache() - call @visit for each cache, in the order of their creation.
 */
void slab_for_each_cache(void (*visit)(const struct kmem_cache_stats *stats, void *arg), void *arg);

/**
 * slab_shrink() - give slabs without objects back to the frame allocator.
 *
 * Other CPUs keep the objects on their lists.
 */
void slab_shrink(void);

/**
 * slab_verify() - check every slab's counts, red zones and poison; panics on a difference.
 *
 * Context: no CPU may be allocating.
 */
void slab_verify(void);

#endif
