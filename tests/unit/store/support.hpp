// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <flow29/limits.hpp>
#include "core/identity.hpp"
#include "core/layout.hpp"
#include "core/log.hpp"
#include "core/merkle.hpp"
#include "store/checksum.hpp"
#include "store/store.hpp"

#include <doctest/doctest.h>

namespace flow29::store::test {

namespace fs = std::filesystem;

/// A folder of its own, gone with it; in memory where that can be had, since syncs of a busy disk
/// would take most of the time.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        const bool shared_memory = ::access("/dev/shm", W_OK) == 0;
        const fs::path parent = shared_memory ? fs::path("/dev/shm") : fs::temp_directory_path();
        std::string name = (parent / "flow29-store-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { fs::remove_all(path_); }
    [[nodiscard]] const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

/// `size` octets that depend on `seed` alone.
[[nodiscard]] inline core::Buffer content(std::uint64_t seed, std::size_t size) {
    core::Buffer data(size);
    std::mt19937_64 random(seed);
    for (std::size_t at = 0; at < size; at += 8) {
        const std::uint64_t word = random();
        std::memcpy(data.data() + at, &word, std::min<std::size_t>(8, size - at));
    }
    return data;
}

[[nodiscard]] inline NewExtent extent_of(core::Buffer data) {
    const auto tree = core::GroupTree::build(data.view(), limits::hash_group_level);
    const auto groups = tree.group_hashes();
    return {tree.top(), std::move(data), {groups.begin(), groups.end()}};
}
[[nodiscard]] inline NewExtent make_extent(std::uint64_t seed, std::size_t size) {
    return extent_of(content(seed, size));
}
[[nodiscard]] inline std::vector<NewExtent> one(NewExtent extent) {
    std::vector<NewExtent> extents;
    extents.push_back(std::move(extent));
    return extents;
}
[[nodiscard]] inline ExtentReference reference_to(const fs::path& file, const NewExtent& extent) {
    return {extent.hash,         file,
            ByteCount(0),        ByteCount(extent.data.size()),
            extent.group_hashes, block_checksums(extent.data.view())};
}

[[nodiscard]] inline ChunkRange chunks(std::uint64_t first, std::uint64_t last) {
    return {ChunkIndex(first), ChunkIndex(last)};
}
[[nodiscard]] inline ChunkRange all_chunks(std::size_t bytes) {
    return chunks(0, core::chunks_in(ByteCount(bytes)).value);
}

/// An object whose extents are given, all full but the last.
[[nodiscard]] inline core::Descriptor object_of(std::vector<ExtentHash> extents, unsigned level,
                                                std::uint64_t last_bytes) {
    core::Descriptor descriptor;
    descriptor.level = level;
    descriptor.length =
        ByteCount((extents.size() - 1) * (limits::chunk_bytes << level) + last_bytes);
    descriptor.extents = std::move(extents);
    return descriptor;
}

/// An id that depends on `seed` alone.
template <class Id>
[[nodiscard]] Id make_id(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Id id;
    for (auto& octet : id.bytes)
        octet = static_cast<std::uint8_t>(random());
    return id;
}

[[nodiscard]] inline core::Identity new_identity() {
    auto identity = core::Identity::generate();
    REQUIRE(identity);
    return std::move(*identity);
}

[[nodiscard]] inline proto::Lease make_lease(const core::Identity& publisher, const RootHash& root,
                                             std::uint64_t sequence, WallTime expires) {
    proto::Lease lease;
    lease.root = root;
    lease.expires = expires;
    lease.sequence = sequence;
    lease.sign(publisher);
    return lease;
}
[[nodiscard]] inline proto::Lease withdrawal_of(proto::Lease lease, const core::Identity& publisher,
                                                std::uint64_t sequence) {
    lease.sequence = sequence;
    lease.withdrawn = true;
    lease.sign(publisher);
    return lease;
}

constexpr ByteCount default_capacity{256 * 1024 * 1024};

/// The stores under one behavioural suite.
class InMemory {
  public:
    explicit InMemory(ByteCount capacity = default_capacity)
        : store_(make_memory_store(capacity)) {}
    Store* operator->() { return store_.get(); }
    Store& operator*() { return *store_; }

  private:
    std::unique_ptr<Store> store_;
};

class OnDisk {
  public:
    explicit OnDisk(ByteCount capacity = default_capacity) : capacity_(capacity) {
        core::log::set_level(
            core::log::Level::error);  // damage is what half of the tests are about
        open();
    }
    Store* operator->() { return store_.get(); }
    Store& operator*() { return *store_; }
    [[nodiscard]] const fs::path& path() const { return directory_.path(); }
    void close() { store_.reset(); }
    void open() {
        auto opened = open_disk_store({path(), capacity_});
        REQUIRE_MESSAGE(opened, (opened ? std::string() : opened.error().message()));
        store_ = std::move(*opened);
    }
    void reopen() {
        close();
        open();
    }

  private:
    TemporaryDirectory directory_;
    ByteCount capacity_;
    std::unique_ptr<Store> store_;
};

/// Reads the range and requires that it is right and proves itself.
inline void require_readable(Store& store, const NewExtent& extent, ChunkRange range) {
    auto slice = store.read(extent.hash, range);
    REQUIRE_MESSAGE(slice, (slice ? std::string() : slice.error().message()));
    const ByteCount length(extent.data.size());
    const ByteRange bytes = core::bytes_of(range, length);
    REQUIRE(slice->data.size() == bytes.count().value);
    const ByteView expected = extent.data.view().subspan(bytes.first.value, bytes.count().value);
    REQUIRE(std::ranges::equal(slice->data.view(), expected));
    REQUIRE(core::verify_range(extent.hash, core::chunks_in(length), range, slice->data.view(),
                               slice->proof));
}
inline void require_readable(Store& store, const NewExtent& extent) {
    require_readable(store, extent, all_chunks(extent.data.size()));
}

template <class T>
[[nodiscard]] Errc code_of(const Result<T>& result) {
    return result ? Errc::ok : result.error().code;
}

}  // namespace flow29::store::test
