#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements behind scripts/bench."""

import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple, Optional

import bench_peers
import lab

MIB = 1 << 20


class Sample(NamedTuple):
    """One run. CPU is of all processes that took part."""
    cpu: float
    wall: float
    peak: int  # bytes, of the process that took most
    packets: Optional[int] = None
    dht_bytes: Optional[int] = None


def say(text):
    print(text, file=sys.stderr, flush=True)


def measured(command, **options):
    """Runs a command to its end: CPU seconds, wall seconds, peak bytes. LabError if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, **options)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise lab.LabError(f"{' '.join(map(str, command))}: exit {process.returncode}: {output!r}")
    return Sample(usage.ru_utime + usage.ru_stime, time.monotonic() - began,
                  usage.ru_maxrss * 1024)


class Ends:
    """What the nodes that take part use between `begin` and `end`."""

    def __init__(self, nodes):
        self.nodes = nodes
        for node in nodes:
            # Forget the peak so far (proc(5): clear_refs).
            pathlib.Path(f"/proc/{node.pid}/clear_refs").write_text("5")
        self.before = [self._counters(node) for node in nodes]

    @staticmethod
    def _counters(node):
        traffic = node.status()["traffic"]
        return (node.cpu_seconds(), traffic.get("dht_up_packets", 0), traffic["dht_up_bytes"])

    def end(self, command):
        """The sum of the nodes' use and the command's."""
        after = [self._counters(node) for node in self.nodes]
        used = [[new - old for new, old in zip(late, early)]
                for late, early in zip(after, self.before)]
        peak = max([command.peak, *(node.proc_status("VmHWM") for node in self.nodes)])
        return Sample(command.cpu + sum(row[0] for row in used), command.wall, peak,
                      sum(row[1] for row in used), sum(row[2] for row in used))


def hash_once(binary, path):
    return measured([str(binary), "--json", "hash", str(path)])


def publish_and_fetch(path):
    """One holder: what publishing to it costs, then what fetching from it costs."""
    with lab.Lab("flow29-bench-", parent=path.parent) as the_lab:
        holder = the_lab.add_node(name="holder")
        publisher = the_lab.add_node(name="publisher", bootstrap=[holder], options=["--no-store"])
        reader = the_lab.add_node(name="reader", bootstrap=[holder], options=["--no-store"])
        for node in (publisher, reader):  # the holder has no neighbour that stores
            the_lab.wait_connected(node)

        def run(node, *arguments):
            return measured([str(the_lab.binary), "--json", "--data", str(node.data),
                             *map(str, arguments)], env=the_lab.environment)

        os.sync()  # what was written before is nobody's cost here
        ends = Ends([publisher, holder])
        published = ends.end(run(publisher, "publish", path, "--copies", 1, "--by-reference"))
        root = the_lab.ask("hash", path)["root"]
        publisher.stop()
        target = the_lab.path / "fetched"
        os.sync()
        ends = Ends([reader, holder])
        fetched = ends.end(run(reader, "fetch", root, "-o", target, "--no-share"))
        if not lab.same_bytes(path, target):
            raise lab.LabError("what was fetched is not what was published")
        return published, fetched


def median(samples):
    def of(field):
        values = [getattr(sample, field) for sample in samples]
        return None if None in values else statistics.median(values)
    return Sample(*(of(field) for field in Sample._fields))


def row(name, samples, with_dht):
    if samples is None:
        return f"| {name} | – | – | – |" + (" – | – |" if with_dht else "")
    middle = median(samples)
    text = f"| {name} | {middle.cpu:.2f} | {middle.wall:.2f} | {middle.peak / 1e6:.0f} |"
    if with_dht:
        text += f" {middle.packets:.0f} | {middle.dht_bytes / 1000:.1f} |" \
            if middle.packets is not None else " – | – |"
    return text


def machine():
    model = next((line.partition(":")[2].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, load " \
           f"{os.getloadavg()[0]:.1f} at the start"


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--only", default="", help="ours, libtorrent, nginx")
    options = parser.parse_args()
    wanted = set(filter(None, options.only.split(",")))
    lab.end_on_signals()
    binary = lab.find_binary()
    about = machine()

    with tempfile.TemporaryDirectory(prefix="flow29-bench-") as folder:
        folder = pathlib.Path(folder)
        if shutil.disk_usage(folder).free < 5 * options.size * MIB:
            say(f"{folder} has too little room; set TMPDIR to a larger place")
            return 1
        path = folder / "noise"
        say(f"writing {options.size} MiB of noise")
        lab.write_noise(path, options.size * MIB)

        ours = {"hash": [], "publish, to one holder": [], "fetch, from one holder": []}
        for number in range(options.runs if not wanted or "ours" in wanted else 0):
            say(f"29 Flow, run {number + 1} of {options.runs}")
            ours["hash"].append(hash_once(binary, path))
            published, fetched = publish_and_fetch(path)
            ours["publish, to one holder"].append(published)
            ours["fetch, from one holder"].append(fetched)

        peers = {}
        for name, (tag, measure) in bench_peers.PEERS.items():
            if wanted and tag not in wanted:
                continue
            missing = bench_peers.missing(tag)
            if missing:
                say(f"{name}: skipped, {missing}")
                peers[f"{name} (not here: {missing})"] = None
                continue
            peers[name] = []
            for number in range(options.runs):
                say(f"{name}, run {number + 1} of {options.runs}")
                peers[name].append(Sample(*measure(path, folder)))

    print(f"\n{options.size} MiB of noise on loopback, medians of {options.runs} runs\n{about}\n")
    print("| 29 Flow | CPU-s, all ends | wall s | peak MB, largest end | DHT packets | DHT kB |")
    print("|---|---|---|---|---|---|")
    for name, samples in ours.items():
        print(row(name, samples or None, True))
    print("\n| one source to one sink, on disk and verified | CPU-s, both ends | wall s "
          "| peak MB, largest end |")
    print("|---|---|---|---|")
    print(row("29 Flow, fetch from one holder", ours["fetch, from one holder"] or None, False))
    for name, samples in peers.items():
        print(row(name, samples, False))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except lab.LabError as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
