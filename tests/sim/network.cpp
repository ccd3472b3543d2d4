// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/network.hpp"

#include <algorithm>

#include <flow29/limits.hpp>
#include "core/descriptor.hpp"

namespace flow29::sim {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t nearest_count = 14;
constexpr std::size_t message_overhead = 64;
constexpr Duration lookup_time = 120ms;

void add(Sent& sum, const Sent& more) {
    sum.messages += more.messages;
    sum.bytes += more.bytes;
}
}  // namespace

Duration Network::delay(const core::Endpoint& from, const core::Endpoint& to,
                        std::size_t bytes) const {
    if (distance_) return distance_->round_trip / 2 + std::chrono::microseconds(bytes * 2 / 25);
    const auto pair = std::hash<core::Endpoint>{}(from) ^ std::hash<core::Endpoint>{}(to);
    const auto fixed = 5 + pair % 41;
    return std::chrono::milliseconds(fixed) + std::chrono::microseconds(bytes * 2 / 25);
}

void Network::cut(std::set<core::Endpoint> one_side, std::set<core::Endpoint> other_side) {
    cuts_.push_back({std::move(one_side), std::move(other_side)});
    for (const auto& [endpoint, transport] : transports)
        transport->on_reach_changed();
}

void Network::heal() {
    cuts_.clear();
    for (const auto& [endpoint, transport] : transports)
        transport->on_reach_changed();
    for (auto& held : std::exchange(held_, {}))
        carry(held.from, held.to, world_.now() + delay(held.from, held.to, 0),
              std::move(held.arrive));
}

bool Network::reaches(const core::Endpoint& from, const core::Endpoint& to) const {
    return std::ranges::none_of(cuts_, [&](const Cut& cut) {
        return (cut.one_side.contains(from) && cut.other_side.contains(to)) ||
               (cut.one_side.contains(to) && cut.other_side.contains(from));
    });
}

void Network::carry(const core::Endpoint& from, const core::Endpoint& to, TimePoint when,
                    std::function<void()> arrive) {
    world_.at(when, [this, from, to, arrive = std::move(arrive)]() mutable {
        if (reaches(from, to))
            arrive();
        else
            held_.push_back({from, to, std::move(arrive)});
    });
}

void Network::count(const NodeId& from, std::string_view what, std::size_t bytes) {
    auto& names = sent_[from];
    auto found = names.find(what);
    if (found == names.end()) found = names.emplace(what, Sent{}).first;
    add(found->second, {1, bytes});
    bytes_moved += bytes;
}

Sent Network::sent(const NodeId& from, std::string_view what) const {
    const auto node = sent_.find(from);
    if (node == sent_.end()) return {};
    const auto found = node->second.find(what);
    return found == node->second.end() ? Sent{} : found->second;
}

Sent Network::sent(std::string_view what) const {
    Sent sum;
    for (const auto& [node, names] : sent_)
        add(sum, sent(node, what));
    return sum;
}

Sent Network::sent(const NodeId& from) const {
    Sent sum;
    if (const auto node = sent_.find(from); node != sent_.end())
        for (const auto& [name, more] : node->second)
            add(sum, more);
    return sum;
}

std::uint64_t Network::data_bytes() const {
    return sent("range_reply").bytes + sent("descriptor_reply").bytes;
}

SimPeer::SimPeer(Network& network, SimTransport& owner, NodeId id, proto::NodeRecord record,
                 core::Endpoint local, core::Endpoint remote, bool dialled)
    : network_(network),
      owner_(owner),
      id_(id),
      record_(std::move(record)),
      local_(local),
      remote_(remote),
      dialled_(dialled),
      serial_(network.next_serial()) {}

