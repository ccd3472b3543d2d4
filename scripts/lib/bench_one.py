# SPDX-License-Identifier: GPL-3.0-or-later
"""One holder to one reader, beside what else brings a file from one process to another."""

import bench_measure
import bench_peers
import bench_swarm

TAGS = ("libtorrent", "libtorrent-ssl", "aria2", "transmission", "syncthing", "nginx", "rsync")
LARGE_MIB = 8192


def _fetch_twice(path):
    """What a holder reads from its disk, and then what it has in memory.

    A holder writes past the page cache, while all others have just read or written the file.
    """
    with bench_swarm.Swarm(path, 1) as swarm:
        return swarm.fetch(swarm.add_reader("cold")), swarm.fetch(swarm.add_reader("warm"))


def _row(table, name, samples, why):
    if not samples:
        table.row(f"{name} (not measured: {why})", "–", "–", "–")
        return
    middle = bench_measure.median(samples)
    table.row(name, f"{middle.cpu:.2f}", f"{middle.wall:.2f}", f"{middle.peak / 1e6:.0f}")


def run(bench):
    path = bench.source(bench.size_mib)
    cold, ours, peers = [], [], {tag: [] for tag in TAGS}
    missing = {tag: bench_peers.PEERS[tag].missing() for tag in TAGS}
    # In turns, so that what else the machine does hits all alike.
    for number in range(bench.runs):
        bench_measure.say(f"29 Flow, run {number + 1} of {bench.runs}")
        for samples, sample in zip((cold, ours), _fetch_twice(path)):
            samples.append(sample)
        for tag in TAGS:
            if missing[tag] or number >= bench_peers.PEERS[tag].runs_max:
                continue
            bench_measure.say(f"{bench_peers.PEERS[tag].name}, run {number + 1}")
            sample = bench_peers.try_one(tag, path, bench.folder)
            if sample is None:
                missing[tag] = "it failed, see above"
            else:
                peers[tag].append(sample)
    large = None
    if bench.large:
        bench_measure.say(f"29 Flow, {LARGE_MIB} MiB")
        large = _fetch_twice(bench.source(LARGE_MIB))[1]

    table = bench_measure.Table("one source to one sink, on disk and verified",
                                "CPU-s, both ends", "wall s", "peak MB, largest end")
    _row(table, "29 Flow, fetch from one holder", ours, "")
    _row(table, "29 Flow, and the holder reads from its disk", cold, "")
    for tag in TAGS:
        _row(table, bench_peers.PEERS[tag].name, peers[tag], missing[tag])
    print()
    _bounds(bench, bench_measure.median(ours), large,
            {tag: bench_measure.median(samples) for tag, samples in peers.items() if samples})


def _bounds(bench, ours, large, peers):
    bounds = bench_measure.Bounds("one holder to one reader")
    bounds.at_most("CPU for a GiB, both ends", ours.cpu / bench.gib, 3.0, "s")
    bounds.at_most("peak memory of an end", ours.peak / 1e6, 128, "MB", 0)
    if large:
        bounds.at_most(f"peak memory of an end, {LARGE_MIB >> 10} GiB", large.peak / 1e6, 128,
                       "MB", 0)
        bounds.told(f"CPU for a GiB of {LARGE_MIB >> 10}, both ends",
                    f"{large.cpu * 1024 / LARGE_MIB:.2f} s")
    else:
        bounds.told("peak memory of an end, 8 GiB", "with --large")

    def ratio(field, tag, bound):
        words = {"cpu": "CPU", "wall": "wall time"}[field]
        name = f"{words} beside {bench_peers.PEERS[tag].name}"
        if tag in peers:
            bounds.at_most(name, getattr(ours, field) / getattr(peers[tag], field), bound, "×")
        else:
            bounds.at_most(f"{name} (not measured)", None, bound, "×")
    ratio("cpu", "libtorrent", 0.5)
    ratio("cpu", "libtorrent-ssl", 0.25)
    ratio("cpu", "syncthing", 0.35)
    ratio("wall", "libtorrent", 0.5)
    ratio("wall", "nginx", 1.0)
