/*
 * The files of fuzz_ops: what it does to a memfd besides the call that it was asked for, so that
 * nothing depends on what no program may rely on; and clear_refs of a process.
 */
#ifndef COWBELL_TESTS_FUZZ_FILE_H
#define COWBELL_TESTS_FUZZ_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uffd.h" /* PAGE */

/*
 * Before the size changes: what a mapping stored behind the end, in the last page, goes. When the
 * file grows, it shows there on Linux 6.12, and zeros do in Cowbell.
 */
static void clear_behind_end(int fd)
{
    size_t size = (size_t)lseek(fd, 0, SEEK_END);
    size_t rest = -size % PAGE;
    char *p;

    if (rest == 0) {
        return;
    }
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(size & -PAGE));
    if (p != MAP_FAILED) {
        memset(p + PAGE - rest, 0, rest);
        munmap(p, PAGE);
    }
}

static int resize(int fd, off_t size)
{
    clear_behind_end(fd);
    return ftruncate(fd, size);
}

static long write_at(int fd, const void *from, size_t len, off_t at)
{
    clear_behind_end(fd);
    return pwrite(fd, from, len, at);
}

/*
 * Looks at what was allocated. Until somebody has, Linux does not count what fallocate made as
 * resident, nor maps it around other pages.
 */
static int allocate(int fd, int mode, off_t start, off_t len)
{
    int result, error;
    off_t size;
    char *p;

    clear_behind_end(fd);
    result = fallocate(fd, mode, start, len);
    error = errno;
    size = lseek(fd, 0, SEEK_END);
    p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (result == 0 && p != MAP_FAILED && !(mode & FALLOC_FL_PUNCH_HOLE)) {
        for (off_t at = start & -(off_t)PAGE; at < start + len && at < size; at += (off_t)PAGE) {
            (void)((volatile char *)p)[at];
        }
    }
    munmap(p, (size_t)size);
    errno = error;
    return result;
}

static long clear_refs(int pid, long request)
{
    char text[64];
    long result;
    int fd;

    snprintf(text, sizeof(text), "/proc/%d/clear_refs", pid);
    fd = open(text, O_WRONLY);
    snprintf(text, sizeof(text), "%ld", request);
    result = write(fd, text, strlen(text));
    close(fd);
    return result;
}

#endif
