# Time, scheduling, futexes.
KERNEL_SRCS += kernel/syscall/sys_time.c
KERNEL_SRCS += kernel/syscall/sys_itimer.c
KERNEL_SRCS += kernel/syscall/sys_sched.c
KERNEL_SRCS += kernel/syscall/sys_futex.c

# Memory.
KERNEL_SRCS += kernel/syscall/sys_mm.c
KERNEL_SRCS += kernel/syscall/sys_process_vm.c

# The table, and the calls about processes, signals, identity and the system.
KERNEL_SRCS += kernel/syscall/table.c
KERNEL_SRCS += kernel/syscall/sys_proc.c
KERNEL_SRCS += kernel/syscall/sys_signal.c
KERNEL_SRCS += kernel/syscall/sys_cred.c
KERNEL_SRCS += kernel/syscall/sys_misc.c
KERNEL_SRCS += kernel/syscall/sys_pidfd.c

# Files, path names, waiting, messages.
KERNEL_SRCS += kernel/syscall/sys_rw.c
KERNEL_SRCS += kernel/syscall/sys_copy.c
KERNEL_SRCS += kernel/syscall/sys_splice.c
KERNEL_SRCS += kernel/syscall/sys_file.c
KERNEL_SRCS += kernel/syscall/sys_fd.c
KERNEL_SRCS += kernel/syscall/sys_path.c
KERNEL_SRCS += kernel/syscall/sys_path_attr.c
KERNEL_SRCS += kernel/syscall/sys_poll.c
KERNEL_SRCS += kernel/syscall/sys_select.c
KERNEL_SRCS += kernel/syscall/sys_epoll.c
KERNEL_SRCS += kernel/syscall/sys_msg.c
KERNEL_SRCS += kernel/syscall/sys_info.c
KERNEL_SRCS += kernel/syscall/kinfo_proc.c
KERNEL_SRCS += kernel/syscall/kinfo_memory.c
