// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "sim/scale/scale_swarm.hpp"

namespace flow29::sim::scale {

/// One number of a report: its name in JSON, in words, and its value.
struct Figure {
    std::string key;
    std::string text;
    double value = 0;
};

/// What a window of a run comes to.
///
/// The DHT's packets are a model, not a simulation: a put cost 45 packets and a lookup 44 where
/// they were measured, on some 64 nodes, and both are taken to grow with log2 of the number of
/// nodes. A node looks itself up once a minute, and a few times more when it starts.
[[nodiscard]] std::vector<Figure> figures(const Totals& totals, const ScaleSwarm& swarm);

/// Of the whole run: what a window cannot say.
[[nodiscard]] std::vector<Figure> run_figures(const ScaleSwarm& swarm);

/// `key: value` lines, or one JSON object, of a run that has ended.
[[nodiscard]] std::string report_text(const ScaleSwarm& swarm);
[[nodiscard]] std::string report_json(const ScaleSwarm& swarm, double wall_seconds);

}  // namespace flow29::sim::scale
