# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told is true, and says what to do next."""

import os
import signal
import socket

import harness
from harness import wait_until

ROOT = "a" * 52
MIB = 1 << 20


def plain(node, *args, **options):
    """What a person reads on standard output."""
    return node.run(*args, as_json=False, **options).stdout.decode()


def row(text, part):
    """The words of the line of a table that has `part` in it."""
    [line] = [line for line in text.splitlines() if part in line]
    return line.split()


class Alone(harness.SystemTest):
    def test_nobody_answers_and_status_log_and_errors_say_so(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.9.1", 0))
            at = f"127.0.9.1:{reserved.getsockname()[1]}"
            node = self.lab.add_node(bootstrap=[at])
            problem = wait_until(lambda: node.status()["problem"], "the problem to be said", 180)
            self.assertIn(at, problem)
            self.assertIn("private swarm", problem)
            self.assertIn(at, plain(node, "status"))
            wait_until(lambda: at in "".join(line["text"] for line in node.ask("log")["lines"]),
                       "the log to say it")
            self.assertIn("flow29 status", plain(node, "peers"))
            outcome = node.run("fetch", ROOT, "-o", "x", "--timeout", "2s")
            self.assert_error(outcome, harness.NO_NETWORK, at, "private swarm")

    def test_the_first_node_of_a_swarm_has_no_problem(self):
        node = self.lab.add_node()
        self.assertIsNone(node.status()["problem"])
        outcome = node.run("fetch", ROOT, "-o", "x", "--timeout", "2s")
        self.assert_error(outcome, harness.NO_NETWORK, "--bootstrap", "flow29 join")

    def test_who_ends_a_view_is_not_told_that_it_ended(self):
        # More than the disk has is something to be logged: a view has a first line then.
        node = self.lab.add_node(options=["--capacity", "1000TiB", "--web", "off", "--gateway", "off"])
        for view in (["status", "--watch"], ["log", "--follow"]):
            for as_json in (False, True):
                process = self.lab.start(*view, data=node.data, as_json=as_json)
                self.addCleanup(process.kill)
                process.stdout.readline()
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
                self.assertEqual((process.returncode, err), (130, b""), view)
                self.assertEqual(b"interrupted" in out, as_json, view)

    def test_a_private_node_is_told_of_the_key(self):
        stranger = self.lab.add_node()
        node = self.lab.add_node(bootstrap=[stranger], start=False)
        node.ask("join", "--new")
        node.start()
        outcome = node.run("fetch", ROOT, "-o", "x", "--timeout", "2s")
        self.assert_error(outcome, harness.NO_NETWORK, stranger.at, "another key")


class Together(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.swarm = self.lab.add_swarm(6)

    def test_a_mistyped_link_is_given_up_soon(self):
        node = self.swarm[1]
        wait_until(lambda: node.status()["peers"] == 5, "all to be connected")
        # Nothing is measured: the patience asked for is one that no test would wait for.
        outcome = node.run("fetch", ROOT, "-o", "x", "--timeout", "1h", "--progress", "always")
        self.assert_error(outcome, harness.NOT_FOUND, "is the link right")
        self.assertIn("nobody_yet", outcome.stages, outcome.report())
        self.assert_error(node.run("health", ROOT, "--timeout", "1h"), harness.NOT_FOUND)

    def test_ls_says_what_is_known_of_copies(self):
        publisher = self.swarm[0]
        link = self.publish(publisher, self.lab.file("source", MIB))["link"]
        self.assertEqual(row(plain(publisher, "ls"), "published")[3], "4/4")
        holders = [node for node in self.swarm[1:] if node.status()["storage"]["extents"] > 0]
        # Who is away is not counted, although it is waited for before a copy is made again.
        holders[0].kill()
        wait_until(lambda: publisher.ask("ls")["objects"][0]["copies_min"] < 4,
                   "ls to notice who went")
        # What was only fetched is nobody's to count here.
        outside = self.lab.add_node(bootstrap=[publisher], options=["--no-store"])
        self.fetch(outside, link, "fetched")
        [listed] = outside.ask("ls")["objects"]
        self.assertIsNone(listed["copies_min"])
        self.assertEqual(row(plain(outside, "ls"), "held")[3], "-")

    def test_a_private_object_has_its_name_with_its_publisher_only(self):
        path = self.lab.file("diary-of-a-canary.txt", MIB)
        self.publish(self.swarm[0], path, "--private")
        [listed] = self.swarm[0].ask("ls")["objects"]
        self.assertEqual(listed["name"], path.name)
        # The link there has no key, so that it can be passed on without the name.
        self.assertNotIn("canary", listed["link"])
        for node in self.swarm[1:]:
            for one in node.ask("ls")["objects"]:
                self.assertEqual(one["name"], "")
            for file in node.data.rglob("*"):
                if file.is_file():
                    self.assertNotIn(b"canary", file.read_bytes(), file)

    def test_nodes_are_named_by_the_beginnings_of_their_ids(self):
        node, other = self.swarm[0], self.swarm[1]
        wait_until(lambda: node.status()["peers"] == 5, "all to be connected")
        shown = row(plain(node, "peers"), other.id[:12])[0]
        self.assertEqual([peer["node"] for peer in node.ask("peers", shown)["peers"]], [other.id])
        self.assertEqual(node.ask("block", shown.upper()[:8])["nodes"], [other.id])
        self.assertEqual(row(plain(node, "block"), "node"), ["node", shown])
        wait_until(lambda: node.status()["peers"] == 4, "it to be sent away")
        self.assertEqual(node.ask("unblock", shown)["nodes"], [])
        self.assert_error(node.run("block", shown[:7]), harness.USAGE, "at least 8 digits")
        self.assert_error(node.run("peers", shown[:7]), harness.USAGE, "at least 8")
        self.assert_error(node.run("block", "0" * 20), harness.NOT_FOUND, "flow29 peers")
        self.assert_error(node.run("unblock", shown), harness.NOT_FOUND, "flow29 block")

    def test_a_directory_replaces_no_place_that_cannot_be_replaced(self):
        tree = self.lab.path / "tree"
        tree.mkdir()
        (tree / "a").write_bytes(os.urandom(100_000))
        link = self.publish(self.swarm[0], tree)["link"]
        where = self.lab.path / "where"
        where.mkdir()
        (where / "mine").write_text("precious")
        outcome = self.swarm[1].run("fetch", link, "-o", ".", "--overwrite", cwd=where)
        self.assert_error(outcome, harness.USAGE, "name a directory in it")
        self.assertEqual([path.name for path in where.iterdir()], ["mine"])
        self.assertEqual(sorted(self.lab.path.glob("where*")), [where])

    def test_names_are_as_long_as_files_may_have_them(self):
        path = self.lab.file("source", 1000)
        self.publish(self.swarm[0], path, "--name", "n" * 255)
        for name in ("n" * 256, "a/b", ".."):
            outcome = self.swarm[0].run("publish", path, "--name", name)
            self.assert_error(outcome, harness.USAGE, "--name")

    def test_progress_in_a_pipe_ends_on_what_was_reached(self):
        path = self.lab.file("source", 3 * MIB)
        outcome = self.swarm[0].run("publish", path, as_json=False)
        self.assertEqual(outcome.exit, 0, outcome.report())
        [*_, last] = [line for line in outcome.stderr.splitlines() if line.startswith("copies")]
        self.assertIn("4 of 4 copies", last, outcome.report())
        link = outcome.stdout.decode().strip()
        outcome = self.swarm[1].run("fetch", link, "-o", "fetched", as_json=False)
        lines = [line for line in outcome.stderr.splitlines() if line.startswith("data")]
        if lines:
            self.assertIn("100%", lines[-1], outcome.report())

    def test_what_was_here_already_is_not_said_to_come_from_nobody(self):
        link = self.publish(self.swarm[0], self.lab.file("source", 1 * MIB))["link"]
        outcome = self.swarm[0].run("fetch", link, "-o", self.lab.path / "again", as_json=False)
        self.assert_exit(outcome, harness.OK)
        said = outcome.stdout.decode() + outcome.stderr
        self.assertIn("all of it was here already", said)
        self.assertNotIn("0 holders", said)


if __name__ == "__main__":
    harness.main()
