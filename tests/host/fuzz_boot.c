/*
 * Fuzz target: reading what a boot loader left must stay inside memory, whatever bytes stand there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct boot_info *info)
{
    const char *reason = NULL;
    uint64_t last = 0;

    info->kernel_start = 2 * MIB;
    info->kernel_end = 4 * MIB;
    if (boot_info_finish(info, &reason) != 0) {
        if (reason == NULL) {
            abort();
        }
        return;
    }
    for (uint32_t i = 0; i < info->nr_ranges; i++) {
        if (info->ranges[i].start < last || info->ranges[i].end <= info->ranges[i].start) {
            abort();
        }
        last = info->ranges[i].end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly this size: the sanitizer sees a byte that is read beyond it. */
    uint8_t *memory = aligned_alloc(8, (size + 8) & ~(size_t)7);
    struct boot_view view = {.bytes = memory, .start = 0, .size = size};
    struct boot_info *info = calloc(1, sizeof(*info));
    const char *reason = NULL;

    memcpy(memory, data, size);
    if (multiboot2_parse(&view, 0, info, &reason) == 0) {
        check(info);
    }
    memset(info, 0, sizeof(*info));
    if (pvh_parse(&view, 0, info, &reason) == 0) {
        check(info);
    }
    free(info);
    free(memory);
    return 0;
}
