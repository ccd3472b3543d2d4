# SPDX-License-Identifier: GPL-3.0-or-later
"""Several holders: whether they are faster than one, and what one that fails costs the reader.

Twice, where there may be network namespaces: as fast as the machine goes, and over a line of the
reader's that is slower than the machine, as lines are, so that what is measured is the planner and
not the scheduler. Rates are held by tc's token bucket, or without it by the holders themselves.
"""

import os
import signal
import statistics

import bench_measure
import bench_swarm
import bench_torrent
import lab
import namespaces

HOLDERS = 4
LINE = 100_000_000  # bytes a second, of the reader
CRAWL = 5_000_000
UNEQUAL = (10_000_000, 20_000_000, 40_000_000, 80_000_000)
EVENT_AT = 0.3


class Stage:
    """Holders and the means to slow them."""

    def __init__(self, path, count, net):
        self.net = net
        self.swarm = bench_swarm.Swarm(path, count, net=net)
        self.readers = 0

    def reader(self, line=None):
        self.readers += 1
        node = self.swarm.add_reader(f"reader{self.readers}")
        if line:
            self.net.limit_received(self.swarm.member(node), line)
        return node

    def slow(self, holder, rate):
        if self.net:
            self.net.limit_sent(self.swarm.member(holder), rate)
        else:
            self.swarm.restart(holder, "--up-limit", "off" if rate is None else str(rate))

    def healthy(self, line):
        return self.swarm.timed_fetch(self.reader(line))

    def killed(self, line):
        """One holder is killed when 30 % is there; another one crawls all the time."""
        victim, slow = self.swarm.holders[1:3]
        self.slow(slow, CRAWL)
        try:
            return self.swarm.timed_fetch(self.reader(line), EVENT_AT, victim.kill)
        finally:
            self.slow(slow, None)
            victim.start()
            lab.Lab.wait_connected(victim)

    def frozen(self, line):
        """One holder is stopped when 30 % is there, its connections open for ever."""
        victim = self.swarm.holders[1]
        try:
            return self.swarm.timed_fetch(self.reader(line), EVENT_AT,
                                          lambda: os.kill(victim.pid, signal.SIGSTOP))
        finally:
            os.kill(victim.pid, signal.SIGCONT)

    def unequal(self):
        for holder, rate in zip(self.swarm.holders, UNEQUAL):
            self.slow(holder, rate)
        try:
            return self.swarm.timed_fetch(self.reader())
        finally:
            for holder in self.swarm.holders:
                self.slow(holder, None)


class Nets:
    """A new net for each stage, where there may be one."""

    def __init__(self, wanted):
        self.wanted = wanted

    def __enter__(self):
        self.net = namespaces.Net() if self.wanted else None
        if self.net:
            self.net.create()
        return self.net

    def __exit__(self, *_):
        if self.net:
            self.net.remove()


def _measure(path, count, scenarios, runs, has_net):
    """Medians by scenario, None where it did not end well. Runs in turns, in one swarm."""
    walls = {name: [] for name in scenarios}
    with Nets(has_net) as net:
        stage = Stage(path, count, net)
        with stage.swarm:
            for number in range(runs):
                for name, scenario in scenarios.items():
                    bench_measure.say(f"{count} holders, {name}, run {number + 1} of {runs}")
                    try:
                        walls[name].append(scenario(stage))
                    except lab.LabError as failure:
                        bench_measure.say(str(failure))
    return {name: statistics.median(seconds) if len(seconds) == runs else None
            for name, seconds in walls.items()}


def _can_slow():
    if not namespaces.possible():
        return False
    with Nets(True) as net:
        net.add_member(1)
        return net.can_slow(1)


def _ratio(part, whole):
    return part / whole if part and whole else None


def run(bench):
    path = bench.source(bench.size_mib)
    has_net = _can_slow()
    with lab.Lab("flow29-bench-") as probe:
        may_slow = has_net or bench_swarm.can_limit(probe)
    one = _measure(path, 1, {"well": lambda stage: stage.healthy(None)}, bench.runs, has_net)
    scenarios = {"well": lambda stage: stage.healthy(None),
                 "one freezes": lambda stage: stage.frozen(None)}
    if may_slow:
        scenarios["one killed, one slow"] = lambda stage: stage.killed(None)
        scenarios["unequal"] = Stage.unequal
    if has_net:
        scenarios["well, over a line"] = lambda stage: stage.healthy(LINE)
        scenarios["one freezes, over a line"] = lambda stage: stage.frozen(LINE)
        scenarios["one killed, one slow, over a line"] = lambda stage: stage.killed(LINE)
    four = _measure(path, HOLDERS, scenarios, bench.runs, has_net)

    where = "in network namespaces" if has_net else "on loopback"
    table = bench_measure.Table(f"{bench.size_mib} MiB to one reader, {where}", "wall s")
    for name, wall in [("one holder", one["well"]),
                       *((f"{HOLDERS} holders, {name}", wall) for name, wall in four.items())]:
        table.row(name, "–" if wall is None else f"{wall:.2f}")
    print()
    bounds = bench_measure.Bounds(f"{HOLDERS} holders")
    bounds.at_most("time beside one holder's, 5 % for noise", _ratio(four["well"], one["well"]),
                   1.05, "×")
    _event_bounds(bounds, four, "", "as fast as the machine goes")
    _event_bounds(bounds, four, ", over a line", f"a reader with {LINE / 1e6:.0f} MB/s")
    best = path.stat().st_size / sum(UNEQUAL)
    rates = "/".join(f"{rate / 1e6:.0f}" for rate in UNEQUAL)
    bounds.at_most(f"holders of {rates} MB/s: time beside bytes / sum of rates",
                   _ratio(four.get("unequal"), best), 1.15, "×")
    if not may_slow:
        bounds.told("with slow holders", "not measured: needs root and tc, or --up-limit")
    if not has_net:
        bounds.told("with a reader's slow line", "not measured: needs root and tc")
    print()
    _others(bench, path)


def _event_bounds(bounds, walls, suffix, where):
    well = walls.get("well" + suffix)
    bounds.at_most(f"one killed at 30 %, one at {CRAWL / 1e6:.0f} MB/s, beside all well, {where}",
                   _ratio(walls.get("one killed, one slow" + suffix), well), 1.25, "×")
    bounds.at_most(f"one frozen at 30 %, beside all well, {where}",
                   _ratio(walls.get("one freezes" + suffix), well), 1.25, "×")


def _others(bench, path):
    table = bench_measure.Table("four seeders, one stopped at 30 %", "all well, wall s",
                                "one frozen, wall s", "×")
    name = "libtorrent, BitTorrent v2, on loopback (one run)"
    why = bench_torrent.missing()
    if why:
        table.row(f"{name} (not measured: {why})", "–", "–", "–")
        return
    bench_measure.say(f"{name}")
    well, frozen = bench_torrent.frozen_seeder(path, bench.folder)
    late = f"more than {bench_torrent.GIVE_UP_SECONDS}" if frozen is None else f"{frozen:.2f}"
    table.row(name, f"{well:.2f}", late, "–" if frozen is None else f"{frozen / well:.2f}")
