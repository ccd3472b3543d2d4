// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/arrival_rules.hpp"

#include <algorithm>

namespace flow29::proto {
namespace {
constexpr Duration one_comes_back =
    Duration(std::chrono::seconds(1)) / limits::arrivals_per_second_max;
}  // namespace

bool ArrivalRules::may_come(const core::AddressGroup& group, TimePoint now) {
    if (all_again_at_.size() >= limits::arrival_groups_max && !all_again_at_.contains(group))
        std::erase_if(all_again_at_, [now](const auto& entry) { return now >= entry.second; });
    if (all_again_at_.size() >= limits::arrival_groups_max && !all_again_at_.contains(group))
        all_again_at_.clear();
    auto& all_again_at = all_again_at_.try_emplace(group, now).first->second;
    const auto after_this = std::max(all_again_at, now) + one_comes_back;
    if (after_this > now + one_comes_back * limits::arrivals_at_once_max) return false;
    all_again_at = after_this;
    return true;
}

}  // namespace flow29::proto
