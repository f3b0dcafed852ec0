/*
 * Torture: random sequences of memory calls and accesses by several processes and threads, with a
 * model of what memory must hold (torture_model.h), looked at after every step.
 *
 * Threads of a process work on arenas that lie side by side, so they share VMAs, page tables and
 * the address space's locks; processes share files; children are forked in the middle of all that,
 * go on by themselves with what they have inherited, and end. As a test it does a fixed number of
 * steps; `torture SEED OPERATIONS` does others (tools/torture.py, `make torture`).
 */
#define _GNU_SOURCE
#define UTEST_SUITE "torture"
#include "utest.h"

#include <sys/syscall.h>

#include "gup_device.h"
#include "torture_calls.h"

/* Of all threads together. `make check` has five machines, and the sum is more than a million. */
#define STEPS_OF_A_ROUND 60000ull
#define ROUNDS_OF_A_TEST 5
#define CHILD_STEPS      60
#define MAX_DEPTH        2
#define MAX_CHILDREN     2
#define CHECK_ALL_EVERY  512
#define MAX_PINNED       4

#define SYS_KINFO    1034
#define KINFO_VERIFY 16

static struct tormentor tormentors[MAX_THREADS];
/* One for all: the device gives up its pins whenever somebody closes it for good. */
static int pin_device;

static void run(struct tormentor *t);

/* Cowbell's test kernel checks its invariants; other systems do not know the call. */
static bool verify(void)
{
    return syscall(SYS_KINFO, KINFO_VERIFY, 0, NULL, 0) == 0;
}

/* --- pins
 * ------------------------------------------------------------------------------------------ */

/* While the pin lasts, what it shows is what the process has, whoever forks meanwhile. */
static bool call_pin(struct tormentor *t)
{
    static __thread uint64_t seen[MAX_PINNED * PAGE / 8];
    struct range range = random_range(t);
    struct pin_longterm_test request;
    uint64_t at = (uintptr_t)seen;

    range.end = range.end > range.first + MAX_PINNED ? range.first + MAX_PINNED : range.end;
    if (pin_device < 0 || !range_all(t, range, is_anon_writable) ||
        pthread_mutex_trylock(&shared->pin_lock) != 0) {
        return false;
    }
    for (int i = range.first; i < range.end; i++) {
        write_word(t, i, WORD_FIRST);
    }
    request = (struct pin_longterm_test){
        .addr = (uintptr_t)page_address(t, range.first),
        .size = range_bytes(range),
        .flags = torture_random(t, 4) & (LONGTERM_USE_WRITE | LONGTERM_USE_FAST),
    };
    torture_expect(t, range.first, 0,
                   error_of(ioctl(pin_device, PIN_LONGTERM_TEST_START, &request)));
    for (uint64_t i = torture_random(t, 6); i > 0; i--) {
        write_word(t, range.first + (int)torture_random(t, (uint64_t)(range.end - range.first)),
                   (int)torture_random(t, NR_WORDS));
    }
    torture_expect(t, range.first, 0, error_of(ioctl(pin_device, PIN_LONGTERM_TEST_READ, &at)));
    for (int i = range.first; i < range.end; i++) {
        const uint64_t *page = seen + (uint64_t)(i - range.first) * PAGE / 8;

        torture_expect(t, i, (int64_t)t->pages[i].words[WORD_FIRST], (int64_t)page[0]);
        torture_expect(t, i, (int64_t)t->pages[i].words[WORD_LAST], (int64_t)page[PAGE / 8 - 1]);
    }
    torture_expect(t, range.first, 0, error_of(ioctl(pin_device, PIN_LONGTERM_TEST_STOP, 0)));
    pthread_mutex_unlock(&shared->pin_lock);
    atomic_fetch_add(&shared->nr_pins, 1);
    return true;
}

/* A page that a pipe holds is the process's until it is written again. */
static bool call_splice(struct tormentor *t)
{
    static __thread uint64_t seen[PAGE / 8];
    int number = (int)torture_random(t, ARENA_PAGES);
    struct page_model *page = &t->pages[number];
    struct iovec iov = {page_address(t, number), PAGE};
    int ends[2];

    if (!is_anon_writable(page) || pipe(ends) != 0) {
        return false;
    }
    write_word(t, number, (int)torture_random(t, NR_WORDS));
    torture_expect(t, number, (int64_t)PAGE, vmsplice(ends[1], &iov, 1, 0));
    torture_expect(t, number, (int64_t)PAGE, read(ends[0], seen, PAGE));
    torture_expect(t, number, (int64_t)page->words[WORD_FIRST], (int64_t)seen[0]);
    torture_expect(t, number, (int64_t)page->words[WORD_LAST], (int64_t)seen[PAGE / 8 - 1]);
    close(ends[0]);
    close(ends[1]);
    return true;
}

/* --- fork
 * ------------------------------------------------------------------------------------------ */

/* What the parent tells its child that it has written into its memory. */
struct message {
    int page; /* -1: nothing */
    int word;
    uint64_t value;
};

static __thread pid_t children[MAX_CHILDREN];
static __thread int nr_children;

