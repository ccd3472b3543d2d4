// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/params.hpp"

#include <limits>

#include <doctest/doctest.h>

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

const std::string root_text(52, 'a');

}  // namespace

TEST_CASE("params of every type are read") {
    Params params(R"({"s":"text","f":true,"n":42,"d":1500,"r":{"first":5,"end":9},"l":")" +
                  root_text + R"("})");
    CHECK(params.has("s"));
    CHECK_FALSE(params.has("x"));
    CHECK(params.string("s") == "text");
    CHECK(params.flag_or("f", false));
    CHECK(params.number_or("n", 0) == 42);
    CHECK(params.duration_or("d", 1s) == 1500ms);
    CHECK(params.range("r") == ByteRange{ByteCount(5), ByteCount(9)});
    CHECK(params.link("l").root == RootHash{});
    CHECK(params.check());
}

TEST_CASE("what is left out takes the fallback") {
    Params params("");
    CHECK(params.string_or("s", "other") == "other");
    CHECK(params.flag_or("f", true));
    CHECK(params.number_or("n", 7) == 7);
    CHECK(params.duration_or("d", 3s) == 3s);
    CHECK_FALSE(params.range("r"));
    CHECK(params.check());
}

TEST_CASE("a range without an end goes to the end") {
    Params params(R"({"r":{"first":5}})");
    CHECK(params.range("r")->last.value == std::numeric_limits<std::uint64_t>::max());
    CHECK(params.check());
}

TEST_CASE("the first wrong param is reported") {
    const auto error_of = [](const char* text, auto read) {
        Params params(text);
        read(params);
        const auto checked = params.check();
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == Errc::usage);
        return checked.error().context;
    };
    CHECK(error_of("{}", [](Params& p) { (void)p.string("path"); }) ==
          "\"path\" must be given, as a string");
    CHECK(error_of(R"({"n":-1})", [](Params& p) { (void)p.number_or("n", 0); }) ==
          "\"n\" must be a whole number, not negative");
    CHECK(error_of(R"({"n":1.5})", [](Params& p) { (void)p.number_or("n", 0); }) ==
          "\"n\" must be a whole number, not negative");
    CHECK(error_of(R"({"d":9223372036854775807})", [](Params& p) {
              (void)p.duration_or("d", 1s);
          }) == "\"d\" must be at most a hundred years");
    CHECK(error_of(R"({"f":"yes"})", [](Params& p) { (void)p.flag_or("f", false); }) ==
          "\"f\" must be true or false");
    CHECK(error_of(R"({"r":{"first":9,"end":9}})", [](Params& p) { (void)p.range("r"); }) ==
          "\"r\" must be a range with first before end");
    CHECK(error_of(R"({"r":"0-5"})", [](Params& p) { (void)p.range("r"); }) ==
          "\"r\" must be an object of two whole numbers, first and end");
    CHECK(error_of(R"({"l":"short"})", [](Params& p) {
              (void)p.link("l");
          }).find("5 characters instead of 52") != std::string::npos);
    CHECK(error_of("[]", [](Params&) {}) == "params must be a JSON object");
    CHECK(error_of("{", [](Params&) {}) == "params must be a JSON object");
}

TEST_CASE("a param that nobody read is an error") {
    Params params(R"({"copies":4,"copeis":5})");
    CHECK(params.number_or("copies", 0) == 4);
    const auto checked = params.check();
    REQUIRE_FALSE(checked);
    CHECK(checked.error().context == "unknown parameter \"copeis\"");
}

}  // namespace flow29::api
