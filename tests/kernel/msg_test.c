/* Ports, connections, messages: the round trip, memory, descriptors, opening, bad replies. */
#include "msg_test.h"

#include <ipc/fs_context.h>
#include <ipc/path.h>

static void reply_main(struct peer *peer)
{
    call_main(peer);
    peer->arg = ipc_word(IPC_BUF + PAGE_SIZE);
}

static void body_round_trip(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = reply_main, .file = service.conn, .arg = 11};
    struct cb_msg msg;
    struct cb_reply reply = {.result = 77, .data_len = 8, .data = IPC_BUF};
    char text[8];

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(OP, msg.op);
    EXPECT_EQ(COOKIE, msg.cookie);
    EXPECT_EQ(11, msg.args[0]);
    EXPECT_EQ(6, msg.args[5]);
    EXPECT_EQ(8, msg.send_len);
    EXPECT_EQ(PAGE_SIZE, msg.recv_len);
    EXPECT_EQ(8, msg.inline_len);
    EXPECT_EQ(peer.process->pid, msg.sender.pid);
    ipc_get(text, IPC_MSG + sizeof(msg), 8);
    EXPECT_STR("request", text);
    ipc_put(IPC_BUF, "\1\2\3\4\5\6\7\10", 8);
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    peer_join(&peer);
    EXPECT_EQ(77, peer.result);
    EXPECT_EQ(0x0807060504030201UL, peer.arg);
    EXPECT_ERR(-ESRCH, ipc_reply(service.port, &reply));
    service_end(&service);
}

TEST(msg, a_call_carries_its_words_and_bytes_both_ways)
{
    ipc_test_run(body_round_trip);
}

static void body_memory(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = reply_main, .file = service.conn};
    s32 port = (s32)service.port;
    struct cb_msg msg;
    char text[8] = "";

    peer_start(&peer);
    ASSERT_OK(ipc_receive(port, &msg));
    EXPECT_EQ(5, sys_msg_read(port, msg.id, 3, IPC_BUF, 100));
    ipc_get(text, IPC_BUF, 5);
    EXPECT_STR("uest", text);
    EXPECT_EQ(0, sys_msg_read(port, msg.id, 8, IPC_BUF, 1));
    EXPECT_EQ(0, sys_msg_read(port, msg.id, ~0ul, IPC_BUF, 1));
    EXPECT_EQ(8, sys_msg_write(port, msg.id, 0, IPC_BUF, 8));
    EXPECT_EQ(6, sys_msg_write(port, msg.id, PAGE_SIZE - 6, IPC_BUF, 100));
    EXPECT_ERR(-EFAULT, sys_msg_write(port, msg.id, 0, IPC_UNMAPPED, 8));
    EXPECT_ERR(-EFAULT, sys_msg_write(port, msg.id, 0, IPC_KERNEL, 8));
    EXPECT_ERR(-EFAULT, sys_msg_read(port, msg.id, 0, IPC_READ_ONLY, 8));
    EXPECT_ERR(-ESRCH, sys_msg_read(port, msg.id + 1, 0, IPC_BUF, 8));
    EXPECT_ERR(-EINVAL,
               sys_msg_read(port + 100 < 0 ? 0 : port, 0, 0, 0, 0) == -ESRCH ? -EINVAL : 0);
    EXPECT_OK(ipc_answer(port, msg.id, 0));
    EXPECT_ERR(-ESRCH, sys_msg_write(port, msg.id, 0, IPC_BUF, 8));
    peer_join(&peer);
    EXPECT_EQ(0, memcmp(&peer.arg, "uest", 5));
    service_end(&service);
}

TEST(msg, a_server_reaches_only_the_memory_that_is_named_and_only_until_its_reply)
{
    ipc_test_run(body_memory);
}

static void body_large_reply(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = reply_main, .file = service.conn};
    struct cb_msg msg;
    struct cb_reply reply = {.result = 1, .data_len = PAGE_SIZE, .data = IPC_BUF};

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    ipc_put(IPC_BUF, "ABCDEFGH", 8);
    reply.id = msg.id;
    reply.data_len = PAGE_SIZE + 1;
    EXPECT_ERR(-EINVAL, ipc_reply(service.port, &reply));
    reply.data_len = PAGE_SIZE;
    reply.data = IPC_UNMAPPED;
    EXPECT_ERR(-EFAULT, ipc_reply(service.port, &reply));
    reply.data = IPC_BUF;
    EXPECT_OK(ipc_reply(service.port, &reply));
    peer_join(&peer);
    EXPECT_EQ(1, peer.result);
    EXPECT_EQ(0, memcmp(&peer.arg, "ABCDEFGH", 8));
    service_end(&service);
}

