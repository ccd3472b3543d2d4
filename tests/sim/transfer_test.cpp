// SPDX-License-Identifier: GPL-3.0-or-later
#include <doctest/doctest.h>

#include "node/transfers.hpp"
#include "sim/swarm.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

TEST_CASE("a transfer's rate is what others sent, without what lay in the own store") {
    constexpr std::uint64_t mib = 1 << 20;
    Swarm swarm({.seed = 1});
    auto& transfers = swarm.engine(swarm.add()).transfers();
    const auto transfer = transfers.begin({.kind = TransferKind::fetch});
    const auto note = node::Transfer::noted(transfer, {});
    const auto tell = [&](std::uint64_t done, std::uint64_t own) {
        Progress now;
        now.stage = Stage::data;
        now.done = ByteCount(done * mib);
        now.own = ByteCount(own * mib);
        now.total = ByteCount(100 * mib);
        note(now);
    };
    tell(0, 0);
    swarm.world().run_for(1s);
    tell(64, 62);
    const auto info = transfers.list().at(0);
    CHECK(info.own == ByteCount(62 * mib));
    CHECK(info.rate == doctest::Approx(2.0 * mib).epsilon(0.01));
    REQUIRE(info.eta);
    CHECK(*info.eta > 17s);
    CHECK(*info.eta < 19s);
    // More from the store moves nothing over the network.
    tell(80, 78);
    CHECK(transfers.list().at(0).rate == doctest::Approx(info.rate).epsilon(0.01));
}
