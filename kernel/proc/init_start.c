/*
 * The first process: from a kernel thread to /sbin/init in user mode.
 *
 * The program comes out of the initrd, which the process also gets as descriptor 3; the raw serial
 * line is descriptors 0, 1 and 2. Everything else is init's business.
 */
#include <proc/exec.h>
#include <proc/process_internal.h>

#include <arch/layout.h>
#include <arch/thread.h>
#include <boot_info.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <ipc/memfd.h>
#include <ipc/serial_file.h>
#include <lib/assert.h>
#include <lib/cpio.h>
#include <lib/errno.h>
#include <mm/object.h>
#include <mm/slab.h>
#include <proc/thread.h>

#define INIT_NAME    "sbin/init"
#define NR_SERIAL_FD 3

/* --- a process around a kernel thread -------------------------------------------------------- */

static int adopt_resources(struct process *process)
{
    cred_init_root(&process->cred);
    rlimit_init_first(process);
    process->exit_signal = SIGCHLD;
    process->account = user_account_get(0);
    process->sighand = sighand_create();
    if (process->account == NULL || process->sighand == NULL) {
        return -ENOMEM;
    }
    int error = files_create(&process->files);

    return error != 0 ? error : fs_context_create(&process->fs);
}

static void adopt_link(struct process *process, struct session *session, struct pid *pid)
{
    struct thread *thread = current_thread();

    thread->tid = pid->nr;
    process->pid = pid->nr;
    process->pid_ref = pid;
    spin_lock(&process_tree_lock);
    process_link_locked(process, NULL);
    session->pid = pid;
    session->leader = process;
    pid_use_locked(pid);
    pid->session = session;
    group_join_locked(pid, process);
    session_join_locked(session, process);
    bool is_attached = process_attach_thread_locked(process, thread, pid);

    ASSERT(is_attached, "a process without threads takes its first");
    spin_unlock(&process_tree_lock);
}

int process_adopt_current(struct process **out)
{
    struct thread *thread = current_thread();
    struct session *session = kzalloc(sizeof(*session), ALLOC_KERNEL);
    struct process *process = process_alloc();
    struct pid *pid = NULL;
    int error = -ENOMEM;

    if (session != NULL && process != NULL) {
        error = adopt_resources(process);
    }
    if (error == 0) {
        error = arch_thread_fpu_alloc(&thread->arch);
    }
    if (error == 0) {
        error = pid_create(&pid);
    }
    if (error == 0) {
        error = process_reserve_thread(process);
    }
    if (error == 0) {
        adopt_link(process, session, pid);
        *out = process;
        return 0;
    }
    if (pid != NULL) {
        pid_drop(pid);
    }
    if (process != NULL) {
        files_put(process->files);
        process->files = NULL;
        fs_context_put(process->fs);
        process->fs = NULL;
        process_put(process);
    }
    kfree(session);
    return error;
}

/* --- the program ----------------------------------------------------------------------------- */

/* The archive's /sbin/init as a file of its own: programs are mapped page by page. */
static struct file *load_init(const struct boot_module *initrd)
{
    struct cpio_entry entry;
    struct file *file;
    u64 done;
    int found =
        cpio_find(phys_to_virt(initrd->start), initrd->end - initrd->start, INIT_NAME, &entry);

    if (found < 0) {
        panic("the initrd is not a sound cpio archive (format \"newc\")");
    }
    if (found == 0) {
        panic("the initrd has no /%s", INIT_NAME);
    }
    if (memfd_create("init", 0, &file) != 0 ||
        object_write_kernel(memfd_object(file), 0, entry.data, entry.size, &done) != 0 ||
        done != entry.size) {
        panic("there is too little memory for /%s (%lu KiB)", INIT_NAME, entry.size / KIB);
    }
    return file;
}

static void open_descriptors(const struct boot_module *initrd)
{
    struct file *serial, *archive;

    if (serial_file_create(&serial) != 0 ||
        initrd_file_create(initrd->start, initrd->end, &archive) != 0) {
        panic("there is too little memory for the first process");
    }
    for (s64 fd = 0; fd < NR_SERIAL_FD; fd++) {
        file_get(serial);
        if (fd_install(serial, FD_PLAIN) != fd) {
            panic("the first process's descriptors are not free");
        }
    }
    file_put(serial);
    if (fd_install(archive, FD_PLAIN) != NR_SERIAL_FD) {
        panic("the first process's descriptors are not free");
    }
}

void init_start(const struct boot_info *info)
{
    static const char *const argv[] = {"/" INIT_NAME, NULL};
    static const char *const envp[] = {"HOME=/", "TERM=linux", NULL};
    const struct boot_module *initrd = &info->modules[0];
    struct process *process;

    if (info->nr_modules == 0) {
        panic("there is no initrd: the boot loader must load one beside the kernel");
    }
    if (process_adopt_current(&process) != 0) {
        panic("there is too little memory for the first process");
    }
    ASSERT(process->pid == PID_INIT, "the first process has number 1");
    process->unkillable = true;
    first_process = process;
    struct file *program = load_init(initrd);

    open_descriptors(initrd);
    int error = exec_kernel(program, argv[0], argv, envp);

    file_put(program);
    if (error != 0) {
        panic("/%s cannot be executed: error %d", INIT_NAME, -error);
    }
    arch_enter_user(arch_thread_trapframe(&current_thread()->arch));
}
