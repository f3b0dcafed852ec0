/*
 * Who called whom: the chain of frame pointers on a kernel stack, and names for its addresses.
 */
#ifndef COWBELL_DEBUG_BACKTRACE_H
#define COWBELL_DEBUG_BACKTRACE_H

#include <lib/types.h>

struct trapframe;

#define BACKTRACE_MAX 32

/**
 * backtrace_capture() - the return addresses above the caller.
 * @frames: out: up to @max addresses, innermost first
 *
 * Context: any. Return: how many.
 */
u32 backtrace_capture(u64 *frames, u32 max);

/** backtrace_capture_from() - the same for the code that @tf interrupted; its own address first. */
u32 backtrace_capture_from(const struct trapframe *tf, u64 *frames, u32 max);

/** backtrace_print() - print where @tf was, or, if it is NULL, who called this. */
void backtrace_print(const struct trapframe *tf);

/** backtrace_print_frames() - print captured addresses with their names. */
void backtrace_print_frames(const u64 *frames, u32 nr_frames);

/**
 * symbol_lookup() - the function that holds an address.
 * @offset: out: bytes from its start
 *
 * Return: its name, or NULL (not in the kernel's text, or the image has no symbols).
 */
const char *symbol_lookup(u64 address, u64 *offset);

/** symbol_address() - where the function of that name starts, or 0. */
u64 symbol_address(const char *name);

#endif
