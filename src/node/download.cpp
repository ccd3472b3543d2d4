// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/download.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;
using Planner = proto::DownloadPlanner;

namespace {
constexpr Duration request_timeout = limits::request_idle_timeout;
constexpr Duration holdings_timeout = 10s;
constexpr Duration report_period = 200ms;
constexpr Duration search_period = 3s;
constexpr Duration tick = 1s;
constexpr Duration stuck_after = 5s;
constexpr std::size_t starved_max = 64;
constexpr std::uint64_t heard_bytes_min = 4096;  // less is no answer, but what keeps a line open

/// A piece never crosses an extent, so where extents are single chunks a rate takes many more of
/// them.
Planner::Options planner_options(const Download::Options& download, unsigned level) {
    auto options = download.planner;
    if (download.budget != nullptr) options = download.budget->shape(options, download.is_repair);
    if (level >= limits::hash_group_level) return options;
    options.pieces_min = 32;
    options.pieces_max = 128;
    return options;
}

Planner::Blame blame_of(const Error& error) {
    switch (error.code) {
        case Errc::verification_failed:
        case Errc::peer_misbehaved:
            return Planner::Blame::lied;
        case Errc::peer_lacks:
        case Errc::not_found:
        case Errc::corrupt_store:
            return Planner::Blame::lacks;
        case Errc::peer_busy:
            return Planner::Blame::busy;
        default:
            return Planner::Blame::unreachable;
    }
}
}  // namespace

Download::Download(Services services, Tasks& tasks, PeerBook& peers, core::Descriptor descriptor,
                   ByteRange want, const core::RangeSet& have, PieceSink& sink, Options options)
    : services_(services),
      tasks_(tasks),
      peers_(peers),
      descriptor_(std::move(descriptor)),
      layout_(descriptor_.layout()),
      want_(want),
      planner_(layout_, want, have, planner_options(options, descriptor_.level)),
      sink_(sink),
      options_(std::move(options)),
      moved_(services.runtime),
      earlier_(have.size()),
      last_error_{Errc::not_found, "nobody reachable holds it"} {
    if (options_.local.empty() || !peers_.local()) return;
    const auto self = peers_.local()->id();
    present_.insert(self);
    asked_.insert(self);
    planner_.add_peer(self, services_.runtime.now());
    for (const auto extent : options_.local)
        planner_.set_holds(self, extent);
}

void Download::add_holder(const net::PeerPtr& peer, bool holds_all) {
    if (ended_ || peer->id() == services_.identity.id() || !peer->open()) return;
    if (present_.insert(peer->id()).second) planner_.add_peer(peer->id(), services_.runtime.now());
    if (holds_all) {
        planner_.set_holds_all(peer->id());
        asked_.insert(peer->id());
    } else if (asked_.insert(peer->id()).second) {
        tasks_.start(ask_holdings(shared_from_this(), peer));
    }
    moved_.notify_all();
}

void Download::add_holder_of(const net::PeerPtr& peer, const std::vector<ExtentIndex>& extents) {
    if (ended_ || peer->id() == services_.identity.id() || !peer->open()) return;
    if (present_.insert(peer->id()).second) planner_.add_peer(peer->id(), services_.runtime.now());
    for (const auto extent : extents)
        planner_.set_holds(peer->id(), extent);
    moved_.notify_all();
}

void Download::on_taken(ExtentIndex extent) {
    planner_.on_taken(extent);
    moved_.notify_all();
}

void Download::drop(ExtentIndex extent) {
    planner_.drop(extent);
    moved_.notify_all();
}

void Download::guess_holder(const net::PeerPtr& peer, ExtentIndex extent) {
    if (ended_ || peer->id() == services_.identity.id() || !peer->open()) return;
    if (present_.insert(peer->id()).second) planner_.add_peer(peer->id(), services_.runtime.now());
    planner_.guess_holds(peer->id(), extent);
    moved_.notify_all();
}

void Download::on_stored(const NodeId& node, const std::vector<proto::ItemId>& items) {
    const auto peer = peers_.find(node);
    if (ended_ || !peer) return;
    if (present_.insert(node).second) planner_.add_peer(node, services_.runtime.now());
    last_progress_ = services_.runtime.now();
    if (positions_.empty()) {
        for (std::uint64_t i = 0; i < layout_.extents(); ++i)
            positions_.emplace_back(descriptor_.extents[i], ExtentIndex(i));
        std::ranges::sort(positions_);
    }
    for (const auto& item : items)
        for (const auto& same :
             std::ranges::equal_range(positions_, item.extent(), {}, &Position::first))
            planner_.set_holds(node, same.second);
    moved_.notify_all();
}

