#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the results in Meson's testlog.json files and prints one line: "N passed, N failed".

Fails when something failed, when nothing ran, or when a log is missing. `--also PASSED FAILED` adds
what ran elsewhere.
"""

import argparse
import collections
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}


def count(paths):
    counts = collections.Counter()
    for path in paths:
        try:
            with open(path, encoding="utf-8") as log:
                results = [json.loads(line)["result"] for line in log if line.strip()]
        except OSError as error:
            print(f"no test results: {error}", file=sys.stderr)
            counts["failed"] += 1
            continue
        for result in results:
            if result in PASSED:
                counts["passed"] += 1
            elif result in SKIPPED:
                counts["skipped"] += 1
            else:
                counts["failed"] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="+")
    parser.add_argument("--also", nargs=2, type=int, default=(0, 0))
    options = parser.parse_args()
    counts = count(options.logs)
    counts["passed"] += options.also[0]
    counts["failed"] += options.also[1]
    line = f"{counts['passed']} passed, {counts['failed']} failed"
    if counts["skipped"]:
        line += f", {counts['skipped']} skipped"
    print(line)
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
