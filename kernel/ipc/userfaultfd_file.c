/*
 * userfaultfd(2) as a file: messages are read, commands come by ioctl(2). Checks come in Linux's
 * order; the work is kernel/mm/uffd*.c's.
 *
 * A message is taken before it is copied out: one that cannot be copied is lost to this reader, and
 * its fault waits until it is resolved all the same. Read next: kernel/mm/uffd.c.
 */
#include <ipc/userfaultfd_file.h>

#include <ipc/anon_stat.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/poll.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/uffd_internal.h>
#include <mm/usercopy.h>
#include <proc/cred.h>
#include <proc/rlimit.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

static const struct file_ops userfaultfd_ops;

int userfaultfd_create(u32 flags, struct file **out)
{
    struct uffd_ctx *ctx;
    int error;

    if ((flags & ~(u32)(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)) != 0) {
        return -EINVAL;
    }
    error = uffd_create(current_mm(), flags, &ctx);
    if (error != 0) {
        return error;
    }
    error = file_alloc(&userfaultfd_ops, O_RDONLY | (flags & O_NONBLOCK), 0, ctx, out);
    if (error != 0) {
        uffd_put(ctx);
    }
    return error;
}

/* --- messages --------------------------------------------------------------------------------- */

/* G2: the reader gets a descriptor for the child's memory, or the event stays where it is. */
static int open_child(struct uffd_ctx *child, struct uffd_msg *msg)
{
    struct files *files = current_process() != NULL ? current_process()->files : NULL;
    struct file *file;
    s64 fd;
    int error;

    if (files == NULL) {
        return -EMFILE;
    }
    fd = fd_reserve(files, 0, rlimit_get(RLIMIT_NOFILE),
                    child->flags & O_CLOEXEC ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    if (fd < 0) {
        return (int)fd;
    }
    error = file_alloc(&userfaultfd_ops, O_RDONLY | (child->flags & O_NONBLOCK), 0, child, &file);
    if (error != 0) {
        fd_unreserve(files, (s32)fd);
        return error;
    }
    msg->arg.fork.ufd = (u32)fd;
    fd_fill(files, (s32)fd, file);
    return 0;
}

/* Return: 0 with a message, or why there is none. */
static int next_message(struct uffd_ctx *ctx, bool may_sleep, struct uffd_msg *msg)
{
    struct uffd_event *fork;
    int error;

    while (!uffd_take_message(ctx, msg, &fork)) {
        if (!may_sleep) {
            return -EAGAIN;
        }
        error = wait_event_interruptible(&ctx->readers, uffd_has_message(ctx));
        if (error != 0) {
            return error;
        }
    }
    if (likely(fork == NULL)) {
        return 0;
    }
    error = open_child(fork->child, msg);
    uffd_finish_fork(ctx, fork, error);
    return error;
}

/* C13: as many whole messages as fit, and only the first is waited for. */
static s64 userfaultfd_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct uffd_ctx *ctx = file->private;
    s64 done = 0;
    int error = 0;

    if (!uffd_is_initialized(ctx) || iov_count(iter) < sizeof(struct uffd_msg)) {
        return -EINVAL;
    }
    while (error == 0 && iov_count(iter) >= sizeof(struct uffd_msg)) {
        struct uffd_msg msg;

        error = next_message(ctx, done == 0 && !file_is_nonblock(file), &msg);
        if (error == 0 && iov_copy_to(iter, &msg, sizeof(msg)) != sizeof(msg)) {
            error = -EFAULT;
        }
        done += error == 0 ? (s64)sizeof(msg) : 0;
    }
    return done != 0 ? done : error;
}

/* C14. A message may be gone before it is read, so one who would then sleep is told at once. */
static u32 userfaultfd_poll(struct file *file, struct poll_table *table)
{
    struct uffd_ctx *ctx = file->private;

    poll_wait(table, &ctx->pollers);
    if (!uffd_is_initialized(ctx) || !file_is_nonblock(file)) {
        return POLLERR;
    }
    return uffd_has_message(ctx) ? POLLIN : 0;
}

/* --- commands --------------------------------------------------------------------------------- */

