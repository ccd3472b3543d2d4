# SPDX-License-Identifier: GPL-3.0-or-later
"""A 4 GiB file is published and fetched, and no process ever takes 256 MB of memory.

Needs some 20 GB of room in TMPDIR, else it is skipped. FLOW29_BIG=0 skips it too.
"""

import os
import pathlib
import random
import shutil

import harness

BYTES = 4 << 30
MEMORY = 256 * 1000 * 1000
ROOM = 20 << 30
STRIDE = 64 << 10


def write_sparse(path):
    """4 GiB in which no extent equals another, written in seconds: a few random bytes each 64 KiB."""
    generator = random.Random(29)
    with open(path, "wb") as file:
        for start in range(0, BYTES, STRIDE):
            file.seek(start + generator.randrange(STRIDE - 64))
            file.write(generator.randbytes(64))
        file.truncate(BYTES)


class Memory(harness.SystemTest):
    def setUp(self):
        super().setUp()
        if os.environ.get("FLOW29_BIG") == "0":
            self.skipTest("FLOW29_BIG=0")
        if shutil.disk_usage(self.lab.path).free < ROOM:
            self.skipTest(f"less than {ROOM >> 30} GiB free in {self.lab.path}")

    def test_four_gibibytes_in_under_256_megabytes_of_memory(self):
        holders = self.lab.add_swarm(2)
        publisher = self.lab.add_node(name="publisher", bootstrap=holders[:1],
                                      options=["--no-store"])
        self.lab.wait_connected(publisher)
        path = self.lab.path / "source"
        write_sparse(path)
        # One copy: what is looked at is memory, and four would write sixteen more gibibytes.
        published = self.assert_done(publisher.run("publish", path, "--copies", 1,
                                                   "--by-reference", seconds=900))
        self.assertEqual(published["bytes"], BYTES)
        for node in [publisher, *holders]:
            self.check_memory(node, "publishing")
        publisher.stop()
        reader = self.lab.add_node(name="reader", bootstrap=holders, options=["--no-store"])
        self.lab.wait_connected(reader)
        target = self.lab.path / "fetched"
        fetched = self.assert_done(reader.run("fetch", published["root"], "-o", target,
                                              seconds=900))
        self.assertEqual(fetched["bytes"], BYTES)
        for node in [reader, *holders]:
            self.check_memory(node, "fetching")
        self.assert_same(path, target)
        pathlib.Path(target).unlink()

    def check_memory(self, node, doing):
        peak = node.proc_status("VmHWM")
        print(f"{node.name}: {peak / 1e6:.0f} MB at most while {doing}")
        self.assertLess(peak, MEMORY, f"{node.name} while {doing}")


if __name__ == "__main__":
    harness.main()
