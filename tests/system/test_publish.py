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
