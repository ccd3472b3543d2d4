// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_condition.hpp"

#include <doctest/doctest.h>

namespace flow29::api {
namespace {

Condition of(std::vector<std::pair<std::string, std::string>> headers) {
    HttpRequest request;
    request.headers = std::move(headers);
    return condition_of(request, "\"abc\"");
}

}  // namespace

TEST_CASE("If-None-Match tells who has a copy from who asks whether there is anything") {
    CHECK(of({}) == Condition::holds);
    CHECK(of({{"if-none-match", "\"x\""}}) == Condition::holds);
    CHECK(of({{"if-none-match", "abc"}}) == Condition::holds);
    CHECK(of({{"if-none-match", ""}}) == Condition::holds);
    CHECK(of({{"if-none-match", "\"abc\""}}) == Condition::has_copy);
    CHECK(of({{"if-none-match", "\"x\" ,\tW/\"abc\""}}) == Condition::has_copy);
    CHECK(of({{"if-none-match", "\"x\""}, {"if-none-match", "\"abc\""}}) == Condition::has_copy);
    CHECK(of({{"if-none-match", "*"}}) == Condition::exists);
    CHECK(of({{"if-none-match", "*"}, {"if-none-match", "\"abc\""}}) == Condition::has_copy);
}

TEST_CASE("If-Match fails unless it names the tag itself, and comes before If-None-Match") {
    CHECK(of({{"if-match", "*"}}) == Condition::holds);
    CHECK(of({{"if-match", "\"x\", \"abc\""}}) == Condition::holds);
    CHECK(of({{"if-match", "\"x\""}, {"if-match", "\"abc\""}}) == Condition::holds);
    CHECK(of({{"if-match", "\"x\""}}) == Condition::fails);
    CHECK(of({{"if-match", "W/\"abc\""}}) == Condition::fails);
    CHECK(of({{"if-match", ""}}) == Condition::fails);
    CHECK(of({{"if-match", "\"x\""}, {"if-none-match", "\"abc\""}}) == Condition::fails);
    CHECK(of({{"if-match", "\"abc\""}, {"if-none-match", "\"abc\""}}) == Condition::has_copy);
}

}  // namespace flow29::api
