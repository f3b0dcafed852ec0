/* Pipes: the ring of pages, blocking, atomic small writes, ends, eventfds. */
#include "ipc_test.h"

#include <ipc/pipe.h>
#include <ipc/pipe_buffer.h>
#include <lib/random.h>
#include <mm/frames.h>
#include <uapi/linux/ioctl.h>

/* Moves @len bytes of a running pattern in or out; returns how many went. */
static s64 ring_put(struct pipe_buffer *ring, u64 *next, size_t len)
{
    u8 buf[1024];
    struct iov_iter iter;
    s64 done;

    len = min(len, sizeof(buf));
    for (size_t i = 0; i < len; i++) {
        buf[i] = (u8)((*next + i) * 7);
    }
    iov_init_kernel(&iter, buf, len);
    done = pipe_buffer_put(ring, &iter);
    *next += done > 0 ? (u64)done : 0;
    return done;
}

static s64 ring_take(struct pipe_buffer *ring, u64 *next, size_t len)
{
    u8 buf[1024] = {0};
    struct iov_iter iter;
    u32 nr_wrong = 0;
    s64 done;

    iov_init_kernel(&iter, buf, min(len, sizeof(buf)));
    done = pipe_buffer_take(ring, &iter);
    for (s64 i = 0; i < done; i++) {
        nr_wrong += buf[i] != (u8)(*next * 7);
        (*next)++;
    }
    EXPECT_EQ(0, nr_wrong);
    return done;
}

TEST(pipe, the_ring_keeps_every_byte_in_order_when_it_wraps)
{
    struct pipe_buffer ring;
    u64 in = 0;
    u64 out = 0;

    ASSERT_OK(pipe_buffer_init(&ring, 4));
    for (u32 round = 0; round < 2000; round++) {
        ring_put(&ring, &in, random_u64() % 1024);
        if (random_u64() % 8 != 0) {
            ring_take(&ring, &out, random_u64() % 1024);
        }
        EXPECT_EQ(in - out, pipe_buffer_used(&ring));
    }
    while (ring_put(&ring, &in, 100) > 0) {}
    EXPECT_EQ(0, pipe_buffer_free_slots(&ring));
    while (ring_take(&ring, &out, 1000) > 0) {}
    EXPECT_EQ(in, out);
    pipe_buffer_free(&ring);
}

TEST(pipe, a_ring_that_is_resized_keeps_its_bytes)
{
    for (u32 start = 0; start < 5000; start += 999) {
        const u32 sizes[] = {8, 4, 16};
        struct pipe_buffer ring;
        u64 in = 0;
        u64 out = 0;

        ASSERT_OK(pipe_buffer_init(&ring, 4));
        for (u32 i = 0; i < start; i++) {
            ring_put(&ring, &in, 1);
            ring_take(&ring, &out, 1);
        }
        while (ring_put(&ring, &in, 1024) > 0) {}
        EXPECT_ERR(-EBUSY, pipe_buffer_resize(&ring, 2));
        for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
            EXPECT_OK(pipe_buffer_resize(&ring, sizes[i]));
        }
        ring_put(&ring, &in, 500);
        while (ring_take(&ring, &out, 1000) > 0) {}
        EXPECT_EQ(in, out);
        EXPECT_OK(pipe_buffer_resize(&ring, 1));
        pipe_buffer_free(&ring);
    }
}

TEST(pipe, an_empty_pipe_holds_at_most_two_pages)
{
    struct pipe_buffer ring;
    u64 in = 0;
    u64 out = 0;
    u64 before;

    ASSERT_OK(pipe_buffer_init(&ring, 16));
    before = frames_held_count();
    while (ring_put(&ring, &in, 1000) > 0) {}
    EXPECT_EQ(16, frames_held_count() - before);
    while (ring_take(&ring, &out, 1000) > 0) {}
    EXPECT_LE(frames_held_count() - before, 2);
    pipe_buffer_free(&ring);
    EXPECT_EQ(before, frames_held_count());
}

