/*
 * Kernel objects.
 *
 * Owns the slabs: blocks of frames cut into objects of one size, and for each cache and CPU a list
 * of free objects that this CPU hands out without a lock. When the list is empty it takes a batch
 * from the cache's slabs under the cache's lock; when it is long it gives a batch back. A slab
 * without used objects goes back to the frame allocator, but each cache keeps one, so that a
 * program that allocates and frees one object at the edge does not cut up a slab each time.
 *
 * S1. nr_given is the sum of slab_in_use over the cache's slabs; objects in use are nr_given less
 *     what the CPUs' lists hold.
 * S2. A slab is on the partial list exactly while it has free objects.
 * Read next: kernel/mm/kmalloc.c, kernel/mm/slab_debug.c.
 */
#include <arch/cpu.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/fail_inject.h>
#include <mm/kasan.h>
#include <mm/slab_internal.h>

#define MAX_CACHES 64

/* A slab has at most 2^3 frames, and at least this many objects if so much allows it. */
#define MAX_SLAB_ORDER  3
#define WANTED_OBJECTS  8
#define MAX_OBJECT_SIZE (8 * KIB)
#define MIN_STRIDE      16U
#define MIN_ALIGN       8U
#define MAX_EMPTY_SLABS 1

/* About a page of objects moves at a time. */
#define BATCH_BYTES 4096U
#define BATCH_MIN   4U
#define BATCH_MAX   32U

/* Free objects of one cache on one CPU, newest first. */
struct cpu_objects {
    void *head;
    u32 count;
};

/* One CPU's lists for all caches. */
struct cpu_lists {
    struct cpu_objects lists[MAX_CACHES];
} ALIGNED(64);

static struct spinlock caches_lock = SPINLOCK_INIT(RANK_SLAB_CACHES);
static struct kmem_cache caches[MAX_CACHES]; /* [caches_lock] which are in use */
static struct cpu_lists cpu_lists[MAX_CPUS];

static void *alloc_slow(struct kmem_cache *cache, u32 flags);
static void give_back_batch(struct kmem_cache *cache, struct cpu_objects *list);
static struct page *slab_create(struct kmem_cache *cache, u32 flags);
static void slab_destroy(struct kmem_cache *cache, struct page *slab);
static void slab_put_object(struct kmem_cache *cache, void *object, struct list_node *unused);
static void destroy_slabs(struct kmem_cache *cache, struct list_node *unused);

static ALWAYS_INLINE struct cpu_objects *cpu_list(const struct kmem_cache *cache)
{
    return (struct cpu_objects *)((char *)&cpu_lists[cpu_id()] + cache->cpu_offset);
}

static struct cpu_objects *list_of(const struct kmem_cache *cache, u32 cpu)
{
    return (struct cpu_objects *)((char *)&cpu_lists[cpu] + cache->cpu_offset);
}

/* A free object is forbidden to everybody but its allocator, hence no instrumentation. */
static NO_SANITIZE_ADDRESS inline void *get_link(const struct kmem_cache *cache, void *object)
{
    return *(void **)((char *)object + cache->link_offset);
}

static NO_SANITIZE_ADDRESS inline void set_link(const struct kmem_cache *cache, void *object,
                                                void *next)
{
    *(void **)((char *)object + cache->link_offset) = next;
}

static inline void push(const struct kmem_cache *cache, struct cpu_objects *list, void *object)
{
    set_link(cache, object, list->head);
    list->head = object;
    list->count++;
}

static inline void *pop(const struct kmem_cache *cache, struct cpu_objects *list)
{
    void *object = list->head;

    list->head = get_link(cache, object);
    list->count--;
    return object;
}

/* --- allocating and freeing ---------------------------------------------------------------------
 */

/* What debug and sanitizer builds do to an object that is handed out. */
static inline void check_alloc(struct kmem_cache *cache, void *object)
{
    kasan_unpoison(object, cache->object_size);
    if (DEBUG_ENABLED) {
        slab_debug_alloc(cache, object);
    }
}