void Download::on_consumed(ByteCount offset) {
    planner_.on_consumed(offset);
    last_progress_ = services_.runtime.now();
    moved_.notify_all();
}

asio::awaitable<bool> Download::ask_which(std::shared_ptr<Download> self, net::PeerPtr peer,
                                          std::vector<ExtentIndex> extents) {
    proto::Have have;
    for (const auto extent : extents)
        have.items.push_back(proto::ItemId::of(self->descriptor_.extents[extent.value]));
    proto::Message ask = std::move(have);
    auto reply = co_await peer->request(std::move(ask), holdings_timeout);
    if (!reply || self->ended_) co_return false;
    const auto* held = std::get_if<proto::HaveReply>(&reply->message);
    if (held == nullptr || held->items.size() != extents.size()) co_return true;
    for (std::size_t i = 0; i < extents.size(); ++i)
        if (held->items[i] >= proto::Holding::cached && !self->options_.local.contains(extents[i]))
            self->planner_.set_holds(peer->id(), extents[i]);
    self->moved_.notify_all();
    co_return true;
}

asio::awaitable<void> Download::ask_holdings(std::shared_ptr<Download> self, net::PeerPtr peer) {
    // What is wanted only gets less, so nothing else is ever asked of it.
    auto left = self->planner_.unfinished();
    while (!left.empty()) {
        const auto count = std::min<std::size_t>(left.size(), limits::items_per_message_max);
        const auto end = left.begin() + static_cast<std::ptrdiff_t>(count);
        std::vector<ExtentIndex> asked(left.begin(), end);
        left.erase(left.begin(), end);
        const bool answered = co_await ask_which(self, peer, std::move(asked));
        if (answered) continue;
        self->asked_.erase(peer->id());
        co_return;
    }
}

asio::awaitable<void> Download::ask_again(std::shared_ptr<Download> self, net::PeerPtr peer,
                                          std::vector<ExtentIndex> starved) {
    (void)co_await ask_which(self, peer, std::move(starved));
}

/// On a worker. The data are decrypted in place once they are verified.
Download::Verdict Download::verify_and_store(const Piece& piece, core::Buffer& data,
                                             const core::Proof& proof) const {
    const auto length = layout_.extent_length(piece.extent);
    const auto chunks = core::chunks_in(length);
    const auto expected = core::bytes_of(piece.chunks, length).count();
    if (data.size() != expected.value)
        return {fail(Errc::verification_failed, "a wrong number of bytes"), false};
    auto verified = core::verify_range(descriptor_.extents[piece.extent.value], chunks,
                                       piece.chunks, data.view(), proof);
    if (!verified) return {fail(verified.error()), false};
    if (options_.key) options_.key->apply(piece.bytes.first.value, data.span());
    return {sink_.store(piece, data.view(), *verified), true};
}

