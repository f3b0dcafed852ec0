/* The calls of Cowbell that servers make, answered within one process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fake_cb.h"

#define CALLS_MAX  64
#define NOTICE_MAX 64

struct cb_sender fake_sender = {.pid = 100, .tid = 100, .pgid = 100, .sid = 100, .umask = 022};
struct cb_proc_info fake_proc;
struct cb_mem_info fake_mem = {.total = 1ull << 30, .free = 1ull << 29, .available = 1ull << 29};
struct cb_sys_info fake_sys = {.nr_cpus = 2};
struct cb_vma_info fake_vmas[4];
int fake_nr_vmas;
struct cb_fd_info fake_fds[4];
int fake_nr_fds;

uint8_t *fake_dax;

#define GRANTS_MAX 1024

static struct fake_grant {
    ino_t ino; /* tells whether the descriptor is still that file's */
    int file;
    struct cb_dax_grant grant;
} grants[GRANTS_MAX];
static size_t nr_grants;

static const struct cb_server *served;
static struct fake_call *calls[CALLS_MAX];
static uint64_t next_id = 1;

static struct {
    uint64_t cookie;
    unsigned mask;
} notices[NOTICE_MAX];
static size_t nr_notices;

void fake_serve(const struct cb_server *server)
{
    served = server;
}

static struct fake_call *find(uint64_t id)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (calls[i] != NULL && calls[i]->id == id) {
            return calls[i];
        }
    }
    return NULL;
}

void fake_forget(struct fake_call *call)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (calls[i] == call) {
            calls[i] = NULL;
        }
    }
}

static void remember(struct fake_call *call)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (calls[i] == NULL) {
            calls[i] = call;
            return;
        }
    }
    abort();
}

int64_t fake_send(struct fake_call *call)
{
    static _Alignas(16) char buf[CB_MSG_BUF_MIN];
    struct cb_msg *msg = (struct cb_msg *)buf;
    bool is_silent = call->op == CB_OP_CLOSE || call->op == CB_OP_INTERRUPT;
    size_t used = 0;

    memset(msg, 0, sizeof(*msg));
    call->id = is_silent ? 0 : next_id++;
    call->result = FAKE_DEFERRED;
    msg->id = call->id;
    msg->op = call->op;
    msg->flags = is_silent ? CB_MSG_NO_REPLY : 0;
    msg->cookie = call->cookie;
    msg->cookie2 = call->cookie2;
    msg->sender = fake_sender;
    memcpy(msg->args, call->args, sizeof(msg->args));
    msg->send_len = call->send_len;
    msg->recv_len = call->recv_len;
    msg->data[0] = '\0';
    if (call->path != NULL) {
        msg->path_len = (uint32_t)strlen(call->path);
        strcpy(msg->data, call->path);
        used = msg->path_len + 1;
    }
    if (call->path2 != NULL) {
        msg->path2_len = (uint32_t)strlen(call->path2);
        strcpy(msg->data + used, call->path2);
    }
    if (call->path == NULL && call->send_len > 0 && call->send_len <= CB_INLINE_MAX) {
        msg->inline_len = (uint32_t)call->send_len;
        memcpy(msg->data, call->send, call->send_len);
    }
    if (!is_silent) {
        remember(call);
    }
    cb_server_dispatch(served, msg);
    return is_silent ? 0 : call->result;
}

long cb_msg_read(int port, uint64_t id, uint64_t offset, void *buf, size_t len)
{
    struct fake_call *call = find(id);

    (void)port;
    if (call == NULL || call->is_dead) {
        return -ESRCH;
    }
    if (offset > call->send_len || len > call->send_len - offset) {
        return -EINVAL;
    }
    memcpy(buf, (const char *)call->send + offset, len);
    return (long)len;
}

long cb_msg_write(int port, uint64_t id, uint64_t offset, const void *buf, size_t len)
{
    struct fake_call *call = find(id);

    (void)port;
    if (call == NULL || call->is_dead) {
        return -ESRCH;
    }
    if (offset > call->recv_len || len > call->recv_len - offset) {
        return -EINVAL;
    }
    memcpy((char *)call->recv + offset, buf, len);
    return (long)len;
}

