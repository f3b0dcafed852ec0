/* The kernel's log ring: what is read back, and what happens when it is full. */
#include <host_test.h>

#include <arch/platform.h>
#include <lib/printk.h>

static char console[1 << 20];
static size_t console_len;
static u64 now_ns = 1234567000;

u64 arch_clock_ns(void)
{
    return now_ns;
}

void serial_write(const char *text, size_t len)
{
    memcpy(console + console_len, text, len);
    console_len += len;
    console[console_len] = '\0';
}

static char text[KLOG_SIZE + 1];

static size_t read_from(u64 from)
{
    size_t len = klog_read(text, KLOG_SIZE, &from);

    text[len] = '\0';
    return len;
}

TEST(console_gets_the_text_and_the_log_gets_level_and_time)
{
    u64 from = klog_end();

    console_len = 0;
    printk("hello %d\n", 42);
    EXPECT_STR("hello 42\n", console);
    read_from(from);
    EXPECT_STR("<6>[    1.234567] hello 42\n", text);
}

TEST(a_line_in_pieces_has_one_prefix)
{
    u64 from = klog_end();

    printk("a");
    printk("b\nc");
    printk("d\n");
    read_from(from);
    EXPECT_STR("<6>[    1.234567] ab\n<6>[    1.234567] cd\n", text);
}

TEST(console_output_alone_leaves_no_trace_in_the_log)
{
    u64 from = klog_end();

    console_len = 0;
    console_printf("ok %d\n", 1);
    console_write("xyz", 2);
    EXPECT_STR("ok 1\nxy", console);
    EXPECT_EQ(0, read_from(from));
}

TEST(a_full_ring_drops_whole_lines_from_the_old_end)
{
    for (int i = 0; i < 5000; i++) {
        console_len = 0;
        printk("line number %d of a long story\n", i);
        EXPECT_TRUE(klog_end() - klog_start() <= KLOG_SIZE);
    }
    size_t len = read_from(0);
    EXPECT_TRUE(len > KLOG_SIZE - 100);
    EXPECT_EQ(0, strncmp(text, "<6>[", 4));
    EXPECT_STR("line number 4999 of a long story\n", strstr(text, "line number 4999"));
    int number = 0;
    int next = -1;
    int wrong = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        wrong += sscanf(line, "<6>[%*d.%*d] line number %d of a long story", &number) != 1;
        wrong += next >= 0 && number != next;
        next = number + 1;
    }
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(5000, next);
}

TEST(reading_in_small_pieces_gives_the_same_bytes)
{
    static char pieces[KLOG_SIZE + 1];
    u64 from = klog_start();
    size_t total = 0;
    size_t len;

    while ((len = klog_read(pieces + total, 7, &from)) > 0) {
        total += len;
    }
    pieces[total] = '\0';
    read_from(0);
    EXPECT_STR(text, pieces);
    EXPECT_EQ(klog_end(), from);
    from = U64_MAX;
    EXPECT_EQ(0, klog_read(text, 7, &from));
    EXPECT_EQ(klog_end(), from);
}

TEST(overlong_messages_are_cut_at_a_line_end)
{
    u64 from = klog_end();

    console_len = 0;
    printk("%0700d\n", 1);
    EXPECT_EQ(511, console_len);
    EXPECT_EQ('\n', console[510]);
    read_from(from);
    EXPECT_EQ('\n', text[strlen(text) - 1]);
}

TEST(panic_mode_prints_although_the_lock_is_held)
{
    console_len = 0;
    printk_enter_panic();
    printk("dying\n");
    printk_leave_panic();
    EXPECT_STR("dying\n", console);
    printk("alive\n");
    EXPECT_STR("dying\nalive\n", console);
}
