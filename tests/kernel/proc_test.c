/* The fixture of the suites about processes; see proc_test.h. */
#include "proc_test.h"

#include <arch/cpu.h>
#include <arch/thread.h>
#include <debug/ktest.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/process_internal.h>
#include <proc/thread.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/wait.h>

struct fixture {
    void (*body)(void);
    struct process *process;
};

static void map_page(struct mm *mm, u64 address, u32 prot)
{
    struct map_request request = {
        .addr = address,
        .len = PAGE_SIZE,
        .prot = prot,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
    };
    u64 found;

    if (mm_map(mm, &request, &found) != 0) {
        panic("proc_test: no memory for a page of the test");
    }
}

static void use_fresh_mm(struct process *process)
{
    struct mm *mm;

    if (mm_create(&mm) != 0) {
        panic("proc_test: no memory for an address space");
    }
    mm_setup_layout(mm, 8 * MIB);
    u64 flags = irq_save();

    process->mm = mm;
    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
    map_page(mm, PROGRAM_CODE, PROT_READ | PROT_WRITE | PROT_EXEC);
    map_page(mm, PROGRAM_STACK - PAGE_SIZE, PROT_READ | PROT_WRITE);
    map_page(mm, PROGRAM_DATA, PROT_READ | PROT_WRITE);
}

static void process_main(void *arg)
{
    struct fixture *fixture = arg;
    struct process *process;

    if (process_adopt_current(&process) != 0) {
        panic("proc_test: no memory for a process");
    }
    process_get(process);
    fixture->process = process;
    use_fresh_mm(process);
    fixture->body();
    process_exit_group(WAIT_STATUS_EXIT(0));
}

s32 proc_test_run(void (*body)(void))
{
    struct fixture fixture = {.body = body};
    struct thread *thread = thread_create_kernel(process_main, &fixture, "proc_test");

    if (thread == NULL) {
        panic("proc_test: no memory for a thread");
    }
    thread_join_kernel(thread);
    s32 status = fixture.process->exit_code;

    process_put(fixture.process);
    return status;
}

/* --- programs -------------------------------------------------------------------------------- */

static u64 put_program(const void *code, size_t size)
{
    if (copy_to_user(PROGRAM_CODE, code, size) != 0) {
        panic("proc_test: the code page cannot be written");
    }
    return PROGRAM_CODE;
}

u64 program_exit(u8 code)
{
    /* mov $code, %edi; mov $60, %eax; syscall */
    const u8 bytes[] = {0xbf, code, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};

    return put_program(bytes, sizeof(bytes));
}

u64 program_pause(void)
{
    /* 1: mov $34, %eax; syscall; jmp 1b */
    const u8 bytes[] = {0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};

    return put_program(bytes, sizeof(bytes));
}

u64 program_spin(void)
{
    /* 1: jmp 1b */
    const u8 bytes[] = {0xeb, 0xfe};

    return put_program(bytes, sizeof(bytes));
}

u64 program_store_exit(u32 value, u8 code)
{
    /* movl $value, PROGRAM_DATA; mov $code, %edi; mov $60, %eax; syscall */
    u8 bytes[] = {0xc7, 0x04, 0x25, 0, 0,    0,  0, 0, 0, 0,    0,   0xbf,
                  code, 0,    0,    0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
    u32 address = PROGRAM_DATA;

    memcpy(bytes + 3, &address, sizeof(address));
    memcpy(bytes + 7, &value, sizeof(value));
    return put_program(bytes, sizeof(bytes));
}

u64 program_read_null(void)
{
    /* xor %eax, %eax; mov 8(%rax), %rax */
    const u8 bytes[] = {0x31, 0xc0, 0x48, 0x8b, 0x40, 0x08};

    return put_program(bytes, sizeof(bytes));
}

u64 program_divide_by_zero(void)
{
    /* xor %ecx, %ecx; xor %edx, %edx; div %ecx */
    const u8 bytes[] = {0x31, 0xc9, 0x31, 0xd2, 0xf7, 0xf1};

    return put_program(bytes, sizeof(bytes));
}

u64 program_undefined(void)
{
    /* ud2 */
    const u8 bytes[] = {0x0f, 0x0b};

    return put_program(bytes, sizeof(bytes));
}

s64 program_clone(u64 entry, u64 flags)
{
    struct clone_request request = {.flags = flags, .exit_signal = SIGCHLD};
    s32 pid;

    tf_init_user(arch_thread_trapframe(&current_thread()->arch), entry, PROGRAM_STACK);
    int error = process_clone(&request, &pid);

    return error != 0 ? error : pid;
}

s64 program_wait(s32 pid, u32 options)
{
    struct wait_request request = {
        .which = pid > 0 ? P_PID : P_ALL, .id = pid, .options = options | WEXITED};
    struct wait_result result;
    int error = process_wait(&request, &result);

    if (error != 0) {
        return error;
    }
    return result.pid == 0 ? -EAGAIN : result.status;
}
