// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/reply_budget.hpp"

#include <map>
#include <random>

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

namespace flow29::proto {
namespace {

core::AddressGroup group_of(const char* address) {
    return core::Endpoint::parse(std::string(address) + ":1")->group();
}

constexpr ByteCount mebibyte{1 << 20};

TEST_CASE("peers of one network leave as much to others as they have, and all have a limit") {
    ReplyBudget budget;
    const auto begin_all = [&](const core::AddressGroup& group) {
        std::uint64_t begun = 0;
        for (; budget.room(group, ByteCount(0)) >= mebibyte; ++begun)
            budget.change(group, ByteCount(0), mebibyte);
        budget.check_invariants();
        return begun;
    };
    CHECK(begin_all(group_of("192.0.2.1")) == limits::owed_bytes_max / 2 >> 20);
    CHECK(budget.room(group_of("192.0.2.2"), ByteCount(0)) == ByteCount(0));  // the same network
    CHECK(begin_all(group_of("198.51.100.1")) == limits::owed_bytes_max / 4 >> 20);
    for (unsigned i = 0; i < 256; ++i)
        begin_all(group_of(("203.0." + std::to_string(i) + ".1").c_str()));
    CHECK(budget.owed() == ByteCount(limits::owed_bytes_max));
    budget.change(group_of("198.51.100.1"), mebibyte, ByteCount(0));
    CHECK(budget.room(group_of("203.1.0.1"), ByteCount(0)) == mebibyte);
    CHECK(budget.room(group_of("192.0.2.1"), ByteCount(0)) == ByteCount(0));
}

TEST_CASE("to one peer no more is owed than a quarter of what is left") {
    ReplyBudget budget;
    const auto group = group_of("192.0.2.1");
    ByteCount owed;
    while (budget.room(group, owed) >= mebibyte) {
        budget.change(group, owed, owed + mebibyte);
        owed += mebibyte;
    }
    CHECK(owed.value <= limits::owed_bytes_max / 5);
    CHECK((owed + mebibyte).value > limits::owed_bytes_max / 5 - mebibyte.value);
    CHECK(budget.room(group, ByteCount(0)) >= mebibyte);
}

TEST_CASE("whatever is owed and taken, the sums are right and the limit holds") {
    std::mt19937_64 random(29);
    ReplyBudget budget;
    std::map<unsigned, ByteCount> owed;
    for (unsigned step = 0; step < 20'000; ++step) {
        const auto peer = static_cast<unsigned>(random() % 64);
        const auto group = group_of(("10.0." + std::to_string(peer % 8) + ".1").c_str());
        ByteCount& now = owed[peer];
        const ByteCount before = now;
        if (random() % 3 == 0)
            now = ByteCount(before.value == 0 ? 0 : random() % before.value);
        else
            now += ByteCount(std::min(budget.room(group, before).value, random() % (4U << 20)));
        budget.change(group, before, now);
        budget.check_invariants();
        CHECK(budget.owed().value <= limits::owed_bytes_max);
    }
}

}  // namespace
}  // namespace flow29::proto
