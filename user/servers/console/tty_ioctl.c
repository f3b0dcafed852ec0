/* The terminal's ioctls: one table from command to function. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include "tty.h"

/* Linux's numbers that musl does not name. */
#define CMD_TCGETS2     0x802c542au
#define CMD_TCSETS2     0x402c542bu
#define CMD_TCSETSW2    0x402c542cu
#define CMD_TCSETSF2    0x402c542du
#define CMD_TIOCVHANGUP 0x5437u

#define TERMIOS_SIZE 36u /* struct termios of the kernel: termios2 without speeds */
#define TERMIO_SIZE  18u /* the older struct termio */
#define TERMIO_NCC   8u
#define BOTHER_SPEED 0010000u
#define SPEED_MASK   0010017u

struct termio_settings {
    uint16_t iflag;
    uint16_t oflag;
    uint16_t cflag;
    uint16_t lflag;
    uint8_t line;
    uint8_t cc[TERMIO_NCC];
    uint8_t pad;
};

_Static_assert(sizeof(struct termio_settings) == TERMIO_SIZE, "the layout of the ABI");

enum change_kind {
    CHANGE_NOW,
    CHANGE_FLUSH, /* and forget the input */
};

struct command {
    uint32_t number;
    bool is_change; /* background processes are stopped */
    int64_t (*run)(struct cb_request *request);
};

/* What the client sends with the command lies in the message itself: it is small. */
static int64_t take(const struct cb_request *request, void *value, size_t size)
{
    if (request->msg->inline_len >= size) {
        memcpy(value, cb_msg_inline(request->msg), size);
        return 0;
    }
    long copied = cb_msg_read(request->port, request->msg->id, 0, value, size);
    if (copied < 0) {
        return copied;
    }
    return copied == (long)size ? 0 : -EFAULT;
}

static int64_t give(struct cb_request *request, const void *value, size_t size)
{
    /* The reply leaves after the handler's frame: the value must outlive it. */
    static uint8_t kept[64];

    memcpy(kept, value, size);
    cb_request_data(request, kept, size);
    return 0;
}

