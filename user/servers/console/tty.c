/* Reading, writing, waiting and readiness of the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "tty.h"

#define TENTH_OF_SECOND_NS 100000000u
#define OUTPUT_CAPACITY    16384u
#define FIRST_DEVICE       2u /* cookies below are the console's own */

struct tty tty;

/* Bytes on their way to the line. Echo that finds no room is dropped, as on any terminal. */
static uint8_t output[OUTPUT_CAPACITY];
static size_t output_used;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void flush_output(void)
{
    size_t done = 0;

    while (done < output_used && !tty.ldisc.is_stopped) {
        ssize_t part = write(tty.line, output + done, output_used - done);
        if (part < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = tty.line, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (part <= 0 && errno != EINTR) {
            /* The line is gone: what was to be sent goes nowhere. */
            done = output_used;
        } else if (part > 0) {
            done += (size_t)part;
        }
    }
    memmove(output, output + done, output_used - done);
    output_used -= done;
}

static void take_output(struct ldisc_sink *sink, const uint8_t *bytes, size_t len)
{
    (void)sink;
    if (OUTPUT_CAPACITY - output_used < len) {
        flush_output();
    }
    if (OUTPUT_CAPACITY - output_used >= len) {
        memcpy(output + output_used, bytes, len);
        output_used += len;
    }
}

static void take_signal(struct ldisc_sink *sink, int signal)
{
    (void)sink;
    if (tty.foreground != 0) {
        tty_signal_group(tty.foreground, signal);
    }
}

static void discard_output(struct ldisc_sink *sink)
{
    (void)sink;
    output_used = 0;
}

static struct ldisc_sink line_sink = {
    .output = take_output,
    .signal = take_signal,
    .discard_output = discard_output,
};

void tty_init(int port, int line)
{
    tty = (struct tty){.port = port, .line = line, .mode = 0600, .leader = -1};
    tty.generation = 1;
    tty.console_generation = 1;
    ldisc_init(&tty.ldisc, &line_sink);
}

uint64_t tty_cookie(size_t device)
{
    return (uint64_t)tty.generation << 16 | (FIRST_DEVICE + device);
}

const struct tty_device *tty_device_of(uint64_t cookie)
{
    size_t index = (size_t)(cookie & 0xffff) - FIRST_DEVICE;

    return index < tty.nr_devices ? &tty.devices[index] : NULL;
}

bool tty_is_hung_up(uint64_t cookie)
{
    const struct tty_device *device = tty_device_of(cookie);
    bool is_console = device != NULL && device->rdev == makedev(5, 1);

    return cookie >> 16 < (is_console ? tty.console_generation : tty.generation);
}

static void append(struct tty_request **queue, struct tty_request *request)
{
    while (*queue != NULL) {
        queue = &(*queue)->next;
    }
    *queue = request;
}

static void answer(struct tty_request **queue, struct tty_request *request, int64_t result,
                   const uint8_t *data)
{
    const struct cb_reply reply = {
        .id = request->id,
        .result = result,
        .data = (uintptr_t)data,
        .data_len = data != NULL && result > 0 ? (uint32_t)result : 0,
    };

    while (*queue != request) {
        queue = &(*queue)->next;
    }
    *queue = request->next;
    cb_msg_reply(tty.port, &reply);
    free(request);
}

static struct tty_request *create_request(const struct cb_request *request, uint64_t len)
{
    struct tty_request *waiting = calloc(1, sizeof(*waiting));

    if (waiting != NULL) {
        waiting->id = request->msg->id;
        waiting->cookie = request->msg->cookie;
        waiting->len = len;
        waiting->deadline_ns = UINT64_MAX;
    }
    return waiting;
}

static bool is_canonical(void)
{
    return (tty.ldisc.termios.lflag & ICANON) != 0;
}

/* With VMIN and VTIME both set, the time runs from the first byte and anew with each. */
static void set_deadline(struct tty_request *request)
{
    uint8_t tenths = tty.ldisc.termios.cc[VTIME];
    uint32_t count = ldisc_input_count(&tty.ldisc);

    if (is_canonical() || tenths == 0) {
        request->deadline_ns = UINT64_MAX;
        return;
    }
    bool is_total = tty.ldisc.termios.cc[VMIN] == 0;
    bool is_first = request->deadline_ns == UINT64_MAX;
    if (is_total ? is_first : count > 0 && (is_first || count != request->seen)) {
        request->deadline_ns = now_ns() + (uint64_t)tenths * TENTH_OF_SECOND_NS;
        request->seen = count;
    }
}

/* A read can be answered: enough is there, or its time is over. */
static bool is_satisfied(const struct tty_request *request)
{
    if (is_canonical()) {
        return ldisc_has_input(&tty.ldisc);
    }
    uint8_t least = tty.ldisc.termios.cc[VMIN];
    uint32_t count = ldisc_input_count(&tty.ldisc);
    if (least == 0) {
        return count > 0 || tty.ldisc.termios.cc[VTIME] == 0 || now_ns() >= request->deadline_ns;
    }
    uint64_t wanted = request->len < least ? request->len : least;
    return count >= wanted || (count > 0 && now_ns() >= request->deadline_ns);
}

static void finish_read(struct tty_request *request)
{
    static uint8_t bytes[LDISC_CAPACITY];
    size_t len = request->len < sizeof(bytes) ? request->len : sizeof(bytes);
    size_t count = ldisc_read(&tty.ldisc, bytes, len);

    /* Before the answer: its receiver may poll at once, and must not see what it has just read. */
    tty_tell_pollers();
    answer(&tty.reads, request, (int64_t)count, bytes);
}

int64_t tty_read(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    uint64_t len = msg->args[1] < msg->recv_len ? msg->args[1] : msg->recv_len;

    if (tty_is_hung_up(msg->cookie) || len == 0) {
        return 0;
    }
    int error = tty_check_job(&msg->sender, TTY_ACCESS_READ);
    if (error != 0) {
        return error;
    }
    struct tty_request *waiting = create_request(request, len);
    if (waiting == NULL) {
        return -ENOMEM;
    }
    set_deadline(waiting);
    bool is_nonblocking = (msg->args[2] & O_NONBLOCK) != 0;
    if (is_nonblocking && !is_satisfied(waiting) && !ldisc_has_input(&tty.ldisc)) {
        free(waiting);
        return -EAGAIN;
    }
    request->is_deferred = true;
    append(&tty.reads, waiting);
    if (is_satisfied(waiting) || is_nonblocking) {
        finish_read(waiting);
    }
    return 0;
}

static bool progress_read(void)
{
    struct tty_request *request = tty.reads;

    while (request != NULL) {
        set_deadline(request);
        if (is_satisfied(request)) {
            finish_read(request);
            return true;
        }
        request = request->next;
    }
    return false;
}

/* Move the next part of a write. Return: it was answered. */
static bool advance_write(struct tty_request *request)
{
    static uint8_t bytes[TTY_CHUNK];
    uint64_t left = request->len - request->done;
    uint64_t part = left < TTY_CHUNK ? left : TTY_CHUNK;
    long copied = cb_msg_read(tty.port, request->id, request->done, bytes, part);

    if (copied <= 0) {
        int64_t failure = copied == 0 ? -EFAULT : copied;
        answer(&tty.writes, request, request->done > 0 ? (int64_t)request->done : failure, NULL);
        return true;
    }
    ldisc_write(&tty.ldisc, bytes, (size_t)copied);
    request->done += (uint64_t)copied;
    if (request->done < request->len) {
        return false;
    }
    /* The caller may go on while the bytes still travel, but not before they are on their way. */
    flush_output();
    answer(&tty.writes, request, (int64_t)request->done, NULL);
    return true;
}

int64_t tty_write(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    uint64_t len = msg->args[1] < msg->send_len ? msg->args[1] : msg->send_len;

    if (tty_is_hung_up(msg->cookie)) {
        return -EIO;
    }
    if (len == 0) {
        return 0;
    }
    if ((tty.ldisc.termios.lflag & TOSTOP) != 0) {
        int error = tty_check_job(&msg->sender, TTY_ACCESS_CHANGE);
        if (error != 0) {
            return error;
        }
    }
    bool must_wait = tty.ldisc.is_stopped || tty.writes != NULL;
    if (must_wait && (msg->args[2] & O_NONBLOCK) != 0) {
        return -EAGAIN;
    }
    if (!must_wait && msg->inline_len == len) {
        ldisc_write(&tty.ldisc, (const uint8_t *)cb_msg_inline(msg), len);
        flush_output();
        return (int64_t)len;
    }
    struct tty_request *waiting = create_request(request, len);
    if (waiting == NULL) {
        return -ENOMEM;
    }
    request->is_deferred = true;
    append(&tty.writes, waiting);
    if (!must_wait) {
        advance_write(waiting);
    }
    return 0;
}

bool tty_progress(void)
{
    while (progress_read()) {
        /* Each answer may leave input for the next reader. */
    }
    flush_output();
    if (tty.writes == NULL || tty.ldisc.is_stopped) {
        return false;
    }
    advance_write(tty.writes);
    return tty.writes != NULL;
}

void tty_input(const uint8_t *bytes, size_t len)
{
    ldisc_receive(&tty.ldisc, bytes, len);
}

uint64_t tty_deadline_ns(void)
{
    uint64_t deadline = UINT64_MAX;

    for (const struct tty_request *read = tty.reads; read != NULL; read = read->next) {
        deadline = read->deadline_ns < deadline ? read->deadline_ns : deadline;
    }
    return deadline;
}

unsigned tty_poll_mask(void)
{
    uint8_t least = tty.ldisc.termios.cc[VMIN];
    bool counts = !is_canonical() && tty.ldisc.termios.cc[VTIME] == 0 && least > 0;
    bool is_readable =
        counts ? ldisc_input_count(&tty.ldisc) >= least : ldisc_has_input(&tty.ldisc);
    unsigned mask = is_readable ? POLLIN | POLLRDNORM : 0;

    if (!tty.ldisc.is_stopped && tty.writes == NULL) {
        mask |= POLLOUT | POLLWRNORM;
    }
    return mask;
}

static void notify_all(unsigned mask)
{
    for (size_t i = 0; i < tty.nr_devices; i++) {
        cb_conn_notify(tty.port, tty_cookie(i), mask);
    }
}

void tty_tell_pollers(void)
{
    unsigned mask = tty_poll_mask();

    if (mask != tty.poll_mask) {
        tty.poll_mask = mask;
        notify_all(mask);
    }
}

void tty_interrupt(uint64_t id)
{
    for (struct tty_request *read = tty.reads; read != NULL; read = read->next) {
        if (read->id == id) {
            answer(&tty.reads, read, -CB_ERESTARTSYS, NULL);
            return;
        }
    }
    for (struct tty_request *write = tty.writes; write != NULL; write = write->next) {
        if (write->id == id) {
            int64_t result = write->done > 0 ? (int64_t)write->done : -CB_ERESTARTSYS;
            answer(&tty.writes, write, result, NULL);
            return;
        }
    }
}

void tty_forget_output(void)
{
    output_used = 0;
}

/* Ends the requests that wait, of files that are hung up now. */
static void end_requests(struct tty_request **queue, int64_t result)
{
    struct tty_request *next;

    for (struct tty_request *request = *queue; request != NULL; request = next) {
        next = request->next;
        if (tty_is_hung_up(request->cookie)) {
            answer(queue, request, result, NULL);
        }
    }
}

static void start_generation(uint32_t oldest_console)
{
    notify_all(POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM);
    tty.generation++;
    tty.console_generation = oldest_console;
    end_requests(&tty.reads, 0);
    end_requests(&tty.writes, -EIO);
}

void tty_hang_up(void)
{
    tty_end_session(TTY_TELL_ALL);
    ldisc_flush_input(&tty.ldisc);
    tty_forget_output();
    start_generation(tty.generation + 1);
    ldisc_init(&tty.ldisc, &line_sink);
    tty.poll_mask = tty_poll_mask();
}

void tty_hang_up_session(void)
{
    tty_end_session(TTY_TELL_NOBODY);
    start_generation(tty.console_generation);
    tty.poll_mask = tty_poll_mask();
    notify_all(tty.poll_mask);
}
