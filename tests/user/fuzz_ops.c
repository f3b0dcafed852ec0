/*
 * The interpreter of `make fuzz-diff`: runs sequences of memory calls that tools/fuzz made, on
 * Cowbell and on Linux, and prints after each step what a program can see of it.
 *
 *   fuzz_ops FILE
 *
 * FILE holds sequences: a line `sequence NAME eager|lazy`, then a line for each step,
 * `SLOT OPERATION ARGUMENT…`. A slot is a process: slot 0 exists from the start, the others by
 * fork. Addresses are byte offsets into one arena at a fixed place, which only the sequence
 * touches. A line of the report is STEP RESULT ERRNO SIGNAL/CODE@OFFSET HASH PAGES | CHECKSUM… with
 * a letter for each page that the step looked at (p: present, d: soft-dirty, D: both), if it did,
 * and a checksum for each living slot: after every step if eager, else only for the step `check`.
 * The processes take turns, so that there is one right report.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz_fault.h"
#include "fuzz_file.h"
#include "fuzz_hooks.h"
#include "fuzz_pins.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

enum { NR_SLOTS = 4, NR_FILES = 2, NR_ARGS = 6, HEAP_PAGES = 16, PATIENCE_MS = 20000 };
enum { STEP_QUIT = -1, STEP_CHECK = -2 };
enum { TEXT_MAX = 16 << 20 };

static char text[TEXT_MAX];
static const char *steps[65536];
static int files[NR_FILES];
static int commands[NR_SLOTS][2];
static int replies[2];
static int *pids;             /* of the slots, shared by all; 0: no process */
static int *pinner;           /* the slot that has pinned, shared by all; or -1 */
static int held[NR_SLOTS][2]; /* pipes with pages of each slot */
static int is_eager;
static char *heap_start;

/* The process's own state. */
static int my_slot;

static long offset_of(const void *address)
{
    const char *p = address;

    if (p >= ARENA && p < ARENA_END) {
        return p - ARENA;
    }
    return p >= heap_start && p < heap_start + HEAP_PAGES * PAGE ? p - heap_start + (1l << 40) : -2;
}

static void record_fault(struct reply *reply)
{
    reply->signal = last_fault.si_signo;
    reply->code = last_fault.si_code;
    reply->fault_offset = offset_of(last_fault.si_addr);
}

/* Sixteen words of each page, at its start and its end; a page that cannot be read counts as its
 * signal. */
static uint64_t checksum(const char *start, size_t nr_pages)
{
    volatile size_t page = 0;
    volatile uint64_t hash = 1;

    expects_fault = 1;
    while (page < nr_pages) {
        if (sigsetjmp(after_fault, 0) != 0) {
            hash = mix(hash, 0xbad00 + (uint64_t)(last_fault.si_signo * 64 + last_fault.si_code));
            page++;
            continue;
        }
        const volatile uint64_t *words = (const volatile uint64_t *)(start + page * PAGE);
        uint64_t sum = page;

        for (int i = 0; i < 8; i++) {
            sum = mix(sum, words[i]);
            sum = mix(sum, words[PAGE / 8 - 1 - i]);
        }
        hash = mix(hash, sum);
        page++;
    }
    expects_fault = 0;
    return hash;
}

static uint64_t checksum_all(void)
{
    return mix(checksum(ARENA, ARENA_PAGES), checksum(heap_start, HEAP_PAGES));
}

static uint64_t hash_bytes(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t hash = len;

    for (size_t i = 0; i < len; i++) {
        hash = mix(hash, p[i]);
    }
    return hash;
}

/* Stores and loads of the program itself: how far they came, and what stopped them. */
static void touch(struct reply *reply, char *p, size_t len, uint64_t seed, int is_write)
{
    volatile size_t done = 0;
    volatile uint64_t hash = 0;

    expects_fault = 1;
    if (sigsetjmp(after_fault, 0) == 0) {
        for (; done < len; done++) {
            if (is_write) {
                ((volatile char *)p)[done] = (char)(seed + done * 7 + (done >> 12));
            } else {
                hash = mix(hash, ((volatile unsigned char *)p)[done]);
            }
        }
    } else {
        record_fault(reply);
    }
    expects_fault = 0;
    reply->result = (long)done;
    reply->hash = hash;
}

/* A mapping that the kernel put elsewhere is taken away again: its place is not comparable. */
static void report_place(struct reply *reply, void *place, size_t len)
{
    reply->result = place == MAP_FAILED ? -1 : offset_of(place);
    if (reply->result == -2) {
        munmap(place, len);
    }
}

