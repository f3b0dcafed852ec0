/*
 * Futexes: waiting, waking and moving waiters.
 *
 * A waiter is queued in the bucket of its key's hash, under the bucket's lock and in one critical
 * section with the comparison of the word; a waker changes the word before it takes that lock. So a
 * waiter either sees the new value or is found by the waker. A waiter sleeps on its own stack: the
 * waker's last access to it is the store that clears its bucket, after which it may be gone. Read
 * next: kernel/proc/futex_robust.c.
 */
#include <proc/futex.h>

#include <arch/usercopy.h>
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/hash.h>
#include <lib/list.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/spinlock.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>
#include <uapi/linux/futex.h>

#define FUTEX_HASH_BITS 8

struct futex_bucket {
    struct spinlock lock;
    u32 nr_waiters;           /* [lock] read without it by wakers that look for anybody at all */
    struct list_node waiters; /* [lock] struct futex_waiter, first come first */
};

struct futex_waiter {
    struct list_node link;       /* [lock of bucket] */
    struct futex_key key;        /* [lock of bucket] */
    struct thread *thread;       /* [I] */
    u32 bitset;                  /* [I] */
    struct futex_bucket *bucket; /* [its lock] where the waiter is queued; NULL once woken */
};

static struct futex_bucket buckets[1u << FUTEX_HASH_BITS];

void futex_init(void)
{
    for (u32 i = 0; i < ARRAY_SIZE(buckets); i++) {
        spin_init(&buckets[i].lock, RANK_FUTEX);
        list_init(&buckets[i].waiters);
    }
}

static int make_key(u64 uaddr, bool is_shared, struct futex_key *key)
{
    if ((uaddr & 3) != 0) {
        return -EINVAL;
    }
    if (uaddr >= TASK_SIZE) {
        return -EFAULT;
    }
    if (is_shared) {
        return mm_futex_key(current_mm(), uaddr, FUTEX_SCOPE_SHARED, key);
    }
    *key = (struct futex_key){.owner = (u64)current_mm(), .offset = uaddr};
    return 0;
}

static bool key_is_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->owner == b->owner && a->offset == b->offset;
}

static struct futex_bucket *bucket_of(const struct futex_key *key)
{
    return &buckets[hash_u64(key->owner + key->offset, FUTEX_HASH_BITS)];
}

/* Reads the word under a bucket's lock: -EFAULT also if the page is only not present. */
static int load_locked(u64 uaddr, u32 *value)
{
    int error;

    pagefault_disable();
    error = arch_load_user_u32(value, (const void *)uaddr);
    pagefault_enable();
    return error;
}