void SimPeer::send(std::size_t bytes, std::string_view what,
                   std::function<void(const std::shared_ptr<SimPeer>&)> deliver) {
    auto& world = network_.world();
    traffic_.bytes_up += bytes;
    network_.count(owner_.id(), what, bytes);
    // One message after the other, as on one TCP connection.
    const auto arrival = std::max(link_free_, world.now() + network_.delay(local_, remote_, bytes));
    link_free_ = arrival;
    const auto name = std::string(what);
    auto arrive = [this, self = shared_from_this(), other = other_, bytes, name,
                   deliver = std::move(deliver)] {
        const auto receiver = other.lock();
        if (!receiver || !receiver->open_ || !receiver->owner_.up()) return;
        network_.world().trace(name, owner_.id().view(), receiver->owner_.id().view());
        receiver->traffic_.bytes_down += bytes;
        deliver(receiver);
    };
    network_.carry(local_, remote_, arrival, std::move(arrive));
}

asio::awaitable<Result<net::Reply>> SimPeer::request(proto::Message request,
                                                     Duration idle_timeout) {
    const auto self = shared_from_this();
    if (!open_) co_return fail(Errc::peer_unreachable, "the connection has ended");
    const auto number = ++next_number_;
    const auto pending = std::make_shared<Pending>(owner_.runtime());
    pending_[number] = pending;
    const auto name = std::string(proto::message_name(request));
    const auto bytes = message_overhead + proto::encode_head(number, request).size();
    auto shared = std::make_shared<proto::Message>(std::move(request));
    send(bytes, name, [shared, number](const std::shared_ptr<SimPeer>& receiver) {
        receiver->arrive_request(std::move(*shared), number);
    });
    const auto deadline = owner_.runtime().now() + idle_timeout;
    while (!pending->reply && owner_.runtime().now() < deadline)
        co_await pending->ended.wait_until(deadline);
    pending_.erase(number);
    if (!pending->reply) co_return fail(Errc::timed_out, "no answer");
    co_return std::move(*pending->reply);
}

void SimPeer::ask_opening(const net::OpeningPtr& opening,
                          const std::shared_ptr<SimPeer>& receiver) {
    opening->set_sent();
    net::spawn(owner_.runtime(), await_opening(shared_from_this(), opening, receiver));
}

asio::awaitable<void> SimPeer::await_opening(std::shared_ptr<SimPeer> /*kept alive*/,
                                             net::OpeningPtr opening,
                                             std::shared_ptr<SimPeer> receiver) {
    proto::Message request = opening->request();
    network_.count(owner_.id(), proto::message_name(request),
                   message_overhead + proto::encode_head(0, request).size());
    auto reply = co_await receiver->owner_.handler().on_request(receiver, std::move(request));
    if (reply)
        network_.count(
            receiver->owner_.id(), proto::message_name(reply->message),
            message_overhead + proto::encode_head(0, reply->message).size() + reply->body.size());
    if (!open_) reply = fail(Errc::peer_unreachable, "the connection ended");
    opening->answer(std::move(reply));
}

void SimPeer::arrive_request(proto::Message request, std::uint64_t number) {
    if (network_.deaf.contains({local_, std::string(proto::message_name(request))})) return;
    net::spawn(owner_.runtime(), serve(shared_from_this(), std::move(request), number));
}

asio::awaitable<void> SimPeer::serve(std::shared_ptr<SimPeer> self, proto::Message request,
                                     std::uint64_t number) {
    auto reply = co_await owner_.handler().on_request(self, std::move(request));
    if (!open_ || !owner_.up()) co_return;
    std::size_t bytes = message_overhead;
    std::string name = "failure";
    if (reply) {
        bytes += proto::encode_head(number, reply->message).size() + reply->body.size();
        name = proto::message_name(reply->message);
    }
    auto shared = std::make_shared<Result<net::Reply>>(std::move(reply));
    send(bytes, name, [shared, number](const std::shared_ptr<SimPeer>& receiver) {
        receiver->arrive_reply(number, std::move(*shared));
    });
}

void SimPeer::arrive_reply(std::uint64_t number, Result<net::Reply> reply) {
    const auto found = pending_.find(number);
    if (found == pending_.end()) return;
    found->second->reply = std::move(reply);
    found->second->ended.notify_all();
}

