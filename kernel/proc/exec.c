/*
 * execve: another program in the same process.
 *
 * Three stages. Finding: open the file, follow `#!` lines, read the ELF headers and the
 * interpreter's; every error goes back to the caller. Committing: the other threads end, the old
 * memory is replaced by an empty address space. Loading: an error can only end the process, with
 * SIGSEGV as in Linux. Read next: elf.c, script.c, exec_args.c, elf_load.c, exec_stack.c.
 */
#include <proc/exec_internal.h>
#include <proc/process_internal.h>

#include <arch/cpu.h>
#include <arch/thread.h>
#include <arch/trapframe.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <ipc/path.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/vma.h>
#include <proc/itimer.h>
#include <proc/thread.h>
#include <uapi/linux/elf.h>
#include <uapi/linux/fcntl.h>
#include <uapi/linux/stat.h>

/* Where a position-independent program goes; its heap follows it. */
#define ELF_DYNAMIC_BASE 0x555555554000UL

struct exec {
    char *filename; /* as the program was named: AT_EXECFN, the script's argument */
    char *name;     /* of the file being looked at: filename, or a script's interpreter */
    bool closes_fd; /* filename goes through a descriptor that execve closes */
    struct exec_args args;
    struct exec_image program;
    struct exec_image interp;
    bool has_interp;
    bool is_secure;
    u32 mode, owner_uid, owner_gid;
    struct mm *mm;
    struct sighand *sighand; /* takes the place of the present one */
    struct files *files;     /* the same, if the present one is shared */
};

static void exec_free(struct exec *exec)
{
    if (exec->name != exec->filename) {
        kfree(exec->name);
    }
    kfree(exec->filename);
    exec_args_free(&exec->args);
    exec_image_free(&exec->program);
    exec_image_free(&exec->interp);
    if (exec->mm != NULL) {
        mm_put(exec->mm);
    }
    if (exec->sighand != NULL) {
        sighand_put(exec->sighand);
    }
    files_put(exec->files);
    kfree(exec);
}

static char *string_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = kmalloc(size, ALLOC_KERNEL);

    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

/* --- finding the program --------------------------------------------------------------------- */

static int exec_note_mode(struct exec *exec)
{
    struct stat stat;
    int error = file_stat(exec->program.file, &stat);

    if (error != 0) {
        return error;
    }
    if ((stat.st_mode & S_IFMT) != S_IFREG) {
        return -EACCES;
    }
    exec->mode = stat.st_mode;
    exec->owner_uid = stat.st_uid;
    exec->owner_gid = stat.st_gid;
    return 0;
}

/* A descriptor instead of a path: what the path's server would have checked is checked here. */
static int exec_open_fd(struct exec *exec, s32 fd)
{
    const struct cred *cred = &current_process()->cred;
    int error = fd_get(fd, &exec->program.file);

    if (error == 0) {
        error = exec_note_mode(exec);
    }
    if (error != 0) {
        return error;
    }
    u32 bits = exec->mode & 0111;

    if (!has_capability(CAP_DAC_OVERRIDE)) {
        if (cred->fsuid == exec->owner_uid) {
            bits &= 0100;
        } else {
            bits &= cred->fsgid == exec->owner_gid ? 0010 : 0001;
        }
    }
    if (bits == 0) {
        return -EACCES;
    }
    exec->closes_fd = files_get_cloexec(current_process()->files, fd) == 1;
    return 0;
}

