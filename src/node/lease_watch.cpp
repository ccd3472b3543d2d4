// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/lease_watch.hpp"

#include "core/log.hpp"
#include "node/holdings.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr std::size_t withdrawals_told_max = 1024;
constexpr Duration withdrawal_timeout = 10s;
}  // namespace

void LeaseWatch::on_node_alive(const NodeId& node) {
    tasks_.start(tell_withdrawals(node));
}

asio::awaitable<void> LeaseWatch::tell_withdrawals(NodeId node) {
    auto& store = services_.store;
    auto read = [&store] { return store.withdrawals(withdrawals_told_max); };
    const auto withdrawn = co_await net::offload(services_.runtime, std::move(read));
    for (const auto& lease : withdrawn) {
        const auto peer = peers_.find(node);
        if (!peer || tasks_.stopping()) co_return;
        proto::Message ask = proto::UpdateLease{lease};
        const auto reply = co_await peer->request(std::move(ask), withdrawal_timeout);
        if (!reply) co_return;
    }
}

void LeaseWatch::on_lease(const proto::Lease& lease) {
    if (lease.withdrawn) tasks_.start(collect());
}

asio::awaitable<void> LeaseWatch::collect() {
    auto& store = services_.store;
    while (publishing_() > 0) {
        const bool go_on = co_await tasks_.sleep_for(1s);
        if (!go_on) co_return;
    }
    const auto wall_now = services_.runtime.wall_now();
    struct Gone {
        Result<ByteCount> freed;
        std::vector<proto::ItemId> items;
    };
    const auto cared = caretaker_.planner().items();
    const auto& self = services_.identity;
    auto job = [&store, wall_now, &cared, &self] {
        Gone gone{store.collect(wall_now), {}};
        const auto holdings = holdings_of(store, cared, self, wall_now);
        for (std::size_t i = 0; i < cared.size(); ++i)
            if (holdings[i] == proto::Holding::lacks) gone.items.push_back(cared[i]);
        return gone;
    };
    const auto gone = co_await net::offload(services_.runtime, std::move(job));
    if (!gone.freed) {
        log::warn("leases", "nothing collected: {}", gone.freed.error().message());
        co_return;
    }
    log::info("leases", "collected {} bytes", gone.freed->value);
    caretaker_.give_up(gone.items);
    announcer_.remove(gone.items);
}

}  // namespace flow29::node
