/*
 * select(2) and pselect6(2).
 *
 * Owns: the three bit sets. They are copied in as whole words, as many as the highest descriptor
 * needs, and copied out only when the call succeeds. Read next: kernel/syscall/sys_poll.c.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/poll.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <syscall/poll_time.h>

#define WORDS_FAST   4 /* descriptors below 256 need no allocation */
#define WORD_BITS    64u
#define USEC_PER_SEC 1000000

/* What each set means, as in Linux. */
#define SELECT_IN     (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT    (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EXCEPT POLLPRI

enum select_kind { SET_IN, SET_OUT, SET_EXCEPT, NR_SETS };

static const u32 select_events[NR_SETS] = {SELECT_IN, SELECT_OUT, SELECT_EXCEPT};

#define FDS_FAST 16

/* A descriptor that stands in at least one set, borrowed for the length of the call. */
struct select_fd {
    u32 fd;
    struct fd_ref ref;
};

struct select_sets {
    u32 nr_fds; /* descriptors from here on are not looked at */
    u32 nr_words;
    u64 *want[NR_SETS];
    u64 *ready[NR_SETS];
    u32 nr;
    struct select_fd *fds;
    struct select_fd fast_fds[FDS_FAST];
};

static s64 select_scan(void *arg, struct poll_table *table)
{
    struct select_sets *sets = arg;
    s64 total = 0;

    for (u32 i = 0; i < sets->nr; i++) {
        u32 fd = sets->fds[i].fd;
        u32 events = file_poll(sets->fds[i].ref.file, table);

        for (u32 kind = 0; kind < NR_SETS; kind++) {
            if (bitmap_test(sets->want[kind], fd) && (events & select_events[kind])) {
                bitmap_set(sets->ready[kind], fd);
                total++;
            }
        }
        /* Something is ready: nobody will sleep, so the rest need not register. */
        table = total > 0 ? NULL : table;
    }
    return total;
}

static u64 wanted_word(const struct select_sets *sets, u32 word)
{
    u64 bits = sets->want[SET_IN][word] | sets->want[SET_OUT][word] | sets->want[SET_EXCEPT][word];
    u32 end = (word + 1) * WORD_BITS;

    return end <= sets->nr_fds ? bits : bits & ~(~0ul << (sets->nr_fds % WORD_BITS));
}

static void sets_return(struct select_sets *sets)
{
    for (u32 i = 0; i < sets->nr; i++) {
        fd_return(&sets->fds[i].ref);
    }
    if (sets->fds != sets->fast_fds) {
        kfree(sets->fds);
    }
}

static int sets_borrow_one(struct select_sets *sets, u32 fd)
{
    struct select_fd *entry = &sets->fds[sets->nr];

    if (fd_borrow((s32)fd, &entry->ref) != 0) {
        return -EBADF;
    }
    entry->fd = fd;
    sets->nr++;
    return (entry->ref.file->traits & FILE_PATH_ONLY) ? -EBADF : 0;
}

/* Borrows every descriptor of the sets. On failure none stays borrowed. */
static int sets_borrow(struct select_sets *sets)
{
    u32 max_nr = 0;
    int error = 0;

    for (u32 word = 0; word < sets->nr_words; word++) {
        max_nr += (u32)word_count_bits(wanted_word(sets, word));
    }
    sets->nr = 0;
    sets->fds = sets->fast_fds;
    if (max_nr > FDS_FAST) {
        sets->fds = kmalloc_array(max_nr, sizeof(struct select_fd), ALLOC_KERNEL);
        if (sets->fds == NULL) {
            return -ENOMEM;
        }
    }
    for (u32 word = 0; word < sets->nr_words && error == 0; word++) {
        u64 left = wanted_word(sets, word);

        while (left != 0 && error == 0) {
            error = sets_borrow_one(sets, word * WORD_BITS + (u32)__builtin_ctzll(left));
            left &= left - 1;
        }
    }
    if (error != 0) {
        sets_return(sets);
    }
    return error;
}