TEST_EACH_ALLOC(pipe, a_pipe_without_memory_is_not_made)
{
    struct file *ends[2];
    u8 byte = 1;
    struct iov_iter iter;
    s64 result = pipe_create(O_NONBLOCK, ends);

    if (result != 0) {
        EXPECT_ERR(-ENOMEM, result);
        return;
    }
    iov_init_kernel(&iter, &byte, 1);
    result = ends[1]->ops->write(ends[1], &iter, NULL);
    EXPECT_ERR(ktest_alloc_failed() ? -ENOMEM : 1, result);
    file_put(ends[0]);
    file_put(ends[1]);
}

struct ends {
    s32 in;
    s32 out;
};

static struct ends make_pipe(u32 flags)
{
    struct ends ends = {-1, -1};

    EXPECT_OK(sys_pipe2(IPC_BUF, flags));
    ipc_get(&ends, IPC_BUF, sizeof(ends));
    return ends;
}

static void body_errors(void)
{
    struct ends ends = make_pipe(O_NONBLOCK);

    EXPECT_ERR(-EAGAIN, sys_read(ends.in, IPC_BUF, 1));
    EXPECT_EQ(0, sys_read(ends.in, IPC_BUF, 0));
    EXPECT_ERR(-EBADF, sys_write(ends.in, IPC_BUF, 1));
    EXPECT_ERR(-EBADF, sys_read(ends.out, IPC_BUF, 1));
    EXPECT_ERR(-EFAULT, sys_write(ends.out, IPC_UNMAPPED, 1));
    EXPECT_ERR(-EFAULT, sys_write(ends.out, IPC_KERNEL, 1));
    EXPECT_ERR(-EAGAIN, sys_read(ends.in, IPC_BUF, 1));
    EXPECT_EQ(4, sys_write(ends.out, IPC_BUF, 4));
    EXPECT_ERR(-EFAULT, sys_read(ends.in, IPC_READ_ONLY, 4));
    EXPECT_OK(sys_ioctl(ends.in, FIONREAD, IPC_BUF));
    EXPECT_EQ(4, ipc_word(IPC_BUF) & 0xffffffff);
    EXPECT_ERR(-ESPIPE, sys_lseek(ends.in, 0, SEEK_SET));
    EXPECT_ERR(-ESPIPE, sys_pread64(ends.in, IPC_BUF, 1, 0));
    EXPECT_ERR(-EINVAL, sys_ftruncate(ends.out, 0));
    EXPECT_ERR(-EINVAL, sys_fsync(ends.out));
    EXPECT_ERR(-EINVAL, sys_pipe2(IPC_BUF, 1));
    EXPECT_ERR(-EFAULT, sys_pipe2(IPC_UNMAPPED, 0));
    EXPECT_ERR(-EFAULT, sys_pipe2(IPC_READ_ONLY, 0));
    EXPECT_EQ(ends.out + 1, sys_dup(ends.in));
}

TEST(pipe, bad_arguments_change_nothing)
{
    ipc_test_run(body_errors);
}

static void body_full(void)
{
    struct ends ends = make_pipe(O_NONBLOCK);
    u64 total = 0;
    s64 done;

    EXPECT_EQ(65536, sys_fcntl(ends.out, F_GETPIPE_SZ, 0));
    while ((done = sys_write(ends.out, IPC_BUF, PAGE_SIZE)) > 0) {
        total += (u64)done;
    }
    EXPECT_ERR(-EAGAIN, done);
    EXPECT_EQ(65536, total);
    EXPECT_EQ(100, sys_read(ends.in, IPC_BUF, 100));
    EXPECT_ERR(-EAGAIN, sys_write(ends.out, IPC_BUF, PIPE_ATOMIC));
    EXPECT_ERR(-EAGAIN, sys_write(ends.out, IPC_BUF, PIPE_ATOMIC + 1));
    EXPECT_EQ(PIPE_ATOMIC - 100, sys_read(ends.in, IPC_BUF, PIPE_ATOMIC - 100));
    EXPECT_EQ(PIPE_ATOMIC, sys_write(ends.out, IPC_BUF, PIPE_ATOMIC + 1));
    EXPECT_ERR(-EBUSY, sys_fcntl(ends.out, F_SETPIPE_SZ, 4096));
    EXPECT_EQ(131072, sys_fcntl(ends.out, F_SETPIPE_SZ, 65537));
    EXPECT_EQ(65536, sys_write(ends.out, IPC_BUF, 65536));
    EXPECT_ERR(-EINVAL, sys_fcntl(ends.out, F_SETPIPE_SZ, 0xffffffff));
}

