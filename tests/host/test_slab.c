/*
 * Object caches over the real frame allocator: counts, reuse, constructors, and what the debug
 * build finds.
 */
#include <host_test.h>

#include <fake_kernel.h>
#include <mm/boot_alloc.h>
#include <mm/frames_internal.h>
#include <mm/slab_internal.h>

#define MAX_OBJECTS 3000

static struct boot_info info;
static void *objects[MAX_OBJECTS];

__attribute__((constructor)) static void start_machine(void)
{
    fake_memory_init(64 * MIB);
    fake_boot_info_add(&info, MIB, 64 * MIB);
    info.kernel_start = 2 * MIB;
    info.kernel_end = 3 * MIB;
    boot_alloc_init(&info);
    frames_init(&info);
    slab_init();
}

static void check_all(void)
{
    slab_verify();
    frames_verify();
}

TEST(objects_of_every_size_do_not_overlap_and_keep_their_contents)
{
    static const size_t sizes[] = {1, 7, 8, 24, 64, 100, 200, 1000, 3000, 5000, 8192};

    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        struct kmem_cache *cache = kmem_cache_create("test", sizes[s], 0, NULL);
        size_t count = min(MAX_OBJECTS + 0UL, 2 * MIB / sizes[s]);

        for (size_t i = 0; i < count; i++) {
            fake_cpu = i % 3;
            objects[i] = kmem_cache_alloc(cache, 0);
            EXPECT_TRUE(objects[i] != NULL);
            memset(objects[i], (int)i, sizes[s]);
        }
        for (size_t i = 0; i < count; i++) {
            const u8 *bytes = objects[i];

            EXPECT_EQ((u8)i, bytes[0]);
            EXPECT_EQ((u8)i, bytes[sizes[s] - 1]);
        }
        EXPECT_EQ(count, slab_objects_in_use());
        check_all();
        for (size_t i = 0; i < count; i++) {
            fake_cpu = i % 2;
            kmem_cache_free(cache, objects[i]);
        }
        EXPECT_EQ(0, slab_objects_in_use());
        check_all();
        kmem_cache_destroy(cache);
    }
    EXPECT_EQ(0, frames_held_count());
}

TEST(typed_caches_keep_their_alignment)
{
    static const size_t aligns[] = {8, 16, 64, 256, 4096};

    for (size_t a = 0; a < ARRAY_SIZE(aligns); a++) {
        struct kmem_cache *cache = kmem_cache_create("test", 40, aligns[a], NULL);

        for (size_t i = 0; i < 50; i++) {
            objects[i] = kmem_cache_alloc(cache, ALLOC_ZERO);
            EXPECT_EQ(0, (u64)objects[i] % aligns[a]);
        }
        for (size_t i = 0; i < 50; i++) {
            kmem_cache_free(cache, objects[i]);
        }
        kmem_cache_destroy(cache);
    }
}

TEST(random_kmallocs_keep_exact_counts)
{
    static u8 marks[MAX_OBJECTS];
    static size_t sizes[MAX_OBJECTS];
    u64 in_use = 0;

    memset(objects, 0, sizeof(objects));
    for (int round = 0; round < 50000; round++) {
        size_t i = host_random(MAX_OBJECTS / 3);

        fake_cpu = (u32)host_random(4);
        if (objects[i] == NULL) {
            sizes[i] = host_random(100) == 0 ? host_random(64 * KIB) : host_random(1000);
            objects[i] = kmalloc(sizes[i], 0);
            EXPECT_TRUE(objects[i] != NULL);
            EXPECT_EQ(0, (u64)objects[i] % 16 != 0 && !DEBUG_ENABLED);
            marks[i] = (u8)round;
            memset(objects[i], marks[i], sizes[i]);
            in_use++;
        } else {
            const u8 *bytes = objects[i];

            EXPECT_TRUE(sizes[i] == 0 || (bytes[0] == marks[i] && bytes[sizes[i] - 1] == marks[i]));
            kfree(objects[i]);
            objects[i] = NULL;
            in_use--;
        }
        EXPECT_EQ(in_use, slab_objects_in_use());
    }
    check_all();
    for (size_t i = 0; i < MAX_OBJECTS; i++) {
        kfree(objects[i]);
    }
    EXPECT_EQ(0, slab_objects_in_use());
    for (fake_cpu = 0; fake_cpu < 4; fake_cpu++) {
        slab_shrink();
    }
    fake_cpu = 0;
    EXPECT_EQ(0, mem_counter_read(MEM_SLAB));
    EXPECT_EQ(0, frames_held_count());
    check_all();
}

TEST(kmalloc_refuses_what_it_cannot_give)
{
    EXPECT_TRUE(kmalloc(KMALLOC_MAX + 1, 0) == NULL);
    EXPECT_TRUE(kmalloc_array(1UL << 33, 1UL << 33, 0) == NULL);
    void *large = kmalloc(KMALLOC_MAX, 0);
    EXPECT_TRUE(large != NULL);
    EXPECT_EQ(1, slab_objects_in_use());
    kfree(large);
    EXPECT_EQ(0, slab_objects_in_use());
    void *empty = kmalloc(0, 0);
    EXPECT_TRUE(empty != NULL);
    kfree(empty);
    kfree(NULL);
}

