/*
 * Direct devices: the ranges of memory, and which object each frame belongs to.
 *
 * A frame's owner changes in these steps only, and its device holds one reference all the time:
 *   nobody -> the device's object   a look-up, if nobody refers to the frame any more
 *   the device's object -> nobody   the first half of a grant: disowned, zapped, put
 *   nobody -> a file's object       the second half, if nobody refers to the frame any more
 *   a file's object -> nobody       truncation, object_revoke(), the object's end: shmem.c
 * So a frame that somebody still holds, by a pin or in the middle of a fault, is not given away
 * (D2). Read next: direct.c.
 */
#include <arch/platform.h>
#include <lib/assert.h>
#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <mm/boot_alloc.h>
#include <mm/direct.h>
#include <mm/direct_internal.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/shmem.h>

/* Large pages of the direct map serve the device alone if it begins and ends with one. */
#define RESERVE_ALIGN (2 * MIB)

/* What a device takes of a machine's memory, at most. */
#define RESERVE_FRACTION 2

static struct direct_device devices[DIRECT_DEVICES_MAX]; /* [I] after direct_init() */
static u32 nr_devices;
static struct phys_range reserved; /* empty if nothing is set aside */

static u64 ram_bytes(void)
{
    u32 nr_ram;
    const struct phys_range *ram = boot_alloc_ram_ranges(&nr_ram);
    u64 sum = 0;

    for (u32 i = 0; i < nr_ram; i++) {
        sum += ram[i].end - ram[i].start;
    }
    return sum;
}

void direct_reserve(void)
{
    u64 size = PAGE_ALIGN_DOWN(cmdline_u64("dax", 0));
    u64 start;

    if (size == 0) {
        return;
    }
    start = size <= ram_bytes() / RESERVE_FRACTION ? boot_alloc_try(size, RESERVE_ALIGN) : 0;
    if (start == 0) {
        printk("direct: there is too little memory to set %lu KiB aside (dax=)\n", size / KIB);
        return;
    }
    reserved = (struct phys_range){.start = start, .end = start + size};
}

static void add_device(const struct phys_range *range, enum direct_media media)
{
    struct direct_device *device = &devices[nr_devices];
    const char *kind = media == DIRECT_MEDIA_RAM ? "memory set aside" : "an NVDIMM";
    int error;

    if (nr_devices == DIRECT_DEVICES_MAX) {
        printk("direct: the memory at %#lx is one device too many\n", range->start);
        return;
    }
    error = frames_adopt_device(range->start, range->end);
    if (error == 0) {
        error = direct_new_device_object(device, range->end - range->start);
    }
    if (error != 0) {
        printk("direct: the memory at %#lx cannot be used: error %d\n", range->start, -error);
        return;
    }
    device->number = nr_devices++;
    device->media = media;
    device->first_pfn = range->start >> PAGE_SHIFT;
    device->nr_frames = (range->end - range->start) >> PAGE_SHIFT;
    device->lock = (struct spinlock)SPINLOCK_INIT(RANK_DIRECT);
    printk("direct: /dev/dax%u is %lu KiB of %s\n", device->number,
           device->nr_frames << (PAGE_SHIFT - 10), kind);
}

static bool do_overlap(const struct phys_range *a, const struct phys_range *b)
{
    return a->start < b->end && b->start < a->end;
}

/* Firmware that tells the same memory twice must not make two owners of it. */
static bool is_taken(const struct phys_range *range)
{
    u32 nr_ram;
    const struct phys_range *ram = boot_alloc_ram_ranges(&nr_ram);

    for (u32 i = 0; i < nr_ram; i++) {
        if (do_overlap(range, &ram[i])) {
            return true;
        }
    }
    for (u32 i = 0; i < nr_devices; i++) {
        u64 start = devices[i].first_pfn << PAGE_SHIFT;
        const struct phys_range device = {start, start + (devices[i].nr_frames << PAGE_SHIFT)};

        if (do_overlap(range, &device)) {
            return true;
        }
    }
    return false;
}

void direct_init(void)
{
    struct phys_range range;

    if (reserved.start != reserved.end) {
        add_device(&reserved, DIRECT_MEDIA_RAM);
    }
    for (u32 i = 0; platform_persistent_memory(i, &range.start, &range.end); i++) {
        range.start = PAGE_ALIGN_UP(range.start);
        range.end = PAGE_ALIGN_DOWN(range.end);
        if (range.start < range.end && is_taken(&range)) {
            printk("direct: the memory at %#lx has an owner already\n", range.start);
        } else if (range.start < range.end) {
            add_device(&range, DIRECT_MEDIA_PERSISTENT);
        }
    }
}

