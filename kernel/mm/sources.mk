# Frames and kernel objects: what the rest of mm is made of.
KERNEL_SRCS += kernel/mm/boot_alloc.c
KERNEL_SRCS += kernel/mm/page.c
KERNEL_SRCS += kernel/mm/frames.c
KERNEL_SRCS += kernel/mm/frames_init.c
KERNEL_SRCS += kernel/mm/frames_verify.c
KERNEL_SRCS += kernel/mm/slab.c
KERNEL_SRCS += kernel/mm/kmalloc.c
KERNEL_SRCS += kernel/mm/slab_debug.c
KERNEL_SRCS += kernel/mm/vmap.c
KERNEL_SRCS += kernel/mm/fail_inject.c

# Address spaces: their shape.
KERNEL_SRCS += kernel/mm/mm.c
KERNEL_SRCS += kernel/mm/vma_tree.c
KERNEL_SRCS += kernel/mm/vma.c
KERNEL_SRCS += kernel/mm/account.c
KERNEL_SRCS += kernel/mm/map.c
KERNEL_SRCS += kernel/mm/unmap.c
KERNEL_SRCS += kernel/mm/protect.c
KERNEL_SRCS += kernel/mm/seal.c
KERNEL_SRCS += kernel/mm/mremap.c
KERNEL_SRCS += kernel/mm/brk.c
KERNEL_SRCS += kernel/mm/stack.c
KERNEL_SRCS += kernel/mm/populate.c
KERNEL_SRCS += kernel/mm/madvise.c
KERNEL_SRCS += kernel/mm/mlock.c
KERNEL_SRCS += kernel/mm/mincore.c

# Memory objects.
KERNEL_SRCS += kernel/mm/object.c
KERNEL_SRCS += kernel/mm/shmem.c
KERNEL_SRCS += kernel/mm/object_size.c
KERNEL_SRCS += kernel/mm/object_io.c
KERNEL_SRCS += kernel/mm/pager.c
KERNEL_SRCS += kernel/mm/pager_write.c
KERNEL_SRCS += kernel/mm/direct_device.c
KERNEL_SRCS += kernel/mm/direct.c
KERNEL_SRCS += kernel/mm/direct_cow.c

# Page tables and the path of a fault, then what else works on entries.
KERNEL_SRCS += kernel/mm/pagetable.c
KERNEL_SRCS += kernel/mm/cursor.c
KERNEL_SRCS += kernel/mm/tlb.c
KERNEL_SRCS += kernel/mm/fault_entry.c
KERNEL_SRCS += kernel/mm/fault.c
KERNEL_SRCS += kernel/mm/fault_classify.c
KERNEL_SRCS += kernel/mm/fault_anon.c
KERNEL_SRCS += kernel/mm/fault_cow.c
KERNEL_SRCS += kernel/mm/fault_file.c
KERNEL_SRCS += kernel/mm/fault_uffd.c
KERNEL_SRCS += kernel/mm/rmap.c
KERNEL_SRCS += kernel/mm/fork.c
KERNEL_SRCS += kernel/mm/zap.c
KERNEL_SRCS += kernel/mm/change_protection.c
KERNEL_SRCS += kernel/mm/move_page_tables.c
KERNEL_SRCS += kernel/mm/reclaim.c
KERNEL_SRCS += kernel/mm/reclaim_paged.c
KERNEL_SRCS += kernel/mm/vmstat.c
KERNEL_SRCS += kernel/mm/clear_refs.c
KERNEL_SRCS += kernel/mm/pagemap.c
KERNEL_SRCS += kernel/mm/pagemap_scan.c
KERNEL_SRCS += kernel/mm/smaps.c
KERNEL_SRCS += kernel/mm/kpage.c
KERNEL_SRCS += kernel/mm/usercopy.c
KERNEL_SRCS += kernel/mm/gup.c
KERNEL_SRCS += kernel/mm/gup_fast.c
KERNEL_SRCS += kernel/mm/remote_copy.c
KERNEL_SRCS += kernel/mm/process_vm.c

# Faults that a program handles.
KERNEL_SRCS += kernel/mm/uffd.c
KERNEL_SRCS += kernel/mm/uffd_wait.c
KERNEL_SRCS += kernel/mm/uffd_fill.c
KERNEL_SRCS += kernel/mm/uffd_wp.c
KERNEL_SRCS += kernel/mm/uffd_event.c
KERNEL_SRCS += kernel/mm/uffd_move.c

KERNEL_SRCS += kernel/mm/verify.c
