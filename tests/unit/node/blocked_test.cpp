// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/blocked.hpp"

#include <flow29/limits.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace flow29::node {
namespace {

NodeId node_of(const std::string& hex_begin) {
    return *id_from_hex<NodeId>(hex_begin + std::string(64 - hex_begin.size(), '0'));
}

TEST_CASE("the beginning of an id names the one node that has it") {
    const std::set<NodeId> known{node_of("0123456789abcdef"), node_of("0123456789ffffff"),
                                 node_of("ff")};
    CHECK(Blocked::find_node("0123456789ab", known) == node_of("0123456789abcdef"));
    CHECK(Blocked::find_node("0123456789AB", known) == node_of("0123456789abcdef"));
    const auto several = Blocked::find_node("01234567", known);
    REQUIRE_FALSE(several);
    CHECK(several.error().code == Errc::usage);
    for (const NodeId& node : {node_of("0123456789abcdef"), node_of("0123456789ffffff")})
        CHECK(several.error().message().find(to_hex(node)) != std::string::npos);
    CHECK(several.error().message().find(to_hex(node_of("ff"))) == std::string::npos);
    CHECK(Blocked::find_node("76543210", known).error().code == Errc::not_found);
    CHECK(Blocked::find_node("ff00000", known).error().code == Errc::usage);
    CHECK(Blocked::find_node("ff000000", known) == node_of("ff"));
}

TEST_CASE("a prefix is what cannot be a root") {
    CHECK(Blocked::is_prefix("0123abcd"));
    CHECK(Blocked::is_prefix("01"));
    CHECK_FALSE(Blocked::is_prefix("0123abcg"));
    CHECK_FALSE(Blocked::is_prefix(std::string(64, '0')));
    CHECK_FALSE(Blocked::is_prefix(std::string(52, 'a')));
    CHECK_FALSE(Blocked::is_prefix("flow29:abcdef"));
}

TEST_CASE("the beginning of an id takes a node off the list") {
    Blocked blocked;
    REQUIRE(blocked.add({node_of("0123456789ab"), std::nullopt}));
    CHECK(blocked.find("01234567")->node == node_of("0123456789ab"));
    CHECK(blocked.find("76543210").error().code == Errc::not_found);
    CHECK(blocked.find("0123").error().code == Errc::usage);
}

TEST_CASE("a list of what is blocked has bounds, and what is on it stays") {
    Blocked blocked;
    const auto target = [](unsigned number, bool is_node) {
        const auto hex = fmt::format("{:064x}", number);
        return is_node ? Blocked::Target{id_from_hex<NodeId>(hex), std::nullopt}
                       : Blocked::Target{std::nullopt, id_from_hex<RootHash>(hex)};
    };
    for (const bool is_node : {true, false}) {
        for (unsigned i = 0; i < limits::blocked_max; ++i)
            REQUIRE(blocked.add(target(i, is_node)));
        CHECK(blocked.add(target(limits::blocked_max, is_node)).error().code == Errc::refused);
        CHECK(blocked.add(target(0, is_node)).has_value());
    }
    CHECK(blocked.list().nodes.size() == limits::blocked_max);
    CHECK(blocked.list().roots.size() == limits::blocked_max);
    blocked.remove(target(0, true));
    CHECK(blocked.add(target(limits::blocked_max, true)).has_value());
}

TEST_CASE("too few digits name no node") {
    const std::set<NodeId> known{node_of("0123456789abcdef")};
    const std::string digits = "0123456789abcdef";
    CHECK(Blocked::find_node(digits.substr(0, limits::node_prefix_min), known).has_value());
    const auto fewer = Blocked::find_node(digits.substr(0, limits::node_prefix_min - 1), known);
    REQUIRE_FALSE(fewer);
    CHECK(fewer.error().code == Errc::usage);
}

}  // namespace
}  // namespace flow29::node
