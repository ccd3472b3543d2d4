# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that look after a node: verify, config, log, web, and the QR code of a link."""

import pathlib

import harness


def extent_files(node):
    return sorted(p for p in (node.data / "extents").rglob("*") if p.is_file())


def flip(path, at):
    data = bytearray(pathlib.Path(path).read_bytes())
    data[at] ^= 1
    pathlib.Path(path).write_bytes(data)


class Verify(harness.SystemTest):
    def test_what_rotted_is_found_dropped_and_healed(self):
        swarm = self.lab.add_swarm(4)
        source = self.lab.file("source", 4 << 20)
        result = self.publish(swarm[0], source, "--copies", 3)
        holder = swarm[2]
        sound = holder.ask("verify")
        self.assertIs(sound["sound"], True)
        self.assertEqual(sound["checked_extents"], 4)
        self.assertEqual(sound["checked_bytes"], 4 << 20)
        self.assertEqual(sound["damaged_extents"], 0)
        files = extent_files(holder)
        self.assertEqual(len(files), 4)
        flip(files[0], 0)
        flip(files[1], (1 << 20) - 1)
        files[2].unlink()
        outcome = holder.run("verify", result["link"])
        found = self.assert_done(outcome)
        self.assertEqual(found["damaged_extents"], 3, outcome.report())
        self.assertEqual(found["healed_extents"], 3, outcome.report())
        self.assertEqual(found["missing_extents"], 0)
        self.assertIs(found["sound"], True)
        self.assertIn("verifying", {event.get("stage") for event in outcome.events})
        self.assertEqual(extent_files(holder), files)
        again = holder.ask("verify")
        self.assertEqual((again["checked_extents"], again["damaged_extents"]), (4, 0))

    def test_what_nobody_else_has_is_said_and_exits_6(self):
        [alone] = self.lab.add_swarm(1)
        source = self.lab.file("source", 2 << 20)
        outcome = alone.run("publish", source, "--timeout", "5s")
        self.assert_exit(outcome, harness.PARTLY)
        flip(extent_files(alone)[0], 77)
        damaged = alone.run("verify")
        self.assert_exit(damaged, harness.UNVERIFIED)
        self.assertEqual(damaged.result["event"], "done")
        self.assertEqual(damaged.result["damaged_extents"], 1)
        self.assertEqual(damaged.result["healed_extents"], 0)
        self.assertTrue(damaged.result["complaints"])
        missing = alone.run("verify")
        self.assert_exit(missing, harness.UNVERIFIED)
        self.assertEqual((missing.result["checked_extents"], missing.result["missing_extents"]),
                         (1, 1))

    def test_a_referenced_file_that_changed_is_found(self):
        [alone] = self.lab.add_swarm(1)
        source = self.lab.file("source", 2 << 20)
        alone.run("publish", source, "--by-reference", "--timeout", "5s")
        self.assertIs(alone.ask("verify")["sound"], True)
        flip(source, 5)
        self.assert_exit(alone.run("verify"), harness.UNVERIFIED)

    def test_an_object_that_is_not_here_is_not_found(self):
        [alone] = self.lab.add_swarm(1)
        self.assert_error(alone.run("verify", "ab" * 32), harness.NOT_FOUND)


if __name__ == "__main__":
    harness.main()
