// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/link_argument.hpp"

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

const std::string root(52, 'a');

std::optional<std::string> nothing_set(const char*) {
    return std::nullopt;
}

}  // namespace

TEST_CASE("a link is taken from the argument, else from the environment") {
    CHECK(read_link(root, nothing_set));
    const auto with_link = [](const char* name) -> std::optional<std::string> {
        if (std::string_view(name) != "FLOW29_LINK") return std::nullopt;
        return root + "?name=env";
    };
    CHECK(read_link("", with_link)->name == "env");
    CHECK(read_link(root + "?name=arg", with_link)->name == "arg");
    const auto missing = read_link("", nothing_set);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Errc::usage);
    CHECK(missing.error().context.find("FLOW29_LINK") != std::string::npos);
    CHECK_FALSE(read_link("nonsense", nothing_set));
}

}  // namespace flow29::cli
