/*
 * What /proc tells of memory, on Cowbell as on Linux: maps, smaps, pagemap, mem, kpagecount.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "inspect"
#include "utest.h"
#include "inspect.h"

static int smaps_flags(const void *address, char *flags, size_t size)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    int is_there = 0;
    int is_found = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            is_there = (uintptr_t)address >= start && (uintptr_t)address < end;
        } else if (is_there && strncmp(line, "VmFlags: ", 9) == 0) {
            snprintf(flags, size, "%.200s", line + 9);
            is_found = 1;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_found;
}

/* The line of maps for an address, without its newline. */
static int maps_line(const void *address, char *out, size_t size)
{
    FILE *file = fopen("/proc/self/maps", "r");
    char line[512];
    int is_found = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && (uintptr_t)address >= start &&
            (uintptr_t)address < end) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(out, size, "%s", line);
            is_found = 1;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_found;
}

/* The number of mappings that lie in a range, wholly or in part. */
static int count_mappings(const char *low, const char *high)
{
    FILE *file = fopen("/proc/self/maps", "r");
    char line[512];
    int nr = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, end;

        nr += sscanf(line, "%lx-%lx ", &start, &end) == 2 && start < (uintptr_t)high &&
              end > (uintptr_t)low;
    }
    if (file != NULL) {
        fclose(file);
    }
    return nr;
}

TEST(maps_lines_have_the_columns)
{
    int fd = new_memfd(4 * PAGE);
    char *anon = map_alone(2, RW);
    char *file = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, (off_t)PAGE);
    char *code = map_alone(1, PROT_READ | PROT_EXEC);
    char *shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char line[512], expected[512];
    struct stat st;

    ASSERT_TRUE(anon != NULL && file != MAP_FAILED && code != NULL && shared != MAP_FAILED);
    ASSERT_TRUE(maps_line(anon, line, sizeof(line)));
    snprintf(expected, sizeof(expected), "%08lx-%08lx rw-p 00000000 00:00 0 ", (long)anon,
             (long)anon + 2 * PAGE);
    EXPECT_EQ(0, strcmp(expected, line));
    ASSERT_TRUE(maps_line(code, line, sizeof(line)));
    EXPECT_TRUE(strstr(line, " r-xp 00000000 00:00 0 ") != NULL);
    ASSERT_EQ(0, fstat(fd, &st));
    ASSERT_TRUE(maps_line(file, line, sizeof(line)));
    snprintf(expected, sizeof(expected), "%08lx-%08lx r--s 00001000 00:01 %lu ", (long)file,
             (long)file + 2 * PAGE, (unsigned long)st.st_ino);
    EXPECT_EQ(0, strncmp(expected, line, strlen(expected)));
    EXPECT_EQ(0, strcmp("/memfd:inspected (deleted)", line + 73));
    ASSERT_TRUE(maps_line(shared, line, sizeof(line)));
    EXPECT_TRUE(strstr(line, " rw-s 00000000 00:01 ") != NULL);
    EXPECT_EQ(0, strcmp("/dev/zero (deleted)", line + 73));
}

TEST(maps_names_heap_and_stack)
{
    char *heap = (char *)syscall(SYS_brk, 0);
    char line[512], local;

    heap = (char *)syscall(SYS_brk, heap + PAGE) - PAGE;
    ASSERT_TRUE(maps_line(heap, line, sizeof(line)));
    EXPECT_TRUE(strstr(line, "[heap]") != NULL);
    ASSERT_TRUE(maps_line(&local, line, sizeof(line)));
    EXPECT_EQ(0, strcmp("[stack]", line + 73));
}

TEST(neighbours_become_one_mapping)
{
    char *p = map_alone(8, RW);

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(1, count_mappings(p, p + 8 * PAGE));
    EXPECT_EQ(0, mprotect(p + 2 * PAGE, 2 * PAGE, RW | PROT_EXEC));
    EXPECT_EQ(3, count_mappings(p, p + 8 * PAGE));
    p[0] = 1;
    p[2 * PAGE] = 1;
    EXPECT_EQ(0, mprotect(p + 2 * PAGE, 2 * PAGE, RW));
    EXPECT_LE(count_mappings(p, p + 4 * PAGE), 1);
}

