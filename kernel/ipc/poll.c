/*
 * Registrations of one sleeping thread on many wait queues.
 *
 * Owns: struct poll_waiter. An entry stays queued until poll_waiter_end(); a wake-up only wakes the
 * thread, which looks at all of its files again. Read next: kernel/syscall/sys_poll.c, epoll.c.
 */
#include <ipc/poll.h>

#include <lib/errno.h>
#include <mm/slab.h>
#include <proc/thread.h>

#define CHUNK_ENTRIES 60

struct poll_chunk {
    struct poll_chunk *next;
    u32 nr;
    struct poll_entry entries[CHUNK_ENTRIES];
};

/* Does not count as the one that wake_up_one() looks for: a poller may not take what has come. */
static bool poll_wake(struct wait_entry *entry)
{
    thread_wake(entry->thread);
    return false;
}

static struct poll_entry *next_entry(struct poll_waiter *waiter)
{
    struct poll_chunk *chunk = waiter->chunks;

    if (waiter->nr < POLL_FAST) {
        return &waiter->fast[waiter->nr++];
    }
    if (chunk == NULL || chunk->nr == CHUNK_ENTRIES) {
        chunk = kmalloc(sizeof(*chunk), ALLOC_KERNEL);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = waiter->chunks;
        chunk->nr = 0;
        waiter->chunks = chunk;
    }
    return &chunk->entries[chunk->nr++];
}

static void poll_queue(struct poll_table *table, struct wait_queue *wq)
{
    struct poll_waiter *waiter = container_of(table, struct poll_waiter, table);
    struct poll_entry *entry = next_entry(waiter);

    if (entry == NULL) {
        waiter->error = -ENOMEM;
        return;
    }
    entry->wq = wq;
    wait_entry_init(&entry->wait, poll_wake);
    wait_queue_add(wq, &entry->wait);
}

void poll_waiter_init(struct poll_waiter *waiter)
{
    waiter->table.queue = poll_queue;
    waiter->error = 0;
    waiter->nr = 0;
    waiter->chunks = NULL;
}

void poll_waiter_end(struct poll_waiter *waiter)
{
    struct poll_chunk *chunk = waiter->chunks;

    for (u32 i = 0; i < waiter->nr; i++) {
        wait_queue_remove(waiter->fast[i].wq, &waiter->fast[i].wait);
    }
    while (chunk != NULL) {
        struct poll_chunk *next = chunk->next;

        for (u32 i = 0; i < chunk->nr; i++) {
            wait_queue_remove(chunk->entries[i].wq, &chunk->entries[i].wait);
        }
        kfree(chunk);
        chunk = next;
    }
}

s64 poll_sleep(u64 deadline_ns, poll_scan scan, void *arg)
{
    struct poll_waiter waiter;
    bool is_expired = deadline_ns == 0;
    s64 result;

    /* The registering look may allocate, so no sleep is announced yet. */
    poll_waiter_init(&waiter);
    result = scan(arg, is_expired ? NULL : &waiter.table);
    if (result == 0 && waiter.error != 0) {
        result = waiter.error;
    }
    while (result == 0 && !is_expired) {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        result = scan(arg, NULL);
        if (result == 0) {
            result = thread_sleep_interrupted(SLEEP_INTERRUPTIBLE);
        }
        if (result != 0) {
            thread_cancel_sleep();
            break;
        }
        if (schedule_until(deadline_ns) != 0) {
            is_expired = true;
            result = scan(arg, NULL);
        }
    }
    poll_waiter_end(&waiter);
    return result;
}
