// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/descriptor_search.hpp"

#include <algorithm>

#include <asio/post.hpp>

#include "core/families.hpp"
#include "core/placement.hpp"

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
constexpr Duration request_timeout = 8s;
constexpr Duration patience = 250ms;
constexpr Duration tick = 50ms;  // whom this node meets meanwhile is asked too
constexpr std::size_t asks_at_once = 4;
constexpr std::size_t dials_at_once = 8;
constexpr std::size_t dials_at_once_thorough = 128;
}  // namespace

DescriptorSearch::DescriptorSearch(Services services, Tasks& tasks, PeerBook& peers,
                                   Neighbourhood& neighbourhood, const proto::NodeTable& table,
                                   Options options)
    : services_(services),
      tasks_(tasks),
      peers_(peers),
      neighbourhood_(neighbourhood),
      table_(table),
      options_(std::move(options)),
      key_(services.keys.root_key(options_.root)),
      moved_(services.runtime) {}

asio::awaitable<void> DescriptorSearch::run() {
    const auto self = shared_from_this();
    options_.stage(Stage::looking_up, 0);
    for (const auto& peer : options_.named)
        offer(peer, Rank::named);
    for (const auto& endpoint : options_.at)
        want_dial({DhtKey{}, endpoint}, Rank::named);
    looking_up_ = true;
    tasks_.start(look_up(self));
    for (;;) {
        offer_connected();
        pump();
        if (is_enough() && !options_.thorough) break;
        if (is_exhausted() || options_.stop.stop_requested() || tasks_.stopping()) break;
        co_await moved_.wait_until(services_.runtime.now() + tick);
    }
    over_ = true;
}

bool DescriptorSearch::is_exhausted() const {
    const bool all_asked = to_ask_.empty() || is_enough();
    return !looking_up_ && all_asked && to_dial_.empty() && asking_.empty() && dialling_.empty();
}

std::size_t DescriptorSearch::fresh(const Since& under_way) const {
    const auto since = services_.runtime.now() - patience;
    return static_cast<std::size_t>(std::ranges::count_if(
        under_way, [since](const auto& entry) { return entry.second > since; }));
}

asio::awaitable<void> DescriptorSearch::look_up(std::shared_ptr<DescriptorSearch> self) {
    dht::Index::SeenFn seen = [weak = std::weak_ptr(self),
                               executor = self->services_.runtime.executor()](auto records) {
        asio::post(executor, [weak, records = std::move(records)] {
            if (const auto search = weak.lock()) search->on_providers(records);
        });
    };
    if (self->options_.thorough) {
        const auto lookup = co_await self->neighbourhood_.explore(self->key_, std::move(seen));
        self->on_providers(lookup.providers);
        const auto open = self->peers_.open();
        for (const auto& contact : lookup.nearest) {
            const auto is_it = [&contact](const auto& peer) {
                return core::dht_position(peer->id()) == contact.position;
            };
            if (std::ranges::none_of(open, is_it)) self->on_unheard(Rank::near);
        }
    } else {
        const auto lookup = co_await self->neighbourhood_.look_up(self->key_, std::move(seen));
        self->on_providers(lookup.providers);
        for (const auto& contact : lookup.nearest)
            self->want_dial(contact, Rank::near);
    }
    self->looking_up_ = false;
    self->moved_.notify_all();
}

void DescriptorSearch::on_providers(const std::vector<proto::ProviderRecord>& records) {
    std::set<NodeId> providers;  // each has a record for each of its address families
    for (const auto& record : records) {
        if (record.summary && !record.summary->matches(options_.root)) continue;
        if (record.node() == services_.identity.id()) continue;
        providers.insert(record.node());
        if (const auto peer = peers_.find(record.node()))
            offer(peer, Rank::named);
        else
            want_dial({core::dht_position(record.node()), record.address}, Rank::named);
    }
    if (!over_) options_.stage(Stage::connecting, providers.size());
    pump();
    moved_.notify_all();
}

void DescriptorSearch::want_dial(const dht::Contact& contact, Rank rank) {
    if (over_ || !dialled_.insert(contact.endpoint).second) return;
    to_dial_.emplace(std::pair(rank, ++last_number_), contact);
}

void DescriptorSearch::offer(const net::PeerPtr& peer, Rank rank) {
    if (over_ || asked_.contains(peer->id())) return;
    for (auto entry = to_ask_.begin(); entry != to_ask_.end(); ++entry) {
        if (entry->second->id() != peer->id()) continue;
        if (entry->first.first <= rank) return;
        to_ask_.erase(entry);
        break;
    }
    to_ask_.emplace(std::pair(rank, ++last_number_), peer);
}

