/*
 * Shared by explore.c, which switches between the operations, and explore_run.c, which decides.
 */
#ifndef COWBELL_DEBUG_EXPLORE_INTERNAL_H
#define COWBELL_DEBUG_EXPLORE_INTERNAL_H

#include <debug/explore.h>
#include <lib/types.h>

/* Not an operation. */
#define EXPLORE_NONE U32_MAX

/** struct explore_op - one operation of the order that is being run. Only one CPU looks. */
struct explore_op {
    struct thread *thread;           /* a reference; NULL before explore_join() */
    struct mm *mm;                   /* for a thread that explore_run() makes */
    bool is_own_thread;              /* explore_run() made it and joins it */
    bool is_ended;                   /* explore_leave() */
    bool is_stopped;                 /* by switch_away(): on no queue, yet current */
    bool has_irqs_off;               /* when it last stopped at a point */
    const struct spinlock *spins_on; /* cannot go on while this is locked */
    const struct mm *flushes;        /* cannot go on while another one runs this, irqs off */
};

/** struct explore_engine - the operations, and what may happen between them. */
struct explore_engine {
    bool is_running; /* false: prepare() still runs, and no operation does */
    u32 nr_ops;
    u32 kinds;
    u64 ranks;
    struct thread *controller; /* the thread of explore_run(); runs when no other can */
    u32 forced;                /* the operation that a point has switched to */
    bool is_switch;
    struct explore_op ops[EXPLORE_MAX_OPS];
};

extern struct explore_engine explore_engine;

/**
 * explore_decide() - which of the operations in @options runs now.
 * @current: the one that has reached a point and could go on, or EXPLORE_NONE
 *
 * Called with the run queue locked, or at a point.
 */
u32 explore_decide(u32 options, u32 current);

/** explore_engine_run() - run the operations until none of them can go on. */
void explore_engine_run(void);

/** explore_op_has_ended() - by explore_leave() or with its thread. */
bool explore_op_has_ended(const struct explore_op *op);

#endif
