/*
 * The reverse map of anonymous pages: a tree of generations (mm/rmap.h says what those are).
 *
 * R1. A node has a VMA or a child; one that has neither is freed, and then its parent is looked at.
 * R2. A page is mapped only by VMAs of its node and of the nodes below it.
 * R3. parent, children and VMA lists of all nodes of a tree change under the lock in its root. A
 *     thread that takes that lock has a VMA in the tree, or (to leave it) a count on the root.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/list.h>
#include <mm/mm.h>
#include <mm/page.h>
#include <mm/rmap.h>
#include <mm/slab.h>
#include <mm/vma.h>
#include <proc/mutex.h>

struct anon_vma {
    struct anon_vma *root;     /* [I] itself for the first generation */
    struct anon_vma *parent;   /* [I] NULL for the root */
    struct list_node vmas;     /* [root lock] by vma->anon_link */
    struct list_node children; /* [root lock] by sibling */
    struct list_node sibling;  /* [root lock] */
    struct mutex lock;         /* in the root alone: the tree's lock */
    struct refcount refcount;  /* [x] in the root alone: the tree, and those who leave it */
};

static struct kmem_cache *anon_vma_cache;
static struct atomic_u64 nr_steps; /* in debug builds */

static struct anon_vma *node_alloc(struct anon_vma *parent);
static bool set_node(struct vma *vma, struct anon_vma *node);
static bool join_a_neighbour(struct vma *vma);
static bool join(struct vma *vma, struct vma *neighbour);
static bool may_become_alike(const struct vma *a, const struct vma *b);
static bool has_one(const struct list_node *head);
static bool child_may_join(const struct anon_vma *node);
static void free_upwards(struct anon_vma *node);
static bool node_visit(struct anon_vma *node, u64 index,
                       bool (*visit)(struct vma *vma, u64 addr, void *arg), void *arg);
static struct anon_vma *next_in_subtree(struct anon_vma *node, const struct anon_vma *top);

void rmap_init(void)
{
    anon_vma_cache = kmem_cache_create("anon_vma", sizeof(struct anon_vma), 0, NULL);
}

static struct anon_vma *node_alloc(struct anon_vma *parent)
{
    struct anon_vma *node = kmem_cache_alloc(anon_vma_cache, ALLOC_KERNEL);

    if (node == NULL) {
        return NULL;
    }
    node->parent = parent;
    node->root = parent == NULL ? node : parent->root;
    list_init(&node->vmas);
    list_init(&node->children);
    list_init(&node->sibling);
    mutex_init(&node->lock, RANK_ANON_VMA);
    refcount_set(&node->refcount, 1);
    return node;
}

int anon_vma_prepare(struct vma *vma)
{
    struct anon_vma *node;

    if (__atomic_load_n(&vma->anon_vma, __ATOMIC_ACQUIRE) != NULL || join_a_neighbour(vma)) {
        return 0;
    }
    node = node_alloc(NULL);
    if (node == NULL) {
        return -ENOMEM;
    }
    if (!set_node(vma, node)) {
        kmem_cache_free(anon_vma_cache, node);
    }
    return 0;
}

/* Two faults in one VMA may come here together. Return: was it this one that set the node? */
static bool set_node(struct vma *vma, struct anon_vma *node)
{
    bool is_first;

    spin_lock(&vma->mm->pt_lock);
    is_first = vma->anon_vma == NULL;
    if (is_first) {
        list_add_tail(&node->vmas, &vma->anon_link);
        __atomic_store_n(&vma->anon_vma, node, __ATOMIC_RELEASE);
    }
    spin_unlock(&vma->mm->pt_lock);
    return is_first;
}

/*
 * A neighbour that differs in nothing but its permissions may become alike later on; with one
 * generation for both, the two can be one VMA then.
 *
 * The links are read without mmap_lock. What they lead to is a VMA, or was one (V1), and counts
 * only once its lock is held; the ends of the list are not followed.
 */
static bool join_a_neighbour(struct vma *vma)
{
    const struct list_node *end = &vma->mm->vma_list;
    struct list_node *next = READ_ONCE(vma->link.next);
    struct list_node *prev = READ_ONCE(vma->link.prev);

    return (next != end && join(vma, container_of(next, struct vma, link))) ||
           (prev != end && join(vma, container_of(prev, struct vma, link)));
}

static bool join(struct vma *vma, struct vma *neighbour)
{
    bool has_joined = false;
    struct anon_vma *node;

    if (!vma_read_trylock(vma->mm, neighbour)) {
        return false;
    }
    node = __atomic_load_n(&neighbour->anon_vma, __ATOMIC_ACQUIRE);
    if (node != NULL && node->parent == NULL && may_become_alike(vma, neighbour)) {
        mutex_lock(&node->lock);
        (void)set_node(vma, node);
        mutex_unlock(&node->lock);
        has_joined = true;
    }
    vma_read_unlock(neighbour);
    return has_joined;
}

static bool may_become_alike(const struct vma *a, const struct vma *b)
{
    const struct vma *lower = a->start < b->start ? a : b;
    const struct vma *upper = lower == a ? b : a;

    return lower->end == upper->start && lower->object == upper->object &&
           lower->file == upper->file &&
           ((lower->flags ^ upper->flags) & ~(VM_ACCESS_FLAGS | VM_SOFTDIRTY)) == 0 &&
           lower->pgoff + vma_nr_pages(lower) == upper->pgoff;
}

