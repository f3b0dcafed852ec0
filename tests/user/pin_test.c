/*
 * Who holds a page x what page it is x what happens meanwhile, contents compared after each step:
 * what tests/kernel/mm_pin_matrix_test.c asks of the kernel, as programs see it. A pipe holds by
 * reference (vmsplice), another process reads (process_vm_readv), /dev/gup_test pins for long.
 *
 * Each cell runs twice: held before the page was ever shared, and held while a child shares it.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "pin"
#include "utest.h"
#include "gup_device.h"

#include <sys/mman.h>
#include <sys/uio.h>

#define PAGE  4096ul
#define RW    (PROT_READ | PROT_WRITE)
#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)
#define MOVED ((char *)0x50000000)

enum holder { PIPE, READER, LONG_FAST, LONG_SLOW };
enum kind { ANONYMOUS, MEMFD, FILE_PAGE, ZERO, DAX_FILE, DAX_DEVICE };

struct scene {
    enum holder holder;
    enum kind kind;
    uint64_t *memory;
    uint64_t current;    /* what the process must find */
    uint64_t held_value; /* what the holder must find */
    int is_in_step;      /* writes of the process reach the holder */
    int is_refused;      /* there is no holder: nobody may hold such a page for long */
    int fd;
    int ends[2];
};

/* A child that looks at the memory when it is asked to. */
struct child {
    pid_t pid;
    int ask[2];
    int answer[2];
};

static void child_main(struct child *child, struct scene *scene)
{
    uint64_t order;

    while (read(child->ask[0], &order, sizeof(order)) == sizeof(order)) {
        uint64_t value;

        if (order != 0) {
            *scene->memory = order;
        }
        value = *scene->memory;
        write(child->answer[1], &value, sizeof(value));
    }
    _exit(0);
}

/* What a child has in the memory, after it has written @order there if that is not 0. */
static uint64_t ask(struct child *child, uint64_t order)
{
    uint64_t value = ~0ull;

    write(child->ask[1], &order, sizeof(order));
    read(child->answer[0], &value, sizeof(value));
    return value;
}

static struct child start_child(struct scene *scene)
{
    struct child child = {0};

    EXPECT_EQ(0, pipe(child.ask) | pipe(child.answer));
    fflush(stdout);
    child.pid = fork();
    if (child.pid == 0) {
        close(child.ask[1]);
        child_main(&child, scene);
    }
    close(child.ask[0]);
    close(child.answer[1]);
    return child;
}

/* A later child may hold the pipes of an earlier one, so closing them would end nothing. */
static void end_child(struct child *child)
{
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    close(child->ask[1]);
    close(child->answer[0]);
}

static int open_file(enum kind kind, uint64_t value)
{
    const char *path = kind == DAX_FILE ? "/dax/pin_test_file" : "/tmp/pin_test_file";
    int fd =
        kind == MEMFD ? memfd_create("memfd", 0) : open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    EXPECT_EQ(sizeof(value), write(fd, &value, sizeof(value)));
    EXPECT_EQ(0, ftruncate(fd, PAGE));
    unlink(path);
    return fd;
}

/* The device's last page, which no file has got. */
static int open_device(uint64_t value, off_t *offset)
{
    int fd = open("/dev/dax0", O_RDWR);

    *offset = lseek(fd, -(off_t)PAGE, SEEK_END);
    EXPECT_EQ(sizeof(value), pwrite(fd, &value, sizeof(value), *offset));
    return fd;
}

static void scene_map(struct scene *scene)
{
    off_t offset = 0;

    scene->fd = -1;
    scene->current = scene->kind == ZERO ? 0 : 0x1111;
    if (scene->kind == ANONYMOUS || scene->kind == ZERO) {
        scene->memory = mmap(NULL, PAGE, RW, ANON, -1, 0);
    } else {
        scene->fd = scene->kind == DAX_DEVICE ? open_device(scene->current, &offset)
                                              : open_file(scene->kind, scene->current);
        scene->memory = mmap(NULL, PAGE, RW, MAP_PRIVATE, scene->fd, offset);
    }
    if (scene->kind == ANONYMOUS) {
        *scene->memory = scene->current;
    }
    EXPECT_EQ(scene->current, *scene->memory);
}

/* Another process's view: the reader is a child that was there before the memory was. */
static struct {
    pid_t pid;
    int ask[2];
    int answer[2];
} reader;

