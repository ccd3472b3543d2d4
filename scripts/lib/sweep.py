# SPDX-License-Identifier: GPL-3.0-or-later
"""The sweeps behind scripts/sim --sweep: many runs of the simulation, and Markdown tables of them."""

import argparse
import concurrent.futures
import json
import math
import pathlib
import subprocess
import sys

DAY = 86_400
# Two-sided 95 % quantiles of Student's t by degrees of freedom; beyond these the normal's serves.
STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
# Garwood's exact 95 % interval of a Poisson mean by the count seen; larger counts by the normal.
GARWOOD = {0: (0, 3.69), 1: (0.03, 5.57), 2: (0.24, 7.22), 3: (0.62, 8.77), 4: (1.09, 10.24),
           5: (1.62, 11.67), 6: (2.20, 13.06), 7: (2.81, 14.42), 8: (3.45, 15.76),
           9: (4.12, 17.08), 10: (4.80, 18.39)}


def acting(minutes, *more):
    """Arguments with which the swarm acts `minutes` after a node went down."""
    return ["--detection-seconds", "10", "--grace-seconds", str(minutes * 60 - 10), *more]


SERVERS = ["--median-hours", "24", "--availability", "0.8"]
# Rows whose figures an earlier, simpler simulation gave: unavailable, time under four in per cent,
# copies per extent and day.
REFERENCE = [
    ("base", acting(30), (3.8e-6, 3.4, 1.21)),
    ("6 copies", acting(30, "--copies", "6"), (1.1e-6, 1.8, 1.73)),
    ("8 copies", acting(30, "--copies", "8"), (5.5e-7, 1.3, 2.17)),
    ("acts after 6 min", acting(6), (1.7e-6, 1.3, 1.32)),
    ("acts after 2 h", acting(120), (8.4e-5, 9, 0.98)),
    ("acts after 6 h", acting(360), (4.2e-4, 10, 0.38)),
    ("30 % drop weekly", acting(30, "--drop", "0.3"), (2.0e-5, 4.4, 1.57)),
    ("60 % drop weekly", acting(30, "--drop", "0.6"), (4.6e-5, 5.2, 1.86)),
    ("servers: 24 h, 0.8", acting(30, *SERVERS), (2.9e-8, 0.16, 0.03)),
    ("... a year of them, disks that last", acting(30, *SERVERS, "--life-days", "0", "--nodes",
                                                   "100", "--days", "360"), (2.9e-8, 0.16, 0.03)),
    ("base without spare copies", acting(30, "--spare", "0"), (3.8e-6, 3.4, 1.21)),
]

BEFORE = {label: figures for label, _, figures in REFERENCE}

SWEEPS = {
    "spare, at the product's own detection": [
        (f"{n} spare", ["--spare", str(n)]) for n in (0, 1, 2, 4)],
    "spare, acting after 30 min": [
        (f"{n} spare", acting(30, "--spare", str(n))) for n in (0, 1, 2, 4)],
    "grace": [
        (f"{n} min", ["--grace-seconds", str(n * 60)]) for n in (1, 5, 15, 60)],
    "detection, with a grace of 5 min": [
        (f"{n} s", ["--detection-seconds", str(n)]) for n in (10, 60, 300)],
    "copies": [
        (f"{n} copies", ["--copies", str(n)]) for n in (3, 4, 5)],
    "youth": [
        (name, ["--youth-minutes", str(n)])
        for name, n in (("none", 0), ("10 min", 10), ("6 h", 360))],
    "settle: the time a node that starts leaves things alone": [
        (name, ["--settle-seconds", str(n)]) for name, n in (("20 s", 20), ("5 min", 300))],
    "the shape of the sessions": [
        (f"shape {n}", ["--shape", str(n)]) for n in (0.34, 0.6, 1.0)],
}

SCALE = [(str(n), ["--nodes", str(n), "--days", "2"]) for n in (100, 1000, 10000)]


class Runs:
    """Runs of the program, each once: what was run before is read from a file."""

    def __init__(self, program, cache, common):
        self.program = program
        self.common = common
        self.cache = pathlib.Path(cache)
        self.known = {}
        if self.cache.exists():
            for line in self.cache.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self.known[tuple(entry["arguments"])] = entry["result"]

    def key(self, arguments, seed):
        # The last of an option's values is what the program is given.
        return tuple([*self.common, *arguments, "--seed", str(seed)])

    def run(self, key):
        if key in self.known:
            return
        values = {}
        for name, value in zip(key[::2], key[1::2]):
            values[name] = value
        command = [self.program, "--json", *[part for pair in values.items() for part in pair]]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        self.known[key] = json.loads(output)
        with self.cache.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"arguments": key, "result": self.known[key]}) + "\n")
        print(f"{len(self.known)}: {' '.join(command[2:])}", file=sys.stderr, flush=True)

    def get(self, arguments, seeds):
        """Of those seeds that were run."""
        keys = [self.key(arguments, seed) for seed in seeds]
        return [self.known[key] for key in keys if key in self.known]


