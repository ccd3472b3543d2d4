# SPDX-License-Identifier: GPL-3.0-or-later
"""What publishing costs the publisher, and what becomes of it when the publisher goes away."""

import harness
import lab  # found once harness is there
from harness import wait_until

MIB = 1024 * 1024


class Publishing(harness.SystemTest):
    def start_swarm(self, *options):
        holders = self.lab.add_swarm(5)
        publisher = self.lab.add_node(bootstrap=holders[:1], options=options)
        for node in (*holders, publisher):
            self.lab.wait_connected(node)
        return holders, publisher

    def uploaded(self, node):
        return node.status()["traffic"]["up_bytes"]

    def test_everything_is_sent_once(self):
        holders, publisher = self.start_swarm("--up-limit", "32MiB")
        path = self.lab.file("noise", 48 * MIB)
        done = self.publish(publisher, path)
        self.assertEqual(done["copies"]["min"], 4)
        self.assertLessEqual(self.uploaded(publisher), 1.3 * 48 * MIB)
        stored = sum(node.status()["storage"]["used_bytes"] for node in holders)
        self.assertGreaterEqual(stored, 4 * 48 * MIB)

    def test_over_a_slow_line_progress_is_the_copies_that_are_made(self):
        _, publisher = self.start_swarm("--up-limit", "6MiB")
        size = 24 * MIB
        outcome = publisher.run("publish", self.lab.file("noise", size))
        self.assert_done(outcome)
        events = [event for event in outcome.events if event.get("stage") == "copies"]
        [total] = {event["total_bytes"] for event in events}
        self.assertGreater(total, 4 * size)
        self.assertLess(total, 4 * size + 4 * MIB // 64, "the descriptor is an item as well")
        done = [event["done_bytes"] for event in events]
        self.assertEqual(done, sorted(done))
        self.assertEqual(done[-1], total)
        between = {each for each in done if 0 < each < total}
        self.assertGreater(len(between), 4, done)
        # Copies of everything are there only in the end.
        self.assertEqual({event["copies_min"] for event in events
                          if event["done_bytes"] < size}, {0})
        sent = [event.get("sent_bytes", 0) for event in events]
        self.assertEqual(sent, sorted(sent))
        self.assertGreaterEqual(sent[-1], size)
        for event in events:
            for name in ("sent_bytes", "sent_rate", "eta_ms"):
                self.assertIsInstance(event.get(name, 0), int)

    def test_what_is_hashed_is_pushed_while_the_rest_is_not(self):
        holder = self.lab.add_node()
        publisher = self.lab.add_node(bootstrap=[holder], options=("--no-store",))
        self.lab.wait_connected(publisher)
        # Some noise, and then a hole that takes seconds to hash and one extent to push.
        path = self.lab.file("sparse", 160 * MIB)
        with path.open("r+b") as file:
            file.truncate(6144 * MIB)
        process = self.lab.start("publish", path, "--copies", "1", "--by-reference",
                                 data=publisher.data)

        def held():
            return holder.status()["storage"]["used_bytes"]

        wait_until(lambda: held() > 32 * MIB or process.poll() is not None, "a part to come",
                   interval=0.02)
        # In this order: what was held is from before.
        self.assertEqual(publisher.ask("ls")["objects"], [])
        self.assertEqual(holder.ask("ls")["objects"], [])
        output, _ = process.communicate()
        self.assertEqual(process.returncode, 0, output)
        self.assertLessEqual(self.uploaded(publisher), 1.3 * 164 * MIB)
        self.assertEqual(len(holder.ask("ls")["objects"]), 1)

    def test_publishing_again_after_a_crash_sends_what_is_missing(self):
        holders, publisher = self.start_swarm("--up-limit", "8MiB")
        size = 48 * MIB
        path = self.lab.file("noise", size)
        process = self.lab.start("publish", path, data=publisher.data)

        def held():
            return sum(node.status()["storage"]["used_bytes"] for node in holders)

        def written():
            """On their disks: until all had been asked, a slow machine would have made the rest."""
            return sum(lab.written_bytes(path) for node in holders
                       for path in (node.data / "extents").rglob("*") if path.is_file())

        wait_until(lambda: written() > 2 * size, "half of the copies to be made", seconds=120)
        publisher.kill()
        process.communicate()
        self.assertNotEqual(process.returncode, 0)
        before = held()
        publisher.start()
        self.lab.wait_connected(publisher)
        done = self.publish(publisher, path)
        self.assertEqual(done["copies"]["min"], 4)
        # A quarter of the copies comes from the publisher, if that much is missing at all.
        self.assertLess(self.uploaded(publisher), size)
        self.assertGreaterEqual(held(), before)


if __name__ == "__main__":
    harness.main()
