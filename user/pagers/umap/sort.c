/*
 * umap at work: four threads sort a file of numbers that is eight times as large as the memory they
 * may use. The result is checked twice: through the memory, and in the file.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "umap_sort"
#include "utest.h"
#include "umap.h"

#include <fcntl.h>
#include <pthread.h>

enum {
    PAGE_BYTES = 4096,
    NR_RESIDENT = 16,
    NR_PAGES = 8 * NR_RESIDENT,
    NR_PAGERS = 3,
    NR_SORTERS = 4,
    PER_PAGE = PAGE_BYTES / sizeof(uint64_t),
    NR_NUMBERS = NR_PAGES * PER_PAGE,
};

/** struct digest - tells whether two files hold the same numbers, in whatever order. */
struct digest {
    uint64_t sum;
    uint64_t mixed;
};

static uint64_t next_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void digest_add(struct digest *digest, uint64_t number)
{
    digest->sum += number;
    number *= 0x9e3779b97f4a7c15ull;
    digest->mixed += number ^ number >> 29;
}

static int make_numbers(struct digest *digest)
{
    uint64_t page[PER_PAGE];
    uint64_t state = 20;
    int fd = open("/tmp/umap_sort", O_RDWR | O_CREAT | O_TRUNC, 0600);

    unlink("/tmp/umap_sort");
    for (int i = 0; i < NR_PAGES; i++) {
        for (size_t j = 0; j < PER_PAGE; j++) {
            page[j] = next_number(&state);
            digest_add(digest, page[j]);
        }
        EXPECT_EQ(PAGE_BYTES, write(fd, page, PAGE_BYTES));
    }
    return fd;
}

/** struct part - numbers of one thread. */
struct part {
    uint64_t *first;
    size_t nr;
    pthread_t thread;
};

static void swap(uint64_t *a, uint64_t *b)
{
    uint64_t value = *a;

    *a = *b;
    *b = value;
}

/* Move what is below the pivot to the front. Return: how many that are. */
static size_t partition(uint64_t *numbers, size_t nr, uint64_t pivot)
{
    size_t front = 0;
    size_t back = nr;

    for (;;) {
        while (front < back && numbers[front] < pivot) {
            front++;
        }
        while (front < back && numbers[back - 1] >= pivot) {
            back--;
        }
        if (front == back) {
            return front;
        }
        swap(&numbers[front], &numbers[back - 1]);
    }
}

static void insertion_sort(uint64_t *numbers, size_t nr)
{
    for (size_t i = 1; i < nr; i++) {
        uint64_t value = numbers[i];
        size_t j = i;

        for (; j > 0 && numbers[j - 1] > value; j--) {
            numbers[j] = numbers[j - 1];
        }
        numbers[j] = value;
    }
}

static void sort(uint64_t *numbers, size_t nr)
{
    while (nr > 16) {
        uint64_t pivot = numbers[nr / 2];
        size_t below = partition(numbers, nr, pivot);
        /* What equals the pivot is where it belongs. */
        size_t upto = below + partition(numbers + below, nr - below, pivot + 1);

        sort(numbers, below);
        numbers += upto;
        nr -= upto;
    }
    insertion_sort(numbers, nr);
}

static void *sort_part(void *argument)
{
    struct part *part = argument;

    sort(part->first, part->nr);
    return NULL;
}

/* Split the numbers by the quarters of their range, and sort the four parts at once. */
static void sort_in_parallel(uint64_t *numbers)
{
    struct part parts[NR_SORTERS];
    uint64_t *first = numbers;
    size_t left = NR_NUMBERS;

    for (int i = 0; i < NR_SORTERS; i++) {
        parts[i].first = first;
        parts[i].nr = i == NR_SORTERS - 1 ? left : partition(first, left, (uint64_t)(i + 1) << 62);
        first += parts[i].nr;
        left -= parts[i].nr;
    }
    for (int i = 0; i < NR_SORTERS; i++) {
        EXPECT_EQ(0, pthread_create(&parts[i].thread, NULL, sort_part, &parts[i]));
    }
    for (int i = 0; i < NR_SORTERS; i++) {
        pthread_join(parts[i].thread, NULL);
    }
}

static void check_sorted(const uint64_t *numbers, size_t nr, uint64_t *last, struct digest *digest)
{
    long nr_wrong = 0;

    for (size_t i = 0; i < nr; i++) {
        nr_wrong += numbers[i] < *last;
        *last = numbers[i];
        digest_add(digest, numbers[i]);
    }
    EXPECT_EQ(0, nr_wrong);
}

static void check_file(int fd, const struct digest *expected)
{
    struct digest digest = {0};
    uint64_t page[PER_PAGE];
    uint64_t last = 0;

    for (int i = 0; i < NR_PAGES; i++) {
        EXPECT_EQ(PAGE_BYTES, pread(fd, page, PAGE_BYTES, (off_t)i * PAGE_BYTES));
        check_sorted(page, PER_PAGE, &last, &digest);
    }
    EXPECT_BYTES(expected, &digest, sizeof(digest));
}

