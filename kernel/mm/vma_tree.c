/*
 * The tree of VMAs: finding one, finding room, and the gaps that make the second as fast as the
 * first.
 *
 * Each node knows the largest gap in front of any VMA of its subtree. A gap belongs to the VMA
 * above it, so changing the end of a VMA changes the gap of the next one. The VMAs also form a
 * list in address order; it gives the neighbours without a walk.
 *
 * Writers hold mmap_lock and make mm->vma_seq odd while they turn the tree; vma.c walks it
 * without a lock. Read next: vma.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/vma.h>

/* A tree of 2^31 nodes, more than there may ever be, is at most 2 * 31 high; a walk that takes
 * longer was led astray by a writer. */
#define MAX_TREE_HEIGHT 62

static struct vma *vma_of(const struct rb_node *node)
{
    return container_of(node, struct vma, node);
}

static u64 gap_start_of(const struct vma *vma)
{
    const struct vma *prev = vma_prev(vma);

    return prev != NULL ? prev->end : 0;
}

/* Bytes in front of a VMA that nothing lays claim to, from @floor on. */
static u64 gap_above(u64 floor, const struct vma *vma)
{
    u64 end = vma_start_with_guard(vma);

    return end > floor ? end - floor : 0;
}

static u64 gap_in_front(const struct vma *vma)
{
    return gap_above(gap_start_of(vma), vma);
}

static u64 max_gap_of(const struct vma *vma)
{
    u64 gap = vma->gap;

    if (vma->node.left != NULL) {
        gap = max(gap, vma_of(vma->node.left)->max_gap);
    }
    if (vma->node.right != NULL) {
        gap = max(gap, vma_of(vma->node.right)->max_gap);
    }
    return gap;
}

static bool update_max_gap(struct rb_node *node)
{
    struct vma *vma = vma_of(node);
    u64 former = vma->max_gap;

    vma->max_gap = max_gap_of(vma);
    return vma->max_gap != former;
}

static const struct rb_augment_ops gap_ops = {.update = update_max_gap};

/* Looks at a gap again, and carries a change towards the root as far as it makes a difference. */
static void propagate_gap(struct vma *vma)
{
    vma->gap = gap_in_front(vma);
    rb_propagate(&vma->node, &gap_ops);
}

void vma_tree_insert(struct mm *mm, struct vma *vma, struct vma *prev)
{
    struct list_node *before = prev != NULL ? &prev->link : &mm->vma_list;
    struct list_node *after = before->next;
    struct rb_node *parent = NULL;
    struct rb_node **link = &mm->vmas.node;

    ASSERT(prev == NULL || prev->end <= vma->start, "I9: VMAs are sorted and disjoint");
    ASSERT(after == &mm->vma_list || vma->end <= list_entry(after, struct vma, link)->start,
           "I9: VMAs are sorted and disjoint");
    /* Of two neighbours, one has no child on the side that faces the other. */
    if (prev != NULL && prev->node.right == NULL) {
        parent = &prev->node;
        link = &parent->right;
    } else if (after != &mm->vma_list) {
        parent = &list_entry(after, struct vma, link)->node;
        link = &parent->left;
    }
    seqcount_write_begin(&mm->vma_seq);
    list_add_after(before, &vma->link);
    vma->gap = gap_in_front(vma);
    if (after != &mm->vma_list) {
        propagate_gap(list_entry(after, struct vma, link));
    }
    rb_insert_at(&mm->vmas, &vma->node, parent, link, &gap_ops);
    seqcount_write_end(&mm->vma_seq);
}

void vma_tree_append(struct mm *mm, struct vma *vma)
{
    const struct vma *last = vma_last(mm);
    u64 floor = last != NULL ? last->end : 0;

    ASSERT(floor <= vma->start, "I9: VMAs are sorted and disjoint");
    list_add_tail(&mm->vma_list, &vma->link);
    vma->gap = gap_above(floor, vma);
}

void vma_tree_build(struct mm *mm)
{
    struct rb_node *first = NULL;
    u64 count = 0;

    for (struct vma *vma = vma_last(mm); vma != NULL; vma = vma_prev(vma)) {
        vma->node.right = first;
        first = &vma->node;
        count++;
    }
    seqcount_write_begin(&mm->vma_seq);
    rb_build(&mm->vmas, first, count, &gap_ops);
    seqcount_write_end(&mm->vma_seq);
}

