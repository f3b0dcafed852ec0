#!/usr/bin/env python3
"""Check how the tree reads: lint.py --clang COMMAND --kernel FILES. Called by `make lint`.

Formatting (clang-format), lock annotations (clang -Wthread-safety), layers (kernel/ includes the
machine only through arch/*.h and names nothing of x86), lengths (files, lines, functions), and that
the rules have their tests (rules.py).
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

import rules

MAX_FILE = 620
MAX_TEST_FILE = 600
MAX_LINE = 100
MAX_FUNCTION = 65
C_ROOTS = ("boot", "arch", "kernel", "user", "tests")
MACHINE_WORDS = re.compile(r"\b(cr[0234]|rflags|invlpg|wrmsr|rdmsr|__asm__|asm volatile)\b|"
                           r"\bX86_|0x80000000000000\b")
# Facts that only a whole function shows; the pattern finds where one opens and closes.
FUNCTION_OPEN = re.compile(r"^[A-Za-z_].*\)\s*$")


def c_files():
    for root in C_ROOTS:
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.join(folder, name)


def check_lengths(path, lines, problems):
    limit = MAX_TEST_FILE if path.startswith("tests/") else MAX_FILE
    if len(lines) > limit:
        problems.append(f"{path}: {len(lines)} lines, at most {limit}")
    opened = None
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            problems.append(f"{path}:{number}: {len(line)} columns, at most {MAX_LINE}")
        if line == "{":
            opened = number
        elif line == "}" and opened:
            length = number - opened - 1
            body = "\n".join(lines[opened:number - 1])
            is_table = body.count("case ") * 2 > length // 2
            if length > MAX_FUNCTION and not is_table:
                problems.append(f"{path}:{opened}: function of {length} lines, "
                                f"at most {MAX_FUNCTION}")
            opened = None


def check_layers(path, lines, problems):
    if not path.startswith("kernel/"):
        return
    for number, line in enumerate(lines, 1):
        code = line.split("/*")[0].split("*/")[-1]
        if line.lstrip().startswith(("*", "//", "/*")):
            continue
        if MACHINE_WORDS.search(code):
            problems.append(f"{path}:{number}: names the machine: {line.strip()}")
        included = re.match(r'#include\s+[<"](.*)[>"]', line)
        if included and "x86" in included.group(1):
            problems.append(f"{path}:{number}: includes {included.group(1)}")


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.returncode, done.stdout


def check_format(paths, problems):
    for start in range(0, len(paths), 40):
        status, text = run(["clang-format", "--dry-run", "-Werror", *paths[start:start + 40]])
        if status != 0:
            problems.extend(line for line in text.splitlines() if ": error:" in line)


def check_locks(clang, paths, problems):
    base = clang.split() + ["-fsyntax-only", "-Wthread-safety", "-Wno-unknown-warning-option",
                            "-Wno-unused-command-line-argument", "-Wno-gnu-alignof-expression",
                            "-Wno-gnu-variable-sized-type-not-at-end"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (status, text) in zip(paths, pool.map(lambda p: run(base + [p]), paths)):
            if status != 0:
                problems.append(f"{path}: clang -Wthread-safety:\n{text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clang", required=True)
    parser.add_argument("--kernel", nargs="*", default=[])
    args = parser.parse_args()
    problems = []
    paths = list(c_files())
    for path in paths:
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        check_lengths(path, lines, problems)
        check_layers(path, lines, problems)
    check_format(paths, problems)
    check_locks(args.clang, args.kernel, problems)
    problems.extend(rules.check(write=False))
    for problem in problems:
        print(problem)
    print(f"lint: {len(paths)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
