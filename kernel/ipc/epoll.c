/*
 * epoll: a set of watched files that remembers which of them became ready.
 *
 * Owns: struct epoll and its items. An item stands in the set (by descriptor), in the list of the
 * file that it watches, on that file's wait queues, and, when something happened, in the ready
 * list. A file does not know who watches it but through that list, and when its last reference
 * goes it ends the watches. An epoll instance cannot be watched by another one: a wake-up would
 * pass from queue to queue.
 *
 * Locks: set_lock (all sets and files' lists; ctl, close), epoll->lock (looking at items), then
 * epoll->ready_lock, which a watched file's wake-up takes from any context.
 */
#include <ipc/epoll.h>

#include <ipc/file.h>
#include <ipc/poll.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/list.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/mutex.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>

#define EPOLL_HASH    32
#define ITEM_QUEUES   2  /* wait queues of one file */
#define EVENTS_FAST   32 /* collected without allocation */
#define EVENTS_MAX    1024
#define EVENT_OPTIONS (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

struct epoll {
    struct mutex lock;
    struct list_node items[EPOLL_HASH]; /* [lock] and [set_lock] to change */
    struct spinlock ready_lock;         /* irq-safe */
    struct list_node ready;             /* [ready_lock] struct epoll_item.ready_link */
    struct wait_queue waiters;
};

/* [s] set_lock, [e] epoll->lock, [r] epoll->ready_lock. */
struct epoll_item {
    struct poll_table table;     /* while it registers */
    struct epoll *epoll;         /* immutable */
    struct file *file;           /* immutable; not referenced: see epoll_forget_file() */
    s32 fd;                      /* immutable */
    u32 nr_queues;               /* [s] */
    u32 events;                  /* [e] */
    u64 data;                    /* [e] */
    struct list_node link;       /* [e] in epoll->items */
    struct list_node file_link;  /* [s] in file->epoll_items */
    struct list_node ready_link; /* [r] */
    struct poll_entry queues[ITEM_QUEUES];
};

static struct kmem_cache *item_cache;
static struct mutex set_lock;

static const struct file_ops epoll_ops;

void epoll_init(void)
{
    item_cache = kmem_cache_create("epoll_item", sizeof(struct epoll_item), 0, NULL);
    mutex_init(&set_lock, RANK_EPOLL);
}

int epoll_create(struct file **out)
{
    struct epoll *epoll = kmalloc(sizeof(*epoll), ALLOC_KERNEL);
    int error;

    if (epoll == NULL) {
        return -ENOMEM;
    }
    mutex_init(&epoll->lock, RANK_FILE_DATA);
    for (u32 i = 0; i < EPOLL_HASH; i++) {
        list_init(&epoll->items[i]);
    }
    spin_init(&epoll->ready_lock, RANK_EPOLL_READY);
    list_init(&epoll->ready);
    wait_queue_init(&epoll->waiters);
    /* It is woken from within a watched file's wake-up, whose queue is locked then. */
    spin_init(&epoll->waiters.lock, RANK_EPOLL_QUEUE);
    error = file_alloc(&epoll_ops, O_RDWR, 0, epoll, out);
    if (error != 0) {
        kfree(epoll);
    }
    return error;
}

static void mark_ready(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;
    u64 flags = spin_lock_irqsave(&epoll->ready_lock);

    if (!list_is_linked(&item->ready_link)) {
        list_add_tail(&epoll->ready, &item->ready_link);
    }
    spin_unlock_irqrestore(&epoll->ready_lock, flags);
    wake_up_all(&epoll->waiters);
}

/* A watched file's wake-up. Others may wait for the same event, so it goes on to them. */
static bool item_wake(struct wait_entry *entry)
{
    struct poll_entry *queue = container_of(entry, struct poll_entry, wait);
    struct epoll_item *item = queue->item;

    mark_ready(item);
    return false;
}

static void item_queue(struct poll_table *table, struct wait_queue *wq)
{
    struct epoll_item *item = container_of(table, struct epoll_item, table);
    struct poll_entry *queue;

    ASSERT(item->nr_queues < ITEM_QUEUES, "a file is ready by at most two wait queues");
    queue = &item->queues[item->nr_queues++];
    queue->wq = wq;
    queue->item = item;
    wait_entry_init(&queue->wait, item_wake);
    wait_queue_add(wq, &queue->wait);
}

static struct epoll_item *item_find(struct epoll *epoll, s32 fd, const struct file *file)
{
    struct epoll_item *item;

