// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/neighbourhood.hpp"

#include <algorithm>
#include <set>

#include "core/log.hpp"
#include "node/gather.hpp"
#include "proto/crowd.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration request_timeout = 5s;
constexpr Duration saturation_lasts = 30s;
constexpr std::size_t widen_asks = 3;
constexpr std::size_t widen_asks_in_a_crowd = 12;
constexpr std::size_t neighbours_measured = 14;  // as many as a look-up lists
constexpr std::size_t dials_at_once = 128;
constexpr std::size_t named_max = 3;  // in a text
constexpr Duration alone_for_long = 30s;
constexpr Duration alone_pause = 5s;
constexpr Duration complaint_period = 10min;
constexpr Duration names_period = 1s;
}  // namespace

asio::awaitable<std::vector<net::PeerPtr>> Neighbourhood::dial_all(
    std::vector<dht::Contact> contacts, Duration longest) {
    Gather<Result<net::PeerPtr>> gather(services_.runtime, tasks_);
    std::size_t started = 0;
    for (const auto& contact : contacts) {
        if (++started > dials_at_once) break;
        std::optional<DhtKey> position;
        if (!contact.position.is_zero()) position = contact.position;
        gather.start(peers_.dial(contact.endpoint, std::nullopt, position));
    }
    auto outcomes = co_await gather.within(longest);
    std::vector<net::PeerPtr> peers;
    for (auto& outcome : outcomes)
        if (outcome) peers.push_back(std::move(*outcome));
    if (!peers.empty()) joined_ = true;
    co_return peers;
}

asio::awaitable<std::vector<net::PeerPtr>> Neighbourhood::reach_all(std::vector<Named> nodes,
                                                                    Duration longest) {
    Gather<Result<net::PeerPtr>> gather(services_.runtime, tasks_);
    const auto self = services_.identity.id();
    std::size_t started = 0;
    for (auto& named : nodes) {
        if (named.record.node() == self) continue;
        if (++started > dials_at_once) break;
        gather.start(peers_.reach(std::move(named)));
    }
    auto outcomes = co_await gather.within(longest);
    std::vector<net::PeerPtr> peers;
    for (auto& outcome : outcomes)
        if (outcome) peers.push_back(std::move(*outcome));
    if (!peers.empty()) joined_ = true;
    co_return peers;
}

asio::awaitable<std::vector<Named>> Neighbourhood::ask_closest(net::PeerPtr peer, DhtKey key) {
    proto::Message ask = proto::GetClosest{key};
    auto reply = co_await peer->request(std::move(ask), request_timeout);
    auto* closest = reply ? std::get_if<proto::ClosestReply>(&reply->message) : nullptr;
    std::vector<Named> nodes;
    if (closest == nullptr) co_return nodes;
    for (auto& record : closest->nodes)
        if (nodes.size() < limits::closest_named_max)
            nodes.push_back({std::move(record), peer->remote()});
    co_return nodes;
}

asio::awaitable<void> Neighbourhood::widen(DhtKey key, std::size_t asks) {
    Gather<std::vector<Named>> gather(services_.runtime, tasks_);
    for (const auto& node : table_.nearest_ids(key, asks))
        if (const auto peer = peers_.find(node)) gather.start(ask_closest(peer, key));
    auto answers = co_await gather.within(patience);
    std::vector<Named> strangers;
    std::set<NodeId> listed{services_.identity.id()};
    for (auto& answer : answers)
        for (auto& named : answer) {
            const auto node = named.record.node();
            if (named.record.storing && !table_.is_alive(node) && listed.insert(node).second)
                strangers.push_back(std::move(named));
        }
    co_await reach_all(std::move(strangers), patience);
}

asio::awaitable<void> Neighbourhood::meet_again(std::vector<dht::Contact> doubtful, DhtKey key) {
    const auto met = co_await dial_all(std::move(doubtful));
    if (!met.empty()) co_await widen(key, widen_asks);
}

asio::awaitable<dht::Lookup> Neighbourhood::look_up(DhtKey key, dht::Index::SeenFn seen) {
    std::function<void(std::function<void(dht::Lookup)>)> start =
        [this, key, seen = std::move(seen)](std::function<void(dht::Lookup)> done) {
            services_.index.find(key, std::move(done), seen);
        };
    auto lookup = co_await net::await_callback<dht::Lookup>(std::move(start));
    co_return lookup;
}

