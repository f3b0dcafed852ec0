/*
 * The table of numbers: which thread, process, group and session a number means.
 *
 * A number is given out with a new thread and is free again when the last use of its struct pid
 * ends, so a group or session keeps its number after its leader is gone.
 */
#ifndef PROC_PID_H
#define PROC_PID_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <proc/process.h>

/** pid_init() - the cache; once, from proc_init(). */
void pid_init(void);

/**
 * pid_create() - reserve the next free number.
 * @out: entry with one use, findable, that stands for nothing yet
 *
 * Context: thread; takes process_tree_lock.
 * Return:  0, -ENOMEM, or -EAGAIN if all numbers are taken.
 */
MUST_CHECK int pid_create(struct pid **out) EXCLUDES(process_tree_lock);

/** pid_find_locked() - the entry of a number, or NULL. */
struct pid *pid_find_locked(s32 nr) REQUIRES(process_tree_lock);

/** pid_next_locked() - the entry with the lowest number above @after, or NULL. */
struct pid *pid_next_locked(s32 after) REQUIRES(process_tree_lock);

/** pid_use_locked() - count one more use. */
void pid_use_locked(struct pid *pid) REQUIRES(process_tree_lock);

/** pid_drop_locked() - count one use less; with the last, entry and number are free. */
void pid_drop_locked(struct pid *pid) REQUIRES(process_tree_lock);

/** pid_drop() - the same for a caller that does not hold the lock. */
void pid_drop(struct pid *pid) EXCLUDES(process_tree_lock);

/** pid_last() - the number given out last. */
s32 pid_last(void);

#endif
