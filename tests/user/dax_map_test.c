/*
 * The memory calls on mappings of a direct (DAX) device's files: what mincore, pagemap and smaps
 * tell of frames, what msync and fsync do, what advice and locks take and give, and pins.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "dax_map"
#include "utest.h"
#include "dax.h"
#include "gup_device.h"
#include "pagemap.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* A field of the VMA's part of smaps, in KiB; -1 if there is none. */
static long smaps_field(const char *p, const char *name)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[256];
    bool is_there = false;
    long value = -1;

    while (value < 0 && file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            is_there = start == (uintptr_t)p;
        } else if (is_there && strncmp(line, name, strlen(name)) == 0) {
            value = atol(line + strlen(name));
        }
    }
    fclose(file);
    return value;
}

static char byte_of(int fd, size_t page)
{
    char byte = 0;

    EXPECT_EQ(1, pread(fd, &byte, 1, (off_t)(page * PAGE)));
    return byte;
}

/* --- what is told of frames ------------------------------------------------------------------- */

TEST(pagemap_tells_one_frame_for_all_who_share_it)
{
    int fd = make_file(DIR "/frames", 2, 'a');
    char *first = map(fd, 2, MAP_SHARED);
    char *second = map(fd, 2, MAP_SHARED);
    char *copy = map(fd, 2, MAP_PRIVATE);
    uint64_t word;

    ASSERT_TRUE(first != NULL && second != NULL && copy != NULL);
    first[0] = 'x';
    EXPECT_EQ('x', second[0]);
    EXPECT_EQ('x', copy[0]);
    word = pagemap_entry(first);
    EXPECT_TRUE(word & PM_PRESENT);
    EXPECT_TRUE(word & PM_FILE);
    EXPECT_FALSE(word & PM_EXCLUSIVE);
    EXPECT_NE(0, word & PM_FRAME);
    EXPECT_EQ(word & PM_FRAME, pagemap_entry(second) & PM_FRAME);
    EXPECT_EQ(word & PM_FRAME, pagemap_entry(copy) & PM_FRAME);
    copy[0] = 'y';
    EXPECT_NE(word & PM_FRAME, pagemap_entry(copy) & PM_FRAME);
    EXPECT_FALSE(pagemap_entry(copy) & PM_FILE);
    EXPECT_TRUE(pagemap_entry(copy) & PM_EXCLUSIVE);
    unlink(DIR "/frames");
}

TEST(pagemap_tells_the_frame_that_the_device_has)
{
    off_t offset;
    int fd = open_device();
    char *first = map_device_end(fd, 2, MAP_SHARED, &offset);

    ASSERT_TRUE(first != NULL);
    first[0] = 1;
    first[PAGE] = 1;
    EXPECT_EQ((pagemap_entry(first) & PM_FRAME) + 1, pagemap_entry(first + PAGE) & PM_FRAME);
}

TEST(soft_dirty_is_told_of_writes)
{
    int fd = make_file(DIR "/soft", 1, 'a');
    char *p = map(fd, 1, MAP_SHARED);
    int clear = open("/proc/self/clear_refs", O_WRONLY);

    ASSERT_TRUE(p != NULL && clear >= 0);
    p[0] = 'x';
    EXPECT_EQ(1, write(clear, "4", 1));
    EXPECT_FALSE(pagemap_entry(p) & PM_SOFT_DIRTY);
    EXPECT_EQ('x', p[0]);
    EXPECT_FALSE(pagemap_entry(p) & PM_SOFT_DIRTY);
    p[0] = 'y';
    EXPECT_TRUE(pagemap_entry(p) & PM_SOFT_DIRTY);
    unlink(DIR "/soft");
}

TEST(mincore_tells_frames_and_holes)
{
    int fd = make_file(DIR "/incore", 2, 'a');
    unsigned char vec[4] = {9, 9, 9, 9};
    char *p, *copy;

    EXPECT_EQ(0, ftruncate(fd, (off_t)(4 * PAGE)));
    /* Nobody may write through it, so its holes stay. */
    p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, open(DIR "/incore", O_RDONLY), 0);
    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(0, mincore(p, 4 * PAGE, vec));
    EXPECT_BYTES("\1\1\0\0", vec, 4);
    EXPECT_EQ(0, p[2 * PAGE]);
    EXPECT_EQ(0, mincore(p, 4 * PAGE, vec));
    EXPECT_BYTES("\1\1\1\0", vec, 4);
    copy = map(fd, 4, MAP_PRIVATE);
    ASSERT_TRUE(copy != NULL);
    copy[3 * PAGE] = 'x';
    EXPECT_EQ(0, mincore(copy, 4 * PAGE, vec));
    EXPECT_BYTES("\1\1\0\1", vec, 4);
    unlink(DIR "/incore");
}

