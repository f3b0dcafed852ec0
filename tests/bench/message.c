/* A message to a server and its reply, which only Cowbell has: with nothing in it, and with a page
 * of the client's memory copied each way. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uapi/cowbell.h>

enum { ROUNDS = 1000 };

static int port;

static void serve(void)
{
    static char space[CB_MSG_BUF_MIN] __attribute__((aligned(8)));
    static char page[PAGE];
    struct cb_msg *message = (struct cb_msg *)space;

    while (syscall(CB_SYS_MSG_RECEIVE, port, message, sizeof(space), CB_TIMEOUT_NONE) == 0) {
        struct cb_reply reply = {.id = message->id, .fd = -1};

        if (message->flags & CB_MSG_NO_REPLY) {
            continue;
        }
        if (message->send_len > 0) {
            syscall(CB_SYS_MSG_READ, port, message->id, 0, page, sizeof(page));
        }
        if (message->recv_len > 0) {
            reply.data = (uintptr_t)page;
            reply.data_len = sizeof(page);
        }
        syscall(CB_SYS_MSG_REPLY, port, &reply);
    }
    _exit(1);
}

static void call_often(struct row *row, int connection, struct cb_call *call)
{
    for (int r = 0; r < bench_repeats; r++) {
        int is_ok = 1;

        TIMED(row, ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                is_ok &= syscall(CB_SYS_MSG_CALL, connection, call) == 0;
            }
        }
        if (!is_ok) {
            row_fail(row);
            return;
        }
    }
}

static void round_trips(struct row *rows)
{
    static char there[PAGE], back[PAGE];
    struct cb_iovec send = {(uintptr_t)there, PAGE};
    struct cb_iovec receive = {(uintptr_t)back, PAGE};
    struct cb_call empty = {.op = CB_OP_USER};
    struct cb_call full = {.op = CB_OP_USER,
                           .send_iov = (uintptr_t)&send,
                           .recv_iov = (uintptr_t)&receive,
                           .nr_send = 1,
                           .nr_recv = 1};
    int connection;
    pid_t pid;

    port = (int)syscall(CB_SYS_PORT_CREATE, 0);
    connection = (int)syscall(CB_SYS_CONN_CREATE, port, 1, 0);
    if (port < 0 || connection < 0) {
        rows_fail(rows);
        return;
    }
    pid = fork();
    if (pid == 0) {
        serve();
    }
    call_often(&rows[0], connection, &empty);
    call_often(&rows[1], connection, &full);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

const struct bench bench_message[] = {
    {round_trips, {"message_roundtrip_empty", "message_roundtrip_page_each_way"}},
    {0},
};
