/*
 * The frame allocator on machines of several sizes and shapes, with a model of who holds what.
 */
#include <host_test.h>

#include <sys/mman.h>

/* Included, not linked, so that each test can start a machine anew. */
#include "../../kernel/mm/boot_alloc.c"
#include "../../kernel/mm/page.c"
#include "../../kernel/mm/frames.c"
#include "../../kernel/mm/frames_init.c"
#include "../../kernel/mm/frames_verify.c"

#include <fake_kernel.h>

#define KERNEL_START (2 * MIB)
#define KERNEL_END   (3 * MIB)

static struct boot_info info;
static u64 address_space;
static int nr_shrinks;

void slab_shrink(void)
{
    nr_shrinks++;
}

static void machine_begin(u64 size)
{
    memset(&info, 0, sizeof(info));
    memset(&ram, 0, sizeof(ram));
    memset(&available, 0, sizeof(available));
    is_closed = false;
    memset(&frame_pool, 0, sizeof(frame_pool));
    frame_pool.lock = (struct spinlock)SPINLOCK_INIT(RANK_FRAMES);
    memset(cpu_frames, 0, sizeof(cpu_frames));
    memset(cpu_counters, 0, sizeof(cpu_counters));
    fake_cpu = 0;
    fake_mapped_bytes = 0;
    fake_fail_nth = 0;
    address_space = size;
    fake_memory_init(size);
    info.kernel_start = KERNEL_START;
    info.kernel_end = KERNEL_END;
}

static void machine_start(void)
{
    boot_alloc_init(&info);
    frames_init(&info);
    frames_verify();
}

static void machine_end(void)
{
    munmap(fake_direct_map, address_space);
    munmap(fake_vmemmap, address_space / PAGE_SIZE * sizeof(struct page));
}

/* A machine with one range of RAM from 1 MiB up. */
static void simple_machine(u64 size)
{
    machine_begin(size);
    fake_boot_info_add(&info, MIB, size);
    machine_start();
}

/* Allocates single frames until there are none; returns how many, linked by `owner`. */
static u64 take_all(u32 flags, struct page **list)
{
    u64 count = 0;

    *list = NULL;
    for (;;) {
        struct page *page = page_alloc(0, flags);

        if (page == NULL) {
            return count;
        }
        page->owner = *list;
        *list = page;
        count++;
    }
}

/* Wakes every frame. Return: how many can be handed out: those that hold struct pages cannot. */
static u64 wake_all(void)
{
    while (frame_pool_wake()) {}
    return frames_free_count();
}

static void give_all(struct page *list)
{
    while (list != NULL) {
        struct page *next = list->owner;

        page_free(list, 0);
        list = next;
    }
}

TEST(a_small_machine_keeps_most_of_its_memory)
{
    simple_machine(16 * MIB);
    /* 16 MiB less 1 MiB below, 1 MiB of kernel, 256 KiB of struct pages. */
    EXPECT_EQ((14 * MIB - 256 * KIB) / PAGE_SIZE, frames_total_count());
    EXPECT_EQ(frames_total_count(), frames_free_count());
    EXPECT_EQ(256 * KIB, fake_mapped_bytes);
    machine_end();
}

TEST(too_little_memory_is_one_clear_sentence)
{
    machine_begin(16 * MIB);
    fake_boot_info_add(&info, MIB, 5 * MIB);
    boot_alloc_init(&info);
    EXPECT_PANIC("too little memory", frames_init(&info));
    machine_end();
}

TEST(struct_pages_stand_only_where_memory_is)
{
    /* 64 GiB with the hole below 4 GiB that every PC has. */
    machine_begin(66 * GIB);
    fake_boot_info_add(&info, MIB, 3 * GIB);
    fake_boot_info_add(&info, 4 * GIB, 65 * GIB);
    machine_start();
    EXPECT_EQ((3 * GIB + 61 * GIB) / PAGE_SIZE * sizeof(struct page), fake_mapped_bytes);
    EXPECT_TRUE(pfn_is_ram(MIB >> PAGE_SHIFT));
    EXPECT_FALSE(pfn_is_ram((MIB >> PAGE_SHIFT) - 1));
    EXPECT_FALSE(pfn_is_ram(3 * GIB >> PAGE_SHIFT));
    EXPECT_TRUE(pfn_is_ram(4 * GIB >> PAGE_SHIFT));
    EXPECT_FALSE(pfn_is_ram(65 * GIB >> PAGE_SHIFT));
    /* Nearly everything is in blocks of the largest order. */
    u64 count = 0;
    struct page *first = page_alloc(MAX_PAGE_ORDER, ALLOC_ATOMIC);
    for (struct page *page = first; page != NULL; page = page_alloc(MAX_PAGE_ORDER, ALLOC_ATOMIC)) {
        count++;
    }
    EXPECT_TRUE(count > 63 * GIB / (4 * MIB) - 260);
    EXPECT_TRUE(page_to_phys(first) % (4 * MIB) == 0);
    machine_end();
}

