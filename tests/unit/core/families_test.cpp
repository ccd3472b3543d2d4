// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/families.hpp"

#include <doctest/doctest.h>

#include <string_view>

namespace flow29::core {
namespace {

Endpoint at(std::string_view text) {
    return Endpoint::parse(text).value();
}

TEST_CASE("of the addresses of a node the first of each family is taken, in their order") {
    using Endpoints = std::vector<Endpoint>;
    CHECK(first_of_each_family({}).empty());
    CHECK(first_of_each_family({at("10.0.0.1:1"), at("10.0.0.2:1")}) ==
          Endpoints{at("10.0.0.1:1")});
    CHECK(first_of_each_family({at("[fd00::1]:1"), at("[fd00::2]:1"), at("10.0.0.1:1"),
                                at("10.0.0.2:1"), at("[fd00::3]:1")}) ==
          Endpoints{at("[fd00::1]:1"), at("10.0.0.1:1")});
}

TEST_CASE("a node of both families is of the group of its IPv4, by whichever it was met") {
    const auto v4 = at("10.0.0.7:1"), v6 = at("[fd00::7]:1");
    CHECK(group_of(v4, {v6, v4}) == v4.group());
    CHECK(group_of(v6, {v6, v4}) == v4.group());
    CHECK(group_of(v6, {v6}) == v6.group());
    // What it was met at is known, and the rest said.
    CHECK(group_of(v4, {at("192.168.0.7:1"), v6}) == v4.group());
}

}  // namespace
}  // namespace flow29::core
