# SPDX-License-Identifier: GPL-3.0-or-later
"""A minute of scripts/swarm chaos: real nodes killed, frozen, cut off and wiped under fetches."""

import harness
import chaos

NODES, FILES, SECONDS, SEED = 10, 5, 60, 29


class Chaos(harness.SystemTest):
    def test_every_file_stays_readable_and_gets_its_copies_back(self):
        said = []
        run = chaos.Chaos(self.lab, NODES, FILES, SEED, said.append)
        try:
            run.start()
            run.run(SECONDS)
        finally:
            run.close()
        self.assertEqual(run.failures, [], "\n".join(said))
        self.assertGreater(run.fetches, 0)
        self.assertGreater(len(run.repairs), 0)


if __name__ == "__main__":
    harness.main()
