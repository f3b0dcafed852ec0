/*
 * The values of /proc/sys and of debugfs that the kernel keeps.
 *
 * Owns: their bounds, and how they are written down. Who may read and write them, and the newline
 * behind them, are the file server's.
 */
#include <ipc/sysctl_file.h>

#include <ipc/file.h>
#include <ipc/memfd.h>
#include <lib/compiler.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <mm/fault.h>
#include <mm/mm.h>
#include <mm/vma.h>
#include <uapi/cowbell.h>

#define MAX_DIGITS 20

struct sysctl_value {
    u64 max;
    u64 (*get)(void);
    void (*set)(u64 value);
};

static u64 get_overcommit_memory(void)
{
    return READ_ONCE(overcommit_policy.mode);
}

static void set_overcommit_memory(u64 value)
{
    WRITE_ONCE(overcommit_policy.mode, (enum overcommit_mode)value);
}

static u64 get_overcommit_ratio(void)
{
    return READ_ONCE(overcommit_policy.ratio_percent);
}

static void set_overcommit_ratio(u64 value)
{
    WRITE_ONCE(overcommit_policy.ratio_percent, (u32)value);
    WRITE_ONCE(overcommit_policy.limit_kib, 0);
}

static u64 get_overcommit_kbytes(void)
{
    return READ_ONCE(overcommit_policy.limit_kib);
}

static void set_overcommit_kbytes(u64 value)
{
    WRITE_ONCE(overcommit_policy.limit_kib, value);
    WRITE_ONCE(overcommit_policy.ratio_percent, 0);
}

static u64 get_max_map_count(void)
{
    return READ_ONCE(max_map_count);
}

static void set_max_map_count(u64 value)
{
    WRITE_ONCE(max_map_count, (u32)value);
}

static u64 get_memfd_noexec(void)
{
    return READ_ONCE(memfd_noexec_policy);
}

static void set_memfd_noexec(u64 value)
{
    WRITE_ONCE(memfd_noexec_policy, (enum memfd_noexec)value);
}

static u64 get_fault_around_bytes(void)
{
    return READ_ONCE(fault_around_bytes);
}

static void set_fault_around_bytes(u64 value)
{
    WRITE_ONCE(fault_around_bytes, (u64)1 << log2_floor(max(value, (u64)PAGE_SIZE)));
}

static const struct sysctl_value values[CB_SYSCTL_END] = {
    [CB_SYSCTL_OVERCOMMIT_MEMORY] = {.max = OVERCOMMIT_NEVER,
                                     .get = get_overcommit_memory,
                                     .set = set_overcommit_memory},
    [CB_SYSCTL_OVERCOMMIT_RATIO] = {.max = INT32_MAX,
                                    .get = get_overcommit_ratio,
                                    .set = set_overcommit_ratio},
    [CB_SYSCTL_OVERCOMMIT_KBYTES] = {.max = U64_MAX / KIB,
                                     .get = get_overcommit_kbytes,
                                     .set = set_overcommit_kbytes},
    [CB_SYSCTL_MAX_MAP_COUNT] = {.max = INT32_MAX,
                                 .get = get_max_map_count,
                                 .set = set_max_map_count},
    [CB_SYSCTL_MEMFD_NOEXEC] = {.max = MEMFD_NOEXEC_ENFORCED,
                                .get = get_memfd_noexec,
                                .set = set_memfd_noexec},
    /* What is more than the largest value by less than a page is rounded down to it. */
    [CB_SYSCTL_FAULT_AROUND_BYTES] = {.max = FAULT_AROUND_MAX + PAGE_SIZE - 1,
                                      .get = get_fault_around_bytes,
                                      .set = set_fault_around_bytes},
};

static s64 sysctl_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    const struct sysctl_value *value = file->private;
    char text[MAX_DIGITS + 1];
    size_t len = (size_t)snprintf(text, sizeof(text), "%lu", value->get());
    size_t done;

    if ((u64)*pos >= len) {
        return 0;
    }
    done = iov_copy_to(iter, text + *pos, min(iov_count(iter), len - (size_t)*pos));
    *pos += (s64)done;
    return done > 0 ? (s64)done : -EFAULT;
}

static s64 sysctl_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    const struct sysctl_value *value = file->private;
    size_t len = iov_count(iter);
    char text[MAX_DIGITS + 1];
    u64 number;

    if (len == 0 || len > MAX_DIGITS) {
        return -EINVAL;
    }
    if (iov_copy_from(iter, text, len) != len) {
        return -EFAULT;
    }
    text[len] = '\0';
    if (parse_u64(text, &number) != 0 || number > value->max) {
        return -EINVAL;
    }
    value->set(number);
    return (s64)len;
}

static void sysctl_release(struct file *file)
{
}

static const struct file_ops sysctl_ops = {
    .kind = CB_FD_OTHER,
    .read = sysctl_read,
    .write = sysctl_write,
    .release = sysctl_release,
};

int sysctl_file_open(s32 number, u32 flags, struct file **out)
{
    if (number < 0 || number >= CB_SYSCTL_END) {
        return -EINVAL;
    }
    return file_alloc(&sysctl_ops, flags, FILE_SEEKABLE, (void *)&values[number], out);
}
