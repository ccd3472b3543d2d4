# SPDX-License-Identifier: GPL-3.0-or-later
"""Swarms of ours for scripts/bench: holders that have a file, and readers that come for it."""

import os

import bench_measure
import lab


def kept_limits(the_lab):
    """Options that lift the bounds which a swarm of one publisher would run into."""
    text = the_lab.run("node", "--help", as_json=False).stdout.decode()
    return [word for option in ("--quota-publisher", "--quota-group") if option in text
            for word in (option, "100%")]


def can_limit(the_lab):
    """Whether a node of this build can be told how fast it may send."""
    return "--up-limit" in the_lab.run("node", "--help", as_json=False).stdout.decode()


class Swarm:
    """`count` holders of `path` in a lab of their own; the publisher has gone. A context manager."""

    def __init__(self, path, count, holder_options=()):
        self.path = path
        self.lab = lab.Lab("flow29-bench-", parent=path.parent)
        try:
            common = [*kept_limits(self.lab), *holder_options]
            self.holders = []
            for place in range(count):
                self.holders.append(self.lab.add_node(
                    name=f"holder{place}", bootstrap=self.holders[:1], options=common))
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

    def add_reader(self, name):
        """A node that holds nothing for others, connected."""
        node = self.lab.add_node(name=name, bootstrap=self.holders[:1], options=["--no-store"])
        self.lab.wait_connected(node)
        return node

    def restart(self, node, *options):
        """The same node again, at the same place, with these options as well."""
        node.stop()
        port = str(node.port)
        node.options = ["--port", port, *node.options[2:], *options]
        node.start()

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

    def check(self, target):
        if not lab.same_bytes(self.path, target):
            raise lab.LabError("what was fetched is not what was published")
        target.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()
