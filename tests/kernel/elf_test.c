/* execve: small ELF files made here, sound and broken. */
#include "proc_test.h"

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <debug/ktest.h>
#include <ipc/file.h>
#include <ipc/memfd.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <mm/fail_inject.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/usercopy.h>
#include <proc/exec.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/auxvec.h>
#include <uapi/linux/elf.h>
#include <uapi/linux/wait.h>

#define LOAD_ADDRESS 0x400000UL

struct program {
    struct elf64_header header;
    struct elf64_phdr phdrs[3];
    u8 code[64];
};

static struct program program;
static u64 code_vaddr;

/* mov 0x402800, %edi (zero behind the file's part); add $42, %edi; mov $60, %eax; syscall */
static const u8 exit_42[] = {0x8b, 0x3c, 0x25, 0x00, 0x28, 0x40, 0x00, 0x83, 0xc7,
                             42,   0xb8, 60,   0,    0,    0,    0x0f, 0x05};

static void make_program(u16 type)
{
    u64 base = type == ET_EXEC ? LOAD_ADDRESS : 0;

    memset(&program, 0, sizeof(program));
    memcpy(program.header.e_ident, "\177ELF\2\1\1", 7);
    memcpy(program.code, exit_42, sizeof(exit_42));
    code_vaddr = base + offsetof(struct program, code);
    program.header.e_type = type;
    program.header.e_machine = EM_X86_64;
    program.header.e_entry = code_vaddr;
    program.header.e_phoff = offsetof(struct program, phdrs);
    program.header.e_phentsize = sizeof(struct elf64_phdr);
    program.header.e_phnum = 2;
    program.phdrs[0] = (struct elf64_phdr){.p_type = PT_LOAD,
                                           .p_flags = PF_R | PF_X,
                                           .p_vaddr = base,
                                           .p_filesz = sizeof(program),
                                           .p_memsz = sizeof(program),
                                           .p_align = PAGE_SIZE};
    program.phdrs[1] = (struct elf64_phdr){.p_type = PT_LOAD,
                                           .p_flags = PF_R | PF_W,
                                           .p_vaddr = base + 0x2000,
                                           .p_filesz = 16,
                                           .p_memsz = 0x3000,
                                           .p_align = PAGE_SIZE};
}

static struct file *program_file(size_t size)
{
    struct file *file;
    u64 done;

    if (memfd_create("program", 0, &file) != 0) {
        panic("elf_test: no memory for a file");
    }
    if (object_write_kernel(memfd_object(file), 0, &program, size, &done) != 0) {
        panic("elf_test: no memory for a program");
    }
    return file;
}

static int exec_program(size_t size)
{
    static const char *const argv[] = {"program", "one", NULL};
    static const char *const envp[] = {"A=1", NULL};
    struct file *file = program_file(size);
    int error = exec_kernel(file, "/test/program", argv, envp);

    file_put(file);
    return error;
}

static void enter_program(void)
{
    EXPECT_OK(exec_program(sizeof(program)));
    arch_enter_user(arch_thread_trapframe(&current_thread()->arch));
}

static void body_run_static(void)
{
    make_program(ET_EXEC);
    enter_program();
}

TEST(elf, a_static_program_runs_with_zeroed_bss)
{
    EXPECT_EQ(WAIT_STATUS_EXIT(42), proc_test_run(body_run_static));
}

static u64 stack_word(u64 index)
{
    u64 word = 0;

    EXPECT_OK(get_user_u64(&word, tf_sp(arch_thread_trapframe(&current_thread()->arch)) +
                                      index * sizeof(u64)));
    return word;
}

static void expect_user_string(const char *expected, u64 address)
{
    char text[32] = "";

    EXPECT_EQ(strlen(expected), strncpy_from_user(text, address, sizeof(text)));
    EXPECT_STR(expected, text);
}

static u64 aux_value(u64 type)
{
    for (u64 i = 6;; i += 2) {
        u64 found = stack_word(i);

        if (found == type) {
            return stack_word(i + 1);
        }
        if (found == AT_NULL || i > 100) {
            return ~0UL;
        }
    }
}

static void body_stack(void)
{
    make_program(ET_EXEC);
    ASSERT_OK(exec_program(sizeof(program)));
    EXPECT_EQ(0, tf_sp(arch_thread_trapframe(&current_thread()->arch)) % 16);
    EXPECT_EQ(2, stack_word(0));
    expect_user_string("program", stack_word(1));
    expect_user_string("one", stack_word(2));
    EXPECT_EQ(0, stack_word(3));
    expect_user_string("A=1", stack_word(4));
    EXPECT_EQ(0, stack_word(5));
    EXPECT_EQ(LOAD_ADDRESS + offsetof(struct program, phdrs), aux_value(AT_PHDR));
    EXPECT_EQ(2, aux_value(AT_PHNUM));
    EXPECT_EQ(PAGE_SIZE, aux_value(AT_PAGESZ));
    EXPECT_EQ(code_vaddr, aux_value(AT_ENTRY));
    EXPECT_EQ(0, aux_value(AT_BASE));
    EXPECT_EQ(0, aux_value(AT_SECURE));
    EXPECT_EQ(100, aux_value(AT_CLKTCK));
    EXPECT_EQ(0, aux_value(AT_UID));
    expect_user_string("/test/program", aux_value(AT_EXECFN));
    expect_user_string("x86_64", aux_value(AT_PLATFORM));
    EXPECT_STR("program", current_process()->comm);
    EXPECT_EQ(0x405000, current_mm()->layout.start_brk);
}

