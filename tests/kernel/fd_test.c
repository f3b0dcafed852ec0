/* Descriptor tables, the calls on descriptors, memfds. */
#include "ipc_test.h"

#include <ipc/fs_context.h>
#include <proc/rlimit.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/stat.h>

static s32 open_event(void)
{
    return (s32)sys_eventfd2(0, 0);
}

static void body_lowest(void)
{
    for (s32 i = 0; i < 5; i++) {
        EXPECT_EQ(i, open_event());
    }
    EXPECT_OK(sys_close(1));
    EXPECT_OK(sys_close(3));
    EXPECT_ERR(-EBADF, sys_close(3));
    EXPECT_EQ(3, sys_fcntl(0, F_DUPFD, 2));
    EXPECT_EQ(1, sys_dup(0));
    EXPECT_EQ(5, sys_dup(0));
    EXPECT_ERR(-EBADF, sys_dup(6));
    EXPECT_ERR(-EBADF, sys_dup(-1));
}

TEST(fd, a_new_descriptor_is_the_lowest_free_one)
{
    ipc_test_run(body_lowest);
}

static void body_limit(void)
{
    const struct rlimit limit = {.rlim_cur = 100, .rlim_max = 4096};

    EXPECT_OK(rlimit_change(current_process(), RLIMIT_NOFILE, &limit, NULL));
    for (s32 i = 0; i < 100; i++) {
        EXPECT_EQ(i, open_event());
    }
    EXPECT_ERR(-EMFILE, open_event());
    EXPECT_ERR(-EMFILE, sys_dup(0));
    EXPECT_ERR(-EMFILE, sys_pipe2(IPC_BUF, 0));
    EXPECT_ERR(-EINVAL, sys_fcntl(0, F_DUPFD, 100));
    EXPECT_ERR(-EMFILE, sys_fcntl(0, F_DUPFD, 99));
    EXPECT_ERR(-EBADF, sys_dup2(0, 100));
    EXPECT_OK(sys_close(99));
    EXPECT_ERR(-EMFILE, sys_pipe2(IPC_BUF, 0));
    EXPECT_EQ(99, open_event());
}

TEST(fd, the_limit_gives_emfile_and_leaves_nothing_behind)
{
    ipc_test_run(body_limit);
}

static void body_dup2(void)
{
    s32 fd = open_event();
    s32 other = open_event();
    struct file *file = ipc_file(other);

    EXPECT_EQ(200, sys_dup2(fd, 200));
    EXPECT_EQ(fd, sys_dup2(fd, fd));
    EXPECT_ERR(-EBADF, sys_dup2(50, 50));
    EXPECT_ERR(-EBADF, sys_dup2(50, 51));
    EXPECT_ERR(-EBADF, sys_dup2(fd, -1));
    EXPECT_EQ(other, sys_dup2(fd, other));
    EXPECT_EQ(1, refcount_read(&file->refs));
    file_put(file);
    EXPECT_ERR(-EINVAL, sys_dup3(fd, fd, 0));
    EXPECT_ERR(-EINVAL, sys_dup3(fd, 3, 1));
    EXPECT_EQ(3, sys_dup3(fd, 3, O_CLOEXEC));
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(3, F_GETFD, 0));
    EXPECT_EQ(3, sys_dup2(fd, 3));
    EXPECT_EQ(0, sys_fcntl(3, F_GETFD, 0));
}

TEST(fd, dup2_replaces_and_closes_what_was_there)
{
    ipc_test_run(body_dup2);
}

static void body_exec(void)
{
    struct files *files = current_process()->files;
    s32 kept = open_event();
    s32 closed = (s32)sys_eventfd2(0, EFD_CLOEXEC);

    EXPECT_EQ(300, sys_dup3(kept, 300, O_CLOEXEC));
    EXPECT_OK(sys_fcntl(closed, F_SETFD, FD_CLOEXEC));
    EXPECT_EQ(301, sys_fcntl(kept, F_DUPFD, 301));
    files_exec(files);
    EXPECT_EQ(0, sys_fcntl(kept, F_GETFD, 0));
    EXPECT_EQ(0, sys_fcntl(301, F_GETFD, 0));
    EXPECT_ERR(-EBADF, sys_fcntl(closed, F_GETFD, 0));
    EXPECT_ERR(-EBADF, sys_fcntl(300, F_GETFD, 0));
}

