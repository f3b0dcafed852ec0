"""Shell scripts under busybox: what they print must be, byte for byte, what they print on Linux.

The Linux side is recorded in tests/user/scripts/NAME.expected by `make oracle RECORD=1`.
"""
import difflib
import os

from . import user_suites
from .report import Suite

SCRIPTS = "tests/user/scripts"


def names():
    return sorted(name for name in os.listdir(SCRIPTS) if name.endswith(".sh"))


def output_of(entry):
    _, status, lines = entry
    return [*lines, f"exit {status}"]


def expected_of(name):
    path = os.path.join(SCRIPTS, name[:-3] + ".expected")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def record(results):
    for name, entry in results.items():
        path = os.path.join(SCRIPTS, name[:-3] + ".expected")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(output_of(entry)) + "\n")


def judge(report, results, selected, where, rerun):
    suite = Suite(f"scripts [{where}]")
    for name in selected:
        expected = expected_of(name)
        if name not in results:
            suite.fail(name, ["never started"], [], rerun(name))
            continue
        actual = output_of(results[name])
        if expected is None:
            suite.fail(name, ["no recorded output; run `make oracle RECORD=1`"], [], rerun(name))
        elif actual == expected:
            suite.passed += 1
        else:
            diff = difflib.unified_diff(expected, actual, "Linux (expected)", "Cowbell (actual)",
                                        lineterm="", n=2)
            suite.fail(name, list(diff)[:60], [], rerun(name))
    report.finish(suite)


def run(report, kernel, initrd, selected, smp, mem, icount):
    make = user_suites.cowbell_machine(kernel, initrd, smp, mem, icount)
    results = user_suites.run_all(make, [f"scripts/{name}" for name in selected])
    results = {name.split("/", 1)[1]: entry for name, entry in results.items()}
    judge(report, results, selected, make([]).label(),
          lambda name: f"make check-user T='{name}' CHECK_SMP={smp} CHECK_MEM={mem}" +
          ("" if icount else " CHECK_ICOUNT=0"))
