#!/usr/bin/env python3
"""Torture memory until the time is over: torture.py OPTIONS; called by `make torture`.

Each seed is a guest of its own, whose instructions are counted, so that a seed that fails fails
again in the same way. The machines take turns, unless one is named.
"""
import argparse
import re
import sys
import time

from runner.qemu import Guest, Machine

MACHINES = [(1, "64M"), (4, "64M"), (2, "512M"), (4, "512M")]
SILENCE_S = 600
DONE = re.compile(r"^# tortured with (\d+) operations")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--time", type=float, default=60, help="seconds; 0: one seed")
    parser.add_argument("--operations", type=int, default=200000, help="of a seed")
    parser.add_argument("--smp", type=int, help="CPUs of every machine")
    parser.add_argument("--mem", help="memory of every machine")
    return parser.parse_args()


def run(args, seed, smp, mem):
    """One seed. Return (operations, whether it passed, what the guest said)."""
    machine = Machine(smp=smp, mem=mem, icount=True, kernel=args.kernel, initrd=args.initrd,
                      append=f"run=/tests/torture {seed} {args.operations}", extra=["-seed", "1"])
    said = []
    operations = 0
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S):
                said.append(line)
                done = DONE.match(line)
                operations += int(done.group(1)) if done else 0
        except TimeoutError as error:
            said.append(f"the guest hung: {error}")
    return operations, f"torture: seed {seed} passed" in said, said


def main():
    args = arguments()
    end = time.monotonic() + args.time
    total = passed = 0
    seed = args.seed
    while True:
        smp, mem = MACHINES[seed % len(MACHINES)]
        smp, mem = args.smp or smp, args.mem or mem
        operations, is_good, said = run(args, seed, smp, mem)
        total += operations
        print(f"{'ok' if is_good else 'FAIL':4} seed {seed}: {operations} operations, "
              f"{smp} CPUs, {mem}", flush=True)
        if not is_good:
            print("\n".join("        " + line for line in said[-60:]))
            print(f"        alone:  make torture SEED={seed} TIME=0 OPS={args.operations} "
                  f"CHECK_SMP={smp} CHECK_MEM={mem}")
            break
        passed += 1
        seed += 1
        if time.monotonic() >= end:
            break
    print(f"{total} operations")
    print(f"{passed} passed, {0 if is_good else 1} failed")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
