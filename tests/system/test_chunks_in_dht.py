# SPDX-License-Identifier: GPL-3.0-or-later
"""Every single chunk's hash leads to its holders through the DHT, when the publisher asks for it."""


import harness

BYTES = 200_000  # 391 chunks, the last one short


class ChunksInDht(harness.SystemTest):
    def test_every_chunk_hash_is_locatable(self):
        swarm = self.lab.add_swarm(6)
        path = self.lab.file("source", BYTES)
        data = path.read_bytes()
        hashes = [leaf.hex() for leaf in harness.leaves(data)]
        self.assertEqual(len(set(hashes)), 391)

        result = self.publish(swarm[0], path, "--extent-chunks", 1)
        self.assertEqual(result["root"], harness.root_hash(data))
        self.assertEqual((result["chunks"], result["extents"]), (391, 391))
        self.assertGreaterEqual(result["copies"]["min"], 4)
        swarm[0].kill()

        reader = self.lab.add_node(name="reader", bootstrap=swarm[1:3], options=["--no-store"])
        self.lab.wait_connected(reader)
        storing = {node.id for node in swarm}
        for number, chunk in enumerate(hashes):
            outcome = harness.wait_until(
                lambda chunk=chunk: self.located_by_record(reader, chunk),
                f"chunk {number} ({chunk}) to be found by a record in the DHT", 120, 0.5)
            located = outcome.result
            self.assertEqual(located["hash"], chunk)
            self.assertEqual(located["kind"], "chunk", outcome.report())
            holders = {holder["node"] for holder in located["holders"]}
            self.assertTrue(holders <= storing, outcome.report())
            self.assertGreaterEqual(len(holders - {swarm[0].id}), 1, outcome.report())
        fetched, target = self.fetch(reader, result["link"], "fetched")
        self.assertEqual(fetched["bytes"], BYTES)
        self.assert_same(path, target)

    @staticmethod
    def located_by_record(node, chunk):
        outcome = node.run("locate", chunk, "--timeout", "20s")
        if outcome.exit != harness.OK:
            return None
        by_record = [holder for holder in outcome.result["holders"]
                     if holder["source"] == "record"]
        return outcome if by_record else None

    def test_a_chunk_of_a_larger_extent_is_found_through_its_object(self):
        swarm = self.lab.add_swarm(5)
        path = self.lab.file("source", 3_000_000)
        link = self.publish(swarm[0], path)["link"]
        chunk = harness.leaves(path.read_bytes())[4000].hex()
        located = swarm[1].ask("locate", chunk, "--in", link)
        self.assertEqual(located["hash"], chunk)
        self.assertEqual(located["kind"], "chunk")
        self.assertGreaterEqual(len(located["holders"]), 4)

    def test_root_and_extent_hashes_are_located_as_what_they_are(self):
        swarm = self.lab.add_swarm(5)
        path = self.lab.file("source", 3_000_000)
        root = self.publish(swarm[0], path)["root"]
        extent = harness.fold(harness.leaves(path.read_bytes())[:2048]).hex()
        for what, kind in ((root, "root"), (extent, "extent")):
            with self.subTest(kind=kind):
                located = swarm[2].ask("locate", what)
                self.assertEqual(located["kind"], kind)
                self.assertGreaterEqual(len(located["holders"]), 4)
                self.assertEqual(len({holder["node"] for holder in located["holders"]}),
                                 len(located["holders"]))


if __name__ == "__main__":
    harness.main()
