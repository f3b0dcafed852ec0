"""Run the benchmark in guests and read what it prints. tests/bench/bench.h tells the lines' form.

Under `-icount` a guest repeats instruction for instruction, so what Linux gave for the same files
and options is kept and not run again.
"""
import concurrent.futures
import hashlib
import os
import re
import subprocess
from dataclasses import dataclass, field

from runner.qemu import Guest, Machine

SILENCE_S = 1200
ROW = re.compile(r"^B (\S+) (\S+) (\S+)(?: (\S+) (\S+) (\d+))?$")
ABSENT = re.compile(r"^B (\S+) (NA|ERR)(?: (\S+))?$")
COUNTERS = re.compile(r"^C (\S+) (\S+) (\S+) (\S+) (\S+)$")
OPERATIONS = re.compile(r"^P (\S+) (\d+)$")
COUNTER_NAMES = ("root_loads", "page_flushes", "full_flushes", "ipis")

# `rep movsb` and `rep stosb` count as one instruction a byte or not at all like it, whichever the
# processor announces: without these two flags both systems choose other ways to copy and clear.
PLAIN_CPU = "max,-erms,-fsrm"
STRING_CPU = "max"
# The same random numbers and the same date in every run.
REPEATABLE = ["-seed", "1", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
LINUX_APPEND = ("console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no5lvl {clock}"
                "rdinit=/init -- --in-place /tests/bench ")
# Without icount Linux measures the TSC against emulated timers, and sometimes fails.
LINUX_CLOCK = "tsc_early_khz=2600000 "

MAIN_MIB = 1024
LARGE_MIB = 3072
MAIN_GROUPS = "base,anon,thp,shmem,cow,fork,mmap,ipc,signal,uffd,gup,vma"
LARGE_GROUPS = "mem,exit"
LARGE_ROWS = ("mem_per_idle_*", "exit_1G_*")


@dataclass
class System:
    """A kernel and its initial file system, which holds the benchmark."""
    name: str
    kernel: str
    initrd: str
    is_linux: bool


@dataclass
class Result:
    """values: row -> (number, unit); absent: row -> reason; counters: row -> four numbers;
    operations: row -> how many the profile covers."""
    values: dict = field(default_factory=dict)
    absent: dict = field(default_factory=dict)
    counters: dict = field(default_factory=dict)
    operations: dict = field(default_factory=dict)
    order: list = field(default_factory=list)
    trouble: str = ""

    def read(self, line):
        row, absent, counters = ROW.match(line), ABSENT.match(line), COUNTERS.match(line)
        operations = OPERATIONS.match(line)
        if operations:
            self.operations[operations.group(1)] = int(operations.group(2))
        elif absent:
            self.order.append(absent.group(1))
            self.absent[absent.group(1)] = absent.group(3) or absent.group(2)
        elif row:
            self.order.append(row.group(1))
            self.values[row.group(1)] = (float(row.group(2)), row.group(3))
        elif counters:
            self.counters[counters.group(1)] = [float(counters.group(i)) for i in range(2, 6)]

    def merge(self, other):
        self.values.update(other.values)
        self.absent.update(other.absent)
        self.counters.update(other.counters)
        self.order += other.order
        self.trouble = self.trouble or other.trouble


def machine_of(system, cpu, smp, mem, words, options):
    """The guest that runs the benchmark with the arguments `words`."""
    if system.is_linux:
        clock = "" if options.icount else LINUX_CLOCK
        append = LINUX_APPEND.format(clock=clock) + words
    else:
        append = f"run=/tests/bench {words}"
    return Machine(smp=smp, mem=f"{mem}M", cpu=cpu, icount=options.icount, accel=options.accel,
                   kernel=system.kernel, initrd=system.initrd, append=append,
                   extra=REPEATABLE if options.icount else [])


def run(machine, has_end=False):
    """The lines of one guest, up to its end if `has_end`. Return (lines, trouble or None)."""
    lines = []
    is_done = False
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S):
                lines.append(line)
                is_done = is_done or line.startswith("DONE")
                if is_done and not has_end:
                    return lines, None
        except TimeoutError as error:
            return lines, str(error)
        if is_done:
            guest.wait()
            return lines, None
    return lines, "the guest ended before the benchmark did; its last lines:\n  " + \
        "\n  ".join(lines[-5:])


def cache_name(machine, folder):
    digest = hashlib.sha256(subprocess.run([machine.command()[0], "--version"], check=True,
                                           stdout=subprocess.PIPE).stdout)
    for path in (machine.kernel, machine.initrd):
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    words = [word for word in machine.command() if word not in (machine.kernel, machine.initrd)]
    digest.update("\0".join(words).encode())
    return os.path.join(folder, digest.hexdigest()[:24])


def run_cached(machine, folder):
    path = cache_name(machine, folder)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines(), None
    lines, trouble = run(machine)
    if trouble is None:
        os.makedirs(folder, exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(path + ".new", path)
    return lines, trouble


def parts_of(options):
    """(groups, MiB) of each guest that a system needs for the wanted rows."""
    parts = [(MAIN_GROUPS, MAIN_MIB)]
    if any(pattern[:3] in ("*", "mem", "exi") for pattern in options.select.split(",")):
        parts.append((LARGE_GROUPS, LARGE_MIB))
    return parts


def run_all(jobs, options):
    """Run jobs {key: [(system, cpu, smp, groups, MiB)]} side by side. Return {key: Result}."""
    mode = "icount" if options.icount else "wall"

    def one(job):
        system, cpu, smp, groups, mem = job
        # A row's number depends on what ran before it, for one on how many slabs are half empty:
        # what is compared with the baseline runs as it was recorded, whatever is selected.
        is_recorded = options.icount and not system.is_linux and cpu == PLAIN_CPU
        rows = "*" if is_recorded else options.select
        machine = machine_of(system, cpu, smp, mem, f"mode={mode} g={groups} rows={rows}", options)
        if system.is_linux and options.icount:
            return run_cached(machine, options.cache)
        return run(machine)

    results = {key: Result() for key in jobs}
    flat = [(key, job) for key, listed in jobs.items() for job in listed]
    workers = os.cpu_count() if options.icount else 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for (key, job), (lines, trouble) in zip(flat, pool.map(one, [job for _, job in flat])):
            part = Result(trouble=f"{job[0].name}: {trouble}" if trouble else "")
            for line in lines:
                part.read(line)
            if job[4] != MAIN_MIB or job[2] != 1:
                drop_boot_rows(part)
            elif "boot_MemFree" in part.values:
                part.values["memory_used_at_boot"] = (
                    job[4] * 1024 - part.values["boot_MemFree"][0], "KiB")
                part.order.insert(0, "memory_used_at_boot")
            results[key].merge(part)
    return results


def drop_boot_rows(result):
    """What a system took to come up is told of the smallest guest alone."""
    for table in (result.values, result.absent):
        for name in [name for name in table if name.startswith("boot_")]:
            del table[name]
    result.order = [name for name in result.order if not name.startswith("boot_")]
