/*
 * Copies between the kernel and the current process's memory.
 *
 * Owns the check that an address is a user's; the instructions that may fault are the machine's
 * (arch/usercopy.h). Read fault_entry.c next for what happens when one does.
 */
#include <arch/usercopy.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/usercopy.h>

int copy_from_user(void *dst, u64 src, size_t n)
{
    if (unlikely(!user_access_ok(src, n)) || arch_copy_user(dst, user_pointer(src), n) != 0) {
        return -EFAULT;
    }
    return 0;
}

int copy_to_user(u64 dst, const void *src, size_t n)
{
    if (unlikely(!user_access_ok(dst, n)) || arch_copy_user(user_pointer(dst), src, n) != 0) {
        return -EFAULT;
    }
    return 0;
}

int clear_user(u64 dst, size_t n)
{
    if (!user_access_ok(dst, n) || arch_clear_user(user_pointer(dst), n) != 0) {
        return -EFAULT;
    }
    return 0;
}

size_t clear_user_partial(u64 dst, size_t n)
{
    size_t done = 0;

    if (!user_access_ok(dst, n)) {
        return 0;
    }
    /* Within a page either every byte can be written or none. */
    while (done < n) {
        size_t part = min(n - done, (size_t)(PAGE_SIZE - PAGE_OFFSET(dst + done)));

        if (arch_clear_user(user_pointer(dst + done), part) != 0) {
            break;
        }
        done += part;
    }
    return done;
}

s64 strncpy_from_user(char *dst, u64 src, size_t max)
{
    size_t room = max;
    size_t copied;
    int error;

    if (max == 0) {
        return -ENAMETOOLONG;
    }
    if (src >= TASK_SIZE) {
        return -EFAULT;
    }
    /* The string may end right below the end of user memory, so only what lies beyond is cut. */
    room = min(room, (size_t)(TASK_SIZE - src));
    error = arch_copy_user_string(dst, user_pointer(src), room, &copied);
    if (error != 0) {
        return error;
    }
    if (copied != 0 && dst[copied - 1] == '\0') {
        return (s64)copied - 1;
    }
    return room < max ? -EFAULT : -ENAMETOOLONG;
}

int get_user_u8(u8 *value, u64 src)
{
    return user_access_ok(src, 1) ? arch_load_user_u8(value, user_pointer(src)) : -EFAULT;
}

int get_user_u16(u16 *value, u64 src)
{
    return copy_from_user(value, src, sizeof(*value));
}

int get_user_u32(u32 *value, u64 src)
{
    return user_access_ok(src, 4) ? arch_load_user_u32(value, user_pointer(src)) : -EFAULT;
}

int get_user_u64(u64 *value, u64 src)
{
    return user_access_ok(src, 8) ? arch_load_user_u64(value, user_pointer(src)) : -EFAULT;
}

int put_user_u8(u64 dst, u8 value)
{
    return copy_to_user(dst, &value, sizeof(value));
}

int put_user_u16(u64 dst, u16 value)
{
    return copy_to_user(dst, &value, sizeof(value));
}

int put_user_u32(u64 dst, u32 value)
{
    return user_access_ok(dst, 4) ? arch_store_user_u32(user_pointer(dst), value) : -EFAULT;
}

int put_user_u64(u64 dst, u64 value)
{
    return user_access_ok(dst, 8) ? arch_store_user_u64(user_pointer(dst), value) : -EFAULT;
}

int cmpxchg_user_u32(u64 addr, u32 expected, u32 desired, u32 *seen)
{
    if (!user_access_ok(addr, 4)) {
        return -EFAULT;
    }
    return arch_cmpxchg_user_u32(user_pointer(addr), expected, desired, seen);
}
