/*
 * The calls that torture.c makes, each with what it does to the model. A call returns whether it
 * was made: one for which the arena has no fitting place is not, and another one is drawn.
 */
#ifndef COWBELL_TESTS_TORTURE_CALLS_H
#define COWBELL_TESTS_TORTURE_CALLS_H

#include <fcntl.h>

#include "torture_access.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define MADV_POPULATE_READ_  22
#define MADV_POPULATE_WRITE_ 23
#define MREMAP_DONTUNMAP_    4

/* 0, or the errno of a call that returned -1. */
static int error_of(long result)
{
    return result == -1 ? errno : 0;
}

static void expect_error(struct tormentor *t, struct range range, int expected, long result)
{
    torture_expect(t, range.first, expected, error_of(result));
}

/* What a call says that goes over holes, or stops in front of one. */
static int error_of_holes(const struct tormentor *t, struct range range)
{
    return range_all(t, range, is_mapped) ? 0 : ENOMEM;
}

/* --- mapping
 * --------------------------------------------------------------------------------------- */

static int random_prot(struct tormentor *t)
{
    uint64_t which = torture_random(t, 8);

    return which == 0 ? PROT_NONE : which == 1 ? PROT_READ : PROT_READ | PROT_WRITE;
}

static bool call_map(struct tormentor *t)
{
    struct range range = random_range(t);
    struct page_model page = {.kind = (enum page_kind)(1 + torture_random(t, 3)),
                              .prot = random_prot(t)};
    int flags = MAP_FIXED | (page.kind == PAGE_FILE_SHARED ? MAP_SHARED : MAP_PRIVATE);
    int nr_pages = range.end - range.first;
    void *at;

    if (page.kind == PAGE_ANON) {
        flags |= MAP_ANONYMOUS | (torture_random(t, 4) == 0 ? MAP_POPULATE : 0);
    } else {
        page.file = (int)torture_random(t, NR_FILES);
        page.index = (int)torture_random(t, FILE_PAGES - (uint64_t)nr_pages + 1);
    }
    at = mmap(page_address(t, range.first), range_bytes(range), page.prot, flags,
              page.kind == PAGE_ANON ? -1 : files[page.file], (off_t)page.index * (off_t)PAGE);
    torture_expect(t, range.first, (intptr_t)page_address(t, range.first), (intptr_t)at);
    for (int i = range.first; i < range.end; i++) {
        t->pages[i] = page;
        page.index++;
    }
    return true;
}

static bool call_unmap(struct tormentor *t)
{
    struct range range = random_range(t);

    expect_error(t, range, 0, munmap(page_address(t, range.first), range_bytes(range)));
    memset(&t->pages[range.first], 0, sizeof(t->pages[0]) * (size_t)(range.end - range.first));
    return true;
}

static bool call_protect(struct tormentor *t)
{
    struct range range = random_range(t);
    int prot = random_prot(t);

    expect_error(t, range, error_of_holes(t, range),
                 mprotect(page_address(t, range.first), range_bytes(range), prot));
    for (int i = range.first; i < range.end && is_mapped(&t->pages[i]); i++) {
        t->pages[i].prot = prot;
    }
    return true;
}

/* --- moving
 * ---------------------------------------------------------------------------------------- */

static void move_model(struct tormentor *t, struct range from, int to, bool stays)
{
    for (int i = from.first; i < from.end; i++) {
        struct page_model *source = &t->pages[i];

        t->pages[to + i - from.first] = *source;
        if (stays) {
            source->has_copy = false;
            source->may_be_dropped = false;
        } else {
            page_clear(source);
        }
    }
}

/* The target is unmapped first: then a refusal, where two VMAs meet, changes nothing. */
static bool call_move(struct tormentor *t)
{
    struct range from = random_range(t);
    int nr_pages = from.end - from.first;
    int to = (int)torture_random(t, (uint64_t)(ARENA_PAGES - nr_pages + 1));
    bool stays = range_all(t, from, is_anon) && torture_random(t, 4) == 0;
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (stays ? MREMAP_DONTUNMAP_ : 0);
    struct range target = {to, to + nr_pages};
    void *at;

    if (!range_is_alike(t, from) || !range_all(t, from, is_not_locked) ||
        (to < from.end && from.first < target.end)) {
        return false;
    }
    expect_error(t, target, 0, munmap(page_address(t, to), range_bytes(from)));
    memset(&t->pages[to], 0, sizeof(t->pages[0]) * (size_t)nr_pages);
    at = mremap(page_address(t, from.first), range_bytes(from), range_bytes(from), flags,
                page_address(t, to));
    if (at == MAP_FAILED && errno == EFAULT && nr_pages > 1) {
        return true;
    }
    torture_expect(t, from.first, (intptr_t)page_address(t, to), (intptr_t)at);
    move_model(t, from, to, stays);
    return true;
}

