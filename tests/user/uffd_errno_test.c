/*
 * Every cell of uffd_errno_table.h: the condition is brought about anew for each command, the
 * command is given, and its answer must be the table's.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_errno"
#include "utest.h"
#include "uffd_tools.h"
#include "uffd_errno_table.h"

#include <sys/auxv.h>

enum command {
    C_API,
    C_REGISTER,
    C_UNREGISTER,
    C_WAKE,
    C_COPY,
    C_ZEROPAGE,
    C_CONTINUE,
    C_POISON,
    C_WRITEPROTECT,
    C_MOVE,
    NR_COMMANDS
};

static const char *const command_names[NR_COMMANDS] = {
    "API",      "REGISTER", "UNREGISTER", "WAKE",         "COPY",
    "ZEROPAGE", "CONTINUE", "POISON",     "WRITEPROTECT", "MOVE"};
static const unsigned long command_numbers[NR_COMMANDS] = {
    UFFDIO_API,      UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE,         UFFDIO_COPY,
    UFFDIO_ZEROPAGE, UFFDIO_CONTINUE, UFFDIO_POISON,     UFFDIO_WRITEPROTECT, UFFDIO_MOVE};

#define OK 0
#define NA (-1)
#define FEATURES                                                                                   \
    (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |      \
     UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_POISON |         \
     UFFD_FEATURE_MOVE)

/* One command, and what it is about. The region and its source are four pages; the command's range
 * is the first unless the condition says otherwise. */
struct scene {
    enum command command;
    int fd;
    struct region region;
    char *source;
    uint64_t start;
    uint64_t from;
    uint64_t len;
    uint64_t mode;
    uint64_t features;
    int is_struct_unreadable;
    void (*undo)(struct scene *scene);
    pthread_t thread;
    pid_t child;
    int other_fd;
    int answer_fd; /* another process gives the command and sends what it got */
};

enum { NR_PAGES = 4 };

static uint64_t modes_of(enum memory memory)
{
    return memory == ANON ? MISSING | WP : MISSING | WP | MINOR;
}

static void watch(struct scene *s, uint64_t mode)
{
    EXPECT_EQ(0, uffd_register(s->fd, s->region.p, NR_PAGES, mode));
}

/* A scene of the memory, registered, in which the command succeeds but for what is missing in it.
 */
static void place(struct scene *s, enum memory memory)
{
    if (s->command == C_API) {
        return;
    }
    s->region = region_make(memory, NR_PAGES);
    s->start = (uintptr_t)s->region.p;
    if (s->command == C_REGISTER) {
        s->mode = modes_of(memory);
    }
    watch(s, modes_of(memory));
}

/* Any memory in which the command can succeed. */
static void place_usual(struct scene *s)
{
    place(s, s->command == C_CONTINUE ? SHMEM_SHARED : ANON);
    if (s->command == C_CONTINUE) {
        memset(s->region.other, 1, NR_PAGES * PAGE);
    }
}

static int issue(struct scene *s)
{
    union {
        struct uffdio_api api;
        struct uffdio_register reg;
        struct uffdio_range range;
        struct uffdio_copy copy;
        struct uffdio_zeropage zeropage;
        struct uffdio_continue proceed;
        struct uffdio_poison poison;
        struct uffdio_writeprotect protect;
        struct uffdio_move move;
    } arg;

    memset(&arg, 0, sizeof(arg));
    if (s->command == C_API) {
        arg.api = (struct uffdio_api){.api = UFFD_API, .features = s->features};
    } else if (s->command == C_COPY || s->command == C_MOVE) {
        arg.copy = (struct uffdio_copy){s->start, s->from, s->len, s->mode, 0};
    } else {
        arg.zeropage = (struct uffdio_zeropage){{s->start, s->len}, s->mode, 0};
    }
    return -uffd_command(s->fd, command_numbers[s->command],
                         s->is_struct_unreadable ? (void *)8 : &arg);
}

/* ---------------------------------------------------------------------------------------------- */

static void reopen_raw(struct scene *s)
{
    close(s->fd);
    s->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
}

static void prepare_struct_unreadable(struct scene *s)
{
    place_usual(s);
    s->is_struct_unreadable = 1;
}

static void prepare_no_handshake(struct scene *s)
{
    place_usual(s);
    reopen_raw(s);
}

static void prepare_second_handshake(struct scene *s)
{
    place_usual(s);
    if (s->command == C_API) {
        EXPECT_EQ(0, issue(s));
    }
}

static void prepare_unknown_mode(struct scene *s)
{
    place_usual(s);
    s->mode |= 1ull << 40;
    s->features |= 1ull << 40;
}

static void prepare_no_mode(struct scene *s)
{
    place_usual(s);
    s->mode = 0;
    s->features = 0;
}

static void prepare_start_unaligned(struct scene *s)
{
    place_usual(s);
    s->start += 8;
}

