# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends frees its space; nobody fills the swarm; an operator blocks and limits."""

import harness


def extents_on(node):
    return node.status()["storage"]["extents"]


class Leases(harness.SystemTest):
    def test_rm_frees_the_space_of_every_holder_and_only_the_publisher_can(self):
        swarm = self.lab.add_swarm(6)
        result = self.publish(swarm[0], self.lab.file("source", 2 << 20))
        self.assert_error(swarm[1].run("rm", result["link"]), harness.REFUSED, "publish")
        [listed] = swarm[0].ask("ls")["objects"]
        self.assertIs(listed["renewed"], True)
        self.assertRegex(listed["expires"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreater(max(map(extents_on, swarm[1:])), 0)
        ended = swarm[0].ask("rm", result["link"])
        self.assertEqual(ended["holders_obeyed"], ended["holders_told"])
        harness.wait_until(lambda: not any(map(extents_on, swarm)), "the space to be free", 30)
        self.assertEqual(swarm[0].ask("ls")["objects"], [])

    def test_two_publishers_of_one_file_do_not_end_each_others_lease(self):
        swarm = self.lab.add_swarm(7)
        path = self.lab.file("source", 2 << 20)
        link = self.publish(swarm[0], path)["link"]
        self.publish(swarm[1], path, "--copies", 2)
        swarm[0].ask("rm", link)
        health = swarm[2].ask("health", link)
        self.assertEqual(health["target"], 2)
        self.assertGreaterEqual(health["copies"]["min"], 2)
        _, target = self.fetch(swarm[3], link, "fetched", "--no-share")
        self.assert_same(path, target)
        swarm[1].ask("rm", link)
        harness.wait_until(lambda: not any(map(extents_on, swarm)), "the space to be free", 30)

    def test_what_is_published_for_a_minute_is_gone_after_it(self):
        swarm = self.lab.add_swarm(5)
        result = self.publish(swarm[0], self.lab.file("source", 2 << 20), "--expires", "1m")
        [listed] = swarm[0].ask("ls")["objects"]
        self.assertIs(listed["renewed"], False)
        self.assertEqual(result["copies"]["min"], 4)
        self.assertEqual(swarm[0].ask("health", result["link"])["upkeep"], "leased")

        # It has expired then, and is not ill.
        def ended():
            return [one for one in swarm[0].ask("ls")["objects"] if one["expired"]]
        [listed] = harness.wait_until(ended, "the lease to end", 180)
        self.assertIsNone(listed["copies_min"])
        self.assertEqual(listed["target"], 0)
        shown = swarm[0].run("ls", as_json=False).stdout.decode().splitlines()[1].split()
        self.assertEqual(shown[3], "-")
        self.assertIn("expired", shown)
        health = swarm[0].ask("health", result["link"])
        self.assertEqual(health["upkeep"], "expired")
        self.assertFalse(health["degraded"])
        self.assertFalse(health["publisher_may_leave"])
        harness.wait_until(lambda: not any(map(extents_on, swarm)), "the space to be free", 180)

    def test_a_stranger_is_refused_and_another_still_gets_its_copies(self):
        swarm = self.lab.add_swarm(6, options=["--capacity", "8MiB"])
        stranger = self.lab.add_node(name="stranger", bootstrap=swarm[:1], options=["--no-store"])
        self.lab.wait_connected(stranger)
        for number in range(12):
            path = self.lab.file(f"flood{number}", 1 << 20, seed=number)
            outcome = stranger.run("publish", path, "--timeout", "10s")
            for node in swarm:
                storage = node.status()["storage"]
                self.assertLessEqual(storage["used_bytes"], storage["capacity_bytes"])
            if outcome.exit == harness.PARTLY and outcome.result["copies"]["min"] == 0:
                self.assertIn("over the quota of this publisher", outcome.result["shortfall"])
                break
            self.assertIn(outcome.exit, (harness.OK, harness.PARTLY), outcome.report())
        else:
            self.fail("the stranger was never refused")
        other = self.publish(swarm[0], self.lab.file("other", 1 << 20, seed=99))
        self.assertGreaterEqual(other["copies"]["min"], 4)

    def test_without_quotas_a_swarm_fills_up_and_no_node_passes_its_capacity(self):
        options = ["--quota-publisher", "100%", "--quota-group", "100%"]
        swarm = self.lab.add_swarm(5, options=["--capacity", "4MiB", *options])
        publisher = self.lab.add_node(name="publisher", bootstrap=swarm[:1],
                                      options=["--no-store", *options])
        self.lab.wait_connected(publisher)
        shortfalls = []
        for number in range(8):
            path = self.lab.file(f"file{number}", 1 << 20, seed=number)
            outcome = publisher.run("publish", path, "--timeout", "10s")
            self.assertIn(outcome.exit, (harness.OK, harness.PARTLY), outcome.report())
            shortfalls.append(outcome.result.get("shortfall", ""))
            for node in swarm:
                storage = node.status()["storage"]
                self.assertLessEqual(storage["used_bytes"], storage["capacity_bytes"], node.name)
        self.assertEqual(shortfalls[0], "")
        self.assertIn("full", shortfalls[-1])

    def test_a_blocked_object_is_let_go_and_made_elsewhere(self):
        swarm = self.lab.add_swarm(7, options=["--grace", "1h"])
        path = self.lab.file("source", 3 << 20)
        result = self.publish(swarm[0], path)
        link, root = result["link"], result["root"]
        blocker = max(swarm[1:], key=extents_on)
        self.assertEqual(blocker.ask("block"), {"event": "done", "nodes": [], "roots": []})
        self.assertEqual(blocker.ask("block", link)["roots"], [root])
        self.assertEqual(extents_on(blocker), 0)
        # With this grace period only the word of the blocker itself has it made again now.
        self.assertGreaterEqual(self.wait_copies(swarm[0], link, 4, 60)["copies"]["min"], 4)
        self.assertEqual(extents_on(blocker), 0)
        self.assert_error(blocker.run("fetch", link, "-o", self.lab.path / "no"), harness.REFUSED,
                          "block")
        self.assert_error(blocker.run("publish", path), harness.REFUSED, "block")
        blocker.stop()
        blocker.start()
        self.lab.wait_connected(blocker)
        self.assertEqual(blocker.ask("block")["roots"], [root])
        self.assertEqual(blocker.ask("unblock", root)["roots"], [])
        self.assert_error(blocker.run("unblock", root), harness.NOT_FOUND, "not blocked")
        # A name of which nothing is known may be a node's or an object's.
        unknown = "29" * 32
        both = {"event": "done", "nodes": [unknown], "roots": [unknown]}
        self.assertEqual(blocker.ask("block", unknown), both)
        self.assertEqual(blocker.ask("unblock", unknown)["nodes"], [])
        self.assertEqual(blocker.ask("block")["roots"], [])
        _, target = self.fetch(blocker, link, "fetched")
        self.assert_same(path, target)

    def test_a_blocked_node_is_neither_connected_nor_counted(self):
        swarm = self.lab.add_swarm(6, options=["--grace", "1h"])
        link = self.publish(swarm[0], self.lab.file("source", 1 << 20), "--copies", 2)["link"]
        holder = max(swarm[1:], key=extents_on)

        def connected():
            return {peer["node"] for peer in swarm[0].ask("peers")["peers"]}
        self.assertIn(holder.id, connected())
        self.assertEqual(swarm[0].ask("block", holder.id)["nodes"], [holder.id])
        self.assertNotIn(holder.id, connected())
        # What it has does not count for the publisher, which has another one take its place.
        self.wait_copies(swarm[0], link, 2, 60)
        self.assertNotIn(holder.id, connected())
        swarm[0].ask("unblock", holder.id)
        harness.wait_until(lambda: holder.id in connected(), "the node to be met again", 150)

    def test_what_is_pinned_outlives_the_file_that_it_was_fetched_to(self):
        swarm = self.lab.add_swarm(6)
        path = self.lab.file("source", 3 << 20)
        link = self.publish(swarm[0], path)["link"]
        pinner = self.lab.add_node(name="pinner", bootstrap=swarm[:1], options=["--no-store"])
        self.lab.wait_connected(pinner)
        _, target = self.fetch(pinner, link, "fetched")
        self.assertLess(pinner.status()["storage"]["used_bytes"], 1 << 20)
        self.assertIs(pinner.ask("pin", link)["pinned"], True)
        self.assertGreater(pinner.status()["storage"]["used_bytes"], 3 << 20)
        target.unlink()
        for node in swarm:
            node.stop()
        _, again = self.fetch(pinner, link, "fetched again")
        self.assert_same(path, again)

    def test_what_there_is_no_room_for_is_not_pinned(self):
        swarm = self.lab.add_swarm(5)
        link = self.publish(swarm[0], self.lab.file("source", 3 << 20))["link"]
        small = self.lab.add_node(name="small", bootstrap=swarm[:1],
                                  options=["--no-store", "--capacity", "2MiB"])
        self.lab.wait_connected(small)
        self.fetch(small, link, "fetched")
        self.assert_error(small.run("pin", link), harness.NO_SPACE, "room")
        [listed] = small.ask("ls")["objects"]
        self.assertIs(listed["pinned"], False)
        self.assertLess(small.status()["storage"]["used_bytes"], 1 << 20)

    def test_what_is_not_all_here_is_not_pinned(self):
        swarm = self.lab.add_swarm(5)
        link = self.publish(swarm[0], self.lab.file("source", 3 << 20))["link"]
        reader = self.lab.add_node(name="reader", bootstrap=swarm[:1], options=["--no-store"])
        self.lab.wait_connected(reader)
        _, target = self.fetch(reader, link, "fetched")
        with open(target, "r+b") as file:
            file.write(b"changed")
        self.assertIn(reader.run("pin", link).exit, (harness.OTHER, harness.UNVERIFIED))
        self.assert_error(reader.run("pin", link), harness.NOT_FOUND, "2 of its 3 parts")
        self.fetch(reader, link, "again")
        self.assertIs(reader.ask("pin", link)["pinned"], True)
        self.assertGreater(reader.status()["storage"]["used_bytes"], 3 << 20)

    def test_the_limit_of_repair_is_kept_over_a_restart(self):
        node = self.lab.add_node()
        self.assertEqual(node.ask("limit")["repair"], 16 << 20)
        self.assertEqual(node.ask("limit", "--repair", "5MiB")["repair"], 5 << 20)
        self.assertEqual(node.status()["repair"]["limit"], 5 << 20)
        node.stop()
        node.start()
        self.assertEqual(node.ask("limit")["repair"], 5 << 20)
        node.ask("limit", "--repair", "off")
        self.assertIsNone(node.status()["repair"]["limit"])
        node.stop()
        node.options += ["--repair-limit", "1MiB"]
        node.start()
        self.assertEqual(node.ask("limit")["repair"], 1 << 20)
        self.assert_exit(node.run("limit", "--repair", "fast"), harness.USAGE)


if __name__ == "__main__":
    harness.main()
