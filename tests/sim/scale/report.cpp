// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <flow29/limits.hpp>

namespace flow29::sim::scale {
namespace {

constexpr double day_seconds = 86'400;
constexpr double put_packets = 45;     // measured on `measured_nodes`
constexpr double lookup_packets = 44;  // likewise
constexpr double measured_nodes = 64;
constexpr double lookup_period_seconds = 60;
constexpr double lookups_at_start = 8;
constexpr double bytes_per_packet = 250;

double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

double percentile(std::vector<float> values, double fraction) {
    if (values.empty()) return 0;
    const auto rank = static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1));
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank);
    std::ranges::nth_element(values, at);
    return static_cast<double>(*at);
}

}  // namespace

std::vector<Figure> figures(const Totals& totals, const ScaleSwarm& swarm) {
    const auto& options = swarm.options();
    const double extent_days = totals.extent_seconds / day_seconds;
    const double up_days = totals.up_seconds / day_seconds;
    const double longer = std::log2(static_cast<double>(options.nodes)) / std::log2(measured_nodes);
    const double lookups = static_cast<double>(totals.lookups) +
                           static_cast<double>(totals.joins) * lookups_at_start +
                           totals.up_seconds / lookup_period_seconds;
    const double announce_packets = static_cast<double>(totals.puts) * put_packets * longer;
    const double dht_packets = announce_packets + lookups * lookup_packets * longer;
    const auto ping_seconds = std::chrono::duration<double>(limits::ping_interval).count();
    // Each end sends a ping of its own and answers the other's.
    const double heartbeats = 2 * totals.link_seconds / ping_seconds;
    const auto made = static_cast<double>(totals.copies_made);
    const auto& lengths = totals.under_lengths;
    const auto under_name = fmt::format("under {} live copies", options.floor);
    return {
        {"extent_days", "extent-days simulated", extent_days},
        {"unavailable", "fraction of extent-time with no live copy",
         ratio(totals.none_seconds, totals.extent_seconds)},
        {"outages", "times an extent lost its last live copy", static_cast<double>(totals.outages)},
        {"under", "fraction of extent-time " + under_name,
         ratio(totals.under_seconds, totals.extent_seconds)},
        {"under_p50_min", "minutes " + under_name + ", median of the times it was so",
         percentile(lengths, 0.5) / 60},
        {"under_p99_min", "... 99th percentile", percentile(lengths, 0.99) / 60},
        {"under_max_min", "... longest", percentile(lengths, 1) / 60},
        {"under_times", "... how often", static_cast<double>(lengths.size())},
        {"copies_per_day", "copies made per extent and day", ratio(made, extent_days)},
        {"made_per_lost", "bytes copied per byte lost with its disk",
         ratio(made, static_cast<double>(totals.copies_lost))},
        {"made_per_oracle", "bytes copied per byte an oracle would copy",
         ratio(made, static_cast<double>(totals.oracle_copies))},
        {"invitations_per_copy", "invitations per copy made",
         ratio(static_cast<double>(totals.invitations), made)},
        {"availability", "mean availability of a node",
         ratio(totals.up_seconds, totals.node_seconds)},
        {"joins_per_day", "starts per node and day",
         ratio(static_cast<double>(totals.joins), totals.node_seconds / day_seconds)},
        {"links", "connections of a node that is up",
         ratio(totals.link_seconds, totals.up_seconds)},
        {"puts_per_day", "DHT puts per node that is up and day",
         ratio(static_cast<double>(totals.puts), up_days)},
        {"announce_packets", "announce packets per node that is up and day (model)",
         ratio(announce_packets, up_days)},
        {"dht_packets", "all DHT packets per node that is up and day (model)",
         ratio(dht_packets, up_days)},
        {"dht_bytes_per_second", "... in bytes a second (model)",
         ratio(dht_packets * bytes_per_packet, totals.up_seconds)},
        {"heartbeats", "heartbeat messages per node that is up and day (model)",
         ratio(heartbeats, up_days)},
    };
}

std::vector<Figure> run_figures(const ScaleSwarm& swarm) {
    const Truth& truth = swarm.truth();
    double stored = 0;
    double lost = 0;
    for (std::uint32_t extent = 0; extent < truth.extents(); ++extent) {
        stored += truth.stored(extent);
        if (truth.stored(extent) == 0) ++lost;
    }
    const auto& audits = swarm.audits();
    return {
        {"stored", "copies of an extent at the end, live or not",
         ratio(stored, static_cast<double>(truth.extents()))},
        {"lost", "extents lost for good", lost},
        {"burst_node", "largest burst of one node, puts in a minute",
         static_cast<double>(swarm.most_puts_of_a_node())},
        {"burst_puts", "largest burst of the swarm, puts in a minute",
         static_cast<double>(truth.most_puts_a_minute())},
        {"burst_copies", "largest burst of the swarm, copies made in a minute",
         static_cast<double>(truth.most_copies_a_minute())},
        {"audits", "copies audited", static_cast<double>(audits.passed + audits.failed)},
        {"rotten_found", "rotten copies found by audits",
         static_cast<double>(swarm.rotten_found())},
        {"events", "events", static_cast<double>(swarm.events())},
    };
}

std::string report_text(const ScaleSwarm& swarm) {
    const auto& totals = swarm.truth().totals();
    std::string text;
    const auto first = figures(totals.front(), swarm);
    const auto second = figures(totals.back(), swarm);
    text += fmt::format("{:<66}{:>14}{:>14}\n", "", "whole run", "last 2/3");
    for (std::size_t i = 0; i < first.size(); ++i)
        text += fmt::format("{:<66}{:>14.4g}{:>14.4g}\n", first[i].text, first[i].value,
                            second[i].value);
    for (const Figure& figure : run_figures(swarm))
        text += fmt::format("{:<66}{:>14.6g}\n", figure.text, figure.value);
    text += fmt::format("{:<66}{:016x}\n", "trace", swarm.trace());
    return text;
}

std::string report_json(const ScaleSwarm& swarm, double wall_seconds) {
    const auto as_object = [](const std::vector<Figure>& list) {
        nlohmann::json object;
        for (const Figure& figure : list)
            object[figure.key] = figure.value;
        return object;
    };
    nlohmann::json result = as_object(run_figures(swarm));
    result["whole"] = as_object(figures(swarm.truth().totals().front(), swarm));
    result["settled"] = as_object(figures(swarm.truth().totals().back(), swarm));
    result["trace"] = fmt::format("{:016x}", swarm.trace());
    result["wall_seconds"] = wall_seconds;
    return result.dump();
}

}  // namespace flow29::sim::scale
