/*
 * The file server: names, content, listings, the initial image, /proc. What Linux does with the
 * same calls is tested by tests/user/fs_test.c and name_test.c.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "fs_client.h"
#include "user/servers/fs/initrd.h"

TEST(content_is_kept)
{
    uint64_t cookie;

    start();
    EXPECT_EQ(0, open_file("/f", O_CREAT | O_RDWR, 0666, &cookie));
    EXPECT_EQ(5, write_at(cookie, 0, "hello", 0));
    EXPECT_EQ(6, write_at(cookie, 99, " world", O_APPEND));
    EXPECT_STR("hello world", read_at(cookie, 0));
    EXPECT_STR("world", read_at(cookie, 6));
    EXPECT_STR("", read_at(cookie, 11));
    EXPECT_EQ(11, stat_of("/f").st_size);
    EXPECT_EQ(S_IFREG | 0644, stat_of("/f").st_mode);
    close_file(cookie);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "/f"));
}

TEST(opened_file_is_named_for_proc)
{
    start();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKDIR, .path = "d", .args = {0755}));
    make("d/f", "x");
    struct fake_call call = {.op = CB_OP_OPEN, .cookie = FS_ROOT_COOKIE, .path = "./d/../d//f"};
    EXPECT_EQ(0, fake_send(&call));
    EXPECT_TRUE((call.reply.flags & CB_REPLY_NAME) != 0);
    EXPECT_STR("/d/f", call.text);
    close_file(call.reply.cookie);
    CALL(.op = CB_OP_UNLINK, .path = "d/f");
    CALL(.op = CB_OP_UNLINK, .path = "d", .args = {AT_REMOVEDIR});
}

TEST(nothing_is_left_of_what_was_removed)
{
    uint64_t cookie;

    start();
    uint64_t before = node_count();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKDIR, .path = "t", .args = {0755}));
    EXPECT_EQ(0, CALL(.op = CB_OP_MKDIR, .path = "t/u", .args = {0755}));
    make("t/u/f", "text");
    EXPECT_EQ(0, CALL(.op = CB_OP_LINK, .path = "t/u/f", .path2 = "t/g"));
    EXPECT_EQ(0, CALL(.op = CB_OP_SYMLINK, .path = "g", .path2 = "t/s"));
    EXPECT_EQ(0, open_file("t/g", O_RDONLY, 0, &cookie));
    EXPECT_EQ(0, CALL(.op = CB_OP_RENAME, .path = "t/u", .path2 = "t/v"));
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "t/v/f"));
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "t/g"));
    EXPECT_STR("text", read_at(cookie, 0));
    EXPECT_EQ(before + 4, node_count());
    close_file(cookie);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "t/s"));
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "t/v", .args = {AT_REMOVEDIR}));
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "t", .args = {AT_REMOVEDIR}));
    EXPECT_EQ(before, node_count());
}

/* Collect the names of a directory, a few records a call. */
static int list(const char *path, char *names, size_t size, size_t step)
{
    uint64_t cookie;
    uint64_t position = 0;
    int count = 0;

    names[0] = '\0';
    EXPECT_EQ(0, open_file(path, O_RDONLY | O_DIRECTORY, 0, &cookie));
    for (;;) {
        char buf[512];
        struct fake_call call = {.op = CB_OP_GETDENTS,
                                 .cookie = cookie,
                                 .args = {position, step},
                                 .recv = buf,
                                 .recv_len = step};
        int64_t len = fake_send(&call);
        if (len <= 0) {
            break;
        }
        for (int64_t at = 0; at < len;) {
            uint16_t record;
            memcpy(&record, buf + at + 16, sizeof(record));
            snprintf(names + strlen(names), size - strlen(names), "%s ", buf + at + 19);
            at += record;
            count++;
        }
        position = call.reply.new_pos;
    }
    close_file(cookie);
    return count;
}

TEST(listing_tells_each_name_once_youngest_first)
{
    char names[256];

    start();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKDIR, .path = "d", .args = {0755}));
    make("d/a", "");
    make("d/b", "");
    make("d/c", "");
    EXPECT_EQ(5, list("d", names, sizeof(names), 32));
    EXPECT_STR(". .. c b a ", names);
    EXPECT_EQ(0, CALL(.op = CB_OP_RENAME, .path = "d/a", .path2 = "d/z"));
    EXPECT_EQ(5, list("d", names, sizeof(names), 512));
    EXPECT_STR(". .. z c b ", names);
    EXPECT_EQ(0, CALL(.op = CB_OP_RENAME, .path = "d/b", .path2 = "d/z", .args = {2}));
    EXPECT_EQ(5, list("d", names, sizeof(names), 512));
    EXPECT_STR(". .. z b c ", names);
    for (const char *name = "zbc"; *name != '\0'; name++) {
        char path[] = {'d', '/', *name, '\0'};
        EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = path));
    }
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "d", .args = {AT_REMOVEDIR}));
}

