/*
 * Another process's memory as files: its bytes (/proc/pid/mem), its page tables (pagemap), and what
 * it has used since it was last asked to forget (clear_refs).
 *
 * A file keeps the structure of the address space it was opened on, not the memory: after the
 * process is gone, or has executed another program, reads find nothing. Read next: kpage_file.c.
 */
#include <ipc/process_memory_file.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <mm/clear_refs.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/pagemap.h>
#include <mm/remote_window.h>
#include <mm/slab.h>
#include <proc/process.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

#define ENTRY_SIZE        sizeof(u64)
#define ENTRIES_AT_A_TIME (PAGE_SIZE / ENTRY_SIZE)

struct process_memory {
    struct mm *mm; /* [I] counted; NULL: the process had none */
    s32 pid;       /* [I] */
    enum pagemap_detail detail;
};

static const struct file_ops mem_ops;
static const struct file_ops pagemap_ops;
static const struct file_ops clear_refs_ops;

static int open_file(const struct file_ops *ops, s32 pid, u32 flags, enum pagemap_detail detail,
                     struct file **out)
{
    struct process *process = process_find_get(pid);
    struct process_memory *memory;
    struct mm *mm;
    int error;

    if (process == NULL) {
        return -ESRCH;
    }
    mm = process_mm_get(process);
    process_put(process);
    if (mm != NULL) {
        mm_count_get(mm);
        mm_put(mm);
    }
    memory = kmalloc(sizeof(*memory), ALLOC_KERNEL);
    error = -ENOMEM;
    if (memory != NULL) {
        *memory = (struct process_memory){.mm = mm, .pid = pid, .detail = detail};
        error = file_alloc(ops, flags, FILE_SEEKABLE, memory, out);
    }
    if (error != 0) {
        kfree(memory);
        if (mm != NULL) {
            mm_count_put(mm);
        }
    }
    return error;
}

int process_mem_open(s32 pid, u32 flags, struct file **out)
{
    return open_file(&mem_ops, pid, flags, PAGEMAP_WITHOUT_FRAMES, out);
}

int process_pagemap_open(s32 pid, u32 flags, struct file **out)
{
    return open_file(&pagemap_ops, pid, flags, PAGEMAP_WITHOUT_FRAMES, out);
}

int process_pagemap_frames_open(s32 pid, u32 flags, struct file **out)
{
    return open_file(&pagemap_ops, pid, flags, PAGEMAP_WITH_FRAMES, out);
}

int process_clear_refs_open(s32 pid, u32 flags, struct file **out)
{
    return open_file(&clear_refs_ops, pid, flags, PAGEMAP_WITHOUT_FRAMES, out);
}

static void memory_release(struct file *file)
{
    struct process_memory *memory = file->private;

    if (memory->mm != NULL) {
        mm_count_put(memory->mm);
    }
    kfree(memory);
}

/* The memory, for as long as one call takes; false if there is none any more. */
static bool memory_get(const struct process_memory *memory)
{
    return memory->mm != NULL && mm_get_not_zero(memory->mm);
}

/* --- mem -------------------------------------------------------------------------------------- */

/* Copies one window. Return: bytes, less than the window has if the caller's memory ends. */
static s64 copy_window(struct remote_window *window, struct iov_iter *iter)
{
    u64 position = 0;

    while (position < window->size) {
        u64 room;
        void *at = remote_window_at(window, position, &room);
        size_t copied = window->flags & FOLL_WRITE ? iov_copy_from(iter, at, room)
                                                   : iov_copy_to(iter, at, room);

        position += copied;
        if (copied < room) {
            break;
        }
    }
    return (s64)position;
}

/* As a debugger: what the mapping could be read or written as is enough. */
static s64 transfer(struct process_memory *memory, struct iov_iter *iter, s64 *pos, u32 foll)
{
    s64 done = 0;
    s64 error = 0;

    if (!memory_get(memory)) {
        return 0;
    }
    while (iov_count(iter) > 0 && error == 0) {
        struct remote_window window = {
            .mm = memory->mm,
            .flags = FOLL_FORCE | foll,
            .mode = foll & FOLL_WRITE ? GUP_PIN : GUP_GET,
        };
        s64 copied;

        if (remote_window_open(&window, (u64)*pos, iov_count(iter)) != 0) {
            error = -EIO;
            break;
        }
        copied = copy_window(&window, iter);
        error = copied < (s64)window.size ? -EFAULT : 0;
        remote_window_close(&window);
        *pos += copied;
        done += copied;
    }
    mm_put(memory->mm);
    return done != 0 ? done : error;
}

static s64 mem_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return transfer(file->private, iter, pos, 0);
}

static s64 mem_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return transfer(file->private, iter, pos, FOLL_WRITE);
}

static int mem_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IFREG | S_IRUSR | S_IWUSR, stat);
    return 0;
}

