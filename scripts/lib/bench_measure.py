# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sections of scripts/bench share: runs that are measured, their medians, and tables."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple, Optional

import lab

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


class Sample(NamedTuple):
    """One run. CPU is of all processes that took part."""
    cpu: float
    wall: float
    peak: int  # bytes, of the process that took most
    packets: Optional[int] = None  # of the DHT, sent by our nodes, with their bytes
    dht_bytes: Optional[int] = None
    puts: Optional[int] = None


def say(text):
    """What goes on now: to standard error, so that standard output is the tables and nothing else."""
    print(text, file=sys.stderr, flush=True)


def median(samples):
    """The median of each field by itself; None where a sample has none."""
    def of(field):
        values = [getattr(sample, field) for sample in samples]
        return None if None in values else statistics.median(values)
    return Sample(*(of(field) for field in Sample._fields))


def measured(command, **options):
    """Runs a command to its end: CPU seconds, wall seconds, peak bytes. LabError if it fails."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, preexec_fn=lab.die_with_parent,
                                   **options)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            text = output.read().decode(errors="replace").strip()
            raise lab.LabError(f"{' '.join(map(str, command))}: exit {process.returncode}: "
                               f"{text[-1000:]}")
    return Sample(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024)


class Background:
    """A process that runs while something is measured; ended, by its id, on leaving."""

    def __init__(self, command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(list(map(str, command)), preexec_fn=lab.die_with_parent,
                                        **options)
        self.before = 0.0

    @property
    def pid(self):
        return self.process.pid

    def begin(self):
        """What was used so far does not count."""
        self.before = lab.cpu_seconds(self.pid, with_children=True)

    def cpu(self):
        """Since `begin`, with that of the children that ended."""
        return lab.cpu_seconds(self.pid, with_children=True) - self.before

    def peak(self):
        return lab.proc_status(self.pid, "VmHWM")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.stdin:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def forget_peak(pid):
    """VmHWM counts from now on (proc(5): clear_refs)."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


class Ends:
    """What nodes use from construction to `end`."""

    def __init__(self, nodes):
        self.nodes = nodes
        for node in nodes:
            forget_peak(node.pid)
        self.before = [self._counters(node) for node in nodes]

    @staticmethod
    def _counters(node):
        status = node.status()
        traffic = status["traffic"]
        return (node.cpu_seconds(), traffic["dht_up_packets"], traffic["dht_up_bytes"],
                status["dht"]["puts"])

    def end(self, command):
        """The sum of the nodes' use and the command's; the command's wall time."""
        after = [self._counters(node) for node in self.nodes]
        used = [sum(column) for column in zip(*([new - old for new, old in zip(late, early)]
                                                for late, early in zip(after, self.before)))]
        peak = max([command.peak, *(node.proc_status("VmHWM") for node in self.nodes)])
        return Sample(command.cpu + used[0], command.wall, peak, *used[1:])


def command(the_lab, node, *arguments):
    """A measured command that speaks to a node of ours."""
    return measured([str(the_lab.binary), "--json", "--data", str(node.data),
                     *map(str, arguments)], env=the_lab.environment)


def traffic(node):
    """Bytes over the node's connections since its start: (up, down). Frames whole, TLS apart."""
    counters = node.status()["traffic"]
    return counters["up_bytes"], counters["down_bytes"]


def await_bytes(path, count, process, seconds=120):
    """Returns when a file that `process` writes has so many bytes; False if it ended before."""
    deadline = time.monotonic() + seconds
    while lab.written_bytes(path) < count:
        if process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            raise lab.LabError(f"{path} did not grow to {count} bytes within {seconds} s")
        time.sleep(0.003)
    return True


class Table:
    """Rows of a Markdown table, printed as they come."""

    def __init__(self, *columns):
        self.row(*columns)
        print("|" + "---|" * len(columns))

    @staticmethod
    def row(*cells):
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


class Bounds:
    """A table of what was promised: measured, the bound, and whether it holds."""

    kept = 0
    broken = []  # over all sections

    def __init__(self, title):
        self.table = Table(title, "measured", "bound", "holds")

    def at_most(self, name, value, bound, unit="", digits=2):
        """`value` may be None: it could not be measured, and `name` says why."""
        unit = unit and " " + unit
        limit = f"≤ {bound:g}{unit}"
        if value is None:
            self.table.row(name, "–", limit, "–")
            return
        self.table.row(name, *self.judge(name, f"{value:.{digits}f}{unit}", limit, value <= bound))

    @staticmethod
    def judge(name, measured, bound, holds):
        """Counts it; the last three cells of its row."""
        if holds:
            Bounds.kept += 1
        else:
            Bounds.broken.append(f"{name}: {measured}, bound {bound}")
        return measured, bound, "yes" if holds else "**no**"

    def told(self, name, text):
        """A figure that nothing was promised about, or why there is none."""
        self.table.row(name, text, "–", "–")
