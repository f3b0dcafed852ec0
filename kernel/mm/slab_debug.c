/*
 * Red zones and poison of kernel objects; debug builds call it for each allocation and free.
 *
 * The red zone behind an object says whether the object is free or used, so that it finds both a
 * write beyond the end and a second free. A free object is filled with poison, so that a write
 * after the free is found when the object is used next. Objects that stay constructed while they
 * are free have no poison. Read next: kernel/debug/kasan.c, which finds the access itself.
 */
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/slab_internal.h>

#define POISON_FREE 0x6b6b6b6b6b6b6b6bUL
#define POISON_NEW  0x5a5a5a5a5a5a5a5aUL
#define ZONE_FREE   0xbbbbbbbbbbbbbbbbUL
#define ZONE_USED   0xccccccccccccccccUL

/* The word-aligned words of an object, its last bytes rounded up; they belong to nobody else. */
static u32 nr_words(const struct kmem_cache *cache)
{
    return DIV_ROUND_UP(cache->object_size, (u32)sizeof(u64));
}

static bool has_poison(const struct kmem_cache *cache)
{
    return cache->ctor == NULL && (cache->flags & KMEM_TYPE_STABLE) == 0;
}

/* The sanitizer forbids red zones and free objects to everybody else, hence no instrumentation. */
static NO_SANITIZE_ADDRESS void fill_words(u64 *words, u32 count, u64 pattern)
{
    for (u32 i = 0; i < count; i++) {
        words[i] = pattern;
    }
}

/* The first word that differs, or @count. */
static NO_SANITIZE_ADDRESS u32 find_difference(const u64 *words, u32 count, u64 pattern)
{
    for (u32 i = 0; i < count; i++) {
        if (words[i] != pattern) {
            return i;
        }
    }
    return count;
}

static NO_SANITIZE_ADDRESS void dump_words(const u64 *words, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        printk("  %p: %016lx\n", (const void *)&words[i], words[i]);
    }
}

static u64 *red_zone(const struct kmem_cache *cache, void *object)
{
    return (u64 *)object + nr_words(cache);
}

#define RED_ZONE_WORDS (RED_ZONE_SIZE / (u32)sizeof(u64))

static void set_red_zone(const struct kmem_cache *cache, void *object, u64 pattern)
{
    fill_words(red_zone(cache, object), RED_ZONE_WORDS, pattern);
}

static void check_red_zone(const struct kmem_cache *cache, void *object, u64 pattern,
                           const char *event)
{
    const u64 *zone = red_zone(cache, object);

    if (find_difference(zone, RED_ZONE_WORDS, pattern) == RED_ZONE_WORDS) {
        return;
    }
    bool is_other =
        find_difference(zone, RED_ZONE_WORDS, ZONE_FREE ^ ZONE_USED ^ pattern) == RED_ZONE_WORDS;
    printk("object %p of cache %s, on %s: its red zone should hold %016lx\n", object, cache->name,
           event, pattern);
    dump_words(zone, RED_ZONE_WORDS);
    if (is_other) {
        panic("an object of cache %s is freed or handed out twice", cache->name);
    }
    panic("somebody wrote beyond an object of cache %s (%u bytes)", cache->name,
          cache->object_size);
}

static void check_poison(const struct kmem_cache *cache, void *object)
{
    u32 count = nr_words(cache);
    u32 bad = has_poison(cache) ? find_difference(object, count, POISON_FREE) : count;

    if (bad == count) {
        return;
    }
    printk("object %p of cache %s was written while it was free, from byte %u on\n", object,
           cache->name, bad * (u32)sizeof(u64));
    dump_words((u64 *)object + bad, min(count - bad, 4U));
    panic("somebody wrote to a free object of cache %s", cache->name);
}

void slab_debug_new(const struct kmem_cache *cache, void *object)
{
    set_red_zone(cache, object, ZONE_FREE);
    if (has_poison(cache)) {
        fill_words(object, nr_words(cache), POISON_FREE);
    }
}

void slab_debug_alloc(const struct kmem_cache *cache, void *object)
{
    check_red_zone(cache, object, ZONE_FREE, "allocation");
    check_poison(cache, object);
    set_red_zone(cache, object, ZONE_USED);
    if (has_poison(cache)) {
        fill_words(object, nr_words(cache), POISON_NEW);
    }
}

void slab_debug_free(const struct kmem_cache *cache, void *object)
{
    check_red_zone(cache, object, ZONE_USED, "free");
    slab_debug_new(cache, object);
}

void slab_debug_check_free(const struct kmem_cache *cache, void *object)
{
    check_red_zone(cache, object, ZONE_FREE, "verification");
    check_poison(cache, object);
}
