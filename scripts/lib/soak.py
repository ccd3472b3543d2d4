#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are used for a long time: does their memory grow, or what they hold open?"""

import argparse
import collections
import os
import random
import shutil
import statistics
import time

import lab

KIB, MIB = 1 << 10, 1 << 20
OBJECTS_MAX = 24
SAMPLES = 60
GROWTH_MAX = 1.05
# What a record of the DHT takes of whoever keeps it, for the day that it is good for; measured: 2.0 kB.
RECORD_BYTES = 2_500
# Below what can be told from noise: an arena more or less, a connection more or less.
MEMORY_SLACK = 2 * MIB
DESCRIPTORS_SLACK = 4


class Use:
    """What people do, one thing after the other, on nodes drawn by lot; all of it is checked."""

    def __init__(self, the_lab, nodes, seed):
        self.lab = the_lab
        self.nodes = nodes
        self.random = random.Random(seed)
        self.objects = collections.deque()  # (root, publisher, path), oldest first
        self.done = collections.Counter()

    def step(self):
        action = self.random.choices(
            (self.publish, self.publish_directory, self.fetch, self.cat, self.look),
            (2, 1, 6, 3, 2))[0]
        action()
        self.done[action.__name__.replace("_", " ")] += 1

    def _new_path(self):
        return self.lab.path / f"object{sum(self.done.values())}"

    def _publish(self, path, *options):
        node = self.random.choice(self.nodes)
        root = node.ask("publish", path, *options, seconds=600)["root"]
        self.objects.append((root, node, path))
        if len(self.objects) > OBJECTS_MAX:
            root, node, path = self.objects.popleft()
            node.ask("rm", root)
            remove(path)

    def publish(self):
        path = self._new_path()
        size = self.random.choice((700, 60 * KIB, 3 * MIB, 12 * MIB))
        lab.write_noise(path, size + self.random.randrange(500), seed=self.random.random())
        self._publish(path)

    def publish_directory(self):
        path = self._new_path()
        for number in range(40):
            place = path / f"part {number % 3}"
            place.mkdir(parents=True, exist_ok=True)
            lab.write_noise(place / f"{number}", self.random.randrange(1, 40 * KIB),
                            seed=self.random.random())
        self._publish(path)

    def _drawn(self):
        return self.random.choice(self.objects) if self.objects else None

    def fetch(self):
        if drawn := self._drawn():
            root, _, path = drawn
            target = self.lab.path / "fetched"
            self.random.choice(self.nodes).ask("fetch", root, "-o", target, "--no-share",
                                               seconds=600)
            compare(path, target)
            remove(target)

    def cat(self):
        if drawn := self._drawn():
            root, _, path = drawn
            if path.is_file():
                node = self.random.choice(self.nodes)
                outcome = node.run("cat", root, as_json=False, seconds=600)
                if outcome.exit != 0:
                    raise lab.LabError(outcome.report())
                if outcome.stdout != path.read_bytes():
                    raise lab.LabError(f"{node.name}: `cat {root}` gave other bytes")

    def look(self):
        node = self.random.choice(self.nodes)
        for command in "status", "peers", "ls", "transfers":
            node.ask(command)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def compare(source, target):
    for path in [path for path in source.rglob("*") if path.is_file()] or [source]:
        other = target / path.relative_to(source) if path != source else target
        if not lab.same_bytes(path, other):
            raise lab.LabError(f"{other} is not what was published")


def descriptors(node):
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def sample(nodes):
    return [(node.proc_status("VmRSS"), descriptors(node), node.status()["dht"]["records"])
            for node in nodes]


def quarter(samples, place, number, field):
    """The middle of what a node had in one quarter of the time, counted from 0."""
    part = samples[len(samples) * number // 4:len(samples) * (number + 1) // 4]
    return statistics.median(each[place][field] for each in part)


def run(arguments):
    with lab.Lab("flow29-soak-") as the_lab:
        nodes = the_lab.add_swarm(arguments.nodes)
        use = Use(the_lab, nodes, arguments.seed)
        samples = []
        began = time.monotonic()
        seconds = arguments.minutes * 60
        while (passed := time.monotonic() - began) < seconds:
            if len(samples) < SAMPLES * passed / seconds:
                samples.append(sample(nodes))
            use.step()
            time.sleep(arguments.pause)
        samples.append(sample(nodes))
        ended = [node.name for node in nodes if not node.running]
        return report(arguments, nodes, use, samples, ended)


def report(arguments, nodes, use, samples, ended):
    print(f"{arguments.nodes} nodes, {arguments.minutes:g} minutes, seed {arguments.seed}: "
          + ", ".join(f"{count} × {name}" for name, count in sorted(use.done.items()))
          + "; all bytes right\n")
    print("| node | MB in the 2nd, 3rd and 4th quarter | descriptors, likewise | records of the DHT |"
          "\n|---|---|---|---|")
    grown = []
    for place, node in enumerate(nodes):
        memory, held, records = ([quarter(samples, place, number, field) for number in (1, 2, 3)]
                                 for field in range(3))
        print(f"| {node.name} | " + " · ".join(f"{value / 1e6:.1f}" for value in memory) + " | "
              + " · ".join(f"{value:.0f}" for value in held) + " | "
              + " · ".join(f"{value:.0f}" for value in records) + " |")
        of_records = (records[-1] - records[0]) * RECORD_BYTES
        if memory[-1] > memory[0] * GROWTH_MAX + of_records + MEMORY_SLACK:
            grown.append(f"the memory of {node.name}")
        if held[-1] > held[0] + DESCRIPTORS_SLACK:
            grown.append(f"what {node.name} holds open")
    print()
    for what in grown:
        print(f"- grows: {what}")
    for name in ended:
        print(f"- {name} ended by itself")
    if not grown and not ended:
        print(f"Flat, but for {RECORD_BYTES} octets at most for each record kept for the DHT.")
    return 1 if grown or ended else 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=29)
    parser.add_argument("--pause", type=float, default=0.5,
                        help="seconds between one use and the next")
    lab.end_on_signals()
    return run(parser.parse_args())


if __name__ == "__main__":
    lab.exit_with(main, "scripts/soak")
