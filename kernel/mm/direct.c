/*
 * Direct objects: the one of a device, and those of the files on it.
 *
 * A file's object holds its frames in the tree that shmem.c keeps, each at the index that the
 * server named; what it has not named is a hole. The device's object needs no tree: its index is
 * the frame's number. Neither makes pages. Read next: direct_cow.c.
 */
#include <arch/memops.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/direct.h>
#include <mm/direct_internal.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/shmem.h>
#include <proc/sched.h>

/* --- the device ------------------------------------------------------------------------------ */

static int device_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                           struct page **out)
{
    return direct_device_page(object->device, index, out);
}

static int device_grow_page(struct vm_object *object, u64 index, struct page **out)
{
    int error = direct_device_page(object->device, index, out);

    return error == -ERANGE ? -ENOSPC : error;
}

static bool device_next_data(struct vm_object *object, u64 *index)
{
    return *index < object->device->nr_frames;
}

static const struct object_ops device_ops = {
    .get_page = device_get_page,
    .grow_page = device_grow_page,
    .next_data = device_next_data,
    .cow_fault = direct_cow_fill,
    .is_granted = true,
};

int direct_new_device_object(struct direct_device *device, u64 size)
{
    int error = object_new(OBJECT_DEVICE, &device_ops, OBJECT_PROMISE_NOW, 0, &device->object);

    if (error == 0) {
        device->object->size = size;
        device->object->device = device;
    }
    return error;
}

/* --- files ----------------------------------------------------------------------------------- */

/* A hole stays one: only the server fills it. */
static int file_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                         struct page **out)
{
    return shmem_find_page(object, index, out);
}

static int file_grow_page(struct vm_object *object, u64 index, struct page **out)
{
    struct page *page;

    rwsem_read_lock(&object->lock);
    page = radix_lookup(&object->pages, index);
    if (page != NULL) {
        page_get(page);
        *out = page;
    }
    rwsem_read_unlock(&object->lock);
    return page != NULL ? 0 : -ENOSPC;
}

static const struct object_ops file_ops[] = {
    [DIRECT_COW_FILLS] =
        {
            .get_page = file_get_page,
            .peek_pages = shmem_peek_pages,
            .grow_page = file_grow_page,
            .next_data = shmem_next_data,
            .disown_pages = shmem_disown_pages,
            .release = shmem_release_pages,
            .cow_fault = direct_cow_fill,
            .is_granted = true,
        },
    [DIRECT_COW_INSTALLS] =
        {
            .get_page = file_get_page,
            .peek_pages = shmem_peek_pages,
            .grow_page = file_grow_page,
            .next_data = shmem_next_data,
            .disown_pages = shmem_disown_pages,
            .release = shmem_release_pages,
            .cow_fault = direct_cow_install,
            .is_granted = true,
        },
};

int object_create_direct(struct direct_device *device, enum direct_cow cow, struct vm_object **out)
{
    struct vm_object *object;
    int error = object_new(OBJECT_DIRECT, &file_ops[cow], OBJECT_PROMISE_NOW, 0, &object);

    if (error == 0) {
        object->device = device;
        *out = object;
    }
    return error;
}

/* --- granting -------------------------------------------------------------------------------- */

static bool is_valid_grant(const struct vm_object *object, const struct direct_grant *grant)
{
    u64 nr_frames = object->device != NULL ? object->device->nr_frames : 0;
    u64 nr_indices = (u64)S64_MAX >> PAGE_SHIFT;

    return object->kind == OBJECT_DIRECT && grant->count != 0 && grant->frame < nr_frames &&
           grant->count <= nr_frames - grant->frame && grant->index < nr_indices &&
           grant->count <= nr_indices - grant->index;
}

static struct page *granted_page(const struct vm_object *object, const struct direct_grant *grant,
                                 u64 i)
{
    return pfn_to_page(object->device->first_pfn + grant->frame + i);
}

/* Enters claimed frames into the object. Return: how many from the first on, or an error. */
static s64 enter_frames(struct vm_object *object, const struct direct_grant *grant, u64 nr_claimed)
{
    u64 nr_entered = 0;
    int error = 0;

    object_lock(object);
    while (nr_entered < nr_claimed && error == 0) {
        error = shmem_insert_page(object, grant->index + nr_entered,
                                  granted_page(object, grant, nr_entered));
        nr_entered += error == 0;
    }
    if (nr_entered != 0) {
        /* Readers of the holes map the zero page, and would never see the frames. */
        object_zap_mappings(object, grant->index, grant->index + nr_entered, OBJECT_ZAP_FILE_PAGES);
    }
    object_unlock(object);
    return nr_entered != 0 ? (s64)nr_entered : error;
}

s64 direct_grant(struct vm_object *object, const struct direct_grant *grant)
{
    u64 nr_claimed;
    s64 result;

    if (!is_valid_grant(object, grant)) {
        return -EINVAL;
    }
    nr_claimed = direct_claim_frames(object->device, grant->frame, grant->count);
    if (nr_claimed == 0) {
        return -EBUSY;
    }
    for (u64 i = 0; i < nr_claimed && grant->content == DIRECT_ZERO_CONTENT; i++) {
        page_clear(granted_page(object, grant, i));
        sched_point();
    }
    result = enter_frames(object, grant, nr_claimed);
    for (u64 i = result > 0 ? (u64)result : 0; i < nr_claimed; i++) {
        page_put(granted_page(object, grant, i));
    }
    return result;
}

/* --- making durable -------------------------------------------------------------------------- */

void direct_sync(struct vm_object *object)
{
    u64 end = DIV_ROUND_UP(object_size(object), PAGE_SIZE);

    for (u64 index = 0; index < end; index++) {
        struct page *page;

        if (object_get_page(object, index, OBJECT_FIND, &page) == 0) {
            arch_memory_write_back(page_to_virt(page), PAGE_SIZE);
            page_put(page);
        }
        sched_point();
    }
}
