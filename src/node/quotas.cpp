// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/quotas.hpp"

#include <algorithm>
#include <limits>

namespace flow29::node {

namespace {
std::uint64_t left_of(ByteCount capacity, unsigned percent, ByteCount used) {
    if (percent >= 100) return std::numeric_limits<std::uint64_t>::max();
    const auto share = capacity.value / 100 * percent;
    return share - std::min(share, used.value);
}

/// Nothing stays of who has nothing on its way: keys cost a stranger nothing.
template <class Party>
void subtract(std::map<Party, std::uint64_t>& coming, const Party& party, std::uint64_t bytes) {
    const auto found = coming.find(party);
    if (found == coming.end()) return;
    found->second -= std::min(bytes, found->second);
    if (found->second == 0) coming.erase(found);
}

template <class Party>
std::uint64_t coming_of(const std::map<Party, std::uint64_t>& coming, const Party& party) {
    const auto found = coming.find(party);
    return found == coming.end() ? 0 : found->second;
}
}  // namespace

Quotas::Left Quotas::left(const Asker& asker, WallTime now) const {
    const auto capacity = settings_.capacity;
    return {left_of(capacity, settings_.quota_publisher, store_.used_by(asker.publisher, now)),
            left_of(capacity, settings_.quota_group, store_.used_by(asker.group, now))};
}

bool Quotas::is_over(const Asker& asker, const Left& left, std::uint64_t bytes) const {
    return coming_of(coming_of_publisher_, asker.publisher) + bytes > left.of_publisher ||
           coming_of(coming_of_group_, asker.group) + bytes > left.of_group;
}

void Quotas::begin(const Asker& asker, std::uint64_t bytes) {
    if (bytes == 0) return;
    coming_of_publisher_[asker.publisher] += bytes;
    coming_of_group_[asker.group] += bytes;
}

void Quotas::end(const Asker& asker, std::uint64_t bytes) {
    subtract(coming_of_publisher_, asker.publisher, bytes);
    subtract(coming_of_group_, asker.group, bytes);
}

}  // namespace flow29::node
