// SPDX-License-Identifier: GPL-3.0-or-later
#include <iomanip>
#include <iostream>

#include <CLI/CLI.hpp>

#include "sim/scale/sybil.hpp"

namespace flow29::sim::scale {
namespace {

int run(const SybilModel::Options& options) {
    SybilModel model(options);
    std::cout << "A model, not a swarm: " << options.nodes << " nodes, " << options.keys
              << " keys attacked one after the other, each looked up by " << options.lookups
              << " readers; the attacker made " << options.identities_tried
              << " identities and uses those nearest to each key; seed " << options.seed
              << "\n\n| identities | address groups | look-ups denied | counted copies captured | "
                 "look-ups in the DHT beside, for each search |\n|---|---|---|---|---|\n"
              << std::fixed;
    for (const std::uint32_t identities : {0U, 50U, 200U})
        for (const std::uint32_t groups : {1U, 4U, 16U}) {
            if (identities == 0 && groups != 1) continue;
            const auto outcome = model.attack(identities, groups);
            const auto searches = static_cast<double>(outcome.lookups + options.keys);
            std::cout << "| " << identities << " | " << (identities == 0 ? 0 : groups) << " | "
                      << std::setprecision(1) << outcome.denied_share() * 100 << " % | "
                      << outcome.captured_share() * 100 << " % | "
                      << static_cast<double>(outcome.asides) / searches << " |\n"
                      << std::flush;
        }
    return 0;
}

}  // namespace
}  // namespace flow29::sim::scale

int main(int argc, char** argv) {
    CLI::App app("A model of Sybils next to a key: look-ups denied, and copies captured.");
    flow29::sim::scale::SybilModel::Options options;
    app.add_option("--nodes", options.nodes)->check(CLI::Range(100, 1'000'000));
    app.add_option("--keys", options.keys)->check(CLI::Range(1, 100'000));
    app.add_option("--lookups", options.lookups, "for each key")->check(CLI::Range(1, 1000));
    app.add_option("--tried", options.identities_tried, "identities that the attacker makes")
        ->check(CLI::Range(1 << 10, 1 << 28));
    app.add_option("--seed", options.seed);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return flow29::sim::scale::run(options);
}
