// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/intake.hpp"

#include <algorithm>
#include <set>

#include "core/log.hpp"
#include "node/holdings.hpp"
#include "node/terms.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr ByteCount batch_bytes_max{16ULL << 20};  // synced together
constexpr Duration idle_timeout = 30s;
constexpr Duration descriptor_timeout = 10s;
constexpr Duration takeover_saves_min = 1s;
constexpr Duration fallback_after = 6s;
// What is small comes in large numbers, and each batch costs a sync and a report to everybody.
constexpr Duration gather_time = 50ms;

using Items = std::vector<proto::ItemId>;

/// Which bytes of the object are in none of these extents.
core::RangeSet all_but(const core::Layout& layout, const std::vector<ExtentIndex>& extents) {
    core::RangeSet rest;
    rest.insert(0, layout.length().value);
    for (const auto extent : extents) {
        const auto bytes = layout.extent_bytes(extent);
        rest.erase(bytes.first.value, bytes.last.value);
    }
    return rest;
}
}  // namespace

Intake::Intake(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
               Neighbourhood& neighbourhood, proto::PullBudget& budget, const Events& events,
               Order order)
    : services_(services),
      settings_(settings),
      tasks_(tasks),
      peers_(peers),
      neighbourhood_(neighbourhood),
      budget_(budget),
      events_(events),
      order_(std::move(order)),
      whole_(services.runtime) {}

void Intake::add(const proto::Invite::Item& item, bool leads) {
    bytes_ += item.length.value;
    open_.insert(item.item);
    if (leads) leads_.insert(item.item);
}

void Intake::remove(const proto::Invite::Item& item) {
    bytes_ -= item.length.value;
    open_.erase(item.item);
    leads_.erase(item.item);
}

ByteCount Intake::memory() const {
    return download_ ? download_->planner().begun() : ByteCount(0);
}

ByteCount Intake::fetched() const {
    return download_ ? fetched_ + download_->fetched() : fetched_;
}

void Intake::wake() {
    if (download_) download_->wake();
}

void Intake::on_uninvite(const proto::Uninvite& uninvite) {
    unwanted_.insert(uninvite.items.begin(), uninvite.items.end());
    for (const auto& item : uninvite.items) {
        const auto position = positions_.find(item);
        if (download_ && position != positions_.end()) download_->drop(position->second);
    }
}

void Intake::on_stored(const NodeId& node, const proto::Stored& stored) {
    if (!download_ || stored.items.empty()) return;
    fallback_ = 1;
    download_->on_stored(node, stored.items);
}

void Intake::join(const net::PeerPtr& peer, const proto::ItemId& item, bool leads) {
    const auto same = [&peer](const auto& record) { return record.node() == peer->id(); };
    if (order_.inviter && order_.inviter->id() == peer->id())
        order_.inviter = peer;
    else if (std::ranges::none_of(order_.sources, same))
        order_.sources.push_back(peer->record());
    if (!leads) return;
    leads_.insert(item);
    const auto position = positions_.find(item);
    if (download_ && position != positions_.end())
        download_->add_holder_of(peer, {position->second});
}

void Intake::report(std::vector<proto::ItemId> stored, std::vector<proto::ItemId> failed) {
    proto::Stored message{root(), std::move(stored), std::move(failed)};
    // The publisher watches as well, though nobody counts its copy and so nobody may have named it.
    std::set<NodeId> concerned{core::node_id_of(order_.lease.publisher)};
    for (const auto& source : order_.sources)
        concerned.insert(source.node());
    if (order_.inviter) {
        concerned.erase(order_.inviter->id());
        order_.inviter->notify(message);
    }
    for (const auto& node : concerned)
        if (const auto peer = peers_.find(node)) peer->notify(message);
}

void Intake::settle(const std::vector<proto::ItemId>& items, std::uint64_t bytes) {
    for (const auto& item : items)
        open_.erase(item);
    const auto done = std::min(bytes, bytes_);
    bytes_ -= done;
    events_.on_settled(*this, items, done);
}

