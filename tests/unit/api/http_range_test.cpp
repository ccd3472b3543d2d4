// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_range.hpp"

#include <limits>
#include <string>

#include <doctest/doctest.h>

namespace flow29::api {
namespace {

std::vector<ByteRange> of(const std::string& text, std::uint64_t length) {
    return satisfiable(parse_http_ranges("bytes=" + text), ByteCount(length));
}

ByteRange bytes(std::uint64_t first, std::uint64_t last) {
    return {ByteCount(first), ByteCount(last)};
}

}  // namespace

TEST_CASE("a Range header is ranges in the order asked, or is ignored") {
    const auto one = parse_http_ranges("bytes=0-499");
    REQUIRE(one.size() == 1);
    CHECK(one[0].first == 0U);
    CHECK(one[0].last == 499U);
    const auto three = parse_http_ranges("Bytes=5-, -5,,\t7-7 ,");
    REQUIRE(three.size() == 3);
    CHECK_FALSE(three[0].last);
    CHECK_FALSE(three[1].first);
    CHECK(three[2].first == 7U);
    for (const char* const text :
         {"", "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=5", "bytes=5-2", "bytes=a-b",
          "bytes=0-1,x", "bytes=0-1,5-2", "bytes=0-1 3-4", "chunks=0-1", "bytes=+1-2",
          "bytes=0-99999999999999999999x", "bytes= 0-1", "bytes =0-1", "bytes=0 -1"})
        CHECK_MESSAGE(parse_http_ranges(text).empty(), text);
}

TEST_CASE("the largest number stands for those that are larger") {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    CHECK(parse_http_ranges("bytes=0-18446744073709551614")[0].last == most - 1);
    CHECK(parse_http_ranges("bytes=0-18446744073709551616")[0].last == most);
    CHECK(parse_http_ranges("bytes=" + std::string(50, '9') + "-")[0].first == most);
    CHECK(of("0-" + std::string(50, '9'), 10) == std::vector{bytes(0, 10)});
    CHECK(of("-" + std::string(50, '9'), 10) == std::vector{bytes(0, 10)});
    CHECK(of(std::string(50, '9') + "-", 10).empty());
}

TEST_CASE("a Range header with more than so many ranges is ignored") {
    std::string text = "bytes=0-0";
    for (std::size_t i = 1; i < http_ranges_max; ++i) {
        const auto at_byte = std::to_string(2 * i);
        text.append(",").append(at_byte).append("-").append(at_byte);
    }
    CHECK(parse_http_ranges(text).size() == http_ranges_max);
    CHECK(parse_http_ranges(text + ",100-100").empty());
}

TEST_CASE("ranges are cut at the end of an object, and those outside are left out") {
    CHECK(of("0-0", 1) == std::vector{bytes(0, 1)});
    CHECK(of("0-9,9-,-1", 10) == std::vector{bytes(0, 10), bytes(9, 10), bytes(9, 10)});
    CHECK(of("8-20,10-,3-4,-0", 10) == std::vector{bytes(8, 10), bytes(3, 5)});
    CHECK(of("10-,11-12", 10).empty());
    CHECK(of("0-,-1", 0).empty());
    CHECK(content_range(bytes(3, 5), ByteCount(10)) == "bytes 3-4/10");
}

TEST_CASE("ranges overlap when a byte is in two of them, in whatever order they come") {
    CHECK_FALSE(do_overlap({}));
    CHECK_FALSE(do_overlap({bytes(0, 5)}));
    CHECK_FALSE(do_overlap({bytes(5, 9), bytes(0, 5), bytes(9, 10)}));
    CHECK(do_overlap({bytes(5, 9), bytes(0, 6)}));
    CHECK(do_overlap({bytes(3, 4), bytes(0, 10)}));
    CHECK(do_overlap({bytes(3, 4), bytes(7, 8), bytes(3, 4)}));
}

}  // namespace flow29::api