asio::awaitable<void> Download::fetch_piece(std::shared_ptr<Download> self,
                                            Planner::Request request) {
    const auto peer = self->peers_.find(request.peer);
    if (!peer) {
        self->on_request_failed(request, Error{Errc::peer_unreachable, "the connection ended"});
        co_return;
    }
    self->heard_[request.peer] = peer->traffic().bytes_down;
    proto::Message ask = proto::GetRange{self->descriptor_.extents[request.extent.value],
                                         self->layout_.extent_length(request.extent),
                                         request.chunks, self->options_.is_repair};
    auto reply = co_await peer->request(std::move(ask), request_timeout);
    if (self->ended_) co_return;
    if (!reply) {
        self->on_request_failed(request, reply.error());
        co_return;
    }
    auto body = std::make_shared<core::Buffer>(std::move(reply->body));
    const Piece piece{request.extent, request.chunks, request.bytes};
    // A copy of the proof goes along: the reply does not outlive this coroutine, the job might.
    auto job = [self, piece, body,
                proof = std::move(std::get<proto::RangeReply>(reply->message).proof)] {
        return self->verify_and_store(piece, *body, proof);
    };
    ++self->storing_;
    auto verdict = co_await net::offload(self->services_.runtime, std::move(job));
    --self->storing_;
    self->moved_.notify_all();
    if (self->ended_) co_return;
    if (!verdict.outcome && verdict.sink_failed) {
        self->fatal_ = verdict.outcome.error();
        self->planner_.on_failure(request.piece, request.peer, Planner::Blame::ours,
                                  self->services_.runtime.now());
        co_return;
    }
    if (!verdict.outcome) {
        self->on_request_failed(request, verdict.outcome.error());
        co_return;
    }
    const auto now = self->services_.runtime.now();
    if (self->planner_.on_piece(request.piece, request.peer, now)) {
        if (request.peer != self->services_.identity.id()) {
            self->peers_.note_outcome(request.peer, true);
            self->fetched_ += request.bytes.count();
            self->served_by_.insert(request.peer);
        } else {
            self->own_ += request.bytes.count();
        }
        if (!self->first_bytes_at_) self->first_bytes_at_ = now;
        self->last_progress_ = now;
        self->sink_.deliver(piece, *body);
    }
}

void Download::on_request_failed(const Planner::Request& request, const Error& error) {
    const auto blame = blame_of(error);
    planner_.on_failure(request.piece, request.peer, blame, services_.runtime.now());
    if (blame != Planner::Blame::busy) holder_lost_ = true;
    // A lie says more than that the liar's connection was closed afterwards.
    if (last_error_.code != Errc::verification_failed) last_error_ = error;
    if (request.peer == services_.identity.id())
        give_up_local();
    else if (blame != Planner::Blame::busy)
        peers_.note_outcome(request.peer, false);
    if (blame == Planner::Blame::lied) {
        log::warn("transfer", "node {} sent wrong data for chunks {} to {} of extent {}: {}",
                  to_hex(request.peer).substr(0, 12), request.chunks.first.value,
                  request.chunks.last.value, request.extent.value, error.message());
        peers_.ban(request.peer, "it sent data that do not match their hash");
    }
    moved_.notify_all();
}

/// What was here is damaged or gone: the others are asked, for everything.
void Download::give_up_local() {
    if (options_.local.empty()) return;
    const auto self = services_.identity.id();
    options_.local.clear();
    planner_.remove_peer(self, services_.runtime.now());
    present_.erase(self);
    asked_.clear();
    asked_.insert(self);
    for (const auto& node : present_)
        if (const auto peer = peers_.find(node); peer && asked_.insert(node).second)
            tasks_.start(ask_holdings(shared_from_this(), peer));
}

void Download::drop_closed_peers() {
    const auto now = services_.runtime.now();
    for (auto it = present_.begin(); it != present_.end();) {
        if (peers_.find(*it)) {
            ++it;
            continue;
        }
        planner_.remove_peer(*it, now);
        holder_lost_ = true;
        asked_.erase(*it);
        it = present_.erase(it);
    }
}

/// Whoever sends is not silent, however long a piece takes.
void Download::note_heard(TimePoint now) {
    std::set<NodeId> silent;
    for (const auto& node : planner_.silent(now)) {
        const auto peer = peers_.find(node);
        const auto bytes = peer ? peer->traffic().bytes_down : 0;
        auto& before = heard_[node];
        // The own store has no traffic, and nobody else is to be asked because the disk is slow.
        if (node == services_.identity.id() || bytes >= before + heard_bytes_min) {
            before = bytes;
            planner_.on_heard(node, now);
        } else {
            holder_lost_ = holder_lost_ || !silent_.contains(node);
            silent.insert(node);
        }
    }
    silent_ = std::move(silent);
}

asio::awaitable<void> Download::find_more(std::shared_ptr<Download> self,
                                          std::vector<ExtentIndex> starved) {
    co_await self->options_.find_more(std::move(starved));
    self->searching_ = false;
    self->moved_.notify_all();
}

