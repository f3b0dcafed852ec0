/* Sessions and process groups: whom the terminal serves, whom it stops. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>
#include <console_protocol.h>
#include "tty.h"

#define LIST_MAX 32768

void tty_signal_group(int32_t pgid, int signal)
{
    /* kill(-1) would mean every process: group 1 is init's, and init is alone in it. */
    kill(pgid == 1 ? 1 : -pgid, signal);
}

bool tty_is_own(const struct cb_sender *sender)
{
    return tty.session != 0 && tty.session == sender->sid &&
           (sender->flags & CB_SENDER_NO_TTY) == 0;
}

int tty_check_job(const struct cb_sender *sender, enum tty_access access)
{
    bool reads = access == TTY_ACCESS_READ;
    uint32_t ignored = reads ? CB_SENDER_TTIN_IGNORED : CB_SENDER_TTOU_IGNORED;

    if (!tty_is_own(sender) || tty.foreground == 0 || tty.foreground == sender->pgid) {
        return 0;
    }
    if ((sender->flags & ignored) != 0) {
        return reads ? -EIO : 0;
    }
    if ((sender->flags & CB_SENDER_ORPHANED_PGRP) != 0) {
        return -EIO;
    }
    tty_signal_group(sender->pgid, reads ? SIGTTIN : SIGTTOU);
    return -CB_ERESTARTSYS;
}

static void tell_kernel(void)
{
    cb_session_tty(tty.session, tty.foreground, (int)makedev(CONSOLE_TTY_MAJOR, CONSOLE_TTY_MINOR));
}

/* The session of a process group; a group without processes has none. */
static int32_t session_of_group(int32_t pgid)
{
    struct cb_proc_info info;
    int32_t session = -1;

    if (cb_kinfo(CB_KINFO_PROC, pgid, &info, sizeof(info)) == (long)sizeof(info) &&
        info.pgid == pgid) {
        return info.sid;
    }
    int32_t *pids = malloc(LIST_MAX * sizeof(int32_t));
    if (pids == NULL) {
        return -1;
    }
    long len = cb_kinfo(CB_KINFO_PROC_LIST, 0, pids, LIST_MAX * sizeof(int32_t));
    for (long i = 0; i < len / (long)sizeof(int32_t) && session < 0; i++) {
        if (cb_kinfo(CB_KINFO_PROC, pids[i], &info, sizeof(info)) == (long)sizeof(info) &&
            info.pgid == pgid) {
            session = info.sid;
        }
    }
    free(pids);
    return session;
}

bool tty_leader_has_ended(void)
{
    struct pollfd wait = {.fd = tty.leader, .events = POLLIN};

    return tty.session != 0 && (tty.leader < 0 || poll(&wait, 1, 0) > 0);
}

static void watch_leader(int32_t leader)
{
    if (tty.leader >= 0) {
        close(tty.leader);
    }
    tty.leader = leader == 0 ? -1 : (int)syscall(SYS_pidfd_open, leader, 0);
}

void tty_end_session(enum tty_told told)
{
    int32_t session = tty.session;
    int32_t foreground = tty.foreground;

    if (session == 0) {
        return;
    }
    tty.session = 0;
    tty.foreground = 0;
    watch_leader(0);
    cb_session_tty(session, 0, 0);
    if (told == TTY_TELL_ALL) {
        kill(session, SIGHUP);
        kill(session, SIGCONT);
    }
    if (told != TTY_TELL_NOBODY && foreground != 0 &&
        !(told == TTY_TELL_ALL && foreground == session)) {
        tty_signal_group(foreground, SIGHUP);
        tty_signal_group(foreground, SIGCONT);
    }
}

int tty_acquire(const struct cb_sender *sender, bool may_steal)
{
    bool is_leader = (sender->flags & CB_SENDER_SESSION_LEADER) != 0;

    if (is_leader && tty_is_own(sender)) {
        return 0;
    }
    if (!is_leader || (tty.session != 0 && !(may_steal && sender->uid == 0))) {
        return -EPERM;
    }
    if (tty.session != 0) {
        /* The session that loses its terminal is not told by a signal. */
        cb_session_tty(tty.session, 0, 0);
    }
    tty.session = sender->sid;
    tty.foreground = sender->pgid;
    watch_leader(sender->sid);
    tell_kernel();
    return 0;
}

int tty_release(const struct cb_sender *sender)
{
    if (!tty_is_own(sender)) {
        return -ENOTTY;
    }
    if ((sender->flags & CB_SENDER_SESSION_LEADER) == 0) {
        return cb_leave_tty(sender->pid);
    }
    tty_end_session(TTY_TELL_FOREGROUND);
    return 0;
}

int tty_set_foreground(const struct cb_sender *sender, int32_t pgid)
{
    int error = tty_check_job(sender, TTY_ACCESS_CHANGE);

    if (error != 0) {
        return error == -EIO ? -ENOTTY : error;
    }
    if (!tty_is_own(sender)) {
        return -ENOTTY;
    }
    if (pgid <= 0) {
        return -EINVAL;
    }
    int32_t session = session_of_group(pgid);
    if (session < 0) {
        return -ESRCH;
    }
    if (session != tty.session) {
        return -EPERM;
    }
    if (pgid != tty.foreground) {
        tty.foreground = pgid;
        tell_kernel();
    }
    return 0;
}
