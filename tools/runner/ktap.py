"""Read KTAP as the kernel's suites and the user programs print it."""
import re
from dataclasses import dataclass, field

RESULT = re.compile(r"^(ok|not ok) (\d+) (?:- )?(\S+)(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)$")
START = re.compile(r"^# start (\S+)$")


@dataclass
class Result:
    name: str
    is_ok: bool
    is_skipped: bool
    details: list = field(default_factory=list)
    console: list = field(default_factory=list)


class Reader:
    """Feed lines; `results` holds what was reported, `running` the test that has not ended."""

    def __init__(self):
        self.results = []
        self.planned = None
        self.running = None
        self.is_finished = False
        self._details = []
        self._console = []

    def feed(self, line):
        self._console.append(line)
        started = START.match(line)
        result = RESULT.match(line)
        plan = PLAN.match(line)
        if plan and self.planned is None:
            self.planned = int(plan.group(1))
        elif started:
            self.running = started.group(1)
            self._details = []
            self._console = []
        elif result:
            skipped = "# SKIP" in result.group(4)
            self.results.append(Result(result.group(3), result.group(1) == "ok", skipped,
                                       self._details, self._console))
            self.running = None
            self._details = []
            self._console = []
        elif line.startswith("# end"):
            self.is_finished = True
        elif line.startswith("# "):
            self._details.append(line[2:])

    def trailing_details(self):
        return self._details

    def trailing_console(self):
        return self._console
