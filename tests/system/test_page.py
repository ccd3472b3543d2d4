# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in a real headless Chromium: what tests/browser does, and the nodes that it needs.

Skipped where there is no Node.js or Chromium (FLOW29_CHROMIUM names one), or where `scripts/web` has
not installed what drives it. FLOW29_SCREENSHOTS names a folder for pictures to look at.
"""

import base64
import json
import os
import shutil
import struct
import subprocess
import threading
import unittest
import urllib.parse
import urllib.request
import zlib

import harness
import film  # noqa: E402 - harness says where
import lab
from harness import wait_until

ANY = "127.0.0.1:0"
MIB = 1 << 20
BROWSER_TESTS = lab.REPOSITORY / "tests" / "browser"
PATIENCE_SECONDS = 420


def find_chromium():
    named = os.environ.get("FLOW29_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


def what_is_missing():
    if not shutil.which("node"):
        return "there is no Node.js"
    if not find_chromium():
        return "there is no Chromium; scripts/install-deps browser gets it"
    if not (lab.REPOSITORY / "src/web/node_modules/playwright-core").is_dir():
        return "scripts/web has not installed playwright-core"
    return None


def noise(size, seed):
    """What drop() in stage.mjs makes."""
    content = bytearray(size)
    for i in range(size):
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        content[i] = seed >> 24
    return bytes(content)


def png(width, height):
    """A picture of one colour."""
    def part(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x29\x80\xc0" * width) * height
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows))
            + part(b"IEND", b""))


@unittest.skipIf(what_is_missing(), what_is_missing())
class Page(harness.SystemTest):
    def play(self, name, answers):
        """Runs a browser test, and does what it asks for with the functions in `answers`."""
        environment = {**self.lab.environment, "FLOW29_CHROMIUM": find_chromium()}
        if "FLOW29_SCREENSHOTS" in os.environ:
            environment["FLOW29_SCREENSHOTS"] = os.environ["FLOW29_SCREENSHOTS"]
        process = subprocess.Popen(
            ["node", str(BROWSER_TESTS / f"{name}.mjs")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=lab.die_with_parent)
        watch = threading.Timer(PATIENCE_SECONDS, process.kill)
        watch.start()
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "failed" in said:
                    self.fail(said["failed"])
                answer = answers[said["ask"]](*said["parameters"])
                process.stdin.write(json.dumps({"answer": answer}) + "\n")
                process.stdin.flush()
            process.stdin.close()
            self.assertEqual(process.wait(), 0, f"{name}.mjs failed, or did not end in time")
        finally:
            watch.cancel()
            process.kill()
            process.wait()
            process.stdout.close()

    def test_dropped_here_fetched_there_and_a_holder_is_killed(self):
        nodes = self.lab.add_swarm(7, options=["--grace", "10s", "--gateway", "off"],
                                   options_of={0: ["--web", ANY]})
        reader = self.lab.add_node(name="reader", bootstrap=nodes[:2],
                                   options=["--no-store", "--web", ANY, "--gateway", ANY])
        self.lab.wait_connected(reader)
        publisher = nodes[0]

        folder = self.lab.path / "album"
        (folder / "2026").mkdir(parents=True)
        for name, size in ("a.jpg", 70_000), ("2026/b.jpg", 3 * MIB), ("2026/empty", 0):
            self.lab.file(f"album/{name}", size, size)

        def is_folder(link):
            raw = base64.b32decode(link.removeprefix("flow29:")[:52].upper() + "====")
            return raw.hex() == self.lab.ask("hash", folder)["root"]

        def uploads_left():
            left = publisher.data / "uploads"
            wait_until(lambda: not list(left.iterdir()), "uploads to be removed", 30)
            return len(list(left.iterdir()))

        def kill_holder():
            # Whoever has most has something of which there are no more copies than there should be.
            max(nodes[1:], key=lambda node: node.status()["storage"]["extents"]).kill()

        self.play("publish", {
            "urls": lambda: {"publisher": publisher.ready["web"], "reader": reader.ready["web"]},
            "folder": lambda: str(folder),
            "is_folder": is_folder,
            "withdraw": lambda link: publisher.ask("rm", link),
            "uploads_left": uploads_left,
            "is_noise": lambda path, size, seed: open(path, "rb").read() == noise(size, seed),
            "serves_noise": lambda url, size, seed:
                urllib.request.urlopen(url, timeout=60).read() == noise(size, seed),
            "kill_holder": kill_holder,
        })

    def test_a_slow_fetch_is_watched_paused_resumed_and_cancelled(self):
        holders = self.lab.add_swarm(3, options=["--web", "off", "--gateway", "off"])
        path = self.lab.file("film.mp4", 12 * MIB)
        link = self.publish(holders[0], path, "--copies", "2")["link"]
        reader = self.lab.add_node(name="reader", bootstrap=holders[:1],
                                   options=["--no-store", "--web", ANY, "--down-limit", "512KiB"])
        self.lab.wait_connected(reader)
        reader.options[reader.options.index(ANY)] = urllib.parse.urlsplit(reader.ready["web"]).netloc

        self.play("transfers", {
            "urls": lambda: {"reader": reader.ready["web"], "link": link},
            "kill": reader.kill,
            "start": lambda: bool(reader.start()),
            "noted": lambda is_paused: wait_until(
                lambda: is_paused == any(note.read_text().endswith("\npaused\n")
                                         for note in (reader.data / "fetching").iterdir()),
                "it to be noted whether the fetch is paused"),
            "no_limit": lambda: reader.ask("limit", "--down", "off"),
            "is_fetched": lambda got: lab.same_bytes(got, path),
            "down_limit": lambda: reader.status()["traffic"]["down_limit"],
        })

    def test_a_node_that_is_alone_goes_and_comes_back(self):
        node = self.lab.add_node(options=["--web", ANY])
        at = urllib.parse.urlsplit(node.ready["web"]).netloc
        node.options[node.options.index(ANY)] = at
        root = harness.root_hash(noise(3_000_000, 7))
        self.play("away", {
            "urls": lambda: {"alone": node.ready["web"]},
            "stop": node.stop,
            "start": lambda: bool(node.start()),
            "arrived": lambda: wait_until(
                lambda: root in [entry["root"] for entry in node.ask("ls")["objects"]],
                "what was dropped to be published"),
        })

    def test_a_film_is_watched_while_it_is_fetched(self):
        nodes = self.lab.add_swarm(3, options=["--web", "off", "--gateway", "off"])
        reader = self.lab.add_node(bootstrap=nodes[:1],
                                   options=["--no-store", "--web", "off", "--gateway", ANY])
        self.lab.wait_connected(reader)
        size, seconds = 1 << 30, 1024
        path = self.lab.path / "film.webm"
        fetching = []

        def make(pictures):
            film.write(path, [base64.b64decode(picture) for picture in pictures], seconds, size,
                       64, 64)
            self.assertAlmostEqual(path.stat().st_size, size, delta=MIB)
            link = self.publish(nodes[0], path, "--copies", "1", "--by-reference")["link"]
            reader.ask("limit", "--down", "3MiB")
            target = self.lab.path / "fetched.webm"
            fetching.append(self.lab.start("fetch", link, "-o", target, data=reader.data))
            wait_until(lambda: (self.lab.path / "fetched.webm.flow29-part").exists(),
                       "the fetch to begin")
            root = link.removeprefix("flow29:")[:52]
            return {"seconds": seconds,
                    "url": f"{reader.ready['gateway']}/f/{root}?name=film.webm"}

        def seen():
            self.assertIsNone(fetching[0].poll(), "it is still being fetched")
            fetched, = [each["done_bytes"] for each in reader.ask("transfers")["transfers"]
                        if each["kind"] == "fetch"]
            return reader.status()["traffic"]["down_bytes"] - fetched < size // 4

        self.play("film", {"film": make, "seen": seen})
        fetching[0].terminate()
        fetching[0].communicate()

    def test_what_was_published_is_shown_and_does_nothing(self):
        nodes = self.lab.add_swarm(2, options=["--web", "off", "--gateway", "off"])
        reader = self.lab.add_node(bootstrap=nodes[:1], options=["--web", "off", "--gateway", ANY])
        self.lab.wait_connected(reader)
        site = self.lab.path / "site"
        site.mkdir()
        (site / "index.html").write_text(
            "<title>as written</title><link rel=stylesheet href=style.css>"
            "<script>document.title = 'a script ran'</script><p>as it was published"
            "<img id=beside src=picture.png><img src='http://elsewhere.example/counts-readers'>")
        (site / "style.css").write_text("p { color: rgb(1, 2, 3) }")
        (site / "picture.png").write_bytes(png(3, 2))
        (site / "data.bin").write_bytes(bytes(1000))
        (site / "film.webm").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(300_000))
        link = self.publish(nodes[0], site, "--copies", "1")["link"]
        root = link.removeprefix("flow29:")[:52]
        self.play("gateway", {"directory": lambda: {"base": f"{reader.ready['gateway']}/f/{root}"}})

    def test_for_everybody(self):
        nodes = self.lab.add_swarm(5, options=["--web", "off", "--gateway", "off"])
        shown = self.lab.add_node(bootstrap=nodes[:2], options=["--web", ANY, "--gateway", ANY])
        self.lab.wait_connected(shown)
        for name in ("minutes of the meeting.pdf", "an enormous name " * 8 + ".txt", "photo.jpg"):
            self.publish(shown, self.lab.file(name, 3 * MIB + len(name), len(name)))
        picture = self.lab.path / "sunset.png"
        picture.write_bytes(png(3, 2))
        self.publish(shown, picture)
        wait_until(lambda: len(shown.ask("ls")["objects"]) >= 4, "four objects")
        self.play("access", {"urls": lambda: {"url": shown.ready["web"],
                                              "gateway": shown.ready["gateway"]}})


if __name__ == "__main__":
    harness.main()
