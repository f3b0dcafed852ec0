/*
 * The model: what each page of a small window is mapped to. Read first: vma_model.h.
 */
#include <string.h>

#include <fake_kernel.h>
#include <fake_mm.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/ranges.h>
#include <mm/slab.h>
#include <mm/vma.h>
#include <uapi/linux/mman.h>
#include <vma_model.h>

#define NR_OBJECTS 2
#define MAX_PAGES  24 /* of one operation */

/* What the model knows of a page. */
struct model_page {
    bool is_mapped;
    u64 flags; /* VM_*, without VM_ACCOUNT */
    struct vm_object *object;
    u64 index; /* in the object */
    u64 tag;   /* what was written there */
};

static struct mm mm;
static struct vm_object *objects[NR_OBJECTS];
static struct model_page pages[FAKE_NR_PAGES];
static u64 next_tag;

#define MODEL_FLAGS (~(VM_ACCOUNT | VM_SOFTDIRTY))

static u64 address_of(u32 page)
{
    return FAKE_BASE + (u64)page * PAGE_SIZE;
}

/* Sets up *first and *end as a range of pages inside the window. */
static void range_of(const struct vma_op *op, u32 *first, u32 *end)
{
    *first = op->page % FAKE_NR_PAGES;
    *end = min(*first + 1 + op->nr_pages % MAX_PAGES, (u32)FAKE_NR_PAGES);
}

static void forget(u32 first, u32 end)
{
    memset(&pages[first], 0, (end - first) * sizeof(pages[0]));
}

/* After a failed allocation: each page must be as before or as the operation makes it. What it is
 * now is what counts from here on. */
static void adopt(const struct model_page *before)
{
    for (u32 i = 0; i < FAKE_NR_PAGES; i++) {
        const struct vma *vma = vma_find_at(&mm, address_of(i));

        pages[i] = before[i];
        if (vma == NULL) {
            ASSERT(!before[i].is_mapped, "a failed operation unmaps nothing");
            continue;
        }
        ASSERT(before[i].is_mapped && before[i].object == vma->object,
               "a failed operation maps nothing");
        pages[i].flags = vma->flags & MODEL_FLAGS;
    }
}

/* --- the operations
 * ------------------------------------------------------------------------------- */

/* Fills in a request; the second half of the choices maps objects. */
static void request_of(const struct vma_op *op, u32 first, u32 end, struct map_request *req)
{
    *req = (struct map_request){
        .addr = address_of(first),
        .len = address_of(end) - address_of(first),
        .prot = op->prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
        .flags = MAP_PRIVATE | MAP_ANONYMOUS,
    };
    if (op->choice & 1) {
        req->object = objects[op->choice >> 1 & 1];
        req->flags = op->choice & 4 ? MAP_SHARED : MAP_PRIVATE;
        req->pgoff = op->choice & 8 ? first : op->choice >> 4;
    } else if (op->choice & 2) {
        req->flags |= MAP_NORESERVE;
    }
}

static void model_map(const struct map_request *req, u32 first, u32 end)
{
    for (u32 i = first; i < end; i++) {
        pages[i] = (struct model_page){
            .is_mapped = true,
            .flags = req->prot | VM_MAY_FLAGS | (req->flags & MAP_SHARED ? VM_SHARED : 0) |
                     (req->flags & MAP_NORESERVE ? VM_NORESERVE : 0),
            .object = req->object,
            .index = req->object != NULL ? req->pgoff + (i - first) : 0,
        };
    }
}

static bool is_free(u32 first, u32 end)
{
    for (u32 i = first; i < end; i++) {
        if (pages[i].is_mapped) {
            return false;
        }
    }
    return true;
}