void *kmem_cache_alloc(struct kmem_cache *cache, u32 flags)
{
    if (DEBUG_ENABLED) {
        ASSERT((flags & ~(u32)ALLOC_FLAGS_VALID) == 0, "allocation flags are valid");
        ASSERT(!cpu_in_interrupt(), "interrupt handlers do not allocate");
        ASSERT((flags & ALLOC_ZERO) == 0 || cache->ctor == NULL,
               "a constructed object is not overwritten with zeros");
        if ((flags & ALLOC_NOFAIL_TEST) == 0 && fail_inject_should_fail()) {
            return NULL;
        }
    }
    struct cpu_objects *list = cpu_list(cache);
    if (unlikely(list->head == NULL)) {
        return alloc_slow(cache, flags);
    }
    void *object = pop(cache, list);
    check_alloc(cache, object);
    if (unlikely((flags & ALLOC_ZERO) != 0)) {
        return memset(object, 0, cache->object_size);
    }
    return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
    if (DEBUG_ENABLED) {
        struct page *page = virt_to_page(object);
        u64 offset = (u64)object & ((PAGE_SIZE << cache->order) - 1);

        ASSERT(!cpu_in_interrupt(), "interrupt handlers do not free");
        ASSERT(page_is_slab(page) && page->slab_cache == cache,
               "an object is freed to the cache that it is from");
        ASSERT(offset % cache->stride == 0, "an object is freed by its first byte's address");
        slab_debug_free(cache, object);
    }
    if ((cache->flags & KMEM_TYPE_STABLE) == 0) {
        kasan_poison(object, ALIGN_UP(cache->object_size, 8U), KASAN_FREE_OBJECT);
    }
    struct cpu_objects *list = cpu_list(cache);
    push(cache, list, object);
    if (unlikely(list->count > cache->limit)) {
        give_back_batch(cache, list);
    }
}

/* Fills the CPU's list from slabs that have free objects. Return: did it get any? */
static bool take_batch(struct kmem_cache *cache)
{
    struct cpu_objects *list = cpu_list(cache);
    u32 wanted = cache->batch;

    spin_lock(&cache->lock);
    while (wanted > 0 && !list_is_empty(&cache->partial)) {
        struct page *slab = list_first_entry(&cache->partial, struct page, slab_link);

        if (slab->slab_in_use == 0) {
            cache->nr_empty--;
        }
        for (; wanted > 0 && slab->slab_free != NULL; wanted--) {
            void *object = slab->slab_free;

            slab->slab_free = get_link(cache, object);
            slab->slab_in_use++;
            cache->nr_given++;
            push(cache, list, object);
        }
        if (slab->slab_free == NULL) {
            list_del(&slab->slab_link);
        }
    }
    spin_unlock(&cache->lock);
    return list->head != NULL;
}

static NOINLINE void *alloc_slow(struct kmem_cache *cache, u32 flags)
{
    while (!take_batch(cache)) {
        struct page *slab = slab_create(cache, flags);

        if (slab == NULL) {
            return NULL;
        }
        spin_lock(&cache->lock);
        list_add_head(&cache->partial, &slab->slab_link);
        cache->nr_slabs++;
        cache->nr_empty++;
        spin_unlock(&cache->lock);
    }
    void *object = pop(cache, cpu_list(cache));
    check_alloc(cache, object);
    if ((flags & ALLOC_ZERO) != 0) {
        memset(object, 0, cache->object_size);
    }
    return object;
}

