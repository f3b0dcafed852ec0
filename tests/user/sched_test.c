/* Scheduling parameters, affinity, nice values, membarrier: values and error numbers. */
#define _GNU_SOURCE
#define UTEST_SUITE "sched"
#include "utest.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#define BAD_POINTER ((void *)0xffff800000001000ul)

TEST(scheduler_is_read_and_set)
{
    struct sched_param param = {.sched_priority = 0};

    EXPECT_EQ(SCHED_OTHER, syscall(SYS_sched_getscheduler, 0));
    EXPECT_EQ(0, syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &param));
    EXPECT_EQ(SCHED_BATCH, syscall(SYS_sched_getscheduler, getpid()));
    EXPECT_EQ(0, syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &param));
    EXPECT_EQ(SCHED_OTHER | SCHED_RESET_ON_FORK, syscall(SYS_sched_getscheduler, 0));
    param.sched_priority = 7;
    EXPECT_EQ(0, syscall(SYS_sched_setscheduler, 0, SCHED_RR, &param));
    param.sched_priority = 0;
    EXPECT_EQ(0, syscall(SYS_sched_getparam, 0, &param));
    EXPECT_EQ(7, param.sched_priority);
    param.sched_priority = 0;
    EXPECT_EQ(0, syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &param));
    EXPECT_EQ(SCHED_IDLE, syscall(SYS_sched_getscheduler, 0));
}

TEST(scheduler_errors)
{
    struct sched_param param = {.sched_priority = 1};
    struct timespec ts;

    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, 0, 4, &param));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, 0, -1, &param));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, -1, SCHED_FIFO, &param));
    EXPECT_ERRNO(ESRCH, syscall(SYS_sched_setscheduler, 999999, SCHED_FIFO, &param));
    EXPECT_ERRNO(EFAULT, syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, BAD_POINTER));
    param.sched_priority = 100;
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param));
    param.sched_priority = 0;
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_getscheduler, -1));
    EXPECT_ERRNO(ESRCH, syscall(SYS_sched_getscheduler, 999999));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_getparam, 0, NULL));
    EXPECT_ERRNO(EFAULT, syscall(SYS_sched_getparam, 0, BAD_POINTER));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_rr_get_interval, -1, &ts));
    EXPECT_ERRNO(ESRCH, syscall(SYS_sched_rr_get_interval, 999999, &ts));
    EXPECT_EQ(99, sched_get_priority_max(SCHED_FIFO));
    EXPECT_EQ(1, sched_get_priority_min(SCHED_RR));
    EXPECT_EQ(0, sched_get_priority_max(SCHED_OTHER));
    EXPECT_ERRNO(EINVAL, sched_get_priority_max(4));
    EXPECT_ERRNO(EINVAL, sched_get_priority_min(-1));
}

TEST(scheduler_attributes)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
        uint64_t later;
    } attr = {.size = 56, .policy = SCHED_OTHER, .nice = 5};

    EXPECT_EQ(0, syscall(SYS_sched_setattr, 0, &attr, 0));
    EXPECT_EQ(5, getpriority(PRIO_PROCESS, 0));
    memset(&attr, 0xff, sizeof(attr));
    EXPECT_EQ(0, syscall(SYS_sched_getattr, 0, &attr, 56, 0));
    EXPECT_EQ(56, attr.size);
    EXPECT_EQ(SCHED_OTHER, attr.policy);
    EXPECT_EQ(5, attr.nice);
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_getattr, 0, &attr, 47, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_getattr, 0, &attr, 56, 1));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setattr, 0, NULL, 0));
    EXPECT_ERRNO(EFAULT, syscall(SYS_sched_setattr, 0, BAD_POINTER, 0));
    attr.size = 40;
    EXPECT_ERRNO(E2BIG, syscall(SYS_sched_setattr, 0, &attr, 0));
    EXPECT_EQ(56, attr.size);
    attr.size = 64;
    attr.later = 1;
    EXPECT_ERRNO(E2BIG, syscall(SYS_sched_setattr, 0, &attr, 0));
}

