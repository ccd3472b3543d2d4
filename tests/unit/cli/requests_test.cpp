// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/requests.hpp"

#include <limits>

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("only what was given goes into a request") {
    CHECK(publish_params({}, {}) == R"({"wait":"copies"})");
    PublishOptions publish;
    publish.copies = 3;
    publish.extent_chunks = 2;
    publish.expires = 1s;
    publish.timeout = 2s;
    publish.wait = PublishWait::none;
    CHECK(publish_params(publish, {"name", "/ignored"}) ==
          R"({"wait":"none","name":"name","copies":3,"extent_chunks":2,"lease_ms":1000,)"
          R"("idle_timeout_ms":2000})");
    publish = {};
    publish.times = true;
    publish.by_reference = true;
    CHECK(publish_params(publish, {"", "/src"}) ==
          R"({"wait":"copies","times":true,"by_reference":true,"path":"/src"})");
}

TEST_CASE("ranges are half-open in requests, and open ones have no end") {
    FetchOptions fetch;
    fetch.range = ByteRange{ByteCount(5), ByteCount(10)};
    fetch.overwrite = true;
    fetch.no_share = true;
    CHECK(fetch_params(fetch, "L", {"/out", {}}) ==
          R"({"link":"L","path":"/out","range":{"first":5,"end":10},"overwrite":true,)"
          R"("share":false})");
    CHECK(fetch_params({}, "L", {"/out", "x"}) == R"({"link":"L","path":"/out","name":"x"})");
    CatOptions cat;
    cat.range = ByteRange{ByteCount(5), ByteCount(std::numeric_limits<std::uint64_t>::max())};
    CHECK(cat_params(cat, "L") == R"({"link":"L","range":{"first":5}})");
}

TEST_CASE("questions carry their link and timeout") {
    LocateOptions locate;
    locate.in = "L";
    locate.timeout = 1s;
    CHECK(locate_params(locate, "H") == R"({"hash":"H","in":"L","timeout_ms":1000})");
    CHECK(health_params({}, "L") == R"({"link":"L"})");
    CHECK(link_params("L") == R"({"link":"L"})");
    CHECK(block_params({"", true}) == "{}");
    CHECK(block_params({"N", false}) == R"({"name":"N"})");
    CHECK(limit_params({}) == "{}");
    CHECK(limit_params({.up = ByteCount(9000), .down = {}, .repair = ByteCount(0)}) ==
          R"({"up":9000,"repair":0})");
    CHECK(limit_params({.up = {}, .down = ByteCount(0), .repair = {}}) == R"({"down":0})");
}

}  // namespace flow29::cli
