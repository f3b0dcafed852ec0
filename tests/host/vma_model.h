/*
 * An address space beside a model of it that is an array of pages: the same operations on both must
 * give the same results and the same pages. Used by test_vma_model.c and fuzz_vma.c.
 */
#ifndef HOST_VMA_MODEL_H
#define HOST_VMA_MODEL_H

#include <lib/types.h>

/* One operation, decoded from bytes, so that any bytes are a valid sequence of operations. */
struct vma_op {
    u8 kind;
    u8 page;
    u8 nr_pages;
    u8 target;
    u8 prot;
    u8 choice;
    u8 fail_nth; /* below 4: that allocation fails, from 1 */
    u8 spare;
};

/** vma_model_begin() - an empty address space and an empty model. */
void vma_model_begin(void);

/** vma_model_step() - one operation on both; panics when they differ. */
void vma_model_step(const struct vma_op *op);

/** vma_model_check() - compare everything, and assert I9. */
void vma_model_check(void);

/** vma_model_end() - unmap everything; nothing may be left. */
void vma_model_end(void);

#endif
