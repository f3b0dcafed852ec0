"""Compare the numbers with the limits, the goals and the recorded baseline.

tests/bench/limits: `ROW LIMIT GOAL`, ratios Cowbell / the better Linux, ROW a glob, `-` for none; and
`log ROW`, ROW with N for a number of mappings: the row may grow with N no faster than log N.
`each ROW`: the same for a row that works on all N, divided by N.
"""
import fnmatch
import json
import math
from dataclasses import dataclass, field

LIMITS = "tests/bench/limits"
BASELINE = "tests/bench/baseline.json"
DOCUMENT = "docs/performance.md"
TABLE_START, TABLE_END = "<!-- table: make bench RECORD=1 -->", "<!-- end of the table -->"
WORSE = 1.02            # a row may be this much worse than recorded
SLACK = 0.5             # and this many units, for the smallest rows
COUNT_SLACK = 0.1       # counters of one operation: a timer may tick in one run more
VMA_COUNTS = (1, 10, 1000, 10000, 60000)
NR_FIRST = 2            # rows of so many of the counts are what the others are compared with


@dataclass
class Row:
    """One line of the table. Numbers are None where a system has none."""
    name: str
    unit: str
    ours: float = None
    linux: dict = field(default_factory=dict)   # Linux's version -> number
    reason: str = ""                            # why there is no number
    counters: list = None
    limit: float = None
    goal: float = None
    other_ours: float = None                    # the same with erms and fsrm
    other_linux: float = None
    faults: list = field(default_factory=list)

    @property
    def best_linux(self):
        return min(self.linux.values(), default=None)

    @property
    def ratio(self):
        return self.ours / self.best_linux if self.ours is not None and self.best_linux else None

    @property
    def other_ratio(self):
        if self.other_ours is None or not self.other_linux:
            return None
        return self.other_ours / self.other_linux

    @property
    def is_memory(self):
        return self.name.startswith(("mem_per_", "memory_used"))

    @property
    def is_cost(self):
        """Is less better, and every run the same?"""
        return self.unit == "insn" or self.is_memory


def read_limits():
    """Return ([(glob, limit, goal)], [(word, family that may grow by the logarithm)])."""
    ratios, families = [], []
    with open(LIMITS, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] in ("log", "each"):
                families.append((words[0], words[1]))
                continue
            numbers = [None if word == "-" else float(word) for word in words[1:]] + [None]
            ratios.append((words[0], numbers[0], numbers[1]))
    return ratios, families


def make_rows(results, select, names):
    """Rows in the order in which the systems print them. `results`: {(system, cpu kind): Result}."""
    here, other = results["cowbell", "plain"], results.get(("cowbell", "string"))
    linuxes = [name for name in names if ("linux", name, "plain") in results]
    theirs = {name: results["linux", name, "plain"] for name in linuxes}
    order = list(dict.fromkeys(name for result in (here, *theirs.values())
                               for name in result.order))
    rows = []
    for name in order:
        if not any(fnmatch.fnmatch(name, pattern) for pattern in select.split(",")):
            continue
        found = [result.values[name] for result in (here, *theirs.values())
                 if name in result.values]
        row = Row(name, found[0][1] if found else "-")
        row.ours = here.values.get(name, (None,))[0]
        row.linux = {key: result.values[name][0] for key, result in theirs.items()
                     if name in result.values}
        row.reason = here.absent.get(name, "") if row.ours is None else ""
        row.counters = here.counters.get(name)
        if other:
            row.other_ours = other.values.get(name, (None,))[0]
            row.other_linux = min((results["linux", key, "string"].values[name][0]
                                   for key in linuxes
                                   if name in results["linux", key, "string"].values), default=None)
        rows.append(row)
    return rows