static int run_map_fixed(const struct vma_op *op)
{
    u32 first, end;
    struct map_request req;
    u64 addr;
    int expected = 0;
    int error;

    range_of(op, &first, &end);
    request_of(op, first, end, &req);
    req.flags |= op->target & 1 ? MAP_FIXED_NOREPLACE : MAP_FIXED;
    if ((req.flags & MAP_FIXED_NOREPLACE) && !is_free(first, end)) {
        expected = -EEXIST;
    }
    error = mm_map(&mm, &req, &addr);
    if (error == 0) {
        model_map(&req, first, end);
    }
    ASSERT(error == expected || error == -ENOMEM, "mmap gives the error that the model expects");
    return error == expected ? 0 : error;
}

/* The highest free range of the window, found the slow way. */
static bool highest_free(u32 nr_pages, u32 *first)
{
    for (u32 i = FAKE_NR_PAGES - nr_pages + 1; i-- > 0;) {
        if (is_free(i, i + nr_pages)) {
            *first = i;
            return true;
        }
    }
    return false;
}

static int run_map_anywhere(const struct vma_op *op)
{
    u32 nr_pages = 1 + op->nr_pages % MAX_PAGES;
    struct map_request req;
    u32 first;
    u64 addr;
    int error;

    request_of(op, 0, nr_pages, &req);
    req.addr = 0;
    error = mm_map(&mm, &req, &addr);
    if (error != 0) {
        return error;
    }
    if (highest_free(nr_pages, &first)) {
        ASSERT(addr == address_of(first), "mmap takes the highest room there is");
        model_map(&req, first, first + nr_pages);
        return 0;
    }
    ASSERT(addr >= TASK_SIZE / 3, "without room below mmap_base, mmap looks above");
    return mm_unmap(&mm, addr, nr_pages * PAGE_SIZE);
}

static int run_unmap(const struct vma_op *op)
{
    u32 first, end;
    int error;

    range_of(op, &first, &end);
    error = mm_unmap(&mm, address_of(first), address_of(end) - address_of(first));
    if (error == 0) {
        forget(first, end);
    }
    return error;
}

static int run_protect(const struct vma_op *op)
{
    u64 prot = op->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
    u32 first, end;
    int expected = 0;
    int error;

    range_of(op, &first, &end);
    error = mm_protect(&mm, address_of(first), address_of(end) - address_of(first), (u32)prot);
    for (u32 i = first; i < end && expected == 0; i++) {
        if (!pages[i].is_mapped) {
            expected = -ENOMEM;
        } else {
            pages[i].flags = (pages[i].flags & ~VM_ACCESS_FLAGS) | prot;
        }
    }
    ASSERT(error == expected || error == -ENOMEM, "mprotect gives the error the model expects");
    return error == expected ? 0 : error;
}

static int run_advise(const struct vma_op *op)
{
    static const struct {
        int advice;
        u64 set, clear;
    } advices[] = {
        {MADV_NORMAL, 0, VM_ADVICE_MASK},
        {MADV_RANDOM, VM_RAND_READ, VM_SEQ_READ},
        {MADV_DONTFORK, VM_DONTCOPY, 0},
        {MADV_DOFORK, 0, VM_DONTCOPY},
        {MADV_HUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE},
    };
    u32 which = op->choice % ARRAY_SIZE(advices);
    u32 first, end;
    bool has_hole = false;
    int error;

    range_of(op, &first, &end);
    error = mm_advise(&mm, address_of(first), address_of(end) - address_of(first),
                      advices[which].advice);
    if (error == -EAGAIN) {
        return error;
    }
    for (u32 i = first; i < end; i++) {
        has_hole |= !pages[i].is_mapped;
        if (pages[i].is_mapped) {
            pages[i].flags = (pages[i].flags & ~advices[which].clear) | advices[which].set;
        }
    }
    ASSERT(error == (has_hole ? -ENOMEM : 0), "madvise reports holes, and nothing else");
    return 0;
}

static int run_zap(const struct vma_op *op)
{
    u32 first, end;
    int error;

    range_of(op, &first, &end);
    error = mm_advise(&mm, address_of(first), address_of(end) - address_of(first), MADV_DONTNEED);
    for (u32 i = first; i < end; i++) {
        if (pages[i].flags & VM_LOCKED) {
            ASSERT(error == -EINVAL, "locked memory is not dropped");
            break;
        }
        pages[i].tag = 0;
    }
    return 0;
}

