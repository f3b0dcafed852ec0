"""Run the in-kernel suites in one configuration. A crash or a hang fails one test; the run goes on
in a new guest with the test behind it."""
import re

from .ktap import Reader
from .qemu import Guest, Machine, direct_size
from .report import Suite

# The host's patience without a line; the guest's own limits come before. They are longer where the
# guest's clock goes on while the host does something else.
SILENCE_S = 240
UNCOUNTED_SILENCE_S = 1300

EXPLORED = re.compile(r"^explored (\d+) orders ")
EXPECTED_PANIC = re.compile(r"^expects panic: (.+)$")
FAILING_ORDER = re.compile(r"^explore: fails with .* schedule=(\S+)$")


def first_match(pattern, lines):
    """The first group of the first line that matches, or None."""
    return next((found.group(1) for found in map(pattern.match, lines) if found), None)


def is_expected(reader):
    """Did the guest end in the panic that the running test had announced?"""
    text = first_match(EXPECTED_PANIC, reader.trailing_details())
    return bool(text) and any(line.startswith(f"PANIC: {text}")
                              for line in reader.trailing_console())


def run_once(machine, selection, first, schedule=None):
    """Run the selected tests from number `first` on. Return (reader, why it ended early or None)."""
    machine.append = f"test={selection} test_from={first}" + (" counted" if machine.icount else "")
    if schedule:
        machine.append += f" schedule={schedule}"
    reader = Reader()
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S if machine.icount else UNCOUNTED_SILENCE_S):
                reader.feed(line)
        except TimeoutError as error:
            return reader, f"the guest hung: {error}"
        status = guest.wait()
    if reader.is_finished:
        return reader, None
    return reader, f"the guest ended with status {status} before its last test was over"


def run(report, kernel, initrd, selection, smp, mem, icount, schedule=None, note="", nvdimm=""):
    """Run everything selected; one Suite per suite name goes to the report. `note` says what is
    special about the kernel or the machine; with an NVDIMM that is the direct device."""
    base = Machine(smp=smp, mem=mem, icount=icount, kernel=kernel, initrd=initrd, nvdimm=nvdimm,
                   direct="" if nvdimm else direct_size(mem))
    label = base.label() + (f", {note}" if note else "")
    suites = {}
    first = 1

    def suite_of(name):
        key = name.split(".")[0]
        if key not in suites:
            suites[key] = Suite(f"kernel {key} [{label}]")
        return suites[key]

    def rerun(name, details):
        order = first_match(FAILING_ORDER, details)
        return f"make check-kernel T='{name}' CHECK_SMP={smp} CHECK_MEM={mem}" + \
               ("" if icount else " CHECK_ICOUNT=0") + (f" SCHEDULE={order}" if order else "")

    while True:
        reader, trouble = run_once(base, selection, first, schedule)
        for result in reader.results:
            suite = suite_of(result.name)
            suite.nr_orders += int(first_match(EXPLORED, result.details) or 0)
            if result.is_skipped:
                suite.skip(result.name, rerun(result.name, result.details))
            elif result.is_ok:
                suite.passed += 1
            else:
                suite.fail(result.name, result.details, result.console, rerun(result.name, result.details))
        if trouble is None:
            break
        name = reader.running or "kernel.boot"
        details = [trouble] + reader.trailing_details()
        if is_expected(reader):
            suite_of(name).passed += 1
        else:
            suite_of(name).fail(name, details, reader.trailing_console(), rerun(name, details))
        if reader.running is None:
            break       # it does not even reach its next test: nothing to go on with
        first += len(reader.results) + 1
        if reader.planned is None or first > reader.planned:
            break
    for suite in suites.values():
        report.finish(suite)
    if not suites:
        empty = Suite(f"kernel [{label}]")
        empty.skipped = 1
        report.finish(empty)