TEST(pipe, a_full_pipe_takes_small_writes_whole_or_not_at_all)
{
    ipc_test_run(body_full);
}

static void body_broken(void)
{
    struct ends ends = make_pipe(0);

    EXPECT_OK(sys_close(ends.in));
    EXPECT_ERR(-EPIPE, sys_write(ends.out, IPC_BUF, 1));
    EXPECT_TRUE(current_thread()->sig.pending.set & SIGNAL_BIT(SIGPIPE));
    EXPECT_EQ(0, sys_write(ends.out, IPC_BUF, 0));
    ends = make_pipe(0);
    EXPECT_EQ(3, sys_write(ends.out, IPC_BUF, 3));
    EXPECT_OK(sys_close(ends.out));
    EXPECT_EQ(3, sys_read(ends.in, IPC_BUF, 10));
    EXPECT_EQ(0, sys_read(ends.in, IPC_BUF, 10));
}

TEST(pipe, a_missing_end_gives_sigpipe_or_end_of_file)
{
    ipc_test_run(body_broken);
}

/* --- several processes ------------------------------------------------------------------------ */

#define RECORD     64u
#define NR_RECORDS 2000u
#define NR_WRITERS 3u

/* Records that carry their writer's number in every byte. */
static void writer_main(struct peer *peer)
{
    s64 fd = peer_fd(peer);
    u8 record[RECORD];

    memset(record, (int)peer->arg, sizeof(record));
    ipc_put(IPC_BUF, record, sizeof(record));
    for (u32 i = 0; i < NR_RECORDS; i++) {
        if (sys_write((s32)fd, IPC_BUF, sizeof(record)) != sizeof(record)) {
            peer->result++;
        }
    }
}

/* Reads whole records until the end and counts those that are mixed. */
static void reader_main(struct peer *peer)
{
    s64 fd = peer_fd(peer);
    u8 record[RECORD];
    s64 done;

    while ((done = sys_read((s32)fd, IPC_BUF, sizeof(record))) > 0) {
        ipc_get(record, IPC_BUF, sizeof(record));
        peer->arg++;
        for (u32 i = 1; i < sizeof(record); i++) {
            if (record[i] != record[0] || done != sizeof(record)) {
                peer->result++;
                break;
            }
        }
    }
}

static void body_storm(void)
{
    struct file *ends[2];
    struct peer writers[NR_WRITERS];
    struct peer readers[2];

    ASSERT_OK(pipe_create(0, ends));
    memset(writers, 0, sizeof(writers));
    memset(readers, 0, sizeof(readers));
    for (u32 i = 0; i < ARRAY_SIZE(readers); i++) {
        readers[i].fn = reader_main;
        readers[i].file = ends[0];
        peer_start(&readers[i]);
    }
    for (u32 i = 0; i < NR_WRITERS; i++) {
        writers[i].fn = writer_main;
        writers[i].file = ends[1];
        writers[i].arg = i + 1;
        peer_start(&writers[i]);
    }
    file_put(ends[0]);
    file_put(ends[1]);
    for (u32 i = 0; i < NR_WRITERS; i++) {
        peer_join(&writers[i]);
        EXPECT_EQ(0, writers[i].result);
    }
    for (u32 i = 0; i < ARRAY_SIZE(readers); i++) {
        peer_join(&readers[i]);
        EXPECT_EQ(0, readers[i].result);
    }
    EXPECT_EQ(NR_WRITERS * NR_RECORDS, readers[0].arg + readers[1].arg);
}

