/* The console's line discipline: what a typist sees, what a program reads, which signals arise. */
#include <signal.h>
#include <string.h>
#include <termios.h>
#include "host_test.h"
#include "user/servers/console/ldisc.h"

static char output[131072];
static size_t output_len;
static int signals[16];
static int nr_signals;
static int nr_discards;
static struct ldisc ldisc;

static void take_output(struct ldisc_sink *sink, const uint8_t *bytes, size_t len)
{
    memcpy(output + output_len, bytes, len);
    output_len += len;
    output[output_len] = '\0';
}

static void take_signal(struct ldisc_sink *sink, int signal)
{
    signals[nr_signals++] = signal;
}

static void take_discard(struct ldisc_sink *sink)
{
    nr_discards++;
}

static struct ldisc_sink sink = {take_output, take_signal, take_discard};

static void clear_output(void)
{
    output_len = 0;
    output[0] = '\0';
}

static void start(void)
{
    ldisc_init(&ldisc, &sink);
    clear_output();
    nr_signals = 0;
    nr_discards = 0;
}

static void type(const char *text)
{
    ldisc_receive(&ldisc, (const uint8_t *)text, strlen(text));
}

static void change(uint32_t lflag_set, uint32_t lflag_clear)
{
    struct ldisc_termios termios = ldisc.termios;

    termios.lflag = (termios.lflag | lflag_set) & ~lflag_clear;
    ldisc_set_termios(&ldisc, &termios);
}

/* What one read of at most @len bytes gives; "-" if it would wait. */
static const char *read_line(size_t len)
{
    static char line[LDISC_CAPACITY + 1];

    if (!ldisc_has_input(&ldisc)) {
        return "-";
    }
    line[ldisc_read(&ldisc, (uint8_t *)line, len)] = '\0';
    return line;
}

TEST(line_is_read_when_it_is_complete)
{
    start();
    type("hello");
    EXPECT_STR("-", read_line(100));
    EXPECT_EQ(0, ldisc_input_count(&ldisc));
    type("\r");
    EXPECT_EQ(6, ldisc_input_count(&ldisc));
    EXPECT_STR("hello\n", read_line(100));
    EXPECT_STR("-", read_line(100));
    EXPECT_STR("hello\r\n", output);
}

TEST(one_read_takes_one_line_or_a_part_of_it)
{
    start();
    type("one\ntwo\n");
    EXPECT_STR("on", read_line(2));
    EXPECT_STR("e\n", read_line(100));
    EXPECT_STR("two\n", read_line(100));
}

TEST(end_of_file_ends_a_line_without_being_read)
{
    start();
    type("\x04");
    EXPECT_STR("", read_line(100));
    EXPECT_STR("-", read_line(100));
    type("abc\x04");
    EXPECT_EQ(3, ldisc_input_count(&ldisc));
    EXPECT_STR("abc", read_line(100));
    EXPECT_STR("-", read_line(100));
    type("abc\x04");
    EXPECT_STR("abc", read_line(3));
    EXPECT_STR("-", read_line(100));
}

TEST(erase_takes_back_the_last_character)
{
    start();
    type("ab\x7f"
         "c\n");
    EXPECT_STR("ac\n", read_line(100));
    EXPECT_STR("ab\b \bc\r\n", output);
    clear_output();
    type("\x7f\x7f\n");
    EXPECT_STR("\r\n", output);
    EXPECT_STR("\n", read_line(100));
}

TEST(erase_takes_back_control_characters_and_tabs_as_shown)
{
    start();
    type("\x01\x7f");
    EXPECT_STR("^A\b \b\b \b", output);
    clear_output();
    type("abc\t\x7f");
    EXPECT_STR("abc\t\b\b\b\b\b", output);
    EXPECT_EQ(3, ldisc.column);
    type("\n");
    EXPECT_STR("abc\n", read_line(100));
}

