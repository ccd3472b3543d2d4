// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/holdings.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace flow29::node {

std::vector<proto::Holding> holdings_of(store::Store& store,
                                        const std::vector<proto::ItemId>& items,
                                        const core::Identity& self, WallTime now) {
    std::unordered_map<RootHash, bool> leased;  // by somebody else
    const auto is_leased = [&](const RootHash& root) {
        const auto [found, is_new] = leased.try_emplace(root, false);
        if (is_new) {
            const auto leases = store.leases(root);
            found->second = std::ranges::any_of(leases, [&](const proto::Lease& lease) {
                return !lease.withdrawn && lease.expires > now &&
                       lease.publisher != self.public_key();
            });
        }
        return found->second;
    };
    std::unordered_set<proto::ItemId> marked;
    for (const auto& [item, node] : store.holders(items))
        if (node == self.id()) marked.insert(item);
    std::vector<proto::Holding> holdings;
    holdings.reserve(items.size());
    for (const auto& item : items) {
        bool held = false;
        bool kept = marked.contains(item);
        if (item.kind == proto::ItemId::Kind::descriptor) {
            held = store.descriptor(item.root()).has_value();
            kept = kept && is_leased(item.root());
        } else {
            held = store.has_extent(item.extent());
            kept = kept && held && store.owns_extent(item.extent()) &&
                   std::ranges::any_of(store.roots_of(item.extent()), is_leased);
        }
        using proto::Holding;
        holdings.push_back(!held ? Holding::lacks : kept ? Holding::kept : Holding::cached);
    }
    return holdings;
}

Result<void> mark_kept(store::Store& store, const RootHash& root,
                       const std::vector<proto::ItemId>& items, const NodeId& self) {
    std::vector<store::KnownHolder> own{{proto::ItemId::of(root), self}};
    for (const auto& item : items)
        own.push_back({item, self});
    return store.add_holders(std::move(own));
}

}  // namespace flow29::node
