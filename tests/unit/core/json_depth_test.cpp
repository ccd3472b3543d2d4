// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/json_depth.hpp"

#include <doctest/doctest.h>

#include <string>

using flow29::core::is_nested_beyond;

TEST_CASE("how deep arrays and objects lie is told, whatever strings say") {
    CHECK_FALSE(is_nested_beyond("", 0));
    CHECK_FALSE(is_nested_beyond("7", 0));
    CHECK(is_nested_beyond("[]", 0));
    CHECK_FALSE(is_nested_beyond("[]", 1));
    CHECK_FALSE(is_nested_beyond("[[],[],{}]", 2));
    CHECK(is_nested_beyond("[[],[[]]]", 2));
    CHECK(is_nested_beyond(R"({"a":{"b":[1]}})", 2));
    CHECK_FALSE(is_nested_beyond(R"({"a":{"b":[1]}})", 3));
    CHECK_FALSE(is_nested_beyond(R"(["[[[[", "\"[[[", "\\"])", 1));
    CHECK(is_nested_beyond(R"(["\\",[]])", 1));
    CHECK(is_nested_beyond(std::string(100'000, '['), 32));
}
