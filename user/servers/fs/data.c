/* Regular files' content. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cb_syscall.h>
#include <image.h>
#include "data.h"
#include "dax.h"
#include "paged.h"

#define BLOCK_SIZE       512u
#define CHECK_SPACE_STEP (1u << 20)

static int image_fd = -1;

void data_use_image(int fd)
{
    image_fd = fd;
}

void data_set_image(struct node *file, uint64_t start, size_t size)
{
    file->data.is_image = true;
    file->data.image_start = start;
    file->size = size;
}

long data_read_image(const struct node *file, uint64_t offset, void *buf, size_t len)
{
    ssize_t got = pread(image_fd, buf, len, (off_t)(file->data.image_start + offset));

    return got < 0 ? -EIO : got;
}

int data_make_memfd(struct node *file)
{
    if (dax_has(file)) {
        return dax_data_open(file);
    }
    if (file->data.fd >= 0) {
        int error = file->data.is_image ? paged_settle(file) : 0;
        if (error == 0) {
            file->data.is_image = false;
        }
        return error;
    }
    int fd = memfd_create("file", MFD_CLOEXEC);
    if (fd < 0) {
        return errno == EMFILE || errno == ENFILE ? -ENOSPC : -errno;
    }
    int error = 0;
    if (file->data.is_image) {
        error = image_copy(image_fd, file->data.image_start, file->size, fd);
    } else if (file->size > 0 && ftruncate(fd, (off_t)file->size) != 0) {
        error = -errno;
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    file->data.fd = fd;
    file->data.is_image = false;
    return 0;
}

int data_truncate(struct node *file, uint64_t size)
{
    if (dax_has(file)) {
        return dax_data_truncate(file, size);
    }
    if (file->data.fd < 0 && size == file->size) {
        return 0;
    }
    /* Truncation to the same size still drops what fallocate(2) put behind the end. */
    if (file->data.fd < 0 && (size == 0 || !file->data.is_image)) {
        file->data.is_image = false;
        file->size = size;
        return 0;
    }
    int error = data_make_memfd(file);
    if (error != 0) {
        return error;
    }
    if (ftruncate(file->data.fd, (off_t)size) != 0) {
        return errno == EINVAL ? -EFBIG : -errno;
    }
    file->size = size;
    return 0;
}

int data_allocate(struct node *file, int mode, uint64_t offset, uint64_t len)
{
    bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;

    if (dax_has(file)) {
        return dax_data_allocate(file, mode, offset, len);
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) == 0 && !data_has_space(len)) {
        return -ENOSPC;
    }
    int error = data_make_memfd(file);
    if (error != 0) {
        return error;
    }
    if (fallocate(file->data.fd, mode, (off_t)offset, (off_t)len) != 0) {
        return -errno;
    }
    if (!keeps_size && offset + len > file->size) {
        file->size = offset + len;
    }
    return 0;
}

int data_prepare_write(struct node *file, uint64_t offset, uint64_t *len)
{
    if (dax_has(file)) {
        return dax_data_prepare_write(file, offset, len);
    }
    return data_has_space(*len) ? data_make_memfd(file) : -ENOSPC;
}

int data_share(struct node *file, bool may_be_written)
{
    if (dax_has(file)) {
        return may_be_written ? dax_data_share(file) : dax_data_open(file);
    }
    if (may_be_written || !file->data.is_image || !paged_can(file)) {
        return data_make_memfd(file);
    }
    return file->data.fd >= 0 ? 0 : paged_open(file);
}

int data_sync(struct node *file)
{
    if (!dax_has(file)) {
        return 0;
    }
    int error = S_ISREG(file->mode) ? dax_data_sync(file) : 0;
    return error == 0 && file->mount->dax->is_dirty ? dax_save(file->mount->dax) : error;
}

bool data_has_space(uint64_t more)
{
    static uint64_t added;
    static uint64_t left;

    /* The kernel is asked once a megabyte: the answer is about memory, not about one write. */
    added += more;
    if (added < left) {
        return true;
    }
    struct cb_mem_info info;
    if (cb_kinfo(CB_KINFO_MEM, 0, &info, sizeof(info)) != (long)sizeof(info)) {
        return true;
    }
    uint64_t limit = info.total / 2;
    added = 0;
    left = 0;
    if (info.shmem + more > limit) {
        return false;
    }
    uint64_t room = limit - info.shmem - more;
    left = room < CHECK_SPACE_STEP ? room : CHECK_SPACE_STEP;
    return true;
}

uint64_t data_blocks(const struct node *file)
{
    struct stat st;

    if (dax_has(file)) {
        return dax_data_blocks(file);
    }
    if (!file->data.is_image) {
        return file->data.fd >= 0 && fstat(file->data.fd, &st) == 0 ? (uint64_t)st.st_blocks : 0;
    }
    uint64_t pages = (file->size + FS_PAGE_SIZE - 1) / FS_PAGE_SIZE;
    return pages * (FS_PAGE_SIZE / BLOCK_SIZE);
}

int64_t data_seek(const struct node *file, uint64_t offset, int whence)
{
    if (dax_has(file)) {
        return -EOPNOTSUPP;
    }
    if (offset >= file->size) {
        return -ENXIO;
    }
    if (file->data.is_image) {
        return (int64_t)(whence == SEEK_DATA ? offset : file->size);
    }
    if (file->data.fd < 0) {
        return whence == SEEK_DATA ? -ENXIO : (int64_t)offset;
    }
    off_t found = lseek(file->data.fd, (off_t)offset, whence);
    return found < 0 ? -errno : found;
}

void data_release(struct node *file)
{
    if (dax_has(file)) {
        dax_data_release(file);
        return;
    }
    if (file->data.fd >= 0) {
        close(file->data.fd);
    }
}
