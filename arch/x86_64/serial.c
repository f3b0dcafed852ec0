/*
 * The first serial port, a 16550: polled output for the kernel's own messages, which must get out
 * whatever else is broken, and interrupts both ways for the console. Source: National PC16550D.
 */
#include "machine.h"
#include "io.h"
#include <arch/platform.h>
#include <lib/printk.h>

#define PORT      0x3f8
#define ISA_LINE  4
#define FIFO_SIZE 16

enum uart_register {
    UART_DATA = PORT,
    UART_INTERRUPT_ENABLE = PORT + 1,
    UART_INTERRUPT_ID = PORT + 2, /* when read */
    UART_FIFO_CONTROL = PORT + 2, /* when written */
    UART_LINE_CONTROL = PORT + 3,
    UART_MODEM_CONTROL = PORT + 4,
    UART_LINE_STATUS = PORT + 5,
    UART_SCRATCH = PORT + 7,
};

#define ENABLE_RX          BIT(0)
#define ENABLE_TX          BIT(1)
#define ID_NONE_PENDING    BIT(0)
#define FIFO_ON_AND_CLEAR  0x07
#define LINE_8N1           0x03
#define LINE_DIVISOR       0x80
#define MODEM_DTR_RTS_OUT2 0x0b /* OUT2 lets the interrupt through */
#define STATUS_RX_READY    BIT(0)
#define STATUS_TX_EMPTY    BIT(5)
#define STATUS_ABSENT      0xff

/* A chip that never becomes ready must not hang a panic. */
#define POLL_LIMIT 1000000
#define LOCK_LIMIT 10000000

#define QUEUE_SIZE 4096 /* a power of two */

static bool is_present;
static bool irq_is_on;
static bool tx_interrupt_is_on;
static char queue[QUEUE_SIZE];
static u32 queue_head, queue_tail; /* free-running; head is where the next byte is put */
static u8 locked;

/*
 * Not a spin lock of the ordinary kind: a panic may find it held by a CPU that was stopped, and
 * then goes on without it. Interrupts are off while it is held.
 */
static u64 lock_chip(void)
{
    u64 flags = irq_save();

    for (u32 try = 0; try < LOCK_LIMIT; try++) {
        if (__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE) == 0) {
            break;
        }
        cpu_relax();
    }
    return flags;
}

static void unlock_chip(u64 flags)
{
    __atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
    irq_restore(flags);
}

void platform_serial_early_init(void)
{
    port_write8(UART_SCRATCH, 0x5a);
    is_present = port_read8(UART_SCRATCH) == 0x5a && port_read8(UART_LINE_STATUS) != STATUS_ABSENT;
    if (!is_present) {
        return;
    }
    port_write8(UART_INTERRUPT_ENABLE, 0);
    port_write8(UART_LINE_CONTROL, LINE_DIVISOR);
    port_write8(UART_DATA, 1); /* divisor 1: 115200 baud */
    port_write8(UART_INTERRUPT_ENABLE, 0);
    port_write8(UART_LINE_CONTROL, LINE_8N1);
    port_write8(UART_FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    port_write8(UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
}

static bool wait_for_room(void)
{
    for (u32 try = 0; try < POLL_LIMIT; try++) {
        if ((port_read8(UART_LINE_STATUS) & STATUS_TX_EMPTY) != 0) {
            return true;
        }
        cpu_relax();
    }
    return false;
}

/* An empty transmitter takes a whole FIFO; @room counts what is left of it. */
static bool put_polled(char byte, u32 *room)
{
    if (*room == 0) {
        if (!wait_for_room()) {
            return false;
        }
        *room = FIFO_SIZE;
    }
    port_write8(UART_DATA, (u8)byte);
    --*room;
    return true;
}

void serial_write(const char *text, size_t len)
{
    u64 flags;
    u32 room = 0;

    if (!is_present) {
        return;
    }
    flags = lock_chip();
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n' && !put_polled('\r', &room)) {
            break;
        }
        if (!put_polled(text[i], &room)) {
            break;
        }
    }
    unlock_chip(flags);
}

static u32 queue_used(void)
{
    return queue_head - queue_tail;
}

/* Give the transmitter what it takes, and ask for an interrupt exactly if something is left. */
static void feed_transmitter(void)
{
    bool wants_interrupt;

    if ((port_read8(UART_LINE_STATUS) & STATUS_TX_EMPTY) != 0) {
        for (u32 i = 0; i < FIFO_SIZE && queue_used() > 0; i++) {
            port_write8(UART_DATA, (u8)queue[queue_tail++ % QUEUE_SIZE]);
        }
    }
    wants_interrupt = queue_used() > 0;
    if (wants_interrupt != tx_interrupt_is_on) {
        tx_interrupt_is_on = wants_interrupt;
        port_write8(UART_INTERRUPT_ENABLE, ENABLE_RX | (wants_interrupt ? ENABLE_TX : 0));
    }
}

size_t serial_send(const char *text, size_t len)
{
    u64 flags;
    size_t taken = 0;

    if (!is_present || !irq_is_on) {
        serial_write(text, len);
        return len;
    }
    flags = lock_chip();
    while (taken < len && queue_used() < QUEUE_SIZE) {
        queue[queue_head++ % QUEUE_SIZE] = text[taken++];
    }
    if (!tx_interrupt_is_on) {
        feed_transmitter();
    }
    unlock_chip(flags);
    return taken;
}

size_t serial_send_space(void)
{
    return QUEUE_SIZE - queue_used();
}

void serial_drain(void)
{
    u64 flags;
    u32 room = 0;

    if (!is_present) {
        return;
    }
    flags = lock_chip();
    while (queue_used() > 0 && put_polled(queue[queue_tail % QUEUE_SIZE], &room)) {
        queue_tail++;
    }
    unlock_chip(flags);
}

static void serial_interrupt(void *arg)
{
    bool had_room = serial_send_space() > QUEUE_SIZE / 2;

    while ((port_read8(UART_INTERRUPT_ID) & ID_NONE_PENDING) == 0) {
        u64 flags;

        while ((port_read8(UART_LINE_STATUS) & STATUS_RX_READY) != 0) {
            serial_rx(port_read8(UART_DATA));
        }
        flags = lock_chip();
        feed_transmitter();
        unlock_chip(flags);
    }
    if (!had_room && serial_send_space() > QUEUE_SIZE / 2) {
        serial_tx_space();
    }
}

void serial_irq_enable(void)
{
    if (!is_present || arch_irq_register(ISA_LINE, serial_interrupt, NULL) != 0) {
        return;
    }
    irq_is_on = true;
    port_write8(UART_INTERRUPT_ENABLE, ENABLE_RX);
}
