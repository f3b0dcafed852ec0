/*
 * userfaultfd: making a descriptor, the handshake (rules A), registering and unregistering
 * (rules B).
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_api"
#include "utest.h"
#include "uffd_tools.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define GENERIC_IOCTLS (1ull << _UFFDIO_REGISTER | 1ull << _UFFDIO_UNREGISTER | 1ull << _UFFDIO_API)
#define RANGE_IOCTLS                                                                               \
    (1ull << _UFFDIO_WAKE | 1ull << _UFFDIO_COPY | 1ull << _UFFDIO_ZEROPAGE |                      \
     1ull << _UFFDIO_POISON | 1ull << _UFFDIO_MOVE)

static int raw(int flags)
{
    return (int)syscall(SYS_userfaultfd, flags);
}

TEST(only_known_flags)
{
    EXPECT_ERRNO(EINVAL, raw(2));
    EXPECT_ERRNO(EINVAL, raw(O_RDWR));
    EXPECT_ERRNO(EINVAL, raw(O_APPEND));
    EXPECT_LE(0, raw(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
}

TEST(flags_reach_the_descriptor)
{
    int plain = raw(0);
    int both = raw(O_CLOEXEC | O_NONBLOCK);

    EXPECT_EQ(0, fcntl(plain, F_GETFD));
    EXPECT_EQ(0, fcntl(plain, F_GETFL) & O_NONBLOCK);
    EXPECT_EQ(FD_CLOEXEC, fcntl(both, F_GETFD));
    EXPECT_EQ(O_NONBLOCK, fcntl(both, F_GETFL) & O_NONBLOCK);
    /* read() alone: what is done to memory goes through ioctl(). */
    EXPECT_EQ(O_RDONLY, fcntl(both, F_GETFL) & O_ACCMODE);
}

static void as_nobody(void)
{
    EXPECT_EQ(0, setgid(65534) | setuid(65534));
    EXPECT_ERRNO(EPERM, raw(0));
    EXPECT_LE(0, raw(UFFD_USER_MODE_ONLY));
    EXPECT_EQ(-EPERM, uffd_open(UFFD_USER_MODE_ONLY, UFFD_FEATURE_EVENT_FORK));
    EXPECT_ERRNO(EACCES, open("/dev/userfaultfd", O_RDWR));
}

TEST(without_privilege_only_faults_of_user_mode)
{
    EXPECT_EQ(0, utest_in_child(as_nobody));
}

TEST(the_device_makes_descriptors)
{
    int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    int fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API};
    char *p = map_anonymous(1);

    ASSERT_TRUE(dev >= 0);
    ASSERT_TRUE(fd >= 0);
    EXPECT_ERRNO(EINVAL, ioctl(dev, USERFAULTFD_IOC_NEW, O_APPEND));
    EXPECT_ERRNO(EINVAL, ioctl(dev, USERFAULTFD_IOC_NEW + 1, 0));
    close(dev);
    EXPECT_EQ(0, ioctl(fd, UFFDIO_API, &api));
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(3), 1, 0));
    EXPECT_TRUE(page_is(p, 3));
}

TEST(nothing_works_before_the_handshake)
{
    int fd = raw(O_NONBLOCK);
    struct pollfd waiting = {fd, POLLIN, 0};
    struct uffd_msg message;

    EXPECT_ERRNO(EINVAL, read(fd, &message, sizeof(message)));
    EXPECT_EQ(1, poll(&waiting, 1, 0));
    EXPECT_EQ(POLLERR, waiting.revents);
    EXPECT_ERRNO(EINVAL, ioctl(fd, _IO(UFFDIO, 0x3e), 0));
}

TEST(a_failed_handshake_leaves_zeros_and_may_be_repeated)
{
    struct uffdio_api zeros = {0};
    struct uffdio_api bad[] = {{.api = 0xab, .features = 1, .ioctls = 7},
                               {.api = UFFD_API, .features = 1ull << 40, .ioctls = 7},
                               {.api = UFFD_API, .features = 1ull << 63 | 1, .ioctls = 7}};
    struct uffdio_api good = {.api = UFFD_API};
    int fd = raw(0);

    for (int i = 0; i < 3; i++) {
        EXPECT_ERRNO(EINVAL, ioctl(fd, UFFDIO_API, &bad[i]));
        EXPECT_BYTES(&zeros, &bad[i], sizeof(zeros));
    }
    EXPECT_EQ(0, ioctl(fd, UFFDIO_API, &good));
    EXPECT_ERRNO(EINVAL, ioctl(fd, UFFDIO_API, &good));
    EXPECT_BYTES(&zeros, &good, sizeof(zeros));
}

TEST(the_handshake_tells_every_feature)
{
    struct uffdio_api api = {.api = UFFD_API};
    /* Without those of huge pages, which a small system may lack. */
    uint64_t wanted = UFFD_FEATURE_ALL &
                      ~(uint64_t)(UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MINOR_HUGETLBFS);

    EXPECT_EQ(0, ioctl(raw(0), UFFDIO_API, &api));
    EXPECT_EQ(UFFD_API, api.api);
    EXPECT_EQ(wanted, api.features & wanted);
    EXPECT_EQ(0, api.features & ~UFFD_FEATURE_ALL);
    EXPECT_EQ(GENERIC_IOCTLS, api.ioctls);
}

