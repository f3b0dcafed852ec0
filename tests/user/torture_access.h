/*
 * How torture.c looks at memory and changes it, by every way that leads there, and what it says
 * when something else is found than must be.
 */
#ifndef COWBELL_TESTS_TORTURE_ACCESS_H
#define COWBELL_TESTS_TORTURE_ACCESS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "torture_model.h"

static uint64_t torture_seed;

static __thread sigjmp_buf fault_exit;
static __thread volatile int is_probing;

static _Noreturn void torture_fail(struct tormentor *t, int page, uint64_t expected,
                                   uint64_t actual)
{
    const struct page_model *model = &t->pages[page < 0 ? 0 : page];
    char text[512];
    uint64_t entry = 0; /* of the pagemap: bit 63 present, bit 61 a file's page */
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    int len;

    (void)!pread(pagemap, &entry, 8, (off_t)((uintptr_t)page_address(t, page) / PAGE * 8));

    /* The first to fail says so; the others stop. */
    if (atomic_exchange(&shared->has_failed, 1) == 0) {
        len = snprintf(text, sizeof(text),
                       "# torture: seed %llu: process %d, thread %d, fork depth %d, step %llu, %s: "
                       "page %d (kind %d, prot %d, file %d.%d, copy %d): expected %#llx, actual "
                       "%#llx, pagemap %#llx\n",
                       (unsigned long long)torture_seed, t->process, t->thread, t->depth,
                       (unsigned long long)t->step, t->doing, page, model->kind, model->prot,
                       model->file, model->index, model->has_copy, (unsigned long long)expected,
                       (unsigned long long)actual, (unsigned long long)entry);
        (void)!write(STDOUT_FILENO, text, (size_t)len);
    }
    _exit(1);
}

static inline void torture_expect(struct tormentor *t, int page, int64_t expected, int64_t actual)
{
    if (expected != actual) {
        torture_fail(t, page, (uint64_t)expected, (uint64_t)actual);
    }
}

/* --- single words
 * --------------------------------------------------------------------------------- */

