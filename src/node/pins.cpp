// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/pins.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "node/terms.hpp"

namespace flow29::node {
namespace {

constexpr std::uint64_t batch_bytes = 16ULL << 20;
constexpr const char* not_here_text =
    "it is not here: fetch it first, if it is a file; a fetched directory is kept by publishing it "
    "again from where it was saved, which gives the same link";

/// The extents of an object that are here, but lie in files outside the store. On a worker.
std::vector<ExtentHash> outside(store::Store& store, const core::Descriptor& descriptor) {
    std::vector<ExtentHash> extents;
    for (const auto& extent : descriptor.extents)
        if (store.has_extent(extent) && !store.owns_extent(extent)) extents.push_back(extent);
    return extents;
}

/// Room for all of them, before the first one is taken in. On a worker.
Result<std::unique_ptr<store::Reservation>> reserve(store::Store& store,
                                                    const std::vector<ExtentHash>& extents) {
    std::vector<proto::Invite::Item> items;
    for (const auto& extent : extents)
        if (const auto length = store.extent_length(extent))
            items.push_back({proto::ItemId::of(extent), *length});
    return store.reserve_for(items);
}

/// Makes some of them the store's own, and takes them from the list. On a worker.
Result<void> take_in_some(store::Store& store, std::vector<ExtentHash>& extents,
                          store::Reservation* room) {
    std::vector<store::NewExtent> batch;
    std::uint64_t bytes = 0;
    for (auto next = extents.rbegin(); next != extents.rend() && bytes < batch_bytes; ++next) {
        const auto length = store.extent_length(*next);
        if (!length) return fail(length.error());
        auto slice = store.read(*next, {ChunkIndex(0), ChunkIndex(core::chunks_in(*length).value)});
        if (!slice) return fail(slice.error());
        const auto tree = core::GroupTree::build(slice->data.view(), limits::hash_group_level);
        if (tree.top() != *next)
            return fail(Errc::corrupt_store, "the file that it lies in has changed");
        bytes += length->value;
        batch.push_back({*next,
                         std::move(slice->data),
                         {tree.group_hashes().begin(), tree.group_hashes().end()}});
    }
    const auto count = batch.size();
    if (auto put = store.put_extents(std::move(batch), room); !put) return put;
    extents.resize(extents.size() - count);
    return {};
}

}  // namespace

asio::awaitable<Result<void>> Pins::take_in(RootHash root) {
    auto& store = services_.store;
    auto look = [&store, root]() -> Result<std::vector<ExtentHash>> {
        const auto object = store.object(root);
        if (!object) return fail(object.error());
        return outside(store, object->descriptor);
    };
    auto extents = co_await net::offload(services_.runtime, std::move(look));
    if (!extents) co_return fail(extents.error());
    if (extents->empty()) co_return Result<void>();
    auto ask = [&store, &extents] { return reserve(store, *extents); };
    auto ask_again = ask;
    auto room = co_await net::offload(services_.runtime, std::move(ask));
    if (!room && room.error().code == Errc::no_space) {
        const bool made = co_await events_.make_room();
        if (made) room = co_await net::offload(services_.runtime, std::move(ask_again));
    }
    if (!room) co_return fail(room.error());
    while (!extents->empty()) {
        auto take = [&store, &extents, &room] {
            return take_in_some(store, *extents, room->get());
        };
        const auto taken = co_await net::offload(services_.runtime, std::move(take));
        if (!taken) co_return taken;
    }
    co_return Result<void>();
}

asio::awaitable<Result<bool>> Pins::set(RootHash root, bool pinned) {
    if (pinned && settings_.is_blocked(root)) co_return fail(Errc::refused, blocked_text(root));
    auto& store = services_.store;
    const auto& self = services_.identity;
    const auto wall_now = services_.runtime.wall_now();
    struct Outcome {
        Result<void> done;
        bool was_pinned = false;
        bool leftover = false;  // a lease of this node's own that only the pin was there for
    };
    auto job = [&store, &self, root, pinned, wall_now] {
        Outcome outcome;
        const auto object = store.object(root);
        if (!object && object.error().code == Errc::not_found) {
            outcome.done = fail(Errc::not_found, not_here_text);
            return outcome;
        }
        if (!object) {
            outcome.done = fail(object.error());
            return outcome;
        }
        const auto wanted = object->descriptor.extents.size();
        if (pinned && object->extents_held < wanted) {
            outcome.done = fail(Errc::not_found,
                                fmt::format("only {} of its {} parts are here; fetch it first",
                                            object->extents_held, wanted));
            return outcome;
        }
        outcome.was_pinned = object->pinned;
        outcome.done = store.set_pinned(root, pinned);
        if (!outcome.done || (object->published && !pinned)) return outcome;
        const auto renewal = pinned ? std::chrono::milliseconds(limits::lease_default)
                                    : std::chrono::milliseconds(0);
        const bool goes_on = pinned && object->renewal.count() != 0;
        if (!goes_on) outcome.done = store.set_renewal(root, renewal);
        outcome.leftover =
            !pinned && std::ranges::any_of(store.leases(root), [&](const proto::Lease& lease) {
                return lease.publisher == self.public_key() && is_live(lease, wall_now);
            });
        return outcome;
    };
    const auto outcome = co_await net::offload(services_.runtime, std::move(job));
    if (!outcome.done) co_return fail(outcome.done.error());
    if (pinned) {
        // Pinned first, or it might be collected as soon as it is the store's own.
        const auto taken = co_await take_in(root);
        if (!taken) {
            if (!outcome.was_pinned) (void)co_await set(root, false);  // as it was; this is said
            co_return fail(taken.error());
        }
    }
    leases_.check_renewals();
    if (outcome.leftover) {
        const auto ended = co_await events_.withdraw(root);
        if (!ended) co_return fail(ended.error());
    }
    co_return pinned;
}

}  // namespace flow29::node
