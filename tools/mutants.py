#!/usr/bin/env python3
"""Show that the tests find bugs: mutants.py OPTIONS; called by `make mutants`.

Each patch of tests/mutants is one bug. Its head names it, the test that must catch it, and the
machine if another one than the usual is needed:

    Bug:  a sentence
    Test: kernel SUITE.NAME | user PROGRAM | host PROGRAM
    On:   CPUS MEMORY

A patch is applied to a copy of the tree, which is built as far as the test needs it. The bug counts
as caught if the test fails, the kernel stops, or the test does not end. Before that the same test
must pass without the patch.
"""
import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import time

from runner.ktap import Reader
from runner.qemu import Guest, Machine, direct_size

PATCHES = "tests/mutants"
USUAL_MACHINE = (1, "512M")
SILENCE_S = 120
# A test that is silent ten times as long as it takes without the patch does not end.
HANG_FACTOR = 10
HANG_MIN_S = 15
HEAD = re.compile(r"^(Bug|Test|On):\s+(.*)$")


class Mutant:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.name = os.path.basename(path)[:-len(".patch")]
        head = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                found = HEAD.match(line)
                if not found:
                    break
                head[found.group(1)] = found.group(2)
        self.kind, self.test = head["Test"].split()
        self.smp, self.mem = USUAL_MACHINE
        if "On" in head:
            smp, self.mem = head["On"].split()
            self.smp = int(smp)


class Tree:
    """A copy of the sources, and what was built of it."""

    def __init__(self, output, jobs):
        self.root = os.path.join(output, "tree")
        self.build = os.path.join(output, "build")
        self.jobs = jobs
        files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                               stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
        kept = {name for name in files if os.path.isfile(name)}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.relpath(path, self.root) not in kept:
                    os.unlink(path)
        for name in kept:
            self._copy_if_changed(name)

    def _copy_if_changed(self, name):
        target = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.exists(target):
            with open(name, "rb") as new, open(target, "rb") as old:
                if new.read() == old.read():
                    return
        shutil.copy(name, target)

    def patch(self, mutant, *options):
        return subprocess.run(["patch", "-p1", "--no-backup-if-mismatch", "-s", "-f", *options,
                               "-i", mutant.path], cwd=self.root, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)

    def make(self, *goals):
        return subprocess.run(["make", "--no-print-directory", f"-j{self.jobs}", f"O={self.build}",
                               *goals], cwd=self.root, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)

    def build_for(self, mutant):
        if mutant.kind == "host":
            return self.make(os.path.join(self.build, "host", mutant.test))
        if mutant.kind == "user":
            return self.make("test-kernel", os.path.join(self.build, "initrd-test.cpio"))
        return self.make("test-kernel")


def run_guest(tree, mutant, limit_s):
    """Return (did the test pass, what was said). Instructions are counted: it repeats exactly."""
    machine = Machine(smp=mutant.smp, mem=mutant.mem, icount=True, extra=["-seed", "1"],
                      direct=direct_size(mutant.mem),
                      kernel=os.path.join(tree.build, "test-kernel", "kernel.elf"))
    if mutant.kind == "user":
        machine.initrd = os.path.join(tree.build, "initrd-test.cpio")
        machine.append = f"run=/tests/run.sh {mutant.test}"
    else:
        machine.append = f"test={mutant.test} counted"
    reader = Reader()
    said = []
    with Guest(machine) as guest:
        try:
            for line in guest.lines(limit_s):
                said.append(line)
                reader.feed(line)
                if "The machine is halted" in line:
                    break
        except TimeoutError as error:
            said.append(f"the guest hung: {error}")
    good = [r for r in reader.results if r.is_ok and not r.is_skipped]
    return bool(good) and len(good) == reader.planned, said


def run_host(tree, mutant):
    done = subprocess.run([os.path.join(tree.build, "host", mutant.test)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode == 0, done.stdout.splitlines()


def run_test(tree, mutant, limit_s=SILENCE_S):
    """Return (did the test pass, what was said, how long it took)."""
    started = time.monotonic()
    passed, said = run_host(tree, mutant) if mutant.kind == "host" \
        else run_guest(tree, mutant, limit_s)
    return passed, said, time.monotonic() - started


def show(lines):
    for line in lines[-25:]:
        print(f"        | {line}")


def why(said):
    """The line that says what was found."""
    marks = ("PANIC", "expected", "hung", "deadlock", "# torture:", "not ok", "Assertion", "leaked")
    return next((line.strip()[:150] for line in said if any(mark in line for mark in marks)),
                said[-1][:150] if said else "nothing was said")


def try_mutant(tree, mutant, sound):
    """Return (None if the bug is caught, else why not; what was said)."""
    key = (mutant.kind, mutant.test, mutant.smp, mutant.mem)
    if key not in sound:
        built = tree.build_for(mutant)
        if built.returncode != 0:
            return "the tree does not build", built.stdout.splitlines()
        sound[key] = run_test(tree, mutant)
    if not sound[key][0]:
        return "the test fails without the patch", sound[key][1]
    applied = tree.patch(mutant)
    if applied.returncode != 0:
        tree.patch(mutant, "-R")
        return "the patch does not apply", applied.stdout.splitlines()
    try:
        built = tree.build_for(mutant)
        if built.returncode != 0:
            return "the mutant does not build", built.stdout.splitlines()
        limit_s = max(HANG_MIN_S, HANG_FACTOR * sound[key][2])
        passed, said, _ = run_test(tree, mutant, limit_s)
    finally:
        tree.patch(mutant, "-R")
    if passed:
        return "not caught", said
    return None, said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--select", default="*", help="glob of patch names, or several with commas")
    parser.add_argument("--output", required=True, help="folder for the copy and what is built")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    patterns = args.select.split(",")
    mutants = [Mutant(os.path.join(PATCHES, name)) for name in sorted(os.listdir(PATCHES))
               if name.endswith(".patch")
               and any(fnmatch.fnmatch(name[:-len(".patch")], p) for p in patterns)]
    tree = Tree(os.path.abspath(args.output), args.jobs)
    sound = {}
    caught = missed = 0
    for mutant in mutants:
        started = time.monotonic()
        trouble, said = try_mutant(tree, mutant, sound)
        seconds = time.monotonic() - started
        if trouble is None:
            caught += 1
            print(f"ok   {mutant.name}: caught by {mutant.test} ({seconds:.1f} s): {why(said)}")
        else:
            missed += 1
            print(f"FAIL {mutant.name}: {trouble} ({mutant.test}, {seconds:.1f} s)")
            show(said)
        sys.stdout.flush()
    print(f"{caught} passed, {missed} failed")
    return 1 if missed or not caught else 0


if __name__ == "__main__":
    sys.exit(main())
