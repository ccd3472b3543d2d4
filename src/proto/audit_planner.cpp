// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/audit_planner.hpp"

#include <algorithm>
#include <cmath>

namespace flow29::proto {

std::optional<AuditPlanner::Probe> AuditPlanner::poll(TimePoint now) {
    note_nodes(now);
    for (auto& [id, node] : nodes_) {
        if (node.next > now) continue;
        // Missed moments are not made up for: a laptop that wakes must not audit all night's worth.
        node.next = std::max(node.next + interval(), now);
        if (!table_.is_alive(id)) continue;
        auto items = copies_.items_of(id);
        if (items.empty()) continue;
        // Drawn from a sorted list, so that one seed gives one sequence.
        const auto at = static_cast<std::ptrdiff_t>(random_() % items.size());
        std::ranges::nth_element(items, items.begin() + at);
        return Probe{id, items[static_cast<std::size_t>(at)], random_()};
    }
    return std::nullopt;
}

bool AuditPlanner::on_outcome(const Probe& probe, Outcome outcome) {
    const auto found = nodes_.find(probe.node);
    switch (outcome) {
        case Outcome::passed:
            ++counts_.passed;
            if (found != nodes_.end()) found->second.silent = 0;
            return false;
        case Outcome::failed:
            ++counts_.failed;
            return true;
        case Outcome::silent:
            ++counts_.silent;
            if (found == nodes_.end() || ++found->second.silent < options_.silent_max) return false;
            found->second.silent = 0;
            return true;
        case Outcome::none:
            return false;
    }
    return false;
}

std::optional<TimePoint> AuditPlanner::next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto& [id, node] : nodes_)
        if (!next || node.next < *next) next = node.next;
    return next;
}

double AuditPlanner::detection(double fraction, unsigned probes) {
    return 1 - std::pow(1 - fraction, probes);
}

void AuditPlanner::note_nodes(TimePoint now) {
    const auto holders = copies_.holding_nodes();
    std::erase_if(nodes_, [&](const auto& entry) {
        return !std::ranges::binary_search(holders, entry.first);
    });
    for (const NodeId& id : holders) {
        const auto [found, is_new] = nodes_.try_emplace(id);
        if (!is_new) continue;
        const auto whole =
            static_cast<std::uint64_t>(std::max<Duration::rep>(1, interval().count()));
        found->second.next = now + Duration(static_cast<Duration::rep>(random_() % whole));
    }
}

}  // namespace flow29::proto
