// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/peer_book.hpp"

#include <algorithm>

#include "core/link_local.hpp"
#include "core/log.hpp"
#include "net/resolve.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration contact_period = 2s;

/// The peer's record; what it says of addresses of one link is of the link to the peer.
proto::NodeRecord record_of(const net::PeerPtr& peer) {
    auto record = peer->record();
    for (auto& address : record.addresses)
        address = core::as_named_by(peer->remote(), address);
    return record;
}
}  // namespace

PeerBook::PeerBook(Services services, Tasks& tasks, proto::NodeTable& table,
                   NodeChanged node_changed)
    : services_(services), tasks_(tasks), table_(table), node_changed_(std::move(node_changed)) {}

void PeerBook::on_peer(const net::PeerPtr& peer) {
    if (is_shunned(peer->id())) {
        // Whoever names the address has it dialled again and again.
        if (peer->dialled())
            rules_.on_no_answer({peer->remote(), std::nullopt}, services_.runtime.now());
        peer->close(Error{Errc::refused, "not welcome here"});
        return;
    }
    open_[peer->id()].push_back(peer);
    since_.emplace(peer, services_.runtime.now());
    const auto record = record_of(peer);
    for (const auto& address : record.addresses)
        rules_.on_answered(address);
    on_record(peer);
}

void PeerBook::on_record(const net::PeerPtr& peer) {
    const auto record = record_of(peer);
    const auto node = peer->id();
    const auto now = services_.runtime.now();
    if (record.storing) {
        const bool was_alive = table_.is_alive(node);
        table_.on_alive(record, now, peer->remote());
        if (!was_alive) node_changed_(node);
        return;
    }
    // It was a holder and is none any more.
    const auto* known = table_.find(node);
    if (known == nullptr || !table_.counts(node) || known->record.sequence > record.sequence)
        return;
    table_.on_goodbye(node, now);
    node_changed_(node);
}

void PeerBook::tell_all(const proto::Message& message) const {
    // Copied first: whoever takes in nothing any more is closed, and leaves the list.
    std::vector<net::PeerPtr> peers;
    for (const auto& [node, connections] : open_)
        peers.insert(peers.end(), connections.begin(), connections.end());
    for (const auto& peer : peers)
        peer->notify(message);
}

void PeerBook::on_peer_closed(const net::PeerPtr& peer, const Error& reason) {
    const auto traffic = peer->traffic();
    closed_traffic_.bytes_up += traffic.bytes_up;
    closed_traffic_.bytes_down += traffic.bytes_down;
    if (reason.code == Errc::peer_misbehaved) note_misconduct(peer, reason);
    const auto found = open_.find(peer->id());
    if (found == open_.end()) return;
    std::erase(found->second, peer);
    const bool is_last = found->second.empty();
    const bool is_turned_away = note_end(peer, reason) && is_last;
    if (!is_last) return;
    open_.erase(found);
    if (tasks_.stopping() || !table_.is_alive(peer->id())) return;
    // A closed connection is not yet a missing node: it may only have been the connection. But
    // whoever has been silent for that long must not be waited for any longer; keep_contact dials.
    if (reason.code == Errc::timed_out || is_banned(peer->id()) || is_turned_away) {
        table_.on_missing(peer->id(), services_.runtime.now());
        node_changed_(peer->id());
    } else {
        tasks_.start(redial(peer->id()));
    }
}

/// Whether the other end turned this node away.
bool PeerBook::note_end(const net::PeerPtr& peer, const Error& reason) {
    const auto since = since_.extract(peer);
    // What this node ended itself says nothing of the other one.
    const bool was_theirs = peer->dialled() && reason.code == Errc::peer_unreachable;
    if (since.empty() || !was_theirs) return false;
    const auto now = services_.runtime.now();
    const proto::DialRules::Target target{peer->remote(), core::dht_position(peer->id())};
    return rules_.on_ended(target, now - since.mapped(), now);
}

