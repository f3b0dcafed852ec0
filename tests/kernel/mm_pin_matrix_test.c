/*
 * Who holds a page x what page it is x what happens meanwhile, contents compared after each step.
 *
 * The rule that all cells follow: a holder stays in step with the address as long as the page it
 * got is the process's own. A pin makes it so: of an anonymous page always (J8), of a file page or
 * the zero page if it is for long. A plain reference, which is what a pipe holds, does not: it is
 * in step until the page is shared. Whoever copies sees what is there when it copies.
 *
 * Each cell runs twice: held before the page was ever shared, and held while it is shared.
 */
#include <ipc/file.h>
#include <ipc/iov.h>
#include <ipc/pipe.h>
#include <lib/string.h>
#include <mm/process_vm.h>
#include "direct_test.h"

enum holder { FAST, SLOW, LONG_FAST, LONG_SLOW, PIPE, REMOTE };
enum kind { ANONYMOUS, MEMFD, FILE, ZERO, DAX_FILE, DAX_DEVICE };

/* A file differs from a memfd in what it holds already, and in being mapped elsewhere too. */
struct scene {
    enum holder holder;
    enum kind kind;
    u64 addr;
    u64 current;     /* what the process must find */
    u64 held_value;  /* what the holder must find */
    bool is_in_step; /* writes of the process reach the holder */
    bool is_refused; /* there is no holder: nobody may hold such a page for long */
    struct vm_object *object;
    struct page *page;
    struct file *ends[2];
};

#define DAX_FRAME 9

/* A page of a direct device, by way of a file that has got it, or of the device's own object. */
static void map_direct(struct scene *scene, u64 value)
{
    struct map_request req = {
        .len = PAGE_SIZE, .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE};

    if (scene->kind == DAX_FILE) {
        scene->object = test_direct_file(DIRECT_COW_INSTALLS, 1);
        EXPECT_EQ(1, test_grant(scene->object, 0, DAX_FRAME, 1));
    } else {
        scene->object = test_device()->object;
        object_get(scene->object);
        req.pgoff = DAX_FRAME;
    }
    *test_frame_word(DAX_FRAME) = value;
    req.object = scene->object;
    EXPECT_OK(mm_map(current_mm(), &req, &scene->addr));
}

static void scene_map(struct scene *scene)
{
    u64 value = 0x1111;
    u64 done;

    scene->current = scene->kind == ZERO ? 0 : value;
    if (scene->kind == ANONYMOUS || scene->kind == ZERO) {
        scene->addr = test_map(1);
    } else if (scene->kind == DAX_FILE || scene->kind == DAX_DEVICE) {
        map_direct(scene, value);
    } else {
        EXPECT_OK(object_create_shmem(PAGE_SIZE, &scene->object));
        EXPECT_OK(object_write_kernel(scene->object, 0, &value, sizeof(value), &done));
        scene->addr = test_map_object(scene->object, 1, MAP_PRIVATE);
        if (scene->kind == FILE) {
            u64 other = test_map_object(scene->object, 1, MAP_SHARED);

            EXPECT_EQ(value, test_peek(current_mm(), other));
        }
    }
    if (scene->kind == ANONYMOUS) {
        EXPECT_OK(put_user_u64(scene->addr, value));
    }
    EXPECT_EQ(scene->current, test_peek(current_mm(), scene->addr));
}

static void hold_by_pipe(struct scene *scene)
{
    struct iov_iter iter;

    EXPECT_OK(pipe_create(0, scene->ends));
    iov_init_user(&iter, scene->addr, sizeof(u64));
    EXPECT_EQ(sizeof(u64), pipe_splice_user(pipe_of_file(scene->ends[1]), &iter, true));
}

