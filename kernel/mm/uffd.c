/*
 * userfaultfd: contexts, and the registration of VMAs with them.
 *
 * A context belongs to the address space of whoever made it (A3). A registered VMA points to its
 * context and has one or more of VM_UFFD_FLAGS; the pointer holds no reference, because closing the
 * descriptor strips every VMA before it lets the context go. Both change under mmap_lock (write)
 * with the VMA write-locked, so that a fault, which holds the VMA's lock, may use the context.
 *
 * U1. A VMA has a context exactly if it has one of VM_UFFD_FLAGS (B11).
 * U2. An entry or marker is write-protected only in a VMA with VM_UFFD_WP (I6): who takes the flag
 *     off takes the bits off first.
 * U3. A waiter is queued before it looks at its entry for the last time; who resolves a fault
 *     changes the entry before it looks at the queue. So one of the two sees the other (I10).
 *
 * Read next: fault_uffd.c and uffd_wait.c (the way of a fault), uffd_fill.c, uffd_wp.c, uffd_move.c
 * (how it is resolved), uffd_event.c (changes of the address space).
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/slab.h>
#include <mm/tlb.h>
#include <mm/uffd_internal.h>
#include <mm/vma.h>
#include <proc/sched.h>

static struct kmem_cache *ctx_cache;

static struct spinlock all_contexts_lock = SPINLOCK_INIT(RANK_OBJECT_LIST);
static struct list_node all_contexts = LIST_INIT(all_contexts);

bool uffd_unprivileged;

void uffd_init(void)
{
    ctx_cache = kmem_cache_create("uffd", sizeof(struct uffd_ctx), 64, NULL);
}

/* --- life ------------------------------------------------------------------------------------ */

int uffd_create(struct mm *mm, u32 flags, struct uffd_ctx **out)
{
    struct uffd_ctx *ctx = kmem_cache_alloc(ctx_cache, ALLOC_ZERO);

    if (ctx == NULL) {
        return -ENOMEM;
    }
    refcount_set(&ctx->refs, 1);
    spin_init(&ctx->lock, RANK_UFFD);
    list_init(&ctx->pending);
    list_init(&ctx->delivered);
    list_init(&ctx->events);
    wait_queue_init(&ctx->readers);
    wait_queue_init(&ctx->pollers);
    ctx->flags = flags;
    ctx->mm = mm;
    mm_count_get(mm);
    spin_lock(&all_contexts_lock);
    list_add_tail(&all_contexts, &ctx->all_link);
    spin_unlock(&all_contexts_lock);
    *out = ctx;
    return 0;
}

void uffd_get(struct uffd_ctx *ctx)
{
    refcount_inc(&ctx->refs);
}

void uffd_put(struct uffd_ctx *ctx)
{
    if (!refcount_dec_and_test(&ctx->refs)) {
        return;
    }
    ASSERT(list_is_empty(&ctx->pending) && list_is_empty(&ctx->delivered) &&
               list_is_empty(&ctx->events),
           "I10: who waits in a context holds a reference on it");
    spin_lock(&all_contexts_lock);
    list_del(&ctx->all_link);
    spin_unlock(&all_contexts_lock);
    mm_count_put(ctx->mm);
    kmem_cache_free(ctx_cache, ctx);
}

static void strip_mm(struct uffd_ctx *ctx)
{
    struct mm *mm = ctx->mm;
    struct vma *vma;

    if (!mm_get_not_zero(mm)) {
        return; /* Its VMAs go without looking at their pagers any more. */
    }
    mm_write_lock(mm);
    vma = vma_first(mm);
    while (vma != NULL) {
        if (vma->uffd == ctx) {
            uffd_forget_vma(vma);
            vma = vma_merge_around(vma);
        }
        vma = vma_next(vma);
        sched_point();
    }
    mm_write_unlock(mm);
    mm_put(mm);
}

void uffd_release(struct uffd_ctx *ctx)
{
    /* From here on nobody waits until an event is read. */
    __atomic_store_n(&ctx->is_released, true, __ATOMIC_SEQ_CST);
    strip_mm(ctx);
    /* C9: whoever queued itself held its VMA, and so did it before the VMA was stripped. */
    uffd_wake(ctx, 0, U64_MAX);
    uffd_wake_posters(ctx);
    wake_up_all(&ctx->readers);
    wake_up_all(&ctx->pollers);
    uffd_put(ctx);
}

