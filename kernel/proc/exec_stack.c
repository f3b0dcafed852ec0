/*
 * The initial stack of a program, as the System V x86-64 psABI (3.4.1) lays it out.
 *
 * From the top down: eight zero bytes, the program's name, the environment's and the arguments'
 * strings, the platform's name and 16 random bytes; then, at the stack pointer and up: argc, the
 * argument pointers, the environment pointers, the auxiliary vector. Read next: exec.c.
 */
#include <proc/exec_internal.h>

#include <arch/cpu.h>
#include <arch/signal_frame.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/random.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/auxvec.h>
#include <uapi/linux/elf.h>

#define RANDOM_BYTES    16
#define CLOCK_TICKS     100
#define STACK_ALIGNMENT 16

/* Where the parts stand, decided before the first byte is written. */
struct stack_plan {
    u64 filename;
    u64 strings;      /* the first stored byte that is used */
    u64 strings_skip; /* bytes of the store that are not */
    u64 prefix;       /* the strings of scripts, in front */
    u64 prefix_bytes;
    u64 platform;
    u64 random;
    u64 sp;
    u64 nr_words;
};

static u64 prefix_bytes(const struct exec_args *args)
{
    u64 bytes = 0;

    for (u32 i = 0; i < args->nr_prefix; i++) {
        bytes += strlen(args->prefix[i]) + 1;
    }
    return bytes;
}

static u32 final_argc(const struct exec_args *args)
{
    return args->argc + args->nr_prefix - (args->drops_first ? 1 : 0);
}

static void plan_stack(struct stack_plan *plan, const struct exec_args *args,
                       const struct exec_aux *aux, u64 top)
{
    plan->strings_skip = args->drops_first ? args->first_bytes : 0;
    plan->prefix_bytes = prefix_bytes(args);
    plan->filename = top - sizeof(u64) - (strlen(aux->filename) + 1);
    plan->strings = plan->filename - (args->used - plan->strings_skip);
    plan->prefix = plan->strings - plan->prefix_bytes;
    plan->platform = plan->prefix - (strlen(arch_elf_platform()) + 1);
    plan->random = ALIGN_DOWN(plan->platform - RANDOM_BYTES, STACK_ALIGNMENT);
    plan->nr_words = 1 + final_argc(args) + 1 + args->envc + 1 + AUXV_WORDS;
    plan->sp = ALIGN_DOWN(plan->random - plan->nr_words * sizeof(u64), STACK_ALIGNMENT);
}

/* Words are collected and written a block at a time. */
struct word_writer {
    u64 to;
    u32 count;
    int error;
    u64 words[64];
};

static void word_flush(struct word_writer *writer)
{
    size_t size = writer->count * sizeof(u64);

    if (writer->error == 0 && size > 0) {
        writer->error = copy_to_user(writer->to, writer->words, size);
    }
    writer->to += size;
    writer->count = 0;
}

static void word_put(struct word_writer *writer, u64 word)
{
    if (writer->count == ARRAY_SIZE(writer->words)) {
        word_flush(writer);
    }
    writer->words[writer->count++] = word;
}

/* Pointers to @count strings of the store from byte *@offset on; moves the offset behind them. */
static void put_pointers(struct word_writer *writer, const struct exec_args *args,
                         const struct stack_plan *plan, u64 *offset, u32 count)
{
    while (count > 0) {
        word_put(writer, plan->strings + (*offset - plan->strings_skip));
        for (;;) {
            const u8 *page = args->pages[*offset / PAGE_SIZE] + *offset % PAGE_SIZE;
            size_t rest = min(PAGE_SIZE - *offset % PAGE_SIZE, args->used - *offset);
            size_t length = strnlen((const char *)page, rest);

            *offset += length;
            if (length < rest) {
                break;
            }
        }
        *offset += 1;
        count--;
    }
}

