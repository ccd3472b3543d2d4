# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements behind scripts/bench: which, in what order, and what they make of it."""

import argparse
import importlib
import os
import pathlib
import platform
import shutil
import sys
import tempfile

import bench_measure
import lab

# Name, module, what it is about.
SECTIONS = {
    "one": ("bench_one", "One holder to one reader"),
    "holders": ("bench_holders", "Several holders"),
    "publish": ("bench_publish", "Hashing and publishing"),
    "first-byte": ("bench_first_byte", "The first byte"),
    "ranges": ("bench_ranges", "Ranges and single chunks"),
    "resume": ("bench_resume", "Crashes"),
    "small-files": ("bench_small_files", "Ten thousand small files"),
    "duplicates": ("bench_duplicates", "Nothing twice, nothing too early"),
    "limits": ("bench_limits", "Bandwidth limits"),
    "dht": ("bench_dht", "The DHT"),
    "micro": ("bench_micro", "Single steps, and how they grow"),
}
ROOM_FACTOR = 8  # a source, four holders and what readers write


class Bench:
    """What a section is given."""

    def __init__(self, folder, options):
        self.folder = folder
        self.runs = options.runs
        self.size_mib = options.size
        self.large = options.large
        self.binary = lab.find_binary()

    @property
    def gib(self):
        """The usual size in GiB, to bring costs to that of one."""
        return self.size_mib / 1024

    def source(self, mebibytes):
        """A file of so much noise, made once."""
        path = self.folder / f"noise-{mebibytes}"
        if not path.exists():
            bench_measure.say(f"writing {mebibytes} MiB of noise")
            lab.write_noise(path, mebibytes * bench_measure.MIB)
        return path


def machine():
    model = next((line.partition(":")[2].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, load " \
           f"{os.getloadavg()[0]:.1f} at the start"


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB",
                        help="of the file that is moved (1024)")
    parser.add_argument("--only", default="", metavar="SECTION,…",
                        help="some of: " + ", ".join(SECTIONS))
    parser.add_argument("--large", action="store_true",
                        help="also 8 GiB to one reader, and a MiB out of 10 GiB")
    options = parser.parse_args()
    options.only = list(filter(None, options.only.split(","))) or list(SECTIONS)
    unknown = [name for name in options.only if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    if options.runs < 1 or options.size < 16:
        parser.error("at least one run, of at least 16 MiB")
    return options


def run(name, bench):
    """False when the section did not come to its end."""
    module, title = SECTIONS[name]
    print(f"\n### {title}\n", flush=True)
    bench_measure.say(f"==> {name}")
    try:
        importlib.import_module(module).run(bench)
    except (lab.LabError, OSError) as failure:
        print(f"\n{name}: not measured: {failure}", flush=True)
        return False
    return True


def main():
    options = parse()
    lab.end_on_signals()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="flow29-bench-") as folder:
        folder = pathlib.Path(folder)
        room = 34 << 10 if options.large else ROOM_FACTOR * options.size
        if shutil.disk_usage(folder).free < room * bench_measure.MIB:
            sys.exit(f"bench: {folder} has less than {room} MiB of room; set TMPDIR to a larger "
                     "place")
        print(f"{options.size} MiB of noise on loopback, medians of {options.runs} runs\n{about}",
              flush=True)
        if options.size != 1024:
            print("The bounds are those of 1024 MiB: what is done once weighs otherwise here.")
        lab.Lab.parents_are_removed = True
        bench = Bench(folder, options)
        failed = [name for name in options.only if not run(name, bench)]
    kept, broken = bench_measure.Bounds.kept, bench_measure.Bounds.broken
    if kept or broken:
        print(f"\n{kept} of {kept + len(broken)} bounds hold here.")
    for line in broken:
        print(f"- does not hold: {line}")
    for name in failed:
        print(f"- not measured: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    lab.exit_with(main, "bench")
