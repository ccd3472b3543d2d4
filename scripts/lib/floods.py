#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floods against one node: each a process of its own, which says now and then how much it sent.

As a program: what scripts/hostile --floods prints. tests/system/test_floods.py runs them as well.
"""

import argparse
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import time

import lab

FILE_BYTES = 20 << 20
NETWORK = 29
SLOWER_MAX = 10
MEMORY_MAX = 256 << 20
CLIENT_HELLO = bytes.fromhex("160301020001")  # the beginning of a handshake that never goes on


def attack_address(k):
    """A source address; all are of one network, which is none of the lab's."""
    return f"127.200.0.{1 + k % 250}"


def pace(rate, act):
    """Calls act(number) `rate` times a second until the process is ended; says how often."""
    began, done = time.monotonic(), 0
    said = began
    while True:
        due = int((time.monotonic() - began) * rate)
        for _ in range(min(due - done, 1000)):
            act(done)
            done += 1
        now = time.monotonic()
        if now - said > 0.5:
            print(done, now - began, flush=True)
            said = now
        time.sleep(0.002)


def flood_connections(target, rate):
    """Connects and goes away again, or says a few octets before."""
    waiting = []

    def act(number):
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            sock.bind((attack_address(number), 0))
            sock.connect_ex(target)
        except OSError:
            pass
        waiting.append(sock)
        if len(waiting) > 200:
            old = waiting.pop(0)
            try:
                if number % 4 == 0:
                    old.send(CLIENT_HELLO)
            except OSError:
                pass
            old.close()

    pace(rate, act)


def datagrams():
    """A client's ping, a find, a ping with a false proof, and noise."""
    tail = b"\xa1t\xce%s\xa1y\xa1q\xa1v\xa4RNG1\xa1n" + bytes([NETWORK])

    def ping(number, proof=b"", client=True):
        head = bytes([0x86 + client + bool(proof)]) + proof + (b"\xa1s\xc3" if client else b"")
        return head + b"\xa1a\x81\xa2id\xc4\x14" + os.urandom(20) + b"\xa1q\xa4ping" + \
            tail % struct.pack(">I", number & 0xffffffff)

    def find(number):
        return b"\x87\xa1s\xc3\xa1a\x82\xa2id\xc4\x14" + os.urandom(20) + b"\xa6target\xc4\x14" + \
            os.urandom(20) + b"\xa1q\xa4find" + tail % struct.pack(">I", number & 0xffffffff)

    return [ping, find,
            lambda number: ping(number, b"\xa1k\xc4\x7a" + os.urandom(122), client=False),
            lambda number: os.urandom(120)]


def flood_datagrams(target, rate):
    kinds = datagrams()
    socks = []
    for k in range(50):
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind((attack_address(k), 0))
        sock.setblocking(False)
        socks.append(sock)

    def act(number):
        sock = socks[number % len(socks)]
        try:
            sock.sendto(kinds[number % len(kinds)](number), target)
        except OSError:
            pass

    pace(rate, act)


def hold_half_open(target, count):
    """Keeps so many connections that have begun a handshake; those that were cut are made anew."""
    socks = []

    def act(number):
        if len(socks) >= count:
            socks.pop(0).close()
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.bind((attack_address(number), 0))
            sock.connect_ex(target)
            if socks:
                socks[-1].send(CLIENT_HELLO)
        except OSError:
            pass
        socks.append(sock)

    pace(count, act)


FLOODS = {"connections": (flood_connections, 10_000), "datagrams": (flood_datagrams, 20_000),
          "half-open": (hold_half_open, 1_000)}