TEST(erase_takes_back_whole_utf8_characters)
{
    start();
    ldisc.termios.iflag |= IUTF8;
    type("\xc3\xa4\xe2\x82\xac\x7f");
    EXPECT_STR("\xc3\xa4\xe2\x82\xac\b \b", output);
    type("\n");
    EXPECT_STR("\xc3\xa4\n", read_line(100));
}

TEST(kill_takes_back_the_line)
{
    start();
    type("abc\x15"
         "d\n");
    EXPECT_STR("abc\b \b\b \b\b \bd\r\n", output);
    EXPECT_STR("d\n", read_line(100));
    change(0, ECHOKE);
    clear_output();
    type("abc\x15"
         "d\n");
    EXPECT_STR("abc^U\r\nd\r\n", output);
    EXPECT_STR("d\n", read_line(100));
}

TEST(word_erase_takes_back_a_word_and_what_follows_it)
{
    start();
    type("one two_2 . \x17");
    EXPECT_STR("one two_2 . \b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b", output);
    type("\n");
    EXPECT_STR("one \n", read_line(100));
}

TEST(reprint_shows_the_line_again)
{
    start();
    type("ab\x12");
    EXPECT_STR("ab^R\r\nab", output);
}

TEST(literal_next_takes_any_character)
{
    start();
    type("\x16\x03\x16\x7f\x16\n\n");
    EXPECT_EQ(0, nr_signals);
    EXPECT_STR("\x03\x7f\n\n", read_line(100));
    EXPECT_STR("^\b^C^\b^?^\b^J\r\n", output);
}

TEST(signals_are_raised_and_empty_the_line)
{
    start();
    type("abc\x03\x1c\x1a"
         "d\n");
    EXPECT_EQ(3, nr_signals);
    EXPECT_EQ(SIGINT, signals[0]);
    EXPECT_EQ(SIGQUIT, signals[1]);
    EXPECT_EQ(SIGTSTP, signals[2]);
    EXPECT_EQ(3, nr_discards);
    EXPECT_STR("abc^C^\\^Zd\r\n", output);
    EXPECT_STR("d\n", read_line(100));
    change(NOFLSH, 0);
    type("e\x03"
         "f\n");
    EXPECT_STR("ef\n", read_line(100));
    change(0, ISIG);
    type("\x03\n");
    EXPECT_STR("\x03\n", read_line(100));
    EXPECT_EQ(4, nr_signals);
}

TEST(output_stops_and_goes_on)
{
    start();
    type("\x13");
    EXPECT_TRUE(ldisc.is_stopped);
    type("x");
    EXPECT_TRUE(ldisc.is_stopped);
    type("\x11");
    EXPECT_FALSE(ldisc.is_stopped);
    ldisc.termios.iflag |= IXANY;
    type("\x13y");
    EXPECT_FALSE(ldisc.is_stopped);
    type("\x13\x03");
    EXPECT_FALSE(ldisc.is_stopped);
    type("\x13");
    struct ldisc_termios termios = ldisc.termios;
    termios.iflag &= ~(uint32_t)IXON;
    ldisc_set_termios(&ldisc, &termios);
    EXPECT_FALSE(ldisc.is_stopped);
}

TEST(input_flags_translate)
{
    start();
    ldisc.termios.iflag = INLCR | ISTRIP | IUCLC;
    type("A\n\xe1\r\n");
    change(0, ICANON);
    EXPECT_STR("a\ra\r\r", read_line(100));
    start();
    ldisc.termios.iflag = IGNCR;
    type("a\rb\n");
    EXPECT_STR("ab\n", read_line(100));
    start();
    ldisc.termios.iflag = PARMRK;
    type("\xff\n");
    EXPECT_STR("\xff\xff\n", read_line(100));
}

TEST(output_flags_translate)
{
    start();
    ldisc_write(&ldisc, (const uint8_t *)"a\tb\n\rc", 6);
    EXPECT_STR("a\tb\r\n\rc", output);
    clear_output();
    ldisc.termios.oflag = OPOST | OLCUC | XTABS | ONOCR | OCRNL;
    ldisc.column = 0;
    ldisc_write(&ldisc, (const uint8_t *)"\rab\tc\r", 6);
    EXPECT_STR("AB      C\n", output);
    clear_output();
    ldisc.termios.oflag = ONLCR;
    ldisc_write(&ldisc, (const uint8_t *)"a\nb", 3);
    EXPECT_STR("a\nb", output);
}

