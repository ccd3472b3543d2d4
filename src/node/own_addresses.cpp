// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/own_addresses.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

#include <flow29/limits.hpp>

#include "core/link_local.hpp"
#include "proto/dial_rules.hpp"

namespace flow29::node {

void OwnAddresses::on_observed(const core::Endpoint& observed) {
    auto& known = observed.is_v4() ? observed_v4_ : observed_v6_;
    if (!known || !proto::DialRules::may_name(observed, *known)) known = observed;
}

std::uint16_t OwnAddresses::port(bool is_v4) const {
    if (mapped_ && mapped_->is_v4() == is_v4) return mapped_->port;
    const auto found = std::ranges::find(listening_, is_v4, &core::Endpoint::is_v4);
    return found == listening_.end() ? std::uint16_t{0} : found->port;
}

std::vector<core::Endpoint> OwnAddresses::of_family(bool is_v4) const {
    std::vector<core::Endpoint> addresses;
    bool is_any = false;
    for (const auto& address : listening_) {
        if (address.is_v4() != is_v4) continue;
        if (address.is_unspecified())
            is_any = true;
        else
            addresses.push_back(address);
    }
    const auto& observed = is_v4 ? observed_v4_ : observed_v6_;
    const bool is_mapped = mapped_ && mapped_->is_v4() == is_v4;
    if (addresses.empty() && is_any && observed && !is_mapped)
        addresses.push_back({observed->address, port(is_v4)});
    return addresses;
}

std::vector<core::Endpoint> OwnAddresses::all() const {
    std::vector<core::Endpoint> addresses;
    if (mapped_) addresses.push_back(*mapped_);
    if (listening_.empty()) return addresses;
    const bool v4_first = listening_.front().is_v4();
    for (const bool is_v4 : {v4_first, !v4_first})
        std::ranges::move(of_family(is_v4), std::back_inserter(addresses));
    std::ranges::stable_partition(addresses, std::not_fn(core::is_link_local));
    if (addresses.size() > limits::addresses_per_record_max)
        addresses.resize(limits::addresses_per_record_max);
    return addresses;
}

}  // namespace flow29::node
