/* What CB_SYS_KINFO tells. Part of uapi/cowbell.h, which includes it. */
#ifndef UAPI_COWBELL_KINFO_H
#define UAPI_COWBELL_KINFO_H

#include <stdint.h>

/*
 * CB_SYS_KINFO: snapshots. pid 0 is the caller. An array kind returns as many whole elements as
 * fit; a text kind as many bytes as fit. -ESRCH: no such process; -EINVAL: unknown kind, or the
 * buffer is smaller than one element; -EACCES: the caller is neither user 0 nor the process's owner
 * (VMAS, FDS, ENVIRON, AUXV, EXE, CWD, TASK_WAIT).
 */
enum cb_kinfo_kind {
    CB_KINFO_CMDLINE = 0,    /* the kernel's command line: text, no NUL */
    CB_KINFO_PROC_LIST = 1,  /* int32_t[]: every process, ascending */
    CB_KINFO_PROC = 2,       /* struct cb_proc_info */
    CB_KINFO_VMAS = 3,       /* struct cb_vma_info[] */
    CB_KINFO_FDS = 4,        /* struct cb_fd_info[], ascending */
    CB_KINFO_MEM = 5,        /* struct cb_mem_info */
    CB_KINFO_SYSTEM = 6,     /* struct cb_sys_info */
    CB_KINFO_THREADS = 7,    /* int32_t[]: thread ids */
    CB_KINFO_ARGV = 8,       /* the argument strings with their NULs */
    CB_KINFO_ENVIRON = 9,    /* the environment strings with their NULs */
    CB_KINFO_AUXV = 10,      /* uint64_t[]: pairs, as on the stack */
    CB_KINFO_EXE = 11,       /* text, no NUL */
    CB_KINFO_CWD = 12,       /* text, no NUL */
    CB_KINFO_CPU_STATS = 13, /* struct cb_cpu_stats[]: one a CPU, in the order of their numbers */
    CB_KINFO_SMAPS = 14,     /* struct cb_vma_usage[]: as VMAS, with what the pages use */
    CB_KINFO_LOCKS = 15,     /* struct cb_lock_stats[]: one a kind of lock, in the locks' order */
    /* No data: checks the invariants of the whole memory, while nobody else uses any, and panics if
     * one is broken; 0 in a debug build, -ENOSYS in another, -EPERM but for user 0. */
    CB_KINFO_VERIFY = 16,
    CB_KINFO_EVENTS = 17, /* struct cb_vm_events */
    /* The next two take a thread's id, 0 for the caller. */
    CB_KINFO_TASK = 18,      /* struct cb_proc_info, with what is the thread's own */
    CB_KINFO_TASK_WAIT = 19, /* struct cb_task_wait; -EAGAIN: the thread does not sleep */
    CB_KINFO_END
};

#define CB_COMM_LEN   16
#define CB_NAME_LEN   256
#define CB_GROUPS_MAX 32
#define CB_CPUS_MAX   64

/*
 * A process, or with CB_KINFO_TASK one thread: then comm, state, scheduling, CPU time, faults and
 * start are that thread's, for a process those of the first thread or of all together. Switches
 * between threads, pending and blocked signals are always one thread's.
 */
