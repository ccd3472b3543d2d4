// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/kept_ledger.hpp"

#include <algorithm>
#include <bit>

#include <flow29/limits.hpp>
#include "core/assert.hpp"
#include "core/hash.hpp"

namespace flow29::proto {
namespace {

using Octets = std::array<std::uint8_t, 1 + 32>;

Octets octets_of(const ItemId& item) {
    Octets octets{};
    octets[0] = static_cast<std::uint8_t>(item.kind);
    std::copy(item.hash.begin(), item.hash.end(), octets.begin() + 1);
    return octets;
}

void mix_in(KeptState& state, const ItemId& item) {
    const Octets octets = octets_of(item);
    const core::Sha256Digest digest = core::sha256({ByteView(octets)});
    for (std::size_t i = 0; i < state.bytes.size(); ++i)
        state.bytes[i] ^= digest[i];
}

using ShortName = std::array<std::uint8_t, limits::short_name_bytes>;

ShortName short_name(const KeptLedger::Salt& salt, const ItemId& item) {
    const Octets octets = octets_of(item);
    const core::Sha256Digest digest = core::sha256({ByteView(salt), ByteView(octets)});
    ShortName name;
    std::copy_n(digest.begin(), name.size(), name.begin());
    return name;
}

}  // namespace

void KeptLedger::add(const ItemId& item) {
    if (items_.insert(item).second) toggle(item);
}

void KeptLedger::remove(const ItemId& item) {
    if (items_.erase(item) != 0) toggle(item);
}

void KeptLedger::toggle(const ItemId& item) {
    changes_.push_back({state_, item});
    if (changes_.size() > changes_max_) changes_.pop_front();
    mix_in(state_, item);
}

KeptList KeptLedger::answer(const GetKept& ask, const Salt& salt) const {
    KeptList list;
    list.state = state_;
    // The zero state may be an empty ledger's, or mean that nothing is known: a list serves both.
    if (!ask.known.is_zero() && ask.known == state_) return list;
    // The latest such moment: the set may have been the same more than once.
    const auto known = ask.known.is_zero()
                           ? changes_.rend()
                           : std::find_if(changes_.rbegin(), changes_.rend(),
                                          [&](const Change& c) { return c.before == ask.known; });
    if (known != changes_.rend()) {
        std::unordered_set<ItemId> changed;
        for (auto at = changes_.rbegin(); at != std::next(known); ++at)
            changed.insert(at->item);
        for (const ItemId& item : changed)
            (items_.contains(item) ? list.added : list.removed).push_back(item);
        return list;
    }
    list.listed = true;
    list.salt = salt;
    const auto parts = std::bit_ceil(items_.size() / limits::kept_names_per_part + 1);
    list.parts = static_cast<std::uint32_t>(
        std::min<std::size_t>(parts == 1 ? 1 : parts * 2, limits::kept_parts_max));
    return list;
}

std::vector<ItemId> KeptLedger::items_of_part(std::uint32_t part, std::uint32_t parts) const {
    std::vector<ItemId> items;
    for (const ItemId& item : items_)
        if (part_of(item, parts) == part && items.size() < limits::kept_names_per_part)
            items.push_back(item);
    return items;
}

Bytes KeptLedger::short_names(const Salt& salt, const std::vector<ItemId>& items) {
    Bytes names;
    names.reserve(items.size() * limits::short_name_bytes);
    for (const ItemId& item : items) {
        const ShortName name = short_name(salt, item);
        names.insert(names.end(), name.begin(), name.end());
    }
    return names;
}

Result<std::vector<bool>> KeptLedger::find_in(ByteView list, const Salt& salt,
                                              const std::vector<ItemId>& items) {
    if (list.size() % limits::short_name_bytes != 0)
        return fail(Errc::peer_misbehaved, "a list of kept items with half a name");
    std::vector<ShortName> names(list.size() / limits::short_name_bytes);
    for (std::size_t i = 0; i < names.size(); ++i)
        std::copy_n(list.begin() + static_cast<std::ptrdiff_t>(i * limits::short_name_bytes),
                    limits::short_name_bytes, names[i].begin());
    std::ranges::sort(names);
    std::vector<bool> found;
    found.reserve(items.size());
    for (const ItemId& item : items)
        found.push_back(std::ranges::binary_search(names, short_name(salt, item)));
    return found;
}

void KeptLedger::check_invariants() const {
    KeptState state;
    for (const ItemId& item : items_)
        mix_in(state, item);
    FLOW29_ASSERT(state == state_);
    FLOW29_ASSERT(changes_.size() <= changes_max_);
}

}  // namespace flow29::proto
