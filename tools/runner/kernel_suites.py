"""Run the in-kernel suites in one configuration. A crash or a hang fails one test; the run goes on
in a new guest with the test behind it."""
from .ktap import Reader
from .qemu import Guest, Machine
from .report import Suite

SILENCE_S = 240     # host's patience without a line; the guest's own limits come long before


def run_once(machine, selection, first):
    """Run the selected tests from number `first` on. Return (reader, why it ended early or None)."""
    machine.append = f"test={selection} test_from={first}"
    reader = Reader()
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S):
                reader.feed(line)
        except TimeoutError as error:
            return reader, f"the guest hung: {error}"
        status = guest.wait()
    if reader.is_finished:
        return reader, None
    return reader, f"the guest ended with status {status} before its last test was over"


def run(report, kernel, initrd, selection, smp, mem, icount):
    """Run everything selected; one Suite per suite name goes to the report."""
    base = Machine(smp=smp, mem=mem, icount=icount, kernel=kernel, initrd=initrd)
    suites = {}
    first = 1

    def suite_of(name):
        key = name.split(".")[0]
        if key not in suites:
            suites[key] = Suite(f"kernel {key} [{base.label()}]")
        return suites[key]

    def rerun(name):
        return f"make check-kernel T='{name}' CHECK_SMP={smp} CHECK_MEM={mem}" + \
               ("" if icount else " CHECK_ICOUNT=0")

    while True:
        reader, trouble = run_once(base, selection, first)
        for result in reader.results:
            suite = suite_of(result.name)
            if result.is_skipped:
                suite.skipped += 1
            elif result.is_ok:
                suite.passed += 1
            else:
                suite.fail(result.name, result.details, result.console, rerun(result.name))
        if trouble is None:
            break
        name = reader.running or "kernel.boot"
        suite_of(name).fail(name, [trouble], reader.trailing_console(), rerun(name))
        if reader.running is None:
            break       # it does not even reach its next test: nothing to go on with
        first += len(reader.results) + 1
        if reader.planned is None or first > reader.planned:
            break
    for suite in suites.values():
        report.finish(suite)
    if not suites:
        empty = Suite(f"kernel [{base.label()}]")
        empty.skipped = 1
        report.finish(empty)
