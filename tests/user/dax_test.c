/*
 * Direct (DAX) devices and the files on them: what mappings of the device itself see, and what
 * truncation takes away. dax_file_test.c goes on.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "dax"
#include "utest.h"
#include "dax.h"

/* As in kernel/include/uapi/cowbell.h. */
struct dax_info {
    uint64_t size;
    uint32_t number;
    uint32_t flags;
};

#define DAX_INFO  _IOR('D', 1, struct dax_info)
#define NOT_A_DAX _IO('g', 8)

/* --- the device ------------------------------------------------------------------------------ */

TEST(device_tells_its_size)
{
    struct dax_info info = {0};
    int fd = open_device();
    struct stat st;

    EXPECT_EQ(0, ioctl(fd, DAX_INFO, &info));
    EXPECT_EQ(info.size, lseek(fd, 0, SEEK_END));
    EXPECT_TRUE(info.size > 0 && info.size % PAGE == 0);
    EXPECT_EQ(0, info.number);
    EXPECT_EQ(0, stat(DEVICE, &st));
    EXPECT_TRUE(S_ISCHR(st.st_mode));
    EXPECT_EQ(0600, st.st_mode & 0777);
    EXPECT_ERRNO(ENOTTY, ioctl(fd, NOT_A_DAX));
    EXPECT_ERRNO(EFAULT, ioctl(fd, DAX_INFO, NULL));
}

TEST(device_is_mapped_and_read_alike)
{
    char back[8] = {0};
    off_t offset;
    int fd = open_device();
    char *first = map_device_end(fd, 2, MAP_SHARED, &offset);
    char *second = map_device_end(fd, 2, MAP_SHARED, &offset);
    char *copy = map_device_end(fd, 2, MAP_PRIVATE, &offset);

    ASSERT_TRUE(first != NULL && second != NULL && copy != NULL);
    strcpy(first, "mapped");
    EXPECT_EQ(6, pread(fd, back, 6, offset));
    EXPECT_BYTES("mapped", back, 6);
    EXPECT_BYTES("mapped", second, 6);
    EXPECT_BYTES("mapped", copy, 6);
    EXPECT_EQ(7, pwrite(fd, "written", 7, offset + (off_t)PAGE));
    EXPECT_BYTES("written", second + PAGE, 7);
    strcpy(copy, "copied");
    EXPECT_BYTES("mapped", first, 6);
    strcpy(first, "again");
    EXPECT_BYTES("copied", copy, 6);
}

TEST(device_ends_where_it_ends)
{
    int fd = open_device();
    off_t size = lseek(fd, 0, SEEK_END);
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, size - (off_t)PAGE);
    char bytes[16] = {0};

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(0, signal_of(p, WRITE));
    EXPECT_EQ(SIGBUS, signal_of(p + PAGE, READ));
    EXPECT_EQ(SIGBUS, signal_of(p + PAGE, WRITE));
    EXPECT_EQ(4, pwrite(fd, bytes, 16, size - 4));
    EXPECT_ERRNO(ENOSPC, pwrite(fd, bytes, 16, size));
    EXPECT_EQ(4, pread(fd, bytes, 16, size - 4));
    EXPECT_EQ(0, pread(fd, bytes, 16, size));
    EXPECT_ERRNO(EINVAL, ftruncate(fd, 0));
}

TEST(device_keeps_what_files_have_to_itself)
{
    char bytes[16];
    int fd = open_device();
    char *p = map(fd, 1, MAP_SHARED);

    need_file_system();
    ASSERT_TRUE(p != NULL);
    EXPECT_ERRNO(EBUSY, pread(fd, bytes, 16, 0));
    EXPECT_ERRNO(EBUSY, pwrite(fd, bytes, 16, 0));
    EXPECT_EQ(SIGBUS, signal_of(p, READ));
    EXPECT_EQ(SIGBUS, signal_of(p, WRITE));
}

static void open_as_somebody(void)
{
    EXPECT_EQ(0, setuid(1000));
    EXPECT_ERRNO(EACCES, open(DEVICE, O_RDONLY));
}

TEST(device_is_the_superusers)
{
    close(open_device());
    EXPECT_EQ(0, utest_in_child(open_as_somebody));
}