TEST(pipe, small_writes_of_many_writers_are_not_mixed_and_none_is_lost)
{
    ipc_test_run(body_storm);
}

static void blocked_reader_main(struct peer *peer)
{
    peer->result = sys_read((s32)peer_fd(peer), IPC_BUF, 1);
}

static void body_close_wakes(void)
{
    struct file *ends[2];
    struct peer peer = {.fn = blocked_reader_main};

    ASSERT_OK(pipe_create(0, ends));
    peer.file = ends[0];
    peer.result = -1;
    peer_start(&peer);
    for (u32 i = 0; i < 20; i++) {
        sched_yield_current();
    }
    file_put(ends[0]);
    file_put(ends[1]);
    peer_join(&peer);
    EXPECT_EQ(0, peer.result);
}

TEST(pipe, closing_the_last_writer_wakes_a_blocked_reader)
{
    ipc_test_run(body_close_wakes);
}

static void blocked_writer_main(struct peer *peer)
{
    peer->result = sys_write((s32)peer_fd(peer), IPC_BUF, 32 * PAGE_SIZE);
}

static void body_signal(void)
{
    struct file *ends[2];
    struct peer reader = {.fn = blocked_reader_main, .has_handler = true};
    struct peer writer = {.fn = blocked_writer_main, .has_handler = true};

    ASSERT_OK(pipe_create(0, ends));
    reader.file = ends[0];
    peer_start(&reader);
    peer_signal(&reader, SIGUSR1);
    peer_join(&reader);
    EXPECT_ERR(-ERESTARTSYS, reader.result);
    writer.file = ends[1];
    peer_start(&writer);
    ipc_until(ends[1]->ops->poll(ends[1], NULL) == 0);
    peer_signal(&writer, SIGUSR1);
    peer_join(&writer);
    EXPECT_EQ(16 * PAGE_SIZE, writer.result);
    file_put(ends[0]);
    file_put(ends[1]);
}

TEST(pipe, a_signal_ends_a_wait_with_what_was_done)
{
    ipc_test_run(body_signal);
}

/* --- eventfd ---------------------------------------------------------------------------------- */

static void body_eventfd(void)
{
    s32 fd = (s32)sys_eventfd2(3, EFD_NONBLOCK);
    s32 semaphore = (s32)sys_eventfd2(2, EFD_NONBLOCK | EFD_SEMAPHORE);
    u64 big = U64_MAX - 1;

    EXPECT_EQ(8, sys_read(fd, IPC_BUF, 8));
    EXPECT_EQ(3, ipc_word(IPC_BUF));
    EXPECT_ERR(-EAGAIN, sys_read(fd, IPC_BUF, 8));
    EXPECT_ERR(-EINVAL, sys_read(fd, IPC_BUF, 7));
    EXPECT_ERR(-EFAULT, sys_write(fd, IPC_UNMAPPED, 8));
    ipc_put(IPC_BUF, &big, sizeof(big));
    EXPECT_EQ(8, sys_write(fd, IPC_BUF, 8));
    EXPECT_ERR(-EAGAIN, sys_write(fd, IPC_BUF, 8));
    big++;
    ipc_put(IPC_BUF, &big, sizeof(big));
    EXPECT_ERR(-EINVAL, sys_write(fd, IPC_BUF, 8));
    for (u32 i = 0; i < 2; i++) {
        EXPECT_EQ(8, sys_read(semaphore, IPC_BUF, 8));
        EXPECT_EQ(1, ipc_word(IPC_BUF));
    }
    EXPECT_ERR(-EAGAIN, sys_read(semaphore, IPC_BUF, 8));
    EXPECT_ERR(-EINVAL, sys_eventfd2(0, 2));
}

TEST(pipe, an_eventfd_counts_and_a_semaphore_gives_one_at_a_time)
{
    ipc_test_run(body_eventfd);
}
