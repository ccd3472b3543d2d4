# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether several holders send things twice, and whether a slow reader makes a node run ahead."""

import statistics
import time

import bench_measure
import bench_swarm
import lab

HOLDERS = 4
RATE = 1_000_000  # bytes a second, of the slow reader
SECONDS = 12
SETTLED_SECONDS = 4


def _sent_for_a_fetch(swarm, reader):
    before = sum(bench_measure.traffic(node)[0] for node in swarm.holders)
    swarm.fetch(reader)
    return sum(bench_measure.traffic(node)[0] for node in swarm.holders) - before


def _slow_reader(swarm, reader):
    """(peak of node, growth of node and command after a while, bytes pulled but not taken)."""
    bench_measure.forget_peak(reader.pid)
    down = bench_measure.traffic(reader)[1]
    process = swarm.lab.start("cat", swarm.root, data=reader.data)
    pids = (reader.pid, process.pid)

    def resident():
        return sum(lab.proc_status(pid, "VmRSS") for pid in pids)
    settled, taken = None, 0
    began = time.monotonic()
    try:
        while time.monotonic() < began + SECONDS:
            due = int((time.monotonic() - began) * RATE)
            if due > taken:
                taken += len(process.stdout.read(due - taken))
            if settled is None and time.monotonic() > began + SETTLED_SECONDS:
                settled = resident()
            time.sleep(0.05)
        grown = resident() - settled
        ahead = bench_measure.traffic(reader)[1] - down - taken
    finally:
        process.kill()
        process.communicate()
    return reader.proc_status("VmHWM"), grown, ahead


def run(bench):
    path = bench.source(bench.size_mib)
    with bench_swarm.Swarm(path, HOLDERS) as swarm:
        sent = []
        for number in range(bench.runs):
            bench_measure.say(f"{HOLDERS} holders, run {number + 1} of {bench.runs}")
            sent.append(_sent_for_a_fetch(swarm, swarm.add_reader(f"reader{number}")))
        bench_measure.say("a slow reader")
        peak, grown, ahead = _slow_reader(swarm, swarm.add_reader("slow"))
    bounds = bench_measure.Bounds("29 Flow")
    bounds.at_most(f"sent by {HOLDERS} holders beyond the file, proofs and frames included",
                   (statistics.median(sent) / path.stat().st_size - 1) * 100, 2, "%")
    bounds.at_most(f"peak memory of the node while cat is read at {RATE / 1e6:.0f} MB/s",
                   peak / 1e6, 128, "MB", 0)
    bounds.at_most(f"growth of node and cat from second {SETTLED_SECONDS} to {SECONDS}",
                   grown / 1e6, 8, "MB", 1)
    bounds.told(f"pulled ahead of the reader after {SECONDS} s", f"{ahead / 1e6:.1f} MB")
