# SPDX-License-Identifier: GPL-3.0-or-later
"""Floods: a node that is flooded still gives out its files, within bounds. How fast: scripts/hostile."""

import harness
import floods  # found once harness is there

DESCRIPTORS_MAX = 128 + 512 + 128  # handshakes, peers, and a node's own
MEMORY_MAX = (256 << 20) * harness.MEMORY_FACTOR


class Floods(harness.SystemTest):
    def test_a_file_is_fetched_from_a_node_that_is_flooded_in_every_way_at_once(self):
        swarm = floods.Swarm(self.lab)
        running = []
        try:
            for kind in floods.FLOODS:
                running.append(floods.Flood(self.lab, kind, swarm.holder))
            before = [flood.sent()[0] for flood in running]
            swarm.fetch("reader")
            # They went on meanwhile.
            harness.wait_until(lambda: all(flood.sent()[0] > sent
                                           for flood, sent in zip(running, before)), "floods")
            self.assertLess(floods.descriptors(swarm.holder), DESCRIPTORS_MAX)
            self.assertLess(swarm.holder.proc_status("VmHWM"), MEMORY_MAX)
        finally:
            for flood in running:
                flood.__exit__()
        swarm.fetch("another")
        self.assertTrue(swarm.holder.running)


if __name__ == "__main__":
    harness.main()
