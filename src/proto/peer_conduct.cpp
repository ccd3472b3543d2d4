// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/peer_conduct.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::proto {
namespace {
constexpr unsigned score_scale = 100;
constexpr unsigned share_max = PeerConduct::score_max * score_scale;
constexpr unsigned outcomes_remembered = 16;  // about so many make the score
}  // namespace

PeerConduct::PeerConduct(std::size_t nodes_max) : nodes_max_(nodes_max) {
    FLOW29_ASSERT(nodes_max > 0);
}

void PeerConduct::on_outcome(const NodeId& node, bool delivered) {
    auto& noted = note(node);
    // Rounded towards what came, so that both ends of the scale can be reached.
    const unsigned came = delivered ? share_max + outcomes_remembered - 1 : 0;
    noted.share = (noted.share * (outcomes_remembered - 1) + came) / outcomes_remembered;
    noted.entry.score = noted.share / score_scale;
}

bool PeerConduct::on_strike(const NodeId& node, std::string_view why) {
    auto& noted = note(node);
    ++noted.entry.strikes;
    noted.entry.reason = why;
    if (noted.entry.banned || noted.entry.strikes < strikes_max) return false;
    noted.entry.banned = true;
    touch(node, noted);
    return true;
}

bool PeerConduct::on_lie(const NodeId& node, std::string_view why) {
    auto& noted = note(node);
    ++noted.entry.strikes;
    if (noted.entry.banned) return false;
    noted.entry.reason = why;
    noted.entry.banned = true;
    noted.entry.score = noted.share = 0;
    touch(node, noted);
    return true;
}

void PeerConduct::on_disconnected(const NodeId& node, std::string address) {
    auto& noted = note(node);
    ++noted.entry.disconnects;
    noted.entry.address = std::move(address);
}

bool PeerConduct::is_banned(const NodeId& node) const {
    const auto found = entries_.find(node);
    return found != entries_.end() && found->second.entry.banned;
}

PeerConduct::Entry PeerConduct::of(const NodeId& node) const {
    const auto found = entries_.find(node);
    return found == entries_.end() ? Entry{} : found->second.entry;
}

std::vector<std::pair<NodeId, PeerConduct::Entry>> PeerConduct::marked() const {
    std::vector<std::pair<NodeId, Entry>> found;
    for (const auto& [node, noted] : entries_)
        if (noted.entry.strikes > 0) found.emplace_back(node, noted.entry);
    std::ranges::sort(found, {}, &std::pair<NodeId, Entry>::first);
    return found;
}

PeerConduct::Noted& PeerConduct::note(const NodeId& node) {
    const auto known = entries_.find(node);
    if (known != entries_.end()) {
        touch(node, known->second);
        return known->second;
    }
    if (entries_.size() >= nodes_max_) {
        entries_.erase(by_age_.begin()->second);
        by_age_.erase(by_age_.begin());
    }
    auto& noted = entries_[node];
    noted.share = share_max;
    noted.age = {false, ++clock_};
    by_age_.emplace(noted.age, node);
    return noted;
}

void PeerConduct::touch(const NodeId& node, Noted& noted) {
    by_age_.erase(noted.age);
    noted.age = {noted.entry.banned, ++clock_};
    by_age_.emplace(noted.age, node);
}

void PeerConduct::check_invariants() const {
    FLOW29_ASSERT(entries_.size() <= nodes_max_);
    FLOW29_ASSERT(by_age_.size() == entries_.size());
    for (const auto& [age, node] : by_age_) {
        const auto& noted = entries_.at(node);
        FLOW29_ASSERT(noted.age == age);
        FLOW29_ASSERT(noted.entry.banned == age.first);
        FLOW29_ASSERT(noted.entry.score <= score_max);
    }
}

}  // namespace flow29::proto
