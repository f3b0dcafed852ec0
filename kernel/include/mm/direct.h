/*
 * Direct (DAX) devices and the files on them: mappings go to the device's frames, nothing caches.
 *
 * A device is a range of memory: set aside on the command line (dax=64M) or an NVDIMM. Each of its
 * frames belongs to one object at a time: to the device's own object, behind /dev/dax0, or to a
 * file's, for as long as a server has granted it (struct page.owner says to which). A frame that
 * its file gave up belongs to none; the device's object takes it back, or a grant gives it away,
 * only once nobody refers to it any more.
 *
 * Lock legend: [I] immutable, [d] device->lock.
 */
#ifndef MM_DIRECT_H
#define MM_DIRECT_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/object.h>
#include <proc/spinlock.h>

struct page;

enum direct_media {
    DIRECT_MEDIA_RAM,        /* forgets at power-off */
    DIRECT_MEDIA_PERSISTENT, /* an NVDIMM */
};

/* Devices, in the order of their numbers: first the one of the command line. */
#define DIRECT_DEVICES_MAX 8

struct direct_device {
    u32 number;               /* [I] of /dev/dax<number> */
    enum direct_media media;  /* [I] */
    u64 first_pfn;            /* [I] */
    u64 nr_frames;            /* [I] */
    struct vm_object *object; /* [I] the whole range, by frame; referenced for ever */
    struct spinlock lock;     /* a frame that belongs to nobody gets an owner under it */
};

/** direct_reserve() - set memory aside as the command line says. Context: before frames_init(). */
void direct_reserve(void);

/** direct_init() - make the devices: once, after mm_init(), before the first address space. */
void direct_init(void);

/** direct_device_find() - the device with a number, or NULL. */
struct direct_device *direct_device_find(u32 number);

/** Which of the two ways of copying for a private write fault an object's handler goes. */
enum direct_cow {
    DIRECT_COW_FILLS,    /* fills the page under no lock: COW_FILLED, the caller installs it */
    DIRECT_COW_INSTALLS, /* fills and installs it under the object lock: COW_INSTALLED */
};

/**
 * object_create_direct() - a file on a device: empty, without frames.
 * Return: 0 with one reference in *out, or -ENOMEM.
 */
MUST_CHECK int object_create_direct(struct direct_device *device, enum direct_cow cow,
                                    struct vm_object **out);

/** What a granted frame holds. */
enum direct_content {
    DIRECT_KEEP_CONTENT,
    DIRECT_ZERO_CONTENT, /* made zero before anybody can map it */
};

/** struct direct_grant - frames of a device that become pages of a file. */
struct direct_grant {
    u64 index; /* first page of the file; [index, index + count) are holes */
    u64 frame; /* first frame, counted from the start of the device */
    u64 count; /* 1.. */
    enum direct_content content;
};

/**
 * direct_grant() - give frames to a file's object, in place of holes.
 * @object: made by object_create_direct()
 *
 * Mappings of the device lose the frames; mappings of the file lose the zero pages that stood for
 * the holes. The pages may lie beyond the file's size. They come back by truncation,
 * object_revoke(), or the object's end.
 *
 * Context: thread; may sleep; no lock held.
 * Return:  how many frames from the first on were granted, less than @count if a later one could
 *          not be, or the error for the first: -EBUSY (another file has it, or somebody still
 *          refers to it), -EEXIST (the page is no hole), -ENOMEM, -EINVAL (no such frames, or the
 *          object is no file of a device).
 */
MUST_CHECK s64 direct_grant(struct vm_object *object, const struct direct_grant *grant);

/** direct_sync() - write what the processors' caches hold of an object back to its frames. */
void direct_sync(struct vm_object *object);

/**
 * direct_verify() - check that each frame and its owner agree; panics on a difference.
 * Context: the system is quiet.
 */
void direct_verify(void);

#endif
