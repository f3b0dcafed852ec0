/* The end: programs first, then the machine. The servers run until the last moment. */
#include <errno.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cb_syscall.h>
#include "init.h"

#define PIDS_MAX   32768
#define STEP_NS    10000000L
#define TERM_STEPS 50 /* half a second to end by itself */
#define KILL_STEPS 20

static int32_t pids[PIDS_MAX];

/* Send a signal to every program. Return: how many there were. */
static int signal_programs(const struct init_servers *servers, int signal)
{
    long len = cb_kinfo(CB_KINFO_PROC_LIST, 0, pids, sizeof(pids));
    int count = 0;

    for (long i = 0; i < len / (long)sizeof(pids[0]); i++) {
        if (pids[i] > 1 && pids[i] != servers->fs && pids[i] != servers->console &&
            kill(pids[i], signal) == 0) {
            count++;
        }
    }
    return count;
}

static void wait_for_programs(const struct init_servers *servers, int steps)
{
    const struct timespec step = {.tv_nsec = STEP_NS};

    while (steps-- > 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
            /* Orphans end as our children. */
        }
        if (signal_programs(servers, 0) == 0) {
            return;
        }
        nanosleep(&step, NULL);
    }
}

void shutdown_now(const struct init_servers *servers, int reboot_command)
{
    if (signal_programs(servers, SIGTERM) > 0) {
        signal_programs(servers, SIGCONT);
        wait_for_programs(servers, TERM_STEPS);
    }
    if (signal_programs(servers, SIGKILL) > 0) {
        wait_for_programs(servers, KILL_STEPS);
    }
    sync();
    reboot(reboot_command);
    while (true) {
        pause();
    }
}
