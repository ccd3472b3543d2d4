# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node gets into its swarm when not all that it goes by is of use."""

import harness
from harness import wait_until

NOBODY = "127.0.99.99:9"   # nobody listens there


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


if __name__ == "__main__":
    harness.main()
