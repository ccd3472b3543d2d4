# SPDX-License-Identifier: GPL-3.0-or-later
"""A real node whose disk fails it, again and again: killed in or after a call that writes, or with the
call refused or cut short. tests/fault does that at every point of a node in virtual time; here are a few
of them with threads, the commands, and what `flow29 node` itself writes.
"""

import mmap
import os
import pathlib
import random
import struct
import unittest

import harness

SHIM = pathlib.Path(os.environ.get("FLOW29_BUILD", "build")).resolve() / "tests/fault/libflow29_fault.so"
ROUNDS = int(os.environ.get("FLOW29_FAULT_ROUNDS", "12"))
KINDS = {"kill": 1, "kill_after": 2, "torn": 3, "io_error": 4, "no_space": 5, "short_write": 6}
DEADLY = ("kill", "kill_after", "torn")


class Control:
    """The file that tells the shim what to do; see tests/fault/shim.hpp."""

    _HEAD = struct.Struct("<512sQIIII")  # under, at, kind, sticky, armed, hits
    _POINTS, _WHERE, _SIZE = 536, 544, 544 + 512 + 8192

    def __init__(self, path, under):
        self.path = path
        self.under = str(under).encode()
        path.write_bytes(b"\0" * self._SIZE)
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._SIZE)

    def arm(self, at, kind, sticky):
        self._memory[:] = b"\0" * self._SIZE
        self._HEAD.pack_into(self._memory, 0, self.under, at, KINDS.get(kind, 0), int(sticky), 1, 0)

    @property
    def was_hit(self):
        return self._HEAD.unpack_from(self._memory)[5] != 0

    @property
    def points(self):
        return struct.unpack_from("<Q", self._memory, self._POINTS)[0]

    @property
    def where(self):
        return self._memory[self._WHERE:self._WHERE + 512].split(b"\0")[0].decode()


class FaultTest(harness.SystemTest):
    """One node, `self.node`, that is started under the shim or without it."""

    def make_disk(self):
        """The directory whose disk fails; what the test itself reads lies elsewhere."""
        disk = self.lab.path / "disk"
        disk.mkdir()
        self.control = Control(self.lab.path / "control", disk)
        return disk

    def launch(self, shimmed):
        """Starts the node; whether it became ready, which it need not with a broken disk."""
        self.node.environment = {"LD_PRELOAD": str(SHIM),
                                 "FLOW29_FAULT_CONTROL": str(self.control.path)} if shimmed else {}
        try:
            self.node.start()
        except harness.lab.LabError:
            if not shimmed or self.node.running:
                raise
            return False
        return True