/* A6: whoever gets an error finds nothing but zeros. */
static s64 fail_api(u64 arg, int error)
{
    struct uffdio_api api = {.api = 0};

    return copy_to_user(arg, &api, sizeof(api)) != 0 ? -EFAULT : error;
}

static s64 ioctl_api(struct uffd_ctx *ctx, u64 arg)
{
    struct uffdio_api api;
    u64 features;

    if (copy_from_user(&api, arg, sizeof(api)) != 0) {
        return -EFAULT;
    }
    features = api.features;
    if (api.api != UFFD_API || (features & ~(u64)UFFD_FEATURES) != 0) {
        return fail_api(arg, -EINVAL);
    }
    if ((features & UFFD_FEATURE_EVENT_FORK) && !has_capability(CAP_SYS_PTRACE)) {
        return fail_api(arg, -EPERM);
    }
    api.features = UFFD_FEATURES;
    api.ioctls = UFFD_API_IOCTLS;
    if (copy_to_user(arg, &api, sizeof(api)) != 0) {
        return -EFAULT;
    }
    return uffd_enable(ctx, features) != 0 ? fail_api(arg, -EINVAL) : 0;
}

static s64 ioctl_register(struct uffd_ctx *ctx, u64 arg)
{
    struct uffdio_register request;
    u64 all = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR;
    u64 offered = UFFD_RANGE_IOCTLS;
    u64 vm_flags = 0;
    int error;

    if (copy_from_user(&request, arg, offsetof(struct uffdio_register, ioctls)) != 0) {
        return -EFAULT;
    }
    if (request.mode == 0 || (request.mode & ~all) != 0) {
        return -EINVAL;
    }
    error = uffd_check_range(request.range.start, request.range.len);
    if (error != 0) {
        return error;
    }
    vm_flags |= request.mode & UFFDIO_REGISTER_MODE_MISSING ? VM_UFFD_MISSING : 0;
    vm_flags |= request.mode & UFFDIO_REGISTER_MODE_WP ? VM_UFFD_WP : 0;
    vm_flags |= request.mode & UFFDIO_REGISTER_MODE_MINOR ? VM_UFFD_MINOR : 0;
    error =
        uffd_register(ctx, request.range.start, request.range.start + request.range.len, vm_flags);
    if (error != 0) {
        return error;
    }
    offered &= vm_flags & VM_UFFD_WP ? ~0ull : ~BIT(UFFDIO_NR_WRITEPROTECT);
    offered &= vm_flags & VM_UFFD_MINOR ? ~0ull : ~BIT(UFFDIO_NR_CONTINUE);
    return put_user_u64(arg + offsetof(struct uffdio_register, ioctls), offered);
}

/* UFFDIO_UNREGISTER and UFFDIO_WAKE. */
static s64 ioctl_range(struct uffd_ctx *ctx, u32 cmd, u64 arg)
{
    struct uffdio_range range;
    int error;

    if (copy_from_user(&range, arg, sizeof(range)) != 0) {
        return -EFAULT;
    }
    error = uffd_check_range(range.start, range.len);
    if (error == 0 && cmd == UFFDIO_UNREGISTER) {
        error = uffd_unregister(ctx, range.start, range.start + range.len);
    } else if (error == 0) {
        uffd_wake(ctx, range.start, range.start + range.len);
    }
    return error;
}

/* A user of the context's memory, who has it already if it is the caller's own. */
static bool use_mm(struct uffd_ctx *ctx)
{
    return likely(ctx->mm == current_mm()) || mm_get_not_zero(ctx->mm);
}

static void unuse_mm(struct uffd_ctx *ctx)
{
    if (unlikely(ctx->mm != current_mm())) {
        mm_put(ctx->mm);
    }
}

/* D1, seen early: the result says it as well. */
static s64 fail_changing(u64 result_addr)
{
    return put_user_u64(result_addr, (u64)-EAGAIN) != 0 ? -EFAULT : -EAGAIN;
}

/* D2, D3. */
static s64 finish(struct uffd_ctx *ctx, s64 done, u64 result_addr, u64 dst, u64 len, bool wakes)
{
    if (put_user_u64(result_addr, (u64)done) != 0) {
        return -EFAULT;
    }
    if (done < 0) {
        return done;
    }
    if (wakes) {
        uffd_wake(ctx, dst, dst + (u64)done);
    }
    return (u64)done == len ? 0 : -EAGAIN;
}

