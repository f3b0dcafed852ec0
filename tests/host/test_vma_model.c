/* VMAs under random operations, against a model that is an array of pages. */
#include <host_test.h>

#include <vma_model.h>

/* Ten million take a minute: `make vma-model`, which sets VMA_OPS. */
#define DEFAULT_OPS 500000
#define RENEW_EVERY 20000

static struct vma_op random_op(void)
{
    struct vma_op op;
    uint64_t bits = host_random(UINT64_MAX);

    memcpy(&op, &bits, sizeof(op));
    op.fail_nth = (uint8_t)host_random(256);
    op.spare = 0;
    return op;
}

TEST(random_operations_agree_with_the_model)
{
    const char *wanted = getenv("VMA_OPS");
    long nr_ops = wanted != NULL ? atol(wanted) : DEFAULT_OPS;

    vma_model_begin();
    for (long i = 0; i < nr_ops; i++) {
        struct vma_op op = random_op();

        vma_model_step(&op);
        vma_model_check();
        host_nr_checks++;
        if (i % RENEW_EVERY == RENEW_EVERY - 1) {
            vma_model_end();
            vma_model_begin();
        }
    }
    vma_model_end();
}
