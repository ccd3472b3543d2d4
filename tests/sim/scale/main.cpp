// SPDX-License-Identifier: GPL-3.0-or-later
#include <chrono>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>

#include "sim/scale/report.hpp"

namespace flow29::sim::scale {
namespace {

/// As the command line has them: plain numbers, with their unit in the name.
struct Arguments {
    ScaleSwarm::Options swarm;
    double days = 30;
    double median_hours = 2;
    double shape = 0.6;
    double availability = 0.35;
    std::string trace;
    double life_days = 90;
    double detection_seconds = 10;
    double grace_seconds = 300;
    double youth_minutes = 10;
    double settle_seconds = 20;
    double gossip_seconds = 30;
    double extent_mib = 64;
    double rate_mbit = 20;
    double drop_days = 7;
    double copy_life_days = 0;
    double audit_hours = 24;
    bool json = false;
};

Duration seconds(double value) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

void add_options(CLI::App& app, Arguments& arguments) {
    auto& swarm = arguments.swarm;
    app.add_option("--nodes", swarm.nodes, "places in the swarm")->check(CLI::Range(2, 1'000'000));
    app.add_option("--extents", swarm.extents, "published; as many as nodes unless given");
    app.add_option("--days", arguments.days)->check(CLI::Range(0.01, 10'000.0));
    app.add_option("--seed", swarm.seed);
    app.add_option("--copies", swarm.copies, "wanted alive")->check(CLI::Range(1, 16));
    app.add_option("--floor", swarm.floor, "under which the time is measured");
    app.add_option("--spare", swarm.spare, "made above that by a repair")->check(CLI::Range(0, 16));
    app.add_option("--spare-from", swarm.spare_from, "holders of an extent that are away");
    app.add_option("--median-hours", arguments.median_hours, "of a session");
    app.add_option("--shape", arguments.shape, "of the Weibull distribution");
    app.add_option("--availability", arguments.availability)->check(CLI::Range(0.001, 0.999));
    app.add_option("--trace", arguments.trace, "an .avt file instead of the Weibull model");
    app.add_option("--life-days", arguments.life_days, "of a disk, the mean; 0: for ever");
    app.add_option("--detection-seconds", arguments.detection_seconds, "until a peer is missed");
    app.add_option("--grace-seconds", arguments.grace_seconds, "until it is given up, after that");
    app.add_option("--youth-minutes", arguments.youth_minutes,
                   "uptime below which a node is young");
    app.add_option("--settle-seconds", arguments.settle_seconds,
                   "until a node acts on what it finds when it starts");
    app.add_option("--gossip-seconds", arguments.gossip_seconds, "until co-holders know a change");
    app.add_option("--neighbours", swarm.neighbours, "connected to by a node that comes up");
    app.add_option("--extent-mib", arguments.extent_mib);
    app.add_option("--rate-mbit", arguments.rate_mbit, "at which a node pulls");
    app.add_option("--drop", swarm.drop_fraction, "of the live nodes, going down all at once")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--drop-days", arguments.drop_days, "from one such drop to the next");
    app.add_option("--copy-life-days", arguments.copy_life_days,
                   "until a copy rots unnoticed, the mean; 0: never");
    app.add_option("--audit-probes", swarm.audit_probes, "of a neighbour in a period")
        ->check(CLI::Range(1, 1000));
    app.add_option("--audit-hours", arguments.audit_hours, "the period");
    app.add_flag("--json", arguments.json, "one JSON object instead of a table");
}

int run(Arguments arguments) {
    auto& options = arguments.swarm;
    options.length = seconds(arguments.days * 86'400);
    options.life = seconds(arguments.life_days * 86'400);
    options.detection = seconds(arguments.detection_seconds);
    options.grace = seconds(arguments.grace_seconds);
    options.youth = seconds(arguments.youth_minutes * 60);
    options.settle = seconds(arguments.settle_seconds);
    options.gossip = seconds(arguments.gossip_seconds);
    options.extent_bytes = ByteCount(static_cast<std::uint64_t>(arguments.extent_mib * 1048576));
    options.bytes_per_second = arguments.rate_mbit * 1e6 / 8;
    options.drop_period = seconds(arguments.drop_days * 86'400);
    options.copy_life = seconds(arguments.copy_life_days * 86'400);
    options.audit_period = seconds(arguments.audit_hours * 3600);

    std::unique_ptr<Sessions> sessions;
    if (arguments.trace.empty()) {
        sessions = std::make_unique<WeibullSessions>(
            options.nodes,
            WeibullSessions::Options{.median = seconds(arguments.median_hours * 3600),
                                     .shape = arguments.shape,
                                     .availability = arguments.availability,
                                     .seed = options.seed});
    } else {
        std::ifstream file(arguments.trace);
        if (!file) {
            std::cerr << "sim: " << arguments.trace << " cannot be opened\n";
            return 2;
        }
        auto trace = read_avt(file);
        if (!trace) {
            std::cerr << "sim: " << arguments.trace << ": " << trace.error().message() << '\n';
            return 2;
        }
        sessions = std::make_unique<TraceSessions>(options.nodes, std::move(*trace));
    }

    const auto began = std::chrono::steady_clock::now();
    ScaleSwarm swarm(options, *sessions);
    swarm.run();
    swarm.check_invariants();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (arguments.json)
        std::cout << report_json(swarm, took.count()) << '\n';
    else
        std::cout << report_text(swarm) << "wall seconds: " << took.count() << '\n';
    return 0;
}

}  // namespace
}  // namespace flow29::sim::scale

int main(int argc, char** argv) {
    CLI::App app(
        "A simulated swarm for months: how long extents are without enough live copies, "
        "and what it costs to keep them.");
    flow29::sim::scale::Arguments arguments;
    flow29::sim::scale::add_options(app, arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (app.count("--extents") == 0) arguments.swarm.extents = arguments.swarm.nodes;
    return flow29::sim::scale::run(arguments);
}