static s64 fill_and_finish(struct uffd_ctx *ctx, const struct uffd_fill *fill, u64 result_addr,
                           bool wakes)
{
    s64 done;

    if (!use_mm(ctx)) {
        return -ESRCH;
    }
    done = uffd_fill(ctx, fill);
    unuse_mm(ctx);
    return finish(ctx, done, result_addr, fill->dst, fill->len, wakes);
}

/* The source may begin anywhere (D10). */
static int check_source(u64 start, u64 len)
{
    return start < MMAP_MIN_ADDR || start >= TASK_SIZE || len > TASK_SIZE - start ? -EINVAL : 0;
}

static s64 ioctl_copy(struct uffd_ctx *ctx, u64 arg)
{
    u64 result_addr = arg + offsetof(struct uffdio_copy, copy);
    struct uffdio_copy request;

    if (atomic_u32_load(&ctx->nr_changing) != 0) {
        return fail_changing(result_addr);
    }
    if (copy_from_user(&request, arg, offsetof(struct uffdio_copy, copy)) != 0) {
        return -EFAULT;
    }
    if (check_source(request.src, request.len) != 0 ||
        uffd_check_range(request.dst, request.len) != 0 ||
        (request.mode & ~(UFFDIO_COPY_MODE_DONTWAKE | UFFDIO_COPY_MODE_WP)) != 0) {
        return -EINVAL;
    }
    return fill_and_finish(ctx,
                           &(struct uffd_fill){
                               .kind = UFFD_FILL_COPY,
                               .dst = request.dst,
                               .src = request.src,
                               .len = request.len,
                               .is_protected = (request.mode & UFFDIO_COPY_MODE_WP) != 0,
                           },
                           result_addr, !(request.mode & UFFDIO_COPY_MODE_DONTWAKE));
}

/* UFFDIO_ZEROPAGE, UFFDIO_CONTINUE and UFFDIO_POISON have one layout. */
_Static_assert(sizeof(struct uffdio_continue) == sizeof(struct uffdio_zeropage) &&
                   sizeof(struct uffdio_poison) == sizeof(struct uffdio_zeropage),
               "ABI");
_Static_assert(UFFDIO_CONTINUE_MODE_DONTWAKE == UFFDIO_ZEROPAGE_MODE_DONTWAKE &&
                   UFFDIO_POISON_MODE_DONTWAKE == UFFDIO_ZEROPAGE_MODE_DONTWAKE,
               "ABI");

static s64 ioctl_fill(struct uffd_ctx *ctx, enum uffd_fill_kind kind, u64 arg)
{
    u64 result_addr = arg + offsetof(struct uffdio_zeropage, zeropage);
    u64 modes = UFFDIO_ZEROPAGE_MODE_DONTWAKE;
    struct uffdio_zeropage request;

    if (atomic_u32_load(&ctx->nr_changing) != 0) {
        return fail_changing(result_addr);
    }
    if (copy_from_user(&request, arg, offsetof(struct uffdio_zeropage, zeropage)) != 0) {
        return -EFAULT;
    }
    modes |= kind == UFFD_FILL_CONTINUE ? UFFDIO_CONTINUE_MODE_WP : 0;
    if (uffd_check_range(request.range.start, request.range.len) != 0 ||
        (request.mode & ~modes) != 0) {
        return -EINVAL;
    }
    return fill_and_finish(ctx,
                           &(struct uffd_fill){
                               .kind = kind,
                               .dst = request.range.start,
                               .len = request.range.len,
                               .is_protected = (request.mode & UFFDIO_CONTINUE_MODE_WP) != 0,
                           },
                           result_addr, !(request.mode & UFFDIO_ZEROPAGE_MODE_DONTWAKE));
}