class Flood:
    """One flood in a process of its own; a context manager."""

    def __init__(self, the_lab, kind, node, rate=None):
        self.kind = kind
        self.rate = rate or FLOODS[kind][1]
        self.out_path = the_lab.path / f"flood-{kind}.out"
        with open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-B", __file__, "--run", kind, "--at", node.at, "--rate",
                 str(self.rate)], stdin=subprocess.DEVNULL, stdout=out,
                preexec_fn=lab.die_with_parent)
        lab.wait_until(lambda: self.sent()[0] > 0, f"the flood of {kind}")

    def sent(self):
        """How many so far, and how many a second."""
        lines = self.out_path.read_text().splitlines(keepends=True)
        last = next((line for line in reversed(lines) if line.endswith("\n")), "0 1")
        count, seconds = last.split()
        return int(count), int(count) / float(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def descriptors(node):
    return len(os.listdir(f"/proc/{node.pid}/fd"))


class Swarm:
    """A holder of a file, which is flooded, and readers that come for it."""

    def __init__(self, the_lab):
        self.lab = the_lab
        self.holder = the_lab.add_node(options=["--web", "off", "--gateway", "off"])
        self.path = the_lab.file("source", FILE_BYTES)
        publisher = self.add_reader("publisher")
        self.root = publisher.ask("publish", self.path, "--copies", 1)["root"]
        publisher.stop()

    def add_reader(self, name):
        reader = self.lab.add_node(name=name, bootstrap=[self.holder],
                                   options=["--no-store", "--web", "off", "--gateway", "off"])
        self.lab.wait_connected(reader)
        return reader

    def fetch(self, name):
        """Seconds that a reader takes that has just come; with what was wrong, LabError."""
        began = time.monotonic()
        reader = self.add_reader(name)
        joined = time.monotonic()
        target = self.lab.path / name / "fetched"
        reader.ask("fetch", self.root, "-o", target, "--no-share")
        took = time.monotonic() - joined
        if not lab.same_bytes(self.path, target):
            raise lab.LabError("what was fetched is not what was published")
        reader.stop()
        return took, joined - began


def measure(runs, say):
    rows = []
    with lab.Lab("flow29-floods-") as the_lab:
        swarm = Swarm(the_lab)
        quiet = statistics.median(swarm.fetch(f"quiet{i}")[0] for i in range(runs))
        rows.append(("none", "", quiet, 1.0, swarm.holder.proc_status("VmHWM"),
                     descriptors(swarm.holder)))
        for kind in [*FLOODS, "all at once"]:
            say(kind)
            floods = [Flood(the_lab, one, swarm.holder)
                      for one in (FLOODS if kind == "all at once" else [kind])]
            try:
                times, most = [], 0
                for i in range(runs):
                    times.append(swarm.fetch(f"{kind.replace(' ', '')}{i}")[0])
                    most = max(most, descriptors(swarm.holder))
                took = statistics.median(times)
                sent = ", ".join(f"{flood.sent()[1]:,.0f}" for flood in floods)
                rows.append((kind, sent, took, took / quiet, swarm.holder.proc_status("VmHWM"),
                             most))
            finally:
                for flood in floods:
                    flood.__exit__()
    return rows


def main():
    parser = argparse.ArgumentParser(prog="scripts/hostile --floods")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--run", choices=FLOODS, help=argparse.SUPPRESS)
    parser.add_argument("--at", help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        host, port = options.at.rsplit(":", 1)
        FLOODS[options.run][0]((host, int(port)), options.rate)
        return 0
    lab.end_on_signals()
    rows = measure(options.runs, lambda text: print(f"==> {text}", file=sys.stderr, flush=True))
    print(f"{FILE_BYTES >> 20} MiB by a reader that has just come, medians of {options.runs} runs\n")
    print("| flood | a second, as sent | fetch s | to quiet | peak MB, holder | descriptors, most |\n"
          "|---|---|---|---|---|---|")
    broken = []
    for kind, sent, took, slower, memory, most in rows:
        print(f"| {kind} | {sent} | {took:.2f} | {slower:.1f} | {memory / 1e6:.0f} | {most} |")
        if slower > SLOWER_MAX:
            broken.append(f"{kind}: {slower:.1f} times the quiet time, more than {SLOWER_MAX}")
        if memory > MEMORY_MAX:
            broken.append(f"{kind}: {memory / 1e6:.0f} MB")
    return lab.verdict(broken)


if __name__ == "__main__":
    lab.exit_with(main, "floods")
