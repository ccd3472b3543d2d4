# SPDX-License-Identifier: GPL-3.0-or-later
"""A node behind a gateway that translates addresses: what it learns of that, and what comes of it.

The gateway is real (nftables, miniupnpd), in network namespaces. Skipped where there is none.
"""

import unittest

import harness
import gateway
import namespaces
from harness import wait_until

OUTSIDE = 6
HOME = OUTSIDE + 1


@unittest.skipUnless(namespaces.possible() and gateway.possible(),
                     "needs network namespaces, nft and miniupnpd")
class Reach(harness.SystemTest):
    def setUp(self):
        super().setUp()
        # Nothing outside these namespaces is ever sent there. A gateway maps no port at an address
        # that is private itself.
        self.net = namespaces.Net("29.29")
        self.addCleanup(self.net.remove)
        self.net.create()
        self.swarm = []
        for k in range(1, OUTSIDE + 1):
            address = self.net.add_member(k)
            self.swarm.append(self.lab.add_node(
                address, bootstrap=self.swarm[:1], port=2929, prefix=self.net.inside(k),
                options=["--grace", "2s"]))
        self.home = gateway.Home(self.net, HOME, self.lab.path)
        self.addCleanup(self.home.remove)
        self.home.create()
        self.addCleanup(lambda: [node.kill() for node in self.lab.nodes])
        for node in self.swarm:
            self.lab.wait_connected(node)

    def add_inside(self, *options):
        node = self.lab.add_node("0.0.0.0", name="inside", bootstrap=self.swarm[:2], port=2929,
                                 prefix=self.home.inside(),
                                 options=["--grace", "2s", "--web", "off", "--gateway", "off",
                                          *options])
        self.lab.wait_connected(node)
        return node

    def wait_mapping(self, node, what):
        def settled():
            status = node.status()
            return status["port_mapping"][what] and status
        return wait_until(settled, f"{node.name} to have heard of its gateway", 120, 0.5)

    def publish_many(self, publisher):
        links = []
        for number in range(6):
            path = self.lab.file(f"source{number}", 1 << 20, seed=number)
            links.append(self.publish(publisher, path)["link"])
        return links

    def test_without_a_gateway_that_answers_it_says_so_and_publishes_and_fetches(self):
        inside = self.add_inside()
        # It is not known yet that nobody can dial it, and it is chosen as little.
        link = self.publish_many(self.swarm[0])[0]
        self.assertEqual(inside.status()["storage"]["extents"], 0)
        status = self.wait_mapping(inside, "problem")
        self.assertEqual(status["port_mapping"]["method"], "")
        self.assertIn("NAT-PMP", status["port_mapping"]["problem"])
        self.assertIn("UPnP", status["port_mapping"]["problem"])
        text = inside.run("status", as_json=False).stdout.decode()
        self.assertIn("no port mapping", text)
        self.wait_reach(inside, "unreachable")

        path = self.lab.file("from-inside", 1 << 20, seed=99)
        result = self.publish(inside, path)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        _, target = self.fetch(inside, link, "fetched", "--no-share")
        self.assert_same(self.lab.path / "source0", target)
        inside.kill()
        _, target = self.fetch(self.swarm[3], result["link"], "fetched-outside")
        self.assert_same(path, target)

    def wait_reach(self, node, reach):
        return wait_until(lambda: (status := node.status())["reach"] == reach and status,
                          f"{node.name} to be {reach}", 120, 0.5)

    def test_one_that_cannot_be_dialled_publishes_and_fetches_and_is_no_holder(self):
        self.assertTrue(self.wait_reach(self.swarm[1], "reachable")["storing"])
        inside = self.add_inside("--no-port-mapping")
        self.assertFalse(self.wait_reach(inside, "unreachable")["storing"])
        text = inside.run("status", as_json=False).stdout.decode()
        self.assertIn("others cannot dial this node", text)
        for node in self.swarm:
            wait_until(lambda: all(not peer["storing"] for peer in node.ask("peers")["peers"]
                                   if peer["node"] == inside.id),
                       f"{node.name} to have heard of that", 60, 0.5)

        links = self.publish_many(self.swarm[0])
        for link in links:
            located = self.swarm[2].ask("locate", link)
            self.assertNotIn(inside.id, [holder["node"] for holder in located["holders"]])
        self.assertEqual(inside.status()["storage"]["extents"], 0)
        _, target = self.fetch(inside, links[0], "fetched", "--no-share")
        self.assert_same(self.lab.path / "source0", target)

        path = self.lab.file("from-inside", 1 << 20, seed=99)
        result = self.publish(inside, path)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        inside.kill()
        _, target = self.fetch(self.swarm[3], result["link"], "fetched-outside")
        self.assert_same(path, target)

    def test_one_that_can_be_dialled_after_all_is_a_holder_again(self):
        inside = self.add_inside("--no-port-mapping")
        self.assertFalse(self.wait_reach(inside, "unreachable")["storing"])
        self.home.forward(2929)
        self.assertTrue(self.wait_reach(inside, "reachable")["storing"])
        self.publish_many(self.swarm[0])
        wait_until(lambda: inside.status()["storage"]["extents"] > 0,
                   "the node behind the gateway to be a holder", 60, 0.5)

    def test_no_gateway_is_asked_when_that_is_not_wanted(self):
        self.home.open_gateway(natpmp=True, upnp=True)
        inside = self.add_inside("--no-port-mapping")
        # Until it knows that nobody can dial it, it may be chosen as a holder; then another is found.
        links = self.publish_many(self.swarm[0])
        self.wait_reach(inside, "unreachable")
        for link in links:
            self.wait_copies(self.swarm[2], link, 4)
        self.assertEqual(inside.status()["port_mapping"],
                         {"method": "", "external": "", "problem": ""})
        self.assertEqual(self.home.openings(), 0)

    def check_mapped(self, method):
        inside = self.add_inside()
        status = self.wait_mapping(inside, "method")
        self.assertEqual(status["port_mapping"]["method"], method)
        self.assertEqual(status["port_mapping"]["external"], f"{self.home.outside}:2929")
        self.assertEqual(status["addresses"][0], f"{self.home.outside}:2929")
        self.assertGreaterEqual(self.home.openings(), 2, "TCP and UDP")
        # Somebody who knows nothing but that address comes in by it.
        link = self.publish(inside, self.lab.file("source", 1 << 20), "--wait", "none")["link"]
        for node in self.swarm:
            node.kill()
        target = self.lab.path / "fetched"
        outcome = self.lab.run(
            "fetch", f"flow29:{link[7:59]}?at={self.home.outside}:2929", "-o", target,
            data=self.lab.path / "alone", prefix=self.net.inside(1))
        self.assert_done(outcome)
        self.assert_same(self.lab.path / "source", target)
        self.wait_reach(inside, "reachable")
        inside.stop()
        self.assertEqual(self.home.openings(), 0, "taken back at the end")

    def test_a_port_is_mapped_by_natpmp_and_the_mapping_taken_back(self):
        self.home.open_gateway(natpmp=True, upnp=False)
        self.check_mapped("natpmp")

    def test_a_port_is_mapped_by_upnp_and_the_mapping_taken_back(self):
        self.home.open_gateway(natpmp=False, upnp=True)
        self.check_mapped("upnp")


if __name__ == "__main__":
    harness.main()
