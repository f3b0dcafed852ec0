"""Print a sequence as a C program that does the same without the interpreter, to be read and run."""
from . import generate as g

PRELUDE = '''/* {title} */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include "pagemap_scan.h" /* of user/lib */
#include "uffd.h"
#include "fuzz_fault.h" /* of tests/user */
#include "fuzz_file.h"
#include "fuzz_pins.h"
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ARENA ((char *)(0x100040000000ul - 128 * 4096ul))
enum {{ ARENA_PAGES = 288, HEAP_PAGES = 16 }};

static volatile int *turn; /* shared: the processes take turns */
static volatile int *pids, *pinner;
static int files[2], held[4][2];
static char *heap, buffer[64 * 4096];
static int uffd = -1;

static void fill(char *p, size_t len, int seed)
{{
    for (size_t i = 0; i < len; i++) {{
        p[i] = (char)(seed + i * 7 + (i >> 12));
    }}
}}

static void await_turn(int number)
{{
    while (*turn != number) {{
        sched_yield();
    }}
    errno = 0;
}}

static void show(const char *what, long result)
{{
    char *p = (char *)result;

    if (p >= ARENA && p < ARENA + ARENA_PAGES * 4096) {{
        printf("%s = ARENA + %#lx\\n", what, (long)(p - ARENA));
    }} else {{
        printf("%s = %ld%s%s\\n", what, result, result == -1 ? " " : "",
               result == -1 ? strerror(errno) : "");
    }}
    fflush(stdout);
    ++*turn;
}}

static void touch(const char *what, char *p, size_t len, int seed, int is_write)
{{
    volatile size_t done = 0;

    expects_fault = 1;
    if (sigsetjmp(after_fault, 0) == 0) {{
        for (; done < len; done++) {{
            if (is_write) {{
                ((volatile char *)p)[done] = (char)(seed + done * 7 + (done >> 12));
            }} else {{
                (void)((volatile char *)p)[done];
            }}
        }}
    }} else {{
        printf("signal %d code %d at ARENA + %#lx after ", last_fault.si_signo, last_fault.si_code,
               (long)((char *)last_fault.si_addr - ARENA));
    }}
    show(what, (long)done);
}}

/* One process at a time has a pin; what another one does about pins is left out. */
static int may_pin(int slot)
{{
    return *pinner < 0 || *pinner == slot;
}}

static long pinned(int slot, long result)
{{
    *pinner = pinned_at != NULL ? slot : -1;
    return result;
}}

static int incore(char *p, size_t len)
{{
    unsigned char there[ARENA_PAGES + 1] = {{0}};
    int result = mincore(p, len, there);

    for (size_t i = 0; result == 0 && i * 4096 < len; i++) {{
        printf("%d", there[i] & 1);
    }}
    printf("\\n");
    return result;
}}

static long pagemap(long page, long nr_pages)
{{
    uint64_t words[ARENA_PAGES];
    int fd = open("/proc/self/pagemap", O_RDONLY);
    long n = pread(fd, words, nr_pages * 8, ((uintptr_t)ARENA / 4096 + page) * 8);

    for (long i = 0; i < n / 8; i++) {{
        printf("%s%#lx", i > 0 ? " " : "bits 55 to 63: ", (long)(words[i] >> 55));
    }}
    printf("\\n");
    close(fd);
    return n;
}}

static int waits(struct wait wait)
{{
    int result = wait_for_page(&wait);

    printf("%d messages, the last with flags %ld, signal %d; the wake: %ld\\n", wait.nr_messages,
           (long)wait.flags, wait.signal, wait.woken);
    return result;
}}

static long scan(struct pm_scan_arg arg)
{{
    struct page_region *regions = (void *)arg.vec;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    long n = ioctl(fd, PAGEMAP_SCAN, &arg);

    for (long i = 0; i < n; i++) {{
        printf("ARENA + %#lx .. %#lx: %#lx\\n", (long)regions[i].start - (long)ARENA,
               (long)regions[i].end - (long)ARENA, (long)regions[i].categories);
    }}
    printf("walked to ARENA + %#lx\\n", (long)arg.walk_end - (long)ARENA);
    close(fd);
    return n;
}}

/* What each page holds, or the signal that reading it brings. */
static void dump(int process, char *start, int nr_pages, int is_shown)
{{
    char line[64], last[64] = "";
    volatile int page = 0;

    expects_fault = 1;
    for (; page <= nr_pages; page++) {{
        snprintf(line, sizeof(line), "end");
        if (page < nr_pages && sigsetjmp(after_fault, 0) == 0) {{
            uint64_t *words = (uint64_t *)(start + page * 4096l);

            snprintf(line, sizeof(line), "%016lx .. %016lx", (long)words[0], (long)words[511]);
        }} else if (page < nr_pages) {{
            snprintf(line, sizeof(line), "signal %d code %d", last_fault.si_signo,
                     last_fault.si_code);
        }}
        if (is_shown && strcmp(line, last) != 0) {{
            printf("  process %d, from page %d: %s\\n", process, page, line);
        }}
        strcpy(last, line);
    }}
}}

static void check(int process, int is_shown)
{{
    dump(process, ARENA, ARENA_PAGES, is_shown);
    dump(process, heap, HEAP_PAGES, is_shown);
    fflush(stdout);
    ++*turn;
}}
'''

