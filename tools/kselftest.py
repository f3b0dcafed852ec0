#!/usr/bin/env python3
"""Run Linux's own memory-management selftests on Cowbell and on Linux in the same QEMU, and print the
results side by side, test by test. Called by `make kselftest`.

What passes on Linux must pass here, unless tests/kselftest/skips lists it, one a line:
    PROGRAM: PATTERN  reason
The list is minimal: an entry that meets nothing that Linux passes, or a test that passes here, is a
failure as well.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import sys

from kselftests import parse
from runner import user_suites
from runner.qemu import Machine
from runner.report import Report, Suite

FOLDER = "tests/kselftest"
LINUX_APPEND = ("console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no5lvl "
                "tsc_early_khz=2600000 rdinit=/init -- ")
MEMORY = "1G"
# Linux itself fails a run of the uffd tests now and then: it may try again.
LINUX_TRIES = 3
PASSED = ("ok", "xfail")


def programs():
    """{name: processors} of all programs, in their order."""
    with open(f"{FOLDER}/programs", encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return {words[0]: int(words[1]) for words in lines}


class Skips:
    """What need not pass here, and which entries were of use."""

    def __init__(self):
        self.entries = {}       # (program, pattern): reason
        self.used = set()
        with open(f"{FOLDER}/skips", encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    test, reason = line.strip().split("  ", 1)
                    program, pattern = test.split(": ", 1)
                    self.entries[program, pattern] = reason.strip()

    def reason_for(self, program, test):
        """The reason of the first entry that names the test, or None."""
        for entry, reason in self.entries.items():
            if entry[0] == program and fnmatch.fnmatchcase(test, entry[1]):
                self.used.add(entry)
                return reason
        return None

    def unused(self, ran):
        return [f"{program}: {pattern}" for program, pattern in self.entries
                if program in ran and (program, pattern) not in self.used]


def cowbell_machine(args, cpus):
    def make(names):
        return Machine(smp=cpus, mem=MEMORY, icount=False, kernel=args.kernel, initrd=args.initrd,
                       append="run=/tests/run.sh " + " ".join(names))
    return make


def linux_machine(args, cpus):
    def make(names):
        return Machine(smp=cpus, mem=MEMORY, icount=False, kernel=args.linux,
                       initrd=args.linux_initrd,
                       append=LINUX_APPEND + "/tests/run.sh " + " ".join(names))
    return make


def run(machine, args, names):
    """Run programs, each with its number of processors. Return {name: entry}."""
    results = {}
    for cpus in sorted(set(names.values())):
        chosen = [name for name, wanted in names.items() if wanted == cpus]
        results.update(user_suites.run_all(machine(args, cpus), chosen))
    return results


def run_linux(args, names):
    """Run on Linux; what did not end well gets another try. Return {name: [tries]}."""
    tries = {name: [] for name in names}
    left = names
    for _ in range(LINUX_TRIES):
        for name, entry in run(linux_machine, args, left).items():
            tries[name].append(entry)
        left = {name: cpus for name, cpus in left.items()
                if not tries[name] or tries[name][-1][1] not in parse.ORDERLY}
        if not left:
            break
    return tries


def best_verdicts(tries):
    """What passed in one of several runs passes."""
    result = {}
    for _, status, lines in tries:
        for test, verdict in parse.verdicts(lines, status).items():
            if result.get(test) not in PASSED:
                result[test] = verdict
    return result


def judge(suite, program, here, there, skips):
    """Compare one program's tests. Return the lines of the table: (Cowbell, Linux, test, note)."""
    ours, linux = parse.verdicts(here[2], here[1]), best_verdicts(there)
    rows = []
    for test in list(linux) + [test for test in ours if test not in linux]:
        pair = (ours.get(test, "absent"), linux.get(test, "absent"))
        note = ""
        if pair[1] in PASSED:
            note = skips.reason_for(program, test) or ""
        if note and pair[0] in PASSED:
            suite.fail(f"{program}: {test}", ["listed in tests/kselftest/skips, but it passes"])
        elif note:
            suite.skipped += 1
        elif pair[1] in PASSED and pair[0] not in PASSED:
            suite.fail(f"{program}: {test}", [f"Cowbell: {pair[0]}, Linux: {pair[1]}"],
                       here[2][-25:], f"make kselftest T='{program}'")
        elif pair[0] in PASSED:
            suite.passed += 1
        rows.append((*pair, test, note))
    if not linux:
        suite.fail(program, ["Linux reports nothing to compare with"])
    return rows


def table_of(program, rows):
    lines = [f"=== {program}", f"{'Cowbell':8} {'Linux':8} test"]
    for ours, linux, test, note in rows:
        lines.append(f"{ours:8} {linux:8} {test}" + (f"   [{note}]" if note else ""))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("--kernel", "--initrd", "--linux", "--linux-initrd", "--output"):
        parser.add_argument(option, required=True)
    parser.add_argument("--select", default="*")
    args = parser.parse_args()

    names = {name: cpus for name, cpus in programs().items()
             if any(fnmatch.fnmatch(name, pattern) for pattern in args.select.split(","))}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        there = pool.submit(run_linux, args, names)
        here = pool.submit(run, cowbell_machine, args, names)
        here, there = here.result(), there.result()

    report, skips, table = Report(), Skips(), []
    nothing = (None, None, ["never started"])
    for name in names:
        suite = Suite(f"kselftest {name}")
        lines = table_of(name, judge(suite, name, here.get(name, nothing),
                                     there[name], skips))
        print("\n".join(lines))
        table += lines
        report.finish(suite)
    suite = Suite("kselftest skips")
    for entry in skips.unused(names):
        suite.fail(entry, ["listed in tests/kselftest/skips, but it excuses nothing"])
    report.finish(suite)
    with open(os.path.join(args.output, "results.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(table) + "\n")
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
