/*
 * Growing stacks, and where a program's stack and mappings are placed.
 *
 * Below a VMA that grows down lies a gap of STACK_GUARD_GAP bytes that mmap leaves free and that
 * growth leaves to the mapping below, so that an overflow faults instead of writing there.
 * Read next: object.c.
 */
#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/random.h>
#include <lib/string.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/vma.h>
#include <proc/rlimit.h>

/* Linux's bounds of the room that mmap leaves to the stack. */
#define STACK_ROOM_MIN (128 * MIB)
#define STACK_ROOM_MAX (TASK_SIZE / 6 * 5)

/* What a new stack may use at once, beside what exec writes. */
#define STACK_INITIAL_SIZE (128 * KIB)

#define STACK_RANDOM_BITS 22
#define MMAP_RANDOM_BITS  28

#define STACK_VM_FLAGS                                                                             \
    (VM_READ | VM_WRITE | VM_MAY_FLAGS | VM_GROWSDOWN | VM_ACCOUNT | VM_SOFTDIRTY)

/* Do the limits allow a stack of this size, larger by nr_pages than now? */
static bool may_grow_stack(const struct mm *mm, const struct vma *vma, u64 size, u64 nr_pages)
{
    return mm_may_expand(mm, vma->flags, nr_pages) && size <= rlimit_get(RLIMIT_STACK) &&
           mm_may_lock_more(mm, vma->flags, nr_pages);
}

static int expand_locked(struct mm *mm, u64 addr)
{
    struct vma *vma = vma_find(mm, addr);
    struct vma *prev;
    u64 nr_pages;

    if (vma == NULL || addr < MMAP_MIN_ADDR) {
        return -EFAULT;
    }
    if (vma->start <= addr) {
        return 0;
    }
    if (!(vma->flags & VM_GROWSDOWN)) {
        return -EFAULT;
    }
    prev = vma_prev(vma);
    if (prev != NULL && !(prev->flags & VM_GROWSDOWN) && (prev->flags & VM_ACCESS_FLAGS) &&
        addr - prev->end < STACK_GUARD_GAP) {
        return -EFAULT;
    }
    nr_pages = (vma->start - addr) >> PAGE_SHIFT;
    if (nr_pages > vma->pgoff || !may_grow_stack(mm, vma, vma->end - addr, nr_pages) ||
        vm_commit_charge(mm, nr_pages) != 0) {
        return -ENOMEM;
    }
    vma_write_lock(vma);
    vma_set_range(vma, addr, vma->end, vma->pgoff - nr_pages);
    mm_account_add(mm, vma->flags, nr_pages);
    /* The stack may have grown down to another one like it. */
    vma_merge_around(vma);
    return 0;
}

int mm_expand_stack(struct mm *mm, u64 addr)
{
    int error = mm_write_lock_killable(mm);

    if (error != 0) {
        return error;
    }
    error = expand_locked(mm, PAGE_ALIGN_DOWN(addr));
    mm_write_unlock(mm);
    return error;
}

u64 mm_random_offset(unsigned int bits)
{
    u64 value;

    /* The same program gets the same addresses on each run, unless somebody asks otherwise. */
    if (!cmdline_has("aslr")) {
        return 0;
    }
    random_bytes(&value, sizeof(value));
    return (value & (BIT(bits) - 1)) << PAGE_SHIFT;
}

void mm_setup_layout(struct mm *mm, u64 stack_rlimit)
{
    u64 room = stack_rlimit;
    u64 pad = STACK_GUARD_GAP + (BIT(STACK_RANDOM_BITS) << PAGE_SHIFT);

    if (room + pad > room) {
        room += pad;
    }
    room = clamp(room, STACK_ROOM_MIN, STACK_ROOM_MAX);
    mm->mmap_base = PAGE_ALIGN_UP(TASK_SIZE - room - mm_random_offset(MMAP_RANDOM_BITS));
}

int mm_setup_stack(struct mm *mm, u64 size, u64 vm_flags, u64 *top)
{
    u64 end = TASK_SIZE - mm_random_offset(STACK_RANDOM_BITS);
    u64 bytes = PAGE_ALIGN_UP(size) + STACK_INITIAL_SIZE;
    u64 nr_pages = bytes >> PAGE_SHIFT;
    struct vma_props props = {
        .flags = STACK_VM_FLAGS | vm_flags | mm->def_flags,
        .pgoff = (end - bytes) >> PAGE_SHIFT,
    };
    struct vma *vma;
    int error = -ENOMEM;

    if (bytes < size || bytes > STACK_ROOM_MIN) {
        return -ENOMEM;
    }
    mm_write_lock(mm);
    if (vma_find(mm, end - bytes) == NULL && mm_may_expand(mm, props.flags, nr_pages) &&
        vm_commit_charge(mm, nr_pages) == 0) {
        vma = vma_alloc(mm, end - bytes, end, &props);
        if (vma != NULL) {
            vma_link(mm, vma, vma_last(mm));
            mm_account_add(mm, props.flags, nr_pages);
            *top = end;
            error = 0;
        } else {
            vm_commit_release(nr_pages);
        }
    }
    mm_write_unlock(mm);
    return error;
}
