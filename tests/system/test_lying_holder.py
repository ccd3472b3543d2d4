# SPDX-License-Identifier: GPL-3.0-or-later
"""A holder that serves one wrong byte and proves the rest, without a hook in the program.

While the holder is stopped, one byte of an extent's file is changed and the checksum in its catalogue
is made to fit, so that the holder itself cannot notice. The hashes it proves with are as they were.
"""

import sqlite3
import struct

import harness

BLOCK = 16 * 1024  # bytes under one checksum
LIE_AT = 5 * BLOCK + 7777

_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def forge(node):
    """Makes a stopped node lie in every extent file it has; how many."""
    catalogue = sqlite3.connect(node.data / "catalogue.db")
    forged = 0
    for path in sorted((node.data / "extents").glob("*/*")):
        data = bytearray(path.read_bytes())
        data[LIE_AT] ^= 0x40
        row = catalogue.execute(
            "SELECT id, checksums FROM extents JOIN extent_contents ON extent = id WHERE hash = ?",
            (bytes.fromhex(path.name),)).fetchone()
        block = LIE_AT // BLOCK
        sums = list(struct.unpack(f"<{len(row[1]) // 4}I", row[1]))
        original = bytes(data[block * BLOCK:LIE_AT]) + bytes([data[LIE_AT] ^ 0x40]) + \
            bytes(data[LIE_AT + 1:(block + 1) * BLOCK])
        assert sums[block] == crc32c(original), "the catalogue's checksums are not CRC-32C"
        sums[block] = crc32c(data[block * BLOCK:(block + 1) * BLOCK])
        catalogue.execute("UPDATE extent_contents SET checksums = ? WHERE extent = ?",
                          (struct.pack(f"<{len(sums)}I", *sums), row[0]))
        path.write_bytes(data)
        forged += 1
    catalogue.commit()
    catalogue.close()
    return forged


class LyingHolder(harness.SystemTest):
    def test_a_wrong_byte_is_detected_and_the_file_still_arrives_right(self):
        swarm = self.lab.add_swarm(5, options=["--grace", "10m"])
        path = self.lab.file("source", 16 << 20)
        link = self.publish(swarm[0], path)["link"]
        swarm[0].kill()
        liars, honest = swarm[1:4], swarm[4]
        for liar in liars:
            self.assertEqual(liar.stop(), 0)
            self.assertEqual(forge(liar), 16)
            liar.start()
        for node in swarm[1:]:
            self.lab.wait_connected(node)
        reader = self.lab.add_node(name="reader", bootstrap=[honest, liars[0]],
                                   options=["--no-store"])
        self.lab.wait_connected(reader)
        result, target = self.fetch(reader, link, "fetched")
        self.assertIs(result["verified"], True)
        self.assert_same(path, target)
        self.assertTrue(any(liar.id[:8] in reader.err_path.read_text() for liar in liars),
                        "the reader's log does not say who lied")

    def test_when_all_holders_lie_no_wrong_byte_is_delivered(self):
        swarm = self.lab.add_swarm(3, options=["--grace", "10m"])
        path = self.lab.file("source", 2 << 20)
        link = self.publish(swarm[0], path, "--copies", 2)["link"]
        swarm[0].kill()
        for liar in swarm[1:]:
            liar.stop()
            self.assertEqual(forge(liar), 2)
            liar.start()
            self.lab.wait_connected(liar)
        reader = self.lab.add_node(name="reader", bootstrap=swarm[1:], options=["--no-store"])
        self.lab.wait_connected(reader)
        target = self.lab.path / "fetched"
        outcome = reader.run("fetch", link, "-o", target, "--timeout", "10s")
        self.assertIn(outcome.exit, (harness.NOT_FOUND, harness.TIMED_OUT, harness.UNVERIFIED),
                      outcome.report())
        self.assertFalse(target.exists())
        streamed = reader.run("cat", link, "--timeout", "10s", as_json=False)
        self.assertNotEqual(streamed.exit, 0)
        self.assertTrue(path.read_bytes().startswith(streamed.stdout),
                        "cat wrote a byte that is not the file's")


if __name__ == "__main__":
    harness.main()