    list_for_each_entry (item, &epoll->items[(u32)fd % EPOLL_HASH], link) {
        if (item->fd == fd && item->file == file) {
            return item;
        }
    }
    return NULL;
}

static u32 item_poll(const struct epoll_item *item)
{
    return file_poll(item->file, NULL) & item->events & ~EVENT_OPTIONS;
}

static void item_set_event(struct epoll_item *item, const struct epoll_event *event)
{
    item->events = event->events | EPOLLERR | EPOLLHUP;
    item->data = event->data;
}

static int item_add(struct epoll *epoll, s32 fd, struct file *file, const struct epoll_event *event)
{
    struct epoll_item *item = kmem_cache_alloc(item_cache, ALLOC_ZERO);

    if (item == NULL) {
        return -ENOMEM;
    }
    item->table.queue = item_queue;
    item->epoll = epoll;
    item->file = file;
    item->fd = fd;
    list_init(&item->ready_link);
    item_set_event(item, event);
    list_add_tail(&epoll->items[(u32)fd % EPOLL_HASH], &item->link);
    spin_lock(&file->lock);
    list_add_tail(&file->epoll_items, &item->file_link);
    spin_unlock(&file->lock);
    if ((file_poll(file, &item->table) & item->events & ~EVENT_OPTIONS) != 0) {
        mark_ready(item);
    }
    return 0;
}

/* Context: set_lock and the set's lock. */
static void item_remove(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;
    u64 flags;

    /* First the queues: after that nobody makes the item ready again. */
    for (u32 i = 0; i < item->nr_queues; i++) {
        wait_queue_remove(item->queues[i].wq, &item->queues[i].wait);
    }
    flags = spin_lock_irqsave(&epoll->ready_lock);
    if (list_is_linked(&item->ready_link)) {
        list_del(&item->ready_link);
    }
    spin_unlock_irqrestore(&epoll->ready_lock, flags);
    spin_lock(&item->file->lock);
    list_del(&item->file_link);
    spin_unlock(&item->file->lock);
    list_del(&item->link);
    kmem_cache_free(item_cache, item);
}

static int item_modify(struct epoll_item *item, const struct epoll_event *event)
{
    if ((event->events | item->events) & EPOLLEXCLUSIVE) {
        return -EINVAL;
    }
    item_set_event(item, event);
    if (item_poll(item) != 0) {
        mark_ready(item);
    }
    return 0;
}

static int ctl_locked(struct epoll *epoll, u32 op, s32 fd, struct file *file,
                      const struct epoll_event *event)
{
    struct epoll_item *item = item_find(epoll, fd, file);

    if (op == EPOLL_CTL_ADD) {
        return item != NULL ? -EEXIST : item_add(epoll, fd, file, event);
    }
    if (item == NULL) {
        return -ENOENT;
    }
    if (op == EPOLL_CTL_MOD) {
        return item_modify(item, event);
    }
    item_remove(item);
    return 0;
}

int epoll_ctl(struct file *epoll_file, u32 op, s32 fd, struct file *file,
              const struct epoll_event *event)
{
    struct epoll *epoll = epoll_file->private;
    int result;

    if (file->ops->poll == NULL) {
        return -EPERM;
    }
    if (epoll_file->ops != &epoll_ops || file == epoll_file) {
        return -EINVAL;
    }
    if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD) {
        return -EINVAL;
    }
    if (op == EPOLL_CTL_ADD && file->ops == &epoll_ops) {
        return -ELOOP;
    }
    mutex_lock(&set_lock);
    mutex_lock(&epoll->lock);
    result = ctl_locked(epoll, op, fd, file, event);
    mutex_unlock(&epoll->lock);
    mutex_unlock(&set_lock);
    return result;
}

void epoll_forget_file(struct file *file)
{
    mutex_lock(&set_lock);
    while (!list_is_empty(&file->epoll_items)) {
        struct epoll_item *item =
            list_first_entry(&file->epoll_items, struct epoll_item, file_link);
        struct epoll *epoll = item->epoll;

        mutex_lock(&epoll->lock);
        item_remove(item);
        mutex_unlock(&epoll->lock);
    }
    mutex_unlock(&set_lock);
}

static void epoll_release(struct file *file)
{
    struct epoll *epoll = file->private;
    struct epoll_item *item;
    struct epoll_item *next;

    mutex_lock(&set_lock);
    mutex_lock(&epoll->lock);
    for (u32 i = 0; i < EPOLL_HASH; i++) {
        list_for_each_entry_safe (item, next, &epoll->items[i], link) {
            item_remove(item);
        }
    }
    mutex_unlock(&epoll->lock);
    mutex_unlock(&set_lock);
    kfree(epoll);
}