/* Reads a copy of what stands in the pipe. */
static u64 look_into_pipe(const struct scene *scene)
{
    struct iov_iter iter;
    struct file *ends[2];
    u64 value = ~0ull;

    EXPECT_OK(pipe_create(0, ends));
    EXPECT_EQ(sizeof(u64),
              pipe_tee(pipe_of_file(scene->ends[0]), pipe_of_file(ends[1]), sizeof(u64), true));
    iov_init_kernel(&iter, &value, sizeof(value));
    EXPECT_EQ(sizeof(u64), pipe_read_from(ends[0], &iter, true));
    file_put(ends[0]);
    file_put(ends[1]);
    return value;
}

static u64 read_remotely(const struct scene *scene)
{
    struct iovec remote = {scene->addr, sizeof(u64)};
    struct iov_iter iter;
    u64 value = ~0ull;

    iov_init_kernel(&iter, &value, sizeof(value));
    EXPECT_EQ(sizeof(u64), process_vm_transfer(current_mm(), &remote, 1, &iter, REMOTE_READ));
    return value;
}

static void hold_for_long(struct scene *scene)
{
    s64 wanted = scene->kind == DAX_FILE ? -EOPNOTSUPP : 1;

    EXPECT_EQ(wanted, scene->holder == LONG_FAST
                          ? pin_user_pages_fast(scene->addr, 1, FOLL_LONGTERM, &scene->page)
                          : pin_user_pages(scene->addr, 1, FOLL_LONGTERM, &scene->page));
    scene->is_refused = wanted != 1;
}

static void scene_hold(struct scene *scene, bool is_shared)
{
    bool is_anon = scene->kind == ANONYMOUS;

    switch (scene->holder) {
    case FAST:
        EXPECT_EQ(1, pin_user_pages_fast(scene->addr, 1, 0, &scene->page));
        break;
    case SLOW:
        EXPECT_EQ(1, pin_user_pages(scene->addr, 1, 0, &scene->page));
        break;
    case LONG_FAST:
    case LONG_SLOW:
        hold_for_long(scene);
        break;
    case PIPE:
        hold_by_pipe(scene);
        break;
    case REMOTE:
        EXPECT_EQ(scene->current, read_remotely(scene));
        break;
    }
    scene->held_value = scene->current;
    scene->is_in_step = scene->holder == LONG_FAST || scene->holder == LONG_SLOW ||
                        scene->holder == REMOTE || (is_anon && scene->holder != PIPE) ||
                        (is_anon && !is_shared);
}

static u64 held_now(const struct scene *scene)
{
    if (scene->is_refused) {
        return scene->held_value;
    }
    if (scene->holder == PIPE) {
        return look_into_pipe(scene);
    }
    return scene->holder == REMOTE ? read_remotely(scene) : *(u64 *)page_to_virt(scene->page);
}

/* After each step: the process, the holder, and the children so far find what they must. */
static void scene_check(const struct scene *scene)
{
    u64 value = ~0ull;

    EXPECT_OK(get_user_u64(&value, scene->addr));
    EXPECT_EQ(scene->current, value);
    EXPECT_EQ(scene->held_value, held_now(scene));
}

static void scene_write(struct scene *scene, u64 value)
{
    EXPECT_OK(put_user_u64(scene->addr, value));
    scene->current = value;
    scene->held_value = scene->is_in_step ? value : scene->held_value;
    scene_check(scene);
}

static void scene_release(struct scene *scene)
{
    if (scene->holder == PIPE) {
        file_put(scene->ends[0]);
        file_put(scene->ends[1]);
    } else if (scene->holder != REMOTE && !scene->is_refused) {
        unpin_user_page(scene->page);
    }
    EXPECT_EQ(scene->current, test_peek(current_mm(), scene->addr));
    if (scene->object != NULL) {
        object_put(scene->object);
    }
}

/* Fork shares the page of a plain reference, whose holder is out of step from then on. */
static struct mm *scene_fork(struct scene *scene)
{
    struct mm *child;

    EXPECT_OK(mm_fork(current_mm(), &child));
    scene->is_in_step = scene->is_in_step && scene->holder != PIPE;
    EXPECT_EQ(scene->current, test_peek(child, scene->addr));
    scene_check(scene);
    return child;
}