static int run_lock(const struct vma_op *op)
{
    u64 locked = op->choice & 1 ? VM_LOCKED : 0;
    u32 first, end;
    int expected = 0;
    int error;

    range_of(op, &first, &end);
    if (locked) {
        error = mm_lock_range(&mm, address_of(first), address_of(end) - address_of(first), 0);
    } else {
        error = mm_unlock_range(&mm, address_of(first), address_of(end) - address_of(first));
    }
    for (u32 i = first; i < end && expected == 0; i++) {
        if (!pages[i].is_mapped) {
            expected = -ENOMEM;
        } else {
            pages[i].flags = (pages[i].flags & ~VM_LOCKED) | locked;
        }
    }
    ASSERT(error == expected || error == -ENOMEM, "mlock gives the error the model expects");
    return error == expected ? 0 : error;
}

static int run_touch(const struct vma_op *op)
{
    u32 page = op->page % FAKE_NR_PAGES;

    next_tag++;
    if (fake_touch(&mm, address_of(page), next_tag)) {
        pages[page].tag = next_tag;
    }
    return 0;
}

/* What a successful move of old_nr pages to new_nr pages elsewhere leaves in the model. */
static void model_move(u32 from, u32 old_nr, u32 to, u32 new_nr, u32 flags)
{
    struct model_page moved[FAKE_NR_PAGES] = {{.is_mapped = false}};

    for (u32 i = 0; i < new_nr; i++) {
        moved[i] = pages[from];
        if (pages[from].object != NULL) {
            moved[i].index = pages[from].index + i;
        }
        moved[i].tag = i < old_nr ? pages[from + i].tag : 0;
    }
    for (u32 i = 0; i < old_nr; i++) {
        pages[from + i].tag = 0;
        pages[from + i].flags &= ~VM_LOCKED_MASK;
    }
    if (!(flags & MREMAP_DONTUNMAP)) {
        forget(from, from + old_nr);
    }
    memcpy(&pages[to], moved, new_nr * sizeof(pages[0]));
}

static int run_remap(const struct vma_op *op)
{
    u32 first, end, new_nr, old_nr;
    u32 to = op->target % FAKE_NR_PAGES;
    u32 flags = op->choice & 1 ? MREMAP_MAYMOVE : 0;
    u64 addr;
    int error;

    range_of(op, &first, &end);
    old_nr = end - first;
    new_nr = min(1U + op->prot % MAX_PAGES, FAKE_NR_PAGES - to);
    if (op->choice & 2) {
        flags = MREMAP_MAYMOVE | MREMAP_FIXED;
        if (op->choice & 4) {
            flags |= MREMAP_DONTUNMAP;
            new_nr = min(old_nr, FAKE_NR_PAGES - to);
            old_nr = new_nr;
        }
    }
    error = mm_remap(&mm, address_of(first), old_nr * PAGE_SIZE, new_nr * PAGE_SIZE, flags,
                     address_of(to), &addr);
    if ((flags & MREMAP_FIXED) && error != -EINVAL && pages[first].is_mapped) {
        /* The new place, and what the mapping loses by shrinking, go even if the move fails. */
        bool shrinks = old_nr > new_nr;

        if (error == 0 || error == -EFAULT) {
            forget(to, to + new_nr);
            if (shrinks) {
                forget(first + new_nr, first + old_nr);
            }
        } else {
            return 1;
        }
        old_nr = min(old_nr, new_nr);
    } else if (error == 0 && new_nr <= old_nr) {
        forget(first + new_nr, first + old_nr);
        return 0;
    }
    if (error != 0) {
        return 0;
    }
    ASSERT(addr < FAKE_END, "mremap takes the room below mmap_base");
    model_move(first, old_nr, (u32)((addr - FAKE_BASE) >> PAGE_SHIFT), new_nr, flags);
    return 0;
}

