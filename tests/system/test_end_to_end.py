# SPDX-License-Identifier: GPL-3.0-or-later
"""Publish, lose the publisher, fetch: with daemons and without."""

import pathlib

import harness

SIZES = [0, 1, 511, 512, 513, (1 << 20) + 1, 20 << 20]


class EndToEnd(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.holders = self.lab.add_swarm(5)
        self.publisher = self.lab.add_node(name="publisher", bootstrap=self.holders[:2],
                                           options=["--no-store"])
        self.lab.wait_connected(self.publisher)

    def new_reader(self):
        reader = self.lab.add_node(name="reader", bootstrap=self.holders[2:4],
                                   options=["--no-store"])
        self.lab.wait_connected(reader)
        return reader

    def test_every_size_arrives_though_the_publisher_is_gone(self):
        published = {}
        for size in SIZES:
            path = self.lab.file(f"source-{size}", size, seed=size + 1)
            result = self.publish(self.publisher, path)
            self.assertEqual(result["root"], harness.file_root(path))
            self.assertEqual(result["bytes"], size)
            self.assertEqual(result["chunks"], (size + 511) // 512)
            self.assertEqual(result["target"], 4)
            self.assertGreaterEqual(result["copies"]["min"], 4)
            published[size] = (path, result)
        self.publisher.kill()

        reader = self.new_reader()
        for size, (path, result) in published.items():
            with self.subTest(size=size, through="a node"):
                fetched, target = self.fetch(reader, result["root"], f"node-{size}")
                self.assertEqual(fetched["bytes"], size)
                self.assertIs(fetched["verified"], True)
                self.assert_same(path, target)
        for size in (0, 513, (1 << 20) + 1):
            path, result = published[size]
            with self.subTest(size=size, through="no daemon"):
                target = self.lab.path / f"alone-{size}"
                outcome = self.lab.run("fetch", result["link"], "-o", target, "--bootstrap",
                                       self.holders[1].at, data=self.lab.path / "alone")
                self.assert_done(outcome)
                self.assert_same(path, target)

    def test_publish_without_a_daemon_leaves_four_copies_behind(self):
        path = self.lab.file("source", 3_000_000)
        outcome = self.lab.run("publish", path, "--bootstrap", self.holders[0].at,
                               data=self.lab.path / "alone")
        result = self.assert_done(outcome)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        _, target = self.fetch(self.new_reader(), result["link"], "fetched")
        self.assert_same(path, target)

    def test_a_hash_is_accepted_in_every_form(self):
        path = self.lab.file("source", 70_000)
        result = self.publish(self.publisher, path)
        base32 = result["link"].removeprefix("flow29:")[:52]
        forms = [result["link"], base32, result["root"], "FLOW29:" + base32.upper(),
                 "web+flow:" + base32, f"http://127.0.0.1:2931/f/{base32}"]
        for number, form in enumerate(forms):
            with self.subTest(form=form):
                _, target = self.fetch(self.publisher, form, f"fetched-{number}")
                self.assert_same(path, target)

    def test_cat_writes_all_bytes_or_a_range_in_order(self):
        path = self.lab.file("source", 5_000_000)
        data = path.read_bytes()
        link = self.publish(self.publisher, path)["link"]
        self.publisher.kill()
        reader = self.new_reader()
        for option, expected in [([], data), (["--range", "0-0"], data[:1]),
                                 (["--range", "511-512"], data[511:513]),
                                 (["--range", "1048575-2097152"], data[1048575:2097153]),
                                 (["--range", "4999999-"], data[4999999:])]:
            with self.subTest(option=option):
                outcome = reader.run("cat", link, *option, as_json=False)
                self.assert_exit(outcome, harness.OK)
                self.assertTrue(outcome.stdout == expected, outcome.stderr)

    def test_fetch_of_a_range_writes_only_that(self):
        path = self.lab.file("source", 3_000_000)
        link = self.publish(self.publisher, path)["link"]
        _, target = self.fetch(self.new_reader(), link, "part", "--range", "1000-1999999")
        self.assertEqual(pathlib.Path(target).read_bytes(), path.read_bytes()[1000:2000000])

    def test_standard_input_is_published(self):
        data = b"from a pipe\n" * 1000
        outcome = self.publisher.run("publish", "-", "--name", "piped.txt", stdin=data)
        result = self.assert_done(outcome)
        self.assertEqual(result["root"], harness.root_hash(data))
        self.assertIn("name=piped.txt", result["link"])
        outcome = self.publisher.run("cat", result["link"], as_json=False)
        self.assertEqual(outcome.stdout, data)

    def test_hash_needs_no_node_and_agrees_with_publish(self):
        path = self.lab.file("source", 1234567)
        outcome = self.lab.run("hash", path)
        result = self.assert_done(outcome)
        self.assertEqual(result["root"], harness.file_root(path))
        self.assertEqual(result["bytes"], 1234567)
        self.assertEqual(result["chunks"], 2412)
        self.assertEqual(self.publish(self.publisher, path)["root"], result["root"])

    def test_publishing_the_same_bytes_again_gives_the_same_root(self):
        path = self.lab.file("source", 100_000)
        first = self.publish(self.publisher, path)
        second = self.publish(self.publisher, path)
        elsewhere = self.publish(self.holders[3], path)
        self.assertEqual(first["root"], second["root"])
        self.assertEqual(first["root"], elsewhere["root"])

    def test_listings_say_what_is_there(self):
        path = self.lab.file("source", 2_000_000)
        root = self.publish(self.publisher, path)["root"]
        objects = {entry["root"]: entry for entry in self.publisher.ask("ls")["objects"]}
        self.assertIn(root, objects)
        self.assertIs(objects[root]["published"], True)
        self.assertEqual(objects[root]["bytes"], 2_000_000)
        status = self.publisher.status()
        self.assertEqual(status["node"], self.publisher.id)
        self.assertEqual(status["port"], self.publisher.port)
        self.assertGreaterEqual(status["peers"], 1)
        self.assertGreater(status["traffic"]["up_bytes"], 2_000_000)
        self.assertGreater(status["traffic"]["dht_up_bytes"], 0)
        peers = self.publisher.ask("peers")["peers"]
        holder_ids = {node.id for node in self.holders}
        self.assertTrue(holder_ids & {peer["node"] for peer in peers})
        held = [node.status()["storage"]["extents"] for node in self.holders]
        self.assertGreaterEqual(sum(held), 4 * 2)


if __name__ == "__main__":
    harness.main()
