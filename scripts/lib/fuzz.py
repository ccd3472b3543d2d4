# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the fuzz targets that scripts/fuzz has built, and says what they found."""

import argparse
import concurrent.futures
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
SEEDS = REPOSITORY / "tests/fuzz/corpus"
BUILD = REPOSITORY / "build-fuzz"
PROGRAMS = BUILD / "tests/fuzz"
GROWN = BUILD / "corpus"  # what runs on this machine have added; not in the tree
FOUND = BUILD / "found"
INPUT_SECONDS_MAX = 10  # of a processor, for one input: whatever takes longer is a finding
ROUND_SECONDS_MIN = 2  # what is missing less is not worth reading the corpus again
PATIENCE = 4  # times the seconds wanted, on a machine that has others to serve
MEMORY_MIB_MAX = 1024
# libopendht and libstdc++ are not built with it, so containers would be reported wrongly.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:detect_container_overflow=0",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


class Verdict(NamedTuple):
    target: str
    executions: int
    edges: int
    corpus: int  # inputs
    seconds: float
    cpu_seconds: float  # less than that where others had the processor
    found: list  # files
    output: str  # of a run that failed


def targets():
    return sorted(path.name.removeprefix("fuzz_") for path in PROGRAMS.glob("fuzz_*")
                  if path.is_file() and os.access(path, os.X_OK) and path.name != "fuzz_make_corpus")


def run_one(target, seconds, seed):
    """The corpus first, then mutations for so many seconds of a processor, 0 for none.

    libFuzzer counts those of the clock, so where others have the processor it is started again.
    """
    verdict = run_round(target, seconds, seed)
    while not verdict.output:
        missing = seconds - verdict.cpu_seconds
        if missing < ROUND_SECONDS_MIN or verdict.seconds > PATIENCE * seconds:
            break
        seed += 1 if seed else 0  # 0 is another one every time
        more = run_round(target, math.ceil(missing), seed)
        verdict = Verdict(target, verdict.executions + more.executions,
                          max(verdict.edges, more.edges), more.corpus,
                          verdict.seconds + more.seconds, verdict.cpu_seconds + more.cpu_seconds,
                          verdict.found + more.found, more.output)
    return verdict


def run_round(target, seconds, seed):
    """The same for so many seconds of the clock. What is found is looked at once more: where others
    have the processor, an input may be slow by the clock alone."""
    verdict = run_program(target, seconds, seed)
    if verdict.found and all(is_slow_by_the_clock_alone(target, path) for path in verdict.found):
        for path in verdict.found:
            path.unlink()
        verdict = verdict._replace(found=[], output="")
    return verdict


def is_slow_by_the_clock_alone(target, path):
    if not path.name.startswith("timeout-"):
        return False
    process = subprocess.Popen([PROGRAMS / f"fuzz_{target}", f"-timeout={PATIENCE * INPUT_SECONDS_MAX}",
                                f"-artifact_prefix={FOUND / target}/again-", path], cwd=BUILD,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **ENVIRONMENT})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode == 0 and usage.ru_utime + usage.ru_stime < INPUT_SECONDS_MAX


def run_program(target, seconds, seed):
    grown, found = GROWN / target, FOUND / target
    grown.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    seeds = SEEDS / target
    command = [PROGRAMS / f"fuzz_{target}", f"-timeout={INPUT_SECONDS_MAX}",
               f"-rss_limit_mb={MEMORY_MIB_MAX}", f"-artifact_prefix={found}/",
               "-print_final_stats=1", "-use_value_profile=1", f"-seed={seed}",
               *([f"-max_total_time={seconds}"] if seconds else ["-runs=0"]),
               grown, *([seeds] if seeds.is_dir() else [])]
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=BUILD, stdout=log, stderr=log,
                                   env={**os.environ, **ENVIRONMENT})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        output = log.read().decode(errors="replace")
    edges = [int(number) for number in re.findall(r" cov: (\d+) ", output)]
    executions = [int(number) for number in re.findall(r"^#(\d+)\s", output, re.MULTILINE)]
    corpus = [int(number) for number in re.findall(r" corp: (\d+)/", output)]
    return Verdict(target, max(executions, default=0), max(edges, default=0),
                   corpus[-1] if corpus else 0, time.monotonic() - began,
                   usage.ru_utime + usage.ru_stime, sorted(set(found.iterdir()) - before),
                   "" if process.returncode == 0 else output)


def explain(verdict):
    """What a finding was, and how to see it again."""
    lines = verdict.output.splitlines()
    marks = ("ERROR:", "assertion failed", "runtime error:", "SUMMARY:", "what():", "broken invariant")
    told = [line for line in lines if any(mark in line for mark in marks)] or lines[-5:]
    print(f"\n{verdict.target}:")
    for line in told[:8]:
        print(f"    {line.strip()}")
    for path in verdict.found:
        print(f"  kept as {path.relative_to(REPOSITORY)}; again with\n"
              f"    build-fuzz/tests/fuzz/fuzz_{verdict.target} {path.relative_to(REPOSITORY)}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/fuzz")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus-only", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--make-corpus", action="store_true")
    parser.add_argument("target", nargs="*")
    options = parser.parse_args()
    if options.make_corpus:
        return subprocess.run([PROGRAMS / "fuzz_make_corpus", SEEDS], check=False).returncode
    known = targets()
    unknown = set(options.target) - set(known)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = [name for name in known if not options.target or name in options.target]
    seconds = 0 if options.corpus_only else options.seconds
    print(f"{'target':18}{'executions':>12}{'edges':>8}{'corpus':>8}{'seconds':>9}{'CPU':>7}"
          "  verdict")
    verdicts = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(lambda name: run_one(name, seconds, options.seed), chosen):
            verdicts.append(verdict)
            print(f"{verdict.target:18}{verdict.executions:12}{verdict.edges:8}{verdict.corpus:8}"
                  f"{verdict.seconds:9.0f}{verdict.cpu_seconds:7.0f}"
                  f"  {'FOUND' if verdict.output else 'ok'}", flush=True)
    failed = [verdict for verdict in verdicts if verdict.output]
    for verdict in failed:
        explain(verdict)
    print(f"\n{len(verdicts)} targets, {sum(v.executions for v in verdicts)} executions, "
          f"{len(failed)} with findings")
    return 1 if failed or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
