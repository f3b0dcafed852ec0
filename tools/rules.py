#!/usr/bin/env python3
"""Check that every rule in tests/rules is cited by the tests that it asks for, and that the table in
docs/rules.md says which: rules.py [--write]. Called by `make lint` and `make rules`.

A test cites a rule in its name (J5_longterm_pins, rule_d5_and_d6_what) or in the comment directly
above it; those of section I as "rule I4", those of sections A to G by name alone. Indented lines below
a rule name further tests of it.
"""
import argparse
import glob
import os
import re
import sys

RULES = "tests/rules"
TABLE = "docs/rules.md"
FOLDERS = {"kernel": "tests/kernel", "program": "tests/user"}
WANTED = {"both": ("kernel", "program"), "kernel": ("kernel",), "program": ("program",),
          "later": ()}

# The letter I alone is that of the design's invariants.
CITED = re.compile(r"(?<![A-Za-z0-9])(HT|[HJKNOP]|rule I)([1-9][0-9]?)(?![A-Za-z0-9])")
# rule_d5_and_d6_..., rule_c3_to_c6_...: sections A to G.
IN_NAME = re.compile(r"rule_([a-g])([0-9]+)(?:_(and|to)_[a-g]([0-9]+))?_")
ERRNO_TABLE = "tests/user/uffd_errno_table.h"
# A macro at the left margin makes one test or several; its arguments begin with their names.
MAKER = re.compile(r"^([A-Z][A-Z_]+)\(([^)\n]*)")
SUITE = re.compile(r'^#define UTEST_SUITE "(\w+)"', re.MULTILINE)
# What the makers that put a suite's name in front say.
PREFIXES = {"DIRECT_TEST": "dax", "DIRECT_TEST_FLAGS": "dax", "DIRECT_RACE": "race.dax",
            "ALLOC_TEST": "alloc"}

HEAD = """# Rules and their tests

`tools/rules.py` writes this page from `tests/rules` and from what the tests cite. `make lint` fails if
a rule has no test, or if the page is out of date; `make rules` writes it anew. A rule has a test in
the kernel and, where a program can see it, one that runs on Linux too. *later* names the part, not
built yet, that a rule belongs to. HT1 to HT19 are the rows of section H's table, in its order.
A name that stands for several tests, made by a macro, ends in `*`."""


class Rule:
    def __init__(self, name, where, text, reason):
        self.name, self.where, self.text, self.reason = name, where, text, reason
        self.tests = {"kernel": [], "program": []}
        self.named = []  # in tests/rules itself


