# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes on one LAN find each other with nothing to go by.

A bridge between network namespaces; skipped where those cannot be made.
"""

import pathlib
import socket
import struct
import subprocess
import sys
import unittest

import harness
import namespaces
from harness import wait_until

GROUP, PORT = "239.255.29.29", 29290
COUNT = 5


def listen(path):
    """Writes the calls that are heard to a file, a line of hexadecimal each; run in a namespace."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    heard.bind((GROUP, PORT))
    # Without a route to it, the interface must be named.
    heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     struct.pack("4s4si", socket.inet_aton(GROUP), b"\0" * 4,
                                 socket.if_nametoindex("eth0")))
    with open(path, "w", encoding="ascii") as file:
        while True:
            file.write(heard.recv(2048).hex() + "\n")
            file.flush()


@unittest.skipUnless(namespaces.possible(), "network namespaces cannot be made here")
class Lan(harness.NamespaceTest):
    def add(self, k, *options, address="0.0.0.0", start=True):
        self.net.add_member(k)
        return self.lab.add_node(address, name=f"node{k}", port=2929, prefix=self.net.inside(k),
                                 options=["--web", "off", "--gateway", "off", "--grace", "2s",
                                          "--no-port-mapping", *options], start=start)

    @staticmethod
    def wait_peers(node, count):
        wait_until(lambda: node.status()["peers"] >= count, f"{node.name} to have {count} peers")

    def test_a_swarm_comes_about_without_any_address(self):
        swarm = [self.add(k) for k in range(1, COUNT)]
        swarm.append(self.add(COUNT, address=f"10.29.{COUNT}.1"))  # one that listens there alone
        alone = self.add(COUNT + 1, "--no-discovery")
        for node in swarm:
            self.wait_peers(node, COUNT - 1)
            self.lab.wait_connected(node)
        path = self.lab.file("source", 2 << 20)
        result = self.publish(swarm[0], path)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        swarm[0].kill()
        _, target = self.fetch(swarm[-1], result["root"], "fetched")
        self.assert_same(path, target)
        self.assertEqual(alone.status()["peers"], 0)

    def test_a_private_swarm_finds_itself_and_shows_nothing_of_its_key(self):
        self.net.add_member(9)
        heard_path = self.lab.path / "heard"
        listener = subprocess.Popen(
            [*self.net.inside(9), sys.executable, "-B", __file__, "--listen", str(heard_path)],
            stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: (listener.kill(), listener.wait()))
        wait_until(heard_path.exists, "the listener")

        public = [self.add(1), self.add(2)]
        first = self.add(3, start=False)
        self.lab.ask("join", "--new", data=first.data)
        key = first.data / "swarm.key"
        second = self.add(4, start=False)
        second.data.mkdir()
        (second.data / "swarm.key").write_bytes(key.read_bytes())
        (second.data / "swarm.key").chmod(0o600)
        for node in (first, second):
            node.start()
        for node in (first, second, *public):
            self.wait_peers(node, 1)
        for node, other in ((first, second), (second, first), (public[0], public[1])):
            self.assertEqual([peer["node"] for peer in node.ask("peers")["peers"]], [other.id])

        heard = pathlib.Path(heard_path).read_text().split()
        self.assertGreaterEqual(len(heard), 4)
        self.assertEqual(len(set(heard)), len(heard), "no call is like another")
        for call in heard:
            self.assertEqual(len(call), 2 * 39)
            self.assertTrue(call.startswith(b"F29L\x01".hex()))
        # But for what all have: no two share any four octets.
        parts = [{call[i:i + 8] for i in range(0, len(call) - 8, 2)} for call in
                 (call[10:42] + call[46:] for call in heard)]
        for i, mine in enumerate(parts):
            for others in parts[:i]:
                self.assertFalse(mine & others)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2])
    harness.main()
