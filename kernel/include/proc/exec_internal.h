/*
 * What the files of execve share: the argument strings on their way to the new stack, the program
 * being loaded. Nobody else includes this.
 */
#ifndef PROC_EXEC_INTERNAL_H
#define PROC_EXEC_INTERNAL_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <proc/exec.h>

/* Each script adds at most its interpreter, one argument and its own name. */
#define EXEC_MAX_PREFIX (3 * (EXEC_MAX_DEPTH + 1))

/*
 * Argument and environment strings, with their NULs, one behind the other in pages of the kernel:
 * the old memory is gone before the new stack can be written. Scripts put strings in front, which
 * replace the first argument.
 */
struct exec_args {
    u8 **pages;
    u32 nr_pages;
    u32 max_pages;
    u64 used;        /* bytes stored */
    u64 limit;       /* bytes that strings and pointers may take together */
    u64 first_bytes; /* length of the first argument with its NUL */
    u64 argv_bytes;  /* where the environment begins */
    u32 argc;        /* strings stored as arguments */
    u32 envc;
    u32 nr_prefix;
    char *prefix[EXEC_MAX_PREFIX]; /* in reverse order: the last one is argv[0] */
    bool drops_first;
};

/** exec_args_init() - room for strings as RLIMIT_STACK allows. Return: 0 or -ENOMEM. */
MUST_CHECK int exec_args_init(struct exec_args *args);

/** exec_args_free() - give all strings back; a zeroed struct is fine. */
void exec_args_free(struct exec_args *args);

/**
 * exec_args_add_user_vector() - append the strings of a NULL-terminated vector.
 * @vector: user address of the pointers, 0 for none
 * @count:  in and out: strings so far
 * Return:  0, -EFAULT, -E2BIG, -ENOMEM, -ERESTARTNOHAND (killed).
 */
MUST_CHECK int exec_args_add_user_vector(struct exec_args *args, u64 vector, u32 *count);

/** exec_args_add_kernel() - append one string of the kernel. Return: 0, -E2BIG, -ENOMEM. */
MUST_CHECK int exec_args_add_kernel(struct exec_args *args, const char *text);

/** exec_args_end_argv() - the arguments are complete; there is at least one afterwards. */
MUST_CHECK int exec_args_end_argv(struct exec_args *args);

/** exec_args_push_front() - a string in front of the arguments. Return: 0, -E2BIG, -ENOMEM. */
MUST_CHECK int exec_args_push_front(struct exec_args *args, const char *text);

/** exec_args_drop_first() - the first argument goes (a script's own name takes its place). */
void exec_args_drop_first(struct exec_args *args);

/* What the auxiliary vector says. */
struct exec_aux {
    u64 phdr, phnum, base, entry;
    bool is_secure;
    const char *filename;
};

struct mm;

/**
 * exec_build_stack() - write strings, pointers and auxiliary vector to the top of the new stack.
 * @mm:  the new address space, current
 * @sp:  out: the initial stack pointer
 * Return: 0, -ENOMEM, -EFAULT.
 */
MUST_CHECK int exec_build_stack(struct mm *mm, const struct exec_args *args,
                                const struct exec_aux *aux, u64 vm_flags, u64 *sp);

/* One ELF file that is to be loaded: the program, or its interpreter. */
struct exec_image {
    struct file *file;
    char head[EXEC_HEAD_SIZE];
    size_t head_size;
    struct elf_plan plan;
    void *phdrs;
    size_t phdrs_size;
    u64 bias; /* added to the file's addresses */
};

/** exec_image_read_head() - the first bytes, zero-padded. Return: 0 or an error of read(2). */
MUST_CHECK int exec_image_read_head(struct exec_image *image);

/** exec_image_read_elf() - header and program headers. Return: 0, -ENOEXEC, -ENOMEM. */
MUST_CHECK int exec_image_read_elf(struct exec_image *image);

/** exec_image_free() - drop file and headers; a zeroed struct is fine. */
void exec_image_free(struct exec_image *image);

/**
 * exec_image_map() - map the segments into the current address space.
 * @hint: where a relocatable image goes, or 0 for the mmap area
 * @layout_end: out: end of the highest segment, not aligned
 *
 * Return: 0 or an error that ends the process.
 */
MUST_CHECK int exec_image_map(struct mm *mm, struct exec_image *image, u64 hint, u64 *layout_end);

#endif
