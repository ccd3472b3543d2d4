# SPDX-License-Identifier: GPL-3.0-or-later
"""What crashes cost: a fetch whose node is killed again and again, and a publication."""

import json
import random
import time

import bench_measure
import bench_swarm
import lab

KILLS = 20
HOLDERS = 4


def _next_place(generator, here, size, kills_left):
    """Somewhere in what is still to come, so that on the whole the kills are spread over the file."""
    return here + generator.uniform(0, 2 / (kills_left + 1)) * (size - here)


def _resumed_at(output, size):
    """How much of the file a fetch found there, by the first line that says what is to come."""
    for line in output.decode().splitlines():
        event = json.loads(line)
        if event.get("stage") == "data" and "total_bytes" in event:
            return size - event["total_bytes"]
    return None


def _fetch_through_crashes(swarm, reader):
    """Kills the reader's node KILLS times while it fetches, and fetches on. Where the machine is so
    slow to kill that a fetch ends before, another one is begun. (fetches, bytes that were written
    and came again)."""
    target = swarm.lab.path / "crashed"
    part = bench_swarm.part_of(target)
    generator = random.Random(29)
    kills, fetches, again, written = 0, 1, 0, 0
    while kills < KILLS:
        place = _next_place(generator, lab.written_bytes(part), swarm.size, KILLS - kills)
        process = swarm.lab.start("fetch", swarm.root, "-o", target, "--no-share", data=reader.data)
        bench_measure.await_bytes(part, place, process)
        reader.kill()
        output = process.communicate(timeout=60)[0]
        resumed = _resumed_at(output, swarm.size)
        if resumed is not None:
            again += max(written - resumed, 0)
        reader.start()
        swarm.lab.wait_connected(reader)
        if target.exists():
            swarm.check(target)
            fetches += 1
            written = 0
            continue
        kills += 1
        written = lab.written_bytes(part)
        bench_measure.say(f"kill {kills} of {KILLS}, at {written / swarm.size:.0%}")
    last = reader.run("fetch", swarm.root, "-o", target, "--no-share", seconds=600)
    if last.exit != 0:
        raise lab.LabError(last.report())
    again += max(written - _resumed_at(last.stdout, swarm.size), 0)
    swarm.check(target)
    return fetches, again


def _resume(path):
    """(bytes sent by the holder beyond what undisturbed fetches take, bytes written twice)."""
    with bench_swarm.Swarm(path, 1) as swarm:
        holder = swarm.holders[0]
        start = bench_measure.traffic(holder)[0]
        swarm.fetch(swarm.add_reader("undisturbed"))
        clean = bench_measure.traffic(holder)[0] - start
        fetches, again = _fetch_through_crashes(swarm, swarm.add_reader("reader"))
        return bench_measure.traffic(holder)[0] - start - (1 + fetches) * clean, again


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
    """(bytes that lacked after the crash, bytes received to have them, seconds, how it ended)."""
    size = path.stat().st_size
    with lab.Lab("flow29-bench-", parent=path.parent) as the_lab:
        holders = the_lab.add_swarm(HOLDERS, options=bench_swarm.kept_limits(the_lab))
        publisher = the_lab.add_node(name="publisher", bootstrap=holders[:1],
                                     options=["--no-store"])
        the_lab.wait_connected(publisher)
        process = the_lab.start("publish", path, "--copies", HOLDERS, "--by-reference",
                                data=publisher.data)
        lab.wait_until(lambda: bench_measure.traffic(publisher)[0] > size // 2 or
                       process.poll() is not None, "half of it to be sent", 600, 0.05)
        publisher.kill()
        process.communicate(timeout=60)
        before = _await_rest(holders)
        received = sum(bench_measure.traffic(node)[1] for node in holders)
        publisher.options[1] = str(publisher.port)  # as a node comes back: where it was
        publisher.start()
        the_lab.wait_connected(publisher)
        began = time.monotonic()
        again = publisher.run("publish", path, "--copies", HOLDERS, "--by-reference", seconds=1200)
        seconds = time.monotonic() - began
        received = sum(bench_measure.traffic(node)[1] for node in holders) - received
        return HOLDERS * size - before, received, seconds, again


def run(bench):
    path = bench.source(bench.size_mib)
    size = path.stat().st_size
    sent, written = _resume(path)
    bench_measure.say("publishing, killed half-way, and again")
    lacked, received, seconds, again = _publish_again(path)
    least = again.result.get("copies", {}).get("min", 0)
    bounds = bench_measure.Bounds(f"{bench.size_mib} MiB")
    bounds.at_most(f"{KILLS} kills while fetching: written, and fetched again, of the file",
                   written / size * 100, 2, "%")
    bounds.told(f"{KILLS} kills while fetching: sent twice by the holder, what was under way included",
                f"{sent / size * 100:.2f} %")
    bounds.told("a publisher killed when half of it was sent: lacking at its four holders",
                f"{lacked / 1e6:.0f} MB")
    name = "published again: copies"
    bounds.table.row(name, *bounds.judge(name, f"{least} after {seconds:.0f} s", f"≥ {HOLDERS}",
                                         least >= HOLDERS))
    bounds.at_most("published again: received by the holders, of what lacked",
                   received / lacked if lacked > 0 else None, 1.1, "×")
