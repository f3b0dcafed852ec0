/* Input: editing, signals, the buffer that readers take from. */
#include <signal.h>
#include <string.h>
#include <termios.h>
#include "ldisc.h"

#define DISABLED_CHARACTER 0 /* a control character of this value does not exist */
#define TAB_WIDTH          8u

static const uint8_t default_cc[LDISC_NCCS] = {
    [VINTR] = 3,      [VQUIT] = 034,   [VERASE] = 0177, [VKILL] = 025, [VEOF] = 4,
    [VMIN] = 1,       [VSTART] = 021,  [VSTOP] = 023,   [VSUSP] = 032, [VREPRINT] = 022,
    [VDISCARD] = 017, [VWERASE] = 027, [VLNEXT] = 026,
};

void ldisc_init(struct ldisc *ldisc, struct ldisc_sink *sink)
{
    memset(ldisc, 0, sizeof(*ldisc));
    ldisc->sink = sink;
    ldisc->termios.iflag = ICRNL | IXON;
    ldisc->termios.oflag = OPOST | ONLCR;
    ldisc->termios.cflag = B9600 | CS8 | CREAD | HUPCL | CLOCAL;
    ldisc->termios.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    ldisc->termios.ispeed = 9600;
    ldisc->termios.ospeed = 9600;
    memcpy(ldisc->termios.cc, default_cc, sizeof(default_cc));
}

static bool has_lflag(const struct ldisc *ldisc, uint32_t flag)
{
    return ldisc_has(ldisc->termios.lflag, flag);
}

static bool has_iflag(const struct ldisc *ldisc, uint32_t flag)
{
    return ldisc_has(ldisc->termios.iflag, flag);
}

static bool is_cc(const struct ldisc *ldisc, int which, uint8_t byte)
{
    return byte != DISABLED_CHARACTER && ldisc->termios.cc[which] == byte;
}

static uint8_t *at(struct ldisc *ldisc, uint32_t position)
{
    return &ldisc->bytes[position % LDISC_CAPACITY];
}

static bool get_bit(const uint8_t *bits, uint32_t position)
{
    position %= LDISC_CAPACITY;
    return (bits[position / 8] >> (position % 8) & 1) != 0;
}

static void set_bit(uint8_t *bits, uint32_t position, bool value)
{
    position %= LDISC_CAPACITY;
    uint8_t mask = (uint8_t)(1u << (position % 8));
    bits[position / 8] = value ? bits[position / 8] | mask : bits[position / 8] & (uint8_t)~mask;
}

/*
 * One place is kept for the end of a line. A line that fills the buffer is cut: further bytes
 * replace its last one, so that the end of the line can still be typed.
 */
static bool make_room(struct ldisc *ldisc)
{
    if (ldisc->head - ldisc->tail < LDISC_CAPACITY - 1) {
        return true;
    }
    bool is_one_line = has_lflag(ldisc, ICANON) && ldisc->canon_head == ldisc->tail;
    if (!is_one_line) {
        return false;
    }
    ldisc->head = ldisc->tail + LDISC_CAPACITY - 2;
    return true;
}

static void put(struct ldisc *ldisc, uint8_t byte)
{
    if (!make_room(ldisc)) {
        return;
    }
    *at(ldisc, ldisc->head) = byte;
    set_bit(ldisc->line_ends, ldisc->head, false);
    set_bit(ldisc->eofs, ldisc->head, false);
    ldisc->head++;
}

static void end_line(struct ldisc *ldisc, uint8_t byte, bool is_eof)
{
    if (ldisc->head - ldisc->tail == LDISC_CAPACITY) {
        return;
    }
    *at(ldisc, ldisc->head) = byte;
    set_bit(ldisc->line_ends, ldisc->head, true);
    set_bit(ldisc->eofs, ldisc->head, is_eof);
    ldisc->head++;
    ldisc->canon_head = ldisc->head;
}

static void finish_erasing(struct ldisc *ldisc)
{
    if (ldisc->is_erasing) {
        ldisc_echo_raw(ldisc, '/');
        ldisc->is_erasing = false;
    }
}

