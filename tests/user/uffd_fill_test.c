/*
 * userfaultfd: filling pages by COPY, ZEROPAGE, CONTINUE and POISON (rules D and E): what is there
 * afterwards, for which mapping, and how far a command came. Errors alone are in uffd_errno_test.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_fill"
#include "utest.h"
#include "uffd_tools.h"
#include "uffd_touch.h"

#define ALL_MODES(memory) ((memory) == ANON ? MISSING | WP : MISSING | WP | MINOR)

/* Return: 0, or the code of the SIGBUS that came instead; minus the signal if it was another. */
static int code_of_touch(volatile char *p, enum touch kind)
{
    int signal = touch(p, kind);

    return signal == 0 ? 0 : signal == SIGBUS ? last_signal.si_code : -signal;
}

TEST(copy_fills_many_pages_and_tells_how_many_bytes)
{
    enum { NR = 40 };
    char *from = map_anonymous(NR);

    for (int i = 0; i < NR; i++) {
        fill_page(from + i * PAGE, (uint64_t)i);
    }
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, 0);
        struct region r = region_make(memory, NR);

        EXPECT_EQ(0, uffd_register(fd, r.p, NR, MISSING));
        EXPECT_EQ(0, uffd_copy(fd, r.p, from, NR, 0));
        EXPECT_EQ(NR * PAGE, uffd_done);
        for (int i = 0; i < NR; i++) {
            EXPECT_TRUE(page_is(r.p + i * PAGE, (uint64_t)i));
        }
        close(fd);
        region_drop(&r);
    }
}

TEST(a_source_may_lie_across_pages)
{
    int fd = uffd_open(0, 0);
    char *from = map_anonymous(3);
    char *p = map_anonymous(2);
    struct uffdio_copy c = {.dst = (uintptr_t)p, .src = (uintptr_t)from + 777, .len = 2 * PAGE};

    for (size_t i = 0; i < 3 * PAGE; i++) {
        from[i] = (char)(i * 31 >> 3);
    }
    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    EXPECT_EQ(0, ioctl(fd, UFFDIO_COPY, &c));
    EXPECT_EQ(2 * PAGE, c.copy);
    EXPECT_BYTES(from + 777, p, 2 * PAGE);
}

TEST(a_source_that_was_never_touched_is_zeros)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(1);
    char zeros[4096] = {0};

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(0, uffd_copy(fd, p, map_anonymous(1), 1, 0));
    EXPECT_BYTES(zeros, p, PAGE);
}

/* The second of three pages is there already, or the source ends: the first is done, told, and its
 * waiters are woken. */
TEST(a_command_stops_at_what_it_cannot_do)
{
    int fd = uffd_open(0, UFFD_FEATURE_POISON);
    char *from = map_anonymous(3);
    char *p = map_anonymous(12);
    struct toucher t;

    EXPECT_EQ(0, munmap(from + 2 * PAGE, PAGE));
    EXPECT_EQ(0, uffd_register(fd, p, 12, MISSING));
    EXPECT_EQ(-EAGAIN, uffd_copy(fd, p, from, 3, 0));
    EXPECT_EQ(2 * PAGE, uffd_done);
    EXPECT_EQ(-EFAULT, uffd_copy(fd, p + 2 * PAGE, from + 2 * PAGE, 1, 0));
    EXPECT_EQ(-EFAULT, uffd_done);
    EXPECT_EQ(-EEXIST, uffd_copy(fd, p, from, 2, 0));
    EXPECT_EQ(-EEXIST, uffd_done);

    EXPECT_EQ(0, uffd_zeropage(fd, p + 4 * PAGE, 1, 0));
    toucher_start(&t, p + 3 * PAGE, TOUCH_READ, 0);
    EXPECT_EQ(p + 3 * PAGE, uffd_next_page(fd, NULL));
    EXPECT_EQ(-EAGAIN, uffd_zeropage(fd, p + 3 * PAGE, 3, 0));
    EXPECT_EQ(PAGE, uffd_done);
    toucher_join(&t);

    EXPECT_EQ(0, uffd_zeropage(fd, p + 8 * PAGE, 1, 0));
    EXPECT_EQ(-EAGAIN, uffd_poison(fd, p + 6 * PAGE, 4, 0));
    EXPECT_EQ(2 * PAGE, uffd_done);
}