std::vector<Named> Intake::named_sources() const {
    const auto by = order_.inviter ? std::optional(order_.inviter->remote()) : std::nullopt;
    std::vector<Named> named;
    for (const auto& record : order_.sources)
        named.push_back({record, by});
    return named;
}

asio::awaitable<Result<core::Descriptor>> Intake::get_descriptor() {
    auto& store = services_.store;
    const auto root = this->root();
    auto look = [&store, root] { return store.descriptor(root); };
    auto local = co_await net::offload(services_.runtime, std::move(look));
    if (local) co_return local;
    auto named = named_sources();
    auto sources = co_await neighbourhood_.reach_all(std::move(named));
    if (order_.inviter) sources.insert(sources.begin(), order_.inviter);
    for (const auto& peer : sources) {
        proto::Message ask = proto::GetDescriptor{root};
        auto reply = co_await peer->request(std::move(ask), descriptor_timeout);
        if (!reply) continue;
        auto descriptor = core::Descriptor::decode(reply->body.view(), root);
        if (descriptor) co_return descriptor;
        peers_.ban(peer->id(), "it sent a descriptor that is not the root's");
    }
    co_return fail(Errc::not_found, "no source has the descriptor");
}

/// Gets the descriptor, and keeps it and the lease.
asio::awaitable<Result<core::Descriptor>> Intake::begin() {
    auto got = co_await get_descriptor();
    if (!got) co_return got;
    if (settings_.is_blocked(root())) co_return fail(Errc::refused, "it is blocked here");
    auto& store = services_.store;
    auto lease = order_.lease;
    const auto self = services_.identity.id();
    const auto wall_now = services_.runtime.wall_now();
    const auto asker = order_.asker;
    auto put = [&store, lease, self, wall_now, asker, &descriptor = *got]() -> Result<void> {
        if (auto kept = store.put_lease(lease); !kept) return fail(kept.error());
        // It may have been withdrawn since the invitation.
        if (!is_in_force(store, lease, wall_now)) return fail(Errc::refused, "withdrawn");
        if (asker)
            if (auto noted = store.set_asker(lease.root, lease.publisher, asker->group); !noted)
                return noted;
        if (auto kept = store.put_object(lease.root, descriptor, ""); !kept) return kept;
        return mark_kept(store, lease.root, {}, self);
    };
    const auto kept = co_await net::offload(services_.runtime, std::move(put));
    if (!kept) co_return fail(kept.error());
    co_return got;
}

/// Each once, however often it is in the object.
std::vector<ExtentIndex> Intake::wanted_extents(const core::Descriptor& descriptor) const {
    std::vector<ExtentIndex> wanted;
    std::set<ExtentHash> seen;
    for (std::uint64_t i = 0; i < descriptor.extents.size(); ++i) {
        const auto item = proto::ItemId::of(descriptor.extents[i]);
        if (open_.contains(item) && !unwanted_.contains(item) &&
            seen.insert(descriptor.extents[i]).second)
            wanted.push_back(ExtentIndex(i));
    }
    return wanted;
}

/// Extents that other objects have brought here, or that have lost theirs.
asio::awaitable<void> Intake::keep_what_is_here(const core::Descriptor& descriptor) {
    Items items;
    std::uint64_t bytes = 0;
    for (const auto extent : wanted_extents(descriptor))
        items.push_back(proto::ItemId::of(descriptor.extents[extent.value]));
    auto& store = services_.store;
    const auto root = this->root();
    const auto self = services_.identity.id();
    auto keep = [&store, root, self, items]() mutable -> Result<Items> {
        std::erase_if(items, [&](const auto& item) { return !store.owns_extent(item.extent()); });
        if (items.empty()) return items;
        if (auto kept = mark_kept(store, root, items, self); !kept) return fail(kept.error());
        return items;
    };
    auto kept = co_await net::offload(services_.runtime, std::move(keep));
    if (!kept || kept->empty()) co_return;
    const std::set<proto::ItemId> here(kept->begin(), kept->end());
    for (const auto extent : wanted_extents(descriptor))
        if (here.contains(proto::ItemId::of(descriptor.extents[extent.value])))
            bytes += descriptor.layout().extent_length(extent).value;
    events_.on_kept({root, *kept, order_.inviter != nullptr});
    settle(*kept, bytes);
    report(std::move(*kept), {});
}

