/*
 * Kernel messages.
 *
 * Owns the log ring and the order of lines on the console. The ring is a byte array indexed by an
 * ever-growing position; whoever reads keeps a position and is moved up when the ring has
 * overwritten it. Panic messages come from a CPU that may hold any lock, so that printing then
 * takes none. Read next: kernel/debug/panic.c.
 */
#include <arch/platform.h>
#include <lib/fmt.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <proc/spinlock.h>

/* Longer messages are cut off. */
#define MESSAGE_MAX 512

/* Linux's level of informational messages, which dmesg understands. */
#define KLOG_LEVEL "<6>"

_Static_assert((KLOG_SIZE & (KLOG_SIZE - 1)) == 0, "positions are masked to ring offsets");

static struct spinlock klog_lock = SPINLOCK_INIT(RANK_KLOG);
static char klog_ring[KLOG_SIZE]; /* [klog_lock] */
static u64 klog_tail;             /* [klog_lock] position of the oldest whole line */
static u64 klog_head;             /* [klog_lock] position after the newest byte */
static bool klog_in_line;         /* [klog_lock] the newest line has no newline yet */
static u32 panic_depth;           /* atomic: not zero while locks are left alone */

static void klog_append(const char *text, size_t len);

/* Takes the lock unless a panic is printing. */
static u64 klog_lock_save(void) NO_THREAD_SAFETY_ANALYSIS
{
    if (__atomic_load_n(&panic_depth, __ATOMIC_RELAXED) != 0) {
        return irq_save();
    }
    return spin_lock_irqsave(&klog_lock);
}

static void klog_unlock_restore(u64 flags) NO_THREAD_SAFETY_ANALYSIS
{
    if (__atomic_load_n(&panic_depth, __ATOMIC_RELAXED) != 0) {
        irq_restore(flags);
        return;
    }
    spin_unlock_irqrestore(&klog_lock, flags);
}

void printk(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprintk(fmt, args);
    va_end(args);
}

void vprintk(const char *fmt, va_list args)
{
    char text[MESSAGE_MAX];
    int wanted = vsnprintf(text, sizeof(text), fmt, args);
    size_t len = min((size_t)wanted, sizeof(text) - 1);

    if ((size_t)wanted >= sizeof(text)) {
        text[sizeof(text) - 2] = '\n';
    }
    u64 flags = klog_lock_save();
    klog_append(text, len);
    serial_write(text, len);
    klog_unlock_restore(flags);
}

void console_printf(const char *fmt, ...)
{
    char text[MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    int wanted = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    console_write(text, min((size_t)wanted, sizeof(text) - 1));
}

void console_write(const char *text, size_t len)
{
    u64 flags = klog_lock_save();

    serial_write(text, len);
    klog_unlock_restore(flags);
}

void printk_enter_panic(void)
{
    __atomic_fetch_add(&panic_depth, 1, __ATOMIC_SEQ_CST);
}

void printk_leave_panic(void)
{
    __atomic_fetch_sub(&panic_depth, 1, __ATOMIC_SEQ_CST);
    /* The lock may have been held by code that the panic ended. */
    spin_init(&klog_lock, RANK_KLOG);
}

static void klog_drop_oldest_line(void)
{
    while (klog_tail < klog_head && klog_ring[klog_tail & (KLOG_SIZE - 1)] != '\n') {
        klog_tail++;
    }
    klog_tail = min(klog_tail + 1, klog_head);
}

static void klog_put(char c)
{
    if (klog_head - klog_tail == KLOG_SIZE) {
        klog_drop_oldest_line();
    }
    klog_ring[klog_head & (KLOG_SIZE - 1)] = c;
    klog_head++;
}

static void klog_append(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!klog_in_line) {
            char prefix[40];
            u64 usec = arch_clock_ns() / NSEC_PER_USEC;
            int prefix_len = scnprintf(prefix, sizeof(prefix), KLOG_LEVEL "[%5lu.%06lu] ",
                                       usec / 1000000, usec % 1000000);

            for (int j = 0; j < prefix_len; j++) {
                klog_put(prefix[j]);
            }
        }
        klog_put(text[i]);
        klog_in_line = text[i] != '\n';
    }
}

size_t klog_read(char *buf, size_t len, u64 *from)
{
    u64 flags = klog_lock_save();
    u64 pos = clamp(*from, klog_tail, klog_head);
    size_t count = min(len, klog_head - pos);

    for (size_t i = 0; i < count; i++) {
        buf[i] = klog_ring[(pos + i) & (KLOG_SIZE - 1)];
    }
    klog_unlock_restore(flags);
    *from = pos + count;
    return count;
}

u64 klog_start(void)
{
    u64 flags = klog_lock_save();
    u64 start = klog_tail;

    klog_unlock_restore(flags);
    return start;
}

u64 klog_end(void)
{
    u64 flags = klog_lock_save();
    u64 end = klog_head;

    klog_unlock_restore(flags);
    return end;
}