static int exec_open(struct exec *exec, s32 dirfd, const char *path, u32 at_flags)
{
    char by_fd[EXEC_HEAD_SIZE];
    struct process *self = current_process();
    bool is_relative = dirfd != AT_FDCWD && path[0] != '/';
    int error;

    if (path[0] == '\0' && (at_flags & AT_EMPTY_PATH) != 0) {
        snprintf(by_fd, sizeof(by_fd), "/dev/fd/%d", dirfd);
        error = exec_open_fd(exec, dirfd);
    } else {
        snprintf(by_fd, sizeof(by_fd), "/dev/fd/%d/%s", dirfd, path);
        error = path_open_exec(self->fs, dirfd, path, at_flags, &exec->program.file);
        if (error == 0) {
            error = exec_note_mode(exec);
        }
        if (error == 0 && is_relative) {
            exec->closes_fd = files_get_cloexec(self->files, dirfd) == 1;
        }
    }
    if (error != 0) {
        return error;
    }
    exec->filename = string_copy(is_relative ? by_fd : path);
    exec->name = exec->filename;
    return exec->filename != NULL ? 0 : -ENOMEM;
}

/* The script's interpreter becomes the program, with the script as an argument. */
static int exec_enter_script(struct exec *exec)
{
    struct script_plan script;
    struct exec_image *program = &exec->program;
    int error = script_parse(program->head, program->head_size, &script);

    if (error == 0 && exec->closes_fd) {
        error = -ENOENT; /* the interpreter could not open what it is told to run */
    }
    if (error != 0) {
        return error;
    }
    char *interpreter = string_copy(script.interpreter);

    if (interpreter == NULL) {
        return -ENOMEM;
    }
    exec_args_drop_first(&exec->args);
    error = exec_args_push_front(&exec->args, exec->name);
    if (error == 0 && script.argument != NULL) {
        error = exec_args_push_front(&exec->args, script.argument);
    }
    if (error == 0) {
        error = exec_args_push_front(&exec->args, interpreter);
    }
    if (exec->name != exec->filename) {
        kfree(exec->name);
    }
    exec->name = interpreter;
    exec_image_free(program);
    if (error == 0) {
        error = path_open_exec(current_process()->fs, AT_FDCWD, interpreter, 0, &program->file);
    }
    return error == 0 ? exec_note_mode(exec) : error;
}

static int exec_follow_scripts(struct exec *exec)
{
    for (u32 depth = 0; depth <= EXEC_MAX_DEPTH; depth++) {
        struct exec_image *program = &exec->program;
        int error = exec_image_read_head(program);

        if (error != 0) {
            return error;
        }
        if (program->head[0] != '#' || program->head[1] != '!') {
            return 0;
        }
        error = exec_enter_script(exec);
        if (error != 0) {
            return error;
        }
    }
    return -ELOOP;
}

static int exec_open_interp(struct exec *exec)
{
    const struct elf_plan *plan = &exec->program.plan;
    char *path = kmalloc(plan->interp_size, ALLOC_KERNEL);

    if (path == NULL) {
        return -ENOMEM;
    }
    s64 size =
        file_read_kernel(exec->program.file, path, plan->interp_size, (s64)plan->interp_offset);
    int error = 0;

    if (size != (s64)plan->interp_size) {
        error = size < 0 ? (int)size : -EIO;
    } else if (path[size - 1] != '\0') {
        error = -ENOEXEC;
    } else {
        error = path_open_exec(current_process()->fs, AT_FDCWD, path, 0, &exec->interp.file);
    }
    kfree(path);
    return error;
}

static int exec_read_interp(struct exec *exec)
{
    int error = exec_open_interp(exec);

    if (error == 0) {
        error = exec_image_read_head(&exec->interp);
    }
    if (error != 0) {
        return error;
    }
    if (exec->interp.head_size < sizeof(struct elf64_header)) {
        return -EIO;
    }
    error = exec_image_read_elf(&exec->interp);
    exec->has_interp = true;
    return error == -ENOEXEC ? -ELIBBAD : error;
}

static int exec_find(struct exec *exec)
{
    int error = exec_follow_scripts(exec);

    if (error == 0) {
        error = exec_image_read_elf(&exec->program);
    }
    if (error == 0 && exec->program.plan.has_interp) {
        error = exec_read_interp(exec);
    }
    return error;
}

/* --- committing ------------------------------------------------------------------------------ */

