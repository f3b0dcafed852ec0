/*
 * userfaultfd for host tests of address spaces: nobody watches any memory.
 */
#include <mm/uffd.h>
#include <mm/zap.h>

int uffd_unmap_prepare(struct mm *mm, u64 start, u64 end, struct uffd_unmaps *unmaps)
{
    return 0;
}

void uffd_unmap_cancel(struct uffd_unmaps *unmaps)
{
}

void uffd_unmap_complete(struct uffd_unmaps *unmaps)
{
}

void uffd_wake_gone(const struct vma *vma, u64 start, u64 end)
{
}

void uffd_remap_prepare(struct vma_props *props, struct uffd_remap *remap)
{
    remap->ctx = NULL;
}

void uffd_remap_complete(struct uffd_remap *remap, u64 from, u64 to, u64 len)
{
}

void uffd_remap_cancel(struct uffd_remap *remap)
{
}

bool uffd_wants_remove(const struct vma *vma)
{
    return false;
}

void uffd_tell_remove(struct mm *mm, u64 start, u64 end)
{
}

void zap_keeping_markers(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    zap_range(vma, start, end, batch);
}
