/*
 * A client that sends nonsense: to the file server and to the console, as messages and through
 * every kind of call on files and names. It owns nothing, runs as nobody, and stays in one place.
 */
#ifndef COWBELL_TESTS_NONSENSE_H
#define COWBELL_TESTS_NONSENSE_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include "cowbell.h"

#define PLACE "/tmp/nonsense"
/* In a directory from which nobody can take away what is not his. */
#define SHARED "/tmp/nonsense.shared"
#define FIFO   "/tmp/nonsense.fifo"
#define NOBODY 65534
#define BIG    (1 << 20)

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t below(uint64_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return limit == 0 ? seed : seed % limit;
}

/* Small, absurd, or anything. */
static uint64_t number(void)
{
    static const uint64_t edges[] = {0,         1,          4095,       4096,
                                     4097,      0x7fffffff, 0x80000000, 0xffffffff,
                                     INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 4095};

    switch (below(3)) {
    case 0:
        return below(1 << 16);
    case 1:
        return edges[below(sizeof(edges) / sizeof(edges[0]))];
    default:
        return below(0);
    }
}

struct client {
    char *memory; /* BIG bytes, and nothing mapped behind them */
    int file;
    int dir;
    int fifo;
    int console;
};

/* An address to read or fill, mostly a good one. */
static char *address(const struct client *client, uint64_t *len)
{
    *len = below(4) == 0 ? below(BIG) : below(5000);
    switch (below(12)) {
    case 0:
        return NULL;
    case 1:
        return (char *)0xffff800000001000u;
    case 2:
        return client->memory + BIG - *len / 2; /* half of it is missing */
    default:
        return client->memory + below(BIG - *len);
    }
}

static const char *name(const struct client *client)
{
    static const char *const names[] = {
        "a",    "b",      "c",       "d",        "d/a",  "d/b",        "link",       "fifo",
        "..",   ".",      "",        "/",        "a/b",  "d/..",       "none",       "a/",
        "loop", "loop/x", "//tmp//", "/proc/1/", "/dev", "\xff\x01\n", "d/../d/../a"};
    static char longest[PATH_MAX + 8];
    size_t len;

    switch (below(16)) {
    case 0:
        return client->memory + BIG - 3; /* has no end */
    case 1:
        len = PATH_MAX - 4 + below(8);
        memset(longest, "x/."[below(3)], len);
        longest[len] = '\0';
        return longest;
    case 2:
        len = NAME_MAX - 1 + below(3);
        memset(longest, 'y', len);
        longest[len] = '\0';
        return longest;
    default:
        return names[below(sizeof(names) / sizeof(names[0]))];
    }
}

static int some_fd(const struct client *client)
{
    const int fds[] = {client->file, client->dir, client->fifo, client->console, -1, 1000};

    return fds[below(sizeof(fds) / sizeof(fds[0]))];
}

static void message(const struct client *client)
{
    struct cb_iovec iov[4];
    struct cb_call call = {.op = (uint32_t)number(),
                           .flags = below(8) == 0,
                           .send_iov = (uintptr_t)iov,
                           .recv_iov = (uintptr_t)(iov + 2),
                           .nr_send = (uint32_t)below(3),
                           .nr_recv = (uint32_t)below(3),
                           .nr_fds = (uint32_t)below(CB_MSG_FDS + 2)};

    if (below(4) != 0) {
        call.op = CB_OP_USER + call.op % 100;
    }
    for (int i = 0; i < 4; i++) {
        uint64_t len;
        iov[i].base = (uintptr_t)address(client, &len);
        iov[i].len = below(8) == 0 ? number() : len;
    }
    for (int i = 0; i < 6; i++) {
        call.args[i] = number();
    }
    for (int i = 0; i < CB_MSG_FDS; i++) {
        call.fds[i] = below(4) == 0 ? some_fd(client) : client->file;
    }
    if (below(16) == 0) {
        call.nr_send = (uint32_t)number();
    }
    syscall(CB_SYS_MSG_CALL, some_fd(client), below(16) == 0 ? NULL : &call);
}

static void bytes(const struct client *client)
{
    uint64_t len;
    char *at = address(client, &len);
    int fd = some_fd(client);

    if (fd == client->console) {
        return; /* the report goes there */
    }
    switch (below(7)) {
    case 0:
        pread(fd, at, len, (off_t)number());
        break;
    case 1:
        pwrite(client->file, at, len, (off_t)below(BIG));
        break;
    case 2:
        pwrite(fd, at, below(4096), (off_t)(number() | 1ull << 62));
        break;
    case 3:
        read(fd, at, len);
        break;
    case 4:
        write(fd, at, len);
        break;
    case 5:
        lseek(fd, (off_t)number(), (int)below(6));
        break;
    default:
        lseek(client->dir, (off_t)number(), SEEK_SET);
        syscall(SYS_getdents64, fd, at, below(2) == 0 ? below(100) : len);
        break;
    }
}

