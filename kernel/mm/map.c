/*
 * Creating mappings: mmap(2).
 *
 * The request is checked and turned into flags first; then a place is chosen; then the address
 * space changes. Errors come in Linux's order, because programs probe with several at once.
 * What depends on a file (its mode, its seals) is checked by the caller before mmap_lock is taken
 * and reported at its place in that order through map_request.late_error.
 * Read next: unmap.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/ranges.h>
#include <mm/vma.h>
#include <proc/cred.h>
#include <uapi/linux/mman.h>

/* MAP_32BIT places mappings in the second gigabyte, so that signed 32-bit pointers reach them. */
#define MAP_32BIT_LOW  0x40000000UL
#define MAP_32BIT_HIGH 0x80000000UL
#define MAP_4G         0x100000000UL

#define ERRNO_MAX 4096

/* Where the search from below begins, when there is no room below mmap_base. */
#define MMAP_BOTTOM PAGE_ALIGN_UP(TASK_SIZE / 3)

/* A request that passed the checks which need no lock. */
struct map_plan {
    u64 start;
    u64 len;
    u64 map_flags;
    struct vma_props props;
    u64 charge; /* pages promised */
};

u64 vm_flags_from_prot(u32 prot)
{
    _Static_assert(PROT_READ == VM_READ && PROT_WRITE == VM_WRITE && PROT_EXEC == VM_EXEC,
                   "PROT_ and VM_ permissions are the same bits");
    return prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* A hint is taken if it lies in user space and its range is free. */
static bool hint_is_usable(struct mm *mm, u64 addr, u64 len)
{
    struct vma *vma;

    if (addr == 0 || addr > TASK_SIZE - len) {
        return false;
    }
    vma = vma_find(mm, addr);
    return vma == NULL || addr + len <= vma_start_with_guard(vma);
}

static int find_free_range(struct mm *mm, const struct place_request *req, u64 *addr)
{
    struct gap_request gap = {.len = req->len, .low = MMAP_MIN_ADDR, .high = mm->mmap_base};

    if (req->map_flags & MAP_32BIT) {
        gap.low = MAP_32BIT_LOW;
        gap.high = MAP_32BIT_HIGH;
        return vma_tree_find_gap_bottom_up(mm, &gap, addr);
    }
    if (req->map_flags & MAP_ABOVE4G) {
        gap.low = MAP_4G;
    }
    if (vma_tree_find_gap_top_down(mm, &gap, addr) == 0) {
        return 0;
    }
    gap.low = MMAP_BOTTOM;
    gap.high = TASK_SIZE;
    return vma_tree_find_gap_bottom_up(mm, &gap, addr);
}

int mm_choose_address(struct mm *mm, const struct place_request *req, u64 *addr_out)
{
    u64 addr = req->addr;

    if (req->len > TASK_SIZE) {
        return -ENOMEM;
    }
    if (req->map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (addr > (u64)-ERRNO_MAX) {
            /* On Linux the last addresses are errors, and taken for such where they come in. */
            return (int)addr;
        }
        if (addr > TASK_SIZE - req->len) {
            return -ENOMEM;
        }
        if (!PAGE_ALIGNED(addr)) {
            return -EINVAL;
        }
        if (addr < MMAP_MIN_ADDR && !has_capability(CAP_SYS_RAWIO)) {
            return -EPERM;
        }
        *addr_out = addr;
        return 0;
    }
    addr = PAGE_ALIGN_DOWN(addr);
    if (addr != 0 && addr < MMAP_MIN_ADDR) {
        addr = MMAP_MIN_ADDR;
    }
    if (hint_is_usable(mm, addr, req->len)) {
        *addr_out = addr;
        return 0;
    }
    return find_free_range(mm, req, addr_out);
}

static u64 requested_vm_flags(const struct mm *mm, const struct map_request *req)
{
    u64 flags =
        vm_flags_from_prot(req->prot) | mm->def_flags | VM_MAY_FLAGS | VM_SOFTDIRTY | req->vm_flags;

    if ((req->flags & MAP_TYPE) != MAP_PRIVATE) {
        flags |= VM_SHARED;
    }
    if (req->flags & MAP_GROWSDOWN) {
        flags |= VM_GROWSDOWN;
    }
    if (req->flags & MAP_LOCKED) {
        flags |= VM_LOCKED;
    }
    if ((req->flags & MAP_NORESERVE) && overcommit_policy.mode != OVERCOMMIT_NEVER) {
        flags |= VM_NORESERVE;
    }
    return flags & ~req->vm_flags_clear;
}

/* The checks of do_mmap() that follow the choice of the place. */
static int check_placed(struct mm *mm, const struct map_request *req, const struct map_plan *plan)
{
    u64 type = req->flags & MAP_TYPE;

    if ((req->flags & MAP_FIXED_NOREPLACE) &&
        vma_find_intersection(mm, plan->start, plan->start + plan->len) != NULL) {
        return -EEXIST;
    }
    if ((req->flags & MAP_LOCKED) && !mm_may_lock()) {
        return -EPERM;
    }
    if (!mm_may_lock_more(mm, plan->props.flags, plan->len >> PAGE_SHIFT)) {
        return -EAGAIN;
    }
    if (req->late_error != 0) {
        return req->late_error;
    }
    if (req->flags & MAP_ANONYMOUS) {
        if (type != MAP_SHARED && type != MAP_PRIVATE) {
            return -EINVAL;
        }
        if (type == MAP_SHARED && (req->flags & MAP_GROWSDOWN)) {
            return -EINVAL;
        }
    }
    return 0;
}

/* Pages in [start, end) that are mapped now, and how many of them are promised. */
static u64 count_mapped(struct mm *mm, u64 start, u64 end, u64 *nr_promised)
{
    u64 nr_pages = 0;
    struct vma *vma;

    *nr_promised = 0;
    for_each_vma_range (vma, mm, start, end) {
        u64 pages = (min(vma->end, end) - max(vma->start, start)) >> PAGE_SHIFT;

        nr_pages += pages;
        if (vma->flags & VM_ACCOUNT) {
            *nr_promised += pages;
        }
    }
    return nr_pages;
}

/* Takes the promise for a new mapping. What is going to be unmapped counts in its favour. */
static int charge_new(struct mm *mm, struct map_plan *plan, u64 nr_replaced, u64 nr_promised)
{
    u64 nr_pages = plan->len >> PAGE_SHIFT;

    if (!mm_may_expand(mm, plan->props.flags, nr_pages) &&
        (nr_replaced == 0 || !mm_may_expand(mm, plan->props.flags, nr_pages - nr_replaced))) {
        return -ENOMEM;
    }
    if (!vm_flags_need_commit(plan->props.flags)) {
        return 0;
    }
    if (nr_pages > nr_promised && vm_commit_charge(mm, nr_pages - nr_promised) != 0) {
        return -ENOMEM;
    }
    vm_commit_force(min(nr_pages, nr_promised));
    plan->charge = nr_pages;
    plan->props.flags |= VM_ACCOUNT;
    return 0;
}

/* Enters the mapping where nothing is mapped: into a neighbour, or as a VMA of its own. */
static int place_in_hole(struct mm *mm, const struct map_plan *plan, struct vma *spare)
{
    u64 end = plan->start + plan->len;
    struct vma *next = vma_find(mm, plan->start);
    struct vma *prev = next != NULL ? vma_prev(next) : vma_last(mm);

    if (vma_merge_new(mm, prev, next, plan->start, end, &plan->props) != NULL) {
        if (spare != NULL) {
            vma_free(spare);
        }
        return 0;
    }
    if (spare == NULL) {
        spare = vma_alloc(mm, plan->start, end, &plan->props);
        if (spare == NULL) {
            return -ENOMEM;
        }
    }
    vma_link(mm, spare, prev);
    return 0;
}

/* Replaces what is mapped there. The new VMA is made first, so that nothing is lost on failure. */
static int place_over(struct mm *mm, const struct map_plan *plan, struct unmapped *unmapped)
{
    u64 end = plan->start + plan->len;
    struct vma *spare = vma_alloc(mm, plan->start, end, &plan->props);
    int error;

    if (spare == NULL) {
        return -ENOMEM;
    }
    error = unmap_range(mm, plan->start, end, unmapped);
    if (error != 0) {
        vma_free(spare);
        return error;
    }
    return place_in_hole(mm, plan, spare);
}

static int map_locked(struct mm *mm, const struct map_request *req, struct map_plan *plan,
                      struct unmapped *unmapped)
{
    struct place_request place = {.addr = req->addr, .len = plan->len, .map_flags = req->flags};
    u64 nr_replaced = 0;
    u64 nr_promised = 0;
    int error;

    if (mm->map_count > MAX_MAP_COUNT) {
        return -ENOMEM;
    }
    plan->props.flags = requested_vm_flags(mm, req);
    error = mm_choose_address(mm, &place, &plan->start);
    if (error != 0) {
        return error;
    }
    error = check_placed(mm, req, plan);
    if (error != 0) {
        return error;
    }
    if (plan->props.object == NULL) {
        plan->props.pgoff = plan->start >> PAGE_SHIFT;
    } else {
        error = object_admit_mapping(plan->props.object, &plan->props.flags);
        if (error != 0) {
            return error;
        }
    }
    /* A place that was looked for is free. */
    if (req->flags & MAP_FIXED) {
        nr_replaced = count_mapped(mm, plan->start, plan->start + plan->len, &nr_promised);
    }
    error = charge_new(mm, plan, nr_replaced, nr_promised);
    if (error == 0) {
        error = nr_replaced != 0 ? place_over(mm, plan, unmapped) : place_in_hole(mm, plan, NULL);
        if (error == 0) {
            mm_account_add(mm, plan->props.flags, plan->len >> PAGE_SHIFT);
        } else if (plan->charge != 0) {
            vm_commit_release(plan->charge);
        }
    }
    if (plan->props.object != NULL) {
        object_admit_done(plan->props.object, plan->props.flags);
    }
    return error;
}

/* The checks that come before the address space is looked at. */
static int prepare_plan(const struct map_request *req, struct map_plan *plan)
{
    if (req->len == 0) {
        return -EINVAL;
    }
    plan->len = PAGE_ALIGN_UP(req->len);
    if (plan->len == 0) {
        return -ENOMEM;
    }
    if (req->pgoff + (plan->len >> PAGE_SHIFT) < req->pgoff) {
        return -EOVERFLOW;
    }
    plan->props.object = req->object;
    plan->props.file = req->file;
    plan->props.pgoff = req->pgoff;
    return 0;
}

static bool wants_populate(const struct map_request *req, const struct map_plan *plan)
{
    return (plan->props.flags & VM_LOCKED_MASK) == VM_LOCKED ||
           (req->flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE;
}

int mm_map(struct mm *mm, const struct map_request *req, u64 *addr_out)
{
    struct unmapped unmapped = UNMAPPED_INIT(unmapped);
    struct vm_object *shared = NULL;
    struct map_plan plan = {.charge = 0};
    int error = prepare_plan(req, &plan);

    if (error != 0) {
        return error;
    }
    if ((req->flags & (MAP_TYPE | MAP_ANONYMOUS)) == (MAP_SHARED | MAP_ANONYMOUS) &&
        plan.len <= TASK_SIZE) {
        error = object_create_anon(
            plan.len, req->flags & MAP_NORESERVE ? OBJECT_PROMISE_LATER : OBJECT_PROMISE_NOW,
            &shared);
        if (error != 0) {
            return error;
        }
        plan.props.object = shared;
        plan.props.pgoff = 0;
    }
    error = mm_write_lock_killable(mm);
    if (error == 0) {
        error = map_locked(mm, req, &plan, &unmapped);
        mm_write_unlock(mm);
        unmapped_finish(&unmapped);
    }
    if (shared != NULL) {
        object_put(shared);
    }
    if (error != 0) {
        return error;
    }
    if (wants_populate(req, &plan)) {
        /* As in Linux, the mapping stands even where pages could not be had in advance. */
        error = mm_populate(mm, plan.start, plan.start + plan.len);
    }
    *addr_out = plan.start;
    return 0;
}