static int sets_copy_in(struct select_sets *sets, const u64 user_sets[NR_SETS])
{
    size_t size = sets->nr_words * sizeof(u64);

    for (u32 kind = 0; kind < NR_SETS; kind++) {
        memset(sets->want[kind], 0, size);
        memset(sets->ready[kind], 0, size);
        if (user_sets[kind] != 0 && copy_from_user(sets->want[kind], user_sets[kind], size) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static int sets_copy_out(const struct select_sets *sets, const u64 user_sets[NR_SETS])
{
    size_t size = sets->nr_words * sizeof(u64);

    for (u32 kind = 0; kind < NR_SETS; kind++) {
        if (user_sets[kind] != 0 && copy_to_user(user_sets[kind], sets->ready[kind], size) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

static s64 select_run(struct select_sets *sets, const u64 user_sets[NR_SETS], u64 deadline_ns)
{
    s64 result = sets_copy_in(sets, user_sets);

    result = result != 0 ? result : sets_borrow(sets);
    if (result != 0) {
        return result;
    }
    result = poll_sleep(deadline_ns, select_scan, sets);
    sets_return(sets);
    if (result >= 0 && sets_copy_out(sets, user_sets) != 0) {
        result = -EFAULT;
    }
    return result;
}

/* Return: bits set, 0 after the deadline, -ERESTARTNOHAND after a signal, or an error. */
static s64 do_select(s32 nr_fds, const u64 user_sets[NR_SETS], u64 deadline_ns)
{
    u64 fast[2 * NR_SETS * WORDS_FAST];
    u64 *words = fast;
    struct select_sets sets;
    s64 result;

    if (nr_fds < 0) {
        return -EINVAL;
    }
    /* Nothing can be open beyond the table. */
    sets.nr_fds = min((u32)nr_fds, files_capacity(current_process()->files));
    sets.nr_words = DIV_ROUND_UP(sets.nr_fds, WORD_BITS);
    if (sets.nr_words > WORDS_FAST) {
        words = kmalloc_array(2ul * NR_SETS * sets.nr_words, sizeof(u64), ALLOC_KERNEL);
        if (words == NULL) {
            return -ENOMEM;
        }
    }
    for (u32 kind = 0; kind < NR_SETS; kind++) {
        sets.want[kind] = words + kind * sets.nr_words;
        sets.ready[kind] = words + (NR_SETS + kind) * sets.nr_words;
    }
    result = select_run(&sets, user_sets, deadline_ns);
    if (words != fast) {
        kfree(words);
    }
    return result == -ERESTARTSYS ? -ERESTARTNOHAND : result;
}

static int select_deadline(u64 user_timeout, u64 *deadline_ns)
{
    struct timeval_abi timeout;
    u64 ns;

    *deadline_ns = DEADLINE_NONE;
    if (user_timeout == 0) {
        return 0;
    }
    if (copy_from_user(&timeout, user_timeout, sizeof(timeout)) != 0) {
        return -EFAULT;
    }
    if (timeout.tv_sec < 0 || timeout.tv_usec < 0) {
        return -EINVAL;
    }
    /* Linux accepts more than a second of microseconds here. */
    if ((u64)timeout.tv_sec > U64_MAX / NSEC_PER_SEC / 4 ||
        (u64)timeout.tv_usec > U64_MAX / NSEC_PER_USEC / 4) {
        return 0;
    }
    ns = (u64)timeout.tv_sec * NSEC_PER_SEC + (u64)timeout.tv_usec * NSEC_PER_USEC;
    *deadline_ns = ns == 0 ? 0 : deadline_after(ns);
    return 0;
}

static void select_put_timeout(u64 user_timeout, u64 deadline_ns)
{
    struct timeval_abi left;
    u64 ns = poll_time_left(deadline_ns);

    if (user_timeout == 0) {
        return;
    }
    left.tv_sec = (s64)(ns / NSEC_PER_SEC);
    left.tv_usec = (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC);
    (void)!copy_to_user(user_timeout, &left, sizeof(left));
}

long sys_select(s32 nr_fds, u64 in, u64 out, u64 except, u64 timeout)
{
    const u64 user_sets[NR_SETS] = {in, out, except};
    u64 deadline_ns;
    s64 result = select_deadline(timeout, &deadline_ns);

    if (result != 0) {
        return result;
    }
    result = do_select(nr_fds, user_sets, deadline_ns);
    select_put_timeout(timeout, deadline_ns);
    return result;
}

long sys_pselect6(s32 nr_fds, u64 in, u64 out, u64 except, u64 timeout, u64 user_mask)
{
    const u64 user_sets[NR_SETS] = {in, out, except};
    u64 mask[2] = {0, 0}; /* address and size of the signal set */
    u64 deadline_ns;
    s64 result;

    if (user_mask != 0 && copy_from_user(mask, user_mask, sizeof(mask)) != 0) {
        return -EFAULT;
    }
    result = poll_deadline_timespec(timeout, &deadline_ns);
    result = result != 0 ? result : signal_set_temp_mask_user(mask[0], mask[1]);
    if (result != 0) {
        return result;
    }
    result = do_select(nr_fds, user_sets, deadline_ns);
    signal_restore_mask_unless(result == -ERESTARTNOHAND);
    poll_put_timespec(timeout, deadline_ns);
    return result;
}