TEST(smaps_counts_what_is_touched)
{
    char *p = map_alone(8, RW);
    volatile char byte;

    ASSERT_TRUE(p != NULL);
    madvise(p, 8 * PAGE, MADV_NOHUGEPAGE);
    p[0] = 1;
    p[PAGE] = 1;
    byte = p[2 * PAGE];
    (void)byte;
    EXPECT_EQ(32, smaps_kib(p, "Size:"));
    EXPECT_EQ(4, smaps_kib(p, "KernelPageSize:"));
    EXPECT_EQ(8, smaps_kib(p, "Rss:"));
    EXPECT_EQ(8, smaps_kib(p, "Pss:"));
    EXPECT_EQ(8, smaps_kib(p, "Private_Dirty:"));
    EXPECT_EQ(0, smaps_kib(p, "Private_Clean:"));
    EXPECT_EQ(0, smaps_kib(p, "Shared_Dirty:"));
    EXPECT_EQ(8, smaps_kib(p, "Anonymous:"));
    EXPECT_EQ(8, smaps_kib(p, "Referenced:"));
    EXPECT_EQ(0, smaps_kib(p, "Swap:"));
    EXPECT_EQ(0, smaps_kib(p, "Locked:"));
    EXPECT_EQ(0, mlock(p, PAGE));
    EXPECT_EQ(4, smaps_kib(p, "Locked:"));
}

TEST(smaps_tells_clean_and_dirty_pages_of_files)
{
    int fd = new_memfd(4 * PAGE);
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
    volatile char byte;

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
    EXPECT_EQ(0, fallocate(fd, 0, (off_t)PAGE, (off_t)PAGE));
    byte = p[2 * PAGE];
    byte = p[PAGE];
    byte = p[0];
    (void)byte;
    EXPECT_EQ(12, smaps_kib(p, "Rss:"));
    EXPECT_EQ(8, smaps_kib(p, "Private_Dirty:"));
    EXPECT_EQ(4, smaps_kib(p, "Private_Clean:"));
    EXPECT_EQ(0, smaps_kib(p, "Anonymous:"));
    p[3 * PAGE] = 1;
    EXPECT_EQ(12, smaps_kib(p, "Private_Dirty:"));
}

/* Sixteen pages around the one that is read, where they are in memory already. */
static void expect_read_around(int advice)
{
    enum { NR_PAGES = 32, WINDOW = 16 };
    static char bytes[NR_PAGES * PAGE];
    int fd = new_memfd(NR_PAGES * PAGE);
    char *p = mmap(NULL, NR_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    uintptr_t middle = ((uintptr_t)p + WINDOW * PAGE - 1) & ~(WINDOW * PAGE - 1);

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ((long)sizeof(bytes), pwrite(fd, bytes, sizeof(bytes), 0));
    EXPECT_EQ(0, madvise(p, NR_PAGES * PAGE, advice));
    (void)*(volatile char *)middle;
    EXPECT_EQ(WINDOW * 4, smaps_kib(p, "Rss:"));
    munmap(p, NR_PAGES * PAGE);
    close(fd);
}

TEST(what_is_in_memory_is_mapped_around_a_read)
{
    expect_read_around(MADV_NORMAL);
}

TEST(advice_to_read_at_random_does_not_end_that)
{
    expect_read_around(MADV_RANDOM);
}

static char *forked_page;

static void expect_half(void)
{
    EXPECT_EQ(16, smaps_kib(forked_page, "Rss:"));
    EXPECT_EQ(8, smaps_kib(forked_page, "Pss:"));
    EXPECT_EQ(16, smaps_kib(forked_page, "Shared_Dirty:"));
    forked_page[0] = 2;
    EXPECT_EQ(10, smaps_kib(forked_page, "Pss:"));
    EXPECT_EQ(4, smaps_kib(forked_page, "Private_Dirty:"));
}

TEST(smaps_shares_pages_between_parent_and_child)
{
    forked_page = map_alone(4, RW);
    ASSERT_TRUE(forked_page != NULL);
    madvise(forked_page, 4 * PAGE, MADV_NOHUGEPAGE);
    memset(forked_page, 1, 4 * PAGE);
    EXPECT_EQ(0, utest_in_child(expect_half));
    EXPECT_EQ(16, smaps_kib(forked_page, "Private_Dirty:"));
}

TEST(smaps_flags_follow_the_calls)
{
    int fd = new_memfd(PAGE);
    char *anon = map_alone(1, RW);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    char flags[256];

    ASSERT_TRUE(anon != NULL && shared != MAP_FAILED);
    ASSERT_TRUE(smaps_flags(anon, flags, sizeof(flags)));
    EXPECT_EQ(0, strcmp("rd wr mr mw me ac sd \n", flags));
    ASSERT_TRUE(smaps_flags(shared, flags, sizeof(flags)));
    EXPECT_EQ(0, strcmp("rd sh mr mw me ms sd \n", flags));
    EXPECT_EQ(0, mlock(anon, PAGE));
    EXPECT_EQ(0, madvise(anon, PAGE, MADV_RANDOM));
    EXPECT_EQ(0, madvise(anon, PAGE, MADV_DONTFORK));
    EXPECT_EQ(0, madvise(anon, PAGE, MADV_WIPEONFORK));
    EXPECT_EQ(0, madvise(anon, PAGE, MADV_DONTDUMP));
    ASSERT_TRUE(smaps_flags(anon, flags, sizeof(flags)));
    EXPECT_EQ(0, strcmp("rd wr mr mw me lo rr dc ac wf dd sd \n", flags));
}

TEST(smaps_rollup_is_the_sum)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[512] = "";
    char *p = map_alone(16, RW);
    long anonymous = -1;

    ASSERT_TRUE(file != NULL && p != NULL);
    memset(p, 1, 16 * PAGE);
    ASSERT_TRUE(fgets(line, sizeof(line), file) != NULL);
    EXPECT_TRUE(strstr(line, " ---p 00000000 00:00 0 ") != NULL);
    EXPECT_EQ(0, strcmp("[rollup]\n", line + 73));
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Anonymous:", 10) == 0) {
            anonymous = strtol(line + 10, NULL, 10);
        }
        EXPECT_TRUE(strncmp(line, "VmFlags", 7) != 0);
    }
    EXPECT_LE(64, anonymous);
    fclose(file);
}

