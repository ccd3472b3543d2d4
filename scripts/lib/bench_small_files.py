# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand small files as one directory, beside one file of their size, and beside others."""

import filecmp
import os
import random
import shutil

import bench_measure
import bench_peers
import bench_swarm
import lab

FILES = 10_000
FOLDERS = 100
LEAST, MOST = 4 << 10, 64 << 10
AS_FAST_AS = ("rsync", "libtorrent-v1")
TAGS = ("rsync", "libtorrent-v1", "libtorrent", "syncthing")


def _write_tree(top):
    """Gives the sum of the files' sizes."""
    generator = random.Random(29)
    total = 0
    for number in range(FILES):
        folder = top / f"{number % FOLDERS:02}"
        folder.mkdir(parents=True, exist_ok=True)
        data = generator.randbytes(generator.randrange(LEAST, MOST))
        (folder / f"{number}.bin").write_bytes(data)
        total += len(data)
    return total


def _same_tree(first, second):
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    there = sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    return names == there and not any(filecmp.cmpfiles(first, second, names, shallow=False)[1:])


def directories_missing(folder):
    """Why this build does not publish directories; nothing when it does."""
    with lab.Lab("flow29-bench-", parent=folder) as the_lab:
        node = the_lab.add_node(options=["--no-store"])
        probe = the_lab.path / "probe"
        probe.mkdir()
        (probe / "file").write_text("29")
        outcome = node.run("publish", probe, "--wait", "none")
        if outcome.exit == 0:
            return None
        return f"not available in this build: {outcome.result.get('message', outcome.stderr)}"


def _unpacked(archive, kept):
    """What `tar x` and syncing take: the disk's own price for as many files."""
    kept.mkdir()
    return bench_measure.measured(["sh", "-c", 'tar xf "$1" -C "$2" && sync -f "$2"', "sh",
                                   archive, kept])


def _ours(top, kept):
    """(publishing, fetching, files): Samples of both ends, with one holder, and how many files that
    has then. What came is left at `kept`."""
    with lab.Lab("flow29-bench-", parent=top.parent) as the_lab:
        holder = the_lab.add_node(name="holder", options=bench_swarm.kept_limits(the_lab))
        publisher = the_lab.add_node(name="publisher", bootstrap=[holder], options=["--no-store"])
        the_lab.wait_connected(publisher)
        os.sync()
        ends = bench_measure.Ends([publisher, holder])
        published = ends.end(bench_measure.command(the_lab, publisher, "publish", top, "--copies",
                                                   1))
        files = sum(path.is_file() for path in holder.data.rglob("*"))
        root = publisher.ask("ls")["objects"]
        root = next(entry["root"] for entry in root if entry["name"].rstrip("/") == top.name)
        publisher.stop()
        reader = the_lab.add_node(name="reader", bootstrap=[holder], options=["--no-store"])
        the_lab.wait_connected(reader)
        target = the_lab.path / "fetched"
        os.sync()
        ends = bench_measure.Ends([reader, holder])
        fetched = ends.end(bench_measure.command(the_lab, reader, "fetch", root, "-o", target,
                                                 "--no-share"))
        same = _same_tree(top, target) if top.is_dir() else lab.same_bytes(top, target)
        if not same:
            raise lab.LabError("what was fetched is not what was published")
        target.rename(kept)
        return published, fetched, files


def run(bench):
    top = bench.folder / "small"
    bench_measure.say(f"writing {FILES} files")
    total = _write_tree(top)
    whole = bench.folder / "whole"
    lab.write_noise(whole, total)
    kept = bench.folder / "kept"
    kept.mkdir()
    try:
        _measure(bench, top, whole, total)
    finally:
        shutil.rmtree(top)
        shutil.rmtree(kept)
        whole.unlink()


def _measure(bench, top, whole, total):
    files_kept = []
    ours = {"one file, publish": [], "one file, fetch": [], "directory, publish": [],
            "directory, fetch": []}
    why = directories_missing(bench.folder)
    peers = {tag: [] for tag in TAGS}
    missing = {tag: bench_peers.PEERS[tag].missing() for tag in TAGS}
    # Nothing is deleted between these runs: ext4 without a journal walks past each inode that was
    # freed in the last minutes whenever it makes a file, and that would be what is measured.
    kept = bench.folder / "kept"
    archive = kept / "tar"
    bench_measure.measured(["tar", "cf", archive, "-C", top.parent, top.name])
    unpacked = []
    for number in range(bench.runs):
        bench_measure.say(f"small files, run {number + 1} of {bench.runs}")
        for kind, path in (("one file", whole), ("directory", None if why else top)):
            if path:
                published, fetched, files = _ours(path, kept / f"{kind} {number}")
                if path == top:
                    files_kept.append(files)
                ours[f"{kind}, publish"].append(published)
                ours[f"{kind}, fetch"].append(fetched)
        unpacked.append(_unpacked(archive, kept / f"unpacked {number}"))
    for number in range(bench.runs):
        bench_measure.say(f"small files by others, run {number + 1} of {bench.runs}")
        for tag in TAGS:
            sample = None if missing[tag] else bench_peers.try_one(tag, top, bench.folder)
            if sample:
                peers[tag].append(sample)
            else:
                missing[tag] = missing[tag] or "it failed, see above"
    table = bench_measure.Table(f"{FILES} files, {total / 1e6:.0f} MB", "CPU-s, both ends",
                                "wall s", "peak MB, largest end")
    rows = [(f"29 Flow, {name}", samples, why) for name, samples in ours.items()]
    rows += [(f"{bench_peers.PEERS[tag].name}, directory", peers[tag], missing[tag])
             for tag in TAGS]
    rows.append(("tar x and sync, on this disk", unpacked, None))
    for name, samples, reason in rows:
        if samples:
            middle = bench_measure.median(samples)
            table.row(name, f"{middle.cpu:.2f}", f"{middle.wall:.2f}", f"{middle.peak / 1e6:.0f}")
        else:
            table.row(f"{name} (not measured: {reason})", "–", "–", "–")
    print()
    bounds = bench_measure.Bounds("beside one file of the same size")
    middle = {name: bench_measure.median(samples) for name, samples in ours.items() if samples}
    for action in ("publish", "fetch"):
        beside = None if why else (middle[f"directory, {action}"].wall /
                                   middle[f"one file, {action}"].wall)
        bounds.at_most(f"directory: wall of the {action}", beside, 2, "times")
    others = [bench_measure.median(peers[tag]).wall for tag in AS_FAST_AS if peers[tag]]
    bounds.at_most("directory: wall of the fetch beside the faster of rsync and libtorrent v1",
                   None if why or not others
                   else middle["directory, fetch"].wall / min(others), 1, "times")
    bounds.at_most("directory: DHT puts of both nodes",
                   None if why else middle["directory, publish"].puts, 500, digits=0)
    bounds.at_most("directory: files in the holder's data directory",
                   None if why else max(files_kept), 300, digits=0)
