/*
 * A directory of its own for each test of files, in a tmpfs on both systems, and short names for
 * what such tests do again and again.
 */
#ifndef COWBELL_TESTS_SCRATCH_H
#define COWBELL_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SCRATCH "/tmp/fs_test"

/** remove_tree() - remove a directory with everything in it; not for very deep ones. */
static inline void remove_tree(const char *path)
{
    struct dirent *entry;
    DIR *dir = opendir(path);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char *name = NULL;
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            asprintf(&name, "%s/%s", path, entry->d_name) < 0) {
            continue;
        }
        if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode)) {
            remove_tree(name);
        } else {
            unlink(name);
        }
        free(name);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

/** enter() - begin in an empty scratch directory, with the usual umask. */
static inline void enter(void)
{
    umask(022);
    remove_tree(SCRATCH);
    mkdir(SCRATCH, 0777);
    chmod(SCRATCH, 0777);
    if (chdir(SCRATCH) != 0) {
        printf("# cannot enter " SCRATCH "\n");
        exit(1);
    }
}

/** make_file() - an open file with this text. */
static inline int make_file(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

    if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        close(fd);
        return -1;
    }
    return fd;
}

/** write_file() - the same, closed. */
static inline void write_file(const char *name, const char *text)
{
    close(make_file(name, text));
}

/** size_of(), nlink_of() - attributes of a name, -1 if there is none. */
static inline long long size_of(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 ? (long long)st.st_size : -1;
}

static inline long nlink_of(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 ? (long)st.st_nlink : -1;
}

#endif
