/*
 * Address spaces: birth, copy, and death in two steps.
 *
 * Users (threads, and those who work on another's memory) keep the memory; when the last one is
 * gone everything is unmapped. Counts keep the structure and its top-level table, which a CPU that
 * runs a kernel thread may still have loaded. Read next: vma_tree.c, vma.c, map.c.
 */
#include <arch/thread.h>
#include <ipc/file.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/account.h>
#include <mm/fault.h>
#include <mm/fork.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/pager.h>
#include <mm/pagetable.h>
#include <mm/ranges.h>
#include <mm/reclaim.h>
#include <mm/rmap.h>
#include <mm/slab.h>
#include <mm/uffd.h>
#include <mm/vma.h>

static struct kmem_cache *mm_cache;

static struct spinlock all_mms_lock = SPINLOCK_INIT(RANK_OBJECT_LIST);
static struct list_node all_mms = LIST_INIT(all_mms);
static struct atomic_u64 last_tlb_context;

void mm_init(void)
{
    mm_cache = kmem_cache_create("mm", sizeof(struct mm), 64, NULL);
    vma_init();
    object_init();
    pager_init();
    rmap_init();
    fault_init();
    reclaim_init();
    uffd_init();
}

int mm_create(struct mm **out)
{
    struct mm *mm = kmem_cache_alloc(mm_cache, ALLOC_ZERO);

    if (mm == NULL) {
        return -ENOMEM;
    }
    list_init(&mm->vma_list);
    rwsem_init(&mm->mmap_lock, RANK_MMAP);
    spin_init(&mm->pt_lock, RANK_PT);
    refcount_set(&mm->users, 1);
    refcount_set(&mm->count, 1);
    mm->tlb_context = atomic_u64_fetch_add(&last_tlb_context, 1) + 1;
    /* 0 is the lock_seq of VMAs that were never locked. */
    mm->lock_seq = 1;
    mm->mmap_base = TASK_SIZE;
    if (page_table_create(mm) != 0) {
        kmem_cache_free(mm_cache, mm);
        return -ENOMEM;
    }
    spin_lock(&all_mms_lock);
    list_add_tail(&all_mms, &mm->all_link);
    spin_unlock(&all_mms_lock);
    *out = mm;
    return 0;
}

int mm_create_auxv(struct mm *mm)
{
    ASSERT(mm->auxv == NULL, "a program starts once in an address space");
    mm->auxv = kzalloc(sizeof(*mm->auxv), ALLOC_KERNEL);
    if (mm->auxv == NULL) {
        return -ENOMEM;
    }
    refcount_set(&mm->auxv->refs, 1);
    return 0;
}

static void put_auxv(struct mm_auxv *auxv)
{
    if (auxv != NULL && refcount_dec_and_test(&auxv->refs)) {
        kfree(auxv);
    }
}

void mm_get(struct mm *mm)
{
    refcount_inc(&mm->users);
}

bool mm_get_not_zero(struct mm *mm)
{
    return refcount_inc_not_zero(&mm->users);
}

void mm_put(struct mm *mm)
{
    if (!refcount_dec_and_test(&mm->users)) {
        return;
    }
    unmap_everything(mm);
    for (int kind = 0; kind < MM_RSS_NR; kind++) {
        ASSERT(atomic_u64_load(&mm->rss[kind]) == 0,
               "I9: the counters of an empty address space are zero");
    }
    mm_set_exe_file(mm, NULL);
    put_auxv(mm->auxv);
    mm->auxv = NULL;
    mm_count_put(mm);
}

void mm_count_get(struct mm *mm)
{
    refcount_inc(&mm->count);
}

void mm_count_put(struct mm *mm)
{
    if (!refcount_dec_and_test(&mm->count)) {
        return;
    }
    spin_lock(&all_mms_lock);
    list_del(&mm->all_link);
    spin_unlock(&all_mms_lock);
    page_table_destroy(mm);
    kmem_cache_free(mm_cache, mm);
}

struct mm *mm_next_counted(struct mm *mm)
{
    struct list_node *node;
    struct mm *next = NULL;

    spin_lock(&all_mms_lock);
    node = mm != NULL ? mm->all_link.next : all_mms.next;
    for (; node != &all_mms && next == NULL; node = node->next) {
        next = container_of(node, struct mm, all_link);
        /* One without a count is about to leave the list. */
        next = refcount_inc_not_zero(&next->count) ? next : NULL;
    }
    spin_unlock(&all_mms_lock);
    if (mm != NULL) {
        mm_count_put(mm);
    }
    return next;
}