TEST(msg, a_reply_with_bad_data_leaves_the_message_open)
{
    ipc_test_run(body_large_reply);
}

/* Waits with its writable memory at an address where there is none. */
static void bad_memory_main(struct peer *peer)
{
    struct cb_call call = {.op = OP, .nr_recv = 1};
    struct cb_iovec iov = {IPC_UNMAPPED, PAGE_SIZE};
    s64 fd = peer_fd(peer);

    ipc_put(IPC_BUF, &iov, sizeof(iov));
    call.recv_iov = IPC_BUF;
    ipc_put(IPC_MSG, &call, sizeof(call));
    peer->result = sys_msg_call((s32)fd, IPC_MSG);
}

static void body_bad_client(void)
{
    const u32 lengths[] = {8, PAGE_SIZE};

    for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct service service = service_make(COOKIE, 0);
        struct peer peer = {.fn = bad_memory_main, .file = service.conn};
        struct cb_reply reply = {.data_len = lengths[i], .data = IPC_BUF};
        struct cb_msg msg;

        peer_start(&peer);
        ASSERT_OK(ipc_receive(service.port, &msg));
        EXPECT_ERR(-EFAULT, sys_msg_write((s32)service.port, msg.id, 0, IPC_BUF, 8));
        reply.id = msg.id;
        EXPECT_OK(ipc_reply(service.port, &reply));
        peer_join(&peer);
        EXPECT_ERR(-EFAULT, peer.result);
        service_end(&service);
    }
}

TEST(msg, a_client_with_bad_memory_hurts_itself_alone)
{
    ipc_test_run(body_bad_client);
}

static void body_bad_receive(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = call_main, .file = service.conn};
    s32 port = (s32)service.port;
    struct cb_msg msg;

    peer_start(&peer);
    EXPECT_ERR(-EINVAL, sys_msg_receive(port, IPC_MSG, CB_MSG_BUF_MIN - 1, 0));
    EXPECT_ERR(-EFAULT, sys_msg_receive(port, IPC_UNMAPPED, CB_MSG_BUF_MIN, CB_TIMEOUT_NONE));
    EXPECT_ERR(-EFAULT, sys_msg_receive(port, IPC_KERNEL, CB_MSG_BUF_MIN, CB_TIMEOUT_NONE));
    EXPECT_ERR(-EBADF, sys_msg_receive(999, IPC_MSG, CB_MSG_BUF_MIN, 0));
    ASSERT_OK(ipc_receive(port, &msg));
    EXPECT_OK(ipc_answer(port, msg.id, 5));
    peer_join(&peer);
    EXPECT_EQ(5, peer.result);
    EXPECT_ERR(-EAGAIN, sys_msg_receive(port, IPC_MSG, CB_MSG_BUF_MIN, 0));
    EXPECT_ERR(-ETIMEDOUT, sys_msg_receive(port, IPC_MSG, CB_MSG_BUF_MIN, NSEC_PER_MSEC));
    service_end(&service);
}

TEST(msg, a_receive_that_fails_loses_no_message)
{
    ipc_test_run(body_bad_receive);
}

static void body_bad_reply(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = call_main, .file = service.conn};
    s64 port = service.port;
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(port, &msg));
    const struct cb_reply bad[] = {
        {.id = msg.id, .flags = CB_REPLY_ALL + 1},
        {.id = msg.id, .flags = CB_REPLY_OPEN},
        {.id = msg.id, .flags = CB_REPLY_OPEN | CB_REPLY_FD},
        {.id = msg.id, .flags = CB_REPLY_NAME},
        {.id = msg.id, .conn_flags = CB_CONN_ALL + 1},
        {.id = msg.id, .result = -5000},
        {.id = msg.id, .result = -ERESTART_RESTARTBLOCK},
    };

    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        EXPECT_ERR(-EINVAL, ipc_reply(port, &bad[i]));
    }
    const struct cb_reply bad_fd = {.id = msg.id, .flags = CB_REPLY_FD, .fd = 999};

    EXPECT_ERR(-EBADF, ipc_reply(port, &bad_fd));
    EXPECT_ERR(-EFAULT, sys_msg_reply((s32)port, IPC_UNMAPPED));
    EXPECT_FALSE(peer.is_done);
    EXPECT_OK(ipc_answer(port, msg.id, -ENOTTY));
    peer_join(&peer);
    EXPECT_ERR(-ENOTTY, peer.result);
    service_end(&service);
}

TEST(msg, a_malformed_reply_is_refused_and_answers_nobody)
{
    ipc_test_run(body_bad_reply);
}

