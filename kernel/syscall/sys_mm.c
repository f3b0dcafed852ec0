/*
 * The memory calls: what the user says, checked and translated; kernel/mm does the rest.
 */
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <syscall/syscalls.h>
#include <uapi/linux/mman.h>

/* The flags that MAP_SHARED has always ignored when unknown; MAP_SHARED_VALIDATE accepts these. */
#define MAP_LEGACY_MASK                                                                            \
    (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |       \
     MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |        \
     MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G | (21U << MAP_HUGE_SHIFT) | (30U << MAP_HUGE_SHIFT))

/* Pages whose residency mincore tells at a time. */
#define MINCORE_CHUNK 512

#define HUGE_SHIFT_2M 21
#define HUGE_SHIFT_1G 30

/* There are no huge pages in the pool, of whatever size. */
static int check_hugetlb(u32 flags)
{
    u32 shift = (flags >> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;

    if (!(flags & MAP_HUGETLB)) {
        return 0;
    }
    if (!(flags & MAP_ANONYMOUS)) {
        return -EINVAL;
    }
    return shift == 0 || shift == HUGE_SHIFT_2M || shift == HUGE_SHIFT_1G ? -ENOMEM : -EINVAL;
}

/* The rules of do_mmap() for a shared mapping of a file. */
static int check_shared_file(struct map_request *req)
{
    if ((req->flags & MAP_TYPE) == MAP_SHARED_VALIDATE &&
        (req->flags & ~(u32)MAP_LEGACY_MASK & ~(u32)MAP_SHARED_VALIDATE)) {
        return -EOPNOTSUPP;
    }
    if (!file_can_write(req->file)) {
        if (req->prot & PROT_WRITE) {
            return -EACCES;
        }
        req->vm_flags_clear |= VM_MAYWRITE;
    }
    return 0;
}

/* The checks of a mapping of a file, in Linux's order. Return: 0, or the request's late_error. */
static int check_file_mapping(struct map_request *req)
{
    u32 type = req->flags & MAP_TYPE;
    u64 len = PAGE_ALIGN_UP(req->len);
    int error = 0;

    if (len > (u64)S64_MAX || req->pgoff > ((u64)S64_MAX - len) >> PAGE_SHIFT) {
        return -EOVERFLOW;
    }
    if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE) {
        return -EINVAL;
    }
    if (type != MAP_PRIVATE) {
        error = check_shared_file(req);
    }
    if (error == 0 && !file_can_read(req->file)) {
        error = -EACCES;
    }
    return error;
}

static int find_object(struct map_request *req)
{
    u32 sharing = (req->flags & MAP_TYPE) == MAP_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
    int error = file_get_object(req->file, req->prot, sharing, &req->object);

    if (error == 0 && (req->flags & MAP_GROWSDOWN)) {
        return -EINVAL;
    }
    return error;
}

static int map_file(struct map_request *req, s32 fd, u64 *addr)
{
    int error = fd_get(fd, &req->file);

    if (error != 0) {
        return error;
    }
    if (req->file->traits & FILE_PATH_ONLY) {
        error = -EBADF;
    } else {
        error = check_hugetlb(req->flags);
    }
    if (error == 0) {
        req->late_error = check_file_mapping(req);
        if (req->late_error == 0) {
            req->late_error = find_object(req);
        }
        error = mm_map(current_mm(), req, addr);
    }
    if (req->object != NULL) {
        object_put(req->object);
    }
    file_put(req->file);
    return error;
}

long sys_mmap(u64 addr, u64 len, u64 prot, u64 flags, u64 fd, u64 offset)
{
    struct map_request req = {
        .addr = addr,
        .len = len,
        .prot = (u32)prot,
        .flags = (u32)flags,
        .pgoff = offset >> PAGE_SHIFT,
    };
    u64 result;
    int error;

    if (!PAGE_ALIGNED(offset)) {
        return -EINVAL;
    }
    if (flags & MAP_ANONYMOUS) {
        error = check_hugetlb(req.flags);
        if (error == 0) {
            error = mm_map(current_mm(), &req, &result);
        }
    } else {
        error = map_file(&req, (s32)fd, &result);
    }
    return error != 0 ? error : (long)result;
}

long sys_munmap(u64 addr, u64 len)
{
    return mm_unmap(current_mm(), addr, len);
}

long sys_mprotect(u64 addr, u64 len, u64 prot)
{
    if (prot > U32_MAX) {
        return -EINVAL;
    }
    return mm_protect(current_mm(), addr, len, (u32)prot);
}

long sys_brk(u64 brk)
{
    return (long)mm_brk(current_mm(), brk);
}

long sys_mremap(u64 addr, u64 old_len, u64 new_len, u64 flags, u64 new_addr)
{
    u64 result;
    int error;

    if (flags > U32_MAX) {
        return -EINVAL;
    }
    error = mm_remap(current_mm(), addr, old_len, new_len, (u32)flags, new_addr, &result);
    return error != 0 ? error : (long)result;
}

long sys_madvise(u64 addr, u64 len, s32 advice)
{
    return mm_advise(current_mm(), addr, len, advice);
}

long sys_msync(u64 addr, u64 len, s32 flags)
{
    return mm_sync(current_mm(), addr, len, (u32)flags);
}

long sys_mincore(u64 addr, u64 len, u64 vec)
{
    u64 nr_pages = DIV_ROUND_UP(len, PAGE_SIZE);
    u8 chunk[MINCORE_CHUNK];

    if (!PAGE_ALIGNED(addr)) {
        return -EINVAL;
    }
    if (!user_access_ok(addr, len)) {
        return -ENOMEM;
    }
    if (!user_access_ok(vec, nr_pages)) {
        return -EFAULT;
    }
    while (nr_pages > 0) {
        u64 nr = min(nr_pages, (u64)MINCORE_CHUNK);
        int error = mm_incore(current_mm(), addr, nr, chunk);

        if (error != 0) {
            return error;
        }
        if (copy_to_user(vec, chunk, nr) != 0) {
            return -EFAULT;
        }
        addr += nr << PAGE_SHIFT;
        vec += nr;
        nr_pages -= nr;
    }
    return 0;
}

long sys_mseal(u64 addr, u64 len, u64 flags)
{
    return flags != 0 ? -EINVAL : mm_seal(current_mm(), addr, len);
}

long sys_mlock(u64 addr, u64 len)
{
    return mm_lock_range(current_mm(), addr, len, 0);
}

long sys_mlock2(u64 addr, u64 len, s32 flags)
{
    return mm_lock_range(current_mm(), addr, len, (u32)flags);
}

long sys_munlock(u64 addr, u64 len)
{
    return mm_unlock_range(current_mm(), addr, len);
}

long sys_mlockall(s32 flags)
{
    return mm_lock_all(current_mm(), (u32)flags);
}

long sys_munlockall(void)
{
    return mm_unlock_all(current_mm());
}
