/* The file server's clients as they should not be: waiting, interrupted, dead, hostile. */
#include <poll.h>
#include <sys/file.h>
#include "fs_client.h"

TEST(stale_and_invented_cookies_are_refused)
{
    uint64_t cookie, other;

    start();
    make("f", "x");
    EXPECT_EQ(0, open_file("f", O_RDWR, 0, &cookie));
    close_file(cookie);
    EXPECT_EQ(-EBADF, write_at(cookie, 0, "y", 0));
    EXPECT_EQ(0, open_file("f", O_RDWR, 0, &other));
    EXPECT_TRUE(other != cookie);
    EXPECT_EQ(-EBADF, write_at(cookie, 0, "y", 0));
    EXPECT_EQ(-EBADF, FILE_CALL(UINT64_MAX, .op = CB_OP_STAT));
    EXPECT_EQ(-EBADF, FILE_CALL(0, .op = CB_OP_STATAT, .path = "f"));
    close_file(cookie);
    close_file(FS_ROOT_COOKIE);
    EXPECT_EQ(1, write_at(other, 0, "y", 0));
    close_file(other);
    CALL(.op = CB_OP_UNLINK, .path = "f");
}

TEST(client_that_dies_while_opening_leaves_nothing_open)
{
    start();
    make("f", "x");
    uint64_t before = node_count();
    struct fake_call call = {
        .op = CB_OP_OPEN, .cookie = FS_ROOT_COOKIE, .path = "f", .is_dead = true};
    fake_send(&call);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "f"));
    EXPECT_EQ(before - 1, node_count());
}

TEST(client_that_dies_while_writing_changes_nothing)
{
    uint64_t cookie;

    start();
    EXPECT_EQ(0, open_file("f", O_CREAT | O_RDWR, 0644, &cookie));
    EXPECT_EQ(-ESRCH, FILE_CALL(cookie, .op = CB_OP_WRITE, .args = {0, 10}, .send = "0123456789",
                                .send_len = 10, .is_dead = true));
    EXPECT_EQ(0, stat_of("f").st_size);
    close_file(cookie);
    CALL(.op = CB_OP_UNLINK, .path = "f");
}

TEST(lengths_and_offsets_out_of_range_are_refused)
{
    uint64_t cookie;
    char byte;

    start();
    EXPECT_EQ(0, open_file("f", O_CREAT | O_RDWR, 0644, &cookie));
    EXPECT_EQ(-EINVAL, write_at(cookie, (uint64_t)-5, "x", 0));
    EXPECT_EQ(-EFBIG, write_at(cookie, INT64_MAX, "x", 0));
    EXPECT_EQ(-EINVAL, FILE_CALL(cookie, .op = CB_OP_TRUNCATE, .args = {1ull << 63}));
    EXPECT_EQ(-EFBIG, FILE_CALL(cookie, .op = CB_OP_FALLOCATE, .args = {0, INT64_MAX, INT64_MAX}));
    EXPECT_EQ(0, FILE_CALL(cookie, .op = CB_OP_READ, .args = {INT64_MAX, UINT64_MAX}, .recv = &byte,
                           .recv_len = 1));
    EXPECT_EQ(-EOPNOTSUPP, FILE_CALL(cookie, .op = 9999));
    EXPECT_EQ(-EOPNOTSUPP, FILE_CALL(cookie, .op = CB_OP_NONE));
    close_file(cookie);
    CALL(.op = CB_OP_UNLINK, .path = "f");
}

TEST(reader_of_a_fifo_waits_for_a_writer)
{
    char buf[8] = {0};

    start();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKNOD, .path = "p", .args = {S_IFIFO | 0644}));
    struct fake_call reader = {.op = CB_OP_OPEN, .cookie = FS_ROOT_COOKIE, .path = "p"};
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&reader));
    uint64_t writer;
    EXPECT_EQ(0, open_file("p", O_WRONLY, 0, &writer));
    EXPECT_EQ(0, reader.result);
    struct fake_call read = {.op = CB_OP_READ,
                             .cookie = reader.reply.cookie,
                             .args = {-1, sizeof(buf)},
                             .recv = buf,
                             .recv_len = sizeof(buf)};
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&read));
    EXPECT_EQ(3, write_at(writer, -1, "abc", 0));
    EXPECT_EQ(3, read.result);
    EXPECT_STR("abc", buf);
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&read));
    CALL(.op = CB_OP_INTERRUPT, .args = {read.id});
    EXPECT_EQ(-CB_ERESTARTSYS, read.result);
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&read));
    close_file(writer);
    EXPECT_EQ(0, read.result);
    EXPECT_EQ(POLLHUP, fake_notified(reader.reply.cookie));
    close_file(reader.reply.cookie);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "p"));
}

