/*
 * The other calls about memory, with each allocation failing: the table of them. Files that are
 * memory, the memory of other processes, processes themselves, pins, and what /proc tells.
 */
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <lib/string.h>
#include <mm/gup.h>
#include <mm/usercopy.h>
#include <proc/thread.h>
#include <uapi/linux/gup_test.h>
#include <uapi/linux/pagemap.h>
#include <uapi/linux/sched.h>
#include "alloc_test.h"

#define RW    (PROT_READ | PROT_WRITE)
#define OTHER 1 /* the descriptor that a case has opened */

/* --- files that are memory -------------------------------------------------------------------- */

static void store_name(void)
{
    EXPECT_OK(copy_to_user(ALLOC_ARGS, "another", 8));
}

ALLOC_TEST(memfd_create, sys_memfd_create(ALLOC_ARGS, MFD_CLOEXEC | MFD_ALLOW_SEALING),
           .prepare = store_name)
ALLOC_TEST(ftruncate_shrinks, sys_ftruncate(ALLOC_MEMFD, PAGE_SIZE + 100),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(ftruncate_grows, sys_ftruncate(ALLOC_MEMFD, 100 * ALLOC_SIZE))
ALLOC_TEST(fallocate, sys_fallocate(ALLOC_MEMFD, 0, 0, 70 * PAGE_SIZE))
ALLOC_TEST(fallocate_keep_size,
           sys_fallocate(ALLOC_MEMFD, FALLOC_FL_KEEP_SIZE, ALLOC_SIZE, 70 * PAGE_SIZE))
ALLOC_TEST(fallocate_punch_hole,
           sys_fallocate(ALLOC_MEMFD, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 100,
                         3 * PAGE_SIZE),
           .on_success = ALLOC_CHANGED)
ALLOC_TEST(pwrite, sys_pwrite64(ALLOC_MEMFD, ALLOC_ARGS, 8, ALLOC_SIZE), .may_ignore = true)

/* --- other processes, and this one as one of them --------------------------------------------- */

static void store_ranges(u64 near, u64 remote)
{
    const struct iovec ranges[2] = {{near, 2 * PAGE_SIZE}, {remote, 2 * PAGE_SIZE}};

    EXPECT_OK(copy_to_user(ALLOC_ARGS, ranges, sizeof(ranges)));
}

static void store_transfer(void)
{
    EXPECT_EQ(ALLOC_FREE, sys_mmap(ALLOC_FREE, ALLOC_SIZE, RW,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0ul, 0));
    store_ranges(ALLOC_ANON, ALLOC_FREE);
}

static s64 transfer(long (*call)(s32, u64, u64, u64, u64, u64))
{
    return call(current_process()->pid, ALLOC_ARGS, 1, ALLOC_ARGS + sizeof(struct iovec), 1, 0);
}

/* What came before the page that could not be had counts. The near memory is there: a want of
 * memory in a copy to it would end the process. */
#define TRANSFER_TEST(name)                                                                        \
    ALLOC_TEST(name, transfer(sys_##name), .prepare = store_transfer, .error = -EFAULT,            \
               .other_error = -ENOMEM, .on_failure = ALLOC_CONTENT, .on_success = ALLOC_CHANGED,   \
               .may_ignore = true)

TRANSFER_TEST(process_vm_readv)
TRANSFER_TEST(process_vm_writev)

static void open_pidfd(void)
{
    store_ranges(ALLOC_ANON + 2 * PAGE_SIZE, ALLOC_FILE);
    EXPECT_EQ(OTHER, sys_pidfd_open(current_process()->pid, 0));
}

ALLOC_TEST(pidfd_open, sys_pidfd_open(current_process()->pid, 0))
ALLOC_TEST(process_madvise_cold, sys_process_madvise(OTHER, ALLOC_ARGS, 2, MADV_COLD, 0),
           .prepare = open_pidfd)
ALLOC_TEST(process_madvise_pageout, sys_process_madvise(OTHER, ALLOC_ARGS, 2, MADV_PAGEOUT, 0),
           .prepare = open_pidfd)
ALLOC_TEST(process_madvise_willneed, sys_process_madvise(OTHER, ALLOC_ARGS, 2, MADV_WILLNEED, 0),
           .prepare = open_pidfd, .may_ignore = true)

static u64 child_entry;

static void write_program(void)
{
    child_entry = program_exit(0);
}

ALLOC_TEST(fork, program_clone(child_entry, 0), .prepare = write_program, .error = -ENOMEM,
           .other_error = -EAGAIN)
ALLOC_TEST(clone_vm, program_clone(child_entry, CLONE_VM), .prepare = write_program,
           .other_error = -EAGAIN)

/* A page that is pinned is copied for the child at once. */
static struct page *pinned;

static s64 fork_with_a_pin(void)
{
    s64 result;

    EXPECT_EQ(1, pin_user_pages_fast(ALLOC_ANON, 1, FOLL_WRITE, &pinned));
    result = program_clone(child_entry, 0);
    unpin_user_page(pinned);
    return result;
}

/* rule I2: the copies for the child are pages that it may not get. */
ALLOC_TEST(fork_of_a_pinned_page, fork_with_a_pin(), .prepare = write_program,
           .other_error = -EAGAIN)

/* --- pins ------------------------------------------------------------------------------------- */

static s64 pin(s64 (*call)(u64, u64, u32, struct page **), u64 addr, u32 flags)
{
    struct page *pages[ALLOC_PAGES];
    s64 nr = call(addr, ALLOC_PAGES, flags, pages);

    if (nr > 0) {
        unpin_user_pages(pages, (u64)nr);
    }
    return nr;
}

/* The pages in front of the one that could not be had are taken. */
#define PIN_TEST(name, expression) ALLOC_TEST(name, expression, .may_ignore = true)

PIN_TEST(pin, pin(pin_user_pages, ALLOC_ANON, FOLL_WRITE))
PIN_TEST(pin_fast, pin(pin_user_pages_fast, ALLOC_ANON, FOLL_WRITE))
PIN_TEST(pin_longterm_of_a_private_file, pin(pin_user_pages, ALLOC_FILE, FOLL_LONGTERM))
PIN_TEST(pin_fast_longterm_of_a_private_file, pin(pin_user_pages_fast, ALLOC_FILE, FOLL_LONGTERM))
PIN_TEST(pin_of_shared_memory, pin(pin_user_pages_fast, ALLOC_SHARED, FOLL_WRITE | FOLL_LONGTERM))

static void open_gup_test(void)
{
    const struct pin_longterm_test test = {
        .addr = ALLOC_ANON, .size = ALLOC_SIZE, .flags = PIN_LONGTERM_TEST_FLAG_USE_WRITE};

    EXPECT_OK(copy_to_user(ALLOC_ARGS, &test, sizeof(test)));
    EXPECT_EQ(OTHER, sys_kernel_file(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR));
}

ALLOC_TEST(gup_test_open, sys_kernel_file(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR))
ALLOC_TEST(gup_test_longterm, sys_ioctl(OTHER, PIN_LONGTERM_TEST_START, ALLOC_ARGS),
           .prepare = open_gup_test, .may_ignore = true)

static void open_pipe(void)
{
    EXPECT_OK(sys_pipe2(ALLOC_ARGS, 0));
    store_ranges(ALLOC_ANON + 3 * PAGE_SIZE, 0);
}

ALLOC_TEST(vmsplice, sys_vmsplice(OTHER + 1, ALLOC_ARGS, 1, 0), .prepare = open_pipe,
           .other_error = -EFAULT, .may_ignore = true)

/* --- what /proc tells ------------------------------------------------------------------------- */

#define SELF current_process()->pid

/** FILE_TEST(name, kind, expression) - opening a file of the kernel, and using it. */
#define FILE_TEST(name, kind, flags, expression, ...)                                              \
    static void open_##name(void)                                                                  \
    {                                                                                              \
        EXPECT_EQ(OTHER, sys_kernel_file(kind, PID_OF_##kind, flags));                             \
    }                                                                                              \
    ALLOC_TEST(name##_open, sys_kernel_file(kind, PID_OF_##kind, flags))                           \
    ALLOC_TEST(name, expression, .prepare = open_##name, __VA_ARGS__)

/* The last two are about the machine. */
#define PID_OF_CB_KERNEL_FILE_MEM            SELF
#define PID_OF_CB_KERNEL_FILE_PAGEMAP        SELF
#define PID_OF_CB_KERNEL_FILE_PAGEMAP_FRAMES SELF
#define PID_OF_CB_KERNEL_FILE_CLEAR_REFS     SELF
#define PID_OF_CB_KERNEL_FILE_KPAGEFLAGS     0
#define PID_OF_CB_KERNEL_FILE_KPAGECOUNT     0

#define FAR_PAGE   (ALLOC_ANON + 6 * PAGE_SIZE)
#define PAGEMAP_AT (ALLOC_ANON / PAGE_SIZE * 8)

FILE_TEST(proc_mem, CB_KERNEL_FILE_MEM, O_RDWR, sys_pread64(OTHER, ALLOC_RESULT, 64, FAR_PAGE),
          .error = -EIO, .other_error = -EFAULT)
ALLOC_TEST(proc_mem_write, sys_pwrite64(OTHER, ALLOC_ARGS, 8, FAR_PAGE), .prepare = open_proc_mem,
           .error = -EIO, .other_error = -EFAULT, .on_success = ALLOC_CHANGED)
FILE_TEST(proc_pagemap, CB_KERNEL_FILE_PAGEMAP, O_RDONLY,
          sys_pread64(OTHER, ALLOC_RESULT, 64, PAGEMAP_AT))
FILE_TEST(proc_clear_refs, CB_KERNEL_FILE_CLEAR_REFS, O_WRONLY, sys_write(OTHER, ALLOC_ARGS, 1),
          .on_success = ALLOC_CONTENT)
FILE_TEST(proc_kpageflags, CB_KERNEL_FILE_KPAGEFLAGS, O_RDONLY,
          sys_pread64(OTHER, ALLOC_RESULT, 64, 0))
FILE_TEST(proc_kpagecount, CB_KERNEL_FILE_KPAGECOUNT, O_RDONLY,
          sys_pread64(OTHER, ALLOC_RESULT, 64, 0))

/* What maps, smaps, status and meminfo are made of. */
#define KINFO_TEST(name, kind)                                                                     \
    ALLOC_TEST(proc_##name, sys_kinfo(kind, SELF, ALLOC_RESULT, 2048), .other_error = -EFAULT)

KINFO_TEST(maps, CB_KINFO_VMAS)
KINFO_TEST(smaps, CB_KINFO_SMAPS)
KINFO_TEST(status, CB_KINFO_PROC)
KINFO_TEST(meminfo, CB_KINFO_MEM)
KINFO_TEST(cmdline, CB_KINFO_ARGV)

static void prepare_scan(void)
{
    const struct pm_scan_arg scan = {.size = sizeof(scan),
                                     .start = ALLOC_ANON,
                                     .end = ALLOC_SHARED,
                                     .vec = ALLOC_RESULT,
                                     .vec_len = 8,
                                     .category_mask = PAGE_IS_PRESENT,
                                     .return_mask = PAGE_IS_PRESENT | PAGE_IS_FILE};

    EXPECT_OK(copy_to_user(ALLOC_ARGS, &scan, sizeof(scan)));
    EXPECT_EQ(OTHER, sys_kernel_file(CB_KERNEL_FILE_PAGEMAP, SELF, O_RDONLY));
}

ALLOC_TEST(pagemap_scan, sys_ioctl(OTHER, PAGEMAP_SCAN, ALLOC_ARGS), .prepare = prepare_scan)
