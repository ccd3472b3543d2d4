# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections as a stranger finds them, who comes with OpenSSL's and GnuTLS's own tools.

That a node leaves somebody else alone who is where it looks for another: `unit_net`.
"""

import shutil
import socket
import subprocess
import threading
import unittest

import harness

PROTOCOL = "flow29/1"
RAW_KEYS = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK"
HELLO = "flow29/0."  # the user agent in a node's first message
SECONDS = 30


class Relay:
    """Passes one connection on to a node and remembers what the client sent. A context manager."""

    def __init__(self, target):
        self.target = target
        self.sent = b""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        client, _ = self.listener.accept()
        with client, socket.create_connection(self.target) as node:
            back = threading.Thread(target=self._answer, args=(node, client), daemon=True)
            back.start()
            while part := client.recv(65536):
                self.sent += part
                node.sendall(part)
            node.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def _answer(node, client):
        try:
            while part := node.recv(65536):
                client.sendall(part)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the client has gone

    def __exit__(self, *_):
        self.thread.join(SECONDS)
        self.listener.close()


def answer_to(target, octets):
    """All that a node sends to whoever sends it this."""
    with socket.create_connection(target, timeout=SECONDS) as node:
        answer = b""
        try:
            node.sendall(octets)
            node.shutdown(socket.SHUT_WR)
            while part := node.recv(65536):
                answer += part
        except TimeoutError:
            raise
        except OSError:
            pass  # it has ended the connection, before all was sent or after
        return answer


def records(octets):
    """The types of the TLS records in it: 22 handshake, 23 encrypted, 21 alert."""
    types = []
    while len(octets) >= 5:
        types.append(octets[0])
        octets = octets[5 + int.from_bytes(octets[3:5], "big"):]
    return types


@unittest.skipUnless(shutil.which("openssl") and shutil.which("gnutls-cli"),
                     "openssl and gnutls-bin are not installed")
class Tls(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.node = self.lab.add_node()
        self.target = (self.node.address, self.node.port)
        self.key, self.public = self.make_key("stranger")

    def make_key(self, name):
        key, public = self.lab.path / f"{name}.key", self.lab.path / f"{name}.pub"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True,
                       capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
        return key, public

    def own_key(self):
        return "--rawpkkeyfile", self.key, "--rawpkfile", self.public

    def gnutls(self, *options, target=None, priority=RAW_KEYS):
        host, port = target or self.target
        return subprocess.run(
            ["gnutls-cli", "--insecure", "--no-ca-verification", "--priority", priority,
             *options, "--port", str(port), host],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)

    def openssl(self, *options):
        return subprocess.run(
            ["openssl", "s_client", "-connect", "%s:%d" % self.target, *options],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)

    def assert_refused(self, outcome):
        # What the tools exit with depends on how soon they notice that the node hung up.
        self.assertNotIn(HELLO.encode(), outcome.stdout)
        # And the node is none the worse for it.
        self.assertEqual(self.node.status()["peers"], 0)

    def test_who_speaks_as_a_node_is_answered(self):
        outcome = self.gnutls(*self.own_key(), "--alpn", PROTOCOL)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn(b"TLS1.3-Raw Public Key", outcome.stdout)
        self.assertIn(b"EdDSA-Ed25519", outcome.stdout)
        self.assertIn(HELLO.encode(), outcome.stdout)

    def test_records_are_tls_with_every_cipher(self):
        for cipher in "AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305":
            with self.subTest(cipher):
                outcome = self.gnutls(*self.own_key(), "--alpn", PROTOCOL,
                                      priority=f"{RAW_KEYS}:-CIPHER-ALL:+{cipher}")
                self.assertEqual(outcome.returncode, 0, outcome.stderr)
                self.assertIn(cipher.encode(), outcome.stdout)
                self.assertIn(HELLO.encode(), outcome.stdout)

    def test_tls_1_2_is_refused(self):
        self.assert_refused(self.openssl("-tls1_2", "-alpn", PROTOCOL))

    def test_certificates_of_authorities_are_refused(self):
        self.assert_refused(self.openssl("-tls1_3", "-alpn", PROTOCOL))

    def test_without_a_key_there_is_no_connection(self):
        self.assert_refused(self.gnutls("--alpn", PROTOCOL))

    def test_another_protocol_or_none_is_refused(self):
        self.assert_refused(self.gnutls(*self.own_key(), "--alpn", "h2"))
        self.assert_refused(self.gnutls(*self.own_key()))

    def test_there_is_no_session_to_resume_and_no_early_data(self):
        early = self.lab.path / "early"
        early.write_bytes(b"too early")
        outcome = self.gnutls(*self.own_key(), "--alpn", PROTOCOL, "--resume",
                              "--earlydata", str(early))
        said = (outcome.stdout + outcome.stderr).decode(errors="replace")
        self.assertNotRegex(said, r"(?i)\*\*\* This is a resumed session")
        self.assertNotRegex(said, r"(?i)early data.*accepted")
        # It got no ticket, which both would need.
        self.assertNotRegex(said, r"(?i)session ticket")

    def test_what_was_recorded_is_worth_nothing(self):
        with Relay(self.target) as relay:
            outcome = self.gnutls(*self.own_key(), "--alpn", PROTOCOL,
                                  target=("127.0.0.1", relay.port))
        self.assertIn(HELLO.encode(), outcome.stdout)
        sent = records(relay.sent)
        self.assertEqual(sent[0], 22)
        self.assertIn(23, sent)  # its key and proof, encrypted for that one connection
        # What it says is lost where the end of the connection is heard before it is read.
        answer = harness.wait_until(lambda: answer_to(self.target, relay.sent), "an answer")
        # The node's own side of a new handshake, and then the end: never a message.
        self.assertEqual(records(answer)[0], 22)
        self.assertLess(len(answer), len(relay.sent) + 1500)
        self.assertEqual(self.node.status()["peers"], 0)


if __name__ == "__main__":
    harness.main()
