/*
 * Where struct pages and free frames come from when the machine starts.
 *
 * The array of struct pages gets memory for whole blocks of the largest order around RAM, so that
 * the allocator may look at any buddy. A struct page that is all zero belongs to a frame that the
 * buddy lists have (but for a block's first page), so the free frames, which are nearly all, need
 * no visit: only those that are not handed out are marked PG_reserved.
 *
 * Memory that nobody has needed yet costs nothing: whole free blocks are dormant until the others
 * are used up. A piece of them that wakes has its struct pages in its own first frames, where the
 * array is mapped to from the start. Until then nobody may look at them (pfn_is_dormant()).
 * Read next: kernel/mm/frames.c.
 */
#include <arch/kernel_map.h>
#include <boot_info.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/boot_alloc.h>
#include <mm/frames_internal.h>
#include <mm/kasan.h>

/* Frames in a block of the largest order. */
#define BLOCK_FRAMES (1UL << MAX_PAGE_ORDER)

/* Large pages map the array where they fit. */
#define LARGE_PAGE (2 * MIB)

/* What wakes at once: the frames whose struct pages fill a large page. */
#define PIECE_FRAMES (LARGE_PAGE / sizeof(struct page))

/* So much free memory is awake at the start. */
#define AWAKE_AT_START (32 * MIB)

/* A CPU's chain of single frames is at most this part of memory, within these limits. */
#define CHAIN_FRACTION 512
#define CHAIN_MIN      8
#define CHAIN_MAX      32

/* The depot keeps at most this part of memory from being merged into larger blocks. */
#define DEPOT_FRACTION 16

/* The reserve that only the kernel may use, likewise. */
#define RESERVE_FRACTION 128
#define RESERVE_MIN      32
#define RESERVE_MAX      1024

/* Less than this and nothing useful runs. */
#define MIN_FREE_BYTES (4 * MIB)

/* Direct devices that are not RAM. */
#define MAX_DEVICE_RANGES 8

static struct phys_range device_ranges[MAX_DEVICE_RANGES]; /* [I] after the start */
static u32 nr_device_ranges;

/* Frames that sleep, in whole blocks, sorted. Pieces leave from the lowest range upwards. */
struct dormant_range {
    u64 start_pfn; /* [wake_lock], read without it by pfn_is_dormant() */
    u64 end_pfn;   /* [I] */
};

static struct dormant_range dormant_ranges[MAX_PHYS_RANGES];
static u32 nr_dormant_ranges; /* [I] after the start */
static struct spinlock wake_lock = SPINLOCK_INIT(RANK_FRAMES_WAKE);

static void put_to_sleep(void);
static void map_dormant_pages(void);
static u64 end_of_piece(const struct dormant_range *range);
static void for_awake_parts(u64 start_pfn, u64 end_pfn, void (*visit)(u64 start_pfn, u64 end_pfn));
static void back_struct_pages(u64 start_pfn, u64 end_pfn);
static void mark_reserved(u64 start_pfn, u64 end_pfn);
static void add_free_range(u64 start_pfn, u64 end_pfn);
static void enter_blocks(u64 start_pfn, u64 end_pfn);

void frames_init(const struct boot_info *info)
{
    u32 nr_ram;
    const struct phys_range *ram = boot_alloc_ram_ranges(&nr_ram);
    u64 backed = 0;

    for (u32 order = 0; order < NR_PAGE_ORDERS; order++) {
        list_init(&frame_pool.free[order]);
    }
    put_to_sleep();
    map_dormant_pages();
    /* Two ranges of RAM may meet in one block; it gets its struct pages once. */
    for (u32 i = 0; i < nr_ram; i++) {
        u64 start = ALIGN_DOWN(ram[i].start >> PAGE_SHIFT, BLOCK_FRAMES);
        u64 end = ALIGN_UP(ram[i].end >> PAGE_SHIFT, BLOCK_FRAMES);

        for_awake_parts(max(start, backed), end, back_struct_pages);
        backed = end;
    }
    boot_alloc_close();
    backed = 0;
    for (u32 i = 0; i < nr_ram; i++) {
        u64 start = ALIGN_DOWN(ram[i].start >> PAGE_SHIFT, BLOCK_FRAMES);
        u64 end = ALIGN_UP(ram[i].end >> PAGE_SHIFT, BLOCK_FRAMES);

        for_awake_parts(max(start, backed), end, enter_blocks);
        frame_pool.nr_reserved += (ram[i].end - ram[i].start) >> PAGE_SHIFT;
        backed = end;
    }
    frame_pool.nr_total = frame_pool.nr_free + frame_pool.nr_dormant;
    frame_pool.nr_reserved -= frame_pool.nr_total;
    frame_pool.chain_frames = CHAIN_MIN;
    while (frame_pool.chain_frames < CHAIN_MAX &&
           frame_pool.chain_frames < frame_pool.nr_total / CHAIN_FRACTION) {
        frame_pool.chain_frames *= 2;
    }
    frame_pool.depot_max = (u32)(frame_pool.nr_total / DEPOT_FRACTION / frame_pool.chain_frames);
    frame_pool.reserve =
        clamp(frame_pool.nr_total / RESERVE_FRACTION, RESERVE_MIN + 0UL, RESERVE_MAX + 0UL);
    if (frame_pool.nr_total << PAGE_SHIFT < MIN_FREE_BYTES) {
        panic("too little memory: %lu KiB are left for programs, %lu KiB are needed",
              frame_pool.nr_total << (PAGE_SHIFT - 10), MIN_FREE_BYTES / KIB);
    }
    kernel_map_use_frames();
}

