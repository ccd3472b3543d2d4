# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that look after a node: verify, config, log, web, and the QR code of a link."""

import pathlib
import sqlite3
import subprocess

import harness


def extent_files(node):
    return sorted(p for p in (node.data / "extents").rglob("*") if p.is_file())


def flip(path, at):
    data = bytearray(pathlib.Path(path).read_bytes())
    data[at] ^= 1
    pathlib.Path(path).write_bytes(data)


class Verify(harness.SystemTest):
    def test_what_rotted_is_found_dropped_and_healed(self):
        swarm = self.lab.add_swarm(4)
        source = self.lab.file("source", 4 << 20)
        result = self.publish(swarm[0], source, "--copies", 3)
        holder = swarm[2]
        sound = holder.ask("verify")
        self.assertIs(sound["sound"], True)
        self.assertEqual(sound["checked_extents"], 4)
        self.assertEqual(sound["checked_bytes"], 4 << 20)
        self.assertEqual(sound["damaged_extents"], 0)
        files = extent_files(holder)
        self.assertEqual(len(files), 4)
        flip(files[0], 0)
        flip(files[1], (1 << 20) - 1)
        files[2].unlink()
        outcome = holder.run("verify", result["link"])
        found = self.assert_done(outcome)
        self.assertEqual(found["damaged_extents"], 3, outcome.report())
        self.assertEqual(found["healed_extents"], 3, outcome.report())
        self.assertEqual(found["missing_extents"], 0)
        self.assertIs(found["sound"], True)
        self.assertIn("verifying", {event.get("stage") for event in outcome.events})
        self.assertEqual(extent_files(holder), files)
        again = holder.ask("verify")
        self.assertEqual((again["checked_extents"], again["damaged_extents"]), (4, 0))

    def test_a_damaged_descriptor_is_found_and_healed(self):
        swarm = self.lab.add_swarm(4)
        source = self.lab.file("source", 2 << 20)
        link = self.publish(swarm[0], source, "--copies", 3)["link"]
        holder = swarm[1]
        holder.stop()  # while it runs, nobody else opens its catalogue
        catalogue = sqlite3.connect(holder.data / "catalogue.db")
        catalogue.execute("UPDATE descriptors SET encoded = x'00'")
        catalogue.commit()
        catalogue.close()
        holder.start()
        self.lab.wait_connected(holder)
        found = holder.ask("verify", link)
        self.assertEqual((found["damaged_objects"], found["healed_objects"]), (1, 1))
        self.assertEqual((found["checked_extents"], found["damaged_extents"]), (2, 0))
        self.assertEqual(holder.ask("verify")["damaged_objects"], 0)
        self.wait_copies(swarm[0], link, 3, 60)

    def test_what_nobody_else_has_is_said_and_exits_6(self):
        [alone] = self.lab.add_swarm(1)
        source = self.lab.file("source", 2 << 20)
        outcome = alone.run("publish", source, "--timeout", "5s")
        self.assert_exit(outcome, harness.PARTLY)
        flip(extent_files(alone)[0], 77)
        damaged = alone.run("verify")
        self.assert_exit(damaged, harness.UNVERIFIED)
        self.assertEqual(damaged.result["event"], "done")
        self.assertEqual(damaged.result["damaged_extents"], 1)
        self.assertEqual(damaged.result["healed_extents"], 0)
        self.assertTrue(damaged.result["complaints"])
        missing = alone.run("verify")
        self.assert_exit(missing, harness.UNVERIFIED)
        self.assertEqual((missing.result["checked_extents"], missing.result["missing_extents"]),
                         (1, 1))

    def test_a_referenced_file_that_changed_is_found(self):
        [alone] = self.lab.add_swarm(1)
        source = self.lab.file("source", 2 << 20)
        alone.run("publish", source, "--by-reference", "--timeout", "5s")
        self.assertIs(alone.ask("verify")["sound"], True)
        flip(source, 5)
        self.assert_exit(alone.run("verify"), harness.UNVERIFIED)

    def test_a_fetched_file_that_its_user_changed_or_deleted_is_no_damage(self):
        publisher, reader, *_ = self.lab.add_swarm(3)
        kept = self.publish(publisher, self.lab.file("kept", 1 << 20), "--copies", "2")["link"]
        link = self.publish(publisher, self.lab.file("source", 3 << 20), "--copies", "1")["link"]
        for name in ("changed", "deleted"):
            late = self.lab.add_node(name=name, bootstrap=[publisher], options=["--no-store"])
            self.lab.wait_connected(late)
            _, target = self.fetch(late, link, f"{name}-copy")
            self.assertIs(late.ask("verify")["sound"], True)
            if name == "changed":
                flip(target, 5)
                flip(target, (2 << 20) + 5)
            else:
                target.unlink()
            found = late.ask("verify")
            self.assertEqual((found["sound"], found["damaged_extents"]), (True, 0))
            self.assertEqual(len(found["complaints"]), 1, found["complaints"])
            self.assertIn(str(target), found["complaints"][0])
            self.assertEqual(late.ask("verify")["complaints"], [])
        self.assertIs(reader.ask("verify", kept)["sound"], True)

    def test_what_standard_output_does_not_take_is_not_lost_in_silence(self):
        source = self.lab.file("source", 5000)
        for words in (["hash", source], ["--json", "hash", source], ["--help"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([self.lab.binary, *words], stdout=full, check=False,
                                      stderr=subprocess.PIPE, env=self.lab.environment)
            self.assertEqual(done.returncode, harness.NO_SPACE, words)
            self.assertIn(b"standard output", done.stderr)
        root = self.lab.run("hash", source, as_json=False).stdout.strip()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([self.lab.binary, "hash", source], stdout=full, check=False,
                                  stderr=subprocess.PIPE, env=self.lab.environment)
        self.assertIn(root, done.stderr)

    def test_an_object_that_is_not_here_is_not_found(self):
        [alone] = self.lab.add_swarm(1)
        self.assert_error(alone.run("verify", "ab" * 32), harness.NOT_FOUND)



class Catalogue(harness.SystemTest):
    def damage(self, node, at, count):
        """Flips bytes of a stopped node's catalogue."""
        path = node.data / "catalogue.db"
        data = bytearray(path.read_bytes())
        for i in range(at, at + count):
            data[i] ^= 0x55
        path.write_bytes(data)

    def pulled_by(self, node):
        return node.status()["traffic"]["down_bytes"]

    def test_a_holder_whose_catalogue_is_lost_keeps_its_extents(self):
        swarm = self.lab.add_swarm(5, options=["--grace", "2s"])
        result = self.publish(swarm[0], self.lab.file("source", 8 << 20))
        holder = swarm[3]
        files = extent_files(holder)
        self.assertEqual(len(files), 8)
        holder.stop()
        self.damage(holder, 0, 16)  # SQLite takes it for no database at all
        holder.start()
        self.lab.wait_connected(holder)
        self.assertTrue((holder.data / "catalogue.db.damaged").exists())
        self.assertEqual(extent_files(holder), files)
        # There is no other node to make the missing copies on.
        self.wait_copies(swarm[0], result["link"], 4, 90)
        self.assertLess(self.pulled_by(holder), 2 << 20)
        found = holder.ask("verify", result["link"])
        self.assertEqual((found["checked_extents"], found["damaged_extents"]), (8, 0))


class Looking(harness.SystemTest):
    def test_config_says_what_is_in_force_and_where_it_comes_from(self):
        file = self.lab.path / "config.toml"
        file.write_text('capacity = "3GiB"\ncopies = 5\n')
        shown = self.lab.ask("config", "--config", file, "--bootstrap", "192.0.2.1:2929",
                             data=self.lab.path / "data")
        self.assertEqual(shown["path"], str(file))
        found = {entry["name"]: (entry["value"], entry["source"]) for entry in shown["settings"]}
        self.assertEqual(found["capacity"], ("3.0 GiB", "file"))
        self.assertEqual(found["copies"], ("5", "file"))
        self.assertEqual(found["data"], (str(self.lab.path / "data"), "flag"))
        self.assertEqual(found["bootstrap"], ("192.0.2.1:2929", "flag"))
        self.assertEqual(found["port"], ("2929", "default"))
        path = self.lab.ask("config", "--path", "--config", self.lab.path / "none")
        self.assertEqual(path["path"], str(self.lab.path / "none"))
        file.write_text('capasity = "3GiB"\n')
        self.assert_error(self.lab.run("config", "--config", file), harness.USAGE, "capacity")

    def test_the_log_is_kept_and_followed(self):
        [node] = self.lab.add_swarm(1)
        node.ask("verify")
        log = node.ask("log")
        [line] = [line for line in log["lines"] if line["component"] == "verifier"]
        self.assertEqual(line["level"], "info")
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(log["next"], log["lines"][-1]["number"])
        self.assertEqual(node.ask("log", "--level", "error")["lines"], [])
        following = self.lab.start("--json", "log", "--follow", data=node.data)
        following.stdout.readline()
        node.ask("verify")
        self.assertIn(b"verifier", following.stdout.readline())
        following.terminate()
        following.wait(10)

    def test_web_prints_where_the_page_is(self):
        page = self.lab.add_node(options=["--web", "127.0.0.1:0"])
        shown = page.ask("web", "--print")
        self.assertRegex(shown["url"], r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(shown["token"], (page.data / "web.token").read_text().strip())
        text = page.run("web", "--print", as_json=False).stdout.decode().strip()
        self.assertEqual(text, f"{shown['url']}#token={shown['token']}")
        without = self.lab.add_node(options=["--web", "off"])
        self.assert_error(without.run("web"), harness.NOT_FOUND, "no page")
        without.stop()
        self.assert_error(without.run("web"), harness.NO_NODE)

    def test_a_link_is_shown_as_a_qr_code(self):
        [node] = self.lab.add_swarm(1)
        source = self.lab.file("source", 1000)
        outcome = node.run("publish", source, "--qr", "--timeout", "3s", as_json=False)
        self.assert_exit(outcome, harness.PARTLY)
        self.assertEqual(len(outcome.stdout.split()), 1, outcome.report())
        rows = [row for row in outcome.stderr.splitlines() if len(row) == 37 and not
                row.strip(" \u2580\u2584\u2588")]
        self.assertEqual(len(rows), 19, outcome.report())


if __name__ == "__main__":
    harness.main()
