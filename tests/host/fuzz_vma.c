/* Fuzzing of the VMA tree: the input is a sequence of operations, checked against a model. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <vma_model.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vma_op op;

    vma_model_begin();
    for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
        memcpy(&op, data, sizeof(op));
        vma_model_step(&op);
        vma_model_check();
    }
    vma_model_end();
    return 0;
}