TEST(a_private_mapping_of_a_file_gets_pages_of_its_own)
{
    int fd = uffd_open(0, 0);
    struct region r = region_make(SHMEM_PRIVATE, 2);
    char zeros[4096] = {0};

    EXPECT_EQ(0, uffd_register(fd, r.p, 2, MISSING));
    EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(1), 1, 0));
    EXPECT_EQ(0, uffd_zeropage(fd, r.p + PAGE, 1, 0));
    EXPECT_TRUE(page_is(r.p, 1));
    /* The file's hole is not filled. */
    EXPECT_BYTES(zeros, r.other, PAGE);
    fill_page(r.other + PAGE, 5);
    EXPECT_BYTES(zeros, r.p + PAGE, PAGE);
    EXPECT_TRUE(page_is(r.p, 1));
}

TEST(a_shared_mapping_gets_pages_of_the_file)
{
    int fd = uffd_open(0, 0);
    struct region r = region_make(SHMEM_SHARED, 2);
    char read_back[4096];

    EXPECT_EQ(0, uffd_register(fd, r.p, 2, MISSING));
    EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(1), 1, 0));
    EXPECT_EQ(0, uffd_zeropage(fd, r.p + PAGE, 1, 0));
    EXPECT_TRUE(page_is(r.other, 1));
    EXPECT_EQ(PAGE, pread(r.fd, read_back, PAGE, 0));
    EXPECT_TRUE(page_is(read_back, 1));
    r.other[PAGE] = 7;
    EXPECT_EQ(7, r.p[PAGE]);
}

TEST(a_page_of_zeros_can_be_written)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, 0);
        struct region r = region_make(memory, 1);
        char zeros[4096] = {0};

        EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING));
        EXPECT_EQ(0, uffd_zeropage(fd, r.p, 1, 0));
        EXPECT_EQ(PAGE, uffd_done);
        EXPECT_BYTES(zeros, r.p, PAGE);
        r.p[5] = 5;
        EXPECT_EQ(5, r.p[5]);
        close(fd);
        region_drop(&r);
    }
}

TEST(memory_that_may_not_be_written_is_filled_all_the_same)
{
    int fd = uffd_open(0, 0);
    char *p = map_anonymous(2);

    EXPECT_EQ(0, mprotect(p, 2 * PAGE, PROT_READ));
    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    EXPECT_EQ(0, uffd_copy(fd, p, filled_page(1), 1, 0));
    EXPECT_TRUE(page_is(p, 1));
    EXPECT_EQ(0, mprotect(p, 2 * PAGE, PROT_NONE));
    EXPECT_EQ(0, uffd_copy(fd, p + PAGE, filled_page(2), 1, 0));
    EXPECT_EQ(0, mprotect(p, 2 * PAGE, RW));
    EXPECT_TRUE(page_is(p + PAGE, 2));
    p[0] = p[PAGE] = 1;
}

TEST(copy_may_protect_what_it_fills)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
        struct region r = region_make(memory, 1);
        struct toucher t;
        uint64_t flags = 0;

        EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING | WP));
        EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(3), 1, UFFDIO_COPY_MODE_WP));
        EXPECT_TRUE(page_is_protected(r.p));
        EXPECT_TRUE(page_is(r.p, 3));
        toucher_start(&t, r.p, TOUCH_WRITE, 1);
        EXPECT_EQ(r.p, uffd_next_page(fd, &flags));
        EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, flags);
        EXPECT_EQ(0, uffd_unprotect(fd, r.p, 1));
        toucher_join(&t);
        EXPECT_EQ(1, r.p[0]);
        close(fd);
        region_drop(&r);
    }
}