static void prepare_length_unaligned(struct scene *s)
{
    place_usual(s);
    s->len += 8;
}

static void prepare_length_zero(struct scene *s)
{
    place_usual(s);
    s->len = 0;
}

static void prepare_range_wraps(struct scene *s)
{
    place_usual(s);
    s->len = -s->start;
}

static void prepare_above_user_space(struct scene *s)
{
    place_usual(s);
    s->len = (1ull << 47) - s->start;
}

static void *drop_aside(void *argument)
{
    struct scene *s = argument;

    EXPECT_EQ(0, madvise(s->region.p + 3 * PAGE, PAGE, MADV_DONTNEED));
    return NULL;
}

static void undo_layout_changing(struct scene *s)
{
    struct uffd_msg message;

    EXPECT_EQ(UFFD_EVENT_REMOVE, uffd_read(s->fd, &message));
    pthread_join(s->thread, NULL);
}

static void prepare_layout_changing(struct scene *s)
{
    close(s->fd);
    s->fd = uffd_open(O_CLOEXEC | O_NONBLOCK, FEATURES | UFFD_FEATURE_EVENT_REMOVE);
    place_usual(s);
    EXPECT_EQ(0, pthread_create(&s->thread, NULL, drop_aside, s));
    EXPECT_EQ(0, uffd_wait(s->fd));
    s->undo = undo_layout_changing;
}

static void prepare_nothing_mapped(struct scene *s)
{
    place_usual(s);
    EXPECT_EQ(0, munmap(s->region.p, PAGE));
}

static void prepare_two_mappings(struct scene *s)
{
    place_usual(s);
    EXPECT_EQ(0, mprotect(s->region.p + PAGE, PAGE, PROT_READ));
    s->len = 2 * PAGE;
}

static void prepare_hole_behind(struct scene *s)
{
    place_usual(s);
    EXPECT_EQ(0, munmap(s->region.p + PAGE, PAGE));
    s->len = 2 * PAGE;
}

static void prepare_not_registered(struct scene *s)
{
    place_usual(s);
    EXPECT_EQ(0, uffd_unregister(s->fd, s->region.p, NR_PAGES));
}

static void prepare_registered_without_wp(struct scene *s)
{
    place_usual(s);
    EXPECT_EQ(0, uffd_unregister(s->fd, s->region.p, NR_PAGES));
    watch(s, s->command == C_CONTINUE ? MINOR : MISSING);
    if (s->command == C_COPY) {
        s->mode = UFFDIO_COPY_MODE_WP;
    } else if (s->command == C_CONTINUE) {
        s->mode = UFFDIO_CONTINUE_MODE_WP;
    }
}

static void undo_other_descriptor(struct scene *s)
{
    close(s->other_fd);
}

static void prepare_other_descriptor(struct scene *s)
{
    place_usual(s);
    s->other_fd = s->fd;
    s->fd = uffd_open(O_CLOEXEC, FEATURES);
    s->undo = undo_other_descriptor;
}

