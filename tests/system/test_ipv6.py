# SPDX-License-Identifier: GPL-3.0-or-later
"""A swarm that has nothing but IPv6, and nodes that have both.

In network namespaces; skipped where those cannot be made.
"""

import unittest
from pathlib import Path

import harness
import namespaces

COUNT = 6


def possible():
    return Path("/proc/net/if_inet6").exists() and namespaces.possible()


@unittest.skipUnless(possible(), "network namespaces with IPv6 cannot be made here")
class Ipv6(harness.NamespaceTest):
    def add(self, k, address, bootstrap, *options):
        return self.lab.add_node(address, name=f"node{k}", bootstrap=bootstrap, port=2929,
                                 prefix=self.net.inside(k),
                                 options=["--web", "[::1]:2930", "--gateway", "[::1]:2931",
                                          *options])

    def test_a_swarm_of_ipv6_alone(self):
        swarm = []
        for k in range(1, COUNT + 1):
            self.net.add_member(k)
            address = self.net.add_v6(k, only=True)
            # Both ways to write an address to listen on.
            swarm.append(self.add(k, f"[{address}]" if k % 2 else address,
                                  [f"[{swarm[0].v6}]:2929"] if swarm else []))
            swarm[-1].v6 = address
        for node in swarm:
            self.lab.wait_connected(node)
            self.assertEqual(node.status()["addresses"], [f"[{node.v6}]:2929"])

        path = self.lab.file("source", 3 << 20)
        result = self.publish(swarm[1], path)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        self.assertGreaterEqual(swarm[2].ask("health", result["link"])["groups"], 4)
        swarm[1].kill()
        _, target = self.fetch(swarm[-1], result["root"], "fetched")
        self.assert_same(path, target)
        for peer in swarm[0].ask("peers")["peers"]:
            self.assertTrue(peer["address"].startswith("[fd29:"), peer)

        # What a link or an invitation says of addresses, and a command with a node of its own.
        word = swarm[0].ask("invite")
        self.assertIn(f"[{swarm[0].v6}]:2929", word["addresses"])
        target = self.lab.path / "alone"
        outcome = self.lab.run("fetch", f"flow29:{result['link'][7:59]}?at=[{swarm[2].v6}]:2929",
                               "-o", target, data=self.lab.path / "own",
                               prefix=self.net.inside(COUNT))
        self.assert_done(outcome)
        self.assert_same(path, target)

    def test_one_with_both_serves_those_with_either(self):
        """It was told which addresses those are."""
        v4 = {}
        swarm = []
        for k in range(1, COUNT + 1):
            v4[k] = self.net.add_member(k)
            address = self.net.add_v6(k)
            swarm.append(self.add(k, address, swarm[:1], "--listen", v4[k]))
        for node in swarm:
            self.lab.wait_connected(node)
        self.assertEqual(len(swarm[0].status()["addresses"]), 2)
        path = self.lab.file("source", 1 << 20)
        result = self.publish(swarm[0], path)
        self.assertGreaterEqual(result["copies"]["min"], 4)

        # One that has IPv4 alone, and knows one address.
        only_v4 = COUNT + 1
        self.net.add_member(only_v4)
        target = self.lab.path / "fetched"
        outcome = self.lab.run(
            "fetch", f"flow29:{result['link'][7:59]}?at={v4[1]}:2929", "-o", target,
            data=self.lab.path / "own", prefix=self.net.inside(only_v4))
        self.assert_done(outcome)
        self.assert_same(path, target)


if __name__ == "__main__":
    harness.main()
