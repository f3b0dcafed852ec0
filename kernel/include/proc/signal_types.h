/*
 * The signal state that struct thread and struct process embed. The functions are in
 * proc/signal.h; this header exists so that proc/thread.h needs nothing else of signals.
 *
 * Locks: [s] process->sig_lock, [t] written by the owning thread only, [x] atomic.
 */
#ifndef PROC_SIGNAL_TYPES_H
#define PROC_SIGNAL_TYPES_H

#include <lib/types.h>
#include <lib/list.h>
#include <uapi/linux/signal.h>

struct user_account;
struct vfork_wait;

/* Signals that wait for delivery: one bit a signal, and a record for each instance with data. */
struct signal_pending {
    u64 set;                /* [s] bit n-1 for signal n */
    struct list_node queue; /* [s] struct signal_record, oldest first */
};

/*
 * One instance of a signal that waits. A sender in interrupt context cannot allocate: it brings a
 * record of its own (struct posix_timer embeds one), or goes without siginfo.
 */
struct signal_record {
    struct list_node link;        /* [s] in signal_pending.queue; points to itself when it is not */
    struct siginfo info;          /* [s] */
    struct user_account *account; /* [I] charged for it; NULL if the sender owns the record */
    s32 overrun_taken;            /* [x] a timer's: what its last signal said when it was taken */
};

/* A thread's part of signal handling. */
struct thread_signals {
    bool restore_mask;             /* [t] saved_mask replaces blocked on return to user mode */
    bool stopped;                  /* [s] sits in a job-control stop */
    bool exiting;                  /* [s] takes no more signals */
    bool stop_dequeued;            /* [s] took a stop signal that no SIGCONT has undone */
    bool stop_counted;             /* [s] a running group stop waits for this thread */
    u64 blocked;                   /* [s] write, owner reads freely */
    u64 saved_mask;                /* [t] */
    u64 waited;                    /* [s] set for which rt_sigtimedwait() sleeps */
    struct signal_pending pending; /* [s] sent to this thread alone */
    struct signal_record forced;   /* [s] for what it did itself: one fault at a time */
    u64 altstack_sp;               /* [t] */
    u64 altstack_size;             /* [t] */
    u32 altstack_flags;            /* [t] SS_DISABLE if there is none */
    u32 fault_vector;              /* [t] last exception in user mode: what a frame shows */
    u32 fault_error;               /* [t] */
    u64 fault_address;             /* [t] */
    u64 set_child_tid;             /* [t] user address that gets the tid when a clone starts */
    struct vfork_wait *vfork;      /* [t] creator that waits until this thread leaves the mm */
};

/* Signal n as a bit of a set. */
#define SIGNAL_BIT(n) (1UL << ((n)-1))

#endif
