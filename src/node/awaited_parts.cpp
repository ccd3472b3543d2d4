// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/awaited_parts.hpp"

#include <algorithm>

namespace flow29::node {

void AwaitedParts::add(const RootHash& part, const Quotas::Asker& asker,
                       const proto::Invite::Item& invited, std::uint64_t started_ms) {
    if (!has_room()) return;
    if (!items_.emplace(invited.item, Entry{part, asker, invited.length}).second) return;
    auto& publisher = publishers_[asker.publisher];
    if (publisher.parts.empty()) publisher.node = core::node_id_of(asker.publisher);
    publisher.started_ms = started_ms;
    publisher.parts[part].insert(invited.item);
    quotas_.begin(asker, invited.length.value);
}

bool AwaitedParts::take_over(const PublicKey& publisher, const proto::ItemId& item) {
    const auto found = items_.find(item);
    if (found == items_.end() || found->second.asker.publisher != publisher) return false;
    const auto owner = publishers_.find(publisher);
    const auto part = owner->second.parts.find(found->second.part);
    part->second.erase(item);
    end({item});
    if (part->second.empty()) owner->second.parts.erase(part);
    if (owner->second.parts.empty()) publishers_.erase(owner);
    return true;
}

void AwaitedParts::drop(const NodeId& publisher, const RootHash& part) {
    const auto is_it = [&](const auto& entry) { return entry.second.node == publisher; };
    const auto owner = std::ranges::find_if(publishers_, is_it);
    if (owner == publishers_.end()) return;
    const auto found = owner->second.parts.find(part);
    if (found == owner->second.parts.end()) return;
    end(found->second);
    dropped_ = true;
    owner->second.parts.erase(found);
    if (owner->second.parts.empty()) publishers_.erase(owner);
}

void AwaitedParts::look(const StartedOf& started_of, TimePoint now) {
    for (auto owner = publishers_.begin(); owner != publishers_.end();) {
        auto& publisher = owner->second;
        if (started_of(publisher.node) == publisher.started_ms)
            publisher.away_since.reset();
        else if (!publisher.away_since)
            publisher.away_since = now;
        if (!publisher.away_since || now < *publisher.away_since + grace) {
            ++owner;
            continue;
        }
        for (const auto& [part, items] : publisher.parts)
            end(items);
        dropped_ = true;
        owner = publishers_.erase(owner);
    }
}

std::unordered_set<ExtentHash> AwaitedParts::extents() const {
    std::unordered_set<ExtentHash> extents;
    extents.reserve(items_.size());
    for (const auto& [item, entry] : items_)
        extents.insert(item.extent());
    return extents;
}

void AwaitedParts::end(const std::unordered_set<proto::ItemId>& items) {
    for (const auto& item : items) {
        const auto found = items_.find(item);
        quotas_.end(found->second.asker, found->second.length.value);
        items_.erase(found);
    }
}

}  // namespace flow29::node
