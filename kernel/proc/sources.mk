# Locks, the scheduler and time.
KERNEL_SRCS += kernel/proc/spinlock.c
KERNEL_SRCS += kernel/proc/lock_spin.c
KERNEL_SRCS += kernel/proc/mutex.c
KERNEL_SRCS += kernel/proc/rwsem.c
KERNEL_SRCS += kernel/proc/waitqueue.c
KERNEL_SRCS += kernel/proc/thread.c
KERNEL_SRCS += kernel/proc/sched.c
KERNEL_SRCS += kernel/proc/sched_tick.c
KERNEL_SRCS += kernel/proc/sched_params.c
KERNEL_SRCS += kernel/proc/sched_balance.c
KERNEL_SRCS += kernel/proc/timer.c
KERNEL_SRCS += kernel/proc/clock.c
KERNEL_SRCS += kernel/proc/itimer.c
KERNEL_SRCS += kernel/proc/posix_timer.c
KERNEL_SRCS += kernel/proc/futex.c
KERNEL_SRCS += kernel/proc/futex_robust.c

# Processes: identity, the tree, making and ending.
KERNEL_SRCS += kernel/proc/pid.c
KERNEL_SRCS += kernel/proc/process.c
KERNEL_SRCS += kernel/proc/session.c
KERNEL_SRCS += kernel/proc/cred.c
KERNEL_SRCS += kernel/proc/rlimit.c
KERNEL_SRCS += kernel/proc/clone.c
KERNEL_SRCS += kernel/proc/exit.c
KERNEL_SRCS += kernel/proc/wait.c
KERNEL_SRCS += kernel/proc/pidfd.c
KERNEL_SRCS += kernel/proc/oom.c

# Programs.
KERNEL_SRCS += kernel/proc/exec.c
KERNEL_SRCS += kernel/proc/elf.c
KERNEL_SRCS += kernel/proc/script.c
KERNEL_SRCS += kernel/proc/exec_args.c
KERNEL_SRCS += kernel/proc/elf_load.c
KERNEL_SRCS += kernel/proc/exec_stack.c
KERNEL_SRCS += kernel/proc/init_start.c

# Signals and the way back to user mode.
KERNEL_SRCS += kernel/proc/sighand.c
KERNEL_SRCS += kernel/proc/signal.c
KERNEL_SRCS += kernel/proc/signal_send.c
KERNEL_SRCS += kernel/proc/signal_deliver.c
KERNEL_SRCS += kernel/proc/exit_to_user.c
