/* A client of the file server in the same process: short names for what the tests do. */
#ifndef HOST_FS_CLIENT_H
#define HOST_FS_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "fake_cb.h"
#include "host_test.h"
#include "user/servers/fs/fs.h"
#include "user/servers/fs/mount.h"

/** start() - a running server and an ordinary client of user 0. */
__attribute__((unused)) static void start(void)
{
    static const struct cb_server server = {
        .port = FAKE_PORT,
        .ops = fs_ops,
        .unknown_result = -EOPNOTSUPP,
        .undo_open = open_file_close,
    };
    static bool is_running;

    if (!is_running) {
        is_running = true;
        fs.port = FAKE_PORT;
        fs.console = 5;
        fs.port_number = 7;
        fake_serve(&server);
        EXPECT_EQ(0, fs_start());
        EXPECT_EQ(0, fs_mount_standard());
    }
    fake_sender = (struct cb_sender){.pid = 100, .tid = 100, .pgid = 100, .sid = 100};
    fake_sender.umask = 022;
    fake_proc = (struct cb_proc_info){.pid = 100, .ppid = 1, .pgid = 100, .sid = 100};
    fake_proc.state = 'S';
    fake_proc.nr_threads = 1;
    strcpy(fake_proc.comm, "prog");
}

/* One call, whose paths start at the root directory; or one about an open file. */
#define CALL(...)                                                                                  \
    fake_send(&(struct fake_call){.cookie = FS_ROOT_COOKIE, .cookie2 = FS_ROOT_COOKIE, __VA_ARGS__})
#define FILE_CALL(cookie_, ...) fake_send(&(struct fake_call){.cookie = cookie_, __VA_ARGS__})

__attribute__((unused)) static int64_t open_file(const char *path, int flags, int mode,
                                                 uint64_t *cookie)
{
    struct fake_call call = {
        .op = CB_OP_OPEN, .cookie = FS_ROOT_COOKIE, .path = path, .args = {flags, mode}};
    int64_t result = fake_send(&call);

    *cookie = call.reply.cookie;
    return result;
}

__attribute__((unused)) static void close_file(uint64_t cookie)
{
    FILE_CALL(cookie, .op = CB_OP_CLOSE);
}

__attribute__((unused)) static int64_t write_at(uint64_t cookie, uint64_t offset, const char *text,
                                                uint64_t flags)
{
    size_t len = strlen(text);

    return FILE_CALL(cookie, .op = CB_OP_WRITE, .args = {offset, len, flags}, .send = text,
                     .send_len = len);
}

/* What a read of at most 63 bytes gives. */
__attribute__((unused)) static const char *read_at(uint64_t cookie, uint64_t offset)
{
    static char text[64];
    int64_t len =
        FILE_CALL(cookie, .op = CB_OP_READ, .args = {offset, 63}, .recv = text, .recv_len = 63);

    text[len >= 0 ? len : 0] = '\0';
    return len >= 0 ? text : strerror((int)-len);
}

__attribute__((unused)) static struct stat stat_of(const char *path)
{
    struct stat st = {0};

    CALL(.op = CB_OP_STATAT, .path = path, .args = {AT_SYMLINK_NOFOLLOW}, .recv = &st,
         .recv_len = sizeof(st));
    return st;
}

__attribute__((unused)) static void make(const char *path, const char *text)
{
    uint64_t cookie;

    EXPECT_EQ(0, open_file(path, O_CREAT | O_RDWR | O_TRUNC, 0644, &cookie));
    EXPECT_EQ(strlen(text), write_at(cookie, 0, text, 0));
    close_file(cookie);
}

#endif