void PeerBook::on_goodbye(const net::PeerPtr& peer) {
    table_.on_goodbye(peer->id(), services_.runtime.now());
    node_changed_(peer->id());
    peer->close(Error{Errc::peer_unreachable, "it said goodbye"});
}

net::PeerPtr PeerBook::find(const NodeId& node) const {
    if (local_ && node == local_->id()) return local_;
    const auto found = open_.find(node);
    if (found == open_.end()) return nullptr;
    for (const auto& peer : found->second)
        if (peer->open()) return peer;
    return nullptr;
}

net::PeerPtr PeerBook::find_at(const core::Endpoint& endpoint,
                               const std::optional<NodeId>& expected,
                               const std::optional<DhtKey>& position) const {
    if (expected) return find(*expected);
    for (const auto& [node, connections] : open_) {
        if (position && core::dht_position(node) != *position) continue;
        for (const auto& peer : connections) {
            const auto is_it = [&](const core::Endpoint& address) {
                return core::as_named_by(peer->remote(), address) == endpoint;
            };
            const bool there = position || (peer->dialled() && peer->remote() == endpoint) ||
                               std::ranges::any_of(peer->record().addresses, is_it);
            if (there && peer->open()) return peer;
        }
    }
    return nullptr;
}

std::vector<net::PeerPtr> PeerBook::open() const {
    std::vector<net::PeerPtr> peers;
    for (const auto& [node, connections] : open_)
        for (const auto& peer : connections)
            if (peer->open()) {
                peers.push_back(peer);
                break;
            }
    return peers;
}

struct PeerBook::Race {
    explicit Race(net::Runtime& runtime) : moved(runtime) {}
    net::Signal moved;
    net::PeerPtr winner;
    Error last{Errc::peer_unreachable, "it has no address"};
    std::size_t running = 0;
};

asio::awaitable<void> PeerBook::run_in(std::shared_ptr<Race> race, proto::DialRules::Target target,
                                       NodeId node) {
    const auto peer = co_await dial_target(std::move(target), node, nullptr);
    if (!peer)
        race->last = peer.error();
    else if (!race->winner)
        race->winner = *peer;
    --race->running;
    race->moved.notify_all();
}

asio::awaitable<Result<net::PeerPtr>> PeerBook::reach(Named named) {
    const NodeId node = named.record.node();
    if (auto peer = find(node)) co_return peer;
    if (is_banned(node)) co_return fail(Errc::refused, "this node was caught lying");
    if (blocked_.contains(node)) co_return fail(Errc::refused, "this node is blocked here");
    const auto race = std::make_shared<Race>(services_.runtime);
    for (auto address : named.record.addresses) {
        if (named.by && !proto::DialRules::may_name(*named.by, address)) continue;
        if (named.by) address = core::as_named_by(*named.by, address);
        address = net::on_sole_link(address);
        proto::DialRules::Target target{address, core::dht_position(node), named.by.has_value()};
        ++race->running;
        tasks_.start(run_in(race, std::move(target), node));
    }
    while (!race->winner && race->running > 0)
        co_await race->moved.wait();
    if (race->winner) co_return race->winner;
    co_return fail(race->last);
}

asio::awaitable<Result<net::PeerPtr>> PeerBook::dial(core::Endpoint endpoint,
                                                     std::optional<NodeId> expected,
                                                     std::optional<DhtKey> position,
                                                     net::OpeningPtr opening) {
    proto::DialRules::Target target{net::on_sole_link(endpoint), position};
    if (expected) target.whom = core::dht_position(*expected);
    auto peer = co_await dial_target(std::move(target), expected, std::move(opening));
    co_return peer;
}