static void wake_locked(struct futex_bucket *bucket, struct futex_waiter *waiter)
{
    list_del(&waiter->link);
    bucket->nr_waiters--;
    /*
     * In this order: until its bucket is cleared the waiter cannot return without the bucket's
     * lock, so its thread exists. It announced its sleep under the lock, so the wake-up is seen.
     */
    (void)thread_wake(waiter->thread);
    explore_point(EXPLORE_COUNT);
    __atomic_store_n(&waiter->bucket, NULL, __ATOMIC_RELEASE);
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Queues the waiter and announces the sleep, if the word has the expected value. */
static int queue_if_equal(struct futex_waiter *waiter, u64 uaddr, u32 expected)
{
    struct futex_bucket *bucket = bucket_of(&waiter->key);
    u32 value;
    int error;

    for (;;) {
        spin_lock(&bucket->lock);
        /* Counted before the word is read, so that a waker who changes it cannot miss both. */
        __atomic_fetch_add(&bucket->nr_waiters, 1, __ATOMIC_SEQ_CST);
        explore_point(EXPLORE_COUNT);
        error = load_locked(uaddr, &value);
        if (error == 0) {
            break;
        }
        bucket->nr_waiters--;
        spin_unlock(&bucket->lock);
        error = get_user_u32(&value, uaddr);
        if (error != 0) {
            return error;
        }
    }
    if (value != expected) {
        bucket->nr_waiters--;
        spin_unlock(&bucket->lock);
        return -EAGAIN;
    }
    list_add_tail(&bucket->waiters, &waiter->link);
    waiter->bucket = bucket;
    thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
    spin_unlock(&bucket->lock);
    return 0;
}

/* Locks the bucket that the waiter is in now, or returns NULL if it has been woken. */
static struct futex_bucket *lock_bucket_of(struct futex_waiter *waiter) NO_THREAD_SAFETY_ANALYSIS
{
    for (;;) {
        struct futex_bucket *bucket = __atomic_load_n(&waiter->bucket, __ATOMIC_ACQUIRE);

        if (bucket == NULL) {
            return NULL;
        }
        spin_lock(&bucket->lock);
        if (waiter->bucket == bucket) {
            return bucket;
        }
        /* Moved to another word, or woken. */
        spin_unlock(&bucket->lock);
    }
}

/* Sleeps until woken; why the wait ends otherwise. The waiter is off the queue afterwards. */
static int sleep_until_woken(struct futex_waiter *waiter, u64 deadline_ns) NO_THREAD_SAFETY_ANALYSIS
{
    struct futex_bucket *bucket;
    bool has_expired = false;

    for (;;) {
        int error = thread_sleep_interrupted(SLEEP_INTERRUPTIBLE);

        if (error == 0 && has_expired) {
            error = -ETIMEDOUT;
        }
        if (error == 0) {
            has_expired = schedule_until(deadline_ns) != 0;
            if (likely(__atomic_load_n(&waiter->bucket, __ATOMIC_ACQUIRE) == NULL)) {
                return 0;
            }
        }
        bucket = lock_bucket_of(waiter);
        if (bucket == NULL) {
            thread_cancel_sleep();
            return 0;
        }
        if (error != 0) {
            list_del(&waiter->link);
            bucket->nr_waiters--;
            thread_cancel_sleep();
            spin_unlock(&bucket->lock);
            return error;
        }
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        spin_unlock(&bucket->lock);
    }
}

int futex_wait(const struct futex_wait_args *args)
{
    struct futex_waiter waiter;
    int error;

    if (args->bitset == 0) {
        return -EINVAL;
    }
    error = make_key(args->uaddr, args->is_shared, &waiter.key);
    if (error != 0) {
        return error;
    }
    waiter.thread = current_thread();
    waiter.bitset = args->bitset;
    error = queue_if_equal(&waiter, args->uaddr, args->value);
    return error != 0 ? error : sleep_until_woken(&waiter, args->deadline_ns);
}

/* --- waking ----------------------------------------------------------------------------------- */

/* Wakes at least one if there is any, as Linux does even for a count of zero. */
static int wake_matching_locked(struct futex_bucket *bucket, const struct futex_key *key,
                                s32 nr_wake, u32 bitset)
{
    struct futex_waiter *waiter, *following;
    int nr_woken = 0;

    list_for_each_entry_safe (waiter, following, &bucket->waiters, link) {
        if (!key_is_equal(&waiter->key, key) || (waiter->bitset & bitset) == 0) {
            continue;
        }
        wake_locked(bucket, waiter);
        nr_woken++;
        if (nr_woken >= nr_wake) {
            break;
        }
    }
    return nr_woken;
}

int futex_wake(u64 uaddr, bool is_shared, s32 nr_wake, u32 bitset)
{
    struct futex_bucket *bucket;
    struct futex_key key;
    int result;

    if (bitset == 0) {
        return -EINVAL;
    }
    result = make_key(uaddr, is_shared, &key);
    if (result != 0) {
        return result;
    }
    bucket = bucket_of(&key);
    explore_point(EXPLORE_COUNT);
    /* The caller's change of the word comes before this look; see queue_if_equal(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&bucket->nr_waiters, __ATOMIC_RELAXED) == 0) {
        return 0;
    }
    spin_lock(&bucket->lock);
    result = wake_matching_locked(bucket, &key, nr_wake, bitset);
    spin_unlock(&bucket->lock);
    return result;
}

int futex_wake_address(u64 uaddr, u32 nr_wake)
{
    return futex_wake(uaddr, true, (s32)nr_wake, FUTEX_BITSET_MATCH_ANY);
}

/* --- two words -------------------------------------------------------------------------------- */

static void lock_pair(struct futex_bucket *a, struct futex_bucket *b) NO_THREAD_SAFETY_ANALYSIS
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b) {
        spin_lock_nested(a < b ? &b->lock : &a->lock);
    }
}

static void unlock_pair(struct futex_bucket *a, struct futex_bucket *b) NO_THREAD_SAFETY_ANALYSIS
{
    spin_unlock(&a->lock);
    if (a != b) {
        spin_unlock(&b->lock);
    }
}

static void move_locked(struct futex_bucket *from, struct futex_bucket *to,
                        struct futex_waiter *waiter, const struct futex_key *key)
{
    waiter->key = *key;
    if (from != to) {
        list_del(&waiter->link);
        from->nr_waiters--;
        list_add_tail(&to->waiters, &waiter->link);
        to->nr_waiters++;
        __atomic_store_n(&waiter->bucket, to, __ATOMIC_RELEASE);
    }
}

static int requeue_locked(struct futex_bucket *from, const struct futex_key *from_key,
                          struct futex_bucket *to, const struct futex_key *to_key,
                          const struct futex_pair_args *args)
{
    struct futex_waiter *waiter, *following;
    int nr_done = 0;

    list_for_each_entry_safe (waiter, following, &from->waiters, link) {
        if (!key_is_equal(&waiter->key, from_key)) {
            continue;
        }
        if (nr_done - args->nr_wake >= args->nr_second) {
            break;
        }
        nr_done++;
        if (nr_done <= args->nr_wake) {
            wake_locked(from, waiter);
        } else {
            move_locked(from, to, waiter, to_key);
        }
    }
    return nr_done;
}

static int make_keys(const struct futex_pair_args *args, struct futex_key *key,
                     struct futex_key *key2)
{
    int error = make_key(args->uaddr, args->is_shared, key);

