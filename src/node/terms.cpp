// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/terms.hpp"

#include <algorithm>
#include <unordered_map>

#include "node/holdings.hpp"

namespace flow29::node {

namespace {
constexpr auto lease_ahead_max = limits::lease_max + std::chrono::hours(1);  // clocks differ
}  // namespace

bool is_acceptable(const proto::Lease& lease, WallTime now) {
    const bool is_over = !lease.withdrawn && lease.expires <= now;
    return !is_over && lease.expires < now + lease_ahead_max && lease.copies >= 1 &&
           lease.copies <= limits::copies_max;
}

bool is_superseded(store::Store& store, const proto::Lease& lease, WallTime now) {
    return std::ranges::any_of(store.leases(lease.root), [&](const proto::Lease& known) {
        return known.publisher == lease.publisher && known.sequence >= lease.sequence &&
               !is_live(known, now);
    });
}

bool is_in_force(store::Store& store, const proto::Lease& lease, WallTime now) {
    return std::ranges::any_of(store.leases(lease.root), [&](const proto::Lease& known) {
        return known.publisher == lease.publisher && is_live(known, now);
    });
}

std::optional<proto::Lease> widest_live(const std::vector<proto::Lease>& leases, WallTime now) {
    std::optional<proto::Lease> widest;
    for (const auto& lease : leases) {
        if (!is_live(lease, now)) continue;
        if (!widest ||
            std::pair(widest->copies, widest->expires) < std::pair(lease.copies, lease.expires))
            widest = lease;
    }
    return widest;
}

std::vector<std::optional<Terms>> terms_of(store::Store& store,
                                           const std::vector<proto::ItemId>& items,
                                           const core::Identity& self, WallTime now) {
    struct OfObject {
        std::optional<proto::Lease> own;
        std::optional<proto::Lease> foreign;
    };
    std::unordered_map<RootHash, OfObject> known;
    const auto of_object = [&](const RootHash& root) -> const OfObject& {
        const auto [found, is_new] = known.try_emplace(root);
        if (is_new) {
            auto leases = store.leases(root);
            const auto own = std::ranges::partition(leases, [&](const proto::Lease& lease) {
                return lease.publisher != self.public_key();
            });
            found->second.own = widest_live({own.begin(), own.end()}, now);
            leases.erase(own.begin(), own.end());
            found->second.foreign = widest_live(leases, now);
        }
        return found->second;
    };
    const auto holdings = holdings_of(store, items, self, now);
    std::vector<std::optional<Terms>> terms(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (holdings[i] == proto::Holding::lacks) continue;
        const auto& item = items[i];
        const auto consider = [&terms, i](const std::optional<proto::Lease>& lease, unsigned more) {
            if (!lease) return;
            const unsigned copies = lease->copies + more;
            if (!terms[i] || terms[i]->copies < copies) terms[i] = Terms{*lease, copies};
        };
        const auto roots = item.kind == proto::ItemId::Kind::descriptor
                               ? std::vector<RootHash>{item.root()}
                               : store.roots_of(item.extent());
        for (const auto& root : roots) {
            const auto& leases = of_object(root);
            consider(leases.own, 1);
            if (holdings[i] == proto::Holding::kept) consider(leases.foreign, 0);
        }
    }
    return terms;
}

}  // namespace flow29::node
