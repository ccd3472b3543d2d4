#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swarm of real nodes of which some are hostile: what is lost, what is fetched and how fast.

The measurement behind scripts/hostile; tests/system/test_hostile.py runs a small one.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time

import hostile
import lab

COPIES = 4
READERS = 3
FETCH_IDLE = "30s"  # without a byte, then a fetch gives up
MEMORY_MAX = 256 << 20
SLOWER_MAX = 2.0


@dataclasses.dataclass
class Published:
    """An object of the swarm: where its content is, and what it consists of."""
    path: object
    root: str
    copies: int
    elapsed_ms: float
    extents: set = dataclasses.field(default_factory=set)


@dataclasses.dataclass
class Fetched:
    """How a fetch ended."""
    fetched: bool
    wrong: bool
    elapsed_ms: float
    report: str


def read_catalogue(node, query):
    """Rows of a copy of it: while the node runs, nobody else may open its own."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("catalogue.db", "catalogue.db-wal"):
            if (node.data / name).exists():
                shutil.copy(node.data / name, place)
        with contextlib.closing(sqlite3.connect(pathlib.Path(place) / "catalogue.db")) as copy:
            return copy.execute(query).fetchall()


def kept_by(node):
    """The hashes of extents, and the roots of descriptors, in a node's store; as hexadecimal."""
    extents = {row[0].hex() for row in read_catalogue(node, "SELECT hash FROM extents")}
    roots = {row[0].hex() for row in read_catalogue(
        node, "SELECT root FROM objects JOIN descriptors ON object = id")}
    return extents, roots


def extents_of(node, root):
    """The hashes of an object's extents, from the catalogue of who published it."""
    return {row[0].hex() for row in read_catalogue(
        node, "SELECT hash FROM members JOIN objects ON object = id "
              f"WHERE root = x'{root}'")}


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


class HostileSwarm:
    """`nodes` storing nodes of which `hostile` are hostile, in all the ways there are in turn."""

    def __init__(self, the_lab, nodes, hostile, seed, say=lambda text: None):
        self.lab = the_lab
        self.count = nodes
        self.bad_count = hostile
        self.random = random.Random(seed)
        self.say = say
        self.honest = []
        self.bad = []
        self.readers = []

    def start(self):
        ways = hostile.behaviours()
        self.random.shuffle(ways)
        for _ in range(self.count - self.bad_count):
            self.honest.append(self.lab.add_node(
                bootstrap=self.honest[:1],
                options=["--quota-publisher", "100%", "--quota-group", "100%"]))
        for place in range(self.bad_count):
            self.bad.append(hostile.add(self.lab, ways[place % len(ways)],
                                        bootstrap=self.honest[:1]))
        for node in self.honest:
            self.lab.wait_connected(node)
        self.say(f"{len(self.honest)} honest nodes and {len(self.bad)} hostile ones: " +
                 ", ".join(sorted(node.behaviour for node in self.bad)))

    def add_publisher(self):
        """A node that stores nothing; its caller ends it when all is published."""
        publisher = self.lab.add_node(name=f"publisher{len(self.lab.nodes)}", options=["--no-store"],
                                      bootstrap=self.random.sample(self.honest, 2))
        self.lab.wait_connected(publisher)
        return publisher

    def publish_one(self, publisher, size, copies=COPIES, extent_chunks=None):
        """Publishes a file of random bytes."""
        seed = self.random.randrange(1 << 30)
        path = self.lab.file(f"{publisher.name}-{seed}", size, seed)
        options = ["--copies", copies]
        if extent_chunks:
            options += ["--extent-chunks", extent_chunks]
        began = time.monotonic()
        outcome = publisher.run("publish", path, *options, seconds=600)
        elapsed = (time.monotonic() - began) * 1000
        if outcome.exit not in (0, 12):  # fewer copies than asked is a result
            raise lab.LabError(outcome.report())
        root = outcome.result["root"]
        return Published(path, root, copies, elapsed, extents_of(publisher, root))

    def publish(self, files, size, copies=COPIES, extent_chunks=None):
        """Publishes files from a node that goes away afterwards."""
        publisher = self.add_publisher()
        found = [self.publish_one(publisher, size, copies, extent_chunks) for _ in range(files)]
        publisher.kill()
        self.say(f"published {files} files of {size} bytes, {copies} copies each")
        return found

    def add_readers(self):
        """Nodes that have nothing and know nobody but two honest ones; earlier readers end."""
        for reader in self.readers:
            reader.kill()
        self.readers = []
        for _ in range(READERS):
            reader = self.lab.add_node(name=f"reader{len(self.lab.nodes)}", options=["--no-store"],
                                       bootstrap=self.random.sample(self.honest, 2))
            self.lab.wait_connected(reader)
            self.readers.append(reader)

    def fetch_all(self, objects):
        """Fetches each object once, by readers that have nothing."""
        self.add_readers()
        return [self.fetch(place, item) for place, item in enumerate(objects)]

    def fetch(self, place, item):
        """Fetches an object by one of the readers in turn."""
        reader = self.readers[place % len(self.readers)]
        target = self.lab.path / "fetched"
        began = time.monotonic()
        outcome = reader.run("fetch", item.root, "-o", target, "--no-share", "--timeout", FETCH_IDLE,
                             seconds=600)
        elapsed = (time.monotonic() - began) * 1000
        fetched = outcome.exit == 0
        wrong = target.exists() and not lab.same_bytes(item.path, target)
        target.unlink(missing_ok=True)
        return Fetched(fetched, wrong, elapsed, outcome.report())

    def kept(self):
        """What honest nodes keep, together: extents, and roots of descriptors."""
        extents, roots = set(), set()
        for node in self.honest:
            more_extents, more_roots = kept_by(node)
            extents |= more_extents
            roots |= more_roots
        return extents, roots

    @staticmethod
    def is_whole(item, kept):
        """Whether honest nodes keep all of an object."""
        return item.root in kept[1] and item.extents <= kept[0]

    def dead(self):
        """Honest nodes that have ended."""
        return [node.name for node in self.honest + self.readers if not node.running]

    def memory_max(self):
        """The most that an honest node had resident, in bytes."""
        return max(node.proc_status("VmHWM") for node in self.honest + self.readers)


