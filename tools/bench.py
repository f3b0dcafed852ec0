#!/usr/bin/env python3
"""Run one static benchmark binary on Cowbell and on Linux under `-icount`, and print both.
Called by `make bench`. Guest instructions are counted, so every run gives the same numbers.

Each row of tests/bench/limits names the largest ratio Cowbell / Linux that passes.
"""
import argparse
import fnmatch
import json
import os
import re
import sys

from runner.qemu import Guest, Machine

LIMITS = "tests/bench/limits"
ROW = re.compile(r"^B (\S+) (\S+) (\S+)(?: (\S+) (\S+) (\d+))?$")
SILENCE_S = 1200
MEM_MIB = 1024
# Without erms and fsrm Linux does not choose `rep movsb`, which counts as one instruction.
CPU = "max,-erms,-fsrm"
LINUX_APPEND = ("console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no5lvl rdinit=/init "
                "-- --in-place /tests/bench ")


def run(machine):
    rows = {}
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S):
                found = ROW.match(line)
                if found and found.group(2) not in ("NA", "ERR"):
                    rows[found.group(1)] = (float(found.group(2)), found.group(3))
                elif line.startswith("DONE"):
                    break
        except TimeoutError as error:
            print(f"bench: {error}", file=sys.stderr)
    if "boot_MemFree" in rows:
        rows["memory_used_at_boot"] = (MEM_MIB * 1024 - rows["boot_MemFree"][0], "KiB")
    return rows


def limits():
    listed = {}
    with open(LIMITS, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words and not line.startswith("#"):
                listed[words[0]] = float(words[1])
    return listed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--linux", required=True)
    parser.add_argument("--linux-initrd", required=True)
    parser.add_argument("--select", default="*", help="glob over the names of rows")
    parser.add_argument("--groups", default="base,anon,shmem,cow,fork,mmap,ipc,signal,vma")
    parser.add_argument("--output", required=True, help="folder for bench.json")
    args = parser.parse_args()
    words = f"mode=icount g={args.groups}"
    here = run(Machine(smp=1, mem=f"{MEM_MIB}M", cpu=CPU, kernel=args.kernel, initrd=args.initrd,
                       append=f"run=/tests/bench {words}"))
    there = run(Machine(smp=1, mem=f"{MEM_MIB}M", cpu=CPU, kernel=args.linux,
                        initrd=args.linux_initrd, append=LINUX_APPEND + words))
    wanted = limits()
    passed = failed = 0
    table = []
    print(f"{'row':42} {'unit':5} {'Cowbell':>13} {'Linux':>13} {'ratio':>7} {'limit':>6}")
    for name in list(here) + [n for n in there if n not in here]:
        if not fnmatch.fnmatch(name, args.select):
            continue
        ours, linux = here.get(name), there.get(name)
        ratio = ours[0] / linux[0] if ours and linux and linux[0] else None
        limit = wanted.get(name)
        verdict = ""
        if limit is not None:
            is_ok = ratio is not None and ratio <= limit
            passed, failed = passed + is_ok, failed + (not is_ok)
            verdict = "" if is_ok else "  FAIL"
        print(f"{name:42} {(ours or linux)[1]:5} {ours[0] if ours else '-':>13} "
              f"{linux[0] if linux else '-':>13} "
              f"{f'{ratio:.3f}' if ratio is not None else '-':>7} "
              f"{limit if limit is not None else '':>6}{verdict}")
        table.append({"row": name, "unit": (ours or linux)[1], "cowbell": ours and ours[0],
                      "linux": linux and linux[0], "ratio": ratio, "limit": limit})
    for name in wanted:
        if fnmatch.fnmatch(name, args.select) and name not in here:
            print(f"{name}: not measured on Cowbell  FAIL")
            failed += name not in {row["row"] for row in table}
    os.makedirs(args.output, exist_ok=True)
    with open(os.path.join(args.output, "bench.json"), "w", encoding="utf-8") as file:
        json.dump(table, file, indent=1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
