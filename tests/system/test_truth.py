# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted as a copy is one, what is here is used, and what was withdrawn stays so."""

import shutil

import harness


def extents_on(node):
    return node.status()["storage"]["extents"]


def extent_files(node):
    return [path for path in (node.data / "extents").rglob("*") if path.is_file()]


class Truth(harness.SystemTest):
    def test_what_a_reader_fetched_is_no_copy(self):
        swarm = self.lab.add_swarm(4, options=["--grace", "1h"])
        path = self.lab.file("source", 8 << 20)
        link = self.publish(swarm[0], path, "--copies", "2")["link"]
        reader = min(swarm[1:], key=extents_on)
        self.fetch(reader, link, "fetched")
        copies = reader.ask("health", link)["copies"]["histogram"]
        # Eight extents; whoever keeps one of them keeps the descriptor as well.
        self.assertGreaterEqual(copies["2"], 8, copies)
        (self.lab.path / "fetched").unlink()
        # Whoever has to keep it pulls a copy of its own, whatever it had fetched.
        swarm[0].kill()
        other = next(node for node in swarm[1:] if node is not reader)
        other.ask("leave")
        health = self.wait_copies(reader, link, 2)
        self.assertEqual(health["at_risk_chunks"], 0)
        _, target = self.fetch(reader, link, "again")
        self.assert_same(path, target)

    def test_what_is_here_needs_no_network(self):
        node = self.lab.add_node()
        path = self.lab.file("source", 5 << 20)
        link = node.run("publish", path, "--timeout", "2s").result["link"]
        result, target = self.fetch(node, link, "fetched")
        self.assert_same(path, target)
        self.assertEqual((result["holders"], result["fetched_bytes"]), (0, 0))
        self.assertEqual(node.run("cat", link, as_json=False).stdout, path.read_bytes())

    def test_what_is_here_is_not_fetched_again_and_damage_is_no_obstacle(self):
        swarm = self.lab.add_swarm(3, options=["--grace", "1h"])
        path = self.lab.file("source", 8 << 20)
        link = self.publish(swarm[0], path, "--copies", "1")["link"]
        holder = max(swarm[1:], key=extents_on)
        held = extents_on(holder)
        result, target = self.fetch(holder, link, "first", "--no-share")
        self.assert_same(path, target)
        self.assertEqual(result["fetched_bytes"], (8 - held) << 20)
        for damaged in extent_files(holder):
            with open(damaged, "r+b") as file:
                file.seek(100_000)
                octet = file.read(1)
                file.seek(100_000)
                file.write(bytes([octet[0] ^ 1]))
        result, target = self.fetch(holder, link, "second", "--no-share")
        self.assert_same(path, target)

    def test_damage_is_healed_at_once(self):
        swarm = self.lab.add_swarm(6, options=["--grace", "1h"])
        path = self.lab.file("source", 4 << 20)
        link = self.publish(swarm[0], path)["link"]
        victim = max(swarm[1:], key=extents_on)
        before = extents_on(victim)
        for damaged in extent_files(victim):
            with open(damaged, "r+b") as file:
                file.write(b"\0" * 100)
        for number in range(2):  # reading is what finds it
            self.fetch(victim, link, f"fetched{number}", "--no-share")
        harness.wait_until(lambda: extents_on(victim) == before, "the damaged extents to be back")
        self.assertEqual(self.wait_copies(swarm[0], link, 4)["at_risk_chunks"], 0)

    def test_who_was_away_does_not_bring_back_what_was_withdrawn(self):
        swarm = self.lab.add_swarm(6, options=["--grace", "2s"])
        link = self.publish(swarm[0], self.lab.file("source", 3 << 20))["link"]
        away = max(swarm[1:], key=extents_on)
        away.kill()
        swarm[0].ask("rm", link)
        away.start()
        self.lab.wait_connected(away)
        harness.wait_until(lambda: extents_on(away) == 0, "the one that was away to let go")
        for node in swarm:
            self.assertEqual(extents_on(node), 0, node.name)
        self.assert_error(swarm[1].run("fetch", link, "-o", self.lab.path / "x", "--timeout", "3s"),
                          harness.NOT_FOUND)

    def test_deleted_extent_files_are_noticed_and_made_again(self):
        swarm = self.lab.add_swarm(6, options=["--grace", "2s"])
        path = self.lab.file("source", 4 << 20)
        link = self.publish(swarm[0], path)["link"]
        stopped, running = sorted(swarm[1:], key=extents_on, reverse=True)[:2]
        stopped.stop()
        shutil.rmtree(stopped.data / "extents")
        stopped.start()
        self.assertIn("had lost their files", stopped.err_path.read_text())
        self.wait_copies(swarm[0], link, 4)
        # Under a running node: what comes later finds its place.
        shutil.rmtree(running.data / "extents")
        self.publish(running, self.lab.file("later", 3 << 20))

    def test_a_catalogue_that_is_gone_does_not_cost_the_extents(self):
        swarm = self.lab.add_swarm(2, options=["--grace", "2s"])
        path = self.lab.file("source", 2 << 20)
        link = self.publish(swarm[0], path, "--copies", "1")["link"]
        holder = swarm[1]
        holder.stop()
        files = extent_files(holder)
        self.assertTrue(files)
        for name in ("catalogue.db", "catalogue.db-wal"):
            (holder.data / name).unlink(missing_ok=True)
        holder.start()
        self.assertIn("made anew", holder.err_path.read_text())
        self.assertEqual(extent_files(holder), files)
        # What they are of it learns from others, and takes nothing from them but that.
        self.wait_copies(swarm[0], link, 1)
        self.assertLess(holder.status()["traffic"]["down_bytes"], 1 << 20)
        found = holder.ask("verify", link)
        self.assertEqual((found["checked_extents"], found["damaged_extents"]), (len(files), 0))

    def test_only_regular_files_are_overwritten(self):
        node = self.lab.add_node()
        link = node.run("publish", self.lab.file("source", 1000), "--timeout", "2s").result["link"]
        target = self.lab.path / "link"
        target.symlink_to(self.lab.path / "elsewhere")
        outcome = node.run("fetch", link, "-o", target, "--overwrite")
        self.assert_error(outcome, harness.EXISTS, "regular")
        self.assertTrue(target.is_symlink())


if __name__ == "__main__":
    harness.main()
