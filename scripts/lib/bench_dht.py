# SPDX-License-Identifier: GPL-3.0-or-later
"""What publishing asks of the DHT, at once and for ever."""

import time

import bench_measure
import bench_swarm
import lab

HOLDERS = 4
QUIET_SECONDS = 5
WAIT_SECONDS = 120


def _counters(nodes):
    rows = [node.status() for node in nodes]
    return {"puts": sum(row["dht"]["puts"] for row in rows),
            "lookups": sum(row["dht"]["lookups"] for row in rows),
            "packets": sum(row["traffic"]["dht_up_packets"] for row in rows),
            "bytes": sum(row["traffic"]["dht_up_bytes"] for row in rows)}


def _await_quiet(nodes):
    """Until no node has put anything for a while, or for as long as that takes at most."""
    deadline = time.monotonic() + WAIT_SECONDS
    puts, since = _counters(nodes)["puts"], time.monotonic()
    while time.monotonic() < min(since + QUIET_SECONDS, deadline):
        time.sleep(0.5)
        now = _counters(nodes)["puts"]
        if now != puts:
            puts, since = now, time.monotonic()


def run(bench):
    path = bench.source(bench.size_mib)
    with lab.Lab("flow29-bench-", parent=path.parent) as the_lab:
        nodes = the_lab.add_swarm(HOLDERS, options=bench_swarm.kept_limits(the_lab))
        publisher = the_lab.add_node(name="publisher", bootstrap=nodes[:1], options=["--no-store"])
        the_lab.wait_connected(publisher)
        everybody = [publisher, *nodes]
        _await_quiet(everybody)
        before = _counters(everybody)
        published = publisher.ask("publish", path, "--copies", HOLDERS, "--by-reference")
        at_done = _counters(everybody)
        _await_quiet(everybody)
        at_rest = _counters(everybody)
        announce = [node.status()["announce"] for node in everybody]
    table = bench_measure.Table(f"DHT, {len(everybody)} nodes, {published['extents']} extents",
                                "puts", "look-ups", "packets", "kB")
    for name, after in (("until the last acknowledgement", at_done), ("until quiet", at_rest)):
        table.row(name, after["puts"] - before["puts"], after["lookups"] - before["lookups"],
                  after["packets"] - before["packets"],
                  f"{(after['bytes'] - before['bytes']) / 1000:.0f}")
    print()
    bounds = bench_measure.Bounds("DHT")
    bounds.at_most("DHT puts of all nodes, until quiet", at_rest["puts"] - before["puts"], 300, "",
                   0)
    bounds.told("records kept by all nodes", sum(row["records"] for row in announce))
    bounds.told("puts an hour to keep them, all nodes",
                f"{sum(row['due_per_hour'] for row in announce):.1f}")
    bounds.told("nodes that do not keep up", sum(row["behind"] for row in announce))
