"""What a person does at the machine: boot through GRUB under BIOS and UEFI, type at the shell, stop
jobs, power off; and what bad boot input gets."""
import os
import tempfile

from .qemu import Guest, Machine
from .report import Suite

PROMPT = "# "
BOOT_S = 240


class Session:
    """A shell on the guest's serial line. Each command is followed by the next prompt."""

    def __init__(self, guest):
        self.guest = guest
        self.at = guest.expect(PROMPT, BOOT_S)

    def type(self, text):
        self.guest.send(text)

    def wait(self, wanted, limit_s=60):
        self.at = self.guest.expect(wanted, limit_s, self.at)

    def run(self, command, wanted):
        """Type a command; the text `wanted` must appear behind the command's own echo."""
        self.type(command + "\r")
        self.wait(command)
        self.wait(wanted)
        self.wait(PROMPT)


def talk_basics(shell):
    shell.run("echo a-$((6*7))", "a-42")
    shell.run("ls /bin/busybox", "/bin/busybox")
    shell.run("echo one two three | wc -w", "3")
    shell.run("ps | grep -c '[f]s'", "\n")


def talk_line_editing(shell):
    shell.type("echo wrong\x15echo rub\x7f\x7fight\r")      # ^U kills the line, DEL erases
    shell.wait("right")
    shell.wait(PROMPT)
    # The shell edits lines in raw mode: wait until it has given the terminal back.
    shell.type("echo go; cat\r")
    shell.wait("\ngo\n")
    shell.type("abc\x7fd\r")
    shell.wait("\nabd\n")
    shell.type("\x04")                                      # ^D ends the input
    shell.wait(PROMPT)


def start_sleeper(shell):
    """A foreground job that says when it is the one to get the terminal's signals."""
    shell.type("sh -c 'echo go; exec sleep 1000'\r")
    shell.wait("\ngo\n")


def talk_interrupt(shell):
    start_sleeper(shell)
    shell.type("\x03")
    shell.wait(PROMPT)
    shell.run("echo status $?", "status 130")


def talk_jobs(shell):
    start_sleeper(shell)
    shell.type("\x1a")                                      # ^Z
    shell.wait("Stopped")
    shell.wait(PROMPT)
    shell.run("jobs", "Stopped")
    shell.run("bg", "sleep 1000")
    shell.run("kill %1; wait; echo ended-$((1+1))", "ended-2")
    # Not the shell's own `read`: it loses a ^C that comes between its look at signals and its poll().
    shell.type("sh -c 'echo go; exec cat -n'\r")
    shell.wait("\ngo\n")
    shell.type("\x1a")
    shell.wait("Stopped")
    shell.wait(PROMPT)
    shell.type("fg\r")
    shell.type("mark\r")
    shell.wait("1\tmark")           # only the foreground gets to read: now ^C is for the job
    shell.type("\x03")
    shell.wait(PROMPT)
    shell.run("sleep 1000 & sleep 1; kill %1; wait; echo waited-$((1+1))", "waited-2")
    shell.run("jobs; echo left-$((1+1))", "left-2")


def talk_survival(shell):
    """A fork bomb, a memory hog and a descriptor leak end; the shell lives."""
    shell.run("echo before", "before")
    for name in ("hog_memory", "hog_processes", "hog_descriptors"):
        shell.type(f"/tests/{name}; echo survived-$?\r")
        shell.wait(f"/tests/{name}")
        shell.wait("survived-", 240)
        shell.wait(PROMPT)
    shell.run("echo after-$((1+1))", "after-2")


def talk_kill_all(shell):
    """kill -1 ends every program, but not what stands for the kernel: files and terminal."""
    shell.run("sleep 1000 & echo started-$((1+1))", "started-2")
    shell.run("kill -9 -1; echo sent-$((1+1))", "sent-2")
    shell.run("wait; ls -d /bin; echo alone-$(ps | grep -c '[s]leep 1000')", "alone-0")
    shell.type("login=$$; sh -c 'kill -9 -1; exit'\r")
    shell.wait("exit'")
    shell.wait(PROMPT, 120)
    shell.run("echo new-${login:-shell}", "new-shell")
    shell.run("cat /proc/1/comm", "init")


CONVERSATIONS = {"basics": talk_basics, "line_editing": talk_line_editing,
                 "interrupt": talk_interrupt, "jobs": talk_jobs, "survival": talk_survival, "kill_all": talk_kill_all}


def conversation(suite, name, machine, talk, rerun):
    """Boot, talk, `poweroff`; QEMU must then end with status 0."""
    try:
        with Guest(machine) as guest:
            try:
                shell = Session(guest)
                talk(shell)
                shell.type("poweroff\r")
                status = guest.wait(BOOT_S)
            except (TimeoutError, EOFError, BrokenPipeError) as error:
                suite.fail(name, [str(error)], guest.text.splitlines(), rerun)
                return
            if status != 0:
                suite.fail(name, [f"QEMU's status after poweroff: expected 0, actual {status}"],
                           guest.text.splitlines(), rerun)
                return
    except OSError as error:
        suite.fail(name, [str(error)], [], rerun)
        return
    suite.passed += 1


def run_shell(report, kernel, initrd, smp, mem, wants):
    suite = Suite(f"shell [{smp} CPU{'s' if smp > 1 else ''}, {mem}]")
    for name, talk in CONVERSATIONS.items():
        if not wants(f"shell.{name}"):
            continue
        machine = Machine(smp=smp, mem=mem, icount=False, kernel=kernel, initrd=initrd)
        conversation(suite, f"shell.{name}", machine, talk,
                     f"make check-shell T='shell.{name}' CHECK_SMP={smp} CHECK_MEM={mem}")
    report.finish(suite)


def run_boot(report, kernel, initrd, iso, wants):
    """GRUB under both firmwares, the smallest memory, and each kind of bad boot input."""
    suite = Suite("boot")

    def boot(name, machine, talk=talk_basics):
        if wants(name):
            conversation(suite, name, machine, talk, f"make check-shell T='{name}'")

    boot("boot.grub_bios", Machine(smp=2, cdrom=iso, icount=False))
    boot("boot.grub_uefi", Machine(smp=2, cdrom=iso, icount=False, uefi=True))
    boot("boot.smallest_memory", Machine(smp=1, mem="16M", kernel=kernel, initrd=initrd,
                                         icount=False))
    boot("boot.three_gib_hole", Machine(smp=2, mem="5G", kernel=kernel, initrd=initrd,
                                        icount=False))

    def message(name, wanted, **options):
        if not wants(name):
            return
        with Guest(Machine(icount=False, **options)) as guest:
            try:
                guest.expect(wanted, BOOT_S)
                suite.passed += 1
            except (TimeoutError, EOFError) as error:
                suite.fail(name, [str(error)], guest.text.splitlines(),
                           f"make check-shell T='{name}'")

    message("boot.no_initrd", "no initrd", kernel=kernel)
    with tempfile.TemporaryDirectory() as scratch:
        corrupt = os.path.join(scratch, "corrupt.cpio")
        with open(initrd, "rb") as good, open(corrupt, "wb") as bad:
            data = bytearray(good.read(1 << 16))
            data[0:6] = b"999999"
            bad.write(data)
        message("boot.corrupt_initrd", "initrd", kernel=kernel, initrd=corrupt)
    message("boot.unknown_option", "is unknown and is ignored", kernel=kernel, initrd=initrd,
            append="frobnicate=1")
    message("boot.too_little_memory", "too little memory", kernel=kernel, mem="8M")
    report.finish(suite)
