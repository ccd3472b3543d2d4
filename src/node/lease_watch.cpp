// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/lease_watch.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "core/size_text.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration look_period = 1min;
constexpr Duration first_look = 5s;  // after the start, when what is here has been taken up
constexpr Duration tell_timeout = 10s;
constexpr Duration room_pause = 10s;
constexpr std::size_t renewals_max = 64;  // at a look
}  // namespace

asio::awaitable<void> LeaseWatch::run() {
    const bool started = co_await tasks_.sleep_for(first_look);
    if (!started) co_return;
    // What ended while this node was away was never taken up.
    const bool remains = co_await has_remains();
    const bool loose = co_await loose_.is_set();
    if (remains || loose) co_await collect();
    if (loose) co_await loose_.clear();
    while (!tasks_.stopping()) {
        co_await look();
        const bool go_on = co_await tasks_.sleep_for(look_period);
        if (!go_on) co_return;
    }
}

asio::awaitable<void> LeaseWatch::look() {
    co_await renew();
    const bool ended = co_await give_up_ended();
    const bool given_up = events_.give_up_parts();
    if (ended || given_up) co_await collect();
    std::vector<NewsKey> keys;
    for (const auto& [key, news] : news_)
        keys.push_back(key);
    for (const auto& key : keys)
        spread(key);
}

/// On a worker. Leases that are to be signed now, and when to look again.
LeaseWatch::Renewals LeaseWatch::renewals(store::Store& store, const PublicKey& self,
                                          WallTime wall_now) {
    Renewals renewals;
    for (const auto& object : store.objects()) {
        const bool is_whole = object.extents_held == object.descriptor.extents.size();
        const bool is_pin = !object.published && object.pinned && is_whole;
        if (object.renewal.count() == 0 || (!object.published && !is_pin)) continue;
        const auto leases = store.leases(object.root);
        const auto own = std::ranges::find(leases, self, &proto::Lease::publisher);
        const auto widest = widest_live(leases, wall_now);
        const auto half = object.renewal / 2;
        WallTime due{};
        if (own != leases.end() && is_live(*own, wall_now)) due = own->expires - half;
        if (is_pin && widest) due = std::max(due, widest->expires - half);
        if (due > wall_now) {
            renewals.next = std::min(renewals.next, due);
            continue;
        }
        if (renewals.due.size() >= renewals_max) {
            renewals.next = wall_now;
            break;
        }
        proto::Lease lease;
        if (own != leases.end()) lease = *own;
        if (is_pin && widest) lease.copies = widest->copies;
        lease.root = object.root;
        lease.withdrawn = false;
        lease.sequence = std::max(lease.sequence + 1, to_unix_ms(wall_now));
        lease.expires = wall_now + object.renewal;
        renewals.due.push_back(std::move(lease));
        renewals.next = std::min(renewals.next, wall_now + half);
    }
    return renewals;
}

asio::awaitable<void> LeaseWatch::renew() {
    const auto wall_now = services_.runtime.wall_now();
    if (wall_now < next_renewal_) co_return;
    next_renewal_ = WallTime::max();  // unless somebody says otherwise meanwhile
    auto& store = services_.store;
    const auto self = services_.identity.public_key();
    auto read = [&store, self, wall_now] { return renewals(store, self, wall_now); };
    auto found = co_await net::offload(services_.runtime, std::move(read));
    next_renewal_ = std::min(next_renewal_, found.next);
    for (auto& lease : found.due) {
        lease.sign(services_.identity);
        auto put = [&store, lease] {
            auto is_new = store.put_lease(lease);
            auto object = store.object(lease.root);
            std::vector<proto::ItemId> items{proto::ItemId::of(lease.root)};
            if (is_new && object)
                for (const auto& extent : object->descriptor.extents)
                    items.push_back(proto::ItemId::of(extent));
            return std::pair(std::move(is_new), std::move(items));
        };
        auto outcome = co_await net::offload(services_.runtime, std::move(put));
        auto& [is_new, items] = outcome;
        if (!is_new) {
            log::warn("leases", "not renewed: {}", is_new.error().message());
            continue;
        }
        log::info("leases", "renewed the lease of {}", to_hex(lease.root).substr(0, 12));
        const auto root = lease.root;
        co_await take_in(std::move(lease));
        // What was pinned after nobody kept it any more is not cared for yet.
        std::vector<store::KnownHolder> unconfirmed;
        co_await caretaker_.take_up(root, std::move(items), std::move(unconfirmed));
    }
}

