/*
 * The write-protect bit and the markers that keep its place (rules F): the table of states and
 * operations, cell by cell, on anonymous memory (without and with WP_UNPOPULATED), private and
 * shared shmem; in one address space, and while a child shares what is there.
 *
 * A state is a letter, as /proc/self/pagemap and an access tell it:
 *   n nothing   m nothing, protected (a marker)   x poison   p page   w page, protected
 * An outcome is the state afterwards, behind `!` if the operation was refused: EEXIST of a command,
 * SIGBUS of an access. `-`: the state does not exist here.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_wp_table"
#include "utest.h"
#include "uffd_tools.h"

#include <setjmp.h>

enum kind { PLAIN, UNPOPULATED, PRIVATE, SHARED, NR_KINDS };
enum { REFUSED = 1 };

static const char *const kind_names[NR_KINDS] = {"anonymous", "anonymous, unpopulated",
                                                 "private shmem", "shared shmem"};

struct scene {
    enum kind kind;
    int fd;
    struct region r;
    char *now_at; /* where the page is, which an operation may move */
    int is_cut;   /* the private pages of every mapping of the file went with the file's */
    pid_t child;
    int ask[2];
    int answer[2];
};

/** struct cell - what becomes of a state by an operation, for each kind. */
struct cell {
    char before;
    const char *after[NR_KINDS];
};

static sigjmp_buf after_signal;
static volatile int signal_code;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    signal_code = info->si_code;
    siglongjmp(after_signal, 1);
}

static int access_page(volatile char *p, enum touch kind)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    sigaction(SIGBUS, &action, NULL);
    signal_code = 0;
    if (sigsetjmp(after_signal, 1) != 0) {
        return REFUSED;
    }
    if (kind == TOUCH_WRITE) {
        *p = 44;
    } else {
        *p;
    }
    return 0;
}

/* Looks at the page last of all: telling poison from nothing takes an access. */
static char state_of(const char *p)
{
    uint64_t entry = pagemap_entry(p);

    if (entry & PM_PRESENT) {
        return entry & PM_UFFD_WP ? 'w' : 'p';
    }
    if (entry & PM_UFFD_WP) {
        return 'm';
    }
    return access_page((char *)p, TOUCH_READ) == REFUSED && signal_code == BUS_MCEERR_AR ? 'x'
                                                                                         : 'n';
}

static void child_main(struct scene *s)
{
    char byte = 0;

    write(s->answer[1], &byte, 1);
    while (read(s->ask[0], &byte, 1) == 1) {
        char seen[3];

        seen[0] = page_is_protected(s->r.p) ? 'w' : 'p';
        seen[1] = access_page(s->r.p, TOUCH_READ) == 0 ? *s->r.p : -1;
        seen[2] = (char)access_page(s->r.p, TOUCH_WRITE);
        write(s->answer[1], seen, sizeof(seen));
    }
    _exit(0);
}

/* The child has closed its copy of the descriptor when this returns. */
static void start_child(struct scene *s)
{
    char byte;

    EXPECT_EQ(0, pipe(s->ask) | pipe(s->answer));
    fflush(stdout);
    s->child = fork();
    if (s->child == 0) {
        close(s->fd);
        close(s->ask[1]);
        close(s->answer[0]);
        child_main(s);
    }
    close(s->ask[0]);
    close(s->answer[1]);
    EXPECT_EQ(1, read(s->answer[0], &byte, 1));
}

/* The child keeps no protection, sees its own byte, and may write. */
static void ask_child(struct scene *s, char before)
{
    char seen[3] = {0};
    char byte = 1;

    write(s->ask[1], &byte, 1);
    EXPECT_EQ(sizeof(seen), read(s->answer[0], seen, sizeof(seen)));
    EXPECT_EQ('p', seen[0]);
    if (s->kind != SHARED && !s->is_cut && (before == 'p' || before == 'w')) {
        EXPECT_EQ(33, seen[1]);
    }
    EXPECT_EQ(0, seen[2]);
}

static void end_child(struct scene *s)
{
    close(s->ask[1]);
    close(s->answer[0]);
    kill(s->child, SIGKILL);
    waitpid(s->child, NULL, 0);
}

