# SPDX-License-Identifier: GPL-3.0-or-later
"""Single steps of what computes and decides, by google-benchmark, and how they grow with size."""

import json
import math
import subprocess

import bench_measure
import lab

EXPONENT_MAX = 1.5  # n log n with caches that no longer hold it is below that, n² is 2


def _results(program):
    output = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.2"],
                            check=True, capture_output=True, stdin=subprocess.DEVNULL,
                            preexec_fn=lab.die_with_parent).stdout
    return json.loads(output)["benchmarks"]


def _families(results):
    """{(step, what n counts): [(n, CPU seconds of one call, result)…]}, sizes rising."""
    families = {}
    for result in results:
        name = result["name"].partition("/iterations:")[0]
        step, _, size = name.rpartition("/")
        family, _, what = step.rpartition("/")
        if not family:
            family, what, size = name, "", 0
        unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[result["time_unit"]]
        families.setdefault((family, what), []).append(
            (int(size), result["cpu_time"] * unit, result))
    return {key: sorted(rows, key=lambda row: row[0]) for key, rows in families.items()}


def _per_second(result):
    rate = f"{result['items_per_second']:,.0f}"
    if "bytes_per_second" in result:
        rate += f" ({result['bytes_per_second'] / 1e6:,.0f} MB/s)"
    return rate


def _rows(table, name, what, rows):
    least, most = rows[0], rows[-1]
    if len(rows) == 1:
        table.row(name, "–", _per_second(least[2]), "–", "–", "–", "–", "–")
        return
    exponent = math.log(most[1] / least[1]) / math.log(most[0] / least[0])
    table.row(name, f"{least[0]:,} {what}", _per_second(least[2]), f"{most[0]:,} {what}",
              _per_second(most[2]),
              *bench_measure.Bounds.judge(f"{name}, by {what}", f"n^{exponent:.2f}",
                                          f"≤ n^{EXPONENT_MAX:g}", exponent <= EXPONENT_MAX))


def _announcing(results):
    """How the announce scheduler keeps its period on the node with the most records."""
    node = max(results, key=lambda result: result["records"])
    bounds = bench_measure.Bounds(
        f"{node['records']:,.0f} records renewed for two days, in a simulated DHT")
    bounds.at_most("puts of an hour, from the second on, beside the forecast: off by at most",
                   100 * node["hour_off"], 20, "%", 1)
    bounds.at_most("longest between two puts of a record, of the period with its jitter",
                   node["longest_hours"] / (1.2 * node["period_hours"]), 1.01, "×", 3)
    bounds.told("says that it is behind", "yes" if node["behind"] else "no")


def run(bench):
    program = bench.binary.parent / "tests" / "bench" / "micro_bench"
    if not program.exists():
        raise lab.LabError("it is built where google-benchmark is (libbenchmark-dev)")
    results = _results(program)
    table = bench_measure.Table("step", "n", "items a second", "n", "items a second",
                                "time for n grows as", "bound", "holds")
    for (name, what), rows in _families(results).items():
        _rows(table, name, what, rows)
    print()
    _announcing([result for result in results if "hour_off" in result])
