// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/dial_rules.hpp"

#include <algorithm>

#include <flow29/limits.hpp>

#include "core/link_local.hpp"
#include "core/seal.hpp"

namespace flow29::proto {
namespace {

enum class Width { machine, link, network, everywhere };

Width width_of(const core::Endpoint& endpoint) {
    if (endpoint.is_loopback()) return Width::machine;
    if (core::is_link_local(endpoint)) return Width::link;
    return core::is_private_use(endpoint) ? Width::network : Width::everywhere;
}

}  // namespace

bool DialRules::may_name(const core::Endpoint& namer, const core::Endpoint& target) {
    return width_of(target) >= width_of(namer);
}

bool DialRules::rests(const Place& place, TimePoint now, Duration longest) const {
    const auto found = resting_.find(place);
    if (found == resting_.end()) return false;
    const auto& [until, length] = found->second;
    return now < until - length + std::min(length, longest);
}

bool DialRules::may_dial(const Target& target, TimePoint now, bool is_alone) const {
    const auto longest = is_alone ? rest_alone_max : rest_max;
    if (rests({target.endpoint, std::nullopt}, now, longest)) return false;
    if (target.whom && rests({target.endpoint, target.whom}, now, rest_max)) return false;
    if (!target.handed_over) return true;
    const auto host = hosts_.find(target.endpoint.address);
    return host == hosts_.end() || now >= host->second.forgotten_at ||
           host->second.count < failures_per_host_max;
}

bool DialRules::was_silent(const core::Endpoint& endpoint) const {
    return resting_.contains({endpoint, std::nullopt});
}

void DialRules::on_answered(const core::Endpoint& endpoint) {
    resting_.erase({endpoint, std::nullopt});
}

void DialRules::on_no_answer(const Target& target, TimePoint now) {
    rest({target.endpoint, std::nullopt}, now);
    if (!target.handed_over) return;
    if (hosts_.size() >= limits::dials_remembered_max)
        std::erase_if(hosts_, [now](const auto& host) { return now >= host.second.forgotten_at; });
    if (hosts_.size() >= limits::dials_remembered_max) hosts_.clear();
    auto& host = hosts_[target.endpoint.address];
    if (now >= host.forgotten_at) host = {0, now + host_period};
    ++host.count;
}

void DialRules::on_somebody_else(const Target& target, TimePoint now) {
    if (target.whom) rest({target.endpoint, target.whom}, now);
}

bool DialRules::on_ended(const Target& target, Duration lasted, TimePoint now) {
    if (lasted >= settling) {
        resting_.erase({target.endpoint, target.whom});
        return false;
    }
    rest({target.endpoint, target.whom}, now);
    return true;
}

void DialRules::rest(const Place& place, TimePoint now) {
    if (resting_.size() >= limits::dials_remembered_max)
        std::erase_if(resting_, [now](const auto& entry) { return now >= entry.second.until; });
    if (resting_.size() >= limits::dials_remembered_max) resting_.clear();
    auto& rest = resting_[place];
    rest.length = std::clamp(rest.length * 2, rest_min, rest_max);
    rest.until = now + rest.length;
}

}  // namespace flow29::proto
