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
constexpr Duration descriptor_timeout = 10s;
constexpr Duration forerunner_stalls_after = 2s;
constexpr std::size_t early_max = 4096;

using Items = std::vector<proto::ItemId>;
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

void Intake::wait_for(std::shared_ptr<Intake> forerunner) {
    if (std::ranges::find(forerunners_, forerunner) == forerunners_.end())
        forerunners_.push_back(std::move(forerunner));
}

bool Intake::is_waiting() {
    std::erase_if(forerunners_, [](const auto& forerunner) { return forerunner->ended_; });
    for (const auto& forerunner : forerunners_)
        forerunner->end_if_stalled();
    return !forerunners_.empty();
}

void Intake::end_if_stalled() {
    if (!download_ ||
        services_.runtime.now() < download_->last_progress() + forerunner_stalls_after)
        return;
    stop_.request_stop();
    wake();
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
    if (order_.is_part && uninvite.items.empty()) {
        unwanted_ = open_;
        stop_.request_stop();
        wake();
    }
    unwanted_.insert(uninvite.items.begin(), uninvite.items.end());
    for (const auto& item : uninvite.items) {
        const auto position = positions_.find(item);
        if (download_ && position != positions_.end()) download_->drop(position->second);
    }
}

void Intake::on_stored(const NodeId& node, const proto::Stored& stored) {
    auto items = stored.items;
    if (!download_) {
        std::erase_if(items, [this](const auto& item) { return !open_.contains(item); });
        if (early_.size() + items.size() > early_max) return;
        for (const auto& item : items)
            early_.emplace_back(node, item);
        return;
    }
    // What others keep of the object is news for whoever still pulls a part of it, if it is of that
    // part. Of the object itself any news tells that there is no need to fall back on the inviter.
    if (stored.root != root())
        std::erase_if(items, [this](const auto& item) { return !positions_.contains(item); });
    if (items.empty()) return;
    fallback_ = 1;
    download_->on_stored(node, items);
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
    proto::Stored message{root(), std::move(stored), std::move(failed), order_.is_part};
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
    if (order_.inviter) {
        auto inviter = order_.inviter;
        auto descriptor = co_await ask_descriptor(std::move(inviter));
        if (descriptor) co_return descriptor;
    }
    auto named = named_sources();
    const auto sources = co_await neighbourhood_.reach_all(std::move(named));
    for (auto peer : sources) {
        auto descriptor = co_await ask_descriptor(std::move(peer));
        if (descriptor) co_return descriptor;
    }
    co_return fail(Errc::not_found, "no source has the descriptor");
}

asio::awaitable<Result<core::Descriptor>> Intake::ask_descriptor(net::PeerPtr peer) {
    proto::Message ask = proto::GetDescriptor{root()};
    const auto reply = co_await peer->request(std::move(ask), descriptor_timeout);
    if (!reply) co_return fail(reply.error());
    auto descriptor = core::Descriptor::decode(reply->body.view(), root());
    if (!descriptor) peers_.ban(peer->id(), "it sent a descriptor that is not the root's");
    co_return descriptor;
}

/// Gets the descriptor, and keeps it and the lease, unless it is that of a part.
asio::awaitable<Result<core::Descriptor>> Intake::begin() {
    auto got = co_await get_descriptor();
    if (!got || order_.is_part) co_return got;
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
    const bool is_part = order_.is_part;
    auto keep = [&store, root, self, items, is_part]() mutable -> Result<Items> {
        std::erase_if(items, [&](const auto& item) { return !store.owns_extent(item.extent()); });
        if (items.empty() || is_part) return items;
        if (auto kept = mark_kept(store, root, items, self); !kept) return fail(kept.error());
        return items;
    };
    auto kept = co_await net::offload(services_.runtime, std::move(keep));
    if (!kept || kept->empty()) co_return;
    const std::set<proto::ItemId> here(kept->begin(), kept->end());
    for (const auto extent : wanted_extents(descriptor))
        if (here.contains(proto::ItemId::of(descriptor.extents[extent.value])))
            bytes += descriptor.layout().extent_length(extent).value;
    if (!is_part) events_.on_kept({root, *kept, order_.inviter != nullptr});
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
        if (open_.contains(own) && !order_.is_part) {
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
    if (!failed.empty()) {
        fell_short_ = true;
        report({}, failed);
    }
    settle(failed, bytes_);
    room_.reset();
    ended_ = true;
}

}  // namespace flow29::node
