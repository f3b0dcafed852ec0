#!/usr/bin/env python3
"""Run Cowbell's suites and count them: check.py [--only KIND...] OPTIONS; called by `make check`.

Kinds: host, fuzz, kernel, user, scripts, shell, boot (with the debugger). The last line is
`N passed, N failed`, and the status is 0 only if something passed and nothing failed.
"""
import argparse
import fnmatch
import os
import sys

from runner import boot_suites, debug_suites, host_suites, kernel_suites, nvdimm_suites
from runner import script_suites, user_suites
from runner.qemu import direct_size
from runner.report import Report

# (CPUs, memory, counted instructions). Counted runs repeat exactly; the parallel one lets the
# host's threads race.
CONFIGURATIONS = [(1, "64M", True), (4, "64M", True), (1, "512M", True), (4, "512M", True),
                  (4, "512M", False)]
# One more for the kernel's suites: every access and operation checked by sanitizers.
SANITIZED = (2, "512M", True)
# The kinds that run in these machines.
CONFIGURED = {"kernel", "user", "scripts"}
FUZZ_INPUTS = 40000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="kinds to run; all if none is named")
    parser.add_argument("--select", default="*", help="glob, or several with commas")
    parser.add_argument("--kernel", help="the test kernel")
    parser.add_argument("--sanitized-kernel", help="the test kernel with sanitizers")
    parser.add_argument("--run-kernel", help="the kernel that `make run` boots")
    parser.add_argument("--initrd", help="initial file system with the test programs")
    parser.add_argument("--run-initrd", help="initial file system that `make run` boots")
    parser.add_argument("--iso")
    parser.add_argument("--host", nargs="*", default=[])
    parser.add_argument("--fuzz", nargs="*", default=[])
    parser.add_argument("--programs", nargs="*", default=[])
    parser.add_argument("--smp", type=int, help="only configurations with this many CPUs")
    parser.add_argument("--mem", help="only configurations with this memory")
    parser.add_argument("--icount", type=int, help="only counted (1) or only parallel (0) runs")
    parser.add_argument("--schedule", help="the one order that exploring kernel tests run")
    return parser.parse_args()


def main():
    args = arguments()
    patterns = args.select.split(",")
    report = Report()

    def wants(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    def runs(kind):
        return not args.only or kind in args.only

    def is_chosen(configuration):
        smp, mem, icount = configuration
        return args.smp in (None, smp) and args.mem in (None, mem) \
            and args.icount in (None, int(icount))

    chosen = [c for c in CONFIGURATIONS if is_chosen(c)]
    machines = [*CONFIGURATIONS, *([SANITIZED] if runs("kernel") else [])]
    # The other kinds have machines of their own.
    if args.only and set(args.only) <= CONFIGURED and not any(map(is_chosen, machines)):
        print("check: no suite runs in such a machine; CHECK_SMP, CHECK_MEM and CHECK_ICOUNT choose from:")
        for smp, mem, icount in machines:
            print(f"    CHECK_SMP={smp} CHECK_MEM={mem} CHECK_ICOUNT={int(icount)}")
        return 1
    if runs("host"):
        host_suites.run_tests(report, [p for p in args.host if wants("host." + os.path.basename(p))])
    if runs("fuzz"):
        host_suites.run_fuzzers(report, [p for p in args.fuzz
                                         if wants("fuzz." + os.path.basename(p))],
                                "tests/host/corpus", FUZZ_INPUTS)
    if runs("kernel"):
        for smp, mem, icount in chosen:
            kernel_suites.run(report, args.kernel, args.initrd, args.select, smp, mem, icount,
                              args.schedule)
        if args.sanitized_kernel and is_chosen(SANITIZED):
            kernel_suites.run(report, args.sanitized_kernel, args.initrd, args.select, *SANITIZED,
                              args.schedule, note="sanitized")
    programs = [p for p in args.programs if wants(f"user.{p}") or wants(p)]
    scripts = [s for s in script_suites.names() if wants(f"scripts.{s}") or wants(s)]
    for smp, mem, icount in chosen:
        if runs("user") and programs:
            make = user_suites.cowbell_machine(args.kernel, args.initrd, smp, mem, icount,
                                               direct=direct_size(mem))
            results = user_suites.run_all(make, programs)
            user_suites.judge(report, results, programs, make([]).label(),
                              lambda name, smp=smp, mem=mem:
                              f"make check-user T='{name}' CHECK_SMP={smp} CHECK_MEM={mem}")
        if runs("scripts") and scripts and mem == "512M":
            script_suites.run(report, args.kernel, args.initrd, scripts, smp, mem, icount)
    if runs("shell"):
        for smp in (1, 4):
            if args.smp in (None, smp):
                boot_suites.run_shell(report, args.kernel, args.initrd, smp, "256M", wants)
    if runs("boot"):
        boot_suites.run_boot(report, args.run_kernel, args.run_initrd, args.iso, wants)
        nvdimm_suites.run(report, args.kernel, args.initrd, wants)
        debug_suites.run(report, args.kernel, args.initrd, wants)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
