/*
 * Scheduling parameters, affinity, nice values, and memory barriers between CPUs.
 */
#include <syscall/syscalls.h>

#include <arch/platform.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/cred.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <uapi/linux/sched.h>

#define NICE_MIN (-20)
#define NICE_MAX 19

/* What sched_rr_get_interval() says of a thread that shares by weight. */
#define FAIR_INTERVAL_NS SCHED_TICK_NS
#define RR_INTERVAL_NS   (100 * NSEC_PER_MSEC)

long sys_sched_yield(void)
{
    sched_yield_current();
    return 0;
}

/* --- finding and judging ---------------------------------------------------------------------- */

/* The thread with an id, the caller for 0, with a reference. */
static int find_thread(s32 pid, struct thread **out)
{
    if (pid < 0) {
        return -EINVAL;
    }
    if (pid == 0) {
        thread_get(current_thread());
        *out = current_thread();
        return 0;
    }
    *out = thread_find_get(pid);
    return *out != NULL ? 0 : -ESRCH;
}

static bool is_same_owner(const struct thread *thread)
{
    const struct cred *mine = &current_process()->cred;
    const struct cred *theirs = &thread->process->cred;

    return mine->euid == theirs->euid || mine->euid == theirs->uid;
}

static bool is_rt_policy(u32 policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_known_policy(u32 policy)
{
    return is_rt_policy(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH ||
           policy == SCHED_IDLE;
}

/* RLIMIT_NICE counts from 1 for nice 19 to 40 for nice -20. */
static bool may_set_nice(const struct thread *thread, s32 nice)
{
    return (u64)(20 - nice) <= rlimit_of(thread->process, RLIMIT_NICE) ||
           has_capability(CAP_SYS_NICE);
}

static int check_permission(const struct thread *thread, const struct sched_params *old,
                            const struct sched_params *new)
{
    u64 rt_limit = rlimit_of(thread->process, RLIMIT_RTPRIO);

    if (has_capability(CAP_SYS_NICE)) {
        return 0;
    }
    if (!is_rt_policy(new->policy) && new->nice < old->nice && !may_set_nice(thread, new->nice)) {
        return -EPERM;
    }
    if (is_rt_policy(new->policy)) {
        if (new->policy != old->policy && rt_limit == 0) {
            return -EPERM;
        }
        if (new->rt_prio > old->rt_prio &&new->rt_prio > rt_limit) {
            return -EPERM;
        }
    }
    if (old->policy == SCHED_IDLE && new->policy != SCHED_IDLE &&
        !may_set_nice(thread, old->nice)) {
        return -EPERM;
    }
    if (!is_same_owner(thread) || (old->reset_on_fork && !new->reset_on_fork)) {
        return -EPERM;
    }
    return 0;
}

static int check_params(const struct sched_params *params)
{
    if (!is_known_policy(params->policy) || params->rt_prio > SCHED_RT_PRIO_MAX) {
        return -EINVAL;
    }
    return is_rt_policy(params->policy) == (params->rt_prio != 0) ? 0 : -EINVAL;
}

static int change_params(struct thread *thread, const struct sched_params *old,
                         const struct sched_params *new)
{
    int error = check_params(new);

    if (error == 0) {
        error = check_permission(thread, old, new);
    }
    if (error == 0) {
        sched_set_params(thread, new);
    }
    return error;
}

/* --- policy and priority ---------------------------------------------------------------------- */

/* A negative policy keeps the one that the thread has. */
static long set_scheduler(s32 pid, s32 policy, u64 param)
{
    struct sched_params old, new;
    struct sched_param user;
    struct thread *thread;
    int error;

    if (param == 0 || pid < 0) {
        return -EINVAL;
    }
    if (copy_from_user(&user, param, sizeof(user)) != 0) {
        return -EFAULT;
    }
    error = find_thread(pid, &thread);
    if (error != 0) {
        return error;
    }
    sched_get_params(thread, &old);
    new = old;
    new.rt_prio = (u32)user.sched_priority;
    if (policy >= 0) {
        new.policy = (u32)policy & ~(u32)SCHED_RESET_ON_FORK;
        new.reset_on_fork = ((u32)policy & SCHED_RESET_ON_FORK) != 0;
    }
    error = change_params(thread, &old, &new);
    thread_put(thread);
    return error;
}

long sys_sched_setscheduler(s32 pid, s32 policy, u64 param)
{
    return policy < 0 ? -EINVAL : set_scheduler(pid, policy, param);
}

long sys_sched_setparam(s32 pid, u64 param)
{
    return set_scheduler(pid, -1, param);
}

static int read_params(s32 pid, struct sched_params *params)
{
    struct thread *thread;
    int error = find_thread(pid, &thread);

    if (error == 0) {
        sched_get_params(thread, params);
        thread_put(thread);
    }
    return error;
}

long sys_sched_getscheduler(s32 pid)
{
    struct sched_params params;
    int error = read_params(pid, &params);

    if (error != 0) {
        return error;
    }
    return (long)params.policy | (params.reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(s32 pid, u64 param)
{
    struct sched_params params;
    struct sched_param user;
    int error;

    if (param == 0) {
        return -EINVAL;
    }
    error = read_params(pid, &params);
    if (error != 0) {
        return error;
    }
    user.sched_priority = (s32)params.rt_prio;
    return copy_to_user(param, &user, sizeof(user));
}

long sys_sched_get_priority_max(s32 policy)
{
    if (policy == SCHED_DEADLINE) {
        return 0;
    }
    if (policy < 0 || !is_known_policy((u32)policy)) {
        return -EINVAL;
    }
    return is_rt_policy((u32)policy) ? SCHED_RT_PRIO_MAX : 0;
}

long sys_sched_get_priority_min(s32 policy)
{
    long highest = sys_sched_get_priority_max(policy);

    return highest > 0 ? SCHED_RT_PRIO_MIN : highest;
}

long sys_sched_rr_get_interval(s32 pid, u64 interval)
{
    struct sched_params params;
    struct timespec ts;
    u64 ns = FAIR_INTERVAL_NS;
    int error = read_params(pid, &params);

    if (error != 0) {
        return error;
    }
    if (params.policy == SCHED_RR) {
        ns = RR_INTERVAL_NS;
    } else if (params.policy == SCHED_FIFO) {
        ns = 0;
    }
    ts = ns_to_timespec(ns);
    return copy_to_user(interval, &ts, sizeof(ts));
}

/* --- sched_setattr ---------------------------------------------------------------------------- */

/* A structure of a newer version is accepted if what this kernel does not know is zero. */
static int copy_attr(u64 attr, struct sched_attr *result)
{
    u32 size;
    u8 rest;

    memset(result, 0, sizeof(*result));
    if (get_user_u32(&size, attr) != 0) {
        return -EFAULT;
    }
    if (size == 0) {
        size = SCHED_ATTR_SIZE_VER0;
    }
    if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE) {
        goto out_too_big;
    }
    for (u64 i = sizeof(*result); i < size; i++) {
        if (get_user_u8(&rest, attr + i) != 0) {
            return -EFAULT;
        }
        if (rest != 0) {
            goto out_too_big;
        }
    }
    return copy_from_user(result, attr, min((size_t)size, sizeof(*result)));

out_too_big:
    return put_user_u32(attr, sizeof(struct sched_attr)) != 0 ? -EFAULT : -E2BIG;
}

static void apply_attr(const struct sched_attr *attr, const struct sched_params *old,
                       struct sched_params *new)
{
    *new = *old;
    new->reset_on_fork = (attr->sched_flags & SCHED_FLAG_RESET_ON_FORK) != 0;
    if ((attr->sched_flags & SCHED_FLAG_KEEP_POLICY) == 0) {
        new->policy = attr->sched_policy;
    }
    if ((attr->sched_flags & SCHED_FLAG_KEEP_PARAMS) == 0) {
        new->rt_prio = attr->sched_priority;
        if (!is_rt_policy(new->policy)) {
            new->nice = clamp(attr->sched_nice, NICE_MIN, NICE_MAX);
        }
    }
}

long sys_sched_setattr(s32 pid, u64 attr, u32 flags)
{
    struct sched_params old, new;
    struct sched_attr user;
    struct thread *thread;
    int error;

    if (attr == 0 || pid < 0 || flags != 0) {
        return -EINVAL;
    }
    error = copy_attr(attr, &user);
    if (error != 0) {
        return error;
    }
    if ((s32)user.sched_policy < 0 || (user.sched_flags & ~(u64)SCHED_FLAG_ALL) != 0) {
        return -EINVAL;
    }
    error = find_thread(pid, &thread);
    if (error != 0) {
        return error;
    }
    sched_get_params(thread, &old);
    apply_attr(&user, &old, &new);
    error = change_params(thread, &old, &new);
    thread_put(thread);
    return error;
}

long sys_sched_getattr(s32 pid, u64 attr, u32 size, u32 flags)
{
    struct sched_params params;
    struct sched_attr result = {.size = min(size, (u32)sizeof(result))};
    int error;

    if (attr == 0 || pid < 0 || size > PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags != 0) {
        return -EINVAL;
    }
    error = read_params(pid, &params);
    if (error != 0) {
        return error;
    }
    result.sched_policy = params.policy;
    result.sched_flags = params.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
    result.sched_priority = params.rt_prio;
    if (!is_rt_policy(params.policy)) {
        result.sched_nice = params.nice;
    }
    result.sched_util_max = 1024;
    return copy_to_user(attr, &result, result.size);
}

/* --- affinity --------------------------------------------------------------------------------- */

long sys_sched_setaffinity(s32 pid, u32 size, u64 mask)
{
    struct thread *thread;
    u64 cpus = 0;
    int error;

    if (copy_from_user(&cpus, mask, min((size_t)size, sizeof(cpus))) != 0) {
        return -EFAULT;
    }
    error = pid < 0 ? -ESRCH : find_thread(pid, &thread);
    if (error != 0) {
        return error;
    }
    if (!is_same_owner(thread) && !has_capability(CAP_SYS_NICE)) {
        error = -EPERM;
    } else {
        error = sched_set_affinity(thread, cpus);
    }
    thread_put(thread);
    return error;
}

long sys_sched_getaffinity(s32 pid, u32 size, u64 mask)
{
    struct thread *thread;
    u64 cpus;
    int error;

    if ((u64)size * 8 < cpu_count() || (size & (sizeof(u64) - 1)) != 0) {
        return -EINVAL;
    }
    error = pid < 0 ? -ESRCH : find_thread(pid, &thread);
    if (error != 0) {
        return error;
    }
    cpus = thread->affinity & sched_online_mask();
    thread_put(thread);
    /* One word holds every CPU that there can be; its size is the result. */
    return copy_to_user(mask, &cpus, sizeof(cpus)) != 0 ? -EFAULT : (long)sizeof(cpus);
}

long sys_getcpu(u64 cpu, u64 node, u64 unused)
{
    if (cpu != 0 && put_user_u32(cpu, cpu_id()) != 0) {
        return -EFAULT;
    }
    return node == 0 ? 0 : put_user_u32(node, 0);
}

/* --- nice values ------------------------------------------------------------------------------ */

enum nice_request { NICE_READ, NICE_WRITE };

/* One getpriority() or setpriority() call, over all threads that it means. */
struct nice_walk {
    enum nice_request request;
    s32 nice; /* to set, or the lowest found */
    u32 nr_found;
    int error; /* of the last thread that refused */
};

static void visit_thread(struct nice_walk *walk, struct thread *thread)
{
    struct sched_params params;

    sched_get_params(thread, &params);
    walk->nr_found++;
    if (walk->request == NICE_READ) {
        walk->nice = min(walk->nice, params.nice);
        return;
    }
    if (!is_same_owner(thread) && !has_capability(CAP_SYS_NICE)) {
        walk->error = -EPERM;
    } else if (walk->nice < params.nice && !may_set_nice(thread, walk->nice)) {
        walk->error = -EACCES;
    } else {
        params.nice = walk->nice;
        sched_set_params(thread, &params);
    }
}

static void visit_process(struct nice_walk *walk, struct process *process)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct thread *thread;

    list_for_each_entry (thread, &process->threads, process_link) {
        visit_thread(walk, thread);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

static bool is_meant(s32 which, s32 who, struct process *process)
{
    return which == PRIO_PGRP ? process_pgid(process) == who : process->cred.uid == (u32)who;
}

static int walk_priorities(s32 which, s32 who, struct nice_walk *walk)
{
    struct process *process;
    struct thread *thread;

    if (which < PRIO_PROCESS || which > PRIO_USER) {
        return -EINVAL;
    }
    if (which == PRIO_PROCESS) {
        if (who < 0 || find_thread(who, &thread) != 0) {
            return -ESRCH;
        }
        visit_thread(walk, thread);
        thread_put(thread);
        return walk->error;
    }
    if (who == 0) {
        process = current_process();
        who = which == PRIO_PGRP ? process_pgid(process) : (s32)process->cred.uid;
    }
    process = process_next_get(0);
    while (process != NULL) {
        s32 pid = process->pid;

        if (is_meant(which, who, process)) {
            visit_process(walk, process);
        }
        process_put(process);
        process = process_next_get(pid);
    }
    return walk->nr_found == 0 ? -ESRCH : walk->error;
}

/* The result is 20 - nice, which is never negative and so no error number. */
long sys_getpriority(s32 which, s32 who)
{
    struct nice_walk walk = {.request = NICE_READ, .nice = NICE_MAX};
    int error = walk_priorities(which, who, &walk);

    return error != 0 ? error : 20 - walk.nice;
}

long sys_setpriority(s32 which, s32 who, s32 nice)
{
    struct nice_walk walk = {.request = NICE_WRITE, .nice = clamp(nice, NICE_MIN, NICE_MAX)};

    return walk_priorities(which, who, &walk);
}

/* --- barriers --------------------------------------------------------------------------------- */

#define MEMBARRIER_SUPPORTED                                                                       \
    (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                                     \
     MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |                 \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |      \
     MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

/* Taking an interrupt and returning from it is all that a CPU has to do. */
static void membarrier_here(void *arg)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

long sys_membarrier(s32 command, u32 flags, s32 cpu)
{
    if (flags != 0) {
        return -EINVAL;
    }
    switch (command) {
    case MEMBARRIER_CMD_QUERY:
        return MEMBARRIER_SUPPORTED;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
        membarrier_here(NULL);
        if (cpu_count() > 1) {
            arch_ipi_call(sched_online_mask(), membarrier_here, NULL, IPI_WAIT);
        }
        return 0;
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
        /* A barrier reaches every CPU, so there is nobody to remember. */
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_rseq(u64 area, u32 size, s32 flags, u32 signature)
{
    return -ENOSYS;
}
