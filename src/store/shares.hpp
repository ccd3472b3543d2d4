// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include <flow29/ids.hpp>
#include "core/time.hpp"

namespace flow29::store {

/// The octets of a publisher's key or of an address group: who occupies a part of the store.
using Party = std::string;

/// What parties were found to occupy, kept up to date while things come and go, so that it need not
/// be summed up each time. An entry says what was true `as_of` some time, and so until the first of
/// the party's leases ends that were live then. Not thread-safe. All functions are O(1).
class Shares {
  public:
    struct Share {
        ByteCount used;
        WallTime as_of;
        WallTime valid_until;
    };

    /// Nothing when it has to be summed up.
    [[nodiscard]] std::optional<ByteCount> find(const Party& party, WallTime now) const;
    void put(const Party& party, const Share& share);
    /// A thing came, or went, which a lease of the party keeps that ends at `expires`.
    void add(const Party& party, ByteCount cost, WallTime expires);
    void subtract(const Party& party, ByteCount cost, WallTime expires);
    /// A live lease of the party is new, or another one, and ends at `expires`.
    void on_lease(const Party& party, WallTime expires);
    void forget(const Party& party) { shares_.erase(party); }
    [[nodiscard]] bool empty() const { return shares_.empty(); }

  private:
    [[nodiscard]] Share* counting(const Party& party, WallTime expires);

    std::unordered_map<Party, Share> shares_;
};

}  // namespace flow29::store