/* Everything that takes memory, while failing is still possible. */
static int exec_prepare(struct exec *exec)
{
    struct process *process = current_process();
    int error = mm_create(&exec->mm);

    if (error != 0) {
        return error;
    }
    mm_setup_layout(exec->mm, rlimit_get(RLIMIT_STACK));
    mm_set_exe_file(exec->mm, exec->program.file);
    error = mm_create_auxv(exec->mm);
    if (error != 0) {
        return error;
    }
    exec->sighand = sighand_create();
    if (exec->sighand == NULL) {
        return -ENOMEM;
    }
    if (files_is_shared(process->files)) {
        return files_fork(process->files, &exec->files);
    }
    return 0;
}

static void exec_swap_mm(struct exec *exec)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;
    struct mm *old = process->mm;
    struct process_usage size = {0};

    if (old != NULL) {
        thread_leave_mm_words(thread);
        size.maxrss_pages = max(old->hiwater_rss, mm_rss_total(old));
    }
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct sighand *before = process->sighand;

    process_usage_add(&process->usage, &size);
    process->mm = exec->mm;
    thread->mm = exec->mm;
    arch_mm_switch(exec->mm);
    sighand_copy_ignored(exec->sighand, before);
    process->sighand = exec->sighand;
    exec->sighand = before;
    spin_unlock_irqrestore(&process->sig_lock, flags);
    exec->mm = NULL;
    vfork_release(thread);
    if (old != NULL) {
        mm_put(old);
    }
}

static void exec_swap_files(struct exec *exec)
{
    struct process *process = current_process();

    if (exec->files != NULL) {
        struct files *shared = process->files;

        spin_lock(&process_tree_lock);
        process->files = exec->files;
        spin_unlock(&process_tree_lock);
        exec->files = shared;
    }
    files_exec(process->files);
}

static void exec_set_name(const char *filename)
{
    struct thread *thread = current_thread();
    const char *slash = strrchr(filename, '/');

    thread_set_name(thread, slash != NULL ? slash + 1 : filename);
    memcpy(thread->process->comm, thread->comm, sizeof(thread->process->comm));
}

static void exec_set_identity(struct exec *exec)
{
    struct process *process = current_process();
    struct cred *cred = &process->cred;
    u32 group_exec = S_ISGID | 0010;

    spin_lock(&process_tree_lock);
    process->has_execed = true;
    process->exit_signal = SIGCHLD;
    u32 old_euid = cred->euid, old_egid = cred->egid;

    if (!process->no_new_privs) {
        if ((exec->mode & S_ISUID) != 0) {
            cred->euid = exec->owner_uid;
        }
        if ((exec->mode & group_exec) == group_exec) {
            cred->egid = exec->owner_gid;
        }
    }
    exec->is_secure = cred->euid != old_euid || cred->egid != old_egid;
    cred_exec(cred);
    spin_unlock(&process_tree_lock);
    if (exec->is_secure) {
        process->pdeath_signal = 0;
    }
    process->dumpable = !exec->is_secure;
    process->is_server = false;
    process->keep_caps = false;
}

static int exec_commit(struct exec *exec)
{
    struct process *process = current_process();
    int error = process_kill_other_threads();

    if (error != 0) {
        return error;
    }
    exec_swap_mm(exec);
    process_timers_exec(process);
    exec_swap_files(exec);
    signal_exec_reset();
    exec_set_name(exec->filename);
    exec_set_identity(exec);
    current_thread()->restart.func = NULL;
    return 0;
}

/* --- loading --------------------------------------------------------------------------------- */

