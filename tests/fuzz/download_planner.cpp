// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/download_planner.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "fixtures.hpp"
#include "input.hpp"

namespace {

using namespace flow29;
using namespace std::chrono_literals;
using proto::DownloadPlanner;
using Blame = DownloadPlanner::Blame;
using PieceId = DownloadPlanner::PieceId;

constexpr std::uint32_t peers = 6;
constexpr std::uint32_t honest = 99;

struct Set {
    core::Layout layout{ByteCount(0), 0};
    ByteRange want;
    core::RangeSet have;
    DownloadPlanner::Options options;
};

Set make_set(fuzz::Input& input) {
    Set set;
    const auto level = static_cast<unsigned>(5 + input.number(3));
    set.layout = core::Layout(ByteCount(1 + input.number(700'000)), level);
    const auto length = set.layout.length().value;
    set.want = {ByteCount(0), ByteCount(length)};
    if (input.flag()) {
        set.want.first = ByteCount(input.number(length));
        set.want.last = ByteCount(set.want.first.value + input.number(length));
    }
    for (auto left = input.number(3); left > 0; --left) {
        const auto first = input.number(length);
        set.have.insert(first, first + input.number(100'000));
    }
    set.options.in_order = input.flag();
    set.options.window = ByteCount(16'384 + input.number(200'000));
    set.options.start_at = input.number(1'000'000);
    set.options.piece_bytes_max = ByteCount(limits::checksum_block_bytes << input.number(2));
    set.options.pieces_min = static_cast<unsigned>(1 + input.number(2));
    set.options.pieces_max = static_cast<unsigned>(set.options.pieces_min + input.number(6));
    set.options.takeover_saves_min = std::chrono::milliseconds(input.number(500));
    return set;
}

/// What is known of a download by whoever made the requests.
class Run {
  public:
    explicit Run(fuzz::Input input)
        : input_(input),
          set_(make_set(input_)),
          planner_(set_.layout, set_.want, set_.have, set_.options) {}

    void all() {
        while (!input_.empty()) {
            step();
            check();
        }
        finish();
    }

  private:
    struct Peer {
        bool added = false;
        bool banned = false;
        std::set<std::uint64_t> holds;
        std::set<std::uint64_t> guessed;  // among holds: nobody said so
        std::set<std::uint64_t> lacks;

        void learn(std::uint64_t extent, bool is_guess) {
            if (!is_guess) guessed.erase(extent);
            if (lacks.contains(extent) || !holds.insert(extent).second) return;
            if (is_guess) guessed.insert(extent);
        }
        /// Who said that it has it is not believed again; a wrong guess was not its fault.
        void unlearn(std::uint64_t extent) {
            if (holds.erase(extent) != 0 && guessed.erase(extent) == 0) lacks.insert(extent);
        }
        std::set<PieceId> asked;
    };
    struct Piece {
        ByteRange bytes;
        ExtentIndex extent;
        bool verified = false;
        unsigned askings = 0;
        bool is_dropped = false;  // wanted by nobody, unless somebody was asked for it
    };

    void step() {
        const auto choice = input_.octet() % 13;
        const auto number = static_cast<std::uint32_t>(input_.number(peers - 1));
        const auto id = proto::fake_node(number);
        auto& peer = peers_[id];
        const ExtentIndex extent(input_.number(set_.layout.extents()));  // one too many
        const bool exists = extent.value < set_.layout.extents();
        switch (choice) {
            case 0:
                planner_.add_peer(id, now_);
                peer.added = true;
                break;
            case 1:
                planner_.remove_peer(id, now_);
                peer.added = false;
                give_back_all(peer);
                break;
            case 2:
                planner_.set_holds(id, extent);
                if (exists) peer.learn(extent.value, false);
                break;
            case 3:
                planner_.set_holds_all(id);
                for (std::uint64_t i = 0; i < set_.layout.extents(); ++i)
                    peer.learn(i, false);
                break;
            case 4:
                planner_.guess_holds(id, extent);
                if (exists) peer.learn(extent.value, true);
                break;
            case 5:
                now_ += std::chrono::milliseconds(input_.number(5000));
                break;
            case 6:
            case 7:
                poll();
                break;
            case 8:
                deliver(peer, id);
                break;
            case 9:
                break_off(peer, id);
                break;
            case 10:
                move_on(extent);
                break;
            case 11:
                planner_.on_heard(id, now_);
                for (const auto& silent : planner_.silent(now_))
                    FLOW29_ASSERT(silent != id && !peers_.at(silent).asked.empty());
                break;
            default:
                drop(exists ? extent : ExtentIndex(0));
        }
    }
    void move_on(ExtentIndex extent) {
        if (input_.flag()) {
            consumed_ = std::max(consumed_, input_.number(set_.layout.length().value));
            planner_.on_consumed(ByteCount(consumed_));
        } else if (input_.flag() && extent.value < set_.layout.extents()) {
            planner_.on_taken(extent);
        } else {
            begin_max_ = input_.number(500'000);
            planner_.set_begin_max(ByteCount(begin_max_));
        }
    }
    void drop(ExtentIndex extent) {
        if (input_.octet() >= 64 || set_.layout.extents() == 0) return;
        planner_.drop(extent);
        dropped_.insert(extent.value);
        for (auto& [id, piece] : pieces_)
            if (piece.extent == extent && piece.askings == 0) piece.is_dropped = true;
    }

    void poll() {
        const auto request = planner_.poll_request(now_);
        if (!request) return;
        auto& peer = peers_.at(request->peer);
        FLOW29_ASSERT(peer.added && !peer.banned);
        FLOW29_ASSERT(peer.holds.contains(request->extent.value) &&
                      !peer.lacks.contains(request->extent.value));
        check_place(*request);
        const auto [entry, is_new] = pieces_.try_emplace(request->piece);
        auto& piece = entry->second;
        if (is_new) {
            for (const auto& [id, other] : pieces_)
                FLOW29_ASSERT(id == request->piece || other.bytes.last <= request->bytes.first ||
                              other.bytes.first >= request->bytes.last);
            piece.bytes = request->bytes;
            piece.extent = request->extent;
        }
        FLOW29_ASSERT(piece.bytes == request->bytes && piece.extent == request->extent);
        FLOW29_ASSERT(!piece.verified && !piece.is_dropped);
        FLOW29_ASSERT(piece.askings > 0 || !dropped_.contains(piece.extent.value));
        FLOW29_ASSERT(peer.asked.insert(request->piece).second &&
                      ++piece.askings <= DownloadPlanner::askings_max);
        FLOW29_ASSERT(peer.asked.size() <= set_.options.pieces_max);
        if (!set_.options.in_order || piece.askings > 1) return;
        const ByteRange& bytes = request->bytes;
        const bool in_window = bytes.last.value <= consumed_ + set_.options.window.value;
        FLOW29_ASSERT(in_window ||
                      (bytes.first.value <= consumed_ && consumed_ < bytes.last.value) ||
                      consumed_ < set_.want.first.value);
    }
    void check_place(const DownloadPlanner::Request& request) const {
        const auto extent = set_.layout.extent_bytes(request.extent);
        FLOW29_ASSERT(!request.bytes.empty() && request.bytes.first >= extent.first &&
                      request.bytes.last <= extent.last);
        FLOW29_ASSERT(request.bytes.count() <= set_.options.piece_bytes_max);
        const auto within =
            core::bytes_of(request.chunks, set_.layout.extent_length(request.extent));
        FLOW29_ASSERT(extent.first + within.first == request.bytes.first &&
                      extent.first + within.last == request.bytes.last);
        const auto chunk = limits::chunk_bytes;
        FLOW29_ASSERT(request.bytes.last.value > set_.want.first.value / chunk * chunk);
        FLOW29_ASSERT(request.bytes.first < set_.want.last);
    }

    /// One that was asked of this peer, or of anybody: an answer may come late.
    std::optional<PieceId> some_piece(const Peer& peer) {
        if (!peer.asked.empty() && input_.octet() < 200)
            return *std::next(peer.asked.begin(),
                              static_cast<std::ptrdiff_t>(input_.number(peer.asked.size() - 1)));
        if (pieces_.empty()) return std::nullopt;
        return std::next(pieces_.begin(),
                         static_cast<std::ptrdiff_t>(input_.number(pieces_.size() - 1)))
            ->first;
    }
    void deliver(Peer& peer, const NodeId& id) {
        if (const auto piece = some_piece(peer)) deliver(*piece, peer, id);
    }
    void deliver(PieceId id, Peer& peer, const NodeId& from) {
        auto& piece = pieces_.at(id);
        const bool counts = !piece.verified && !piece.is_dropped;
        FLOW29_ASSERT(planner_.on_piece(id, from, now_) == counts);
        if (counts) {
            piece.verified = true;
            verified_ += piece.bytes.count().value;
        }
        give_back(peer, id);
    }
    void break_off(Peer& peer, const NodeId& id) {
        const auto piece = some_piece(peer);
        if (!piece) return;
        const auto blame = static_cast<Blame>(input_.number(4));
        planner_.on_failure(*piece, id, blame, now_);
        const bool was_asked = peer.asked.contains(*piece);
        if (blame == Blame::lied && is_known(id)) {
            peer.banned = true;
            give_back_all(peer);
        } else if (was_asked && blame == Blame::lacks) {
            peer.unlearn(pieces_.at(*piece).extent.value);
            give_back(peer, *piece);
        } else if (was_asked && blame == Blame::ours) {
            give_back(peer, *piece);
        } else if (was_asked) {
            give_back_all(peer);
        }
    }
    [[nodiscard]] bool is_known(const NodeId& id) const { return planner_.is_banned(id); }
    void give_back(Peer& peer, PieceId id) {
        if (peer.asked.erase(id) == 0) return;
        auto& piece = pieces_.at(id);
        if (--piece.askings == 0 && !piece.verified && dropped_.contains(piece.extent.value))
            piece.is_dropped = true;
    }
    void give_back_all(Peer& peer) {
        while (!peer.asked.empty())
            give_back(peer, *peer.asked.begin());
    }

    void check() {
        planner_.check_invariants();
        FLOW29_ASSERT(planner_.verified().value == verified_);
        FLOW29_ASSERT(planner_.verified() <= planner_.wanted());
        FLOW29_ASSERT(planner_.done() == (planner_.verified() == planner_.wanted()));
        FLOW29_ASSERT(planner_.done() == planner_.unfinished().empty());
        std::size_t in_flight = 0;
        std::size_t usable = 0;
        for (const auto& [id, peer] : peers_) {
            in_flight += peer.asked.size();
            usable += peer.added && !peer.banned ? 1 : 0;
        }
        FLOW29_ASSERT(planner_.in_flight() == in_flight && planner_.usable_peers() == usable);
        if (const auto deadline = planner_.next_deadline(now_)) FLOW29_ASSERT(*deadline > now_);
    }

    /// Whatever happened: with one honest holder of everything, everything comes.
    void finish() {
        for (auto& [id, peer] : peers_) {
            planner_.remove_peer(id, now_);
            peer.added = false;
            give_back_all(peer);
        }
        planner_.set_begin_max(ByteCount(~std::uint64_t{0}));
        const auto id = proto::fake_node(honest);
        auto& peer = peers_[id];
        planner_.add_peer(id, now_);
        planner_.set_holds_all(id);
        peer.added = true;
        for (std::uint64_t i = 0; i < set_.layout.extents(); ++i)
            peer.learn(i, false);
        for (unsigned turns = 0; !planner_.done(); ++turns) {
            FLOW29_ASSERT(turns < 10'000);
            poll();
            if (!peer.asked.empty()) deliver(*peer.asked.begin(), peer, id);
            now_ += 1ms;
            read_on();
            check();
        }
    }
    /// A reader takes what is there, in order.
    void read_on() {
        const auto from = std::max(consumed_, set_.want.first.value);
        auto there = set_.have;
        for (const auto extent : dropped_)
            there.insert(set_.layout.extent_bytes(ExtentIndex(extent)).first.value,
                         set_.layout.extent_bytes(ExtentIndex(extent)).last.value);
        for (const auto& [id, piece] : pieces_)
            if (piece.verified) there.insert(piece.bytes.first.value, piece.bytes.last.value);
        const auto missing = there.first_gap(from, set_.layout.length().value);
        consumed_ = missing ? missing->first : set_.layout.length().value;
        planner_.on_consumed(ByteCount(consumed_));
    }

    fuzz::Input input_;
    Set set_;
    DownloadPlanner planner_;
    TimePoint now_ = proto::at(0s);
    std::map<NodeId, Peer> peers_;
    std::map<PieceId, Piece> pieces_;
    std::set<std::uint64_t> dropped_;
    std::uint64_t consumed_ = 0;
    std::uint64_t begin_max_ = 0;
    std::uint64_t verified_ = 0;
};

}  // namespace

/// A planner under any sequence of events asks only what it may, counts as its caller does, and
/// finishes once there is one honest holder.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Run(fuzz::Input(data, size)).all();
    return 0;
}