TEST(smaps_counts_frames_and_copies)
{
    int fd = make_file(DIR "/smaps", 4, 'a');
    char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_POPULATE, fd, 0);
    char *copy = map(fd, 4, MAP_PRIVATE);

    ASSERT_TRUE(shared != MAP_FAILED && copy != NULL);
    EXPECT_EQ(16, smaps_field(shared, "Size:"));
    EXPECT_EQ(16, smaps_field(shared, "Rss:"));
    EXPECT_EQ(0, smaps_field(shared, "Anonymous:"));
    EXPECT_EQ(0, smaps_field(copy, "Anonymous:"));
    copy[PAGE] = 'x';
    copy[2 * PAGE] = 'x';
    EXPECT_EQ(8, smaps_field(copy, "Anonymous:"));
    EXPECT_EQ(8, smaps_field(copy, "Private_Dirty:"));
    EXPECT_EQ(0, munmap(copy, 4 * PAGE));
    EXPECT_EQ(16, smaps_field(shared, "Rss:"));
    EXPECT_EQ(16, smaps_field(shared, "Pss:"));
    unlink(DIR "/smaps");
}

/* Does the VMA's line in maps end in the name, after these permissions? */
static bool is_named(const char *p, const char *permissions, const char *name)
{
    FILE *file = fopen("/proc/self/maps", "r");
    char line[256], found[8], path[128];
    unsigned long start;
    bool is_right = false;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "%lx-%*x %7s %*x %*s %*u %127s", &start, found, path) == 3 &&
            start == (uintptr_t)p) {
            is_right = strcmp(found, permissions) == 0 && strcmp(path, name) == 0;
        }
    }
    fclose(file);
    return is_right;
}

TEST(maps_names_the_file_or_the_device)
{
    int fd = make_file(DIR "/named", 1, 'a');
    char *p = map(fd, 1, MAP_SHARED);
    char *copy = map(fd, 1, MAP_PRIVATE);
    off_t offset;
    char *device = map_device_end(open_device(), 1, MAP_SHARED, &offset);

    ASSERT_TRUE(p != NULL && copy != NULL && device != NULL);
    EXPECT_TRUE(is_named(p, "rw-s", DIR "/named"));
    EXPECT_TRUE(is_named(copy, "rw-p", DIR "/named"));
    EXPECT_TRUE(is_named(device, "rw-s", DEVICE));
    unlink(DIR "/named");
}

/* --- what is written back --------------------------------------------------------------------- */

TEST(msync_and_fsync_take_what_was_stored)
{
    int fd = make_file(DIR "/synced", 2, 'a');
    char *p = map(fd, 2, MAP_SHARED);
    char *copy = map(fd, 2, MAP_PRIVATE);

    ASSERT_TRUE(p != NULL && copy != NULL);
    p[PAGE] = 'x';
    EXPECT_EQ(0, msync(p, 2 * PAGE, MS_SYNC));
    EXPECT_EQ(0, msync(p, 2 * PAGE, MS_ASYNC | MS_INVALIDATE));
    EXPECT_EQ(0, msync(copy, PAGE, MS_SYNC));
    EXPECT_ERRNO(EINVAL, msync(p, PAGE, MS_SYNC | MS_ASYNC));
    EXPECT_EQ(0, fsync(fd));
    EXPECT_EQ(0, fdatasync(fd));
    EXPECT_EQ('x', byte_of(fd, 1));
    EXPECT_EQ('x', p[PAGE]);
    EXPECT_EQ(0, munmap(p, 2 * PAGE));
    EXPECT_ERRNO(ENOMEM, msync(p, 2 * PAGE, MS_SYNC));
    unlink(DIR "/synced");
}

