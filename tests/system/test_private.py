# SPDX-License-Identifier: GPL-3.0-or-later
"""Private objects: the link is all that opens them, and nothing else gives anything away."""

import base64
import hashlib
import os
import socket
import threading
from pathlib import Path

import harness
import lab

CANARY = b"canary: nobody else may ever read this"
NAME = "takeover plan.txt"
INNER = "minutes of the 3rd.txt"
ETH_P_ALL = 3
LONGEST_DATAGRAM = 65536


class Capture:
    """What crosses loopback while it runs, all protocols. A context manager."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)
        self.packets = []
        self.ended = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        while not self.ended:
            try:
                self.packets.append(self.socket.recv(LONGEST_DATAGRAM))
            except TimeoutError:
                pass

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.socket.close()

    def octets(self):
        return b"\n".join(self.packets)


def dht_key(root):
    """Where those who hold an object say so."""
    return hashlib.sha256(b"flow29 root" + root).digest()[:20]


def written_ways(root):
    """A hash as it may stand somewhere."""
    text = base64.b32encode(root).decode().rstrip("=")
    return [root, root.hex().encode(), text.lower().encode(), text.encode()]


class Private(harness.SystemTest):
    def assert_seen(self, trace, octets):
        self.assertTrue(trace in octets, f"{trace!r} is not there")

    def assert_unseen(self, trace, octets):
        at = octets.find(trace)
        self.assertEqual(at, -1, f"{trace!r} is in {octets[max(0, at - 99):at + 99]!r}")

    def start_swarm(self):
        holders = self.lab.add_swarm(5)
        publisher = self.lab.add_node(bootstrap=holders[:1], options=["--no-store", "-v", "-v"])
        for node in (*holders, publisher):
            self.lab.wait_connected(node)
        return holders, publisher

    def secret_file(self):
        path = self.lab.path / NAME
        path.write_bytes(CANARY * 5000)
        return path

    def secret_directory(self):
        path = self.lab.path / "board papers"
        (path / "q3").mkdir(parents=True)
        (path / "q3" / INNER).write_bytes(CANARY * 900)
        (path / "run.sh").write_bytes(b"#!/bin/sh\n")
        (path / "run.sh").chmod(0o755)
        (path / "empty").mkdir()
        return path

    @staticmethod
    def octets_of_store(node):
        return b"\n".join(path.read_bytes() for path in sorted(Path(node.data).rglob("*"))
                          if path.is_file())

    @staticmethod
    def command_lines(nodes):
        return b"\n".join(Path(f"/proc/{node.pid}/cmdline").read_bytes() for node in nodes)

    def seen_elsewhere(self, publish):
        """Everything that others have or could see of what `publish` does, with its result."""
        holders, publisher = self.start_swarm()
        packets = b""
        if harness.is_root():
            with Capture() as capture:
                done = publish(publisher)
                self.fetch(holders[4], done["link"], "fetched")
            packets = capture.octets()
            key = dht_key(bytes.fromhex(done["root"]))
            self.assertTrue(key in packets, "nothing was captured")
        else:
            done = publish(publisher)
        everything = [packets, self.command_lines([*holders, publisher])]
        everything += [Path(node.err_path).read_bytes() for node in (*holders, publisher)]
        everything += [self.octets_of_store(node) for node in holders]
        return done, b"\n".join(everything)

    def test_nothing_of_a_private_file_is_seen_elsewhere(self):
        path = self.secret_file()
        plain = bytes.fromhex(harness.file_root(path))
        done, seen = self.seen_elsewhere(lambda node: self.publish(node, path, "--private"))
        self.assertIn("#k=", done["link"])
        self.assertNotEqual(done["root"], plain.hex())
        self.assert_seen(b"inviter: asking", seen)  # the log
        key = done["link"].partition("#k=")[2]
        for trace in (CANARY, NAME.encode(), key.encode(), *written_ways(plain)):
            self.assert_unseen(trace, seen)
        self.assert_seen(bytes.fromhex(done["root"]), seen)

    def test_of_a_public_file_the_same_search_finds_everything(self):
        path = self.secret_file()
        done, seen = self.seen_elsewhere(lambda node: self.publish(node, path))
        self.assert_seen(CANARY, seen)
        self.assert_seen(bytes.fromhex(done["root"]), seen)
        self.assertEqual(done["root"], harness.file_root(path))

    def test_nothing_of_a_private_directory_is_seen_elsewhere(self):
        path = self.secret_directory()
        done, seen = self.seen_elsewhere(lambda node: self.publish(node, path, "--private"))
        plain = self.lab.ask("hash", path)["root"]
        for trace in (CANARY, INNER.encode(), b"run.sh", *written_ways(bytes.fromhex(plain))):
            self.assert_unseen(trace, seen)
        self.assert_seen(bytes.fromhex(done["root"]), seen)

    def test_the_link_alone_suffices(self):
        holders, publisher = self.start_swarm()
        path = self.secret_file()
        link = self.publish(publisher, path, "--private")["link"]
        publisher.stop()
        reader = self.lab.add_node(bootstrap=holders[:1], options=["--no-store"])
        self.lab.wait_connected(reader)
        self.assert_same(path, self.fetch(reader, link, "whole")[1])
        outcome = reader.run("cat", link, "--range", "100-1299", as_json=False)
        self.assert_exit(outcome, 0)
        self.assertEqual(outcome.stdout, path.read_bytes()[100:1300])

    def test_a_directory_and_one_path_of_it(self):
        holders, publisher = self.start_swarm()
        path = self.secret_directory()
        link = self.publish(publisher, path, "--private")["link"]
        publisher.stop()
        listing = holders[0].ask("ls", link)
        self.assertEqual(sorted(entry["path"] for entry in listing["entries"]),
                         ["empty", "q3/" + INNER, "run.sh"])
        _, copy = self.fetch(holders[1], link, "copy")
        self.assertEqual((copy / "q3" / INNER).read_bytes(), CANARY * 900)
        self.assertTrue(os.access(copy / "run.sh", os.X_OK))
        self.assertTrue((copy / "empty").is_dir())
        root, rest = link.split("?", 1)
        _, one = self.fetch(holders[2], f"{root}/run.sh?{rest}", "one.sh")
        self.assertEqual(one.read_bytes(), b"#!/bin/sh\n")

    def test_without_the_key_or_with_another_it_says_so(self):
        holders, publisher = self.start_swarm()
        first = self.publish(publisher, self.secret_file(), "--private")["link"]
        second = self.publish(publisher, self.secret_directory(), "--private")["link"]
        bare = first.partition("#")[0]
        key_of_second = second.partition("#k=")[2]
        target = self.lab.path / "nothing"

        def refused(link, code, *words):
            self.assert_error(holders[0].run("fetch", link, "-o", target), code, *words)
            self.assertFalse(target.exists())
            shown = holders[0].run("cat", link, as_json=False)
            self.assert_exit(shown, code)
            self.assertEqual(shown.stdout, b"")

        refused(bare, 11, "private", "no key")
        refused(f"{bare}#k={key_of_second}", 6, "not this object's")
        refused(f"{bare}#k=tooshort", 2, "not a key")
        # Whoever has no key can still see to its copies.
        self.assertEqual(holders[0].ask("health", bare)["copies"]["min"], 4)

    def test_publishing_it_again_gives_the_same_link(self):
        holders, publisher = self.start_swarm()
        path = self.secret_file()
        first = self.publish(publisher, path, "--private")
        self.assertEqual(self.publish(publisher, path, "--private")["link"], first["link"])
        # Another node has another secret: nobody can tell that it is the same text.
        other = self.lab.add_node(bootstrap=holders[:1], options=["--no-store"])
        self.lab.wait_connected(other)
        self.assertNotEqual(self.publish(other, path, "--private")["root"], first["root"])

    def test_an_interrupted_fetch_goes_on_where_it_stopped(self):
        holders, publisher = self.start_swarm()
        size = 24 << 20
        path = self.lab.file("noise", size)
        link = self.publish(publisher, path, "--private")["link"]
        reader = self.lab.add_node(bootstrap=holders[:1],
                                   options=["--no-store", "--down-limit", "4MiB"])
        self.lab.wait_connected(reader)
        target = self.lab.path / "noise again"
        part = self.lab.path / "noise again.flow29-part"
        process = self.lab.start("fetch", link, "-o", target, data=reader.data)
        harness.wait_until(lambda: lab.written_bytes(part) > 6 << 20,
                           "some of it to come")
        reader.kill()
        process.communicate()
        reader.start()
        self.lab.wait_connected(reader)
        reader.ask("limit", "--down", "off")
        done = self.assert_done(reader.run("fetch", link, "-o", target))
        self.assert_same(path, target)
        self.assertLess(done["fetched_bytes"], size - (4 << 20))

    def test_it_cannot_be_kept_by_reference(self):
        _, publisher = self.start_swarm()
        path = self.secret_file()
        self.assert_error(publisher.run("publish", path, "--private", "--by-reference"), 2,
                          "private", "reference")


if __name__ == "__main__":
    harness.main()