def judge_limits(rows, select):
    """Mark rows above their limit. Return the number of limits that hold."""
    ratios, families = read_limits()
    held = 0
    for glob, limit, goal in ratios:
        matched = [row for row in rows if fnmatch.fnmatch(row.name, glob)]
        for row in matched:
            row.limit, row.goal = limit or row.limit, goal or row.goal
            if limit is None:
                continue
            if row.ratio is not None and row.ratio <= limit:
                held += 1
            else:
                row.faults.append(f"limit {limit}")
        is_wanted = any(fnmatch.fnmatch(glob, pattern) for pattern in select.split(","))
        if limit is not None and not matched and is_wanted:
            rows.append(Row(glob, "-", limit=limit, faults=["not measured"]))
    return held + judge_growth(rows, families)


def judge_growth(rows, families):
    by_name = {row.name: row for row in rows}
    held = 0
    for word, family in families:
        found = [(count, by_name.get(family.replace("N", str(count)))) for count in VMA_COUNTS]
        found = [(count, row) for count, row in found if row and row.ours]
        for few, first in [pair for pair in found if pair[0] in VMA_COUNTS[:NR_FIRST]]:
            for count, row in found:
                if count > few:
                    fault = growth_fault(word, few, first.ours, count, row.ours)
                    row.faults += [fault] if fault else []
                    held += not fault
    return held


def growth_fault(word, few, cost, count, cost_of_many):
    """What is wrong if an operation on one of `few` mappings costs `cost`, and one of `count` so much.
    Around N pages of their own stand N + 1 mappings."""
    most = math.log(count + 1) / math.log(few + 1)
    growth = cost_of_many / cost * (few / count if word == "each" else 1)
    if growth <= most:
        return None
    return (f"{growth:.2f} times the row of {few} mappings"
            f"{', for each' if word == 'each' else ''}, log N is {most:.2f}")


def read_baseline():
    try:
        with open(BASELINE, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def judge_baseline(rows):
    """Mark rows that got worse than recorded. Return the number of rows that did not."""
    recorded = read_baseline()
    held = 0
    for row in rows:
        entry = recorded.get(row.name)
        if entry is None or not row.is_cost and row.unit != "-":
            continue
        faults = []
        if row.ours is None:
            faults.append("was measured when the baseline was recorded")
        elif row.ours > max(entry["value"] * WORSE, entry["value"] + SLACK):
            faults.append(f"{row.ours / entry['value'] - 1:+.1%} against the baseline "
                          f"{entry['value']:.1f}")
        for name, was, now in zip(("root loads", "page flushes", "full flushes", "IPIs"),
                                  entry.get("counters", []), row.counters or []):
            if now > was * WORSE + COUNT_SLACK:
                faults.append(f"{name}: {was:g} recorded, {now:g} now")
        row.faults += faults
        held += not faults
    return held


def record_baseline(rows):
    """Write our numbers; rows that were not selected keep theirs."""
    recorded = read_baseline()
    for row in rows:
        if row.is_cost and row.ours is not None:
            recorded[row.name] = {"value": row.ours}
            if row.counters:
                recorded[row.name]["counters"] = row.counters
    lines = [f" {json.dumps(name)}: {json.dumps(recorded[name])}" for name in sorted(recorded)]
    with open(BASELINE, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def shown(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def table_of(rows):
    """The rows that have a goal or a limit, as a table in Markdown."""
    lines = ["| row | unit | Cowbell | Linux 6.1 | Linux 6.12 | ratio | goal |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        if row.goal is None and row.limit is None:
            continue
        ratio = f"{row.ratio:.3f}" if row.ratio is not None else row.reason or "–"
        mark = "**" if row.ratio is not None and row.goal and row.ratio <= row.goal else ""
        linux = [shown(row.linux.get(version)) for version in ("6.1", "6.12")]
        lines.append(f"| `{row.name}` | {row.unit} | {shown(row.ours)} | {linux[0]} | {linux[1]} | "
                     f"{mark}{ratio}{mark} | {row.goal or row.limit} |")
    return "\n".join(lines)


def record_table(rows):
    """Put the table into the document, between its marks."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    start, end = text.index(TABLE_START) + len(TABLE_START), text.index(TABLE_END)
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(f"{text[:start]}\n\n{table_of(rows)}\n\n{text[end:]}")
