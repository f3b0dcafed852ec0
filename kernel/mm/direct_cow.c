/*
 * Private write faults on direct objects: the handler makes the copy (rules N1 to N5).
 *
 * Both ways get the fresh page in vmf->cow_page and fill it from the device's frame, or with zeros
 * for a hole. Neither hands a lock over to its caller, nor takes one of its caller's:
 *
 *   fills      holds nothing but a reference, which keeps the frame from being given away. The
 *              caller installs the page, and gives it up if the object is of another generation by
 *              then: a truncation came between.
 *   installs   holds the object lock from the look-up to the entry, so no truncation can come
 *              between; its zap finds the entry.
 *
 * Read next: vm_fault_finish_cow() in fault_anon.c.
 */
#include <lib/errno.h>
#include <mm/direct_internal.h>
#include <mm/frames.h>
#include <mm/shmem.h>
#include <mm/vm_fault.h>

static void fill_cow_page(struct vm_fault *vmf, const struct page *source)
{
    if (source != NULL) {
        page_copy(vmf->cow_page, source);
    } else {
        page_clear(vmf->cow_page);
    }
}

enum cow_outcome direct_cow_fill(struct vm_object *object, u64 index, struct vm_fault *vmf)
{
    struct page *source = NULL;
    int error;

    vmf->generation = object_generation(object);
    error = object_get_page(object, index, OBJECT_FIND, &source);
    if (error != 0 && error != -ENOENT) {
        return COW_SIGBUS;
    }
    fill_cow_page(vmf, source);
    if (source != NULL) {
        page_put(source);
    }
    return COW_FILLED;
}

static enum cow_outcome outcome_of(enum fault_step step)
{
    switch (step) {
    case FAULT_STEP_DONE:
        return COW_INSTALLED;
    case FAULT_STEP_OOM:
        return COW_OOM;
    default:
        return COW_AGAIN;
    }
}

enum cow_outcome direct_cow_install(struct vm_object *object, u64 index, struct vm_fault *vmf)
{
    enum cow_outcome outcome = COW_SIGBUS;

    rwsem_read_lock(&object->lock);
    if (index < object_size_in_pages(object)) {
        vmf->generation = object_generation(object);
        fill_cow_page(vmf, radix_lookup(&object->pages, index));
        outcome = outcome_of(vm_fault_finish_cow(vmf));
    }
    rwsem_read_unlock(&object->lock);
    return outcome;
}