TEST(directory_keeps_order_through_many_changes)
{
    char path[32];

    start();
    EXPECT_EQ(0, CALL(.op = CB_OP_MKDIR, .path = "d", .args = {0755}));
    uint64_t before = node_count();
    for (int i = 0; i < 5000; i++) {
        snprintf(path, sizeof(path), "d/n%d", i);
        EXPECT_EQ(0, CALL(.op = CB_OP_MKNOD, .path = path, .args = {S_IFREG | 0644}));
        if (i >= 10) {
            snprintf(path, sizeof(path), "d/n%d", i - 10);
            EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = path));
        }
    }
    EXPECT_EQ(before + 10, node_count());
    EXPECT_EQ(40 + 10 * 20, stat_of("d").st_size);
    char names[256];
    EXPECT_EQ(12, list("d", names, sizeof(names), 100));
    EXPECT_STR(". .. n4999 n4998 n4997 n4996 n4995 n4994 n4993 n4992 n4991 n4990 ", names);
    for (int i = 4990; i < 5000; i++) {
        snprintf(path, sizeof(path), "d/n%d", i);
        EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = path));
    }
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "d", .args = {AT_REMOVEDIR}));
}

TEST(terminals_are_another_servers)
{
    struct stat st;

    start();
    struct fake_call call = {
        .op = CB_OP_OPEN, .cookie = FS_ROOT_COOKIE, .path = "/dev/console", .args = {O_RDWR}};
    EXPECT_EQ(0, fake_send(&call));
    EXPECT_EQ(CB_REPLY_REDIRECT, call.reply.flags);
    EXPECT_EQ(5, call.reply.fd);
    EXPECT_TRUE(strncmp(call.text, "console:", 8) == 0);
    st = stat_of("/dev/console");
    EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
    fake_sender.uid = 1000;
    EXPECT_EQ(-EACCES, fake_send(&call));
}

static const char *read_proc(const char *path)
{
    static char text[16384];
    uint64_t cookie;

    text[0] = '\0';
    if (open_file(path, O_RDONLY, 0, &cookie) == 0) {
        int64_t len = FILE_CALL(cookie, .op = CB_OP_READ, .args = {0, sizeof(text) - 1},
                                .recv = text, .recv_len = sizeof(text) - 1);
        text[len > 0 ? len : 0] = '\0';
        close_file(cookie);
    }
    return text;
}

TEST(proc_formats)
{
    start();
    fake_proc.minor_faults = 12;
    fake_proc.utime_ns = 1230000000;
    fake_proc.priority = 20;
    fake_proc.start_ns = 5550000000;
    fake_proc.vm_size = 1 << 20;
    fake_proc.rss_anon = 8192;
    fake_proc.rss_limit = UINT64_MAX;
    fake_proc.exit_signal = 17;
    fake_proc.tty_pgid = -1;
    EXPECT_STR("100 (prog) R 1 100 100 0 -1 4194304 12 0 0 0 123 0 0 0 20 0 1 0 555 1048576 2 "
               "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
               read_proc("/proc/self/stat"));
    EXPECT_STR("256 2 0 0 0 0 0\n", read_proc("/proc/100/statm"));
    EXPECT_STR("prog\n", read_proc("/proc/100/task/100/comm"));
    EXPECT_STR("", read_proc("/proc/101/comm"));
    fake_sys.uptime_ns = 12345678901;
    fake_sys.idle_ns = 99990000000;
    fake_sys.loadavg[0] = 65536 + 32768;
    fake_sys.nr_running = 1;
    fake_sys.nr_threads = 42;
    fake_sys.last_pid = 100;
    EXPECT_STR("12.34 99.99\n", read_proc("/proc/uptime"));
    EXPECT_STR("1.50 0.00 0.00 1/42 100\n", read_proc("/proc/loadavg"));
    EXPECT_TRUE(strncmp(read_proc("/proc/meminfo"),
                        "MemTotal:        1048576 kB\nMemFree:          524288 kB\n", 56) == 0);
    fake_nr_vmas = 2;
    fake_vmas[0] = (struct cb_vma_info){.start = 0x400000,
                                        .end = 0x402000,
                                        .ino = 9,
                                        .dev_minor = 2,
                                        .flags = CB_VMA_READ | CB_VMA_EXEC,
                                        .name = "/bin/prog"};
    fake_vmas[1] = (struct cb_vma_info){.start = 0x7fff00000000,
                                        .end = 0x7fff00021000,
                                        .flags = CB_VMA_READ | CB_VMA_WRITE,
                                        .name = ""};
    EXPECT_STR("00400000-00402000 r-xp 00000000 00:02 9"
               "                                  "
               "/bin/prog\n7fff00000000-7fff00021000 rw-p 00000000 00:00 0 \n",
               read_proc("/proc/self/maps"));
}

