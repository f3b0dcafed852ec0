"""Run the host tests (KTAP programs) and the bounded fuzz runs."""
import os
import subprocess
import tempfile

from .ktap import Reader
from .report import Suite


def run_tests(report, programs):
    for program in programs:
        name = os.path.basename(program)
        suite = Suite(f"host {name}")
        done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)
        reader = Reader()
        for line in done.stdout.splitlines():
            reader.feed(line)
        for result in reader.results:
            if result.is_ok:
                suite.passed += 1
            else:
                suite.fail(result.name, result.details, result.console, program)
        complete = reader.planned is not None and reader.planned == len(reader.results)
        if (done.returncode != 0 and not suite.failures) or not complete:
            suite.fail(name, [f"ended with status {done.returncode}, "
                              f"{len(reader.results)} of {reader.planned} tests reported"],
                       done.stdout.splitlines(), program)
        report.finish(suite)


def run_fuzzers(report, programs, corpus_root, runs):
    """Each target gets a fixed number of inputs and a fixed seed: the same run every time."""
    for program in programs:
        name = os.path.basename(program)
        suite = Suite(f"fuzz {name} [{runs} inputs]")
        corpus = os.path.join(corpus_root, name)
        with tempfile.TemporaryDirectory() as scratch:
            command = [program, f"-runs={runs}", "-seed=1", "-timeout=20", "-rss_limit_mb=2048",
                       f"-artifact_prefix={scratch}/", scratch]
            if os.path.isdir(corpus):
                command.append(corpus)
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", check=False)
        if done.returncode == 0:
            suite.passed += 1
        else:
            suite.fail(name, [f"ended with status {done.returncode}"], done.stdout.splitlines(),
                       " ".join(command[:3]))
        report.finish(suite)
