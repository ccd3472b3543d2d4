// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/error.hpp>

#include "aborts.hpp"
#include "core/assert.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <ostream>
#include <set>

using namespace flow29;

namespace {

constexpr int errc_last = static_cast<int>(Errc::locked);

Errc errc_at(int value) {
    return static_cast<Errc>(value);
}

}  // namespace

TEST_CASE("exit codes are the documented ones") {
    const std::pair<Errc, int> documented[] = {
        {Errc::ok, 0},
        {Errc::other, 1},
        {Errc::usage, 2},
        {Errc::no_node, 3},
        {Errc::not_found, 4},
        {Errc::timed_out, 5},
        {Errc::verification_failed, 6},
        {Errc::no_network, 7},
        {Errc::no_space, 8},
        {Errc::file_error, 9},
        {Errc::exists_already, 10},
        {Errc::refused, 11},
        {Errc::partly_done, 12},
        {Errc::interrupted, 130},
        {Errc::peer_misbehaved, 6},
        {Errc::peer_lacks, 4},
        {Errc::peer_unreachable, 7},
        {Errc::peer_busy, 11},
        {Errc::corrupt_store, 6},
        {Errc::is_directory, 2},
        {Errc::locked, 9},
    };
    CHECK(std::size(documented) == errc_last + 1);
    for (const auto& [code, status] : documented) {
        CAPTURE(errc_name(code));
        CHECK(exit_code(code) == status);
    }
}

TEST_CASE("every code has a name of its own and a message") {
    std::set<std::string_view> names;
    for (int value = 0; value <= errc_last; ++value) {
        names.insert(errc_name(errc_at(value)));
        CHECK_FALSE(make_error_code(errc_at(value)).message().empty());
        CHECK(errc_name(errc_at(value)).find(' ') == std::string_view::npos);
    }
    CHECK(names.size() == errc_last + 1);
    CHECK(errc_name(Errc::not_found) == "not_found");
    CHECK(errc_name(Errc::timed_out) == "timed_out");
}

TEST_CASE("a number that is no code counts as other") {
    for (const int value : {-1, errc_last + 1, 100'000}) {
        CHECK(errc_name(errc_at(value)) == "other");
        CHECK(exit_code(errc_at(value)) == 1);
        CHECK(std::error_code(value, errc_category()).message() == "unknown error");
    }
}

TEST_CASE("codes mix with std::error_code") {
    const std::error_code code = Errc::not_found;
    CHECK(code == Errc::not_found);
    CHECK(code != Errc::timed_out);
    CHECK(code.category() == errc_category());
    CHECK(std::string_view(code.category().name()) == "flow29");
    CHECK_FALSE(std::error_code(Errc::ok));
}

TEST_CASE("an error says its context, or its code's message when it has none") {
    CHECK(Error{Errc::not_found, "no holder of it answers"}.message() == "no holder of it answers");
    CHECK(Error{Errc::not_found, ""}.message() == make_error_code(Errc::not_found).message());
}

TEST_CASE("fail makes a result without a value") {
    const Result<int> result = fail(Errc::refused, "no");
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == Errc::refused);
    CHECK(result.error().context == "no");
}

TEST_CASE("fail_errno keeps apart what a caller can act on") {
    CHECK(fail_errno(ENOSPC, "w").value().code == Errc::no_space);
    CHECK(fail_errno(EDQUOT, "w").value().code == Errc::no_space);
    CHECK(fail_errno(EEXIST, "w").value().code == Errc::exists_already);
    CHECK(fail_errno(EACCES, "w").value().code == Errc::file_error);
    CHECK(fail_errno(ENOENT, "opening x").value().message() ==
          "opening x: No such file or directory");
}

TEST_CASE("an assertion ends the process when its condition is false, and only then") {
    CHECK(core::test::aborts([] { FLOW29_ASSERT(1 + 1 == 3); }));
    CHECK_FALSE(core::test::aborts([] { FLOW29_ASSERT(1 + 1 == 2); }));
}
