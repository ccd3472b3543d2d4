// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <flow29/limits.hpp>

#include "node/quotas.hpp"
#include "proto/message.hpp"

namespace flow29::node {

/// Extents that were taken in as parts of something whose publisher has not hashed all of it yet.
/// Nothing in the store keeps them: this does, in memory, and charges them to their publisher.
///
/// Rules:
/// 1. An extent is awaited from the moment when a part with it is accepted. That ends when its
///    publisher invites for the object, says that the part is not wanted, or has been without a
///    connection, or started anew, for `grace`. What no object contains then is collected.
///    Rationale: a publisher that dies in the middle leaves nothing, and one that is slow needs to
///    renew nothing.
/// 2. One publisher awaits an extent, the first; another one's part is not protected by it.
/// 3. What is awaited counts against its publisher's and its group's quota as if it were on its
///    way.
///    Rationale: who asks for room ahead gets no more of it.
///
/// O(log publishers) for each extent; what ends a part costs O(its extents).
class AwaitedParts {
  public:
    static constexpr Duration grace = std::chrono::minutes(2);

    /// Requires `quotas` to outlive this.
    explicit AwaitedParts(Quotas& quotas) : quotas_(quotas) {}

    /// Whether as many more may be awaited.
    [[nodiscard]] bool has_room() const { return items_.size() < limits::awaited_extents_max; }
    /// From now on this publisher awaits the item, unless somebody does already.
    /// `started_ms` is when the publisher's node started, as in its record.
    void add(const RootHash& part, const Quotas::Asker& asker, const proto::Invite::Item& invited,
             std::uint64_t started_ms);
    /// The publisher has invited for the object, or the item was not accepted after all: whether it
    /// was awaited.
    bool take_over(const PublicKey& publisher, const proto::ItemId& item);
    /// The publisher says that nothing more is wanted of a part.
    void drop(const NodeId& publisher, const RootHash& part);
    /// When a publisher's node started that is connected; nothing for one that is not.
    using StartedOf = std::function<std::optional<std::uint64_t>(const NodeId& publisher)>;
    /// Drops what publishers await that are away, or know nothing of it, for too long.
    void look(const StartedOf& started_of, TimePoint now);

    /// Something that was awaited is kept by nothing.
    void on_left_over() { dropped_ = true; }
    /// Whether anything was dropped or left over since the last call.
    [[nodiscard]] bool take_dropped() { return std::exchange(dropped_, false); }
    [[nodiscard]] std::unordered_set<ExtentHash> extents() const;

  private:
    struct Entry {
        RootHash part;
        Quotas::Asker asker;
        ByteCount length;
    };
    struct Publisher {
        NodeId node;
        std::uint64_t started_ms = 0;
        std::map<RootHash, std::unordered_set<proto::ItemId>> parts;
        std::optional<TimePoint> away_since;
    };

    void end(const std::unordered_set<proto::ItemId>& items);

    Quotas& quotas_;  // owned by the keeper
    std::unordered_map<proto::ItemId, Entry> items_;
    std::map<PublicKey, Publisher> publishers_;
    bool dropped_ = false;
};

}  // namespace flow29::node
