// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <list>
#include <memory>
#include <utility>

#include <flow29/limits.hpp>

#include "core/manifest.hpp"

namespace flow29::node {

/// The manifests looked at last, so that a browser that asks for one file after the other costs one
/// look. What a root names never changes. On the executor only.
class ManifestCache {
  public:
    using Entry = std::shared_ptr<const core::Manifest>;

    /// Null when it is not there.
    [[nodiscard]] Entry find(const RootHash& root) {
        for (auto at = recent_.begin(); at != recent_.end(); ++at) {
            if (at->first != root) continue;
            recent_.splice(recent_.begin(), recent_, at);
            return at->second;
        }
        return nullptr;
    }
    void insert(const RootHash& root, Entry manifest) {
        if (find(root)) return;
        entries_ += manifest->entries().size();
        recent_.emplace_front(root, std::move(manifest));
        while (recent_.size() > 1 &&
               (recent_.size() > manifests_max || entries_ > limits::manifest_entries_max / 4)) {
            entries_ -= recent_.back().second->entries().size();
            recent_.pop_back();
        }
    }

  private:
    static constexpr std::size_t manifests_max = 8;

    std::list<std::pair<RootHash, Entry>> recent_;
    std::size_t entries_ = 0;
};

}  // namespace flow29::node