TEST(proc_descriptor_leads_to_its_file)
{
    uint64_t cookie, again;

    start();
    make("f", "content");
    EXPECT_EQ(0, open_file("f", O_RDONLY, 0, &cookie));
    fake_nr_fds = 1;
    fake_fds[0] = (struct cb_fd_info){
        .fd = 3, .kind = CB_FD_CONNECTION, .cookie = cookie, .port = 7, .name = "/f"};
    struct fake_call link = {.op = CB_OP_READLINK,
                             .cookie = FS_ROOT_COOKIE,
                             .path = "/proc/self/fd/3",
                             .recv = (char[64]){0},
                             .recv_len = 64};
    EXPECT_EQ(2, fake_send(&link));
    EXPECT_STR("/f", link.recv);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "f"));
    EXPECT_EQ(12, fake_send(&link));
    EXPECT_STR("/f (deleted)", link.recv);
    EXPECT_EQ(0, open_file("/dev/fd/3", O_RDONLY, 0, &again));
    EXPECT_STR("content", read_at(again, 0));
    close_file(again);
    close_file(cookie);
    EXPECT_EQ(-ENOENT, open_file("/proc/self/fd/4", O_RDONLY, 0, &again));
    EXPECT_EQ(-ENOENT, CALL(.op = CB_OP_MKDIR, .path = "/proc/self/x", .args = {0755}));
    EXPECT_EQ(-EPERM, CALL(.op = CB_OP_UNLINK, .path = "/proc/uptime"));
}

static size_t put_member(char *at, const char *name, unsigned mode, const char *data)
{
    size_t head =
        (size_t)sprintf(at, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", 1,
                        mode, 0, 0, 1, 0, strlen(data), 0, 0, 0, 0, strlen(name) + 1, 0, name) +
        1;
    size_t body = (head + 3) & ~(size_t)3;

    memset(at + head, 0, body - head);
    memcpy(at + body, data, strlen(data));
    size_t end = (body + strlen(data) + 3) & ~(size_t)3;
    memset(at + body + strlen(data), 0, end - body - strlen(data));
    return end;
}

TEST(initial_image_becomes_files)
{
    static char image[4096];
    uint64_t cookie;
    size_t len = 0;

    start();
    len += put_member(image + len, "img", S_IFDIR | 0755, "");
    len += put_member(image + len, "img/f", S_IFREG | 0640, "from the image");
    len += put_member(image + len, "img/s", S_IFLNK | 0777, "f");
    len += put_member(image + len, "none/x", S_IFREG | 0644, "lost");
    len += put_member(image + len, "TRAILER!!!", 0, "");
    int fd = memfd_create("image", 0);
    EXPECT_EQ(len, write(fd, image, len));
    EXPECT_EQ(0, initrd_unpack(fd));
    EXPECT_EQ(0640, stat_of("img/f").st_mode & 07777);
    EXPECT_EQ(0, open_file("img/s", O_RDWR, 0, &cookie));
    EXPECT_STR("from the image", read_at(cookie, 0));
    EXPECT_EQ(4, write_at(cookie, 0, "FROM", 0));
    EXPECT_STR("FROM the image", read_at(cookie, 0));
    close_file(cookie);
    EXPECT_EQ(0, ftruncate(fd, 200));
    EXPECT_EQ(-EINVAL, initrd_unpack(fd));
    EXPECT_EQ(0, ftruncate(fd, 0));
    EXPECT_EQ(-ENODATA, initrd_unpack(fd));
}
