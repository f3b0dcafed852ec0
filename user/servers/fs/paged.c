/* Being the pager of files in the initial image. */
#include <errno.h>
#include <unistd.h>
#include "data.h"
#include "fs.h"
#include "paged.h"

#define CHUNK 65536u /* as much as the kernel asks for at once */

/* A cookie: this bit, which no open file's has, then 31 bits of size and 32 bits of start. */
#define COOKIE_BIT (1ull << 63)
#define SIZE_MAX31 0x7fffffffull

static uint8_t chunk[CHUNK];

bool paged_can(const struct node *file)
{
    return file->size > 0 && file->size <= SIZE_MAX31 && file->data.image_start <= UINT32_MAX;
}

bool paged_is_cookie(uint64_t cookie)
{
    return (cookie & COOKIE_BIT) != 0;
}

int paged_open(struct node *file)
{
    const struct cb_pager pager = {
        .cookie = COOKIE_BIT | file->size << 32 | file->data.image_start,
        .size = file->size,
    };
    int fd = cb_pager_create(fs.port, &pager);

    if (fd < 0) {
        return fd == -EMFILE || fd == -ENFILE ? -ENOSPC : fd;
    }
    file->data.fd = fd;
    return 0;
}

int paged_settle(struct node *file)
{
    for (uint64_t offset = 0; offset < file->size; offset += CHUNK) {
        uint64_t len = file->size - offset < CHUNK ? file->size - offset : CHUNK;
        long got = data_read_image(file, offset, chunk, len);

        if (got != (long)len) {
            return -EIO;
        }
        got = cb_pager_supply(file->data.fd, offset, chunk, len);
        if (got != (long)len) {
            return got < 0 ? (int)got : -ENOSPC;
        }
    }
    return cb_pager_settle(file->data.fd);
}

int64_t op_page_in(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    uint64_t size = msg->cookie >> 32 & SIZE_MAX31;
    const struct node content = {
        .size = size,
        .data = {.image_start = (uint32_t)msg->cookie},
    };
    uint64_t offset = msg->args[0];
    uint64_t len = msg->args[1] < CHUNK ? msg->args[1] : CHUNK;

    if (!paged_is_cookie(msg->cookie) || offset >= size) {
        return -EINVAL;
    }
    len = len < size - offset ? len : size - offset;
    long got = data_read_image(&content, offset, chunk, len);
    return got < 0 ? got : cb_request_data(request, chunk, (size_t)got);
}
