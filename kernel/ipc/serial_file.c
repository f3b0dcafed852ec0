/*
 * The serial line as a file.
 *
 * Owns: the input ring, which the receive interrupt fills, and the wait queue for both directions.
 * Bytes are raw: echo and line editing are the console server's.
 */
#include <ipc/serial_file.h>

#include <arch/platform.h>
#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <ipc/poll.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <proc/spinlock.h>
#include <proc/waitqueue.h>
#include <uapi/cowbell.h>
#include <uapi/linux/ioctl.h>
#include <uapi/linux/stat.h>
#include <mm/usercopy.h>

#define RING_SIZE 4096u /* a power of two: a paste of a screenful fits */
#define CHUNK     256u

#define SERIAL_MAJOR 4u
#define SERIAL_MINOR 64u

static struct {
    struct spinlock lock; /* irq-safe */
    u32 head;             /* [lock] bytes that came in */
    u32 tail;             /* [lock] bytes that were read */
    u8 ring[RING_SIZE];   /* [lock] */
    struct wait_queue readers;
    struct wait_queue writers;
} serial;

static const struct file_ops serial_ops;

void serial_file_init(void)
{
    spin_init(&serial.lock, RANK_SERIAL_INPUT);
    wait_queue_init(&serial.readers);
    wait_queue_init(&serial.writers);
}

int serial_file_create(struct file **out)
{
    /* Input has somebody to read it from here on. */
    serial_irq_enable();
    return file_alloc(&serial_ops, O_RDWR, 0, NULL, out);
}

void serial_rx(u8 byte)
{
    u64 flags = spin_lock_irqsave(&serial.lock);

    if (serial.head - serial.tail < RING_SIZE) {
        serial.ring[serial.head % RING_SIZE] = byte;
        serial.head++;
    }
    spin_unlock_irqrestore(&serial.lock, flags);
    wake_up_one(&serial.readers);
}

void serial_tx_space(void)
{
    wake_up_one(&serial.writers);
}

static bool has_input(void)
{
    return READ_ONCE(serial.head) != READ_ONCE(serial.tail);
}

static u32 take_input(u8 *buf, u32 len)
{
    u64 flags = spin_lock_irqsave(&serial.lock);
    u32 done = 0;

    while (done < len && serial.head != serial.tail) {
        buf[done++] = serial.ring[serial.tail % RING_SIZE];
        serial.tail++;
    }
    spin_unlock_irqrestore(&serial.lock, flags);
    return done;
}

static s64 serial_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    u8 buf[CHUNK];
    u32 len = (u32)min(iov_count(iter), (size_t)CHUNK);
    u32 done;

    if (len == 0) {
        return 0;
    }
    for (;;) {
        int error;

        done = take_input(buf, len);
        if (done > 0) {
            break;
        }
        if (file_is_nonblock(file)) {
            return -EAGAIN;
        }
        error = wait_event_interruptible(&serial.readers, has_input());
        if (error != 0) {
            return error;
        }
    }
    if (has_input()) {
        wake_up_one(&serial.readers);
    }
    return iov_copy_to(iter, buf, done) == done ? (s64)done : -EFAULT;
}

/* Queues a chunk. Returns 0, or -errno with *sent bytes queued. */
static int send_chunk(const struct file *file, const u8 *buf, u32 len, u32 *sent)
{
    while (*sent < len) {
        int error;

        *sent += (u32)serial_send((const char *)buf + *sent, len - *sent);
        if (*sent == len) {
            break;
        }
        if (file_is_nonblock(file)) {
            return -EAGAIN;
        }
        error = wait_event_interruptible(&serial.writers, serial_send_space() > 0);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static s64 serial_file_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    s64 total = 0;

    while (iov_count(iter) > 0) {
        u8 buf[CHUNK];
        u32 want = (u32)min(iov_count(iter), (size_t)CHUNK);
        u32 len = (u32)iov_copy_from(iter, buf, want);
        u32 sent = 0;
        int error = len == 0 ? -EFAULT : send_chunk(file, buf, len, &sent);

        total += sent;
        if (error != 0) {
            return total > 0 ? total : error;
        }
    }
    /* Another writer may have waited for the space that is left. */
    if (wait_queue_is_waited(&serial.writers) && serial_send_space() > 0) {
        wake_up_one(&serial.writers);
    }
    return total;
}

static u32 serial_poll(struct file *file, struct poll_table *table)
{
    u32 events = 0;

    poll_wait(table, &serial.readers);
    poll_wait(table, &serial.writers);
    events |= has_input() ? POLL_READ : 0;
    events |= serial_send_space() > 0 ? POLL_WRITE : 0;
    return events;
}

static s64 serial_ioctl(struct file *file, u32 cmd, u64 arg)
{
    if (cmd != FIONREAD) {
        return -ENOTTY;
    }
    return put_user_u32(arg, READ_ONCE(serial.head) - READ_ONCE(serial.tail));
}

static int serial_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IFCHR | S_IRUSR | S_IWUSR, stat);
    stat->st_rdev = dev_make(SERIAL_MAJOR, SERIAL_MINOR);
    return 0;
}

static void serial_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "anon_inode:[serial]", size);
}

static const struct file_ops serial_ops = {
    .kind = CB_FD_SERIAL,
    .read = serial_read,
    .write = serial_file_write,
    .ioctl = serial_ioctl,
    .poll = serial_poll,
    .stat = serial_stat,
    .name = serial_name,
};
