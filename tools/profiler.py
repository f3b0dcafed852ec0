#!/usr/bin/env python3
"""Count the guest's instructions by kernel function while rows of the benchmark are measured, and
draw them as a flame graph. Called by `make profile B=ROW`.

QEMU loads tools/benchmark/plugin.c; the counts are exact, and the same in every run.
"""
import argparse
import os
import re
import subprocess
import sys

from benchmark import flame, guests

SMALLEST_SHARE = 0.001
SWITCH = "arch_switch_stack"


def write_symbols(kernel, path):
    listed = subprocess.run([os.environ.get("NM", "nm"), "-n", kernel], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    with open(path, "w", encoding="utf-8") as file:
        for line in listed.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tTwW" and words[0].startswith("f"):
                file.write(f"{words[0]} {words[2]}\n")


def read_stacks(path):
    stacks = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            count, stack = line.rstrip("\n").split(" ", 1)
            names = tuple(stack.split(";"))
            stacks[names] = stacks.get(names, 0) + int(count)
    return stacks


def print_functions(stacks, per, unit):
    total = sum(stacks.values())
    print(f"{'own ' + unit:>18} {'share':>6} {'with its calls':>16}  function")
    for name, own, whole in flame.by_function(stacks):
        if max(own, whole) < total * SMALLEST_SHARE:
            continue
        print(f"{own / per:18.1f} {own / total:6.1%} {whole / per:16.1f}  {name}")
    print(f"{total / per:18.1f} {'':6} {total / per:16.1f}  all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--select", required=True, help="globs over the names of rows, comma")
    parser.add_argument("--output", required=True, help="folder")
    parser.add_argument("--cpu", default=guests.PLAIN_CPU)
    options = parser.parse_args()
    options.icount, options.accel = True, "tcg"
    if options.select == "*":
        print("profile: name the rows: make profile B='fork_call_64M' (make bench lists them)")
        return 2
    name = re.sub(r"[^A-Za-z0-9_]+", "-", options.select).strip("-")
    os.makedirs(options.output, exist_ok=True)
    base = os.path.join(options.output, name)
    write_symbols(options.kernel, f"{base}.symbols")
    system = guests.System("Cowbell", options.kernel, options.initrd, False)
    large = any(pattern[:3] in ("mem", "exi") for pattern in options.select.split(","))
    machine = guests.machine_of(system, options.cpu, 1, guests.LARGE_MIB if large
                                else guests.MAIN_MIB,
                                f"mode=icount rows={options.select} profile", options)
    machine.extra += ["-plugin", f"{options.plugin},symbols={base}.symbols,"
                                 f"output={base}.stacks,switch={SWITCH}"]
    lines, trouble = guests.run(machine, has_end=True)
    result = guests.Result()
    for line in lines:
        result.read(line)
    if trouble or not os.path.exists(f"{base}.stacks"):
        print(f"profile: {trouble or 'QEMU wrote nothing: ' + ' '.join(lines[-3:])}")
        return 1
    stacks = read_stacks(f"{base}.stacks")
    if not stacks:
        print(f"profile: no row matches {options.select!r}, or none could be measured")
        return 1
    profiled = list(result.operations)
    for row in profiled:
        value, unit = result.values[row]
        print(f"{row}: {value} {unit}, {result.operations[row]} operations profiled")
    per = result.operations[profiled[0]] if len(profiled) == 1 else None
    print_functions(stacks, per or 1, "an operation" if per else "instructions")
    with open(f"{base}.svg", "w", encoding="utf-8") as file:
        unit = "guest instructions an operation" if per else "guest instructions"
        file.write(flame.draw(stacks, f"{options.select}: {unit}", per or 1))
    print(f"flame graph: {base}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