static void shape(const struct client *client)
{
    uint64_t len;
    char *at = address(client, &len);
    int fd = some_fd(client);

    switch (below(7)) {
    case 0:
        ftruncate(fd, (off_t)(below(2) == 0 ? below(BIG) : number() | 1ull << 60));
        break;
    case 1:
        fallocate(fd, (int)below(64), (off_t)number(), (off_t)(number() | 1ull << 60));
        break;
    case 2:
        fallocate(client->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)below(BIG),
                  (off_t)below(BIG));
        break;
    case 3: {
        void *map = mmap(NULL, below(BIG), (int)below(8), 1 + (int)below(3), fd,
                         (off_t)(number() & ~4095ull));
        if (map != MAP_FAILED) {
            munmap(map, BIG);
        }
        break;
    }
    case 4:
        /* Not those of terminals: they would change the one that the report goes to. */
        ioctl(fd, (unsigned long)(number() & ~0xff00ull), at);
        break;
    case 5:
        ioctl(fd, below(2) == 0 ? TIOCGWINSZ : FIONREAD, at);
        break;
    default:
        flock(client->file, (int)below(12));
        break;
    }
}

static void names(const struct client *client)
{
    struct timespec times[2] = {{(time_t)number(), (long)number()}, {0, (long)number()}};
    const char *first = name(client);
    uint64_t len;
    char *at = address(client, &len);
    int dir = below(4) == 0 ? some_fd(client) : client->dir;

    switch (below(12)) {
    case 0:
    case 1: {
        /* O_PATH, O_TMPFILE and all the others; blocking only by chance. */
        int flags = (int)(number() & 037777777) | (below(4) == 0 ? 0 : O_NONBLOCK);
        int fd = openat(dir, first, flags, (mode_t)number());
        if (fd >= 0) {
            close(fd);
        }
        break;
    }
    case 2:
        syscall(SYS_renameat2, dir, first, dir, name(client), below(8));
        break;
    case 3:
        linkat(dir, first, dir, name(client), (int)number() & 0x1c00);
        break;
    case 4:
        symlinkat(first, dir, name(client));
        break;
    case 5:
        mkdirat(dir, first, (mode_t)number());
        break;
    case 6:
        unlinkat(dir, first, below(2) == 0 ? 0 : AT_REMOVEDIR);
        break;
    case 7:
        utimensat(dir, first, times, (int)number() & AT_SYMLINK_NOFOLLOW);
        break;
    case 8:
        mknodat(dir, first, (mode_t)number(), (dev_t)number());
        break;
    case 9:
        syscall(SYS_newfstatat, dir, first, at, below(2) == 0 ? 0 : number());
        break;
    case 10:
        readlinkat(dir, first, at, len);
        break;
    default:
        statfs(first, (struct statfs *)at);
        faccessat(dir, first, (int)number(), (int)number());
        mount(first, name(client), "tmpfs", number(), at);
        umount2(first, (int)number());
        break;
    }
}

static void client_start(struct client *client)
{
    client->memory =
        mmap(NULL, BIG + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(client->memory + BIG, 4096);
    memset(client->memory + BIG - 8, 'z', 8);
    client->file = open(SHARED, O_RDWR);
    client->dir = open(PLACE, O_RDONLY | O_DIRECTORY);
    client->fifo = open(FIFO, O_RDWR | (below(2) == 0 ? O_NONBLOCK : 0));
    client->console = open("/dev/console", O_RDWR | O_NOCTTY);
    if (client->file < 0 || client->dir < 0 || client->fifo < 0 || client->console < 0) {
        _exit(2);
    }
}

/* Sends nonsense until somebody makes an end of it. */
static void bad_client(void)
{
    struct client client;

    client_start(&client);
    if (setuid(NOBODY) != 0 || chdir(PLACE) != 0) {
        _exit(3);
    }
    close(0);
    for (;;) {
        switch (below(8)) {
        case 0:
        case 1:
            message(&client);
            break;
        case 2:
        case 3:
            bytes(&client);
            break;
        case 4:
            shape(&client);
            break;
        default:
            names(&client);
            break;
        }
    }
}

static void prepare(void)
{
    mkdir(PLACE, 0777);
    chmod(PLACE, 0777);
    close(open(SHARED, O_RDWR | O_CREAT | O_TRUNC, 0666));
    chmod(SHARED, 0666);
    mkfifo(FIFO, 0666);
    chmod(FIFO, 0666);
    symlink("loop", PLACE "/loop");
}

static void clean_up(void)
{
    system("rm -rf " PLACE " " SHARED " " FIFO);
}

#endif
