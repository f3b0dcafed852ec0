/*
 * /dev/gup_test and process_vm_readv from inside: who may open the device, what its pins do to
 * counts, and failure at every allocation. What programs see is in tests/user.
 */
#include <ipc/file.h>
#include <ipc/iov.h>
#include <ipc/kernel_file.h>
#include <mm/process_vm.h>
#include <proc/process.h>
#include <syscall/syscalls.h>
#include <uapi/linux/gup_test.h>
#include "ipc_test.h"
#include "mm_test.h"

#define NR_PAGES 3

static void body_open(void)
{
    s64 fd = sys_kernel_file(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR);

    EXPECT_TRUE(fd >= 0);
    EXPECT_EQ(FD_CLOEXEC, sys_fcntl((s32)fd, F_GETFD, 0));
    EXPECT_EQ(O_RDWR, sys_fcntl((s32)fd, F_GETFL, 0) & O_ACCMODE);
    EXPECT_ERR(-EINVAL, sys_kernel_file(CB_KERNEL_FILE_GUP_TEST, 1, O_RDWR));
    EXPECT_ERR(-EINVAL, sys_kernel_file(CB_KERNEL_FILE_GUP_TEST, 0, O_CREAT));
    EXPECT_ERR(-EINVAL, sys_kernel_file(CB_KERNEL_FILE_END, 0, O_RDWR));
    EXPECT_ERR(-EINVAL, sys_kernel_file(0, 0, O_RDWR));
    EXPECT_OK(sys_setuid(1000));
    EXPECT_ERR(-EPERM, sys_kernel_file(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR));
}

TEST(gup_test, only_the_superuser_makes_the_file)
{
    ipc_test_run(body_open);
}

static struct file *open_device(void)
{
    struct file *file = NULL;

    EXPECT_OK(kernel_file_open(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR, &file));
    return file;
}

TEST(gup_test, long_pins_are_counted_until_the_file_is_closed)
{
    u64 addr = test_map(NR_PAGES);
    u64 arg = test_map(1);
    struct pin_longterm_test pin = {.addr = addr, .size = NR_PAGES * PAGE_SIZE};
    struct file *file = open_device();
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(copy_to_user(arg, &pin, sizeof(pin)));
    EXPECT_OK(file->ops->ioctl(file, PIN_LONGTERM_TEST_START, arg));
    for (u64 i = 0; i < NR_PAGES; i++) {
        page = test_page(current_mm(), addr + i * PAGE_SIZE);
        EXPECT_EQ(1, page_pincount(page));
        EXPECT_TRUE(page_is_anon_exclusive(page));
    }
    file_put(file);
    EXPECT_EQ(0, page_pincount(test_page(current_mm(), addr)));
}

TEST(gup_test, a_test_leaves_no_count_behind)
{
    const u32 commands[] = {GUP_FAST_BENCHMARK, PIN_FAST_BENCHMARK, PIN_LONGTERM_BENCHMARK,
                            GUP_BASIC_TEST,     PIN_BASIC_TEST,     DUMP_USER_PAGES_TEST};
    u64 addr = test_map(1);
    u64 arg = test_map(1);
    struct file *file = open_device();

    ASSERT_OK(put_user_u64(addr, 1));
    for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
        struct gup_test test = {.addr = addr, .size = PAGE_SIZE, .nr_pages_per_call = 1};

        ASSERT_OK(copy_to_user(arg, &test, sizeof(test)));
        EXPECT_OK(file->ops->ioctl(file, commands[i], arg));
        EXPECT_EQ(1, page_refcount(test_page(current_mm(), addr)));
        EXPECT_EQ(0, page_pincount(test_page(current_mm(), addr)));
    }
    file_put(file);
}

/* The argument lies in a page that is there already, so that only the device's needs can fail. */
static u64 place_argument(const void *bytes, size_t size)
{
    u64 arg = test_map(1);

    if (arg == 0 || test_fault(current_mm(), arg, FAULT_FLAG_WRITE) != FAULT_OK) {
        return 0;
    }
    return copy_to_user(arg, bytes, size) == 0 ? arg : 0;
}

static void unmap_if_there(u64 addr, u64 nr_pages)
{
    if (addr != 0) {
        EXPECT_OK(mm_unmap(current_mm(), addr, nr_pages * PAGE_SIZE));
    }
}

