/*
 * Accounts of an address space against its limits, and of the system's promises of memory.
 *
 * Sizes are kept in pages. The promise (overcommit) account counts private writable memory and
 * shared memory objects, whether touched or not.
 */
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/vma.h>
#include <proc/cred.h>
#include <proc/rlimit.h>

/* What OVERCOMMIT_NEVER keeps back: for root to log in, and for a process to be cleaned up. */
#define ADMIN_RESERVE_PAGES ((8 * MIB) >> PAGE_SHIFT)
#define USER_RESERVE_PAGES  ((128 * MIB) >> PAGE_SHIFT)

struct overcommit_policy overcommit_policy = {
    .mode = OVERCOMMIT_HEURISTIC,
    .ratio_percent = 50,
};

u32 max_map_count = DEFAULT_MAX_MAP_COUNT;

static struct atomic_u64 committed_pages;

void mm_account_add(struct mm *mm, u64 vm_flags, u64 nr_pages)
{
    mm->total_vm += nr_pages;
    if (vm_flags & VM_STACK) {
        mm->stack_vm += nr_pages;
    } else if (vm_flags_are_data(vm_flags)) {
        mm->data_vm += nr_pages;
    } else if ((vm_flags & (VM_EXEC | VM_WRITE)) == VM_EXEC) {
        mm->exec_vm += nr_pages;
    }
    if (vm_flags & VM_LOCKED) {
        mm->locked_vm += nr_pages;
    }
}

void mm_account_sub(struct mm *mm, u64 vm_flags, u64 nr_pages)
{
    /* The largest size is looked at only where the size shrinks. */
    mm->hiwater_vm = max(mm->hiwater_vm, mm->total_vm);
    mm_account_add(mm, vm_flags, -nr_pages);
}

bool mm_may_expand(const struct mm *mm, u64 vm_flags, u64 nr_pages)
{
    if (mm->total_vm + nr_pages > rlimit_get(RLIMIT_AS) >> PAGE_SHIFT) {
        return false;
    }
    return !vm_flags_are_data(vm_flags) ||
           mm->data_vm + nr_pages <= rlimit_get(RLIMIT_DATA) >> PAGE_SHIFT;
}

bool mm_may_lock(void)
{
    return rlimit_get(RLIMIT_MEMLOCK) != 0 || has_capability(CAP_IPC_LOCK);
}

bool mm_may_lock_more(const struct mm *mm, u64 vm_flags, u64 nr_pages)
{
    if (!(vm_flags & VM_LOCKED)) {
        return true;
    }
    return mm->locked_vm + nr_pages <= rlimit_get(RLIMIT_MEMLOCK) >> PAGE_SHIFT ||
           has_capability(CAP_IPC_LOCK);
}

bool vm_flags_need_commit(u64 vm_flags)
{
    return (vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE;
}

u64 vm_committed(void)
{
    return atomic_u64_load(&committed_pages);
}

u64 vm_commit_limit(void)
{
    u64 limit_kib = READ_ONCE(overcommit_policy.limit_kib);

    if (limit_kib != 0) {
        return limit_kib / (PAGE_SIZE / KIB);
    }
    return frames_total_count() * overcommit_policy.ratio_percent / 100;
}

static bool commit_allowed(const struct mm *mm, u64 committed, u64 nr_pages)
{
    u64 allowed;

    switch (overcommit_policy.mode) {
    case OVERCOMMIT_ALWAYS:
        return true;
    case OVERCOMMIT_HEURISTIC:
        /* Only what can never be had is refused. */
        return nr_pages <= frames_total_count();
    case OVERCOMMIT_NEVER:
        break;
    }
    allowed = vm_commit_limit();
    if (!has_capability(CAP_SYS_ADMIN)) {
        allowed -= min(allowed, ADMIN_RESERVE_PAGES);
    }
    if (mm != NULL) {
        allowed -= min(allowed, min(mm->total_vm / 32, USER_RESERVE_PAGES));
    }
    return committed < allowed;
}

int vm_commit_charge(struct mm *mm, u64 nr_pages)
{
    u64 committed = atomic_u64_fetch_add(&committed_pages, nr_pages) + nr_pages;

    if (commit_allowed(mm, committed, nr_pages)) {
        return 0;
    }
    vm_commit_release(nr_pages);
    return -ENOMEM;
}

void vm_commit_force(u64 nr_pages)
{
    atomic_u64_add(&committed_pages, nr_pages);
}

void vm_commit_release(u64 nr_pages)
{
    u64 old = atomic_u64_fetch_sub(&committed_pages, nr_pages);

    ASSERT(old >= nr_pages, "only promised pages are released");
}

u64 mm_rss(const struct mm *mm, enum mm_rss_kind kind)
{
    s64 nr_pages = (s64)atomic_u64_load(&mm->rss[kind]);

    /* Counters of several CPUs may be read in between a move from one kind to another. */
    return nr_pages > 0 ? (u64)nr_pages : 0;
}

u64 mm_rss_total(const struct mm *mm)
{
    return mm_rss(mm, MM_RSS_ANON) + mm_rss(mm, MM_RSS_FILE) + mm_rss(mm, MM_RSS_SHMEM);
}

void mm_update_hiwater(struct mm *mm)
{
    mm->hiwater_rss = max(mm->hiwater_rss, mm_rss_total(mm));
}
