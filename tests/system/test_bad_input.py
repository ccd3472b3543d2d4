# SPDX-License-Identifier: GPL-3.0-or-later
"""Each mistake and each refusal: a clear message, its exit code, and nothing lost."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import unittest

import harness
from harness import (EXISTS, FILE_ERROR, NO_NETWORK, NO_NODE, NO_SPACE, NOT_FOUND, OTHER, PARTLY,
                     REFUSED, USAGE, wait_until)

ROOT32 = "a" * 51 + "q"  # a well-formed root that nothing has
ROOT64 = "00" * 32
DEAD = "127.0.99.99:9"   # nobody listens there

# Command lines that fail before any node is asked: (arguments, exit, words of the message).
OFFLINE = [
    # Links: which character, or what length.
    (["fetch", "flow29:" + ROOT32[:-1], "-o", "x"], USAGE, ["51", "52"]),
    (["fetch", "flow29:" + ROOT32 + "a", "-o", "x"], USAGE, ["53", "52"]),
    (["fetch", "flow29:", "-o", "x"], USAGE, ["0", "52"]),
    (["fetch", "flow29:" + "a" * 9 + "1" + "a" * 42, "-o", "x"], USAGE, ["character 17", "1"]),
    (["fetch", "a" * 9 + "0" + "a" * 42, "-o", "x"], USAGE, ["character 10", "0"]),
    (["fetch", ROOT64[:-1] + "g", "-o", "x"], USAGE, ["character 64", "g"]),
    (["fetch", "flow29:" + ROOT32[:51] + "\u00e9", "-o", "x"], USAGE, []),
    (["fetch", "magnet:?xt=urn", "-o", "x"], USAGE, ["magnet"]),
    (["fetch", "http://example.org/x", "-o", "x"], USAGE, ["/f/"]),
    (["fetch", "flow29:" + ROOT32 + "?size=many", "-o", "x"], USAGE, ["size"]),
    (["fetch", "flow29:" + ROOT32 + "?name=%zz", "-o", "x"], USAGE, ["%"]),
    (["cat", "nonsense!"], USAGE, []),
    (["health", "flow29:abc"], USAGE, ["3", "52"]),
    # Empty is what a variable is that was not set; it does not mean everything.
    (["fetch", "", "-o", "x"], USAGE, ["LINK"]),
    (["ls", ""], USAGE, ["LINK"]),
    (["verify", ""], USAGE, ["LINK"]),
    (["fetch", ROOT32, "-o", ""], USAGE, ["--output", "empty"]),
    (["--data", "", "status"], USAGE, ["--data", "empty"]),
    (["locate", "xyz"], USAGE, ["3"]),
    (["locate", ROOT64, "--in", "flow29:abc"], USAGE, ["52"]),
    # Options and arguments.
    ([], USAGE, []),
    (["fetch", ROOT32, "--frobnicate"], USAGE, ["--frobnicate"]),
    (["publish", "x", "--copeis", "4"], USAGE, ["--copies"]),
    (["pubish", "x"], USAGE, ["publish"]),
    (["publish"], USAGE, ["PATH"]),
    (["publish", "x", "--copies", "0"], USAGE, ["--copies"]),
    (["publish", "x", "--copies", "17"], USAGE, ["--copies"]),
    (["publish", "x", "--copies", "four"], USAGE, ["--copies"]),
    (["publish", "x", "--extent-chunks", "3"], USAGE, ["power of two"]),
    (["publish", "x", "--wait", "long"], USAGE, ["--wait"]),
    (["fetch", ROOT32, "-o", "x", "--range", "5-2"], USAGE, ["--range"]),
    (["fetch", ROOT32, "-o", "x", "--timeout", "soon"], USAGE, ["--timeout"]),
    (["node", "--port", "65536"], USAGE, ["--port"]),
    (["node", "--capacity", "lots"], USAGE, ["--capacity"]),
    (["--bootstrap", "no-port", "fetch", ROOT32, "-o", "x"], USAGE, ["no-port"]),
    (["--bootstrap", "127.0.0.1:99999", "fetch", ROOT32, "-o", "x"], USAGE, ["99999"]),
    (["node", "--port", "0", "--listen", "not-an-address"], USAGE, ["not-an-address"]),
    # No node.
    (["status"], NO_NODE, ["flow29 node"]),
    (["peers"], NO_NODE, []),
    (["ls"], NO_NODE, []),
    (["rm", ROOT32], NO_NODE, []),
    # Files.
    (["hash", "missing"], FILE_ERROR, ["missing", "No such file"]),
    (["hash", "/dev/zero"], USAGE, ["device"]),
    (["publish", "/dev/zero"], USAGE, ["device"]),
    (["--config", "missing.toml", "status"], FILE_ERROR, ["missing.toml"]),
    (["--config", "/", "status"], FILE_ERROR, ["Is a directory"]),
    # No way into a swarm.
    (["--bootstrap", DEAD, "fetch", ROOT32, "-o", "x", "--timeout", "5s"], NO_NETWORK, []),
    (["--bootstrap", DEAD, "cat", ROOT32, "--timeout", "5s"], NO_NETWORK, []),
    (["fetch", ROOT32, "-o", "x", "--timeout", "5s"], NO_NETWORK, ["bootstrap"]),
    (["fetch", "flow29:" + ROOT32 + "?at=" + DEAD, "-o", "x", "--timeout", "5s"], NO_NETWORK, []),
    (["--bootstrap", "nowhere.invalid:2929", "fetch", ROOT32, "-o", "x", "--timeout", "5s"],
     NO_NETWORK, ["nowhere.invalid"]),
]

CONFIGURATIONS = [
    ('bootstrp = ["a:1"]\n', ["bootstrp", "bootstrap", ":1:"]),
    ("\n\ngrase = '5m'\n", ["grase", "grace", ":3:"]),
    ("copies = 99\n", ["copies", "16"]),
    ("port = 'high'\n", ["port"]),
    ("capacity = 'lots'\n", ["capacity"]),
    ("this is not TOML\n", [":1:"]),
]


def has_open(pid, path):
    """Whether a process of ours has this file open."""
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.path.samefile(entry, path):
                return True
        except OSError:
            pass  # closed meanwhile
    return False


class Offline(harness.SystemTest):
    def test_the_table(self):
        for arguments, code, words in OFFLINE:
            with self.subTest(arguments=" ".join(arguments)):
                outcome = self.lab.run(*arguments, data=self.lab.path / "data", seconds=90)
                if arguments and "cat" in arguments:
                    self.assert_exit(outcome, code)
                    self.assertEqual(outcome.stdout, b"", "cat's standard output is for the bytes")
                    for word in words:
                        self.assertIn(word, outcome.stderr)
                    continue
                self.assert_error(outcome, code, *words)
                self.assertEqual(outcome.events, [event for event in outcome.events
                                                  if event["event"] in ("progress", "error")])
                self.assertFalse((self.lab.path / "x").exists())

    def test_without_json_the_message_is_on_standard_error_alone(self):
        for arguments, code, words in OFFLINE:
            if code not in (USAGE, NO_NODE, FILE_ERROR):
                continue
            with self.subTest(arguments=" ".join(arguments)):
                outcome = self.lab.run(*arguments, data=self.lab.path / "data", as_json=False)
                self.assert_exit(outcome, code)
                self.assertEqual(outcome.stdout, b"")
                self.assertTrue(outcome.stderr.strip())
                for word in words:
                    self.assertIn(word, outcome.stderr)

    def test_an_unknown_or_wrong_setting_names_itself_and_its_line(self):
        path = self.lab.path / "config.toml"
        for text, words in CONFIGURATIONS:
            path.write_text(text)
            for how in ("option", "environment"):
                with self.subTest(text=text, how=how):
                    if how == "option":
                        outcome = self.lab.run("--config", path, "status")
                    else:
                        outcome = self.lab.run("status",
                                               environment={"FLOW29_CONFIG": str(path)})
                    self.assert_error(outcome, USAGE, *words)

    def test_a_pipe_with_a_name_is_waited_for_until_a_signal(self):
        pipe = self.lab.path / "pipe"
        os.mkfifo(pipe)
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = self.lab.start("hash", pipe)
                wait_until(lambda: has_open(process.pid, pipe), "the pipe to be open", 60)
                process.send_signal(number)
                out, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 130, (out, err))
        content = b"in a pipe" * 1000
        process = self.lab.start("hash", pipe)
        pipe.write_bytes(content)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        path = self.lab.path / "in-a-file"
        path.write_bytes(content)
        self.assertEqual(json.loads(out.splitlines()[-1])["root"],
                         self.lab.ask("hash", path)["root"])

    def test_help_has_an_example_for_every_command(self):
        commands = ["node", "publish", "fetch", "cat", "hash", "locate", "health", "status",
                    "peers", "ls", "rm", "version"]
        for command in commands:
            with self.subTest(command=command):
                outcome = self.lab.run(command, "--help", as_json=False)
                self.assert_exit(outcome, harness.OK)
                self.assertIn("Example", outcome.stdout.decode())
                self.assertIn(f"flow29 {command}", outcome.stdout.decode())
        self.assertTrue(self.assert_done(self.lab.run("version"))["version"])


class WithNodes(harness.SystemTest):
    def test_an_unknown_hash_is_not_found_and_the_stages_are_named(self):
        swarm = self.lab.add_swarm(3)
        for command in (["fetch", ROOT32, "-o", "x"], ["health", ROOT32], ["locate", ROOT64]):
            with self.subTest(command=command[0]):
                outcome = swarm[1].run(*command, "--timeout", "10s", "--progress", "always")
                result = self.assert_error(outcome, NOT_FOUND)
                self.assertEqual(result["code"], "not_found")
                self.assertIn("looking_up", outcome.stages, outcome.report())
        outcome = swarm[1].run("fetch", ROOT32, "-o", "x", "--timeout", "10s")
        self.assertRegex(outcome.result["message"], "look", outcome.report())
        self.assertFalse((self.lab.path / "x").exists())

    def test_an_existing_output_stays_as_it_was(self):
        swarm = self.lab.add_swarm(3)
        path = self.lab.file("source", 50_000)
        link = swarm[0].run("publish", path, "--copies", 2).result["link"]
        taken = self.lab.path / "taken"
        taken.write_text("precious")
        self.assert_error(swarm[1].run("fetch", link, "-o", taken), EXISTS, "taken", "--overwrite")
        self.assertEqual(taken.read_text(), "precious")
        self.assert_done(swarm[1].run("fetch", link, "-o", taken, "--overwrite"))
        self.assert_same(path, taken)
        pointer = self.lab.path / "pointer"
        pointer.symlink_to(taken)
        outcome = swarm[1].run("fetch", link, "-o", pointer)
        self.assert_error(outcome, EXISTS, "not a regular file")
        self.assertNotIn("--overwrite", outcome.result["message"], "which would not do it either")
        self.assert_error(swarm[1].run("fetch", link, "-o", f"{self.lab.path}/new/"), FILE_ERROR,
                          "no directory yet")
        self.assertFalse((self.lab.path / "new").exists())
        missing = self.lab.path / "no" / "such" / "folder"
        self.assert_error(swarm[1].run("fetch", link, "-o", missing), FILE_ERROR, "no/such")

    def test_publishing_what_cannot_be_read(self):
        node = self.lab.add_node()
        self.assert_error(node.run("publish", "missing"), FILE_ERROR, "missing", "No such file")
        outcome = node.run("publish", "missing", "also-missing")
        self.assert_exit(outcome, FILE_ERROR)
        folder = self.lab.path / "folder"
        folder.mkdir()
        (folder / "link").symlink_to("missing")
        self.assert_error(node.run("publish", folder), REFUSED, "link", "symbolic")
        # Both say that they are empty, and are not.
        self.assert_error(node.run("publish", "/proc/self/mem"), FILE_ERROR, "/proc/self/mem")
        read = node.run("publish", "/proc/version")
        self.assertEqual(read.result["bytes"], len(pathlib.Path("/proc/version").read_bytes()))

    def test_one_bad_path_of_several_is_partly_done(self):
        swarm = self.lab.add_swarm(3)
        path = self.lab.file("source", 1000)
        outcome = swarm[0].run("publish", path, "missing", "--copies", 2)
        self.assert_exit(outcome, PARTLY)

    def test_a_port_in_use_is_named(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
                socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind(("127.0.1.1", 0))
            tcp.bind(("127.0.2.1", 0))
            tcp.listen()
            for taken in (udp, tcp):
                host, port = taken.getsockname()
                with self.subTest(kind=taken.type):
                    outcome = self.lab.run("node", "--listen", host, "--port", port,
                                           data=self.lab.path / "data", seconds=60)
                    self.assert_error(outcome, OTHER, str(port), "in use")

    def test_a_locked_data_directory_is_refused_and_the_owner_goes_on(self):
        node = self.lab.add_node()
        outcome = self.lab.run("node", "--listen", "127.0.2.1", "--port", 0, data=node.data,
                               seconds=60)
        self.assert_error(outcome, FILE_ERROR, str(node.pid))
        self.assertEqual(outcome.result["code"], "locked")
        self.assertEqual(node.status()["node"], node.id)

    def test_a_data_directory_that_cannot_be_made(self):
        file = self.lab.path / "file"
        file.write_text("not a folder")
        for data in (file, file / "below", "/proc/flow29"):
            with self.subTest(data=str(data)):
                outcome = self.lab.run("node", "--port", 0, "--listen", "127.0.1.1", data=data,
                                       seconds=60)
                self.assert_error(outcome, FILE_ERROR)

    def test_a_source_that_changes_meanwhile_is_refused(self):
        node = self.lab.add_node()
        path = self.lab.file("source", 192 << 20)
        ended = threading.Event()

        def change():
            number = 0
            with open(path, "r+b", buffering=0) as file:
                while not ended.is_set():
                    number += 1
                    file.seek(number * 4096 % (192 << 20))
                    file.write(number.to_bytes(8, "big"))

        writer = threading.Thread(target=change)
        writer.start()
        try:
            published = node.run("publish", path, "--timeout", "5s")
            hashed = self.lab.run("hash", path)
        finally:
            ended.set()
            writer.join()
        self.assert_error(published, REFUSED, "changed")
        self.assert_error(hashed, REFUSED, "changed")
        self.assertEqual([entry for entry in node.ask("ls")["objects"] if entry["published"]], [])

    def test_too_little_capacity_is_said_and_nothing_half_done(self):
        holders = self.lab.add_swarm(4, options=["--capacity", "4MiB"])
        publisher = self.lab.add_node(bootstrap=holders[:1])
        self.lab.wait_connected(publisher)
        path = self.lab.file("source", 12 << 20)
        outcome = publisher.run("publish", path, "--timeout", "10s")
        self.assert_exit(outcome, PARTLY)
        self.assertLess(outcome.result["copies"]["min"], 4)
        for node in holders:
            storage = node.status()["storage"]
            self.assertLessEqual(storage["used_bytes"], storage["capacity_bytes"])
        outcome = holders[0].run("publish", path)
        self.assert_error(outcome, NO_SPACE)
        self.assertEqual(holders[0].status()["node"], holders[0].id)


@unittest.skipUnless(harness.is_root(), "needs root, to be somebody else")
class AsNobody(harness.SystemTest):
    PREFIX = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def setUp(self):
        super().setUp()
        os.chmod(self.lab.path, 0o755)
        os.chmod(self.lab.path / "home", 0o777)
        if not harness.can(*self.PREFIX, str(self.lab.binary), "version"):
            self.skipTest("the program cannot be run as nobody here")

    def test_an_unreadable_source(self):
        path = self.lab.file("secret", 1000)
        os.chmod(path, 0o600)
        self.assert_error(self.lab.run("hash", path, prefix=self.PREFIX), FILE_ERROR, "secret",
                          "Permission denied")
        open_folder = self.lab.path / "open"
        open_folder.mkdir()
        os.chmod(open_folder, 0o777)
        outcome = self.lab.run("publish", path, prefix=self.PREFIX, data=open_folder / "data")
        self.assertIn(outcome.exit, (FILE_ERROR, NO_NETWORK), outcome.report())

    def test_an_unwritable_data_directory(self):
        folder = self.lab.path / "closed"
        folder.mkdir(mode=0o755)
        for data in (folder, folder / "below"):
            outcome = self.lab.run("node", "--port", 0, "--listen", "127.0.1.1", data=data,
                                   prefix=self.PREFIX, seconds=60)
            self.assert_error(outcome, FILE_ERROR, str(data), "Permission denied")


class FullDisk(harness.SystemTest):
    """On a file system of a few megabytes."""

    def setUp(self):
        super().setUp()
        self.small = self.lab.path / "small"
        self.small.mkdir()
        if not harness.is_root() or not harness.can("mount", "-t", "tmpfs", "-o", "size=8m",
                                                    "tmpfs", str(self.small)):
            self.skipTest("a small file system cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.small)], check=False)

    def test_publishing_on_a_full_disk_fails_cleanly(self):
        swarm = self.lab.add_swarm(2)
        node = self.lab.add_node(bootstrap=swarm[:1], start=False)
        node.data = self.small / "node"
        node.start()
        self.lab.wait_connected(node)
        path = self.lab.file("source", 20 << 20)
        self.assert_error(node.run("publish", path, "--copies", 1), NO_SPACE)
        self.assertTrue(node.status()["dht"]["connected"], "the node goes on")
        little = self.lab.file("little", 100_000, seed=7)
        result = self.assert_done(node.run("publish", little, "--copies", 1))
        _, target = self.fetch(swarm[1], result["link"], "fetched")
        self.assert_same(little, target)

    def test_fetching_onto_a_full_disk_fails_cleanly(self):
        swarm = self.lab.add_swarm(3)
        path = self.lab.file("source", 20 << 20)
        link = self.assert_done(swarm[0].run("publish", path, "--copies", 2))["link"]
        target = self.small / "fetched"
        self.assert_error(swarm[1].run("fetch", link, "-o", target), NO_SPACE)
        self.assertFalse(target.exists())

    def test_a_full_holder_is_passed_over(self):
        swarm = self.lab.add_swarm(5)
        full = self.lab.add_node(bootstrap=swarm[:1], start=False)
        full.data = self.small / "node"
        full.start()
        self.lab.wait_connected(full)
        path = self.lab.file("source", 24 << 20)
        result = self.publish(swarm[0], path)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        self.assertTrue(full.running)

    def test_a_full_disk_is_said_as_long_as_it_is_one(self):
        node = self.lab.add_node(start=False)
        node.data = self.small / "node"
        node.start()
        status = node.status()
        self.assertIsNone(status["problem"])
        left = status["storage"]["disk_left_bytes"]
        self.assertGreater(left, 4 << 20)
        self.assertLess(left, 8 << 20)
        ballast = self.small / "ballast"
        ballast.write_bytes(bytes(left - 100_000))
        status = node.status()
        self.assertIn("disk", status["problem"])
        self.assertLess(status["storage"]["disk_left_bytes"], 1 << 20)
        self.assertIn(b"disk that holds", node.run("status").stdout)
        ballast.unlink()
        self.assertIsNone(node.status()["problem"])


if __name__ == "__main__":
    harness.main()
