#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration behind scripts/demo: a swarm of real processes, and everything checked."""

import argparse
import os
import pathlib
import shutil
import sys
import time

import lab

NODES = 10
PAGE_NODE = 1  # counted from 0; serves the page, and is never stopped
FILE_BYTES = 8 << 20
COPIES = 4
REPAIR_SECONDS = 180


class Failed(Exception):
    """Something that must hold did not."""


class Narrator:
    """Says what happens, in plain words."""

    def __init__(self):
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.bold, self.dim, self.good, self.bad, self.plain = (
            ("\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m") if colour else ("",) * 5)

    def stage(self, text):
        print(f"{self.bold}==> {text}{self.plain}", flush=True)

    def say(self, text):
        print(f"    {text}", flush=True)

    def held(self, text):
        print(f"    {self.good}ok{self.plain}  {text}", flush=True)

    def failed(self, text):
        print(f"    {self.bad}FAILED{self.plain}  {text}", flush=True)


def size_text(count):
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1024
    return f"{count:.1f} GiB"


class Demo:
    def __init__(self, the_lab, narrator, file):
        self.lab = the_lab
        self.tell = narrator
        self.file = file
        self.bytes = file.stat().st_size
        self.facts = []  # rows of the closing table

    def require(self, holds, text):
        if not holds:
            raise Failed(text)
        self.tell.held(text)

    def run(self):
        self.start_swarm()
        self.publish()
        self.kill()
        self.fetch()
        self.heal()
        self.summary()

    def start_swarm(self):
        self.tell.stage(f"{NODES} nodes, a process and an address each: "
                        f"127.0.1.1 to 127.0.{NODES}.1")
        began = time.monotonic()
        # One page is enough, on ports of its own: a node of the user's may run here too.
        off, on = (["--web", at, "--gateway", at] for at in ("off", "127.0.0.1:0"))
        self.swarm = self.lab.add_swarm(
            NODES, options=["--grace", "3s"],
            options_of={k: on if k == PAGE_NODE else off for k in range(NODES)})
        self.publisher = self.swarm[-1]
        self.require(all(node.running for node in self.swarm),
                     f"all run and have joined the DHT ({time.monotonic() - began:.1f} s)")

    def publish(self):
        self.tell.stage(f"publish {size_text(self.bytes)} from {self.publisher.name}, "
                        f"wait for {COPIES} copies on other nodes")
        result = self.publisher.ask("publish", self.file, "--copies", COPIES,
                                    "--timeout", "60s")
        self.link, self.root = result["link"], result["root"]
        self.tell.say(f"link  {self.tell.bold}{self.link}{self.tell.plain}")
        offline = self.lab.ask("hash", self.file)["root"]
        self.require(self.root == offline, "the hash is the one that `flow29 hash` computes offline")
        copies = result["copies"]
        self.require(
            copies["min"] >= COPIES,
            f"each of {result['extents']} extents ({result['chunks']} chunks of 512 bytes) and the "
            f"descriptor is on at least {copies['min']} nodes other than the publisher, "
            f"{copies['mean']:.1f} on average ({result['elapsed_ms'] / 1000:.1f} s)")
        self.facts += [("link", self.link), ("bytes", f"{self.bytes}"),
                       ("copies when published", f"{copies['min']} (publisher not counted)")]

    def kill(self):
        held = {node: node.status()["storage"]["extents"] for node in self.swarm}
        candidates = [node for node in self.swarm[:-1] if node is not self.swarm[PAGE_NODE]]
        holders = sorted(candidates, key=lambda node: held[node], reverse=True)[:2]
        self.tell.stage(f"kill -9 the publisher and two holders")
        stopped = []
        for node in [self.publisher, *holders]:
            node.kill()
            role = "publisher" if node is self.publisher else "holder"
            stopped.append(f"{node.name} ({role}, {held[node]} extents)")
        self.require(not any(node.running for node in [self.publisher, *holders]),
                     "gone: " + ", ".join(stopped))
        self.alive = [node for node in self.swarm if node.running]
        self.facts.append(("stopped", ", ".join(stopped)))

    def fetch(self):
        self.tell.stage("fetch by hash, through a node that never had the file and stores nothing")
        self.reader = self.lab.add_node(name="reader", bootstrap=self.alive[:2],
                                        options=["--no-store", "--grace", "3s", "--web", "off",
                                                 "--gateway", "off"])
        self.lab.wait_connected(self.reader)
        self.tell.say(f"{self.reader.name} at {self.reader.at} joined through {self.alive[0].name}")
        self.low = self.health()
        self.tell.say(f"live copies of the worst-off part now: {self.low['copies']['min']}")
        target = self.lab.path / "fetched"
        result = self.reader.ask("fetch", self.root, "-o", target, "--no-share", "--timeout", "60s")
        self.require(result["verified"] and result["bytes"] == self.bytes,
                     f"{result['bytes']} bytes from {result['holders']} holders, each chunk verified "
                     f"({result['elapsed_ms'] / 1000:.1f} s)")
        self.require(lab.same_bytes(self.file, target), "byte for byte the file that was published")
        self.facts += [("copies after that", f"{self.low['copies']['min']}"),
                       ("bytes fetched", f"{result['bytes']}, identical, "
                                         f"from {result['holders']} holders")]

    def health(self):
        return self.reader.ask("health", self.root, "--timeout", "30s")

    def heal(self):
        self.tell.stage(f"wait until every part has {COPIES} live copies again")
        began = time.monotonic()
        shown = None
        while True:
            health = self.health()
            copies = health["copies"]["min"]
            if copies != shown:
                self.tell.say(f"{time.monotonic() - began:5.1f} s: at least {copies} copies, "
                              f"{health['at_risk_chunks']} chunks below {COPIES}")
                shown = copies
            if copies >= COPIES:
                break
            if time.monotonic() - began > REPAIR_SECONDS:
                raise Failed(f"still only {copies} copies after {REPAIR_SECONDS} s")
            time.sleep(0.5)
        self.require(True, f"{copies} copies of every part on {len(self.alive)} remaining nodes")
        self.facts.append(("copies at the end", f"{copies}"))

    def summary(self):
        self.tell.stage("summary")
        width = max(len(name) for name, _ in self.facts)
        for name, value in self.facts:
            self.tell.say(f"{name:<{width}}  {value}")

    def leave_running(self):
        alive = [node for node in self.lab.nodes if node.running]
        self.tell.stage("left running, as asked (--keep)")
        for node in alive:
            self.tell.say(f"{node.name:<7} {node.at:<18} --data {node.data}")
        served = self.swarm[PAGE_NODE].ready
        base32 = self.link.removeprefix("flow29:")[:52]
        self.tell.say(f"page    {self.tell.bold}{served['web']}{self.tell.plain}")
        self.tell.say(f"file    {served['gateway']}/f/{base32}")
        self.tell.say("stop it all and remove it:")
        pids = " ".join(str(node.pid) for node in alive)
        self.tell.say(f"  kill {pids}; rm -rf {self.lab.path}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("file", nargs="?", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--build-seconds", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    tell = Narrator()
    if options.file and not options.file.is_file():
        tell.failed(f"{options.file} is not a file")
        return 1
    lab.end_on_signals()
    began = time.monotonic()
    try:
        the_lab = lab.Lab("flow29-demo-", outlives=options.keep)
    except lab.LabError as error:
        tell.failed(str(error))
        return 1
    with the_lab:
        file = options.file or the_lab.file("noise", FILE_BYTES)
        needed = 8 * file.stat().st_size + (64 << 20)
        if shutil.disk_usage(the_lab.path).free < needed:
            tell.failed(f"{the_lab.path} has less than {size_text(needed)} free; "
                        "set TMPDIR to a larger place")
            return 1
        demo = Demo(the_lab, tell, file)
        try:
            demo.run()
            the_lab.keep = options.keep
            if options.keep:
                demo.leave_running()
        except (Failed, lab.LabError, OSError) as error:
            tell.failed(str(error))
            print(the_lab.logs(), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ninterrupted; stopping the nodes", file=sys.stderr)
            return 130
    ran = time.monotonic() - began
    total = ran + options.build_seconds
    tell.stage(f"all of it held; {ran:.1f} s, {total:.0f} s with packages and build")
    return 0


if __name__ == "__main__":
    sys.exit(main())
