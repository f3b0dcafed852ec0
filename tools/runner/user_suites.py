"""Run the programs of tests/user on Cowbell, or on Linux in the same QEMU, and read their reports.

tests/user/run.sh runs inside the guest, on both systems: for each program it prints
`## program NAME`, the program's KTAP, and `## exit NAME STATUS`.
"""
import re

from .ktap import Reader
from .qemu import Guest, Machine
from .report import Suite

SILENCE_S = 240
PROGRAM = re.compile(r"^## program (\S+)$")
TORTURED = re.compile(r"^# tortured with (\d+) operations")
EXIT = re.compile(r"^## exit (\S+) (\d+)$")


def run_guest(machine, names):
    """Run programs in one guest. Return ({name: (Reader, status or None, lines)}, trouble)."""
    results = {}
    name = None
    trouble = "the guest ended early"
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S):
                started, ended = PROGRAM.match(line), EXIT.match(line)
                if started:
                    name = started.group(1)
                    results[name] = [Reader(), None, []]
                elif ended and name == ended.group(1):
                    results[name][1] = int(ended.group(2))
                    name = None
                elif line == "## done":
                    trouble = None
                elif name:
                    results[name][0].feed(line)
                    results[name][2].append(line)
        except TimeoutError as error:
            trouble = f"the guest hung: {error}"
    return results, trouble


def run_all(make_machine, names, most=None):
    """Run every program, `most` in one guest, going on behind one that takes the guest down."""
    results = {}
    left = list(names)
    while left:
        batch = left[:most]
        part, trouble = run_guest(make_machine(batch), batch)
        results.update(part)
        done = [name for name in batch if name in part]
        if trouble is None:
            left = left[len(batch):]
            continue
        if not done:
            results[left[0]] = [Reader(), None, [trouble]]
            left = left[1:]
            continue
        last = done[-1]
        if results[last][1] is None:
            results[last][2].append(trouble)
        left = left[left.index(last) + 1:]
    return results


def cowbell_machine(kernel, initrd, smp, mem, icount, **options):
    def make(names):
        return Machine(smp=smp, mem=mem, icount=icount, kernel=kernel, initrd=initrd,
                       append="run=/tests/run.sh " + " ".join(names), **options)
    return make


def judge(report, results, names, where, rerun):
    """One Suite a program: its tests, and that it ended with status 0 having reported its plan."""
    for name in names:
        suite = Suite(f"user {name} [{where}]")
        reader, status, lines = results.get(name, [Reader(), None, ["never started"]])
        suite.nr_operations = sum(int(found.group(1)) for found in map(TORTURED.match, lines) if found)
        for result in reader.results:
            if result.is_skipped:
                suite.skip(result.name, rerun(name))
            elif result.is_ok:
                suite.passed += 1
            else:
                suite.fail(result.name, result.details, result.console, rerun(name))
        complete = reader.planned is not None and reader.planned == len(reader.results)
        if not complete or (status != 0 and not suite.failures):
            suite.fail(name, [f"ended with status {status}, {len(reader.results)} of "
                              f"{reader.planned} tests reported"], lines, rerun(name))
        report.finish(suite)