TEST(writer_of_a_full_fifo_waits_for_room)
{
    static char out[100000], in[100000];
    uint64_t reader, writer;
    int64_t done = 0;

    start();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKNOD, .path = "p", .args = {S_IFIFO | 0644}));
    EXPECT_EQ(0, open_file("p", O_RDONLY | O_NONBLOCK, 0, &reader));
    EXPECT_EQ(0, open_file("p", O_WRONLY, 0, &writer));
    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (char)host_random(256);
    }
    struct fake_call write = {.op = CB_OP_WRITE,
                              .cookie = writer,
                              .args = {-1, sizeof(out)},
                              .send = out,
                              .send_len = sizeof(out)};
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&write));
    while (done < (int64_t)sizeof(in)) {
        int64_t got = FILE_CALL(reader, .op = CB_OP_READ, .args = {-1, 7001, O_NONBLOCK},
                                .recv = in + done, .recv_len = 7001);
        EXPECT_TRUE(got > 0);
        if (got <= 0) {
            break;
        }
        done += got;
    }
    EXPECT_EQ(sizeof(out), write.result);
    EXPECT_EQ(0, memcmp(out, in, sizeof(in)));
    EXPECT_EQ(-EAGAIN, FILE_CALL(reader, .op = CB_OP_READ, .args = {-1, 1, O_NONBLOCK}, .recv = in,
                                 .recv_len = 1));
    close_file(reader);
    close_file(writer);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "p"));
}

TEST(interrupted_opener_of_a_fifo_is_no_reader)
{
    uint64_t writer;

    start();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKNOD, .path = "p", .args = {S_IFIFO | 0644}));
    uint64_t before = node_count();
    struct fake_call reader = {.op = CB_OP_OPEN, .cookie = FS_ROOT_COOKIE, .path = "p"};
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&reader));
    CALL(.op = CB_OP_INTERRUPT, .args = {reader.id, 1});
    EXPECT_EQ(-CB_ERESTARTSYS, reader.result);
    EXPECT_EQ(-ENXIO, open_file("p", O_WRONLY | O_NONBLOCK, 0, &writer));
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "p"));
    EXPECT_EQ(before - 1, node_count());
}

TEST(file_lock_passes_to_the_one_who_waits)
{
    uint64_t first, second;

    start();
    make("f", "x");
    EXPECT_EQ(0, open_file("f", O_RDONLY, 0, &first));
    EXPECT_EQ(0, open_file("f", O_RDONLY, 0, &second));
    EXPECT_EQ(0, FILE_CALL(first, .op = CB_OP_FLOCK, .args = {LOCK_EX}));
    struct fake_call wait = {.op = CB_OP_FLOCK, .cookie = second, .args = {LOCK_EX}};
    EXPECT_EQ(FAKE_DEFERRED, fake_send(&wait));
    close_file(first);
    EXPECT_EQ(0, wait.result);
    EXPECT_EQ(0, open_file("f", O_RDONLY, 0, &first));
    EXPECT_EQ(-EAGAIN, FILE_CALL(first, .op = CB_OP_FLOCK, .args = {LOCK_SH | LOCK_NB}));
    close_file(second);
    EXPECT_EQ(0, FILE_CALL(first, .op = CB_OP_FLOCK, .args = {LOCK_SH | LOCK_NB}));
    close_file(first);
    CALL(.op = CB_OP_UNLINK, .path = "f");
}

TEST(nonsense_disturbs_nobody)
{
    static char memory[4096];
    static const char *const paths[] = {"",
                                        "/",
                                        ".",
                                        "..",
                                        "a",
                                        "a/b",
                                        "/proc/self/fd/3",
                                        "/dev/null",
                                        "/dev/zero",
                                        "p",
                                        "/proc/100/maps",
                                        "//",
                                        "a/"};
    static struct fake_call calls[20000];
    uint64_t before;

    start();
    make("kept", "kept");
    before = node_count();
    EXPECT_TRUE(before > 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct fake_call *call = &calls[i];
        *call = (struct fake_call){
            .op = (uint32_t)host_random(CB_OP_END + 2),
            .cookie = host_random(3) == 0 ? host_random(8) << 32 | host_random(20) : FS_ROOT_COOKIE,
            .cookie2 = host_random(3) == 0 ? host_random(50) : FS_ROOT_COOKIE,
            .recv = memory,
            .recv_len = host_random(sizeof(memory)),
            .send = memory,
            .send_len = host_random(sizeof(memory)),
            .is_dead = host_random(10) == 0,
        };
        bool has_path = host_random(4) != 0;
        call->path = has_path ? paths[host_random(sizeof(paths) / sizeof(paths[0]))] : NULL;
        call->path2 = has_path ? paths[host_random(sizeof(paths) / sizeof(paths[0]))] : NULL;
        for (int k = 0; k < 5; k++) {
            call->args[k] = host_random(2) == 0 ? host_random(1 << 20) : host_random(UINT64_MAX);
        }
        if (call->op == CB_OP_MOUNT || call->op == CB_OP_CHMODAT) {
            continue;
        }
        fake_send(call);
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].id != 0 && calls[i].result == FAKE_DEFERRED) {
            CALL(.op = CB_OP_INTERRUPT, .args = {calls[i].id, 1});
        }
    }
    uint64_t cookie;
    fake_sender.uid = 0;
    EXPECT_EQ(0, open_file("/kept", O_RDONLY, 0, &cookie));
    EXPECT_STR("kept", read_at(cookie, 0));
    close_file(cookie);
}
