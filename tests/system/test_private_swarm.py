# SPDX-License-Identifier: GPL-3.0-or-later
"""Private swarms: who has the key publishes and fetches; nobody else is answered, or sees anything."""

import base64
import hashlib
import os
import socket
import subprocess
import sys
import unittest

import harness
import namespaces
from harness import wait_until

KIB = 1024


def wait_peers(node, count):
    wait_until(lambda: node.status()["peers"] >= count, f"{node.name} to have {count} peers")


def private_swarm(test, count, options=()):
    """`count` nodes of a new private swarm, all connected."""
    first = test.lab.add_node(start=False, options=options)
    first.ask("join", "--new")
    first.start()
    word = first.ask("invite")["invite"]
    swarm = [first]
    for _ in range(count - 1):
        node = test.lab.add_node(start=False, options=options)
        node.ask("join", word)
        node.start()
        swarm.append(node)
    for node in swarm:
        test.lab.wait_connected(node)
    return swarm


class Members(harness.SystemTest):
    def test_members_publish_and_fetch_also_without_a_daemon(self):
        swarm = private_swarm(self, 4)
        path = self.lab.file("source", 3 << 20)
        result = self.publish(swarm[0], path, "--copies", "3")
        self.assertEqual(result["copies"]["min"], 3)
        swarm[0].stop()
        # One that never had it, as a command without a daemon: its directory was invited.
        alone = self.lab.path / "alone"
        self.lab.ask("join", swarm[1].ask("invite")["invite"], data=alone)
        target = self.lab.path / "fetched"
        self.assert_done(self.lab.run("fetch", result["root"], "-o", target, data=alone))
        self.assert_same(path, target)
        # One that is told the key's file and an address.
        other = self.lab.path / "told"
        outcome = self.lab.run("--bootstrap", swarm[2].at, "--swarm-key", alone / "swarm.key", "fetch",
                               result["root"], "-o", self.lab.path / "again", data=other)
        self.assert_done(outcome)
        self.assert_same(path, self.lab.path / "again")
        located = swarm[1].ask("locate", result["root"])
        self.assertIn("record", {holder["source"] for holder in located["holders"]})


class Doorbell:
    """An address where nobody lives, that notices whoever tries it by TCP."""

    def __init__(self, address, port=0):
        self.socket = socket.create_server((address, port))
        self.socket.settimeout(0)
        self.at = f"{address}:{self.socket.getsockname()[1]}"
        self.rung = 0

    def count(self):
        while True:
            try:
                self.socket.accept()[0].close()
                self.rung += 1
            except BlockingIOError:
                return self.rung

    def close(self):
        self.socket.close()


class Moved(harness.SystemTest):
    """A data directory that was in the public swarm goes on in a private one."""

    def test_neighbours_of_the_old_swarm_are_not_dialled(self):
        old = self.lab.add_node()
        node = self.lab.add_node(bootstrap=[old])
        wait_peers(node, 1)
        word = old.ask("invite")["invite"]
        node.ask("join", word)
        old.stop()
        node.stop()
        # Where the old neighbour was, and where the new swarm is said to be.
        before = Doorbell(old.address, old.port)
        self.addCleanup(before.close)
        now = Doorbell("127.0.9.1")
        self.addCleanup(now.close)
        node.options = ["--port", "0", "--bootstrap", now.at]
        node.start()
        wait_until(lambda: now.count() >= 1 and before.count() >= 1,
                   "the old neighbour to be tried, as long as the swarm is the same")
        node.stop()
        node.ask("join", "--new")
        rung = before.count()
        node.start()
        # All addresses are tried together, so that the second time shows who is among them.
        seen = now.count()
        wait_until(lambda: now.count() >= seen + 2, "the new address to be tried twice")
        self.assertEqual(before.count(), rung, "the old neighbour was tried in another swarm")
        # Back in the old swarm, it is remembered still.
        node.stop()
        (node.data / "swarm.key").rename(self.lab.path / "put-away")
        node.start()
        wait_until(lambda: before.count() > rung, "the old neighbour to be tried again")


