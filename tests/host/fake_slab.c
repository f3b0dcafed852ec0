/* Object caches for host tests of containers: the host's malloc, so that its sanitizer watches. */
#include <stdlib.h>

#include <fake_kernel.h>
#include <mm/fail_inject.h>
#include <mm/slab.h>

struct kmem_cache {
    size_t size;
    void (*ctor)(void *);
    u64 in_use;
};

static struct kmem_cache caches[16];
static u32 nr_caches;

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
                                     void (*ctor)(void *))
{
    caches[nr_caches].size = size;
    caches[nr_caches].ctor = ctor;
    return &caches[nr_caches++];
}

struct kmem_cache *kmem_cache_create_type_stable(const char *name, size_t size, size_t align,
                                                 void (*ctor)(void *))
{
    return kmem_cache_create(name, size, align, ctor);
}

void *kmem_cache_alloc(struct kmem_cache *cache, u32 flags)
{
    if (fail_inject_should_fail()) {
        return NULL;
    }
    cache->in_use++;
    void *object = calloc(1, cache->size);
    if (cache->ctor != NULL) {
        cache->ctor(object);
    }
    return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
    cache->in_use--;
    free(object);
}

u64 slab_objects_in_use(void)
{
    u64 count = 0;

    for (u32 i = 0; i < nr_caches; i++) {
        count += caches[i].in_use;
    }
    return count;
}