/* A thread whose write finds no page, filled and protected at once, asks a second time. */
TEST(a_write_to_what_is_missing_and_protected_asks_twice)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
        struct region r = region_make(memory, 1);
        struct toucher t;
        uint64_t flags = 0;

        EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING | WP));
        toucher_start(&t, r.p, TOUCH_WRITE, 9);
        EXPECT_EQ(r.p, uffd_next_page(fd, &flags));
        EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WRITE, flags);
        EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(3), 1, UFFDIO_COPY_MODE_WP));
        EXPECT_EQ(r.p, uffd_next_page(fd, &flags));
        EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, flags);
        EXPECT_EQ(0, uffd_unprotect(fd, r.p, 1));
        toucher_join(&t);
        EXPECT_EQ(9, r.p[0]);
        close(fd);
        region_drop(&r);
    }
}

/* --- minor faults ----------------------------------------------------------------------------- */

TEST(continue_maps_the_page_of_the_file)
{
    for (int memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_MINOR_SHMEM);
        struct region r = region_make(memory, 3);

        for (int i = 0; i < 3; i++) {
            fill_page(r.other + i * PAGE, (uint64_t)i);
        }
        EXPECT_EQ(0, uffd_register(fd, r.p, 3, MINOR));
        EXPECT_EQ(0, uffd_continue(fd, r.p, 3, 0));
        EXPECT_EQ(3 * PAGE, uffd_done);
        EXPECT_TRUE(page_is(r.p + PAGE, 1));
        /* The same frame: what one mapping writes, the other reads. */
        fill_page(r.other + PAGE, 8);
        EXPECT_TRUE(page_is(r.p + PAGE, 8));
        r.p[PAGE] = 1;
        EXPECT_EQ(memory == SHMEM_SHARED, r.other[PAGE] == 1);
        close(fd);
        region_drop(&r);
    }
}

TEST(continue_needs_no_fault_and_no_minor_registration)
{
    int fd = uffd_open(0, 0);
    struct region r = region_make(SHMEM_SHARED, 1);

    r.other[0] = 4;
    EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING));
    EXPECT_EQ(0, uffd_continue(fd, r.p, 1, 0));
    EXPECT_EQ(4, r.p[0]);
}

TEST(continue_may_protect_what_it_maps)
{
    for (int memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, 0);
        struct region r = region_make(memory, 1);
        struct toucher t;
        uint64_t flags = 0;

        r.other[0] = 4;
        EXPECT_EQ(0, uffd_register(fd, r.p, 1, MINOR | WP));
        EXPECT_EQ(0, uffd_continue(fd, r.p, 1, UFFDIO_CONTINUE_MODE_WP));
        EXPECT_TRUE(page_is_protected(r.p));
        EXPECT_EQ(4, r.p[0]);
        toucher_start(&t, r.p, TOUCH_WRITE, 5);
        EXPECT_EQ(r.p, uffd_next_page(fd, &flags));
        EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, flags);
        EXPECT_EQ(0, uffd_unprotect(fd, r.p, 1));
        toucher_join(&t);
        EXPECT_EQ(5, r.p[0]);
        close(fd);
        region_drop(&r);
    }
}

TEST(continue_goes_on_to_the_first_hole)
{
    int fd = uffd_open(0, 0);
    struct region r = region_make(SHMEM_SHARED, 4);

    r.other[0] = r.other[PAGE] = r.other[3 * PAGE] = 1;
    EXPECT_EQ(0, uffd_register(fd, r.p, 4, MINOR));
    EXPECT_EQ(-EAGAIN, uffd_continue(fd, r.p, 4, 0));
    EXPECT_EQ(2 * PAGE, uffd_done);
    EXPECT_EQ(-EFAULT, uffd_continue(fd, r.p + 2 * PAGE, 2, 0));
    EXPECT_EQ(-EFAULT, uffd_done);
    EXPECT_EQ(-EEXIST, uffd_continue(fd, r.p, 1, 0));
}

