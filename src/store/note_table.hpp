// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include <flow29/error.hpp>
#include "core/range_set.hpp"
#include "core/swarm_key.hpp"
#include "proto/message.hpp"
#include "proto/record.hpp"
#include "store/sqlite.hpp"
#include "store/store.hpp"

namespace flow29::store {

/// What the node remembers besides content: holders, node records, fetches, settings.
/// Not thread-safe; writers call within a transaction.
class NoteTable {
  public:
    explicit NoteTable(Database& database) : database_(database) {}

    /// How many were new. Beyond limits::holders_per_item_max they are left out.
    [[nodiscard]] Result<std::uint64_t> add_holders(const std::vector<KnownHolder>& holders);
    [[nodiscard]] Result<std::uint64_t> remove_holder(const proto::ItemId& item,
                                                      const NodeId& node);
    /// How many were forgotten.
    [[nodiscard]] Result<std::uint64_t> forget_item(const proto::ItemId& item);
    [[nodiscard]] Result<std::vector<NodeId>> holders(const proto::ItemId& item);

    /// A record with what it counts for.
    struct KnownNode {
        proto::NodeRecord record;
        ByteCount cost;
        Bytes swarm;  ///< core::SwarmName in which the node was met; empty: not known

        [[nodiscard]] bool is_of(const core::SwarmName& name) const {
            return swarm.empty() || std::ranges::equal(swarm, name.bytes);
        }
    };
    [[nodiscard]] Result<std::optional<KnownNode>> node_record(const NodeId& node);
    /// Those of one swarm, and those that may be of any; newest first.
    [[nodiscard]] Result<std::vector<KnownNode>> node_records(const core::SwarmName& swarm,
                                                              std::size_t count_max);
    /// Replaces the node's record; the node is then the most recently seen one.
    [[nodiscard]] Result<void> put_node_record(const KnownNode& node);
    /// Removes all but the `count_max` most recent; what they cost.
    [[nodiscard]] Result<ByteCount> trim_node_records(std::size_t count_max);

    // Fetches and settings have checksums: corrupt_store when one does not match.

    [[nodiscard]] Result<core::RangeSet> fetch_progress(const RootHash& root,
                                                        const std::filesystem::path& partial);
    /// 0 when there is none.
    [[nodiscard]] Result<ByteCount> fetch_cost(const RootHash& root,
                                               const std::filesystem::path& partial);
    [[nodiscard]] Result<void> set_fetch(const RootHash& root, const std::filesystem::path& partial,
                                         const core::RangeSet& verified, ByteCount cost);
    [[nodiscard]] Result<void> remove_fetch(const RootHash& root,
                                            const std::filesystem::path& partial);

    [[nodiscard]] Result<std::optional<Bytes>> setting(std::string_view key);
    /// 0 when there is none.
    [[nodiscard]] Result<ByteCount> setting_cost(std::string_view key);
    [[nodiscard]] Result<void> set_setting(std::string_view key, ByteView value, ByteCount cost);

  private:
    Database& database_;  // the catalogue's
};

}  // namespace flow29::store