std::vector<DhtKey> Neighbourhood::keys_beside(const DhtKey& key, const dht::Lookup& lookup) {
    const auto own_position = core::dht_position(services_.identity.id());
    std::vector<DhtKey> around, found;
    for (const auto& node : table_.nearest_ids(own_position, neighbours_measured))
        around.push_back(core::dht_position(node));
    for (const auto& contact : lookup.nearest)
        found.push_back(contact.position);
    DhtKey salt;
    for (auto& octet : salt.bytes)
        octet = static_cast<std::uint8_t>(services_.runtime.random()());
    return proto::Crowd(own_position, around).keys_beside(key, found, salt);
}

asio::awaitable<std::vector<dht::Contact>> Neighbourhood::look_up_all(std::vector<DhtKey> keys) {
    Gather<dht::Lookup> gather(services_.runtime, tasks_);
    for (const auto& key : keys)
        gather.start(look_up(key, {}));
    auto lookups = co_await gather.all();
    std::vector<dht::Contact> listed;
    for (const auto& lookup : lookups)
        for (const auto& contact : lookup.nearest)
            if (std::ranges::find(listed, contact) == listed.end()) listed.push_back(contact);
    co_return listed;
}

asio::awaitable<dht::Lookup> Neighbourhood::explore(DhtKey key, dht::Index::SeenFn seen) {
    while (in_flight_ >= lanes)
        co_await lane_free_.wait();
    ++in_flight_;
    const auto known_before = table_.alive();
    auto lookup = co_await look_up(key, std::move(seen));

    const auto beside = keys_beside(key, lookup);
    auto listed = co_await look_up_all(beside);
    listed.insert(listed.begin(), lookup.nearest.begin(), lookup.nearest.end());

    std::vector<dht::Contact> strangers;
    std::vector<dht::Contact> doubtful;
    const auto own_position = core::dht_position(services_.identity.id());
    for (const auto& contact : listed) {
        bool known = contact.position == own_position;
        for (const auto& peer : peers_.open())
            known = known || core::dht_position(peer->id()) == contact.position;
        if (known) continue;
        (peers_.is_doubtful(contact.endpoint, patience) ? doubtful : strangers).push_back(contact);
    }
    if (!doubtful.empty()) tasks_.start(meet_again(std::move(doubtful), key));
    co_await dial_all(std::move(strangers), patience);
    const auto asks = beside.empty() ? widen_asks : widen_asks_in_a_crowd;
    co_await widen(key, asks);
    --in_flight_;
    lane_free_.notify_all();

    if (table_.alive() > known_before) {
        without_news_ = 0;
    } else if (++without_news_ >= saturated_after) {
        saturated_until_ = services_.runtime.now() + saturation_lasts;
    }
    co_return lookup;
}

asio::awaitable<void> Neighbourhood::ensure_near(DhtKey key) {
    if (services_.runtime.now() < saturated_until_) co_return;
    co_await explore(key);
}

asio::awaitable<void> Neighbourhood::dial_bootstrap() {
    auto contacts = std::vector<dht::Contact>();
    for (const auto& endpoint : bootstrap_)
        contacts.push_back({DhtKey{}, endpoint});
    co_await dial_all(std::move(contacts));
}

std::string Neighbourhood::silence(std::string_view how_long) const {
    if (joined_)
        return fmt::format(
            "none of the nodes that are known here has answered{}; are they away, or is this "
            "machine off the network?",
            how_long);
    std::string names;
    for (std::size_t i = 0; i < std::min(bootstrap_.size(), named_max); ++i)
        names += (i == 0 ? "" : ", ") + bootstrap_[i].to_string();
    if (bootstrap_.size() > named_max)
        names += fmt::format(" and {} more", bootstrap_.size() - named_max);
    const std::string_view swarm = services_.keys.is_private()
                                       ? "a swarm that has another key than this node, or none"
                                       : "a private swarm, whose key this node lacks";
    return fmt::format(
        "no answer from {}{}; a wrong address, a firewall before its port (UDP and TCP), or {}?",
        names, how_long, swarm);
}

std::string Neighbourhood::trouble() const {
    if (!alone_since_ || bootstrap_.empty() || !peers_.open().empty()) return {};
    const auto alone = services_.runtime.now() - *alone_since_;
    if (alone < alone_for_long) return {};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(alone).count();
    return silence(seconds < 120 ? fmt::format(" for {} s", seconds)
                                 : fmt::format(" for {} min", seconds / 60));
}

