# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight nodes, each in a network namespace with an address of its own, joined by a bridge.

Here a cable can be pulled: no reset, no refusal, only silence. Skipped where namespaces cannot be
made.
"""

import unittest

import harness
import namespaces

COUNT = 8


@unittest.skipUnless(namespaces.possible(), "network namespaces cannot be made here")
class Namespaces(harness.NamespaceTest):
    def setUp(self):
        super().setUp()
        self.swarm = []
        for k in range(1, COUNT + 1):
            address = self.net.add_member(k)
            self.swarm.append(self.lab.add_node(
                address, bootstrap=self.swarm[:1], port=2929, prefix=self.net.inside(k),
                options=["--grace", "2s", *(["--no-store"] if k == COUNT else [])]))
        for node in self.swarm:
            self.lab.wait_connected(node)
        # The lab's clean-up must come before the namespaces': processes live in them.
        self.addCleanup(lambda: [node.kill() for node in self.swarm])

    def test_a_file_survives_pulled_cables(self):
        publisher, reader = self.swarm[0], self.swarm[-1]
        path = self.lab.file("source", 6 << 20)
        result = self.publish(publisher, path)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        health = reader.ask("health", result["link"])
        self.assertGreaterEqual(health["groups"], 4, "an address group each")

        holders = sorted(self.swarm[1:-1], reverse=True,
                         key=lambda node: node.status()["storage"]["extents"])
        for node in [publisher, *holders[:2]]:
            self.net.unplug(self.swarm.index(node) + 1)
        _, target = self.fetch(reader, result["root"], "fetched")
        self.assert_same(path, target)
        self.wait_copies(reader, result["link"], 4, 300)

        # They come back, and count again.
        for node in [publisher, *holders[:2]]:
            self.net.plug(self.swarm.index(node) + 1)
        self.wait_copies(holders[0], result["link"], 4, 300)

    def test_a_command_without_a_daemon_works_from_another_host(self):
        path = self.lab.file("source", 2 << 20)
        link = self.publish(self.swarm[2], path)["link"]
        self.swarm[2].kill()
        target = self.lab.path / "fetched"
        outcome = self.lab.run("--bootstrap", self.swarm[1].at, "fetch", link, "-o", target,
                               data=self.lab.path / "alone", prefix=self.net.inside(COUNT))
        self.assert_done(outcome)
        self.assert_same(path, target)


if __name__ == "__main__":
    harness.main()
