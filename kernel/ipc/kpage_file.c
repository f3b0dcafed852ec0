/*
 * /proc/kpageflags and /proc/kpagecount: one word a frame, by frame number.
 */
#include <ipc/process_memory_file.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/kpage.h>
#include <proc/sched.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

#define WORD_SIZE       sizeof(u64)
#define WORDS_AT_A_TIME 64

static s64 copy_words(struct iov_iter *iter, u64 pfn, u64 (*word_of)(u64 pfn))
{
    u64 end = kpage_end();
    s64 done = 0;

    while (iov_count(iter) > 0 && pfn < end) {
        u64 words[WORDS_AT_A_TIME];
        u64 nr = min(min(iov_count(iter) / WORD_SIZE, (u64)WORDS_AT_A_TIME), end - pfn);

        for (u64 i = 0; i < nr; i++) {
            words[i] = word_of(pfn + i);
        }
        if (iov_copy_to(iter, words, nr * WORD_SIZE) < nr * WORD_SIZE) {
            return -EFAULT;
        }
        done += (s64)(nr * WORD_SIZE);
        pfn += nr;
        sched_point();
    }
    return done;
}

static s64 read_words(struct iov_iter *iter, s64 *pos, u64 (*word_of)(u64 pfn))
{
    s64 done;

    if ((u64)*pos / WORD_SIZE >= kpage_end()) {
        return 0;
    }
    if ((u64)*pos % WORD_SIZE != 0 || iov_count(iter) % WORD_SIZE != 0) {
        return -EINVAL;
    }
    done = copy_words(iter, (u64)*pos / WORD_SIZE, word_of);
    *pos += done > 0 ? done : 0;
    return done;
}

static s64 flags_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return read_words(iter, pos, kpage_flags);
}

static s64 count_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return read_words(iter, pos, kpage_count);
}

static int kpage_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IFREG | S_IRUSR, stat);
    return 0;
}

static void flags_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "/proc/kpageflags", size);
}

static void count_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "/proc/kpagecount", size);
}

static const struct file_ops flags_ops = {
    .kind = CB_FD_OTHER,
    .read = flags_read,
    .stat = kpage_stat,
    .name = flags_name,
};

static const struct file_ops count_ops = {
    .kind = CB_FD_OTHER,
    .read = count_read,
    .stat = kpage_stat,
    .name = count_name,
};

int kpageflags_open(s32 pid, u32 flags, struct file **out)
{
    return pid != 0 ? -EINVAL : file_alloc(&flags_ops, flags, FILE_SEEKABLE, NULL, out);
}

int kpagecount_open(s32 pid, u32 flags, struct file **out)
{
    return pid != 0 ? -EINVAL : file_alloc(&count_ops, flags, FILE_SEEKABLE, NULL, out);
}