static void reader_main(pid_t parent)
{
    struct iovec remote = {NULL, sizeof(uint64_t)};

    while (read(reader.ask[0], &remote.iov_base, sizeof(void *)) == sizeof(void *)) {
        uint64_t value = ~0ull;
        struct iovec local = {&value, sizeof(value)};

        process_vm_readv(parent, &local, 1, &remote, 1, 0);
        write(reader.answer[1], &value, sizeof(value));
    }
    _exit(0);
}

static void start_reader(void)
{
    pid_t parent = getpid();

    EXPECT_EQ(0, pipe(reader.ask) | pipe(reader.answer));
    fflush(stdout);
    reader.pid = fork();
    if (reader.pid == 0) {
        close(reader.ask[1]);
        reader_main(parent);
    }
}

static uint64_t read_remotely(const struct scene *scene)
{
    void *address = scene->memory;
    uint64_t value = ~0ull;

    write(reader.ask[1], &address, sizeof(address));
    read(reader.answer[0], &value, sizeof(value));
    return value;
}

static void hold_by_pipe(struct scene *scene)
{
    struct iovec iov = {scene->memory, sizeof(uint64_t)};

    EXPECT_EQ(0, pipe(scene->ends));
    EXPECT_EQ(sizeof(uint64_t), vmsplice(scene->ends[1], &iov, 1, 0));
}

static uint64_t look_into_pipe(const struct scene *scene)
{
    uint64_t value = ~0ull;
    int ends[2];

    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(sizeof(value), tee(scene->ends[0], ends[1], sizeof(value), 0));
    EXPECT_EQ(sizeof(value), read(ends[0], &value, sizeof(value)));
    close(ends[0]);
    close(ends[1]);
    return value;
}

static int device = -1;

static void hold_for_long(struct scene *scene)
{
    struct pin_longterm_test pin = {(uintptr_t)scene->memory, PAGE,
                                    scene->holder == LONG_FAST ? LONGTERM_USE_FAST : 0};

    if (scene->kind == DAX_FILE) {
        EXPECT_ERRNO(EOPNOTSUPP, ioctl(device, PIN_LONGTERM_TEST_START, &pin));
        scene->is_refused = 1;
    } else {
        EXPECT_EQ(0, ioctl(device, PIN_LONGTERM_TEST_START, &pin));
    }
}

static uint64_t look_at_pin(void)
{
    static uint64_t page[PAGE / sizeof(uint64_t)];
    uint64_t to = (uintptr_t)page;

    EXPECT_EQ(0, ioctl(device, PIN_LONGTERM_TEST_READ, &to));
    return page[0];
}

static void scene_hold(struct scene *scene, int is_shared)
{
    if (scene->holder == PIPE) {
        hold_by_pipe(scene);
    } else if (scene->holder == READER) {
        EXPECT_EQ(scene->current, read_remotely(scene));
    } else {
        hold_for_long(scene);
    }
    scene->held_value = scene->current;
    scene->is_in_step = scene->holder != PIPE || (scene->kind == ANONYMOUS && !is_shared);
}

static uint64_t held_now(const struct scene *scene)
{
    if (scene->is_refused) {
        return scene->held_value;
    }
    if (scene->holder == PIPE) {
        return look_into_pipe(scene);
    }
    return scene->holder == READER ? read_remotely(scene) : look_at_pin();
}

static void scene_check(const struct scene *scene)
{
    EXPECT_EQ(scene->current, *scene->memory);
    EXPECT_EQ(scene->held_value, held_now(scene));
}

static void scene_write(struct scene *scene, uint64_t value)
{
    *(volatile uint64_t *)scene->memory = value;
    scene->current = value;
    scene->held_value = scene->is_in_step ? value : scene->held_value;
    scene_check(scene);
}

static void scene_release(struct scene *scene)
{
    if (scene->holder == PIPE) {
        close(scene->ends[0]);
        close(scene->ends[1]);
    } else if (scene->holder != READER && !scene->is_refused) {
        EXPECT_EQ(0, ioctl(device, PIN_LONGTERM_TEST_STOP));
    }
    EXPECT_EQ(scene->current, *scene->memory);
    close(scene->fd);
    munmap(scene->memory, PAGE);
}

/* Fork shares the page of a plain reference, whose holder is out of step from then on. */
static struct child scene_fork(struct scene *scene)
{
    struct child child = start_child(scene);

    scene->is_in_step = scene->is_in_step && scene->holder != PIPE;
    EXPECT_EQ(scene->current, ask(&child, 0));
    scene_check(scene);
    return child;
}

static void child_reads(struct scene *scene)
{
    struct child child = scene_fork(scene);
    uint64_t at_fork = scene->current;

    scene_write(scene, 0x2222);
    EXPECT_EQ(at_fork, ask(&child, 0));
    EXPECT_EQ(0x3333, ask(&child, 0x3333));
    scene_check(scene);
    end_child(&child);
    scene_check(scene);
    scene_write(scene, 0x4444);
}

