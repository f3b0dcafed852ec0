/*
 * What direct_device.c (which frame belongs to whom) and direct.c (the objects) say to each other.
 */
#ifndef MM_DIRECT_INTERNAL_H
#define MM_DIRECT_INTERNAL_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/direct.h>

struct vm_fault;

/** direct_new_device_object() - make device->object, of @size bytes. Return: 0 or -ENOMEM. */
MUST_CHECK int direct_new_device_object(struct direct_device *device, u64 size);

/**
 * direct_device_page() - the frame of a number, referenced, if it is the device's own.
 * Return: 0, -ERANGE, or -EBUSY: a file has it, or somebody refers to what was a file's.
 */
MUST_CHECK int direct_device_page(struct direct_device *device, u64 frame, struct page **out);

/**
 * direct_claim_frames() - take frames from the device, to give them away.
 *
 * Each claimed frame belongs to nobody, is mapped nowhere, and carries one reference for the
 * caller: shmem_insert_page() takes it over, or page_put() lets the device have the frame back.
 * Return: how many from the first on; it stops at one that a file has or somebody refers to.
 */
MUST_CHECK u64 direct_claim_frames(struct direct_device *device, u64 first, u64 count);

/** direct_cow_fill() - object_ops.cow_fault, DIRECT_COW_FILLS. */
enum cow_outcome direct_cow_fill(struct vm_object *object, u64 index, struct vm_fault *vmf);

/** direct_cow_install() - object_ops.cow_fault, DIRECT_COW_INSTALLS. */
enum cow_outcome direct_cow_install(struct vm_object *object, u64 index, struct vm_fault *vmf);

#endif