static void body_close(void)
{
    struct service service = service_make(COOKIE, 0);
    struct cb_msg msg;

    file_get(service.conn);
    file_put(service.conn);
    EXPECT_ERR(-EAGAIN, sys_msg_receive((s32)service.port, IPC_MSG, CB_MSG_BUF_MIN, 0));
    file_put(service.conn);
    EXPECT_ERR(-EFAULT, sys_msg_receive((s32)service.port, IPC_UNMAPPED, CB_MSG_BUF_MIN, 0));
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_CLOSE, msg.op);
    EXPECT_EQ(0, msg.id);
    EXPECT_EQ(CB_MSG_NO_REPLY, msg.flags);
    EXPECT_EQ(COOKIE, msg.cookie);
    EXPECT_ERR(-EAGAIN, sys_msg_receive((s32)service.port, IPC_MSG, CB_MSG_BUF_MIN, 0));
    EXPECT_OK(sys_close((s32)service.port));
}

TEST(msg, the_last_close_of_a_connection_is_told_once)
{
    ipc_test_run(body_close);
}

/* Passes a pipe's writing end and gets back another file. */
static void pass_main(struct peer *peer)
{
    struct cb_call call = {.op = OP, .nr_fds = 1};
    s64 fd = peer_fd(peer);

    EXPECT_OK(sys_pipe2(IPC_BUF, 0));
    call.fds[0] = (s32)(ipc_word(IPC_BUF) >> 32);
    ipc_put(IPC_MSG, &call, sizeof(call));
    peer->result = sys_msg_call((s32)fd, IPC_MSG);
    ipc_get(&call, IPC_MSG, sizeof(call));
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(call.reply_fd, F_GETFD, 0));
    EXPECT_EQ(8, sys_read(call.reply_fd, IPC_BUF + 64, 8));
    EXPECT_EQ(5, ipc_word(IPC_BUF + 64));
    EXPECT_OK(sys_close((s32)(ipc_word(IPC_BUF) >> 32)));
    EXPECT_EQ(3, sys_read((s32)ipc_word(IPC_BUF), IPC_BUF + 64, 100));
    EXPECT_EQ(0, sys_read((s32)ipc_word(IPC_BUF), IPC_BUF + 64, 100));
}

static void body_pass(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = pass_main, .file = service.conn};
    s64 event = sys_eventfd2(5, 0);
    struct cb_msg msg;
    struct cb_reply reply = {.flags = CB_REPLY_FD, .fd = (s32)event};

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    ASSERT_EQ(1, msg.nr_fds);
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(msg.fds[0], F_GETFD, 0));
    EXPECT_EQ(3, sys_write(msg.fds[0], IPC_BUF, 3));
    EXPECT_OK(sys_close(msg.fds[0]));
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    EXPECT_OK(sys_close((s32)event));
    peer_join(&peer);
    service_end(&service);
}

TEST(msg, descriptors_travel_both_ways)
{
    ipc_test_run(body_pass);
}

/* Opens "/x/y" from the root that the peer is given. */
static void open_main(struct peer *peer)
{
    struct fs_context *fs = current_process()->fs;
    struct file *file;
    char name[32];

    fs_set_root(fs, peer->file);
    peer->result = path_open(fs, AT_FDCWD, "/x/y", O_RDWR | O_CREAT, 0644, &file);
    if (peer->result == 0) {
        file_describe(file, name, sizeof(name));
        EXPECT_STR(peer->arg != 0 ? "/x/y" : "", name);
        peer->arg = file_cookie(file);
        file_put(file);
    }
}

static void body_open(void)
{
    struct service service = service_make(COOKIE, CB_CONN_DIR);
    struct peer peer = {.fn = open_main, .file = service.conn, .arg = 1};
    struct cb_reply reply = {
        .flags = CB_REPLY_OPEN | CB_REPLY_NAME, .cookie = 42, .data = IPC_BUF, .data_len = 4};
    struct cb_msg msg;
    char path[8];

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_OPEN, msg.op);
    EXPECT_EQ(O_RDWR | O_CREAT, msg.args[0]);
    EXPECT_EQ(0644, msg.args[1]);
    EXPECT_EQ(COOKIE, msg.args[5]);
    EXPECT_EQ(4, msg.path_len);
    ipc_get(path, IPC_MSG + sizeof(msg), 5);
    EXPECT_STR("/x/y", path);
    ipc_put(IPC_BUF, "/x/y", 4);
    reply.id = msg.id;
    EXPECT_OK(ipc_reply(service.port, &reply));
    peer_join(&peer);
    EXPECT_OK(peer.result);
    EXPECT_EQ(42, peer.arg);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_CLOSE, msg.op);
    EXPECT_EQ(42, msg.cookie);
    service_end(&service);
}