TEST(fd, exec_closes_exactly_what_has_close_on_exec)
{
    ipc_test_run(body_exec);
}

static void body_fork(void)
{
    struct files *files = current_process()->files;
    struct files *copy;
    struct file *file;
    s32 fd = (s32)sys_eventfd2(0, EFD_CLOEXEC);
    s64 reserved = fd_reserve(files, 0, 4096, FD_PLAIN);

    EXPECT_EQ(500, sys_fcntl(fd, F_DUPFD, 500));
    ASSERT_OK(files_fork(files, &copy));
    EXPECT_EQ(1, files_get_cloexec(copy, fd));
    EXPECT_EQ(0, files_get_cloexec(copy, 500));
    EXPECT_ERR(-EBADF, files_get_cloexec(copy, (s32)reserved));
    EXPECT_ERR(-EBADF, files_lookup(files, (s32)reserved, &file));
    EXPECT_ERR(-EBUSY, sys_dup2(fd, (s32)reserved));
    EXPECT_OK(files_close(copy, fd));
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(fd, F_GETFD, 0));
    fd_unreserve(files, (s32)reserved);
    EXPECT_EQ(reserved, open_event());
    files_put(copy);
}

TEST(fd, fork_copies_open_descriptors_and_not_reserved_ones)
{
    ipc_test_run(body_fork);
}

static void body_close_range(void)
{
    for (u32 i = 0; i < 70; i++) {
        open_event();
    }
    EXPECT_ERR(-EINVAL, sys_close_range(5, 4, 0));
    EXPECT_ERR(-EINVAL, sys_close_range(0, 1, 1));
    EXPECT_OK(sys_close_range(3, 65, 0));
    EXPECT_EQ(0, sys_fcntl(2, F_GETFD, 0));
    EXPECT_ERR(-EBADF, sys_fcntl(3, F_GETFD, 0));
    EXPECT_ERR(-EBADF, sys_fcntl(65, F_GETFD, 0));
    EXPECT_OK(sys_close_range(66, ~0u, CLOSE_RANGE_CLOEXEC));
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(69, F_GETFD, 0));
    EXPECT_EQ(3, open_event());
}

TEST(fd, close_range_closes_or_marks_the_whole_range)
{
    ipc_test_run(body_close_range);
}

TEST_EACH_ALLOC(fd, a_table_without_memory_stays_as_it_was)
{
    struct files *files = NULL;
    struct files *copy = NULL;
    s64 fd = -1;
    int error = files_create(&files);

    if (error == 0) {
        fd = fd_reserve(files, 1000, 4096, FD_PLAIN);
        error = fd < 0 ? (int)fd : files_fork(files, &copy);
    }
    EXPECT_EQ(ktest_alloc_failed() ? -ENOMEM : 0, error);
    if (fd >= 0) {
        EXPECT_EQ(1000, fd);
    }
    files_put(copy);
    files_put(files);
}

static void body_flags(void)
{
    s32 fd = open_event();

    EXPECT_EQ(O_RDWR, sys_fcntl(fd, F_GETFL, 0));
    EXPECT_OK(sys_fcntl(fd, F_SETFL, O_NONBLOCK | O_RDONLY | O_CREAT));
    EXPECT_EQ(O_RDWR | O_NONBLOCK, sys_fcntl(fd, F_GETFL, 0));
    EXPECT_ERR(-EINVAL, sys_fcntl(fd, 9999, 0));
    EXPECT_ERR(-EFAULT, sys_fcntl(fd, F_SETLK, IPC_UNMAPPED));
    EXPECT_ERR(-EBADF, sys_fcntl(99, F_GETFL, 0));
    EXPECT_ERR(-ENOTTY, sys_ioctl(fd, 0x5401, IPC_BUF));
    EXPECT_OK(sys_ioctl(fd, 0x5451, 0));
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(fd, F_GETFD, 0));
}

TEST(fd, fcntl_changes_what_may_change)
{
    ipc_test_run(body_flags);
}

static s32 make_memfd(u32 flags)
{
    ipc_put(IPC_BUF, "test", 5);
    return (s32)sys_memfd_create(IPC_BUF, flags);
}

