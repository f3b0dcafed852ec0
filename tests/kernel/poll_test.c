/* poll, select, epoll: readiness, time-outs, wake-ups, watched files that go away. */
#include "ipc_test.h"

#include <ipc/epoll.h>
#include <ipc/pipe.h>
#include <ipc/poll.h>

#define FDS   IPC_BUF
#define PIPES (IPC_BUF + 4096)

struct ends {
    s32 in;
    s32 out;
};

static struct ends make_pipe(void)
{
    struct ends ends = {-1, -1};

    EXPECT_OK(sys_pipe2(PIPES, O_NONBLOCK));
    ipc_get(&ends, PIPES, sizeof(ends));
    return ends;
}

static s64 poll_two(s32 a, s16 a_events, s32 b, s16 b_events, s32 timeout_ms, s16 revents[2])
{
    struct pollfd fds[2] = {{a, a_events, 99}, {b, b_events, 99}};
    s64 result;

    ipc_put(FDS, fds, sizeof(fds));
    result = sys_poll(FDS, 2, timeout_ms);
    ipc_get(fds, FDS, sizeof(fds));
    revents[0] = fds[0].revents;
    revents[1] = fds[1].revents;
    return result;
}

static void body_ready(void)
{
    struct ends ends = make_pipe();
    s16 revents[2];

    EXPECT_EQ(1, poll_two(ends.in, POLLIN, ends.out, POLLOUT, -1, revents));
    EXPECT_EQ(0, revents[0]);
    EXPECT_EQ(POLLOUT, revents[1]);
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    EXPECT_EQ(2, poll_two(ends.in, POLLIN, ends.out, POLLOUT, 0, revents));
    EXPECT_EQ(POLLIN, revents[0]);
    EXPECT_EQ(1, poll_two(-1, POLLIN, 99, POLLIN, 0, revents));
    EXPECT_EQ(0, revents[0]);
    EXPECT_EQ(POLLNVAL, revents[1]);
    EXPECT_OK(sys_close(ends.out));
    EXPECT_EQ(1, poll_two(ends.in, POLLIN, -1, 0, 0, revents));
    EXPECT_EQ(POLLIN | POLLHUP, revents[0]);
    EXPECT_ERR(-EFAULT, sys_poll(IPC_UNMAPPED, 1, 0));
    EXPECT_ERR(-EINVAL, sys_poll(FDS, ~0u, 0));
    EXPECT_EQ(0, sys_poll(0, 0, 0));
}

TEST(poll, readiness_is_reported_descriptor_by_descriptor)
{
    ipc_test_run(body_ready);
}

static void body_timeout(void)
{
    struct ends ends = make_pipe();
    u64 start = clock_monotonic_ns();
    s16 revents[2];

    EXPECT_EQ(0, poll_two(ends.in, POLLIN, -1, 0, 20, revents));
    EXPECT_LE(20 * NSEC_PER_MSEC, clock_monotonic_ns() - start);
    EXPECT_EQ(0, revents[0]);
}

TEST(poll, a_poll_without_events_ends_with_its_time)
{
    ipc_test_run(body_timeout);
}

static void poller_main(struct peer *peer)
{
    struct pollfd fd = {.fd = (s32)peer_fd(peer), .events = (s16)peer->arg};

    ipc_put(FDS, &fd, sizeof(fd));
    peer->result = sys_poll(FDS, 1, -1);
    ipc_get(&fd, FDS, sizeof(fd));
    peer->arg = (u16)fd.revents;
}

static void body_wake(void)
{
    struct file *ends[2];
    struct peer pollers[3];
    struct iov_iter iter;

    ASSERT_OK(pipe_create(0, ends));
    memset(pollers, 0, sizeof(pollers));
    for (u32 i = 0; i < ARRAY_SIZE(pollers); i++) {
        pollers[i].fn = poller_main;
        pollers[i].file = ends[0];
        pollers[i].arg = POLLIN;
        peer_start(&pollers[i]);
    }
    for (u32 i = 0; i < 30; i++) {
        sched_yield_current();
    }
    iov_init_kernel(&iter, "x", 1);
    EXPECT_EQ(1, ends[1]->ops->write(ends[1], &iter, NULL));
    for (u32 i = 0; i < ARRAY_SIZE(pollers); i++) {
        peer_join(&pollers[i]);
        EXPECT_EQ(1, pollers[i].result);
        EXPECT_EQ(POLLIN, pollers[i].arg);
    }
    file_put(ends[0]);
    file_put(ends[1]);
}

TEST(poll, one_write_wakes_every_poller)
{
    ipc_test_run(body_wake);
}

