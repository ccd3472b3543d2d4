#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chaos behind scripts/swarm: blows from a seed, fetches beside them, and what must hold."""

import argparse
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

import lab
import namespaces

COPIES = 4
HURT_MAX = COPIES - 1       # with one copy more than that, something of everything is always up
GRACE_SECONDS = 5
REPAIR_SECONDS = 120        # four copies again after a blow, grace included
FILE_BYTES = (1, 700, 60_000, 1 << 20, 5 << 20)
SIZE_MAX = 256 << 20        # resident, of any node
FETCH_SECONDS = 90
SILENCING = ("kill", "freeze", "unplug")  # after these a node says nothing any more


class Chaos:
    """One run. `failures` says what did not hold; empty is a pass."""

    def __init__(self, the_lab, nodes, files, seed, say=print):
        self.lab = the_lab
        self.random = random.Random(seed)
        self.say = say
        self.net = namespaces.Net() if namespaces.possible() else None
        self.can_slow = False
        self.count = nodes
        self.file_count = files
        self.members = {}       # node → member of the net
        self.hurt = set()       # nodes that cannot be relied on now
        self.struck = {}        # node → how often it was hurt
        self.files = {}         # link → path
        self.failures = []
        self.blows = {}
        self.repairs = []       # seconds until four copies after a blow
        self.noticed = {}       # kind of blow → seconds until another node missed the one struck
        self.fetches = 0
        self.fetched_bytes = 0
        self.peak = 0
        self.lock = threading.Lock()
        self.over = threading.Event()

    # Setting up.

    def start(self):
        options = ["--grace", f"{GRACE_SECONDS}s", "--audit", "1m", "--web", "off", "--gateway", "off"]
        if self.net:
            self.net.create()
        nodes = []
        for k in range(1, self.count + 1):
            if self.net:
                address, prefix = self.net.add_member(k), self.net.inside(k)
            else:
                address, prefix = f"127.0.{k}.1", ()
            node = self.lab.add_node(address, bootstrap=nodes[:2], options=options, prefix=prefix,
                                     port=2929 if self.net else 0)
            self.members[node] = k
            nodes.append(node)
        for node in nodes:
            self.lab.wait_connected(node)
        for number in range(self.file_count):
            size = FILE_BYTES[number % len(FILE_BYTES)] + number
            path = self.lab.file(f"file{number}", size, seed=number)
            link = self.random.choice(nodes).ask("publish", path)["link"]
            self.files[link] = path
        self.can_slow = self.net is not None and self.net.can_slow(1)
        self.say(f"{self.count} nodes, {self.file_count} files, "
                 f"{'namespaces' if self.net else 'loopback'}")

    def close(self):
        for node in self.members:
            if node.process is not None and node.running:
                node.process.send_signal(signal.SIGCONT)
                node.kill()
        if self.net:
            self.net.remove()

    def well(self):
        with self.lock:
            return [node for node in self.members if node not in self.hurt]

    def pick(self, picks):
        """A node that is well, and how often it was hurt before."""
        with self.lock:
            node = picks.choice([node for node in self.members if node not in self.hurt])
            return node, self.struck.get(node, 0)

    def fail(self, text):
        self.failures.append(text)
        self.say(f"FAILED  {text}")

    @staticmethod
    def bring_back(node):
        """A fetch that was begun as the node was struck has brought a node of its own along, in the
        same directory, for as long as it takes."""
        until = time.monotonic() + FETCH_SECONDS
        while True:
            try:
                return node.start()
            except lab.LabError as error:
                if '"locked"' not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(0.5)

    # Blows. Each hurts some nodes for a while and then undoes what it did.

    def kill(self, nodes, seconds):
        for node in nodes:
            node.kill()
        self.over.wait(seconds)
        for node in nodes:
            self.bring_back(node)

    def wipe(self, nodes, _seconds):
        for node in nodes:
            node.kill()
            shutil.rmtree(node.data, ignore_errors=True)
            self.bring_back(node)

    def restart(self, nodes, _seconds):
        for node in nodes:
            node.stop()
            self.bring_back(node)

    def freeze(self, nodes, seconds):
        for node in nodes:
            node.process.send_signal(signal.SIGSTOP)
        self.over.wait(seconds)
        for node in nodes:
            node.process.send_signal(signal.SIGCONT)

    def unplug(self, nodes, seconds):
        for node in nodes:
            self.net.unplug(self.members[node])
        self.over.wait(seconds)
        for node in nodes:
            self.net.plug(self.members[node])

    def partition(self, nodes, seconds):
        for node in nodes:
            self.net.set_side(self.members[node], True)
        self.over.wait(seconds)
        for node in nodes:
            self.net.set_side(self.members[node], False)

    def slow(self, nodes, seconds):
        for node in nodes:
            self.net.slow(self.members[node], True)
        self.over.wait(seconds)
        for node in nodes:
            self.net.slow(self.members[node], False)

    def blow_kinds(self):
        kinds = ["kill", "kill", "wipe", "restart", "freeze"]
        if self.net:
            kinds += ["unplug", "partition"]
            if self.can_slow:
                kinds.append("slow")
        return kinds

    def strike(self):
        kind = self.random.choice(self.blow_kinds())
        nodes = self.random.sample(self.well(), self.random.randint(1, HURT_MAX))
        seconds = self.random.uniform(1, 4 * GRACE_SECONDS)
        with self.lock:
            self.hurt.update(nodes)
            for node in nodes:
                self.struck[node] = self.struck.get(node, 0) + 1
        self.say(f"{kind} {', '.join(node.name for node in nodes)} for {seconds:.0f} s")
        self.blows[kind] = self.blows.get(kind, 0) + 1
        struck_over = threading.Event()
        observer = threading.Thread(target=self.observe, args=(kind, nodes[0], struck_over))
        if kind in SILENCING:
            observer.start()
        try:
            getattr(self, kind)(nodes, seconds)
        except (lab.LabError, subprocess.CalledProcessError) as error:
            self.fail(f"{kind}: {error}")
            return
        finally:
            struck_over.set()
            if kind in SILENCING:
                observer.join()
        began = time.monotonic()
        self.await_copies(kind, began)
        with self.lock:
            self.hurt.difference_update(nodes)

    def observe(self, kind, struck, struck_over):
        """How long a node that was not struck still counts the struck one among its peers; nothing
        is noted when the blow was over before."""
        def lists_it(node):
            peers = node.run("peers").result.get("peers", [])
            return any(peer["node"] == struck.id for peer in peers)

        began = time.monotonic()
        witness = next((node for node in self.well() if lists_it(node)), None)
        while witness is not None and not struck_over.wait(0.2):
            if not lists_it(witness):
                self.noticed.setdefault(kind, []).append(time.monotonic() - began)
                return

    def await_copies(self, kind, began):
        """Waits until every file has its copies again, as a node that was not hurt sees it."""
        left = dict(self.files)
        worst = None
        while left and not self.over.is_set():
            for link in list(left):
                outcome = self.random.choice(self.well()).run("health", link, seconds=FETCH_SECONDS)
                copies = outcome.result["copies"]["min"] if outcome.exit == 0 else 0
                if copies >= COPIES:
                    del left[link]
                else:
                    worst = f"{copies} copies of {self.files[link].name}"
                    break
            if left and time.monotonic() - began > REPAIR_SECONDS:
                self.fail(f"after {kind}: still {worst} after {REPAIR_SECONDS} s")
                return
            if left:
                self.over.wait(0.3)
        if not left:
            self.repairs.append(time.monotonic() - began)

    # Beside that.

    def probe(self, picks):
        """Fetches at random until it is over."""
        number = 0
        while not self.over.is_set():
            link, path = picks.choice(list(self.files.items()))
            node, struck = self.pick(picks)
            number += 1
            target = self.lab.path / f"fetched-{threading.get_ident()}-{number}"
            outcome = node.run("fetch", link, "-o", target, "--no-share", "--timeout", "30s",
                               seconds=FETCH_SECONDS)
            if self.over.is_set():
                return
            if outcome.exit != 0:
                if self.struck.get(node, 0) != struck:
                    continue  # it was struck while it fetched
                self.fail(f"fetch of {path.name} by {node.name}: {outcome.report()}")
            elif not lab.same_bytes(path, target):
                self.fail(f"fetch of {path.name} by {node.name} gave other bytes")
            else:
                self.fetches += 1
                self.fetched_bytes += path.stat().st_size
            target.unlink(missing_ok=True)
            self.over.wait(0.2)

    def watch(self):
        """Looks at every process until it is over."""
        while not self.over.wait(1):
            for node in self.well():
                if not node.running:
                    if node not in self.hurt:
                        self.fail(f"{node.name} ended by itself (exit {node.process.returncode}):\n"
                                  f"{lab.tail(node.err_path)}")
                        self.over.set()
                    continue
                try:
                    size = node.proc_status("VmRSS")
                except OSError:
                    continue
                self.peak = max(self.peak, size)
                if size > SIZE_MAX:
                    self.fail(f"{node.name} takes {size >> 20} MiB")
                    self.over.set()

    def run(self, seconds):
        ends = time.monotonic() + seconds
        seeds = [self.random.random() for _ in range(2)]
        threads = [threading.Thread(target=self.probe, args=(random.Random(seed),)) for seed in seeds]
        threads.append(threading.Thread(target=self.watch))
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() < ends and not self.failures and not self.over.is_set():
                self.strike()
                self.over.wait(self.random.uniform(0, 3))
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def summary(self):
        if self.net and not self.can_slow:
            self.say("nobody was slowed: no tc with tbf here")
        blows = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.blows.items()))
        lines = [f"blows    {blows}",
                 f"fetches  {self.fetches}, {self.fetched_bytes >> 20} MiB, all right",
                 f"memory   {self.peak >> 20} MiB at most in a node"]
        for kind, seconds in sorted(self.noticed.items()):
            lines.append(f"{kind} noticed after  median {statistics.median(seconds):.1f} s, "
                         f"longest {max(seconds):.1f} s, of {len(seconds)}")
        if self.repairs:
            lines.append(f"four copies again after  median {statistics.median(self.repairs):.1f} s, "
                         f"longest {max(self.repairs):.1f} s from the blow's end")
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="scripts/swarm chaos")
    parser.add_argument("--nodes", type=int, default=24)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=29)
    options = parser.parse_args()
    lab.end_on_signals()
    began = time.monotonic()

    def say(text):
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    with lab.Lab("flow29-chaos-") as the_lab:
        chaos = Chaos(the_lab, options.nodes, options.files, options.seed, say)
        try:
            chaos.start()
            chaos.run(60 * options.minutes)
            print(chaos.summary())
            if chaos.failures:
                print(the_lab.logs(), file=sys.stderr)
        finally:
            chaos.close()
    if chaos.failures:
        print(f"==> {len(chaos.failures)} things did not hold; seed {options.seed}")
        return 1
    print(f"==> all of it held; seed {options.seed}")
    return 0


if __name__ == "__main__":
    lab.exit_with(main, "chaos")
