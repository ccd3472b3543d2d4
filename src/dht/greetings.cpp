// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/greetings.hpp"

#include <flow29/limits.hpp>

namespace flow29::dht {

bool Greetings::should_greet(const core::Endpoint& endpoint, TimePoint now) {
    if (now >= forget_at_) {
        greeted_.clear();
        forget_at_ = now + again_after;
    }
    if (now >= second_ends_) {
        this_second_ = 0;
        second_ends_ = now + std::chrono::seconds(1);
    }
    if (endpoint.is_unspecified() || greeted_.contains(endpoint)) return false;
    if (this_second_ >= limits::greetings_per_second_max || greeted_.size() >= limits::greeted_max)
        return false;
    ++this_second_;
    greeted_.insert(endpoint);
    return true;
}

}  // namespace flow29::dht