/* The objects freed last stay: their memory is in the CPU's cache. */
static NOINLINE void give_back_batch(struct kmem_cache *cache, struct cpu_objects *list)
{
    struct list_node unused = LIST_INIT(unused);
    void *last_kept = list->head;

    u32 kept = list->count - cache->batch;
    for (u32 i = 1; i < kept; i++) {
        last_kept = get_link(cache, last_kept);
    }
    void *object = get_link(cache, last_kept);
    set_link(cache, last_kept, NULL);
    list->count = kept;

    spin_lock(&cache->lock);
    while (object != NULL) {
        void *next = get_link(cache, object);

        slab_put_object(cache, object, &unused);
        object = next;
    }
    spin_unlock(&cache->lock);
    destroy_slabs(cache, &unused);
}

/* --- slabs -------------------------------------------------------------------------------------
 */

static struct page *slab_of(const struct kmem_cache *cache, void *object)
{
    return virt_to_page((void *)ALIGN_DOWN((u64)object, PAGE_SIZE << cache->order));
}

/*
 * An object returns to its slab. A slab that has become empty and is one too many leaves the cache
 * for @unused, whose slabs the caller destroys without the lock.
 */
static void slab_put_object(struct kmem_cache *cache, void *object, struct list_node *unused)
    REQUIRES(cache->lock)
{
    struct page *slab = slab_of(cache, object);

    ASSERT(slab->slab_in_use > 0, "S1: an object comes back to the slab that it is from");
    if (slab->slab_free == NULL) {
        list_add_head(&cache->partial, &slab->slab_link);
    }
    set_link(cache, object, slab->slab_free);
    slab->slab_free = object;
    slab->slab_in_use--;
    cache->nr_given--;
    if (slab->slab_in_use > 0) {
        return;
    }
    if (cache->nr_empty < MAX_EMPTY_SLABS || (cache->flags & KMEM_TYPE_STABLE) != 0) {
        /* Last in line: slabs in use are filled first. */
        list_move_tail(&cache->partial, &slab->slab_link);
        cache->nr_empty++;
        return;
    }
    list_del(&slab->slab_link);
    list_add_tail(unused, &slab->slab_link);
    cache->nr_slabs--;
}

static void destroy_slabs(struct kmem_cache *cache, struct list_node *unused)
{
    struct page *slab;
    struct page *next;

    list_for_each_entry_safe (slab, next, unused, slab_link) {
        list_del(&slab->slab_link);
        slab_destroy(cache, slab);
    }
}

static struct page *slab_create(struct kmem_cache *cache, u32 flags)
{
    u32 page_flags = (flags & (ALLOC_ATOMIC | ALLOC_USER)) | ALLOC_NOFAIL_TEST;
    struct page *slab = page_alloc(cache->order, page_flags);

    if (slab == NULL) {
        return NULL;
    }
    for (u32 i = 0; i < 1U << cache->order; i++) {
        page_set_type(&slab[i], PG_slab);
        slab[i].slab_cache = cache;
    }
    mem_account(MEM_SLAB, 1L << cache->order);
    slab->slab_in_use = 0;
    slab->slab_free = NULL;
    list_init(&slab->slab_link);

    /* From the last to the first, so that they are handed out in the order of addresses. */
    for (u32 i = cache->per_slab; i > 0; i--) {
        void *object = (char *)page_to_virt(slab) + (size_t)(i - 1) * cache->stride;

        if (cache->ctor != NULL) {
            cache->ctor(object);
        }
        if (DEBUG_ENABLED) {
            slab_debug_new(cache, object);
        }
        set_link(cache, object, slab->slab_free);
        slab->slab_free = object;
    }
    kasan_poison(page_to_virt(slab), PAGE_SIZE << cache->order, KASAN_REDZONE);
    return slab;
}

static void slab_destroy(struct kmem_cache *cache, struct page *slab)
{
    ASSERT(slab->slab_in_use == 0, "S1: a slab is destroyed without used objects");
    for (u32 i = 0; i < 1U << cache->order; i++) {
        page_clear_type(&slab[i], PG_slab);
    }
    mem_account(MEM_SLAB, -(1L << cache->order));
    page_free(slab, cache->order);
}

