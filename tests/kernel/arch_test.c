/*
 * The machine below the kernel: user copies and their fix-ups, calls between CPUs, the kernel's own
 * mappings, names for addresses.
 */
#include <arch/cpu.h>
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/platform.h>
#include <arch/tlb.h>
#include <arch/usercopy.h>
#include <debug/backtrace.h>
#include <lib/string.h>
#include <mm/frames.h>
#include "mm_test.h"
#include "sched_test.h"

#define NON_CANONICAL 0x0000900000000000ull

/* One accessible page followed by a hole; the address of the hole, or 0. */
static u64 map_page_before_hole(void)
{
    u64 addr = test_map(2);

    if (addr == 0 || mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE) != 0) {
        return 0;
    }
    return addr + PAGE_SIZE;
}

/* Pushes frames until there is no stack; the sanitizer would speak first. */
static NOINLINE NO_SANITIZE_ADDRESS u64 recurse(u64 depth)
{
    volatile u64 here = depth; /* read after the call, which therefore needs a frame of its own */

    return (here == U64_MAX ? 0 : recurse(depth + 1)) + here;
}

TEST(arch, stack_overflow_is_a_named_panic)
{
    ktest_expect_panic("a kernel stack overflows");
    EXPECT_NE(0, recurse(0));
}

TEST(arch, user_copy_tells_exactly_what_is_missing)
{
    static char bytes[64];
    u64 hole = map_page_before_hole();

    ASSERT_TRUE(hole != 0);
    memset(bytes, 'x', sizeof(bytes));
    for (u64 fits = 0; fits <= 20; fits++) {
        EXPECT_EQ(40 - fits, arch_copy_user((void *)(hole - fits), bytes, 40));
        EXPECT_EQ(40 - fits, arch_copy_user(bytes, (const void *)(hole - fits), 40));
        EXPECT_EQ(40 - fits, arch_clear_user((void *)(hole - fits), 40));
    }
    EXPECT_EQ(0, arch_copy_user((void *)hole, bytes, 0));
}

TEST(arch, user_copy_moves_every_length)
{
    static u8 from[80], back[80];
    u64 addr = test_map(1);

    ASSERT_TRUE(addr != 0);
    for (u32 i = 0; i < sizeof(from); i++) {
        from[i] = (u8)(i * 7 + 1);
    }
    for (size_t len = 0; len <= 40; len++) {
        for (u64 offset = 0; offset < 9; offset++) {
            memset(back, 0, sizeof(back));
            EXPECT_EQ(0, arch_copy_user((void *)(addr + offset), from, len));
            EXPECT_EQ(0, arch_copy_user(back, (const void *)(addr + offset), len));
            EXPECT_EQ(0, memcmp(from, back, len));
            EXPECT_EQ(0, back[len]);
        }
    }
}

TEST(arch, user_copy_survives_a_non_canonical_address)
{
    u64 word = 1;
    size_t copied = 0;
    char text[8];

    EXPECT_EQ(8, arch_copy_user((void *)NON_CANONICAL, &word, 8));
    EXPECT_EQ(8, arch_copy_user(&word, (const void *)NON_CANONICAL, 8));
    EXPECT_EQ(8, arch_clear_user((void *)NON_CANONICAL, 8));
    EXPECT_ERR(-EFAULT, arch_load_user_u64(&word, (const void *)NON_CANONICAL));
    EXPECT_ERR(-EFAULT, arch_store_user_u32((void *)NON_CANONICAL, 1));
    EXPECT_ERR(-EFAULT, arch_copy_user_string(text, (const char *)NON_CANONICAL, 8, &copied));
    EXPECT_EQ(1, word);
}

TEST(arch, user_string_ends_at_its_nul_or_at_the_limit)
{
    char text[8] = "zzzzzzz";
    size_t copied = 0;
    u64 hole = map_page_before_hole();

    ASSERT_TRUE(hole != 0);
    EXPECT_EQ(0, arch_copy_user((void *)(hole - 4), "abc", 4));
    EXPECT_OK(arch_copy_user_string(text, (const char *)hole - 4, sizeof(text), &copied));
    EXPECT_EQ(4, copied);
    EXPECT_STR("abc", text);
    EXPECT_OK(arch_copy_user_string(text, (const char *)hole - 4, 2, &copied));
    EXPECT_EQ(2, copied);
    EXPECT_EQ(0, arch_copy_user((void *)(hole - 4), "wxyz", 4));
    EXPECT_ERR(-EFAULT, arch_copy_user_string(text, (const char *)hole - 4, 8, &copied));
    EXPECT_EQ(4, copied);
}

TEST(arch, user_compare_and_exchange_reports_what_it_saw)
{
    u32 seen = 99;
    u64 addr = test_map(1);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(arch_cmpxchg_user_u32((u32 *)addr, 0, 5, &seen));
    EXPECT_EQ(0, seen);
    EXPECT_OK(arch_cmpxchg_user_u32((u32 *)addr, 0, 6, &seen));
    EXPECT_EQ(5, seen);
    seen = 99;
    EXPECT_ERR(-EFAULT, arch_cmpxchg_user_u32((u32 *)0x1000, 0, 5, &seen));
    EXPECT_EQ(99, seen);
}

