/*
 * Descriptor tables.
 *
 * Owns: struct files. It must not look into files. A slot is free, reserved (used bit set, no
 * file) or open; only fd_fill() and files_replace() make it open, only files_close*() free it.
 * A table grows by replacing its arrays under the lock; lookups without the lock happen only in
 * the one thread that could replace them. Read next: kernel/syscall/sys_file.c.
 */
#include <ipc/fdtable.h>

#include <ipc/record_lock.h>
#include <lib/assert.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/sched.h>
#include <proc/thread.h>

#define WORD_BITS 64u

/* Words of a table's bitmaps. */
static inline u32 words_of(const struct files *files)
{
    return DIV_ROUND_UP(files->size, WORD_BITS);
}

static inline void bit_put(u64 *map, u32 bit, bool value)
{
    if (value) {
        bitmap_set(map, bit);
    } else {
        bitmap_clear(map, bit);
    }
}

/* A descriptor's reference on its file ends; so do the table's locks of what is behind it. */
static void close_file(struct files *files, struct file *file)
{
    if (unlikely(READ_ONCE(files->has_record_locks))) {
        record_lock_closed(files, file);
    }
    file_put(file);
}

int files_create(struct files **out)
{
    struct files *files = kzalloc(sizeof(*files), ALLOC_KERNEL);

    if (files == NULL) {
        return -ENOMEM;
    }
    refcount_set(&files->refs, 1);
    spin_init(&files->lock, RANK_FD_TABLE);
    files->size = FD_TABLE_FAST;
    files->slots = files->fast_slots;
    files->used = &files->fast_used;
    files->cloexec = &files->fast_cloexec;
    *out = files;
    return 0;
}

/* The arrays of a table of one size, before they are part of it. */
struct table_arrays {
    u32 size;
    struct file **slots;
    u64 *maps; /* used, then cloexec */
};

static int arrays_alloc(struct table_arrays *arrays, u32 size)
{
    size_t words = size / WORD_BITS;

    arrays->size = size;
    arrays->slots = kmalloc_array(size, sizeof(struct file *), ALLOC_ZERO);
    if (arrays->slots == NULL) {
        return -ENOMEM;
    }
    arrays->maps = kmalloc_array(2 * words, sizeof(u64), ALLOC_ZERO);
    if (arrays->maps == NULL) {
        kfree(arrays->slots);
        return -ENOMEM;
    }
    return 0;
}

static void arrays_free(struct table_arrays *arrays)
{
    kfree(arrays->slots);
    kfree(arrays->maps);
}

/* Puts larger arrays into a table; @arrays holds the old heap arrays afterwards. */
static void table_exchange(struct files *files, struct table_arrays *arrays) REQUIRES(files->lock)
{
    struct table_arrays old = {.size = files->size};
    size_t words = arrays->size / WORD_BITS;

    ASSERT(arrays->size >= files->size, "a descriptor table only grows");
    memcpy(arrays->slots, files->slots, files->size * sizeof(struct file *));
    memcpy(arrays->maps, files->used, words_of(files) * sizeof(u64));
    memcpy(arrays->maps + words, files->cloexec, words_of(files) * sizeof(u64));
    if (files->slots != files->fast_slots) {
        old.slots = files->slots;
        old.maps = files->used;
    }
    files->size = arrays->size;
    files->slots = arrays->slots;
    files->used = arrays->maps;
    files->cloexec = arrays->maps + words;
    *arrays = old;
}

/* Makes the table hold descriptor @fd. Context: no lock. Return: 0, -EMFILE, -ENOMEM. */
static int table_grow(struct files *files, u32 fd)
{
    struct table_arrays arrays;
    u32 size = FD_TABLE_LEAST;

    if (fd >= FD_TABLE_MAX) {
        return -EMFILE;
    }
    while (size <= fd) {
        size *= 2;
    }
    if (arrays_alloc(&arrays, size) != 0) {
        return -ENOMEM;
    }
    spin_lock(&files->lock);
    if (size > files->size) {
        table_exchange(files, &arrays);
    }
    spin_unlock(&files->lock);
    arrays_free(&arrays);
    return 0;
}

static u32 table_highest(const struct files *files) REQUIRES(files->lock)
{
    for (u32 word = words_of(files); word > 0; word--) {
        if (files->used[word - 1] != 0) {
            return (word - 1) * WORD_BITS + log2_floor(files->used[word - 1]);
        }
    }
    return 0;
}

/*
 * Copies open slots to a new table that has room for them. Reserved ones belong to calls in
 * progress of the other table.
 */
