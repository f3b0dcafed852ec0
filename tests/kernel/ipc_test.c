/* The fixture of the suites about files and messages; see ipc_test.h. */
#include "ipc_test.h"

#include <arch/cpu.h>
#include <arch/thread.h>
#include <lib/assert.h>
#include <mm/mm.h>
#include <proc/process_internal.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/wait.h>

static void map_range(struct mm *mm, u64 addr, u64 len, u32 prot)
{
    struct map_request request = {
        .addr = addr, .len = len, .prot = prot, .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
    u64 found;

    if (mm_map(mm, &request, &found) != 0) {
        panic("ipc_test: no memory for the test's pages");
    }
}

/* Makes the current kernel thread a process with descriptors and memory. */
static struct process *become_process(void)
{
    struct process *process;
    struct mm *mm;
    u64 flags;

    if (process_adopt_current(&process) != 0 || mm_create(&mm) != 0) {
        panic("ipc_test: no memory for a process");
    }
    mm_setup_layout(mm, 8 * MIB);
    flags = irq_save();
    process->mm = mm;
    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
    map_range(mm, IPC_DATA, IPC_DATA_SIZE, PROT_READ | PROT_WRITE);
    map_range(mm, IPC_READ_ONLY, PAGE_SIZE, PROT_READ);
    return process;
}

static void body_main(void *arg)
{
    void (*body)(void) = *(void (**)(void))arg;

    become_process();
    body();
    process_exit_group(WAIT_STATUS_EXIT(0));
}

void ipc_test_run(void (*body)(void))
{
    struct thread *thread = thread_create_kernel(body_main, &body, "ipc_test");

    if (thread == NULL) {
        panic("ipc_test: no memory for a thread");
    }
    thread_join_kernel(thread);
}

static void peer_main(void *arg)
{
    struct peer *peer = arg;
    struct process *process = become_process();

    if (peer->has_handler) {
        const struct signal_action catch = {.handler = IPC_DATA};

        signal_set_action(SIGUSR1, &catch, NULL);
    }
    process_get(process);
    __atomic_store_n(&peer->process, process, __ATOMIC_RELEASE);
    peer->fn(peer);
    if (peer->file != NULL && !peer->is_installed) {
        file_put(peer->file);
    }
    __atomic_store_n(&peer->is_done, true, __ATOMIC_RELEASE);
    process_exit_group(WAIT_STATUS_EXIT(0));
}

void peer_start(struct peer *peer)
{
    if (peer->file != NULL) {
        file_get(peer->file);
    }
    peer->thread = thread_create_kernel(peer_main, peer, "peer");
    if (peer->thread == NULL) {
        panic("ipc_test: no memory for a peer");
    }
}

s64 peer_fd(struct peer *peer)
{
    s64 fd = fd_install(peer->file, FD_PLAIN);

    EXPECT_TRUE(fd >= 0);
    peer->is_installed = fd >= 0;
    return fd;
}

void peer_join(struct peer *peer)
{
    thread_join_kernel(peer->thread);
    process_put(peer->process);
}

void peer_signal(struct peer *peer, int signal)
{
    ipc_until(READ_ONCE(peer->process) != NULL);
    EXPECT_OK(signal_send_process(peer->process, signal, NULL));
}