static void on_fault(int sig)
{
    if (!is_probing) {
        static const char text[] = "# torture: a fault where none belongs\n";

        (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
        _exit(2);
    }
    siglongjmp(fault_exit, sig);
}

static void install_fault_handler(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static enum expectation outcome_of(int sig)
{
    return sig == 0 ? EXPECT_VALUE : sig == SIGSEGV ? EXPECT_SEGV : EXPECT_BUS;
}

static enum expectation load_word(const uint64_t *at, uint64_t *value)
{
    int sig = sigsetjmp(fault_exit, 0);

    if (sig == 0) {
        is_probing = 1;
        *value = *(volatile const uint64_t *)at;
    }
    is_probing = 0;
    return outcome_of(sig);
}

static enum expectation store_word(uint64_t *at, uint64_t value)
{
    int sig = sigsetjmp(fault_exit, 0);

    if (sig == 0) {
        is_probing = 1;
        *(volatile uint64_t *)at = value;
    }
    is_probing = 0;
    return outcome_of(sig);
}

/* The same by process_vm_readv and _writev, which know one error for all. */
static long copy_remote(pid_t pid, uint64_t *at, uint64_t *value, bool is_write)
{
    struct iovec local = {value, sizeof(*value)};
    struct iovec remote = {at, sizeof(*value)};

    return is_write ? process_vm_writev(pid, &local, 1, &remote, 1, 0)
                    : process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

/* And by a pipe: the kernel copies from and to user memory. */
static bool copy_through_pipe(uint64_t *at, uint64_t *value, bool is_write)
{
    int ends[2];
    bool is_done;

    if (pipe(ends) != 0) {
        return false;
    }
    if (is_write) {
        is_done = write(ends[1], value, 8) == 8 && read(ends[0], at, 8) == 8;
    } else {
        is_done = write(ends[1], at, 8) == 8 && read(ends[0], value, 8) == 8;
    }
    close(ends[0]);
    close(ends[1]);
    return is_done;
}

enum way { WAY_DIRECT, WAY_REMOTE, WAY_PIPE, NR_WAYS };

/* One in eight goes through the kernel. */
static enum way random_way(struct tormentor *t)
{
    return torture_random(t, 8) == 0 ? (enum way)(1 + torture_random(t, 2)) : WAY_DIRECT;
}

static enum expectation access_word(enum way way, uint64_t *at, uint64_t *value, bool is_write)
{
    bool is_done;

    if (way == WAY_DIRECT) {
        return is_write ? store_word(at, *value) : load_word(at, value);
    }
    is_done = way == WAY_REMOTE ? copy_remote(getpid(), at, value, is_write) == 8
                                : copy_through_pipe(at, value, is_write);
    return is_done ? EXPECT_VALUE : EXPECT_SEGV;
}

/* The kernel's ways do not tell one failure from the other. */
static bool is_same_outcome(enum way way, enum expectation expected, enum expectation actual)
{
    return expected == actual ||
           (way != WAY_DIRECT && expected != EXPECT_VALUE && actual != EXPECT_VALUE);
}

/* --- checking
 * -------------------------------------------------------------------------------------- */

/* What was read of a page whose contents cannot have changed meanwhile. */
static void judge_read(struct tormentor *t, int number, int word, enum way way,
                       enum expectation outcome, uint64_t value)
{
    struct page_model *page = &t->pages[number];
    uint64_t expected;
    enum expectation wanted = page_expect(page, word, &expected);

    if (!is_same_outcome(way, wanted, outcome)) {
        torture_fail(t, number, 0xe0 + wanted, 0xe0 + outcome);
    }
    if (outcome != EXPECT_VALUE || wanted != EXPECT_VALUE || value == expected) {
        return;
    }
    if (page->may_be_dropped && value == 0) {
        page->has_copy = false;
        page->may_be_dropped = false;
        return;
    }
    torture_fail(t, number, expected, value);
}

static void check_word(struct tormentor *t, int number, int word)
{
    struct page_model *page = &t->pages[number];
    uint64_t *at = word_address(t, number, word);
    enum way way = random_way(t);
    enum expectation outcome;
    uint64_t value = 0;

    if (!page_is_file(page)) {
        outcome = access_word(way, at, &value, false);
        judge_read(t, number, word, way, outcome, value);
        return;
    }
    if (torture_random(t, 2) == 0) {
        _Atomic uint32_t *seq = &shared->files[page->file].seq;
        uint32_t before = atomic_load(seq);

        outcome = access_word(way, at, &value, false);
        if (before % 2 == 0) {
            file_lock(page->file);
            if (atomic_load(seq) == before) {
                judge_read(t, number, word, way, outcome, value);
            }
            file_unlock(page->file);
        }
        return;
    }
    file_lock(page->file);
    outcome = access_word(way, at, &value, false);
    judge_read(t, number, word, way, outcome, value);
    file_unlock(page->file);
}

static void check_everything(struct tormentor *t)
{
    const char *doing = t->doing;

    t->doing = "a look at everything";
    for (int i = 0; i < ARENA_PAGES; i++) {
        check_word(t, i, WORD_FIRST);
        check_word(t, i, WORD_LAST);
    }
    t->doing = doing;
}

/* --- writing
 * --------------------------------------------------------------------------------------- */

static enum expectation expect_write(struct page_model *page)
{
    uint64_t value;
    enum expectation wanted;

    if (page->kind == PAGE_NONE || !(page->prot & PROT_WRITE)) {
        return EXPECT_SEGV;
    }
    wanted = page_expect(page, WORD_FIRST, &value);
    return wanted;
}

/* After a write that went through: MADV_FREE may have taken the page before, but not any more. */
static void settle_dropped(struct tormentor *t, int number, int other)
{
    struct page_model *page = &t->pages[number];
    uint64_t value = 0;

    if (!page->may_be_dropped) {
        return;
    }
    if (load_word(word_address(t, number, other), &value) != EXPECT_VALUE ||
        (value != 0 && value != page->words[other])) {
        torture_fail(t, number, page->words[other], value);
    }
    page->words[other] = value;
    page->may_be_dropped = false;
}

static void write_word(struct tormentor *t, int number, int word)
{
    struct page_model *page = &t->pages[number];
    enum way way = random_way(t);
    uint64_t value = torture_value(t);
    bool is_file = page_is_file(page);
    enum expectation wanted, outcome;
    int file = page->file;

    if (is_file && page->kind == PAGE_FILE_SHARED) {
        file_change_begin(file);
    } else if (is_file) {
        file_lock(file);
    }
    wanted = expect_write(page);
    outcome = access_word(way, word_address(t, number, word), &value, true);
    if (!is_same_outcome(way, wanted, outcome)) {
        torture_fail(t, number, 0xf0 + wanted, 0xf0 + outcome);
    }
    if (outcome == EXPECT_VALUE && page->kind == PAGE_FILE_SHARED) {
        shared->files[file].pages[page->index].words[word] = value;
    } else if (outcome == EXPECT_VALUE) {
        page_make_copy(page);
        page->words[word] = value;
        settle_dropped(t, number, !word);
    }
    if (is_file && page->kind == PAGE_FILE_SHARED) {
        file_change_end(file);
    } else if (is_file) {
        file_unlock(file);
    }
}

/*
 * A write to a private page of a file while others may truncate it: it is there, or the copy was
 * taken away again, or there was nothing to copy. Which, is found out afterwards.
 */
static void write_in_a_race(struct tormentor *t, int number, int word)
{
    struct page_model *page = &t->pages[number];
    uint64_t value = torture_value(t);
    uint64_t found[NR_WORDS] = {0};
    enum expectation outcome;

    if (page->kind != PAGE_FILE_PRIVATE || !(page->prot & PROT_WRITE)) {
        write_word(t, number, word);
        return;
    }
    (void)store_word(word_address(t, number, word), value);
    file_lock(page->file);
    page_forget_truncated(page);
    outcome = load_word(word_address(t, number, WORD_FIRST), &found[WORD_FIRST]);
    (void)load_word(word_address(t, number, WORD_LAST), &found[WORD_LAST]);
    if (outcome == EXPECT_VALUE && found[word] == value) {
        struct file_page *source = &shared->files[page->file].pages[page->index];

        /* The rest of an older copy stays as it was. */
        if (page->has_copy && found[!word] != page->words[!word]) {
            torture_fail(t, number, page->words[!word], found[!word]);
        }
        page->has_copy = true;
        page->epoch = source->epoch;
        memcpy(page->words, found, sizeof(found));
    } else {
        judge_read(t, number, WORD_FIRST, WAY_DIRECT, outcome, found[WORD_FIRST]);
        if (page->has_copy) {
            torture_fail(t, number, value, found[word]);
        }
    }
    file_unlock(page->file);
}

#endif