static void table_copy(const struct files *from, struct files *to) REQUIRES(from->lock)
{
    u32 words = min(words_of(from), words_of(to));

    for (u32 word = 0; word < words; word++) {
        u64 left = from->used[word];
        u64 copied = left;

        while (left != 0) {
            u32 fd = word * WORD_BITS + (u32)__builtin_ctzll(left);
            struct file *file = from->slots[fd];

            left &= left - 1;
            if (unlikely(file == NULL)) {
                copied &= ~BIT(fd % WORD_BITS);
                continue;
            }
            file_get(file);
            to->slots[fd] = file;
        }
        to->used[word] = copied;
        to->cloexec[word] = from->cloexec[word] & copied;
    }
}

int files_fork(struct files *from, struct files **out)
{
    struct files *to;
    int error = files_create(&to);

    if (error != 0) {
        return error;
    }
    spin_lock(&from->lock);
    for (;;) {
        u32 highest = table_highest(from);

        if (highest < to->size) {
            break;
        }
        spin_unlock(&from->lock);
        error = table_grow(to, highest);
        if (error != 0) {
            files_put(to);
            return error;
        }
        spin_lock(&from->lock);
    }
    table_copy(from, to);
    spin_unlock(&from->lock);
    *out = to;
    return 0;
}

void files_get(struct files *files)
{
    refcount_inc(&files->refs);
}

void files_put(struct files *files)
{
    if (files == NULL || !refcount_dec_and_test(&files->refs)) {
        return;
    }
    if (unlikely(files->has_record_locks)) {
        record_lock_forget(files);
    }
    for (u32 word = 0; word < words_of(files); word++) {
        for (u64 left = files->used[word]; left != 0; left &= left - 1) {
            struct file *file = files->slots[word * WORD_BITS + (u32)__builtin_ctzll(left)];

            if (file != NULL) {
                file_put(file);
                sched_point();
            }
        }
    }
    if (files->slots != files->fast_slots) {
        kfree(files->slots);
        kfree(files->used);
    }
    kfree(files);
}

u32 files_capacity(const struct files *files)
{
    return max(READ_ONCE(files->size), (u32)FD_TABLE_LEAST);
}

bool files_is_shared(const struct files *files)
{
    return refcount_read(&files->refs) > 1;
}

int files_lookup(struct files *files, s32 fd, struct file **out)
{
    struct file *file = NULL;

    spin_lock(&files->lock);
    if ((u32)fd < files->size) {
        file = files->slots[fd];
    }
    if (file != NULL) {
        file_get(file);
    }
    spin_unlock(&files->lock);
    if (file == NULL) {
        return -EBADF;
    }
    *out = file;
    return 0;
}

static struct files *current_files(void)
{
    struct process *process = current_process();

    return process == NULL ? NULL : process->files;
}

int fd_get(s32 fd, struct file **out)
{
    struct files *files = current_files();

    return files == NULL ? -EBADF : files_lookup(files, fd, out);
}

int fd_borrow_counted(s32 fd, struct fd_ref *ref)
{
    ref->is_counted = true;
    return fd_get(fd, &ref->file);
}

/* The lowest free bit at or above @from, or files->size. */
static u32 table_find_free(const struct files *files, u32 from) REQUIRES(files->lock)
{
    u32 word = from / WORD_BITS;
    u64 skip = from % WORD_BITS == 0 ? 0 : (1ul << (from % WORD_BITS)) - 1;

    for (; word < words_of(files); word++) {
        u64 taken = files->used[word] | skip;

        if (taken != ~0ul) {
            return word * WORD_BITS + (u32)__builtin_ctzll(~taken);
        }
        skip = 0;
    }
    return max(files->size, from);
}

s64 fd_reserve(struct files *files, u32 min_fd, u64 limit, enum fd_flags flags)
{
    for (;;) {
        u32 fd;
        int error;

        spin_lock(&files->lock);
        fd = table_find_free(files, max(min_fd, files->next_free));
        if (fd >= limit) {
            spin_unlock(&files->lock);
            return -EMFILE;
        }
        if (fd < files->size) {
            ASSERT(files->slots[fd] == NULL, "a free descriptor has no file");
            bit_put(files->used, fd, true);
            bit_put(files->cloexec, fd, flags == FD_CLOSE_ON_EXEC);
            if (min_fd <= files->next_free) {
                files->next_free = fd + 1;
            }
            spin_unlock(&files->lock);
            return fd;
        }
        spin_unlock(&files->lock);
        error = table_grow(files, fd);
        if (error != 0) {
            return error;
        }
    }
}

void fd_fill(struct files *files, s32 fd, struct file *file)
{
    spin_lock(&files->lock);
    ASSERT(bitmap_test(files->used, (u32)fd) && files->slots[fd] == NULL,
           "only a reserved descriptor is filled");
    files->slots[fd] = file;
    spin_unlock(&files->lock);
}