MAIN = '''
int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

    turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pids = turn + 16;
    pinner = turn + 32;
    *pinner = -1;
    heap = (char *)(((uintptr_t)syscall(SYS_brk, 0) + 4095) & ~4095ul);
    for (int i = 0; i < 2; i++) {
        files[i] = memfd_create("fuzz", 0);
        fill(buffer, sizeof(buffer), i + 1);
        if (ftruncate(files[i], (i == 0 ? 48 : 16) * 4096) != 0 ||
            pwrite(files[i], buffer, 24 * 4096 / (i + 1), 0) < 0) {
            return 1;
        }
    }
    for (int i = 0; i < 4; i++) {
        if (pipe2(held[i], O_NONBLOCK) != 0) {
            return 1;
        }
    }
    pins_find();
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    signal(SIGCHLD, SIG_IGN);
    if (fork() == 0) { /* a process like the others: it may exit before them */
        pids[0] = getpid();
        process_0();
        _exit(0);
    }
    await_turn(LAST);
    return 0;
}
'''

MSEAL = 462     # newer than the C libraries' headers
FLAGS = {
    "prot": [(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")],
    "map": [(1, "MAP_SHARED"), (2, "MAP_PRIVATE"), (0x10, "MAP_FIXED"), (0x20, "MAP_ANONYMOUS"),
            (0x2000, "MAP_LOCKED"), (0x4000, "MAP_NORESERVE"), (0x8000, "MAP_POPULATE"),
            (0x100000, "MAP_FIXED_NOREPLACE")],
    "mremap": [(1, "MREMAP_MAYMOVE"), (2, "MREMAP_FIXED"), (4, "MREMAP_DONTUNMAP")],
    "msync": [(1, "MS_ASYNC"), (2, "MS_INVALIDATE"), (4, "MS_SYNC")],
}
ADVICE_NAMES = {0: "MADV_NORMAL", 1: "MADV_RANDOM", 2: "MADV_SEQUENTIAL", 3: "MADV_WILLNEED",
                4: "MADV_DONTNEED", 8: "MADV_FREE", 9: "MADV_REMOVE", 10: "MADV_DONTFORK",
                11: "MADV_DOFORK", 15: "MADV_NOHUGEPAGE", 16: "MADV_DONTDUMP", 17: "MADV_DODUMP",
                18: "MADV_WIPEONFORK", 19: "MADV_KEEPONFORK"}


def flags(kind, value):
    names = [name for bit, name in FLAGS[kind] if value & bit]
    rest = value & ~sum(bit for bit, _ in FLAGS[kind])
    if rest:
        names.append(hex(rest))
    return " | ".join(names) or "0"


def at(offset):
    return f"ARENA + {offset:#x}"


def file_of(number):
    return "-1" if number < 0 else f"files[{number % g.NR_FILES}]"


# The command of each operation, and its structure: the range, the mode, and what MOVE has besides.
UFFD_CALLS = {
    "uffd_register": ("REGISTER", "register r = {{.range = {{{0}, {1}}}, .mode = {2}}}"),
    "uffd_wake": ("WAKE", "range r = {{{0}, {1}}}"),
    "uffd_unregister": ("UNREGISTER", "range r = {{{0}, {1}}}"),
    "uffd_zero": ("ZEROPAGE", "zeropage r = {{.range = {{{0}, {1}}}, .mode = {2}}}"),
    "uffd_protect": ("WRITEPROTECT", "writeprotect r = {{.range = {{{0}, {1}}}, .mode = {2}}}"),
    "uffd_continue": ("CONTINUE", "continue r = {{.range = {{{0}, {1}}}, .mode = {2}}}"),
    "uffd_poison": ("POISON", "poison r = {{.range = {{{0}, {1}}}, .mode = {2}}}"),
    "uffd_copy": ("COPY", "copy r = {{.dst = {0}, .src = (uintptr_t)buffer, .len = {1}, .mode = {2}}}"),
    "uffd_move": ("MOVE", "move r = {{.dst = {0}, .src = {3}, .len = {1}, .mode = {2}}}"),
}


def uffd_call(name, a):
    command, request = UFFD_CALLS[name]
    source = f"(uintptr_t)({at(a[3])})" if name == "uffd_move" else ""
    request = request.format(f"(uintptr_t)({at(a[0])})", hex(a[1]), a[2] if len(a) > 2 else 0, source)
    return f"({{ struct uffdio_{request}; ioctl(uffd, UFFDIO_{command}, &r); }})"


def wait_call(a):
    return (f"waits((struct wait){{.start = (uintptr_t)({at(a[0])}), .len = {a[1]:#x}, "
            f".page = {at(a[2])}, .is_write = {a[3] & 1}, .is_protected = {a[3] >> 1 & 1}, "
            f".wake_start = (uintptr_t)({at(a[4])}), .wake_len = {a[5]:#x}}})")


def scan_call(a):
    masks = [hex(a[3] >> shift & 255) for shift in (0, 8, 16, 24)]
    return ("scan((struct pm_scan_arg){.size = sizeof(struct pm_scan_arg), "
            f".flags = {a[2]}, .start = (uintptr_t)({at(a[0])}), "
            f".end = (uintptr_t)({at(a[0] + a[1])}), .vec = {'(uintptr_t)buffer' if a[4] else 0}, "
            f".vec_len = {a[4]}, .max_pages = {a[5]}, .category_inverted = {masks[0]}, "
            f".category_mask = {masks[1]}, .category_anyof_mask = {masks[2]}, "
            f".return_mask = {masks[3]}}})")


# What holds pages, with the arguments of a step and its slot.
HOLDER_CALLS = {
    "pin": "may_pin({slot}) ? pinned({slot}, (pin_drop(), pin_take({place}))) : 0",
    "unpin": "may_pin({slot}) ? pinned({slot}, pin_drop()) : 0",
    "pin_read": "may_pin({slot}) ? pin_read(buffer) : 0",
    "pipe_hold": "vmsplice(held[{slot}][1], &(struct iovec){{{place}}}, 1, SPLICE_F_NONBLOCK)",
    "pipe_read": "read(held[{0}][0], buffer, {1})",
}


def expression(slot, name, a):
    """The call of a step in C."""
    place = f"{at(a[0])}, {a[1]:#x}" if len(a) > 1 else ""
    if name == "mmap":
        return (f"(long)mmap({place}, {flags('prot', a[2])}, {flags('map', a[3])}, "
                f"{file_of(a[4])}, {a[5]:#x})")
    if name == "mremap":
        return (f"syscall(SYS_mremap, {place}, {a[2]:#x}, {flags('mremap', a[3])}, {at(a[4])})")
    if name == "mprotect":
        return f"mprotect({place}, {flags('prot', a[2])})"
    if name == "madvise":
        return f"madvise({place}, {ADVICE_NAMES.get(a[2], a[2])})"
    if name == "msync":
        return f"msync({place}, {flags('msync', a[2])})"
    if name == "mlock":
        return f"syscall(SYS_mlock2, {place}, {a[2]})"
    if name == "call":
        return f"syscall({a[0]}, -1, 0, 0, 0)"
    if name == "mseal":
        return f"syscall({MSEAL}, {place}, {a[2]})"
    if name == "mincore":
        return f"incore({place})"
    if name in ("munmap", "munlock"):
        return f"{name}({place})"
    if name in HOLDER_CALLS:
        return HOLDER_CALLS[name].format(*a, place=place, slot=slot)
    if name == "brk":
        return f"(char *)syscall(SYS_brk, heap + {a[0]:#x}) - heap"
    if name in ("pread", "pwrite"):
        call = "pread" if name == "pread" else "write_at"
        return f"{call}({file_of(a[0])}, {at(a[1])}, {a[2]}, {a[3]:#x})"
    if name == "ftruncate":
        return f"resize({file_of(a[0])}, {a[1]:#x})"
    if name == "fallocate":
        return f"allocate({file_of(a[0])}, {a[1]}, {a[2]:#x}, {a[3]:#x})"
    if name in ("vm_read", "vm_write"):
        kind = "writev" if name == "vm_write" else "readv"
        return (f"process_vm_{kind}(pids[{a[0]}], &(struct iovec){{buffer, {a[2]}}}, 1, "
                f"&(struct iovec){{{at(a[1])}, {a[2]}}}, 1, 0)")
    if name == "pagemap":
        return f"pagemap({a[0]}, {a[1]})"
    if name == "pagemap_scan":
        return scan_call(a)
    if name == "uffd_open":
        return (f"({{ struct uffdio_api r = {{.api = UFFD_API, .features = {a[0]}}}; uffd = "
                "(int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK); "
                "ioctl(uffd, UFFDIO_API, &r); })")
    if name == "uffd_close":
        return "close(uffd)"
    if name == "uffd_wait":
        return wait_call(a)
    if name == "clear_refs":
        return f"clear_refs(pids[{a[0]}], {a[1]})"
    if name.startswith("uffd_"):
        return uffd_call(name, a)
    return "0"


def statements(number, step):
    slot, name, a = step
    what = f'"{number}: process {slot}: {name}"'
    lines = []
    if name == "fork":
        return [f"pids[{a[0]}] = fork();", f"if (pids[{a[0]}] == 0) {{",
                f"    pids[{a[0]}] = getpid();", "    pins_after_fork();",
                f"    process_{a[0]}_{number}();", "    _exit(0);", "}", f"show({what}, 0);"]
    if name == "exit":
        return [f"if (*pinner == {slot}) {{", f"    pinned({slot}, pin_drop());", "}",
                f"show({what}, 0);", "_exit(0);"]
    if name in ("write", "read"):
        seed = a[2] if name == "write" else 0
        return [f"touch({what}, {at(a[0])}, {a[1]}, {seed}, {int(name == 'write')});"]
    if name == "uffd_copy":
        lines.append(f"fill(buffer, {a[1]:#x}, {a[3]});")
    if name == "vm_write":
        lines.append(f"fill(buffer, {a[2]}, {a[3]});")
    return lines + [f"show({what}, {expression(slot, name, a)});"]


def events_of(mode, steps):
    """[(function, [lines])]: what each process does, in the order of the turns."""
    functions = {0: "process_0"}
    events = []
    for number, step in enumerate(steps):
        slot, name, args = step
        is_last = number == len(steps) - 1
        if slot not in functions or name == "fork" and args[0] in functions:
            continue
        if name != "check":
            events.append((functions[slot], statements(number, step)))
        if name == "fork":
            functions[args[0]] = f"process_{args[0]}_{number}"
        elif name == "exit":
            del functions[slot]
        if mode == "eager" or name == "check" or is_last:
            events += [(function, [f"check({slot}, {int(is_last)});"])
                       for slot, function in sorted(functions.items())]
    return events


def to_c(title, mode, steps):
    events = events_of(mode, steps)
    bodies = {"process_0": []}
    for turn, (function, lines) in enumerate(events):
        bodies.setdefault(function, []).extend([f"await_turn({turn});", *lines])
    parts = [PRELUDE.format(title=title)]
    parts += [f"static void {name}(void);\n" for name in bodies]
    for name, lines in bodies.items():
        parts.append(f"\nstatic void {name}(void)\n{{\n"
                     + "\n".join(f"    {line}" for line in lines) + "\n}\n")
    return "".join(parts) + MAIN.replace("LAST", str(len(events)))
