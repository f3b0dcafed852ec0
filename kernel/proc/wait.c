/*
 * Waiting for children: wait4, waitid.
 *
 * A wait scans the caller's children under process_tree_lock and sleeps on the process's
 * child_queue, which every change of a child's state wakes. Taking a zombie releases it.
 */
#include <proc/process_internal.h>

#include <lib/errno.h>
#include <proc/thread.h>
#include <uapi/linux/wait.h>

/* One wait in progress. */
struct wait_state {
    const struct wait_request *request;
    struct wait_result *result;
    struct process *released; /* a zombie to put */
    int error;
};

static bool wait_may_take(const struct wait_request *request, const struct process *child)
{
    if (request->which == P_PID && child->pid != request->id) {
        return false;
    }
    if (request->which == P_PGID && child->group->nr != request->id) {
        return false;
    }
    if ((request->options & __WNOTHREAD) != 0 && child->creator_tid != current_thread()->tid) {
        return false;
    }
    /* clone(2): children that do not announce their end by SIGCHLD are asked for explicitly. */
    bool is_clone = child->exit_signal != SIGCHLD;
    bool wants_clone = (request->options & __WCLONE) != 0;

    return (request->options & __WALL) != 0 || is_clone == wants_clone;
}

static void wait_describe(struct wait_result *result, const struct process *child, int code,
                          s32 status)
{
    result->pid = child->pid;
    result->uid = child->cred.uid;
    result->code = code;
    result->status = status;
}

static bool wait_take_zombie(struct wait_state *state, struct process *child)
    REQUIRES(process_tree_lock)
{
    struct process *self = current_process();
    struct process_usage total = child->usage;

    if ((state->request->options & WEXITED) == 0) {
        return false;
    }
    process_usage_add(&total, &child->child_usage);
    wait_describe(state->result, child, (child->exit_code & 0x7f) != 0 ? CLD_KILLED : CLD_EXITED,
                  child->exit_code);
    state->result->usage = total;
    if ((state->request->options & WNOWAIT) != 0) {
        return true;
    }
    u64 flags = spin_lock_irqsave(&self->sig_lock);

    process_usage_add(&self->child_usage, &total);
    spin_unlock_irqrestore(&self->sig_lock, flags);
    process_release_locked(child);
    state->released = child;
    return true;
}

static bool wait_take_change(struct wait_state *state, struct process *child)
{
    u32 options = state->request->options;
    bool keeps = (options & WNOWAIT) != 0;
    bool is_taken = false;
    u64 flags = spin_lock_irqsave(&child->sig_lock);

    if (child->wait_stopped && (options & WUNTRACED) != 0) {
        child->wait_stopped = keeps;
        wait_describe(state->result, child, CLD_STOPPED, WAIT_STATUS_STOPPED(child->stop_signal));
        is_taken = true;
    } else if (child->wait_continued && (options & WCONTINUED) != 0) {
        child->wait_continued = keeps;
        wait_describe(state->result, child, CLD_CONTINUED, WAIT_STATUS_CONTINUED);
        is_taken = true;
    }
    spin_unlock_irqrestore(&child->sig_lock, flags);
    return is_taken;
}

/* Looks at all children once. Return: the wait is over. */
static bool wait_scan(struct wait_state *state)
{
    struct process *self = current_process();
    struct process *child;
    bool has_candidate = false;
    bool is_done = false;

    spin_lock(&process_tree_lock);
    list_for_each_entry (child, &self->children, sibling) {
        if (!wait_may_take(state->request, child)) {
            continue;
        }
        has_candidate = true;
        is_done = child->state == PROCESS_ZOMBIE ? wait_take_zombie(state, child)
                                                 : wait_take_change(state, child);
        if (is_done) {
            break;
        }
    }
    spin_unlock(&process_tree_lock);
    if (!has_candidate) {
        state->error = -ECHILD;
        return true;
    }
    return is_done || (state->request->options & WNOHANG) != 0;
}

int process_wait(const struct wait_request *request, struct wait_result *result)
{
    struct wait_state state = {.request = request, .result = result};

    *result = (struct wait_result){0};
    int error = wait_event_interruptible(&current_process()->child_queue, wait_scan(&state));

    if (state.released != NULL) {
        process_put(state.released);
    }
    return error != 0 ? error : state.error;
}