static bool call_shrink(struct tormentor *t)
{
    struct range range = random_range(t);
    int middle = range.first + 1 + (int)torture_random(t, 3);
    void *at;

    if (middle >= range.end || !range_is_alike(t, range)) {
        return false;
    }
    at = mremap(page_address(t, range.first), range_bytes(range),
                (size_t)(middle - range.first) * PAGE, 0);
    torture_expect(t, range.first, (intptr_t)page_address(t, range.first), (intptr_t)at);
    memset(&t->pages[middle], 0, sizeof(t->pages[0]) * (size_t)(range.end - middle));
    return true;
}

/* In place, into a hole. It may be refused, where a VMA ends that looks as if it went on. */
static bool call_grow(struct tormentor *t)
{
    struct range range = random_range(t);
    struct page_model *last = &t->pages[range.end - 1];
    int end = range.end + 1 + (int)torture_random(t, 3);
    void *at;

    if (end > ARENA_PAGES || !range_is_alike(t, range) || last->is_locked ||
        (page_is_file(last) && last->index + end - range.end >= FILE_PAGES)) {
        return false;
    }
    for (int i = range.end; i < end; i++) {
        if (is_mapped(&t->pages[i])) {
            return false;
        }
    }
    at = mremap(page_address(t, range.first), range_bytes(range),
                (size_t)(end - range.first) * PAGE, 0);
    if (at == MAP_FAILED && (errno == EFAULT || errno == ENOMEM)) {
        return true;
    }
    torture_expect(t, range.first, (intptr_t)page_address(t, range.first), (intptr_t)at);
    for (int i = range.end; i < end; i++) {
        t->pages[i] = t->pages[i - 1];
        t->pages[i].has_copy = false;
        t->pages[i].may_be_dropped = false;
        t->pages[i].index++;
    }
    return true;
}

/* --- advice
 * ---------------------------------------------------------------------------------------- */

static int advise(const struct tormentor *t, struct range range, int advice)
{
    return madvise(page_address(t, range.first), range_bytes(range), advice);
}

static bool call_dontneed(struct tormentor *t)
{
    struct range range = random_range(t);

    if (!range_all(t, range, is_not_locked)) {
        return false;
    }
    expect_error(t, range, error_of_holes(t, range), advise(t, range, MADV_DONTNEED));
    for (int i = range.first; i < range.end; i++) {
        t->pages[i].has_copy = false;
        t->pages[i].may_be_dropped = false;
    }
    return true;
}

static bool call_free(struct tormentor *t)
{
    struct range range = random_range(t);

    if (!range_all(t, range, is_anon) || !range_all(t, range, is_not_locked)) {
        return false;
    }
    expect_error(t, range, 0, advise(t, range, MADV_FREE));
    for (int i = range.first; i < range.end; i++) {
        t->pages[i].may_be_dropped = t->pages[i].has_copy;
    }
    return true;
}

static bool call_hint(struct tormentor *t)
{
    static const int advices[] = {MADV_NORMAL,   MADV_RANDOM, MADV_SEQUENTIAL,
                                  MADV_WILLNEED, MADV_COLD,   MADV_PAGEOUT};
    int advice = advices[torture_random(t, sizeof(advices) / sizeof(advices[0]))];
    struct range range = random_range(t);
    int error;

    if (!range_all(t, range, is_not_locked)) {
        return false;
    }
    error = error_of(advise(t, range, advice));
    if (advice <= MADV_SEQUENTIAL) {
        torture_expect(t, range.first, error_of_holes(t, range), error);
    }
    return true;
}

static bool call_fork_advice(struct tormentor *t)
{
    struct range range = random_range(t);
    bool is_wipe = torture_random(t, 2) == 0;
    bool is_set = torture_random(t, 3) == 0;
    int advice = is_wipe ? (is_set ? MADV_WIPEONFORK : MADV_KEEPONFORK)
                         : (is_set ? MADV_DONTFORK : MADV_DOFORK);

    if (!range_all(t, range, is_wipe ? is_anon : is_mapped)) {
        return false;
    }
    expect_error(t, range, 0, advise(t, range, advice));
    for (int i = range.first; i < range.end; i++) {
        if (is_wipe) {
            t->pages[i].is_wiped_on_fork = is_set;
        } else {
            t->pages[i].is_dont_fork = is_set;
        }
    }
    return true;
}