static void reap_child(struct tormentor *t)
{
    int status = -1;

    while (waitpid(children[0], &status, 0) < 0 && errno == EINTR) {}
    nr_children--;
    memmove(children, children + 1, sizeof(children[0]) * (size_t)nr_children);
    if (status != 0) {
        torture_fail(t, -1, 0, (uint64_t)status);
    }
}

static _Noreturn void child_main(struct tormentor *t, int from_parent)
{
    struct message message;

    for (int i = 0; i < ARENA_PAGES; i++) {
        page_after_fork(&t->pages[i]);
    }
    t->depth++;
    t->random ^= 0x9e3779b97f4a7c15ull * (uint64_t)t->depth;
    t->nr_steps = CHILD_STEPS;
    t->step = 0;
    nr_children = 0;
    torture_expect(t, -1, sizeof(message), read(from_parent, &message, sizeof(message)));
    close(from_parent);
    if (message.page >= 0) {
        page_make_copy(&t->pages[message.page]);
        t->pages[message.page].words[message.word] = message.value;
        settle_dropped(t, message.page, !message.word);
    }
    t->doing = "a fork";
    check_everything(t);
    run(t);
    _exit(0);
}

/* The child waits: its private memory is what the parent's was at the fork. */
static void look_at_child(struct tormentor *t, pid_t pid, struct message *message)
{
    for (int i = 0; i < ARENA_PAGES; i += 1 + (int)torture_random(t, 16)) {
        struct page_model page = t->pages[i];
        uint64_t expected, value = 0;
        enum expectation wanted;
        bool is_done;

        page_after_fork(&page);
        if (page_is_file(&page) || page.may_be_dropped) {
            continue;
        }
        wanted = page_expect(&page, WORD_FIRST, &expected);
        is_done = copy_remote(pid, word_address(t, i, WORD_FIRST), &value, false) == 8;
        torture_expect(t, i, wanted == EXPECT_VALUE, is_done);
        torture_expect(t, i, (int64_t)expected, (int64_t)value);
        if (message->page < 0 && is_anon_writable(&page)) {
            *message = (struct message){i, (int)torture_random(t, NR_WORDS), torture_value(t)};
            value = message->value;
            torture_expect(t, i, 8,
                           copy_remote(pid, word_address(t, i, message->word), &value, true));
        }
    }
}

static bool call_fork(struct tormentor *t)
{
    struct message message = {.page = -1};
    int ends[2];
    pid_t pid;

    if (t->depth >= MAX_DEPTH || pipe(ends) != 0) {
        return false;
    }
    while (nr_children >= MAX_CHILDREN) {
        reap_child(t);
    }
    pid = fork();
    if (pid == 0) {
        close(ends[1]);
        child_main(t, ends[0]);
    }
    if (pid < 0) {
        torture_fail(t, -1, 0, (uint64_t)errno);
    }
    close(ends[0]);
    if (torture_random(t, 2) == 0) {
        look_at_child(t, pid, &message);
    }
    torture_expect(t, -1, sizeof(message), write(ends[1], &message, sizeof(message)));
    close(ends[1]);
    children[nr_children++] = pid;
    atomic_fetch_add(&shared->nr_forks, 1);
    return true;
}

/* --- steps
 * ----------------------------------------------------------------------------------------- */

static bool look(struct tormentor *t)
{
    check_word(t, (int)torture_random(t, ARENA_PAGES), (int)torture_random(t, NR_WORDS));
    return true;
}

static bool change(struct tormentor *t)
{
    write_word(t, (int)torture_random(t, ARENA_PAGES), (int)torture_random(t, NR_WORDS));
    return true;
}

static bool change_in_a_race(struct tormentor *t)
{
    write_in_a_race(t, (int)torture_random(t, ARENA_PAGES), (int)torture_random(t, NR_WORDS));
    return true;
}

static const struct {
    const char *name;
    bool (*run)(struct tormentor *t);
    int weight; /* in 1,000, about */
    bool is_call;
} steps[] = {
    {"a read", look, 140, false},
    {"a write", change, 160, false},
    {"a write in a race", change_in_a_race, 50, false},
    {"mmap", call_map, 130, true},
    {"munmap", call_unmap, 30, true},
    {"mprotect", call_protect, 80, true},
    {"mremap, moving", call_move, 60, true},
    {"mremap, shrinking", call_shrink, 10, true},
    {"mremap, growing", call_grow, 30, true},
    {"MADV_DONTNEED", call_dontneed, 30, true},
    {"MADV_FREE", call_free, 20, true},
    {"advice", call_hint, 40, true},
    {"advice for fork", call_fork_advice, 20, true},
    {"MADV_REMOVE", call_remove, 10, true},
    {"MADV_POPULATE", call_populate, 20, true},
    {"mlock, munlock", call_lock, 30, true},
    {"msync", call_sync, 20, true},
    {"mincore", call_incore, 20, true},
    {"ftruncate", call_truncate, 20, true},
    {"fallocate", call_allocate, 20, true},
    {"pread, pwrite", call_file_io, 20, true},
    {"a long-term pin", call_pin, 15, true},
    {"vmsplice", call_splice, 10, true},
    {"fork", call_fork, 3, true},
};

