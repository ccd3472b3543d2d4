# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes on one LAN find each other with nothing to go by, by IPv4 and by IPv6.

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
import test_ipv6 as ipv6
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


class LanTest(harness.NamespaceTest):
    def add(self, k, *options, address="0.0.0.0", start=True):
        self.net.add_member(k)
        return self.lab.add_node(address, name=f"node{k}", port=2929, prefix=self.net.inside(k),
                                 options=["--web", "off", "--gateway", "off", "--grace", "2s",
                                          "--no-port-mapping", *options], start=start)

    @staticmethod
    def wait_peers(node, count):
        wait_until(lambda: node.status()["peers"] >= count, f"{node.name} to have {count} peers")

    def share_key(self, first, *others):
        """A private swarm of nodes that have not been started."""
        self.lab.ask("join", "--new", data=first.data)
        for node in others:
            node.data.mkdir()
            (node.data / "swarm.key").write_bytes((first.data / "swarm.key").read_bytes())
            (node.data / "swarm.key").chmod(0o600)


@unittest.skipUnless(namespaces.possible(), "network namespaces cannot be made here")
class Lan(LanTest):
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
        second = self.add(4, start=False)
        self.share_key(first, second)
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


@unittest.skipUnless(ipv6.possible(), "network namespaces with IPv6 cannot be made here")
class LanOfIpv6(LanTest):
    """No IPv4 address, and none that was written down anywhere."""

    def add(self, k, *options, address="::", start=True):
        node = super().add(k, *options, address=address, start=False)
        self.net.take_v4(k)
        if start:
            node.start()
        return node

    def check_swarm(self, publisher, holder, reader, prefix):
        """A file gets from one to the other, and from there to the third."""
        for node in (publisher, holder, reader):
            self.wait_peers(node, 2)
            self.lab.wait_connected(node)
            for peer in node.ask("peers")["peers"]:
                self.assertTrue(peer["address"].startswith(prefix), peer)
        path = self.lab.file("source", 2 << 20)
        result = self.publish(publisher, path, "--copies", "1")
        self.assertGreaterEqual(result["copies"]["min"], 1)
        publisher.kill()
        _, target = self.fetch(reader, result["root"], "fetched")
        self.assert_same(path, target)

    def test_nodes_find_each_other_by_the_addresses_of_their_link(self):
        self.check_swarm(self.add(1), self.add(2), self.add(3, "--no-store"), "[fe80:")

    def test_so_do_those_of_a_private_swarm(self):
        swarm = [self.add(1, start=False), self.add(2, start=False),
                 self.add(3, "--no-store", start=False)]
        self.share_key(*swarm)
        for node in swarm:
            node.start()
        stranger = self.add(4)
        self.check_swarm(*swarm, "[fe80:")
        self.assertEqual(stranger.status()["peers"], 0)

    def test_addresses_that_are_good_beyond_the_link_go_before(self):
        swarm = [self.add(k, *options, start=False) for k, options in
                 ((1, ()), (2, ()), (3, ("--no-store",)))]
        for k, node in enumerate(swarm, 1):
            self.net.add_v6(k)
            node.start()
        self.check_swarm(*swarm, "[fd29:")

    def test_a_node_that_starts_before_its_network_is_up_is_found_and_found_again(self):
        swarm = [self.add(k, *options, start=False) for k, options in
                 ((1, ()), (2, ()), (3, ("--no-store",)))]
        self.net.switch(3, up=False)
        for node in swarm:
            node.start()
        self.wait_peers(swarm[0], 1)
        self.assertEqual(swarm[2].status()["peers"], 0)
        self.net.switch(3, up=True)
        self.wait_peers(swarm[2], 2)
        self.net.switch(3, up=False)
        wait_until(lambda: swarm[2].status()["peers"] == 0, "the network to be missed", 60)
        self.net.switch(3, up=True)
        self.check_swarm(*swarm, "[fe80:")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2])
    harness.main()