static const uint32_t speeds[] = {0,   50,   75,   110,  134,  150,  200,   300,
                                  600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
static const uint32_t fast_speeds[] = {0,       57600,   115200,  230400,  460800,  500000,
                                       576000,  921600,  1000000, 1152000, 1500000, 2000000,
                                       2500000, 3000000, 3500000, 4000000};

static void update_speeds(struct ldisc_termios *termios)
{
    uint32_t code = termios->cflag & SPEED_MASK;

    if (code == BOTHER_SPEED) {
        return;
    }
    termios->ospeed = (code & BOTHER_SPEED) != 0 ? fast_speeds[code & 15] : speeds[code & 15];
    termios->ispeed = termios->ospeed;
}

static int64_t get_termios(struct cb_request *request)
{
    return give(request, &tty.ldisc.termios, TERMIOS_SIZE);
}

static int64_t get_termios2(struct cb_request *request)
{
    return give(request, &tty.ldisc.termios, sizeof(tty.ldisc.termios));
}

static int64_t get_termio(struct cb_request *request)
{
    const struct ldisc_termios *termios = &tty.ldisc.termios;
    struct termio_settings old = {
        .iflag = (uint16_t)termios->iflag,
        .oflag = (uint16_t)termios->oflag,
        .cflag = (uint16_t)termios->cflag,
        .lflag = (uint16_t)termios->lflag,
        .line = termios->line,
    };

    memcpy(old.cc, termios->cc, TERMIO_NCC);
    return give(request, &old, sizeof(old));
}

static int64_t change(struct ldisc_termios *termios, enum change_kind kind)
{
    if (kind == CHANGE_FLUSH) {
        ldisc_flush_input(&tty.ldisc);
    }
    update_speeds(termios);
    ldisc_set_termios(&tty.ldisc, termios);
    return 0;
}

static int64_t set_termios(struct cb_request *request)
{
    struct ldisc_termios termios = tty.ldisc.termios;
    int64_t error = take(request, &termios, TERMIOS_SIZE);
    bool flushes = (uint32_t)request->msg->args[0] == TCSETSF;

    if (error != 0) {
        return error;
    }
    return change(&termios, flushes ? CHANGE_FLUSH : CHANGE_NOW);
}

static int64_t set_termios2(struct cb_request *request)
{
    struct ldisc_termios termios;
    int64_t error = take(request, &termios, sizeof(termios));
    bool flushes = (uint32_t)request->msg->args[0] == CMD_TCSETSF2;

    if (error != 0) {
        return error;
    }
    return change(&termios, flushes ? CHANGE_FLUSH : CHANGE_NOW);
}

static int64_t set_termio(struct cb_request *request)
{
    struct ldisc_termios termios = tty.ldisc.termios;
    struct termio_settings old;
    int64_t error = take(request, &old, sizeof(old));
    bool flushes = (uint32_t)request->msg->args[0] == TCSETAF;

    if (error != 0) {
        return error;
    }
    termios.iflag = (termios.iflag & 0xffff0000u) | old.iflag;
    termios.oflag = (termios.oflag & 0xffff0000u) | old.oflag;
    termios.cflag = (termios.cflag & 0xffff0000u) | old.cflag;
    termios.lflag = (termios.lflag & 0xffff0000u) | old.lflag;
    termios.line = old.line;
    memcpy(termios.cc, old.cc, TERMIO_NCC);
    return change(&termios, flushes ? CHANGE_FLUSH : CHANGE_NOW);
}

static int64_t get_group(struct cb_request *request)
{
    if (!tty_is_own(&request->msg->sender)) {
        return -ENOTTY;
    }
    return give(request, &tty.foreground, sizeof(tty.foreground));
}

static int64_t set_group(struct cb_request *request)
{
    int32_t pgid;
    int64_t error = take(request, &pgid, sizeof(pgid));

    return error != 0 ? error : tty_set_foreground(&request->msg->sender, pgid);
}

static int64_t get_session(struct cb_request *request)
{
    if (!tty_is_own(&request->msg->sender)) {
        return -ENOTTY;
    }
    return give(request, &tty.session, sizeof(tty.session));
}

static int64_t acquire(struct cb_request *request)
{
    return tty_acquire(&request->msg->sender, request->msg->args[1] == 1);
}

static int64_t release(struct cb_request *request)
{
    return tty_release(&request->msg->sender);
}

static int64_t get_size(struct cb_request *request)
{
    return give(request, &tty.winsize, sizeof(tty.winsize));
}

static int64_t set_size(struct cb_request *request)
{
    struct tty_winsize size;
    int64_t error = take(request, &size, sizeof(size));

    if (error != 0) {
        return error;
    }
    if (memcmp(&size, &tty.winsize, sizeof(size)) != 0) {
        tty.winsize = size;
        if (tty.foreground != 0) {
            tty_signal_group(tty.foreground, SIGWINCH);
        }
    }
    return 0;
}

static int64_t count_input(struct cb_request *request)
{
    int32_t count = (int32_t)ldisc_input_count(&tty.ldisc);

    return give(request, &count, sizeof(count));
}

static int64_t count_output(struct cb_request *request)
{
    const int32_t none = 0;

    return give(request, &none, sizeof(none));
}

static int64_t flush(struct cb_request *request)
{
    uint64_t which = request->msg->args[1];

    if (which > TCIOFLUSH) {
        return -EINVAL;
    }
    if (which != TCOFLUSH) {
        ldisc_flush_input(&tty.ldisc);
    }
    if (which != TCIFLUSH) {
        tty_forget_output();
    }
    return 0;
}

static int64_t flow(struct cb_request *request)
{
    switch (request->msg->args[1]) {
    case TCOOFF:
        ldisc_set_stopped(&tty.ldisc, true);
        return 0;
    case TCOON:
        ldisc_set_stopped(&tty.ldisc, false);
        return 0;
    case TCIOFF:
        ldisc_write(&tty.ldisc, &tty.ldisc.termios.cc[VSTOP], 1);
        return 0;
    case TCION:
        ldisc_write(&tty.ldisc, &tty.ldisc.termios.cc[VSTART], 1);
        return 0;
    default:
        return -EINVAL;
    }
}

/* Output is on its way before a write is answered, so there is nothing to wait for. */
static int64_t drain(struct cb_request *request)
{
    (void)request;
    return 0;
}

static int64_t simulate_input(struct cb_request *request)
{
    uint8_t byte;
    int64_t error = take(request, &byte, sizeof(byte));

    if (request->msg->sender.uid != 0) {
        return -EPERM;
    }
    if (error == 0) {
        tty_input(&byte, 1);
    }
    return error;
}

static int64_t get_discipline(struct cb_request *request)
{
    const int32_t n_tty = 0;

    return give(request, &n_tty, sizeof(n_tty));
}

static int64_t set_discipline(struct cb_request *request)
{
    int32_t number;
    int64_t error = take(request, &number, sizeof(number));

    if (error != 0) {
        return error;
    }
    return number == 0 ? 0 : -EINVAL;
}

static int64_t hang_up(struct cb_request *request)
{
    if (request->msg->sender.uid != 0) {
        return -EPERM;
    }
    tty_hang_up();
    return 0;
}

static const struct command commands[] = {
    {TCGETS, false, get_termios},
    {TCSETS, true, set_termios},
    {TCSETSW, true, set_termios},
    {TCSETSF, true, set_termios},
    {CMD_TCGETS2, false, get_termios2},
    {CMD_TCSETS2, true, set_termios2},
    {CMD_TCSETSW2, true, set_termios2},
    {CMD_TCSETSF2, true, set_termios2},
    {TCGETA, false, get_termio},
    {TCSETA, true, set_termio},
    {TCSETAW, true, set_termio},
    {TCSETAF, true, set_termio},
    {TIOCGPGRP, false, get_group},
    {TIOCSPGRP, false, set_group},
    {TIOCGSID, false, get_session},
    {TIOCSCTTY, false, acquire},
    {TIOCNOTTY, false, release},
    {TIOCGWINSZ, false, get_size},
    {TIOCSWINSZ, false, set_size},
    {FIONREAD, false, count_input},
    {TIOCOUTQ, false, count_output},
    {TCFLSH, true, flush},
    {TCXONC, true, flow},
    {TCSBRK, true, drain},
    {TCSBRKP, true, drain},
    {TIOCSTI, false, simulate_input},
    {TIOCGETD, false, get_discipline},
    {TIOCSETD, true, set_discipline},
    {CMD_TIOCVHANGUP, false, hang_up},
};

int64_t tty_ioctl(struct cb_request *request)
{
    uint32_t number = (uint32_t)request->msg->args[0];

    if (tty_is_hung_up(request->msg->cookie)) {
        return number == TIOCSPGRP ? -ENOTTY : -EIO;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].number != number) {
            continue;
        }
        int error =
            commands[i].is_change ? tty_check_job(&request->msg->sender, TTY_ACCESS_CHANGE) : 0;
        return error != 0 ? error : commands[i].run(request);
    }
    return -ENOTTY;
}