/* Which fault comes: the file has the page or not, the modes ask for it or not. */
TEST(each_combination_of_modes_asks_about_its_own)
{
    for (int memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        for (uint64_t modes = 1; modes < 8; modes++) {
            for (int is_cached = 0; is_cached < 2; is_cached++) {
                int fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_SIGBUS);
                struct region r = region_make(memory, 1);
                int asks = is_cached ? !!(modes & MINOR) : !!(modes & MISSING);

                if (is_cached) {
                    r.other[0] = 1;
                }
                EXPECT_EQ(0, uffd_register(fd, r.p, 1, modes));
                EXPECT_EQ(asks ? BUS_ADRERR : 0, code_of_touch(r.p, TOUCH_READ));
                EXPECT_EQ(asks ? BUS_ADRERR : 0, code_of_touch(r.p, TOUCH_WRITE));
                close(fd);
                region_drop(&r);
            }
        }
    }
}

/* For a pager it is there as soon as it is allocated, used or not. */
TEST(an_allocated_page_is_a_minor_fault)
{
    int fd = uffd_open(0, UFFD_FEATURE_MINOR_SHMEM);
    struct region r = region_make(SHMEM_SHARED, 3);
    char *from = map_anonymous(1);

    EXPECT_EQ(0, fallocate(r.fd, 0, 0, (off_t)(3 * PAGE)));
    EXPECT_EQ(0, uffd_register(fd, r.p, 3, MINOR | MISSING));
    EXPECT_EQ(-EEXIST, uffd_copy(fd, r.p, from, 1, 0));
    EXPECT_EQ(0, uffd_continue(fd, r.p, 1, 0));
    EXPECT_EQ(0, r.p[0]);
    EXPECT_EQ(0, lseek(r.fd, 0, SEEK_DATA));
    EXPECT_EQ((long)PAGE, (long)lseek(r.fd, 0, SEEK_HOLE));
    EXPECT_EQ(0, uffd_unregister(fd, r.p, 3));
    EXPECT_EQ(0, uffd_register(fd, r.p, 3, MISSING));
    EXPECT_EQ(0, r.p[PAGE]);
    EXPECT_EQ((long)(2 * PAGE), (long)lseek(r.fd, 0, SEEK_HOLE));
    close(fd);
    region_drop(&r);
}

TEST(a_minor_fault_is_not_answered_by_new_pages)
{
    for (int memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, 0);
        struct region r = region_make(memory, 1);
        struct toucher t;
        uint64_t flags = 0;
        int expected = memory == SHMEM_SHARED ? -EEXIST : 0;

        r.other[0] = 6;
        EXPECT_EQ(0, uffd_register(fd, r.p, 1, MINOR | MISSING));
        toucher_start(&t, r.p, TOUCH_READ, 0);
        EXPECT_EQ(r.p, uffd_next_page(fd, &flags));
        EXPECT_EQ(UFFD_PAGEFAULT_FLAG_MINOR, flags);
        EXPECT_EQ(expected, uffd_copy(fd, r.p, filled_page(1), 1, 0));
        if (expected != 0) {
            EXPECT_EQ(expected, uffd_zeropage(fd, r.p, 1, 0));
            EXPECT_EQ(0, t.is_through);
            EXPECT_EQ(0, uffd_continue(fd, r.p, 1, 0));
        }
        toucher_join(&t);
        EXPECT_EQ(memory == SHMEM_SHARED ? 6 : ((char *)filled_page(1))[0], t.value);
        close(fd);
        region_drop(&r);
    }
}

/* --- poison ----------------------------------------------------------------------------------- */

TEST(poison_kills_its_reader_and_writer)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, UFFD_FEATURE_POISON);
        struct region r = region_make(memory, 3);

        EXPECT_EQ(0, uffd_register(fd, r.p, 3, MISSING));
        EXPECT_EQ(0, uffd_poison(fd, r.p, 2, 0));
        EXPECT_EQ(2 * PAGE, uffd_done);
        EXPECT_EQ(BUS_MCEERR_AR, code_of_touch(r.p + 17, TOUCH_READ));
        EXPECT_EQ(BUS_MCEERR_AR, code_of_touch(r.p + PAGE, TOUCH_WRITE));
        EXPECT_EQ((uintptr_t)r.p + PAGE, (uintptr_t)last_signal.si_addr);
        EXPECT_EQ(-EEXIST, uffd_poison(fd, r.p, 1, 0));
        EXPECT_EQ(0, uffd_copy(fd, r.p, filled_page(2), 1, 0));
        EXPECT_TRUE(page_is(r.p, 2));
        /* The rest of the memory is as before. */
        EXPECT_EQ(0, uffd_zeropage(fd, r.p + 2 * PAGE, 1, 0));
        EXPECT_EQ(0, code_of_touch(r.p + 2 * PAGE, TOUCH_WRITE));
        close(fd);
        region_drop(&r);
    }
}