TEST(kernel_modules_and_holes_are_never_handed_out)
{
    struct page *list;

    machine_begin(64 * MIB);
    fake_boot_info_add(&info, MIB, 10 * MIB + 12 * KIB);
    fake_boot_info_add(&info, 11 * MIB, 11 * MIB + 8 * KIB);
    fake_boot_info_add(&info, 20 * MIB, 50 * MIB);
    info.nr_modules = 2;
    info.modules[0] = (struct boot_module){.start = 9 * MIB + 100, .end = 9 * MIB + 5000};
    info.modules[1] = (struct boot_module){.start = 30 * MIB, .end = 31 * MIB};
    machine_start();
    u64 total = frames_total_count();
    EXPECT_EQ(total, take_all(ALLOC_ATOMIC, &list));
    for (struct page *page = list; page != NULL; page = page->owner) {
        u64 phys = page_to_phys(page);

        EXPECT_TRUE(pfn_is_ram(page_to_pfn(page)));
        EXPECT_TRUE(phys + PAGE_SIZE <= KERNEL_START || phys >= KERNEL_END);
        EXPECT_TRUE(phys < 9 * MIB || phys >= 9 * MIB + 8 * KIB);
        EXPECT_TRUE(phys < 30 * MIB || phys >= 31 * MIB);
    }
    EXPECT_TRUE(page_is_reserved(phys_to_page(KERNEL_START)));
    EXPECT_TRUE(page_is_reserved(phys_to_page(11 * MIB + 64 * KIB)));
    give_all(list);
    frames_drain();
    frames_verify();
    EXPECT_EQ(total, frames_free_count());
    frames_release_reserved(30 * MIB, 31 * MIB);
    frames_verify();
    EXPECT_EQ(total + 256, frames_total_count());
    EXPECT_EQ(total + 256, frames_free_count());
    EXPECT_PANIC("loses only the type", frames_release_reserved(30 * MIB, 31 * MIB));
    machine_end();
}

static u64 nr_awake;

static void count_awake(u64 start_pfn, u64 end_pfn, void *arg)
{
    for (u64 pfn = start_pfn; pfn < end_pfn; pfn++) {
        nr_awake += !pfn_is_dormant(pfn);
    }
}

TEST(memory_that_nobody_needs_has_no_struct_pages)
{
    struct page *list;

    simple_machine(600 * MIB);
    u64 total = frames_total_count();
    u64 nr_dormant = frame_pool.nr_dormant;

    EXPECT_TRUE(nr_dormant > (500 * MIB) >> PAGE_SHIFT);
    EXPECT_EQ(total, frames_free_count());
    EXPECT_FALSE(pfn_is_dormant(MIB >> PAGE_SHIFT));
    EXPECT_TRUE(pfn_is_dormant((600 * MIB >> PAGE_SHIFT) - 1));
    nr_awake = 0;
    frames_for_each_awake(count_awake, NULL);
    EXPECT_EQ((599 * MIB >> PAGE_SHIFT) - nr_dormant, nr_awake);
    /* One more frame than are awake wakes a piece, and not everything. */
    for (u64 i = frame_pool.nr_free; i > 0; i--) {
        EXPECT_TRUE(page_alloc(0, ALLOC_ATOMIC) != NULL);
    }
    EXPECT_TRUE(page_alloc(0, ALLOC_ATOMIC) != NULL);
    EXPECT_TRUE(frame_pool.nr_dormant < nr_dormant);
    EXPECT_TRUE(frame_pool.nr_dormant > nr_dormant / 2);
    frames_verify();
    (void)take_all(ALLOC_ATOMIC, &list);
    EXPECT_EQ(0, frame_pool.nr_dormant);
    EXPECT_FALSE(pfn_is_dormant((600 * MIB >> PAGE_SHIFT) - 1));
    /* Every frame was handed out, but those that hold the struct pages of the others. */
    EXPECT_EQ(0, frames_free_count());
    EXPECT_EQ(total, frames_total_count());
    EXPECT_EQ(nr_dormant / (PAGE_SIZE / sizeof(struct page)), mem_counter_read(MEM_STRUCT_PAGES));
    nr_awake = 0;
    frames_for_each_awake(count_awake, NULL);
    EXPECT_EQ(599 * MIB >> PAGE_SHIFT, nr_awake);
    machine_end();
}