void SimPeer::notify(proto::Message message) {
    if (!open_) return;
    const auto bytes = message_overhead + proto::encode_head(0, message).size();
    const auto name = std::string(proto::message_name(message));
    auto shared = std::make_shared<proto::Message>(std::move(message));
    send(bytes, name, [shared](const std::shared_ptr<SimPeer>& receiver) {
        if (const auto* update = std::get_if<proto::UpdateRecord>(shared.get()))
            receiver->record_ = update->record;
        receiver->owner_.handler().on_notification(receiver, std::move(*shared));
    });
}

void SimPeer::broke(const Error& reason) {
    if (!open_) return;
    const auto self = shared_from_this();
    open_ = false;
    auto pending = std::move(pending_);
    pending_.clear();
    for (auto& [number, waiting] : pending) {
        waiting->reply = fail(Errc::peer_unreachable, "the connection ended");
        waiting->ended.notify_all();
    }
    owner_.forget(self);
    owner_.handler().on_peer_closed(self, reason);
}

void SimPeer::close(Error reason) {
    if (!open_) return;
    const auto arrival = network_.world().now() + network_.delay(local_, remote_, 0);
    auto arrive = [other = other_] {
        if (const auto peer = other.lock())
            peer->broke(Error{Errc::peer_unreachable, "closed by the other side"});
    };
    network_.carry(local_, remote_, arrival, std::move(arrive));
    broke(reason);
}

void SimPeer::on_reach_changed() {
    auto& world = network_.world();
    if (network_.reaches(local_, remote_)) {
        silent_since_.reset();
        return;
    }
    if (silent_since_) return;
    silent_since_ = world.now();
    // Pings go out every few seconds, and the first one that stays without an answer counts.
    const auto until_ping = network_.delay(local_, remote_, 0) * 60;
    const auto breaks = world.now() + std::min<Duration>(until_ping, limits::ping_interval) +
                        limits::tcp_user_timeout;
    world.at(breaks, [weak = weak_from_this(), since = silent_since_] {
        const auto self = weak.lock();
        if (self && self->silent_since_ == since)
            self->broke(Error{Errc::timed_out, "the other end is silent"});
    });
}

void SimTransport::start(net::PeerHandler& handler) {
    handler_ = &handler;
    up_ = true;
    network_.transports[endpoint_] = this;
}

asio::awaitable<Result<net::PeerPtr>> SimTransport::connect(core::Endpoint endpoint,
                                                            std::optional<NodeId> expected,
                                                            std::optional<DhtKey> position,
                                                            net::OpeningPtr opening) {
    ++network_.dials[endpoint];
    // TCP, TLS and the hellos: three round trips.
    auto takes = network_.delay(endpoint_, endpoint, 0) * 6;
    if (!network_.lets_in(endpoint_, endpoint)) takes = limits::connect_timeout;
    co_await net::sleep_for(runtime_, takes);
    if (!network_.lets_in(endpoint_, endpoint))
        co_return fail(Errc::timed_out, endpoint.to_string() + " did not answer");
    if (!up_) co_return fail(Errc::peer_unreachable, "this node is down");
    if (endpoint == endpoint_) co_return fail(Errc::refused, "this very node");
    const auto found = network_.transports.find(endpoint);
    if (found == network_.transports.end())
        co_return fail(Errc::peer_unreachable, endpoint.to_string() + " refused the connection");
    auto& target = *found->second;
    const bool wrong = (expected && target.id_ != *expected) ||
                       (position && core::dht_position(target.id_) != *position);
    if (wrong) co_return fail(Errc::verification_failed, "somebody else is there");
    const auto mine = std::make_shared<SimPeer>(
        network_, *this, target.id_, target.handler_->local_record(), endpoint_, endpoint, true);
    const auto theirs = std::make_shared<SimPeer>(network_, target, id_, handler_->local_record(),
                                                  endpoint, endpoint_, false);
    mine->join(theirs);
    theirs->join(mine);
    peers_.insert(mine);
    target.peers_.insert(theirs);
    network_.world().trace("connect", id_.view(), target.id_.view());
    target.handler_->on_peer(theirs);
    handler_->on_peer(mine);
    // It went out with the hello, so the answer follows the other hello at once.
    if (opening) mine->ask_opening(opening, theirs);
    co_return net::PeerPtr(mine);
}

