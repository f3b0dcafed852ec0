/* What the pager of a file answers. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pager.h"

#define PAGE  4096u
#define CHUNK 65536u /* as much as the kernel asks for, or hands over, at once */

struct pager pager;
static char chunk[CHUNK];

static void tell(const char *what, const struct cb_msg *msg)
{
    if (pager.is_told) {
        fprintf(stderr, "object_pager: %s [%#llx, %#llx)\n", what, (unsigned long long)msg->args[0],
                (unsigned long long)(msg->args[0] + msg->args[1]));
    }
}

int pager_start(int port, int file)
{
    struct stat st;

    if (fstat(file, &st) != 0) {
        return -errno;
    }
    const struct cb_pager request = {.size = (uint64_t)st.st_size, .flags = CB_PAGER_TRACKS};
    pager.port = port;
    pager.file = file;
    pager.object = cb_pager_create(port, &request);
    return pager.object < 0 ? pager.object : 0;
}

int pager_finish(void)
{
    off_t end = lseek(pager.object, 0, SEEK_END);
    off_t data = lseek(pager.object, 0, SEEK_DATA);

    while (data >= 0 && data < end) {
        ssize_t got = pread(pager.object, chunk, PAGE, data);
        if (got <= 0 || pwrite(pager.file, chunk, (size_t)got, data) != got) {
            return -EIO;
        }
        data = lseek(pager.object, data + got, SEEK_DATA);
    }
    return 0;
}

static uint64_t object_size(void)
{
    off_t end = lseek(pager.object, 0, SEEK_END);

    return end < 0 ? 0 : (uint64_t)end;
}

static uint64_t smaller(uint64_t first, uint64_t second)
{
    return first < second ? first : second;
}

/* --- the pages ------------------------------------------------------------------------------- */

static int64_t page_in(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;

    tell("PAGE_IN", msg);
    ssize_t got = pread(pager.file, chunk, smaller(msg->args[1], CHUNK), (off_t)msg->args[0]);
    return got < 0 ? -EIO : cb_request_data(request, chunk, (size_t)got);
}

static int64_t write_notify(struct cb_request *request)
{
    tell("WRITE_NOTIFY", request->msg);
    return 0;
}

static int64_t write_back(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;

    tell("WRITE_BACK", msg);
    long got = cb_msg_read(request->port, msg->id, 0, chunk, smaller(msg->args[1], CHUNK));
    if (got <= 0) {
        return got;
    }
    return pwrite(pager.file, chunk, (size_t)got, (off_t)msg->args[0]);
}

/* --- the file -------------------------------------------------------------------------------- */

static int64_t give_object(struct cb_request *request)
{
    request->reply.flags |= CB_REPLY_FD;
    request->reply.fd = pager.object;
    return 0;
}

/* From memory where a page is there, else from the file; up to the end of one page. */
static ssize_t read_part(char *buf, uint64_t offset, uint64_t len)
{
    size_t part = smaller(len, PAGE - offset % PAGE);
    ssize_t got = pread(pager.object, buf, part, (off_t)offset);

    return got < 0 && errno == ENODATA ? pread(pager.file, buf, part, (off_t)offset) : got;
}

static int64_t read_file(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    uint64_t offset = msg->args[0];
    uint64_t size = object_size();
    uint64_t len = offset < size ? smaller(smaller(msg->args[1], msg->recv_len), CHUNK) : 0;
    size_t done = 0;

    len = smaller(len, size - offset);
    while (done < len) {
        ssize_t got = read_part(chunk + done, offset + done, len - done);
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    return cb_request_data(request, chunk, done);
}

/* Both copies change: the file, and each page that is in memory. */
static ssize_t write_part(const char *buf, uint64_t offset, uint64_t len)
{
    size_t part = smaller(len, PAGE - offset % PAGE);
    ssize_t put = pwrite(pager.file, buf, part, (off_t)offset);

    if (put > 0 && pwrite(pager.object, buf, (size_t)put, (off_t)offset) < 0 && errno != ENODATA) {
        return -1;
    }
    return put;
}

static int64_t write_file(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    uint64_t offset = msg->args[0];
    uint64_t len = smaller(smaller(msg->args[1], msg->send_len), CHUNK);
    long got = cb_msg_read(request->port, msg->id, 0, chunk, len);
    size_t done = 0;

    if (got <= 0) {
        return got;
    }
    if (offset + (uint64_t)got > object_size() &&
        ftruncate(pager.object, (off_t)(offset + (uint64_t)got)) != 0) {
        return -errno;
    }
    while (done < (size_t)got) {
        ssize_t put = write_part(chunk + done, offset + done, (size_t)got - done);
        if (put <= 0) {
            return done > 0 ? (int64_t)done : -EIO;
        }
        done += (size_t)put;
    }
    return (int64_t)done;
}

static int64_t stat_file(struct cb_request *request)
{
    static struct stat st;

    if (fstat(pager.file, &st) != 0) {
        return -errno;
    }
    st.st_size = (off_t)object_size();
    return cb_request_data(request, &st, sizeof(st)) < 0 ? -EIO : 0;
}

static int64_t truncate_file(struct cb_request *request)
{
    off_t size = (off_t)request->msg->args[0];

    return ftruncate(pager.object, size) != 0 || ftruncate(pager.file, size) != 0 ? -errno : 0;
}

static int64_t close_file(struct cb_request *request)
{
    (void)request;
    return 0;
}

const struct cb_op_entry pager_ops[CB_OP_END] = {
    [CB_OP_PAGE_IN] = {page_in},
    [CB_OP_WRITE_NOTIFY] = {write_notify},
    [CB_OP_WRITE_BACK] = {write_back},
    [CB_OP_OBJECT] = {give_object},
    /* The kernel sends WRITE_BACK for all that was written, on behalf of the client. */
    [CB_OP_FSYNC] = {give_object},
    [CB_OP_READ] = {read_file},
    [CB_OP_WRITE] = {write_file},
    [CB_OP_STAT] = {stat_file},
    [CB_OP_TRUNCATE] = {truncate_file},
    [CB_OP_CLOSE] = {close_file},
};
