"""Read what Linux's selftests print: TAP with its dialects, and the lines of the uffd tests.

A test is known by the headline above it and its number under that, or by its own text, without
what differs from run to run. So a test keeps its name whether it passes or is skipped.
"""
import re

# The status of a program that ended by its own will: passed, failed, skipped.
ORDERLY = (0, 1, 4)
STATUS_OF = {0: "ok", 1: "not ok", 4: "skip"}

RESULT = re.compile(r"^(ok|not ok) \d+ ?(.*)$")
HEADLINE = re.compile(r"^# \[(?:RUN|INFO)\] (.*)$")
NO_HEADLINE = re.compile(r"detected|zeropage is enabled")
HARNESS = re.compile(r"^#  RUN ")
DIRECTIVE = re.compile(r"#\s+(SKIP|XFAIL|XPASS|error)\b\s*")
TESTING = re.compile(r"^Testing (.*?)\.\.\. ?(.*)$")
BOUNCES = re.compile(r"^bounces: (\d+), mode: (.*), userfaults:")
RUN_DEPENDENT = re.compile(r"0x[0-9a-f]+|\b\d{3,}\b|(?<=count )\d+|(?<=pages )\d+ \([\d.]+%\)|"
                           r"(?<=faults )\d+")


class Names:
    """Gives each test a name of its own."""

    def __init__(self):
        self.seen = {}
        self.headline = None

    def unique(self, name):
        self.seen[name] = self.seen.get(name, 0) + 1
        return name if self.seen[name] == 1 else f"{name} ({self.seen[name]})"

    def of(self, text):
        return self.unique(self.headline or RUN_DEPENDENT.sub("N", text).strip(" .#\t"))


def tap_verdict(is_ok, text):
    """Return (verdict, the test's text)."""
    directive = DIRECTIVE.search(text)
    if not directive:
        return ("ok" if is_ok else "not ok"), text
    verdict = {"SKIP": "skip", "XFAIL": "xfail"}.get(directive.group(1), "not ok")
    before = text[:directive.start()].strip()
    return verdict, before or text[directive.end():]


def uffd_verdict(outcome):
    first = outcome.split(" ")[0]
    return {"done": "ok", "skipped": "skip"}.get(first, "not ok")


def verdicts(lines, status):
    """{test: verdict} of one program, in its order, with how it ended as the last one."""
    names, result = Names(), {}
    for line in lines:
        tap, headline = RESULT.match(line), HEADLINE.match(line)
        testing, bounces = TESTING.match(line), BOUNCES.match(line)
        if tap:
            verdict, text = tap_verdict(tap.group(1) == "ok", tap.group(2))
            result[names.of(text)] = verdict
        elif headline and not NO_HEADLINE.search(line):
            names.headline = headline.group(1)
        elif HARNESS.match(line):
            names.headline = None
        elif testing:
            result[names.unique(testing.group(1))] = uffd_verdict(testing.group(2))
        elif bounces:
            result[names.unique(f"bounce {bounces.group(1)}, {bounces.group(2)}")] = "ok"
    result["exit status"] = STATUS_OF.get(status, f"{status}")
    return result