static int place(struct scene *s, char before)
{
    static const enum memory memories[] = {ANON, ANON, SHMEM_PRIVATE, SHMEM_SHARED};
    uint64_t features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_SIGBUS | UFFD_FEATURE_POISON;

    s->fd = uffd_open(0, features | (s->kind == UNPOPULATED ? UFFD_FEATURE_WP_UNPOPULATED : 0));
    s->r = region_make(memories[s->kind], 1);
    s->now_at = s->r.p;
    EXPECT_EQ(0, uffd_register(s->fd, s->r.p, 1, WP));
    if (before == 'p' || before == 'w') {
        *s->r.p = 33;
    }
    if (before == 'm' || before == 'w') {
        EXPECT_EQ(0, uffd_protect(s->fd, s->r.p, 1));
    } else if (before == 'x') {
        EXPECT_EQ(0, uffd_poison(s->fd, s->r.p, 1, 0));
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------- */

typedef int operation(struct scene *s);

static void check(const char *name, operation *operate, const struct cell *cell, enum kind kind,
                  int is_shared_with_child)
{
    const char *after = cell->after[kind];
    int is_refused = after[0] == '!';
    struct scene s = {.kind = kind};
    int refused;
    char state;

    place(&s, cell->before);
    if (is_shared_with_child) {
        start_child(&s);
    }
    refused = operate(&s);
    state = state_of(s.now_at);
    if (refused != is_refused || state != after[is_refused]) {
        printf("# %s of '%c', %s, %s: '%s%c', expected '%s'\n", name, cell->before,
               kind_names[kind], is_shared_with_child ? "with a child" : "alone",
               refused ? "!" : "", state, after);
    }
    EXPECT_EQ(is_refused, refused);
    EXPECT_EQ(after[is_refused], state);
    if (is_shared_with_child) {
        if (cell->before != 'x') {
            ask_child(&s, cell->before);
        }
        end_child(&s);
    }
    close(s.fd);
    region_drop(&s.r);
}

static void check_table(const char *name, operation *operate, const struct cell cells[5])
{
    for (int i = 0; i < 5; i++) {
        for (int kind = 0; kind < NR_KINDS; kind++) {
            if (cells[i].after[kind][0] != '-') {
                check(name, operate, &cells[i], kind, 0);
                check(name, operate, &cells[i], kind, 1);
            }
        }
    }
}

#define TABLE(name_, ...)                                                                          \
    TEST(name_)                                                                                    \
    {                                                                                              \
        static const struct cell cells[] = {__VA_ARGS__};                                          \
                                                                                                   \
        check_table(#name_, name_, cells);                                                         \
    }

static int protect(struct scene *s)
{
    return uffd_protect(s->fd, s->r.p, 1) != 0;
}

static int unprotect(struct scene *s)
{
    return uffd_unprotect(s->fd, s->r.p, 1) != 0;
}

static int copy(struct scene *s)
{
    return uffd_copy(s->fd, s->r.p, filled_page(1), 1, 0) == -EEXIST;
}

static int copy_protected(struct scene *s)
{
    return uffd_copy(s->fd, s->r.p, filled_page(1), 1, UFFDIO_COPY_MODE_WP) == -EEXIST;
}

static int zeropage(struct scene *s)
{
    return uffd_zeropage(s->fd, s->r.p, 1, 0) == -EEXIST;
}

static int poison(struct scene *s)
{
    return uffd_poison(s->fd, s->r.p, 1, 0) == -EEXIST;
}

static int load(struct scene *s)
{
    return access_page(s->r.p, TOUCH_READ);
}

static int store(struct scene *s)
{
    return access_page(s->r.p, TOUCH_WRITE);
}

/* With the file's page there, which another mapping has made. */
static int load_cached(struct scene *s)
{
    if (s->r.other != NULL) {
        s->r.other[9] = 9;
    }
    return access_page(s->r.p, TOUCH_READ);
}

static int store_cached(struct scene *s)
{
    if (s->r.other != NULL) {
        s->r.other[9] = 9;
    }
    return access_page(s->r.p, TOUCH_WRITE);
}

static int drop(struct scene *s)
{
    EXPECT_EQ(0, madvise(s->r.p, PAGE, MADV_DONTNEED));
    return 0;
}

static int remove_from_file(struct scene *s)
{
    EXPECT_EQ(0, madvise(s->r.other != NULL ? s->r.other : s->r.p, PAGE,
                         s->r.other != NULL ? MADV_REMOVE : MADV_DONTNEED));
    return 0;
}

static int truncate_and_extend(struct scene *s)
{
    if (s->r.fd >= 0) {
        EXPECT_EQ(0, ftruncate(s->r.fd, 0));
        EXPECT_EQ(0, ftruncate(s->r.fd, PAGE));
        s->is_cut = 1;
    } else {
        EXPECT_EQ(0, madvise(s->r.p, PAGE, MADV_DONTNEED));
    }
    return 0;
}

static int map_anew(struct scene *s)
{
    int flags = s->kind == SHARED ? MAP_SHARED : MAP_PRIVATE;
    char *p =
        mmap(s->r.p, PAGE, RW, flags | MAP_FIXED | (s->r.fd < 0 ? MAP_ANONYMOUS : 0), s->r.fd, 0);

    EXPECT_TRUE(p == s->r.p);
    return 0;
}

static int unregister(struct scene *s)
{
    EXPECT_EQ(0, uffd_unregister(s->fd, s->r.p, 1));
    return 0;
}

static int close_descriptor(struct scene *s)
{
    close(s->fd);
    s->fd = -1;
    return 0;
}

static int change_protection(struct scene *s)
{
    EXPECT_EQ(0, mprotect(s->r.p, PAGE, PROT_READ));
    EXPECT_EQ(0, mprotect(s->r.p, PAGE, PROT_NONE));
    EXPECT_EQ(0, mprotect(s->r.p, PAGE, RW));
    return 0;
}

static int move(struct scene *s)
{
    char *target = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    s->now_at = mremap(s->r.p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    EXPECT_TRUE(s->now_at == target);
    return 0;
}

/* clang-format off */
TABLE(protect,
    {'n', {"n",  "m",  "m",  "m"}},
    {'m', {"-",  "m",  "m",  "m"}},
    {'x', {"x",  "x",  "x",  "x"}},
    {'p', {"w",  "w",  "w",  "w"}},
    {'w', {"w",  "w",  "w",  "w"}})

TABLE(unprotect,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "n",  "n"}},
    {'x', {"x",  "x",  "x",  "x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"p",  "p",  "p",  "p"}})

TABLE(copy,
    {'n', {"p",  "p",  "p",  "p"}},
    {'m', {"-",  "p",  "p",  "p"}},
    {'x', {"p",  "p",  "p",  "p"}},
    {'p', {"!p", "!p", "!p", "!p"}},
    {'w', {"!w", "!w", "!w", "!w"}})

TABLE(copy_protected,
    {'n', {"w",  "w",  "w",  "w"}},
    {'m', {"-",  "w",  "w",  "w"}},
    {'x', {"w",  "w",  "w",  "w"}},
    {'p', {"!p", "!p", "!p", "!p"}},
    {'w', {"!w", "!w", "!w", "!w"}})

TABLE(zeropage,
    {'n', {"p",  "p",  "p",  "p"}},
    {'m', {"-",  "!m", "!m", "p"}},
    {'x', {"!x", "!x", "!x", "p"}},
    {'p', {"!p", "!p", "!p", "!p"}},
    {'w', {"!w", "!w", "!w", "!w"}})

TABLE(poison,
    {'n', {"x",  "x",  "x",  "x"}},
    {'m', {"-",  "!m", "!m", "!m"}},
    {'x', {"!x", "!x", "!x", "!x"}},
    {'p', {"!p", "!p", "!p", "!p"}},
    {'w', {"!w", "!w", "!w", "!w"}})

TABLE(load,
    {'n', {"p",  "p",  "p",  "p"}},
    {'m', {"-",  "w",  "w",  "w"}},
    {'x', {"!x", "!x", "!x", "!x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"w",  "w",  "w",  "w"}})

TABLE(store,
    {'n', {"p",  "p",  "p",  "p"}},
    {'m', {"-",  "!w", "!w", "!w"}},
    {'x', {"!x", "!x", "!x", "!x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"!w", "!w", "!w", "!w"}})

TABLE(load_cached,
    {'n', {"p",  "p",  "p",  "p"}},
    {'m', {"-",  "w",  "w",  "w"}},
    {'x', {"!x", "!x", "!x", "!x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"w",  "w",  "w",  "w"}})

TABLE(store_cached,
    {'n', {"p",  "p",  "p",  "p"}},
    {'m', {"-",  "!w", "!w", "!w"}},
    {'x', {"!x", "!x", "!x", "!x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"!w", "!w", "!w", "!w"}})

TABLE(drop,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "m",  "m"}},
    {'x', {"n",  "n",  "n",  "n"}},
    {'p', {"n",  "n",  "n",  "n"}},
    {'w', {"n",  "n",  "m",  "m"}})

TABLE(remove_from_file,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "m",  "m"}},
    {'x', {"n",  "n",  "x",  "x"}},
    {'p', {"n",  "n",  "p",  "n"}},
    {'w', {"n",  "n",  "w",  "m"}})

TABLE(truncate_and_extend,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "m",  "m"}},
    {'x', {"n",  "n",  "n",  "n"}},
    {'p', {"n",  "n",  "n",  "n"}},
    {'w', {"n",  "n",  "m",  "m"}})

TABLE(map_anew,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "n",  "n"}},
    {'x', {"n",  "n",  "n",  "n"}},
    {'p', {"n",  "n",  "n",  "n"}},
    {'w', {"n",  "n",  "n",  "n"}})

TABLE(unregister,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "n",  "n"}},
    {'x', {"x",  "x",  "x",  "x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"p",  "p",  "p",  "p"}})

TABLE(close_descriptor,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "n",  "n"}},
    {'x', {"x",  "x",  "x",  "x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"p",  "p",  "p",  "p"}})

TABLE(change_protection,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "m",  "m",  "m"}},
    {'x', {"x",  "x",  "x",  "x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"w",  "w",  "w",  "w"}})

TABLE(move,
    {'n', {"n",  "n",  "n",  "n"}},
    {'m', {"-",  "n",  "n",  "n"}},
    {'x', {"x",  "x",  "x",  "x"}},
    {'p', {"p",  "p",  "p",  "p"}},
    {'w', {"p",  "p",  "p",  "p"}})
/* clang-format on */

UTEST_MAIN