asio::awaitable<void> Intake::run() {
    auto descriptor = co_await begin();
    std::vector<ExtentIndex> wanted;
    if (descriptor) {
        co_await keep_what_is_here(*descriptor);
        wanted = wanted_extents(*descriptor);
        // Room and quota were given for the lengths that the inviter named.
        std::uint64_t bytes = 0;
        for (const auto extent : wanted)
            bytes += descriptor->layout().extent_length(extent).value;
        if (order_.inviter && bytes > bytes_) {
            wanted.clear();
            peers_.ban(order_.inviter->id(), "it named extents shorter than they are");
        }
        const auto own = proto::ItemId::of(root());
        if (open_.contains(own)) {
            const std::vector<proto::ItemId> items{own};
            events_.on_kept({root(), items, order_.inviter != nullptr});
            report(items, {});
            settle(items, 0);
        }
    } else {
        log::info("keeper", "invitation not followed: {}", descriptor.error().message());
    }
    if (!wanted.empty()) co_await pull(std::move(*descriptor), std::move(wanted));
    // Whatever is left was no part of the object, or never came.
    const std::vector<proto::ItemId> failed(open_.begin(), open_.end());
    if (!failed.empty()) report({}, failed);
    settle(failed, bytes_);
    room_.reset();
}

Download::Options Intake::download_options(const core::Layout& layout, ExtentIndex start) {
    Download::Options options;
    options.idle_timeout = idle_timeout;
    options.stop = stop_.get_token();
    options.planner.start_at = layout.extent_bytes(start).first.value;
    // Nobody waits for a copy so much that bytes may be pulled twice to have it a moment sooner.
    options.planner.takeover_saves_min = takeover_saves_min;
    options.budget = &budget_;
    options.is_repair = order_.is_repair;
    const bool trickles = order_.is_repair && budget_.repair().is_limited();
    const std::weak_ptr<Intake> weak = weak_from_this();
    // What trickles in under a budget must not keep others waiting; there is little of it.
    if (!trickles)
        options.begin_max = [weak] {
            const auto self = weak.lock();
            return self ? self->events_.memory_max(*self) : ByteCount(0);
        };
    options.find_more = [weak](std::vector<ExtentIndex> starved) {
        return find_more(weak, std::move(starved));
    };
    return options;
}

asio::awaitable<void> Intake::pull(core::Descriptor descriptor, std::vector<ExtentIndex> wanted) {
    const auto layout = descriptor.layout();
    std::vector<ExtentIndex> leading;
    for (const auto extent : wanted) {
        const auto item = proto::ItemId::of(descriptor.extents[extent.value]);
        positions_.emplace(item, extent);
        if (leads_.contains(item)) leading.push_back(extent);
    }
    // Everybody invited begins somewhere else, so that they can trade.
    const auto start = wanted[services_.runtime.random()() % wanted.size()];
    const ByteRange everything{ByteCount(0), layout.length()};
    ExtentAssembler assembler(descriptor, [this] { whole_.notify_all(); });
    auto options = download_options(layout, start);
    download_ = std::make_shared<Download>(services_, tasks_, peers_, descriptor, everything,
                                           all_but(layout, wanted), assembler, std::move(options));
    if (order_.inviter) download_->add_holder_of(order_.inviter, leading);
    const auto self = shared_from_this();
    tasks_.start(add_sources(self));
    tasks_.start(write(self, &assembler));
    const auto outcome = co_await download_->run();
    if (!outcome) log::info("keeper", "a pull ended: {}", outcome.error().message());
    // Extents that did come are kept even when others did not.
    pulled_ = true;
    whole_.notify_all();
    while (!written_)
        co_await whole_.wait();
    fetched_ += download_->fetched();
    download_.reset();
    events_.on_memory_free();
}

