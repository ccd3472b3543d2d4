# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system tests share: real flow29 processes, and unittest with the nodes' logs on failure.

A test module ends with `harness.main()`. FLOW29_BINARY names the program; Meson sets it.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "lib"))

import lab  # noqa: E402
import namespaces  # noqa: E402
from lab import wait_until  # noqa: E402,F401

CHUNK = 512
SKIPPED = 77  # what Meson takes as "skipped"
# How much more memory than usual a process may take: with a sanitizer it does.
MEMORY_FACTOR = int(os.environ.get("FLOW29_MEMORY_FACTOR", "1"))
# Test programs run side by side. A port that one of them leaves may be taken by another, and swarms that
# met would be one.
HOST = 1 + os.getpid() % 250

# Exit codes of the command line.
OK, OTHER, USAGE, NO_NODE, NOT_FOUND, TIMED_OUT, UNVERIFIED = 0, 1, 2, 3, 4, 5, 6
NO_NETWORK, NO_SPACE, FILE_ERROR, EXISTS, REFUSED, PARTLY = 7, 8, 9, 10, 11, 12


# The object format, computed independently of the program.

def leaf(chunk):
    return hashlib.sha256(b"\x00" + chunk).digest()


def leaves(data):
    return [leaf(data[i:i + CHUNK]) for i in range(0, len(data), CHUNK)]


def fold(nodes):
    """The tree over nodes: RFC 6962, complete subtrees to the left."""
    if not nodes:
        return hashlib.sha256(b"").digest()
    if len(nodes) == 1:
        return nodes[0]
    k = 1
    while k * 2 < len(nodes):
        k *= 2
    return hashlib.sha256(b"\x01" + fold(nodes[:k]) + fold(nodes[k:])).digest()


def root_hash(data, kind=0):
    head = b"\x02" + bytes([kind]) + len(data).to_bytes(8, "big")
    return hashlib.sha256(head + fold(leaves(data))).hexdigest()


def file_root(path):
    return root_hash(pathlib.Path(path).read_bytes())


class SystemTest(unittest.TestCase):
    """A test with a lab of its own."""

    def setUp(self):
        self.saved_logs = ""
        self.lab = lab.Lab("flow29-test-", host=HOST)
        self.addCleanup(self._close_lab)

    def _close_lab(self):
        self.saved_logs = self.lab.logs()
        self.lab.close()

    def node_logs(self):
        return self.saved_logs or self.lab.logs()

    # Assertions.

    def assert_exit(self, outcome, code):
        self.assertEqual(outcome.exit, code, outcome.report())

    def assert_done(self, outcome):
        """The command succeeded and said so; its result."""
        self.assert_exit(outcome, OK)
        self.assertEqual(outcome.result.get("event"), "done", outcome.report())
        return outcome.result

    def assert_error(self, outcome, code, *words):
        """The command failed with this exit code, said so in JSON, and its message has the words."""
        self.assert_exit(outcome, code)
        result = outcome.result
        self.assertEqual(result.get("event"), "error", outcome.report())
        self.assertEqual(result.get("exit"), code, outcome.report())
        self.assertTrue(result.get("code"), outcome.report())
        for word in words:
            self.assertIn(word, result.get("message", ""), outcome.report())
        return result

    def assert_same(self, first, second):
        self.assertTrue(lab.same_bytes(first, second), f"{first} and {second} differ")

    # Steps that many tests take.

    def publish(self, node, path, *options):
        return self.assert_done(node.run("publish", path, *options))

    def fetch(self, node, link, name, *options):
        """Fetches through a node; the result and where it is."""
        path = self.lab.path / name
        return self.assert_done(node.run("fetch", link, "-o", path, *options)), path

    def wait_copies(self, node, link, copies, seconds=180):
        """Waits until every part of an object has so many live copies."""
        def enough():
            outcome = node.run("health", link, "--timeout", "30s")
            return outcome.exit == OK and outcome.result["copies"]["min"] >= copies \
                and outcome.result
        return wait_until(enough, f"{copies} copies of everything", seconds, 0.5)


class NamespaceTest(SystemTest):
    """One with network namespaces, `self.net`, for its nodes; they end before those go."""

    def setUp(self):
        super().setUp()
        self.net = namespaces.Net()
        self.addCleanup(self.net.remove)
        self.net.create()
        self.addCleanup(lambda: [node.kill() for node in self.lab.nodes])


class _Result(unittest.TextTestResult):
    """Prints the nodes' logs with what failed."""

    def addError(self, test, err):
        super().addError(test, err)
        self._add_logs(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add_logs(test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._add_logs(test)

    def _add_logs(self, test):
        if isinstance(test, SystemTest):
            self.stream.writeln(f"\nThe nodes of {test}:\n{test.node_logs()}")
            self.stream.flush()


def main():
    """Runs the module's tests; exits with SKIPPED when all of them were skipped."""
    lab.end_on_signals()
    program = unittest.main(
        module="__main__", exit=False, verbosity=2, argv=sys.argv,
        testRunner=unittest.TextTestRunner(stream=sys.stdout, resultclass=_Result, verbosity=2))
    result = program.result
    if not result.wasSuccessful() or result.testsRun == 0:
        sys.exit(1)
    sys.exit(SKIPPED if len(result.skipped) >= result.testsRun else 0)


# What a machine allows.

def is_root():
    return os.geteuid() == 0


def can(*command):
    """Whether a command succeeds here."""
    try:
        return subprocess.run(command, capture_output=True, check=False,
                              stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False
