"""Stop one virtual CPU after the other for a moment, as a busy host does, but far more often.

With STARVE=1 in the environment every guest whose CPUs run in parallel is treated so: each host CPU
has a program that computes, and one thread of QEMU at a time may only have what that leaves over.
What a test takes for granted of how fast a CPU gets on then shows itself within minutes.
"""
import atexit
import os
import random
import re
import subprocess
import sys
import threading

SHORTEST_S, LONGEST_S = 0.002, 0.3
HOG = "while True: pass"
NAMED_THREADS = ["-name", "guest,debug-threads=on"]
VCPU = re.compile(r"^CPU \d+/")

hogs = []


def is_wanted(machine):
    return os.environ.get("STARVE", "0") not in ("", "0") and not machine.icount and machine.smp > 1


def start_hogs():
    if not hogs:
        hogs.extend(subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(os.cpu_count()))
        atexit.register(lambda: [hog.kill() for hog in hogs])


def vcpus(pid):
    """The threads of QEMU that are virtual CPUs."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as file:
            if VCPU.match(file.read()):
                found.append(int(tid))
    return found


def some_time():
    return SHORTEST_S * (LONGEST_S / SHORTEST_S) ** random.random()


class Starver(threading.Thread):
    """Goes on until stop(), or until the guest has ended."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.is_over = threading.Event()
        start_hogs()
        self.start()

    def run(self):
        try:
            while not self.is_over.is_set():
                threads = vcpus(self.pid)
                if threads:
                    self.starve(random.choice(threads))
                self.is_over.wait(some_time() / 5)
        except (FileNotFoundError, ProcessLookupError):
            pass

    def starve(self, tid):
        os.sched_setscheduler(tid, os.SCHED_IDLE, os.sched_param(0))
        self.is_over.wait(some_time())
        os.sched_setscheduler(tid, os.SCHED_OTHER, os.sched_param(0))

    def stop(self):
        self.is_over.set()
        self.join()
