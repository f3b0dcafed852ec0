/*
 * The start of the kernel, in the order in which its parts need each other.
 *
 * Entered once, on the first CPU, on the first stack, with interrupts off; afterwards that context
 * is the CPU's idle thread. Read next: boot/boot_main.c for what comes before, and
 * kernel/proc/init_start.c for what comes after.
 */
#include <arch/cpu.h>
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/platform.h>
#include <boot_info.h>
#include <debug/ktest.h>
#include <lib/assert.h>
#include <lib/cmdline.h>
#include <lib/printk.h>
#include <lib/radix.h>
#include <lib/random.h>
#include <ipc/init.h>
#include <mm/boot_alloc.h>
#include <mm/direct.h>
#include <mm/fault.h>
#include <mm/frames.h>
#include <mm/kasan.h>
#include <mm/mm.h>
#include <mm/rmap.h>
#include <mm/slab.h>
#include <mm/vmap.h>
#include <proc/clock.h>
#include <proc/futex.h>
#include <proc/process.h>
#include <proc/sched.h>
#include <proc/thread.h>

/* Memory: from the firmware's map to frames, objects and stacks. */
static void init_memory(const struct boot_info *info)
{
    boot_alloc_init(info);
    kernel_map_init(info);
    direct_reserve();
    frames_init(info);
    /* The page tables of the start are of no use any more. */
    frames_release_reserved(image_to_phys(__init_start), image_to_phys(__init_end));
    slab_init();
    vmap_init();
    kasan_init();
    radix_lib_init();
}

/* Everything that makes threads, address spaces and handles possible. */
static void init_subsystems(void)
{
    random_init();
    clock_init();
    thread_init();
    sched_init();
    fault_init();
    rmap_init();
    mm_init();
    direct_init();
    ipc_init();
    futex_init();
    proc_init();
}

/* The first thread: what the kernel was started for. */
static void init_thread(void *arg)
{
    const struct boot_info *info = arg;

    if (cmdline_has("test")) {
        ktest_main();
    }
    init_start(info);
}

static void report_machine(const struct boot_info *info)
{
    printk("Cowbell: %s, %lu MiB of memory, %u CPU%s\n", info->protocol,
           boot_info_ram_bytes(info) / MIB, cpu_count(), cpu_count() == 1 ? "" : "s");
}

void kmain(struct boot_info *info)
{
    cmdline_init(info->cmdline);
    init_memory(info);
    platform_init(info);
    init_subsystems();
    platform_smp_start();
    report_machine(info);
    cmdline_report_unknown();
    ASSERT(kernel_map_is_wx_free(), "I12: no kernel mapping is writable and executable");
    if (thread_create_kernel(init_thread, info, "init") == NULL) {
        panic("there is too little memory for the first thread");
    }
    sched_idle_loop();
}
