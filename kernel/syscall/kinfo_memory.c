/*
 * kinfo: the VMAs of one process, and what their pages use.
 *
 * VMAs are collected under mmap_lock in small batches, and copied to the user without it. Between
 * two batches the address space may change; what is told is then as of several moments, ascending.
 */
#include <syscall/kinfo.h>

#include <ipc/connection.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/slab.h>
#include <mm/smaps.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/process.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

#define VMAS_AT_A_TIME 16

/* Shared memory has inode numbers of a file system of its own, which Linux shows as 00:01. */
#define SHMEM_DEVICE_MINOR 1

struct flag_pair {
    u64 vm;
    u32 told;
};

static const struct flag_pair flag_pairs[] = {
    {VM_READ, CB_VMA_READ},
    {VM_WRITE, CB_VMA_WRITE},
    {VM_EXEC, CB_VMA_EXEC},
    {VM_SHARED, CB_VMA_SHARED},
    {VM_GROWSDOWN, CB_VMA_GROWSDOWN},
    {VM_LOCKED, CB_VMA_LOCKED},
    {VM_MAYREAD, CB_VMA_MAY_READ},
    {VM_MAYWRITE, CB_VMA_MAY_WRITE},
    {VM_MAYEXEC, CB_VMA_MAY_EXEC},
    {VM_PFNMAP, CB_VMA_PFNMAP},
    {VM_IO, CB_VMA_IO},
    {VM_SEQ_READ, CB_VMA_SEQUENTIAL},
    {VM_RAND_READ, CB_VMA_RANDOM},
    {VM_DONTCOPY, CB_VMA_DONT_COPY},
    {VM_DONTEXPAND, CB_VMA_DONT_EXPAND},
    {VM_LOCKONFAULT, CB_VMA_LOCK_ON_FAULT},
    {VM_ACCOUNT, CB_VMA_ACCOUNT},
    {VM_NORESERVE, CB_VMA_NO_RESERVE},
    {VM_HUGETLB, CB_VMA_HUGETLB},
    {VM_SYNC, CB_VMA_SYNC},
    {VM_WIPEONFORK, CB_VMA_WIPE_ON_FORK},
    {VM_DONTDUMP, CB_VMA_DONT_DUMP},
    {VM_SOFTDIRTY, CB_VMA_SOFT_DIRTY},
    {VM_HUGEPAGE, CB_VMA_HUGEPAGE},
    {VM_NOHUGEPAGE, CB_VMA_NO_HUGEPAGE},
    {VM_MERGEABLE, CB_VMA_MERGEABLE},
    {VM_UFFD_MISSING, CB_VMA_UFFD_MISSING},
    {VM_UFFD_WP, CB_VMA_UFFD_WP},
    {VM_UFFD_MINOR, CB_VMA_UFFD_MINOR},
    {VM_SEALED, CB_VMA_SEALED},
};

static u32 told_flags(const struct vma *vma)
{
    u32 flags = 0;

    for (size_t i = 0; i < ARRAY_SIZE(flag_pairs); i++) {
        flags |= vma->flags & flag_pairs[i].vm ? flag_pairs[i].told : 0;
    }
    if ((vma->flags & VM_SHARED) && (vma->file == NULL || file_can_write(vma->file))) {
        flags |= CB_VMA_SHARED_WRITABLE;
    }
    return flags;
}

static void fill_name(struct cb_vma_info *info, const struct vma *vma)
{
    const struct mm_layout *layout = &vma->mm->layout;

    if (vma->file != NULL) {
        file_describe(vma->file, info->name, sizeof(info->name));
    } else if (vma->object != NULL) {
        strlcpy(info->name, "/dev/zero (deleted)", sizeof(info->name));
    } else if (vma->start < layout->brk && vma->end > layout->start_brk) {
        strlcpy(info->name, "[heap]", sizeof(info->name));
    } else if (vma->start <= layout->start_stack && vma->end >= layout->start_stack) {
        strlcpy(info->name, "[stack]", sizeof(info->name));
    }
}

