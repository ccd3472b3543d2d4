// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/dial_back_rules.hpp"

#include "core/assert.hpp"

namespace flow29::proto {

bool DialBackRules::begin(const core::Endpoint& asker, TimePoint now) {
    if (running_ >= limits::dial_backs_max) return false;
    const auto known = rests_until_.find(asker.address);
    if (known != rests_until_.end() && now < known->second) return false;
    if (rests_until_.size() >= limits::dial_back_hosts_max)
        std::erase_if(rests_until_, [now](const auto& entry) { return now >= entry.second; });
    if (rests_until_.size() >= limits::dial_back_hosts_max) return false;
    rests_until_[asker.address] = now + rest;
    ++running_;
    return true;
}

void DialBackRules::end() {
    FLOW29_ASSERT(running_ > 0);
    --running_;
}

}  // namespace flow29::proto
