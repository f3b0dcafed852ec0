/*
 * When memory is gone: which process pays.
 *
 * The one whose end gives back the most pages, shifted by its oom_score_adj, and never process 1
 * or one that said -1000. Servers, without which nothing runs, come last. The victim gets SIGKILL;
 * whoever waits for memory tries again.
 */
#include <lib/printk.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/vmstat.h>
#include <proc/process_internal.h>
#include <proc/thread.h>

#define OOM_SCORE_ADJ_MIN (-1000)

/* Pages that the end of @process would free, as its owner wants them counted; 0: leave it. */
static u64 oom_points(struct process *process)
{
    u64 points = 0;
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    s64 adjust = process->oom_score_adj;

    if (process->mm != NULL && !process->group_exit && !process->unkillable &&
        adjust != OOM_SCORE_ADJ_MIN) {
        s64 shift = adjust * (s64)(frames_total_count() / 1000);
        s64 pages = (s64)(mm_rss_total(process->mm) +
                          atomic_u64_load(&process->mm->pgtable_bytes) / PAGE_SIZE);

        points = (u64)max(pages + shift, (s64)1);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return points;
}

/* A victim that has not let go of its memory yet: choosing another one now would be too early. */
static bool oom_is_dying(struct process *process)
{
    return READ_ONCE(process->group_exit) && READ_ONCE(process->mm) != NULL;
}

static struct process *oom_choose_locked(u64 *most, bool *is_dying) REQUIRES(process_tree_lock)
{
    struct process *victim = NULL;
    bool is_victim_server = true;

    *most = 0;
    *is_dying = false;
    for (struct pid *entry = pid_next_locked(0); entry != NULL;
         entry = pid_next_locked(entry->nr)) {
        struct process *process = entry->process;

        if (process == NULL || process->state != PROCESS_RUNNING) {
            continue;
        }
        *is_dying = *is_dying || oom_is_dying(process);
        u64 points = oom_points(process);

        if (points == 0 || (process->is_server && !is_victim_server)) {
            continue;
        }
        if (points > *most || (is_victim_server && !process->is_server)) {
            *most = points;
            victim = process;
            is_victim_server = process->is_server;
        }
    }
    return victim;
}

bool oom_kill_largest(void)
{
    u64 points;
    bool is_dying;

    spin_lock(&process_tree_lock);
    struct process *victim = oom_choose_locked(&points, &is_dying);

    if (is_dying || victim == NULL) {
        spin_unlock(&process_tree_lock);
        return is_dying;
    }
    process_get(victim);
    signal_kill_process(victim);
    spin_unlock(&process_tree_lock);
    vm_event(VM_EVENT_OOM_KILL, 1);
    printk("Out of memory: killed process %d (%s), %lu KiB\n", victim->pid, victim->comm,
           points * (PAGE_SIZE / KIB));
    process_put(victim);
    return true;
}