void mm_for_each(void (*fn)(struct mm *mm, void *arg), void *arg)
{
    struct mm *mm;

    /* The callers have made the system quiet; the lock is not held, so that fn may sleep. */
    list_for_each_entry (mm, &all_mms, all_link) {
        fn(mm, arg);
    }
}

void mm_set_exe_file(struct mm *mm, struct file *file)
{
    struct file *former = mm->exe_file;

    if (file != NULL) {
        file_get(file);
    }
    mm->exe_file = file;
    if (former != NULL) {
        file_put(former);
    }
}

/* --- fork ------------------------------------------------------------------------------------ */

/* The child's version of a VMA: locks of memory are not inherited, the pager only if it wishes. */
static struct vma *fork_vma(struct mm *child, struct vma *vma, struct uffd_forks *pagers)
{
    struct vma_props props = vma_props_of(vma);

    props.flags &= ~VM_LOCKED_MASK;
    props.anon_vma = NULL;
    if (unlikely((props.flags & VM_UFFD_FLAGS) != 0) &&
        uffd_fork_vma(child, vma, &props, pagers) != 0) {
        return NULL;
    }
    return vma_alloc(child, vma->start, vma->end, &props);
}

/* Gives the child one VMA of its parent, with its pages. A failure leaves what mm_put() removes. */
static int fork_one(struct fork_copy *pages, struct vma *vma, struct uffd_forks *pagers)
{
    bool copies_pages = !(vma->flags & VM_WIPEONFORK);
    u64 nr_pages = vma_nr_pages(vma);
    struct mm *child = pages->child;
    struct vma *copy;

    /* No fault may add a page or an anon_vma, or copy what is being shared, until the flush. */
    vma_write_lock(vma);
    if ((vma->flags & VM_ACCOUNT) && vm_commit_charge(child, nr_pages) != 0) {
        return -ENOMEM;
    }
    copy = fork_vma(child, vma, pagers);
    if (copy == NULL) {
        goto out_release;
    }
    if (copies_pages && vma->anon_vma != NULL && anon_vma_fork(copy, vma) != 0) {
        goto out_free;
    }
    vma_append_copy(child, copy, vma);
    mm_account_add(child, copy->flags, nr_pages);
    return copies_pages ? fork_copy_page_range(pages, copy, vma) : 0;

out_free:
    vma_free(copy);
out_release:
    if (vma->flags & VM_ACCOUNT) {
        vm_commit_release(nr_pages);
    }
    return -ENOMEM;
}

/* Neighbours that differed only in what a child does not inherit have become alike. */
static void merge_all(struct mm *mm)
{
    struct vma *vma = vma_first(mm);

    while (vma != NULL) {
        vma = vma_next(vma_merge_around(vma));
    }
}

static int fork_vmas(struct mm *child, struct mm *parent, struct uffd_forks *pagers)
{
    bool loses_flags = false;
    struct fork_copy pages;
    int error = 0;
    struct vma *vma;

    fork_copy_begin(&pages, parent, child);
    for_each_vma (vma, parent) {
        if (vma->flags & VM_DONTCOPY) {
            continue;
        }
        loses_flags |= (vma->flags & (VM_LOCKED_MASK | VM_UFFD_FLAGS)) != 0;
        error = fork_one(&pages, vma, pagers);
        if (error != 0) {
            break;
        }
    }
    fork_copy_end(&pages);
    vma_tree_build(child);
    if (loses_flags) {
        merge_all(child);
    }
    return error;
}

static void fork_attributes(struct mm *child, struct mm *parent)
{
    child->mmap_base = parent->mmap_base;
    child->layout = parent->layout;
    child->has_sealed = parent->has_sealed;
    atomic_u32_store(&child->has_lazyfree, atomic_u32_load(&parent->has_lazyfree));
    child->auxv = parent->auxv;
    if (child->auxv != NULL) {
        refcount_inc(&child->auxv->refs);
    }
    mm_set_exe_file(child, parent->exe_file);
}

int mm_fork(struct mm *parent, struct mm **out)
{
    struct uffd_forks pagers = UFFD_FORKS_INIT(pagers);
    struct mm *child;
    int error = mm_create(&child);

    if (error != 0) {
        return error;
    }
    error = mm_write_lock_killable(parent);
    if (error != 0) {
        mm_put(child);
        return error;
    }
    rwsem_write_lock_nested(&child->mmap_lock);
    fork_attributes(child, parent);
    error = fork_vmas(child, parent, &pagers);
    mm_write_unlock(child);
    mm_write_unlock(parent);
    if (error != 0) {
        mm_put(child);
        uffd_fork_cancel(&pagers);
        return error;
    }
    uffd_fork_complete(&pagers);
    *out = child;
    return 0;
}