@dataclasses.dataclass
class Plan:
    """What is published in each swarm: many small extents to count losses, files to time."""
    nodes: int
    lossy_files: int
    lossy_extents: int
    timed_files: int
    timed_bytes: int
    seed: int


class Clean:
    """The swarm without hostile nodes, and what is published to it and fetched from it each time
    another is measured."""

    def __init__(self, the_lab, plan, say):
        self.swarm = HostileSwarm(the_lab, plan.nodes, 0, plan.seed, say)
        self.swarm.start()
        self.objects = []
        self.published_ms = []
        self.elapsed_ms = []
        self.wrong = 0
        self.missed = []

    def fetch(self, place):
        outcome = self.swarm.fetch(place, self.objects[place])
        self.wrong += outcome.wrong
        if outcome.fetched:
            self.elapsed_ms.append(outcome.elapsed_ms)
        else:
            self.missed.append(outcome.report)

    def row(self):
        whole = len(self.elapsed_ms) + len(self.missed)
        return {"share": 0.0, "hostile": 0, "items": {4: 0, 5: 0}, "wrong": self.wrong,
                "whole": whole, "fetched": len(self.elapsed_ms), "missed": self.missed,
                "published": percentiles(self.published_ms),
                "p50": quantile(self.elapsed_ms, 0.5), "p99": quantile(self.elapsed_ms, 0.99),
                "memory": self.swarm.memory_max(), "dead": self.swarm.dead()}


def percentiles(values):
    return f"{quantile(values, 0.5):.0f}, {quantile(values, 0.99):.0f}"


def publish_in_turns(swarm, clean, plan):
    """Publishes the timed files to a swarm, and as many to the clean one in turns with them.
    Those of the swarm, and the clean times."""
    publisher, clean_publisher = swarm.add_publisher(), clean.swarm.add_publisher()
    objects = []
    clean.objects = []
    for _ in range(plan.timed_files):
        clean.objects.append(clean.swarm.publish_one(clean_publisher, plan.timed_bytes))
        objects.append(swarm.publish_one(publisher, plan.timed_bytes))
    publisher.kill()
    clean_publisher.kill()
    clean_ms = [item.elapsed_ms for item in clean.objects]
    clean.published_ms += clean_ms
    return objects, clean_ms


def fetch_in_turns(swarm, objects, clean):
    """Fetches each object, and beside each one of the clean swarm: what else the machine does then
    is the same for both. The outcomes, and the clean times of these turns."""
    swarm.add_readers()
    clean.swarm.add_readers()
    before = len(clean.elapsed_ms)
    outcomes = []
    for place, item in enumerate(objects):
        if place < len(clean.objects):
            clean.fetch(place)
        outcomes.append(swarm.fetch(place, item))
    return outcomes, clean.elapsed_ms[before:]


