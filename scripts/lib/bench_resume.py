# SPDX-License-Identifier: GPL-3.0-or-later
"""What crashes cost: a fetch whose node is killed again and again, and a publication."""

import random
import time

import bench_measure
import bench_swarm
import lab

KILLS = 20
HOLDERS = 4


def _fetch_through_crashes(swarm, reader):
    """Kills the reader's node at random places of the file, then lets the fetch end."""
    target = swarm.lab.path / "crashed"
    generator = random.Random(29)
    places = sorted(generator.uniform(0, swarm.size) for _ in range(KILLS))
    for number, place in enumerate(places):
        bench_measure.say(f"kill {number + 1} of {KILLS}, at {place / swarm.size:.0%}")
        process = swarm.lab.start("fetch", swarm.root, "-o", target, "--no-share", data=reader.data)
        under_way = bench_measure.await_bytes(bench_swarm.part_of(target), place, process)
        reader.kill()
        process.communicate(timeout=60)
        reader.start()
        swarm.lab.wait_connected(reader)
        if not under_way:
            break  # it ended before: nothing is left to be interrupted
    if not target.exists():
        reader.ask("fetch", swarm.root, "-o", target, "--no-share", seconds=600)
    swarm.check(target)
    return number + 1


def _resume(path):
    """(kills, bytes sent by the holder through them, bytes sent for a fetch without)."""
    with bench_swarm.Swarm(path, 1) as swarm:
        holder = swarm.holders[0]
        start = bench_measure.traffic(holder)[0]
        swarm.fetch(swarm.add_reader("undisturbed"))
        clean = bench_measure.traffic(holder)[0] - start
        kills = _fetch_through_crashes(swarm, swarm.add_reader("reader"))
        return kills, bench_measure.traffic(holder)[0] - start - clean, clean


def _stored(nodes):
    return sum(node.status()["storage"]["used_bytes"] for node in nodes)


def _await_rest(nodes):
    """Until nothing more is taken in, now that its source is gone."""
    stored, since = _stored(nodes), time.monotonic()
    while time.monotonic() < since + 5:
        time.sleep(0.5)
        now = _stored(nodes)
        if now != stored:
            stored, since = now, time.monotonic()
    return stored


def _publish_again(path):
    """(bytes that lacked after the crash, bytes received to have them), over all holders."""
    size = path.stat().st_size
    with lab.Lab("flow29-bench-", parent=path.parent) as the_lab:
        holders = the_lab.add_swarm(HOLDERS, options=bench_swarm.kept_limits(the_lab))
        publisher = the_lab.add_node(name="publisher", bootstrap=holders[:1],
                                     options=["--no-store"])
        the_lab.wait_connected(publisher)
        process = the_lab.start("publish", path, "--copies", HOLDERS, "--by-reference",
                                data=publisher.data)
        lab.wait_until(lambda: _stored(holders) > HOLDERS * size // 2 or
                       process.poll() is not None, "half of the copies", 600, 0.1)
        publisher.kill()
        process.communicate(timeout=60)
        before = _await_rest(holders)
        publisher.start()
        the_lab.wait_connected(publisher)
        received = sum(bench_measure.traffic(node)[1] for node in holders)
        publisher.ask("publish", path, "--copies", HOLDERS, "--by-reference", seconds=1200)
        received = sum(bench_measure.traffic(node)[1] for node in holders) - received
        return _stored(holders) - before, received


def run(bench):
    path = bench.source(bench.size_mib)
    kills, crashed, clean = _resume(path)
    bench_measure.say("publishing, killed half-way, and again")
    lacked, received = _publish_again(path)
    table = bench_measure.Table("29 Flow", "MB")
    table.row("sent by the holder for a fetch", f"{clean / 1e6:.1f}")
    table.row(f"sent by the holder for a fetch with {kills} kills of its node",
              f"{crashed / 1e6:.1f}")
    table.row("lacking at four holders after their publisher's crash", f"{lacked / 1e6:.1f}")
    table.row("received by them when it publishes again", f"{received / 1e6:.1f}")
    print()
    bounds = bench_measure.Bounds("crashes")
    bounds.at_most(f"sent again, of the file's size, {kills} kills",
                   (crashed - clean) / path.stat().st_size * 100, 2, "%")
    bounds.at_most("received when published again, of what lacked",
                   received / lacked if lacked > 0 else None, 1.1, "×")
