// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <flow29/error.hpp>
#include "core/unique_fd.hpp"

namespace flow29::node {

/// Files of a directory that are read or written in several steps, kept open while there are few:
/// the one used longest ago is closed first. May be used from several threads at once.
class OpenFiles {
  public:
    using OpenFn = std::function<Result<core::UniqueFd>(std::size_t index)>;
    using Handle = std::shared_ptr<const core::UniqueFd>;

    explicit OpenFiles(OpenFn open) : open_(std::move(open)) {}

    /// Open until the last handle is gone.
    [[nodiscard]] Result<Handle> get(std::size_t index) {
        const std::lock_guard lock(mutex_);
        if (const auto known = by_index_.find(index); known != by_index_.end()) {
            recent_.splice(recent_.begin(), recent_, known->second);
            return known->second->second;
        }
        auto opened = open_(index);
        if (!opened) return fail(opened.error());
        if (recent_.size() >= open_max) {
            by_index_.erase(recent_.back().first);
            recent_.pop_back();
        }
        recent_.emplace_front(index, std::make_shared<const core::UniqueFd>(std::move(*opened)));
        by_index_.emplace(index, recent_.begin());
        return recent_.front().second;
    }

  private:
    static constexpr std::size_t open_max = 64;
    using Recent = std::list<std::pair<std::size_t, Handle>>;

    OpenFn open_;
    std::mutex mutex_;
    Recent recent_;  // guarded by mutex_, as the next
    std::unordered_map<std::size_t, Recent::iterator> by_index_;
};

}  // namespace flow29::node