TEST(a_large_block_wakes_what_it_needs)
{
    simple_machine(600 * MIB);
    u64 nr_dormant = frame_pool.nr_dormant;
    u64 nr_blocks = 0;

    while (page_alloc(MAX_PAGE_ORDER, ALLOC_ATOMIC) != NULL) {
        nr_blocks++;
    }
    EXPECT_EQ(0, frame_pool.nr_dormant);
    EXPECT_TRUE(nr_blocks << MAX_PAGE_ORDER > nr_dormant * 9 / 10);
    frames_verify();
    machine_end();
}

TEST(every_frame_is_handed_out_once_and_freed_memory_merges_again)
{
    struct page *list;
    u64 blocks_before = 0;
    u64 blocks_after = 0;

    simple_machine(64 * MIB);
    u64 total = wake_all();
    blocks_before = list_length(&frame_pool.free[MAX_PAGE_ORDER]);
    EXPECT_EQ(total, take_all(ALLOC_ATOMIC, &list));
    EXPECT_EQ(0, frames_free_count());
    EXPECT_TRUE(nr_shrinks > 0);
    for (struct page *page = list; page != NULL; page = page->owner) {
        EXPECT_EQ(1, page_refcount(page));
        EXPECT_EQ(0, page->index);
        page->index = 1;
    }
    give_all(list);
    frames_drain();
    frames_verify();
    blocks_after = list_length(&frame_pool.free[MAX_PAGE_ORDER]);
    EXPECT_EQ(total, frames_free_count());
    EXPECT_EQ(blocks_before, blocks_after);
    machine_end();
}

#define MAX_HELD 400

TEST(random_allocations_of_all_orders_on_all_cpus_never_overlap)
{
    static struct {
        struct page *page;
        u32 order;
    } held[MAX_HELD];
    u64 nr_held = 0;

    simple_machine(32 * MIB);
    u64 total = frames_total_count();
    u8 *owner_of = calloc(32 * MIB / PAGE_SIZE, 1);
    for (int round = 0; round < 60000; round++) {
        size_t i = host_random(MAX_HELD);

        fake_cpu = (u32)host_random(4);
        if (held[i].page == NULL) {
            held[i].order = (u32)(host_random(4) == 0 ? host_random(NR_PAGE_ORDERS) : 0);
            held[i].page = page_alloc(held[i].order, ALLOC_KERNEL);
            for (u64 n = 0; held[i].page != NULL && n < BIT(held[i].order); n++) {
                EXPECT_EQ(0, owner_of[page_to_pfn(held[i].page) + n]++);
            }
            EXPECT_EQ(0, page_to_pfn(held[i].page == NULL ? pfn_to_page(0) : held[i].page) %
                             BIT(held[i].order));
            nr_held += held[i].page == NULL ? 0 : BIT(held[i].order);
        } else {
            for (u64 n = 0; n < BIT(held[i].order); n++) {
                owner_of[page_to_pfn(held[i].page) + n]--;
            }
            page_free(held[i].page, held[i].order);
            nr_held -= BIT(held[i].order);
            held[i].page = NULL;
        }
        EXPECT_EQ(total - nr_held, frames_free_count());
        if (round % 5000 == 0) {
            frames_verify();
        }
    }
    frames_verify();
    for (size_t i = 0; i < MAX_HELD; i++) {
        if (held[i].page != NULL) {
            page_free(held[i].page, held[i].order);
        }
    }
    for (fake_cpu = 0; fake_cpu < 4; fake_cpu++) {
        frames_drain();
    }
    fake_cpu = 0;
    frames_verify();
    EXPECT_EQ(total, frame_pool.nr_free);
    free(owner_of);
    machine_end();
}

TEST(users_leave_a_reserve_that_the_kernel_can_use)
{
    struct page *user;
    struct page *kernel;
    struct page *atomic;

    simple_machine(64 * MIB);
    u64 total = wake_all();
    u64 nr_user = take_all(ALLOC_USER, &user);
    EXPECT_TRUE(nr_user < total);
    EXPECT_TRUE(nr_user >= total - frame_pool.reserve);
    u64 nr_kernel = take_all(ALLOC_KERNEL, &kernel);
    u64 nr_atomic = take_all(ALLOC_ATOMIC, &atomic);
    EXPECT_TRUE(nr_kernel > 0);
    EXPECT_TRUE(nr_atomic > 0);
    EXPECT_EQ(total, nr_user + nr_kernel + nr_atomic);
    EXPECT_TRUE(frames_are_low());
    give_all(user);
    give_all(kernel);
    give_all(atomic);
    EXPECT_FALSE(frames_are_low());
    machine_end();
}