TEST(only_features_asked_for_are_active)
{
    int fd = uffd_open(O_NONBLOCK, 0);
    char *p = map_anonymous(1);
    struct toucher t;
    struct uffd_msg message;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    toucher_start(&t, p + 123, TOUCH_READ, 0);
    EXPECT_EQ(0, uffd_wait(fd));
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, uffd_read(fd, &message));
    EXPECT_EQ(0, message.arg.pagefault.feat.ptid);
    EXPECT_EQ((uintptr_t)p, message.arg.pagefault.address);
    EXPECT_EQ(0, uffd_zeropage(fd, p, 1, 0));
    toucher_join(&t);
    /* No event either: this would block. */
    EXPECT_EQ(0, madvise(p, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_EQ(-EAGAIN, uffd_read(fd, &message));
}

TEST(the_descriptor_is_about_its_makers_memory)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    int status = 1;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    fflush(stdout);
    if (fork() == 0) {
        /* The same descriptor and the same address, but another address space. */
        _exit(uffd_copy(fd, p, filled_page(9), 1, 0) != 0);
    }
    wait(&status);
    EXPECT_EQ(0, status);
    EXPECT_TRUE(page_is(p, 9));
}

/* --- registering ------------------------------------------------------------------------------ */

static uint64_t register_ioctls(int fd, const void *p, size_t nr_pages, uint64_t mode)
{
    struct uffdio_register r = {.range = {(uintptr_t)p, nr_pages * PAGE}, .mode = mode};

    EXPECT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &r));
    return r.ioctls;
}

TEST(registering_tells_what_the_mode_allows)
{
    static const uint64_t more[] = {
        [MISSING] = 0,
        [WP] = 1ull << _UFFDIO_WRITEPROTECT,
        [MISSING | WP] = 1ull << _UFFDIO_WRITEPROTECT,
        [MINOR] = 1ull << _UFFDIO_CONTINUE,
        [MINOR | MISSING] = 1ull << _UFFDIO_CONTINUE,
        [MINOR | WP] = 1ull << _UFFDIO_CONTINUE | 1ull << _UFFDIO_WRITEPROTECT,
        [MINOR | MISSING | WP] = 1ull << _UFFDIO_CONTINUE | 1ull << _UFFDIO_WRITEPROTECT,
    };

    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        for (uint64_t mode = 1; mode < 8; mode++) {
            int fd = uffd_open(0, 0);
            struct region r = region_make(memory, 1);

            if (memory != ANON || !(mode & MINOR)) {
                EXPECT_EQ(RANGE_IOCTLS | more[mode], register_ioctls(fd, r.p, 1, mode));
            } else {
                EXPECT_EQ(-EINVAL, uffd_register(fd, r.p, 1, mode));
            }
            close(fd);
            region_drop(&r);
        }
    }
}

TEST(no_mode_and_unknown_modes)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);

    EXPECT_EQ(-EINVAL, uffd_register(fd, p, 1, 0));
    EXPECT_EQ(-EINVAL, uffd_register(fd, p, 1, 8));
    EXPECT_EQ(-EINVAL, uffd_register(fd, p, 1, MISSING | 8));
}

TEST(holes_inside_the_range_are_passed_over)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(5);

    EXPECT_EQ(0, munmap(p + PAGE, PAGE) | munmap(p + 3 * PAGE, PAGE));
    EXPECT_EQ(0, uffd_register(fd, p, 5, MISSING));
    for (int i = 0; i < 5; i += 2) {
        EXPECT_EQ(0, uffd_zeropage(fd, p + i * PAGE, 1, 0));
    }
    EXPECT_EQ(-ENOENT, uffd_zeropage(fd, p + PAGE, 1, 0));
    EXPECT_EQ(0, uffd_unregister(fd, p, 5));
    EXPECT_EQ(-ENOENT, uffd_zeropage(fd, p + 4 * PAGE, 1, 0));
}

TEST(one_mapping_that_cannot_keeps_all_others_as_they_were)
{
    int fd = uffd_open(0, 0);
    int other = uffd_open(0, 0);
    char *p = map_anonymous(4);

    EXPECT_EQ(0, uffd_register(other, p + 3 * PAGE, 1, MISSING));
    EXPECT_EQ(-EBUSY, uffd_register(fd, p, 4, MISSING));
    EXPECT_EQ(-ENOENT, uffd_zeropage(fd, p, 1, 0));
    EXPECT_EQ(0, uffd_register(fd, p, 3, MISSING));
}

TEST(more_modes_replace_and_fewer_change_nothing)
{
    int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    char *p = map_anonymous(1);

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(-ENOENT, uffd_protect(fd, p, 1));
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING | WP));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(1), 1, 0));
    EXPECT_EQ(0, uffd_protect(fd, p, 1));
    /* The old modes hold the new one: it stays registered for both. */
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(0, uffd_protect(fd, p, 1));
    EXPECT_TRUE(page_is_protected(p));
    /* WP does not hold MISSING: replaced, not added to. */
    EXPECT_EQ(0, uffd_unregister(fd, p, 1));
    EXPECT_EQ(0, uffd_register(fd, p, 1, WP));
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(-ENOENT, uffd_protect(fd, p, 1));
}