/* Chooses what sleeps: the whole blocks of free memory above the first AWAKE_AT_START of it. */
static void put_to_sleep(void)
{
    u32 nr_free;
    const struct phys_range *free = boot_alloc_free_ranges(&nr_free);
    u64 awake = 0;

    nr_dormant_ranges = 0;
    frame_pool.nr_dormant = 0;
    for (u32 i = 0; i < nr_free; i++) {
        u64 wanted = awake < AWAKE_AT_START ? AWAKE_AT_START - awake : 0;
        u64 start = ALIGN_UP((free[i].start + wanted) >> PAGE_SHIFT, BLOCK_FRAMES);
        u64 end = ALIGN_DOWN(free[i].end >> PAGE_SHIFT, BLOCK_FRAMES);

        awake += min(wanted, free[i].end - free[i].start);
        if (start < end) {
            dormant_ranges[nr_dormant_ranges++] =
                (struct dormant_range){.start_pfn = start, .end_pfn = end};
            frame_pool.nr_dormant += end - start;
        }
    }
    for (u32 i = 0; i < nr_dormant_ranges; i++) {
        boot_alloc_exclude(dormant_ranges[i].start_pfn << PAGE_SHIFT,
                           dormant_ranges[i].end_pfn << PAGE_SHIFT);
    }
}

static u64 end_of_piece(const struct dormant_range *range)
{
    return min(ALIGN_DOWN(range->start_pfn, PIECE_FRAMES) + PIECE_FRAMES, range->end_pfn);
}

/* Frames at the start of a piece that hold its struct pages. */
static u64 frames_for_pages(u64 nr_frames)
{
    return nr_frames * sizeof(struct page) / PAGE_SIZE;
}

/* Maps the struct pages of each piece to where they will stand. */
static void map_dormant_pages(void)
{
    for (u32 i = 0; i < nr_dormant_ranges; i++) {
        struct dormant_range rest = dormant_ranges[i];

        while (rest.start_pfn < rest.end_pfn) {
            u64 end = end_of_piece(&rest);
            u64 size = frames_for_pages(end - rest.start_pfn) << PAGE_SHIFT;

            if (kernel_map((u64)pfn_to_page(rest.start_pfn), rest.start_pfn << PAGE_SHIFT, size,
                           KERNEL_MAP_RW) != 0) {
                panic("too little memory for the kernel's page tables");
            }
            rest.start_pfn = end;
        }
    }
}

bool frame_pool_wake(void)
{
    struct dormant_range *range = dormant_ranges;
    u64 start, end, nr_own;

    spin_lock(&wake_lock);
    while (range < dormant_ranges + nr_dormant_ranges && range->start_pfn == range->end_pfn) {
        range++;
    }
    if (range == dormant_ranges + nr_dormant_ranges) {
        spin_unlock(&wake_lock);
        return false;
    }
    start = range->start_pfn;
    end = end_of_piece(range);
    nr_own = frames_for_pages(end - start);
    memset(pfn_to_page(start), 0, nr_own << PAGE_SHIFT);
    mark_reserved(start, start + nr_own);
    __atomic_store_n(&range->start_pfn, end, __ATOMIC_RELEASE);
    spin_lock(&frame_pool.lock);
    add_free_range(start + nr_own, end);
    frame_pool.nr_dormant -= end - start;
    spin_unlock(&frame_pool.lock);
    mem_account(MEM_STRUCT_PAGES, (s64)nr_own);
    spin_unlock(&wake_lock);
    return true;
}

