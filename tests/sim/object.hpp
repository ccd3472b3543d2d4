// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "sim/swarm.hpp"

namespace flow29::sim {

/// An object that was published in a test.
struct Object {
    RootHash root;
    core::Descriptor descriptor;
    Bytes content;
    std::size_t publisher = 0;
    PublishResult result;

    [[nodiscard]] proto::ItemId descriptor_item() const { return proto::ItemId::of(root); }
    /// The descriptor, then the extents in order.
    [[nodiscard]] std::vector<proto::ItemId> items() const {
        std::vector<proto::ItemId> items{descriptor_item()};
        for (const auto& extent : descriptor.extents)
            items.push_back(proto::ItemId::of(extent));
        return items;
    }
};

/// How to publish one.
struct ObjectOptions {
    std::size_t publisher = 0;
    std::size_t bytes = 0;
    std::uint64_t seed = 1;
    unsigned copies = 4;
    std::optional<unsigned> level = std::nullopt;
};

/// Of small extents, under a lease.
inline PublishRequest request_of(Duration lease, bool renew) {
    PublishRequest request;
    request.extent_level = 9;
    request.lease = std::chrono::duration_cast<std::chrono::milliseconds>(lease);
    request.renew = renew;
    return request;
}

inline core::Descriptor descriptor_on(Swarm& swarm, std::size_t node, const RootHash& root) {
    auto descriptor = swarm.store(node).descriptor(root);
    REQUIRE(descriptor.has_value());
    return std::move(*descriptor);
}

inline Object publish(Swarm& swarm, const ObjectOptions& options) {
    Object object;
    object.publisher = options.publisher;
    object.content = random_content(options.seed, options.bytes);
    auto result = swarm.publish(options.publisher, object.content, options.copies, options.level);
    REQUIRE(result.has_value());
    object.result = std::move(*result);
    object.root = object.result.root;
    object.descriptor = descriptor_on(swarm, options.publisher, object.root);
    return object;
}

/// Copies on nodes up now that are not its publisher: the fewest over all items.
inline unsigned copies(const Swarm& swarm, const Object& object) {
    return swarm.copies(object.root, object.descriptor, object.publisher);
}

/// Likewise of one item.
inline std::size_t copies(const Swarm& swarm, const Object& object, const proto::ItemId& item) {
    auto holders = swarm.holders(item);
    std::erase(holders, object.publisher);
    return holders.size();
}

/// Bytes of the object's extents that lie on a node.
inline std::uint64_t bytes_on(const Swarm& swarm, const Object& object, std::size_t node) {
    const auto layout = object.descriptor.layout();
    std::uint64_t bytes = 0;
    for (std::uint64_t i = 0; i < object.descriptor.extents.size(); ++i)
        if (swarm.store(node).has_extent(object.descriptor.extents[i]))
            bytes += layout.extent_length(ExtentIndex(i)).value;
    return bytes;
}

/// Who has what: (node, item) for every node that is up.
using Holdings = std::set<std::pair<std::size_t, std::size_t>>;

inline Holdings holdings(const Swarm& swarm, const Object& object) {
    Holdings all;
    const auto items = object.items();
    for (std::size_t i = 0; i < items.size(); ++i)
        for (const auto node : swarm.holders(items[i]))
            all.emplace(node, i);
    return all;
}

/// True when everything that `earlier` names is still there.
inline bool nothing_deleted(const Holdings& earlier, const Holdings& now) {
    return std::ranges::includes(now, earlier);
}

/// The first node from `from` on that has the item and is not the publisher.
inline std::size_t a_holder(const Swarm& swarm, const Object& object, const proto::ItemId& item) {
    for (const auto node : swarm.holders(item))
        if (node != object.publisher) return node;
    FAIL("nobody has the item");
    return 0;
}

inline bool readable(Swarm& swarm, const Object& object, std::size_t reader) {
    const auto fetched = swarm.fetch(reader, object.root);
    return fetched.has_value() && *fetched == object.content;
}

/// No audit happens in a test's time, so that data moves only for copies and readers.
inline constexpr Duration no_audits = std::chrono::hours(24 * 365 * 100);

}  // namespace flow29::sim