static void count_call(void *counter)
{
    __atomic_fetch_add((u32 *)counter, 1, __ATOMIC_SEQ_CST);
}

TEST(arch, ipi_call_runs_once_on_each_other_cpu)
{
    u32 calls = 0;

    for (u32 round = 1; round <= 50; round++) {
        arch_ipi_call(U64_MAX, count_call, &calls, IPI_WAIT);
        EXPECT_EQ(round * (cpu_count() - 1), __atomic_load_n(&calls, __ATOMIC_SEQ_CST));
    }
    arch_ipi_call(BIT(cpu_id()), count_call, &calls, IPI_WAIT);
    EXPECT_EQ(50 * (cpu_count() - 1), calls);
}

/* Two callers with interrupts off would wait for each other if waiting did not serve calls. */
static void call_with_interrupts_off(void *counter)
{
    for (u32 i = 0; i < 200; i++) {
        u64 flags = irq_save();

        arch_ipi_call(U64_MAX, count_call, counter, IPI_WAIT);
        irq_restore(flags);
        sched_point();
    }
}

TEST(arch, ipi_callers_with_interrupts_off_serve_each_other)
{
    struct crew crew = {0};
    u32 calls = 0;
    u32 callers = min(cpu_count(), 4u);

    for (u32 cpu = 0; cpu < callers; cpu++) {
        crew_add_on(&crew, call_with_interrupts_off, &calls, BIT(cpu));
    }
    crew_join(&crew);
    EXPECT_EQ(200 * callers * (cpu_count() - 1), calls);
}

TEST(arch, kernel_has_no_writable_and_executable_mapping)
{
    EXPECT_TRUE(kernel_map_is_wx_free());
}

TEST(arch, kernel_mapping_appears_and_goes)
{
    /* Within the region for device registers, far from what drivers have taken. */
    u64 va = MMIO_BASE + MMIO_SIZE / 2;
    struct page *page = page_alloc(0, ALLOC_ZERO);
    u64 phys = 0;

    ASSERT_TRUE(page != NULL);
    EXPECT_FALSE(kernel_map_lookup(va, &phys));
    EXPECT_OK(kernel_map(va, page_to_phys(page), PAGE_SIZE, KERNEL_MAP_RW));
    EXPECT_TRUE(kernel_map_lookup(va + 8, &phys));
    EXPECT_EQ(page_to_phys(page) + 8, phys);
    *(volatile u64 *)(va + 8) = 77;
    EXPECT_EQ(77, ((u64 *)page_to_virt(page))[1]);
    kernel_unmap(va, PAGE_SIZE);
    EXPECT_FALSE(kernel_map_lookup(va, &phys));
    page_free(page, 0);
}

TEST(arch, kernel_text_is_mapped_where_it_was_linked)
{
    u64 phys = 0;

    EXPECT_TRUE(kernel_map_lookup((u64)__text_start, &phys));
    EXPECT_EQ(image_to_phys(__text_start), phys);
    EXPECT_TRUE(kernel_map_lookup((u64)phys_to_virt(phys), &phys));
    EXPECT_EQ(image_to_phys(__text_start), phys);
}

TEST(arch, symbols_name_functions)
{
    u64 offset = 99;
    const char *name = symbol_lookup((u64)arch_ipi_call + 3, &offset);

    ASSERT_TRUE(name != NULL);
    EXPECT_STR("arch_ipi_call", name);
    EXPECT_EQ(3, offset);
    EXPECT_EQ((u64)arch_ipi_call, symbol_address("arch_ipi_call"));
    EXPECT_EQ(0, symbol_address("no_such_function"));
    EXPECT_EQ(0, (u64)symbol_lookup((u64)__text_end, &offset));
}

TEST(arch, backtrace_ends_at_the_threads_first_function)
{
    u64 frames[BACKTRACE_MAX];
    u32 nr = backtrace_capture(frames, BACKTRACE_MAX);
    u64 offset;
    const char *name;

    ASSERT_TRUE(nr >= 3);
    name = symbol_lookup(frames[nr - 1] - 1, &offset);
    ASSERT_TRUE(name != NULL);
    EXPECT_STR("arch_thread_first_kernel", name);
}

TEST(arch, clock_advances_with_the_timer)
{
    u64 start = clock_monotonic_ns();
    u64 last = start;

    for (u32 i = 0; i < 1000; i++) {
        u64 now = clock_monotonic_ns();

        EXPECT_LE(last, now);
        last = now;
    }
    test_sleep_ns(2 * NSEC_PER_MSEC);
    EXPECT_LE(start + 2 * NSEC_PER_MSEC, clock_monotonic_ns());
}

TEST(arch, real_time_clock_is_in_this_century)
{
    u64 year_2020 = 1577836800;
    u64 year_2100 = 4102444800;

    EXPECT_LE(year_2020, arch_rtc_read_unix());
    EXPECT_LE(arch_rtc_read_unix(), year_2100);
}
