// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/note_table.hpp"

#include <flow29/limits.hpp>

#include <algorithm>

namespace flow29::store {
namespace {

using ItemKey = FixedBytes<struct ItemKeyTag, 33>;

ItemKey key_of(const proto::ItemId& item) {
    ItemKey key;
    key.bytes[0] = static_cast<std::uint8_t>(item.kind);
    std::ranges::copy(item.hash, key.bytes.begin() + 1);
    return key;
}

ByteView octets_of(const std::filesystem::path& path) {
    const std::string& text = path.native();
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Bytes encoded(const core::RangeSet& set) {
    Bytes raw;
    const auto put = [&](std::uint64_t value) {
        for (int shift = 56; shift >= 0; shift -= 8)
            raw.push_back(static_cast<std::uint8_t>(value >> shift));
    };
    for (const auto& interval : set.intervals()) {
        put(interval.first);
        put(interval.last);
    }
    return raw;
}

core::RangeSet decoded(ByteView raw) {
    const auto get = [&](std::size_t at) {
        std::uint64_t value = 0;
        for (const std::uint8_t octet : raw.subspan(at, 8))
            value = value << 8 | octet;
        return value;
    };
    core::RangeSet set;
    for (std::size_t at = 0; at + 16 <= raw.size(); at += 16) {
        const std::uint64_t first = get(at);
        const std::uint64_t last = get(at + 8);
        if (first < last) set.insert(first, last);
    }
    return set;
}

/// From a row of `encoded, cost, swarm`.
NoteTable::KnownNode known_node(proto::NodeRecord record, const Query& row) {
    const ByteView swarm = row.blob(2);
    return {std::move(record), row.bytes(1), {swarm.begin(), swarm.end()}};
}

Result<void> without_count(Result<std::uint64_t> changed) {
    if (!changed) return fail(std::move(changed.error()));
    return {};
}

}  // namespace

Result<std::uint64_t> NoteTable::add_holders(const std::vector<KnownHolder>& holders) {
    std::uint64_t added = 0;
    for (const KnownHolder& holder : holders) {
        const ItemKey item = key_of(holder.item);
        auto inserted = database_
                            .query(
                                "INSERT OR IGNORE INTO holders (item, node) SELECT ?1, ?2 "
                                "WHERE (SELECT count(*) FROM holders WHERE item = ?1) < ?3",
                                item, holder.node, std::int64_t{limits::holders_per_item_max})
                            .run();
        if (!inserted) return inserted;
        added += *inserted;
    }
    return added;
}

Result<std::uint64_t> NoteTable::remove_holder(const proto::ItemId& item, const NodeId& node) {
    return database_.query("DELETE FROM holders WHERE item = ?1 AND node = ?2", key_of(item), node)
        .run();
}

Result<std::uint64_t> NoteTable::forget_item(const proto::ItemId& item) {
    return database_.query("DELETE FROM holders WHERE item = ?1", key_of(item)).run();
}

Result<std::vector<NodeId>> NoteTable::holders(const proto::ItemId& item) {
    Query query =
        database_.query("SELECT node FROM holders WHERE item = ?1 ORDER BY node", key_of(item));
    std::vector<NodeId> nodes;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return nodes;
        nodes.push_back(query.id<NodeId>(0));
    }
}

Result<std::optional<NoteTable::KnownNode>> NoteTable::node_record(const NodeId& node) {
    Query query =
        database_.query("SELECT encoded, cost, swarm FROM node_records WHERE node = ?1", node);
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return std::nullopt;
    auto record = proto::NodeRecord::decode(query.blob(0));
    if (!record) return fail(Errc::corrupt_store, "catalogue: a node's record is damaged");
    return known_node(std::move(*record), query);
}

Result<std::vector<NoteTable::KnownNode>> NoteTable::node_records(const core::SwarmName& swarm,
                                                                  std::size_t count_max) {
    Query query = database_.query(
        "SELECT encoded, cost, swarm FROM node_records WHERE swarm IN (x'', ?1) "
        "ORDER BY seen DESC LIMIT ?2",
        swarm, static_cast<std::int64_t>(count_max));
    std::vector<KnownNode> nodes;
    for (;;) {
        auto row = query.step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) return nodes;
        // A damaged one is left out: it is a hint, and its node will send it again.
        if (auto record = proto::NodeRecord::decode(query.blob(0)))
            nodes.push_back(known_node(std::move(*record), query));
    }
}

