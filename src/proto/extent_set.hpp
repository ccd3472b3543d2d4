// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <optional>
#include <vector>

#include <flow29/ids.hpp>
#include "core/assert.hpp"

namespace flow29::proto {

/// A set of the extents of one object, as a bitmap: at most 8 KiB, and two of them are intersected
/// 64 extents a step.
class ExtentSet {
  public:
    /// Empty. Takes extents with an index below `extents`.
    explicit ExtentSet(std::uint64_t extents) : extents_(extents), words_((extents + 63) / 64) {}

    void insert(ExtentIndex extent) { word(extent) |= bit(extent); }
    void erase(ExtentIndex extent) { word(extent) &= ~bit(extent); }
    [[nodiscard]] bool contains(ExtentIndex extent) const {
        return extent.value < extents_ && (words_[extent.value / 64] & bit(extent)) != 0;
    }
    /// Adds all members of `other`, which is of the same object.
    void insert(const ExtentSet& other) {
        FLOW29_ASSERT(other.extents_ == extents_);
        for (std::size_t i = 0; i < words_.size(); ++i)
            words_[i] |= other.words_[i];
    }
    /// The members of both, which are of the same object.
    [[nodiscard]] ExtentSet common(const ExtentSet& other) const {
        FLOW29_ASSERT(other.extents_ == extents_);
        ExtentSet both(extents_);
        for (std::size_t i = 0; i < words_.size(); ++i)
            both.words_[i] = words_[i] & other.words_[i];
        return both;
    }
    /// Adds every extent that is not in `except`, which is of the same object.
    void insert_all(const ExtentSet& except) {
        FLOW29_ASSERT(except.extents_ == extents_);
        for (std::size_t i = 0; i < words_.size(); ++i)
            words_[i] |= ~except.words_[i];
        if (extents_ % 64 != 0) words_.back() &= ~0ULL >> (64 - extents_ % 64);
    }

    /// The first member of both sets in [first, last). O((last - first) / 64).
    [[nodiscard]] std::optional<ExtentIndex> first_common(const ExtentSet& other, ExtentIndex first,
                                                          ExtentIndex last) const {
        FLOW29_ASSERT(other.extents_ == extents_ && last.value <= extents_);
        for (std::uint64_t at = first.value; at < last.value; at = (at / 64 + 1) * 64) {
            const std::uint64_t both = words_[at / 64] & other.words_[at / 64] & ~0ULL << at % 64;
            if (both == 0) continue;
            const std::uint64_t found =
                at / 64 * 64 + static_cast<std::uint64_t>(std::countr_zero(both));
            if (found >= last.value) break;
            return ExtentIndex(found);
        }
        return std::nullopt;
    }

  private:
    [[nodiscard]] static std::uint64_t bit(ExtentIndex extent) { return 1ULL << extent.value % 64; }
    std::uint64_t& word(ExtentIndex extent) {
        FLOW29_ASSERT(extent.value < extents_);
        return words_[extent.value / 64];
    }

    std::uint64_t extents_;
    std::vector<std::uint64_t> words_;
};

}  // namespace flow29::proto