static int exec_load(struct exec *exec, u64 *entry, u64 *sp)
{
    struct mm *mm = current_mm();
    struct exec_image *program = &exec->program;
    u64 end;
    int error = exec_image_map(mm, program, ELF_DYNAMIC_BASE, &end);

    if (error != 0) {
        return error;
    }
    mm_set_brk(mm, PAGE_ALIGN_UP(end));
    *entry = program->plan.entry + program->bias;
    struct exec_aux aux = {
        .phnum = program->plan.phdr_count,
        .phdr = program->plan.phdr_vaddr != 0 ? program->plan.phdr_vaddr + program->bias : 0,
        .entry = *entry,
        .is_secure = exec->is_secure,
        .filename = exec->filename,
    };

    if (exec->has_interp) {
        error = exec_image_map(mm, &exec->interp, 0, NULL);
        if (error != 0) {
            return error;
        }
        *entry = exec->interp.plan.entry + exec->interp.bias;
        aux.base = exec->interp.bias;
    }
    if (*entry >= TASK_SIZE) {
        return -EINVAL;
    }
    u64 vm_flags = program->plan.has_executable_stack ? VM_EXEC : 0;

    return exec_build_stack(mm, &exec->args, &aux, vm_flags, sp);
}

/* The arguments are in exec->args and the file is open. Return: an error that leaves everything
 * as it was, or 0: the registers are the new program's, or the process is dying. */
static int exec_run(struct exec *exec)
{
    u64 entry, sp;
    int error = exec_find(exec);

    if (error == 0) {
        error = exec_prepare(exec);
    }
    if (error == 0) {
        error = exec_commit(exec);
    }
    if (error != 0) {
        return error;
    }
    if (exec_load(exec, &entry, &sp) != 0) {
        /* What ended the load may be a signal, which is then what the process dies of. */
        if (!fatal_signal_pending(current_thread())) {
            signal_force_kill(SIGSEGV);
        }
        return 0;
    }
    arch_thread_exec();
    tf_init_user(arch_thread_trapframe(&current_thread()->arch), entry, sp);
    return 0;
}

static int exec_collect_user(struct exec *exec, u64 argv, u64 envp)
{
    struct exec_args *args = &exec->args;
    int error = exec_args_init(args);

    if (error == 0) {
        error = exec_args_add_user_vector(args, argv, &args->argc);
    }
    if (error == 0) {
        error = exec_args_end_argv(args);
    }
    if (error == 0) {
        error = exec_args_add_user_vector(args, envp, &args->envc);
    }
    return error;
}

int exec_user(s32 dirfd, u64 path, u64 argv, u64 envp, u32 at_flags)
{
    char *text;

    if ((at_flags & ~(u32)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0) {
        return -EINVAL;
    }
    int error = path_get_user(path, &text);

    if (error != 0) {
        return error;
    }
    struct exec *exec = kzalloc(sizeof(*exec), ALLOC_KERNEL);

    if (exec == NULL) {
        path_put(text);
        return -ENOMEM;
    }
    error = exec_open(exec, dirfd, text, at_flags);
    path_put(text);
    if (error == 0) {
        error = exec_collect_user(exec, argv, envp);
    }
    if (error == 0) {
        error = exec_run(exec);
    }
    exec_free(exec);
    return error;
}

static int exec_collect_kernel(struct exec *exec, const char *const *argv, const char *const *envp)
{
    struct exec_args *args = &exec->args;
    int error = exec_args_init(args);

    for (; error == 0 && *argv != NULL; argv++) {
        error = exec_args_add_kernel(args, *argv);
        args->argc++;
    }
    if (error == 0) {
        error = exec_args_end_argv(args);
    }
    for (; error == 0 && *envp != NULL; envp++) {
        error = exec_args_add_kernel(args, *envp);
        args->envc++;
    }
    return error;
}

int exec_kernel(struct file *file, const char *name, const char *const *argv,
                const char *const *envp)
{
    struct exec *exec = kzalloc(sizeof(*exec), ALLOC_KERNEL);

    if (exec == NULL) {
        return -ENOMEM;
    }
    file_get(file);
    exec->program.file = file;
    exec->filename = string_copy(name);
    exec->name = exec->filename;
    int error = exec->filename != NULL ? exec_note_mode(exec) : -ENOMEM;

    if (error == 0) {
        error = exec_collect_kernel(exec, argv, envp);
    }
    if (error == 0) {
        error = exec_run(exec);
    }
    exec_free(exec);
    return error;
}
