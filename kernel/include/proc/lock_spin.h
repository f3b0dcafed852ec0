/*
 * Spinning for a sleeping lock whose holder runs on another CPU.
 *
 * Such a holder is likely to be done before a sleep and a wake-up are. Used by mutex.c and rwsem.c
 * before they queue the caller.
 */
#ifndef PROC_LOCK_SPIN_H
#define PROC_LOCK_SPIN_H

#include <lib/types.h>
#include <lib/compiler.h>

struct thread;

struct lock_spin {
    u32 nr_left; /* looks that are still to be taken */
    u32 cpu;     /* where the holder was seen last */
};

/** lock_spin_begin() - a fresh patience: none where no other CPU could run the holder. */
void lock_spin_begin(struct lock_spin *spin);

/**
 * lock_spin_goes_on() - pause, and say whether to look at the lock once more.
 * @holder: compared only, since it may exit meanwhile; NULL if the holders are not known
 *
 * Return: false if the patience is used up, if @holder is not running, or if the caller's CPU is
 *         wanted for another thread.
 */
MUST_CHECK bool lock_spin_goes_on(struct lock_spin *spin, const struct thread *holder);

#endif
