// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/download_state.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include <flow29/limits.hpp>
#include "core/assert.hpp"

namespace flow29::proto {
namespace {

using PieceId = DownloadPlanner::PieceId;
using Seconds = std::chrono::duration<double>;

constexpr std::uint64_t pieces_wanted = 64;  // of a small download, so that holders share it
constexpr std::uint64_t pieces_per_window = 8;
constexpr std::uint64_t piece_bytes_min = 64 * 1024;
constexpr std::uint64_t piece_bytes_max_in_order = 256 * 1024;
constexpr double rate_guess = 1e6;              // bytes per second, when nobody delivered yet
constexpr std::size_t helpers_max = 16;         // idle peers considered in an end-game
constexpr std::size_t stalled_pieces_max = 64;  // considered for hedging at a time
constexpr Duration deadline_slack = std::chrono::milliseconds(1);

constexpr unsigned count_bits = 12;  // of a piece's id
static_assert(limits::range_bytes_max / limits::chunk_bytes < 1U << count_bits);
static_assert(limits::object_bytes_max / limits::chunk_bytes < 1ULL << (64 - count_bits));

ByteCount piece_bytes_for(const core::Layout& layout, ByteRange want,
                          const DownloadPlanner::Options& options) {
    const ByteCount last = std::min(want.last, layout.length());
    const std::uint64_t bytes = want.first < last ? (last - want.first).value : 0;
    std::uint64_t least = piece_bytes_min;
    std::uint64_t most = limits::range_bytes_max;
    if (options.in_order) {
        most =
            std::max(limits::checksum_block_bytes,
                     std::min(piece_bytes_max_in_order, options.window.value / pieces_per_window));
        least = std::min(least, most);
    }
    most = std::min(most, std::max(limits::checksum_block_bytes, options.piece_bytes_max.value));
    least = std::min(least, most);
    return ByteCount(std::bit_floor(std::clamp(bytes / pieces_wanted, least, most)));
}

}  // namespace

PieceId id_of(ChunkRange piece) {
    return PieceId(piece.first.value << count_bits | piece.count().value);
}

ChunkRange chunks_of(PieceId id) {
    const auto raw = static_cast<std::uint64_t>(id);
    const std::uint64_t first = raw >> count_bits;
    return {ChunkIndex(first), ChunkIndex(first + (raw & ((1U << count_bits) - 1)))};
}

DownloadPlanner::State::State(core::Layout layout, ByteRange want, const core::RangeSet& have,
                              const Options& o)
    : options(o),
      pieces(layout, want, have, piece_bytes_for(layout, want, o)),
      begun(layout.extents()),
      dropped(layout.extents()),
      delivered_by(layout.extents(), nobody) {
    FLOW29_ASSERT(options.pieces_min >= 1 && options.pieces_min <= options.pieces_max);
    consumed = want.first;
    if (options.in_order || layout.length().value == 0) return;
    const std::uint64_t start = options.start_at % layout.length().value;
    start_chunk = pieces.cell_start(ChunkIndex(start / limits::chunk_bytes));
}

ByteCount DownloadPlanner::State::wanted_of(ChunkRange chunks) const {
    const ChunkRange want = pieces.want();
    const ChunkRange both{std::max(chunks.first, want.first), std::min(chunks.last, want.last)};
    return both.first < both.last ? pieces.bytes_of(both).count() : ByteCount(0);
}

DownloadPeer* DownloadPlanner::State::find(const NodeId& id) {
    const auto found = position.find(id);
    return found == position.end() ? nullptr : &peers[found->second];
}

DownloadPeer* DownloadPlanner::State::find_or_enter(const NodeId& id) {
    if (DownloadPeer* known = find(id)) return known;
    if (peers.size() >= limits::download_peers_max) return nullptr;
    position.emplace(id, peers.size());
    return &peers.emplace_back(id, pieces.layout().extents(), options);
}

std::vector<std::size_t> DownloadPlanner::State::who_may_be_asked(TimePoint now) const {
    std::vector<std::size_t> result;
    for (std::size_t p = 0; p < peers.size(); ++p)
        if (peers[p].may_be_asked(now)) result.push_back(p);
    return result;
}

/// What to expect of a peer that has delivered nothing yet.
double DownloadPlanner::State::typical_rate() const {
    double sum = 0;
    std::size_t count = 0;
    for (const DownloadPeer& peer : peers) {
        if (!peer.usable() || !peer.rate()) continue;
        sum += *peer.rate();
        ++count;
    }
    return count == 0 ? rate_guess : sum / static_cast<double>(count);
}

std::optional<ChunkRange> DownloadPlanner::State::first_unasked(const DownloadPeer& peer) const {
    if (options.in_order) return first_in_window(peer);
    const auto first = first_of(peer.holds());
    if (!first) return first;
    const ExtentIndex extent = pieces.extent_of(*first);
    const ByteCount length = pieces.layout().extent_length(extent);
    // Rule 7.
    if (begun.contains(extent) || begun_bytes + length <= begin_max) return first;
    return first_of(peer.holds().common(begun));
}

std::optional<ChunkRange> DownloadPlanner::State::first_of(const ExtentSet& held) const {
    const ChunkRange want = pieces.want();
    const auto ahead = pieces.first_unasked(held, {start_chunk, want.last});
    if (ahead) return ahead;
    return pieces.first_unasked(held, {pieces.cell_start(want.first), start_chunk});
}

std::optional<ChunkRange> DownloadPlanner::State::first_in_window(const DownloadPeer& peer) const {
    const ChunkRange want = pieces.want();
    const ByteCount room = std::min(options.window, pieces.layout().length());
    const ByteCount end = consumed + room;
    const ChunkIndex last(std::min(core::chunks_in(end).value + 1, want.last.value));
    const auto piece = pieces.first_unasked(peer.holds(), {pieces.cell_start(want.first), last});
    if (!piece) return std::nullopt;
    const ByteRange bytes = pieces.bytes_of(*piece);
    if (bytes.last > end && bytes.first > consumed) return std::nullopt;
    return piece;
}

/// True for a piece that is still needed, and may be asked of one more now or later.
bool DownloadPlanner::State::may_be_rescued(PieceId piece) const {
    const InFlight& flying = in_flight.at(piece);
    return !flying.done && flying.peers.size() < askings_max;
}

/// True for one that is asked of one peer only, or of silent ones.
bool DownloadPlanner::State::can_rescue(PieceId piece, TimePoint now) const {
    const auto& asked = in_flight.at(piece).peers;
    const auto is_silent = [&](std::size_t p) { return peers[p].is_silent(now); };
    return may_be_rescued(piece) && (asked.size() == 1 || std::ranges::all_of(asked, is_silent));
}

std::optional<DownloadPlanner::State::Choice> DownloadPlanner::State::best_helper(
    PieceId piece, const std::vector<std::size_t>& helpers) const {
    const ChunkRange chunks = chunks_of(piece);
    const ExtentIndex extent = pieces.extent_of(chunks);
    const ByteCount bytes = pieces.bytes_of(chunks).count();
    std::optional<Choice> best;
    double best_s = std::numeric_limits<double>::infinity();
    const auto& asked = in_flight.at(piece).peers;
    for (const std::size_t p : helpers) {
        if (!peers[p].holds().contains(extent) || std::ranges::count(asked, p) != 0) continue;
        const double finish_s = peers[p].finish_s(bytes, rate_guess);
        if (finish_s >= best_s) continue;
        best = {piece, p};
        best_s = finish_s;
    }
    return best;
}

std::optional<DownloadPlanner::State::Choice> DownloadPlanner::State::choose_new(TimePoint now) {
    struct Option {
        double finish_s;
        std::size_t peer;
        auto operator<=>(const Option&) const = default;
    };
    std::vector<Option> by_finish;
    for (std::size_t p = 0; p < peers.size(); ++p)
        if (peers[p].nothing_in_epoch != epoch && peers[p].may_be_asked(now))
            by_finish.push_back({0, p});
    if (by_finish.size() > 1) {
        const double rate = typical_rate();
        for (Option& option : by_finish)
            option.finish_s = peers[option.peer].finish_s(pieces.cell_bytes(), rate);
        std::ranges::sort(by_finish);
    }
    for (const Option& option : by_finish) {
        DownloadPeer& peer = peers[option.peer];
        if (const auto piece = first_unasked(peer)) return Choice{id_of(*piece), option.peer};
        peer.nothing_in_epoch = epoch;
    }
    return std::nullopt;
}

/// The piece that the reader waits for, if it was asked of this peer alone and on a guess.
std::optional<PieceId> DownloadPlanner::State::awaited_guess(const DownloadPeer& peer,
                                                             TimePoint now) const {
    if (!options.in_order) return std::nullopt;
    for (const DownloadPeer::Asked& asked : peer.asked()) {
        const ChunkRange chunks = chunks_of(asked.piece);
        const ByteRange bytes = pieces.bytes_of(chunks);
        const bool is_next = bytes.first <= consumed && consumed < bytes.last;
        if (is_next && peer.is_guess(pieces.extent_of(chunks)) && can_rescue(asked.piece, now))
            return asked.piece;
    }
    return std::nullopt;
}

/// Rule 4.
DownloadPlanner::State::Rescue DownloadPlanner::State::find_hedge(TimePoint now) const {
    Rescue result;
    const auto helpers = who_may_be_asked(now);
    if (helpers.empty()) return result;
    const auto later = [this](const DownloadPeer::Asked& a) { return may_be_rescued(a.piece); };
    std::vector<PieceId> stalled;
    for (const DownloadPeer& peer : peers) {
        if (peer.asked().empty()) continue;
        const TimePoint stalled_at = peer.stalled_at();
        if (stalled_at <= now) {
            for (const DownloadPeer::Asked& asked : peer.asked())
                if (can_rescue(asked.piece, now)) stalled.push_back(asked.piece);
        } else if (const auto awaited = awaited_guess(peer, now)) {
            stalled.push_back(*awaited);
        } else if (!result.later || stalled_at < *result.later) {
            if (std::ranges::any_of(peer.asked(), later)) result.later = stalled_at;
        }
    }
    std::ranges::sort(stalled);
    if (stalled.size() > stalled_pieces_max) stalled.resize(stalled_pieces_max);
    for (const PieceId piece : stalled) {
        result.choice = best_helper(piece, helpers);
        if (result.choice) break;
    }
    return result;
}

/// The peers that rule 5 lets take over, fastest first.
std::vector<std::size_t> DownloadPlanner::State::idle_helpers(TimePoint now) const {
    auto idle = who_may_be_asked(now);
    std::erase_if(idle,
                  [&](std::size_t p) { return !peers[p].asked().empty() || !peers[p].rate(); });
    std::ranges::sort(idle, std::greater(), [&](std::size_t p) { return *peers[p].rate(); });
    if (idle.size() > helpers_max) idle.resize(helpers_max);
    return idle;
}

/// True when somebody could be asked for something new, now or with its next free slot.
bool DownloadPlanner::State::is_work_left(TimePoint now) {
    return std::ranges::any_of(peers, [&](DownloadPeer& peer) {
        if (peer.nothing_in_epoch == epoch || !peer.usable() || now < peer.paused_until())
            return false;
        if (!peer.asked().empty() && peer.stalled_at() <= now) return false;
        if (first_unasked(peer)) return true;
        peer.nothing_in_epoch = epoch;
        return false;
    });
}

/// Rule 5.
DownloadPlanner::State::Rescue DownloadPlanner::State::find_takeover(TimePoint now) {
    Rescue result;
    const auto idle = idle_helpers(now);
    if (idle.empty() || is_work_left(now)) return result;
    const auto seconds = [](double s) { return std::chrono::duration_cast<Duration>(Seconds(s)); };
    const double fastest = *peers[idle.front()].rate();
    const double saves_min_s = Seconds(options.takeover_saves_min).count();
    const auto worth_s = [saves_min_s](double own_s) {
        return std::max(2 * own_s, own_s + saves_min_s);
    };
    double worst_s = 0;
    for (const DownloadPeer& peer : peers) {
        for (std::size_t i = 0; i < peer.asked().size(); ++i) {
            const DownloadPeer::Asked& asked = peer.asked()[i];
            const TimePoint expected = peer.expected_at(i);
            const double need_s = std::abs(Seconds(expected - now).count());
            double own_s = static_cast<double>(asked.bytes.value) / fastest;
            if (need_s > worth_s(own_s)) {
                if (!can_rescue(asked.piece, now)) continue;
                const auto helper = best_helper(asked.piece, idle);
                if (!helper) continue;
                own_s = peers[helper->peer].finish_s(asked.bytes, rate_guess);
                if (need_s > worth_s(own_s) && need_s > worst_s) {
                    worst_s = need_s;
                    result.choice = helper;
                }
            }
            const TimePoint overdue = expected + seconds(worth_s(own_s)) + deadline_slack;
            if (overdue > now) result.consider(overdue);
        }
    }
    return result;
}

DownloadPlanner::Request DownloadPlanner::State::ask(const Choice& choice, TimePoint now) {
    const ChunkRange chunks = chunks_of(choice.piece);
    const ByteRange bytes = pieces.bytes_of(chunks);
    InFlight& flying = in_flight[choice.piece];
    if (flying.peers.empty()) {
        flying.chunks = chunks;
        pieces.take(chunks);
    }
    flying.peers.push_back(choice.peer);
    ++askings;
    DownloadPeer& peer = peers[choice.peer];
    peer.ask(choice.piece, bytes.count(), now);

    const ExtentIndex extent = pieces.extent_of(chunks);
    if (!begun.contains(extent)) {
        begun.insert(extent);
        begun_bytes += pieces.layout().extent_length(extent);
    }
    const std::uint64_t base = pieces.layout().extent_chunks(extent).first.value;
    const ChunkRange in_extent{ChunkIndex(chunks.first.value - base),
                               ChunkIndex(chunks.last.value - base)};
    return {.peer = peer.id(),
            .piece = choice.piece,
            .extent = extent,
            .chunks = in_extent,
            .bytes = bytes};
}

/// Ends one asking; a piece that nobody is asked for any more is unasked again.
void DownloadPlanner::State::release(std::size_t peer, PieceId piece) {
    if (!peers[peer].settle(piece)) return;
    --askings;
    const auto found = in_flight.find(piece);
    std::erase(found->second.peers, peer);
    if (!found->second.peers.empty()) return;
    if (!found->second.done) {
        if (dropped.contains(pieces.extent_of(found->second.chunks)))
            pieces.drop_asked(found->second.chunks);
        else
            pieces.give_back(found->second.chunks);
        ++epoch;
    }
    in_flight.erase(found);
}

void DownloadPlanner::State::release_all(std::size_t peer) {
    while (!peers[peer].asked().empty())
        release(peer, peers[peer].asked().back().piece);
}

ExtentSet DownloadPlanner::State::unfinished() const {
    ExtentSet result = pieces.open();
    for (const auto& [id, flying] : in_flight)
        if (!flying.done) result.insert(pieces.extent_of(flying.chunks));
    return result;
}

}  // namespace flow29::proto