static void child_exits_first(struct scene *scene)
{
    struct child child = scene_fork(scene);

    end_child(&child);
    scene_check(scene);
    scene_write(scene, 0x2222);
    scene_write(scene, 0x3333);
}

static void parent_writes(struct scene *scene)
{
    scene_write(scene, 0x2222);
    scene_write(scene, 0x3333);
}

static void parent_forks_again(struct scene *scene)
{
    struct child first = scene_fork(scene);
    uint64_t at_first = scene->current;
    struct child second;
    uint64_t at_second;

    scene_write(scene, 0x2222);
    at_second = scene->current;
    second = scene_fork(scene);
    scene_write(scene, 0x3333);
    EXPECT_EQ(at_first, ask(&first, 0));
    EXPECT_EQ(at_second, ask(&second, 0));
    EXPECT_EQ(0x5555, ask(&first, 0x5555));
    EXPECT_EQ(at_second, ask(&second, 0));
    /* The second child holds a copy of the first one's pipe: it must go first. */
    end_child(&second);
    scene_check(scene);
    end_child(&first);
    scene_write(scene, 0x4444);
}

static void mremap_moves(struct scene *scene)
{
    void *moved = mremap(scene->memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, MOVED);

    EXPECT_EQ((long)MOVED, (long)moved);
    scene->memory = moved;
    scene_check(scene);
    scene_write(scene, 0x2222);
}

static void mprotect_twice(struct scene *scene)
{
    for (uint64_t i = 1; i <= 2; i++) {
        EXPECT_EQ(0, mprotect(scene->memory, PAGE, PROT_READ));
        scene_check(scene);
        EXPECT_EQ(0, mprotect(scene->memory, PAGE, RW));
        scene_check(scene);
        scene_write(scene, 0x2222 * i);
    }
}

static void run_cell(enum holder holder, enum kind kind, void (*event)(struct scene *scene))
{
    struct scene alone = {.holder = holder, .kind = kind};
    struct scene shared = {.holder = holder, .kind = kind};
    struct child child;

    if ((kind == DAX_FILE || kind == DAX_DEVICE) && access("/dax", F_OK) != 0) {
        SKIP("there is no direct device");
    }
    if (holder == LONG_FAST || holder == LONG_SLOW) {
        device = gup_open();
    } else if (holder == READER) {
        start_reader();
    }
    scene_map(&alone);
    scene_hold(&alone, 0);
    event(&alone);
    scene_release(&alone);

    scene_map(&shared);
    child = start_child(&shared);
    EXPECT_EQ(shared.current, ask(&child, 0));
    scene_hold(&shared, 1);
    event(&shared);
    end_child(&child);
    scene_release(&shared);
}

#define CELL(holder, holder_name, kind, kind_name, event)                                          \
    TEST(holder_name##_of_##kind_name##_when_##event)                                              \
    {                                                                                              \
        run_cell(holder, kind, event);                                                             \
    }
#define EVENTS(holder, holder_name, kind, kind_name)                                               \
    CELL(holder, holder_name, kind, kind_name, child_reads)                                        \
    CELL(holder, holder_name, kind, kind_name, child_exits_first)                                  \
    CELL(holder, holder_name, kind, kind_name, parent_writes)                                      \
    CELL(holder, holder_name, kind, kind_name, parent_forks_again)                                 \
    CELL(holder, holder_name, kind, kind_name, mremap_moves)                                       \
    CELL(holder, holder_name, kind, kind_name, mprotect_twice)
#define KINDS(holder, holder_name)                                                                 \
    EVENTS(holder, holder_name, ANONYMOUS, anonymous)                                              \
    EVENTS(holder, holder_name, MEMFD, memfd)                                                      \
    EVENTS(holder, holder_name, FILE_PAGE, file)                                                   \
    EVENTS(holder, holder_name, ZERO, zero_page)                                                   \
    EVENTS(holder, holder_name, DAX_FILE, dax_file)                                                \
    EVENTS(holder, holder_name, DAX_DEVICE, dax_device)

/* J18: a plain reference is in step until the page is shared. */
KINDS(PIPE, vmsplice)
KINDS(READER, process_vm_readv)
/* HT2, rule I3: a pin is in step for good, and a child has a copy. */
KINDS(LONG_FAST, long_fast_pin)
KINDS(LONG_SLOW, long_slow_pin)

UTEST_MAIN