def read_rules(problems):
    """The rules in order, with the headings between them."""
    entries = []
    with open(RULES, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("  ") and entries and isinstance(entries[-1], Rule):
                entries[-1].named += line.split()
                continue
            line = line.strip()
            if line.startswith("## "):
                entries.append(line[3:])
            elif line and not line.startswith("#"):
                found = re.match(r"(\w+)\s+(\w+)\s+(.*?)(?: -- (.*))?$", line)
                if not found or found.group(2) not in WANTED or \
                        (found.group(2) != "both") != bool(found.group(4)):
                    problems.append(f"{RULES}:{number}: cannot be read: {line}")
                    continue
                entries.append(Rule(*found.groups()))
    return entries


def test_name(maker, arguments, suite):
    """The name that a report shows for what a macro makes."""
    words = [word.strip() for word in arguments.split(",")]
    if maker in PREFIXES:
        joint = "_" if "." in PREFIXES[maker] else "."
        name = PREFIXES[maker] + joint + words[0]
        return name + "*" if maker.startswith("DIRECT") else name
    if maker.startswith("TEST") and len(words) > 1:
        return f"{words[0]}.{words[1]}"
    if maker.startswith("TEST") or maker == "TABLE":
        return f"{suite}.{words[0]}"
    return f"{suite}.{words[-1]}_*"


def rules_in_name(name):
    """The rules of sections A to G that a name begins with."""
    found = IN_NAME.match(name)
    if not found:
        return []
    letter, first, joint, last = found.groups()
    first, last = int(first), int(last or first)
    numbers = range(first, last + 1) if joint == "to" else sorted({first, last})
    return [f"{letter.upper()}{number}" for number in numbers]


def citations(path):
    """Yield (rules, name of the test) for each test of a file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = SUITE.search(text)
    suite = found.group(1) if found else path.rsplit("/", 1)[1].split("_test")[0]
    suite = "pins" if suite == "mm_pin_matrix" else suite
    comment = []
    for line in text.split("\n"):
        if line.startswith("/*"):
            comment = [line]
        elif line.startswith(" *"):
            comment.append(line)
        else:
            made = MAKER.match(line)
            if made and made.group(1) != "KTEST_DEFINE":
                name = test_name(made.group(1), made.group(2), suite)
                prefix = re.match(r"(?:(?:HT|[A-Z])\d+_)*", made.group(2).split(",")[0]).group(0)
                cited = "\n".join(comment) + " " + prefix.replace("_", " ")
                rules = [letter.split()[-1] + number
                         for letter, number in sorted(set(CITED.findall(cited)))]
                yield rules + rules_in_name(name.split(".")[-1]), name
            comment = []


def listed_files(folder):
    """The files of a folder that are built: sources.mk names them, or programs without their .c."""
    with open(f"{folder}/sources.mk", encoding="utf-8") as file:
        words = set(re.split(r"[\s\\]+", file.read()))
    return [path for path in sorted(glob.glob(f"{folder}/*.c"))
            if path in words or os.path.basename(path)[:-2] in words]


def table_rows():
    """The tests that the table of errors makes."""
    with open(ERRNO_TABLE, encoding="utf-8") as file:
        return [f"uffd_errno.{name}" for name in re.findall(r"^ *ROW\((\w+),", file.read(),
                                                            re.MULTILINE)]


def collect(rules, problems):
    by_name = {rule.name: rule for rule in rules}
    tests = {kind: [] for kind in FOLDERS}
    for kind, folder in FOLDERS.items():
        for path in listed_files(folder):
            for cited, test in citations(path):
                tests[kind].append(test)
                for name in cited:
                    if name not in by_name:
                        problems.append(f"{path}: {test} cites {name}, which is no rule in {RULES}")
                    elif test not in by_name[name].tests[kind]:
                        by_name[name].tests[kind].append(test)
    tests["program"] += table_rows()
    for rule in rules:
        for test in rule.named:
            add_named(rule, test, tests, problems)


def add_named(rule, test, tests, problems):
    """A test that the rule's own lines name."""
    for kind, names in tests.items():
        is_there = test in names or (test.endswith(".*") and
                                     any(name.startswith(test[:-1]) for name in names))
        if is_there:
            if test not in rule.tests[kind]:
                rule.tests[kind].append(test)
            return
    problems.append(f"{RULES}: {rule.name} names {test}, which is no test")


def cell(rule, kind):
    tests = rule.tests[kind]
    if tests:
        return ", ".join(f"`{test}`" for test in tests)
    if rule.where == "later":
        return f"*later*: {rule.reason}" if kind == "kernel" else ""
    return f"none: {rule.reason}" if rule.reason else "none"


def page(entries):
    lines = [HEAD]
    for entry in entries:
        if isinstance(entry, str):
            lines += [f"\n## {entry}\n", "| rule | what it says | in the kernel | as a program |",
                      "| --- | --- | --- | --- |"]
        else:
            lines.append(f"| {entry.name} | {entry.text} | {cell(entry, 'kernel')} | "
                         f"{cell(entry, 'program')} |")
    return "\n".join(lines) + "\n"


def check(write):
    """Return the problems found."""
    problems = []
    entries = read_rules(problems)
    rules = [entry for entry in entries if isinstance(entry, Rule)]
    collect(rules, problems)
    for rule in rules:
        for kind in WANTED[rule.where]:
            if not rule.tests[kind]:
                problems.append(f"{RULES}: no test cites {rule.name} ({kind}): {rule.text}")
    text = page(entries)
    if write:
        with open(TABLE, "w", encoding="utf-8") as file:
            file.write(text)
        return problems
    try:
        with open(TABLE, encoding="utf-8") as file:
            is_same = file.read() == text
    except FileNotFoundError:
        is_same = False
    if not is_same:
        problems.append(f"{TABLE}: is not what the tests say; `make rules` writes it anew")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {TABLE}")
    problems = check(parser.parse_args().write)
    for problem in problems:
        print(problem)
    print(f"rules: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