void SimTransport::stop() {
    const auto peers = peers_;
    for (const auto& peer : peers)
        peer->close(Error{Errc::interrupted, "stopping"});
    network_.transports.erase(endpoint_);
    up_ = false;
}

void SimTransport::crash() {
    if (!up_) return;
    stop();
}

void SimTransport::on_reach_changed() {
    for (const auto& peer : peers_)
        peer->on_reach_changed();
}

void SimIndex::go_up() {
    up_ = true;
    if (storing_) network_.positions[core::dht_position(id_)] = endpoint_;
}

void SimIndex::go_down() {
    up_ = false;
    network_.positions.erase(core::dht_position(id_));
}

Duration SimIndex::put_time() const {
    const auto& distance = network_.distance();
    return distance ? distance->put_hops * distance->round_trip : lookup_time;
}

void SimIndex::announce(const proto::ProviderRecord& record, std::function<void(bool)> done) {
    auto& world = network_.world();
    ++network_.puts;
    ++puts_;
    world.at(world.now() + put_time(), [this, record, done = std::move(done)] {
        if (up_) network_.providers[record.key][record.node()] = record;
        done(up_);
    });
}

void SimIndex::announce(const proto::NodeRecord& record, std::function<void(bool)> done) {
    auto& world = network_.world();
    ++network_.puts;
    ++puts_;
    world.at(world.now() + put_time(), [this, record, done = std::move(done)] {
        if (up_) network_.node_records[record.node()] = record;
        done(up_);
    });
}

dht::Lookup SimIndex::look(const DhtKey& key) const {
    dht::Lookup lookup;
    lookup.connected = up_;
    if (!up_) return lookup;
    for (const auto& [node, record] : network_.providers[key])
        if (record.expires > network_.world().wall_now() &&
            network_.reaches(endpoint_, record.address))
            lookup.providers.push_back(record);
    for (const auto& [position, endpoint] : network_.positions)
        if (position != core::dht_position(id_) && network_.reaches(endpoint_, endpoint))
            lookup.nearest.push_back({position, endpoint});
    const auto count = std::min(nearest_count, lookup.nearest.size());
    std::partial_sort(
        lookup.nearest.begin(), lookup.nearest.begin() + static_cast<std::ptrdiff_t>(count),
        lookup.nearest.end(),
        [&key](const auto& a, const auto& b) { return core::nearer(key, a.position, b.position); });
    lookup.nearest.resize(count);
    return lookup;
}

void SimIndex::find(const DhtKey& key, std::function<void(dht::Lookup)> done, SeenFn seen) {
    auto& world = network_.world();
    ++network_.lookups;
    auto takes = lookup_time;
    if (const auto& distance = network_.distance()) {
        takes = distance->round_trip * distance->all_hops;
        const auto first = distance->round_trip * distance->first_hops;
        if (seen) world.at(world.now() + first, [this, key, seen] { seen(look(key).providers); });
    }
    world.at(world.now() + takes, [this, key, done = std::move(done)] { done(look(key)); });
}

void SimIndex::find_node(const NodeId& node,
                         std::function<void(std::optional<proto::NodeRecord>)> done) {
    auto& world = network_.world();
    world.at(world.now() + lookup_time, [this, node, done = std::move(done)] {
        const auto found = network_.node_records.find(node);
        const bool there = found != network_.node_records.end() &&
                           network_.reaches(endpoint_, found->second.addresses.front());
        if (there)
            done(found->second);
        else
            done(std::nullopt);
    });
}

void SimIndex::neighbours(std::function<void(std::vector<dht::Contact>)> done) {
    done({});
}

void SimIndex::status(std::function<void(dht::IndexStatus)> done) {
    dht::IndexStatus status;
    status.connected = up_;
    status.good_nodes = network_.positions.size();
    status.puts = puts_;
    done(status);
}

}  // namespace flow29::sim