/// Whether an object is here that was leased and is no more.
asio::awaitable<bool> LeaseWatch::has_remains() {
    auto& store = services_.store;
    const auto wall_now = services_.runtime.wall_now();
    auto read = [&store, wall_now] {
        return std::ranges::any_of(store.objects(), [&](const store::ObjectInfo& object) {
            if (object.published || object.pinned) return false;
            const auto leases = store.leases(object.root);
            return !leases.empty() && !widest_live(leases, wall_now);
        });
    };
    co_return co_await net::offload(services_.runtime, std::move(read));
}

asio::awaitable<void> LeaseWatch::refresh(RootHash root) {
    const auto gone = co_await caretaker_.refresh(root);
    if (!gone.empty())
        log::info("leases", "{} items of {} are no longer kept", gone.size(),
                  to_hex(root).substr(0, 12));
    announcer_.remove(gone);
}

/// True when a lease had ended.
asio::awaitable<bool> LeaseWatch::give_up_ended() {
    const auto ended = caretaker_.ended(services_.runtime.wall_now());
    for (const auto& root : ended) {
        co_await end_publication(root);
        co_await refresh(root);
    }
    co_return !ended.empty();
}

/// What was published here for a time is no longer published when that is over.
asio::awaitable<void> LeaseWatch::end_publication(RootHash root) {
    auto& store = services_.store;
    const auto wall_now = services_.runtime.wall_now();
    const auto self = services_.identity.public_key();
    auto job = [&store, root, wall_now, self]() -> Result<void> {
        const auto leases = store.leases(root);
        const auto own = std::ranges::find(leases, self, &proto::Lease::publisher);
        if (own != leases.end() && is_live(*own, wall_now)) return {};
        // One that is to be renewed only waits for that.
        if (const auto object = store.object(root); object && object->renewal.count() != 0)
            return {};
        return store.set_published(root, false);
    };
    const auto done = co_await net::offload(services_.runtime, std::move(job));
    if (!done && done.error().code != Errc::not_found)
        log::warn("leases", "a publication not ended: {}", done.error().message());
}

void LeaseWatch::on_lease(const proto::Lease& lease) {
    tasks_.start(take_in(lease));
}

asio::awaitable<void> LeaseWatch::take_in(proto::Lease lease) {
    const NewsKey key{lease.root, lease.publisher};
    if (news_.size() >= limits::lease_news_max && !news_.contains(key)) news_.erase(news_.begin());
    auto& news = news_[key];
    if (news.lease.sequence >= lease.sequence) co_return;
    news.lease = lease;
    check_renewals();
    news.told.clear();
    // Before they are given up here, too.
    news.concerned.merge(caretaker_.holders_of(lease.root));
    spread(key);
    co_await refresh(lease.root);
    if (lease.withdrawn) co_await collect();
}

void LeaseWatch::spread(NewsKey key) {
    const auto found = news_.find(key);
    if (found == news_.end()) return;
    auto& news = found->second;
    news.concerned.merge(caretaker_.holders_of(key.first));
    for (const auto& node : news.concerned) {
        if (telling_.size() >= limits::leases_told_max) return;
        if (news.told.contains(node) || !peers_.find(node)) continue;
        if (telling_.emplace(node, key).second) tasks_.start(tell(node, key));
    }
}

asio::awaitable<void> LeaseWatch::tell(NodeId node, NewsKey key) {
    const auto found = news_.find(key);
    const auto peer = peers_.find(node);
    if (found != news_.end() && peer) {
        const auto lease = found->second.lease;
        proto::Message ask = proto::UpdateLease{lease};
        const auto reply = co_await peer->request(std::move(ask), tell_timeout);
        const auto still = news_.find(key);
        if (reply && still != news_.end() && still->second.lease.sequence == lease.sequence)
            still->second.told.insert(node);
    }
    telling_.erase({node, key});
}

void LeaseWatch::on_node_alive(const NodeId& node) {
    tasks_.start(tell_withdrawals(node));
    for (const auto& [key, news] : news_) {
        if (telling_.size() >= limits::leases_told_max) return;
        const bool concerned =
            !news.lease.withdrawn && news.concerned.contains(node) && !news.told.contains(node);
        if (concerned && telling_.emplace(node, key).second) tasks_.start(tell(node, key));
    }
}

