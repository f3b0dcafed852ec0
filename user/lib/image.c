/* Reading the initial image. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <image.h>

#define WINDOW_SIZE 65536u
/* A header, the longest name and the longest link text lie within this many bytes. */
#define MEMBER_HEAD 12288u
#define COPY_CHUNK  65536u

int image_open(struct image *image, int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if (st.st_size <= 0) {
        return -ENODATA;
    }
    image->fd = fd;
    image->size = (size_t)st.st_size;
    image->loaded_end = 0;
    image->bytes = mmap(NULL, image->size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (image->bytes == MAP_FAILED) {
        return -errno;
    }
    cpio_init(&image->reader, image->bytes, image->size);
    return 0;
}

void image_close(struct image *image)
{
    munmap(image->bytes, image->size);
}

static int load(struct image *image, size_t start)
{
    size_t end = image->size - start < WINDOW_SIZE ? image->size : start + WINDOW_SIZE;

    while (start < end) {
        ssize_t part = pread(image->fd, image->bytes + start, end - start, (off_t)start);
        if (part <= 0) {
            return -EIO;
        }
        start += (size_t)part;
    }
    image->loaded_end = end;
    return 0;
}

int image_next(struct image *image, struct cpio_entry *entry)
{
    size_t position = image->reader.pos;

    if (position < image->size && image->loaded_end < image->size &&
        position + MEMBER_HEAD > image->loaded_end) {
        int error = load(image, position);
        if (error != 0) {
            return error;
        }
    }
    return cpio_next(&image->reader, entry);
}

int image_copy(int image_fd, size_t offset, size_t len, int to_fd)
{
    static uint8_t chunk[COPY_CHUNK];

    while (len > 0) {
        size_t part = len < COPY_CHUNK ? len : COPY_CHUNK;
        ssize_t got = pread(image_fd, chunk, part, (off_t)offset);
        if (got <= 0) {
            return -EIO;
        }
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to_fd, chunk + done, (size_t)(got - done));
            if (put <= 0) {
                return put < 0 ? -errno : -ENOSPC;
            }
            done += put;
        }
        offset += (size_t)got;
        len -= (size_t)got;
    }
    return 0;
}