def interval(values):
    """Mean and half the width of its 95 % interval."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, math.inf
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, STUDENT.get(len(values) - 1, 1.96) * math.sqrt(variance / len(values))


def plain(values, scale=1.0, digits=2):
    mean, half = interval([value * scale for value in values])
    return f"{mean:.{digits}f}" if half == math.inf else f"{mean:.{digits}f} ± {half:.{digits}f}"


def unavailable(results, window):
    """The fraction of extent-time without a live copy. Outages are rare, so their number is taken
    to be Poisson distributed; one that did not happen is taken to last half an hour."""
    parts = [result[window] for result in results]
    seconds = sum(part["extent_days"] for part in parts) * DAY
    count = round(sum(part["outages"] for part in parts))
    none = sum(part["unavailable"] * part["extent_days"] for part in parts) * DAY
    if count == 0:
        return f"0 (< {GARWOOD[0][1] * 1_800 / seconds:.0e})"
    low, high = GARWOOD.get(count, (count - 1.96 * math.sqrt(count),
                                    count + 1.96 * math.sqrt(count)))
    mean = none / count
    return f"{none / seconds:.1e} ({low * mean / seconds:.0e} to {high * mean / seconds:.0e})"


def cells(results, *columns):
    """Each column: which window, which figure, times what, how many digits."""
    return [unavailable(results, window) if key == "unavailable" else
            plain([result[window][key] if window else result[key] for result in results],
                  scale, digits)
            for window, key, scale, digits in columns]


SWEEP_COLUMNS = [
    ("whole", "unavailable", 1, 0), ("whole", "under", 100, 3), ("whole", "under_p99_min", 1, 1),
    ("whole", "copies_per_day", 1, 2), ("settled", "copies_per_day", 1, 2),
    ("whole", "made_per_oracle", 1, 1), (None, "stored", 1, 1)]
SWEEP_HEAD = ["", "runs", "unavailable (95 %)", "time under 4, %", "p99 back to 4, min",
              "copies / extent / day", "... last 2/3", "bytes per oracle byte",
              "stored at the end"]
REFERENCE_COLUMNS = [
    (window, key, scale, digits) for window in ("whole", "settled")
    for key, scale, digits in (("unavailable", 1, 0), ("under", 100, 2), ("copies_per_day", 1, 2))]
REFERENCE_HEAD = ["", "runs", "before", "unavailable (95 %)", "under 4, %", "copies / day",
                  "last 2/3: unavailable (95 %)", "under 4, %", "copies / day"]


def table(head, rows):
    lines = ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def scale_rows(runs):
    rows = []
    first = None
    for label, arguments in SCALE:
        results = runs.get(arguments, [1])
        if not results:
            continue
        whole = results[0]["whole"]
        cost = (whole["dht_packets"], whole["heartbeats"], math.log(float(label)))
        first = first or cost
        rows.append([label, f"{whole['puts_per_day']:.0f}", f"{whole['announce_packets']:.0f}",
                     f"{cost[0]:.0f}", f"{whole['links']:.1f}", f"{cost[1]:.0f}",
                     *[f"{now / then:.2f}" for now, then in zip(cost, first)]])
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--nodes", default="200")
    parser.add_argument("--days", default="30")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", help="the tables whose titles have this in them")
    parser.add_argument("--known", action="store_true", help="runs nothing; prints what was run")
    chosen = parser.parse_args()
    runs = Runs(chosen.program, chosen.cache, ["--nodes", chosen.nodes, "--days", chosen.days])
    seeds = range(1, chosen.seeds + 1)

    def wanted(title):
        return chosen.only is None or chosen.only in title
    titles = {"reference": [(label, arguments) for label, arguments, _ in REFERENCE], **SWEEPS}
    titles = {title: entries for title, entries in titles.items() if wanted(title)}
    keys = [runs.key(arguments, seed) for seed in seeds
            for entries in titles.values() for _, arguments in entries]
    if wanted("scale"):
        keys += [runs.key(arguments, 1) for _, arguments in SCALE]
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        for done in [pool.submit(runs.run, key) for key in dict.fromkeys(keys) if not chosen.known]:
            done.result()

    for title, entries in titles.items():
        is_reference = title == "reference"
        columns = REFERENCE_COLUMNS if is_reference else SWEEP_COLUMNS
        rows = []
        for label, arguments in entries:
            results = runs.get(arguments, seeds)
            if not results:
                continue
            rows.append([label, str(len(results)), *cells(results, *columns)])
            if is_reference:
                no_copy, under, copies = BEFORE[label]
                rows[-1].insert(2, f"{no_copy:.1e}, {under} %, {copies}")
        head = REFERENCE_HEAD if is_reference else SWEEP_HEAD
        print(f"**{title}**\n\n{table(head, rows)}")
    if wanted("scale"):
        head = ["nodes", "puts / day", "announce packets", "all DHT packets", "connections",
                "heartbeat messages", "DHT ×", "heartbeats ×", "log N ×"]
        print(f"**scale** (per node that is up and day)\n\n{table(head, scale_rows(runs))}")


if __name__ == "__main__":
    main()