void LeaseWatch::on_stored(const NodeId& node, const proto::Stored& stored) {
    const auto item = proto::ItemId::of(stored.root);
    if (!stored.items.empty() && !caretaker_.planner().has_item(item))
        tasks_.start(tell_withdrawals_of(node, stored.root));
}

asio::awaitable<void> LeaseWatch::tell_withdrawals_of(NodeId node, RootHash root) {
    auto& store = services_.store;
    auto read = [&store, root] { return store.leases(root); };
    const auto leases = co_await net::offload(services_.runtime, std::move(read));
    for (const auto& lease : leases) {
        const auto peer = peers_.find(node);
        if (!peer || tasks_.stopping()) co_return;
        if (!lease.withdrawn) continue;
        proto::Message ask = proto::UpdateLease{lease};
        const auto reply = co_await peer->request(std::move(ask), tell_timeout);
        if (!reply) co_return;
    }
}

asio::awaitable<void> LeaseWatch::tell_withdrawals(NodeId node) {
    auto& store = services_.store;
    auto read = [&store] { return store.withdrawals(limits::withdrawals_told_max); };
    const auto withdrawn = co_await net::offload(services_.runtime, std::move(read));
    for (const auto& lease : withdrawn) {
        const auto peer = peers_.find(node);
        if (!peer || tasks_.stopping()) co_return;
        proto::Message ask = proto::UpdateLease{lease};
        const auto reply = co_await peer->request(std::move(ask), tell_timeout);
        if (!reply) co_return;
    }
}

asio::awaitable<bool> LeaseWatch::make_room() {
    const auto now = services_.runtime.now();
    if (events_.publishing() > 0 || now < next_room_) co_return false;
    next_room_ = now + room_pause;
    const auto freed = co_await collect_now(true);
    if (freed.value > 0) next_room_ = TimePoint{};
    co_return freed.value > 0;
}

asio::awaitable<void> LeaseWatch::collect() {
    // However many ask while one runs, one more is enough for all of them.
    const auto wanted = ++collections_wanted_;
    if (collecting_) {
        while (collections_done_ < wanted)
            co_await collected_.wait();
        co_return;
    }
    collecting_ = true;
    while (collections_done_ < collections_wanted_) {
        bool go_on = true;
        while (go_on && events_.publishing() > 0)
            go_on = co_await tasks_.sleep_for(1s);
        const auto covered = collections_wanted_;
        if (go_on) co_await collect_now(false);
        collections_done_ = covered;
        collected_.notify_all();
    }
    collecting_ = false;
}

asio::awaitable<ByteCount> LeaseWatch::collect_now(bool fetched_too) {
    auto& store = services_.store;
    co_await give_up_ended();
    // One that has begun meanwhile waits for nobody.
    if (events_.publishing() > 0) co_return ByteCount(0);
    const auto wall_now = services_.runtime.wall_now();
    struct Gone {
        Result<ByteCount> freed;
        std::vector<proto::ItemId> items;
    };
    const auto announced = announcer_.summarised();
    auto kept = events_.awaited();
    const auto blocked = events_.blocked();
    auto job = [&store, wall_now, &announced, &kept, &blocked, fetched_too] {
        if (!fetched_too)
            for (const auto& root : store.fetched())
                if (const auto object = store.descriptor(root); object && !blocked->contains(root))
                    kept.insert(object->extents.begin(), object->extents.end());
        Gone gone{store.collect(wall_now, kept), {}};
        for (const auto& item : announced) {
            const bool here = item.kind == proto::ItemId::Kind::extent
                                  ? store.has_extent(item.extent())
                                  : store.descriptor(item.root()).has_value();
            if (!here) gone.items.push_back(item);
        }
        return gone;
    };
    const auto gone = co_await net::offload(services_.runtime, std::move(job));
    if (!gone.freed) {
        log::warn("leases", "nothing collected: {}", gone.freed.error().message());
        co_return ByteCount(0);
    }
    announcer_.remove(gone.items);
    if (gone.freed->value > 0) {
        log::info("leases", "freed {} that nobody wants kept any more",
                  core::size_text(*gone.freed));
        events_.on_freed();
    }
    co_return *gone.freed;
}

}  // namespace flow29::node