TEST(poison_is_only_this_mappings)
{
    int fd = uffd_open(0, UFFD_FEATURE_POISON);
    struct region r = region_make(SHMEM_SHARED, 1);

    r.other[0] = 3;
    EXPECT_EQ(0, uffd_register(fd, r.p, 1, MISSING));
    EXPECT_EQ(0, uffd_poison(fd, r.p, 1, 0));
    EXPECT_EQ(BUS_MCEERR_AR, code_of_touch(r.p, TOUCH_READ));
    EXPECT_EQ(3, r.other[0]);
}

TEST(poison_outlives_its_registration_and_goes_with_the_mapping)
{
    int fd = uffd_open(0, UFFD_FEATURE_POISON);
    char *p = map_anonymous(2);

    EXPECT_EQ(0, uffd_register(fd, p, 2, MISSING));
    EXPECT_EQ(0, uffd_poison(fd, p, 2, 0));
    EXPECT_EQ(0, uffd_unregister(fd, p, 2));
    EXPECT_EQ(BUS_MCEERR_AR, code_of_touch(p, TOUCH_READ));
    EXPECT_EQ(0, madvise(p, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, code_of_touch(p, TOUCH_READ));
    EXPECT_EQ(p + PAGE, mmap(p + PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    EXPECT_EQ(0, code_of_touch(p + PAGE, TOUCH_READ));
}

TEST(poison_answers_a_waiting_thread)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    int status = 0;

    sigaction(SIGBUS, &action, NULL);
    fflush(stdout);
    if (fork() == 0) {
        int fd = uffd_open(0, UFFD_FEATURE_POISON);
        char *p = map_anonymous(1);
        struct toucher t;

        uffd_register(fd, p, 1, MISSING);
        toucher_start(&t, p, TOUCH_READ, 0);
        uffd_next_page(fd, NULL);
        uffd_poison(fd, p, 1, 0);
        toucher_join(&t);
        _exit(0);
    }
    wait(&status);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGBUS, WTERMSIG(status));
}

TEST(a_child_inherits_poison)
{
    int fd = uffd_open(0, UFFD_FEATURE_POISON);
    char *p = map_anonymous(1);
    int status = 0;

    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(0, uffd_poison(fd, p, 1, 0));
    fflush(stdout);
    if (fork() == 0) {
        _exit(code_of_touch(p, TOUCH_READ) != BUS_MCEERR_AR);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

TEST(the_kernel_meets_poison_as_a_bad_address)
{
    int fd = uffd_open(0, UFFD_FEATURE_POISON);
    char *p = map_anonymous(1);
    int ends[2];

    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(0, uffd_register(fd, p, 1, MISSING));
    EXPECT_EQ(0, uffd_poison(fd, p, 1, 0));
    EXPECT_ERRNO(EFAULT, write(ends[1], p, 10));
}

/* Fork passes over memory that can have no pages of its own yet. A filling command makes it ready
 * for them before it looks at anything else, so that the child gets what is there. */
TEST(a_refused_command_leaves_private_memory_ready_for_pages)
{
    int fd = uffd_open(0, 0);

    for (int is_tried = 0; is_tried < 2; is_tried++) {
        char *p = map_anonymous(1);
        unsigned char is_there = 0;
        int status = 0;

        EXPECT_EQ(0, *(volatile char *)p);
        if (is_tried) {
            EXPECT_EQ(-ENOENT, uffd_copy(fd, p, filled_page(1), 1, 0));
        }
        fflush(stdout);
        if (fork() == 0) {
            _exit(mincore(p, PAGE, &is_there) == 0 ? is_there & 1 : 2);
        }
        wait(&status);
        EXPECT_EQ(is_tried << 8, status);
        munmap(p, PAGE);
    }
    close(fd);
}

UTEST_MAIN