int uffd_enable(struct uffd_ctx *ctx, u64 features)
{
    u64 expected = 0;

    if (features & UFFD_FEATURE_WP_ASYNC) {
        /* A9: what nobody is told of has to be remembered. */
        features |= UFFD_FEATURE_WP_UNPOPULATED;
    }
    return __atomic_compare_exchange_n(&ctx->features, &expected, features | UFFD_INITIALIZED,
                                       false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
               ? 0
               : -EINVAL;
}

/* --- who watches a VMA ------------------------------------------------------------------------ */

u64 uffd_features(const struct vma *vma)
{
    return vma->uffd != NULL ? READ_ONCE(vma->uffd->features) : 0;
}

bool uffd_is_wp_async(const struct vma *vma)
{
    return (uffd_features(vma) & UFFD_FEATURE_WP_ASYNC) != 0;
}

bool uffd_uses_markers(const struct vma *vma)
{
    if (!(vma->flags & VM_UFFD_WP)) {
        return false;
    }
    return !vma_is_anonymous(vma) || (uffd_features(vma) & UFFD_FEATURE_WP_UNPOPULATED) != 0;
}

/* --- registration ----------------------------------------------------------------------------- */

int uffd_check_range(u64 start, u64 len)
{
    if (!PAGE_ALIGNED(start | len) || len == 0 || start < MMAP_MIN_ADDR || start >= TASK_SIZE ||
        len > TASK_SIZE - start) {
        return -EINVAL;
    }
    return 0;
}

/* B4. */
static bool may_watch(const struct uffd_ctx *ctx, const struct vma *vma, u64 vm_flags)
{
    if ((vm_flags & VM_UFFD_MINOR) && !uffd_is_shmem(vma)) {
        return false;
    }
    if ((ctx->features & UFFD_FEATURE_WP_ASYNC) && vm_flags == VM_UFFD_WP) {
        return true;
    }
    return (vma_is_anonymous(vma) && !(vma->flags & VM_SPECIAL)) || uffd_is_shmem(vma);
}

/* B7: everything is looked at before anything changes. */
static int check_register(const struct uffd_ctx *ctx, u64 start, u64 end, u64 vm_flags)
{
    struct vma *vma;

    if (vma_find_intersection(ctx->mm, start, end) == NULL) {
        return -EINVAL;
    }
    for_each_vma_range (vma, ctx->mm, start, end) {
        if (!may_watch(ctx, vma, vm_flags)) {
            return -EINVAL;
        }
        if (!(vma->flags & VM_MAYWRITE)) {
            return -EPERM;
        }
        if (vma->uffd != NULL && vma->uffd != ctx) {
            return -EBUSY;
        }
    }
    return 0;
}

/* Gives one VMA its pager, or takes it off. VMA write-locked. */
static void set_pager(struct vma *vma, struct uffd_ctx *ctx, u64 vm_flags)
{
    if ((vma->flags & ~vm_flags) & VM_UFFD_WP) {
        struct tlb_batch batch;
        int error;

        tlb_batch_begin(&batch, vma->mm);
        error = uffd_protect_range(vma, vma->start, vma->end, UFFD_UNPROTECT, &batch);
        ASSERT(error == 0, "taking protection off needs no memory");
        tlb_batch_finish(&batch);
    }
    vma_set_flags(vma, (vma->flags & ~VM_UFFD_FLAGS) | vm_flags);
    vma->uffd = ctx;
}

void uffd_forget_vma(struct vma *vma)
{
    vma_write_lock(vma);
    set_pager(vma, NULL, 0);
}

static int register_part(struct uffd_ctx *ctx, struct vma **vma, u64 start, u64 end, u64 vm_flags)
{
    u64 lost = (*vma)->flags & VM_UFFD_FLAGS & ~vm_flags;
    int error;

    if ((*vma)->uffd == ctx && ((*vma)->flags & vm_flags) == vm_flags) {
        return 0;
    }
    error = vma_isolate(ctx->mm, vma, start, end);
    if (error != 0) {
        return error;
    }
    set_pager(*vma, ctx, vm_flags);
    *vma = vma_merge_around(*vma);
    if (lost != 0) {
        /* Who waited for what is not asked for any more looks again. */
        uffd_wake(ctx, start, end);
    }
    return 0;
}

static int register_locked(struct uffd_ctx *ctx, u64 start, u64 end, u64 vm_flags)
{
    struct vma *vma = vma_find(ctx->mm, start);
    int error = check_register(ctx, start, end, vm_flags);

    while (error == 0 && vma != NULL && vma->start < end) {
        error = register_part(ctx, &vma, max(vma->start, start), min(vma->end, end), vm_flags);
        vma = vma_next(vma);
        sched_point();
    }
    return error;
}

int uffd_register(struct uffd_ctx *ctx, u64 start, u64 end, u64 vm_flags)
{
    int error;

    if (!mm_get_not_zero(ctx->mm)) {
        return -ENOMEM; /* B16 */
    }
    mm_write_lock(ctx->mm);
    ctx->mm->has_uffd = true;
    error = register_locked(ctx, start, end, vm_flags);
    mm_write_unlock(ctx->mm);
    mm_put(ctx->mm);
    return error;
}

static int check_unregister(const struct uffd_ctx *ctx, u64 start, u64 end)
{
    struct vma *vma;

    if (vma_find_intersection(ctx->mm, start, end) == NULL) {
        return -EINVAL;
    }
    for_each_vma_range (vma, ctx->mm, start, end) {
        if (!may_watch(ctx, vma, vma->flags & VM_UFFD_FLAGS)) {
            return -EINVAL;
        }
    }
    return 0;
}

/*
 * B14 leaves those asleep on Linux who wait for a write or a minor fault; here everybody who waits
 * in the range is woken, finds no pager, and goes on.
 */
static int unregister_part(struct mm *mm, struct vma **vma, u64 start, u64 end)
{
    struct uffd_ctx *ctx = (*vma)->uffd;
    int error;

    if (ctx == NULL) {
        return 0;
    }
    error = vma_isolate(mm, vma, start, end);
    if (error != 0) {
        return error;
    }
    uffd_forget_vma(*vma);
    uffd_wake(ctx, start, end);
    *vma = vma_merge_around(*vma);
    return 0;
}

static int unregister_locked(struct uffd_ctx *ctx, u64 start, u64 end)
{
    struct vma *vma = vma_find(ctx->mm, start);
    int error = check_unregister(ctx, start, end);

    while (error == 0 && vma != NULL && vma->start < end) {
        error = unregister_part(ctx->mm, &vma, max(vma->start, start), min(vma->end, end));
        vma = vma_next(vma);
        sched_point();
    }
    return error;
}

int uffd_unregister(struct uffd_ctx *ctx, u64 start, u64 end)
{
    int error;

    if (!mm_get_not_zero(ctx->mm)) {
        return -ENOMEM; /* B16 */
    }
    mm_write_lock(ctx->mm);
    error = unregister_locked(ctx, start, end);
    mm_write_unlock(ctx->mm);
    mm_put(ctx->mm);
    return error;
}

/* --- locking a VMA ---------------------------------------------------------------------------- */

int uffd_hold_vma(struct mm *mm, u64 addr, struct uffd_hold *hold) NO_THREAD_SAFETY_ANALYSIS
{
    hold->is_mmap_locked = false;
    if (likely(vma_lock_lookup(mm, addr, &hold->vma))) {
        return 0;
    }
    mm_read_lock(mm);
    hold->vma = vma_find_at(mm, addr);
    hold->is_mmap_locked = hold->vma != NULL;
    if (hold->vma == NULL) {
        mm_read_unlock(mm);
        return -ENOENT;
    }
    return 0;
}

void uffd_release_vma(struct mm *mm, struct uffd_hold *hold) NO_THREAD_SAFETY_ANALYSIS
{
    if (unlikely(hold->is_mmap_locked)) {
        mm_read_unlock(mm);
    } else {
        vma_read_unlock(hold->vma);
    }
}

/* --- checks ----------------------------------------------------------------------------------- */

void uffd_verify_all(void)
{
    struct uffd_ctx *ctx;

    /* The callers have made the system quiet; the lock is not held, so that a check may sleep. */
    list_for_each_entry (ctx, &all_contexts, all_link) {
        uffd_verify_waiters(ctx);
    }
}