std::string Neighbourhood::nobody_answered() const {
    const auto unresolved = names_.problem();
    if (!bootstrap_.empty()) return silence({}) + (unresolved.empty() ? "" : "; " + unresolved);
    if (!unresolved.empty()) return unresolved;
    if (names_.is_awaited()) return "the names to join through are still being looked up";
    return "this node knows no other one: --bootstrap HOST:PORT names one of the swarm, or "
           "`flow29 join` takes an invitation";
}

void Neighbourhood::note_company() {
    const auto now = services_.runtime.now();
    if (!peers_.open().empty()) {
        if (std::exchange(complained_at_, std::nullopt)) log::info("node", "others answer now");
        alone_since_.reset();
        return;
    }
    if (!alone_since_) alone_since_ = now;
    const auto problem = trouble();
    if (problem.empty() || (complained_at_ && now < *complained_at_ + complaint_period)) return;
    complained_at_ = now;
    log::warn("node", "{}", problem);
}

asio::awaitable<std::size_t> Neighbourhood::enter(std::vector<core::Endpoint> points) {
    auto contacts = std::vector<dht::Contact>();
    for (const auto& endpoint : points) {
        contacts.push_back({DhtKey{}, endpoint});
        if (std::ranges::count(bootstrap_, endpoint) > 0) continue;
        if (bootstrap_.size() >= limits::bootstrap_points_max) bootstrap_.erase(bootstrap_.begin());
        bootstrap_.push_back(endpoint);
    }
    const auto reached = co_await dial_all(std::move(contacts));
    co_return reached.size();
}

asio::awaitable<net::NameResolver::Addresses> Neighbourhood::find_addresses(std::string name) {
    if (const auto literal = core::Endpoint::parse(name)) co_return std::vector{*literal};
    if (services_.names == nullptr) co_return fail(Errc::no_network, name + " is not looked up");
    std::function<void(net::NameResolver::DoneFn)> start = [this,
                                                            name](net::NameResolver::DoneFn done) {
        services_.names->look_up(name, std::move(done));
    };
    auto found = co_await net::await_callback<net::NameResolver::Addresses>(std::move(start));
    co_return found;
}

asio::awaitable<void> Neighbourhood::follow_name(std::string name) {
    auto found = co_await find_addresses(name);
    if (tasks_.stopping()) co_return;
    const auto problem = found ? std::string() : found.error().message();
    if (names_.on_outcome(name, problem, services_.runtime.now())) {
        if (found)
            log::info("node", "bootstrap {} is {}{}", name, found->front().to_string(),
                      found->size() > 1 ? fmt::format(" and {} more", found->size() - 1) : "");
        else
            log::warn("node", "bootstrap {}: {}", name, problem);
    }
    if (!found) co_return;
    auto points = std::move(*found);
    services_.index.bootstrap(points);
    co_await enter(std::move(points));
}

asio::awaitable<void> Neighbourhood::follow_names() {
    while (!names_.empty() && !tasks_.stopping()) {
        for (auto& name : names_.poll_look_ups(services_.runtime.now(), peers_.open().empty()))
            tasks_.start(follow_name(std::move(name)));
        const bool slept = co_await tasks_.sleep_for(names_period);
        if (!slept) co_return;
    }
}

bool Neighbourhood::has_hope() const {
    return !bootstrap_.empty() || !peers_.open().empty() || names_.is_awaited();
}

asio::awaitable<bool> Neighbourhood::wait_joined(TimePoint deadline) {
    while (!joined_ && has_hope() && !tasks_.stopping() && services_.runtime.now() < deadline) {
        const bool slept = co_await tasks_.sleep_for(20ms);
        if (!slept) break;
        if (!peers_.open().empty()) joined_ = true;
    }
    co_return joined_;
}

asio::awaitable<void> Neighbourhood::keep_known(DhtKey self) {
    // Short steps until the swarm is met, also again, then doubling up to the full period.
    Duration pause = 250ms;
    while (!tasks_.stopping()) {
        if (peers_.open().empty()) co_await dial_bootstrap();
        if (!peers_.open().empty()) joined_ = true;
        note_company();
        co_await explore(self);
        const Duration longest = !joined_                ? Duration(2s)
                                 : peers_.open().empty() ? Duration(alone_pause)
                                                         : period_;
        pause = std::min<Duration>(pause * 2, longest);
        const bool slept = co_await tasks_.sleep_for(pause);
        if (!slept) co_return;
    }
}

}  // namespace flow29::node