/* Take the cursor back over a tab: to the column where the text before it ends. */
static void erase_tab(struct ldisc *ldisc)
{
    uint32_t columns = 0;
    uint32_t position = ldisc->head;
    bool is_after_tab = false;

    while (position != ldisc->canon_head && !is_after_tab) {
        uint8_t byte = *at(ldisc, --position);
        if (byte == '\t') {
            is_after_tab = true;
        } else if (ldisc_is_control(byte)) {
            columns += has_lflag(ldisc, ECHOCTL) ? 2 : 0;
        } else if (!ldisc_is_continuation(ldisc->termios.iflag, byte)) {
            columns++;
        }
    }
    if (!is_after_tab) {
        columns += ldisc->canon_column;
    }
    ldisc_echo_back(ldisc, TAB_WIDTH - columns % TAB_WIDTH);
}

static void rub_out(struct ldisc *ldisc)
{
    ldisc_echo_raw(ldisc, '\b');
    ldisc_echo_raw(ldisc, ' ');
    ldisc_echo_raw(ldisc, '\b');
}

/* Show that the character of @len bytes at head, just taken off, is gone. */
static void echo_erased(struct ldisc *ldisc, uint32_t len, bool is_single)
{
    uint8_t first = *at(ldisc, ldisc->head);

    if (has_lflag(ldisc, ECHOPRT)) {
        if (!ldisc->is_erasing) {
            ldisc_echo_raw(ldisc, '\\');
            ldisc->is_erasing = true;
        }
        ldisc_echo(ldisc, first);
        for (uint32_t i = 1; i < len; i++) {
            ldisc_echo_raw(ldisc, *at(ldisc, ldisc->head + i));
        }
    } else if (is_single && !has_lflag(ldisc, ECHOE)) {
        ldisc_echo(ldisc, ldisc->termios.cc[VERASE]);
    } else if (first == '\t') {
        erase_tab(ldisc);
    } else if (!ldisc_is_control(first)) {
        rub_out(ldisc);
    } else if (has_lflag(ldisc, ECHOCTL)) {
        rub_out(ldisc);
        rub_out(ldisc);
    }
}

enum erase_kind {
    ERASE_CHARACTER,
    ERASE_WORD,
    ERASE_LINE,
};

/* Where the last character of the edited line begins; head if only half of one is there. */
static uint32_t last_character(struct ldisc *ldisc)
{
    uint32_t position = ldisc->head;
    uint8_t byte;

    do {
        byte = *at(ldisc, --position);
    } while (ldisc_is_continuation(ldisc->termios.iflag, byte) && position != ldisc->canon_head);
    return ldisc_is_continuation(ldisc->termios.iflag, byte) ? ldisc->head : position;
}

static void erase(struct ldisc *ldisc, enum erase_kind kind)
{
    bool has_seen_word = false;
    bool is_done = false;

    while (ldisc->head != ldisc->canon_head && !is_done) {
        uint32_t position = last_character(ldisc);
        uint8_t byte = *at(ldisc, position);
        bool is_word = ldisc_is_word(byte);
        if (position == ldisc->head || (kind == ERASE_WORD && has_seen_word && !is_word)) {
            break;
        }
        has_seen_word = has_seen_word || is_word;
        uint32_t len = ldisc->head - position;
        ldisc->head = position;
        if (has_lflag(ldisc, ECHO)) {
            echo_erased(ldisc, len, kind == ERASE_CHARACTER);
        }
        is_done = kind == ERASE_CHARACTER;
    }
    if (ldisc->head == ldisc->canon_head && has_lflag(ldisc, ECHO)) {
        finish_erasing(ldisc);
    }
}

static void kill_line(struct ldisc *ldisc)
{
    const uint32_t visibly = ECHOK | ECHOKE | ECHOE;

    if (ldisc->head == ldisc->canon_head) {
        return;
    }
    if (!has_lflag(ldisc, ECHO)) {
        ldisc->head = ldisc->canon_head;
        return;
    }
    if ((ldisc->termios.lflag & visibly) == visibly) {
        erase(ldisc, ERASE_LINE);
        return;
    }
    ldisc->head = ldisc->canon_head;
    finish_erasing(ldisc);
    ldisc_echo(ldisc, ldisc->termios.cc[VKILL]);
    if (has_lflag(ldisc, ECHOK)) {
        ldisc_echo_raw(ldisc, '\n');
    }
}

static void reprint(struct ldisc *ldisc)
{
    finish_erasing(ldisc);
    ldisc_echo(ldisc, ldisc->termios.cc[VREPRINT]);
    ldisc_echo_raw(ldisc, '\n');
    for (uint32_t i = ldisc->canon_head; i != ldisc->head; i++) {
        ldisc_echo(ldisc, *at(ldisc, i));
    }
}