u64 frames_nr_dormant(void)
{
    return READ_ONCE(frame_pool.nr_dormant);
}

bool pfn_is_dormant(u64 pfn)
{
    for (u32 i = 0; i < nr_dormant_ranges; i++) {
        if (pfn < dormant_ranges[i].end_pfn) {
            return pfn >= __atomic_load_n(&dormant_ranges[i].start_pfn, __ATOMIC_ACQUIRE);
        }
    }
    return false;
}

static void for_awake_parts(u64 start_pfn, u64 end_pfn, void (*visit)(u64 start_pfn, u64 end_pfn))
{
    for (u32 i = 0; i < nr_dormant_ranges && start_pfn < end_pfn; i++) {
        const struct dormant_range *range = &dormant_ranges[i];

        if (range->end_pfn <= start_pfn || range->start_pfn >= end_pfn) {
            continue;
        }
        if (start_pfn < range->start_pfn) {
            visit(start_pfn, range->start_pfn);
        }
        start_pfn = range->end_pfn;
    }
    if (start_pfn < end_pfn) {
        visit(start_pfn, end_pfn);
    }
}

/* Maps zeroed memory behind the struct pages of [start_pfn, end_pfn). */
static void back_struct_pages(u64 start_pfn, u64 end_pfn)
{
    u64 va = (u64)pfn_to_page(start_pfn);
    u64 end = (u64)pfn_to_page(end_pfn);

    while (va < end) {
        u64 next = min(ALIGN_DOWN(va, LARGE_PAGE) + LARGE_PAGE, end);
        bool is_large = next - va == LARGE_PAGE;
        u64 phys = boot_alloc(next - va, is_large ? LARGE_PAGE : PAGE_SIZE);

        if (kernel_map(va, phys, next - va, KERNEL_MAP_RW) != 0) {
            panic("too little memory for the kernel's page tables");
        }
        va = next;
    }
}

/* Gives the frames of whole blocks their first state: free, or reserved. */
static void enter_blocks(u64 start_pfn, u64 end_pfn)
{
    u32 nr_free;
    const struct phys_range *free = boot_alloc_free_ranges(&nr_free);
    u64 pos = start_pfn;

    for (u32 i = 0; i < nr_free; i++) {
        u64 free_start = max(free[i].start >> PAGE_SHIFT, pos);
        u64 free_end = min(free[i].end >> PAGE_SHIFT, end_pfn);

        if (free_start >= free_end) {
            continue;
        }
        mark_reserved(pos, free_start);
        add_free_range(free_start, free_end);
        pos = free_end;
    }
    mark_reserved(pos, end_pfn);
}

static void mark_reserved(u64 start_pfn, u64 end_pfn)
{
    for (u64 pfn = start_pfn; pfn < end_pfn; pfn++) {
        struct page *page = pfn_to_page(pfn);

        page_set_type(page, PG_reserved);
        atomic_u32_store(&page->refcount, 1);
    }
}

/* Cuts a range into the largest aligned blocks. */
static void add_free_range(u64 start_pfn, u64 end_pfn)
{
    while (start_pfn < end_pfn) {
        u32 order = MAX_PAGE_ORDER;

        while (!IS_ALIGNED(start_pfn, BIT(order)) || start_pfn + BIT(order) > end_pfn) {
            order--;
        }
        frame_pool_free(start_pfn, order);
        start_pfn += BIT(order);
    }
}

void frames_release_reserved(u64 start, u64 end)
{
    ASSERT(PAGE_ALIGNED(start) && PAGE_ALIGNED(end), "memory is released in pages");
    u64 nr_frames = start < end ? (end - start) >> PAGE_SHIFT : 0;

    kasan_poison(phys_to_virt(start), nr_frames << PAGE_SHIFT, KASAN_FREE_PAGE);
    spin_lock(&frame_pool.lock);
    for (u64 pfn = start >> PAGE_SHIFT; pfn < end >> PAGE_SHIFT; pfn++) {
        struct page *page = pfn_to_page(pfn);

        page_clear_type(page, PG_reserved);
        ASSERT(page_refcount(page) == 1, "a released page is used by nobody");
        atomic_u32_store(&page->refcount, 0);
        frame_pool_free(pfn, 0);
    }
    frame_pool.nr_total += nr_frames;
    frame_pool.nr_reserved -= nr_frames;
    spin_unlock(&frame_pool.lock);
}