class Strangers(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.swarm = private_swarm(self, 3)
        self.link = self.publish(self.swarm[0], self.lab.file("source", 100 * KIB),
                                 "--copies", "2")["link"]

    def assert_shut_out(self, data):
        outcome = self.lab.run("--bootstrap", self.swarm[0].at, "fetch", self.link, "-o",
                               self.lab.path / "stolen", "--timeout", "5s", data=data)
        self.assertIn(outcome.exit, (harness.NOT_FOUND, harness.TIMED_OUT, harness.NO_NETWORK),
                      outcome.report())
        self.assertFalse((self.lab.path / "stolen").exists())

    def test_without_the_key_nobody_joins(self):
        stranger = self.lab.add_node(bootstrap=[self.swarm[0]])
        self.assert_shut_out(self.lab.path / "fresh")
        self.assert_shut_out(stranger.data)
        self.assertEqual(stranger.status()["peers"], 0)
        self.assertFalse(stranger.status()["dht"]["connected"])
        # It was heard, and that is all.
        status = self.swarm[0].status()
        self.assertGreater(status["dht"]["foreign_packets"], 0)
        self.assertEqual(status["peers"], 2)

    def test_with_another_key_nobody_joins(self):
        other = self.lab.add_node(bootstrap=[self.swarm[0]], start=False)
        other.ask("join", "--new")
        other.start()
        self.assert_shut_out(other.data)
        self.assertEqual(other.status()["peers"], 0)
        self.assertGreater(self.swarm[0].status()["dht"]["foreign_packets"], 0)

    def test_no_datagram_is_answered(self):
        node = self.swarm[0]
        # Of a client, who has no id to prove.
        ping = bytes.fromhex("86a173c3 a161 81a26964 c414".replace(" ", "")) + os.urandom(20) + \
            bytes.fromhex("a171 a470696e67 a174 ce00000001 a179 a171 a16e 1d".replace(" ", ""))
        # A node of the public swarm answers this very datagram, so that silence means something.
        public = self.lab.add_node()
        self.assertTrue(self.answers(public, [ping]))
        self.assertFalse(self.answers(node, [ping, b"", b"x", os.urandom(58), os.urandom(400),
                                             bytes(1500)]))

    def answers(self, node, datagrams):
        """What comes back before the node has counted them all, and has had time to answer."""
        before = node.status()["traffic"]["dht_down_packets"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.9.9", 0))
            for datagram in datagrams:
                udp.sendto(datagram, (node.address, node.port))
            wait_until(lambda: node.status()["traffic"]["dht_down_packets"] >= before + len(datagrams),
                       "the datagrams to be counted")
            udp.settimeout(0.5)
            try:
                return udp.recv(2000)
            except socket.timeout:
                return b""

    def test_no_connection_is_answered(self):
        node = self.swarm[0]
        for octets in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + os.urandom(512),
                       os.urandom(58), bytes(4096)):
            with socket.create_connection((node.address, node.port), timeout=30) as tcp:
                heard = b""
                try:
                    tcp.sendall(octets)
                    tcp.shutdown(socket.SHUT_WR)
                    heard = tcp.recv(100)
                except OSError:
                    pass  # it hung up before it had heard everything
                self.assertEqual(heard, b"")


class Capture:
    """Everything that passes the interfaces of a namespace, by a process inside it."""

    SCRIPT = """
import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
sys.stdout.buffer.write(b"ready\\n")
sys.stdout.buffer.flush()
with open(sys.argv[1], "wb", 0) as out:
    while True:
        packet = raw.recv(65536)
        # Ethernet, IPv4, then TCP or UDP: what these carry, so that nothing is cut by headers.
        if packet[12:14] != b"\\x08\\x00":
            continue
        ip = packet[14:]
        body = ip[(ip[0] & 15) * 4:int.from_bytes(ip[2:4], "big")]
        if ip[9] == 6:
            out.write(body[(body[12] >> 4) * 4:])
        elif ip[9] == 17:
            out.write(body[8:])
"""


@unittest.skipUnless(namespaces.possible(), "network namespaces cannot be made here: no capture")
class Captured(harness.NamespaceTest):
    """What an eavesdropper sees, who has the link and knows the file."""

    NAME = "holiday-in-the-mountains.txt"
    COUNT = 4

    def capture(self):
        """Starts to capture where the bridge is, which every packet passes; returns how to end it."""
        path = self.lab.path / "capture"
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.net.name("hub"), sys.executable, "-c", Capture.SCRIPT,
             str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def end():
            process.kill()
            process.wait()
            return path.read_bytes()
        return end

    def leak(self, octets):
        """Sends octets as they are from one member's namespace to another's."""
        script = "import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(" \
            "bytes.fromhex(sys.argv[1]), ('10.29.2.1', 9))"
        subprocess.run([*self.net.inside(1), sys.executable, "-c", script, octets.hex()], check=True)

    def exchange(self, is_private, leak=False):
        """A file is published, its holders found and it is fetched; what was seen, and its secrets.

        `leak`: all of them are sent in the clear at the end."""
        end = self.capture()
        swarm = []
        for k in range(1, self.COUNT + 1):
            address = self.net.add_member(k)
            node = self.lab.add_node(address, port=2929, prefix=self.net.inside(k), start=False,
                                     options=["--web", "off", "--gateway", "off"])
            if is_private and k == 1:
                node.ask("join", "--new")
            elif k > 1:
                node.ask("join", swarm[0].ask("invite")["invite"])
            node.start()
            swarm.append(node)
        for node in swarm:
            self.lab.wait_connected(node)
        self.addCleanup(lambda: [node.kill() for node in swarm])
        path = self.lab.path / self.NAME
        path.write_bytes(b"".join(b"line %06d of what nobody else may read\n" % i for i in range(60_000)))
        result = self.publish(swarm[0], path, "--copies", "2")
        for node in swarm:
            node.run("locate", result["root"], "--timeout", "20s")
        # An extent of its own for each chunk: their keys are looked up as well.
        small = self.lab.path / "small"
        small.write_bytes(b"a few chunks that are extents\n" * 100)
        fine = self.publish(swarm[1], small, "--copies", "2", "--extent-chunks", "1")
        _, target = self.fetch(swarm[-1], result["link"], "fetched")
        self.assert_same(path, target)
        self.fetch(swarm[-1], fine["link"], "fetched-small")
        if leak:
            for octets in self.secrets(path, small, result, fine).values():
                self.leak(octets)
        return end(), path, small, result, fine

    def secrets(self, path, small, result, fine):
        """Name -> octets that would give it away."""
        chunks = harness.leaves(small.read_bytes())
        named = {"plaintext": path.read_bytes()[:64], "plaintext later": path.read_bytes()[-64:],
                 "small plaintext": small.read_bytes()[512:576], "name": self.NAME.encode()}
        hashes = {"root": bytes.fromhex(result["root"]), "fine root": bytes.fromhex(fine["root"]),
                  "chunk extent": chunks[0]}
        for name, raw in hashes.items():
            named[name + " raw"] = raw
            named[name + " hex"] = raw.hex().encode()
            named[name + " base32"] = base64.b32encode(raw).lower().rstrip(b"=")
        named.update(self.public_keys(result, fine, chunks))
        return named

    @staticmethod
    def public_keys(result, fine, chunks):
        """The places in the DHT of the public swarm, which whoever has a hash can compute."""
        def key(domain, raw):
            return hashlib.sha256(domain + raw).digest()[:20]
        return {"root's key": key(b"flow29 root", bytes.fromhex(result["root"])),
                "fine root's key": key(b"flow29 root", bytes.fromhex(fine["root"])),
                "extent's key": key(b"flow29 extent", chunks[0])}

    def found(self, seen):
        capture, *rest = seen
        self.assertGreater(len(capture), 2 << 20, "the file must have passed here")
        return {name for name, octets in self.secrets(*rest).items() if octets in capture}

    def test_nothing_of_a_private_swarm_is_seen(self):
        self.assertEqual(self.found(self.exchange(is_private=True)), set())

    def test_the_same_search_finds_what_a_public_swarm_shows(self):
        """The keys and, in records, what is signed: so the search above can find something."""
        found = self.found(self.exchange(is_private=False))
        self.assertIn("root's key", found)
        self.assertIn("extent's key", found)
        # What goes over TLS is hidden there too.
        self.assertNotIn("plaintext", found)
        self.assertNotIn("name", found)

    def test_the_same_search_finds_all_that_is_sent_in_the_clear(self):
        seen = self.exchange(is_private=True, leak=True)
        self.assertEqual(self.found(seen), set(self.secrets(*seen[1:])))


if __name__ == "__main__":
    harness.main()
