/*
 * Counts of acquisitions, contended and (in debug builds) all, one set of counters a CPU.
 *
 * Read next: kernel/debug/lockdep.c.
 */
#include <debug/lockstat.h>

#include <arch/cpu.h>
#include <lib/assert.h>

struct cpu_lockstat {
    u64 contended[RANK_COUNT]; /* [x] an interrupt may count in between */
    u64 acquired[RANK_COUNT];  /* [x] */
} ALIGNED(64);

static struct cpu_lockstat lockstat[MAX_CPUS];

static const char *const rank_names[RANK_COUNT] = {
    [RANK_NONE] = "none",
    [RANK_EXEC] = "exec",
    [RANK_FILE_POS] = "file_pos",
    [RANK_EPOLL] = "epoll",
    [RANK_PIPE] = "pipe",
    [RANK_FILE_DATA] = "file_data",
    [RANK_MMAP] = "mmap",
    [RANK_VMA] = "vma",
    [RANK_OBJECT] = "object",
    [RANK_PAGE] = "page",
    [RANK_ANON_VMA] = "anon_vma",
    [RANK_MUTEX_INNER] = "mutex_inner",
    [RANK_PT] = "pt",
    [RANK_MM] = "mm",
    [RANK_LRU] = "lru",
    [RANK_SWAP] = "swap",
    [RANK_FS_CONTEXT] = "fs_context",
    [RANK_FD_TABLE] = "fd_table",
    [RANK_FILE] = "file",
    [RANK_UFFD] = "uffd",
    [RANK_PORT] = "port",
    [RANK_MESSAGE] = "message",
    [RANK_CONNECTION] = "connection",
    [RANK_POLL] = "poll",
    [RANK_OBJECT_LIST] = "object_list",
    [RANK_DIRECT] = "direct",
    [RANK_PROCESS_TREE] = "process_tree",
    [RANK_SESSION] = "session",
    [RANK_ITIMER] = "itimer",
    [RANK_PROCESS] = "process",
    [RANK_SIGHAND] = "sighand",
    [RANK_FUTEX] = "futex",
    [RANK_SERIAL_INPUT] = "serial_input",
    [RANK_WAIT_QUEUE] = "wait_queue",
    [RANK_EPOLL_READY] = "epoll_ready",
    [RANK_EPOLL_QUEUE] = "epoll_queue",
    [RANK_SLEEP_LOCK] = "sleep_lock",
    [RANK_RUN_QUEUE] = "run_queue",
    [RANK_TIMER] = "timer",
    [RANK_THREAD_LIST] = "thread_list",
    [RANK_SLAB_CACHES] = "slab_caches",
    [RANK_SLAB] = "slab",
    [RANK_VMAP] = "vmap",
    [RANK_KERNEL_PT] = "kernel_pt",
    [RANK_FRAMES_WAKE] = "frames_wake",
    [RANK_FRAMES] = "frames",
    [RANK_TLB] = "tlb",
    [RANK_RANDOM] = "random",
    [RANK_DEBUG] = "debug",
    [RANK_KLOG] = "klog",
    [RANK_SERIAL] = "serial",
};

void lockstat_contended(u16 rank)
{
    ASSERT(rank < RANK_COUNT, "every lock has a rank");
    __atomic_fetch_add(&lockstat[cpu_id()].contended[rank], 1, __ATOMIC_RELAXED);
}

void lockstat_acquired(u16 rank)
{
    __atomic_fetch_add(&lockstat[cpu_id()].acquired[rank], 1, __ATOMIC_RELAXED);
}

u64 lockstat_read_acquired(enum lock_rank rank)
{
    u64 sum = 0;

    for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
        sum += __atomic_load_n(&lockstat[cpu].acquired[rank], __ATOMIC_RELAXED);
    }
    return sum;
}

u64 lockstat_read(enum lock_rank rank)
{
    u64 sum = 0;

    for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
        sum += __atomic_load_n(&lockstat[cpu].contended[rank], __ATOMIC_RELAXED);
    }
    return sum;
}

const char *lock_rank_name(enum lock_rank rank)
{
    return rank < RANK_COUNT && rank_names[rank] != NULL ? rank_names[rank] : "unnamed";
}
