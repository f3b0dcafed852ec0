/*
 * Pages in and out of pipes, from inside: loans and reservations of the ring, what a file does not
 * take, and failure at every allocation.
 */
#include "ipc_test.h"

#include <ipc/eventfd.h>
#include <ipc/pipe.h>
#include <ipc/pipe_buffer.h>
#include <ipc/pipe_internal.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <uapi/linux/mman.h>

/* --- the ring -------------------------------------------------------------------------------- */

static s64 ring_put(struct pipe_buffer *ring, const char *text)
{
    struct iov_iter iter;

    iov_init_kernel(&iter, text, strlen(text));
    return pipe_buffer_put(ring, &iter);
}

static void expect_ring(struct pipe_buffer *ring, const char *expected)
{
    char text[64] = "";
    struct iov_iter iter;

    iov_init_kernel(&iter, text, sizeof(text) - 1);
    EXPECT_EQ(strlen(expected), pipe_buffer_take(ring, &iter));
    EXPECT_STR(expected, text);
}

TEST(splice, what_is_left_of_a_loan_comes_back_in_front)
{
    struct pipe_buffer ring;
    struct pipe_slot slot;

    ASSERT_OK(pipe_buffer_init(&ring, 2));
    EXPECT_EQ(6, ring_put(&ring, "abcdef"));
    slot = pipe_buffer_lend(&ring);
    EXPECT_EQ(6, slot.len);
    EXPECT_EQ(0, pipe_buffer_used(&ring));
    EXPECT_EQ(1, pipe_buffer_free_slots(&ring));
    EXPECT_EQ(3, ring_put(&ring, "ghi"));
    EXPECT_EQ(0, pipe_buffer_free_slots(&ring));
    slot.offset += 2;
    slot.len -= 2;
    pipe_buffer_return(&ring, &slot);
    EXPECT_EQ(7, pipe_buffer_used(&ring));
    expect_ring(&ring, "cdefghi");
    pipe_buffer_free(&ring);
}

TEST(splice, a_loan_that_was_used_up_frees_its_slot_and_page)
{
    u64 before = frames_held_count();
    struct pipe_buffer ring;
    struct pipe_slot slot;

    ASSERT_OK(pipe_buffer_init(&ring, 2));
    EXPECT_EQ(3, ring_put(&ring, "abc"));
    slot = pipe_buffer_lend(&ring);
    slot.len = 0;
    pipe_buffer_return(&ring, &slot);
    EXPECT_EQ(2, pipe_buffer_free_slots(&ring));
    pipe_buffer_free(&ring);
    EXPECT_EQ(before, frames_held_count());
}

TEST(splice, a_reserved_slot_is_nobody_elses)
{
    struct pipe_slot slot = {.len = 2, .page = page_alloc(0, ALLOC_ZERO)};
    struct pipe_buffer ring;

    ASSERT_TRUE(slot.page != NULL);
    ASSERT_OK(pipe_buffer_init(&ring, 1));
    pipe_buffer_reserve(&ring);
    EXPECT_EQ(0, pipe_buffer_free_slots(&ring));
    EXPECT_EQ(0, ring_put(&ring, "x"));
    memcpy(page_to_virt(slot.page), "ok", 2);
    pipe_buffer_fill_reserved(&ring, &slot);
    expect_ring(&ring, "ok");
    pipe_buffer_reserve(&ring);
    pipe_buffer_fill_reserved(&ring, NULL);
    EXPECT_EQ(1, pipe_buffer_free_slots(&ring));
    pipe_buffer_free(&ring);
}

TEST(splice, a_page_that_is_in_two_rings_is_not_used_again_by_either)
{
    struct pipe_buffer ring;
    struct pipe_slot copy;

    ASSERT_OK(pipe_buffer_init(&ring, 2));
    EXPECT_EQ(3, ring_put(&ring, "abc"));
    copy = *pipe_buffer_slot(&ring, ring.tail);
    page_get(copy.page);
    expect_ring(&ring, "abc");
    EXPECT_EQ(3, ring_put(&ring, "xyz"));
    EXPECT_EQ(0, memcmp(page_to_virt(copy.page), "abc", 3));
    page_put(copy.page);
    pipe_buffer_free(&ring);
}

/* --- files ----------------------------------------------------------------------------------- */

struct ends {
    struct file *in;
    struct file *out;
};

static struct ends make_pipe(void)
{
    struct file *ends[2];

    EXPECT_OK(pipe_create(0, ends));
    return (struct ends){ends[0], ends[1]};
}

static void drop_pipe(struct ends *ends)
{
    file_put(ends->in);
    file_put(ends->out);
}

static s64 pipe_put_u64(const struct ends *ends, u64 value)
{
    struct iov_iter iter;

    iov_init_kernel(&iter, &value, sizeof(value));
    return pipe_write_to(ends->out, &iter, true);
}

static u64 pipe_get_u64(const struct ends *ends)
{
    struct iov_iter iter;
    u64 value = ~0ull;

    iov_init_kernel(&iter, &value, sizeof(value));
    EXPECT_EQ(sizeof(value), pipe_read_from(ends->in, &iter, true));
    return value;
}