/* --- files ----------------------------------------------------------------------------------- */

TEST(file_is_mapped_and_read_alike)
{
    int fd = make_file(DIR "/alike", 2, 'a');
    char *first = map(fd, 2, MAP_SHARED);
    char *second = map(fd, 2, MAP_SHARED);
    char back[8] = {0};

    ASSERT_TRUE(first != NULL && second != NULL);
    EXPECT_TRUE(is_all(first, 'a', PAGE) && is_all(first + PAGE, 'b', PAGE));
    strcpy(first + PAGE, "mapped");
    EXPECT_BYTES("mapped", second + PAGE, 6);
    EXPECT_EQ(6, pread(fd, back, 6, (off_t)PAGE));
    EXPECT_BYTES("mapped", back, 6);
    EXPECT_EQ(7, pwrite(fd, "written", 7, 100));
    EXPECT_BYTES("written", first + 100, 7);
    EXPECT_EQ(0, msync(first, 2 * PAGE, MS_SYNC));
    EXPECT_EQ(0, fsync(fd));
    unlink(DIR "/alike");
}

/* N1, N2. */
TEST(private_write_makes_a_copy)
{
    int fd = make_file(DIR "/private", 2, 'a');
    char *copy = map(fd, 2, MAP_PRIVATE);
    char byte = 0;

    ASSERT_TRUE(copy != NULL);
    copy[0] = 'X';        /* without a look at it first */
    (void)copy[PAGE + 1]; /* and with one */
    copy[PAGE] = 'Y';
    EXPECT_TRUE(is_all(copy + 1, 'a', PAGE - 1) && is_all(copy + PAGE + 1, 'b', PAGE - 1));
    EXPECT_EQ(1, pread(fd, &byte, 1, 0));
    EXPECT_EQ('a', byte);
    EXPECT_EQ(1, pwrite(fd, "Z", 1, 1));
    EXPECT_EQ('a', copy[1]);
    unlink(DIR "/private");
}

/* N2, N8. */
TEST(holes_read_as_zero_and_take_no_room)
{
    int fd = make_file(DIR "/holes", 0, 0);
    int reader = open(DIR "/holes", O_RDONLY);
    char *copy, *shared;

    EXPECT_EQ(0, ftruncate(fd, 1 << 20));
    EXPECT_EQ(0, blocks_of(fd));
    shared = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, reader, 0);
    copy = map(reader, 256, MAP_PRIVATE);
    ASSERT_TRUE(shared != MAP_FAILED && copy != NULL);
    EXPECT_TRUE(is_all(shared, 0, 1 << 20));
    copy[5 * PAGE] = 'x';
    EXPECT_TRUE(is_all(copy + 5 * PAGE + 1, 0, PAGE - 1));
    EXPECT_EQ(0, blocks_of(fd));
    /* A hole that is filled is seen through the zeros that were mapped. */
    EXPECT_EQ(1, pwrite(fd, "y", 1, (off_t)(7 * PAGE + 9)));
    EXPECT_EQ('y', shared[7 * PAGE + 9]);
    EXPECT_EQ(8, blocks_of(fd));
    unlink(DIR "/holes");
}

TEST(shared_mapping_of_a_sparse_file_can_be_written)
{
    int fd = make_file(DIR "/sparse", 0, 0);
    char *p;

    EXPECT_EQ(0, ftruncate(fd, (off_t)(4 * PAGE)));
    p = map(fd, 16, MAP_SHARED);
    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, p[2 * PAGE]);
    p[2 * PAGE] = 'a';
    EXPECT_EQ(SIGBUS, signal_of(p + 4 * PAGE, WRITE));
    /* What the file gains is in the mapping, and can be written as well. */
    EXPECT_EQ(0, ftruncate(fd, (off_t)(6 * PAGE)));
    p[5 * PAGE] = 'b';
    EXPECT_EQ(1, pwrite(fd, "c", 1, (off_t)(9 * PAGE)));
    p[8 * PAGE] = 'd';
    EXPECT_EQ(SIGBUS, signal_of(p + 10 * PAGE, WRITE));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)(3 * PAGE)));
    EXPECT_EQ(0, p[2 * PAGE]);
    p[2 * PAGE] = 'e';
    EXPECT_EQ('b', p[5 * PAGE]);
    unlink(DIR "/sparse");
}

