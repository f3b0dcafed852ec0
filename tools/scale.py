#!/usr/bin/env python3
"""Run tests/user/scale.c in a large machine and say what its tests took. Called by `make scale`.

The machine's memory is not reserved on the host: what the guest never touches costs nothing.
"""
import argparse
import re
import sys

from runner import user_suites
from runner.qemu import Machine
from runner.report import Report

PROGRAM = "scale"
LINE = re.compile(r"^# scale (\S+) (.*)$")
DOCUMENT = "docs/performance.md"
TABLE_START, TABLE_END = "<!-- table: make scale RECORD=1 -->", "<!-- end of the scale table -->"
HEAD = ("what stands", "used", "anonymous", "page tables", "slab", "stacks", "instructions")


def machine(options):
    """Counted: sixteen processors in turn on one thread of the host, and the same in each run."""
    return Machine(smp=options.smp, mem=options.mem, icount=True, machine="q35,memory-backend=ram",
                   kernel=options.kernel, initrd=options.initrd,
                   append=f"run=/tests/run.sh {PROGRAM}",
                   extra=["-object", f"memory-backend-ram,id=ram,size={options.mem},reserve=off"])


def rows_of(lines):
    """One row of strings for each line that the program prints about what it took."""
    rows = []
    for line in lines:
        found = LINE.match(line)
        if not found:
            continue
        words = found.group(2).split()
        numbers = dict(zip(words[::2], map(int, words[1::2])))
        sizes = [f"{numbers.pop(name + '_KiB') / 1024:,.1f} MiB"
                 for name in ("used", "anon", "tables", "slab", "stacks")]
        ticks = f"{numbers.pop('ticks') / 1e6:,.1f} million"
        numbers.pop("machine_MiB")
        counts = ", ".join(f"{name.replace('_', ' ')} {number:,}"
                           for name, number in numbers.items())
        rows.append([counts, *sizes, ticks])
    return rows


def record_table(rows, options):
    lines = [f"`make scale`: {options.smp} CPUs, {options.mem} of memory.", "",
             "| " + " | ".join(HEAD) + " |", "| --- |" + " ---: |" * (len(HEAD) - 1),
             *("| " + " | ".join(row) + " |" for row in rows)]
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    start, end = text.index(TABLE_START) + len(TABLE_START), text.index(TABLE_END)
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text[:start] + "\n\n" + "\n".join(lines) + "\n\n" + text[end:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--smp", type=int, required=True)
    parser.add_argument("--mem", required=True)
    parser.add_argument("--record", action="store_true", help="write the table into the document")
    options = parser.parse_args()
    results, trouble = user_suites.run_guest(machine(options), [PROGRAM])
    lines = results[PROGRAM][2] if PROGRAM in results else []
    if trouble:
        results.setdefault(PROGRAM, [user_suites.Reader(), None, []])[2].append(trouble)
    rows = rows_of(lines)
    for row in [HEAD, *rows]:
        print(f"{row[0]:52}" + " ".join(f"{cell:>16}" for cell in row[1:]))
    report = Report()
    user_suites.judge(report, results, [PROGRAM], machine(options).label(), lambda name: "make scale")
    if options.record and rows and not report.failed:
        record_table(rows, options)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
