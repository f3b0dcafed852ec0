"""The debugger as `make debug` starts it: each of Cowbell's commands shows what it should."""
import os
import re
import subprocess
import tempfile

from .report import Suite

SCRIPT = """hbreak sys_poll
continue
cb threads
cb ps
cb vmas 1
cb walk 0x400000 1
python gdb.execute("cb frame " + gdb.execute("cb walk 0x400000 1", to_string=True).split()[-1])
"""

# What each command must print, as a regular expression over the whole session.
WANTED = {
    # Whether init runs or sleeps at that moment is the scheduler's choice.
    "threads": r"tid \d+ pid 1 cpu \d init (?:running|state \d+)  \(struct thread",
    "processes": r"pid 1 parent 0 threads 1 init",
    "vmas": r"000000400000-[0-9a-f]{12} r ",
    "walk": r"level 3: .*present.*\nlevel 2: .*\nlevel 1: .*\nlevel 0: .*present user",
    "frame": r"refcount [1-9]\d* mapcount [1-9]\d* pincount 0\n +mapped by init .* at 0x400000",
}


def run(report, kernel, initrd, wants):
    names = [name for name in WANTED if wants(f"debug.{name}")]
    if not names:
        return
    suite = Suite("debug")
    with tempfile.NamedTemporaryFile("w", suffix=".gdb") as script:
        script.write(SCRIPT)
        script.flush()
        command = ["tools/debug.sh", kernel, initrd, "", "qemu-system-x86_64", "-machine", "q35",
                   "-cpu", "max", "-smp", "2", "-m", "256M", "-no-reboot", "-display", "none",
                   "-nodefaults"]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, text=True, errors="replace",
                                  env={**os.environ, "GDB_COMMANDS": script.name}, timeout=300,
                                  check=False)
            text = done.stdout
        except subprocess.TimeoutExpired as error:
            text = (error.stdout or b"").decode("utf-8", "replace") + "\n(no end after 300 s)"
    for name in names:
        if re.search(WANTED[name], text):
            suite.passed += 1
        else:
            suite.fail(f"debug.{name}", [f"the session does not show {WANTED[name]!r}"],
                       text.splitlines(), f"make check-shell T='debug.{name}'")
    report.finish(suite)