asio::awaitable<Result<net::PeerPtr>> PeerBook::dial_target(proto::DialRules::Target target,
                                                            std::optional<NodeId> expected,
                                                            net::OpeningPtr opening) {
    const auto& [endpoint, position, handed_over] = target;
    if (endpoint.is_unspecified()) co_return fail(Errc::peer_unreachable, "no address");
    for (;;) {
        if (auto peer = find_at(endpoint, expected, position)) co_return peer;
        if (!rules_.may_dial(target, services_.runtime.now(), open().empty()))
            co_return fail(Errc::peer_unreachable,
                           endpoint.to_string() + " did not answer just before");
        const auto running = attempts_.find(endpoint);
        if (running == attempts_.end()) {
            const auto other = position ? attempt_at(*position) : nullptr;
            if (!other || services_.runtime.now() >= other->began + head_start) break;
            (void)co_await other->ended.wait_until(other->began + head_start);
            continue;
        }
        const auto attempt = running->second;
        while (!attempt->outcome)
            co_await attempt->ended.wait();
        const auto& outcome = *attempt->outcome;
        // Somebody else was looked for there, so that says nothing.
        if (!outcome && outcome.error().code == Errc::verification_failed) continue;
        if (!outcome) co_return fail(outcome.error());
        const auto peer = *outcome;
        const bool right = (!expected || peer->id() == *expected) &&
                           (!position || core::dht_position(peer->id()) == *position);
        if (!right) co_return fail(Errc::verification_failed, "somebody else is there");
        co_return peer;
    }

    const auto attempt = std::make_shared<Attempt>(services_.runtime, position);
    attempts_.emplace(endpoint, attempt);
    auto outcome =
        co_await services_.transport.connect(endpoint, expected, position, std::move(opening));
    attempts_.erase(endpoint);
    if (!outcome) {
        log::debug("peers", "{}: {}", endpoint.to_string(), outcome.error().message());
        note_failure(target, outcome.error());
    }
    if (outcome && is_shunned((*outcome)->id()))
        outcome = fail(Errc::refused, "nothing to do with that node");
    if (const auto first = outcome ? dialled_before(*outcome) : nullptr) {
        (*outcome)->close(Error{Errc::interrupted, "there is another connection to it"});
        outcome = first;
    }
    attempt->outcome = outcome;
    attempt->ended.notify_all();
    co_return outcome;
}

std::shared_ptr<PeerBook::Attempt> PeerBook::attempt_at(const DhtKey& position) const {
    std::shared_ptr<Attempt> latest;
    for (const auto& [endpoint, attempt] : attempts_)
        if (attempt->whom == position && (!latest || latest->began < attempt->began))
            latest = attempt;
    return latest;
}

net::PeerPtr PeerBook::dialled_before(const net::PeerPtr& peer) const {
    const auto found = open_.find(peer->id());
    if (found == open_.end()) return nullptr;
    // An older one may be dead without anybody having noticed: it had moved, and was dialled anew.
    const auto since = services_.runtime.now() - limits::handshake_timeout;
    const auto other = std::ranges::find_if(found->second, [&](const auto& one) {
        return one != peer && one->dialled() && one->open() && since_.at(one) > since;
    });
    return other == found->second.end() ? nullptr : *other;
}

bool PeerBook::is_doubtful(const core::Endpoint& endpoint, Duration patience) const {
    const auto running = attempts_.find(endpoint);
    const bool is_late =
        running != attempts_.end() && services_.runtime.now() >= running->second->began + patience;
    return is_late || rules_.was_silent(endpoint);
}

asio::awaitable<std::optional<bool>> PeerBook::dial_back(net::PeerPtr asker, std::uint16_t port) {
    const auto node = asker->id();
    auto endpoint = asker->remote();
    endpoint.port = port;
    proto::DialRules::Target target{endpoint, core::dht_position(node), true};
    if (!rules_.may_dial(target, services_.runtime.now())) co_return std::nullopt;
    const auto dialled = co_await services_.transport.connect(endpoint, node, std::nullopt);
    if (!dialled) {
        note_failure(target, dialled.error());
        co_return false;
    }
    if (asker->open())
        (*dialled)->close(Error{Errc::peer_unreachable, "it was made to see whether it can be"});
    co_return true;
}