TEST(pagemap_tells_what_is_mapped)
{
    int fd = new_memfd(PAGE);
    char *p = map(4);
    char *file = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    volatile char byte;

    ASSERT_TRUE(p != NULL && file != MAP_FAILED);
    p[0] = 1;
    byte = p[PAGE];
    (void)byte;
    file[0] = 1;
    EXPECT_EQ(PM_PRESENT | PM_EXCLUSIVE | PM_SOFT_DIRTY, pagemap_entry(p) & ~PM_FRAME);
    EXPECT_EQ(PM_PRESENT | PM_SOFT_DIRTY, pagemap_entry(p + PAGE) & ~PM_FRAME);
    EXPECT_EQ(PM_SOFT_DIRTY, pagemap_entry(p + 2 * PAGE));
    EXPECT_EQ(PM_PRESENT | PM_EXCLUSIVE | PM_FILE | PM_SOFT_DIRTY, pagemap_entry(file) & ~PM_FRAME);
    EXPECT_TRUE((pagemap_entry(p) & PM_FRAME) != 0);
    EXPECT_EQ(0, munmap(p + 3 * PAGE, PAGE));
    EXPECT_EQ(0, pagemap_entry(p + 3 * PAGE));
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    EXPECT_EQ(PM_PRESENT | PM_EXCLUSIVE | PM_SOFT_DIRTY, pagemap_entry(p) & ~PM_FRAME);
}

TEST(pagemap_hides_frames_from_others)
{
    char *p = map(1);
    int fd;
    uint64_t word = 0;

    ASSERT_TRUE(p != NULL);
    p[0] = 1;
    ASSERT_EQ(0, setuid(1000));
    ASSERT_EQ(0, syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0));
    fd = open("/proc/self/pagemap", O_RDONLY);
    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(8, pread(fd, &word, 8, (off_t)((uintptr_t)p / PAGE * 8)));
    EXPECT_EQ(PM_PRESENT | PM_EXCLUSIVE | PM_SOFT_DIRTY, word);
    EXPECT_ERRNO(EACCES, open("/proc/1/pagemap", O_RDONLY));
    EXPECT_ERRNO(EACCES, open("/proc/kpageflags", O_RDONLY));
}

TEST(pagemap_is_read_in_whole_words)
{
    int fd = open("/proc/self/pagemap", O_RDONLY);
    uint64_t words[600];
    char *p = map(600);

    ASSERT_TRUE(fd >= 0 && p != NULL);
    EXPECT_ERRNO(EINVAL, pread(fd, words, 7, 0));
    EXPECT_ERRNO(EINVAL, pread(fd, words, 8, 4));
    EXPECT_EQ(0, pread(fd, words, 8, (off_t)((1ul << 47) / PAGE * 8)));
    EXPECT_ERRNO(EFAULT, pread(fd, (void *)8, 8, (off_t)((uintptr_t)p / PAGE * 8)));
    memset(p, 1, 600 * PAGE);
    EXPECT_EQ((long)sizeof(words),
              pread(fd, words, sizeof(words), (off_t)((uintptr_t)p / PAGE * 8)));
    for (int i = 0; i < 600; i++) {
        EXPECT_EQ(PM_PRESENT, words[i] & PM_PRESENT);
    }
    EXPECT_EQ(16, lseek(fd, 16, SEEK_SET));
    EXPECT_ERRNO(EINVAL, lseek(fd, 0, SEEK_END));
}

