# SPDX-License-Identifier: GPL-3.0-or-later
"""What hashing and publishing cost."""

import json
import os

import bench_measure
import bench_swarm
import lab

HOLDERS = 4


def _hash_once(path):
    return bench_measure.measured([lab.find_binary(), "--json", "hash", path])


def _start(the_lab, holders):
    """A publisher that stores nothing, and its holders."""
    nodes = []
    for _ in range(holders):
        nodes.append(the_lab.add_node(bootstrap=nodes[:1],
                                      options=bench_swarm.kept_limits(the_lab)))
    publisher = the_lab.add_node(name="publisher", bootstrap=nodes[:1], options=["--no-store"])
    for node in [*nodes[1:], publisher]:  # the first has no neighbour that stores if it is alone
        the_lab.wait_connected(node)
    os.sync()
    return publisher, nodes


def _publish_once(path, holders):
    """(Sample, bytes that the publisher sent) until the last durable acknowledgement."""
    with lab.Lab("flow29-bench-", parent=path.parent) as the_lab:
        publisher, nodes = _start(the_lab, holders)
        ends = bench_measure.Ends([publisher, *nodes])
        up = bench_measure.traffic(publisher)[0]
        sample = ends.end(bench_measure.command(the_lab, publisher, "publish", path, "--copies",
                                                holders, "--by-reference"))
        return sample, bench_measure.traffic(publisher)[0] - up


def _sent_while_hashing(path):
    """Bytes that the publisher had sent when all was hashed."""
    with lab.Lab("flow29-bench-", parent=path.parent) as the_lab:
        publisher, _ = _start(the_lab, HOLDERS)
        up = bench_measure.traffic(publisher)[0]
        process = the_lab.start("publish", path, "--copies", HOLDERS, "--by-reference",
                                data=publisher.data)
        sent = None
        for line in process.stdout:
            if sent is None and json.loads(line).get("stage", "hashing") != "hashing":
                sent = bench_measure.traffic(publisher)[0] - up
        process.communicate()
        return sent


def run(bench):
    path = bench.source(bench.size_mib)
    hashed, one, four, sent = [], [], [], []
    for number in range(bench.runs):
        bench_measure.say(f"hash and publish, run {number + 1} of {bench.runs}")
        hashed.append(_hash_once(path))
        one.append(_publish_once(path, 1)[0])
        sample, up = _publish_once(path, HOLDERS)
        four.append(sample)
        sent.append(up)
    table = bench_measure.Table("29 Flow", "CPU-s, all nodes", "wall s", "peak MB, largest node",
                                "DHT packets", "DHT kB", "DHT puts")
    for name, samples in (("hash", hashed), ("publish, to one holder", one),
                          (f"publish, to {HOLDERS} holders", four)):
        middle = bench_measure.median(samples)
        dht = ("–",) * 3 if middle.packets is None else \
            (f"{middle.packets:.0f}", f"{middle.dht_bytes / 1000:.1f}", f"{middle.puts:.0f}")
        table.row(name, f"{middle.cpu:.2f}", f"{middle.wall:.2f}", f"{middle.peak / 1e6:.0f}",
                  *dht)
    print()
    middle = bench_measure.median(four)
    bounds = bench_measure.Bounds(f"publishing to {HOLDERS} holders")
    bounds.at_most("CPU to hash a GiB", bench_measure.median(hashed).cpu / bench.gib, 1.3, "s")
    bounds.at_most("CPU for a GiB, all nodes, at the fourth durable acknowledgement",
                   middle.cpu / bench.gib, 12, "s")
    bounds.at_most("sent by the publisher, of the file's size",
                   sorted(sent)[len(sent) // 2] / path.stat().st_size, 1.3, "×")
    bounds.at_most("DHT puts of all nodes until then", middle.puts, 300, "", 0)
    ahead = sorted(_sent_while_hashing(path) for _ in range(bench.runs))[bench.runs // 2]
    bounds.told("sent by the publisher when all was hashed, of the file's size",
                f"{ahead / path.stat().st_size:.2f} ×")