/* Echo a byte that goes into the line. */
static void echo_typed(struct ldisc *ldisc, uint8_t byte)
{
    if (!has_lflag(ldisc, ECHO)) {
        return;
    }
    finish_erasing(ldisc);
    if (ldisc->head == ldisc->canon_head) {
        ldisc->canon_column = ldisc->column;
    }
    ldisc_echo(ldisc, byte);
}

/* A byte that means nothing but itself. A newline that was a return looks like a newline. */
static void receive_plain(struct ldisc *ldisc, uint8_t byte, bool was_return)
{
    if (was_return && has_lflag(ldisc, ECHO)) {
        finish_erasing(ldisc);
        ldisc_echo_raw(ldisc, byte);
    } else {
        echo_typed(ldisc, byte);
    }
    if (byte == 0377 && has_iflag(ldisc, PARMRK)) {
        put(ldisc, 0377);
    }
    put(ldisc, byte);
}

static bool receive_flow(struct ldisc *ldisc, uint8_t byte)
{
    if (!has_iflag(ldisc, IXON)) {
        return false;
    }
    if (is_cc(ldisc, VSTART, byte)) {
        ldisc_set_stopped(ldisc, false);
        return true;
    }
    if (is_cc(ldisc, VSTOP, byte)) {
        ldisc_set_stopped(ldisc, true);
        return true;
    }
    return false;
}

/* The signal that a byte asks for, or 0. */
static int signal_of(const struct ldisc *ldisc, uint8_t byte)
{
    static const struct {
        int cc;
        int signal;
    } signals[] = {{VINTR, SIGINT}, {VQUIT, SIGQUIT}, {VSUSP, SIGTSTP}};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (is_cc(ldisc, signals[i].cc, byte)) {
            return signals[i].signal;
        }
    }
    return 0;
}

static bool receive_signal(struct ldisc *ldisc, uint8_t byte)
{
    int signal = signal_of(ldisc, byte);

    if (signal == 0 || !has_lflag(ldisc, ISIG)) {
        return false;
    }
    if (!has_lflag(ldisc, NOFLSH)) {
        ldisc_flush_input(ldisc);
        ldisc->sink->discard_output(ldisc->sink);
    }
    if (has_iflag(ldisc, IXON)) {
        ldisc_set_stopped(ldisc, false);
    }
    if (has_lflag(ldisc, ECHO)) {
        ldisc_echo(ldisc, byte);
    }
    ldisc->sink->signal(ldisc->sink, signal);
    return true;
}

/* Editing characters of canonical mode. Return: the byte was one. */
static bool receive_editing(struct ldisc *ldisc, uint8_t byte)
{
    bool is_extended = has_lflag(ldisc, IEXTEN);

    if (is_cc(ldisc, VERASE, byte)) {
        erase(ldisc, ERASE_CHARACTER);
    } else if (is_cc(ldisc, VKILL, byte)) {
        kill_line(ldisc);
    } else if (is_extended && is_cc(ldisc, VWERASE, byte)) {
        erase(ldisc, ERASE_WORD);
    } else if (is_extended && is_cc(ldisc, VLNEXT, byte)) {
        ldisc->is_literal_next = true;
        if (has_lflag(ldisc, ECHO)) {
            finish_erasing(ldisc);
            if (has_lflag(ldisc, ECHOCTL)) {
                ldisc_echo_raw(ldisc, '^');
                ldisc_echo_raw(ldisc, '\b');
            }
        }
    } else if (is_extended && has_lflag(ldisc, ECHO) && is_cc(ldisc, VREPRINT, byte)) {
        reprint(ldisc);
    } else {
        return false;
    }
    return true;
}

/* Characters that end a line of canonical mode. Return: the byte was one. */
static bool receive_line_end(struct ldisc *ldisc, uint8_t byte)
{
    if (byte == '\n') {
        if (has_lflag(ldisc, ECHO | ECHONL)) {
            ldisc_echo_raw(ldisc, '\n');
        }
        end_line(ldisc, byte, false);
        return true;
    }
    if (is_cc(ldisc, VEOF, byte)) {
        end_line(ldisc, DISABLED_CHARACTER, true);
        return true;
    }
    if (is_cc(ldisc, VEOL, byte) || (has_lflag(ldisc, IEXTEN) && is_cc(ldisc, VEOL2, byte))) {
        if (has_lflag(ldisc, ECHO)) {
            if (ldisc->head == ldisc->canon_head) {
                ldisc->canon_column = ldisc->column;
            }
            ldisc_echo(ldisc, byte);
        }
        end_line(ldisc, byte, false);
        return true;
    }
    return false;
}

