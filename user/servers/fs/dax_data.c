/* The content of files on direct devices: what data.c does with memfds, done with frames. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "data.h"
#include "dax.h"

static uint64_t pages_of(uint64_t bytes)
{
    return bytes / DAX_FRAME_SIZE + (bytes % DAX_FRAME_SIZE != 0);
}

int dax_data_open(struct node *file)
{
    if (file->data.fd >= 0) {
        return 0;
    }
    int fd = cb_dax_create(file->mount->dax->device, CB_DAX_COW_INSTALLS);
    if (fd < 0) {
        return fd == -EMFILE || fd == -ENFILE ? -ENOSPC : fd;
    }
    if (file->size > 0 && ftruncate(fd, (off_t)file->size) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    file->data.fd = fd;
    return 0;
}

int dax_data_truncate(struct node *file, uint64_t size)
{
    struct dax_content *content = &file->data.dax;
    int error = 0;

    if (file->data.fd < 0 && size == 0) {
        return 0;
    }
    error = dax_data_open(file);
    if (error == 0 && size > file->size && content->is_filled) {
        error = dax_fill(file, file->size / DAX_FRAME_SIZE, pages_of(size));
    }
    if (error != 0) {
        return error;
    }
    if (ftruncate(file->data.fd, (off_t)size) != 0) {
        return errno == EINVAL ? -EFBIG : -errno;
    }
    if (size < file->size) {
        dax_cut(file, pages_of(size), UINT64_MAX);
    }
    file->size = size;
    dax_touch(file);
    return 0;
}

/* The bytes become zero; the frames go as well, unless somebody may write through a mapping (X4).
 */
static int punch(struct node *file, uint64_t offset, uint64_t len)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const struct cb_dax_range whole = {
        .start = pages_of(offset) * DAX_FRAME_SIZE,
        .end = (offset + len) / DAX_FRAME_SIZE * DAX_FRAME_SIZE,
    };
    int error = dax_reserve_cut(file);

    if (error == 0 && fallocate(file->data.fd, mode, (off_t)offset, (off_t)len) != 0) {
        error = -errno;
    }
    if (error != 0 || file->data.dax.is_filled || whole.start >= whole.end) {
        return error;
    }
    error = cb_dax_revoke(file->data.fd, &whole);
    if (error == 0) {
        dax_cut(file, whole.start / DAX_FRAME_SIZE, whole.end / DAX_FRAME_SIZE);
    }
    return error;
}

int dax_data_allocate(struct node *file, int mode, uint64_t offset, uint64_t len)
{
    int error = dax_data_open(file);

    if (error != 0) {
        return error;
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
        return punch(file, offset, len);
    }
    error = dax_fill(file, offset / DAX_FRAME_SIZE, pages_of(offset + len));
    if (error == 0 && (mode & FALLOC_FL_KEEP_SIZE) == 0 && offset + len > file->size) {
        error = dax_data_truncate(file, offset + len);
    }
    return error;
}

int dax_data_prepare_write(struct node *file, uint64_t offset, uint64_t *len)
{
    uint64_t first = offset / DAX_FRAME_SIZE;
    int error = dax_data_open(file);

    if (error == 0 && file->data.dax.is_filled && offset > file->size) {
        /* What a write leaves out in front of it is no hole for a mapping either. */
        error = dax_fill(file, file->size / DAX_FRAME_SIZE, first);
    }
    if (error == 0) {
        error = dax_fill(file, first, pages_of(offset + *len));
    }
    if (error != -ENOSPC) {
        return error;
    }
    /* What there is room for is written. */
    uint64_t end = dax_present_until(file, first) * DAX_FRAME_SIZE;
    if (end <= offset) {
        return -ENOSPC;
    }
    *len = end - offset < *len ? end - offset : *len;
    return 0;
}

int dax_data_share(struct node *file)
{
    int error = dax_data_open(file);

    if (error == 0) {
        error = dax_fill(file, 0, pages_of(file->size));
    }
    if (error == 0) {
        file->data.dax.is_filled = true;
    }
    return error;
}

int dax_data_sync(struct node *file)
{
    return file->data.fd >= 0 && fsync(file->data.fd) != 0 ? -errno : 0;
}

uint64_t dax_data_blocks(const struct node *file)
{
    const struct dax_content *content = &file->data.dax;
    uint64_t frames = 0;

    for (uint32_t i = 0; i < content->nr_extents; i++) {
        frames += content->extents[i].count;
    }
    return frames * (DAX_FRAME_SIZE / 512);
}

void dax_data_release(struct node *file)
{
    if (file->data.fd >= 0) {
        close(file->data.fd);
    }
    if (!file->mount->dax->is_closing) {
        dax_cut(file, 0, UINT64_MAX);
    }
    free(file->data.dax.extents);
}
