/*
 * Robust futexes: a thread that ends while it holds some leaves a list of them in its memory.
 *
 * Everything read here was written by the user and may be nonsense: a list that is too long, a
 * cycle, a bad address end the walk. Nothing else depends on it.
 */
#include <proc/futex.h>

#include <lib/errno.h>
#include <mm/usercopy.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <uapi/linux/futex.h>

enum robust_kind { ROBUST_LISTED, ROBUST_PENDING };

/* Marks one futex. Return: false if the list cannot be trusted any further. */
static bool mark_owner_died(u64 entry, s64 offset, s32 tid, enum robust_kind kind)
{
    bool is_pi = (entry & ROBUST_LIST_PI) != 0;
    u64 uaddr = (entry & ~ROBUST_LIST_PI) + (u64)offset;
    u32 value, seen, marked;

    if ((uaddr & 3) != 0 || get_user_u32(&value, uaddr) != 0) {
        return false;
    }
    if (kind == ROBUST_PENDING && !is_pi && value == 0) {
        /* The thread had unlocked the word and died before it woke anybody. */
        (void)futex_wake_address(uaddr, 1);
        return true;
    }
    for (;;) {
        if ((value & FUTEX_TID_MASK) != (u32)tid) {
            return true;
        }
        marked = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (cmpxchg_user_u32(uaddr, value, marked, &seen) != 0) {
            return false;
        }
        if (seen == value) {
            break;
        }
        value = seen;
    }
    if (!is_pi && (value & FUTEX_WAITERS) != 0) {
        (void)futex_wake_address(uaddr, 1);
    }
    return true;
}

static void walk_list(u64 head_addr, const struct robust_list_head *head, s32 tid)
{
    u64 pending = head->list_op_pending;
    u64 entry = head->list;

    for (u32 i = 0; i < ROBUST_LIST_LIMIT && (entry & ~ROBUST_LIST_PI) != head_addr; i++) {
        u64 following;
        bool has_following = get_user_u64(&following, entry & ~ROBUST_LIST_PI) == 0;

        /* The pending one may be in the list already; it is looked at last, once. */
        if ((entry & ~ROBUST_LIST_PI) != (pending & ~ROBUST_LIST_PI) &&
            !mark_owner_died(entry, head->futex_offset, tid, ROBUST_LISTED)) {
            return;
        }
        if (!has_following) {
            return;
        }
        entry = following;
        sched_point();
    }
    if ((pending & ~ROBUST_LIST_PI) != 0) {
        (void)mark_owner_died(pending, head->futex_offset, tid, ROBUST_PENDING);
    }
}

void futex_exit_robust(struct thread *thread)
{
    struct robust_list_head head;

    if (thread->robust_list != 0 && copy_from_user(&head, thread->robust_list, sizeof(head)) == 0) {
        walk_list(thread->robust_list, &head, thread->tid);
    }
    thread->robust_list = 0;
}
