/* A pager in the kernel, for the suites about paged objects: it answers as it is told to. */
#ifndef TESTS_KERNEL_PAGER_TEST_H
#define TESTS_KERNEL_PAGER_TEST_H

#include <debug/explore.h>
#include <lib/string.h>
#include <mm/pager.h>
#include <proc/waitqueue.h>
#include "mm_test.h"

#define FAKE_PAGES 64

/** What the first word of a page is when it has come. */
#define FAKE_WORD(index) (0xabcd000000000000ul + (index))

struct fake_pager {
    struct vm_object *object;
    u32 nr_page_ins;
    u32 nr_notifies;
    u32 nr_write_backs;
    u32 nr_released;
    u64 last_offset;           /* of the last request */
    u64 last_len;              /* of the last PAGE_IN or WRITE_BACK */
    s64 answer;                /* 0: do it; else what is answered instead */
    bool hangs;                /* never answers */
    bool is_waited_for;        /* [x] somebody hangs */
    void (*meanwhile)(void);   /* called in front of an answer */
    u64 backing[FAKE_PAGES];   /* first words, as written back */
    struct wait_queue nothing; /* to hang on */
};

extern struct fake_pager fake;
extern const struct pager_ops fake_pager_ops;

/** fake_start() - a new pager of @nr_pages pages; false without memory. */
bool fake_start(u64 nr_pages, enum pager_mode mode);

/** fake_end() - the test is done with it; its object must go now. */
void fake_end(void);

#endif