int cb_msg_reply(int port, const struct cb_reply *reply)
{
    struct fake_call *call = find(reply->id);

    (void)port;
    if (call == NULL) {
        abort();
    }
    fake_forget(call);
    call->reply = *reply;
    call->result = reply->result;
    size_t len = reply->data_len;
    const void *data = (const void *)(uintptr_t)reply->data;
    if (len > 0 && len < sizeof(call->text)) {
        memcpy(call->text, data, len);
    }
    call->text[len < sizeof(call->text) ? len : 0] = '\0';
    bool is_name = (reply->flags & (CB_REPLY_NAME | CB_REPLY_REDIRECT)) != 0;
    if (len > 0 && !is_name && !call->is_dead && len <= call->recv_len) {
        memcpy(call->recv, data, len);
    }
    return call->is_dead ? -ESRCH : 0;
}

int cb_conn_notify(int port, uint64_t cookie, unsigned poll_mask)
{
    (void)port;
    for (size_t i = 0; i < nr_notices; i++) {
        if (notices[i].cookie == cookie) {
            notices[i].mask = poll_mask;
            return 0;
        }
    }
    if (nr_notices < NOTICE_MAX) {
        notices[nr_notices].cookie = cookie;
        notices[nr_notices++].mask = poll_mask;
    }
    return 0;
}

unsigned fake_notified(uint64_t cookie)
{
    for (size_t i = 0; i < nr_notices; i++) {
        if (notices[i].cookie == cookie) {
            return notices[i].mask;
        }
    }
    return 0;
}

long cb_msg_copy_fd(int port, const struct cb_copy_fd *copy)
{
    struct fake_call *call = find(copy->id);
    char *buf = malloc(copy->len + 1);
    long done;

    if (copy->dir == CB_FROM_CLIENT) {
        done = call->is_dead ? -ESRCH : cb_msg_read(port, copy->id, copy->offset, buf, copy->len);
        if (done > 0 && pwrite(copy->fd, buf, (size_t)done, (off_t)copy->fd_offset) != done) {
            done = -errno;
        }
    } else {
        done = pread(copy->fd, buf, copy->len, (off_t)copy->fd_offset);
        if (done > 0) {
            done = cb_msg_write(port, copy->id, copy->offset, buf, (size_t)done);
        }
    }
    free(buf);
    return done;
}

static long give(void *buf, size_t len, const void *data, size_t size)
{
    if (len < size) {
        return -EINVAL;
    }
    memcpy(buf, data, size);
    return (long)size;
}

long cb_kinfo(enum cb_kinfo_kind kind, int pid, void *buf, size_t len)
{
    const int32_t ids[] = {1, fake_proc.pid};

    if (pid != 0 && pid != fake_proc.pid) {
        return -ESRCH;
    }
    switch (kind) {
    case CB_KINFO_PROC:
    case CB_KINFO_TASK:
        return give(buf, len, &fake_proc, sizeof(fake_proc));
    case CB_KINFO_MEM:
        return give(buf, len, &fake_mem, sizeof(fake_mem));
    case CB_KINFO_SYSTEM:
        return give(buf, len, &fake_sys, sizeof(fake_sys));
    case CB_KINFO_VMAS:
        return give(buf, len, fake_vmas, (size_t)fake_nr_vmas * sizeof(fake_vmas[0]));
    case CB_KINFO_FDS:
        return give(buf, len, fake_fds, (size_t)fake_nr_fds * sizeof(fake_fds[0]));
    case CB_KINFO_PROC_LIST:
        return give(buf, len, ids, sizeof(ids));
    case CB_KINFO_THREADS:
        return give(buf, len, &ids[1], sizeof(ids[1]));
    case CB_KINFO_ARGV:
        return give(buf, len, "prog\0-x\0", 8);
    case CB_KINFO_CWD:
        return give(buf, len, "/", 1);
    default:
        return -EINVAL;
    }
}

int cb_session_tty(int sid, int fg_pgid, int tty_nr)
{
    (void)sid;
    (void)fg_pgid;
    (void)tty_nr;
    return 0;
}

