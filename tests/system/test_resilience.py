# SPDX-License-Identifier: GPL-3.0-or-later
"""Things die in the middle, disks change behind a node's back, and the file is still right."""

import json
import signal
import socket
import threading

import harness

LARGE = 384 << 20


class Watched:
    """A command that runs while the test goes on; follows its progress lines."""

    def __init__(self, process):
        self.process = process
        self.events = []
        self.stderr = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._errors.start()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _read_errors(self):
        self.stderr = self.process.stderr.read()

    def wait_for_bytes(self, count, seconds=60):
        """Returns the progress event that first has so many bytes of data done."""
        def reached():
            return next((event for event in self.events if event.get("stage") == "data"
                         and event.get("done_bytes", 0) >= count), None)
        with self._changed:
            self._changed.wait_for(lambda: reached() or not self._reader.is_alive()
                                   or self.events and self.events[-1].get("event") != "progress",
                                   seconds)
        return reached()

    def finish(self, seconds=120):
        self.process.wait(seconds)
        self._reader.join()
        self._errors.join()
        return self.process.returncode, self.events[-1] if self.events else {}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Resilience(harness.SystemTest):
    def watch(self, *args, data):
        watched = Watched(self.lab.start("--progress", "always", *args, data=data))
        self.addCleanup(watched.kill)
        return watched

    def freeze(self, nodes):
        for node in nodes:
            node.process.send_signal(signal.SIGSTOP)

    def thaw(self, nodes):
        for node in nodes:
            if node.running:
                node.process.send_signal(signal.SIGCONT)

    def swarm_with_large_file(self):
        swarm = self.lab.add_swarm(5)
        path = self.lab.file("source", LARGE)
        result = self.publish(swarm[0], path)
        swarm[0].kill()
        return swarm[1:], path, result

    def start_fetch_and_stop_it_midway(self, reader, holders, link, target, data=None):
        """A fetch that has some but not all bytes, with its holders frozen so that it stays so."""
        watched = self.watch("fetch", link, "-o", target, data=data or reader.data)
        event = watched.wait_for_bytes(LARGE // 8)
        self.freeze(holders)
        self.assertIsNotNone(event, f"no progress: {watched.events[-3:]} {watched.stderr}")
        self.assertEqual(watched.events[-1]["event"], "progress",
                         "the fetch ended before it could be interrupted: make the file larger")
        return watched

    def test_a_fetch_goes_on_when_a_holder_is_killed_in_the_middle(self):
        holders, path, result = self.swarm_with_large_file()
        reader = self.lab.add_node(name="reader", bootstrap=holders[:2], options=["--no-store"])
        self.lab.wait_connected(reader)
        target = self.lab.path / "fetched"
        watched = self.start_fetch_and_stop_it_midway(reader, holders, result["link"], target)
        serving = max(holders, key=lambda node: node.proc_status("VmRSS"))
        serving.kill()
        self.thaw(holders)
        status, last = watched.finish()
        self.assertEqual((status, last.get("event")), (0, "done"), f"{last} {watched.stderr}")
        self.assertEqual(last["bytes"], LARGE)
        self.assertLess(last["fetched_bytes"], 1.5 * LARGE, "it did not start over")
        self.assert_same(path, target)

    def test_a_killed_fetching_node_resumes_after_its_restart(self):
        holders, path, result = self.swarm_with_large_file()
        reader = self.lab.add_node(name="reader", bootstrap=holders[:2], options=["--no-store"])
        self.lab.wait_connected(reader)
        target = self.lab.path / "fetched"
        watched = self.start_fetch_and_stop_it_midway(reader, holders, result["link"], target)
        reader.kill()
        status, last = watched.finish()
        self.assertNotEqual(status, 0, last)
        self.assertEqual(last.get("event"), "error", "a command whose node died says so")
        self.assertFalse(target.exists(), "an unfinished file never has the final name")
        self.thaw(holders)
        reader.start()
        self.lab.wait_connected(reader)
        again = self.assert_done(reader.run("fetch", result["link"], "-o", target))
        self.assertEqual(again["bytes"], LARGE)
        self.assertLess(again["fetched_bytes"], LARGE, "what was verified before was kept")
        self.assert_same(path, target)

    def test_a_killed_fetch_without_a_daemon_resumes(self):
        holders, path, result = self.swarm_with_large_file()
        target, data = self.lab.path / "fetched", self.lab.path / "alone"
        watched = self.watch("--bootstrap", holders[0].at, "fetch", result["link"], "-o", target,
                             data=data)
        self.assertIsNotNone(watched.wait_for_bytes(LARGE // 8), watched.stderr)
        watched.kill()
        self.assertFalse(target.exists(), "an unfinished file never has the final name")
        again = self.assert_done(self.lab.run("--bootstrap", holders[1].at, "fetch", result["link"],
                                              "-o", target, data=data))
        self.assertLess(again["fetched_bytes"], LARGE, "what was verified before was kept")
        self.assert_same(path, target)

    def test_an_altered_extent_file_is_noticed_and_the_file_is_still_right(self):
        swarm = self.lab.add_swarm(6, options=["--grace", "5m"])
        path = self.lab.file("source", 24 << 20)
        link = self.publish(swarm[0], path)["link"]
        swarm[0].kill()
        # One copy of each extent stays as it was; a byte of every other is changed.
        spared, altered = set(), []
        for node in swarm[1:]:
            for extent in sorted((node.data / "extents").glob("*/*")):
                if extent.name not in spared:
                    spared.add(extent.name)
                    continue
                with open(extent, "r+b") as file:
                    file.seek(700_001)
                    byte = file.read(1)
                    file.seek(700_001)
                    file.write(bytes([byte[0] ^ 1]))
                altered.append((node, extent))
        self.assertEqual(len(spared), 24)
        self.assertGreaterEqual(len(altered), 72)
        before = {node: node.status()["storage"]["extents"] for node in swarm[1:]}

        reader = self.lab.add_node(name="reader", bootstrap=swarm[1:3], options=["--no-store"])
        self.lab.wait_connected(reader)
        _, target = self.fetch(reader, link, "fetched")
        self.assert_same(path, target)
        # Who read an altered extent dropped it, and pulled it again from one that has it whole.
        self.assertTrue(any("is damaged" in node.err_path.read_text() for node in swarm[1:]),
                        "no holder noticed")
        harness.wait_until(
            lambda: all(node.status()["storage"]["extents"] == before[node] for node in swarm[1:]),
            "what was damaged to be there again")

    def test_a_restarted_node_has_what_it_had(self):
        swarm = self.lab.add_swarm(6)
        path = self.lab.file("source", 5_000_000)
        small = self.lab.file("small", 3_000, seed=5)
        links = [self.publish(swarm[0], path)["link"], self.publish(swarm[0], small)["link"]]
        holder = max(swarm[1:], key=lambda node: node.status()["storage"]["extents"])
        for how in ("stop", "kill"):
            with self.subTest(how=how):
                before, identity = holder.status()["storage"], holder.id
                self.assertGreater(before["extents"], 0)
                status = getattr(holder, how)()
                if how == "stop":
                    self.assertEqual(status, 0, "SIGTERM is an orderly end")
                holder.start()
                self.assertEqual(holder.id, identity)
                after = holder.status()["storage"]
                self.assertEqual((after["extents"], after["objects"]),
                                 (before["extents"], before["objects"]))
        # And it serves it: all other holders are gone.
        publisher = swarm[0]
        publisher.kill()
        publisher.start()
        self.assertEqual(publisher.status()["storage"]["objects"], 2)
        self.lab.wait_connected(publisher)
        for number, (link, source) in enumerate(zip(links, (path, small))):
            _, target = self.fetch(publisher, link, f"fetched-{number}")
            self.assert_same(source, target)

    def test_a_whole_swarm_that_lost_power_comes_back(self):
        swarm = self.lab.add_swarm(5)
        path = self.lab.file("source", 3_000_000)
        link = self.publish(swarm[0], path)["link"]
        ports = [node.port for node in swarm]
        for node in swarm:
            node.kill()
        for node, port in zip(swarm, ports):
            node.options[node.options.index("--port") + 1] = str(port)
            node.start()
        for node in swarm:
            self.lab.wait_connected(node)
        _, target = self.fetch(swarm[3], link, "fetched")
        self.assert_same(path, target)
        self.wait_copies(swarm[4], link, 4)

    def test_a_withdrawn_object_is_given_up_by_its_holders(self):
        swarm = self.lab.add_swarm(5)
        path = self.lab.file("source", 3_000_000)
        result = self.publish(swarm[0], path)
        gone = self.assert_done(swarm[0].run("rm", result["link"]))
        self.assertEqual(gone["root"], result["root"])
        self.assertGreaterEqual(gone["holders_told"], 4)
        self.assertGreaterEqual(gone["holders_obeyed"], 4)
        listed = {entry["root"]: entry for entry in swarm[0].ask("ls")["objects"]}
        self.assertFalse(listed.get(result["root"], {}).get("published", False))

    def test_malformed_datagrams_and_connections_do_not_end_a_node(self):
        swarm = self.lab.add_swarm(3)
        node = swarm[1]
        killer = bytes.fromhex(
            "83a175f4a26964c4142326bcef1956988ab676c8cc58f784a871847d0fa1740fa179a172")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for payload in (killer, b"", b"\x00", b"\xdd\xff\xff\xff\xff", b"\x91" * 1400,
                            bytes(range(256)) * 5):
                for _ in range(50):
                    udp.sendto(payload, (node.address, node.port))
        for payload in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 4000):
            with socket.create_connection((node.address, node.port), timeout=10) as tcp:
                tcp.sendall(payload)
        self.assertTrue(node.status()["dht"]["connected"])
        path = self.lab.file("source", 100_000)
        outcome = swarm[0].run("publish", path, "--copies", 2)
        self.assert_done(outcome)
        self.assertTrue(all(each.running for each in swarm))


if __name__ == "__main__":
    harness.main()
