# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories: published, fetched, listed, and one path out of them."""

import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import threading
import time
import urllib.parse

import harness

LONG = "n" * 251 + ".txt"
EMOJI = "sp ace/😀 and %41?#&.txt"


def pack_uint(value):
    for limit, head, size in ((0x80, b"", 1), (1 << 8, b"\xcc", 1), (1 << 16, b"\xcd", 2),
                              (1 << 32, b"\xce", 4), (1 << 64, b"\xcf", 8)):
        if value < limit:
            return head + value.to_bytes(size, "big")
    raise ValueError(value)


def pack_bin(value):
    head = b"\xc4" + bytes([len(value)]) if len(value) < 256 else \
        b"\xc5" + len(value).to_bytes(2, "big")
    return head + value


def pack_array(count):
    return bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big")


def packed(directory, times=False):
    """The content of the object that a directory is, computed independently of the program."""
    top = os.fsencode(directory)
    entries = []
    for above, directories, files in os.walk(top):
        for name in files:
            path = os.path.join(above, name)
            with open(path, "rb") as file:
                facts = os.stat(path)
                kind = 1 if facts.st_mode & 0o100 else 0
                entries.append((os.path.relpath(path, top), kind, file.read(), facts.st_mtime_ns))
        if not directories and not files and above != top:
            entries.append((os.path.relpath(above, top), 2, b"", 0))
    entries.sort()
    head, entry_head = (b"\x92\x02", b"\x94") if times else (b"\x92\x01", b"\x93")
    manifest = head + pack_array(len(entries)) + b"".join(
        entry_head + pack_bin(path) + pack_uint(kind) + pack_uint(len(data))
        + (pack_uint(time) if times else b"")
        for path, kind, data, time in entries)
    content = bytearray(len(manifest).to_bytes(8, "big") + manifest)
    for _, _, data, _ in entries:
        if data:
            content += b"\0" * (-len(content) % harness.CHUNK) + data
    return bytes(content)


def directory_root(directory, times=False):
    return harness.root_hash(packed(directory, times), kind=1)