static void body_memfd(void)
{
    s32 fd = make_memfd(0);
    struct stat stat;
    char name[32];
    struct file *file = ipc_file(fd);

    file_describe(file, name, sizeof(name));
    EXPECT_STR("/memfd:test (deleted)", name);
    file_put(file);
    ipc_put(IPC_BUF, "0123456789", 10);
    EXPECT_EQ(10, sys_write(fd, IPC_BUF, 10));
    EXPECT_EQ(0, sys_read(fd, IPC_BUF, 10));
    EXPECT_EQ(4, sys_lseek(fd, -6, SEEK_END));
    EXPECT_EQ(6, sys_read(fd, IPC_BUF + 100, 100));
    EXPECT_EQ(3, sys_pread64(fd, IPC_BUF, 3, 7));
    EXPECT_EQ(2, sys_pwrite64(fd, IPC_BUF, 2, 100));
    EXPECT_EQ(10, sys_lseek(fd, 0, SEEK_CUR));
    EXPECT_ERR(-EINVAL, sys_lseek(fd, -1, SEEK_SET));
    EXPECT_ERR(-EINVAL, sys_lseek(fd, 0, 9));
    EXPECT_ERR(-EINVAL, sys_pread64(fd, IPC_BUF, 1, -1));
    EXPECT_ERR(-EFAULT, sys_read(fd, IPC_KERNEL, 1));
    EXPECT_OK(sys_ftruncate(fd, 5));
    EXPECT_ERR(-EINVAL, sys_ftruncate(fd, -1));
    EXPECT_OK(sys_fstat(fd, IPC_BUF));
    ipc_get(&stat, IPC_BUF, sizeof(stat));
    EXPECT_EQ(5, stat.st_size);
    EXPECT_EQ(S_IFREG | 0777, stat.st_mode);
    EXPECT_ERR(-EFAULT, sys_fstat(fd, IPC_UNMAPPED));
    EXPECT_ERR(-EINVAL, sys_memfd_create(IPC_BUF, 0x100));
    EXPECT_ERR(-EFAULT, sys_memfd_create(IPC_UNMAPPED, 0));
}

TEST(fd, a_memfd_is_a_file)
{
    ipc_test_run(body_memfd);
}

