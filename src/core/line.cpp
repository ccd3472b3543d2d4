// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/line.hpp"

#include <algorithm>

namespace flow29::core {

namespace {
constexpr std::uint64_t bursts_per_second = 8;
}  // namespace

void LineBudget::set_rate(ByteCount bytes_per_second, TimePoint now) {
    const std::lock_guard lock(mutex_);
    bucket_.set_rate(bytes_per_second, ByteCount(bytes_per_second.value / bursts_per_second), now);
}

ByteCount LineBudget::rate() const {
    const std::lock_guard lock(mutex_);
    return bucket_.rate();
}

TimePoint LineBudget::ready_at() const {
    const std::lock_guard lock(mutex_);
    return bucket_.ready_at();
}

void LineBudget::charge(ByteCount bytes, TimePoint now) {
    const std::lock_guard lock(mutex_);
    (void)bucket_.take(bytes, now);
}

bool LineBudget::charge_at_once(ByteCount bytes, TimePoint now) {
    const std::lock_guard lock(mutex_);
    const auto credit = std::max(ByteCount(bucket_.rate().value / 2), credit_bytes_min);
    if (bucket_.is_limited() && bucket_.owed(now) + bytes > credit) return false;
    (void)bucket_.take(bytes, now);
    return true;
}

void LineBudget::give_back(ByteCount bytes) {
    const std::lock_guard lock(mutex_);
    bucket_.give_back(bytes);
}

}  // namespace flow29::core