def measure(plan, share, clean, say):
    """One swarm; a row of the table."""
    bad = round(plan.nodes * share)
    with lab.Lab("flow29-hostile-") as the_lab:
        swarm = HostileSwarm(the_lab, plan.nodes, bad, plan.seed, say)
        swarm.start()
        row = {"share": share, "hostile": bad, "lost": {}, "expected": {}, "items": {}}
        objects, clean_published_ms = publish_in_turns(swarm, clean, plan)
        row["published"] = percentiles([item.elapsed_ms for item in objects])
        row["clean_published"] = percentiles(clean_published_ms)
        say(f"published: {row['published']} ms, clean in turns {row['clean_published']} ms "
            "(p50, p99)")
        for copies in (4, 5):
            objects += swarm.publish(plan.lossy_files, plan.lossy_extents * 8 * 512, copies, 8)
        outcomes, clean_ms = fetch_in_turns(swarm, objects, clean)
        kept = swarm.kept()
        lossy = objects[plan.timed_files:]
        for copies in (4, 5):
            items = [extent for item in lossy if item.copies == copies for extent in item.extents]
            row["items"][copies] = len(items)
            row["lost"][copies] = sum(extent not in kept[0] for extent in items)
            row["expected"][copies] = len(items) * share ** copies
        whole = [swarm.is_whole(item, kept) for item in objects]
        row["wrong"] = sum(outcome.wrong for outcome in outcomes)
        row["whole"] = sum(whole)
        row["fetched"] = sum(outcome.fetched for outcome, here in zip(outcomes, whole) if here)
        row["missed"] = [outcome.report for outcome, here in zip(outcomes, whole)
                         if here and not outcome.fetched]
        timed = [outcome.elapsed_ms for outcome, here in
                 list(zip(outcomes, whole))[:plan.timed_files] if here and outcome.fetched]
        row["p50"], row["p99"] = quantile(timed, 0.5), quantile(timed, 0.99)
        row["clean_p50"], row["clean_p99"] = quantile(clean_ms, 0.5), quantile(clean_ms, 0.99)
        row["memory"] = swarm.memory_max()
        row["dead"] = swarm.dead()
        say(f"{bad} hostile: p99 {row['p99']:.0f} ms, clean in turns {row['clean_p99']:.0f} ms, "
            f"{row['fetched']} of {row['whole']} fetched, {row['wrong']} wrong")
        if row["missed"] or row["dead"]:
            print(the_lab.logs(), file=sys.stderr)
    return row


def table(rows, plan):
    """The rows as Markdown, and what does not hold."""
    lines = [f"{plan.nodes} nodes; {plan.timed_files} files of {plan.timed_bytes >> 10} KiB timed, "
             f"and {plan.lossy_files} of {plan.lossy_extents} extents each with 4 and with 5 copies; "
             f"seed {plan.seed}", "",
             "| hostile | wrong bytes | fetched, of those that honest nodes have whole | "
             "extents lost at 4 copies: measured, binomial | at 5 copies | "
             "publish ms, p50 and p99 | clean ones in turns with these | "
             "fetch ms, p50 | p99 | clean ones in turns with these, p50 | p99 | p99 to clean | "
             "peak MB, largest honest node |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    broken = []
    for row in rows:
        lost = [f"{row['lost'][copies]} of {row['items'][copies]}, {row['expected'][copies]:.1f}"
                if row["items"][copies] else "–" for copies in (4, 5)]
        clean = f"{row['clean_p50']:.0f} | {row['clean_p99']:.0f}" if row["hostile"] else "– | –"
        slower = row["p99"] / row["clean_p99"] if row.get("clean_p99") else 1
        lines.append(f"| {row['hostile']} ({row['share']:.0%}) | {row['wrong']} | "
                     f"{row['fetched']} of {row['whole']} | {lost[0]} | {lost[1]} | "
                     f"{row['published']} | {row.get('clean_published', '–')} | "
                     f"{row['p50']:.0f} | {row['p99']:.0f} | {clean} | {slower:.2f} | "
                     f"{row['memory'] / 1e6:.0f} |")
        name = f"{row['share']:.0%} hostile"
        if row["wrong"]:
            broken.append(f"{name}: {row['wrong']} fetches gave wrong bytes")
        for report in row["missed"]:
            broken.append(f"{name}: not fetched although honest nodes have it: {report}")
        if slower > SLOWER_MAX:
            broken.append(f"{name}: p99 is {slower:.2f} times the clean one, "
                          f"more than {SLOWER_MAX:g}")
        if row["memory"] > MEMORY_MAX:
            broken.append(f"{name}: a node took {row['memory'] / 1e6:.0f} MB")
        for node in row["dead"]:
            broken.append(f"{name}: {node} ended")
    return "\n".join(lines), broken


def main():
    parser = argparse.ArgumentParser(prog="scripts/hostile")
    parser.add_argument("--nodes", type=int, default=30)
    parser.add_argument("--shares", default="20,33", help="per cent that are hostile (20,33)")
    parser.add_argument("--files", type=int, default=100, help="that are timed (100)")
    parser.add_argument("--size", type=int, default=2048, metavar="KIB", help="of these (2048)")
    parser.add_argument("--lossy", type=int, default=10, help="files that losses are counted in (10)")
    parser.add_argument("--extents", type=int, default=100, help="of each of these (100)")
    parser.add_argument("--seed", type=int, default=29)
    options = parser.parse_args()
    lab.end_on_signals()
    began = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    plan = Plan(options.nodes, options.lossy, options.extents, options.files, options.size << 10,
                options.seed)
    shares = [int(part) / 100 for part in options.shares.split(",")]
    with lab.Lab("flow29-clean-") as clean_lab:
        clean = Clean(clean_lab, plan, say)
        rows = [measure(plan, share, clean, say) for share in shares]
        text, broken = table([clean.row(), *rows], plan)
    print(text)
    return lab.verdict(broken)


if __name__ == "__main__":
    lab.exit_with(main, "hostile")
