# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the bandwidth limits hold, how fairly one holder serves many, and what a fetch gets beside
repair. What is counted is what the nodes count: the octets of connections and datagrams."""

import json
import threading
import time

import bench_measure
import lab

MIB = 1 << 20
WINDOW = 10  # seconds over which a rate is measured
FETCHERS = 8
RATES = (100_000, 2_000_000, 20_000_000)


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


def rate(direction, limit):
    """Bytes a second from one holder to one reader, whose downlink, or else the holder's uplink, is limited."""
    option = ["--up-limit", "--down-limit"][direction]
    with lab.Lab("flow29-limits-") as the_lab:
        limited = [option, str(limit)]
        holder = the_lab.add_node(options=[] if direction else limited)
        publisher = the_lab.add_node(bootstrap=[holder], options=["--no-store"])
        reader = the_lab.add_node(bootstrap=[holder],
                                  options=["--no-store", *(limited if direction else [])])
        for node in (publisher, reader):
            the_lab.wait_connected(node)
        path = the_lab.file("noise", int(limit * (WINDOW + 8)))
        link = publish_to(publisher, path)
        fetch = Fetch(reader, link)
        measured = over_window(reader if direction else holder, direction, [fetch])
        fetch.end()
    return measured


def shares(limit):
    """One holder, several readers at once: the least and the most of a fair share that any had when the
    first was done."""
    with lab.Lab("flow29-limits-") as the_lab:
        holder = the_lab.add_node(options=["--up-limit", str(limit)] if limit else [])
        publisher = the_lab.add_node(bootstrap=[holder], options=["--no-store"])
        the_lab.wait_connected(publisher)
        size = limit * 20 // FETCHERS if limit else 256 * MIB
        link = publish_to(publisher, the_lab.file("noise", size))
        publisher.stop()
        readers = [the_lab.add_node(bootstrap=[holder], options=["--no-store"])
                   for _ in range(FETCHERS)]
        for reader in readers:
            the_lab.wait_connected(reader)
        fetches = [Fetch(reader, link) for reader in readers]
        lab.wait_until(lambda: max(fetch.done for fetch in fetches) > size * 0.9,
                       "a fetch to be nearly done", 300, 0.02)
        had = [fetch.done for fetch in fetches]
        for fetch in fetches:
            fetch.end()
    fair = sum(had) / FETCHERS
    return min(had) / fair, max(had) / fair


def downlink_share(limit):
    """Of a limited downlink, what a fetch has beside the repair of the same node."""
    with lab.Lab("flow29-limits-") as the_lab:
        grace = ["--grace", "2s"]
        holders = the_lab.add_swarm(3, options=grace)
        publisher = the_lab.add_node(bootstrap=[holders[0]], options=["--no-store", *grace])
        the_lab.wait_connected(publisher)
        lost = the_lab.file("lost", limit * 30, seed=1)
        wanted = the_lab.file("wanted", limit * 20, seed=2)
        publisher.ask("publish", lost, "--copies", 3)
        link = publisher.ask("publish", wanted, "--copies", 2)["link"]
        publisher.stop()
        node = the_lab.add_node(bootstrap=[holders[0]],
                                options=[*grace, "--down-limit", str(limit), "--repair-limit", "off"])
        the_lab.wait_connected(node)
        holders[2].kill()
        before = moved(node)[1]
        lab.wait_until(lambda: moved(node)[1] > before + limit, "repair to be under way", 120)
        fetch = Fetch(node, link)
        lab.wait_until(lambda: fetch.done > limit // 2, "the first bytes", 60, 0.05)
        had, down = fetch.done, moved(node)[1]
        time.sleep(WINDOW)
        share = (fetch.done - had) / (moved(node)[1] - down)
        fetch.end()
    return share


def from_peer(node, other):
    """Octets that a node has received from another."""
    return sum(peer["down_bytes"] for peer in node.ask("peers")["peers"] if peer["node"] == other.id)


def uplink_share(limit):
    """Of a holder's limited uplink, what a fetch has beside a repair."""
    with lab.Lab("flow29-limits-") as the_lab:
        grace = ["--grace", "2s"]
        holder, other = the_lab.add_swarm(2, options=grace)
        publisher = the_lab.add_node(bootstrap=[holder], options=["--no-store", *grace])
        the_lab.wait_connected(publisher)
        lost = the_lab.file("lost", limit * 40, seed=1)
        wanted = the_lab.file("wanted", limit * 20, seed=2)
        publisher.ask("publish", lost, "--copies", 2)
        link = publisher.ask("publish", wanted, "--copies", 2)["link"]
        publisher.stop()
        reader = the_lab.add_node(bootstrap=[holder], options=["--no-store", *grace])
        the_lab.wait_connected(reader)
        holder.ask("limit", "--up", limit)
        new = the_lab.add_node(bootstrap=[holder], options=[*grace, "--repair-limit", "off"])
        the_lab.wait_connected(new)
        other.kill()
        lab.wait_until(lambda: from_peer(new, holder) > limit, "repair to be under way", 120)
        fetch = Fetch(reader, link)
        lab.wait_until(lambda: fetch.done > limit // 2, "the first bytes", 60, 0.05)
        had, up = from_peer(reader, holder), moved(holder)[0]
        time.sleep(WINDOW)
        share = (from_peer(reader, holder) - had) / (moved(holder)[0] - up)
        fetch.end()
    return share


def run(_):
    table = bench_measure.Table("bytes a second", "limit", "measured over 10 s")
    errors = []
    for limit in RATES:
        for direction, name in enumerate(("up", "down")):
            measured = rate(direction, limit)
            errors.append(100 * abs(measured / limit - 1))
            table.row(name, f"{limit / 1000:.0f} k", f"{measured / 1000:.1f} k")
    print()
    bounds = bench_measure.Bounds("Limits")
    bounds.at_most("limits, up and down: the most that one is off by", max(errors), 5, "%", 1)
    for limit in (4_000_000, 0):
        least, most = shares(limit)
        name = f"{FETCHERS} readers of one holder, " + ("limited" if limit else "no limit")
        bounds.told(f"{name}: least and most of a fair share", f"{least:.2f}, {most:.2f}")
    # Nine tenths are meant for whoever is waited for.
    bounds.at_most("repair beside a fetch, of a limited downlink",
                   100 * (1 - downlink_share(2_000_000)), 20, "%", 0)
    bounds.at_most("repair beside a fetch, of a limited uplink",
                   100 * (1 - uplink_share(2_000_000)), 20, "%", 0)