#define NR_STEPS (sizeof(steps) / sizeof(steps[0]))

static size_t draw(struct tormentor *t)
{
    static int sum;
    int drawn;

    if (sum == 0) {
        int total = 0;

        for (size_t i = 0; i < NR_STEPS; i++) {
            total += steps[i].weight;
        }
        sum = total;
    }
    drawn = (int)torture_random(t, (uint64_t)sum);
    for (size_t i = 0;; i++) {
        drawn -= steps[i].weight;
        if (drawn < 0) {
            return i;
        }
    }
}

static void run(struct tormentor *t)
{
    uint64_t nr_calls = 0;

    for (t->step = 0; t->step < t->nr_steps && !atomic_load(&shared->has_failed);) {
        size_t which = draw(t);

        t->doing = steps[which].name;
        if (!steps[which].run(t)) {
            continue;
        }
        nr_calls += steps[which].is_call;
        t->step++;
        if (t->step % CHECK_ALL_EVERY == 0) {
            check_everything(t);
        }
    }
    check_everything(t);
    while (nr_children > 0) {
        reap_child(t);
    }
    if (t->step < t->nr_steps) {
        _exit(1);
    }
    atomic_fetch_add(&shared->nr_calls, nr_calls);
    atomic_fetch_add(&shared->nr_accesses, t->step - nr_calls);
}

/* --- processes and threads
 * --------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
    run(arg);
    return NULL;
}

static _Noreturn void process_main(int process, uint64_t nr_steps)
{
    pthread_t threads[MAX_THREADS];

    install_fault_handler();
    for (int i = 0; i < MAX_THREADS; i++) {
        tormentors[i] = (struct tormentor){
            .process = process,
            .thread = i,
            .random = torture_seed * 7919 + (uint64_t)(process * MAX_THREADS + i) * 104729,
            .nr_steps = nr_steps / (MAX_PROCESSES * MAX_THREADS),
            .arena = ARENAS + (uint64_t)i * ARENA_PAGES * PAGE,
        };
        if (pthread_create(&threads[i], NULL, thread_main, &tormentors[i]) != 0) {
            _exit(3);
        }
    }
    for (int i = 0; i < MAX_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    _exit(0);
}

static void make_shared(void)
{
    pthread_mutexattr_t attributes;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_TRUE(shared != MAP_FAILED);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->pin_lock, &attributes);
    pin_device = gup_open_flags(O_RDWR);
    for (int i = 0; i < NR_FILES; i++) {
        pthread_mutex_init(&shared->files[i].lock, &attributes);
        files[i] = memfd_create("torture", 0);
        EXPECT_TRUE(files[i] >= 0);
        EXPECT_EQ(0, ftruncate(files[i], FILE_PAGES * PAGE));
        shared->files[i].nr_pages = FILE_PAGES;
    }
}

static void end_shared(void)
{
    for (int i = 0; i < NR_FILES; i++) {
        close(files[i]);
    }
    close(pin_device);
    munmap(shared, sizeof(*shared));
}

/* One round: every process with every thread. Return: did all go well? */
static bool torture_round(uint64_t seed, uint64_t nr_steps)
{
    pid_t pids[MAX_PROCESSES];
    bool is_good = true;

    torture_seed = seed;
    make_shared();
    fflush(stdout);
    for (int i = 0; i < MAX_PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            process_main(i, nr_steps);
        }
    }
    for (int i = 0; i < MAX_PROCESSES; i++) {
        int status = -1;

        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR) {}
        EXPECT_EQ(0, status);
        is_good = is_good && status == 0;
    }
    printf("# tortured with %llu operations: %llu calls, %llu accesses, %llu forks, %llu pins; "
           "seed %llu\n",
           (unsigned long long)(shared->nr_calls + shared->nr_accesses),
           (unsigned long long)shared->nr_calls, (unsigned long long)shared->nr_accesses,
           (unsigned long long)shared->nr_forks, (unsigned long long)shared->nr_pins,
           (unsigned long long)seed);
    EXPECT_LE(nr_steps - nr_steps % (MAX_PROCESSES * MAX_THREADS),
              shared->nr_calls + shared->nr_accesses);
    (void)verify();
    end_shared();
    return is_good;
}

TEST(memory_holds_what_the_model_says)
{
    alarm(0);
    /* Elsewhere one round shows that the model is right. */
    for (uint64_t seed = 1; seed <= (verify() ? ROUNDS_OF_A_TEST : 1); seed++) {
        if (!torture_round(seed, STEPS_OF_A_ROUND)) {
            break;
        }
    }
}

int main(int argc, char **argv)
{
    bool is_good;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3) {
        return utest_main(UTEST_SUITE, argc > 1 ? argv[1] : NULL);
    }
    is_good = torture_round(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
    printf("torture: seed %s %s\n", argv[1], is_good ? "passed" : "failed");
    return is_good ? 0 : 1;
}