struct cb_proc_info {
    int32_t pid;
    int32_t ppid;
    int32_t pgid;
    int32_t sid;
    int32_t tty_nr;   /* 0: none */
    int32_t tty_pgid; /* foreground group of the terminal, -1: none */
    char comm[CB_COMM_LEN];
    uint32_t state; /* a letter: 'R' 'S' 'D' 'T' 'Z' 'X' */
    uint32_t nr_threads;
    uint32_t uid[4]; /* real, effective, saved, file system */
    uint32_t gid[4];
    uint32_t umask;
    uint32_t nr_groups;
    uint32_t groups[CB_GROUPS_MAX];
    int32_t exit_code; /* as wait4(2) tells it, for a zombie */
    int32_t exit_signal;
    int32_t priority; /* as /proc/pid/stat: 20 + nice, or -1 - real-time priority */
    int32_t nice;
    uint32_t rt_priority;
    uint32_t policy;   /* SCHED_ */
    int32_t cpu;       /* last run on */
    uint32_t fd_size;  /* slots of the descriptor table */
    uint64_t start_ns; /* since boot */
    uint64_t utime_ns;
    uint64_t stime_ns;
    uint64_t child_utime_ns; /* of children waited for */
    uint64_t child_stime_ns;
    uint64_t minor_faults;
    uint64_t major_faults;
    uint64_t nvcsw; /* voluntary context switches */
    uint64_t nivcsw;
    uint64_t sig_pending; /* bit n-1 is signal n */
    uint64_t sig_shared_pending;
    uint64_t sig_blocked;
    uint64_t sig_ignored;
    uint64_t sig_caught;
    uint64_t cpus_allowed;
    uint64_t vm_peak; /* bytes from here on */
    uint64_t vm_size;
    uint64_t vm_locked;
    uint64_t rss_peak;
    uint64_t rss_anon;
    uint64_t rss_file;
    uint64_t rss_shmem;
    uint64_t vm_data;
    uint64_t vm_stack;
    uint64_t vm_exe;
    uint64_t vm_page_tables;
    uint64_t rss_limit;
    uint64_t start_code; /* addresses from here on */
    uint64_t end_code;
    uint64_t start_data;
    uint64_t end_data;
    uint64_t start_brk;
    uint64_t brk;
    uint64_t start_stack;
    uint64_t arg_start;
    uint64_t arg_end;
    uint64_t env_start;
    uint64_t env_end;
};

enum cb_vma_flags {
    CB_VMA_READ = 1,
    CB_VMA_WRITE = 2,
    CB_VMA_EXEC = 4,
    CB_VMA_SHARED = 8,
    CB_VMA_GROWSDOWN = 16,
    CB_VMA_LOCKED = 32,
    CB_VMA_MAY_READ = 1 << 6,
    CB_VMA_MAY_WRITE = 1 << 7,
    CB_VMA_MAY_EXEC = 1 << 8,
    CB_VMA_SHARED_WRITABLE = 1 << 9, /* shared, and what is behind it was opened for writing */
    CB_VMA_PFNMAP = 1 << 10,
    CB_VMA_IO = 1 << 11,
    CB_VMA_SEQUENTIAL = 1 << 12,
    CB_VMA_RANDOM = 1 << 13,
    CB_VMA_DONT_COPY = 1 << 14,
    CB_VMA_DONT_EXPAND = 1 << 15,
    CB_VMA_LOCK_ON_FAULT = 1 << 16,
    CB_VMA_ACCOUNT = 1 << 17,
    CB_VMA_NO_RESERVE = 1 << 18,
    CB_VMA_HUGETLB = 1 << 19,
    CB_VMA_SYNC = 1 << 20,
    CB_VMA_WIPE_ON_FORK = 1 << 21,
    CB_VMA_DONT_DUMP = 1 << 22,
    CB_VMA_SOFT_DIRTY = 1 << 23,
    CB_VMA_HUGEPAGE = 1 << 24,
    CB_VMA_NO_HUGEPAGE = 1 << 25,
    CB_VMA_MERGEABLE = 1 << 26,
    CB_VMA_UFFD_MISSING = 1 << 27,
    CB_VMA_UFFD_WP = 1 << 28,
    CB_VMA_UFFD_MINOR = 1 << 29,
    CB_VMA_SEALED = 1 << 30,
};

struct cb_vma_info {
    uint64_t start;
    uint64_t end;
    uint64_t offset; /* bytes into the file */
    uint64_t cookie; /* of the file's connection, 0 if it has none */
    uint64_t ino;    /* 0: no file */
    uint32_t dev_major;
    uint32_t dev_minor;
    uint32_t flags; /* enum cb_vma_flags */
    uint32_t pad;
    char name[CB_NAME_LEN]; /* NUL-terminated: a path, "[heap]", "[stack]" or empty */
};

/* Bytes; a share is a page divided by the number of entries that map it, in 1/4096 of a byte. */
struct cb_vma_usage {
    struct cb_vma_info vma;
    uint64_t rss;
    uint64_t shared_clean;
    uint64_t shared_dirty;
    uint64_t private_clean;
    uint64_t private_dirty;
    uint64_t referenced;
    uint64_t anonymous;
    uint64_t lazy_free;
    uint64_t share;
    uint64_t share_dirty;
    uint64_t share_anon;
    uint64_t share_shmem;
};

