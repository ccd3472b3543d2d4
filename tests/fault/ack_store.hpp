// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <set>

#include "fault/arena.hpp"
#include "support/forwarding_store.hpp"

namespace flow29::fault {

/// A store that notes what it acknowledged, and before anything is removed what may be.
class AckStore : public test::ForwardingStore {
  public:
    AckStore(std::unique_ptr<store::Store> behind, Arena& arena, std::uint32_t round)
        : ForwardingStore(std::move(behind)), arena_(arena), round_(round) {}

    Result<void> put_extents(std::vector<store::NewExtent> extents,
                             store::Reservation* room) override {
        std::vector<ExtentHash> hashes;
        for (const auto& extent : extents)
            hashes.push_back(extent.hash);
        auto done = ForwardingStore::put_extents(std::move(extents), room);
        if (done) note_extents(hashes);
        return done;
    }
    Result<void> put_references(std::vector<store::ExtentReference> extents) override {
        std::vector<ExtentHash> hashes;
        for (const auto& extent : extents)
            hashes.push_back(extent.hash);
        auto done = ForwardingStore::put_references(std::move(extents));
        if (done) note_extents(hashes);
        return done;
    }
    Result<void> put_object(const RootHash& root, const core::Descriptor& descriptor,
                            std::string_view name) override {
        auto done = ForwardingStore::put_object(root, descriptor, name);
        if (done) note(Ack::Kind::object, root.bytes);
        return done;
    }
    Result<void> set_published(const RootHash& root, bool published) override {
        auto done = ForwardingStore::set_published(root, published);
        if (done && published) note(Ack::Kind::published, root.bytes);
        return done;
    }
    Result<bool> put_lease(const proto::Lease& lease) override {
        auto done = ForwardingStore::put_lease(lease);
        if (done && *done) note(Ack::Kind::lease, lease.root.bytes, lease.sequence);
        return done;
    }
    Result<ByteCount> drop_extent(const ExtentHash& extent) override {
        note(Ack::Kind::extent_may_go, extent.bytes);
        return ForwardingStore::drop_extent(extent);
    }
    Result<void> scrub(const ExtentHash& extent) override {
        auto done = ForwardingStore::scrub(extent);
        // It drops what is damaged; nothing here is.
        if (!done) arena_.blame("scrub: " + done.error().message());
        return done;
    }
    Result<ByteCount> collect(WallTime now,
                              const std::unordered_set<ExtentHash>& awaited) override {
        let_go(now);
        return ForwardingStore::collect(now, awaited);
    }

  private:
    void note(Ack::Kind kind, const std::array<std::uint8_t, 32>& hash, std::uint64_t number = 0) {
        arena_.add({kind, round_, number, hash});
    }
    void note_extents(const std::vector<ExtentHash>& hashes) {
        for (const auto& hash : hashes)
            note(Ack::Kind::extent, hash.bytes);
    }
    [[nodiscard]] bool is_kept(const RootHash& root, WallTime now) {
        const auto info = object(root);
        if (info && (info->published || info->pinned)) return true;
        for (const auto& lease : leases(root))
            if (!lease.withdrawn && lease.expires > now) return true;
        return false;
    }
    /// Notes what nothing keeps.
    void let_go(WallTime now) {
        std::set<ExtentHash> extents;
        std::set<RootHash> objects;
        for (std::size_t i = 0; i < arena_.acks(); ++i) {
            const Ack& ack = arena_.ack(i);
            if (ack.kind == Ack::Kind::extent) extents.insert(ExtentHash{ack.hash});
            if (ack.kind == Ack::Kind::object) objects.insert(RootHash{ack.hash});
        }
        for (const auto& root : objects)
            if (!is_kept(root, now)) note(Ack::Kind::object_may_go, root.bytes);
        for (const auto& extent : extents) {
            bool kept = false;
            for (const auto& root : roots_of(extent))
                kept = kept || is_kept(root, now);
            if (!kept) note(Ack::Kind::extent_may_go, extent.bytes);
        }
    }

    Arena& arena_;  // owned by the program
    std::uint32_t round_;
};

}  // namespace flow29::fault