TEST(mem_reads_and_writes_memory)
{
    int fd = open("/proc/self/mem", O_RDWR);
    char *p = map(4);
    char buf[3 * PAGE];

    ASSERT_TRUE(fd >= 0 && p != NULL);
    memset(p, 7, 4 * PAGE);
    EXPECT_EQ((long)sizeof(buf), pread(fd, buf, sizeof(buf), (off_t)(p + 100)));
    EXPECT_EQ(7, buf[0]);
    EXPECT_EQ(7, buf[sizeof(buf) - 1]);
    memset(buf, 9, sizeof(buf));
    EXPECT_EQ(5000, pwrite(fd, buf, 5000, (off_t)(p + 4000)));
    EXPECT_EQ(7, p[3999]);
    EXPECT_EQ(9, p[4000]);
    EXPECT_EQ(9, p[8999]);
    EXPECT_EQ(7, p[9000]);
    EXPECT_EQ(0, munmap(p + 2 * PAGE, PAGE));
    EXPECT_EQ(2 * (long)PAGE, pread(fd, buf, sizeof(buf), (off_t)p));
    EXPECT_ERRNO(EIO, pread(fd, buf, 1, (off_t)(p + 2 * PAGE)));
    EXPECT_ERRNO(EIO, pwrite(fd, buf, 1, (off_t)(p + 2 * PAGE)));
    EXPECT_EQ((long)p, lseek(fd, (off_t)p, SEEK_SET));
    EXPECT_EQ(1, read(fd, buf, 1));
    EXPECT_ERRNO(EFAULT, pread(fd, (void *)8, 8, (off_t)p));
}

TEST(mem_goes_past_protections_like_a_debugger)
{
    int fd = open("/proc/self/mem", O_RDWR);
    int file = new_memfd(PAGE);
    char *p = map(2);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    char byte = 3;

    ASSERT_TRUE(fd >= 0 && p != NULL && shared != MAP_FAILED);
    p[0] = 1;
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_EQ(1, pwrite(fd, &byte, 1, (off_t)p));
    EXPECT_EQ(3, p[0]);
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    byte = 0;
    EXPECT_EQ(1, pread(fd, &byte, 1, (off_t)p));
    EXPECT_EQ(3, byte);
    /* A shared mapping that may not be written stays as it is. */
    EXPECT_ERRNO(EIO, pwrite(fd, &byte, 1, (off_t)shared));
}

TEST(mem_of_a_child_is_its_own_copy)
{
    char *p = map(1);
    char path[64], byte = 0;
    int fds[2];
    pid_t pid;
    int fd, status;

    ASSERT_TRUE(p != NULL && pipe(fds) == 0);
    p[0] = 1;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        p[0] = 2;
        read(fds[0], &byte, 1);
        _exit(p[0]);
    }
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    fd = open(path, O_RDWR);
    ASSERT_TRUE(fd >= 0);
    while (pread(fd, &byte, 1, (off_t)p) == 1 && byte != 2) {
        usleep(1000);
    }
    EXPECT_EQ(2, byte);
    byte = 5;
    EXPECT_EQ(1, pwrite(fd, &byte, 1, (off_t)p));
    EXPECT_EQ(1, p[0]);
    EXPECT_EQ(1, write(fds[1], "x", 1));
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(5, WEXITSTATUS(status));
    EXPECT_EQ(0, pread(fd, &byte, 1, (off_t)p));
}

