/*
 * kmalloc(): memory of any size, from a row of caches and, above them, from whole frames.
 *
 * Owns the caches of the size classes. The page behind a pointer tells kfree() where it came from.
 */
#include <lib/string.h>
#include <mm/fail_inject.h>
#include <mm/kasan.h>
#include <mm/slab_internal.h>

#define KMALLOC_ALIGN 16

/* Sizes up to here find their class in a table, one entry for every 16 bytes. */
#define SMALL_MAX 1024
#define LARGEST   8192

static const struct {
    u32 size;
    const char *name;
} classes[] = {
    {16, "kmalloc-16"},     {32, "kmalloc-32"},        {48, "kmalloc-48"},
    {64, "kmalloc-64"},     {96, "kmalloc-96"},        {128, "kmalloc-128"},
    {192, "kmalloc-192"},   {256, "kmalloc-256"},      {384, "kmalloc-384"},
    {512, "kmalloc-512"},   {768, "kmalloc-768"},      {1024, "kmalloc-1024"},
    {1536, "kmalloc-1536"}, {2048, "kmalloc-2048"},    {3072, "kmalloc-3072"},
    {4096, "kmalloc-4096"}, {LARGEST, "kmalloc-8192"},
};

static struct kmem_cache *class_caches[ARRAY_SIZE(classes)];
static u8 small_class[SMALL_MAX / KMALLOC_ALIGN + 1];
static struct atomic_u64 nr_large;

static u32 class_of(size_t size);
static void *large_alloc(size_t size, u32 flags);
static void large_free(struct page *page);

void slab_init(void)
{
    u32 class = 0;

    for (u32 i = 0; i < ARRAY_SIZE(classes); i++) {
        class_caches[i] = kmem_cache_create(classes[i].name, classes[i].size, KMALLOC_ALIGN, NULL);
    }
    for (u32 i = 0; i < ARRAY_SIZE(small_class); i++) {
        while (classes[class].size < i * KMALLOC_ALIGN) {
            class ++;
        }
        small_class[i] = (u8) class;
    }
}

void *kmalloc(size_t size, u32 flags)
{
    if (unlikely(size > LARGEST)) {
        return large_alloc(size, flags);
    }
    struct kmem_cache *cache = class_caches[class_of(size)];
    void *memory = kmem_cache_alloc(cache, flags);
    if (KASAN_ENABLED && memory != NULL) {
        kasan_poison(memory, cache->object_size, KASAN_REDZONE);
        kasan_unpoison(memory, size);
    }
    return memory;
}

void *kzalloc(size_t size, u32 flags)
{
    return kmalloc(size, flags | ALLOC_ZERO);
}

void *kmalloc_array(size_t n, size_t size, u32 flags)
{
    size_t total;

    return __builtin_mul_overflow(n, size, &total) ? NULL : kmalloc(total, flags);
}

void kfree(const void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    struct page *page = virt_to_page(ptr);
    ASSERT(page_is_slab(page), "kfree() gets what kmalloc() has returned");
    if (unlikely(page->slab_cache == NULL)) {
        large_free(page);
        return;
    }
    kmem_cache_free(page->slab_cache, (void *)ptr);
}

static u32 class_of(size_t size)
{
    if (size <= SMALL_MAX) {
        return small_class[DIV_ROUND_UP(size, KMALLOC_ALIGN)];
    }
    u32 class = small_class[ARRAY_SIZE(small_class) - 1];
    while (classes[class].size < size) {
        class ++;
    }
    return class;
}

static void *large_alloc(size_t size, u32 flags)
{
    if (size > KMALLOC_MAX) {
        return NULL;
    }
    u32 order = log2_ceil(DIV_ROUND_UP(size, PAGE_SIZE));
    struct page *page = page_alloc(order, flags);
    if (page == NULL) {
        return NULL;
    }
    page_set_type(page, PG_slab);
    page->slab_cache = NULL;
    page->slab_order = order;
    atomic_u64_inc(&nr_large);
    return page_to_virt(page);
}

static void large_free(struct page *page)
{
    atomic_u64_dec(&nr_large);
    page_clear_type(page, PG_slab);
    page_free(page, page->slab_order);
}

u64 kmalloc_large_in_use(void)
{
    return atomic_u64_load(&nr_large);
}