static void remote(struct reply *reply, const long *a, int is_write)
{
    size_t len = (size_t)a[2] < BUFFER_MAX ? (size_t)a[2] : BUFFER_MAX;
    struct iovec local = {buffer, len};
    struct iovec other = {ARENA + a[1], len};

    if (is_write) {
        fill(buffer, len, (uint64_t)a[3]);
        reply->result = process_vm_writev(pids[a[0]], &local, 1, &other, 1, 0);
        return;
    }
    reply->result = process_vm_readv(pids[a[0]], &local, 1, &other, 1, 0);
    if (reply->result > 0) {
        reply->hash = hash_bytes(buffer, (size_t)reply->result);
    }
}

static void residency(struct reply *reply, char *p, size_t len)
{
    static unsigned char resident[ARENA_PAGES + 1];

    reply->result = mincore(p, len, resident);
    for (size_t i = 0; reply->result == 0 && i < (len + PAGE - 1) / PAGE; i++) {
        reply->hash = mix(reply->hash, resident[i] & 1);
    }
}

static void run_file(struct reply *reply, const char *name, const long *a)
{
    int fd = files[a[0] % NR_FILES];

    if (strcmp(name, "pread") == 0) {
        reply->result = pread(fd, ARENA + a[1], (size_t)a[2], a[3]);
    } else if (strcmp(name, "pwrite") == 0) {
        reply->result = write_at(fd, ARENA + a[1], (size_t)a[2], a[3]);
    } else if (strcmp(name, "ftruncate") == 0) {
        reply->result = resize(fd, a[1]);
    } else if (strcmp(name, "fallocate") == 0) {
        reply->result = allocate(fd, (int)a[1], a[2], a[3]);
    }
}

static void run_map(struct reply *reply, const char *name, const long *a)
{
    char *p = ARENA + a[0];
    size_t len = (size_t)a[1];

    if (strcmp(name, "mmap") == 0) {
        int fd = a[4] < 0 ? -1 : files[a[4] % NR_FILES];

        report_place(reply, mmap(p, len, (int)a[2], (int)a[3], fd, a[5]), len);
    } else if (strcmp(name, "munmap") == 0) {
        reply->result = munmap(p, len);
    } else if (strcmp(name, "mprotect") == 0) {
        reply->result = mprotect(p, len, (int)a[2]);
    } else if (strcmp(name, "madvise") == 0) {
        reply->result = madvise(p, len, (int)a[2]);
        if (a[2] == MADV_FREE) {
            madvise(p, len, MADV_DONTNEED); /* when it becomes zero is not said */
        }
    } else if (strcmp(name, "mremap") == 0) {
        void *place = (void *)syscall(SYS_mremap, p, len, a[2], a[3], ARENA + a[4]);

        report_place(reply, place, (size_t)a[2]);
    } else if (strcmp(name, "msync") == 0) {
        reply->result = msync(p, len, (int)a[2]);
    } else if (strcmp(name, "mlock") == 0) {
        reply->result = syscall(SYS_mlock2, p, len, a[2]);
    } else if (strcmp(name, "munlock") == 0) {
        reply->result = munlock(p, len);
    } else if (strcmp(name, "mseal") == 0) {
        reply->result = syscall(SYS_mseal, p, len, a[2]);
    } else if (strcmp(name, "mincore") == 0) {
        residency(reply, p, len);
    } else if (strcmp(name, "write") == 0) {
        touch(reply, p, len, (uint64_t)a[2], 1);
    } else if (strcmp(name, "read") == 0) {
        touch(reply, p, len, 0, 0);
    } else if (strcmp(name, "brk") == 0) {
        reply->result = (char *)syscall(SYS_brk, heap_start + a[0]) - heap_start;
    } else if (strcmp(name, "vm_read") == 0 || strcmp(name, "vm_write") == 0) {
        remote(reply, a, name[3] == 'w');
    }
}

/* One process at a time has a pin; another one's is left alone. */
static void run_pin(struct reply *reply, const char *name, const long *a)
{
    if (*pinner >= 0 && *pinner != my_slot) {
        return;
    }
    if (strcmp(name, "pin_read") == 0) {
        reply->result = pin_read(buffer);
        reply->hash = reply->result > 0 ? hash_bytes(buffer, (size_t)reply->result) : 0;
        return;
    }
    reply->result = pin_drop();
    if (strcmp(name, "pin") == 0) {
        reply->result = pin_take(ARENA + a[0], (size_t)a[1]);
    }
    *pinner = pinned_at != NULL ? my_slot : -1;
}

static void run_pipe(struct reply *reply, const char *name, const long *a)
{
    struct iovec iov = {ARENA + a[0], (size_t)a[1]};

    if (strcmp(name, "pipe_hold") == 0) {
        reply->result = vmsplice(held[my_slot][1], &iov, 1, SPLICE_F_NONBLOCK);
        return;
    }
    reply->result = read(held[a[0]][0], buffer, (size_t)a[1]);
    reply->hash = reply->result > 0 ? hash_bytes(buffer, (size_t)reply->result) : 0;
}

