// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/scale/sybil.hpp"

#include <doctest/doctest.h>

namespace flow29::sim::scale {
namespace {

constexpr double denied_max = 0.05;

TEST_CASE("Sybils next to a key from up to four address groups deny it to at most one in twenty") {
    SybilModel model({});
    for (const std::uint32_t identities : {50U, 200U})
        for (const std::uint32_t groups : {1U, 4U}) {
            const auto outcome = model.attack(identities, groups);
            MESSAGE(identities << " identities of " << groups << " groups: "
                               << outcome.denied_share() * 100 << " % of look-ups denied, "
                               << outcome.captured_share() * 100 << " % of copies captured");
            CHECK(outcome.lookups == 1000);
            CHECK(outcome.denied_share() <= denied_max);
            CHECK(outcome.captured > 0);
            CHECK(outcome.captured_share() < 0.5);
            CHECK(outcome.asides > 0);
        }
}

TEST_CASE("where nobody attacks, nothing is denied and nothing is looked up beside") {
    SybilModel model({.identities_tried = 0});
    const auto outcome = model.attack(0, 1);
    CHECK(outcome.lookups == 1000);
    CHECK(outcome.denied == 0);
    CHECK(outcome.captured == 0);
    CHECK(outcome.asides == 0);
}

TEST_CASE("who has most of the groups next to a key has what is there: it is not a defence") {
    SybilModel model({.keys = 20});
    CHECK(model.attack(50, 16).denied_share() > 0.5);
}

}  // namespace
}  // namespace flow29::sim::scale