TEST(zeroed_and_copied_frames_hold_what_they_should)
{
    simple_machine(16 * MIB);
    struct page *page = page_alloc(0, 0);
    memset(page_to_virt(page), 0xaa, PAGE_SIZE);
    struct page *copy = page_alloc(0, 0);
    page_copy(copy, page);
    EXPECT_EQ(0, memcmp(page_to_virt(page), page_to_virt(copy), PAGE_SIZE));
    page_free(page, 0);
    struct page *again = page_alloc(0, ALLOC_ZERO);
    EXPECT_TRUE(again == page);
    EXPECT_EQ(0, *(u64 *)page_to_virt(again));
    EXPECT_EQ(0, memcmp(page_to_virt(again), (u8 *)page_to_virt(again) + 8, PAGE_SIZE - 8));
    struct page *block = page_alloc(3, ALLOC_ZERO);
    EXPECT_EQ(0, ((u8 *)page_to_virt(block))[8 * PAGE_SIZE - 1]);
    machine_end();
}

TEST(frame_freed_as_zeroed_is_not_cleared_again)
{
    simple_machine(16 * MIB);
    u64 before = frames_free_count();
    struct page *page = page_alloc(0, ALLOC_ZERO);
    struct page *other = page_alloc(0, 0);

    page_set_type(page, PG_zeroed);
    page_put(page);
    page_put(other);
    EXPECT_EQ(before, frames_free_count());
    frames_verify();
    EXPECT_TRUE(page_alloc(0, 0) == other);
    EXPECT_TRUE(page_alloc(0, ALLOC_ZERO) == page);
    EXPECT_EQ(0, atomic_u32_load(&page->flags));
    EXPECT_EQ(1, page_refcount(page));
    page_set_type(page, PG_zeroed);
    page_put(page);
    *(u64 *)page_to_virt(page) = 1;
    EXPECT_PANIC("F5: a frame that was freed as zeroed",
                 page_alloc(0, ALLOC_ZERO) == NULL ? exit(1) : (void)0);
    machine_end();
}

TEST(zeroed_frames_are_not_kept_from_those_who_need_any)
{
    struct page *list;

    simple_machine(16 * MIB);
    u64 total = take_all(ALLOC_ATOMIC, &list);
    for (struct page *page = list; page != NULL; page = list) {
        list = page->owner;
        memset(page_to_virt(page), 0, PAGE_SIZE);
        page_set_type(page, PG_zeroed);
        page_put(page);
    }
    frames_verify();
    EXPECT_EQ(total, take_all(ALLOC_ATOMIC, &list));
    machine_end();
}

TEST(chains_of_freed_frames_come_back_whole_or_merge_when_blocks_are_short)
{
    struct page *list;

    simple_machine(64 * MIB);
    u64 nr_blocks = list_length(&frame_pool.free[MAX_PAGE_ORDER]);
    u64 total = take_all(ALLOC_ATOMIC, &list);

    give_all(list);
    EXPECT_EQ(frame_pool.depot_max, frame_pool.nr_depot);
    EXPECT_EQ(total, frames_free_count());
    frames_verify();
    /* Neither more nor less of the depot is merged than the largest blocks need. */
    for (u64 i = 0; i < nr_blocks; i++) {
        EXPECT_TRUE(page_alloc(MAX_PAGE_ORDER, ALLOC_ATOMIC) != NULL);
    }
    frames_verify();
    EXPECT_TRUE(take_all(ALLOC_ATOMIC, &list) == total - (nr_blocks << MAX_PAGE_ORDER));
    machine_end();
}

TEST(the_last_reference_frees_the_frame)
{
    simple_machine(16 * MIB);
    u64 before = frames_free_count();
    struct page *page = page_alloc(0, 0);
    page_get(page);
    EXPECT_TRUE(page_get_not_zero(page));
    EXPECT_EQ(3, page_refcount(page));
    page_set_dirty(page);
    page_put(page);
    page_put(page);
    EXPECT_EQ(before - 1, frames_free_count());
    page_put(page);
    EXPECT_EQ(before, frames_free_count());
    EXPECT_FALSE(page_get_not_zero(page));
    struct page *again = page_alloc(0, 0);
    EXPECT_TRUE(again == page);
    EXPECT_FALSE(page_is_dirty(again));
    machine_end();
}