static void split_step(const char *line, int *slot, char name[32], long a[NR_ARGS])
{
    memset(a, 0, sizeof(long) * NR_ARGS);
    sscanf(line, "%d %31s %li %li %li %li %li %li", slot, name, &a[0], &a[1], &a[2], &a[3], &a[4],
           &a[5]);
}

static void answer(struct reply *reply)
{
    reply->pid = getpid();
    if (write(replies[1], reply, sizeof(*reply)) != (ssize_t)sizeof(*reply)) {
        _exit(99);
    }
}

/* The child goes on as another slot, and the parent answers for both. */
static void run_fork(struct reply *reply, int slot)
{
    int ready[2];
    char byte = 0;
    pid_t pid;

    if (pipe(ready) != 0) {
        return;
    }
    pid = fork();
    if (pid == 0) {
        my_slot = slot;
        pins_after_fork();
        close(ready[0]);
        close(ready[1]);
        return;
    }
    reply->result = pid < 0 ? -1 : 0;
    reply->error = pid < 0 ? errno : 0;
    if (pid > 0) {
        pids[slot] = pid;
    }
    close(ready[1]);
    (void)!read(ready[0], &byte, 1);
    close(ready[0]);
    answer(reply);
}

static void run_step(const char *line)
{
    struct reply reply = {.result = -3};
    long a[NR_ARGS];
    char name[32];
    int slot;

    split_step(line, &slot, name, a);
    errno = 0;
    if (strcmp(name, "fork") == 0) {
        run_fork(&reply, (int)a[0]);
        return;
    }
    if (strcmp(name, "exit") == 0) {
        reply.result = *pinner == my_slot ? pin_drop() : 0;
        *pinner = *pinner == my_slot ? -1 : *pinner;
        answer(&reply);
        _exit(0);
    }
    if (strncmp(name, "uffd_", 5) == 0) {
        run_uffd(&reply, name, a);
    } else if (strncmp(name, "pagemap", 7) == 0) {
        run_pagemap(&reply, name, a);
    } else if (strcmp(name, "clear_refs") == 0) {
        reply.result = clear_refs(pids[a[0]], a[1]);
    } else if (strcmp(name, "call") == 0) {
        reply.result = syscall(a[0], -1, 0, 0, 0); /* a difference is planted so */
    } else if (strncmp(name, "pin", 3) == 0 || strcmp(name, "unpin") == 0) {
        run_pin(&reply, name, a);
    } else if (strncmp(name, "pipe_", 5) == 0) {
        run_pipe(&reply, name, a);
    } else if (name[0] == 'f' || strcmp(name, "pread") == 0 || strcmp(name, "pwrite") == 0) {
        run_file(&reply, name, a);
    } else {
        run_map(&reply, name, a);
    }
    reply.error = reply.result == -1 ? errno : 0;
    answer(&reply);
}

static void work(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    int step;

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    signal(SIGCHLD, SIG_IGN);
    while (read(commands[my_slot][0], &step, sizeof(step)) == (ssize_t)sizeof(step)) {
        if (step == STEP_QUIT) {
            break;
        }
        if (step == STEP_CHECK) {
            struct reply reply = {.hash = checksum_all()};

            answer(&reply);
        } else {
            run_step(steps[step]);
        }
    }
    _exit(0);
}

/* Ask a slot to run a step and wait for its answer. Return: 0, or -1 if it is gone. */
static int ask(int slot, int step, struct reply *reply)
{
    struct pollfd waiting = {replies[0], POLLIN, 0};

    if (write(commands[slot][1], &step, sizeof(step)) != (ssize_t)sizeof(step) ||
        poll(&waiting, 1, PATIENCE_MS) != 1 ||
        read(replies[0], reply, sizeof(*reply)) != (ssize_t)sizeof(*reply)) {
        return -1;
    }
    return 0;
}

static int print_checksums(void)
{
    printf(" |");
    for (int slot = 0; slot < NR_SLOTS; slot++) {
        struct reply reply;

        if (pids[slot] == 0) {
            continue;
        }
        if (ask(slot, STEP_CHECK, &reply) != 0) {
            printf(" slot %d is lost\n", slot);
            return -1;
        }
        printf(" %d:%016lx", slot, (unsigned long)reply.hash);
    }
    return 0;
}

