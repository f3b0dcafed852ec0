/* Opening through a server: what happens between its reply and the client's next step. */
#include "msg_test.h"

#include <ipc/fs_context.h>
#include <ipc/path.h>
#include <uapi/linux/poll.h>
#include <uapi/linux/sched.h>

/* Opens "/x" from the root that the peer is given; the result is what a poll finds there. */
static void open_and_poll(struct peer *peer)
{
    struct fs_context *fs = current_process()->fs;
    struct file *file;

    fs_set_root(fs, peer->file);
    peer->result = path_open(fs, AT_FDCWD, "/x", O_RDWR, 0, &file);
    if (peer->result == 0) {
        peer->arg = file->ops->poll(file, NULL);
        file_put(file);
    }
}

/* Shares one CPU with the peer and lets it run only when this thread sleeps. */
static void hold_cpu(struct thread *peer)
{
    const struct sched_params first = {.policy = SCHED_FIFO, .rt_prio = 50};

    EXPECT_OK(sched_set_affinity(current_thread(), 1));
    EXPECT_OK(sched_set_affinity(peer, 1));
    sched_set_params(current_thread(), &first);
}

static void body_notify_in_the_window(void)
{
    struct service service = service_make(COOKIE, CB_CONN_DIR);
    struct peer peer = {.fn = open_and_poll, .file = service.conn};
    struct cb_reply reply = {.flags = CB_REPLY_OPEN, .cookie = 42, .new_pos = POLLOUT};
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    hold_cpu(peer.thread);
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    EXPECT_FALSE(peer.is_done);
    EXPECT_OK(sys_conn_notify((s32)service.port, 42, POLLIN));
    EXPECT_FALSE(peer.is_done);
    peer_join(&peer);
    EXPECT_OK(peer.result);
    EXPECT_EQ(POLLIN, peer.arg);
    service_end(&service);
}

TEST(msg, readiness_told_right_after_the_open_reaches_the_new_connection)
{
    ipc_test_run(body_notify_in_the_window);
}

static void body_port_dies_in_the_window(void)
{
    struct service service = service_make(COOKIE, CB_CONN_DIR);
    struct peer peer = {.fn = open_and_poll, .file = service.conn};
    struct cb_reply reply = {.flags = CB_REPLY_OPEN, .cookie = 42};
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    hold_cpu(peer.thread);
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    EXPECT_OK(sys_close((s32)service.port));
    peer_join(&peer);
    EXPECT_OK(peer.result);
    EXPECT_EQ(POLLERR | POLLHUP, peer.arg);
    file_put(service.conn);
}

TEST(msg, a_connection_opened_as_its_server_died_is_hung_up)
{
    ipc_test_run(body_port_dies_in_the_window);
}

static void body_kill_in_the_window(void)
{
    struct service service = service_make(COOKIE, CB_CONN_DIR);
    struct peer peer = {.fn = open_and_poll, .file = service.conn};
    struct cb_reply reply = {.flags = CB_REPLY_OPEN, .cookie = 42};
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    hold_cpu(peer.thread);
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    peer_signal(&peer, SIGKILL);
    peer_join(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_CLOSE, msg.op);
    EXPECT_EQ(42, msg.cookie);
    service_end(&service);
}

TEST(msg, a_client_killed_after_the_open_closes_the_connection)
{
    ipc_test_run(body_kill_in_the_window);
}

static void body_kill_before_the_reply(void)
{
    struct service service = service_make(COOKIE, CB_CONN_DIR);
    struct peer peer = {.fn = open_and_poll, .file = service.conn};
    struct cb_reply reply = {.flags = CB_REPLY_OPEN, .cookie = 42};
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    reply.id = msg.id;
    peer_signal(&peer, SIGKILL);
    peer_join(&peer);
    EXPECT_ERR(-ESRCH, ipc_reply(service.port, &reply));
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_INTERRUPT, msg.op);
    EXPECT_ERR(-EAGAIN, sys_msg_receive((s32)service.port, IPC_MSG, CB_MSG_BUF_MIN, 0));
    service_end(&service);
}

TEST(msg, a_client_killed_before_the_reply_has_no_connection_to_close)
{
    ipc_test_run(body_kill_before_the_reply);
}

/* A result that says no wins over flags that say yes. */
static void body_refusal(void)
{
    struct service service = service_make(COOKIE, CB_CONN_DIR);
    struct peer peer = {.fn = open_and_poll, .file = service.conn};
    struct cb_reply reply = {.flags = CB_REPLY_OPEN, .cookie = 42, .result = -EACCES};
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    peer_join(&peer);
    EXPECT_ERR(-EACCES, peer.result);
    EXPECT_ERR(-EAGAIN, sys_msg_receive((s32)service.port, IPC_MSG, CB_MSG_BUF_MIN, 0));
    service_end(&service);
}

TEST(msg, a_refused_open_makes_no_connection)
{
    ipc_test_run(body_refusal);
}