static bool call_remove(struct tormentor *t)
{
    struct range range = random_range(t);
    struct page_model *page = &t->pages[range.first];

    if (!range_is_alike(t, range) || page->kind != PAGE_FILE_SHARED || page->is_locked ||
        !(page->prot & PROT_WRITE)) {
        return false;
    }
    file_change_begin(page->file);
    expect_error(t, range, 0, advise(t, range, MADV_REMOVE));
    file_punch(page->file, page->index, page->index + range.end - range.first);
    file_change_end(page->file);
    return true;
}

static bool call_populate(struct tormentor *t)
{
    struct range range = random_range(t);
    bool is_write = torture_random(t, 2) == 0;

    if (!range_all(t, range, is_anon_writable)) {
        return false;
    }
    expect_error(t, range, 0,
                 advise(t, range, is_write ? MADV_POPULATE_WRITE_ : MADV_POPULATE_READ_));
    return true;
}

static bool is_anon_readable(const struct page_model *page)
{
    return page->kind == PAGE_ANON && page->prot != PROT_NONE;
}

static bool call_lock(struct tormentor *t)
{
    struct range range = random_range(t);
    bool is_lock = torture_random(t, 3) == 0;
    char *start = page_address(t, range.first);

    if (!range_all(t, range, is_lock ? is_anon_readable : is_mapped)) {
        return false;
    }
    expect_error(t, range, 0,
                 is_lock ? mlock(start, range_bytes(range)) : munlock(start, range_bytes(range)));
    for (int i = range.first; i < range.end; i++) {
        t->pages[i].is_locked = is_lock;
    }
    return true;
}

static bool call_sync(struct tormentor *t)
{
    struct range range = random_range(t);

    expect_error(t, range, error_of_holes(t, range),
                 msync(page_address(t, range.first), range_bytes(range), MS_SYNC));
    return true;
}

static bool call_incore(struct tormentor *t)
{
    unsigned char vec[ARENA_PAGES];
    struct range range = random_range(t);

    expect_error(t, range, error_of_holes(t, range),
                 mincore(page_address(t, range.first), range_bytes(range), vec));
    return true;
}

/* --- files
 * ----------------------------------------------------------------------------------------- */

static bool call_truncate(struct tormentor *t)
{
    int file = (int)torture_random(t, NR_FILES);
    uint32_t nr_pages = (uint32_t)torture_random(t, FILE_PAGES + 1);

    /* Large files are worth more. */
    if (torture_random(t, 4) != 0) {
        nr_pages = FILE_PAGES - nr_pages / 4;
    }
    file_change_begin(file);
    torture_expect(t, -1, 0, error_of(ftruncate(files[file], (off_t)nr_pages * (off_t)PAGE)));
    file_resize(file, nr_pages);
    file_change_end(file);
    return true;
}

static bool call_allocate(struct tormentor *t)
{
    int file = (int)torture_random(t, NR_FILES);
    int first = (int)torture_random(t, FILE_PAGES);
    int end = first + 1 + (int)torture_random(t, 4);
    bool is_punch = torture_random(t, 2) == 0;
    int mode = is_punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0;
    struct file_model *model = &shared->files[file];

    end = end > FILE_PAGES ? FILE_PAGES : end;
    file_change_begin(file);
    torture_expect(t, -1, 0,
                   error_of(fallocate(files[file], mode, (off_t)first * (off_t)PAGE,
                                      (off_t)(end - first) * (off_t)PAGE)));
    if (is_punch) {
        file_punch(file, first, end);
    } else if (end > (int)model->nr_pages) {
        model->nr_pages = (uint32_t)end;
    }
    file_change_end(file);
    return true;
}

/* Reading and writing, within the file's size. */
static bool call_file_io(struct tormentor *t)
{
    int file = (int)torture_random(t, NR_FILES);
    int index = (int)torture_random(t, FILE_PAGES);
    int word = (int)torture_random(t, NR_WORDS);
    off_t at = (off_t)index * (off_t)PAGE + (word == WORD_FIRST ? 0 : (off_t)PAGE - 8);
    uint64_t value = torture_value(t);
    bool is_write = torture_random(t, 2) == 0;
    bool is_inside;

    file_change_begin(file);
    is_inside = file_has(file, index);
    if (is_inside && is_write) {
        torture_expect(t, -1, 8, pwrite(files[file], &value, 8, at));
        shared->files[file].pages[index].words[word] = value;
    } else {
        torture_expect(t, -1, is_inside ? 8 : 0, pread(files[file], &value, 8, at));
        if (is_inside) {
            torture_expect(t, -1, (int64_t)shared->files[file].pages[index].words[word],
                           (int64_t)value);
        }
    }
    file_change_end(file);
    return true;
}

#endif
