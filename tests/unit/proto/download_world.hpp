// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include <flow29/limits.hpp>
#include "fake_nodes.hpp"
#include "proto/download_planner.hpp"

namespace flow29::proto {

using namespace std::chrono_literals;

inline constexpr std::uint64_t mib = 1024 * 1024;
inline constexpr std::uint64_t chunks_per_mib = mib / limits::chunk_bytes;

/// A planner for a whole object of `mebibytes` in pieces of 1 MiB (from 64 MiB), two to an extent.
struct Download {
    core::Layout layout;
    DownloadPlanner planner;

    explicit Download(std::uint64_t mebibytes, DownloadPlanner::Options options = {},
                      core::RangeSet have = {})
        : layout(ByteCount(mebibytes * mib), 12),
          planner(layout, {ByteCount(0), layout.length()}, have, options) {}

    NodeId add(std::uint32_t number, bool holds_all = true) {
        const NodeId peer = fake_node(number);
        planner.add_peer(peer, at(0s));
        if (holds_all) planner.set_holds_all(peer);
        return peer;
    }
    std::vector<DownloadPlanner::Request> poll_all(Duration now) {
        std::vector<DownloadPlanner::Request> result;
        while (const auto request = planner.poll_request(at(now))) {
            result.push_back(*request);
            planner.check_invariants();
        }
        return result;
    }
    /// Delivers everything that is asked of `peer` at once, again and again, until the rest fits
    /// what it may have in flight.
    void warm_up(const NodeId& peer, Duration& now, Duration per_piece, unsigned pieces) {
        std::vector<DownloadPlanner::Request> queue;
        while (pieces > 0) {
            for (const DownloadPlanner::Request& request : poll_all(now))
                queue.push_back(request);
            REQUIRE(!queue.empty());
            now += per_piece;
            REQUIRE(planner.on_piece(queue.front().piece, peer, at(now)));
            queue.erase(queue.begin());
            --pieces;
        }
        for (const DownloadPlanner::Request& request : queue)
            planner.on_failure(request.piece, peer, DownloadPlanner::Blame::ours, at(now));
    }
};

inline std::vector<std::uint64_t> mebibytes_of(
    const std::vector<DownloadPlanner::Request>& requests) {
    std::vector<std::uint64_t> result;
    for (const DownloadPlanner::Request& request : requests)
        result.push_back(request.bytes.first.value / mib);
    return result;
}

}  // namespace flow29::proto
