/* System calls about the system as a whole, and those that fit nowhere else. */
#include <syscall/syscalls.h>

#include <arch/platform.h>
#include <arch/thread.h>
#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <lib/random.h>
#include <lib/string.h>
#include <mm/frames.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/prctl.h>
#include <uapi/linux/reboot.h>
#include <uapi/linux/utsname.h>

/* The names that sethostname() and setdomainname() change. */
static struct spinlock uts_lock = SPINLOCK_INIT(RANK_MM);
static struct utsname uts_name = {
    .sysname = "Linux",
    .nodename = "cowbell",
    .release = "6.12.0-cowbell",
    .version = "#1 SMP PREEMPT_DYNAMIC Cowbell",
    .machine = "x86_64",
    .domainname = "(none)",
};

long sys_uname(u64 buffer)
{
    spin_lock(&uts_lock);
    struct utsname copy = uts_name;

    spin_unlock(&uts_lock);
    return copy_to_user(buffer, &copy, sizeof(copy));
}

static long set_uts_field(char *field, u64 name, s32 length)
{
    char text[UTSNAME_FIELD_SIZE] = {0};

    if (!has_capability(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    if (length < 0 || length >= UTSNAME_FIELD_SIZE) {
        return -EINVAL;
    }
    if (copy_from_user(text, name, (size_t)length) != 0) {
        return -EFAULT;
    }
    spin_lock(&uts_lock);
    memcpy(field, text, sizeof(text));
    spin_unlock(&uts_lock);
    return 0;
}

long sys_sethostname(u64 name, s32 length)
{
    return set_uts_field(uts_name.nodename, name, length);
}

long sys_setdomainname(u64 name, s32 length)
{
    return set_uts_field(uts_name.domainname, name, length);
}

long sys_sysinfo(u64 buffer)
{
    struct mem_stats memory = mem_stats_get();
    struct sysinfo info = {
        .uptime = (s64)(clock_monotonic_ns() / NSEC_PER_SEC),
        .totalram = frames_total_count() * PAGE_SIZE,
        .freeram = frames_free_count() * PAGE_SIZE,
        .sharedram = memory.counters[MEM_SHMEM] * PAGE_SIZE,
        .procs = (u16)process_thread_count(),
        .mem_unit = 1,
    };

    sched_load_averages(info.loads);
    return copy_to_user(buffer, &info, sizeof(info));
}

/* --- random ---------------------------------------------------------------------------------- */

#define GRND_NONBLOCK 1
#define GRND_RANDOM   2
#define GRND_INSECURE 4
#define RANDOM_CHUNK  256

long sys_getrandom(u64 buffer, u64 length, u32 flags)
{
    u8 chunk[RANDOM_CHUNK];
    u64 done = 0;

    if ((flags & ~(u32)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0 ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE)) {
        return -EINVAL;
    }
    length = min(length, (u64)S32_MAX);
    if (!user_access_ok(buffer, length)) {
        return -EFAULT;
    }
    while (done < length) {
        size_t size = min(length - done, sizeof(chunk));

        random_bytes(chunk, size);
        size_t copied = copy_to_user_partial(buffer + done, chunk, size);

        done += copied;
        if (copied < size) {
            return done > 0 ? (long)done : -EFAULT;
        }
        if (done < length && signal_pending(current_thread())) {
            break;
        }
        sched_point();
    }
    memset(chunk, 0, sizeof(chunk));
    return (long)done;
}

/* --- prctl ----------------------------------------------------------------------------------- */

static long prctl_set_name(u64 user)
{
    struct thread *thread = current_thread();
    char name[THREAD_NAME_SIZE] = {0};
    s64 length = strncpy_from_user(name, user, sizeof(name) - 1);

    if (length == -EFAULT) {
        return -EFAULT;
    }
    thread_set_name(thread, name);
    if (thread->tid == thread->process->pid) {
        memcpy(thread->process->comm, thread->comm, sizeof(thread->process->comm));
    }
    return 0;
}

static long prctl_set_subreaper(bool is_on)
{
    struct process *self = current_process();

    spin_lock(&process_tree_lock);
    self->is_subreaper = is_on;
    if (is_on) {
        /* Later children inherit the mark; those there are get it here. */
        struct process *child;

        list_for_each_entry (child, &self->children, sibling) {
            child->has_subreaper_above = true;
        }
    }
    spin_unlock(&process_tree_lock);
    return 0;
}

static long prctl_get(s32 option, u64 arg2)
{
    struct thread *thread = current_thread();
    struct process *self = thread->process;

    switch (option) {
    case PR_GET_PDEATHSIG:
        return put_user_u32(arg2, self->pdeath_signal);
    case PR_GET_DUMPABLE:
        return self->dumpable;
    case PR_GET_KEEPCAPS:
        return self->keep_caps;
    case PR_GET_NAME:
        return copy_to_user(arg2, thread->comm, THREAD_NAME_SIZE);
    case PR_GET_TIMERSLACK:
        return (long)thread->timer_slack_ns;
    case PR_GET_CHILD_SUBREAPER:
        return put_user_u32(arg2, self->is_subreaper);
    case PR_GET_TID_ADDRESS:
        return put_user_u64(arg2, thread->clear_child_tid);
    case PR_CAPBSET_READ:
        return arg2 <= CAP_LAST ? 1 : -EINVAL;
    default:
        return -EINVAL;
    }
}

long sys_prctl(s32 option, u64 arg2, u64 arg3, u64 arg4, u64 arg5)
{
    struct process *self = current_process();

    switch (option) {
    case PR_SET_PDEATHSIG:
        if (arg2 > NSIG) {
            return -EINVAL;
        }
        self->pdeath_signal = (u32)arg2;
        return 0;
    case PR_SET_DUMPABLE:
        if (arg2 > 1) {
            return -EINVAL;
        }
        self->dumpable = arg2 != 0;
        return 0;
    case PR_SET_KEEPCAPS:
        if (arg2 > 1) {
            return -EINVAL;
        }
        self->keep_caps = arg2 != 0;
        return 0;
    case PR_SET_NAME:
        return prctl_set_name(arg2);
    case PR_SET_TIMERSLACK:
        current_thread()->timer_slack_ns = (s64)arg2 > 0 ? arg2 : 50 * NSEC_PER_USEC;
        return 0;
    case PR_SET_CHILD_SUBREAPER:
        return prctl_set_subreaper(arg2 != 0);
    case PR_SET_NO_NEW_PRIVS:
        if (arg2 != 1 || arg3 != 0 || arg4 != 0 || arg5 != 0) {
            return -EINVAL;
        }
        self->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return arg2 != 0 || arg3 != 0 || arg4 != 0 || arg5 != 0 ? -EINVAL : self->no_new_privs;
    default:
        return prctl_get(option, arg2);
    }
}

long sys_arch_prctl(s32 option, u64 address)
{
    return arch_prctl(option, address);
}

long sys_personality(u32 persona)
{
    struct process *self = current_process();
    u32 old = self->personality;

    if (persona != 0xffffffff) {
        self->personality = persona;
    }
    return old;
}

/* --- power ----------------------------------------------------------------------------------- */

static bool is_reboot_magic(u32 magic1, u32 magic2)
{
    return magic1 == LINUX_REBOOT_MAGIC1 &&
           (magic2 == LINUX_REBOOT_MAGIC2 || magic2 == LINUX_REBOOT_MAGIC2A ||
            magic2 == LINUX_REBOOT_MAGIC2B || magic2 == LINUX_REBOOT_MAGIC2C);
}

long sys_reboot(u32 magic1, u32 magic2, u32 command, u64 argument)
{
    if (!has_capability(CAP_SYS_BOOT)) {
        return -EPERM;
    }
    if (!is_reboot_magic(magic1, magic2)) {
        return -EINVAL;
    }
    switch (command) {
    case LINUX_REBOOT_CMD_CAD_ON:
    case LINUX_REBOOT_CMD_CAD_OFF:
        return 0; /* a serial console has no Ctrl-Alt-Del */
    case LINUX_REBOOT_CMD_RESTART:
    case LINUX_REBOOT_CMD_RESTART2:
        printk("reboot: restarting\n");
        platform_reboot();
    case LINUX_REBOOT_CMD_HALT:
        printk("reboot: halted\n");
        platform_halt();
    case LINUX_REBOOT_CMD_POWER_OFF:
        printk("reboot: power off\n");
        platform_poweroff();
    default:
        return -EINVAL;
    }
}

/* --- the kernel's log ------------------------------------------------------------------------ */

enum syslog_action {
    SYSLOG_CLOSE = 0,
    SYSLOG_OPEN = 1,
    SYSLOG_READ = 2,
    SYSLOG_READ_ALL = 3,
    SYSLOG_READ_CLEAR = 4,
    SYSLOG_CLEAR = 5,
    SYSLOG_CONSOLE_OFF = 6,
    SYSLOG_CONSOLE_ON = 7,
    SYSLOG_CONSOLE_LEVEL = 8,
    SYSLOG_SIZE_UNREAD = 9,
    SYSLOG_SIZE_BUFFER = 10,
};

static u64 syslog_read_from;  /* where SYSLOG_READ goes on */
static u64 syslog_clear_from; /* what SYSLOG_CLEAR has hidden from SYSLOG_READ_ALL */

static long syslog_copy(u64 buffer, size_t length, u64 *from)
{
    char *chunk = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    size_t done = 0;

    if (chunk == NULL) {
        return -ENOMEM;
    }
    while (done < length) {
        size_t size = klog_read(chunk, min(length - done, PAGE_SIZE), from);

        if (size == 0) {
            break;
        }
        if (copy_to_user(buffer + done, chunk, size) != 0) {
            kfree(chunk);
            return -EFAULT;
        }
        done += size;
    }
    kfree(chunk);
    return (long)done;
}

static long syslog_read_all(u64 buffer, s32 length)
{
    u64 from = max(klog_start(), syslog_clear_from);
    u64 end = klog_end();

    /* A buffer that is too small gets the newest text. */
    if (end - from > (u64)length) {
        from = end - (u64)length;
    }
    return syslog_copy(buffer, (size_t)length, &from);
}

static long syslog_do_read(s32 type, u64 buffer, s32 length)
{
    if (buffer == 0 || length < 0) {
        return -EINVAL;
    }
    if (length == 0) {
        return 0;
    }
    if (type == SYSLOG_READ) {
        return syslog_copy(buffer, (size_t)length, &syslog_read_from);
    }
    long result = syslog_read_all(buffer, length);

    if (type == SYSLOG_READ_CLEAR && result >= 0) {
        syslog_clear_from = klog_end();
    }
    return result;
}

long sys_syslog(s32 type, u64 buffer, s32 length)
{
    if (type != SYSLOG_READ_ALL && type != SYSLOG_SIZE_BUFFER && !has_capability(CAP_SYSLOG)) {
        return -EPERM;
    }
    switch (type) {
    case SYSLOG_CLOSE:
    case SYSLOG_OPEN:
    case SYSLOG_CONSOLE_OFF:
    case SYSLOG_CONSOLE_ON:
        return 0;
    case SYSLOG_READ:
    case SYSLOG_READ_ALL:
    case SYSLOG_READ_CLEAR:
        return syslog_do_read(type, buffer, length);
    case SYSLOG_CLEAR:
        syslog_clear_from = klog_end();
        return 0;
    case SYSLOG_CONSOLE_LEVEL:
        return length >= 1 && length <= 8 ? 0 : -EINVAL;
    case SYSLOG_SIZE_UNREAD:
        return (long)(klog_end() - max(syslog_read_from, klog_start()));
    case SYSLOG_SIZE_BUFFER:
        return (long)KLOG_SIZE;
    default:
        return -EINVAL;
    }
}