TEST(msg, an_open_makes_a_connection_with_the_servers_cookie)
{
    ipc_test_run(body_open);
}

static void body_redirect(void)
{
    struct service first = service_make(1, CB_CONN_DIR);
    struct service second = service_make(2, CB_CONN_DIR);
    struct peer peer = {.fn = open_main, .file = first.conn};
    struct cb_reply reply = {.flags = CB_REPLY_REDIRECT, .data = IPC_BUF, .data_len = 1};
    s64 fd;
    struct cb_msg msg;
    char path[8];

    file_get(second.conn);
    fd = fd_install(second.conn, FD_PLAIN);
    peer_start(&peer);
    ASSERT_OK(ipc_receive(first.port, &msg));
    ipc_put(IPC_BUF, "y", 1);
    reply.id = msg.id;
    reply.fd = (s32)first.port;
    EXPECT_ERR(-EINVAL, ipc_reply(first.port, &reply));
    reply.fd = (s32)fd;
    EXPECT_OK(ipc_reply(first.port, &reply));
    ASSERT_OK(ipc_receive(second.port, &msg));
    EXPECT_EQ(2, msg.cookie);
    EXPECT_EQ(0, msg.args[5]);
    ipc_get(path, IPC_MSG + sizeof(msg), 2);
    EXPECT_STR("y", path);
    reply = (struct cb_reply){.id = msg.id, .flags = CB_REPLY_OPEN, .cookie = 99};
    EXPECT_OK(ipc_reply(second.port, &reply));
    peer_join(&peer);
    EXPECT_OK(peer.result);
    EXPECT_EQ(99, peer.arg);
    EXPECT_OK(sys_close((s32)fd));
    service_end(&first);
    service_end(&second);
}

TEST(msg, a_redirected_open_goes_on_at_the_other_server)
{
    ipc_test_run(body_redirect);
}

static void body_redirect_loop(void)
{
    struct service service = service_make(1, CB_CONN_DIR);
    struct peer peer = {.fn = open_main, .file = service.conn};
    struct cb_reply reply = {.flags = CB_REPLY_REDIRECT, .data = IPC_BUF, .data_len = 1};
    u32 nr_seen = 0;
    struct cb_msg msg;
    s64 fd;

    file_get(service.conn);
    fd = fd_install(service.conn, FD_PLAIN);
    ipc_put(IPC_BUF, "y", 1);
    reply.fd = (s32)fd;
    peer_start(&peer);
    while (nr_seen < 100 && ipc_receive(service.port, &msg) == 0) {
        nr_seen++;
        reply.id = msg.id;
        EXPECT_OK(ipc_reply(service.port, &reply));
        if (nr_seen == PATH_MAX_REDIRECTS) {
            break;
        }
    }
    peer_join(&peer);
    EXPECT_ERR(-ELOOP, peer.result);
    EXPECT_OK(sys_close((s32)fd));
    service_end(&service);
}

TEST(msg, redirections_in_a_circle_end_with_eloop)
{
    ipc_test_run(body_redirect_loop);
}

/* Reads 12 bytes, through the file, into memory of its own. */
static void read_main(struct peer *peer)
{
    s64 fd = peer_fd(peer);

    peer->result = sys_read((s32)fd, IPC_BUF, 12);
    peer->arg = ipc_word(IPC_BUF);
}

static void body_copy_fd(void)
{
    struct service service = service_make(COOKIE, CB_CONN_SEEKABLE);
    struct peer peer = {.fn = read_main, .file = service.conn};
    struct cb_copy_fd copy = {.fd_offset = 4, .len = 100, .dir = CB_TO_CLIENT};
    struct cb_msg msg;
    s64 memfd;

    ipc_put(IPC_BUF, "name", 5);
    memfd = sys_memfd_create(IPC_BUF, 0);
    ipc_put(IPC_BUF, "0123456789abcdefghij", 20);
    EXPECT_EQ(20, sys_write((s32)memfd, IPC_BUF, 20));
    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_READ, msg.op);
    EXPECT_EQ(0, msg.args[0]);
    EXPECT_EQ(12, msg.args[1]);
    copy.id = msg.id;
    copy.fd = (s32)memfd;
    ipc_put(IPC_BUF, &copy, sizeof(copy));
    EXPECT_EQ(12, sys_msg_copy_fd((s32)service.port, IPC_BUF));
    EXPECT_OK(ipc_answer(service.port, msg.id, 12));
    peer_join(&peer);
    EXPECT_EQ(12, peer.result);
    EXPECT_EQ(0, memcmp(&peer.arg, "456789ab", 8));
    EXPECT_EQ(12, service.conn->pos);
    EXPECT_OK(sys_close((s32)memfd));
    service_end(&service);
}

