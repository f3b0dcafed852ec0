#!/usr/bin/env python3
"""Run the same static programs on Cowbell and on Linux in the same QEMU, and compare their reports
test by test. Called by `make oracle`.

A difference is a failure unless tests/oracle/divergences lists it, one a line:
    NAME-OF-TEST  reason
A name may be a pattern, as of a shell.
"""
import argparse
import fnmatch
import itertools
import os
import re
import sys

from runner import script_suites, user_suites
from runner.qemu import Machine
from runner.report import Report, Suite

DIVERGENCES = "tests/oracle/divergences"
LINUX_APPEND = ("console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no5lvl "
                "tsc_early_khz=2600000 rdinit=/init -- ")
# Linux gives its first program 32 arguments at most.
LINUX_MOST_PROGRAMS = 24
RUN_PROGRAM = "/tests/run_program.sh"
COLUMN_MOST = 100


def linux_machine(bzimage, initrd):
    def make(names):
        return Machine(smp=2, mem="1G", icount=False, kernel=bzimage, initrd=initrd,
                       append=LINUX_APPEND + "/tests/run.sh " + " ".join(names))
    return make


def divergences():
    listed = {}
    with open(DIVERGENCES, encoding="utf-8") as file:
        for line in file:
            words = line.split(None, 1)
            if words and not line.startswith("#"):
                listed[words[0]] = words[1].strip()
    return listed


def is_allowed(test, allowed):
    return any(fnmatch.fnmatchcase(test, pattern) for pattern in allowed)


def verdicts(entry):
    reader = entry[0]
    return {r.name: "skip" if r.is_skipped else "ok" if r.is_ok else "not ok"
            for r in reader.results}


def console_of(entry, test):
    """What a test printed, or the end of all that its program did if the test reported nothing."""
    reader, _, lines = entry
    printed = {r.name: r.console for r in reader.results}
    return printed.get(test, lines)[-12:]


def compare(report, names, here, there, allowed):
    empty = (user_suites.Reader(), None, ["never started"])
    for name in names:
        suite = Suite(f"oracle {name}")
        ours, linux = here.get(name, empty), there.get(name, empty)
        our_tests, linux_tests = verdicts(ours), verdicts(linux)
        for test in sorted(set(our_tests) | set(linux_tests)):
            pair = (our_tests.get(test, "absent"), linux_tests.get(test, "absent"))
            if pair[0] == pair[1] == "ok":
                suite.passed += 1
            elif is_allowed(test, allowed) or pair in (("ok", "skip"), ("skip", "skip")):
                # What Linux skips is ours alone.
                suite.skipped += 1
            else:
                suite.fail(test, [f"Cowbell: {pair[0]}, Linux: {pair[1]}"],
                           [*console_of(ours, test), "--- Linux:", *console_of(linux, test)],
                           f"make oracle T='{name}'")
        if ours[1] != linux[1] or not linux_tests:
            suite.fail(name, [f"exit status: Cowbell {ours[1]}, Linux {linux[1]}; "
                              f"{len(linux_tests)} tests on Linux"], linux[2],
                       f"make oracle T='{name}'")
        report.finish(suite)


def compare_scripts(report, args, scripts):
    paths = [f"scripts/{name}" for name in scripts]
    there = user_suites.run_all(linux_machine(args.linux, args.linux_initrd), paths,
                                LINUX_MOST_PROGRAMS)
    there = {name.split("/", 1)[1]: entry for name, entry in there.items()}
    if args.record:
        script_suites.record(there)
    suite = Suite("oracle scripts: the recorded outputs are Linux's")
    for name in scripts:
        if name in there and script_suites.output_of(there[name]) == script_suites.expected_of(name):
            suite.passed += 1
        else:
            suite.fail(name, ["Linux prints something else than the recorded output"],
                       there[name][2] if name in there else [], "make oracle RECORD=1")
    report.finish(suite)


def end_of(status, lines):
    """How the program ended, from its status and the last lines, which time(1) wrote; and the rest."""
    if status is None:
        return "the guest ended before the program did", lines
    killed = re.fullmatch(r"Command terminated by signal (\d+)", lines[-2]) if lines[1:] else None
    lines, took = lines[:-1], lines[-1]
    if killed:
        return f"signal {killed.group(1)} after {took}", lines[:-1]
    if lines and re.fullmatch(r"Command exited with non-zero status \d+", lines[-1]):
        lines = lines[:-1]
    return f"status {status} after {took}", lines


def side_by_side(args):
    """Run one program of the user's on both systems and print what each said."""
    if "/" in args.program and not os.path.exists(args.program):
        print(f"oracle: {args.program}: no such file")
        return 1
    words = f"{os.path.basename(args.program)} {args.arguments}".strip()
    machines = [
        Machine(smp=2, mem="1G", icount=False, kernel=args.kernel, initrd=args.initrd,
                append=f"run={RUN_PROGRAM} {words}"),
        Machine(smp=2, mem="1G", icount=False, kernel=args.linux, initrd=args.linux_initrd,
                append=f"{LINUX_APPEND}{RUN_PROGRAM} {words}")]
    sides = []
    for machine in machines:
        results, _ = user_suites.run_guest(machine, [words])
        _, status, lines = next(iter(results.values()), (None, None, []))
        sides.append(end_of(status, lines))
    (our_end, ours), (linux_end, linux) = sides
    width = min(max([len(line) for line in [*ours, our_end]]), COLUMN_MOST)
    print(f"{'Cowbell':{width}} | Linux 6.12")
    for left, right in [*itertools.zip_longest(ours, linux, fillvalue=""), (our_end, linux_end)]:
        print(f"{left:{width}} {'|' if left == right else '!'} {right}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("--kernel", "--initrd", "--linux", "--linux-initrd"):
        parser.add_argument(option, required=True)
    parser.add_argument("--select", default="*")
    parser.add_argument("--programs", nargs="*", default=[])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--program")
    parser.add_argument("--arguments", default="")
    args = parser.parse_args()
    if args.program:
        return side_by_side(args)

    def wants(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in args.select.split(","))

    report = Report()
    programs = [name for name in args.programs if wants(name)]
    if programs:
        here = user_suites.run_all(
            user_suites.cowbell_machine(args.kernel, args.initrd, 2, "1G", False), programs)
        there = user_suites.run_all(linux_machine(args.linux, args.linux_initrd), programs,
                                    LINUX_MOST_PROGRAMS)
        compare(report, programs, here, there, divergences())
    scripts = [name for name in script_suites.names() if wants(name)]
    if scripts:
        compare_scripts(report, args, scripts)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
