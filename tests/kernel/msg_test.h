/* What the suites about messages share: a port with a connection, and a client that calls it. */
#ifndef TESTS_KERNEL_MSG_TEST_H
#define TESTS_KERNEL_MSG_TEST_H

#include "ipc_test.h"

#define OP     (CB_OP_USER + 7)
#define COOKIE 0x1234567890abcdefUL

/* A port of the body, and a connection to it as a file for peers. */
struct service {
    s64 port;
    struct file *conn;
};

static inline struct service service_make(u64 cookie, u32 conn_flags)
{
    struct service service = {.port = sys_port_create(0)};
    s64 fd = sys_conn_create((s32)service.port, cookie, conn_flags);

    service.conn = ipc_file(fd);
    EXPECT_OK(sys_close((s32)fd));
    return service;
}

static inline void service_end(struct service *service)
{
    file_put(service->conn);
    EXPECT_OK(sys_close((s32)service->port));
}

/* Calls with 8 bytes to send and 4096 to fill, all at IPC_BUF. The result says what came of it. */
static inline void call_main(struct peer *peer)
{
    struct cb_call call = {
        .op = OP, .args = {peer->arg, 2, 3, 4, 5, 6}, .nr_send = 1, .nr_recv = 1};
    struct cb_iovec iov[2] = {{IPC_BUF, 8}, {IPC_BUF + PAGE_SIZE, PAGE_SIZE}};
    s64 fd = peer_fd(peer);

    ipc_put(IPC_BUF, "request", 8);
    ipc_put(IPC_BUF + 64, iov, sizeof(iov));
    call.send_iov = IPC_BUF + 64;
    call.recv_iov = IPC_BUF + 64 + sizeof(iov[0]);
    ipc_put(IPC_MSG, &call, sizeof(call));
    peer->result = sys_msg_call((s32)fd, IPC_MSG);
}

#endif