void DescriptorSearch::offer_connected() {
    const auto now = services_.runtime.now();
    const auto wall_now = services_.runtime.wall_now();
    for (const auto& candidate : table_.candidates(key_, now, wall_now))
        if (const auto peer = peers_.find(candidate.id)) offer(peer, Rank::placed);
    for (const auto& node : table_.nearest_ids(key_, limits::candidates_max))
        if (const auto peer = peers_.find(node)) offer(peer, Rank::near);
    // Whoever is connected for another reason (a publisher that stores nothing) may have it too.
    const auto open = peers_.open();
    for (const auto& peer : open)
        offer(peer, Rank::connected);
    if (asked_closest_ || options_.thorough || open.size() >= limits::candidates_max) return;
    const auto stores = [](const auto& peer) { return peer->record().storing; };
    const auto well_known = std::ranges::find_if(open, stores);
    if (well_known == open.end()) return;
    asked_closest_ = true;
    tasks_.start(ask_closest(shared_from_this(), *well_known));
}

asio::awaitable<void> DescriptorSearch::ask_closest(std::shared_ptr<DescriptorSearch> self,
                                                    net::PeerPtr peer) {
    proto::Message question = proto::GetClosest{self->key_};
    const auto reply = co_await peer->request(std::move(question), request_timeout);
    const auto* closest = reply ? std::get_if<proto::ClosestReply>(&reply->message) : nullptr;
    if (closest == nullptr) co_return;
    self->want_placed(closest->nodes);
    self->pump();
    self->moved_.notify_all();
}

/// Dials those of them first at which placement would have put it.
void DescriptorSearch::want_placed(const std::vector<proto::NodeRecord>& near) {
    std::map<NodeId, std::vector<core::Endpoint>> addresses;
    std::vector<core::Candidate> candidates;
    for (const auto& record : near) {
        const auto node = record.node();
        if (!record.storing || record.addresses.empty() || node == services_.identity.id() ||
            !addresses.emplace(node, core::first_of_each_family(record.addresses)).second)
            continue;
        candidates.push_back(
            {node, record.addresses.front().group(), record.capacity_class, false});
    }
    for (const auto& candidate : core::rank_candidates(key_, std::move(candidates)))
        for (const auto& address : addresses.at(candidate.id))
            if (!peers_.find(candidate.id))
                want_dial({core::dht_position(candidate.id), address}, Rank::placed);
}

void DescriptorSearch::pump() {
    if (over_) return;
    const auto now = services_.runtime.now();
    while (!is_enough() && !to_ask_.empty() && fresh(asking_) < asks_at_once) {
        const auto next = to_ask_.extract(to_ask_.begin());
        asked_.insert(next.mapped()->id());
        asking_.emplace(++last_number_, now);
        options_.stage(Stage::tree, asked_.size());
        tasks_.start(ask(shared_from_this(), next.mapped(), next.key().first, last_number_));
    }
    const auto dials_max = options_.thorough ? dials_at_once_thorough : dials_at_once;
    while (!to_dial_.empty() && fresh(dialling_) < dials_max) {
        const auto next = to_dial_.extract(to_dial_.begin());
        dialling_.emplace(++last_number_, now);
        tasks_.start(dial(shared_from_this(), next.mapped(), next.key().first, last_number_));
    }
}

asio::awaitable<void> DescriptorSearch::dial(std::shared_ptr<DescriptorSearch> self,
                                             dht::Contact contact, Rank rank,
                                             std::uint64_t number) {
    std::optional<DhtKey> position;
    if (!contact.position.is_zero()) position = contact.position;
    // It goes out with the hello: a round trip less.
    proto::Message question = proto::GetDescriptor{self->options_.root};
    const auto opening = std::make_shared<net::Opening>(self->services_.runtime,
                                                        std::move(question), request_timeout);
    const auto outcome =
        co_await self->peers_.dial(contact.endpoint, std::nullopt, position, opening);
    if (outcome && opening->sent() && self->asked_.insert((*outcome)->id()).second) {
        const auto reply = co_await opening->reply();
        self->on_answer(*outcome, reply, rank);
    } else if (outcome) {
        self->offer(*outcome, Rank::named);
    } else {
        self->on_unheard(rank);
    }
    self->dialling_.erase(number);
    self->pump();
    self->moved_.notify_all();
}

asio::awaitable<void> DescriptorSearch::ask(std::shared_ptr<DescriptorSearch> self,
                                            net::PeerPtr peer, Rank rank, std::uint64_t number) {
    proto::Message question = proto::GetDescriptor{self->options_.root};
    const auto reply = co_await peer->request(std::move(question), request_timeout);
    self->on_answer(peer, reply, rank);
    self->asking_.erase(number);
    self->pump();
    self->moved_.notify_all();
}

void DescriptorSearch::on_answer(const net::PeerPtr& peer, const Result<net::Reply>& reply,
                                 Rank rank) {
    if (!reply && reply.error().code == Errc::peer_lacks) ++lacking_;
    if (!reply && reply.error().code != Errc::peer_lacks) on_unheard(rank);
    if (!reply) return;
    auto descriptor = core::Descriptor::decode(reply->body.view(), options_.root);
    if (!descriptor) {
        peers_.ban(peer->id(), "it sent a descriptor that is not the root's");
        return;
    }
    if (!descriptor_) descriptor_ = std::move(*descriptor);
    holders_.push_back(peer);
    if (tell_) tell_(peer);
}

}  // namespace flow29::node
