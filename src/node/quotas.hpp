// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>

#include "core/endpoint.hpp"
#include "node/services.hpp"
#include "proto/record.hpp"

namespace flow29::node {

/// What one publisher, and what the nodes of one address group, may have this node keep: a share of
/// its capacity each. What is kept already is in the store, and right after a restart as well; what
/// has been accepted and is on its way is here.
class Quotas {
  public:
    /// Who asks for what: a publisher's lease, brought by a node of this group.
    struct Asker {
        PublicKey publisher;
        core::AddressGroup group;
    };
    /// In bytes, what is on its way not taken off.
    struct Left {
        std::uint64_t of_publisher = 0;
        std::uint64_t of_group = 0;
    };

    Quotas(store::Store& store, const Settings& settings) : store_(store), settings_(settings) {}

    /// Reads the store: on a worker.
    [[nodiscard]] Left left(const Asker& asker, WallTime now) const;
    /// Whether so many bytes more, with what is on its way, pass what is left.
    [[nodiscard]] bool is_over(const Asker& asker, const Left& left, std::uint64_t bytes) const;

    void begin(const Asker& asker, std::uint64_t bytes);
    /// They are in the store, or will not come.
    void end(const Asker& asker, std::uint64_t bytes);

  private:
    store::Store& store_;       // owned by whoever made the engine
    const Settings& settings_;  // owned by the engine
    std::map<PublicKey, std::uint64_t> coming_of_publisher_;
    std::map<core::AddressGroup, std::uint64_t> coming_of_group_;
};

}  // namespace flow29::node
