// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "core/file_key.hpp"
#include "node/source.hpp"

namespace flow29::node {

/// Another source, encrypted. Requires that it is read whole before `check_unchanged`, once, in
/// extents of one size.
class PrivateSource : public Source {
  public:
    /// `plain_root` is the root of what `plain` is unencrypted, as it was when `key` was derived.
    PrivateSource(std::unique_ptr<Source> plain, core::FileKey key, const RootHash& plain_root)
        : plain_(std::move(plain)), key_(std::move(key)), plain_root_(plain_root) {}

    [[nodiscard]] ObjectKind kind() const override { return ObjectKind::encrypted; }
    [[nodiscard]] ByteCount length() const override { return plain_->length(); }
    [[nodiscard]] Result<void> read(std::uint64_t offset,
                                    std::span<std::uint8_t> out) const override;
    /// By content: what was read is hashed again. A key that encrypted another text as well would
    /// give both away, and a file's times do not show every change.
    [[nodiscard]] Result<void> check_unchanged() const override;

  private:
    std::unique_ptr<Source> plain_;
    core::FileKey key_;
    RootHash plain_root_;
    mutable std::mutex mutex_;
    mutable std::map<std::uint64_t, TreeHash> tops_;  // by offset; guarded by mutex_
};

}  // namespace flow29::node