/* The only kernel files here are direct devices: one at most, and nothing to be read from it. */
int cb_kernel_file(enum cb_kernel_file kind, int number, unsigned flags)
{
    (void)flags;
    if (kind != CB_KERNEL_FILE_DAX || number != 0 || fake_dax == NULL) {
        return -ENXIO;
    }
    return memfd_create("device", MFD_CLOEXEC);
}

int cb_dax_info(int device, struct cb_dax_info *info)
{
    (void)device;
    *info = (struct cb_dax_info){.size = FAKE_DAX_FRAMES * FAKE_DAX_FRAME};
    return 0;
}

int cb_dax_create(int device, enum cb_dax_cow cow)
{
    (void)device;
    (void)cow;
    return memfd_create("direct", MFD_CLOEXEC);
}

static bool is_granted(const struct fake_grant *grant)
{
    struct stat st;

    return fstat(grant->file, &st) == 0 && st.st_ino == grant->ino;
}

/* Grants of files that are closed are over. */
static void forget_grants(void)
{
    size_t nr_left = 0;

    for (size_t i = 0; i < nr_grants; i++) {
        if (is_granted(&grants[i])) {
            grants[nr_left++] = grants[i];
        }
    }
    nr_grants = nr_left;
}

/* A memfd holds a copy of the frames until fake_dax_write_back(). */
long cb_dax_grant(int file, const struct cb_dax_grant *grant)
{
    static const uint8_t zeroes[FAKE_DAX_FRAME];
    struct stat st;

    forget_grants();
    if (fstat(file, &st) != 0 || nr_grants == GRANTS_MAX ||
        grant->frame + grant->count > FAKE_DAX_FRAMES) {
        abort();
    }
    for (uint64_t i = 0; i < grant->count; i++) {
        const uint8_t *frame = fake_dax + (grant->frame + i) * FAKE_DAX_FRAME;
        const void *bytes = (grant->flags & CB_DAX_ZERO) != 0 ? zeroes : frame;
        off_t offset = (off_t)((grant->index + i) * FAKE_DAX_FRAME);
        if (pwrite(file, bytes, FAKE_DAX_FRAME, offset) != (ssize_t)FAKE_DAX_FRAME) {
            abort();
        }
    }
    /* A memfd grows by that, a direct file does not. */
    if (ftruncate(file, st.st_size) != 0) {
        abort();
    }
    grants[nr_grants++] = (struct fake_grant){.ino = st.st_ino, .file = file, .grant = *grant};
    return (long)grant->count;
}

int cb_dax_revoke(int file, const struct cb_dax_range *range)
{
    return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range->start,
                     (off_t)(range->end - range->start)) == 0
               ? 0
               : -errno;
}

void fake_dax_write_back(void)
{
    for (size_t i = 0; i < nr_grants; i++) {
        const struct cb_dax_grant *grant = &grants[i].grant;
        if (!is_granted(&grants[i])) {
            continue;
        }
        (void)!pread(grants[i].file, fake_dax + grant->frame * FAKE_DAX_FRAME,
                     grant->count * FAKE_DAX_FRAME, (off_t)(grant->index * FAKE_DAX_FRAME));
    }
}

/* Messages do not come through a port here. */
int cb_msg_receive(int port, struct cb_msg *msg, size_t size, uint64_t timeout_ns)
{
    (void)port;
    (void)msg;
    (void)size;
    (void)timeout_ns;
    return -EAGAIN;
}

/* --- paged objects: a memfd whose pages have all come ------------------------------------------
 */

int cb_pager_create(int port, const struct cb_pager *pager)
{
    int file = memfd_create("pager", MFD_CLOEXEC);

    (void)port;
    if (file < 0 || ftruncate(file, (off_t)pager->size) != 0) {
        abort();
    }
    return file;
}

long cb_pager_supply(int file, uint64_t offset, const void *bytes, size_t len)
{
    return pwrite(file, bytes, len, (off_t)offset);
}

int cb_pager_settle(int file)
{
    (void)file;
    return 0;
}