TEST(a_split_block_is_freed_page_by_page)
{
    simple_machine(16 * MIB);
    u64 before = frames_free_count();
    struct page *block = page_alloc(4, 0);
    page_split_block(block, 4);
    for (int i = 15; i >= 0; i--) {
        page_put(block + i);
    }
    frames_drain();
    frames_verify();
    EXPECT_EQ(before, frame_pool.nr_free);
    machine_end();
}

TEST(an_allocation_fails_when_the_test_asks_for_it)
{
    simple_machine(16 * MIB);
    fake_fail_nth = 2;
    EXPECT_TRUE(page_alloc(0, ALLOC_NOFAIL_TEST) != NULL);
    EXPECT_TRUE(page_alloc(0, 0) != NULL);
    EXPECT_TRUE(page_alloc(0, 0) == NULL);
    EXPECT_TRUE(page_alloc(0, 0) != NULL);
    machine_end();
}

TEST(impossible_orders_are_refused)
{
    simple_machine(16 * MIB);
    EXPECT_TRUE(page_alloc(NR_PAGE_ORDERS, 0) == NULL);
    machine_end();
}

/* A look-up without a lock takes a reference first and asks afterwards whose page it is. */
TEST(block_freed_under_a_late_reference_is_whole_afterwards)
{
    simple_machine(16 * MIB);
    u64 nr_free = frames_free_count();

    for (u32 order = 0; order < 4; order++) {
        struct page *page = page_alloc(order, 0);

        EXPECT_TRUE(page_get_not_zero(page));
        page_free(page, order);
        EXPECT_EQ(nr_free - 1, frames_free_count());
        page_put(page);
        EXPECT_EQ(nr_free, frames_free_count());
        EXPECT_FALSE(page_get_not_zero(page));
        frames_drain();
        frames_verify();
    }
    machine_end();
}

TEST(broken_rules_panic)
{
    simple_machine(16 * MIB);
    struct page *page = page_alloc(0, 0);
    page_free(page, 0);
    EXPECT_PANIC("F4: a page is freed by the holder of its last reference", page_free(page, 0));
    EXPECT_PANIC("I5: a reference is dropped only by an owner", page_put(page));
    page = page_alloc(0, 0);
    atomic_s32_inc(&page->mapcount);
    EXPECT_PANIC("F4: a free frame has no references", page_free(page, 0));
    page = page_alloc(0, 0);
    atomic_u32_inc(&page->pincount);
    EXPECT_PANIC("F4: a free frame has no references", page_free(page, 0));
    page = page_alloc(0, 0);
    page_set_locked(page);
    EXPECT_PANIC("F4: a free frame has no references", page_free(page, 0));
    page = page_alloc(0, 0);
    EXPECT_PANIC("only anonymous pages are exclusive", page_set_anon_exclusive(page));
    page = page_alloc(0, 0);
    page_set_type(page, PG_table);
    EXPECT_PANIC("only pages without a type", page_set_dirty(page));
    EXPECT_PANIC("only while it has no flags", page_set_type(page, PG_slab));
    fake_in_interrupt = true;
    EXPECT_PANIC("interrupt handlers do not allocate",
                 page_alloc(0, 0) == NULL ? exit(1) : (void)0);
    fake_in_interrupt = false;
    EXPECT_PANIC("boot-time memory is allocated before", boot_alloc(PAGE_SIZE, PAGE_SIZE));
    machine_end();
}

TEST(counters_of_all_cpus_add_up)
{
    simple_machine(16 * MIB);
    for (u32 i = 0; i < 1000; i++) {
        fake_cpu = i % 7;
        mem_account(MEM_ANON, 3);
        fake_cpu = i % 5;
        mem_account(MEM_ANON, -2);
    }
    EXPECT_EQ(1000, mem_counter_read(MEM_ANON));
    EXPECT_EQ(1000, mem_stats_get().counters[MEM_ANON]);
    EXPECT_EQ(0, frames_held_count());
    fake_cpu = 0;
    struct page *page = page_alloc(2, 0);
    EXPECT_EQ(4, frames_held_count());
    page_free(page, 2);
    EXPECT_EQ(0, frames_held_count());
    machine_end();
}

TEST(flags_print_by_name)
{
    char text[100];

    simple_machine(16 * MIB);
    struct page *page = page_alloc(0, 0);
    page_flags_format(page, text, sizeof(text));
    EXPECT_STR("", text);
    page_set_anon(page);
    page_set_dirty(page);
    page_flags_format(page, text, sizeof(text));
    EXPECT_STR("anon|dirty", text);
    machine_end();
}
