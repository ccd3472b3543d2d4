# SPDX-License-Identifier: GPL-3.0-or-later
"""Four copies on four other nodes; fewer is said; lost ones are made again."""

import shutil
import time

import harness


def extents_on(node):
    return node.status()["storage"]["extents"]


class Copies(harness.SystemTest):
    def test_publish_puts_every_extent_on_four_other_nodes(self):
        swarm = self.lab.add_swarm(7)
        publisher, others = swarm[0], swarm[1:]
        path = self.lab.file("source", 10 << 20)
        result = self.publish(publisher, path)
        self.assertEqual(result["extents"], 10)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        self.assertGreaterEqual(result["copies"]["mean"], 4)
        [listed] = publisher.ask("ls")["objects"]
        self.assertGreaterEqual(listed["copies_min"], 4, "known at once, without asking again")
        # What the holders themselves say, the publisher's copies not among them.
        self.assertGreaterEqual(sum(map(extents_on, others)), 40)

        health = others[0].ask("health", result["link"])
        self.assertEqual(health["root"], result["root"])
        self.assertEqual(health["bytes"], 10 << 20)
        self.assertEqual(health["target"], 4)
        self.assertGreaterEqual(health["copies"]["min"], 4)
        histogram = health["copies"]["histogram"]
        self.assertEqual(sum(histogram.values()), 11, "ten extents and the descriptor")
        self.assertEqual(min(map(int, histogram)), health["copies"]["min"])
        self.assertGreaterEqual(health["groups"], 4)
        self.assertEqual(health["at_risk_chunks"], 0)
        self.assertIs(health["publisher_may_leave"], True)

    def test_more_copies_are_made_when_asked_for(self):
        swarm = self.lab.add_swarm(7)
        path = self.lab.file("source", 2 << 20)
        result = self.publish(swarm[0], path, "--copies", 6)
        self.assertEqual(result["target"], 6)
        self.assertGreaterEqual(result["copies"]["min"], 6)

    def test_a_swarm_of_three_works_degraded_and_says_so(self):
        swarm = self.lab.add_swarm(3)
        path = self.lab.file("source", 3 << 20)
        outcome = swarm[0].run("publish", path)
        self.assert_exit(outcome, harness.PARTLY)
        result = outcome.result
        self.assertEqual(result["event"], "done")
        self.assertEqual(result["copies"]["min"], 2, outcome.report())
        self.assertEqual(result["target"], 4)
        text = swarm[0].run("publish", path, as_json=False)
        self.assert_exit(text, harness.PARTLY)
        self.assertIn("degraded", text.stderr + text.stdout.decode())
        swarm[0].kill()
        _, target = self.fetch(swarm[1], result["link"], "fetched")
        self.assert_same(path, target)

    def test_a_node_alone_publishes_and_says_that_there_is_no_copy(self):
        node = self.lab.add_node()
        path = self.lab.file("source", 100_000)
        outcome = node.run("publish", path, "--timeout", "5s")
        self.assert_exit(outcome, harness.PARTLY)
        self.assertEqual(outcome.result["copies"]["min"], 0)
        self.assertEqual(outcome.result["root"], harness.file_root(path))

    def test_what_nobody_else_has_comes_from_its_publisher_though_that_stores_nothing(self):
        small = self.lab.add_node(options=["--capacity", "1MiB"])
        publisher = self.lab.add_node(bootstrap=[small], options=["--no-store"])
        self.lab.wait_connected(publisher)
        path = self.lab.file("source", 3 << 20)
        outcome = publisher.run("publish", path, "--timeout", "5s")
        self.assert_exit(outcome, harness.PARTLY)
        self.assertEqual(outcome.result["copies"]["min"], 0)
        reader = self.lab.add_node(name="reader", bootstrap=[small], options=["--no-store"])
        self.lab.wait_connected(reader)
        _, target = self.fetch(reader, outcome.result["link"], "fetched", "--timeout", "60s")
        self.assert_same(path, target)

    def test_a_source_that_was_changed_before_it_was_copied_has_no_copies(self):
        publisher = self.lab.add_node()
        path = self.lab.file("source", 1 << 20)
        self.assert_exit(publisher.run("publish", path, "--by-reference", "--timeout", "5s"),
                         harness.PARTLY)
        path.write_bytes(path.read_bytes()[::-1])
        swarm = [self.lab.add_node(bootstrap=[publisher]) for _ in range(5)]
        # They take the descriptor, and nobody can have the rest any more.
        harness.wait_until(lambda: sum(len(node.ask("ls")["objects"]) for node in swarm) >= 4,
                           "copies of the descriptor", 120)
        harness.wait_until(lambda: publisher.ask("ls")["objects"][0]["extents_held"] == 0,
                           "the change to be noticed")
        self.assertEqual(publisher.ask("ls")["objects"][0]["copies_min"], 0)

    def test_the_missing_copies_are_made_once_nodes_join(self):
        swarm = self.lab.add_swarm(3, options=["--grace", "2s"])
        path = self.lab.file("source", 3 << 20)
        outcome = swarm[0].run("publish", path)
        self.assert_exit(outcome, harness.PARTLY)
        for _ in range(2):
            self.lab.add_node(bootstrap=swarm[:1], options=["--grace", "2s"])
        self.wait_copies(swarm[1], outcome.result["link"], 4)

    def test_four_copies_again_after_two_holders_and_the_publisher_died(self):
        swarm = self.lab.add_swarm(8, options=["--grace", "2s"])
        publisher, others = swarm[0], swarm[1:]
        path = self.lab.file("source", 6 << 20)
        link = self.publish(publisher, path)["link"]
        victims = sorted(others, key=extents_on, reverse=True)[:2]
        self.assertGreater(min(map(extents_on, victims)), 0)
        alive = [node for node in others if node not in victims]
        for node in [publisher, *victims]:
            node.kill()
        health = self.wait_copies(alive[0], link, 4)
        self.assertEqual(health["at_risk_chunks"], 0)
        # The survivors' word, without the dead ones.
        self.assertGreaterEqual(sum(map(extents_on, alive)), 24)
        reader = self.lab.add_node(name="reader", bootstrap=alive[:1], options=["--no-store"])
        self.lab.wait_connected(reader)
        _, target = self.fetch(reader, link, "fetched")
        self.assert_same(path, target)

    def test_a_restart_within_the_grace_period_moves_nothing(self):
        swarm = self.lab.add_swarm(5)
        # Each keeps what the four others published.
        for number in range(10):
            path = self.lab.file(f"source{number}", 300_000, seed=number)
            self.publish(swarm[number % 5], path)
        newcomers = [self.lab.add_node(bootstrap=swarm[:1]) for _ in range(3)]
        for node in newcomers:
            self.lab.wait_connected(node)
        for node in swarm[1:4]:
            node.kill()
            node.start()
            self.lab.wait_connected(node)
            # What a node says that it lacks would be made again within a second or two.
            time.sleep(4)
        for node in newcomers:
            self.assertEqual(extents_on(node), 0)
            self.assertEqual(node.status()["repair"]["bytes_total"], 0)

    def test_a_holder_that_leaves_hands_over_before_it_stops(self):
        swarm = self.lab.add_swarm(7, options=["--grace", "1h"])
        path = self.lab.file("source", 4 << 20)
        link = self.publish(swarm[0], path)["link"]
        leaver = max(swarm[1:], key=extents_on)
        held = extents_on(leaver)
        left = leaver.ask("leave")
        self.assertTrue(left["left"])
        self.assertEqual(left["below_target"], 0)
        self.assertGreaterEqual(left["items"], held)
        harness.wait_until(lambda: not leaver.running, "the node that left to end")
        other = next(node for node in swarm[1:] if node is not leaver)
        # At once: with this grace period, repair would come too late.
        self.assertGreaterEqual(other.ask("health", link)["copies"]["min"], 4)

    def test_a_holder_that_is_needed_stays_unless_it_is_forced(self):
        swarm = self.lab.add_swarm(5, options=["--grace", "1h"])
        link = self.publish(swarm[0], self.lab.file("source", 2 << 20))["link"]
        outcome = swarm[1].run("leave", "--timeout", "5s")
        self.assert_exit(outcome, harness.PARTLY)
        self.assertFalse(outcome.result["left"])
        self.assertTrue(swarm[1].running)
        self.assertEqual(swarm[2].ask("health", link)["copies"]["min"], 4)
        self.assertTrue(swarm[1].ask("leave", "--force", "--timeout", "5s")["left"])
        harness.wait_until(lambda: not swarm[1].running, "the node that left to end")

    def test_a_holder_that_lost_its_disk_is_replaced_or_refilled(self):
        swarm = self.lab.add_swarm(6, options=["--grace", "2s"])
        path = self.lab.file("source", 4 << 20)
        link = self.publish(swarm[0], path)["link"]
        victim = max(swarm[1:], key=extents_on)
        victim.kill()
        shutil.rmtree(victim.data)
        victim.start()
        self.lab.wait_connected(victim)
        self.assertNotEqual(victim.id, "")
        other = next(node for node in swarm[1:] if node is not victim)
        self.wait_copies(other, link, 4)


if __name__ == "__main__":
    harness.main()