TEST(stores_that_last_by_themselves_are_not_promised)
{
    int fd = make_file(DIR "/sync", 1, 'a');

    EXPECT_ERRNO(EOPNOTSUPP, mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    unlink(DIR "/sync");
}

/* --- advice, locks, moves --------------------------------------------------------------------- */

TEST(dontneed_forgets_copies_and_keeps_frames)
{
    int fd = make_file(DIR "/forgotten", 1, 'a');
    char *p = map(fd, 1, MAP_SHARED);
    char *copy = map(fd, 1, MAP_PRIVATE);

    ASSERT_TRUE(p != NULL && copy != NULL);
    copy[0] = 'x';
    p[0] = 'y';
    EXPECT_EQ(0, madvise(copy, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, madvise(p, PAGE, MADV_DONTNEED));
    EXPECT_EQ('y', copy[0]);
    EXPECT_EQ('y', p[0]);
    EXPECT_ERRNO(EINVAL, madvise(copy, PAGE, MADV_FREE));
    unlink(DIR "/forgotten");
}

TEST(remove_makes_zeros)
{
    int fd = make_file(DIR "/removed", 3, 'a');
    char *p = map(fd, 3, MAP_SHARED);

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, madvise(p + PAGE, PAGE, MADV_REMOVE));
    EXPECT_EQ('a', p[0]);
    EXPECT_TRUE(is_all(p + PAGE, 0, PAGE));
    EXPECT_EQ('c', p[2 * PAGE]);
    EXPECT_EQ(0, byte_of(fd, 1));
    unlink(DIR "/removed");
}

TEST(populating_and_locking_bring_frames_in)
{
    int fd = make_file(DIR "/populated", 3, 'a');
    char *p = map(fd, 3, MAP_SHARED);
    char *copy = map(fd, 3, MAP_PRIVATE);

    ASSERT_TRUE(p != NULL && copy != NULL);
    EXPECT_FALSE(pagemap_entry(p) & PM_PRESENT);
    EXPECT_EQ(0, madvise(p, 3 * PAGE, MADV_POPULATE_READ));
    EXPECT_TRUE(pagemap_entry(p + 2 * PAGE) & PM_PRESENT);
    EXPECT_EQ(0, madvise(copy, PAGE, MADV_POPULATE_WRITE));
    EXPECT_FALSE(pagemap_entry(copy) & PM_FILE);
    EXPECT_EQ('a', copy[0]);
    EXPECT_EQ(0, mlock(copy + PAGE, PAGE));
    EXPECT_TRUE(pagemap_entry(copy + PAGE) & PM_PRESENT);
    EXPECT_EQ(0, munlock(copy + PAGE, PAGE));
    EXPECT_EQ('b', copy[PAGE]);
    unlink(DIR "/populated");
}

TEST(moved_mappings_keep_frames_and_copies)
{
    int fd = make_file(DIR "/moved", 2, 'a');
    char *p = map(fd, 2, MAP_SHARED);
    char *copy = map(fd, 2, MAP_PRIVATE);
    uint64_t word;

    ASSERT_TRUE(p != NULL && copy != NULL);
    p[0] = 'x';
    copy[0] = 'y';
    word = pagemap_entry(p);
    p = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x50000000);
    copy = mremap(copy, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x60000000);
    ASSERT_TRUE(p != MAP_FAILED && copy != MAP_FAILED);
    EXPECT_EQ(word & PM_FRAME, pagemap_entry(p) & PM_FRAME);
    EXPECT_EQ('x', p[0]);
    EXPECT_EQ('y', copy[0]);
    EXPECT_EQ('b', copy[PAGE]);
    /* Truncation finds them where they are now. */
    EXPECT_EQ(0, ftruncate(fd, 0));
    EXPECT_EQ(SIGBUS, signal_of(p, READ));
    EXPECT_EQ(SIGBUS, signal_of(copy, READ));
    unlink(DIR "/moved");
}

TEST(protection_is_the_mappings_own)
{
    int fd = make_file(DIR "/protected", 1, 'a');
    int reader = open(DIR "/protected", O_RDONLY);
    char *p = map(fd, 1, MAP_SHARED);
    char *only_read = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);

    ASSERT_TRUE(p != NULL && only_read != MAP_FAILED);
    p[0] = 'x';
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_EQ(SIGSEGV, signal_of(p, WRITE));
    EXPECT_EQ('x', p[0]);
    EXPECT_EQ(0, mprotect(p, PAGE, RW));
    EXPECT_EQ(0, signal_of(p, WRITE));
    EXPECT_ERRNO(EACCES, mprotect(only_read, PAGE, RW));
    EXPECT_ERRNO(EACCES, mmap(NULL, PAGE, RW, MAP_SHARED, reader, 0));
    unlink(DIR "/protected");
}

/* --- pins ------------------------------------------------------------------------------------- */

static void pin_once(char *p, unsigned long command, unsigned flags, size_t expected)
{
    struct gup_test test = {
        .addr = (uintptr_t)p, .size = 2 * PAGE, .nr_pages_per_call = 2, .gup_flags = flags};
    int gup = gup_open();

    EXPECT_EQ(0, ioctl(gup, command, &test));
    EXPECT_EQ(expected, test.size);
    close(gup);
}

/* N8. */
TEST(short_pins_take_frames_and_long_ones_are_refused)
{
    int fd = make_file(DIR "/short", 2, 'a');
    char *p = map(fd, 2, MAP_SHARED);
    char *copy = map(fd, 2, MAP_PRIVATE);
    uint64_t word;

    ASSERT_TRUE(p != NULL && copy != NULL);
    pin_once(p, PIN_FAST_BENCHMARK, FOLL_WRITE, 2 * PAGE);
    pin_once(p, PIN_BASIC_TEST, 0, 2 * PAGE);
    pin_once(p, GUP_BASIC_TEST, FOLL_WRITE, 2 * PAGE);
    word = pagemap_entry(p);
    /* A short read pin of the private mapping leaves the frame there, a write pin copies it. */
    pin_once(copy, PIN_BASIC_TEST, 0, 2 * PAGE);
    EXPECT_EQ(word & PM_FRAME, pagemap_entry(copy) & PM_FRAME);
    pin_once(copy, PIN_BASIC_TEST, FOLL_WRITE, 2 * PAGE);
    EXPECT_NE(word & PM_FRAME, pagemap_entry(copy) & PM_FRAME);
    EXPECT_TRUE(is_all(copy, 'a', PAGE) && is_all(copy + PAGE, 'b', PAGE));
    pin_once(p, PIN_LONGTERM_BENCHMARK, 0, 0);
    unlink(DIR "/short");
}

UTEST_MAIN