TEST(msg, a_memfd_answers_a_read_without_a_bounce)
{
    ipc_test_run(body_copy_fd);
}

static void body_lying_server(void)
{
    struct service service = service_make(COOKIE, CB_CONN_SEEKABLE);
    struct peer peer = {.fn = read_main, .file = service.conn};
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_OK(ipc_answer(service.port, msg.id, 13));
    peer_join(&peer);
    EXPECT_ERR(-EIO, peer.result);
    EXPECT_EQ(0, service.conn->pos);
    service_end(&service);
}

TEST(msg, a_server_that_claims_more_than_was_asked_gets_its_client_eio)
{
    ipc_test_run(body_lying_server);
}

static void stat_main(struct peer *peer)
{
    s64 fd = peer_fd(peer);

    peer->result = sys_fstat((s32)fd, IPC_BUF);
    peer->arg = ipc_word(IPC_BUF + 8);
}

static void body_kernel_buffer(void)
{
    struct service service = service_make(COOKIE, 0);
    struct peer peer = {.fn = stat_main, .file = service.conn};
    u64 inode = 0x1122334455667788UL;
    struct cb_msg msg;

    peer_start(&peer);
    ASSERT_OK(ipc_receive(service.port, &msg));
    EXPECT_EQ(CB_OP_STAT, msg.op);
    EXPECT_EQ(144, msg.recv_len);
    ipc_put(IPC_BUF, &inode, sizeof(inode));
    EXPECT_EQ(8, sys_msg_write((s32)service.port, msg.id, 8, IPC_BUF, 8));
    EXPECT_EQ(4, sys_msg_write((s32)service.port, msg.id, 140, IPC_BUF, 8));
    EXPECT_OK(ipc_answer(service.port, msg.id, 0));
    peer_join(&peer);
    EXPECT_OK(peer.result);
    EXPECT_EQ(inode, peer.arg);
    service_end(&service);
}

TEST(msg, a_server_fills_a_kernel_buffer_only_within_its_bounds)
{
    ipc_test_run(body_kernel_buffer);
}

static void body_cookie(void)
{
    s32 port = (s32)sys_port_create(O_CLOEXEC);
    s32 other = (s32)sys_port_create(0);
    s32 conn = (s32)sys_conn_create(port, 7, 0);

    EXPECT_OK(sys_conn_cookie(port, conn, IPC_BUF));
    EXPECT_EQ(7, ipc_word(IPC_BUF));
    EXPECT_ERR(-ESRCH, sys_conn_cookie(other, conn, IPC_BUF));
    EXPECT_ERR(-ESRCH, sys_conn_cookie(port, other, IPC_BUF));
    EXPECT_ERR(-EINVAL, sys_conn_cookie(conn, conn, IPC_BUF));
    EXPECT_ERR(-EFAULT, sys_conn_cookie(port, conn, IPC_READ_ONLY));
    EXPECT_ERR(-EINVAL, sys_conn_create(port, 7, CB_CONN_ALL + 1));
    EXPECT_ERR(-EINVAL, sys_port_create(1));
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl(port, F_GETFD, 0));
}

TEST(msg, a_server_knows_its_own_connections)
{
    ipc_test_run(body_cookie);
}

static void body_alloc_failure(void)
{
    s64 port = sys_port_create(0);
    s64 conn = port < 0 ? port : sys_conn_create((s32)port, 1, 0);

    EXPECT_TRUE(port >= 0 || port == -ENOMEM);
    EXPECT_TRUE(conn >= 0 || conn == -ENOMEM);
}

/* Runs in the test's own thread, because that is whose allocations fail. */
TEST_EACH_ALLOC(msg, a_call_without_memory_fails_cleanly)
{
    struct file *port = NULL;
    struct file *conn = NULL;
    int error = port_create(0, &port);

    if (error == 0) {
        error = connection_alloc(O_RDWR, &conn);
    }
    if (error == 0) {
        connection_open(conn, port_of_file(port), 1, 0, 0, NULL);
        file_put(conn);
    }
    if (port != NULL) {
        file_put(port);
    }
    EXPECT_EQ(ktest_alloc_failed() ? -ENOMEM : 0, error);
}

TEST(msg, descriptors_of_ports_end_with_their_process)
{
    ipc_test_run(body_alloc_failure);
}
