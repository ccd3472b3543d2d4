#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the bandwidth limits hold, how fairly one holder serves many, and what a fetch gets beside
repair. What is counted is what the nodes count: the octets of connections and datagrams."""

import json
import sys
import threading
import time

import lab

MIB = 1 << 20
WINDOW = 10  # seconds over which a rate is measured
FETCHERS = 8


def moved(node):
    """Octets that a node has sent and received, the DHT's included."""
    traffic = node.status()["traffic"]
    return (traffic["up_bytes"] + traffic["dht_up_bytes"],
            traffic["down_bytes"] + traffic["dht_down_bytes"])


class Fetch:
    """A fetch that runs beside what is measured; `done` is what it has so far."""

    def __init__(self, node, link):
        self.target = node.data / "fetched"
        self.process = node.lab.start("--progress", "always", "fetch", link, "-o", self.target,
                                      "--no-share", data=node.data)
        self.done = 0
        self.errors = b""
        self.threads = [threading.Thread(target=self._follow, daemon=True),
                        threading.Thread(target=self._drain, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _follow(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.done = max(self.done, event.get("done_bytes", 0), event.get("fetched_bytes", 0))

    def _drain(self):
        self.errors = self.process.stderr.read()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        for thread in self.threads:
            thread.join()


def publish_to(publisher, path):
    return publisher.ask("publish", path, "--copies", 1)["link"]


def over_window(node, direction, fetches):
    """Octets a second of a node, from when data flow."""
    lab.wait_until(lambda: any(fetch.done for fetch in fetches), "the first bytes", 60, 0.05)
    first, began = moved(node), time.monotonic()
    time.sleep(WINDOW)
    last, ended = moved(node), time.monotonic()
    return (last[direction] - first[direction]) / (ended - began)


def rate_row(direction, rate):
    """One holder, one reader; the reader's downlink or the holder's uplink is limited."""
    option = ["--up-limit", "--down-limit"][direction]
    with lab.Lab("flow29-limits-") as the_lab:
        limited = [option, str(rate)]
        holder = the_lab.add_node(options=[] if direction else limited)
        publisher = the_lab.add_node(bootstrap=[holder], options=["--no-store"])
        reader = the_lab.add_node(bootstrap=[holder],
                                  options=["--no-store", *(limited if direction else [])])
        for node in (publisher, reader):
            the_lab.wait_connected(node)
        path = the_lab.file("noise", int(rate * (WINDOW + 8)))
        link = publish_to(publisher, path)
        fetch = Fetch(reader, link)
        measured = over_window(reader if direction else holder, direction, [fetch])
        fetch.end()
    error = 100 * (measured / rate - 1)
    return f"| {['up', 'down'][direction]} {rate / 1000:.0f} kB/s | " \
           f"{measured / 1000:.1f} kB/s | {error:+.1f} % |"


def shares_row(rate):
    """One holder, several readers at once; what each had when the first was done."""
    with lab.Lab("flow29-limits-") as the_lab:
        holder = the_lab.add_node(options=["--up-limit", str(rate)] if rate else [])
        publisher = the_lab.add_node(bootstrap=[holder], options=["--no-store"])
        the_lab.wait_connected(publisher)
        size = rate * 20 // FETCHERS if rate else 256 * MIB
        link = publish_to(publisher, the_lab.file("noise", size))
        publisher.stop()
        readers = [the_lab.add_node(bootstrap=[holder], options=["--no-store"])
                   for _ in range(FETCHERS)]
        for reader in readers:
            the_lab.wait_connected(reader)
        fetches = [Fetch(reader, link) for reader in readers]
        lab.wait_until(lambda: max(fetch.done for fetch in fetches) > size * 0.9,
                       "a fetch to be nearly done", 300, 0.02)
        shares = [fetch.done for fetch in fetches]
        for fetch in fetches:
            fetch.end()
    fair = sum(shares) / FETCHERS
    limit = f"up {rate / 1000:.0f} kB/s" if rate else "no limit"
    return f"| {FETCHERS} fetchers of one holder, {limit} | least {min(shares) / fair:.2f}, " \
           f"most {max(shares) / fair:.2f} of a fair share |"


def priority_row(rate):
    """A storing node with a limited downlink pulls lost copies, and its user fetches."""
    with lab.Lab("flow29-limits-") as the_lab:
        grace = ["--grace", "2s"]
        holders = the_lab.add_swarm(3, options=grace)
        publisher = the_lab.add_node(bootstrap=[holders[0]], options=["--no-store", *grace])
        the_lab.wait_connected(publisher)
        lost = the_lab.file("lost", rate * 30, seed=1)
        wanted = the_lab.file("wanted", rate * 20, seed=2)
        publisher.ask("publish", lost, "--copies", 3)
        link = publisher.ask("publish", wanted, "--copies", 2)["link"]
        publisher.stop()
        node = the_lab.add_node(bootstrap=[holders[0]],
                                options=[*grace, "--down-limit", str(rate), "--repair-limit", "off"])
        the_lab.wait_connected(node)
        holders[2].kill()
        before = moved(node)[1]
        lab.wait_until(lambda: moved(node)[1] > before + rate, "repair to be under way", 120)
        fetch = Fetch(node, link)
        lab.wait_until(lambda: fetch.done > rate // 2, "the first bytes", 60, 0.05)
        had, down, began = fetch.done, moved(node)[1], time.monotonic()
        time.sleep(WINDOW)
        had, down = fetch.done - had, moved(node)[1] - down
        measured = down / (time.monotonic() - began)
        fetch.end()
    return f"| a fetch beside repair, down {rate / 1000:.0f} kB/s | the fetch had " \
           f"{100 * had / down:.0f} % of {measured / 1000:.1f} kB/s |"


def from_peer(node, other):
    """Octets that a node has received from another."""
    return sum(peer["down_bytes"] for peer in node.ask("peers")["peers"] if peer["node"] == other.id)


def uplink_priority_row(rate):
    """A holder with a limited uplink is asked by a repair and by a fetch."""
    with lab.Lab("flow29-limits-") as the_lab:
        grace = ["--grace", "2s"]
        holder, other = the_lab.add_swarm(2, options=grace)
        publisher = the_lab.add_node(bootstrap=[holder], options=["--no-store", *grace])
        the_lab.wait_connected(publisher)
        lost = the_lab.file("lost", rate * 40, seed=1)
        wanted = the_lab.file("wanted", rate * 20, seed=2)
        publisher.ask("publish", lost, "--copies", 2)
        link = publisher.ask("publish", wanted, "--copies", 2)["link"]
        publisher.stop()
        reader = the_lab.add_node(bootstrap=[holder], options=["--no-store", *grace])
        the_lab.wait_connected(reader)
        holder.ask("limit", "--up", rate)
        new = the_lab.add_node(bootstrap=[holder], options=[*grace, "--repair-limit", "off"])
        the_lab.wait_connected(new)
        other.kill()
        lab.wait_until(lambda: from_peer(new, holder) > rate, "repair to be under way", 120)
        fetch = Fetch(reader, link)
        lab.wait_until(lambda: fetch.done > rate // 2, "the first bytes", 60, 0.05)
        had, up, began = from_peer(reader, holder), moved(holder)[0], time.monotonic()
        time.sleep(WINDOW)
        had, up = from_peer(reader, holder) - had, moved(holder)[0] - up
        measured = up / (time.monotonic() - began)
        fetch.end()
    return f"| a fetch beside repair, up {rate / 1000:.0f} kB/s | the fetch had " \
           f"{100 * had / up:.0f} % of {measured / 1000:.1f} kB/s |"


def rows(rates=(100_000, 2_000_000, 20_000_000)):
    """Lines of Markdown: two tables."""
    yield "| limit | measured over 10 s | off by |"
    yield "|---|---|---|"
    for rate in rates:
        for direction in (0, 1):
            yield rate_row(direction, rate)
    yield ""
    yield "| who shares | shares |"
    yield "|---|---|"
    yield shares_row(4_000_000)
    yield shares_row(0)
    yield priority_row(2_000_000)
    yield uplink_priority_row(2_000_000)


if __name__ == "__main__":
    lab.end_on_signals()
    for line in rows(tuple(map(int, sys.argv[1:])) or (100_000, 2_000_000, 20_000_000)):
        print(line, flush=True)