static u32 fill_auxv(u64 *auxv, const struct exec_aux *aux, const struct stack_plan *plan)
{
    const struct cred *cred = &current_process()->cred;
    const u64 pairs[][2] = {
        {AT_MINSIGSTKSZ, arch_signal_min_stack()},
        {AT_HWCAP, cpu_features()->hwcap},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_CLKTCK, CLOCK_TICKS},
        {AT_PHDR, aux->phdr},
        {AT_PHENT, sizeof(struct elf64_phdr)},
        {AT_PHNUM, aux->phnum},
        {AT_BASE, aux->base},
        {AT_FLAGS, 0},
        {AT_ENTRY, aux->entry},
        {AT_UID, cred->uid},
        {AT_EUID, cred->euid},
        {AT_GID, cred->gid},
        {AT_EGID, cred->egid},
        {AT_SECURE, aux->is_secure},
        {AT_RANDOM, plan->random},
        {AT_HWCAP2, cpu_hwcap2()},
        {AT_EXECFN, plan->filename},
        {AT_PLATFORM, plan->platform},
        {AT_NULL, 0},
    };

    _Static_assert(sizeof(pairs) <= AUXV_WORDS * sizeof(u64), "the whole vector is kept");
    memcpy(auxv, pairs, sizeof(pairs));
    return sizeof(pairs) / sizeof(u64);
}

static int write_strings(const struct exec_args *args, const struct exec_aux *aux,
                         const struct stack_plan *plan)
{
    u8 random[RANDOM_BYTES];
    u64 to = plan->prefix;
    int error = 0;

    for (u32 i = args->nr_prefix; i > 0 && error == 0; i--) {
        size_t size = strlen(args->prefix[i - 1]) + 1;

        error = copy_to_user(to, args->prefix[i - 1], size);
        to += size;
    }
    for (u64 offset = plan->strings_skip; offset < args->used && error == 0;) {
        size_t size = min(PAGE_SIZE - offset % PAGE_SIZE, args->used - offset);

        error = copy_to_user(to, args->pages[offset / PAGE_SIZE] + offset % PAGE_SIZE, size);
        to += size;
        offset += size;
    }
    if (error == 0) {
        error = copy_to_user(plan->filename, aux->filename, strlen(aux->filename) + 1);
    }
    if (error == 0) {
        error = copy_to_user(plan->platform, arch_elf_platform(), strlen(arch_elf_platform()) + 1);
    }
    random_bytes(random, sizeof(random));
    return error == 0 ? copy_to_user(plan->random, random, sizeof(random)) : error;
}

static int write_vectors(struct mm *mm, const struct exec_args *args, const struct exec_aux *aux,
                         const struct stack_plan *plan)
{
    struct word_writer writer = {.to = plan->sp};
    u64 offset = plan->strings_skip;
    u64 prefix = plan->prefix;

    word_put(&writer, final_argc(args));
    for (u32 i = args->nr_prefix; i > 0; i--) {
        word_put(&writer, prefix);
        prefix += strlen(args->prefix[i - 1]) + 1;
    }
    put_pointers(&writer, args, plan, &offset, final_argc(args) - args->nr_prefix);
    word_put(&writer, 0);
    ASSERT(offset == args->argv_bytes, "the environment begins where the arguments end");
    put_pointers(&writer, args, plan, &offset, args->envc);
    word_put(&writer, 0);
    u64 *auxv = mm->auxv->words;
    u32 nr_aux = fill_auxv(auxv, aux, plan);

    for (u32 i = 0; i < nr_aux; i++) {
        word_put(&writer, auxv[i]);
    }
    word_flush(&writer);
    return writer.error;
}

int exec_build_stack(struct mm *mm, const struct exec_args *args, const struct exec_aux *aux,
                     u64 vm_flags, u64 *sp)
{
    struct stack_plan plan;
    u64 top;

    plan_stack(&plan, args, aux, TASK_SIZE);
    int error = mm_setup_stack(mm, TASK_SIZE - plan.sp, vm_flags, &top);

    if (error != 0) {
        return error;
    }
    plan_stack(&plan, args, aux, top);
    error = write_strings(args, aux, &plan);
    if (error == 0) {
        error = write_vectors(mm, args, aux, &plan);
    }
    if (error != 0) {
        return error;
    }
    u64 env_start = plan.strings + (args->argv_bytes - plan.strings_skip);

    mm_write_lock(mm);
    mm->layout.start_stack = plan.sp;
    mm->layout.arg_start = plan.prefix;
    mm->layout.arg_end = env_start;
    mm->layout.env_start = env_start;
    mm->layout.env_end = plan.filename;
    mm_write_unlock(mm);
    *sp = plan.sp;
    return 0;
}