Result<void> NoteTable::put_node_record(const KnownNode& node) {
    const NodeId id = node.record.node();
    auto removed = database_.query("DELETE FROM node_records WHERE node = ?1", id).run();
    if (!removed) return without_count(std::move(removed));
    return without_count(
        database_
            .query("INSERT INTO node_records (seen, node, encoded, cost, swarm) "
                   "SELECT coalesce(max(seen), 0) + 1, ?1, ?2, ?3, ?4 FROM node_records",
                   id, node.record.encode(), node.cost, node.swarm)
            .run());
}

Result<ByteCount> NoteTable::trim_node_records(std::size_t count_max) {
    ByteCount freed;
    for (;;) {
        // Usually one is too many at most: the row after the count_max newest.
        std::int64_t seen = 0;
        {
            Query query = database_.query(
                "SELECT seen, cost FROM node_records ORDER BY seen DESC LIMIT 1 OFFSET ?1",
                static_cast<std::int64_t>(count_max));
            auto row = query.step();
            if (!row) return fail(std::move(row.error()));
            if (!*row) return freed;
            seen = query.integer(0);
            freed += query.bytes(1);
        }
        auto removed = database_.query("DELETE FROM node_records WHERE seen = ?1", seen).run();
        if (!removed) return fail(std::move(removed.error()));
    }
}

Result<core::RangeSet> NoteTable::fetch_progress(const RootHash& root,
                                                 const std::filesystem::path& partial) {
    Query query = database_.query(
        "SELECT verified, checksum = crc32c(root, partial, verified) "
        "FROM fetches WHERE root = ?1 AND partial = ?2",
        root, octets_of(partial));
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return core::RangeSet();
    if (!query.boolean(1))
        return fail(Errc::corrupt_store,
                    "catalogue: what was noted of " + partial.string() + " is damaged");
    return decoded(query.blob(0));
}

Result<ByteCount> NoteTable::fetch_cost(const RootHash& root,
                                        const std::filesystem::path& partial) {
    Query query = database_.query("SELECT cost FROM fetches WHERE root = ?1 AND partial = ?2", root,
                                  octets_of(partial));
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    return *row ? query.bytes(0) : ByteCount(0);
}

Result<void> NoteTable::set_fetch(const RootHash& root, const std::filesystem::path& partial,
                                  const core::RangeSet& verified, ByteCount cost) {
    return without_count(
        database_
            .query("INSERT OR REPLACE INTO fetches (root, partial, verified, cost, checksum) "
                   "VALUES (?1, ?2, ?3, ?4, crc32c(?1, ?2, ?3))",
                   root, octets_of(partial), encoded(verified), cost)
            .run());
}

Result<void> NoteTable::remove_fetch(const RootHash& root, const std::filesystem::path& partial) {
    return without_count(
        database_
            .query("DELETE FROM fetches WHERE root = ?1 AND partial = ?2", root, octets_of(partial))
            .run());
}

Result<std::optional<Bytes>> NoteTable::setting(std::string_view key) {
    Query query = database_.query(
        "SELECT value, checksum = crc32c(key, value) FROM settings WHERE key = ?1", key);
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return std::nullopt;
    if (!query.boolean(1))
        return fail(Errc::corrupt_store,
                    "catalogue: the setting " + std::string(key) + " is damaged");
    const ByteView value = query.blob(0);
    return Bytes(value.begin(), value.end());
}

Result<ByteCount> NoteTable::setting_cost(std::string_view key) {
    Query query = database_.query("SELECT cost FROM settings WHERE key = ?1", key);
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    return *row ? query.bytes(0) : ByteCount(0);
}

Result<void> NoteTable::set_setting(std::string_view key, ByteView value, ByteCount cost) {
    return without_count(database_
                             .query("INSERT OR REPLACE INTO settings (key, value, cost, checksum) "
                                    "VALUES (?1, ?2, ?3, crc32c(?1, ?2))",
                                    key, value, cost)
                             .run());
}

}  // namespace flow29::store
