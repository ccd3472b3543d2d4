# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node gets into its swarm when not all that it goes by is of use."""

import shutil
import socket
import unittest

import harness
from harness import wait_until

NOBODY = "127.0.99.99:9"   # nobody listens there
NOWHERE = "nowhere.invalid:2929"   # RFC 6761: no resolver knows it
NAME_SERVER = "127.0.99.53"


class Joining(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.swarm = self.lab.add_swarm(3)

    def assert_member(self, node):
        wait_until(lambda: node.status()["peers"] >= len(self.swarm), f"{node.name} to meet all")
        self.lab.wait_connected(node)

    def test_the_first_address_is_dead_and_the_second_one_is_not(self):
        self.assert_member(self.lab.add_node(bootstrap=[NOBODY, self.swarm[1]]))

    def test_without_any_address_it_finds_those_whom_it_knew(self):
        node = self.lab.add_node(bootstrap=self.swarm[:1], start=False)
        with_address = node.options
        node.start()
        self.assert_member(node)
        # Whom it met is written down by and by; then those who were there first may be gone.
        known = [other.id for other in self.swarm]
        wait_until(lambda: set(known) <= {peer["node"] for peer in node.ask("peers")["peers"]},
                   f"{node.name} to know all")
        node.stop()
        self.swarm[0].kill()
        del self.swarm[0]
        node.options = with_address[:with_address.index("--bootstrap")]
        node.start()
        self.assert_member(node)

    def test_a_name_without_an_address_keeps_no_other_one_waiting(self):
        seed = self.lab.add_node(address="127.0.0.1", bootstrap=self.swarm[:1])
        node = self.lab.add_node(bootstrap=[NOWHERE, f"localhost:{seed.port}"])
        self.assert_member(node)
        self.assertIsNone(node.status()["problem"])

    def test_a_name_without_an_address_is_a_problem_and_no_failed_start(self):
        node = self.lab.add_node(bootstrap=[NOWHERE])
        problem = wait_until(lambda: node.status()["problem"], "the problem to be told")
        self.assertIn(NOWHERE, problem)
        # It is a node like any other, whom others find.
        self.lab.add_node(bootstrap=[node, self.swarm[0]])
        wait_until(lambda: node.status()["problem"] is None, "the problem to be over")


def can_mount():
    probe = "mount --bind /etc/hosts /etc/hosts"
    return harness.is_root() and shutil.which("unshare") and \
        harness.can("unshare", "--mount", "sh", "-c", probe)


@unittest.skipUnless(can_mount(), "needs root and unshare")
class Names(harness.SystemTest):
    """Nodes with a name service of their own: a list of hosts, and a server that never answers."""

    def setUp(self):
        super().setUp()
        self.swarm = self.lab.add_swarm(3)
        self.hosts = self.lab.path / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        resolver = self.lab.path / "resolv.conf"
        # Longer than anybody waits here.
        resolver.write_text(f"nameserver {NAME_SERVER}\noptions timeout:30 attempts:5\n")
        switch = self.lab.path / "nsswitch.conf"
        switch.write_text("hosts: files dns\n")
        mounts = " && ".join(f"mount --bind '{self.lab.path}/{name}' /etc/{name}"
                             for name in ("hosts", "resolv.conf", "nsswitch.conf"))
        self.prefix = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "names"]
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind((NAME_SERVER, 53))
        self.silent = silent

    def test_a_name_server_that_does_not_answer_keeps_nobody_waiting(self):
        node = self.lab.add_node(bootstrap=["silent.example:2929", self.swarm[0]],
                                 prefix=self.prefix)
        self.silent.settimeout(60)
        self.assertIn(b"silent", self.silent.recv(4096), "it is being asked")
        wait_until(lambda: node.status()["peers"] >= len(self.swarm), "the node to meet all")
        self.assertEqual(node.stop(), 0)

    def test_who_only_waits_for_a_name_is_ready_and_ends_at_once(self):
        node = self.lab.add_node(bootstrap=["silent.example:2929"], prefix=self.prefix)
        self.silent.settimeout(60)
        self.silent.recv(4096)
        self.assertIsNone(node.status()["problem"], "it is too soon to say")
        self.assertEqual(node.stop(), 0)

    def test_a_machine_behind_a_name_that_moves_is_found(self):
        seed = self.swarm[0]
        self.hosts.write_text("127.0.99.99 seed.example\n")
        node = self.lab.add_node(bootstrap=[f"seed.example:{seed.port}"], prefix=self.prefix)
        wait_until(lambda: "is 127.0.99.99" in node.err_path.read_text(), "the old address")
        self.assertEqual(node.status()["peers"], 0)
        self.hosts.write_text(f"{seed.address} seed.example\n")
        wait_until(lambda: node.status()["peers"] >= len(self.swarm), "the node to meet all")


if __name__ == "__main__":
    harness.main()
