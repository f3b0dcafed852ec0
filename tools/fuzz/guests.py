"""Run sequences on Cowbell and on Linux and compare the reports of tests/user/fuzz_ops.c."""
import concurrent.futures
import os
import re
import tempfile
from dataclasses import dataclass

from runner.qemu import Guest, Machine

from . import known
from .generate import to_text

SILENCE_S = 300
PROGRAM = "/tests/fuzz_ops /tests/fuzz.ops"
LINUX_APPEND = ("console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no5lvl "
                "transparent_hugepage=never rdinit=/init -- --in-place ") + PROGRAM
HEADER = re.compile(r"^sequence (\S+) ")
FEATURES = re.compile(r"^features(.*)$")


@dataclass
class Difference:
    """The first step at which the two systems disagree, and what each said."""
    step: int
    cowbell: str
    linux: str
    reason: str = ""        # why it is meant, if it is


def with_file(initrd, path, data, output):
    """Copy a cpio archive in the newc format with one file more, before its trailer."""
    with open(initrd, "rb") as file:
        archive = file.read()
    end = archive.rindex(b"TRAILER!!!") - 110
    name = path.encode() + b"\0"
    fields = [1 << 20, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    member = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    member += b"\0" * (-len(member) % 4) + data + b"\0" * (-len(data) % 4)
    with open(output, "wb") as file:
        file.write(archive[:end] + member + archive[end:])


def run_guest(machine):
    """Return ({sequence: [lines]}, [features], trouble or None)."""
    reports, features, lines = {}, [], []
    with Guest(machine) as guest:
        try:
            for line in guest.lines(SILENCE_S):
                header, offered = HEADER.match(line), FEATURES.match(line)
                if offered:
                    features = offered.group(1).split()
                elif header:
                    lines = reports.setdefault(header.group(1), [])
                elif line == "DONE":
                    return reports, features, None
                else:
                    lines.append(line)
        except TimeoutError as error:
            return reports, features, f"the guest hung: {error}"
    return reports, features, "the guest ended early"


class Systems:
    """Both systems; `options` names their files."""

    def __init__(self, options):
        self.options = options

    def machines(self, folder, text):
        machines = {}
        for name, initrd in (("cowbell", self.options.initrd), ("linux", self.options.linux_initrd)):
            path = os.path.join(folder, f"{name}.cpio")
            with_file(initrd, "tests/fuzz.ops", text.encode(), path)
            is_linux = name == "linux"
            machines[name] = Machine(
                smp=1, mem="512M", initrd=path,
                kernel=self.options.linux if is_linux else self.options.kernel,
                append=LINUX_APPEND if is_linux else "run=" + PROGRAM)
        return machines

    def features(self):
        """What sequences may use: what Cowbell offers (Linux offers all)."""
        with tempfile.TemporaryDirectory() as folder:
            return run_guest(self.machines(folder, "")["cowbell"])[1]

    def compare(self, sequences):
        """Run {name: (mode, steps)} on both. Return {name: Difference or None}."""
        text = "".join(to_text(name, mode, steps) for name, (mode, steps) in sequences.items())
        with tempfile.TemporaryDirectory() as folder, \
                concurrent.futures.ThreadPoolExecutor(2) as pool:
            machines = self.machines(folder, text)
            here, there = pool.map(run_guest, (machines["cowbell"], machines["linux"]))
        if there[2]:
            raise RuntimeError(f"Linux: {there[2]}: " + " / ".join(
                (list(there[0].values()) or [[]])[-1][-5:]))
        result = {}
        for name in sequences:
            found = first_difference(here[0].get(name), there[0].get(name, []), here[2])
            if found:
                found.reason = known.reason_for(sequences[name][1], found) or ""
            result[name] = found
            if here[2] and (name == list(here[0])[-1] if here[0] else True):
                break       # what comes behind a guest that ended early was never run
        return result


def first_difference(ours, linux, trouble):
    ours = ours or []
    for index, theirs in enumerate(linux):
        if index >= len(ours):
            return Difference(index, trouble or "nothing", theirs)
        if ours[index] != theirs:
            end = f" ({trouble}: {' / '.join(ours[index + 1:][:12])})" if trouble else ""
            return Difference(index, ours[index] + end, theirs)
    return None