TEST_EACH_ALLOC(gup_test, a_long_pin_without_memory_is_enomem_and_leaves_no_pins)
{
    struct pin_longterm_test pin = {.size = NR_PAGES * PAGE_SIZE};
    struct file *file = NULL;
    u64 arg;
    s64 result;

    pin.addr = test_map(NR_PAGES);
    arg = place_argument(&pin, sizeof(pin));
    if (pin.addr == 0 || arg == 0 ||
        kernel_file_open(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR, &file) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        result = file->ops->ioctl(file, PIN_LONGTERM_TEST_START, arg);
        EXPECT_TRUE(result == 0 || (result == -ENOMEM && ktest_alloc_failed()));
        if (result != 0) {
            EXPECT_ERR(-EINVAL, file->ops->ioctl(file, PIN_LONGTERM_TEST_READ, arg));
        }
        file_put(file);
    }
    unmap_if_there(arg, 1);
    unmap_if_there(pin.addr, NR_PAGES);
}

TEST_EACH_ALLOC(gup_test, a_test_without_memory_is_enomem_or_gets_less_far)
{
    struct gup_test test = {
        .size = NR_PAGES * PAGE_SIZE, .nr_pages_per_call = 1, .gup_flags = FOLL_WRITE};
    struct file *file = NULL;
    u64 arg;
    s64 result;

    test.addr = test_map(NR_PAGES);
    arg = place_argument(&test, sizeof(test));
    if (test.addr == 0 || arg == 0 ||
        kernel_file_open(CB_KERNEL_FILE_GUP_TEST, 0, O_RDWR, &file) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        result = file->ops->ioctl(file, PIN_BASIC_TEST, arg);
        EXPECT_TRUE(result == 0 || (result == -ENOMEM && ktest_alloc_failed()));
        EXPECT_OK(copy_from_user(&test, arg, sizeof(test)));
        EXPECT_TRUE(test.size == NR_PAGES * PAGE_SIZE || ktest_alloc_failed());
        file_put(file);
    }
    unmap_if_there(arg, 1);
    unmap_if_there(test.addr, NR_PAGES);
}

/* --- process_vm ------------------------------------------------------------------------------ */

TEST(process_vm, reading_pins_and_so_unshares_the_other_process)
{
    struct iovec remote = {.iov_len = sizeof(u64)};
    u64 addr = test_map(1);
    struct iov_iter near;
    struct mm *child;
    u64 value = 0;

    ASSERT_OK(put_user_u64(addr, 7));
    ASSERT_OK(mm_fork(current_mm(), &child));
    remote.iov_base = addr;
    iov_init_kernel(&near, &value, sizeof(value));
    EXPECT_EQ(8, process_vm_transfer(child, &remote, 1, &near, REMOTE_READ));
    EXPECT_EQ(7, value);
    EXPECT_TRUE(test_is_exclusive(child, addr));
    EXPECT_NE((u64)test_page(child, addr), (u64)test_page(current_mm(), addr));
    EXPECT_EQ(0, page_pincount(test_page(child, addr)));
    EXPECT_FALSE(pte_is_writable(test_entry(child, addr)));
    mm_put(child);
}

TEST(process_vm, a_message_s_copy_leaves_the_page_shared)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 7));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(7, test_peek(child, addr));
    EXPECT_EQ((u64)test_page(child, addr), (u64)test_page(current_mm(), addr));
    EXPECT_EQ(2, page_refcount(test_page(child, addr)));
    mm_put(child);
}

TEST_EACH_ALLOC(process_vm, without_memory_it_is_efault_or_shorter)
{
    struct iovec remote = {.iov_len = NR_PAGES * PAGE_SIZE};
    static u8 buf[NR_PAGES * PAGE_SIZE];
    struct iov_iter near;
    s64 result;

    remote.iov_base = test_map(NR_PAGES);
    if (remote.iov_base == 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    iov_init_kernel(&near, buf, sizeof(buf));
    result = process_vm_transfer(current_mm(), &remote, 1, &near, REMOTE_WRITE);
    EXPECT_TRUE(result == sizeof(buf) || ktest_alloc_failed());
    EXPECT_TRUE(result > 0 || result == -EFAULT);
    EXPECT_TRUE(result == -EFAULT || result == (s64)(sizeof(buf) - iov_count(&near)));
    unmap_if_there(remote.iov_base, NR_PAGES);
}
