// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include <flow29/node.hpp>
#include "node/lease_watch.hpp"
#include "node/services.hpp"

namespace flow29::node {

/// What this node keeps whatever becomes of its leases, because its user says so.
class Pins {
  public:
    struct Events {
        std::function<asio::awaitable<bool>()> make_room;
        /// Ends the lease that this node signed for what is no longer pinned.
        std::function<asio::awaitable<Result<Withdrawal>>(RootHash root)> withdraw;
    };

    Pins(Services services, const Settings& settings, LeaseWatch& leases, Events events)
        : services_(services), settings_(settings), leases_(leases), events_(std::move(events)) {}

    /// A pinned object becomes the store's own: a file that it lies in, fetched or published by
    /// reference, may be changed or deleted afterwards. One that is no longer pinned, and that
    /// nothing else keeps, is freed when room is wanted. The state as it is now.
    /// Errors: not_found (not all of it is here), refused (blocked), no_space (it stays as it was),
    /// corrupt_store (the file is not what it was).
    [[nodiscard]] asio::awaitable<Result<bool>> set(RootHash root, bool pinned);

  private:
    [[nodiscard]] asio::awaitable<Result<void>> take_in(RootHash root);

    Services services_;
    const Settings& settings_;  // owned by the engine
    LeaseWatch& leases_;        // owned by the engine
    Events events_;
};

}  // namespace flow29::node
