# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes as they are by default, on machines that have IPv4, IPv6 or both, in one swarm.

In network namespaces; skipped where those cannot be made.
"""

import unittest

import harness
import test_ipv6 as ipv6
from harness import wait_until

BOTH = 5  # members 1 to 5
ONLY_V4, ONLY_V6 = BOTH + 1, BOTH + 2


def families(addresses):
    return {6 if address.startswith("[") else 4 for address in addresses}


@unittest.skipUnless(ipv6.possible(), "network namespaces with IPv6 cannot be made here")
class BothFamilies(harness.NamespaceTest):
    def add(self, k, *bootstrap, start=True):
        """One that was told nothing about what to listen on."""
        return self.lab.add_node("", name=f"node{k}", bootstrap=bootstrap, port=2929,
                                 prefix=self.net.inside(k), start=start,
                                 options=["--web", "off", "--gateway", "off", "--grace", "2s",
                                          "--no-discovery", "--no-port-mapping"])

    def add_swarm(self):
        """Those with both know each other by IPv4 alone."""
        v4, v6 = {}, {}
        both = []
        for k in range(1, BOTH + 1):
            v4[k] = self.net.add_member(k)
            v6[k] = self.net.add_v6(k)
            both.append(self.add(k, *([f"{v4[1]}:2929"] if k > 1 else [])))
        self.net.add_member(ONLY_V4)
        self.net.forbid_v6(ONLY_V4)
        only_v4 = self.add(ONLY_V4, f"{v4[1]}:2929")
        self.net.add_member(ONLY_V6)
        self.net.add_v6(ONLY_V6, only=True)
        only_v6 = self.add(ONLY_V6, f"[{v6[1]}]:2929")
        for node in (*both, only_v4, only_v6):
            self.lab.wait_connected(node)
        return both, only_v4, only_v6

    def test_what_each_publishes_every_other_kind_fetches(self):
        both, only_v4, only_v6 = self.add_swarm()
        self.assertEqual(both[0].status()["listening"], ["0.0.0.0:2929", "[::]:2929"])
        self.assertEqual(only_v4.status()["listening"], ["0.0.0.0:2929"])
        self.assertNotIn("warn", only_v4.err_path.read_text())

        # Whoever has IPv6 alone brings the others together by it.
        for node in both:
            wait_until(lambda: families(node.status()["addresses"]) == {4, 6},
                       f"{node.name} to know its addresses of both families", 120, 0.5)
        wait_until(lambda: only_v6.status()["peers"] >= BOTH, "all of them to be met", 120, 0.5)
        self.assertEqual(families(only_v4.status()["addresses"]), {4})
        self.assertEqual(families(only_v6.status()["addresses"]), {6})

        for number, publisher in enumerate((both[1], only_v4, only_v6)):
            path = self.lab.file(f"source{number}", 1 << 20, seed=number)
            result = self.publish(publisher, path)
            self.assertGreaterEqual(result["copies"]["min"], 4)
            found = [holder["node"] for holder in both[0].ask("locate", result["root"])["holders"]]
            self.assertEqual(len(found), len(set(found)), "each once, however many records it has")
            # A holder that has one family alone is not reached by who has the other alone.
            for node in both:
                self.assertGreaterEqual(node.ask("health", result["root"])["copies"]["min"], 4,
                                        f"{node.name} knows where each holder is")
            for reader in (both[2], only_v4, only_v6):
                if reader is publisher:
                    continue
                _, target = self.fetch(reader, result["link"],
                                       f"fetched{number}-{reader.name}", "--no-share")
                self.assert_same(path, target)

    def test_records_are_found_by_either_family(self):
        both, only_v4, only_v6 = self.add_swarm()
        for node in both:
            wait_until(lambda: families(node.status()["addresses"]) == {4, 6},
                       f"{node.name} to know its addresses of both families", 120, 0.5)
        result = self.publish(both[1], self.lab.file("source", 1 << 20))
        names = {node.id for node in both}

        def by_record(reader):
            holders = reader.ask("locate", result["link"])["holders"]
            return names & {holder["node"] for holder in holders if holder["source"] == "record"}
        for reader in (only_v4, only_v6):
            wait_until(lambda: len(by_record(reader)) >= 2,
                       f"{reader.name} to find records of those with both", 60, 0.5)

    def test_a_port_that_is_taken_in_one_family_is_an_error(self):
        self.net.add_member(1)
        first = self.lab.add_node("::", name="first", port=2929, prefix=self.net.inside(1),
                                  options=["--web", "off", "--gateway", "off"])
        second = self.add(1, start=False)
        second.launch()
        self.assertEqual(second.process.wait(60), harness.OTHER)
        said = second.out_path.read_text() + second.err_path.read_text()
        self.assertIn("port 2929 is in use at ::", said)
        self.assertTrue(first.running)


if __name__ == "__main__":
    harness.main()
