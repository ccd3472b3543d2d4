// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/holdings.hpp"

#include <algorithm>
#include <unordered_map>

namespace flow29::node {

std::vector<proto::Holding> holdings_of(store::Store& store,
                                        const std::vector<proto::ItemId>& items,
                                        const PublicKey& self, WallTime now) {
    std::unordered_map<RootHash, bool> leased;  // by somebody else
    const auto is_leased = [&](const RootHash& root) {
        const auto [found, is_new] = leased.try_emplace(root, false);
        if (is_new) {
            const auto leases = store.leases(root);
            found->second = std::ranges::any_of(leases, [&](const proto::Lease& lease) {
                return !lease.withdrawn && lease.expires > now && lease.publisher != self;
            });
        }
        return found->second;
    };
    std::vector<proto::Holding> holdings;
    holdings.reserve(items.size());
    for (const auto& item : items) {
        bool held = false;
        bool kept = false;
        if (item.kind == proto::ItemId::Kind::descriptor) {
            held = store.descriptor(item.root()).has_value();
            kept = held && is_leased(item.root());
        } else {
            held = store.has_extent(item.extent());
            kept = held && std::ranges::any_of(store.roots_of(item.extent()), is_leased);
        }
        holdings.push_back(kept   ? proto::Holding::kept
                           : held ? proto::Holding::cached
                                  : proto::Holding::lacks);
    }
    return holdings;
}

}  // namespace flow29::node