static void body_seals(void)
{
    s32 plain = make_memfd(0);
    s32 fd = make_memfd(MFD_ALLOW_SEALING);

    EXPECT_EQ(F_SEAL_SEAL, sys_fcntl(plain, F_GET_SEALS, 0));
    EXPECT_ERR(-EPERM, sys_fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
    EXPECT_EQ(0, sys_fcntl(fd, F_GET_SEALS, 0));
    EXPECT_EQ(8, sys_write(fd, IPC_BUF, 8));
    EXPECT_OK(sys_fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
    EXPECT_ERR(-EPERM, sys_ftruncate(fd, 9));
    EXPECT_ERR(-EPERM, sys_ftruncate(fd, 7));
    EXPECT_ERR(-EPERM, sys_write(fd, IPC_BUF, 8));
    EXPECT_EQ(8, sys_pwrite64(fd, IPC_BUF, 8, 0));
    EXPECT_OK(sys_fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    EXPECT_ERR(-EPERM, sys_pwrite64(fd, IPC_BUF, 8, 0));
    EXPECT_ERR(-EINVAL, sys_fcntl(fd, F_ADD_SEALS, 0x1000));
    EXPECT_OK(sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    EXPECT_ERR(-EPERM, sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
}

TEST(fd, seals_hold)
{
    ipc_test_run(body_seals);
}

static void body_vectors(void)
{
    s32 fd = make_memfd(0);
    struct iovec iov[3] = {{IPC_BUF + 512, 3}, {IPC_BUF + 600, 0}, {IPC_BUF + 700, 2}};
    char text[6] = "";

    ipc_put(IPC_BUF + 512, "abc", 3);
    ipc_put(IPC_BUF + 700, "de", 2);
    ipc_put(IPC_BUF, iov, sizeof(iov));
    EXPECT_EQ(5, sys_writev(fd, IPC_BUF, 3));
    EXPECT_EQ(5, sys_pread64(fd, IPC_BUF + 800, 10, 0));
    ipc_get(text, IPC_BUF + 800, 5);
    EXPECT_STR("abcde", text);
    EXPECT_EQ(4, sys_preadv(fd, IPC_BUF, 3, 1, 0));
    ipc_get(text, IPC_BUF + 512, 3);
    EXPECT_EQ(0, memcmp(text, "bcd", 3));
    EXPECT_EQ(0, sys_writev(fd, IPC_BUF, 0));
    EXPECT_ERR(-EINVAL, sys_writev(fd, IPC_BUF, 1025));
    EXPECT_ERR(-EFAULT, sys_writev(fd, IPC_UNMAPPED, 1));
    iov[1].iov_len = ~0ul;
    ipc_put(IPC_BUF, iov, sizeof(iov));
    EXPECT_ERR(-EINVAL, sys_writev(fd, IPC_BUF, 3));
    iov[1] = (struct iovec){IPC_UNMAPPED, 5};
    ipc_put(IPC_BUF, iov, sizeof(iov));
    EXPECT_EQ(3, sys_writev(fd, IPC_BUF, 3));
}

TEST(fd, vectors_move_their_segments_in_order)
{
    ipc_test_run(body_vectors);
}

static void body_sendfile(void)
{
    s32 in = make_memfd(0);
    s32 out = make_memfd(0);
    u64 offset = 2;

    ipc_put(IPC_BUF, "0123456789", 10);
    EXPECT_EQ(10, sys_write(in, IPC_BUF, 10));
    ipc_put(IPC_BUF + 64, &offset, sizeof(offset));
    EXPECT_EQ(5, sys_sendfile(out, in, IPC_BUF + 64, 5));
    EXPECT_EQ(7, ipc_word(IPC_BUF + 64));
    EXPECT_EQ(10, sys_lseek(in, 0, SEEK_CUR));
    EXPECT_EQ(0, sys_sendfile(out, in, 0, 5));
    EXPECT_EQ(5, sys_lseek(out, 0, SEEK_CUR));
    EXPECT_EQ(5, sys_pread64(out, IPC_BUF, 10, 0));
    EXPECT_EQ(0x35343332, ipc_word(IPC_BUF) & 0xffffffff);
    EXPECT_EQ(1, sys_lseek(in, 1, SEEK_SET));
    EXPECT_EQ(9, sys_sendfile(out, in, 0, 100));
    EXPECT_EQ(10, sys_lseek(in, 0, SEEK_CUR));
    EXPECT_ERR(-EFAULT, sys_sendfile(out, in, IPC_UNMAPPED, 1));
    EXPECT_ERR(-EBADF, sys_sendfile(out, 99, 0, 1));
    EXPECT_ERR(-EINVAL, sys_sendfile(out, open_event(), 0, 1));
}

TEST(fd, sendfile_moves_the_position_that_it_was_told)
{
    ipc_test_run(body_sendfile);
}

static void body_bad_descriptors(void)
{
    EXPECT_ERR(-EBADF, sys_read(0, IPC_BUF, 1));
    EXPECT_ERR(-EBADF, sys_write(-1, IPC_BUF, 1));
    EXPECT_ERR(-EBADF, sys_fstat(1000000, IPC_BUF));
    EXPECT_ERR(-EBADF, sys_ioctl(5, 0, 0));
    EXPECT_ERR(-EBADF, sys_lseek(5, 0, 0));
    EXPECT_ERR(-EBADF, sys_getdents64(5, IPC_BUF, 100));
    EXPECT_ERR(-EBADF, sys_fchdir(5));
    EXPECT_ERR(-ENOTDIR, sys_fchdir(open_event()));
    EXPECT_ERR(-ENOTDIR, sys_getdents64(0, IPC_BUF, 100));
    EXPECT_ERR(-ENOENT, sys_open(IPC_BUF, O_RDONLY, 0));
    EXPECT_ERR(-EFAULT, sys_open(IPC_UNMAPPED, O_RDONLY, 0));
    EXPECT_ERR(-EFAULT, sys_open(IPC_KERNEL, O_RDONLY, 0));
    ipc_put(IPC_BUF, "x", 2);
    EXPECT_ERR(-ENOENT, sys_open(IPC_BUF, O_RDONLY, 0));
    EXPECT_ERR(-ENOTDIR, sys_openat(0, IPC_BUF, O_RDONLY, 0));
    EXPECT_ERR(-EBADF, sys_openat(77, IPC_BUF, O_RDONLY, 0));
    EXPECT_ERR(-ENOENT, sys_getcwd(IPC_BUF, 100));
    EXPECT_EQ(1, open_event());
}

TEST(fd, bad_descriptors_and_paths_give_linuxs_errors)
{
    ipc_test_run(body_bad_descriptors);
}
