/*
 * Identity and privilege of a process: user and group ids, supplementary groups, capabilities.
 * Cowbell has them per process; a C library that repeats set*id() in each thread sees no
 * difference.
 *
 * Locks: [T] written under process_tree_lock; the owner reads without it.
 */
#ifndef PROC_CRED_H
#define PROC_CRED_H

#include <lib/types.h>
#include <lib/compiler.h>

#define CRED_MAX_GROUPS 32

struct process;

struct cred {
    u32 uid, euid, suid, fsuid; /* [T] */
    u32 gid, egid, sgid, fsgid; /* [T] */
    u64 cap_permitted;          /* [T] one bit a capability */
    u64 cap_effective;          /* [T] */
    u64 cap_inheritable;        /* [T] */
    u32 nr_groups;              /* [T] */
    u32 groups[CRED_MAX_GROUPS];
};

/* Capability numbers that the kernel itself asks for. */
enum capability {
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_SETPCAP = 8,
    CAP_IPC_LOCK = 14,
    CAP_SYS_RAWIO = 17,
    CAP_SYS_CHROOT = 18,
    CAP_SYS_PTRACE = 19,
    CAP_SYS_ADMIN = 21,
    CAP_SYS_BOOT = 22,
    CAP_SYS_NICE = 23,
    CAP_SYS_RESOURCE = 24,
    CAP_SYS_TIME = 25,
    CAP_MKNOD = 27,
    CAP_SYSLOG = 34,
    CAP_LAST = 40,
};
#define CAP_FULL_SET ((1UL << (CAP_LAST + 1)) - 1)

/** has_capability() - may the current process do what @capability guards? True in the kernel. */
bool has_capability(enum capability capability);

/** cred_init_root() - identity of the first process: uid 0 with every capability. */
void cred_init_root(struct cred *cred);

/** cred_exec() - identity changes of execve: the effective ids become the saved ones. */
void cred_exec(struct cred *cred);

/** cred_may_signal() - may the current process send @signal to @target? (rules of kill(2)) */
bool cred_may_signal(const struct process *target, int signal);

/** enum trace_ids - which identity of the current process counts for cred_may_trace(). */
enum trace_ids {
    TRACE_REAL_IDS, /* for calls that act on a process: process_vm_readv(2) */
    TRACE_FS_IDS,   /* for files and calls that look into one: process_madvise(2), /proc */
};

/**
 * cred_may_trace() - may the current process look into @target's memory?
 *
 * The rules of ptrace(2): its own process always; another with the same three user and three group
 * ids, no more capabilities, and not marked as undumpable; any with CAP_SYS_PTRACE.
 */
bool cred_may_trace(const struct process *target, enum trace_ids ids);

#endif
