#!/usr/bin/env python3
"""Make the table of errors in docs/userfaultfd.md from tests/user/uffd_errno_table.h, whose cells
tests/user/uffd_errno_test.c brings about. `--check` (called by `make lint`) only compares.
"""
import argparse
import re
import sys

SOURCE = "tests/user/uffd_errno_table.h"
PAGE = "docs/userfaultfd.md"
BEGIN = f"<!-- made by tools/uffd_errno_doc.py from {SOURCE} -->\n"
END = "<!-- end of the made part -->\n"
COLUMNS = ["API", "REGISTER", "UNREGISTER", "WAKE", "COPY", "ZEROPAGE", "CONTINUE", "POISON",
           "WRITEPROTECT", "MOVE"]
ROW = re.compile(r'ROW\((\w+), "([^"]*)",((?:\s*\w+,?)+)\)')
SHOWN = {"OK": "ok", "NA": "–"}


def rows(text):
    """(condition, answers) for each row of the table."""
    text = text.replace("\\\n", "\n")
    for _, condition, answers in ROW.findall(text):
        cells = [cell.strip() for cell in answers.split(",")]
        if len(cells) != len(COLUMNS):
            raise SystemExit(f"{SOURCE}: {condition}: {len(cells)} cells, not {len(COLUMNS)}")
        yield condition, [SHOWN.get(cell, cell) for cell in cells]


def table(text):
    lines = ["| condition | " + " | ".join(COLUMNS) + " |",
             "| --- |" + " --- |" * len(COLUMNS)]
    lines += [f"| {condition} | " + " | ".join(answers) + " |"
              for condition, answers in rows(text)]
    return BEGIN + "\n" + "\n".join(lines) + "\n\n" + END


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    with open(SOURCE, encoding="utf-8") as file:
        made = table(file.read())
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    if BEGIN not in page or END not in page:
        raise SystemExit(f"{PAGE}: the place of the table is missing")
    start, end = page.index(BEGIN), page.index(END) + len(END)
    if page[start:end] == made:
        return 0
    if check:
        print(f"{PAGE}: the table of errors is not that of {SOURCE}: run tools/uffd_errno_doc.py")
        return 1
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page[:start] + made + page[end:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
