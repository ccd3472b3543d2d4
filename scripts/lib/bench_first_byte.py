# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a node that has just joined, and knows a bare hash, waits for the first verified byte."""

import http.client
import statistics
import time
import urllib.parse

import bench_measure
import first_byte
import lab
import namespaces

NODES = 32
FILE_MIB = 64
IDLE_SECONDS = 2  # after joining, so that what comes with that is over
RUNS_MIN = 5
RTT_MS = 40


def _fetch(the_lab, node, root):
    """(ms that the node says, ms of the whole command)."""
    target = the_lab.path / "fetched"
    began = time.monotonic()
    result = node.ask("fetch", root, "-o", target, "--no-share")
    wall = time.monotonic() - began
    target.unlink()
    return result["first_byte_ms"], wall * 1000


def _cat(the_lab, node, root):
    """ms from starting the command to its first byte."""
    began = time.monotonic()
    process = the_lab.start("cat", root, data=node.data)
    try:
        if not process.stdout.read(1):
            raise lab.LabError(f"cat: {process.stderr.read()[-500:]!r}")
        return (time.monotonic() - began) * 1000
    finally:
        process.kill()
        process.communicate()


def _gateway(node, root):
    """ms from connecting to the first byte of the body."""
    connection = http.client.HTTPConnection(
        urllib.parse.urlsplit(node.ready["gateway"]).netloc, timeout=60)
    try:
        began = time.monotonic()
        connection.request("GET", f"/f/{root}")
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read(1):
            raise lab.LabError(f"the gateway says {answer.status}")
        return (time.monotonic() - began) * 1000
    finally:
        connection.close()


def _at_a_distance(runs):
    """{way: [ms…]} with every round trip taking RTT_MS; None where packets cannot be held back."""
    if not namespaces.can_delay():
        return None
    bench_measure.say(f"first byte, {RTT_MS} ms round trips")
    with lab.Lab("flow29-bench-") as the_lab:
        swarm = first_byte.FirstByte(the_lab, NODES, RTT_MS, runs, bench_measure.say)
        try:
            swarm.start()
            return swarm.run(runs, False, 0)
        finally:
            swarm.close()


def run(bench):
    path = bench.source(FILE_MIB)
    runs = max(bench.runs, RUNS_MIN)
    spent = {"fetch": [], "fetch, whole command": [], "cat": [], "gateway": []}
    with lab.Lab("flow29-bench-", parent=bench.folder) as the_lab:
        swarm = the_lab.add_swarm(NODES)
        root = swarm[-1].ask("publish", path)["root"]

        def fresh():
            node = the_lab.add_node(bootstrap=swarm[:1], options=[
                "--no-store", "--web", "off", "--gateway", "127.0.0.1:0"])
            the_lab.wait_connected(node)
            time.sleep(IDLE_SECONDS)
            return node

        # Each way on a node of its own: what one has learned, the next must not know.
        for number in range(runs):
            bench_measure.say(f"first byte, run {number + 1} of {runs}")
            node = fresh()
            first, whole = _fetch(the_lab, node, root)
            spent["fetch"].append(first)
            spent["fetch, whole command"].append(whole)
            node.stop()
            for way, measure in (("cat", lambda node: _cat(the_lab, node, root)),
                                 ("gateway", lambda node: _gateway(node, root))):
                node = fresh()
                spent[way].append(measure(node))
                node.stop()
    table = bench_measure.Table(f"{FILE_MIB} MiB out of {NODES} nodes, {runs} runs", "least ms",
                                "median ms", "most ms")
    for way, times in spent.items():
        table.row(way, f"{min(times):.0f}", f"{statistics.median(times):.0f}", f"{max(times):.0f}")
    print()
    bounds = bench_measure.Bounds("first byte by bare hash, median")
    for way in first_byte.WAYS:
        bounds.at_most(f"{way}, on a node that joined {IDLE_SECONDS} s ago",
                       statistics.median(spent[way]), 150, "ms", 0)
    distant = _at_a_distance(runs)
    for way in first_byte.WAYS:
        trips = distant and statistics.median(distant[way]) / RTT_MS
        bounds.at_most(f"{way}, {RTT_MS} ms away" + (
            "" if distant else " (needs root, iptables and its NFQUEUE target)"),
            trips, first_byte.ROUND_TRIPS_MAX, "round trips", 1)