enum cb_fd_kind {
    CB_FD_CONNECTION = 1,
    CB_FD_PORT = 2,
    CB_FD_PIPE = 3,
    CB_FD_EVENTFD = 4,
    CB_FD_MEMFD = 5,
    CB_FD_EPOLL = 6,
    CB_FD_SERIAL = 7,
    CB_FD_INITRD = 8,
    CB_FD_SOCKET = 9,
    CB_FD_OTHER = 10,
    CB_FD_USERFAULTFD = 11,
};

struct cb_fd_info {
    int32_t fd;
    uint32_t kind;       /* enum cb_fd_kind */
    uint32_t flags;      /* access mode and status flags, with O_CLOEXEC if set */
    uint32_t conn_flags; /* of a userfaultfd: its features */
    uint64_t pos;
    uint64_t cookie;        /* connection; of a userfaultfd: faults that nobody has read */
    uint64_t port;          /* connection, port: a number that no two living ports share; of a
                             * userfaultfd: faults that wait */
    char name[CB_NAME_LEN]; /* NUL-terminated: what readlink(/proc/pid/fd/N) gives, or empty */
};

/* Bytes. */
struct cb_mem_info {
    uint64_t total;
    uint64_t free;
    uint64_t available;
    uint64_t anon;
    uint64_t shmem;
    uint64_t slab;
    uint64_t page_tables;
    uint64_t kernel_stacks;
    uint64_t committed;
    uint64_t commit_limit;
};

struct cb_cpu_times {
    uint64_t user_ns;
    uint64_t system_ns;
    uint64_t idle_ns;
    uint64_t irq_ns;
};

struct cb_sys_info {
    uint64_t uptime_ns;
    uint64_t idle_ns;           /* sum over CPUs */
    uint64_t boot_realtime_sec; /* since 1970 */
    uint64_t context_switches;
    uint64_t forks;
    uint32_t loadavg[3]; /* 16 bits behind the point: 1, 5, 15 minutes */
    uint32_t nr_cpus;
    uint32_t nr_threads;
    uint32_t nr_running;
    int32_t last_pid;
    uint32_t pad;
    struct cb_cpu_times cpus[CB_CPUS_MAX]; /* the first nr_cpus are filled */
};

/* What a CPU has done since it started. */
struct cb_cpu_stats {
    uint64_t interrupts;
    uint64_t timer_interrupts;
    uint64_t ipis_sent;
    uint64_t ipis_received;
    uint64_t tlb_page_flushes;
    uint64_t tlb_full_flushes;
    uint64_t root_loads; /* changes of the page-table root (CR3) */
};

/* Where a thread sleeps: how it came into the kernel. */
struct cb_task_wait {
    int64_t nr;       /* of the system call; -1: by an exception, with no arguments */
    uint64_t args[6]; /* as the call was given them */
    uint64_t sp;
    uint64_t pc;
};

/* What has happened to memory since the start; pages unless said otherwise. */
struct cb_vm_events {
    uint64_t faults;       /* accesses, not pages */
    uint64_t major_faults; /* of these, those that waited for a pager */
    uint64_t lazy_free;    /* offered by MADV_FREE */
    uint64_t lazy_freed;   /* taken of these */
    uint64_t oom_kills;    /* processes */
};

/* How often a lock of one kind was not free when somebody came for it, since the start. */
struct cb_lock_stats {
    char name[24]; /* NUL-terminated */
    uint64_t contended;
};

_Static_assert(sizeof(struct cb_proc_info) == 552, "ABI");
_Static_assert(sizeof(struct cb_vma_info) == 56 + CB_NAME_LEN, "ABI");
_Static_assert(sizeof(struct cb_vma_usage) == 56 + CB_NAME_LEN + 96, "ABI");
_Static_assert(sizeof(struct cb_fd_info) == 40 + CB_NAME_LEN, "ABI");
_Static_assert(sizeof(struct cb_mem_info) == 80, "ABI");
_Static_assert(sizeof(struct cb_sys_info) == 72 + 32 * CB_CPUS_MAX, "ABI");
_Static_assert(sizeof(struct cb_cpu_stats) == 56, "ABI");
_Static_assert(sizeof(struct cb_lock_stats) == 32, "ABI");
_Static_assert(sizeof(struct cb_task_wait) == 72, "ABI");
_Static_assert(sizeof(struct cb_vm_events) == 40, "ABI");

#endif
