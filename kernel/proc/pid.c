/*
 * Numbers of threads, processes, groups and sessions.
 *
 * Owns: the bitmap of numbers in use and the hash table of struct pid. A number is given out in
 * ascending order, so that a number that was just freed is not soon somebody else's.
 * Read next: process.c.
 */
#include <proc/pid.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/slab.h>

#define PID_HASH_SIZE 1024
/* After the first round the low numbers stay with the servers that started at boot. */
#define PID_RESERVED 300

static struct pid *pid_hash[PID_HASH_SIZE];
static u64 pid_map[PID_MAX / 64];
static s32 pid_previous;
static struct kmem_cache *pid_cache;

void pid_init(void)
{
    pid_cache = kmem_cache_create("pid", sizeof(struct pid), 0, NULL);
    pid_map[0] = 1; /* number 0 means "myself" in many calls and is nobody's */
}

/* The lowest clear bit in [from, to), or 0. */
static s32 pid_search(s32 from, s32 to)
{
    for (s32 nr = from; nr < to;) {
        u64 free = ~pid_map[nr / 64] & (~0UL << (nr % 64));

        if (free != 0) {
            s32 found = (nr & ~63) + __builtin_ctzl(free);

            return found < to ? found : 0;
        }
        nr = (nr & ~63) + 64;
    }
    return 0;
}

static s32 pid_next_number(void)
{
    s32 nr = pid_search(pid_previous + 1, PID_MAX);

    if (nr == 0) {
        nr = pid_search(PID_RESERVED, PID_MAX);
    }
    return nr;
}

int pid_create(struct pid **out)
{
    struct pid *pid = kmem_cache_alloc(pid_cache, ALLOC_ZERO);

    if (pid == NULL) {
        return -ENOMEM;
    }
    list_init(&pid->group);
    pid->nr_uses = 1;
    spin_lock(&process_tree_lock);
    pid->nr = pid_next_number();
    if (pid->nr != 0) {
        struct pid **chain = &pid_hash[pid->nr % PID_HASH_SIZE];

        pid_map[pid->nr / 64] |= BIT(pid->nr % 64);
        pid_previous = pid->nr;
        pid->next = *chain;
        *chain = pid;
    }
    spin_unlock(&process_tree_lock);
    if (pid->nr == 0) {
        kmem_cache_free(pid_cache, pid);
        return -EAGAIN;
    }
    *out = pid;
    return 0;
}

struct pid *pid_find_locked(s32 nr)
{
    if (nr <= 0 || nr >= PID_MAX) {
        return NULL;
    }
    struct pid *pid = pid_hash[nr % PID_HASH_SIZE];

    while (pid != NULL && pid->nr != nr) {
        pid = pid->next;
    }
    return pid;
}

struct pid *pid_next_locked(s32 after)
{
    for (s32 nr = max(after, 0) + 1; nr < PID_MAX;) {
        u64 used = pid_map[nr / 64] & (~0UL << (nr % 64));

        if (used != 0) {
            return pid_find_locked((nr & ~63) + __builtin_ctzl(used));
        }
        nr = (nr & ~63) + 64;
    }
    return NULL;
}

void pid_use_locked(struct pid *pid)
{
    pid->nr_uses++;
}

void pid_drop_locked(struct pid *pid)
{
    ASSERT(pid->nr_uses > 0, "a use of a pid ends once");
    if (--pid->nr_uses > 0) {
        return;
    }
    ASSERT(pid->thread == NULL && pid->process == NULL && pid->session == NULL &&
               list_is_empty(&pid->group),
           "a free pid stands for nothing");
    struct pid **chain = &pid_hash[pid->nr % PID_HASH_SIZE];

    while (*chain != pid) {
        chain = &(*chain)->next;
    }
    *chain = pid->next;
    pid_map[pid->nr / 64] &= ~BIT(pid->nr % 64);
    kmem_cache_free(pid_cache, pid);
}

void pid_drop(struct pid *pid)
{
    spin_lock(&process_tree_lock);
    pid_drop_locked(pid);
    spin_unlock(&process_tree_lock);
}

s32 pid_last(void)
{
    return pid_previous;
}