asio::awaitable<void> Intake::write(std::shared_ptr<Intake> self, ExtentAssembler* assembler) {
    for (;;) {
        auto batch = assembler->take_whole(batch_bytes_max);
        if (!batch.empty()) {
            co_await put(std::move(batch));
        } else if (self->pulled_) {
            break;
        } else {
            co_await whole_.wait();
            if (!self->pulled_) (void)co_await tasks_.sleep_for(gather_time);
        }
    }
    written_ = true;
    whole_.notify_all();
}

/// Makes a batch durable, as long as the lease is in force, and says so.
asio::awaitable<void> Intake::put(std::vector<ExtentAssembler::Whole> batch) {
    std::vector<ExtentIndex> taken;
    std::vector<store::NewExtent> extents;
    Items items;
    std::uint64_t bytes = 0;
    for (auto& [index, extent] : batch) {
        taken.push_back(index);
        items.push_back(proto::ItemId::of(extent.hash));
        bytes += extent.length().value;
        extents.push_back(std::move(extent));
    }
    auto& store = services_.store;
    const auto lease = order_.lease;
    const auto wall_now = services_.runtime.wall_now();
    const auto self = services_.identity.id();
    auto* const room = room_.get();
    auto keep = [&store, lease, wall_now, self, items, room,
                 extents = std::move(extents)]() mutable -> Result<Items> {
        if (auto put = store.put_extents(std::move(extents), room); !put) return fail(put.error());
        if (!is_in_force(store, lease, wall_now)) return fail(Errc::refused, "withdrawn");
        // What is in the store now is what counts.
        std::erase_if(items, [&](const auto& item) { return !store.owns_extent(item.extent()); });
        if (auto kept = mark_kept(store, lease.root, items, self); !kept) return fail(kept.error());
        return items;
    };
    auto kept = co_await net::offload(services_.runtime, std::move(keep));
    for (const auto extent : taken)
        if (download_) download_->on_taken(extent);
    events_.on_memory_free();
    settle(items, bytes);
    if (kept) {
        std::erase_if(
            items, [&](const auto& item) { return std::ranges::find(*kept, item) != kept->end(); });
        if (!kept->empty()) events_.on_kept({root(), *kept, order_.inviter != nullptr});
        report(std::move(*kept), std::move(items));
        co_return;
    }
    log::info("keeper", "not kept: {}", kept.error().message());
    report({}, std::move(items));
    // A full or failing disk, or a withdrawal: the rest would fare no better.
    stop_.request_stop();
    wake();
}

asio::awaitable<void> Intake::add_sources(std::shared_ptr<Intake> self) {
    auto named = named_sources();
    auto sources = co_await neighbourhood_.reach_all(std::move(named));
    if (!self->download_) co_return;
    for (const auto& peer : sources)
        if (!order_.inviter || peer->id() != order_.inviter->id())
            download_->add_holder(peer, false);
}

asio::awaitable<void> Intake::find_more(std::weak_ptr<Intake> weak,
                                        std::vector<ExtentIndex> starved) {
    const auto self = weak.lock();
    if (!self) co_return;
    co_await self->add_sources(self);
    self->fall_back(std::move(starved));
}

void Intake::fall_back(std::vector<ExtentIndex> starved) {
    if (!download_ || !order_.inviter) return;
    if (services_.runtime.now() < download_->last_progress() + fallback_after) return;
    // In no order, so that those who lost the same lead do not all ask for the same.
    std::shuffle(starved.begin(), starved.end(), services_.runtime.random());
    starved.resize(std::min(starved.size(), fallback_));
    fallback_ *= 2;
    download_->add_holder_of(order_.inviter, starved);
}

}  // namespace flow29::node