/* --- driving
 * ---------------------------------------------------------------------------------------- */

typedef int (*op_function)(const struct vma_op *op);

static const op_function functions[] = {
    run_map_fixed, run_map_fixed, run_map_anywhere, run_unmap, run_protect, run_protect, run_advise,
    run_advise,    run_zap,       run_lock,         run_touch, run_touch,   run_touch,   run_remap,
};

/* Something that merges with nothing stands above the window, so that nothing grows out of it. */
static void map_fence(void)
{
    struct map_request req = {
        .addr = FAKE_END,
        .len = PAGE_SIZE,
        .flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
        .vm_flags = VM_DONTDUMP,
    };
    u64 addr;
    int error = mm_map(&mm, &req, &addr);

    ASSERT(error == 0, "the host has memory");
}

void vma_model_begin(void)
{
    fake_mm_init(&mm);
    map_fence();
    forget(0, FAKE_NR_PAGES);
    memset(fake_entries, 0, sizeof(fake_entries));
    for (u32 i = 0; i < NR_OBJECTS; i++) {
        int error = object_create_shmem(MIB, &objects[i]);

        ASSERT(error == 0, "the host has memory");
    }
}

/* A page that leaves the window cannot be followed: such moves are left out. */
static bool would_leave_window(const struct vma_op *op)
{
    u32 room;

    return functions[op->kind % ARRAY_SIZE(functions)] == run_remap && !(op->choice & 2) &&
           !highest_free(1 + op->prot % MAX_PAGES, &room);
}

void vma_model_step(const struct vma_op *op)
{
    u64 fail_nth = op->fail_nth < 4 ? op->fail_nth : 0;
    struct model_page before[FAKE_NR_PAGES];
    bool has_failed;
    int error;

    if (would_leave_window(op)) {
        return;
    }
    memcpy(before, pages, sizeof(before));
    fake_fail_nth = fail_nth;
    error = functions[op->kind % ARRAY_SIZE(functions)](op);
    has_failed = fail_nth != 0 && fake_fail_nth == 0;
    fake_fail_nth = 0;
    if (error > 0) {
        /* A failed MREMAP_FIXED: start again from what is there, with nothing touched. */
        vma_model_end();
        vma_model_begin();
    } else if (has_failed) {
        adopt(before);
    } else {
        ASSERT(error == 0, "operations fail for want of memory alone");
    }
}

static void check_page(u32 i)
{
    const struct vma *vma = vma_find_at(&mm, address_of(i));

    ASSERT((vma != NULL) == pages[i].is_mapped, "the same pages are mapped as in the model");
    ASSERT(fake_entries[i].tag == pages[i].tag, "each page holds what was written to it last");
    if (vma == NULL) {
        return;
    }
    ASSERT((vma->flags & MODEL_FLAGS) == pages[i].flags, "each page has the model's flags");
    ASSERT(vma->object == pages[i].object, "each page comes from the model's object");
    ASSERT(vma->object == NULL || vma_page_index(vma, address_of(i)) == pages[i].index,
           "each page has its index in the object");
}

void vma_model_check(void)
{
    struct vma *vma;
    u64 promised = 0;

    vma_tree_check(&mm);
    fake_check_entries(&mm);
    for (u32 i = 0; i < FAKE_NR_PAGES; i++) {
        check_page(i);
    }
    for_each_vma (vma, &mm) {
        promised += vma->flags & VM_ACCOUNT ? vma_nr_pages(vma) : 0;
    }
    ASSERT(promised == vm_committed(), "what is promised is what the VMAs account for");
}

void vma_model_end(void)
{
    fake_mm_clear(&mm);
    for (u32 i = 0; i < NR_OBJECTS; i++) {
        object_put(objects[i]);
    }
    ASSERT(slab_objects_in_use() == 0, "I11: nothing leaks");
}
