/*
 * What torture.c knows of memory: for every page of a thread's arena what is mapped there and what
 * it must hold, and for every page of a file what is in it.
 *
 * A page is known by two words, the first and the last, so that a copy that loses one shows. Files
 * belong to all processes: their model lies in shared memory, changes under the file's lock, and
 * carries a sequence number, so that a reader without the lock knows whether what it saw must have
 * been right. A thread's pages belong to that thread; fork copies their model with the memory.
 */
#ifndef COWBELL_TESTS_TORTURE_MODEL_H
#define COWBELL_TESTS_TORTURE_MODEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE          4096ul
#define ARENA_PAGES   96 /* of a thread; the arenas of a process lie side by side */
#define MAX_THREADS   2
#define MAX_PROCESSES 2
#define NR_FILES      3
#define FILE_PAGES    40
/* A page table ends in the middle of the first arena. */
#define ARENAS ((char *)(0x100040000000ul - 48 * PAGE))

enum { WORD_FIRST, WORD_LAST, NR_WORDS };

/** struct file_page - [f] under the file's lock. */
struct file_page {
    uint64_t words[NR_WORDS];
    uint32_t epoch; /* how often the page was truncated away, with every private copy of it */
};

/** struct file_model - a memory file that every process maps. */
struct file_model {
    pthread_mutex_t lock;
    _Atomic uint32_t seq; /* odd while the contents change */
    uint32_t nr_pages;    /* [f] its size */
    struct file_page pages[FILE_PAGES];
};

/** enum page_kind - what is mapped at a page. */
enum page_kind { PAGE_NONE, PAGE_ANON, PAGE_FILE_PRIVATE, PAGE_FILE_SHARED };

/** struct page_model - one page of an arena; its thread's alone. */
struct page_model {
    enum page_kind kind;
    int prot;
    int file;            /* of PAGE_FILE_*: which, */
    int index;           /* and which page of it */
    bool has_copy;       /* private: @words are the page's, else zeros or the file's page */
    bool may_be_dropped; /* after MADV_FREE, zeros are as right as @words */
    bool is_locked;      /* mlock */
    bool is_dont_fork;
    bool is_wiped_on_fork;
    uint32_t epoch; /* of a file's page when it was copied */
    uint64_t words[NR_WORDS];
};

/** struct shared - what all processes share. */
struct shared {
    struct file_model files[NR_FILES];
    pthread_mutex_t pin_lock; /* the device keeps the pins of one process at a time */
    _Atomic uint64_t nr_calls;
    _Atomic uint64_t nr_accesses;
    _Atomic uint64_t nr_forks;
    _Atomic uint64_t nr_pins;
    _Atomic uint32_t has_failed;
};

/** struct tormentor - a thread and its arena. */
struct tormentor {
    int process; /* its number, and that of the thread; for messages */
    int thread;
    int depth; /* of forks */
    uint64_t random;
    uint64_t nr_steps; /* that it is to do */
    uint64_t step;
    const char *doing;
    uint64_t last_value;
    char *arena;
    struct page_model pages[ARENA_PAGES];
};

static struct shared *shared;
static int files[NR_FILES];

static inline uint64_t torture_random(struct tormentor *t, uint64_t below)
{
    t->random = t->random * 6364136223846793005ull + 1442695040888963407ull;
    return (t->random >> 33) % below;
}

/* A value that is nowhere else: who wrote it, and when. */
static inline uint64_t torture_value(struct tormentor *t)
{
    t->last_value++;
    return ((uint64_t)t->process + 1) << 60 | (uint64_t)t->thread << 56 |
           ((uint64_t)t->depth & 15) << 52 | (t->random >> 20 & 0xfff) << 40 |
           (t->last_value & 0xffffffffff);
}

static inline char *page_address(const struct tormentor *t, int page)
{
    return t->arena + (uint64_t)page * PAGE;
}

static inline uint64_t *word_address(const struct tormentor *t, int page, int word)
{
    return (uint64_t *)(page_address(t, page) + (word == WORD_FIRST ? 0 : PAGE - 8));
}

/* --- files --------------------------------------------------------------------------------------
 */

static inline void file_lock(int file)
{
    struct timespec soon;

    /* Whoever fails leaves with the lock. */
    do {
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_sec += 2;
        if (atomic_load(&shared->has_failed)) {
            _exit(1);
        }
    } while (pthread_mutex_timedlock(&shared->files[file].lock, &soon) != 0);
}

static inline void file_unlock(int file)
{
    pthread_mutex_unlock(&shared->files[file].lock);
}

static inline void file_change_begin(int file)
{
    file_lock(file);
    atomic_fetch_add(&shared->files[file].seq, 1);
}

static inline void file_change_end(int file)
{
    atomic_fetch_add(&shared->files[file].seq, 1);
    file_unlock(file);
}

static inline bool file_has(int file, int index)
{
    return index < (int)shared->files[file].nr_pages;
}

