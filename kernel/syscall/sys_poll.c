/*
 * poll(2) and ppoll(2).
 *
 * Owns: the user's array of descriptors, and time-outs. The files are kept open for the length of
 * the call. Read next: kernel/ipc/poll.c for the sleep, sys_select.c, sys_epoll.c.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/poll.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <syscall/poll_time.h>

#define FDS_FAST 16

struct poll_set {
    u32 nr;
    struct pollfd *fds;
    struct fd_ref *refs; /* file NULL: ignored, or not open */
};

u64 poll_deadline_ms(s32 timeout_ms)
{
    if (timeout_ms < 0) {
        return DEADLINE_NONE;
    }
    return timeout_ms == 0 ? 0 : deadline_after((u64)timeout_ms * NSEC_PER_MSEC);
}

int poll_deadline_timespec(u64 user_timeout, u64 *deadline_ns)
{
    struct timespec timeout;
    u64 ns;

    *deadline_ns = DEADLINE_NONE;
    if (user_timeout == 0) {
        return 0;
    }
    if (copy_from_user(&timeout, user_timeout, sizeof(timeout)) != 0) {
        return -EFAULT;
    }
    if (!timespec_is_valid(&timeout)) {
        return -EINVAL;
    }
    ns = timespec_to_ns(&timeout);
    *deadline_ns = ns == 0 ? 0 : deadline_after(ns);
    return 0;
}

u64 poll_time_left(u64 deadline_ns)
{
    u64 now = clock_monotonic_ns();

    return deadline_ns > now ? deadline_ns - now : 0;
}

void poll_put_timespec(u64 user_timeout, u64 deadline_ns)
{
    struct timespec left;

    if (user_timeout == 0) {
        return;
    }
    left = ns_to_timespec(poll_time_left(deadline_ns));
    (void)!copy_to_user(user_timeout, &left, sizeof(left));
}

static s64 poll_set_scan(void *arg, struct poll_table *table)
{
    struct poll_set *set = arg;
    s64 nr_ready = 0;

    for (u32 i = 0; i < set->nr; i++) {
        struct pollfd *fd = &set->fds[i];
        u32 wanted = (u16)fd->events | POLLERR | POLLHUP;
        u32 ready;

        if (set->refs[i].file == NULL) {
            nr_ready += fd->revents != 0;
            continue;
        }
        ready = file_poll(set->refs[i].file, table) & wanted;
        fd->revents = (s16)ready;
        if (ready != 0) {
            /* Something is ready: nobody will sleep, so the rest need not register. */
            nr_ready++;
            table = NULL;
        }
    }
    return nr_ready;
}

static void poll_set_borrow(struct poll_set *set)
{
    for (u32 i = 0; i < set->nr; i++) {
        struct pollfd *fd = &set->fds[i];

        fd->revents = 0;
        set->refs[i].file = NULL;
        if (fd->fd < 0) {
            continue;
        }
        if (fd_borrow(fd->fd, &set->refs[i]) != 0) {
            set->refs[i].file = NULL;
            fd->revents = POLLNVAL;
        } else if (set->refs[i].file->traits & FILE_PATH_ONLY) {
            fd_return(&set->refs[i]);
            set->refs[i].file = NULL;
            fd->revents = POLLNVAL;
        }
    }
}

static void poll_set_return(struct poll_set *set)
{
    for (u32 i = 0; i < set->nr; i++) {
        if (set->refs[i].file != NULL) {
            fd_return(&set->refs[i]);
        }
    }
}

/* Linux writes the results alone, not what the user passed. */
static int poll_set_put(const struct poll_set *set, u64 user_fds)
{
    for (u32 i = 0; i < set->nr; i++) {
        u64 addr = user_fds + i * sizeof(struct pollfd) + offsetof(struct pollfd, revents);

        if (put_user_u16(addr, (u16)set->fds[i].revents) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static s64 poll_set_run(struct poll_set *set, u64 user_fds, u64 deadline_ns)
{
    s64 result;

    if (copy_from_user(set->fds, user_fds, set->nr * sizeof(struct pollfd)) != 0) {
        return -EFAULT;
    }
    poll_set_borrow(set);
    result = poll_sleep(deadline_ns, poll_set_scan, set);
    poll_set_return(set);
    if (result >= 0 && poll_set_put(set, user_fds) != 0) {
        result = -EFAULT;
    }
    return result;
}

/* Return: ready descriptors, 0 after the deadline, -ERESTARTSYS after a signal, or an error. */
static s64 do_poll(u64 user_fds, u32 nr, u64 deadline_ns)
{
    struct pollfd fast_fds[FDS_FAST];
    struct fd_ref fast_refs[FDS_FAST];
    struct poll_set set = {.nr = nr, .fds = fast_fds, .refs = fast_refs};
    s64 result = -ENOMEM;

    if (nr > rlimit_get(RLIMIT_NOFILE)) {
        return -EINVAL;
    }
    if (nr <= FDS_FAST) {
        return poll_set_run(&set, user_fds, deadline_ns);
    }
    set.fds = kmalloc_array(nr, sizeof(struct pollfd), ALLOC_KERNEL);
    set.refs = kmalloc_array(nr, sizeof(struct fd_ref), ALLOC_KERNEL);
    if (set.fds != NULL && set.refs != NULL) {
        result = poll_set_run(&set, user_fds, deadline_ns);
    }
    kfree(set.refs);
    kfree(set.fds);
    return result;
}

/* Goes on after a stop and continue, with the time that is left. */
static long poll_restart(struct restart_block *block)
{
    s64 result = do_poll(block->poll.fds, block->poll.nr_fds, block->poll.deadline_ns);

    return result == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : result;
}

long sys_poll(u64 fds, u32 nr_fds, s32 timeout_ms)
{
    u64 deadline_ns = poll_deadline_ms(timeout_ms);
    s64 result = do_poll(fds, nr_fds, deadline_ns);

    if (result == -ERESTARTSYS) {
        struct restart_block *block = &current_thread()->restart;

        block->func = poll_restart;
        block->poll.fds = fds;
        block->poll.nr_fds = nr_fds;
        block->poll.deadline_ns = deadline_ns;
        result = -ERESTART_RESTARTBLOCK;
    }
    return result;
}

long sys_ppoll(u64 fds, u32 nr_fds, u64 timeout, u64 mask, u64 mask_size)
{
    u64 deadline_ns;
    s64 result = poll_deadline_timespec(timeout, &deadline_ns);

    result = result != 0 ? result : signal_set_temp_mask_user(mask, mask_size);
    if (result != 0) {
        return result;
    }
    result = do_poll(fds, nr_fds, deadline_ns);
    signal_restore_mask_unless(result == -ERESTARTSYS);
    poll_put_timespec(timeout, deadline_ns);
    return result == -ERESTARTSYS ? -ERESTARTNOHAND : result;
}
