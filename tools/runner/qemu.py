"""Start a guest in QEMU and read its serial line. The one place that knows QEMU's options."""
import os
import selectors
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from . import starve

EXIT_OK = 33          # isa-debug-exit turns the kernel's code 16 into (16 << 1) | 1
EXIT_FAILED = 35
OVMF = "/usr/share/ovmf/OVMF.fd"


def direct_size(mem):
    """How much of a machine's memory the suites have set aside as a direct device."""
    return "8M" if mem == "64M" else "64M"


@dataclass
class Machine:
    """How a guest is built. `icount` makes every run the same, instruction for instruction."""
    smp: int = 1
    mem: str = "512M"
    icount: bool = True
    accel: str = "tcg"
    cpu: str = "max"
    machine: str = "q35"
    kernel: str = ""
    initrd: str = ""
    append: str = ""
    direct: str = ""        # memory that the kernel sets aside as a direct device
    nvdimm: str = ""        # the size of an NVDIMM
    nvdimm_file: str = ""   # where its content is kept from one boot to the next
    cdrom: str = ""
    uefi: bool = False
    extra: list = field(default_factory=list)

    def label(self):
        kind = "icount" if self.icount else "parallel"
        return f"{self.smp} CPU{'s' if self.smp > 1 else ''}, {self.mem}, {kind}"

    def command(self):
        machine, mem = f"{self.machine},accel={self.accel}", self.mem
        append = f"dax={self.direct} {self.append}".strip() if self.direct else self.append
        if self.nvdimm:
            machine, mem = machine + ",nvdimm=on", mem + ",slots=2,maxmem=8G"
        words = [shutil.which("qemu-system-x86_64") or "qemu-system-x86_64",
                 "-machine", machine, "-cpu", self.cpu,
                 "-smp", str(self.smp), "-m", mem, "-no-reboot", "-nodefaults",
                 "-display", "none", "-nic", "none", "-serial", "stdio",
                 "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        if self.icount:
            words += ["-icount", "shift=0,sleep=off"]
        if self.kernel:
            words += ["-kernel", self.kernel]
            if self.initrd:
                words += ["-initrd", self.initrd]
            if append:
                words += ["-append", append]
        if self.cdrom:
            words += ["-cdrom", self.cdrom, "-boot", "d"]
        if self.uefi:
            words += ["-bios", OVMF]
        if self.nvdimm:
            backend = f"memory-backend-file,mem-path={self.nvdimm_file},share=on" \
                if self.nvdimm_file else "memory-backend-ram"
            words += ["-object", f"{backend},id=nvdimm0,size={self.nvdimm}",
                      "-device", "nvdimm,memdev=nvdimm0"]
        if starve.is_wanted(self):
            words += starve.NAMED_THREADS
        return words + self.extra


class Guest:
    """A running QEMU: lines come out of `lines()`, or `expect()` and `send()` hold a conversation."""

    def __init__(self, machine):
        self.machine = machine
        self.process = subprocess.Popen(machine.command(), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.text = ""          # everything printed so far, carriage returns removed
        self.is_open = True
        self.starver = starve.Starver(self.process.pid) if starve.is_wanted(machine) else None

    def _pump(self, seconds):
        """Wait up to `seconds` for output; False at the end of the guest."""
        if not self.is_open:
            return False
        if self.selector.select(max(0.0, seconds)):
            chunk = self.process.stdout.read(65536)
            if chunk == b"":
                self.is_open = False
                return False
            if chunk:
                self.text += chunk.decode("utf-8", "replace").replace("\r", "")
        return True

    def lines(self, limit_s):
        """Yield each line; ends with the guest, or raises TimeoutError after `limit_s` of silence.
        The limit guards the host alone: what a test may take is counted in guest time."""
        start = 0
        last = time.monotonic()
        while True:
            end = self.text.find("\n", start)
            if end >= 0:
                yield self.text[start:end]
                start = end + 1
                continue
            before = len(self.text)
            alive = self._pump(1.0)
            if len(self.text) != before:
                last = time.monotonic()
            if not alive:
                if start < len(self.text):
                    yield self.text[start:]
                return
            if time.monotonic() - last > limit_s:
                raise TimeoutError(f"no output for {limit_s} s")

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, wanted, limit_s=60, since=0):
        """Wait until `wanted` is printed after position `since`; return the position behind it."""
        deadline = time.monotonic() + limit_s
        while True:
            at = self.text.find(wanted, since)
            if at >= 0:
                return at + len(wanted)
            if not self._pump(min(1.0, deadline - time.monotonic())):
                raise EOFError(f"the guest ended before it printed {wanted!r}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{wanted!r} was not printed within {limit_s} s")

    def wait(self, limit_s=60):
        """Wait for the guest to end by itself; return QEMU's exit status."""
        deadline = time.monotonic() + limit_s
        while self._pump(0.5):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the guest did not end within {limit_s} s")
        return self.process.wait(10)

    def close(self):
        if self.starver:
            self.starver.stop()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.selector.close()
        self.process.stdout.close()
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
