/*
 * What the programs about direct (DAX) devices share: the device, files on it, and accesses that
 * may end in a signal. Where there is no such device a test is skipped.
 */
#ifndef COWBELL_TESTS_DAX_H
#define COWBELL_TESTS_DAX_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define PAGE        ((size_t)4096)
#define RW          (PROT_READ | PROT_WRITE)
#define DEVICE      "/dev/dax0"
#define DIR         "/dax"
#define DAXFS_MAGIC 0x64617831

static sigjmp_buf fault_env;

static inline void on_fault(int signal)
{
    siglongjmp(fault_env, signal);
}

enum access { READ, WRITE };

/* The signal that an access to a byte gets, or 0. */
static inline int signal_of(volatile char *p, enum access access)
{
    int signal;

    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = on_fault}, NULL);
    sigaction(SIGBUS, &(struct sigaction){.sa_handler = on_fault}, NULL);
    signal = sigsetjmp(fault_env, 1);
    if (signal == 0 && access == WRITE) {
        *p = 1;
    } else if (signal == 0) {
        (void)*p;
    }
    return signal;
}

static inline int open_device(void)
{
    int fd = open(DEVICE, O_RDWR);

    if (fd < 0) {
        SKIP("there is no direct device");
    }
    return fd;
}

static inline void need_file_system(void)
{
    struct statfs st;

    if (statfs(DIR, &st) != 0 || st.f_type != DAXFS_MAGIC) {
        SKIP("no direct device is mounted");
    }
}

/* A new file of some pages, page i filled with letter + i. Return: its descriptor. */
static inline int make_file(const char *path, size_t nr_pages, char letter)
{
    char bytes[PAGE];
    int fd;

    need_file_system();
    unlink(path);
    fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0644);
    EXPECT_TRUE(fd >= 0);
    for (size_t i = 0; i < nr_pages; i++) {
        memset(bytes, letter + (char)i, PAGE);
        EXPECT_EQ(PAGE, pwrite(fd, bytes, PAGE, (off_t)(i * PAGE)));
    }
    return fd;
}

static inline char *map(int fd, size_t nr_pages, int flags)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, flags, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

static inline long blocks_of(int fd)
{
    struct stat st = {0};

    EXPECT_EQ(0, fstat(fd, &st));
    return st.st_blocks;
}

static inline bool is_all(const char *p, char letter, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != letter) {
            return false;
        }
    }
    return true;
}

/* The device's last pages, which no file has got yet. */
static inline char *map_device_end(int fd, size_t nr_pages, int flags, off_t *offset)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *p;

    *offset = size - (off_t)(nr_pages * PAGE);
    p = mmap(NULL, nr_pages * PAGE, RW, flags, fd, *offset);
    return p == MAP_FAILED ? NULL : p;
}

#endif
