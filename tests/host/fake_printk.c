/* Kernel messages in host tests: KTAP comments. Not linked where the kernel's own printk is tested.
 */
#include <setjmp.h>
#include <stdio.h>

#include <lib/printk.h>

extern jmp_buf *host_panic_target;

void vprintk(const char *fmt, va_list args)
{
    /* What the kernel says on its way to an expected panic is no news. */
    if (host_panic_target == NULL) {
        printf("# ");
        vprintf(fmt, args);
    }
}

void printk(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprintk(fmt, args);
    va_end(args);
}
