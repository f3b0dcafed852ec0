/*
 * Changes of an address space that its pager asked to hear of: fork, mremap, munmap, and the advice
 * that drops pages (section G of the semantics).
 *
 * A change is noted under mmap_lock with the VMA write-locked, which raises nr_changing, and told
 * when no lock is held. The author waits until the message was read: no more is acknowledged (G8).
 * Read next: uffd_move.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/uffd_internal.h>
#include <mm/vma.h>

/* --- munmap ----------------------------------------------------------------------------------- */

struct unmap_note {
    struct list_node link;
    struct uffd_ctx *ctx; /* a reference */
    u64 start;
    u64 end;
};

/* G6: once for a pager, however many VMAs of its the range meets. */
static bool is_noted(const struct uffd_unmaps *unmaps, const struct uffd_ctx *ctx, u64 start,
                     u64 end)
{
    const struct unmap_note *note;

    list_for_each_entry (note, &unmaps->list, link) {
        if (note->ctx == ctx && note->start == start && note->end == end) {
            return true;
        }
    }
    return false;
}

int uffd_unmap_prepare(struct mm *mm, u64 start, u64 end, struct uffd_unmaps *unmaps)
{
    struct vma *vma;

    if (likely(!mm->has_uffd)) {
        return 0;
    }
    for_each_vma_range (vma, mm, start, end) {
        struct unmap_note *note;

        if (!(uffd_features(vma) & UFFD_FEATURE_EVENT_UNMAP) ||
            is_noted(unmaps, vma->uffd, start, end)) {
            continue;
        }
        note = kmalloc(sizeof(*note), ALLOC_KERNEL);
        if (note == NULL) {
            return -ENOMEM;
        }
        *note = (struct unmap_note){.ctx = vma->uffd, .start = start, .end = end};
        uffd_get(note->ctx);
        uffd_begin_change(note->ctx);
        list_add_tail(&unmaps->list, &note->link);
    }
    return 0;
}

/* The first note, off the list; NULL behind the last. */
static struct unmap_note *take_note(struct uffd_unmaps *unmaps)
{
    struct unmap_note *note;

    if (list_is_empty(&unmaps->list)) {
        return NULL;
    }
    note = list_first_entry(&unmaps->list, struct unmap_note, link);
    list_del(&note->link);
    return note;
}

void uffd_unmap_cancel(struct uffd_unmaps *unmaps)
{
    struct unmap_note *note = take_note(unmaps);

    while (note != NULL) {
        uffd_end_change(note->ctx);
        uffd_put(note->ctx);
        kfree(note);
        note = take_note(unmaps);
    }
}

void uffd_unmap_complete(struct uffd_unmaps *unmaps)
{
    struct unmap_note *note = take_note(unmaps);

    while (note != NULL) {
        struct uffd_event event = {.msg = {.event = UFFD_EVENT_UNMAP}};

        event.msg.arg.remove.start = note->start;
        event.msg.arg.remove.end = note->end;
        uffd_post(note->ctx, &event);
        kfree(note);
        note = take_note(unmaps);
    }
}

void uffd_wake_gone(const struct vma *vma, u64 start, u64 end)
{
    /* Without users nobody waits, and the context may be gone (uffd_release()). */
    if (vma->uffd != NULL && refcount_read(&vma->mm->users) != 0) {
        uffd_wake(vma->uffd, start, end);
    }
}

/* --- mremap ----------------------------------------------------------------------------------- */

void uffd_remap_prepare(struct vma_props *props, struct uffd_remap *remap)
{
    struct uffd_ctx *ctx = props->uffd;

    if (ctx == NULL) {
        return;
    }
    if (!(READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_REMAP)) {
        /* G4, F14: who does not want to hear of a move does not go along. */
        props->flags &= ~VM_UFFD_FLAGS;
        props->uffd = NULL;
        return;
    }
    uffd_get(ctx);
    uffd_begin_change(ctx);
    remap->ctx = ctx;
}

void uffd_remap_complete(struct uffd_remap *remap, u64 from, u64 to, u64 len)
{
    struct uffd_event event = {.msg = {.event = UFFD_EVENT_REMAP}};

    if (remap->ctx != NULL) {
        event.msg.arg.remap.from = from;
        event.msg.arg.remap.to = to;
        event.msg.arg.remap.len = len;
        uffd_post(remap->ctx, &event);
    }
}

