# SPDX-License-Identifier: GPL-3.0-or-later
"""Bandwidth limits of real nodes. Nothing here is too slow: what is counted is too much, and shares."""

import time

import harness
from harness import wait_until

KIB = 1024
MIB = 1024 * KIB


def moved(node):
    """Octets sent and received so far, the DHT's included."""
    traffic = node.status()["traffic"]
    return {"up": traffic["up_bytes"] + traffic["dht_up_bytes"],
            "down": traffic["down_bytes"] + traffic["dht_down_bytes"]}


class Limits(harness.SystemTest):
    def publish_to(self, holder, path):
        publisher = self.lab.add_node(bootstrap=[holder], options=["--no-store"])
        self.lab.wait_connected(publisher)
        link = self.publish(publisher, path, "--copies", "1")["link"]
        publisher.stop()
        return link

    def assert_holds(self, node, direction, rate, process):
        """While the process runs, at no moment more than the limit's worth has moved."""
        first, began = moved(node)[direction], time.monotonic()
        samples = 0
        while process.poll() is None:
            now = moved(node)[direction]
            allowed = rate * (time.monotonic() - began) * 1.05 + rate / 4 + 64 * KIB
            self.assertLessEqual(now - first, allowed)
            samples += 1
            time.sleep(0.1)
        self.assertGreater(samples, 2)  # on a slow machine, where asking takes long

    def limited_fetch(self, reader, holder, limited, direction, rate, size):
        path = self.lab.file("noise", size)
        link = self.publish_to(holder, path)
        limited.ask("limit", f"--{direction}", str(rate))
        process = self.lab.start("fetch", link, "-o", self.lab.path / "got", data=reader.data)
        self.assert_holds(limited, direction, rate, process)
        process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assert_same(path, self.lab.path / "got")

    def test_downlink(self):
        holder = self.lab.add_node()
        reader = self.lab.add_node(bootstrap=[holder], options=["--no-store"])
        self.lab.wait_connected(reader)
        self.limited_fetch(reader, holder, reader, "down", 2 * MIB, 8 * MIB)

    def test_uplink(self):
        holder = self.lab.add_node()
        reader = self.lab.add_node(bootstrap=[holder], options=["--no-store"])
        self.lab.wait_connected(reader)
        self.limited_fetch(reader, holder, holder, "up", 2 * MIB, 8 * MIB)

    def test_slow_line_still_fetches(self):
        """Nothing times out because of our own limit, and no connection is lost to silence."""
        holder = self.lab.add_node()
        reader = self.lab.add_node(bootstrap=[holder], options=["--no-store"])
        self.lab.wait_connected(reader)
        self.limited_fetch(reader, holder, reader, "down", 8 * KIB, 256 * KIB)
        for node in (reader, holder):
            self.assertNotIn("silent", node.err_path.read_text())

    def test_shares(self):
        """Each of eight fetchers gets at least half of a fair share."""
        holder = self.lab.add_node(options=["--up-limit", "4MiB"])
        size = 4 * MIB
        link = self.publish_to(holder, self.lab.file("noise", size))
        readers = [self.lab.add_node(bootstrap=[holder], options=["--no-store"]) for _ in range(8)]
        for reader in readers:
            self.lab.wait_connected(reader)
        before = [moved(reader)["down"] for reader in readers]
        processes = [self.lab.start("fetch", link, "-o", reader.data / "got", data=reader.data)
                     for reader in readers]

        def had():
            return [moved(reader)["down"] - old for reader, old in zip(readers, before)]
        wait_until(lambda: max(had()) > size // 2, "half of it to be fetched", 120)
        shares = had()
        self.assertGreaterEqual(min(shares), sum(shares) / len(shares) / 2, shares)
        for process in processes:
            process.communicate()
            self.assertEqual(process.returncode, 0)

    def test_set_shown_and_kept(self):
        node = self.lab.add_node(options=["--up-limit", "1MiB"])
        self.assertEqual(node.status()["traffic"]["up_limit"], MIB)
        self.assertIsNone(node.status()["traffic"]["down_limit"])
        limits = node.ask("limit", "--down", "2MiB", "--repair", "off")
        self.assertEqual((limits["up"], limits["down"], limits["repair"]), (MIB, 2 * MIB, None))
        text = node.run("limit", as_json=False).stdout.decode()
        self.assertIn("down    2.0 MiB/s", text)
        self.assertIn("repair  no limit", text)
        self.assert_exit(node.run("limit", "--up", "1k"), harness.USAGE)
        node.stop()
        # The option is for the run that it was given to; what `limit` set lasts.
        node.options = node.options[:2]
        node.start()
        limits = node.ask("limit")
        self.assertEqual((limits["up"], limits["down"], limits["repair"]), (None, 2 * MIB, None))
        self.assertIsNone(node.ask("limit", "--down", "off")["down"])


if __name__ == "__main__":
    harness.main()
