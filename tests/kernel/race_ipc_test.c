/*
 * Races of those who wait against those who wake them, in every order: futexes, pipes, messages,
 * children. A wake-up that is lost shows as a deadlock.
 */
#include <debug/explore.h>
#include <ipc/iov.h>
#include <ipc/pipe.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/page.h>
#include <proc/futex.h>
#include <proc/process_internal.h>
#include <uapi/linux/futex.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/wait.h>
#include "msg_test.h"
#include "proc_test.h"

#define RESULT 7 /* of a reply, and of a child that ends */

static struct {
    u64 word; /* a futex, in the memory of the test */
    struct file *ends[2];
    char byte;
    struct service service;
    struct file *port;
    struct peer client;
    struct peer server;
    struct cb_msg received;
    struct thread *runner; /* of the process that waits for its child */
    struct page *page;
    s64 results[EXPLORE_MAX_OPS];
} race;

/* --- futexes ---------------------------------------------------------------------------------- */

static u64 map_word(void)
{
    struct map_request request = {
        .len = PAGE_SIZE, .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    u64 addr = 0;

    EXPECT_OK(mm_map(current_mm(), &request, &addr));
    return addr;
}

static void prepare_futex(void)
{
    race.word = map_word();
    EXPECT_OK(put_user_u32(race.word, 0));
}

static void cleanup_futex(void)
{
    EXPECT_OK(mm_unmap(current_mm(), race.word, PAGE_SIZE));
}

static s64 futex_wait_for_change(void)
{
    struct futex_wait_args args = {
        .uaddr = race.word, .bitset = FUTEX_BITSET_MATCH_ANY, .deadline_ns = DEADLINE_NONE};

    return futex_wait(&args);
}

static void op_futex_wait(void)
{
    race.results[0] = futex_wait_for_change();
}

static void op_futex_wait_too(void)
{
    race.results[1] = futex_wait_for_change();
}

/* As a mutex in user memory does it: the word changes, then the waiters are woken. */
static void op_futex_wake(void)
{
    EXPECT_OK(put_user_u32(race.word, 1));
    race.results[2] = futex_wake(race.word, false, S32_MAX, FUTEX_BITSET_MATCH_ANY);
}

static void check_futex(void)
{
    u32 nr_woken = 0;

    for (u32 i = 0; i < 2; i++) {
        EXPECT_TRUE(race.results[i] == 0 || race.results[i] == -EAGAIN);
        nr_woken += race.results[i] == 0;
    }
    EXPECT_EQ(nr_woken, race.results[2]);
    EXPECT_EQ(0, futex_wake(race.word, false, 1, FUTEX_BITSET_MATCH_ANY));
}

TEST_EXPLORE(race, futex_wait_against_wake)
{
    const struct explore explore = {
        .nr_ops = 3,
        .ops = {op_futex_wait, op_futex_wait_too, op_futex_wake},
        .prepare = prepare_futex,
        .check = check_futex,
        .cleanup = cleanup_futex,
    };

    EXPECT_NE(0, explore_run(&explore));
}

/* --- pipes ------------------------------------------------------------------------------------ */

static void prepare_pipe(void)
{
    race.byte = 0;
    EXPECT_OK(pipe_create(0, race.ends));
}

static s64 pipe_move(struct file *end, void *bytes, size_t len,
                     s64 (*move)(struct file *end, struct iov_iter *iter, bool is_nonblock))
{
    struct iov_iter iter;

    iov_init_kernel(&iter, bytes, len);
    return move(end, &iter, false);
}

static void op_read_to_the_end(void)
{
    char more;

    race.results[0] = pipe_move(race.ends[0], &race.byte, 1, pipe_read_from);
    race.results[1] = pipe_move(race.ends[0], &more, 1, pipe_read_from);
}

static void op_write_and_close(void)
{
    char byte = 'x';

    race.results[2] = pipe_move(race.ends[1], &byte, 1, pipe_write_to);
    file_put(race.ends[1]);
}

static void check_pipe_read(void)
{
    EXPECT_EQ(1, race.results[2]);
    EXPECT_EQ(1, race.results[0]);
    EXPECT_EQ('x', race.byte);
    EXPECT_EQ(0, race.results[1]);
}

static void cleanup_pipe(void)
{
    file_put(race.ends[0]);
}

TEST_EXPLORE(race, pipe_close_against_read)
{
    const struct explore explore = {
        .nr_ops = 2,
        .ops = {op_read_to_the_end, op_write_and_close},
        .prepare = prepare_pipe,
        .check = check_pipe_read,
        .cleanup = cleanup_pipe,
    };

    EXPECT_NE(0, explore_run(&explore));
}

#define FILLING (16 * PAGE_SIZE) /* what a pipe holds */

static u8 filling[FILLING];

static void prepare_full_pipe(void)
{
    prepare_pipe();
    EXPECT_EQ(FILLING, pipe_move(race.ends[1], filling, FILLING, pipe_write_to));
}

static void op_write_one_byte_more(void)
{
    char byte = 'x';

    race.results[0] = pipe_move(race.ends[1], &byte, 1, pipe_write_to);
    file_put(race.ends[1]);
}

static void op_close_reader(void)
{
    file_put(race.ends[0]);
}

static void check_broken_pipe(void)
{
    EXPECT_ERR(-EPIPE, race.results[0]);
}

TEST_EXPLORE(race, pipe_close_against_write)
{
    const struct explore explore = {
        .nr_ops = 2,
        .ops = {op_write_one_byte_more, op_close_reader},
        .prepare = prepare_full_pipe,
        .check = check_broken_pipe,
    };

    EXPECT_NE(0, explore_run(&explore));
}

/* --- messages --------------------------------------------------------------------------------- */

static void client_main(struct peer *peer)
{
    explore_join(0);
    call_main(peer);
    explore_leave();
}

/* Receives one item and answers it, and fills some of the client's memory before it does. */
static void serve(struct peer *peer, u64 timeout_ns)
{
    s32 port = (s32)peer_fd(peer);

    explore_join(1);
    race.results[0] = sys_msg_receive(port, IPC_MSG, CB_MSG_BUF_MIN, timeout_ns);
    if (race.results[0] == 0) {
        ipc_get(&race.received, IPC_MSG, sizeof(race.received));
    }
    if (race.results[0] == 0 && race.received.op == OP) {
        race.results[1] = sys_msg_write(port, race.received.id, 0, IPC_BUF, 8);
        race.results[2] = ipc_answer(port, race.received.id, RESULT);
    }
    explore_leave();
}

static void polling_server_main(struct peer *peer)
{
    serve(peer, 0);
}

static void waiting_server_main(struct peer *peer)
{
    serve(peer, CB_TIMEOUT_NONE);
}

static void op_kill_client(void)
{
    EXPECT_OK(signal_send_process(race.client.process, SIGKILL, NULL));
}

static void prepare_message(void (*server_main)(struct peer *peer))
{
    race.service = service_make(COOKIE, 0);
    race.port = ipc_file(race.service.port);
    race.client = (struct peer){.fn = client_main, .file = race.service.conn};
    race.server = (struct peer){.fn = server_main, .file = race.port};
    race.received.op = 0;
    race.results[1] = -ESRCH;
    race.results[2] = -ESRCH;
    peer_start(&race.client);
    peer_start(&race.server);
}

static void prepare_polling_server(void)
{
    prepare_message(polling_server_main);
}

static void prepare_waiting_server(void)
{
    prepare_message(waiting_server_main);
}

/* The client has the reply if and only if the server was told that it went out. */
static void check_message(void)
{
    peer_join(&race.client);
    peer_join(&race.server);
    EXPECT_TRUE(race.results[0] == 0 || race.results[0] == -EAGAIN);
    EXPECT_TRUE(race.results[1] == 8 || race.results[1] == -ESRCH);
    if (race.results[2] == 0) {
        EXPECT_EQ(8, race.results[1]);
        EXPECT_EQ(RESULT, race.client.result);
    } else {
        EXPECT_ERR(-ESRCH, race.results[2]);
        EXPECT_TRUE(race.client.result == -EINTR || race.client.result == -ERESTARTSYS);
    }
}

static void cleanup_message(void)
{
    file_put(race.port);
    service_end(&race.service);
}

#define MESSAGE_KINDS (BIT(EXPLORE_LOCK) | BIT(EXPLORE_UNLOCK) | BIT(EXPLORE_SLEEP))
#define MESSAGE_RANKS (BIT(RANK_PORT) | BIT(RANK_PROCESS) | BIT(RANK_WAIT_QUEUE))

static void body_message(void)
{
    const struct explore explore = {
        .nr_ops = 3,
        .kinds = MESSAGE_KINDS,
        .ranks = MESSAGE_RANKS,
        .ops = {NULL, NULL, op_kill_client},
        .prepare = prepare_polling_server,
        .check = check_message,
        .cleanup = cleanup_message,
    };

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, message_reply_against_client_kill)
{
    ipc_test_run(body_message);
}

static void check_answer(void)
{
    peer_join(&race.client);
    peer_join(&race.server);
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(8, race.results[1]);
    EXPECT_EQ(0, race.results[2]);
    EXPECT_EQ(RESULT, race.client.result);
}

static void body_answer(void)
{
    const struct explore explore = {
        .nr_ops = 2,
        .kinds = MESSAGE_KINDS,
        .ranks = MESSAGE_RANKS,
        .prepare = prepare_waiting_server,
        .check = check_answer,
        .cleanup = cleanup_message,
    };

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, message_send_against_receive_and_reply_against_wait)
{
    ipc_test_run(body_answer);
}

/* --- processes -------------------------------------------------------------------------------- */

static void body_parent(void)
{
    s64 pid = program_clone(program_exit(RESULT), 0);
    struct thread *child = thread_find_get((s32)pid);

    explore_attach(1, child);
    thread_put(child);
    explore_join(0);
    race.results[0] = program_wait((s32)pid, 0);
    explore_leave();
    EXPECT_ERR(-ECHILD, program_wait((s32)pid, 0));
}

static void runner_main(void *unused)
{
    race.results[1] = proc_test_run(body_parent);
}

static void prepare_wait(void)
{
    race.runner = thread_create_kernel(runner_main, NULL, "runner");
    EXPECT_TRUE(race.runner != NULL);
}

static void check_wait(void)
{
    thread_join_kernel(race.runner);
    EXPECT_EQ(WAIT_STATUS_EXIT(RESULT), race.results[0]);
    EXPECT_EQ(WAIT_STATUS_EXIT(0), race.results[1]);
}

TEST_EXPLORE(race, wait4_against_exit)
{
    const struct explore explore = {
        .nr_ops = 2,
        .kinds = BIT(EXPLORE_LOCK) | BIT(EXPLORE_UNLOCK) | BIT(EXPLORE_SLEEP),
        .ranks =
            BIT(RANK_PROCESS_TREE) | BIT(RANK_PROCESS) | BIT(RANK_SIGHAND) | BIT(RANK_WAIT_QUEUE),
        .prepare = prepare_wait,
        .check = check_wait,
    };

    EXPECT_NE(0, explore_run(&explore));
}

static void exiting_main(struct peer *peer)
{
    ipc_put(IPC_BUF, "before", 7);
    explore_join(0);
    process_exit_group(WAIT_STATUS_EXIT(0));
}

static void prepare_exit(void)
{
    race.client = (struct peer){.fn = exiting_main};
    peer_start(&race.client);
}

static void op_pin_of_process(void)
{
    struct mm *mm = process_mm_get(race.client.process);

    race.results[1] = -ESRCH;
    if (mm != NULL) {
        race.results[1] = pin_user_pages_remote(mm, IPC_BUF, 1, FOLL_WRITE, &race.page);
        mm_put(mm);
    }
}

static void check_exit(void)
{
    peer_join(&race.client);
    EXPECT_TRUE(race.results[1] == 1 || race.results[1] == -ESRCH);
    if (race.results[1] == 1) {
        EXPECT_STR("before", page_to_virt(race.page));
        EXPECT_EQ(1, page_refcount(race.page));
        unpin_user_page(race.page);
    }
}

TEST_EXPLORE(race, process_exit_against_remote_pin)
{
    const struct explore explore = {
        .nr_ops = 2,
        .ops = {NULL, op_pin_of_process},
        .prepare = prepare_exit,
        .check = check_exit,
    };

    EXPECT_NE(0, explore_run(&explore));
}
