/* Output processing and echo, with the cursor's column kept. */
#include <termios.h>
#include "ldisc.h"

#define TAB_WIDTH   8u
#define ECHO_ESCAPE 0xff

static void emit(struct ldisc *ldisc, uint8_t byte)
{
    ldisc->sink->output(ldisc->sink, &byte, 1);
}

static void put_newline(struct ldisc *ldisc)
{
    uint32_t oflag = ldisc->termios.oflag;

    if (ldisc_has(oflag, ONLRET)) {
        ldisc->column = 0;
    }
    if (ldisc_has(oflag, ONLCR)) {
        ldisc->column = 0;
        emit(ldisc, '\r');
    }
    ldisc->canon_column = ldisc->column;
    emit(ldisc, '\n');
}

static void put_return(struct ldisc *ldisc)
{
    uint32_t oflag = ldisc->termios.oflag;

    if (ldisc_has(oflag, ONOCR) && ldisc->column == 0) {
        return;
    }
    if (ldisc_has(oflag, OCRNL)) {
        if (ldisc_has(oflag, ONLRET)) {
            ldisc->column = 0;
            ldisc->canon_column = 0;
        }
        emit(ldisc, '\n');
        return;
    }
    ldisc->column = 0;
    ldisc->canon_column = 0;
    emit(ldisc, '\r');
}

static void put_tab(struct ldisc *ldisc)
{
    uint32_t spaces = TAB_WIDTH - ldisc->column % TAB_WIDTH;

    ldisc->column += spaces;
    if ((ldisc->termios.oflag & TABDLY) != XTABS) {
        emit(ldisc, '\t');
        return;
    }
    while (spaces-- > 0) {
        emit(ldisc, ' ');
    }
}

void ldisc_put_output(struct ldisc *ldisc, uint8_t byte)
{
    if (!ldisc_has(ldisc->termios.oflag, OPOST)) {
        emit(ldisc, byte);
        return;
    }
    switch (byte) {
    case '\n':
        put_newline(ldisc);
        return;
    case '\r':
        put_return(ldisc);
        return;
    case '\t':
        put_tab(ldisc);
        return;
    case '\b':
        ldisc->column -= ldisc->column > 0 ? 1 : 0;
        break;
    default:
        if (ldisc_is_control(byte)) {
            break;
        }
        if (ldisc_has(ldisc->termios.oflag, OLCUC) && ldisc_is_lower(byte)) {
            byte -= 'a' - 'A';
        }
        ldisc->column += ldisc_is_continuation(ldisc->termios.iflag, byte) ? 0 : 1;
        break;
    }
    emit(ldisc, byte);
}

void ldisc_write(struct ldisc *ldisc, const uint8_t *bytes, size_t len)
{
    if (!ldisc_has(ldisc->termios.oflag, OPOST)) {
        ldisc->sink->output(ldisc->sink, bytes, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        ldisc_put_output(ldisc, bytes[i]);
    }
}

void ldisc_echo_raw(struct ldisc *ldisc, uint8_t byte)
{
    /* This byte is not a letter to Linux's echo, which uses it as an escape. */
    if (byte == ECHO_ESCAPE) {
        emit(ldisc, byte);
        ldisc->column++;
        return;
    }
    ldisc_put_output(ldisc, byte);
}

void ldisc_echo(struct ldisc *ldisc, uint8_t byte)
{
    if (ldisc_has(ldisc->termios.lflag, ECHOCTL) && ldisc_is_control(byte) && byte != '\t') {
        emit(ldisc, '^');
        emit(ldisc, byte ^ 0100);
        ldisc->column += 2;
        return;
    }
    ldisc_echo_raw(ldisc, byte);
}

void ldisc_echo_back(struct ldisc *ldisc, uint32_t columns)
{
    while (columns-- > 0) {
        emit(ldisc, '\b');
        ldisc->column -= ldisc->column > 0 ? 1 : 0;
    }
}