void vma_tree_forget(struct mm *mm)
{
    mm->vmas.node = NULL;
}

void vma_tree_remove(struct mm *mm, struct vma *vma)
{
    struct vma *next = vma_next(vma);

    seqcount_write_begin(&mm->vma_seq);
    list_del(&vma->link);
    rb_erase(&mm->vmas, &vma->node, &gap_ops);
    if (next != NULL) {
        /* It may stand below the place where the climb of rb_erase() began. */
        propagate_gap(next);
    }
    seqcount_write_end(&mm->vma_seq);
}

void vma_tree_resize(struct vma *vma, u64 start, u64 end)
{
    struct vma *next = vma_next(vma);
    bool end_moves = vma->end != end;

    ASSERT(start < end && PAGE_ALIGNED(start) && PAGE_ALIGNED(end),
           "I9: a VMA is a non-empty range of whole pages");
    ASSERT(start >= gap_start_of(vma) && (next == NULL || end <= next->start),
           "I9: VMAs are sorted and disjoint");
    WRITE_ONCE(vma->start, start);
    WRITE_ONCE(vma->end, end);
    propagate_gap(vma);
    if (end_moves && next != NULL) {
        propagate_gap(next);
    }
}

void vma_tree_split(struct mm *mm, struct vma *lower, struct vma *upper)
{
    ASSERT(upper->start > lower->start && upper->end == lower->end,
           "the upper part of a VMA ends where it ended");
    /* No gap changes: the next VMA sees the same end in front of it. */
    WRITE_ONCE(lower->end, upper->start);
    vma_tree_insert(mm, upper, lower);
}

void vma_tree_absorb(struct mm *mm, struct vma *lower, struct vma *upper)
{
    ASSERT(lower->end == upper->start && vma_next(lower) == upper, "neighbours become one");
    /* First the end, so that the next VMA's gap stays what it is when the upper part goes. */
    WRITE_ONCE(lower->end, upper->end);
    seqcount_write_begin(&mm->vma_seq);
    list_del(&upper->link);
    rb_erase(&mm->vmas, &upper->node, &gap_ops);
    seqcount_write_end(&mm->vma_seq);
}

struct vma *vma_find(struct mm *mm, u64 addr)
{
    struct rb_node *node = mm->vmas.node;
    struct vma *found = NULL;

    while (node != NULL) {
        struct vma *vma = vma_of(node);

        if (addr >= vma->end) {
            node = node->right;
            continue;
        }
        found = vma;
        if (addr >= vma->start) {
            break;
        }
        node = node->left;
    }
    return found;
}

struct vma *vma_find_at(struct mm *mm, u64 addr)
{
    struct vma *vma = vma_find(mm, addr);

    return vma != NULL && vma->start <= addr ? vma : NULL;
}

struct vma *vma_find_intersection(struct mm *mm, u64 start, u64 end)
{
    struct vma *vma = vma_find(mm, start);

    return vma != NULL && vma->start < end ? vma : NULL;
}

struct vma *vma_tree_walk_lockless(struct mm *mm, u64 addr)
{
    struct rb_node *node = READ_ONCE(mm->vmas.node);

    for (int step = 0; node != NULL && step < MAX_TREE_HEIGHT; step++) {
        struct vma *vma = vma_of(node);

        if (addr < READ_ONCE(vma->start)) {
            node = READ_ONCE(node->left);
        } else if (addr < READ_ONCE(vma->end)) {
            return vma;
        } else {
            node = READ_ONCE(node->right);
        }
    }
    return NULL;
}

/* The part of the gap in front of a VMA that a request may use, or an empty range. */
static bool gap_fits(const struct vma *vma, const struct gap_request *req, u64 *start, u64 *end)
{
    *start = max(gap_start_of(vma), req->low);
    *end = min(vma_start_with_guard(vma), req->high);
    return *end > *start && *end - *start >= req->len;
}

/*
 * Looks right, here, left. A subtree without a large enough gap is not entered; one with such a gap
 * disappoints only where the bounds cut it, which happens along one path for each bound.
 */