/* The file's lock is held and its sequence number odd. */
static inline void file_resize(int file, uint32_t nr_pages)
{
    struct file_model *model = &shared->files[file];

    for (uint32_t i = nr_pages; i < FILE_PAGES; i++) {
        memset(model->pages[i].words, 0, sizeof(model->pages[i].words));
        model->pages[i].epoch++;
    }
    model->nr_pages = nr_pages;
}

static inline void file_punch(int file, int first, int end)
{
    for (int i = first; i < end && i < FILE_PAGES; i++) {
        memset(shared->files[file].pages[i].words, 0, sizeof(uint64_t) * NR_WORDS);
    }
}

/* --- pages --------------------------------------------------------------------------------------
 */

static inline bool page_is_file(const struct page_model *page)
{
    return page->kind == PAGE_FILE_PRIVATE || page->kind == PAGE_FILE_SHARED;
}

/* A truncation takes private copies along. */
static inline void page_forget_truncated(struct page_model *page)
{
    if (page->kind == PAGE_FILE_PRIVATE && page->has_copy &&
        page->epoch != shared->files[page->file].pages[page->index].epoch) {
        page->has_copy = false;
    }
}

/** enum expectation - how an access ends. */
enum expectation { EXPECT_VALUE, EXPECT_SEGV, EXPECT_BUS };

/* What a read of a word must give; for a page of a file its lock is held, or the sequence number
 * is looked at before and after. */
static inline enum expectation page_expect(struct page_model *page, int word, uint64_t *value)
{
    *value = 0;
    if (page->kind == PAGE_NONE || page->prot == PROT_NONE) {
        return EXPECT_SEGV;
    }
    page_forget_truncated(page);
    if (page->has_copy) {
        *value = page->words[word];
        return EXPECT_VALUE;
    }
    if (!page_is_file(page)) {
        return EXPECT_VALUE;
    }
    if (!file_has(page->file, page->index)) {
        return EXPECT_BUS;
    }
    *value = shared->files[page->file].pages[page->index].words[word];
    return EXPECT_VALUE;
}

/* A page that a fault copies begins as what was there. For a file the lock is held. */
static inline void page_make_copy(struct page_model *page)
{
    page_forget_truncated(page);
    if (page->has_copy || page->kind == PAGE_FILE_SHARED) {
        return;
    }
    memset(page->words, 0, sizeof(page->words));
    if (page->kind == PAGE_FILE_PRIVATE) {
        struct file_page *source = &shared->files[page->file].pages[page->index];

        memcpy(page->words, source->words, sizeof(page->words));
        page->epoch = source->epoch;
    }
    page->has_copy = true;
}

static inline void page_clear(struct page_model *page)
{
    memset(page, 0, sizeof(*page));
}

/* What the child finds, in its own copy of the model. */
static inline void page_after_fork(struct page_model *page)
{
    page->is_locked = false;
    if (page->is_dont_fork) {
        page_clear(page);
    } else if (page->is_wiped_on_fork) {
        page->has_copy = false;
        page->may_be_dropped = false;
    }
}

/* --- ranges -------------------------------------------------------------------------------------
 */

struct range {
    int first;
    int end;
};

static inline struct range random_range(struct tormentor *t)
{
    struct range range;

    range.first = (int)torture_random(t, ARENA_PAGES);
    /* Mostly short ones, so that there is always something to be found. */
    range.end = range.first + 1 + (int)torture_random(t, torture_random(t, 4) == 0 ? 24 : 4);
    range.end = range.end > ARENA_PAGES ? ARENA_PAGES : range.end;
    return range;
}

static inline size_t range_bytes(struct range range)
{
    return (size_t)(range.end - range.first) * PAGE;
}

/* Do all pages satisfy something? */
static inline bool range_all(const struct tormentor *t, struct range range,
                             bool (*is_so)(const struct page_model *page))
{
    for (int i = range.first; i < range.end; i++) {
        if (!is_so(&t->pages[i])) {
            return false;
        }
    }
    return true;
}

static inline bool is_mapped(const struct page_model *page)
{
    return page->kind != PAGE_NONE;
}

static inline bool is_not_locked(const struct page_model *page)
{
    return !page->is_locked;
}

static inline bool is_anon(const struct page_model *page)
{
    return page->kind == PAGE_ANON;
}

static inline bool is_anon_writable(const struct page_model *page)
{
    return page->kind == PAGE_ANON && (page->prot & PROT_WRITE);
}

/* One VMA's worth of pages, as far as the model can tell. */
static inline bool range_is_alike(const struct tormentor *t, struct range range)
{
    const struct page_model *first = &t->pages[range.first];

    for (int i = range.first; i < range.end; i++) {
        const struct page_model *page = &t->pages[i];

        if (page->kind == PAGE_NONE || page->kind != first->kind || page->prot != first->prot ||
            page->is_locked != first->is_locked || page->is_dont_fork != first->is_dont_fork ||
            page->is_wiped_on_fork != first->is_wiped_on_fork ||
            (page_is_file(page) &&
             (page->file != first->file || page->index != first->index + i - range.first))) {
            return false;
        }
    }
    return true;
}

#endif
