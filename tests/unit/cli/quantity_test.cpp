// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/quantity.hpp"

#include <limits>

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("sizes are read with binary and decimal units") {
    CHECK(parse_size("0")->value == 0);
    CHECK(parse_size("512")->value == 512);
    CHECK(parse_size("512B")->value == 512);
    CHECK(parse_size("8MB")->value == 8'000'000);
    CHECK(parse_size("8 MiB")->value == 8U << 20);
    CHECK(parse_size("50GiB")->value == 50ULL << 30);
    CHECK(parse_size("50gib")->value == 50ULL << 30);
    CHECK(parse_size("2K")->value == 2048);
    CHECK(parse_size("1.5kB")->value == 1500);
    CHECK(parse_size("1TiB")->value == 1ULL << 40);
}

TEST_CASE("sizes that are none say why") {
    CHECK(parse_size("").error().context == "\"\" is not a size; write one like 50GiB or 8MB");
    CHECK(parse_size("GiB").error().context.find("not a size") != std::string::npos);
    CHECK(parse_size("-1").error().context.find("not a") != std::string::npos);
    CHECK(parse_size("5 XB").error().context.find("\"XB\" is not a unit of size") !=
          std::string::npos);
    CHECK(parse_size("1.2.3MB").error().context.find("not a possible size") != std::string::npos);
    CHECK(parse_size("99999999999TiB").error().context.find("not a possible") != std::string::npos);
    CHECK(parse_size("9999999.5TiB").error().context.find("not a possible") != std::string::npos);
    CHECK(parse_size("5MB 3kB").error().context.find("not a size") != std::string::npos);
    CHECK(parse_size("x").error().code == Errc::usage);
}

TEST_CASE("durations are read with their units, also several") {
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("3s") == 3s);
    CHECK(parse_duration("5m") == 5min);
    CHECK(parse_duration("1h30m") == 90min);
    CHECK(parse_duration("1h 30min") == 90min);
    CHECK(parse_duration("0.5h") == 30min);
    CHECK(parse_duration("30d") == 24h * 30);
    CHECK(parse_duration("2w") == 24h * 14);
    CHECK(parse_duration("1y") == 24h * 365);
    CHECK(parse_duration("0s") == 0s);
    CHECK(parse_duration("100y") == 24h * 36500);
}

TEST_CASE("durations that are none say why") {
    CHECK(parse_duration("").error().context.find("not a duration") != std::string::npos);
    CHECK(parse_duration("soon").error().context.find("not a duration") != std::string::npos);
    CHECK(parse_duration("5").error().context.find("lacks a unit") != std::string::npos);
    CHECK(parse_duration("5x").error().context.find("\"x\" is not a unit of time") !=
          std::string::npos);
    CHECK(parse_duration("101y").error().context.find("at most 100y") != std::string::npos);
    CHECK(parse_duration("100y1ms").error().context.find("at most 100y") != std::string::npos);
    CHECK(parse_duration("99999999999999999999s").error().context.find("not a possible") !=
          std::string::npos);
}

TEST_CASE("ranges name the first and the last byte") {
    CHECK(parse_range("0-0") == ByteRange{ByteCount(0), ByteCount(1)});
    CHECK(parse_range("0-511") == ByteRange{ByteCount(0), ByteCount(512)});
    CHECK(parse_range("512-")->first.value == 512);
    CHECK(parse_range("512-")->last.value == std::numeric_limits<std::uint64_t>::max());
    for (const char* text :
         {"", "5", "-5", "a-b", "5-4", "1-2-3", " 1-2", "0-18446744073709551615"})
        CHECK_MESSAGE(!parse_range(text), text);
}

TEST_CASE("numbers have bounds") {
    CHECK(parse_number("0", {0, 65'535}) == 0);
    CHECK(parse_number("65535", {0, 65'535}) == 65'535);
    CHECK_FALSE(parse_number("65536", {0, 65'535}));
    CHECK_FALSE(parse_number("0", {1, 16}));
    CHECK_FALSE(parse_number("4x", {1, 16}));
    CHECK_FALSE(parse_number("", {0, 16}));
}

TEST_CASE("quantities are written with about three figures") {
    CHECK(format_size(ByteCount(0)) == "0 B");
    CHECK(format_size(ByteCount(1023)) == "1023 B");
    CHECK(format_size(ByteCount(1024)) == "1.0 KiB");
    CHECK(format_size(ByteCount((1U << 20) - 1)) == "1.0 MiB");
    CHECK(format_size(ByteCount(8U << 20)) == "8.0 MiB");
    CHECK(format_rate(0) == "0 B/s");
    CHECK(format_rate(2048) == "2.0 KiB/s");
    CHECK(format_left(0ms) == "0 s");
    CHECK(format_left(499ms) == "1 s");
    CHECK(format_left(59'001ms) == "1 min 0 s");
    CHECK(format_duration(350ms) == "350 ms");
    CHECK(format_duration(3299ms) == "3.2 s");
    CHECK(format_duration(59'999ms) == "59.9 s");
    CHECK(format_duration(245s) == "4 min 5 s");
    CHECK(format_duration(123min) == "2 h 3 min");
    CHECK(format_duration(121h) == "5 d 1 h");
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(16'384) == "16,384");
    CHECK(format_count(1'234'567) == "1,234,567");
}

TEST_CASE("a share is a whole number of percent, a rate a size or off") {
    CHECK(parse_percent("50%") == 50U);
    CHECK(parse_percent("1") == 1U);
    CHECK(parse_percent("100%") == 100U);
    for (const char* text : {"", "%", "0%", "101%", "50 %", "-1", "half"})
        CHECK_FALSE(parse_percent(text).has_value());
    CHECK(parse_rate("5MiB") == ByteCount(5 << 20));
    CHECK(parse_rate("off") == ByteCount(0));
    for (const char* text : {"", "0B", "OFF", "fast"})
        CHECK_FALSE(parse_rate(text).has_value());
}

}  // namespace flow29::cli