static void body_signal(void)
{
    struct file *ends[2];
    struct peer peer = {.fn = poller_main, .arg = POLLIN, .has_handler = true};

    ASSERT_OK(pipe_create(0, ends));
    peer.file = ends[0];
    peer_start(&peer);
    peer_signal(&peer, SIGUSR1);
    peer_join(&peer);
    EXPECT_ERR(-ERESTART_RESTARTBLOCK, peer.result);
    file_put(ends[0]);
    file_put(ends[1]);
}

TEST(poll, a_signal_ends_a_poll)
{
    ipc_test_run(body_signal);
}

static void body_notify(void)
{
    s64 port = sys_port_create(0);
    s64 fd = sys_conn_create((s32)port, 5, 0);
    s64 other = sys_conn_create((s32)port, 6, CB_CONN_READY);
    struct file *conn = ipc_file(fd);
    struct peer peer = {.fn = poller_main, .file = conn, .arg = POLLIN};
    s16 revents[2];

    EXPECT_EQ(1, poll_two((s32)fd, POLLIN, (s32)other, POLLIN, 0, revents));
    EXPECT_EQ(POLLIN, revents[1]);
    peer_start(&peer);
    for (u32 i = 0; i < 20; i++) {
        sched_yield_current();
    }
    EXPECT_FALSE(peer.is_done);
    EXPECT_OK(sys_conn_notify((s32)port, 4, POLLIN));
    EXPECT_OK(sys_conn_notify((s32)port, 5, POLLIN));
    peer_join(&peer);
    EXPECT_EQ(1, peer.result);
    EXPECT_EQ(1, poll_two((s32)fd, POLLIN, -1, 0, 0, revents));
    EXPECT_OK(sys_conn_notify((s32)port, 5, 0));
    EXPECT_EQ(0, poll_two((s32)fd, POLLIN, -1, 0, 0, revents));
    EXPECT_OK(sys_close((s32)port));
    EXPECT_EQ(1, poll_two((s32)fd, 0, -1, 0, -1, revents));
    EXPECT_EQ(POLLERR | POLLHUP, revents[0]);
    file_put(conn);
}

TEST(poll, a_server_tells_the_readiness_of_its_connections)
{
    ipc_test_run(body_notify);
}

static void body_select(void)
{
    struct ends ends = make_pipe();
    u64 in = 1ul << ends.in;
    u64 out = 1ul << ends.out;
    u64 timeout[2] = {0, 10000};

    ipc_put(FDS, &in, 8);
    ipc_put(FDS + 8, &out, 8);
    EXPECT_EQ(1, sys_select(ends.out + 1, FDS, FDS + 8, 0, 0));
    EXPECT_EQ(0, ipc_word(FDS));
    EXPECT_EQ(out, ipc_word(FDS + 8));
    ipc_put(FDS, &in, 8);
    ipc_put(FDS + 16, timeout, sizeof(timeout));
    EXPECT_EQ(0, sys_select(ends.in + 1, FDS, 0, 0, FDS + 16));
    EXPECT_EQ(0, ipc_word(FDS));
    EXPECT_EQ(0, ipc_word(FDS + 24));
    in = 1ul << 60;
    ipc_put(FDS, &in, 8);
    EXPECT_ERR(-EBADF, sys_select(61, FDS, 0, 0, 0));
    EXPECT_EQ(in, ipc_word(FDS));
    EXPECT_ERR(-EINVAL, sys_select(-1, 0, 0, 0, 0));
    EXPECT_ERR(-EFAULT, sys_select(1, IPC_UNMAPPED, 0, 0, 0));
    EXPECT_EQ(0, sys_select(0, 0, 0, 0, FDS + 16));
}

TEST(poll, select_reports_sets_and_the_time_left)
{
    ipc_test_run(body_select);
}

/* --- epoll ------------------------------------------------------------------------------------ */

static s64 epoll_set(s32 epoll, u32 op, s32 fd, u32 events)
{
    struct epoll_event event = {.events = events, .data = (u64)fd * 1000};

    ipc_put(FDS, &event, sizeof(event));
    return sys_epoll_ctl(epoll, op, fd, FDS);
}

static s64 epoll_get(s32 epoll, s32 timeout_ms, struct epoll_event *event)
{
    s64 nr = sys_epoll_wait(epoll, FDS, 4, timeout_ms);

    ipc_get(event, FDS, sizeof(*event));
    return nr;
}