static bool pfn_is_in(u64 pfn, const struct phys_range *ranges, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        if (pfn >= ranges[i].start >> PAGE_SHIFT && pfn < ranges[i].end >> PAGE_SHIFT) {
            return true;
        }
    }
    return false;
}

bool pfn_is_ram(u64 pfn)
{
    u32 nr_ram;
    const struct phys_range *ram = boot_alloc_ram_ranges(&nr_ram);

    return pfn_is_in(pfn, ram, nr_ram);
}

bool pfn_is_usable(u64 pfn)
{
    return pfn_is_ram(pfn) || pfn_is_in(pfn, device_ranges, nr_device_ranges);
}

static void visit_ranges(const struct phys_range *ranges, u32 count,
                         void (*visit)(u64 start_pfn, u64 end_pfn, void *arg), void *arg)
{
    for (u32 i = 0; i < count; i++) {
        visit(ranges[i].start >> PAGE_SHIFT, ranges[i].end >> PAGE_SHIFT, arg);
    }
}

void frames_for_each_range(void (*visit)(u64 start_pfn, u64 end_pfn, void *arg), void *arg)
{
    u32 nr_ram;
    const struct phys_range *ram = boot_alloc_ram_ranges(&nr_ram);

    visit_ranges(ram, nr_ram, visit, arg);
    visit_ranges(device_ranges, nr_device_ranges, visit, arg);
}

void frames_for_each_awake(void (*visit)(u64 start_pfn, u64 end_pfn, void *arg), void *arg)
{
    u32 nr_ram;
    const struct phys_range *ram = boot_alloc_ram_ranges(&nr_ram);

    for (u32 i = 0; i < nr_ram; i++) {
        u64 pos = ram[i].start >> PAGE_SHIFT;
        u64 end = ram[i].end >> PAGE_SHIFT;

        for (u32 n = 0; n < nr_dormant_ranges; n++) {
            u64 start = __atomic_load_n(&dormant_ranges[n].start_pfn, __ATOMIC_ACQUIRE);

            if (start >= pos && start < end) {
                visit(pos, start, arg);
                pos = dormant_ranges[n].end_pfn;
            }
        }
        visit(pos, end, arg);
    }
    visit_ranges(device_ranges, nr_device_ranges, visit, arg);
}

/* Maps memory behind the struct pages of a device outside RAM, where RAM near by has not done so.
 */
static int back_device_pages(u64 start_pfn, u64 end_pfn)
{
    u64 end = PAGE_ALIGN_UP((u64)pfn_to_page(end_pfn));
    u64 phys;

    for (u64 va = PAGE_ALIGN_DOWN((u64)pfn_to_page(start_pfn)); va < end; va += PAGE_SIZE) {
        struct page *page;

        if (kernel_map_lookup(va, &phys)) {
            continue;
        }
        page = page_alloc(0, ALLOC_ZERO | ALLOC_NOFAIL_TEST);
        if (page == NULL || kernel_map(va, page_to_phys(page), PAGE_SIZE, KERNEL_MAP_RW) != 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int add_device_range(u64 start, u64 end)
{
    int error;

    if (end > DIRECT_MAP_SIZE) {
        return -ERANGE;
    }
    if (nr_device_ranges == MAX_DEVICE_RANGES) {
        return -ENOSPC;
    }
    /* Struct pages are 64 bytes for 4 KiB; what a device does not leave room for is left out. */
    if ((end - start) / (PAGE_SIZE / sizeof(struct page)) > frames_free_count() / 2 * PAGE_SIZE) {
        return -ENOMEM;
    }
    error = back_device_pages(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
    if (error == 0) {
        error = kernel_map((u64)phys_to_virt(start), start, end - start, KERNEL_MAP_RW);
    }
    if (error == 0) {
        device_ranges[nr_device_ranges++] = (struct phys_range){.start = start, .end = end};
    }
    return error;
}

int frames_adopt_device(u64 start, u64 end)
{
    ASSERT(PAGE_ALIGNED(start | end) && start < end, "a device is whole pages");
    if (!pfn_is_ram(start >> PAGE_SHIFT)) {
        int error = add_device_range(start, end);

        if (error != 0) {
            return error;
        }
    }
    for (u64 pfn = start >> PAGE_SHIFT; pfn < end >> PAGE_SHIFT; pfn++) {
        struct page *page = pfn_to_page(pfn);

        if (page_is_reserved(page)) {
            page_clear_type(page, PG_reserved);
        }
        atomic_u32_store(&page->flags, (u32)BIT(PG_device));
        atomic_u32_store(&page->refcount, 1);
    }
    return 0;
}
