// SPDX-License-Identifier: GPL-3.0-or-later
#include <doctest/doctest.h>

#include "node/transfers.hpp"
#include "sim/swarm.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

node::Transfer::Options options_of(TransferKind kind) {
    node::Transfer::Options options;
    options.kind = kind;
    return options;
}

}  // namespace

TEST_CASE("a transfer's rate is what others sent, without what lay in the own store") {
    constexpr std::uint64_t mib = 1 << 20;
    Swarm swarm({.seed = 1});
    auto& transfers = swarm.engine(swarm.add()).transfers();
    const auto transfer = transfers.begin(options_of(TransferKind::fetch));
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

TEST_CASE("a publication tells whom it sends how much, and how fast, until it stands still") {
    constexpr std::uint64_t mib = 1 << 20;
    Swarm swarm({.seed = 2});
    const auto self = swarm.add();
    auto& transfers = swarm.engine(self).transfers();
    const auto transfer = transfers.begin(options_of(TransferKind::publish));
    const auto sent = node::Transfer::sent_to(transfer);
    Progress shown;
    const auto note = node::Transfer::noted(transfer, [&](const Progress& now) { shown = now; });
    Progress copies;
    copies.stage = Stage::copies;
    copies.total = ByteCount(8 * mib);
    note(copies);
    NodeId one;
    NodeId other;
    other.bytes.fill(1);
    // A rate needs two of them.
    sent(one, ByteCount(mib));
    sent(other, ByteCount(mib));
    CHECK(transfers.list().at(0).rate == 0);
    swarm.world().run_for(1s);
    sent(one, ByteCount(mib));
    sent(other, ByteCount(2 * mib));
    const auto info = transfers.list().at(0);
    REQUIRE(info.holders.size() == 2);
    CHECK(info.holders[0].node == one);
    CHECK(info.holders[0].bytes == ByteCount(2 * mib));
    CHECK(info.holders[0].rate == doctest::Approx(1.0 * mib).epsilon(0.01));
    CHECK(info.holders[1].rate == doctest::Approx(2.0 * mib).epsilon(0.01));
    CHECK(info.rate == doctest::Approx(3.0 * mib).epsilon(0.01));
    CHECK_FALSE(info.eta);
    note(copies);
    CHECK(shown.sent == ByteCount(5 * mib));
    CHECK(shown.sent_rate == doctest::Approx(3.0 * mib).epsilon(0.01));
    CHECK_FALSE(shown.eta);
    // The time left is that of the copies, whatever was sent.
    swarm.world().run_for(2s);
    note(copies);
    swarm.world().run_for(2s);
    copies.done = ByteCount(2 * mib);
    note(copies);
    CHECK(shown.eta == 6s);
    CHECK(transfers.list().at(0).eta == 6s);
    // But what is not sent yet is nobody's copy: of the object's 32 MiB 27 are to come.
    copies.total = ByteCount(64 * mib);
    copies.done = ByteCount(60 * mib);
    copies.copies_target = 2;
    note(copies);
    REQUIRE(shown.eta);
    CHECK(shown.eta->count() == doctest::Approx(27'000.0 * mib / shown.sent_rate).epsilon(0.01));
    transfer->set_paused(true);
    note(copies);
    CHECK(shown.stage == Stage::paused);
    CHECK(shown.sent == ByteCount(5 * mib));
    CHECK(shown.sent_rate == 0);
    CHECK_FALSE(shown.eta);
    transfer->set_paused(false);
    swarm.world().run_for(100s);
    CHECK(transfers.list().at(0).rate < 0.1 * mib);
    sent(one, ByteCount(mib));
    CHECK(transfers.list().at(0).holders[0].bytes == ByteCount(3 * mib));
}
