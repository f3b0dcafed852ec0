/*
 * The terminal: one line discipline over one serial line, the programs that wait for it, and the
 * session that it controls.
 *
 * Reads and writes that cannot finish at once wait in a queue each, oldest first; the main loop
 * goes on with them when the line or the queue changes. A hangup starts a new generation: open
 * files of older generations only see end of file and EIO. That at the end of a session spares
 * those that were opened as /dev/console, which is everybody's.
 */
#ifndef CONSOLE_TTY_H
#define CONSOLE_TTY_H

#include <cb_server.h>
#include "ldisc.h"

#define TTY_DEVICES_MAX 8
#define TTY_CHUNK       1024u /* of one write, between looks at the input */

struct tty_winsize {
    uint16_t rows;
    uint16_t columns;
    uint16_t x_pixels;
    uint16_t y_pixels;
};

/* A request that waits. */
struct tty_request {
    struct tty_request *next;
    uint64_t id;
    uint64_t cookie;
    uint64_t len;
    uint64_t done;        /* of a write */
    uint64_t deadline_ns; /* of a read: CLOCK_MONOTONIC; UINT64_MAX for none */
    uint32_t seen;        /* of a read with VTIME: bytes in the buffer when the time was set */
};

/* A name under which the terminal was opened; fstat(2) tells its numbers. */
struct tty_device {
    char name[32];
    uint64_t dev;
    uint64_t ino;
    uint64_t rdev;
};

struct tty {
    int port;
    int line; /* the serial line */
    struct ldisc ldisc;
    struct tty_winsize winsize;
    int32_t session;    /* that the terminal controls, or 0 */
    int32_t foreground; /* its foreground process group, or 0 */
    int leader;         /* descriptor of the session's leader, to hear of its end, or -1 */
    uint32_t generation;
    uint32_t console_generation; /* the oldest that is not hung up of the console device */
    uint32_t mode;               /* permission bits, owner and group: fchmod(2), fchown(2) */
    uint32_t uid;
    uint32_t gid;
    struct tty_request *reads;
    struct tty_request *writes;
    struct tty_device devices[TTY_DEVICES_MAX];
    size_t nr_devices;
    unsigned poll_mask; /* last told */
};

extern struct tty tty;

/* tty.c */

/** tty_init() - the terminal on a serial line. */
void tty_init(int port, int line);

/** tty_input() - bytes came over the line. */
void tty_input(const uint8_t *bytes, size_t len);

/** tty_progress() - go on with waiting requests. Return: there is more to do at once. */
bool tty_progress(void);

/** tty_deadline_ns() - when a waiting read times out, or UINT64_MAX. */
uint64_t tty_deadline_ns(void);

/** tty_tell_pollers() - tell the kernel the readiness, if it changed. */
void tty_tell_pollers(void);

/** tty_poll_mask() - readiness now. */
unsigned tty_poll_mask(void);

/** tty_read(), tty_write() - READ and WRITE of an open terminal. */
int64_t tty_read(struct cb_request *request);
int64_t tty_write(struct cb_request *request);

/** tty_interrupt() - the sender of a waiting request got a signal or died. */
void tty_interrupt(uint64_t id);

/** tty_hang_up() - end every open file's use of the terminal, and its session. */
void tty_hang_up(void);

/** tty_hang_up_session() - the session's leader has ended: the same, but for the console device. */
void tty_hang_up_session(void);

/** tty_leader_has_ended() - has the leader of the session, if there is one, ended? Waits not. */
bool tty_leader_has_ended(void);

/** tty_forget_output() - writes that wait are dropped; their callers see them as done. */
void tty_forget_output(void);

/** tty_is_hung_up() - the cookie is of an earlier generation. */
bool tty_is_hung_up(uint64_t cookie);

/** tty_cookie() - the cookie of an open through the device with this index. */
uint64_t tty_cookie(size_t device);

/** tty_device_of() - the device a cookie was opened through. */
const struct tty_device *tty_device_of(uint64_t cookie);

/* tty_jobs.c */

enum tty_access {
    TTY_ACCESS_READ,   /* SIGTTIN for background groups */
    TTY_ACCESS_CHANGE, /* SIGTTOU */
};

/** tty_is_own() - is this the sender's controlling terminal? */
bool tty_is_own(const struct cb_sender *sender);

/**
 * tty_check_job() - may the sender use its controlling terminal now?
 * Return: 0, -EIO, or -CB_ERESTARTSYS with the signal sent.
 */
int tty_check_job(const struct cb_sender *sender, enum tty_access access);

/** tty_signal_group() - send a signal to every process of a group. */
void tty_signal_group(int32_t pgid, int signal);

/** tty_acquire() - the terminal becomes that of the sender's session. 0 or -EPERM. */
int tty_acquire(const struct cb_sender *sender, bool may_steal);

/**
 * tty_release() - the sender gives its terminal up, for its whole session if it leads that.
 * Return: 0, -ENOTTY (it has not got it).
 */
int tty_release(const struct cb_sender *sender);

/** tty_set_foreground() - TIOCSPGRP. 0 or -errno. */
int tty_set_foreground(const struct cb_sender *sender, int32_t pgid);

/** Who hears of the end of a session, by SIGHUP and SIGCONT. */
enum tty_told {
    TTY_TELL_NOBODY,     /* the kernel has done that when the leader exited */
    TTY_TELL_FOREGROUND, /* the leader gave the terminal up */
    TTY_TELL_ALL,        /* the leader too: the line was hung up */
};

/** tty_end_session() - nobody controls the terminal any more. */
void tty_end_session(enum tty_told told);

/* tty_ioctl.c */

/** tty_ioctl() - IOCTL of an open terminal. */
int64_t tty_ioctl(struct cb_request *request);

#endif
