/*
 * Starting a program: what the ELF parser decides (pure, no memory of the kernel's needed) and
 * what the loader does with it.
 */
#ifndef PROC_EXEC_H
#define PROC_EXEC_H

#include <lib/types.h>
#include <lib/compiler.h>

struct file;
struct mm;
struct trapframe;

/* The first bytes of a file that decide its format, as in Linux. */
#define EXEC_HEAD_SIZE 256
/* Linux's bounds on one argument and on their number. */
#define EXEC_MAX_ARG_LEN   (32 * 4096)
#define EXEC_MAX_ARG_COUNT 0x7fffffff
/* Scripts that name scripts. */
#define EXEC_MAX_DEPTH 5
#define EXEC_PATH_MAX  4096

/* Linux's bound on the size of all program headers. */
#define ELF_MAX_PHDRS_SIZE 65536

/* One PT_LOAD with its numbers checked: no sum of them wraps or leaves user space. */
struct elf_segment {
    u64 vaddr;
    u64 file_size;
    u64 mem_size;
    u64 offset; /* congruent to vaddr modulo the page size if file_size is not 0 */
    u32 flags;  /* PF_R, PF_W, PF_X */
};

/* Everything that loading a program needs to know besides its program headers. */
struct elf_plan {
    bool is_relocatable; /* ET_DYN: addresses are relative to a base of our choice */
    u16 phdr_count;
    u64 phdr_offset;
    u64 phdr_vaddr; /* where AT_PHDR points, relative like the segments; 0 if not loaded */
    u64 entry;
    u64 low;   /* page-aligned start of the lowest segment */
    u64 high;  /* end of the highest segment */
    u64 align; /* largest p_align among the segments, at least a page, a power of two */
    bool has_interp;
    bool has_executable_stack;
    u64 interp_offset;
    u64 interp_size; /* with its NUL */
    u32 nr_segments;
};

/**
 * elf_parse_header() - check the file header.
 * @head: first bytes of the file
 * @size: how many, may be fewer than a header
 * @plan: out: entry, phdr_offset, phdr_count, is_relocatable; the rest zeroed
 *
 * Context: any; pure, like the functions below.
 * Return:  0, or -ENOEXEC: not an ELF64 program for this machine.
 */
MUST_CHECK int elf_parse_header(const void *head, size_t size, struct elf_plan *plan);

/**
 * elf_parse_interp() - what the program headers say about interpreter and stack.
 * @phdrs: the program headers, at least plan->phdr_count of them
 * @size:  bytes at @phdrs
 * @plan:  in: from elf_parse_header(); out: the fields about both
 *
 * Return: 0, or -ENOEXEC (the name's length cannot be, or too few headers).
 */
MUST_CHECK int elf_parse_interp(const void *phdrs, size_t size, struct elf_plan *plan);

/**
 * elf_parse_segments() - check everything that is to be mapped.
 * @plan: in: from elf_parse_header(); out: ranges, alignment, counts, phdr_vaddr
 *
 * Return: 0, or -EINVAL (more file than memory, outside user space, an offset that cannot be
 *         mapped at its address, or nothing to load in a relocatable program).
 */
MUST_CHECK int elf_parse_segments(const void *phdrs, size_t size, struct elf_plan *plan);

/** elf_get_segment() - header @index of a plan that passed; false if it is not a PT_LOAD. */
bool elf_get_segment(const void *phdrs, const struct elf_plan *plan, u32 index,
                     struct elf_segment *segment);

/* A `#!` line taken apart. */
struct script_plan {
    const char *interpreter; /* into the head, NUL-terminated */
    const char *argument;    /* the one argument, or NULL */
};

/**
 * script_parse() - take a `#!` line apart.
 * @head: first EXEC_HEAD_SIZE bytes of the file, zero-padded; NULs are written into it
 * @size: bytes that the file really has there
 * @plan: out
 *
 * Context: any; pure.
 * Return:  0, or -ENOEXEC (no interpreter on the line, or the name is cut off).
 */
MUST_CHECK int script_parse(char *head, size_t size, struct script_plan *plan);

/**
 * exec_user() - execve: replace the current program.
 * @dirfd:    directory that a relative path starts at, or the file itself (AT_EMPTY_PATH)
 * @path:     user address of the path
 * @argv:     user address of the argument pointers; 0 means none
 * @envp:     the same for the environment
 * @at_flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
 *
 * Context: system call. On success the user registers are those of the new program.
 * Return:  0 or an error of execve(2). Past the point of no return an error kills the process.
 */
MUST_CHECK int exec_user(s32 dirfd, u64 path, u64 argv, u64 envp, u32 at_flags);

/**
 * exec_kernel() - the same for the kernel's own start of process 1.
 * @file: the program; the caller keeps its reference
 * @name: what argv[0] and AT_EXECFN say
 * @argv: NULL-terminated
 * @envp: NULL-terminated
 *
 * Context: a thread of a process that has a mm, maybe empty. Return: 0 or an error.
 */
MUST_CHECK int exec_kernel(struct file *file, const char *name, const char *const *argv,
                           const char *const *envp);

#endif
