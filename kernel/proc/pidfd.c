/* Processes as files: readable once the process has exited. */
#include <proc/pidfd.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <ipc/poll.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <proc/process.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

static u32 pidfd_poll(struct file *file, struct poll_table *table)
{
    struct process *process = file->private;

    poll_wait(table, &process->exit_poll_queue);
    return READ_ONCE(process->state) >= PROCESS_ZOMBIE ? POLL_READ : 0;
}

static void pidfd_release(struct file *file)
{
    process_put(file->private);
}

static int pidfd_stat(struct file *file, struct stat *stat)
{
    anon_stat_fill(file, S_IRUSR | S_IWUSR, stat);
    return 0;
}

static void pidfd_name(struct file *file, char *buf, size_t size)
{
    snprintf(buf, size, "anon_inode:[pidfd]");
}

static const struct file_ops pidfd_ops = {
    .kind = CB_FD_OTHER,
    .poll = pidfd_poll,
    .release = pidfd_release,
    .stat = pidfd_stat,
    .name = pidfd_name,
};

int pidfd_create(struct process *process, u32 flags, struct file **out)
{
    process_get(process);
    int error = file_alloc(&pidfd_ops, flags, 0, process, out);

    if (error != 0) {
        process_put(process);
    }
    return error;
}

struct process *pidfd_process(const struct file *file)
{
    return file->ops == &pidfd_ops ? file->private : NULL;
}