/* Return: 0, or -1 if the sequence cannot go on. */
static int run_line(int number)
{
    struct reply reply = {.result = 0};
    long a[NR_ARGS];
    char name[32];
    int slot;

    split_step(steps[number], &slot, name, a);
    printf("%d", number);
    if (slot < 0 || slot >= NR_SLOTS || pids[slot] == 0 ||
        (strcmp(name, "fork") == 0 && pids[a[0]] != 0)) {
        printf(" skipped\n");
        return 0;
    }
    if (strcmp(name, "check") != 0) {
        if (ask(slot, number, &reply) != 0) {
            printf(" slot %d is lost\n", slot);
            return -1;
        }
        printf(" %ld %d %d/%d@%ld %lx%s%s", reply.result, reply.error, reply.signal, reply.code,
               reply.fault_offset, (unsigned long)reply.hash, reply.pages[0] ? " " : "",
               reply.pages);
    }
    if (strcmp(name, "exit") == 0) {
        while (waitpid(pids[slot], NULL, WNOHANG) <= 0 && kill(pids[slot], 0) == 0) {
            usleep(1000);
        }
        pids[slot] = 0;
    }
    if ((is_eager || strcmp(name, "check") == 0) && print_checksums() != 0) {
        return -1;
    }
    printf("\n");
    return 0;
}

static void make_files(void)
{
    for (int i = 0; i < NR_FILES; i++) {
        files[i] = memfd_create("fuzz", 0);
        fill(buffer, sizeof(buffer), (uint64_t)i + 1);
        if (ftruncate(files[i], (i == 0 ? 48 : 16) * (off_t)PAGE) != 0 ||
            pwrite(files[i], buffer, 24 * PAGE / (size_t)(i + 1), 0) < 0) {
            perror("fuzz_ops: memfd");
            exit(1);
        }
    }
    memset(buffer, 0, sizeof(buffer));
}

static void run_sequence(int nr_steps)
{
    int is_lost = 0;
    pid_t group;

    make_files();
    *pinner = -1;
    for (int i = 0; i < NR_SLOTS; i++) {
        pids[i] = 0;
        if (pipe(commands[i]) != 0 || pipe2(held[i], O_NONBLOCK) != 0) {
            perror("fuzz_ops: pipe");
            exit(1);
        }
    }
    fflush(stdout);
    group = fork();
    if (group == 0) {
        work();
    }
    setpgid(group, group);
    pids[0] = group;
    for (int i = 0; i < nr_steps && !is_lost; i++) {
        is_lost = run_line(i) != 0;
    }
    kill(-group, SIGKILL);
    for (int slot = 0; slot < NR_SLOTS; slot++) {
        close(commands[slot][0]);
        close(commands[slot][1]);
        close(held[slot][0]);
        close(held[slot][1]);
    }
    while (waitpid(-1, NULL, 0) > 0) {}
    pins_end();
    for (int i = 0; i < NR_FILES; i++) {
        close(files[i]);
    }
}

/* What this kernel offers beyond the calls that every sequence may use. */
static void print_features(void)
{
    struct iovec one = {buffer, 1};
    struct iovec two = {buffer + 1, 1};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

    printf("features%s", fd >= 0 ? " uffd" : "");
    close(fd);
    fd = open("/proc/self/pagemap", O_RDONLY);
    printf("%s", fd >= 0 ? " pagemap" : "");
    close(fd);
    printf("%s", pins_find() ? " pins" : "");
    printf("%s\n", process_vm_readv(getpid(), &one, 1, &two, 1, 0) == 1 ? " process_vm" : "");
}

static void run_text(void)
{
    char *next = text;
    int nr_steps = -1;

    while (next != NULL && *next != '\0') {
        char *line = strsep(&next, "\n");

        if (strncmp(line, "sequence ", 9) == 0) {
            if (nr_steps >= 0) {
                run_sequence(nr_steps);
            }
            printf("%s\n", line);
            is_eager = strstr(line, " eager") != NULL;
            nr_steps = 0;
        } else if (*line != '\0' && nr_steps >= 0) {
            steps[nr_steps++] = line;
        }
    }
    if (nr_steps >= 0) {
        run_sequence(nr_steps);
    }
}

int main(int argc, char **argv)
{
    static char output[1 << 16];
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    size_t size = 0;
    ssize_t n;

    setvbuf(stdout, output, _IOFBF, sizeof(output));
    if (fd < 0) {
        fprintf(stderr, "usage: fuzz_ops FILE\n");
        return 2;
    }
    do {
        n = read(fd, text + size, sizeof(text) - 1 - size);
        size += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    pids = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pinner = pids + NR_SLOTS;
    heap_start = (char *)(((uintptr_t)syscall(SYS_brk, 0) + PAGE - 1) & ~(PAGE - 1));
    if (pids == MAP_FAILED || pipe(replies) != 0) {
        perror("fuzz_ops");
        return 1;
    }
    print_features();
    run_text();
    printf("DONE\n");
    return 0;
}