def snapshot(directory):
    """What a directory is: of each path its type, whether it is executable, and its content."""
    found = {}
    top = os.fsencode(directory)
    for above, directories, files in os.walk(top):
        for name in directories:
            found[os.path.relpath(os.path.join(above, name), top)] = "directory"
        for name in files:
            path = os.path.join(above, name)
            executable = bool(os.lstat(path).st_mode & 0o100)
            with open(path, "rb") as file:
                found[os.path.relpath(path, top)] = (executable, file.read())
    return found


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class Directories(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.holders = self.lab.add_swarm(5)
        self.publisher = self.lab.add_node(name="publisher", bootstrap=self.holders[:2],
                                           options=["--no-store"])
        self.lab.wait_connected(self.publisher)

    def new_reader(self, *options):
        reader = self.lab.add_node(name="reader", bootstrap=self.holders[2:4],
                                   options=["--no-store", *options])
        self.lab.wait_connected(reader)
        return reader

    def tree(self, files, name="tree"):
        """A directory of these contents; None makes an empty directory."""
        top = self.lab.path / name
        top.mkdir()
        for path, data in files.items():
            target = top / path
            (target if data is None else target.parent).mkdir(parents=True, exist_ok=True)
            if data is not None:
                target.write_bytes(data)
        return top

    def odd_tree(self):
        top = self.tree({
            EMOJI: b"emoji\n", "sp ace/b": noise(5000, 1), LONG: noise(513, 2), ".hidden": b".",
            "a/b/c/d/e": noise(700_000, 3), "a.txt": b"a", "zero": b"", "big": noise(3_000_000, 4),
            "a/empty": None, "run.sh": b"#!/bin/sh\necho ran\n", "-dash": b"-",
        })
        (top / "run.sh").chmod(0o755)
        with open(os.fsencode(top) + b"/latin-\xe9", "wb") as file:
            file.write(b"not UTF-8")
        return top

    def test_a_directory_arrives_as_it_was_though_the_publisher_is_gone(self):
        source = self.odd_tree()
        result = self.publish(self.publisher, source)
        self.assertEqual(result["root"], directory_root(source))
        self.assertEqual(result["bytes"], len(packed(source)))
        self.assertGreaterEqual(result["copies"]["min"], 4)
        self.assertIn("name=tree", result["link"])
        self.assertEqual(self.assert_done(self.lab.run("hash", source))["root"], result["root"])
        self.publisher.kill()

        reader = self.new_reader()
        fetched, target = self.fetch(reader, result["link"], "out")
        self.assertEqual(fetched["kind"], "directory")
        self.assertEqual(fetched["files"], 11)
        self.assertIs(fetched["verified"], True)
        self.assertEqual(snapshot(target), snapshot(source))
        self.assertFalse(pathlib.Path(str(target) + ".flow29-part").exists())
        self.assertEqual(self.assert_done(self.lab.run("hash", target))["root"], result["root"])

        alone = self.lab.path / "alone"
        outcome = self.lab.run("fetch", result["link"], "-o", alone, "--bootstrap",
                               self.holders[1].at, data=self.lab.path / "alone-data")
        self.assert_done(outcome)
        self.assertEqual(snapshot(alone), snapshot(source))

    def test_times_do_not_change_the_name_and_the_executable_bit_does(self):
        source = self.tree({"a": b"1", "b/c": b"2"})
        first = self.assert_done(self.lab.run("hash", source))["root"]
        os.utime(source / "a", (1, 1))
        copy = self.lab.path / "copy"
        shutil.copytree(source, copy)
        self.assertEqual(self.assert_done(self.lab.run("hash", copy))["root"], first)
        (copy / "a").chmod(0o755)
        self.assertNotEqual(self.assert_done(self.lab.run("hash", copy))["root"], first)

    def test_times_are_kept_when_asked_for_and_are_part_of_the_name(self):
        source = self.tree({"a": b"1", "b/c": noise(700_000, 3), "d": None, "run.sh": b"#!"})
        (source / "run.sh").chmod(0o755)
        for count, path in enumerate(("a", "b/c", "run.sh")):
            os.utime(source / path, ns=(0, 1_000_000_000_123_456_789 + count))
        result = self.publish(self.publisher, source, "--times")
        self.assertEqual(result["root"], directory_root(source, times=True))
        self.assertNotEqual(result["root"], directory_root(source))
        self.assertEqual(self.assert_done(self.lab.run("hash", source, "--times"))["root"],
                         result["root"])

        reader = self.new_reader()
        listed = self.assert_done(reader.run("ls", result["link"]))["entries"]
        self.assertEqual([entry.get("modified") for entry in listed],
                         ["2001-09-09T01:46:40Z", "2001-09-09T01:46:40Z", None,
                          "2001-09-09T01:46:40Z"])
        shown = reader.run("ls", result["link"], as_json=False).stdout.decode()
        self.assertIn("MODIFIED", shown)
        _, target = self.fetch(reader, result["link"], "out")
        self.assertEqual(snapshot(target), snapshot(source))
        self.assertEqual(self.assert_done(self.lab.run("hash", target, "--times"))["root"],
                         result["root"])
        base = result["link"].split("?")[0]
        _, target = self.fetch(reader, base + "/b/c", "one")
        self.assertEqual(target.stat().st_mtime_ns, (source / "b/c").stat().st_mtime_ns)

        private = self.publish(self.publisher, source, "--times", "--private")
        _, target = self.fetch(reader, private["link"], "private")
        self.assertEqual(self.assert_done(self.lab.run("hash", target, "--times"))["root"],
                         result["root"])
        for command in ("publish", "hash"):
            self.assert_error(self.publisher.run(command, source / "a", "--times"), harness.USAGE,
                              "directory")

    def test_an_empty_directory_and_one_of_empty_files_arrive(self):
        for name, files in (("nothing", {}), ("hollow", {"x": b"", "y/z": b"", "w": None})):
            with self.subTest(name):
                source = self.tree(files, name)
                result = self.publish(self.publisher, source)
                self.assertEqual(result["root"], directory_root(source))
                _, target = self.fetch(self.publisher, result["link"], name + "-out")
                self.assertEqual(snapshot(target), snapshot(source))

    def test_publish_without_a_daemon_leaves_four_copies_behind(self):
        source = self.odd_tree()
        outcome = self.lab.run("publish", str(source) + "/", "--bootstrap", self.holders[0].at,
                               data=self.lab.path / "alone")
        result = self.assert_done(outcome)
        self.assertGreaterEqual(result["copies"]["min"], 4)
        self.assertIn("name=tree", result["link"])
        _, target = self.fetch(self.new_reader(), result["link"], "out")
        self.assertEqual(snapshot(target), snapshot(source))

    def test_what_cannot_be_kept_is_refused_and_named(self):
        def fifo(path):
            os.mkfifo(path)

        def unix_socket(path):
            with socket.socket(socket.AF_UNIX) as made:
                # The path itself may be too long to bind.
                here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
                made.bind(f"/proc/self/fd/{here}/{path.name}")
                os.close(here)

        outside = self.lab.file("outside", 10)
        odd = {
            "link": lambda path: path.symlink_to(outside),
            "dir-link": lambda path: path.symlink_to("/etc"),
            "dangling": lambda path: path.symlink_to("nowhere"),
            "pipe": fifo,
            "sock": unix_socket,
            "new\nline": lambda path: path.write_bytes(b"x"),
            "back\\slash": lambda path: path.write_bytes(b"x"),
        }
        for name, make in odd.items():
            with self.subTest(name):
                source = self.tree({"good": b"1", "deep/er/x": b"2"}, "with-" + name[:4])
                make(source / "deep" / "er" / name)
                shown = "deep/er/" + name.replace("\n", "\\x0a")
                self.assert_error(self.publisher.run("publish", source), harness.REFUSED, shown)
                self.assert_error(self.lab.run("hash", source), harness.REFUSED, shown)
                shutil.rmtree(source)

    def test_all_that_cannot_be_kept_is_counted_and_the_first_ten_are_named(self):
        source = self.tree({"good": b"1", "ba\\d/in/it": b"2"})
        for i in range(12):
            (source / f"link-{i}").symlink_to("good")
        for publisher in (self.publisher, self.lab):
            how = "publish" if publisher is self.publisher else "hash"
            message = self.assert_error(publisher.run(how, source), harness.REFUSED, "13 things",
                                        "rename or remove", "\nand 3 more")["message"]
            named = [line for line in message.split("\n") if line.startswith('"')]
            self.assertEqual(len(set(named)), 10, message)
            self.assertEqual(named, sorted(named))
            self.assertTrue(named[0].startswith('"ba'), message)
        outcome = self.publisher.run("publish", source, as_json=False)
        self.assert_exit(outcome, harness.REFUSED)
        self.assertEqual(outcome.stderr.count('\n  "'), 10, outcome.report())
        for i in range(12):
            (source / f"link-{i}").unlink()
        self.assert_error(self.publisher.run("publish", source), harness.REFUSED, "one thing",
                          "ba\\d", "backslash")
        (source / "ba\\d").rename(source / "good-too")
        self.publish(self.publisher, source)

    def test_progress_of_a_small_file_is_of_its_own_bytes(self):
        source = self.tree({"a": b"12", "b": b"3" * 700})
        base = self.publish(self.publisher, source)["link"].split("?")[0]
        reader = self.new_reader()
        for name in ("a", "b"):
            size = (source / name).stat().st_size
            outcome = reader.run("fetch", base + "/" + name, "-o", self.lab.path / f"got-{name}")
            self.assert_done(outcome)
            events = [event for event in outcome.events if event.get("stage") == "data"]
            self.assertEqual({event["total_bytes"] for event in events}, {size})
            self.assertEqual(events[-1]["done_bytes"], size)

    def test_one_path_is_fetched_alone(self):
        source = self.odd_tree()
        link = self.publish(self.publisher, source)["link"]
        self.publisher.kill()
        reader = self.new_reader()
        base = link.split("?")[0]
        encoded = base + "/sp%20ace/%F0%9F%98%80%20and%20%2541%3F%23&.txt"
        for path, link_path in (("a/b/c/d/e", base + "/a/b/c/d/e"), (EMOJI, encoded),
                                ("zero", base + "/zero"), (LONG, base + "/" + LONG)):
            with self.subTest(path):
                result, target = self.fetch(reader, link_path, "one")
                self.assertEqual(result["kind"], "file")
                self.assertEqual(result["bytes"], (source / path).stat().st_size)
                self.assert_same(source / path, target)
                # In whole chunks, and nothing of what lies beside it.
                self.assertLess(result["fetched_bytes"], result["bytes"] + 512)
                target.unlink()
        _, target = self.fetch(reader, base + "/run.sh", "run.sh")
        self.assertTrue(os.access(target, os.X_OK))
        _, target = self.fetch(reader, base + "/a", "sub")
        self.assertEqual(snapshot(target), snapshot(source / "a"))
        _, target = self.fetch(reader, base + "/a/empty", "sub-empty")
        self.assertEqual(snapshot(target), {})

        part = reader.run("cat", base + "/big", "--range", "1000000-1000999", as_json=False)
        self.assert_exit(part, harness.OK)
        self.assertEqual(part.stdout, (source / "big").read_bytes()[1000000:1001000])
        self.assert_error(reader.run("fetch", base + "/nope", "-o", self.lab.path / "nope"),
                          harness.NOT_FOUND, "nope")
        self.assert_error(reader.run("fetch", base + "/../x", "-o", self.lab.path / "nope"),
                          harness.NOT_FOUND)
        self.assertFalse((self.lab.path / "nope").exists())
        refused = reader.run("cat", base, as_json=False)
        self.assert_exit(refused, harness.USAGE)
        self.assertEqual(refused.stdout, b"")

        # A file goes into a directory that is there; a directory does not.
        inside = self.lab.path / "inside"
        inside.mkdir()
        self.assert_done(reader.run("fetch", base + "/big", "-o", inside))
        self.assert_same(source / "big", inside / "big")
        self.assert_error(reader.run("fetch", link, "-o", inside), harness.EXISTS)

    def test_the_gateway_serves_what_is_in_a_directory(self):
        source = self.odd_tree()
        (source / "page.html").write_text("<b>page</b>")
        root = self.publish(self.publisher, source)["link"].removeprefix("flow29:")[:52]
        reader = self.new_reader("--gateway", "127.0.0.1:0")

        def request(path, method="GET", **headers):
            connection = http.client.HTTPConnection(
                urllib.parse.urlsplit(reader.ready["gateway"]).netloc, timeout=60)
            self.addCleanup(connection.close)
            connection.request(method, path, headers={name.replace("_", "-"): value
                                                      for name, value in headers.items()})
            response = connection.getresponse()
            response.content = response.read()
            return response

        whole = request(f"/f/{root}/big")
        self.assertEqual(whole.status, 200)
        self.assertEqual(whole.content, (source / "big").read_bytes())
        part = request(f"/f/{root}/big", Range="bytes=1000000-1000999")
        self.assertEqual(part.status, 206)
        self.assertEqual(part.getheader("Content-Range"), "bytes 1000000-1000999/3000000")
        self.assertEqual(part.content, whole.content[1000000:1001000])
        tail = request(f"/f/{root}/big", Range="bytes=-7")
        self.assertEqual((tail.status, tail.content), (206, whole.content[-7:]))
        self.assertEqual(request(f"/f/{root}/big", Range="bytes=3000000-").status, 416)
        page = request(f"/f/{root}/page.html")
        self.assertEqual(page.getheader("Content-Type"), "text/html; charset=utf-8")
        self.assertRegex(page.getheader("Content-Security-Policy"), "^sandbox .*script-src 'none'")
        self.assertNotEqual(page.getheader("ETag"), whole.getheader("ETag"))
        self.assertEqual(
            request(f"/f/{root}/big", If_None_Match=whole.getheader("ETag")).status, 304)
        empty = request(f"/f/{root}/zero")
        self.assertEqual((empty.status, empty.content), (200, b""))
        head = request(f"/f/{root}/big", "HEAD")
        self.assertEqual(head.getheader("Content-Length"), "3000000")
        encoded = request(f"/f/{root}/{urllib.parse.quote(EMOJI)}")
        self.assertEqual(encoded.content, b"emoji\n")
        self.assertEqual(request(f"/f/{root}/nope").status, 404)
        self.assertEqual(request(f"/f/{root}/../../etc/passwd").status, 404)

        for place, target in ((root, f"/f/{root}/"), (f"{root}/a", f"/f/{root}/a/")):
            moved = request(f"/f/{place}")
            self.assertEqual((moved.status, moved.getheader("Location")), (301, target))
        listing = request(f"/f/{root}/")
        for method in ("GET", "HEAD"):
            ranges = request(f"/f/{root}/", method).getheader("Accept-Ranges")
            self.assertEqual(ranges, "none", method)
        self.assertEqual(listing.getheader("Content-Type"), "text/html; charset=utf-8")
        self.assertIn(f"/f/{root}/a/".encode(), listing.content)
        self.assertIn(b'title="3000000 B">2.9 MiB<', listing.content)
        self.assertIn(b"<h1>Directory</h1>", listing.content)
        named = request(f"/f/{root}?name=my%20album").getheader("Location")
        self.assertIn(b"<h1>my album</h1>", request(named).content)
        tag = listing.getheader("ETag")
        self.assertEqual(request(f"/f/{root}/", If_None_Match=tag).status, 304)
        self.assertEqual(request(f"/f/{root}/a/", If_None_Match=tag).status, 200)
        self.assertEqual(request(f"/f/{root}/run.sh/").status, 404)
        spaced = f"/f/{root}/{urllib.parse.quote(EMOJI)}"
        self.assertEqual(request(spaced, If_None_Match=encoded.getheader("ETag")).status, 304)
        self.assertIn(f"/f/{root}/{urllib.parse.quote('sp ace/')}".encode(), listing.content)
        inner = json.loads(request(f"/f/{root}/a/", Accept="application/json").content)
        self.assertEqual([entry["path"] for entry in inner["entries"]],
                         ["a/b/c/d/e", "a/empty"])

    def test_listing_moves_no_files(self):
        source = self.odd_tree()
        link = self.publish(self.publisher, source)["link"]
        reader = self.new_reader()
        before = reader.status()["traffic"]["down_bytes"]
        listing = self.assert_done(reader.run("ls", link))
        moved = reader.status()["traffic"]["down_bytes"] - before
        self.assertLess(moved, 200_000)
        entries = {entry["path"]: entry for entry in listing["entries"]}
        self.assertEqual(len(entries), 12)
        self.assertEqual(entries["big"]["bytes"], 3_000_000)
        self.assertIs(entries["run.sh"]["executable"], True)
        self.assertIs(entries["big"]["executable"], False)
        self.assertEqual(entries["a/empty"]["kind"], "directory")
        self.assertIn(EMOJI, entries)
        # A path that JSON cannot carry has a link that can.
        odd = [entry for entry in listing["entries"] if "link" in entry]
        self.assertEqual(len(odd), 1)
        _, target = self.fetch(reader, odd[0]["link"], "odd")
        self.assertEqual(target.read_bytes(), b"not UTF-8")

        base = link.split("?")[0]
        below = self.assert_done(reader.run("ls", base + "/a"))
        self.assertEqual([entry["path"] for entry in below["entries"]],
                         ["a/b/c/d/e", "a/empty"])
        self.assert_error(reader.run("ls", base + "/nope"), harness.NOT_FOUND)
        text = reader.run("ls", link, as_json=False)
        self.assert_exit(text, harness.OK)
        self.assertIn(EMOJI, text.stdout.decode())
        alone = self.lab.run("ls", link, "--bootstrap", self.holders[1].at,
                             data=self.lab.path / "alone")
        self.assertEqual(len(self.assert_done(alone)["entries"]), 12)
        file = self.publish(self.publisher, self.lab.file("file", 100))
        self.assert_error(reader.run("ls", file["link"]), harness.USAGE)

    def test_a_directory_that_is_there_is_replaced_whole_or_not_at_all(self):
        source = self.tree({"new": b"new", "both": b"after"})
        link = self.publish(self.publisher, source)["link"]
        target = self.tree({"old": b"old", "both": b"before"}, "there")
        before = snapshot(target)
        self.assert_error(self.publisher.run("fetch", link, "-o", target), harness.EXISTS)
        self.assertEqual(snapshot(target), before)
        # A fetch that fails has touched nothing.
        absent = "flow29:" + "a" * 52
        self.assert_exit(self.publisher.run("fetch", absent, "-o", target, "--overwrite",
                                            "--timeout", "3s"), harness.NOT_FOUND)
        self.assertEqual(snapshot(target), before)
        self.assert_done(self.publisher.run("fetch", link, "-o", target, "--overwrite"))
        self.assertEqual(snapshot(target), snapshot(source))
        self.assertEqual(sorted(p.name for p in self.lab.path.iterdir() if "there" in p.name),
                         ["there"])
        # A file is not replaced by a directory, nor what a link points to.
        victim = self.lab.file("victim", 10)
        for options in ([], ["--overwrite"]):
            self.assert_error(self.publisher.run("fetch", link, "-o", victim, *options),
                              harness.EXISTS)
        pointer = self.lab.path / "pointer"
        pointer.symlink_to(target)
        self.assert_error(self.publisher.run("fetch", link, "-o", pointer, "--overwrite"),
                          harness.EXISTS)
        self.assertEqual(victim.stat().st_size, 10)

    def test_a_killed_fetch_goes_on_where_it_was(self):
        files = {f"d{i % 7}/f{i}": noise(60_000, i) for i in range(1000)}
        source = self.tree(files)
        result = self.publish(self.publisher, source)
        reader = self.new_reader()
        target = self.lab.path / "out"
        part = pathlib.Path(str(target) + ".flow29-part")
        command = self.lab.start("fetch", result["link"], "-o", target, data=reader.data)

        def under_way():
            done = sum(f.stat().st_size for f in part.rglob("*") if f.is_file())
            return done > 20_000_000
        harness.wait_until(under_way, "a third of it", 60, 0.005)
        reader.kill()
        command.wait(timeout=30)
        self.assertFalse(target.exists())
        # What an attempt at something else left behind does not get into the result.
        (part / "stranger").write_bytes(b"x")
        (part / "d0" / "f0").chmod(0o755)
        (part / "d1" / "out").symlink_to("/etc")
        reader.start()
        self.lab.wait_connected(reader)
        fetched = self.assert_done(reader.run("fetch", result["link"], "-o", target))
        self.assertEqual(snapshot(target), snapshot(source))
        self.assertLess(fetched["fetched_bytes"], result["bytes"] - 10_000_000)
        self.assertFalse(part.exists())

    def test_a_link_put_into_the_way_does_not_lead_out(self):
        source = self.tree({"d/f": noise(1000, 1), "g": b"g"})
        link = self.publish(self.publisher, source)["link"]
        outside = self.lab.path / "outside"
        outside.mkdir()
        target = self.lab.path / "out"
        part = pathlib.Path(str(target) + ".flow29-part")
        part.mkdir()
        (part / "d").symlink_to(outside)
        (part / "g").symlink_to(outside / "g")
        self.assert_done(self.publisher.run("fetch", link, "-o", target))
        self.assertEqual(snapshot(target), snapshot(source))
        self.assertEqual(list(outside.iterdir()), [])

    def test_thousands_of_small_files_are_few_extents_and_few_records(self):
        files = {f"{i % 40}/file {i}": noise(4096 + i * 7, i) for i in range(2000)}
        source = self.tree(files)
        before = self.holders[0].status()["storage"]["extents"]
        result = self.publish(self.publisher, source)
        self.assertLess(result["extents"], 40)
        self.assertLess(self.holders[0].status()["storage"]["extents"] - before, 50)
        reader = self.new_reader()
        before = reader.status()["traffic"]["down_bytes"]
        _, target = self.fetch(reader, result["link"].split("?")[0] + "/7/file%2047", "one")
        self.assertEqual(target.read_bytes(), files["7/file 47"])
        # The file, the manifest and what finding them took.
        self.assertLess(reader.status()["traffic"]["down_bytes"] - before, 300_000)
        _, target = self.fetch(reader, result["link"], "out")
        self.assertEqual(snapshot(target), snapshot(source))

    def test_a_file_that_changes_meanwhile_is_noticed(self):
        source = self.tree({"a": noise(30_000_000, 1), "b": noise(30_000_000, 2)})
        over = threading.Event()

        def change():
            with (source / "b").open("r+b") as file:
                while not over.is_set():
                    os.pwrite(file.fileno(), os.urandom(8), 29_999_990)

        writer = threading.Thread(target=change)
        writer.start()
        try:
            done = self.publisher.run("publish", source, "--wait", "none")
        finally:
            over.set()
            writer.join()
        self.assert_error(done, harness.REFUSED, "changed")

    def test_several_paths_are_objects_of_their_own(self):
        source = self.tree({"a": b"1"})
        file = self.lab.file("file", 1000)
        result = self.assert_done(self.publisher.run("publish", source, file))
        self.assertEqual([entry["root"] for entry in result["objects"]],
                         [directory_root(source), harness.file_root(file)])
        self.assert_error(self.publisher.run("publish", source, "--by-reference"), harness.USAGE,
                          "reference")


if __name__ == "__main__":
    harness.main()
