# SPDX-License-Identifier: GPL-3.0-or-later
"""Swarms of ours for scripts/bench: holders that have a file, and readers that come for it."""

import os
import time

import bench_measure
import lab

GIVE_UP_SECONDS = 600


def part_of(target):
    """The file that a fetch into `target` writes while it is under way."""
    return target.with_name(target.name + ".flow29-part")


def kept_limits(the_lab):
    """Options that lift the bounds which a swarm of one publisher would run into."""
    text = the_lab.run("node", "--help", as_json=False).stdout.decode()
    return [word for option in ("--quota-publisher", "--quota-group") if option in text
            for word in (option, "100%")]


def can_limit(the_lab):
    """Whether a node of this build can be told how fast it may send."""
    return "--up-limit" in the_lab.run("node", "--help", as_json=False).stdout.decode()


class Swarm:
    """`count` holders of `path` in a lab of their own; the publisher has gone. A context manager.

    On a `net` (namespaces.Net) each node is a member, numbered as it comes, and not on loopback.
    """

    def __init__(self, path, count, holder_options=(), net=None):
        self.path = path
        self.net = net
        self.lab = lab.Lab("flow29-bench-", parent=path.parent)
        try:
            common = [*kept_limits(self.lab), *holder_options]
            self.holders = []
            for place in range(count):
                self.holders.append(self._add(f"holder{place}", common))
            if count > 1:
                for node in self.holders:
                    self.lab.wait_connected(node)
            publisher = self.add_reader("publisher")
            self.published = publisher.ask("publish", path, "--copies", count, "--by-reference",
                                           seconds=1800)
            publisher.stop()
        except BaseException:
            self.lab.close()
            raise
        self.root = self.published["root"]
        self.size = path.stat().st_size

    def _add(self, name, options):
        place = {}
        if self.net:
            member = len(self.lab.nodes) + 1
            place = {"address": self.net.add_member(member), "prefix": self.net.inside(member)}
        return self.lab.add_node(name=name, bootstrap=self.holders[:1], options=options, **place)

    def add_reader(self, name):
        """A node that holds nothing for others, connected."""
        node = self._add(name, ["--no-store"])
        self.lab.wait_connected(node)
        return node

    def member(self, node):
        """The node's number on the net."""
        return self.lab.nodes.index(node) + 1

    @staticmethod
    def restart(node, option, value):
        """The same node again, at the same place, with this option as given."""
        node.stop()
        rest = node.options[2:]
        if option in rest:
            place = rest.index(option)
            del rest[place:place + 2]
        node.options = ["--port", str(node.port), *rest, option, value]
        node.start()
        lab.Lab.wait_connected(node)

    def fetch(self, reader, name="fetched"):
        """What fetching costs the reader, and all holders that still run; checked against the
        source."""
        target = self.lab.path / name
        os.sync()  # what was written before is nobody's cost here
        ends = bench_measure.Ends([reader, *self.holders])
        sample = ends.end(bench_measure.command(self.lab, reader, "fetch", self.root, "-o", target,
                                                "--no-share"))
        self.check(target)
        return sample

    def timed_fetch(self, reader, at=0.0, event=None):
        """Wall seconds of a fetch during which `event` is called, once so much of it is there."""
        target = self.lab.path / "timed"
        os.sync()
        began = time.monotonic()
        process = self.lab.start("fetch", self.root, "-o", target, "--no-share", data=reader.data)
        if event:
            bench_measure.await_bytes(part_of(target), self.size * at, process)
            event()
        out, err = process.communicate(timeout=GIVE_UP_SECONDS)
        wall = time.monotonic() - began
        if process.returncode != 0:
            raise lab.LabError(f"fetch: exit {process.returncode}: {out[-300:]!r} {err[-300:]!r}")
        self.check(target)
        return wall

    def check(self, target):
        if not lab.same_bytes(self.path, target):
            raise lab.LabError("what was fetched is not what was published")
        target.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()
