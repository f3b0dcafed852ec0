/*
 * The lock order of the kernel, as one list.
 *
 * A thread that holds a lock may only take locks that stand further down. Locks of the same rank
 * are taken together only through the _nested functions, by a rule that the owner states (by
 * address, parent before child). Debug builds check every acquisition (kernel/debug/lockdep.c).
 */
#ifndef PROC_LOCK_RANK_H
#define PROC_LOCK_RANK_H

enum lock_rank {
    RANK_NONE = 0, /* not checked against other ranks */

    /* Sleeping locks: mutex and rwsem. */
    RANK_EXEC,        /* one execve or credential change a process */
    RANK_FILE_POS,    /* the position of an open file, held across a read or write */
    RANK_EPOLL,       /* the set of an epoll instance */
    RANK_PIPE,        /* the buffer of a pipe; user memory is copied under it */
    RANK_FILE_DATA,   /* other per-file mutexes under which user memory is copied */
    RANK_MMAP,        /* mm->mmap_lock */
    RANK_VMA,         /* the lock of one VMA */
    RANK_OBJECT,      /* vm_object: pages by index, mapping list, size */
    RANK_PAGE,        /* page lock: the identity of a page */
    RANK_ANON_VMA,    /* anon_vma: where an anonymous page may be mapped */
    RANK_MUTEX_INNER, /* sleeping locks that cover no user access and no fault */
    RANK_LAST_SLEEPING = RANK_MUTEX_INNER,

    /* Spin locks that interrupts do not take. */
    RANK_PT, /* split page-table lock */
    RANK_MM, /* short sections of an mm: counters, exe file, arg range */
    RANK_LRU,
    RANK_SWAP,
    RANK_DIRECT,     /* to whom the frames of a direct device belong */
    RANK_FS_CONTEXT, /* root, cwd and umask of a process */
    RANK_FD_TABLE,
    RANK_FILE,
    RANK_UFFD, /* who waits in a userfaultfd, and what it has to read */
    RANK_PORT,
    RANK_MESSAGE,
    RANK_CONNECTION,
    RANK_POLL,
    RANK_OBJECT_LIST,

    /* Spin locks that interrupts take: always with interrupts off. */
    RANK_PROCESS_TREE, /* parents, children, groups, sessions, the pid table */
    RANK_SESSION,
    RANK_ITIMER,  /* the timers of a process; signals are sent under it */
    RANK_PROCESS, /* one process: threads, state, limits */
    RANK_SIGHAND, /* signal actions and pending signals */
    RANK_FUTEX,   /* buckets of the futex table; two by rising address */
    RANK_SERIAL_INPUT,
    RANK_WAIT_QUEUE,
    RANK_EPOLL_READY, /* what is ready in an epoll instance; taken by a watched file's wake-up */
    RANK_EPOLL_QUEUE, /* the wait queue of an epoll instance, woken by the same */
    RANK_SLEEP_LOCK,  /* the list of waiters inside a mutex or rwsem */
    RANK_RUN_QUEUE,
    RANK_TIMER,
    RANK_THREAD_LIST, /* the list of all threads */

    /* Memory: any of the above may allocate. */
    RANK_SLAB_CACHES, /* the list of caches */
    RANK_SLAB,
    RANK_VMAP,
    RANK_KERNEL_PT,
    RANK_FRAMES_WAKE, /* frames without struct pages, until they are needed */
    RANK_FRAMES,
    RANK_TLB,

    /* Usable from everywhere. */
    RANK_RANDOM,
    RANK_DEBUG,
    RANK_KLOG,
    RANK_SERIAL,
    RANK_COUNT,
};

#endif