/* Pages that are there, by /proc/self/pagemap. */
static long nr_present(const void *memory)
{
    uint64_t entries[NR_PAGES];
    off_t offset = (off_t)((uintptr_t)memory / PAGE_BYTES * sizeof(entries[0]));
    int fd = open("/proc/self/pagemap", O_RDONLY);
    long nr = 0;

    EXPECT_EQ(sizeof(entries), pread(fd, entries, sizeof(entries), offset));
    close(fd);
    for (int i = 0; i < NR_PAGES; i++) {
        nr += (long)(entries[i] >> 63);
    }
    return nr;
}

TEST(sorts_eight_times_its_memory)
{
    struct digest expected = {0};
    struct digest digest = {0};
    int fd = make_numbers(&expected);
    struct umap_config config = {
        .fd = fd, .nr_pages = NR_PAGES, .nr_resident = NR_RESIDENT, .nr_pagers = NR_PAGERS};
    struct umap_stats stats;
    struct umap *map;
    uint64_t last = 0;

    ASSERT_EQ(0, umap_open(&config, &map));
    sort_in_parallel(umap_memory(map));
    check_sorted(umap_memory(map), NR_NUMBERS, &last, &digest);
    EXPECT_BYTES(&expected, &digest, sizeof(digest));
    /* By the page tables too; each pager thread may be about to change one page for another. */
    EXPECT_LE(nr_present(umap_memory(map)), NR_RESIDENT + NR_PAGERS);
    stats = umap_close(map);
    printf("# %llu pages read, %llu written, at most %zu of %d resident\n",
           (unsigned long long)stats.nr_read, (unsigned long long)stats.nr_written,
           stats.most_resident, NR_PAGES);
    EXPECT_EQ(0, stats.nr_errors);
    EXPECT_EQ(NR_RESIDENT, stats.most_resident);
    EXPECT_LE(NR_PAGES, stats.nr_read);
    /* Written once for each time a page became dirty, and never while it was clean. */
    EXPECT_EQ(stats.nr_dirtied, stats.nr_written);
    check_file(fd, &expected);
}

TEST(reading_alone_writes_nothing)
{
    struct digest expected = {0};
    struct digest digest = {0};
    int fd = make_numbers(&expected);
    struct umap_config config = {
        .fd = fd, .nr_pages = NR_PAGES, .nr_resident = NR_RESIDENT, .nr_pagers = 1};
    struct umap_stats stats;
    struct umap *map;

    ASSERT_EQ(0, umap_open(&config, &map));
    for (size_t i = 0; i < NR_NUMBERS; i++) {
        digest_add(&digest, ((uint64_t *)umap_memory(map))[i]);
    }
    EXPECT_BYTES(&expected, &digest, sizeof(digest));
    stats = umap_get_stats(map);
    EXPECT_EQ(NR_PAGES, stats.nr_read);
    EXPECT_EQ(NR_PAGES - NR_RESIDENT, stats.nr_evicted);
    EXPECT_EQ(0, stats.nr_dirtied);
    EXPECT_EQ(0, stats.nr_written);
    umap_close(map);
}

TEST(a_sequential_writer_writes_each_page_once)
{
    struct digest unused = {0};
    int fd = make_numbers(&unused);
    struct umap_config config = {
        .fd = fd, .nr_pages = NR_PAGES, .nr_resident = NR_RESIDENT, .nr_pagers = 2};
    struct umap_stats stats;
    struct umap *map;
    uint64_t value;

    ASSERT_EQ(0, umap_open(&config, &map));
    for (size_t i = 0; i < NR_NUMBERS; i++) {
        ((uint64_t *)umap_memory(map))[i] = i;
    }
    umap_flush(map);
    stats = umap_get_stats(map);
    EXPECT_EQ(NR_PAGES, stats.nr_dirtied);
    EXPECT_EQ(NR_PAGES, stats.nr_written);
    /* Clean after the flush: writing again asks again. */
    ((uint64_t *)umap_memory(map))[0] = 7;
    stats = umap_close(map);
    EXPECT_EQ(NR_PAGES + 1, stats.nr_dirtied);
    EXPECT_EQ(NR_PAGES + 1, stats.nr_written);
    for (size_t i = 0; i < NR_NUMBERS; i += PER_PAGE + 1) {
        EXPECT_EQ(sizeof(value), pread(fd, &value, sizeof(value), (off_t)(i * sizeof(value))));
        EXPECT_EQ(i == 0 ? 7 : i, value);
    }
}

TEST(what_cannot_be_is_refused)
{
    struct umap *map;

    EXPECT_EQ(-EINVAL, umap_open(&(struct umap_config){0, 0, 8, 1}, &map));
    EXPECT_EQ(-EINVAL, umap_open(&(struct umap_config){0, 8, 8, 0}, &map));
    EXPECT_EQ(-EINVAL, umap_open(&(struct umap_config){0, 8, 2, 2}, &map));
}

UTEST_MAIN
