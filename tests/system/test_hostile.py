# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are hostile, each in one way: who fetches gets the right bytes all the same.

The hostile nodes are those of tests/hostile. Many of them among many: scripts/hostile.
"""

import unittest

import harness
import hostile
import hostile_swarm
from harness import wait_until

FILE_BYTES = 3 << 20
MEMORY_MAX = (256 << 20) * harness.MEMORY_FACTOR

# What a reader that asked both an honest and a hostile holder says of the latter in `peers`.
BANNED = {"wrong-byte", "wrong-proof", "other-chunk"}  # caught in a lie, at once
STRUCK = {"short", "long", "floods-requests", "msgpack-bombs"}  # broke a rule of the protocol
MARKED_DOWN = {"claims-and-lacks", "stalls", "one-byte-a-second"}  # did not give what it was asked
UNKNOWN = {"accepts-and-deletes", "floods-connections", "lies-about-addresses",
           "reads-nothing"}  # nothing to tell


class OneHostileHolder(harness.SystemTest):
    """One honest and one hostile holder, and a reader that knows both."""

    def fetch_beside(self, behaviour):
        honest = self.lab.add_node()
        bad = hostile.add(self.lab, behaviour, bootstrap=[honest], waits=True)
        publisher = self.lab.add_node(name="publisher", bootstrap=[honest, bad],
                                      options=["--no-store"])
        reader = self.lab.add_node(name="reader", bootstrap=[honest, bad], options=["--no-store"])
        for node in (honest, publisher, reader):
            self.lab.wait_connected(node)
        path = self.lab.file("source", FILE_BYTES)
        link = self.publish(publisher, path, "--copies", 2)["link"]
        publisher.kill()
        bad.begin()
        self.assertEqual(hostile_swarm.kept_by(honest)[1], {harness.file_root(path)})
        result, target = self.fetch(reader, link, "fetched")
        self.assertIs(result["verified"], True)
        self.assert_same(path, target)
        return honest, bad, reader

    @staticmethod
    def said_of(reader, bad):
        """What `peers` says of the hostile node, connected or not."""
        said = reader.ask("peers")
        return next((peer for peer in said["peers"] + said["dropped"] if peer["node"] == bad.id),
                    None)

    def check(self, behaviour):
        honest, bad, reader = self.fetch_beside(behaviour)
        if behaviour in BANNED:
            said = self.said_of(reader, bad)
            self.assertTrue(said["banned"], said)
            self.assertGreaterEqual(said["disconnects"], 1, said)
            self.assertEqual(said["score"], 0)
        elif behaviour in STRUCK:
            said = wait_until(lambda: (self.said_of(reader, bad) or {}).get("strikes") and
                              self.said_of(reader, bad), "a strike")
            self.assertGreaterEqual(said["disconnects"], 1, said)
            self.assertTrue(said["reason"], said)
        elif behaviour in MARKED_DOWN:
            self.assertLess(self.said_of(reader, bad)["score"], 100)
        # Of the honest one nothing bad is said, whatever the other did.
        said = self.said_of(reader, honest)
        self.assertEqual((said["strikes"], said["disconnects"], said["banned"]), (0, 0, False))
        if behaviour == "reads-nothing":
            self.check_service_beside_hoarders(honest)
        for node in (honest, reader):
            self.assertTrue(node.running)
            self.assertLess(node.proc_status("VmHWM"), MEMORY_MAX)

    def check_service_beside_hoarders(self, honest):
        """Many ask for all they may and take nothing; who comes then is served all the same."""
        wait_until(lambda: honest.status()["peers"] > 30, "those who read nothing")
        late = self.lab.add_node(name="late", bootstrap=[honest], options=["--no-store"])
        self.lab.wait_connected(late)
        path = self.lab.path / "source"
        _, target = self.fetch(late, harness.file_root(path), "fetched late")
        self.assert_same(path, target)
        memory = [0]

        def is_still():
            memory.append(honest.proc_status("VmHWM"))
            return memory[-1] == memory[-2]

        wait_until(is_still, "all that is worked on for them", interval=1)


class StallingLeader(harness.SystemTest):
    """A holder that stalls from the start: it takes copies, says `stored`, and gives nobody anything."""

    def test_others_get_their_copies_although_the_one_that_leads_stalls(self):
        honest = self.lab.add_node()
        bad = hostile.add(self.lab, "stalls", bootstrap=[honest])
        publisher = self.lab.add_node(name="publisher", bootstrap=[honest, bad],
                                      options=["--no-store"])
        reader = self.lab.add_node(name="reader", bootstrap=[honest, bad], options=["--no-store"])
        for node in (honest, publisher, reader):
            self.lab.wait_connected(node)
        # Who leads is up to the hash: of so many, each of the two leads some.
        paths = [self.lab.file(f"source{k}", FILE_BYTES, seed=k) for k in range(4)]
        links = [self.publish(publisher, path, "--copies", 2)["link"] for path in paths]
        publisher.kill()
        extents, roots = hostile_swarm.kept_by(honest)
        self.assertEqual(roots, {harness.file_root(path) for path in paths})
        self.assertEqual(len(extents), len(paths) * (FILE_BYTES >> 20))
        for path, link in zip(paths, links):
            _, target = self.fetch(reader, link, path.name + ".fetched")
            self.assert_same(path, target)
        self.assertLess(OneHostileHolder.said_of(reader, bad)["score"], 100)


def _add_tests():
    for behaviour in hostile.behaviours():
        def test(self, behaviour=behaviour):
            self.check(behaviour)
        setattr(OneHostileHolder, "test_" + behaviour.replace("-", "_"), test)


class Behaviours(unittest.TestCase):
    def test_each_is_expected_to_do_something(self):
        self.assertEqual(sorted(BANNED | STRUCK | MARKED_DOWN | UNKNOWN),
                         sorted(hostile.behaviours()))


class HostileThird(harness.SystemTest):
    def test_what_an_honest_node_keeps_is_fetched(self):
        swarm = hostile_swarm.HostileSwarm(self.lab, nodes=10, hostile=3, seed=29)
        swarm.start()
        objects = swarm.publish(files=6, size=700_000)
        outcomes = swarm.fetch_all(objects)
        kept = swarm.kept()
        self.assertTrue(any(swarm.is_whole(item, kept) for item in objects))
        for item, outcome in zip(objects, outcomes):
            self.assertFalse(outcome.wrong, item.root)
            if swarm.is_whole(item, kept):
                self.assertTrue(outcome.fetched, outcome.report)
        self.assertEqual(swarm.dead(), [])
        self.assertLess(swarm.memory_max(), MEMORY_MAX)


_add_tests()
if __name__ == "__main__":
    harness.main()