TEST(truncation_revokes_mappings)
{
    int fd = make_file(DIR "/truncated", 3, 'a');
    char *shared = map(fd, 3, MAP_SHARED);
    char *copy = map(fd, 3, MAP_PRIVATE);

    ASSERT_TRUE(shared != NULL && copy != NULL);
    shared[2 * PAGE] = 'X';
    copy[2 * PAGE] = 'Y';
    EXPECT_EQ(0, ftruncate(fd, 100));
    EXPECT_EQ('a', shared[99]);
    EXPECT_EQ(0, shared[100]);
    EXPECT_EQ(SIGBUS, signal_of(shared + 2 * PAGE, READ));
    EXPECT_EQ(SIGBUS, signal_of(copy + 2 * PAGE, READ));
    EXPECT_EQ(SIGBUS, signal_of(copy + PAGE, WRITE));
    EXPECT_EQ(0, ftruncate(fd, (off_t)(3 * PAGE)));
    EXPECT_TRUE(is_all(shared + 100, 0, 3 * PAGE - 100));
    EXPECT_TRUE(is_all(copy + PAGE, 0, 2 * PAGE));
    unlink(DIR "/truncated");
}

TEST(punched_frames_are_given_back)
{
    int fd = make_file(DIR "/punched", 4, 'a');
    char *copy = map(fd, 4, MAP_PRIVATE);

    ASSERT_TRUE(copy != NULL);
    copy[PAGE] = 'X';
    EXPECT_EQ('c', copy[2 * PAGE]);
    EXPECT_EQ(32, blocks_of(fd));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, (off_t)(3 * PAGE)));
    EXPECT_EQ(16, blocks_of(fd));
    EXPECT_EQ('X', copy[PAGE]);
    EXPECT_EQ('b', copy[PAGE + 1]);
    EXPECT_TRUE(is_all(copy, 'a', 10) && is_all(copy + 10, 0, PAGE - 10));
    EXPECT_TRUE(is_all(copy + 2 * PAGE, 0, PAGE + 10));
    EXPECT_TRUE(is_all(copy + 3 * PAGE + 10, 'd', PAGE - 10));
    unlink(DIR "/punched");
}

TEST(allocated_frames_are_zero)
{
    int fd = make_file(DIR "/old", 64, 'a');
    char *p;

    close(fd);
    unlink(DIR "/old");
    sync();
    fd = make_file(DIR "/new", 0, 0);
    EXPECT_EQ(0, fallocate(fd, 0, 0, (off_t)(128 * PAGE)));
    EXPECT_EQ(128 * 8, blocks_of(fd));
    p = map(fd, 128, MAP_SHARED);
    ASSERT_TRUE(p != NULL);
    EXPECT_TRUE(is_all(p, 0, 128 * PAGE));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(130 * PAGE)));
    EXPECT_EQ(130 * 8, blocks_of(fd));
    EXPECT_EQ(128 * PAGE, lseek(fd, 0, SEEK_END));
    unlink(DIR "/new");
}

TEST(full_device_is_enospc_and_room_comes_back)
{
    int fd = make_file(DIR "/full", 0, 0);
    struct statfs before, after;
    off_t room;

    sync();
    EXPECT_EQ(0, statfs(DIR, &before));
    room = (off_t)(before.f_bfree * PAGE);
    EXPECT_ERRNO(ENOSPC, fallocate(fd, 0, 0, room + (off_t)PAGE));
    EXPECT_EQ(0, statfs(DIR, &after));
    EXPECT_EQ(0, after.f_bfree);
    EXPECT_EQ(100, pwrite(fd, (char[200]){0}, 200, room - 100));
    EXPECT_ERRNO(ENOSPC, pwrite(fd, "x", 1, room));
    EXPECT_EQ(0, ftruncate(fd, 0));
    EXPECT_EQ(0, statfs(DIR, &after));
    EXPECT_EQ(before.f_bfree, after.f_bfree);
    EXPECT_EQ(0, fallocate(fd, 0, 0, room));
    unlink(DIR "/full");
}

UTEST_MAIN