static void table_free_slot(struct files *files, u32 fd) REQUIRES(files->lock)
{
    files->slots[fd] = NULL;
    bit_put(files->used, fd, false);
    bit_put(files->cloexec, fd, false);
    files->next_free = min(files->next_free, fd);
}

void fd_unreserve(struct files *files, s32 fd)
{
    spin_lock(&files->lock);
    ASSERT(files->slots[fd] == NULL, "only a reserved descriptor is given back");
    table_free_slot(files, (u32)fd);
    spin_unlock(&files->lock);
}

s64 fd_install(struct file *file, enum fd_flags flags)
{
    struct files *files = current_files();
    s64 fd;

    if (files == NULL) {
        return -EMFILE;
    }
    fd = fd_reserve(files, 0, rlimit_get(RLIMIT_NOFILE), flags);
    if (fd >= 0) {
        fd_fill(files, (s32)fd, file);
    }
    return fd;
}

int files_close(struct files *files, s32 fd)
{
    struct file *file = NULL;

    spin_lock(&files->lock);
    if ((u32)fd < files->size) {
        file = files->slots[fd];
    }
    if (file != NULL) {
        table_free_slot(files, (u32)fd);
    }
    spin_unlock(&files->lock);
    if (file == NULL) {
        return -EBADF;
    }
    close_file(files, file);
    return 0;
}

void files_close_range(struct files *files, u32 first, u32 last, enum fd_flags only_mark)
{
    for (u64 fd = first; fd <= last; fd++) {
        struct file *file = NULL;

        spin_lock(&files->lock);
        if (fd >= files->size) {
            spin_unlock(&files->lock);
            return;
        }
        file = files->slots[fd];
        if (file != NULL && only_mark == FD_CLOSE_ON_EXEC) {
            bit_put(files->cloexec, (u32)fd, true);
            file = NULL;
        } else if (file != NULL) {
            table_free_slot(files, (u32)fd);
        }
        spin_unlock(&files->lock);
        if (file != NULL) {
            close_file(files, file);
        }
        sched_point();
    }
}

void files_exec(struct files *files)
{
    for (u32 word = 0; word < words_of(files); word++) {
        u64 left = files->cloexec[word] & files->used[word];

        while (left != 0) {
            s32 fd = (s32)(word * WORD_BITS + (u32)__builtin_ctzll(left));

            left &= left - 1;
            (void)!files_close(files, fd);
        }
    }
}

int files_replace(struct files *files, s32 fd, struct file *file, enum fd_flags flags)
{
    struct file *old;

    if ((u32)fd >= READ_ONCE(files->size)) {
        int error = table_grow(files, (u32)fd);

        if (error != 0) {
            return error == -EMFILE ? -EBADF : error;
        }
    }
    spin_lock(&files->lock);
    old = files->slots[fd];
    if (old == NULL && bitmap_test(files->used, (u32)fd)) {
        /* Another thread is between reserving and filling this slot. */
        spin_unlock(&files->lock);
        return -EBUSY;
    }
    file_get(file);
    files->slots[fd] = file;
    bit_put(files->used, (u32)fd, true);
    bit_put(files->cloexec, (u32)fd, flags == FD_CLOSE_ON_EXEC);
    spin_unlock(&files->lock);
    if (old != NULL) {
        close_file(files, old);
    }
    return 0;
}

int files_get_cloexec(struct files *files, s32 fd)
{
    int result = -EBADF;

    spin_lock(&files->lock);
    if ((u32)fd < files->size && files->slots[fd] != NULL) {
        result = bitmap_test(files->cloexec, (u32)fd);
    }
    spin_unlock(&files->lock);
    return result;
}

int files_set_cloexec(struct files *files, s32 fd, enum fd_flags flags)
{
    int result = -EBADF;

    spin_lock(&files->lock);
    if ((u32)fd < files->size && files->slots[fd] != NULL) {
        bit_put(files->cloexec, (u32)fd, flags == FD_CLOSE_ON_EXEC);
        result = 0;
    }
    spin_unlock(&files->lock);
    return result;
}

bool files_next(struct files *files, s32 *fd, struct file **file, enum fd_flags *flags)
{
    bool is_found = false;

    spin_lock(&files->lock);
    for (u32 i = (u32)*fd; i < files->size && !is_found; i++) {
        if (files->slots[i] == NULL) {
            continue;
        }
        file_get(files->slots[i]);
        *file = files->slots[i];
        *fd = (s32)i;
        *flags = bitmap_test(files->cloexec, i) ? FD_CLOSE_ON_EXEC : FD_PLAIN;
        is_found = true;
    }
    spin_unlock(&files->lock);
    return is_found;
}
