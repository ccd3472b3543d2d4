// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/private_source.hpp"

#include <vector>

#include "core/hash.hpp"
#include "core/merkle.hpp"

namespace flow29::node {

Result<void> PrivateSource::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
    if (auto got = plain_->read(offset, out); !got) return got;
    const auto top = core::tree_hash(out);
    key_.apply(offset, out);
    const std::lock_guard lock(mutex_);
    tops_.insert_or_assign(offset, top);
    return {};
}

Result<void> PrivateSource::check_unchanged() const {
    std::vector<TreeHash> tops;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [offset, top] : tops_)
            tops.push_back(top);
    }
    if (core::root_hash(plain_->kind(), plain_->length(), core::fold(tops)) != plain_root_)
        return fail(Errc::refused, changed_text);
    return plain_->check_unchanged();
}

}  // namespace flow29::node
