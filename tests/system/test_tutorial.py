# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of the tutorial works, and prints what is written there, up to what differs by nature."""

import os
from pathlib import Path

import harness
import tutorial

DOCUMENT = Path(os.environ["FLOW29_SOURCE"]) / "docs/tutorial.md"


class Tutorial(harness.SystemTest):
    def test_its_commands_print_what_it_shows(self):
        results = tutorial.run(DOCUMENT)
        self.assertGreater(len([1 for block, *_ in results if block.output]), 8)
        for block, status, printed in results:
            with self.subTest(line=block.first_line):
                self.assertEqual(status, 0, "\n".join([block.commands, *printed]))
                if block.output is not None:
                    self.assertEqual(tutorial.difference(block.output, printed), "",
                                     "\n".join([block.commands, *printed]))


class Comparison(harness.SystemTest):
    """What is compared can differ."""

    def test_shapes(self):
        same = tutorial.difference
        self.assertEqual(same(["3 peers, 2.9 MiB in 4.1 s"], ["1 peer, 512 B in 20 ms"]), "")
        self.assertNotEqual(same(["state healthy 4 of 4"], ["state degraded 4 of 4"]), "")
        self.assertNotEqual(same(["one", "two"], ["one"]), "")
        self.assertNotEqual(same(["one"], ["one", "two"]), "")
        self.assertEqual(same(["one", "…", "four"], ["one", "two", "three", "four"]), "")
        self.assertNotEqual(same(["one", "…", "four"], ["one", "two", "three"]), "")


if __name__ == "__main__":
    harness.main()
