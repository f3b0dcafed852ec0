/* Messages whose sender or server is interrupted, killed, or gone. */
#include "msg_test.h"

#include <uapi/linux/poll.h>

static void body_port_death(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer received = {.fn = call_main, .file = service.conn};
    struct peer queued = {.fn = call_main, .file = service.conn};
    struct peer late = {.fn = call_main, .file = service.conn};
    struct file *port_file = ipc_file(service.port);
    struct cb_msg msg;

    peer_start(&received);
    ASSERT_OK(ipc_receive(service.port, &msg));
    peer_start(&queued);
    ipc_until(!list_is_empty(&port_of_file(port_file)->queue));
    file_put(port_file);
    EXPECT_OK(sys_close((s32)service.port));
    peer_join(&received);
    peer_join(&queued);
    EXPECT_ERR(-EIO, received.result);
    EXPECT_ERR(-EIO, queued.result);
    peer_start(&late);
    peer_join(&late);
    EXPECT_ERR(-EIO, late.result);
    EXPECT_EQ(POLLERR | POLLHUP, service.conn->ops->poll(service.conn, NULL));
    file_put(service.conn);
}

TEST(msg, a_dead_port_answers_its_callers_with_eio)
{
    ipc_test_run(body_port_death);
}

/* A command that has no memory. */
#define ANY_IOCTL 0x540b

static void ioctl_main(struct peer *peer)
{
    peer->result = peer->file->ops->ioctl(peer->file, ANY_IOCTL, 0);
}

static void withdraw(void (*fn)(struct peer *peer), s64 expected)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = fn, .file = service.conn, .has_handler = true};
    struct file *port_file = ipc_file(service.port);

    peer_start(&peer);
    ipc_until(!list_is_empty(&port_of_file(port_file)->queue));
    peer_signal(&peer, SIGUSR1);
    peer_join(&peer);
    EXPECT_ERR(expected, peer.result);
    EXPECT_TRUE(list_is_empty(&port_of_file(port_file)->queue));
    file_put(port_file);
    service_end(&service);
}

static void body_withdraw(void)
{
    withdraw(call_main, -ERESTARTSYS);
    /* Linux's terminals do not let a handler end what is asked of them. */
    withdraw(ioctl_main, -ERESTARTNOINTR);
}

TEST(msg, a_signal_withdraws_a_message_that_nobody_has_seen)
{
    ipc_test_run(body_withdraw);
}

static void body_interrupt(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = call_main, .file = service.conn, .has_handler = true};
    struct cb_msg msg;
    struct cb_msg notice;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    peer_signal(&peer, SIGUSR1);
    ASSERT_OK(ipc_receive(service.port, &notice));
    EXPECT_EQ(CB_OP_INTERRUPT, notice.op);
    EXPECT_EQ(0, notice.id);
    EXPECT_EQ(msg.id, notice.args[0]);
    EXPECT_EQ(0, notice.args[1]);
    EXPECT_FALSE(peer.is_done);
    peer_signal(&peer, SIGUSR1);
    EXPECT_ERR(-EAGAIN, sys_msg_receive((s32)service.port, IPC_MSG, CB_MSG_BUF_MIN, 0));
    EXPECT_OK(ipc_answer(service.port, msg.id, -CB_ERESTARTSYS));
    peer_join(&peer);
    EXPECT_ERR(-ERESTARTSYS, peer.result);
    service_end(&service);
}

TEST(msg, a_signal_after_the_receive_is_told_once_and_the_server_decides)
{
    ipc_test_run(body_interrupt);
}

static void body_kill(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = call_main, .file = service.conn};
    s32 port = (s32)service.port;
    struct cb_msg msg;
    struct cb_msg notice;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(port, &msg));
    peer_signal(&peer, SIGKILL);
    peer_join(&peer);
    EXPECT_ERR(-EINTR, peer.result);
    EXPECT_ERR(-ESRCH, sys_msg_write(port, msg.id, 0, IPC_BUF, 8));
    EXPECT_ERR(-ESRCH, sys_msg_read(port, msg.id, 0, IPC_BUF, 8));
    EXPECT_ERR(-ESRCH, ipc_answer(port, msg.id, 0));
    ASSERT_OK(ipc_receive(port, &notice));
    EXPECT_EQ(CB_OP_INTERRUPT, notice.op);
    EXPECT_EQ(msg.id, notice.args[0]);
    EXPECT_EQ(1, notice.args[1]);
    service_end(&service);
}

TEST(msg, a_killed_client_leaves_at_once_and_its_memory_with_it)
{
    ipc_test_run(body_kill);
}

#define STORM_CLIENTS 6
#define STORM_CALLS   200

static void storm_client(struct peer *peer)
{
    s64 fd = peer_fd(peer);

    for (u64 i = 0; i < STORM_CALLS && !fatal_signal_pending(current_thread()); i++) {
        struct cb_call call = {.op = OP, .args = {i, peer->arg}};
        s64 result;

        ipc_put(IPC_MSG, &call, sizeof(call));
        result = sys_msg_call((s32)fd, IPC_MSG);
        if (result >= 0 && (u64)result != i * 2 + peer->arg) {
            peer->result++;
        }
    }
}

/* Answers until every client's connection is closed. */
static void storm_serve(s64 port, u32 nr_clients)
{
    u32 nr_closed = 0;
    struct cb_msg msg;

    while (nr_closed < nr_clients && ipc_receive(port, &msg) == 0) {
        if (msg.op == CB_OP_CLOSE) {
            nr_closed++;
        } else if (msg.op == OP) {
            s64 error = ipc_answer(port, msg.id, (s64)(msg.args[0] * 2 + msg.args[1]));

            EXPECT_TRUE(error == 0 || error == -ESRCH);
        }
    }
    EXPECT_EQ(nr_clients, nr_closed);
}

static void body_storm(void)
{
    s64 port = sys_port_create(0);
    struct peer peers[STORM_CLIENTS];

    memset(peers, 0, sizeof(peers));
    for (u32 i = 0; i < STORM_CLIENTS; i++) {
        s64 fd = sys_conn_create((s32)port, i, 0);

        peers[i].fn = storm_client;
        peers[i].arg = i;
        peers[i].has_handler = true;
        peers[i].file = ipc_file(fd);
        EXPECT_OK(sys_close((s32)fd));
        peer_start(&peers[i]);
    }
    for (u32 i = 0; i < STORM_CLIENTS; i++) {
        ipc_until(READ_ONCE(peers[i].process) != NULL);
        if (i % 3 == 0) {
            peer_signal(&peers[i], SIGKILL);
        } else if (i % 3 == 1) {
            peer_signal(&peers[i], SIGUSR1);
        }
        file_put(peers[i].file);
    }
    storm_serve(port, STORM_CLIENTS);
    for (u32 i = 0; i < STORM_CLIENTS; i++) {
        peer_join(&peers[i]);
        EXPECT_EQ(0, peers[i].result);
    }
    EXPECT_OK(sys_close((s32)port));
}

TEST(msg, many_clients_with_signals_get_their_own_answers)
{
    ipc_test_run(body_storm);
}