/* --- caches ------------------------------------------------------------------------------------
 */

/* The smallest slab that wastes at most an eighth of itself and holds several objects. */
static u32 choose_order(u32 stride)
{
    u32 order = 0;

    for (; order < MAX_SLAB_ORDER; order++) {
        u32 bytes = (u32)PAGE_SIZE << order;

        if (bytes / stride >= WANTED_OBJECTS && bytes % stride <= bytes / 8) {
            break;
        }
    }
    return order;
}

static void set_layout(struct kmem_cache *cache, u32 size, u32 align)
{
    u32 words = ALIGN_UP(size, (u32)sizeof(u64));
    bool is_link_inside =
        !DEBUG_ENABLED && cache->ctor == NULL && (cache->flags & KMEM_TYPE_STABLE) == 0;
    u32 used = words + RED_ZONE_SIZE + (is_link_inside ? 0 : (u32)sizeof(void *));

    align = max(align, MIN_ALIGN);
    cache->object_size = size;
    cache->link_offset = is_link_inside ? 0 : used - (u32)sizeof(void *);
    cache->stride = max(ALIGN_UP(used, align), MIN_STRIDE);
    cache->order = choose_order(cache->stride);
    cache->per_slab = (u32)(PAGE_SIZE << cache->order) / cache->stride;
    cache->batch = clamp(BATCH_BYTES / cache->stride, BATCH_MIN, BATCH_MAX);
    cache->limit = 2 * cache->batch;
}

static struct kmem_cache *create(const char *name, size_t size, size_t align, void (*ctor)(void *),
                                 u32 flags)
{
    struct kmem_cache *cache = NULL;
    u32 id = 0;

    ASSERT(size > 0 && size <= MAX_OBJECT_SIZE, "an object fits into a slab");
    ASSERT(align == 0 || (is_power_of_two(align) && align <= PAGE_SIZE),
           "an object's alignment is a power of two up to a page");
    spin_lock(&caches_lock);
    for (; id < MAX_CACHES && cache == NULL; id++) {
        if ((caches[id].flags & KMEM_IN_USE) == 0) {
            cache = &caches[id];
            cache->cpu_offset = id * (u32)sizeof(struct cpu_objects);
            cache->flags = flags | KMEM_IN_USE;
        }
    }
    spin_unlock(&caches_lock);
    ASSERT(cache != NULL, "the table of caches has room for every type of object");
    cache->name = name;
    cache->ctor = ctor;
    spin_init(&cache->lock, RANK_SLAB);
    list_init(&cache->partial);
    cache->nr_given = 0;
    cache->nr_slabs = 0;
    cache->nr_empty = 0;
    set_layout(cache, (u32)size, (u32)align);
    return cache;
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
                                     void (*ctor)(void *))
{
    return create(name, size, align, ctor, 0);
}

struct kmem_cache *kmem_cache_create_type_stable(const char *name, size_t size, size_t align,
                                                 void (*ctor)(void *))
{
    return create(name, size, align, ctor, KMEM_TYPE_STABLE);
}

/* Gives one list's objects back, and moves all slabs without used objects to @unused. */
static void drain_locked(struct kmem_cache *cache, struct cpu_objects *list,
                         struct list_node *unused) REQUIRES(cache->lock)
{
    struct page *slab;
    struct page *next;

    while (list->head != NULL) {
        slab_put_object(cache, pop(cache, list), unused);
    }
    if ((cache->flags & KMEM_TYPE_STABLE) != 0) {
        return;
    }
    list_for_each_entry_safe (slab, next, &cache->partial, slab_link) {
        if (slab->slab_in_use == 0) {
            list_del(&slab->slab_link);
            list_add_tail(unused, &slab->slab_link);
            cache->nr_slabs--;
            cache->nr_empty--;
        }
    }
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
    struct list_node unused = LIST_INIT(unused);