TEST(frames_tell_their_kind_and_count)
{
    int flags_fd = open("/proc/kpageflags", O_RDONLY);
    int count_fd = open("/proc/kpagecount", O_RDONLY);
    int file = new_memfd(PAGE);
    char *p = map(2);
    char *first = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
    char *second = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
    uint64_t flags = 0, count = 0;
    volatile char byte;

    ASSERT_TRUE(flags_fd >= 0 && count_fd >= 0 && p != NULL && second != MAP_FAILED);
    p[0] = 1;
    byte = p[PAGE];
    first[0] = 1;
    byte = second[0];
    (void)byte;
    EXPECT_EQ(8, pread(flags_fd, &flags, 8, (off_t)((pagemap_entry(p) & PM_FRAME) * 8)));
    EXPECT_EQ(8, pread(count_fd, &count, 8, (off_t)((pagemap_entry(p) & PM_FRAME) * 8)));
    EXPECT_EQ(1 << 12 | 1 << 11, flags & (1 << 12 | 1 << 11)); /* ANON, MMAP */
    EXPECT_EQ(1, count);
    EXPECT_EQ(8, pread(flags_fd, &flags, 8, (off_t)((pagemap_entry(p + PAGE) & PM_FRAME) * 8)));
    EXPECT_EQ(1 << 24, flags & (1 << 24)); /* ZERO_PAGE */
    EXPECT_EQ(8, pread(flags_fd, &flags, 8, (off_t)((pagemap_entry(first) & PM_FRAME) * 8)));
    EXPECT_EQ(8, pread(count_fd, &count, 8, (off_t)((pagemap_entry(first) & PM_FRAME) * 8)));
    EXPECT_EQ(1 << 11 | 1 << 4, flags & (1 << 12 | 1 << 11 | 1 << 4)); /* MMAP, DIRTY */
    EXPECT_EQ(2, count);
    EXPECT_ERRNO(EINVAL, pread(flags_fd, &flags, 7, 0));
    EXPECT_ERRNO(EINVAL, pread(count_fd, &count, 8, 4));
    EXPECT_EQ(0, pread(flags_fd, &flags, 8, (off_t)1 << 40));
}

/* --- the system's memory
 * -------------------------------------------------------------------------- */

enum { NR_COUNTED = 2048, NR_LATE = 512 /* counters of each processor may come so late */ };

/* A number of /proc/vmstat, or -1. */
static long vmstat(const char *name)
{
    char line[128];
    char format[64];
    long value = -1;
    FILE *file = fopen("/proc/vmstat", "r");

    snprintf(format, sizeof(format), "%s %%ld\n", name);
    while (file != NULL && value < 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)!sscanf(line, format, &value);
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

/* KiB of /proc/meminfo, or -1. */
static long meminfo(const char *name)
{
    char line[128];
    long value = -1;
    FILE *file = fopen("/proc/meminfo", "r");

    while (file != NULL && value < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = atol(line + strlen(name));
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

/* Small pages, each of which is a fault of its own. */
static char *map_counted(int flags, int fd)
{
    char *p = mmap(NULL, NR_COUNTED * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

    madvise(p, NR_COUNTED * PAGE, MADV_NOHUGEPAGE);
    return p;
}

static void touch_counted(char *p)
{
    for (unsigned long i = 0; i < NR_COUNTED; i++) {
        p[i * PAGE] = 1;
    }
}

TEST(vmstat_counts_faults_and_pages)
{
    char *p = map_counted(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    long nr_faults = vmstat("pgfault");
    long nr_anon = vmstat("nr_anon_pages");
    long nr_free = vmstat("pglazyfree");

    EXPECT_TRUE(nr_faults > 0);
    EXPECT_TRUE(nr_anon > 0);
    EXPECT_TRUE(vmstat("pgmajfault") >= 0);
    EXPECT_TRUE(vmstat("pglazyfreed") >= 0);
    EXPECT_TRUE(vmstat("oom_kill") >= 0);
    touch_counted(p);
    EXPECT_TRUE(vmstat("pgfault") - nr_faults >= NR_COUNTED);
    EXPECT_TRUE(vmstat("nr_anon_pages") - nr_anon >= NR_COUNTED - NR_LATE);
    EXPECT_EQ(0, madvise(p, NR_COUNTED * PAGE, MADV_FREE));
    EXPECT_TRUE(vmstat("pglazyfree") - nr_free >= NR_COUNTED - NR_LATE);
    EXPECT_EQ(0, munmap(p, NR_COUNTED * PAGE));
    EXPECT_TRUE(vmstat("nr_anon_pages") - nr_anon <= NR_LATE);
}

TEST(vmstat_and_meminfo_count_shared_memory)
{
    int fd = memfd_create("counted", 0);
    long nr_shmem = vmstat("nr_shmem");
    long cached = meminfo("Cached:");
    char *p;

    EXPECT_EQ(0, ftruncate(fd, NR_COUNTED * PAGE));
    p = map_counted(MAP_SHARED, fd);
    EXPECT_TRUE(meminfo("Cached:") - cached <= NR_LATE * 4);
    touch_counted(p);
    EXPECT_TRUE(vmstat("nr_shmem") - nr_shmem >= NR_COUNTED - NR_LATE);
    EXPECT_TRUE(meminfo("Cached:") - cached >= (NR_COUNTED - NR_LATE) * 4);
    EXPECT_EQ(0, ftruncate(fd, 0));
    EXPECT_TRUE(vmstat("nr_shmem") - nr_shmem <= NR_LATE);
    EXPECT_TRUE(meminfo("MemFree:") <= meminfo("MemTotal:"));
}

UTEST_MAIN