static void child_reads(struct scene *scene)
{
    struct mm *child = scene_fork(scene);
    u64 at_fork = scene->current;

    scene_write(scene, 0x2222);
    EXPECT_EQ(at_fork, test_peek(child, scene->addr));
    EXPECT_TRUE(test_poke(child, scene->addr, 0x3333));
    scene_check(scene);
    mm_put(child);
    scene_check(scene);
    scene_write(scene, 0x4444);
}

static void child_exits_first(struct scene *scene)
{
    mm_put(scene_fork(scene));
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
    struct mm *first = scene_fork(scene);
    u64 at_first = scene->current;
    struct mm *second;
    u64 at_second;

    scene_write(scene, 0x2222);
    at_second = scene->current;
    second = scene_fork(scene);
    scene_write(scene, 0x3333);
    EXPECT_EQ(at_first, test_peek(first, scene->addr));
    EXPECT_EQ(at_second, test_peek(second, scene->addr));
    EXPECT_TRUE(test_poke(first, scene->addr, 0x5555));
    EXPECT_EQ(at_second, test_peek(second, scene->addr));
    mm_put(first);
    scene_check(scene);
    mm_put(second);
    scene_write(scene, 0x4444);
}

static void mremap_moves(struct scene *scene)
{
    u64 moved;

    EXPECT_OK(mm_remap(current_mm(), scene->addr, PAGE_SIZE, PAGE_SIZE,
                       MREMAP_MAYMOVE | MREMAP_FIXED, 0x50000000, &moved));
    scene->addr = moved;
    scene_check(scene);
    scene_write(scene, 0x2222);
}

static void mprotect_twice(struct scene *scene)
{
    for (u64 i = 1; i <= 2; i++) {
        EXPECT_OK(mm_protect(current_mm(), scene->addr, PAGE_SIZE, PROT_READ));
        EXPECT_ERR(-EFAULT, put_user_u64(scene->addr, 0x9999));
        scene_check(scene);
        EXPECT_OK(mm_protect(current_mm(), scene->addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
        scene_check(scene);
        scene_write(scene, 0x2222 * i);
    }
}

/* Its mapping goes as well: the frame is needed again. */
static void scene_end(struct scene *scene)
{
    scene_release(scene);
    EXPECT_OK(mm_unmap(current_mm(), scene->addr, PAGE_SIZE));
}

static void run_cell(enum holder holder, enum kind kind, void (*event)(struct scene *scene))
{
    struct scene alone = {.holder = holder, .kind = kind};
    struct scene shared = {.holder = holder, .kind = kind};
    struct mm *child;

    scene_map(&alone);
    scene_hold(&alone, false);
    event(&alone);
    scene_end(&alone);

    scene_map(&shared);
    ASSERT_OK(mm_fork(current_mm(), &child));
    scene_hold(&shared, true);
    event(&shared);
    mm_put(child);
    scene_end(&shared);
}

#define CELL(holder, holder_name, kind, kind_name, event)                                          \
    KTEST_DEFINE(pins, holder_name##_of_##kind_name##_when_##event,                                \
                 kind == DAX_FILE || kind == DAX_DEVICE ? KTEST_DIRECT : KTEST_PLAIN,              \
                 KTEST_DEFAULT_LIMIT_NS)                                                           \
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
    EVENTS(holder, holder_name, FILE, file)                                                        \
    EVENTS(holder, holder_name, ZERO, zero_page)                                                   \
    EVENTS(holder, holder_name, DAX_FILE, dax_file)                                                \
    EVENTS(holder, holder_name, DAX_DEVICE, dax_device)

/* HT2, J8, J18: a pin is in step, a child has its own. */
KINDS(FAST, fast_pin)
KINDS(SLOW, slow_pin)
KINDS(LONG_FAST, long_fast_pin)
KINDS(LONG_SLOW, long_slow_pin)
/* J18: a plain reference is not. */
KINDS(PIPE, vmsplice)
KINDS(REMOTE, process_vm_readv)