void uffd_remap_cancel(struct uffd_remap *remap)
{
    if (remap->ctx != NULL) {
        uffd_end_change(remap->ctx);
        uffd_put(remap->ctx);
    }
}

/* --- advice that drops pages ------------------------------------------------------------------ */

bool uffd_wants_remove(const struct vma *vma)
{
    return (uffd_features(vma) & UFFD_FEATURE_EVENT_REMOVE) != 0;
}

/*
 * Fills that are under way hold the VMA: they are over once it is write-locked, and those to come
 * see nr_changing. So the pages that go are the ones the pager has put there before it reads of it.
 */
void uffd_tell_remove(struct mm *mm, u64 start, u64 end)
{
    struct uffd_event event = {.msg = {.event = UFFD_EVENT_REMOVE}};
    struct uffd_ctx *ctx = NULL;
    struct vma *vma;

    mm_write_lock(mm);
    vma = vma_find_at(mm, start);
    if (vma != NULL && uffd_wants_remove(vma)) {
        ctx = vma->uffd;
        uffd_get(ctx);
        vma_write_lock(vma);
        uffd_begin_change(ctx);
        end = min(end, vma->end);
    }
    mm_write_unlock(mm);
    if (ctx != NULL) {
        event.msg.arg.remove.start = start;
        event.msg.arg.remove.end = end;
        uffd_post(ctx, &event);
    }
}

/* --- fork ------------------------------------------------------------------------------------- */

struct fork_note {
    struct list_node link;
    struct uffd_ctx *parent; /* a reference */
    struct uffd_ctx *child;  /* a reference */
};

/* G1: all VMAs of the child share one new context for each of the parent's. */
static struct uffd_ctx *noted_child(const struct uffd_forks *forks, const struct uffd_ctx *parent)
{
    const struct fork_note *note;

    list_for_each_entry (note, &forks->list, link) {
        if (note->parent == parent) {
            return note->child;
        }
    }
    return NULL;
}

static int note_fork(struct mm *child_mm, struct uffd_ctx *parent, struct uffd_forks *forks,
                     struct uffd_ctx **out)
{
    struct fork_note *note = kmalloc(sizeof(*note), ALLOC_KERNEL);

    if (note == NULL || uffd_create(child_mm, parent->flags, out) != 0) {
        kfree(note);
        return -ENOMEM;
    }
    (*out)->features = parent->features;
    child_mm->has_uffd = true;
    note->parent = parent;
    note->child = *out;
    uffd_get(parent);
    uffd_begin_change(parent);
    list_add_tail(&forks->list, &note->link);
    return 0;
}

int uffd_fork_vma(struct mm *child, const struct vma *vma, struct vma_props *props,
                  struct uffd_forks *forks)
{
    if (!(uffd_features(vma) & UFFD_FEATURE_EVENT_FORK)) {
        props->flags &= ~VM_UFFD_FLAGS;
        props->uffd = NULL;
        return 0;
    }
    props->uffd = noted_child(forks, vma->uffd);
    return props->uffd != NULL ? 0 : note_fork(child, vma->uffd, forks, &props->uffd);
}

static struct fork_note *take_fork(struct uffd_forks *forks)
{
    struct fork_note *note;

    if (list_is_empty(&forks->list)) {
        return NULL;
    }
    note = list_first_entry(&forks->list, struct fork_note, link);
    list_del(&note->link);
    return note;
}

void uffd_fork_complete(struct uffd_forks *forks)
{
    struct fork_note *note = take_fork(forks);

    while (note != NULL) {
        struct uffd_event event = {.msg = {.event = UFFD_EVENT_FORK}, .child = note->child};

        uffd_post(note->parent, &event);
        kfree(note);
        note = take_fork(forks);
    }
}

void uffd_fork_cancel(struct uffd_forks *forks)
{
    struct fork_note *note = take_fork(forks);

    while (note != NULL) {
        uffd_end_change(note->parent);
        uffd_put(note->parent);
        uffd_put(note->child);
        kfree(note);
        note = take_fork(forks);
    }
}