TEST(the_other_modes_feature_is_not_asked_for)
{
    int fd = uffd_open(0, 0);
    struct region r = region_make(SHMEM_SHARED, 1);

    EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING | WP | MINOR));
}

static int nr_maps(const char *from, const char *to)
{
    FILE *file = fopen("/proc/self/maps", "r");
    char line[512];
    int n = 0;

    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long start = strtoul(line, NULL, 16);

        n += start >= (uintptr_t)from && start < (uintptr_t)to;
    }
    fclose(file);
    return n;
}

TEST(mappings_are_split_at_the_edges_and_merge_again)
{
    int fd = uffd_open(0, 0);
    int other = uffd_open(0, 0);
    char *p = mmap(NULL, 9 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    EXPECT_EQ(0, mprotect(p + PAGE, 7 * PAGE, RW));
    EXPECT_EQ(1, nr_maps(p + PAGE, p + 8 * PAGE));
    EXPECT_EQ(0, uffd_register(fd, p + 3 * PAGE, 2, MISSING));
    EXPECT_EQ(3, nr_maps(p + PAGE, p + 8 * PAGE));
    EXPECT_EQ(0, uffd_register(fd, p + 5 * PAGE, 1, MISSING));
    EXPECT_EQ(3, nr_maps(p + PAGE, p + 8 * PAGE));
    EXPECT_EQ(0, uffd_register(other, p + 6 * PAGE, 1, MISSING));
    EXPECT_EQ(4, nr_maps(p + PAGE, p + 8 * PAGE));
    EXPECT_EQ(0, uffd_unregister(fd, p + PAGE, 7));
    EXPECT_EQ(1, nr_maps(p + PAGE, p + 8 * PAGE));
}

TEST(unregistering_is_not_particular)
{
    int fd = uffd_open(0, 0);
    int other = uffd_open(0, 0);
    char *p = map_anonymous(2);

    EXPECT_EQ(0, uffd_unregister(fd, p, 2));
    EXPECT_EQ(0, uffd_register(other, p, 2, MISSING));
    EXPECT_EQ(0, uffd_unregister(fd, p, 1));
    EXPECT_EQ(-ENOENT, uffd_zeropage(other, p, 1, 0));
    EXPECT_EQ(0, p[0]);
    EXPECT_EQ(0, uffd_zeropage(other, p + PAGE, 1, 0));
}

TEST(unregistering_ends_write_protection)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_WP_UNPOPULATED);
        struct region r = region_make(memory, 3);

        r.p[0] = 5;
        EXPECT_EQ(0, uffd_register(fd, r.p, 3, WP));
        EXPECT_EQ(0, uffd_protect(fd, r.p, 3));
        EXPECT_TRUE(page_is_protected(r.p) && page_is_protected(r.p + PAGE));
        EXPECT_EQ(0, uffd_unregister(fd, r.p, 3));
        EXPECT_FALSE(page_is_protected(r.p) || page_is_protected(r.p + PAGE));
        r.p[0] = 6;
        r.p[PAGE] = 7;
        EXPECT_EQ(0, uffd_register(fd, r.p, 3, WP));
        r.p[0] = 8;
        r.p[2 * PAGE] = 9;
        EXPECT_EQ(8, r.p[0]);
        close(fd);
        region_drop(&r);
    }
}

TEST(write_protecting_alone_and_asynchronously_takes_any_memory)
{
    int file;
    char *p;

    mkdir("/mnt", 0755);
    mount("none", "/mnt", "ramfs", 0, NULL);
    file = open("/mnt/uffd_api", O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(0, ftruncate(file, PAGE));
    p = mmap(NULL, PAGE, RW, MAP_PRIVATE, file, 0);
    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(0, uffd_register(uffd_open(0, ASYNC_UFFD), p, 1, WP));
    unlink("/mnt/uffd_api");
}

TEST(closing_ends_every_registration)
{
    int fd = uffd_open(0, 0);
    int second = uffd_open(0, 0);
    char *p = map_anonymous(4);

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING) | uffd_register(fd, p + 2 * PAGE, 1, WP));
    close(fd);
    EXPECT_EQ(0, p[0] | p[2 * PAGE]);
    EXPECT_EQ(0, uffd_register(second, p, 4, MISSING));
}

TEST(a_new_program_has_no_registration_of_the_old)
{
    int fd = uffd_open(0, 0);
    int status;

    fflush(stdout);
    if (fork() == 0) {
        fd = uffd_open(0, 0);
        EXPECT_EQ(0, uffd_register(fd, map_anonymous(1), 1, MISSING));
        fcntl(fd, F_SETFD, 0);
        execl("/bin/busybox", "true", (char *)NULL);
        _exit(1);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

UTEST_MAIN