    spin_lock(&cache->lock);
    cache->flags &= ~(u32)KMEM_TYPE_STABLE;
    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        drain_locked(cache, list_of(cache, cpu), &unused);
    }
    spin_unlock(&cache->lock);
    destroy_slabs(cache, &unused);
    ASSERT(cache->nr_given == 0 && cache->nr_slabs == 0, "a cache is destroyed without objects");
    cache->flags = 0;
}

void slab_shrink(void)
{
    for (u32 id = 0; id < MAX_CACHES; id++) {
        struct kmem_cache *cache = &caches[id];
        struct list_node unused = LIST_INIT(unused);

        /* The frame allocator calls this with locks held that stand below a cache's: never wait. */
        if ((cache->flags & KMEM_IN_USE) == 0 || !spin_trylock(&cache->lock)) {
            continue;
        }
        drain_locked(cache, cpu_list(cache), &unused);
        spin_unlock(&cache->lock);
        destroy_slabs(cache, &unused);
    }
}

/* --- counting and checking ----------------------------------------------------------------------
 */

static u64 objects_in_use(const struct kmem_cache *cache)
{
    u64 count = READ_ONCE(cache->nr_given);

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        count -= READ_ONCE(list_of(cache, cpu)->count);
    }
    return count;
}

void slab_for_each_cache(void (*visit)(const struct kmem_cache_stats *stats, void *arg), void *arg)
{
    for (u32 id = 0; id < MAX_CACHES; id++) {
        const struct kmem_cache *cache = &caches[id];

        if ((cache->flags & KMEM_IN_USE) != 0) {
            struct kmem_cache_stats stats = {
                .name = cache->name,
                .object_size = cache->object_size,
                .objects_in_use = objects_in_use(cache),
                .slab_pages = READ_ONCE(cache->nr_slabs) << cache->order,
            };
            visit(&stats, arg);
        }
    }
}

static void add_objects(const struct kmem_cache_stats *stats, void *arg)
{
    *(u64 *)arg += stats->objects_in_use;
}

u64 slab_objects_in_use(void)
{
    u64 count = kmalloc_large_in_use();

    slab_for_each_cache(add_objects, &count);
    return count;
}

static void verify_cache(struct kmem_cache *cache)
{
    struct page *slab;
    u64 nr_free = 0;
    u64 nr_empty = 0;

    spin_lock(&cache->lock);
    list_for_each_entry (slab, &cache->partial, slab_link) {
        u32 count = 0;

        for (void *object = slab->slab_free; object != NULL; object = get_link(cache, object)) {
            ASSERT(slab_of(cache, object) == slab, "S2: a slab's free objects lie in it");
            if (DEBUG_ENABLED) {
                slab_debug_check_free(cache, object);
            }
            count++;
        }
        ASSERT(count > 0 && count + slab->slab_in_use == cache->per_slab,
               "S2: a listed slab has free objects, and every object is free or given out");
        nr_free += count;
        nr_empty += slab->slab_in_use == 0 ? 1 : 0;
    }
    ASSERT(cache->nr_slabs * cache->per_slab == nr_free + cache->nr_given,
           "S1: the number of objects given out is exact");
    ASSERT(nr_empty == cache->nr_empty, "S1: the number of unused slabs is exact");
    spin_unlock(&cache->lock);

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        u32 left = list_of(cache, cpu)->count;

        for (void *object = list_of(cache, cpu)->head; object != NULL;
             object = get_link(cache, object)) {
            ASSERT(left > 0, "a CPU's list is as long as its count");
            left--;
        }
        ASSERT(left == 0, "a CPU's list is as long as its count");
    }
}

void slab_verify(void)
{
    for (u32 id = 0; id < MAX_CACHES; id++) {
        if ((caches[id].flags & KMEM_IN_USE) != 0) {
            verify_cache(&caches[id]);
        }
    }
}