void PeerBook::note_failure(const proto::DialRules::Target& target, const Error& error) {
    const auto now = services_.runtime.now();
    if (error.code == Errc::verification_failed)
        rules_.on_somebody_else(target, now);
    else
        rules_.on_no_answer(target, now);
}

void PeerBook::ban(const NodeId& node, std::string_view why) {
    if (node == services_.identity.id() || !conduct_.on_lie(node, why)) return;
    log::warn("peers", "node {} is not used again: {}", to_hex(node).substr(0, 12), why);
    const auto found = open_.find(node);
    if (found == open_.end()) return;
    const auto connections = found->second;
    for (const auto& peer : connections)
        peer->close(Error{Errc::peer_misbehaved, std::string(why)});
}

/// The transport, or `ban`, ended a connection for what came over it.
void PeerBook::note_misconduct(const net::PeerPtr& peer, const Error& reason) {
    const auto& node = peer->id();
    conduct_.on_disconnected(node, peer->remote().to_string());
    if (is_banned(node) || !conduct_.on_strike(node, reason.message())) return;
    log::warn("peers", "node {} is not used again: {}", to_hex(node).substr(0, 12),
              reason.message());
    const auto found = open_.find(node);
    if (found == open_.end()) return;
    const auto connections = found->second;
    for (const auto& other : connections)
        other->close(Error{Errc::peer_misbehaved, reason.message()});
}

void PeerBook::block(const NodeId& node) {
    if (!blocked_.insert(node).second) return;
    table_.on_goodbye(node, services_.runtime.now());
    node_changed_(node);
    const auto found = open_.find(node);
    if (found == open_.end()) return;
    const auto connections = found->second;
    for (const auto& peer : connections)
        peer->close(Error{Errc::refused, "blocked"});
}

asio::awaitable<void> PeerBook::redial(NodeId node) {
    const auto* entry = table_.find(node);
    if (entry == nullptr) co_return;
    Named known{entry->record};
    const auto peer = co_await reach(std::move(known));
    if (peer || tasks_.stopping() || find(node)) co_return;
    table_.on_missing(node, services_.runtime.now());
    node_changed_(node);
}

asio::awaitable<void> PeerBook::keep_contact() {
    while (co_await tasks_.sleep_for(contact_period)) {
        note_rates();
        // Side by side: an address where nobody answers takes its time.
        for (auto& record : table_.missing_records())
            if (trying_.insert(record.node()).second) tasks_.start(try_again(std::move(record)));
    }
}

asio::awaitable<void> PeerBook::try_again(proto::NodeRecord record) {
    const NodeId node = record.node();
    Named known{std::move(record)};
    const auto peer = co_await reach(std::move(known));
    (void)peer;  // on_peer has told the table
    trying_.erase(node);
}

void PeerBook::note_rates() {
    constexpr double seconds = std::chrono::duration<double>(contact_period).count();
    std::unordered_map<NodeId, Rate> rates;
    for (const auto& peer : open()) {
        const auto known = rates_.find(peer->id());
        Rate rate{peer->traffic().bytes_down, 0};
        if (known != rates_.end() && rate.bytes >= known->second.bytes) {
            const auto moved = static_cast<double>(rate.bytes - known->second.bytes);
            rate.per_second = (known->second.per_second + moved / seconds) / 2;
        }
        rates.emplace(peer->id(), rate);
    }
    rates_ = std::move(rates);
}

double PeerBook::rate(const NodeId& node) const {
    const auto known = rates_.find(node);
    return known == rates_.end() ? 0 : known->second.per_second;
}

net::PeerTraffic PeerBook::traffic() const {
    auto sum = closed_traffic_;
    for (const auto& [node, connections] : open_)
        for (const auto& peer : connections) {
            const auto traffic = peer->traffic();
            sum.bytes_up += traffic.bytes_up;
            sum.bytes_down += traffic.bytes_down;
        }
    return sum;
}

}  // namespace flow29::node
