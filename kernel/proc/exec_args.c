/*
 * The strings of execve between the old address space and the new one.
 *
 * Limits as in Linux: one string at most 32 pages; strings and pointers together at most a quarter
 * of RLIMIT_STACK, 6 MiB, and never less than 32 pages. Read next: exec_stack.c.
 */
#include <proc/exec_internal.h>

#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/rlimit.h>
#include <proc/signal.h>
#include <proc/thread.h>

#define ARGS_MAX (6UL * MIB)
#define ARGS_MIN (32 * PAGE_SIZE)

int exec_args_init(struct exec_args *args)
{
    u64 quarter = rlimit_get(RLIMIT_STACK) / 4;

    memset(args, 0, sizeof(*args));
    args->limit = clamp(quarter, ARGS_MIN, ARGS_MAX);
    args->max_pages = (u32)(args->limit / PAGE_SIZE) + 1;
    args->pages = kmalloc_array(args->max_pages, sizeof(args->pages[0]), ALLOC_ZERO);
    return args->pages != NULL ? 0 : -ENOMEM;
}

void exec_args_free(struct exec_args *args)
{
    for (u32 i = 0; i < args->nr_pages; i++) {
        kfree(args->pages[i]);
    }
    for (u32 i = 0; i < args->nr_prefix; i++) {
        kfree(args->prefix[i]);
    }
    kfree(args->pages);
    memset(args, 0, sizeof(*args));
}

/* Strings so far and the pointers to them must leave room for one more pointer. */
static bool args_fit(const struct exec_args *args)
{
    u64 pointers = ((u64)args->argc + args->envc + args->nr_prefix + 2) * sizeof(u64);

    return args->used + pointers <= args->limit;
}

/* The free rest of the last page; a new page if it is full. */
static int args_room(struct exec_args *args, char **room, size_t *size)
{
    u64 offset = args->used % PAGE_SIZE;

    if (args->used / PAGE_SIZE == args->nr_pages) {
        if (args->nr_pages == args->max_pages) {
            return -E2BIG;
        }
        u8 *page = kmalloc(PAGE_SIZE, ALLOC_USER);

        if (page == NULL) {
            return -ENOMEM;
        }
        args->pages[args->nr_pages++] = page;
    }
    *room = (char *)args->pages[args->used / PAGE_SIZE] + offset;
    *size = PAGE_SIZE - offset;
    return 0;
}

static int args_add_user(struct exec_args *args, u64 text)
{
    u64 start = args->used;

    for (;;) {
        char *room;
        size_t size;
        int error = args_room(args, &room, &size);

        if (error != 0) {
            return error;
        }
        s64 length = strncpy_from_user(room, text, size);

        if (length >= 0) {
            args->used += (u64)length + 1;
            break;
        }
        if (length != -ENAMETOOLONG) {
            return (int)length;
        }
        args->used += size;
        text += size;
        if (args->used - start >= EXEC_MAX_ARG_LEN) {
            return -E2BIG;
        }
    }
    if (args->used - start > EXEC_MAX_ARG_LEN || !args_fit(args)) {
        return -E2BIG;
    }
    return 0;
}

static void args_note_first(struct exec_args *args)
{
    if (args->first_bytes == 0) {
        args->first_bytes = args->used;
    }
}

int exec_args_add_user_vector(struct exec_args *args, u64 vector, u32 *count)
{
    if (vector == 0) {
        return 0;
    }
    for (;; vector += sizeof(u64)) {
        u64 text;

        if (get_user_u64(&text, vector) != 0) {
            return -EFAULT;
        }
        if (text == 0) {
            return 0;
        }
        if (fatal_signal_pending(current_thread())) {
            return -ERESTARTNOHAND;
        }
        int error = args_add_user(args, text);

        if (error != 0) {
            return error;
        }
        args_note_first(args);
        (*count)++;
    }
}

int exec_args_add_kernel(struct exec_args *args, const char *text)
{
    size_t left = strlen(text) + 1;

    while (left > 0) {
        char *room;
        size_t size;
        int error = args_room(args, &room, &size);

        if (error != 0) {
            return error;
        }
        size = min(size, left);
        memcpy(room, text, size);
        args->used += size;
        text += size;
        left -= size;
    }
    args_note_first(args);
    return args_fit(args) ? 0 : -E2BIG;
}

int exec_args_end_argv(struct exec_args *args)
{
    if (args->argc == 0) {
        /* Programs take argv[0] for granted; Linux gives them an empty one. */
        int error = exec_args_add_kernel(args, "");

        if (error != 0) {
            return error;
        }
        args->argc = 1;
    }
    args->argv_bytes = args->used;
    return 0;
}

int exec_args_push_front(struct exec_args *args, const char *text)
{
    size_t size = strlen(text) + 1;

    if (args->nr_prefix == EXEC_MAX_PREFIX) {
        return -E2BIG;
    }
    char *copy = kmalloc(size, ALLOC_KERNEL);

    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, text, size);
    args->prefix[args->nr_prefix++] = copy;
    return args_fit(args) ? 0 : -E2BIG;
}

void exec_args_drop_first(struct exec_args *args)
{
    if (args->nr_prefix > 0) {
        kfree(args->prefix[--args->nr_prefix]);
    } else {
        args->drops_first = true;
    }
}