static void body_epoll_level(void)
{
    s32 epoll = (s32)sys_epoll_create1(0);
    struct ends ends = make_pipe();
    struct epoll_event event;

    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_ADD, ends.in, EPOLLIN));
    EXPECT_ERR(-EEXIST, epoll_set(epoll, EPOLL_CTL_ADD, ends.in, EPOLLIN));
    EXPECT_ERR(-ENOENT, epoll_set(epoll, EPOLL_CTL_MOD, ends.out, EPOLLIN));
    EXPECT_ERR(-EINVAL, epoll_set(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN));
    EXPECT_ERR(-EINVAL, epoll_set(epoll, 9, ends.out, EPOLLIN));
    EXPECT_ERR(-EBADF, epoll_set(epoll, EPOLL_CTL_ADD, 99, EPOLLIN));
    EXPECT_EQ(0, epoll_get(epoll, 0, &event));
    EXPECT_EQ(0, epoll_get(epoll, 5, &event));
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    for (u32 i = 0; i < 2; i++) {
        EXPECT_EQ(1, epoll_get(epoll, -1, &event));
        EXPECT_EQ(EPOLLIN, event.events);
        EXPECT_EQ((u64)ends.in * 1000, event.data);
    }
    EXPECT_EQ(1, sys_read(ends.in, PIPES, 1));
    EXPECT_EQ(0, epoll_get(epoll, 0, &event));
    EXPECT_ERR(-EFAULT, sys_epoll_wait(epoll, IPC_KERNEL, 4, 0));
    EXPECT_ERR(-EINVAL, sys_epoll_wait(epoll, FDS, 0, 0));
    EXPECT_ERR(-EINVAL, sys_epoll_wait(ends.in, FDS, 4, 0));
    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_DEL, ends.in, 0));
    EXPECT_ERR(-ENOENT, epoll_set(epoll, EPOLL_CTL_DEL, ends.in, 0));
}

TEST(poll, epoll_reports_a_level_as_long_as_it_lasts)
{
    ipc_test_run(body_epoll_level);
}

static void body_epoll_edge(void)
{
    s32 epoll = (s32)sys_epoll_create1(EPOLL_CLOEXEC);
    struct ends ends = make_pipe();
    struct epoll_event event;

    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_ADD, ends.in, EPOLLIN | EPOLLET));
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    EXPECT_EQ(1, epoll_get(epoll, 0, &event));
    EXPECT_EQ(0, epoll_get(epoll, 0, &event));
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    EXPECT_EQ(1, epoll_get(epoll, 0, &event));
    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_MOD, ends.in, EPOLLIN | EPOLLONESHOT));
    EXPECT_EQ(1, epoll_get(epoll, 0, &event));
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    EXPECT_EQ(0, epoll_get(epoll, 0, &event));
    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_MOD, ends.in, EPOLLIN));
    EXPECT_EQ(1, epoll_get(epoll, 0, &event));
}

TEST(poll, epoll_reports_an_edge_once)
{
    ipc_test_run(body_epoll_edge);
}

static void body_epoll_close(void)
{
    s32 epoll = (s32)sys_epoll_create1(0);
    struct ends ends = make_pipe();
    struct ends other = make_pipe();
    struct epoll_event event;
    s32 copy = (s32)sys_dup(ends.in);

    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_ADD, ends.in, EPOLLIN));
    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_ADD, other.out, EPOLLOUT));
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    EXPECT_OK(sys_close(ends.in));
    EXPECT_EQ(2, epoll_get(epoll, 0, &event));
    EXPECT_OK(sys_close(copy));
    EXPECT_EQ(1, epoll_get(epoll, 0, &event));
    EXPECT_EQ((u64)other.out * 1000, event.data);
    EXPECT_OK(sys_close(epoll));
    EXPECT_OK(sys_close(other.out));
}

TEST(poll, the_last_close_of_a_watched_file_ends_the_watch)
{
    ipc_test_run(body_epoll_close);
}

static void epoll_waiter_main(struct peer *peer)
{
    peer->result = sys_epoll_wait((s32)peer_fd(peer), FDS, 4, -1);
}

static void body_epoll_wake(void)
{
    s32 epoll = (s32)sys_epoll_create1(0);
    struct ends ends = make_pipe();
    struct peer peer = {.fn = epoll_waiter_main, .file = ipc_file(epoll)};

    EXPECT_OK(epoll_set(epoll, EPOLL_CTL_ADD, ends.in, EPOLLIN));
    peer_start(&peer);
    for (u32 i = 0; i < 20; i++) {
        sched_yield_current();
    }
    EXPECT_FALSE(peer.is_done);
    EXPECT_EQ(1, sys_write(ends.out, PIPES, 1));
    peer_join(&peer);
    EXPECT_EQ(1, peer.result);
    file_put(peer.file);
}

TEST(poll, a_watched_pipe_wakes_epoll_wait)
{
    ipc_test_run(body_epoll_wake);
}