struct direct_device *direct_device_find(u32 number)
{
    return number < nr_devices ? &devices[number] : NULL;
}

static struct page *frame_page(const struct direct_device *device, u64 frame)
{
    return pfn_to_page(device->first_pfn + frame);
}

/*
 * Does the frame belong to nobody, and does nobody refer to it? Nobody can begin to: its entries
 * are gone and flushed, and it is in no object.
 */
static bool is_idle(const struct page *page)
{
    return READ_ONCE(page->owner) == NULL && page_refcount(page) == 1;
}

/* A frame that nobody refers to becomes the device's own again. */
static bool adopt_frame(struct direct_device *device, u64 frame)
{
    struct page *page = frame_page(device, frame);
    bool may_adopt;

    spin_lock(&device->lock);
    may_adopt = is_idle(page);
    if (may_adopt) {
        page_get(page);
        atomic_u32_store(&page->flags, (u32)(BIT(PG_device) | BIT(PG_object) | BIT(PG_uptodate)));
        page->index = frame;
        WRITE_ONCE(page->owner, device->object);
    }
    spin_unlock(&device->lock);
    return may_adopt;
}

int direct_device_page(struct direct_device *device, u64 frame, struct page **out)
{
    struct vm_object *object = device->object;
    struct page *page;
    bool is_ours;

    if (frame >= device->nr_frames) {
        return -ERANGE;
    }
    page = frame_page(device, frame);
    rwsem_read_lock(&object->lock);
    is_ours = READ_ONCE(page->owner) == object || adopt_frame(device, frame) ||
              READ_ONCE(page->owner) == object;
    if (is_ours) {
        page_get(page);
        *out = page;
    }
    rwsem_read_unlock(&object->lock);
    return is_ours ? 0 : -EBUSY;
}

/* Takes frames out of the device's object. Its lock is held for writing. */
static void disown_frames(struct direct_device *device, u64 first, u64 end)
{
    struct list_node removed = LIST_INIT(removed);

    for (u64 frame = first; frame < end; frame++) {
        struct page *page = frame_page(device, frame);

        if (READ_ONCE(page->owner) == device->object) {
            WRITE_ONCE(page->owner, NULL);
            page_clear_object(page);
            list_init(&page->link);
            list_add_tail(&removed, &page->link);
        }
    }
    if (!list_is_empty(&removed)) {
        object_zap_mappings(device->object, first, end, OBJECT_ZAP_FILE_PAGES);
        shmem_put_pages(&removed);
    }
}

/* The reference says that the frame is about to be given away. */
static bool claim_frame(struct direct_device *device, u64 frame)
{
    struct page *page = frame_page(device, frame);
    bool may_claim;

    spin_lock(&device->lock);
    may_claim = is_idle(page);
    if (may_claim) {
        page_get(page);
        atomic_u32_store(&page->flags, (u32)BIT(PG_device));
    }
    spin_unlock(&device->lock);
    return may_claim;
}

u64 direct_claim_frames(struct direct_device *device, u64 first, u64 count)
{
    u64 nr_claimed = 0;

    object_lock(device->object);
    disown_frames(device, first, first + count);
    while (nr_claimed < count && claim_frame(device, first + nr_claimed)) {
        nr_claimed++;
    }
    object_unlock(device->object);
    return nr_claimed;
}

/* D1. */
static void verify_frame_owner(const struct direct_device *device, u64 frame)
{
    const struct page *page = frame_page(device, frame);
    const struct vm_object *owner = page->owner;
    bool is_in_owner = false;

    ASSERT(page_is_device(page), "D1: a device's frame stays the device's");
    ASSERT(page_is_object(page) == (owner != NULL), "D1: a frame with an owner says so");
    if (owner == device->object) {
        is_in_owner = page->index == frame;
    } else if (owner != NULL) {
        is_in_owner = owner->device == device && radix_lookup(&owner->pages, page->index) == page;
    }
    ASSERT(owner == NULL || is_in_owner, "D1: a frame is where its owner looks for it");
}

void direct_verify(void)
{
    for (u32 i = 0; i < nr_devices; i++) {
        for (u64 frame = 0; frame < devices[i].nr_frames; frame++) {
            verify_frame_owner(&devices[i], frame);
        }
    }
}
