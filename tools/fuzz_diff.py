#!/usr/bin/env python3
"""Run random sequences of memory calls on Cowbell and on Linux and compare every result, errno,
signal and checksum. Called by `make fuzz-diff SEED= OPS=`.

A difference is shrunk to a minimal sequence and printed as a C program.
"""
import argparse
import os
import shlex
import subprocess
import sys

from fuzz import generate, program
from fuzz.guests import Systems
from fuzz.shrink import Shrinker


# What is planted: a call that only Cowbell has, on a port that does not exist.
OWN_CALL = ("call", [1025])


def log(text):
    print(text, flush=True)


def keep(options, name, title, mode, steps):
    """Keep a sequence as a C program and for REPLAY. Return the program's text and the files' path
    without its ending."""
    text = program.to_c(title, mode, steps)
    os.makedirs(options.output, exist_ok=True)
    base = os.path.join(options.output, name)
    with open(f"{base}.c", "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{base}.ops", "w", encoding="utf-8") as file:
        file.write(generate.to_text(name, mode, steps))
    return text, base


def report(options, systems, name, mode, steps, difference):
    """Shrink one difference, print it and keep it as a file."""
    log(f"not ok {name}: step {difference.step}: {steps[difference.step]}")
    log(f"    Cowbell: {difference.cowbell}")
    log(f"    Linux:   {difference.linux}")
    log("  shrinking:")
    mode, small = Shrinker(systems, log).shrink(mode, steps[:difference.step + 1])
    last = systems.compare({"minimal": (mode, small)})["minimal"]
    for number, step in enumerate(small):
        log(f"    {number}: {step[0]} {step[1]} {' '.join(map(str, step[2]))}")
    if last:
        log(f"    Cowbell: {last.cowbell}")
        log(f"    Linux:   {last.linux}")
    text, base = keep(options, name, f"{name}: Cowbell and Linux differ at the last step.", mode, small)
    start = text.index("static void process_0(void)\n{")
    log(text[start:text.index("\nint main")])
    log(f"    the whole program: {base}.c; the sequence: {base}.ops")


def read_sequences(path):
    """The sequences of a file that report() kept."""
    sequences = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words and words[0] == "sequence":
                sequences[words[1]] = (words[2], [])
                steps = sequences[words[1]][1]
            elif words:
                steps.append((int(words[0]), words[1], [int(word) for word in words[2:]]))
    return sequences


def compiles(options, name, mode, steps):
    """Is the sequence, printed as C, a program?"""
    _, base = keep(options, name, name, mode, steps)
    done = subprocess.run([*shlex.split(options.compile), "-o", base, f"{base}.c"], check=False)
    return done.returncode == 0


def planted_is_found(options, systems, features):
    """Plant a difference in the middle of a sequence: it must be found where it is, shrunk to that
    one step, and printed."""
    mode, steps = generate.make("planted", 40, features)
    at = len(steps) // 2
    steps.insert(at, (steps[at][0], *OWN_CALL))     # a process that lives
    difference = systems.compare({"planted": (mode, steps)})["planted"]
    if difference is None or difference.step != at or difference.reason:
        log(f"not ok planted: a difference at step {at}: found {difference}")
        return False
    log(f"ok  planted: found at step {at}")
    mode, small = Shrinker(systems, log).shrink(mode, steps[:at + 1])
    if small != [(0, *OWN_CALL)]:
        log(f"not ok planted: shrunk to {small}")
        return False
    if not compiles(options, "planted", mode, steps) or \
            not compiles(options, "planted-minimal", mode, small):
        log("not ok planted: the printed programs do not compile")
        return False
    log("ok  planted: shrunk to the step alone, and the printed programs compile")
    return True


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("--kernel", "--initrd", "--linux", "--linux-initrd"):
        parser.add_argument(option, required=True)
    parser.add_argument("--output", required=True, help="folder for minimal programs")
    parser.add_argument("--seeds", default="1", help="numbers, or FIRST-LAST")
    parser.add_argument("--ops", type=int, default=2000, help="steps of a seed")
    parser.add_argument("--length", type=int, default=200, help="steps of one sequence")
    parser.add_argument("--replay", help="a file of sequences instead of random ones")
    parser.add_argument("--most", type=int, default=2, help="differences that are shrunk")
    parser.add_argument("--compile", help="a compiler's words: only have a planted difference found")
    parser.add_argument("--features", help="what sequences may use, instead of all that is there")
    return parser.parse_args()


def sequences_of(options, features):
    sequences = {}
    for word in options.seeds.split():
        first, _, last = word.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            for part in range(max(1, options.ops // options.length)):
                length = min(options.length, options.ops)
                sequences[f"seed{seed}.{part}"] = generate.make(f"{seed}.{part}", length, features)
    return sequences


def main():
    options = read_arguments()
    systems = Systems(options)
    features = systems.features() if options.features is None else options.features.split(",")
    if options.compile:
        is_found = planted_is_found(options, systems, features)
        print("1 passed, 0 failed" if is_found else "0 passed, 1 failed")
        return 0 if is_found else 1
    sequences = read_sequences(options.replay) if options.replay else \
        sequences_of(options, features)
    passed, failed = 0, 0
    left = dict(sequences)
    while left:
        found = systems.compare(left)
        for name, difference in found.items():
            mode, steps = left.pop(name)
            if difference is None or difference.reason:
                passed += 1
                if difference:
                    print(f"ok  {name}: ended at step {difference.step}: {difference.reason}")
                continue
            failed += 1
            if failed <= options.most:
                report(options, systems, name, mode, steps, difference)
            else:
                print(f"not ok {name}: step {difference.step}: {steps[difference.step]}\n"
                      f"    Cowbell: {difference.cowbell}\n    Linux:   {difference.linux}")
    steps = sum(len(steps) for _, steps in sequences.values())
    print(f"fuzz-diff: {len(sequences)} sequences, {steps} steps, with: "
          f"{' '.join(features) or 'no further features'}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
