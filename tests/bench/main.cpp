// SPDX-License-Identifier: GPL-3.0-or-later
// Single steps of what computes and decides. Each is run at sizes that grow fourfold and counts the
// items it dealt with, so that whoever looks at the time of one item sees how a step grows:
// `scripts/bench --only micro` does.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
