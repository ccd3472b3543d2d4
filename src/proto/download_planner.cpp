// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/download_planner.hpp"

#include <algorithm>

#include "core/assert.hpp"
#include "proto/download_state.hpp"

namespace flow29::proto {

namespace {
/// The first of them, in order.
std::vector<ExtentIndex> members(const ExtentSet& set, std::uint64_t extents,
                                 std::size_t count_max) {
    std::vector<ExtentIndex> result;
    ExtentIndex from;
    while (result.size() < count_max) {
        const auto next = set.first_common(set, from, ExtentIndex(extents));
        if (!next) break;
        result.push_back(*next);
        from = ExtentIndex(next->value + 1);
    }
    return result;
}
}  // namespace

DownloadPlanner::DownloadPlanner(core::Layout layout, ByteRange want, const core::RangeSet& have,
                                 Options options)
    : state_(std::make_unique<State>(layout, want, have, options)) {}
DownloadPlanner::~DownloadPlanner() = default;
DownloadPlanner::DownloadPlanner(DownloadPlanner&&) noexcept = default;

void DownloadPlanner::add_peer(const NodeId& peer, TimePoint) {
    if (DownloadPeer* known = state_->find_or_enter(peer)) known->add();
}

void DownloadPlanner::remove_peer(const NodeId& peer, TimePoint) {
    DownloadPeer* known = state_->find(peer);
    if (known == nullptr) return;
    known->remove();
    state_->release_all(state_->position.at(peer));
}

void DownloadPlanner::set_holds(const NodeId& peer, ExtentIndex extent) {
    if (extent.value >= state_->pieces.layout().extents()) return;
    if (DownloadPeer* known = state_->find_or_enter(peer)) known->set_holds(extent);
}

void DownloadPlanner::set_holds_all(const NodeId& peer) {
    if (DownloadPeer* known = state_->find_or_enter(peer)) known->set_holds_all();
}

void DownloadPlanner::guess_holds(const NodeId& peer, ExtentIndex extent) {
    if (extent.value >= state_->pieces.layout().extents()) return;
    if (DownloadPeer* known = state_->find_or_enter(peer)) known->guess_holds(extent);
}

std::optional<DownloadPlanner::Request> DownloadPlanner::poll_request(TimePoint now) {
    if (done()) return std::nullopt;
    std::optional<State::Choice> choice;
    if (state_->options.in_order) choice = state_->find_hedge(now).choice;
    if (!choice) choice = state_->choose_new(now);
    if (!choice && !state_->options.in_order) choice = state_->find_hedge(now).choice;
    if (!choice) choice = state_->find_takeover(now).choice;
    if (!choice) return std::nullopt;
    return state_->ask(*choice, now);
}

bool DownloadPlanner::on_piece(PieceId piece, const NodeId& peer, TimePoint now) {
    const ChunkRange chunks = chunks_of(piece);
    const ByteCount bytes = state_->pieces.bytes_of(chunks).count();
    const auto flying = state_->in_flight.find(piece);
    bool is_new = false;
    if (flying != state_->in_flight.end()) {
        is_new = !flying->second.done;
        flying->second.done = true;
    } else if (state_->pieces.is_unasked(chunks)) {  // it had been given back
        is_new = true;
        state_->pieces.take(chunks);
    }
    (is_new ? state_->verified : state_->duplicated) += bytes;

    DownloadPeer* known = state_->find(peer);
    if (is_new && known != nullptr)
        state_->delivered_by[state_->pieces.extent_of(chunks).value] =
            static_cast<std::uint16_t>(state_->position.at(peer));
    const bool expected =
        known != nullptr && std::ranges::count(known->asked(), piece, &DownloadPeer::Asked::piece);
    if (expected) {
        known->on_delivered(bytes, state_->pieces.cell_bytes(), state_->options, now);
        state_->release(state_->position.at(peer), piece);
    }
    return is_new;
}

void DownloadPlanner::on_heard(const NodeId& peer, TimePoint now) {
    if (DownloadPeer* known = state_->find(peer)) known->on_heard(now);
}

void DownloadPlanner::on_failure(PieceId piece, const NodeId& peer, Blame blame, TimePoint now) {
    DownloadPeer* known = state_->find(peer);
    if (known == nullptr) return;
    const std::size_t p = state_->position.at(peer);
    if (blame == Blame::lied) {
        known->ban();
        state_->release_all(p);
        return;
    }
    if (std::ranges::count(known->asked(), piece, &DownloadPeer::Asked::piece) == 0) return;
    switch (blame) {
        case Blame::lied:
            break;
        case Blame::lacks:
            known->set_lacks(state_->pieces.extent_of(chunks_of(piece)));
            state_->release(p, piece);
            break;
        case Blame::unreachable:
        case Blame::busy:
            known->pause(state_->options.pause_min, now);
            state_->release_all(p);
            break;
        case Blame::ours:
            state_->release(p, piece);
            break;
    }
}

void DownloadPlanner::on_consumed(ByteCount offset) {
    if (offset <= state_->consumed) return;
    state_->consumed = offset;
    ++state_->epoch;
}

void DownloadPlanner::set_begin_max(ByteCount begin_max) {
    if (state_->begin_max == begin_max) return;
    state_->begin_max = begin_max;
    ++state_->epoch;
}

void DownloadPlanner::on_taken(ExtentIndex extent) {
    if (!state_->begun.contains(extent)) return;
    state_->begun.erase(extent);
    state_->begun_bytes -= state_->pieces.layout().extent_length(extent);
    ++state_->epoch;
}

ByteCount DownloadPlanner::begun() const {
    return state_->begun_bytes;
}

void DownloadPlanner::drop(ExtentIndex extent) {
    state_->dropped.insert(extent);
    state_->pieces.drop_unasked(extent);
}

std::optional<TimePoint> DownloadPlanner::next_deadline(TimePoint now) const {
    if (done()) return std::nullopt;
    State::Rescue all;
    for (const auto& later : {state_->find_hedge(now).later, state_->find_takeover(now).later})
        if (later) all.consider(*later);
    for (const DownloadPeer& peer : state_->peers)
        if (peer.usable() && peer.paused_until() > now) all.consider(peer.paused_until());
    return all.later;
}

bool DownloadPlanner::done() const {
    return state_->verified == state_->pieces.needed();
}

ByteCount DownloadPlanner::wanted() const {
    return state_->pieces.needed();
}

ByteCount DownloadPlanner::verified() const {
    return state_->verified;
}

ByteCount DownloadPlanner::duplicated() const {
    return state_->duplicated;
}

std::vector<ExtentIndex> DownloadPlanner::unfinished() const {
    const std::uint64_t extents = state_->pieces.layout().extents();
    return members(state_->unfinished(), extents, extents);
}

std::vector<ExtentIndex> DownloadPlanner::starved(std::size_t count_max, TimePoint now) const {
    const std::uint64_t extents = state_->pieces.layout().extents();
    ExtentSet held(extents);
    for (const DownloadPeer& peer : state_->peers)
        if (peer.usable() && !peer.is_silent(now)) held.insert(peer.holds());
    ExtentSet starved(extents);
    starved.insert_all(held);

    return members(state_->unfinished().common(starved), extents, count_max);
}

bool DownloadPlanner::was_promised(ExtentIndex extent) const {
    return std::ranges::any_of(state_->peers,
                               [extent](const auto& peer) { return peer.promised(extent); });
}

std::vector<NodeId> DownloadPlanner::silent(TimePoint now) const {
    std::vector<NodeId> result;
    for (const DownloadPeer& peer : state_->peers)
        if (peer.is_silent(now)) result.push_back(peer.id());
    return result;
}

std::vector<DownloadPlanner::Cell> DownloadPlanner::cells(std::size_t count_max) const {
    FLOW29_ASSERT(count_max > 0);
    const core::Layout& layout = state_->pieces.layout();
    const std::uint64_t extents = layout.extents();
    const std::uint64_t per_cell = (extents + count_max - 1) / count_max;
    std::vector<Cell> cells;
    for (std::uint64_t first = 0; first < extents; first += per_cell) {
        const std::uint64_t last = std::min(first + per_cell, extents);
        const ChunkRange chunks{layout.extent_chunks(ExtentIndex(first)).first,
                                layout.extent_chunks(ExtentIndex(last - 1)).last};
        Cell cell;
        cell.wanted = state_->wanted_of(chunks);
        cell.missing = state_->pieces.unasked(chunks);
        cell.holders = state_->peers.size();
        for (std::uint64_t extent = first; extent < last; ++extent) {
            const auto holders = std::ranges::count_if(state_->peers, [&](const auto& peer) {
                return peer.usable() && peer.holds().contains(ExtentIndex(extent));
            });
            cell.holders = std::min(cell.holders, static_cast<std::size_t>(holders));
            if (const auto by = state_->delivered_by[extent]; by != State::nobody)
                cell.by = state_->peers[by].id();
        }
        cells.push_back(cell);
    }
    for (const auto& [id, flying] : state_->in_flight) {
        if (flying.done) continue;
        const auto extent = state_->pieces.extent_of(flying.chunks).value;
        cells[extent / per_cell].missing += state_->pieces.bytes_of(flying.chunks).count();
    }
    return cells;
}

bool DownloadPlanner::is_banned(const NodeId& peer) const {
    const DownloadPeer* known = state_->find(peer);
    return known != nullptr && known->banned();
}

std::size_t DownloadPlanner::usable_peers() const {
    return static_cast<std::size_t>(std::ranges::count_if(state_->peers, &DownloadPeer::usable));
}

std::size_t DownloadPlanner::in_flight() const {
    return state_->askings;
}

std::vector<DownloadPlanner::PeerStatus> DownloadPlanner::peers() const {
    std::vector<PeerStatus> result;
    for (const DownloadPeer& peer : state_->peers) {
        if (!peer.ever_added()) continue;
        result.push_back({.peer = peer.id(),
                          .rate = peer.rate().value_or(0),
                          .bytes = peer.bytes(),
                          .in_flight = peer.asked().size(),
                          .banned = peer.banned()});
    }
    return result;
}

void DownloadPlanner::check_invariants() const {
    state_->pieces.check_invariants();
    ByteCount asked;
    std::size_t askings = 0;
    for (const auto& [id, flying] : state_->in_flight) {
        FLOW29_ASSERT(id == id_of(flying.chunks));
        FLOW29_ASSERT(!flying.peers.empty() && flying.peers.size() <= askings_max);
        FLOW29_ASSERT(!state_->pieces.is_unasked(flying.chunks));
        for (const std::size_t p : flying.peers)
            FLOW29_ASSERT(
                std::ranges::count(state_->peers[p].asked(), id, &DownloadPeer::Asked::piece) == 1);
        askings += flying.peers.size();
        if (!flying.done) asked += state_->pieces.bytes_of(flying.chunks).count();
    }
    FLOW29_ASSERT(askings == state_->askings);
    FLOW29_ASSERT(state_->pieces.unasked() + asked + state_->verified == state_->pieces.needed());
    for (const DownloadPeer& peer : state_->peers) {
        FLOW29_ASSERT(peer.asked().empty() || peer.usable());
        FLOW29_ASSERT(peer.asked().size() <= state_->options.pieces_max);
        askings -= peer.asked().size();
    }
    FLOW29_ASSERT(askings == 0);
}

}  // namespace flow29::proto