void anon_vma_clone(struct vma *dst, struct vma *src)
{
    struct anon_vma *node = src->anon_vma;

    if (node == NULL) {
        return;
    }
    ASSERT(dst->anon_vma == NULL, "a VMA is in one generation");
    mutex_lock(&node->root->lock);
    list_add_tail(&node->vmas, &dst->anon_link);
    dst->anon_vma = node;
    mutex_unlock(&node->root->lock);
}

int anon_vma_fork(struct vma *child, struct vma *parent)
{
    struct anon_vma *node = parent->anon_vma;
    struct anon_vma *spare;

    if (node == NULL) {
        return 0;
    }
    spare = node_alloc(node);
    if (spare == NULL) {
        return -ENOMEM;
    }
    mutex_lock(&node->root->lock);
    if (child_may_join(node)) {
        list_add_tail(&node->vmas, &child->anon_link);
        child->anon_vma = node;
    } else {
        list_add_tail(&node->children, &spare->sibling);
        list_add_tail(&spare->vmas, &child->anon_link);
        child->anon_vma = spare;
        spare = NULL;
    }
    mutex_unlock(&node->root->lock);
    if (spare != NULL) {
        kmem_cache_free(anon_vma_cache, spare);
    }
    return 0;
}

static bool has_one(const struct list_node *head)
{
    return head->next != head && head->next->next == head;
}

/*
 * A process that forks and exits, for ever, would leave a chain of empty generations behind it.
 * So a child joins its parent's generation where the one above is such a leftover: then the chain
 * stops growing, and a page has at most one process more to be looked for in.
 */
static bool child_may_join(const struct anon_vma *node)
{
    const struct anon_vma *above = node->parent;

    return above != NULL && list_is_empty(&above->vmas) && has_one(&above->children) &&
           list_is_empty(&node->children) && has_one(&node->vmas);
}

void anon_vma_unlink(struct vma *vma)
{
    struct anon_vma *node = vma->anon_vma;
    struct anon_vma *root;
    bool is_last;

    if (node == NULL) {
        return;
    }
    root = node->root;
    refcount_inc(&root->refcount);
    mutex_lock(&root->lock);
    list_del(&vma->anon_link);
    vma->anon_vma = NULL;
    free_upwards(node);
    if (list_is_empty(&root->vmas) && list_is_empty(&root->children)) {
        is_last = refcount_dec_and_test(&root->refcount);
        ASSERT(!is_last, "R3: whoever leaves a tree has a count on its root");
    }
    mutex_unlock(&root->lock);
    is_last = refcount_dec_and_test(&root->refcount);
    if (is_last) {
        kmem_cache_free(anon_vma_cache, root);
    }
}

/* Whether there is a generation at all decides, which the compiler's analysis cannot follow. */
void anon_vma_lock(struct vma *vma) NO_THREAD_SAFETY_ANALYSIS
{
    if (vma->anon_vma != NULL) {
        mutex_lock(&vma->anon_vma->root->lock);
    }
}

void anon_vma_unlock(struct vma *vma) NO_THREAD_SAFETY_ANALYSIS
{
    if (vma->anon_vma != NULL) {
        mutex_unlock(&vma->anon_vma->root->lock);
    }
}

/* Frees what R1 does not allow any more, up to but without the root. */
static void free_upwards(struct anon_vma *node)
{
    while (node->parent != NULL && list_is_empty(&node->vmas) && list_is_empty(&node->children)) {
        struct anon_vma *parent = node->parent;

        list_del(&node->sibling);
        kmem_cache_free(anon_vma_cache, node);
        node = parent;
    }
}

/* What has no pages yet may join a first generation; later ones do not grow, as on Linux. */
bool anon_vma_can_merge(const struct anon_vma *a, const struct anon_vma *b)
{
    if (a == NULL || b == NULL) {
        const struct anon_vma *only = a == NULL ? b : a;

        return only == NULL || only->parent == NULL;
    }
    return a == b;
}

void rmap_walk_anon(const struct page *page, bool (*visit)(struct vma *vma, u64 addr, void *arg),
                    void *arg)
{
    struct anon_vma *top = page->owner;

    ASSERT(page_is_anon(page) && top != NULL, "an anonymous page belongs to a generation");
    mutex_lock(&top->root->lock);
    for (struct anon_vma *node = top; node != NULL; node = next_in_subtree(node, top)) {
        if (!node_visit(node, page->index, visit, arg)) {
            break;
        }
    }
    mutex_unlock(&top->root->lock);
}

u64 rmap_nr_steps(void)
{
    return atomic_u64_load(&nr_steps);
}

static bool node_visit(struct anon_vma *node, u64 index,
                       bool (*visit)(struct vma *vma, u64 addr, void *arg), void *arg)
{
    struct vma *vma;

    list_for_each_entry (vma, &node->vmas, anon_link) {
        if (DEBUG_ENABLED) {
            atomic_u64_add(&nr_steps, 1);
        }
        if (index < vma->pgoff || index - vma->pgoff >= vma_nr_pages(vma)) {
            continue;
        }
        if (!visit(vma, vma->start + ((index - vma->pgoff) << PAGE_SHIFT), arg)) {
            return false;
        }
    }
    return true;
}

/* Pre-order, without a stack: the tree may be as deep as processes have forked. */
static struct anon_vma *next_in_subtree(struct anon_vma *node, const struct anon_vma *top)
{
    if (!list_is_empty(&node->children)) {
        return list_first_entry(&node->children, struct anon_vma, sibling);
    }
    while (node != top) {
        struct anon_vma *parent = node->parent;
        struct anon_vma *next = list_next_entry_or_null(node, &parent->children, sibling);

        if (next != NULL) {
            return next;
        }
        node = parent;
    }
    return NULL;
}
