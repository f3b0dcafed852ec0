/*
 * The end of the kernel: panic with the registers of the code that broke a rule.
 * panic() itself is declared in lib/assert.h.
 */
#ifndef COWBELL_DEBUG_PANIC_H
#define COWBELL_DEBUG_PANIC_H

#include <lib/compiler.h>

struct trapframe;

/**
 * panic_with_frame() - panic() for an exception.
 * @tf: registers of the code that was interrupted
 */
NORETURN COLD void panic_with_frame(const struct trapframe *tf, const char *fmt, ...) PRINTF(2, 3);

/** panic_print_registers() - print a trapframe. Context: any. */
void panic_print_registers(const struct trapframe *tf);

#endif
