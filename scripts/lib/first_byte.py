#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurement behind `scripts/swarm first-byte`: how long until the first byte of an object that
is known by its hash alone, on a node that has just joined, with and without distance in between."""

import argparse
import http.client
import pathlib
import statistics
import subprocess
import sys
import time

import lab
import namespaces

FILE_BYTES = 3 << 20
WAYS = ("fetch", "cat", "gateway")
ROUND_TRIPS_MAX = 8
LOOPBACK_MS_MAX = 150


def first_byte_of_fetch(node, root, target):
    """Milliseconds, by the node's own clock."""
    result = node.ask("fetch", root, "-o", target, "--no-share", "--overwrite")
    return result["first_byte_ms"]


def first_byte_of_cat(node, root):
    """Milliseconds from the start of the command to its first byte."""
    began = time.monotonic()
    process = node.lab.start("cat", root, data=node.data)
    process.stdout.read(1)
    took = time.monotonic() - began
    process.stdout.read()
    process.wait()
    return took * 1000


def first_byte_of_gateway(inside, port, root):
    """Milliseconds from the request to the first byte of the body, in the node's namespace."""
    script = pathlib.Path(__file__)
    outcome = subprocess.run([*inside, sys.executable, "-B", str(script), "--get", f"{port}/f/{root}"],
                             stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True)
    return float(outcome.stdout)


def get(port_and_path):
    """Milliseconds until the first byte of a local page's body."""
    port, slash, path = port_and_path.partition("/")
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    connection.request("GET", slash + path)
    reply = connection.getresponse()
    first = reply.read(1)
    took = time.monotonic() - began
    if reply.status != 200 or not first:
        raise lab.LabError(f"the gateway says {reply.status}")
    reply.read()
    return took * 1000


class FirstByte:
    """A swarm at one distance."""

    def __init__(self, the_lab, nodes, rtt_ms, objects, say):
        self.lab = the_lab
        self.count = nodes
        self.place = namespaces.Distance(rtt_ms / 2) if rtt_ms else None
        self.objects = objects
        self.say = say
        self.roots = []

    def inside(self):
        return self.place.inside() if self.place else []

    def start(self):
        if self.place:
            self.place.create(range(1, 256))
        for _ in range(self.count):
            self.add(self.lab.nodes[:2])
        for node in self.lab.nodes:
            self.lab.wait_connected(node)
        for number in range(self.objects):
            path = self.lab.file(f"object{number}", FILE_BYTES + number, seed=number)
            publisher = self.lab.nodes[number % self.count]
            self.roots.append(publisher.ask("publish", path)["root"])
            path.unlink()

    def add(self, bootstrap, options=("--gateway", "off")):
        k = len(self.lab.nodes) + 1
        address = f"10.29.{k}.1" if self.place else f"127.0.{k}.1"
        return self.lab.add_node(address, bootstrap=bootstrap, prefix=self.inside(), port=2929,
                                 options=["--web", "off", *options])

    def newcomer(self, eager):
        """A node that has just joined; `eager`: that is not yet waited for."""
        node = self.add(self.lab.nodes[:1], ["--gateway", "127.0.0.1:0", "--no-store"])
        if not eager:
            self.lab.wait_connected(node)
        return node

    def measure(self, way, number, node):
        root = self.roots[number % len(self.roots)]
        try:
            if way == "fetch":
                return first_byte_of_fetch(node, root, self.lab.path / "fetched")
            if way == "cat":
                return first_byte_of_cat(node, root)
            return first_byte_of_gateway(self.inside(), node.ready["gateway"].rpartition(":")[2], root)
        finally:
            node.stop()

    def run(self, fetches, eager, idle_seconds):
        """Milliseconds by way. A node of its own for each, idle for that long if at all."""
        times = {way: [] for way in WAYS}
        idle = []
        if idle_seconds:
            idle = [self.newcomer(False) for _ in range(fetches * len(WAYS))]
            time.sleep(idle_seconds)
        for number in range(fetches):
            for way in WAYS:
                node = idle.pop() if idle else self.newcomer(eager)
                times[way].append(self.measure(way, number, node))
        return times

    def close(self):
        for node in self.lab.nodes:
            node.kill()
        if self.place:
            self.place.remove()


def main():
    parser = argparse.ArgumentParser(prog="scripts/swarm first-byte")
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--fetches", type=int, default=15)
    parser.add_argument("--rtt", type=float, default=40, help="milliseconds")
    parser.add_argument("--at", choices=("loopback", "distance", "both"), default="both")
    parser.add_argument("--eager", action="store_true", help="fetch at once, while it still joins")
    parser.add_argument("--idle", type=float, default=0,
                        help="minutes for which each node does nothing before it fetches")
    parser.add_argument("--get", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.get:
        print(get(options.get))
        return 0
    lab.end_on_signals()
    failures = 0
    places = {"loopback": [0], "distance": [options.rtt], "both": [0, options.rtt]}[options.at]
    for rtt in places:
        if rtt and not namespaces.can_delay():
            print("distance: not measured, it needs root, iptables and its NFQUEUE target")
            continue
        with lab.Lab("flow29-first-byte-") as the_lab:
            swarm = FirstByte(the_lab, options.nodes, rtt, min(options.fetches, 8), print)
            try:
                swarm.start()
                times = swarm.run(options.fetches, options.eager, 60 * options.idle)
            finally:
                swarm.close()
        where = f"{rtt:g} ms round trips" if rtt else "loopback"
        if options.idle:
            where += f", idle for {options.idle:g} min"
        most = ROUND_TRIPS_MAX * rtt if rtt else LOOPBACK_MS_MAX
        for way, milliseconds in times.items():
            median = statistics.median(milliseconds)
            trips = f", {median / rtt:.1f} round trips" if rtt else ""
            holds = median <= most
            failures += not holds
            print(f"{where}, {options.nodes} nodes: {way:8} median {median:6.0f} ms{trips}, "
                  f"{min(milliseconds):.0f} to {max(milliseconds):.0f} ms, of {len(milliseconds)}"
                  f"{'' if holds else f'  FAILED: more than {most:g} ms'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    lab.exit_with(main, "first-byte")