static void prepare_no_maywrite(struct scene *s)
{
    int fd = open("/dev/shm/uffd_errno", O_RDWR | O_CREAT, 0600);
    char *p;

    EXPECT_EQ(0, ftruncate(fd, NR_PAGES * PAGE));
    close(fd);
    fd = open("/dev/shm/uffd_errno", O_RDONLY);
    p = mmap(NULL, NR_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    EXPECT_TRUE(p != MAP_FAILED);
    close(fd);
    unlink("/dev/shm/uffd_errno");
    s->region = (struct region){.p = p, .fd = -1, .nr_pages = NR_PAGES};
    s->start = (uintptr_t)p;
    s->mode = s->command == C_REGISTER ? MISSING : 0;
}

static void prepare_special_memory(struct scene *s)
{
    s->start = getauxval(AT_SYSINFO_EHDR);
    s->mode = s->command == C_REGISTER ? MISSING : 0;
    if (s->start == 0) {
        SKIP("there is no vDSO");
    }
}

static void prepare_minor_of_anonymous(struct scene *s)
{
    place(s, ANON);
    s->mode = s->command == C_REGISTER ? MINOR : 0;
}

static void prepare_page_there(struct scene *s)
{
    place(s, ANON);
    EXPECT_EQ(0, uffd_copy(s->fd, s->region.p, s->source, 1, 0));
}

static void prepare_only_in_the_file(struct scene *s)
{
    place(s, SHMEM_SHARED);
    s->region.other[0] = 1;
}

static void prepare_page_there_shared(struct scene *s)
{
    prepare_only_in_the_file(s);
    EXPECT_EQ(0, uffd_continue(s->fd, s->region.p, 1, 0));
}

static void prepare_file_hole(struct scene *s)
{
    place(s, SHMEM_SHARED);
}

static void prepare_wp_marker(struct scene *s)
{
    place(s, ANON);
    EXPECT_EQ(0, uffd_protect(s->fd, s->region.p, 1));
}

static void prepare_wp_marker_shared(struct scene *s)
{
    place(s, SHMEM_SHARED);
    EXPECT_EQ(0, uffd_protect(s->fd, s->region.p, 1));
}

static void prepare_wp_marker_cached(struct scene *s)
{
    prepare_wp_marker_shared(s);
    s->region.other[0] = 1;
}

static void prepare_poisoned(struct scene *s)
{
    place(s, ANON);
    EXPECT_EQ(0, uffd_poison(s->fd, s->region.p, 1, 0));
}

static void prepare_poisoned_shared(struct scene *s)
{
    place(s, SHMEM_SHARED);
    EXPECT_EQ(0, uffd_poison(s->fd, s->region.p, 1, 0));
}

static void prepare_beyond_the_file(struct scene *s)
{
    place(s, SHMEM_SHARED);
    EXPECT_EQ(0, ftruncate(s->region.fd, 0));
}

static void prepare_source_unmapped(struct scene *s)
{
    place(s, ANON);
    EXPECT_EQ(0, munmap(s->source, PAGE));
}

static void prepare_source_empty(struct scene *s)
{
    place(s, ANON);
    EXPECT_EQ(0, madvise(s->source, PAGE, MADV_DONTNEED));
}

static void undo_child(struct scene *s)
{
    kill(s->child, SIGKILL);
    waitpid(s->child, NULL, 0);
}

static void prepare_source_shared(struct scene *s)
{
    place(s, ANON);
    s->child = fork();
    if (s->child == 0) {
        pause();
        _exit(0);
    }
    s->undo = undo_child;
}

static void prepare_partly_done(struct scene *s)
{
    place_usual(s);
    s->len = 2 * PAGE;
    EXPECT_EQ(0, s->command == C_CONTINUE ? uffd_continue(s->fd, s->region.p + PAGE, 1, 0)
                                          : uffd_copy(s->fd, s->region.p + PAGE, s->source, 1, 0));
}

/* A child makes the descriptor and leaves it to a child of its own, which gives the command when
 * the first one, whose memory it is about, is gone. */
static void prepare_exited(struct scene *s)
{
    int go[2];
    int answer[2];
    char byte = 1;
    pid_t pid;

    EXPECT_EQ(0, pipe(go) | pipe(answer));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int error;

        close(s->fd);
        s->fd = uffd_open(O_CLOEXEC, FEATURES);
        place_usual(s);
        if (fork() != 0) {
            _exit(0);
        }
        read(go[0], &byte, 1);
        error = issue(s);
        write(answer[1], &error, sizeof(error));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    write(go[1], &byte, 1);
    s->answer_fd = answer[0];
    close(answer[1]);
    close(go[0]);
    close(go[1]);
}

/* ---------------------------------------------------------------------------------------------- */

struct row {
    const char *name;
    void (*prepare)(struct scene *scene);
    int answers[NR_COMMANDS];
};

#define ROW(name_, text_, ...) {#name_, prepare_##name_, {__VA_ARGS__}},
static const struct row rows[] = {UFFD_ERRNO_TABLE(ROW)};
#undef ROW

#define ROW(name_, text_, ...) ROW_##name_,
enum { UFFD_ERRNO_TABLE(ROW) NR_ROWS };
#undef ROW

static void check_cell(const struct row *row, enum command command)
{
    struct scene s = {.command = command, .len = PAGE, .features = FEATURES, .answer_fd = -1};
    char what[80];
    int error;

    s.source = map_anonymous(NR_PAGES);
    memset(s.source, 7, NR_PAGES * PAGE);
    s.from = (uintptr_t)s.source;
    s.fd = command == C_API ? (int)syscall(SYS_userfaultfd, O_CLOEXEC)
                            : uffd_open(O_CLOEXEC, FEATURES);
    EXPECT_LE(0, s.fd);
    row->prepare(&s);
    if (s.answer_fd >= 0) {
        EXPECT_EQ(sizeof(error), read(s.answer_fd, &error, sizeof(error)));
        close(s.answer_fd);
    } else {
        error = issue(&s);
    }
    snprintf(what, sizeof(what), "%s: %s", row->name, command_names[command]);
    utest_compare(error == row->answers[command], row->answers[command], error, what, __FILE__,
                  __LINE__);
    if (s.undo != NULL) {
        s.undo(&s);
    }
    close(s.fd);
    munmap(s.source, NR_PAGES * PAGE);
    if (s.region.p != NULL) {
        region_drop(&s.region);
    }
}

static void check_row(const struct row *row)
{
    for (int command = 0; command < NR_COMMANDS; command++) {
        if (row->answers[command] != NA) {
            check_cell(row, command);
        }
    }
}

#define ROW(name_, text_, ...)                                                                     \
    TEST(name_)                                                                                    \
    {                                                                                              \
        check_row(&rows[ROW_##name_]);                                                             \
    }
UFFD_ERRNO_TABLE(ROW)
#undef ROW

UTEST_MAIN
