/*
 * A client of a server under test, in the same process: messages go straight to the server's table
 * of operations, and what it would ask the kernel is answered from here.
 */
#ifndef HOST_FAKE_CB_H
#define HOST_FAKE_CB_H

#include <stdbool.h>
#include <stdint.h>
#include <cb_server.h>

#define FAKE_PORT     77
#define FAKE_DEFERRED INT64_MIN /* the server has not answered yet */

/* One message of a client; what is absent stays zero. */
struct fake_call {
    uint32_t op;
    uint64_t cookie;
    uint64_t cookie2;
    uint64_t args[6];
    const char *path;
    const char *path2;
    const void *send;
    uint64_t send_len;
    void *recv;
    uint64_t recv_len;
    bool is_dead; /* the client is gone: its memory cannot be reached */
    /* out */
    uint64_t id;
    struct cb_reply reply; /* valid once answered */
    int64_t result;
    char text[4200]; /* the reply's data, NUL-terminated, for names and paths */
};

/* Who sends from now on. */
extern struct cb_sender fake_sender;

/** fake_serve() - the server that messages go to. */
void fake_serve(const struct cb_server *server);

/** fake_send() - send a message. Return: its result, or FAKE_DEFERRED; @call stays known. */
int64_t fake_send(struct fake_call *call);

/** fake_forget() - forget a deferred call whose memory goes away. */
void fake_forget(struct fake_call *call);

/** fake_notified() - the poll mask last told for a cookie. */
unsigned fake_notified(uint64_t cookie);

/* What cb_kinfo() answers. */
extern struct cb_proc_info fake_proc;
extern struct cb_mem_info fake_mem;
extern struct cb_sys_info fake_sys;
extern struct cb_vma_info fake_vmas[4];
extern int fake_nr_vmas;
extern struct cb_fd_info fake_fds[4];
extern int fake_nr_fds;

/* The content of direct device 0; NULL: there is none. */
#define FAKE_DAX_FRAMES 512u
#define FAKE_DAX_FRAME  4096u
extern uint8_t *fake_dax;

/** fake_dax_write_back() - bring what open files have of the device into fake_dax. */
void fake_dax_write_back(void);

#endif