TEST(elf, the_initial_stack_is_what_the_psabi_says)
{
    EXPECT_EQ(0, proc_test_run(body_stack));
}

static void body_relocatable(void)
{
    make_program(ET_DYN);
    ASSERT_OK(exec_program(sizeof(program)));
    u64 entry = tf_ip(arch_thread_trapframe(&current_thread()->arch));

    EXPECT_TRUE(entry > 0x500000000000UL);
    EXPECT_EQ(code_vaddr % PAGE_SIZE, entry % PAGE_SIZE);
    EXPECT_EQ(entry, aux_value(AT_ENTRY));
    EXPECT_EQ(entry - code_vaddr + program.header.e_phoff, aux_value(AT_PHDR));
}

TEST(elf, a_relocatable_program_is_moved_as_a_whole)
{
    EXPECT_EQ(0, proc_test_run(body_relocatable));
}

/* --- what is refused ------------------------------------------------------------------------- */

static void body_refused(void)
{
    struct mm *mm = current_mm();

    make_program(ET_EXEC);
    EXPECT_ERR(-ENOEXEC, exec_program(0));
    EXPECT_ERR(-ENOEXEC, exec_program(4));
    EXPECT_ERR(-ENOEXEC, exec_program(63));
    EXPECT_ERR(-ENOEXEC, exec_program(64));
    program.header.e_machine = 3;
    EXPECT_ERR(-ENOEXEC, exec_program(sizeof(program)));
    make_program(1);
    EXPECT_ERR(-ENOEXEC, exec_program(sizeof(program)));
    make_program(ET_EXEC);
    program.phdrs[1].p_type = PT_INTERP;
    program.phdrs[1].p_filesz = 1;
    EXPECT_ERR(-ENOEXEC, exec_program(sizeof(program)));
    program.phdrs[1].p_filesz = 4;
    program.phdrs[1].p_offset = 0;
    EXPECT_ERR(-ENOEXEC, exec_program(sizeof(program)));
    program.phdrs[1].p_offset = 1 << 20;
    EXPECT_ERR(-EIO, exec_program(sizeof(program)));
    EXPECT_TRUE(current_mm() == mm && current_process()->mm == mm);
    EXPECT_FALSE(signal_pending(current_thread()));
}

TEST(elf, a_file_that_is_no_program_changes_nothing)
{
    EXPECT_EQ(0, proc_test_run(body_refused));
}

static void body_late_failure(void)
{
    make_program(ET_EXEC);
    program.phdrs[1].p_memsz = ~0UL;
    EXPECT_OK(exec_program(sizeof(program)));
    EXPECT_TRUE(signal_pending(current_thread()));
    arch_enter_user(arch_thread_trapframe(&current_thread()->arch));
}

TEST(elf, a_program_that_cannot_be_mapped_ends_the_process)
{
    EXPECT_EQ(SIGSEGV, proc_test_run(body_late_failure));
}

static void body_misaligned(void)
{
    make_program(ET_EXEC);
    program.phdrs[0].p_offset = 8;
    EXPECT_OK(exec_program(sizeof(program)));
    arch_enter_user(arch_thread_trapframe(&current_thread()->arch));
}

TEST(elf, a_segment_that_does_not_fit_its_page_ends_the_process)
{
    EXPECT_EQ(SIGSEGV, proc_test_run(body_misaligned));
}

/* --- without memory -------------------------------------------------------------------------- */

static u32 failing_allocation;
static bool has_fired;

static void body_without_memory(void)
{
    static const char *const argv[] = {"program", NULL};
    struct file *file = program_file(sizeof(program));

    fail_inject_begin(failing_allocation);
    int error = exec_kernel(file, "program", argv, argv + 1);

    has_fired = fail_inject_end();
    file_put(file);
    if (error != 0) {
        EXPECT_ERR(-ENOMEM, error);
        EXPECT_FALSE(signal_pending(current_thread()));
    } else if (has_fired) {
        EXPECT_TRUE(error == 0);
    }
}

TEST(elf, execve_fails_cleanly_at_each_allocation)
{
    make_program(ET_EXEC);
    has_fired = true;
    for (failing_allocation = 1; has_fired; failing_allocation++) {
        proc_test_run(body_without_memory);
    }
    EXPECT_TRUE(failing_allocation > 5);
}