static bool has_ready(const struct epoll *epoll)
{
    return READ_ONCE(epoll->ready.next) != &epoll->ready;
}

static struct epoll_item *pop_ready(struct epoll *epoll, struct list_node *batch)
{
    struct epoll_item *item = NULL;
    u64 flags = spin_lock_irqsave(&epoll->ready_lock);

    if (!list_is_empty(batch)) {
        item = list_first_entry(batch, struct epoll_item, ready_link);
        list_del(&item->ready_link);
    }
    spin_unlock_irqrestore(&epoll->ready_lock, flags);
    return item;
}

/* A level-triggered item stays ready until a look finds that it is not. */
static void requeue(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;
    u64 flags = spin_lock_irqsave(&epoll->ready_lock);

    if (!list_is_linked(&item->ready_link)) {
        list_add_tail(&epoll->ready, &item->ready_link);
    }
    spin_unlock_irqrestore(&epoll->ready_lock, flags);
}

/* Looks at each item that is in the ready list now, once. */
static u32 collect(struct epoll *epoll, struct epoll_event *events, u32 max)
{
    struct list_node batch;
    u32 nr = 0;
    u64 flags;

    list_init(&batch);
    mutex_lock(&epoll->lock);
    flags = spin_lock_irqsave(&epoll->ready_lock);
    list_splice_tail(&batch, &epoll->ready);
    spin_unlock_irqrestore(&epoll->ready_lock, flags);
    while (nr < max) {
        struct epoll_item *item = pop_ready(epoll, &batch);
        u32 ready;

        if (item == NULL) {
            break;
        }
        ready = item_poll(item);
        if (ready == 0) {
            continue;
        }
        events[nr].events = ready;
        events[nr].data = item->data;
        nr++;
        if (item->events & EPOLLONESHOT) {
            item->events &= EVENT_OPTIONS;
        } else if (!(item->events & EPOLLET)) {
            requeue(item);
        }
    }
    /* What was not looked at comes first the next time. */
    flags = spin_lock_irqsave(&epoll->ready_lock);
    list_splice_tail(&batch, &epoll->ready);
    list_splice_tail(&epoll->ready, &batch);
    spin_unlock_irqrestore(&epoll->ready_lock, flags);
    mutex_unlock(&epoll->lock);
    return nr;
}

static s64 wait_for_events(struct epoll *epoll, struct epoll_event *events, u32 max,
                           u64 deadline_ns)
{
    for (;;) {
        u32 nr = has_ready(epoll) ? collect(epoll, events, max) : 0;
        int error;

        if (nr > 0 || deadline_ns == 0) {
            return nr;
        }
        error = wait_event_interruptible_until(&epoll->waiters, has_ready(epoll), deadline_ns);
        if (error != 0) {
            return error == -ETIMEDOUT ? 0 : -EINTR;
        }
    }
}

s64 epoll_wait(struct file *epoll_file, u64 user_events, u32 max, u64 deadline_ns)
{
    struct epoll_event fast[EVENTS_FAST];
    struct epoll_event *events = fast;
    s64 result;

    if (epoll_file->ops != &epoll_ops || max == 0 || max > S32_MAX / sizeof(struct epoll_event)) {
        return -EINVAL;
    }
    if (!user_access_ok(user_events, max * sizeof(struct epoll_event))) {
        return -EFAULT;
    }
    max = min(max, (u32)EVENTS_MAX);
    if (max > EVENTS_FAST) {
        events = kmalloc_array(max, sizeof(*events), ALLOC_KERNEL);
        if (events == NULL) {
            events = fast;
            max = EVENTS_FAST;
        }
    }
    result = wait_for_events(epoll_file->private, events, max, deadline_ns);
    if (result > 0 && copy_to_user(user_events, events, (size_t)result * sizeof(*events)) != 0) {
        result = -EFAULT;
    }
    if (events != fast) {
        kfree(events);
    }
    return result;
}

/* A hint: a ready item may turn out not to be ready when it is collected. */
static u32 epoll_poll(struct file *file, struct poll_table *table)
{
    struct epoll *epoll = file->private;

    poll_wait(table, &epoll->waiters);
    return has_ready(epoll) ? POLL_READ : 0;
}

static void epoll_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "anon_inode:[eventpoll]", size);
}

static const struct file_ops epoll_ops = {
    .kind = CB_FD_EPOLL,
    .poll = epoll_poll,
    .release = epoll_release,
    .name = epoll_name,
};
