"""A machine with an NVDIMM, which the kernel finds by its ACPI table (NFIT): the suites about direct
devices on it, and what stands in its backing file once the machine is off."""
import os
import tempfile

from . import kernel_suites, user_suites
from .boot_suites import BOOT_S, Session
from .qemu import Guest, Machine
from .report import Suite

SIZE = "64M"
SIZE_BYTES = 64 << 20
RAW_OFFSET = SIZE_BYTES - 4096      # the device's last page, which no file has got
DAX_PROGRAMS = ["dax_test", "dax_file_test", "dax_map_test", "pin_test"]
RERUN = "make check-shell T='nvdimm.*'"


def session(machine, commands, end="poweroff"):
    """Boot, type each command and wait for what it prints, then power off, or cut the power.
    Return (the trouble or None, the console)."""
    with Guest(machine) as guest:
        try:
            shell = Session(guest)
            for command, wanted in commands:
                shell.run(command, wanted)
            if end == "cut":
                return None, guest.text.splitlines()
            shell.type("poweroff\r")
            status = guest.wait(BOOT_S)
        except (TimeoutError, EOFError, BrokenPipeError) as error:
            return str(error), guest.text.splitlines()
    return (f"QEMU's status after poweroff: {status}" if status else None), guest.text.splitlines()


def check_image(image, has_raw):
    """What the host finds in the backing file."""
    with open(image, "rb") as file:
        content = file.read()
    if b"kept-2\n" not in content:
        return "the backing file does not hold what the file system's file holds"
    if has_raw and content[RAW_OFFSET:RAW_OFFSET + 6] != b"raw-42":
        return "the backing file does not hold what was written to /dev/dax0"
    return None


def files_outlive_the_machine(make_machine, image):
    """Two boots with a power-off between; each is asked for what the one before left."""
    trouble, console = session(make_machine(), [
        ("dmesg | grep -c 'dax0 is 65536 KiB of an NVDIMM'", "1"),
        ("mkdir /dax/d; echo kept-$((1+1)) > /dax/d/a; echo made-$?", "made-0"),
        # The last change of all, with nothing behind it but poweroff's sync.
        ("cp /bin/busybox /dax/d/b; echo copied-$?", "copied-0")])
    trouble = trouble or check_image(image, has_raw=False)
    if trouble is None:
        trouble, console = session(make_machine(), [
            ("cat /dax/d/a", "kept-2"),
            ("cmp /bin/busybox /dax/d/b; echo same-$?", "same-0")])
    return trouble, console


def synced_data_outlives_a_power_cut(make_machine, image):
    """Nothing is told to the guest: what it synced is in the file, and its tables are whole."""
    # The guest's terminal breaks long lines, which are then not found as they were typed.
    set_offset = (f"at={RAW_OFFSET}; echo set-$?", "set-0")
    trouble, console = session(make_machine(), [
        ("echo kept-$((1+1)) > /dax/cut; sync; echo synced-$?", "synced-0"),
        set_offset,
        ("echo raw-42 | dd of=/dev/dax0 bs=1 seek=$at; echo raw-$?", "raw-0"),
        ("echo later > /dax/later; echo more-$?", "more-0")], end="cut")
    trouble = trouble or check_image(image, has_raw=True)
    if trouble is None:
        trouble, console = session(make_machine(), [
            ("cat /dax/cut", "kept-2"),
            set_offset,
            ("dd if=/dev/dax0 bs=1 skip=$at count=6; echo", "raw-42")])
    return trouble, console


def other_content_is_left_alone(make_machine, image):
    """A device that holds something else is no file system, and is not made one."""
    with open(image, "r+b") as file:
        file.write(b"of-somebody-else")
    trouble, console = session(make_machine(), [
        ("dmesg | grep -c 'dax0 is 65536 KiB of an NVDIMM'", "1"),
        ("grep -c daxfs /proc/mounts", "0"),
        ("head -c 16 /dev/dax0; echo", "of-somebody-else"),
        ("mount -t daxfs none /mnt; echo refused-$?", "refused-255")])
    with open(image, "rb") as file:
        if trouble is None and file.read(16) != b"of-somebody-else":
            trouble = "the backing file was overwritten"
    return trouble, console


def stands_behind_memory_set_aside(make_machine, image):
    """With both, the NVDIMM is the second device, and a file system of its own."""
    trouble, console = session(make_machine(direct="64M"), [
        ("dmesg | grep -c 'dax1 is 65536 KiB of an NVDIMM'", "1"),
        ("mount -t daxfs none /mnt; echo mounted-$?", "mounted-0"),
        ("echo kept-$((1+1)) > /mnt/a; echo other > /dax/a; cat /mnt/a", "kept-2")])
    return trouble or check_image(image, has_raw=False), console


TESTS = (files_outlive_the_machine, synced_data_outlives_a_power_cut, other_content_is_left_alone,
         stands_behind_memory_set_aside)


def run(report, kernel, initrd, wants):
    if wants("nvdimm.suites"):
        kernel_suites.run(report, kernel, initrd, "dax.*", 2, "512M", True, note="NVDIMM",
                          nvdimm=SIZE)
        make = user_suites.cowbell_machine(kernel, initrd, 2, "512M", True, nvdimm=SIZE)
        user_suites.judge(report, user_suites.run_all(make, DAX_PROGRAMS), DAX_PROGRAMS,
                          make([]).label() + ", NVDIMM", lambda name: RERUN)
    suite = Suite("nvdimm")
    for test in TESTS:
        name = f"nvdimm.{test.__name__}"
        if not wants(name):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            image = os.path.join(scratch, "nvdimm")
            with open(image, "wb") as file:
                file.truncate(SIZE_BYTES)

            def make_machine(image=image, **options):
                return Machine(smp=2, icount=False, kernel=kernel, initrd=initrd, nvdimm=SIZE,
                               nvdimm_file=image, **options)
            trouble, console = test(make_machine, image)
        if trouble:
            suite.fail(name, [trouble], console, RERUN)
        else:
            suite.passed += 1
    if suite.passed or suite.failures:
        report.finish(suite)