static void mem_name(struct file *file, char *buf, size_t size)
{
    const struct process_memory *memory = file->private;

    snprintf(buf, size, "/proc/%d/mem", memory->pid);
}

static const struct file_ops mem_ops = {
    .kind = CB_FD_OTHER,
    .read = mem_read,
    .write = mem_write,
    .release = memory_release,
    .stat = mem_stat,
    .name = mem_name,
};

/* --- pagemap ---------------------------------------------------------------------------------- */

static s64 copy_entries(const struct process_memory *memory, struct iov_iter *iter, u64 first,
                        u64 *words)
{
    u64 last = TASK_SIZE >> PAGE_SHIFT;
    s64 done = 0;

    while (iov_count(iter) > 0 && first < last) {
        u64 nr = min(iov_count(iter) / ENTRY_SIZE, (u64)ENTRIES_AT_A_TIME);
        size_t copied;

        nr = min(nr, last - first);
        mm_pagemap(memory->mm, first << PAGE_SHIFT, nr, memory->detail, words);
        copied = iov_copy_to(iter, words, nr * ENTRY_SIZE);
        if (copied < nr * ENTRY_SIZE) {
            return -EFAULT;
        }
        done += (s64)copied;
        first += nr;
    }
    return done;
}

static s64 pagemap_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct process_memory *memory = file->private;
    u64 *words;
    s64 done;

    if (!memory_get(memory)) {
        return 0;
    }
    if ((u64)*pos % ENTRY_SIZE != 0 || iov_count(iter) % ENTRY_SIZE != 0) {
        mm_put(memory->mm);
        return -EINVAL;
    }
    words = kmalloc(ENTRIES_AT_A_TIME * ENTRY_SIZE, ALLOC_KERNEL);
    done = words != NULL ? copy_entries(memory, iter, (u64)*pos / ENTRY_SIZE, words) : -ENOMEM;
    kfree(words);
    mm_put(memory->mm);
    *pos += done > 0 ? done : 0;
    return done;
}

static s64 pagemap_ioctl(struct file *file, u32 cmd, u64 arg)
{
    struct process_memory *memory = file->private;
    s64 result;

    if (cmd != PAGEMAP_SCAN) {
        return -EINVAL;
    }
    if (!memory_get(memory)) {
        return -ESRCH;
    }
    result = mm_pagemap_scan(memory->mm, arg);
    mm_put(memory->mm);
    return result;
}

static int pagemap_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IFREG | S_IRUSR, stat);
    return 0;
}

static void pagemap_name(struct file *file, char *buf, size_t size)
{
    const struct process_memory *memory = file->private;

    snprintf(buf, size, "/proc/%d/pagemap", memory->pid);
}

static const struct file_ops pagemap_ops = {
    .kind = CB_FD_OTHER,
    .read = pagemap_read,
    .ioctl = pagemap_ioctl,
    .release = memory_release,
    .stat = pagemap_stat,
    .name = pagemap_name,
};

/* --- clear_refs ------------------------------------------------------------------------------- */

#define REQUEST_MAX 12 /* Linux looks at so much of what is written */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A decimal number, with white space around it. Return: -EINVAL for anything else. */
static int parse_request(const char *text, size_t len, u32 *request)
{
    u32 value = 0;
    size_t first;

    while (len > 0 && (is_space(text[len - 1]) || text[len - 1] == '\0')) {
        len--;
    }
    while (len > 0 && is_space(*text)) {
        text++;
        len--;
    }
    first = len > 0 && *text == '+' ? 1 : 0;
    if (first == len) {
        return -EINVAL;
    }
    for (size_t i = first; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > (u32)S32_MAX / 10) {
            return -EINVAL;
        }
        value = value * 10 + (u32)(text[i] - '0');
    }
    *request = value;
    return 0;
}

static s64 clear_refs_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct process_memory *memory = file->private;
    size_t len = min(iov_count(iter), (size_t)REQUEST_MAX);
    char text[REQUEST_MAX];
    u32 request;
    int error;

    if (iov_copy_from(iter, text, len) < len) {
        return -EFAULT;
    }
    error = parse_request(text, len, &request);
    if (error == 0 && (request < CLEAR_REFS_ALL || request > CLEAR_REFS_PEAK)) {
        error = -EINVAL;
    }
    if (error != 0) {
        return error;
    }
    if (memory_get(memory)) {
        error = mm_clear_refs(memory->mm, request);
        mm_put(memory->mm);
    }
    return error != 0 ? error : (s64)len;
}

static int clear_refs_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IFREG | S_IWUSR, stat);
    return 0;
}

static void clear_refs_name(struct file *file, char *buf, size_t size)
{
    const struct process_memory *memory = file->private;

    snprintf(buf, size, "/proc/%d/clear_refs", memory->pid);
}

static const struct file_ops clear_refs_ops = {
    .kind = CB_FD_OTHER,
    .write = clear_refs_write,
    .release = memory_release,
    .stat = clear_refs_stat,
    .name = clear_refs_name,
};