/* D17. */
static s64 ioctl_writeprotect(struct uffd_ctx *ctx, u64 arg)
{
    u64 both = UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
    struct uffdio_writeprotect request;
    u64 start, end;
    int error;

    if (atomic_u32_load(&ctx->nr_changing) != 0) {
        return -EAGAIN;
    }
    if (copy_from_user(&request, arg, sizeof(request)) != 0) {
        return -EFAULT;
    }
    start = request.range.start;
    end = start + request.range.len;
    if (uffd_check_range(start, request.range.len) != 0 || (request.mode & ~both) != 0 ||
        request.mode == both) {
        return -EINVAL;
    }
    if (!use_mm(ctx)) {
        return -ESRCH;
    }
    error = uffd_writeprotect(ctx, start, end,
                              request.mode & UFFDIO_WRITEPROTECT_MODE_WP ? UFFD_PROTECT
                                                                         : UFFD_UNPROTECT);
    unuse_mm(ctx);
    if (error == 0 && request.mode == 0) {
        uffd_wake(ctx, start, end);
    }
    return error;
}

static s64 ioctl_move(struct uffd_ctx *ctx, u64 arg)
{
    u64 result_addr = arg + offsetof(struct uffdio_move, move);
    struct uffdio_move request;
    s64 done;

    if (atomic_u32_load(&ctx->nr_changing) != 0) {
        return fail_changing(result_addr);
    }
    if (copy_from_user(&request, arg, offsetof(struct uffdio_move, move)) != 0) {
        return -EFAULT;
    }
    /* D21: what would be taken from another's memory could not be put back. */
    if (ctx->mm != current_mm() || uffd_check_range(request.dst, request.len) != 0 ||
        uffd_check_range(request.src, request.len) != 0 ||
        (request.mode & ~(UFFDIO_MOVE_MODE_DONTWAKE | UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES)) != 0) {
        return -EINVAL;
    }
    done =
        uffd_move(ctx, &(struct uffd_move){
                           .dst = request.dst,
                           .src = request.src,
                           .len = request.len,
                           .allows_holes = (request.mode & UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES) != 0,
                       });
    return finish(ctx, done, result_addr, request.dst, request.len,
                  !(request.mode & UFFDIO_MOVE_MODE_DONTWAKE));
}

static s64 userfaultfd_ioctl(struct file *file, u32 cmd, u64 arg)
{
    struct uffd_ctx *ctx = file->private;

    if (cmd != UFFDIO_API && !uffd_is_initialized(ctx)) {
        return -EINVAL;
    }
    switch (cmd) {
    case UFFDIO_API:
        return ioctl_api(ctx, arg);
    case UFFDIO_REGISTER:
        return ioctl_register(ctx, arg);
    case UFFDIO_UNREGISTER:
    case UFFDIO_WAKE:
        return ioctl_range(ctx, cmd, arg);
    case UFFDIO_COPY:
        return ioctl_copy(ctx, arg);
    case UFFDIO_ZEROPAGE:
        return ioctl_fill(ctx, UFFD_FILL_ZERO, arg);
    case UFFDIO_CONTINUE:
        return ioctl_fill(ctx, UFFD_FILL_CONTINUE, arg);
    case UFFDIO_POISON:
        return ioctl_fill(ctx, UFFD_FILL_POISON, arg);
    case UFFDIO_WRITEPROTECT:
        return ioctl_writeprotect(ctx, arg);
    case UFFDIO_MOVE:
        return ioctl_move(ctx, arg);
    default:
        return -EINVAL;
    }
}

/* --- the rest --------------------------------------------------------------------------------- */

#define INFO_INITIALIZED BIT(31)

void userfaultfd_count(struct file *file, u64 *nr_pending, u64 *nr_total, u32 *features)
{
    struct uffd_ctx *ctx = file->private;

    uffd_count(ctx, nr_pending, nr_total);
    *features = (u32)READ_ONCE(ctx->features);
    *features |= uffd_is_initialized(ctx) ? (u32)INFO_INITIALIZED : 0;
}

static void userfaultfd_release(struct file *file)
{
    uffd_release(file->private);
}

static int userfaultfd_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IRUSR | S_IWUSR, stat);
    return 0;
}

static void userfaultfd_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "anon_inode:[userfaultfd]", size);
}

static const struct file_ops userfaultfd_ops = {
    .kind = CB_FD_USERFAULTFD,
    .read = userfaultfd_read,
    .ioctl = userfaultfd_ioctl,
    .poll = userfaultfd_poll,
    .release = userfaultfd_release,
    .stat = userfaultfd_stat,
    .name = userfaultfd_name,
};
