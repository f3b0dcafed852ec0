/*
 * Touching memory of a registered range where a signal may come instead, for the uffd tests.
 */
#ifndef COWBELL_TESTS_UFFD_TOUCH_H
#define COWBELL_TESTS_UFFD_TOUCH_H

#include <setjmp.h>
#include <signal.h>

#include "uffd_tools.h"

static sigjmp_buf after_signal;
static siginfo_t last_signal;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    last_signal = *info;
    siglongjmp(after_signal, 1);
}

/* Touch a byte. Return: 0, or the signal that came instead. */
static inline int touch(volatile char *p, enum touch kind)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(after_signal, 1) != 0) {
        return last_signal.si_signo;
    }
    if (kind == TOUCH_WRITE) {
        *p = 1;
    } else {
        *p;
    }
    return 0;
}

#endif