void Download::look_for_more() {
    const auto now = services_.runtime.now();
    if (!options_.find_more || searching_ || (now < next_search_ && !holder_lost_)) return;
    holder_lost_ = false;
    auto starved = planner_.starved(starved_max, now);
    if (starved.empty() && now >= last_progress_ + stuck_after) {
        // Those who say that they hold it give nothing: as good as nobody.
        starved = planner_.unfinished();
        starved.resize(std::min(starved.size(), starved_max));
    }
    if (starved.empty()) return;
    next_search_ = now + search_period;
    searching_ = true;
    // What they have told of may have been lost with a connection.
    const auto self = services_.identity.id();
    for (const auto& node : present_)
        if (const auto peer = peers_.find(node); peer && asked_.contains(node) && node != self)
            tasks_.start(ask_again(shared_from_this(), peer, starved));
    tasks_.start(find_more(shared_from_this(), std::move(starved)));
}

asio::awaitable<bool> Download::wait_short_of_holders(Duration patience) {
    const auto until = services_.runtime.now() + patience;
    const auto may_wait = [this, until] {
        const auto now = services_.runtime.now();
        return !ended_ && !planner_.done() && now < until && planner_.starved(1, now).empty();
    };
    while (may_wait())
        co_await moved_.wait_until(until);
    co_return !ended_ && !planner_.done();
}

void Download::report(bool force) {
    const auto now = services_.runtime.now();
    if (!options_.progress || (!force && now < last_report_ + report_period)) return;
    last_report_ = now;
    options_.progress(*this);
}

/// So that repair steps back meanwhile.
void Download::set_waited_for(bool waited_for) {
    auto* const budget = options_.budget;
    if (budget == nullptr || options_.is_repair || waited_for == waited_for_) return;
    waited_for_ = waited_for;
    const auto now = services_.runtime.now();
    if (waited_for)
        budget->begin_foreground(now);
    else
        budget->end_foreground(now);
}

asio::awaitable<Result<void>> Download::run() {
    const auto self = shared_from_this();
    last_progress_ = services_.runtime.now();
    auto* const budget =
        options_.budget != nullptr && options_.is_repair ? &options_.budget->repair() : nullptr;
    Result<void> outcome;
    while (!planner_.done()) {
        const auto now = services_.runtime.now();
        if (fatal_) {
            outcome = fail(*fatal_);
            break;
        }
        if (options_.stop.stop_requested() || tasks_.stopping()) {
            outcome = fail(Errc::interrupted, "stopped");
            break;
        }
        if (now > last_progress_ + options_.idle_timeout) {
            outcome = present_.empty() ? fail(last_error_)
                                       : fail(Errc::timed_out,
                                              "nothing arrived any more: " + last_error_.message() +
                                                  "; try again, or wait longer (--timeout)");
            break;
        }
        drop_closed_peers();
        const bool paused = options_.is_paused && options_.is_paused();
        set_waited_for(!paused);
        if (paused) last_progress_ = now;
        note_heard(now);
        while (!paused) {
            if (budget != nullptr && budget->is_limited() && budget->ready_at() > now) break;
            if (options_.begin_max) planner_.set_begin_max(options_.begin_max());
            auto request = planner_.poll_request(now);
            if (!request) break;
            if (budget != nullptr) (void)budget->take(request->bytes.count(), now);
            tasks_.start(fetch_piece(self, std::move(*request)));
        }
        const bool is_saving = budget != nullptr && budget->ready_at() > now;
        if (!paused) look_for_more();
        // A reader that takes its time is not a stall of the swarm.
        if (options_.planner.in_order && planner_.in_flight() == 0 && planner_.usable_peers() > 0 &&
            planner_.starved(1, now).empty())
            last_progress_ = now;
        // Nor is one whose budget is spent.
        if (is_saving && planner_.in_flight() == 0) last_progress_ = now;
        report(false);
        auto next = planner_.next_deadline(now).value_or(now + tick);
        if (is_saving) next = budget->ready_at();
        const auto deadline = std::clamp(next, now + Duration(1ms), now + Duration(tick));
        co_await moved_.wait_until(deadline);
    }
    ended_ = true;
    set_waited_for(false);
    // Who was asked, and has not given one piece until others had given everything.
    for (const auto& peer : planner_.peers())
        if (peer.in_flight > 0 && peer.bytes == 0) peers_.note_outcome(peer.peer, false);
    // Jobs on a worker still use the sink, which the caller is about to destroy.
    while (storing_ > 0)
        co_await moved_.wait_until(services_.runtime.now() + tick);
    report(true);
    co_return outcome;
}

}  // namespace flow29::node