static bool search_down(const struct rb_node *node, const struct gap_request *req, u64 *addr)
{
    while (node != NULL && vma_of(node)->max_gap >= req->len) {
        const struct vma *vma = vma_of(node);
        u64 start, end;

        if (vma->end < req->high && search_down(node->right, req, addr)) {
            return true;
        }
        if (gap_fits(vma, req, &start, &end)) {
            *addr = end - req->len;
            return true;
        }
        if (gap_start_of(vma) <= req->low) {
            return false;
        }
        node = node->left;
    }
    return false;
}

static bool search_up(const struct rb_node *node, const struct gap_request *req, u64 *addr)
{
    while (node != NULL && vma_of(node)->max_gap >= req->len) {
        const struct vma *vma = vma_of(node);
        u64 start, end;

        if (gap_start_of(vma) > req->low && search_up(node->left, req, addr)) {
            return true;
        }
        if (gap_fits(vma, req, &start, &end)) {
            *addr = start;
            return true;
        }
        if (vma->end >= req->high) {
            return false;
        }
        node = node->right;
    }
    return false;
}

/* The room above the highest VMA, which is no VMA's gap. */
static bool last_gap_fits(const struct mm *mm, const struct gap_request *req, u64 *start)
{
    u64 last_end = 0;

    if (!list_is_empty(&mm->vma_list)) {
        last_end = list_last_entry(&mm->vma_list, struct vma, link)->end;
    }
    *start = max(last_end, req->low);
    return req->high > *start && req->high - *start >= req->len;
}

int vma_tree_find_gap_top_down(struct mm *mm, const struct gap_request *req, u64 *addr)
{
    u64 start;

    if (last_gap_fits(mm, req, &start)) {
        *addr = req->high - req->len;
        return 0;
    }
    return search_down(mm->vmas.node, req, addr) ? 0 : -ENOMEM;
}

int vma_tree_find_gap_bottom_up(struct mm *mm, const struct gap_request *req, u64 *addr)
{
    if (search_up(mm->vmas.node, req, addr)) {
        return 0;
    }
    return last_gap_fits(mm, req, addr) ? 0 : -ENOMEM;
}

/* Sums what the accounts of an address space must show. */
static void check_counters(struct mm *mm)
{
    struct mm sum = {.total_vm = 0};
    struct vma *vma;

    for_each_vma (vma, mm) {
        mm_account_add(&sum, vma->flags, vma_nr_pages(vma));
    }
    ASSERT(sum.total_vm == mm->total_vm && sum.locked_vm == mm->locked_vm,
           "I9: total_vm and locked_vm are the sums over the VMAs");
    ASSERT(sum.data_vm == mm->data_vm && sum.stack_vm == mm->stack_vm && sum.exec_vm == mm->exec_vm,
           "I9: the pages of each kind are the sums over the VMAs");
}

static void check_vma(struct mm *mm, struct vma *vma)
{
    const struct vma *prev = vma_prev(vma);

    ASSERT(vma->mm == mm, "I9: a VMA belongs to the address space it is linked in");
    ASSERT(vma->start < vma->end && PAGE_ALIGNED(vma->start) && PAGE_ALIGNED(vma->end),
           "I9: a VMA is a non-empty range of whole pages");
    ASSERT(vma->end <= TASK_SIZE, "I9: a VMA lies in user space");
    ASSERT(vma->gap == gap_in_front(vma), "V3: every VMA knows the gap in front of it");
    ASSERT(vma->max_gap == max_gap_of(vma), "V3: every node knows its largest gap");
    ASSERT(prev == NULL || prev->end <= vma->start, "I9: VMAs are sorted and disjoint");
    ASSERT(prev == NULL || !vma_can_merge(prev, vma), "I9: neighbours that are alike are one VMA");
}

void vma_tree_check(struct mm *mm)
{
    struct rb_node *node = rb_first(&mm->vmas);
    struct vma *vma;
    u32 count = 0;

    for_each_vma (vma, mm) {
        ASSERT(node == &vma->node, "I9: the list and the tree of VMAs have one order");
        check_vma(mm, vma);
        count++;
        node = rb_next(node);
    }
    ASSERT(node == NULL, "I9: the list and the tree of VMAs have one order");
    ASSERT(count == mm->map_count, "I9: map_count is the number of VMAs");
    ASSERT(rb_check(&mm->vmas) == (long)count, "I9: the tree of VMAs is balanced");
    check_counters(mm);
}
