/*
 * The watchdog: finds CPUs that hang in the kernel.
 *
 * Two things are watched. A CPU with interrupts off for long does not run its tick: its neighbour
 * sees that and sends it an NMI, which reports where it is; where the machine has a periodic NMI,
 * the CPU finds out by itself. A thread that runs in the kernel for long and never comes to a
 * point where another could run is found by the CPU's own tick.
 *
 * watchdog_nmi() interrupts anything, so it takes no lock before it panics.
 */
#include <debug/watchdog.h>

#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/trapframe.h>
#include <debug/lockdep.h>
#include <debug/panic.h>
#include <lib/assert.h>
#include <lib/cmdline.h>
#include <proc/clock.h>
#include <proc/runqueue.h>

#define HANG_SECONDS 10
#define CHECK_NS     NSEC_PER_SEC

struct watched_cpu {
    u64 alive_ns;      /* [x] when the tick last ran here; 0: idle or not started */
    u64 last_check_ns; /* [own CPU] */
    u64 switches;      /* [own CPU] of the run queue, when they last changed or user code ran */
    u64 progress_ns;   /* [own CPU] when that was */
} ALIGNED(64);

static struct watched_cpu watched[MAX_CPUS];
static u64 hang_ns; /* [x] how long is too long; U64_MAX: never; 0: not asked yet */

/* The command line says watchdog=SECONDS; 0 switches the watchdog off. */
static u64 hang_limit(void)
{
    if (unlikely(hang_ns == 0)) {
        u64 seconds = cmdline_u64("watchdog", HANG_SECONDS);

        hang_ns = seconds == 0 ? U64_MAX : seconds * NSEC_PER_SEC;
    }
    return hang_ns;
}

void watchdog_set_enabled(bool enabled)
{
    hang_ns = enabled ? 0 : U64_MAX;
    for (u32 i = 0; i < MAX_CPUS; i++) {
        __atomic_store_n(&watched[i].alive_ns, 0, __ATOMIC_RELAXED);
    }
}

void watchdog_armed(u64 now)
{
    __atomic_store_n(&watched[cpu_id()].alive_ns, now, __ATOMIC_RELAXED);
}

void watchdog_idle(void)
{
    __atomic_store_n(&watched[cpu_id()].alive_ns, 0, __ATOMIC_RELAXED);
}

void watchdog_touch(void)
{
    struct watched_cpu *mine = &watched[cpu_id()];

    mine->progress_ns = clock_monotonic_ns();
    __atomic_store_n(&mine->alive_ns, mine->progress_ns, __ATOMIC_RELAXED);
}

static bool is_stuck(const struct watched_cpu *cpu, u64 now)
{
    u64 alive_ns = __atomic_load_n(&cpu->alive_ns, __ATOMIC_RELAXED);

    return alive_ns != 0 && now > alive_ns && now - alive_ns > hang_limit();
}

/* Asks the next active CPU, in a ring, where it is if its tick has stopped. */
static void check_neighbour(u32 cpu, u64 now)
{
    u64 others = sched_online_mask() & ~BIT(cpu);
    u64 higher = others & ~(BIT(cpu) - 1);
    u32 neighbour;

    if (others == 0) {
        return;
    }
    neighbour = (u32)__builtin_ctzl(higher != 0 ? higher : others);
    if (is_stuck(&watched[neighbour], now)) {
        arch_nmi_send(neighbour);
    }
}

static void check_progress(struct watched_cpu *mine, bool was_user, u64 now)
{
    u64 switches = this_runqueue()->switches;

    if (was_user || switches != mine->switches || mine->progress_ns == 0) {
        mine->switches = switches;
        mine->progress_ns = now;
        return;
    }
    if (now - mine->progress_ns > hang_limit() && current_thread()->need_resched != 0) {
        lockdep_stop();
        panic("thread %d (%s) has kept CPU %u in the kernel for %lu s", current_thread()->tid,
              current_thread()->comm, cpu_id(), (now - mine->progress_ns) / NSEC_PER_SEC);
    }
}

void watchdog_tick(bool was_user, u64 now)
{
    struct watched_cpu *mine = &watched[cpu_id()];

    __atomic_store_n(&mine->alive_ns, now, __ATOMIC_RELAXED);
    if (now - mine->last_check_ns < CHECK_NS) {
        return;
    }
    mine->last_check_ns = now;
    check_progress(mine, was_user, now);
    check_neighbour(cpu_id(), now);
}

void watchdog_nmi(struct trapframe *tf)
{
    u64 now = clock_monotonic_ns();

    if (!is_stuck(&watched[cpu_id()], now)) {
        return;
    }
    hang_ns = U64_MAX;
    lockdep_stop();
    panic_with_frame(tf, "CPU %u has had its interrupts off for %lu s", cpu_id(),
                     (now - watched[cpu_id()].alive_ns) / NSEC_PER_SEC);
}
