"""Count results and show them: one line a suite, and each failure with what is known of it."""
import fnmatch
import sys
import time
from dataclasses import dataclass, field

# Every guest of Cowbell has a direct device, so these have no reason to skip themselves.
NEVER_SKIPPED = ("dax*.*", "pin.*_dax_*", "pins.*_dax_*")


@dataclass
class Failure:
    name: str
    details: list
    console: list
    rerun: str


@dataclass
class Suite:
    """The results of one suite in one configuration."""
    title: str
    passed: int = 0
    failures: list = field(default_factory=list)
    skipped: int = 0
    nr_orders: int = 0          # run by tests that explore schedules
    nr_operations: int = 0      # of tests that torture memory
    started: float = field(default_factory=time.monotonic)

    def fail(self, name, details, console=(), rerun=""):
        self.failures.append(Failure(name, list(details), list(console)[-25:], rerun))

    def skip(self, name, rerun=""):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in NEVER_SKIPPED):
            self.fail(name, ["skipped, though the machine has what it needs"], (), rerun)
        else:
            self.skipped += 1


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.nr_orders = 0
        self.nr_operations = 0

    def finish(self, suite):
        seconds = time.monotonic() - suite.started
        verdict = "FAIL" if suite.failures else "ok"
        skipped = f", {suite.skipped} skipped" if suite.skipped else ""
        explored = f", {suite.nr_orders} orders explored" if suite.nr_orders else ""
        tortured = f", {suite.nr_operations} operations" if suite.nr_operations else ""
        print(f"{verdict:4} {suite.title}: {suite.passed} passed, {len(suite.failures)} failed"
              f"{skipped}{explored}{tortured} ({seconds:.1f} s)", flush=True)
        self.nr_orders += suite.nr_orders
        self.nr_operations += suite.nr_operations
        for failure in suite.failures:
            print(f"     not ok {failure.name}")
            for line in failure.details:
                print(f"        {line}")
            if failure.console:
                print("        console:")
                for line in failure.console:
                    print(f"        | {line}")
            if failure.rerun:
                print(f"        alone:  {failure.rerun}")
        sys.stdout.flush()
        self.passed += suite.passed
        self.failed += len(suite.failures)

    def close(self):
        if self.nr_orders:
            print(f"{self.nr_orders} orders of races explored")
        if self.nr_operations:
            print(f"{self.nr_operations} random operations compared with a model")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
