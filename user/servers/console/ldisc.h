/*
 * The line discipline: what lies between a serial line and the programs that read and write a
 * terminal. It edits input lines, echoes, turns control characters into signals and processes
 * output, as termios(3) tells it and Linux does it.
 *
 * Pure: it touches nothing but its own state, and tells the outside through a sink. Everything
 * here is tested on the host.
 *
 * The input buffer is a ring with running counts: tail <= canon_head <= head. In canonical mode
 * bytes between tail and canon_head are complete lines, those behind it the line being edited.
 */
#ifndef CONSOLE_LDISC_H
#define CONSOLE_LDISC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LDISC_CAPACITY 4096u /* a line longer than this is cut, as MAX_CANON says */
#define LDISC_NCCS     19

/* The kernel's struct termios2; its first 36 bytes are struct termios. */
struct ldisc_termios {
    uint32_t iflag;
    uint32_t oflag;
    uint32_t cflag;
    uint32_t lflag;
    uint8_t line;
    uint8_t cc[LDISC_NCCS];
    uint32_t ispeed;
    uint32_t ospeed;
};

_Static_assert(sizeof(struct ldisc_termios) == 44, "the layout of the ABI");

struct ldisc_sink {
    /* Bytes for the terminal. */
    void (*output)(struct ldisc_sink *sink, const uint8_t *bytes, size_t len);
    /* A signal for the foreground process group. */
    void (*signal)(struct ldisc_sink *sink, int signal);
    /* Input that nobody has read is thrown away: so may be output that was not sent. */
    void (*discard_output)(struct ldisc_sink *sink);
};

struct ldisc {
    struct ldisc_termios termios;
    struct ldisc_sink *sink;
    uint32_t head;
    uint32_t canon_head;
    uint32_t tail;
    uint32_t column;       /* of the cursor */
    uint32_t canon_column; /* where the line being edited begins */
    bool is_literal_next;  /* VLNEXT was typed */
    bool is_erasing;       /* ECHOPRT: between a backslash and its slash */
    bool is_stopped;       /* output is, by VSTOP or TCOOFF */
    uint8_t bytes[LDISC_CAPACITY];
    uint8_t line_ends[LDISC_CAPACITY / 8]; /* a set bit: the line ends with this byte */
    uint8_t eofs[LDISC_CAPACITY / 8];      /* a set bit: ended by VEOF, which is not read */
};

/** ldisc_init() - the state of a fresh terminal: canonical, echoing, 9600 baud. */
void ldisc_init(struct ldisc *ldisc, struct ldisc_sink *sink);

/** ldisc_receive() - bytes came from the terminal. */
void ldisc_receive(struct ldisc *ldisc, const uint8_t *bytes, size_t len);

/** ldisc_write() - a program's output, processed as OPOST tells. */
void ldisc_write(struct ldisc *ldisc, const uint8_t *bytes, size_t len);

/** ldisc_set_termios() - new settings; a change of ICANON makes lines of what is there. */
void ldisc_set_termios(struct ldisc *ldisc, const struct ldisc_termios *termios);

/** ldisc_set_stopped() - stop output or let it go on, as the sink's owner obeys. */
void ldisc_set_stopped(struct ldisc *ldisc, bool is_stopped);

/** ldisc_has_input() - a read would not wait: in canonical mode a line, else any byte. */
bool ldisc_has_input(const struct ldisc *ldisc);

/** ldisc_input_count() - bytes that could be read now, end-of-file marks not counted. */
uint32_t ldisc_input_count(const struct ldisc *ldisc);

/**
 * ldisc_read() - take input: in canonical mode at most one line.
 * Return: bytes stored in @buf, at most @len; 0 for an end of file.
 */
size_t ldisc_read(struct ldisc *ldisc, uint8_t *buf, size_t len);

/** ldisc_flush_input() - forget everything not yet read. */
void ldisc_flush_input(struct ldisc *ldisc);

/* Between ldisc_input.c and ldisc_output.c. */

/** ldisc_put_output() - one byte for the terminal, processed as OPOST tells. */
void ldisc_put_output(struct ldisc *ldisc, uint8_t byte);

/** ldisc_echo() - echo a byte, control characters as "^X" with ECHOCTL. */
void ldisc_echo(struct ldisc *ldisc, uint8_t byte);

/** ldisc_echo_raw() - echo a byte as it is. */
void ldisc_echo_raw(struct ldisc *ldisc, uint8_t byte);

/** ldisc_echo_back() - move the cursor back. */
void ldisc_echo_back(struct ldisc *ldisc, uint32_t columns);

static inline bool ldisc_has(uint32_t flags, uint32_t flag)
{
    return (flags & flag) != 0;
}

static inline bool ldisc_is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Letters are those of Latin-1, whatever the terminal shows: so it is on Linux. */
static inline bool ldisc_is_upper(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte <= 0xde && byte != 0xd7);
}

static inline bool ldisc_is_lower(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 0xdf && byte != 0xf7);
}

static inline bool ldisc_is_word(uint8_t byte)
{
    return ldisc_is_upper(byte) || ldisc_is_lower(byte) || (byte >= '0' && byte <= '9') ||
           byte == '_';
}

/* The second and later bytes of a character in UTF-8. */
static inline bool ldisc_is_continuation(uint32_t iflag, uint8_t byte)
{
    enum { IUTF8_FLAG = 040000 };
    return (iflag & IUTF8_FLAG) != 0 && (byte & 0xc0) == 0x80;
}

#endif
