/*
 * What the suites about files and messages share: test bodies and their peers as processes with
 * descriptors and some memory, and the calls they make.
 */
#ifndef TESTS_KERNEL_IPC_TEST_H
#define TESTS_KERNEL_IPC_TEST_H

#include <debug/ktest.h>
#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/port.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <syscall/syscalls.h>
#include <uapi/cowbell.h>

/* User memory of every body and peer. */
#define IPC_DATA      0x30000000UL
#define IPC_DATA_SIZE (64 * PAGE_SIZE)
#define IPC_READ_ONLY 0x38000000UL /* one page */
#define IPC_UNMAPPED  0x3c000000UL
#define IPC_KERNEL    0xffff800000000000UL
#define IPC_MSG       IPC_DATA                    /* a received message */
#define IPC_BUF       (IPC_DATA + 16 * PAGE_SIZE) /* anything else */

/** ipc_test_run() - run @body as a process; returns when it has ended. */
void ipc_test_run(void (*body)(void));

/* A second process of a test. */
struct peer {
    void (*fn)(struct peer *peer);
    struct file *file; /* what it works on; the test keeps a reference */
    s64 result;        /* what it found out */
    u64 arg;
    struct thread *thread;
    struct process *process; /* set once it runs */
    bool is_done;            /* @fn has returned */
    bool is_installed;       /* the descriptor owns the reference to @file */
    bool has_handler;        /* it catches SIGUSR1 */
};

/** peer_start() - let a peer run; fill in fn, file and arg before. */
void peer_start(struct peer *peer);

/** peer_fd() - a descriptor of the peer's for its file, which it then owns. */
s64 peer_fd(struct peer *peer);

/** peer_join() - wait until the peer's process has ended. */
void peer_join(struct peer *peer);

/** peer_signal() - send a signal to the peer's process. */
void peer_signal(struct peer *peer, int signal);

/** ipc_until() - give way until @condition holds, at most a guest second. */
#define ipc_until(condition)                                                                       \
    ({                                                                                             \
        u64 until_deadline_ = clock_monotonic_ns() + ktest_patience_ns(NSEC_PER_SEC);              \
        while (!(condition) && clock_monotonic_ns() < until_deadline_) {                           \
            sched_yield_current();                                                                 \
        }                                                                                          \
        EXPECT_TRUE(condition);                                                                    \
    })

/** ipc_file() - the file behind a descriptor, with a reference; NULL if there is none. */
static inline struct file *ipc_file(s64 fd)
{
    struct file *file = NULL;

    return fd_get((s32)fd, &file) == 0 ? file : NULL;
}

/** ipc_put() - store bytes in user memory. */
static inline void ipc_put(u64 addr, const void *data, size_t len)
{
    EXPECT_OK(copy_to_user(addr, data, len));
}

/** ipc_get() - read bytes of user memory. */
static inline void ipc_get(void *data, u64 addr, size_t len)
{
    EXPECT_OK(copy_from_user(data, addr, len));
}

/** ipc_word() - a word of user memory. */
static inline u64 ipc_word(u64 addr)
{
    u64 value = 0;

    EXPECT_OK(get_user_u64(&value, addr));
    return value;
}

/** ipc_receive() - take the next message; @msg gets its header. */
static inline s64 ipc_receive(s64 port, struct cb_msg *msg)
{
    u64 patience_ns = ktest_patience_ns(NSEC_PER_SEC);
    s64 result = sys_msg_receive((s32)port, IPC_MSG, CB_MSG_BUF_MIN, patience_ns);

    if (result == 0) {
        ipc_get(msg, IPC_MSG, sizeof(*msg));
    }
    return result;
}

/** ipc_reply() - send a reply that lies in kernel memory. */
static inline s64 ipc_reply(s64 port, const struct cb_reply *reply)
{
    u64 addr = IPC_DATA + IPC_DATA_SIZE - sizeof(*reply);

    ipc_put(addr, reply, sizeof(*reply));
    return sys_msg_reply((s32)port, addr);
}

static inline s64 ipc_answer(s64 port, u64 id, s64 result)
{
    struct cb_reply reply = {.id = id, .result = result};

    return ipc_reply(port, &reply);
}

#endif