    return error != 0 ? error : make_key(args->uaddr2, args->is_shared, key2);
}

int futex_requeue(const struct futex_pair_args *args)
{
    struct futex_bucket *from, *to;
    struct futex_key key, key2;
    int result;
    u32 value;

    if (args->nr_wake < 0 || args->nr_second < 0) {
        return -EINVAL;
    }
    result = make_keys(args, &key, &key2);
    if (result != 0) {
        return result;
    }
    from = bucket_of(&key);
    to = bucket_of(&key2);
    for (;;) {
        lock_pair(from, to);
        result = args->must_compare ? load_locked(args->uaddr, &value) : 0;
        if (result == 0) {
            break;
        }
        unlock_pair(from, to);
        result = get_user_u32(&value, args->uaddr);
        if (result != 0) {
            return result;
        }
    }
    if (args->must_compare && value != args->value) {
        result = -EAGAIN;
    } else {
        result = requeue_locked(from, &key, to, &key2, args);
    }
    unlock_pair(from, to);
    return result;
}

/* --- FUTEX_WAKE_OP ---------------------------------------------------------------------------- */

struct wake_operation {
    u32 op;      /* FUTEX_OP_* */
    u32 compare; /* FUTEX_OP_CMP_* */
    u32 op_arg;
    s32 compare_arg;
};

static s32 sign_extend_12(u32 value)
{
    return (s32)(value << 20) >> 20;
}

static int decode_operation(u32 encoded, struct wake_operation *operation)
{
    operation->op = encoded >> 28 & 7;
    operation->compare = encoded >> 24 & 15;
    operation->op_arg = (u32)sign_extend_12(encoded >> 12 & 0xfff);
    operation->compare_arg = sign_extend_12(encoded & 0xfff);
    if ((encoded >> 28 & FUTEX_OP_ARG_SHIFT) != 0) {
        operation->op_arg = 1u << (operation->op_arg & 31);
    }
    return operation->op > FUTEX_OP_XOR || operation->compare > FUTEX_OP_CMP_GE ? -ENOSYS : 0;
}

static u32 apply_operation(const struct wake_operation *operation, u32 value)
{
    switch (operation->op) {
    case FUTEX_OP_SET:
        return operation->op_arg;
    case FUTEX_OP_ADD:
        return value + operation->op_arg;
    case FUTEX_OP_OR:
        return value | operation->op_arg;
    case FUTEX_OP_ANDN:
        return value & ~operation->op_arg;
    default:
        return value ^ operation->op_arg;
    }
}

static bool compare_old(const struct wake_operation *operation, s32 old)
{
    switch (operation->compare) {
    case FUTEX_OP_CMP_EQ:
        return old == operation->compare_arg;
    case FUTEX_OP_CMP_NE:
        return old != operation->compare_arg;
    case FUTEX_OP_CMP_LT:
        return old < operation->compare_arg;
    case FUTEX_OP_CMP_LE:
        return old <= operation->compare_arg;
    case FUTEX_OP_CMP_GT:
        return old > operation->compare_arg;
    default:
        return old >= operation->compare_arg;
    }
}

/* Changes the word atomically, without faulting pages in; @old gets the value before. */
static int change_word_locked(const struct wake_operation *operation, u64 uaddr, u32 *old)
{
    u32 *word = (u32 *)uaddr;
    u32 expected, seen;
    int error;

    pagefault_disable();
    error = arch_load_user_u32(&expected, word);
    while (error == 0) {
        error = arch_cmpxchg_user_u32(word, expected, apply_operation(operation, expected), &seen);
        if (error != 0 || seen == expected) {
            break;
        }
        expected = seen;
    }
    pagefault_enable();
    *old = expected;
    return error;
}

/* Makes the page writable without changing the word. */
static int fault_in_writable(u64 uaddr)
{
    u32 seen;

    return cmpxchg_user_u32(uaddr, 0, 0, &seen);
}

int futex_wake_op(const struct futex_pair_args *args)
{
    struct wake_operation operation;
    struct futex_bucket *first, *second;
    struct futex_key key, key2;
    int result;
    u32 old;

    result = make_keys(args, &key, &key2);
    if (result != 0) {
        return result;
    }
    result = decode_operation(args->encoded_op, &operation);
    if (result != 0) {
        return result;
    }
    first = bucket_of(&key);
    second = bucket_of(&key2);
    for (;;) {
        lock_pair(first, second);
        if (change_word_locked(&operation, args->uaddr2, &old) == 0) {
            break;
        }
        unlock_pair(first, second);
        result = fault_in_writable(args->uaddr2);
        if (result != 0) {
            return result;
        }
    }
    result = wake_matching_locked(first, &key, args->nr_wake, FUTEX_BITSET_MATCH_ANY);
    if (compare_old(&operation, (s32)old)) {
        result += wake_matching_locked(second, &key2, args->nr_second, FUTEX_BITSET_MATCH_ANY);
    }
    unlock_pair(first, second);
    return result;
}
