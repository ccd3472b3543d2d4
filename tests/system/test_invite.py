# SPDX-License-Identifier: GPL-3.0-or-later
"""`flow29 invite` and `join`: one pasted word brings a node into a swarm."""

import os

import harness
from harness import wait_until


class Invitations(harness.SystemTest):
    def invite(self, node):
        return node.ask("invite")

    def wait_peers(self, node, count):
        wait_until(lambda: node.status()["peers"] >= count, f"{node.name} to have {count} peers")

    def test_a_node_that_does_not_run_joins_when_it_is_started(self):
        first = self.lab.add_node()
        invitation = self.invite(first)
        self.assertFalse(invitation["private"])
        self.assertEqual(invitation["addresses"], [first.at])
        second = self.lab.add_node(start=False)
        joined = second.ask("join", invitation["invite"])
        self.assertEqual((joined["running"], joined["private"]), (False, False))
        self.assertEqual(joined["addresses"], [first.at])
        second.start()
        self.lab.wait_connected(second)
        self.wait_peers(second, 1)
        # Its own word names both, so that it outlives either.
        self.assertEqual(set(self.invite(second)["addresses"]), {first.at, second.at})

    def test_a_running_node_joins_at_once_and_remembers(self):
        first, second = self.lab.add_node(), self.lab.add_node()
        word = first.run("invite", as_json=False)
        self.assertRegex(word.stdout.decode(), r"^flow29i:[a-z2-7]+\n$")
        outcome = second.run("join", "-", stdin=b"  " + word.stdout.upper())
        self.assertEqual(self.assert_done(outcome)["reached"], 1)
        self.wait_peers(first, 1)
        path = self.lab.file("source", 100_000)
        link = self.publish(first, path, "--copies", "1")["link"]
        second.stop()
        # With the name of the public swarm, which is zero.
        self.assertEqual((second.data / "bootstrap").read_text(), f"{first.at} {'0' * 16}\n")
        # A command without a daemon knows the swarm as well.
        target = self.lab.path / "fetched"
        self.assert_done(second.run("fetch", link, "-o", target))
        self.assert_same(path, target)

    def test_what_is_wrong_with_a_word_is_said(self):
        node = self.lab.add_node()
        word = self.invite(node)["invite"]
        other = "b" if word[20] != "b" else "c"
        wrong = word[:20] + other + word[21:]
        for run in (node.run, self.lab.run):
            self.assert_error(run("join", wrong), harness.USAGE, "character 21", f"'{word[20]}'")
            self.assert_error(run("join", word[:-9]), harness.USAGE, "ends too early")
            self.assert_error(run("join", "flow29:abc"), harness.USAGE, "begins with flow29i:")
        self.assert_error(self.lab.run("join"), harness.USAGE, "needs the word")
        self.assert_error(self.lab.run("invite"), harness.NO_NODE)

    def test_a_private_word_is_for_a_node_that_has_no_other_key(self):
        owner, stranger = self.lab.add_node(start=False), self.lab.add_node()
        made = owner.ask("join", "--new")
        key = owner.data / "swarm.key"
        self.assertEqual((made["private"], made["swarm_key"]), (True, str(key)))
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assert_error(owner.run("join", "--new"), harness.EXISTS, "private swarm already")
        self.assert_error(stranger.run("join", "--new"), harness.REFUSED, "stop it first")
        owner.start()
        self.assertTrue(owner.status()["private"])
        text = owner.run("invite", as_json=False)
        self.assertIn("like a password", text.stderr)
        word = text.stdout.decode().strip()
        self.assert_error(stranger.run("join", word), harness.REFUSED, "run `flow29 join` again")
        stranger.stop()
        self.assertTrue(stranger.ask("join", word)["private"])
        self.assertEqual((stranger.data / "swarm.key").read_text(), key.read_text())
        self.assertEqual(os.stat(stranger.data / "swarm.key").st_mode & 0o777, 0o600)
        stranger.start()
        self.lab.wait_connected(stranger)
        self.wait_peers(owner, 1)

        public = self.lab.add_node()
        self.assert_error(stranger.run("join", self.invite(public)["invite"]), harness.REFUSED,
                          "a public swarm")
        third = self.lab.add_node(start=False)
        third.ask("join", "--new")
        self.assert_error(third.run("join", word), harness.EXISTS, "another swarm")

    def test_a_key_that_cannot_be_used_keeps_the_node_from_starting(self):
        key = self.lab.path / "key"
        command = ("node", "--port", "0", "--listen", "127.0.0.1", "--web", "off", "--gateway", "off",
                   "--swarm-key", key)
        self.assert_error(self.lab.run(*command), harness.FILE_ERROR, "no swarm key", "--new")
        key.write_text("a" * 51)
        key.chmod(0o600)
        self.assert_error(self.lab.run(*command), harness.FILE_ERROR, "52 characters", "not 51")
        key.write_text("a" * 52)
        key.chmod(0o644)
        self.assert_error(self.lab.run(*command), harness.REFUSED, "chmod 600")
        if os.geteuid() != 0:
            key.chmod(0)
            self.assert_error(self.lab.run(*command), harness.FILE_ERROR)


if __name__ == "__main__":
    harness.main()
