"""Count results and show them: one line a suite, and each failure with what is known of it."""
import sys
import time
from dataclasses import dataclass, field


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
    started: float = field(default_factory=time.monotonic)

    def fail(self, name, details, console=(), rerun=""):
        self.failures.append(Failure(name, list(details), list(console)[-25:], rerun))


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def finish(self, suite):
        seconds = time.monotonic() - suite.started
        verdict = "FAIL" if suite.failures else "ok"
        skipped = f", {suite.skipped} skipped" if suite.skipped else ""
        explored = f", {suite.nr_orders} orders explored" if suite.nr_orders else ""
        print(f"{verdict:4} {suite.title}: {suite.passed} passed, {len(suite.failures)} failed"
              f"{skipped}{explored} ({seconds:.1f} s)", flush=True)
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
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