TEST(echo_can_be_off)
{
    start();
    change(0, ECHO);
    type("secret\x7f\n");
    EXPECT_STR("", output);
    EXPECT_STR("secre\n", read_line(100));
    change(ECHONL, 0);
    type("x\n");
    EXPECT_STR("\r\n", output);
}

TEST(raw_mode_gives_every_byte_at_once)
{
    start();
    change(0, ICANON | ISIG | ECHO | IEXTEN);
    ldisc.termios.iflag = 0;
    type("a\x03\x7f\r\n\x04");
    EXPECT_EQ(6, ldisc_input_count(&ldisc));
    EXPECT_STR("a\x03", read_line(2));
    EXPECT_STR("\x7f\r\n\x04", read_line(100));
    EXPECT_EQ(0, nr_signals);
    EXPECT_STR("", output);
}

TEST(changing_mode_keeps_what_was_typed)
{
    start();
    type("abc");
    change(0, ICANON);
    EXPECT_STR("ab", read_line(2));
    change(ICANON, 0);
    EXPECT_STR("c", read_line(100));
    type("d\n");
    EXPECT_STR("d\n", read_line(100));
}

TEST(other_line_ends)
{
    start();
    ldisc.termios.cc[VEOL] = ';';
    ldisc.termios.cc[VEOL2] = '!';
    type("a;b!c\n");
    EXPECT_STR("a;", read_line(100));
    EXPECT_STR("b!", read_line(100));
    EXPECT_STR("c\n", read_line(100));
}

TEST(too_long_line_is_cut_but_ends)
{
    start();
    for (int i = 0; i < 10000; i++) {
        type("x");
    }
    EXPECT_STR("-", read_line(100));
    type("\n");
    EXPECT_EQ(LDISC_CAPACITY, ldisc_input_count(&ldisc));
    const char *line = read_line(LDISC_CAPACITY);
    EXPECT_EQ(LDISC_CAPACITY, strlen(line));
    EXPECT_EQ('\n', line[LDISC_CAPACITY - 1]);
    type("next\n");
    EXPECT_STR("next\n", read_line(100));
}

TEST(full_buffer_drops_and_recovers)
{
    start();
    for (int i = 0; i < 3000; i++) {
        type("y\n");
    }
    EXPECT_TRUE(ldisc_input_count(&ldisc) <= LDISC_CAPACITY);
    type("\x03");
    EXPECT_EQ(1, nr_signals);
    EXPECT_STR("-", read_line(100));
    type("z\n");
    EXPECT_STR("z\n", read_line(100));
}

TEST(nothing_typed_breaks_the_buffer)
{
    start();
    for (int i = 0; i < 300000; i++) {
        uint8_t byte = (uint8_t)host_random(256);
        uint8_t buf[64];
        struct ldisc_termios termios = ldisc.termios;
        ldisc_receive(&ldisc, &byte, 1);
        if (host_random(50) == 0) {
            ldisc_read(&ldisc, buf, host_random(sizeof(buf)));
        }
        if (host_random(500) == 0) {
            termios.lflag = (uint32_t)host_random(0200000);
            termios.iflag = (uint32_t)host_random(040000);
            ldisc_set_termios(&ldisc, &termios);
        }
        if (output_len > 60000) {
            clear_output();
        }
        if (nr_signals > 8) {
            nr_signals = 0;
        }
        if (ldisc.head - ldisc.tail > LDISC_CAPACITY ||
            ldisc.canon_head - ldisc.tail > ldisc.head - ldisc.tail) {
            EXPECT_EQ(0, 1);
            return;
        }
    }
    EXPECT_TRUE(ldisc.head > 1000);
}
