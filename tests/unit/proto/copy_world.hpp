// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "fake_nodes.hpp"
#include "proto/copy_planner.hpp"

namespace flow29::proto {

using namespace std::chrono_literals;

inline constexpr ByteCount mebibyte{1024 * 1024};

/// A planner with its table; node 0 is self, the others are numbered from 1.
struct World {
    NodeTable table{{.self = fake_node(0)}};
    CopyPlanner planner;

    World(std::uint32_t others, CopyPlanner::Options options)
        : planner(table, (options.self = fake_node(0), options)) {
        for (std::uint32_t i = 1; i <= others; ++i)
            table.on_alive(fake_record(i), at(0s));
    }

    void add(std::uint32_t item, unsigned copies = 4, ByteCount length = mebibyte) {
        planner.add_item(fake_item(item), RootHash{}, length, copies);
    }
    std::vector<CopyPlanner::Invitation> poll_all(Duration now) {
        std::vector<CopyPlanner::Invitation> result;
        for (;;) {
            const auto invitation = planner.poll_invite(at(now), wall(now));
            planner.check_invariants();
            if (invitation)
                result.push_back(*invitation);
            else if (const auto next = planner.next_deadline(); !next || *next > at(now))
                return result;
        }
    }
    std::vector<NodeId> targets(Duration now) {
        std::vector<NodeId> result;
        for (const auto& invitation : poll_all(now))
            result.push_back(invitation.target);
        return result;
    }
    std::uint32_t number_of(const NodeId& node) const {
        std::uint32_t number = 0;
        while (fake_node(number) != node)
            ++number;
        return number;
    }
    std::vector<NodeId> ranked(std::uint32_t item, Duration now = 0s) {
        std::vector<NodeId> result;
        for (const auto& c :
             table.candidates(fake_item(item).key(core::KeySpace()), at(now), wall(now)))
            result.push_back(c.id);
        return result;
    }
};

inline CopyPlanner::Options publisher() {
    return {.self = {}, .self_is_copy = false, .always_act = true};
}

inline CopyPlanner::Options holder() {
    return {.self = {}, .settle = 0s};
}

inline std::vector<NodeId> slice(const std::vector<NodeId>& nodes, std::size_t first,
                                 std::size_t last) {
    return {nodes.begin() + static_cast<std::ptrdiff_t>(first),
            nodes.begin() + static_cast<std::ptrdiff_t>(last)};
}

}  // namespace flow29::proto