@unittest.skipUnless(SHIM.exists(), "the shim is not built")
class FirstStart(FaultTest):
    """What a new node makes: its key, lock, store, socket, token."""

    def test_a_first_start_that_fails_anywhere_is_made_good_by_the_next(self):
        chance = random.Random(30)
        disk = self.make_disk()
        self.node = self.lab.add_node(name="first", start=False)
        self.node.data = disk / "first0"
        self.control.arm(0, "none", False)
        self.assertTrue(self.launch(shimmed=True))
        self.node.kill()
        points = self.control.points
        self.assertGreater(points, 40, "the shim saw what the node wrote")
        hits = 0
        for number in range(1, ROUNDS + 1):
            kind = chance.choice([*KINDS])
            sticky = kind not in DEADLY and chance.random() < 0.5
            self.node.data = disk / f"first{number}"
            self.control.arm(chance.randrange(points), kind, sticky)
            with self.subTest(kind=kind, sticky=sticky, number=number):
                is_ready = self.launch(shimmed=True)
                self.node.kill()
                hits += self.control.was_hit
                if not is_ready and kind not in DEADLY:
                    self.assertIn(self.node.process.returncode,
                                  (harness.NO_SPACE, harness.FILE_ERROR), self.control.where)
                key = self.node.data / "node.key"
                before = key.read_bytes() if key.exists() else None
                self.assertTrue(self.launch(shimmed=False))
                if before is not None:
                    self.assertEqual(key.read_bytes(), before, "it is the same node")
                self.assertEqual(list(self.node.data.glob("*.new")), [])
                self.assert_done(self.node.run("verify"))
                self.node.kill()
        print(f"{hits} of {ROUNDS} faults of a first start came to pass; {points} points")
        self.assertGreater(hits, ROUNDS // 3)


@unittest.skipUnless(SHIM.exists(), "the shim is not built")
class Faults(FaultTest):
    def setUp(self):
        super().setUp()
        self.others = self.lab.add_swarm(3)
        self.source = self.lab.file("source", 700_000, seed=1)
        self.link = self.publish(self.others[0], self.source, "--copies", 2)["link"]
        self.disk = self.make_disk()
        self.node = self.lab.add_node(name="victim", bootstrap=self.others, start=False)
        self.node.data = self.disk / "victim"
        self.published = {}  # by root: where what it is lies
        self.fetched = []

    def do_everything(self, number, allowed):
        """What may fail, as `allowed` says; what did not is remembered."""
        for name, size in (("large", 300_000), ("small", 2_000)):
            path = self.lab.file(f"{name}{number}", size, seed=100 + 2 * number + (size < 10_000))
            outcome = self.node.run("publish", path, "--copies", 2)
            if outcome.exit == harness.OK:
                self.published[outcome.result["root"]] = path
            else:
                self.assertIn(outcome.exit, allowed, outcome.report())
        target = self.disk / f"out{number}"
        outcome = self.node.run("fetch", self.link, "-o", target)
        if outcome.exit == harness.OK:
            self.fetched.append(target)
        else:
            self.assertIn(outcome.exit, allowed, outcome.report())
        if target.exists():
            self.assert_same(target, self.source)
        withdrawn = next(iter(self.published), None)
        if number % 2 == 1 and withdrawn is not None:
            # From here on it may be there or not.
            self.published.pop(withdrawn)
            outcome = self.node.run("rm", f"flow29:{withdrawn}")
            self.assertIn(outcome.exit, (harness.OK, *allowed), outcome.report())
        return target

    def check_everything(self, target):
        listed = {entry["root"]: entry for entry in self.node.ask("ls")["objects"]}
        for root in self.published:
            self.assertIn(root, listed, "a published object is gone")
            entry = listed[root]
            self.assertTrue(entry["published"], entry)
            self.assertEqual(entry["extents_held"], entry["extents"], entry)
        verified = self.assert_done(self.node.run("verify"))
        self.assertEqual((verified["damaged_extents"], verified["missing_extents"]), (0, 0), verified)
        for path in self.fetched:
            self.assert_same(path, self.source)
        if not target.exists():
            self.assert_done(self.node.run("fetch", self.link, "-o", target))
        self.assert_same(target, self.source)
        self.assertEqual(list((self.node.data / "tmp").iterdir()), [])
        left = [path.name for path in self.disk.glob("out*part*")
                if not self.control.where.startswith("unlink")]
        self.assertEqual(left, [])

    def test_what_a_node_acknowledged_survives_whatever_its_disk_does(self):
        chance = random.Random(29)
        self.control.arm(0, "none", False)
        self.assertTrue(self.launch(shimmed=True))
        self.check_everything(self.do_everything(0, ()))
        points = self.control.points
        self.assertGreater(points, 100, "the shim saw what the node wrote")
        self.node.kill()
        hits = 0
        for number in range(1, ROUNDS + 1):
            kind = chance.choice([*KINDS, *DEADLY])
            sticky = kind not in DEADLY and chance.random() < 0.5
            # A start writes less than the first one did, so the rounds are shorter.
            self.control.arm(chance.randrange(points * 2 // 3), kind, sticky)
            with self.subTest(kind=kind, sticky=sticky, number=number):
                allowed = {"no_space": (harness.NO_SPACE, harness.FILE_ERROR, harness.NO_NODE),
                           "io_error": (harness.FILE_ERROR, harness.NO_NODE),
                           "short_write": ()}.get(kind, range(1, 13))
                target = self.disk / f"out{number}"
                if self.launch(shimmed=True):
                    target = self.do_everything(number, allowed)
                elif kind not in DEADLY:
                    self.assertIn(self.node.process.returncode, allowed)
                self.node.kill()
                hits += self.control.was_hit
                self.assertTrue(self.launch(shimmed=False))
                self.lab.wait_connected(self.node)
                self.check_everything(target)
                self.node.kill()
        print(f"{hits} of {ROUNDS} faults came to pass; {len(self.published)} objects kept")
        self.assertGreater(hits, ROUNDS // 3)


if __name__ == "__main__":
    harness.main()