static void receive_byte(struct ldisc *ldisc, uint8_t byte)
{
    if (has_iflag(ldisc, ISTRIP)) {
        byte &= 0x7f;
    }
    if (has_iflag(ldisc, IUCLC) && has_lflag(ldisc, IEXTEN) && ldisc_is_upper(byte)) {
        byte += 'a' - 'A';
    }
    if (ldisc->is_literal_next) {
        ldisc->is_literal_next = false;
        receive_plain(ldisc, byte, false);
        return;
    }
    if (receive_flow(ldisc, byte) || receive_signal(ldisc, byte)) {
        return;
    }
    if (ldisc->is_stopped && has_iflag(ldisc, IXON) && has_iflag(ldisc, IXANY)) {
        ldisc_set_stopped(ldisc, false);
    }
    bool was_return = byte == '\r' && has_iflag(ldisc, ICRNL);
    if (byte == '\r') {
        if (has_iflag(ldisc, IGNCR)) {
            return;
        }
        byte = was_return ? '\n' : byte;
    } else if (byte == '\n' && has_iflag(ldisc, INLCR)) {
        byte = '\r';
    }
    if (has_lflag(ldisc, ICANON) &&
        (receive_editing(ldisc, byte) || receive_line_end(ldisc, byte))) {
        return;
    }
    receive_plain(ldisc, byte, was_return);
}

void ldisc_receive(struct ldisc *ldisc, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        receive_byte(ldisc, bytes[i]);
    }
}

void ldisc_set_stopped(struct ldisc *ldisc, bool is_stopped)
{
    ldisc->is_stopped = is_stopped;
}

void ldisc_set_termios(struct ldisc *ldisc, const struct ldisc_termios *termios)
{
    bool was_canonical = has_lflag(ldisc, ICANON);

    ldisc->termios = *termios;
    if (!has_iflag(ldisc, IXON) && ldisc->is_stopped) {
        ldisc_set_stopped(ldisc, false);
    }
    if (was_canonical == has_lflag(ldisc, ICANON)) {
        return;
    }
    memset(ldisc->line_ends, 0, sizeof(ldisc->line_ends));
    memset(ldisc->eofs, 0, sizeof(ldisc->eofs));
    ldisc->canon_head = ldisc->tail;
    ldisc->is_erasing = false;
    ldisc->is_literal_next = false;
    if (has_lflag(ldisc, ICANON) && ldisc->head != ldisc->tail) {
        set_bit(ldisc->line_ends, ldisc->head - 1, true);
        ldisc->canon_head = ldisc->head;
    }
}

bool ldisc_has_input(const struct ldisc *ldisc)
{
    uint32_t end = has_lflag(ldisc, ICANON) ? ldisc->canon_head : ldisc->head;
    return end != ldisc->tail;
}

uint32_t ldisc_input_count(const struct ldisc *ldisc)
{
    if (!has_lflag(ldisc, ICANON)) {
        return ldisc->head - ldisc->tail;
    }
    uint32_t count = 0;
    for (uint32_t i = ldisc->tail; i != ldisc->canon_head; i++) {
        count += get_bit(ldisc->eofs, i) ? 0 : 1;
    }
    return count;
}

size_t ldisc_read(struct ldisc *ldisc, uint8_t *buf, size_t len)
{
    bool is_canonical = has_lflag(ldisc, ICANON);
    uint32_t end = is_canonical ? ldisc->canon_head : ldisc->head;
    size_t count = 0;

    while (count < len && ldisc->tail != end) {
        uint32_t position = ldisc->tail++;
        bool ends_line = is_canonical && get_bit(ldisc->line_ends, position);
        if (!(ends_line && get_bit(ldisc->eofs, position))) {
            buf[count++] = *at(ldisc, position);
        }
        if (ends_line) {
            return count;
        }
    }
    if (!is_canonical) {
        ldisc->canon_head = ldisc->tail;
    } else if (count > 0 && ldisc->tail != end && get_bit(ldisc->eofs, ldisc->tail)) {
        /* The end of file that ended what was just read is not another, empty one. */
        ldisc->tail++;
    }
    return count;
}

void ldisc_flush_input(struct ldisc *ldisc)
{
    ldisc->tail = ldisc->head;
    ldisc->canon_head = ldisc->head;
    ldisc->is_literal_next = false;
    ldisc->is_erasing = false;
}