/* A connection's number is its server's to tell, and nobody may be asked under mmap_lock. */
static void fill_inode(struct cb_vma_info *info, const struct vma *vma)
{
    struct stat stat;

    if (vma->file != NULL && connection_of_file(vma->file) == NULL &&
        file_stat(vma->file, &stat) == 0) {
        info->ino = stat.st_ino;
        info->dev_major = dev_major(stat.st_dev);
        info->dev_minor = dev_minor(stat.st_dev);
    } else if (vma->file == NULL && vma->object != NULL) {
        info->ino = vma->object->number;
        info->dev_minor = SHMEM_DEVICE_MINOR;
    }
}

static void fill_vma(struct cb_vma_info *info, const struct vma *vma)
{
    memset(info, 0, sizeof(*info));
    info->start = vma->start;
    info->end = vma->end;
    info->flags = told_flags(vma);
    fill_name(info, vma);
    fill_inode(info, vma);
    if (vma->object != NULL) {
        info->offset = vma->pgoff << PAGE_SHIFT;
    }
    if (vma->file != NULL) {
        info->cookie = file_cookie(vma->file);
    }
}

static void fill_usage(struct cb_vma_usage *told, const struct vma *vma)
{
    struct vm_usage usage;

    fill_vma(&told->vma, vma);
    smaps_gather(vma, &usage);
    told->rss = usage.rss;
    told->shared_clean = usage.shared_clean;
    told->shared_dirty = usage.shared_dirty;
    told->private_clean = usage.private_clean;
    told->private_dirty = usage.private_dirty;
    told->referenced = usage.referenced;
    told->anonymous = usage.anonymous;
    told->lazy_free = usage.lazy_free;
    told->share = usage.share;
    told->share_dirty = usage.share_dirty;
    told->share_anon = usage.share_anon;
    told->share_shmem = usage.share_shmem;
}

_Static_assert(SMAPS_SHARE_SHIFT == 12, "a share is told in 1/4096 of a byte");

/* One kind of record a VMA. */
struct record_kind {
    size_t size;
    void (*fill)(void *record, const struct vma *vma);
};

static void fill_vma_record(void *record, const struct vma *vma)
{
    fill_vma(record, vma);
}

static void fill_usage_record(void *record, const struct vma *vma)
{
    fill_usage(record, vma);
}

static const struct record_kind vma_records = {sizeof(struct cb_vma_info), fill_vma_record};
static const struct record_kind usage_records = {sizeof(struct cb_vma_usage), fill_usage_record};

/* The records from *@addr on, at most @max; *@addr moves behind the last. */
static u32 collect(struct mm *mm, u64 *addr, const struct record_kind *kind, u8 *records, u32 max)
{
    struct vma *vma;
    u32 nr = 0;

    mm_read_lock(mm);
    for (vma = vma_find(mm, *addr); vma != NULL && nr < max; vma = vma_next(vma)) {
        kind->fill(records + nr * kind->size, vma);
        *addr = vma->end;
        nr++;
    }
    mm_read_unlock(mm);
    return nr;
}

static s64 copy_records(struct mm *mm, const struct record_kind *kind, u8 *records, u64 buf,
                        u64 len)
{
    u64 addr = 0;
    u64 done = 0;

    for (;;) {
        u64 room = min((len - done) / kind->size, (u64)VMAS_AT_A_TIME);
        u32 nr = room == 0 ? 0 : collect(mm, &addr, kind, records, (u32)room);

        if (nr == 0) {
            return (s64)done;
        }
        if (copy_to_user(buf + done, records, nr * kind->size) != 0) {
            return -EFAULT;
        }
        done += nr * kind->size;
    }
}

static s64 tell_vmas(struct process *process, const struct record_kind *kind, u64 buf, u64 len)
{
    s64 result = -ENOMEM;
    struct mm *mm;
    u8 *records;

    if (len < kind->size) {
        return -EINVAL;
    }
    mm = process_mm_get(process);
    if (mm == NULL) {
        return 0;
    }
    records = kmalloc(VMAS_AT_A_TIME * kind->size, ALLOC_KERNEL);
    if (records != NULL) {
        result = copy_records(mm, kind, records, buf, len);
        kfree(records);
    }
    mm_put(mm);
    return result;
}

s64 kinfo_vmas(struct process *process, u64 buf, u64 len)
{
    return tell_vmas(process, &vma_records, buf, len);
}

s64 kinfo_smaps(struct process *process, u64 buf, u64 len)
{
    return tell_vmas(process, &usage_records, buf, len);
}
