/* Names: links, directories, renames, permissions, the working directory and the root. */
#define _GNU_SOURCE
#define UTEST_SUITE "name"
#include "utest.h"
#include "scratch.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#define NOREPLACE 1
#define EXCHANGE  2

static int rename_with(const char *from, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

TEST(hard_links_share_one_file)
{
    struct stat a, b;

    enter();
    write_file("a", "abc");
    EXPECT_EQ(0, link("a", "b"));
    EXPECT_EQ(0, stat("a", &a));
    EXPECT_EQ(0, stat("b", &b));
    EXPECT_EQ(a.st_ino, b.st_ino);
    EXPECT_EQ(2, b.st_nlink);
    EXPECT_EQ(0, unlink("a"));
    EXPECT_EQ(1, nlink_of("b"));
    EXPECT_EQ(3, size_of("b"));
    EXPECT_ERRNO(EEXIST, link("b", "b"));
    EXPECT_ERRNO(ENOENT, link("none", "c"));
    mkdir("d", 0755);
    EXPECT_ERRNO(EPERM, link("d", "e"));
    EXPECT_EQ(0, symlink("b", "s"));
    EXPECT_EQ(0, link("s", "s2"));
    EXPECT_EQ(2, nlink_of("s"));
    EXPECT_EQ(0, linkat(AT_FDCWD, "s", AT_FDCWD, "c", AT_SYMLINK_FOLLOW));
    EXPECT_EQ(2, nlink_of("b"));
}

TEST(symbolic_links_end_in_eloop)
{
    char name[16], target[16], buf[64];

    enter();
    for (int i = 0; i < 42; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        snprintf(target, sizeof(target), "l%d", i + 1);
        EXPECT_EQ(0, symlink(target, name));
    }
    write_file("l42", "end");
    EXPECT_ERRNO(ELOOP, open("l0", O_RDONLY));
    EXPECT_ERRNO(ELOOP, open("l1", O_RDONLY));
    EXPECT_NE(-1, open("l2", O_RDONLY));
    EXPECT_EQ(0, symlink("me", "me"));
    EXPECT_ERRNO(ELOOP, access("me", F_OK));
    EXPECT_EQ(2, readlink("me", buf, sizeof(buf)));
    EXPECT_EQ(1, readlink("me", buf, 1));
    EXPECT_ERRNO(EINVAL, readlink("l42", buf, sizeof(buf)));
    EXPECT_ERRNO(EINVAL, syscall(SYS_readlink, "me", buf, 0));
    EXPECT_ERRNO(ENOENT, symlink("", "x"));
    EXPECT_ERRNO(EEXIST, symlink("x", "me"));
}

TEST(directories_count_their_links)
{
    enter();
    EXPECT_EQ(0, mkdir("d", 0755));
    EXPECT_EQ(2, nlink_of("d"));
    EXPECT_EQ(0, mkdir("d/a", 0755));
    EXPECT_EQ(0, mkdir("d/b", 0755));
    EXPECT_EQ(4, nlink_of("d"));
    EXPECT_EQ(0, rename("d/a", "a"));
    EXPECT_EQ(3, nlink_of("d"));
    EXPECT_EQ(0, rmdir("d/b"));
    EXPECT_EQ(2, nlink_of("d"));
    EXPECT_ERRNO(EEXIST, mkdir("d", 0755));
    EXPECT_ERRNO(ENOENT, mkdir("x/y", 0755));
    EXPECT_EQ(0, mkdir("z/", 0755));
}

TEST(rmdir_refuses_what_it_must)
{
    enter();
    mkdir("d", 0755);
    mkdir("d/e", 0755);
    write_file("f", "");
    EXPECT_ERRNO(ENOTEMPTY, rmdir("d"));
    EXPECT_ERRNO(ENOTDIR, rmdir("f"));
    EXPECT_ERRNO(EINVAL, rmdir("d/."));
    EXPECT_ERRNO(ENOTEMPTY, rmdir("d/e/.."));
    EXPECT_ERRNO(EBUSY, rmdir("/"));
    EXPECT_ERRNO(ENOENT, rmdir("none"));
    EXPECT_EQ(0, rmdir("d/e"));
    EXPECT_EQ(0, rmdir("d"));
}

TEST(removed_working_directory_is_a_dead_end)
{
    char buf[PATH_MAX];

    enter();
    mkdir("d", 0755);
    ASSERT_EQ(0, chdir("d"));
    EXPECT_EQ(0, rmdir(SCRATCH "/d"));
    EXPECT_ERRNO(ENOENT, open("f", O_CREAT | O_RDWR, 0644));
    EXPECT_ERRNO(ENOENT, mkdir("e", 0755));
    EXPECT_EQ(-1, syscall(SYS_getcwd, buf, sizeof(buf)));
    EXPECT_EQ(ENOENT, errno);
    EXPECT_EQ(0, access(".", F_OK));
    EXPECT_EQ(0, chdir(".."));
}

TEST(working_directory_follows_renames)
{
    char buf[PATH_MAX];

    enter();
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    ASSERT_EQ(0, chdir("a/b"));
    EXPECT_EQ(0, rename(SCRATCH "/a", SCRATCH "/c"));
    EXPECT_NE(-1, syscall(SYS_getcwd, buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp(SCRATCH "/c/b", buf));
    EXPECT_EQ(-1, syscall(SYS_getcwd, buf, 3));
    EXPECT_EQ(ERANGE, errno);
    EXPECT_ERRNO(ENOTDIR, chdir("/etc/passwd"));
    EXPECT_ERRNO(ENOENT, chdir("/none"));
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(0, fchdir(fd));
    EXPECT_EQ(2, syscall(SYS_getcwd, buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp("/", buf));
}

TEST(rename_replaces_and_refuses)
{
    enter();
    write_file("a", "a");
    write_file("b", "bb");
    mkdir("d", 0755);
    mkdir("d/e", 0755);
    mkdir("empty", 0755);
    EXPECT_EQ(0, rename("a", "b"));
    EXPECT_EQ(1, size_of("b"));
    EXPECT_ERRNO(ENOENT, rename("a", "c"));
    EXPECT_ERRNO(EISDIR, rename("b", "d"));
    EXPECT_ERRNO(ENOTDIR, rename("d", "b"));
    EXPECT_ERRNO(ENOTEMPTY, rename("empty", "d"));
    EXPECT_ERRNO(EINVAL, rename("d", "d/e/x"));
    EXPECT_ERRNO(EBUSY, rename("d/.", "x"));
    EXPECT_EQ(0, rename("d", "empty"));
    EXPECT_EQ(0, access("empty/e", F_OK));
    EXPECT_EQ(0, link("b", "b2"));
    EXPECT_EQ(0, rename("b", "b2"));
    EXPECT_EQ(2, nlink_of("b"));
    EXPECT_ERRNO(ENOTDIR, rename("b", "c/"));
}

TEST(rename_flags)
{
    enter();
    write_file("a", "a");
    write_file("b", "bb");
    mkdir("d", 0755);
    EXPECT_ERRNO(EEXIST, rename_with("a", "b", NOREPLACE));
    EXPECT_EQ(0, rename_with("a", "c", NOREPLACE));
    EXPECT_EQ(0, rename_with("c", "b", EXCHANGE));
    EXPECT_EQ(2, size_of("c"));
    EXPECT_EQ(1, size_of("b"));
    EXPECT_EQ(0, rename_with("b", "d", EXCHANGE));
    EXPECT_EQ(1, size_of("d"));
    EXPECT_ERRNO(ENOENT, rename_with("b", "none", EXCHANGE));
    EXPECT_ERRNO(EINVAL, rename_with("b", "c", 99));
    EXPECT_ERRNO(EINVAL, rename_with("b", "c", NOREPLACE | EXCHANGE));
}

TEST(names_have_limits)
{
    char name[300];
    char path[PATH_MAX + 10];

    enter();
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    EXPECT_EQ(0, mkdir(name, 0755));
    EXPECT_EQ(0, rmdir(name));
    name[255] = 'n';
    name[256] = '\0';
    EXPECT_ERRNO(ENAMETOOLONG, mkdir(name, 0755));
    memset(path, '/', sizeof(path));
    path[PATH_MAX - 1] = '\0';
    EXPECT_EQ(0, access(path, F_OK));
    path[PATH_MAX - 1] = '/';
    path[PATH_MAX] = '\0';
    EXPECT_ERRNO(ENAMETOOLONG, access(path, F_OK));
}

static int take_names(int fd, char seen[], size_t buf_size)
{
    char buf[4096];
    long len;
    int count = 0;

    while ((len = syscall(SYS_getdents64, fd, buf, buf_size)) > 0) {
        for (long at = 0; at < len;) {
            const struct dirent *entry = (const struct dirent *)(buf + at);
            if (entry->d_name[0] == 'n') {
                seen[atoi(entry->d_name + 1)]++;
            }
            at += entry->d_reclen;
            count++;
        }
    }
    return len < 0 ? -errno : count;
}

TEST(listing_is_complete_while_names_go)
{
    static char seen[500];
    char name[16], buf[300];
    long len;

    enter();
    mkdir("d", 0755);
    ASSERT_EQ(0, chdir("d"));
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(502, take_names(fd, seen, 1000));
    for (int i = 0; i < 500; i++) {
        EXPECT_EQ(1, seen[i]);
    }
    EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
    /* Every name that was listed is removed before the next are: none is skipped. */
    while ((len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < len;) {
            const struct dirent *entry = (const struct dirent *)(buf + at);
            if (entry->d_name[0] == 'n') {
                unlink(entry->d_name);
            }
            at += entry->d_reclen;
        }
    }
    EXPECT_EQ(0, len);
    memset(seen, 0, sizeof(seen));
    EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
    EXPECT_EQ(2, take_names(fd, seen, 1000));
    EXPECT_EQ(0, rmdir("../d"));
}

static int expected_type(const char *name)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {{"f", DT_REG}, {"s", DT_LNK}, {"p", DT_FIFO}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return types[i].type;
        }
    }
    return DT_DIR;
}

TEST(entries_tell_their_type)
{
    struct dirent *entry;
    int types = 0;

    enter();
    mkdir("d", 0755);
    write_file("f", "");
    EXPECT_EQ(0, symlink("f", "s"));
    EXPECT_EQ(0, mkfifo("p", 0644));
    DIR *dir = opendir(".");
    while ((entry = readdir(dir)) != NULL) {
        int expected = expected_type(entry->d_name);
        EXPECT_EQ(expected, entry->d_type);
        types++;
    }
    EXPECT_EQ(6, types);
    closedir(dir);
    char small[16];
    int fd = open(".", O_RDONLY);
    EXPECT_EQ(-1, syscall(SYS_getdents64, fd, small, sizeof(small)));
    EXPECT_EQ(EINVAL, errno);
    fd = open("f", O_RDONLY);
    EXPECT_EQ(-1, syscall(SYS_getdents64, fd, small, sizeof(small)));
    EXPECT_EQ(ENOTDIR, errno);
}

static void become_user(void)
{
    EXPECT_EQ(0, setgid(1000));
    EXPECT_EQ(0, setuid(1000));
}

TEST(permission_bits_are_obeyed)
{
    struct stat st;

    enter();
    write_file("mine", "x");
    chmod("mine", 0600);
    write_file("all", "x");
    chmod("all", 0644);
    mkdir("closed", 0700);
    write_file("closed/f", "x");
    mkdir("listed", 0744);
    write_file("listed/f", "x");
    become_user();
    EXPECT_ERRNO(EACCES, open("mine", O_RDONLY));
    EXPECT_NE(-1, open("all", O_RDONLY));
    EXPECT_ERRNO(EACCES, open("all", O_RDWR));
    EXPECT_ERRNO(EACCES, open("closed/f", O_RDONLY));
    EXPECT_ERRNO(EACCES, stat("listed/f", &st));
    EXPECT_NE(-1, open("listed", O_RDONLY));
    EXPECT_ERRNO(EACCES, chdir("listed"));
    EXPECT_ERRNO(EACCES, access("mine", R_OK));
    EXPECT_EQ(0, access("mine", F_OK));
    EXPECT_ERRNO(EPERM, chmod("all", 0600));
    EXPECT_ERRNO(EPERM, chown("all", 1000, -1));
    EXPECT_ERRNO(EPERM, mknod("dev", S_IFCHR | 0666, makedev(1, 3)));
    EXPECT_ERRNO(EACCES, execl("all", "all", NULL));
}

TEST(umask_and_group_of_a_new_file)
{
    struct stat st;

    enter();
    umask(027);
    close(open("f", O_CREAT | O_WRONLY, 0666));
    EXPECT_EQ(0, stat("f", &st));
    EXPECT_EQ(0640, st.st_mode & 07777);
    mkdir("d", 0777);
    EXPECT_EQ(0, stat("d", &st));
    EXPECT_EQ(0750, st.st_mode & 07777);
    EXPECT_EQ(0, chown("d", -1, 1234));
    EXPECT_EQ(0, chmod("d", 02775));
    mkdir("d/e", 0777);
    EXPECT_EQ(0, stat("d/e", &st));
    EXPECT_EQ(1234, st.st_gid);
    EXPECT_EQ(02750, st.st_mode & 07777);
}

TEST(sticky_directory_protects_names)
{
    enter();
    mkdir("t", 0777);
    chmod("t", 01777);
    write_file("t/root", "x");
    become_user();
    EXPECT_ERRNO(EPERM, unlink("t/root"));
    EXPECT_ERRNO(EPERM, rename("t/root", "t/x"));
    write_file("t/own", "x");
    EXPECT_EQ(0, rename("t/own", "t/own2"));
    EXPECT_EQ(0, unlink("t/own2"));
}

TEST(writing_ends_set_user_id)
{
    struct stat st;

    enter();
    write_file("f", "x");
    EXPECT_EQ(0, chown("f", 1000, 1000));
    EXPECT_EQ(0, chmod("f", 06755));
    EXPECT_EQ(0, stat("f", &st));
    EXPECT_EQ(06755, st.st_mode & 07777);
    become_user();
    int fd = open("f", O_WRONLY);
    EXPECT_EQ(1, write(fd, "y", 1));
    EXPECT_EQ(0, stat("f", &st));
    EXPECT_EQ(0755, st.st_mode & 07777);
}

TEST(other_file_systems_are_other_devices)
{
    struct stat here, there;

    enter();
    EXPECT_EQ(0, stat(".", &here));
    EXPECT_EQ(0, stat("/proc", &there));
    EXPECT_NE(here.st_dev, there.st_dev);
    write_file("f", "x");
    EXPECT_ERRNO(EXDEV, rename("f", "/dev/f"));
    EXPECT_ERRNO(EXDEV, link("f", "/dev/f"));
    EXPECT_ERRNO(EBUSY, rmdir("/proc"));
    EXPECT_ERRNO(EBUSY, rename("/proc", "/x"));
}

TEST(descriptors_start_paths)
{
    struct stat st;

    enter();
    mkdir("d", 0755);
    int dir = open("d", O_RDONLY | O_DIRECTORY);
    EXPECT_NE(-1, openat(dir, "f", O_CREAT | O_RDWR, 0644));
    EXPECT_EQ(0, access("d/f", F_OK));
    EXPECT_EQ(0, mkdirat(dir, "e", 0755));
    EXPECT_EQ(0, fstatat(dir, "../d/f", &st, 0));
    EXPECT_EQ(0, renameat(dir, "f", AT_FDCWD, "g"));
    EXPECT_EQ(0, symlinkat("g", dir, "s"));
    EXPECT_EQ(0, linkat(AT_FDCWD, "g", dir, "h", 0));
    EXPECT_EQ(0, unlinkat(dir, "h", 0));
    EXPECT_EQ(0, unlinkat(dir, "e", AT_REMOVEDIR));
    int file = open("g", O_RDONLY);
    EXPECT_ERRNO(ENOTDIR, openat(file, "x", O_RDONLY));
    EXPECT_ERRNO(EBADF, openat(99, "x", O_RDONLY));
    EXPECT_EQ(0, fstatat(99, "/", &st, 0));
    EXPECT_EQ(0, fstatat(file, "", &st, AT_EMPTY_PATH));
    EXPECT_TRUE(S_ISREG(st.st_mode));
}

TEST(dot_dot_ends_at_the_root)
{
    struct stat root, above;

    EXPECT_EQ(0, stat("/", &root));
    EXPECT_EQ(0, stat("/../../..", &above));
    EXPECT_EQ(root.st_ino, above.st_ino);
    EXPECT_EQ(0, stat("/proc/..", &above));
    EXPECT_EQ(root.st_ino, above.st_ino);
    EXPECT_EQ(root.st_dev, above.st_dev);
}

TEST(changed_root_confines)
{
    struct stat inside, root;

    enter();
    mkdir("jail", 0755);
    mkdir("jail/d", 0755);
    EXPECT_EQ(0, symlink("/d", "jail/s"));
    EXPECT_EQ(0, stat("jail", &inside));
    ASSERT_EQ(0, chroot("jail"));
    EXPECT_EQ(0, chdir("/"));
    EXPECT_EQ(0, stat("/", &root));
    EXPECT_EQ(inside.st_ino, root.st_ino);
    EXPECT_EQ(0, stat("/s", &root));
    EXPECT_EQ(0, stat("../../../..", &root));
    EXPECT_EQ(inside.st_ino, root.st_ino);
    EXPECT_ERRNO(ENOENT, access("/etc/passwd", F_OK));
    EXPECT_EQ(0, chdir("s"));
    char buf[64];
    EXPECT_EQ(3, syscall(SYS_getcwd, buf, sizeof(buf)));
    EXPECT_EQ(0, strcmp("/d", buf));
}

UTEST_MAIN
