#!/usr/bin/env python3
"""Run one static benchmark binary on Cowbell and on two Linuxes, and print all of them.
Called by `make bench`. Guest instructions are counted, so every run gives the same numbers.

Fails if a row is above its limit, or worse than the recorded baseline: tools/benchmark/judge.py.
"""
import argparse
import json
import os
import sys

from benchmark import chart, guests, judge

SCALE_SMP = 4


def plan(options, cowbell, linuxes):
    """The guests: {key: [(system, cpu, smp, groups, MiB)]}."""
    kinds = {"plain": guests.PLAIN_CPU, "string": guests.STRING_CPU}
    if not options.icount:
        kinds = {"plain": "host" if options.accel == "kvm" else "max"}
    jobs = {}
    for kind, cpu in kinds.items():
        for key, system in [(("cowbell",), cowbell),
                            *((("linux", name), linux) for name, linux in linuxes.items())]:
            parts = guests.parts_of(options)
            jobs[(*key, kind)] = [(system, cpu, 1, groups, mem) for groups, mem in
                                  (parts if kind == "plain" else parts[:1])]
            # Linux does not finish booting with icount and more than one CPU.
            if kind == "plain" and (key[0] == "cowbell" or not options.icount):
                jobs[(*key, kind)].append((system, cpu, SCALE_SMP, "scale", guests.LARGE_MIB))
    return jobs


def shown(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100000 else f"{value:.1f}"


def counters_of(row):
    """CR3 loads, page flushes, full flushes, IPIs, if any is not zero."""
    if not row.counters or not any(row.counters):
        return ""
    return "/".join(f"{value:.3g}" for value in row.counters)


def print_table(rows, versions):
    def ratio(value):
        return "-" if value is None else f"{value:.3f}"

    print(f"{'row':46} {'unit':5} {'Cowbell':>11} "
          + " ".join(f"{'Linux ' + version:>11}" for version in versions)
          + f" {'ratio':>6} {'limit':>5} {'goal':>5} {'w/erms':>6}  cr3/page/full/ipi")
    for row in rows:
        ours = shown(row.ours) if row.ours is not None else row.reason or "-"
        print(f"{row.name:46} {row.unit:5} {ours:>11} "
              + " ".join(f"{shown(row.linux.get(version)):>11}" for version in versions)
              + f" {ratio(row.ratio):>6} {row.limit or '':>5} {row.goal or '':>5} "
              f"{ratio(row.other_ratio):>6}  {counters_of(row)}"
              + ("  FAIL: " + "; ".join(row.faults) if row.faults else ""))


def write_files(rows, options):
    os.makedirs(options.output, exist_ok=True)
    table = [{"row": row.name, "unit": row.unit, "cowbell": row.ours, "linux": row.linux,
              "ratio": row.ratio, "limit": row.limit, "goal": row.goal, "absent": row.reason,
              "with_erms": {"cowbell": row.other_ours, "linux": row.other_linux,
                            "ratio": row.other_ratio},
              "counters": dict(zip(guests.COUNTER_NAMES, row.counters)) if row.counters else None,
              "faults": row.faults} for row in rows]
    name = "bench" if options.icount else "bench-wall"
    with open(os.path.join(options.output, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump(table, file, indent=1)
    kind = "guest instructions" if options.icount else f"wall time, {options.accel}"
    path = os.path.join(options.output, f"{name}.svg")
    with open(path, "w", encoding="utf-8") as file:
        file.write(chart.draw(rows, f"Cowbell beside Linux: {kind}"))
    print(f"chart: {path}")


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--linux", nargs="+", required=True, help="VERSION=bzImage")
    parser.add_argument("--linux-initrd", required=True)
    parser.add_argument("--select", default="*", help="globs over the names of rows, comma")
    parser.add_argument("--output", required=True, help="folder for bench.json and bench.svg")
    parser.add_argument("--record", action="store_true", help="write the baseline")
    parser.add_argument("--wall", action="store_true", help="nanoseconds instead of instructions")
    parser.add_argument("--accel", default="tcg")
    options = parser.parse_args()
    options.icount = not options.wall
    options.cache = os.path.join(options.output, "linux")
    return options


def main():
    options = read_arguments()
    images = dict(item.split("=", 1) for item in options.linux)
    cowbell = guests.System("Cowbell", options.kernel, options.initrd, False)
    linuxes = {version: guests.System(f"Linux {version}", image, options.linux_initrd, True)
               for version, image in images.items()}
    results = guests.run_all(plan(options, cowbell, linuxes), options)
    rows = judge.make_rows(results, options.select, list(images))
    passed = 0
    if options.icount:
        passed = judge.judge_limits(rows, options.select)
        if options.record:
            judge.record_baseline(rows)
            if options.select == "*":
                judge.record_table(rows)
        else:
            passed += judge.judge_baseline(rows)
    print_table(rows, list(images))
    write_files(rows, options)
    troubles = [result.trouble for result in results.values() if result.trouble]
    for trouble in troubles:
        print(f"bench: {trouble}")
    failed = sum(len(row.faults) for row in rows) + len(troubles)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