/* An eventfd takes eight bytes, and not all ones. */
TEST(splice, what_a_file_refuses_stays_in_the_pipe)
{
    struct ends ends = make_pipe();
    struct file *eventfd;
    s64 pos = 0;

    ASSERT_OK(eventfd_create(0, 0, &eventfd));
    EXPECT_EQ(8, pipe_put_u64(&ends, ~0ull));
    EXPECT_EQ(8, pipe_put_u64(&ends, 5));
    EXPECT_ERR(-EINVAL, pipe_splice_to_file(pipe_of_file(ends.in), eventfd, &pos, 8, true));
    EXPECT_EQ(~0ull, pipe_get_u64(&ends));
    EXPECT_EQ(8, pipe_splice_to_file(pipe_of_file(ends.in), eventfd, &pos, 8, true));
    file_put(eventfd);
    drop_pipe(&ends);
}

struct loan {
    struct ends ends;
    struct file *eventfd;
};

static void splicer_main(struct peer *peer)
{
    struct loan *loan = (struct loan *)peer->arg;
    s64 pos = 0;

    peer->result = pipe_splice_to_file(pipe_of_file(loan->ends.in), loan->eventfd, &pos, 8, false);
}

static void waiter_main(struct peer *peer)
{
    struct loan *loan = (struct loan *)peer->arg;
    struct iov_iter iter;
    u64 value = 0;

    iov_init_kernel(&iter, &value, sizeof(value));
    peer->result = pipe_read_from(loan->ends.in, &iter, false);
}

/* While bytes are lent they may yet come back, so an empty pipe without writers has not ended. */
static void body_loan(void)
{
    struct loan loan = {.ends = make_pipe()};
    struct peer splicer = {.fn = splicer_main, .arg = (u64)&loan};
    struct peer waiter = {.fn = waiter_main, .arg = (u64)&loan, .result = -1};
    struct iov_iter iter;
    u64 value = ~0ull - 1;

    ASSERT_OK(eventfd_create(1, 0, &loan.eventfd));
    EXPECT_EQ(8, pipe_put_u64(&loan.ends, value));
    file_put(loan.ends.out);
    peer_start(&splicer);
    ipc_until(READ_ONCE(pipe_of_file(loan.ends.in)->buffer.nr_lent) != 0);
    peer_start(&waiter);
    for (u32 i = 0; i < 50; i++) {
        sched_yield_current();
    }
    EXPECT_FALSE(READ_ONCE(splicer.is_done));
    EXPECT_FALSE(READ_ONCE(waiter.is_done));
    iov_init_kernel(&iter, &value, sizeof(value));
    EXPECT_EQ(8, loan.eventfd->ops->read(loan.eventfd, &iter, NULL));
    peer_join(&splicer);
    peer_join(&waiter);
    EXPECT_EQ(8, splicer.result);
    EXPECT_EQ(0, waiter.result);
    file_put(loan.ends.in);
    file_put(loan.eventfd);
}

TEST(splice, a_reader_waits_for_what_is_on_its_way_into_a_file)
{
    ipc_test_run(body_loan);
}

/* --- user memory ----------------------------------------------------------------------------- */

static u64 map_pages(u64 nr_pages)
{
    struct map_request req = {.len = nr_pages * PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    u64 addr = 0;

    return mm_map(current_mm(), &req, &addr) == 0 ? addr : 0;
}

TEST(splice, pages_of_a_process_are_given_back_when_the_pipe_goes)
{
    u64 addr = map_pages(40);
    struct ends ends = make_pipe();
    struct iov_iter iter;

    ASSERT_TRUE(addr != 0);
    iov_init_user(&iter, addr + 5, 40 * PAGE_SIZE - 5);
    EXPECT_EQ(16 * PAGE_SIZE - 5, pipe_splice_user(pipe_of_file(ends.out), &iter, false));
    EXPECT_EQ(24 * PAGE_SIZE, iov_count(&iter));
    EXPECT_ERR(-EAGAIN, pipe_splice_user(pipe_of_file(ends.out), &iter, true));
    drop_pipe(&ends);
    EXPECT_OK(mm_unmap(current_mm(), addr, 40 * PAGE_SIZE));
}

TEST_EACH_ALLOC(splice, vmsplice_without_memory_is_enomem)
{
    u64 addr = map_pages(1);
    struct file *ends[2];
    struct iov_iter iter;
    s64 result;

    if (addr == 0 || pipe_create(0, ends) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        iov_init_user(&iter, addr, 8);
        result = pipe_splice_user(pipe_of_file(ends[1]), &iter, true);
        EXPECT_ERR(ktest_alloc_failed() ? -ENOMEM : 8, result);
        file_put(ends[0]);
        file_put(ends[1]);
    }
    if (addr != 0) {
        EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    }
}

TEST_EACH_ALLOC(splice, splice_out_of_a_file_without_memory_is_enomem_and_takes_nothing)
{
    struct file *ends[2];
    struct file *eventfd;
    s64 pos = 0;
    s64 result;

    if (eventfd_create(3, 0, &eventfd) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    if (pipe_create(0, ends) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        result = pipe_splice_from_file(eventfd, &pos, pipe_of_file(ends[1]), 8, true);
        EXPECT_ERR(ktest_alloc_failed() ? -ENOMEM : 8, result);
        if (result < 0) {
            EXPECT_EQ(8, pipe_splice_from_file(eventfd, &pos, pipe_of_file(ends[1]), 8, true));
        }
        file_put(ends[0]);
        file_put(ends[1]);
    }
    file_put(eventfd);
}