TEST(affinity_is_read_and_set)
{
    uint64_t mask = 0;
    unsigned cpu = 99, node = 99;

    EXPECT_EQ(8, syscall(SYS_sched_getaffinity, 0, sizeof(mask), &mask));
    EXPECT_TRUE((mask & 1) != 0);
    mask = 1;
    EXPECT_EQ(0, syscall(SYS_sched_setaffinity, 0, sizeof(mask), &mask));
    EXPECT_EQ(0, syscall(SYS_getcpu, &cpu, &node, NULL));
    EXPECT_EQ(0, cpu);
    EXPECT_EQ(0, node);
    mask = 0;
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_setaffinity, 0, sizeof(mask), &mask));
    EXPECT_ERRNO(EINVAL, syscall(SYS_sched_getaffinity, 0, 7, &mask));
    EXPECT_ERRNO(ESRCH, syscall(SYS_sched_getaffinity, 999999, 8, &mask));
    EXPECT_ERRNO(EFAULT, syscall(SYS_sched_getaffinity, 0, 8, BAD_POINTER));
    EXPECT_ERRNO(EFAULT, syscall(SYS_sched_setaffinity, 0, 8, BAD_POINTER));
    EXPECT_ERRNO(EFAULT, syscall(SYS_getcpu, BAD_POINTER, NULL, NULL));
}

/*
 * A program that only computes keeps its own CPU and no other. Where an emulator serves the CPUs
 * in turn, that takes a kernel that hands on the turn.
 */
TEST(programs_that_only_compute_let_the_other_cpus_run)
{
    enum { CPUS = 3, FAIR = 8, ROUNDS = 60 };
    volatile uint64_t *counts =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t most = UINT64_MAX, least = 0;
    pid_t pids[CPUS];

    for (int i = 0; i < CPUS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            uint64_t mask = 1ul << i;
            syscall(SYS_sched_setaffinity, 0, sizeof(mask), &mask);
            for (;;) {
                counts[i * 8]++;
            }
        }
    }
    /* A host may serve the CPUs unevenly now and then. */
    for (int round = 0; most > least * FAIR && round < ROUNDS; round++) {
        usleep(500000);
        most = 0;
        least = UINT64_MAX;
        for (int i = 0; i < CPUS; i++) {
            most = counts[i * 8] > most ? counts[i * 8] : most;
            least = counts[i * 8] < least ? counts[i * 8] : least;
        }
    }
    EXPECT_LE(most, least * FAIR);
    for (int i = 0; i < CPUS; i++) {
        kill(pids[i], SIGKILL);
        EXPECT_EQ(pids[i], waitpid(pids[i], NULL, 0));
    }
}

TEST(nice_values)
{
    EXPECT_EQ(20, syscall(SYS_getpriority, PRIO_PROCESS, 0));
    EXPECT_EQ(0, syscall(SYS_setpriority, PRIO_PROCESS, 0, 100));
    EXPECT_EQ(1, syscall(SYS_getpriority, PRIO_PROCESS, 0));
    EXPECT_EQ(0, syscall(SYS_setpriority, PRIO_PROCESS, getpid(), -100));
    EXPECT_EQ(40, syscall(SYS_getpriority, PRIO_PROCESS, getpid()));
    EXPECT_EQ(0, setpgid(0, 0));
    EXPECT_EQ(0, syscall(SYS_setpriority, PRIO_PGRP, 0, 3));
    EXPECT_EQ(17, syscall(SYS_getpriority, PRIO_PGRP, getpid()));
    EXPECT_ERRNO(EINVAL, syscall(SYS_getpriority, 3, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_setpriority, -1, 0, 0));
    EXPECT_ERRNO(ESRCH, syscall(SYS_getpriority, PRIO_PROCESS, 999999));
    EXPECT_ERRNO(ESRCH, syscall(SYS_setpriority, PRIO_PGRP, 999999, 0));
}

TEST(without_privilege_nice_only_falls)
{
    EXPECT_EQ(0, syscall(SYS_setresuid, 1000, 1000, 1000));
    EXPECT_EQ(0, syscall(SYS_setpriority, PRIO_PROCESS, 0, 5));
    EXPECT_ERRNO(EACCES, syscall(SYS_setpriority, PRIO_PROCESS, 0, 4));
    EXPECT_ERRNO(EPERM, syscall(SYS_setpriority, PRIO_PROCESS, 1, 10));
    struct sched_param param = {.sched_priority = 1};

    EXPECT_ERRNO(EPERM, syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param));
    struct timespec ts = {.tv_sec = 1000};

    EXPECT_ERRNO(EPERM, syscall(SYS_clock_settime, CLOCK_REALTIME, &ts));
}

TEST(membarrier_orders_and_checks_its_arguments)
{
    EXPECT_TRUE((syscall(SYS_membarrier, 0, 0, 0) & 1) != 0);
    EXPECT_EQ(0, syscall(SYS_membarrier, 1, 0, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_membarrier, 0, 7, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_membarrier, 1 << 20, 0, 0));
}

UTEST_MAIN
