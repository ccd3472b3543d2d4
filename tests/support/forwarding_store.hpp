// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "store/store.hpp"

namespace flow29::test {

/// A store that does what another one does: to derive one that does something else from.
class ForwardingStore : public store::Store {
  public:
    explicit ForwardingStore(std::unique_ptr<store::Store> behind) : behind_(std::move(behind)) {}

    Result<store::ExtentSlice> read(const ExtentHash& extent, ChunkRange chunks) override {
        return behind_->read(extent, chunks);
    }
    Result<std::unique_ptr<store::Reservation>> reserve(ByteCount bytes) override {
        return behind_->reserve(bytes);
    }
    Result<std::unique_ptr<store::Reservation>> reserve_for(
        const std::vector<proto::Invite::Item>& items) override {
        return behind_->reserve_for(items);
    }
    Result<void> put_extents(std::vector<store::NewExtent> extents,
                             store::Reservation* room) override {
        return behind_->put_extents(std::move(extents), room);
    }
    Result<void> put_references(std::vector<store::ExtentReference> extents) override {
        return behind_->put_references(std::move(extents));
    }
    bool has_extent(const ExtentHash& extent) override { return behind_->has_extent(extent); }
    bool owns_extent(const ExtentHash& extent) override { return behind_->owns_extent(extent); }
    std::optional<std::filesystem::path> file_of(const ExtentHash& extent) override {
        return behind_->file_of(extent);
    }
    std::vector<proto::Lease> withdrawals(std::size_t count_max) override {
        return behind_->withdrawals(count_max);
    }
    Result<ByteCount> extent_length(const ExtentHash& extent) override {
        return behind_->extent_length(extent);
    }
    Result<void> scrub(const ExtentHash& extent) override { return behind_->scrub(extent); }
    Result<std::vector<store::HeldExtent>> extents_after(const std::optional<ExtentHash>& after,
                                                         std::size_t count_max) override {
        return behind_->extents_after(after, count_max);
    }
    Result<void> put_object(const RootHash& root, const core::Descriptor& descriptor,
                            std::string_view name) override {
        return behind_->put_object(root, descriptor, name);
    }
    Result<core::Descriptor> descriptor(const RootHash& root) override {
        return behind_->descriptor(root);
    }
    Result<store::ObjectInfo> object(const RootHash& root) override {
        return behind_->object(root);
    }
    std::vector<store::ObjectInfo> objects() override { return behind_->objects(); }
    Result<std::vector<RootHash>> roots() override { return behind_->roots(); }
    std::vector<RootHash> roots_of(const ExtentHash& extent) override {
        return behind_->roots_of(extent);
    }
    std::vector<RootHash> fetched() override { return behind_->fetched(); }
    Result<void> set_published(const RootHash& root, bool published) override {
        return behind_->set_published(root, published);
    }
    Result<void> set_pinned(const RootHash& root, bool pinned) override {
        return behind_->set_pinned(root, pinned);
    }
    Result<void> set_renewal(const RootHash& root, std::chrono::milliseconds renewal) override {
        return behind_->set_renewal(root, renewal);
    }
    Result<void> set_asker(const RootHash& root, const PublicKey& publisher,
                           const core::AddressGroup& asker) override {
        return behind_->set_asker(root, publisher, asker);
    }
    ByteCount used_by(const PublicKey& publisher, WallTime now) override {
        return behind_->used_by(publisher, now);
    }
    ByteCount used_by(const core::AddressGroup& asker, WallTime now) override {
        return behind_->used_by(asker, now);
    }
    Result<void> release(const RootHash& root) override { return behind_->release(root); }
    Result<bool> put_lease(const proto::Lease& lease) override { return behind_->put_lease(lease); }
    std::vector<proto::Lease> leases(const RootHash& root) override {
        return behind_->leases(root);
    }
    Result<ByteCount> collect(WallTime now,
                              const std::unordered_set<ExtentHash>& awaited) override {
        return behind_->collect(now, awaited);
    }
    Result<ByteCount> drop_extent(const ExtentHash& extent) override {
        return behind_->drop_extent(extent);
    }
    Result<void> add_holders(std::vector<store::KnownHolder> holders) override {
        return behind_->add_holders(std::move(holders));
    }
    Result<void> remove_holders(const std::vector<store::KnownHolder>& holders) override {
        return behind_->remove_holders(holders);
    }
    std::vector<store::KnownHolder> holders(const std::vector<proto::ItemId>& items) override {
        return behind_->holders(items);
    }
    Result<void> put_node_record(const proto::NodeRecord& record) override {
        return behind_->put_node_record(record);
    }
    std::optional<proto::NodeRecord> node_record(const NodeId& node) override {
        return behind_->node_record(node);
    }
    std::vector<proto::NodeRecord> node_records(std::size_t count_max) override {
        return behind_->node_records(count_max);
    }
    core::RangeSet fetch_progress(const RootHash& root,
                                  const std::filesystem::path& partial) override {
        return behind_->fetch_progress(root, partial);
    }
    Result<void> set_fetch_progress(const RootHash& root, const std::filesystem::path& partial,
                                    const core::RangeSet& verified) override {
        return behind_->set_fetch_progress(root, partial, verified);
    }
    Result<void> end_fetch(const RootHash& root, const std::filesystem::path& partial) override {
        return behind_->end_fetch(root, partial);
    }
    std::optional<Bytes> setting(std::string_view key) override { return behind_->setting(key); }
    Result<void> set_setting(std::string_view key, ByteView value) override {
        return behind_->set_setting(key, value);
    }
    Result<void> check_catalogue() override { return behind_->check_catalogue(); }
    store::Usage usage() override { return behind_->usage(); }

  private:
    std::unique_ptr<store::Store> behind_;
};

}  // namespace flow29::test
