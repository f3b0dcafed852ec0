/*
 * What the suites about direct (DAX) objects share. Every test runs once for each of the two ways
 * of copying, and begins and ends with all frames of the device its own.
 */
#ifndef TESTS_KERNEL_DIRECT_TEST_H
#define TESTS_KERNEL_DIRECT_TEST_H

#include <mm/direct.h>
#include <mm/frames.h>
#include "mm_test.h"

/** DIRECT_TEST(name) - dax.name_fills and dax.name_installs; @cow is the way of this run. */
#define DIRECT_TEST(name) DIRECT_TEST_FLAGS(name, KTEST_DIRECT)
#define DIRECT_TEST_FLAGS(name, flags)                                                             \
    static void direct_##name(enum direct_cow cow);                                                \
    KTEST_DEFINE(dax, name##_fills, flags, KTEST_DEFAULT_LIMIT_NS)                                 \
    {                                                                                              \
        direct_##name(DIRECT_COW_FILLS);                                                           \
    }                                                                                              \
    KTEST_DEFINE(dax, name##_installs, flags, KTEST_DEFAULT_LIMIT_NS)                              \
    {                                                                                              \
        direct_##name(DIRECT_COW_INSTALLS);                                                        \
    }                                                                                              \
    static void direct_##name(enum direct_cow cow)

static inline struct direct_device *test_device(void)
{
    return direct_device_find(0);
}

static inline u64 test_frame_pfn(u64 frame)
{
    return test_device()->first_pfn + frame;
}

/** test_frame_word() - the first word of a frame, whoever has it. */
static inline u64 *test_frame_word(u64 frame)
{
    return phys_to_virt(test_frame_pfn(frame) << PAGE_SHIFT);
}

/** test_grant() - frames [frame, frame + count) to pages from @index on, keeping what they hold. */
static inline s64 test_grant(struct vm_object *object, u64 index, u64 frame, u64 count)
{
    const struct direct_grant grant = {.index = index, .frame = frame, .count = count};

    return direct_grant(object, &grant);
}

/** test_grant_zeroed() - the same, made zero. */
static inline s64 test_grant_zeroed(struct vm_object *object, u64 index, u64 frame, u64 count)
{
    const struct direct_grant grant = {
        .index = index, .frame = frame, .count = count, .content = DIRECT_ZERO_CONTENT};

    return direct_grant(object, &grant);
}

/** test_direct_file() - a file of so many pages, all holes; NULL without memory. */
static inline struct vm_object *test_direct_file(enum direct_cow cow, u64 nr_pages)
{
    struct vm_object *object = NULL;

    if (object_create_direct(test_device(), cow, &object) != 0) {
        return NULL;
    }
    if (object_truncate(object, nr_pages * PAGE_SIZE) != 0) {
        object_put(object);
        return NULL;
    }
    return object;
}

#endif