TEST(zeroed_objects_are_zero)
{
    u8 *first = kmalloc(100, 0);
    memset(first, 0xff, 100);
    kfree(first);
    u8 *second = kzalloc(100, 0);
    EXPECT_EQ(0, second[0]);
    EXPECT_EQ(0, memcmp(second, second + 1, 99));
    kfree(second);
}

struct built {
    u64 data;
    u64 magic;
};

static int nr_built;

static void build(void *object)
{
    struct built *built = object;

    built->magic = 0xfeedface;
    built->data = 0;
    nr_built++;
}

TEST(constructors_run_once_an_object_and_their_state_survives_a_free)
{
    struct kmem_cache *cache =
        kmem_cache_create_type_stable("test", sizeof(struct built), 0, build);

    nr_built = 0;
    struct built *object = kmem_cache_alloc(cache, 0);
    int nr_after_first = nr_built;
    EXPECT_TRUE(nr_after_first > 0);
    object->data = 77;
    kmem_cache_free(cache, object);
    /* A reader without a lock may still look. */
    EXPECT_EQ(0xfeedface, object->magic);
    EXPECT_EQ(77, object->data);
    EXPECT_TRUE(kmem_cache_alloc(cache, 0) == object);
    EXPECT_EQ(0xfeedface, object->magic);
    EXPECT_EQ(nr_after_first, nr_built);
    kmem_cache_free(cache, object);
    slab_shrink();
    EXPECT_TRUE(mem_counter_read(MEM_SLAB) > 0);
    EXPECT_EQ(0xfeedface, object->magic);
    kmem_cache_destroy(cache);
    EXPECT_EQ(0, mem_counter_read(MEM_SLAB));
}

TEST(no_memory_is_an_ordinary_answer)
{
    u64 count = 0;
    void *list = NULL;

    for (;;) {
        void **object = kmalloc(4000, 0);

        if (object == NULL) {
            break;
        }
        *object = list;
        list = object;
        count++;
    }
    EXPECT_TRUE(count > 1000);
    EXPECT_EQ(count, slab_objects_in_use());
    while (list != NULL) {
        void *next = *(void **)list;
        kfree(list);
        list = next;
    }
    EXPECT_EQ(0, slab_objects_in_use());
    check_all();
}

TEST(memory_kept_by_caches_is_given_back_when_frames_run_out)
{
    struct page *pages = NULL;
    u64 count = 0;

    slab_shrink();
    frames_drain();
    while (frame_pool_wake()) {}
    u64 total = frames_free_count();
    kfree(kmalloc(64, 0));
    kfree(kmalloc(2000, 0));
    EXPECT_TRUE(mem_counter_read(MEM_SLAB) > 0);
    for (struct page *page; (page = page_alloc(0, ALLOC_ATOMIC)) != NULL; pages = page) {
        page->owner = pages;
        count++;
    }
    /* Other CPUs of earlier tests may still keep some. */
    EXPECT_TRUE(count >= total - 200);
    EXPECT_EQ(0, mem_counter_read(MEM_SLAB));
    while (pages != NULL) {
        struct page *next = pages->owner;
        page_free(pages, 0);
        pages = next;
    }
}

TEST(injected_failures_hit_object_allocations_once_each)
{
    fake_fail_nth = 2;
    void *first = kmalloc(50000, 0);
    EXPECT_TRUE(first != NULL);
    EXPECT_TRUE(kmalloc(10, 0) == NULL);
    void *third = kmalloc(10, 0);
    EXPECT_TRUE(third != NULL);
    kfree(first);
    kfree(third);
}

TEST(a_write_beyond_an_object_is_found_when_it_is_freed)
{
    u8 *object = kmalloc(64, 0);

    object[64] = 1;
    EXPECT_PANIC("wrote beyond an object of cache kmalloc-64", kfree(object));
}

TEST(a_second_free_is_found)
{
    void *object = kmalloc(96, 0);

    kfree(object);
    EXPECT_PANIC("handed out twice", kfree(object));
}

TEST(a_write_after_the_free_is_found_at_the_next_allocation)
{
    u64 *object = kmalloc(128, 0);

    kfree(object);
    object[3] = 42;
    EXPECT_PANIC("wrote to a free object of cache kmalloc-128", (void)!kmalloc(128, 0));
}

TEST(a_pointer_into_an_object_or_from_elsewhere_is_refused)
{
    u8 *object = kmalloc(256, 0);
    struct kmem_cache *cache = kmem_cache_create("test", 256, 0, NULL);
    struct page *page = page_alloc(0, 0);

    EXPECT_PANIC("freed by its first byte", kfree(object + 16));
    EXPECT_PANIC("freed to the cache that it is from", kmem_cache_free(cache, object));
    EXPECT_PANIC("what kmalloc() has returned", kfree(page_to_virt(page)));
    kfree(object);
    page_free(page, 0);
    kmem_cache_destroy(cache);
}

TEST(a_cache_with_objects_is_not_destroyed)
{
    struct kmem_cache *cache = kmem_cache_create("test", 32, 0, NULL);
    void *object = kmem_cache_alloc(cache, 0);

    EXPECT_TRUE(object != NULL);
    EXPECT_PANIC("destroyed without objects", kmem_cache_destroy(cache));
}
