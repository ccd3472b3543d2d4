// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_range.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "api/http_message.hpp"

namespace flow29::api {
namespace {

constexpr auto number_max = std::numeric_limits<std::uint64_t>::max();

bool is_unit(std::string_view text) {
    constexpr std::string_view unit = "bytes=";
    return text.size() == unit.size() &&
           std::equal(text.begin(), text.end(), unit.begin(), [](char a, char b) {
               return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
           });
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end != text.data() + text.size()) return std::nullopt;
    if (error == std::errc::result_out_of_range) return number_max;
    if (error != std::errc()) return std::nullopt;
    return value;
}

std::optional<HttpRange> parse_one(std::string_view text) {
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto before = text.substr(0, dash);
    const auto after = text.substr(dash + 1);
    HttpRange range{parse_number(before), parse_number(after)};
    if (!before.empty() && !range.first) return std::nullopt;
    if (!after.empty() && !range.last) return std::nullopt;
    if (!range.first && !range.last) return std::nullopt;
    if (range.first && range.last && *range.last < *range.first) return std::nullopt;
    return range;
}

}  // namespace

std::vector<HttpRange> parse_http_ranges(std::string_view text) {
    const auto unit_bytes = std::string_view("bytes=").size();
    if (!is_unit(text.substr(0, unit_bytes))) return {};
    text.remove_prefix(unit_bytes);
    if (text != trimmed(text)) return {};
    std::vector<HttpRange> ranges;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const auto one = trimmed(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
        if (one.empty()) continue;  // RFC 9110 §5.6.1.2
        const auto range = parse_one(one);
        if (!range || ranges.size() == http_ranges_max) return {};
        ranges.push_back(*range);
    }
    return ranges;
}

ByteRange half_open(const HttpRange& range) {
    const std::uint64_t last = range.last.value_or(number_max);
    return {ByteCount(*range.first), ByteCount(last == number_max ? last : last + 1)};
}

std::vector<ByteRange> satisfiable(const std::vector<HttpRange>& ranges, ByteCount length) {
    std::vector<ByteRange> out;
    for (const HttpRange& range : ranges) {
        ByteRange bytes{{}, length};
        if (range.first) {
            bytes = half_open(range);
            bytes.last = std::min(bytes.last, length);
        } else {
            bytes.first = ByteCount(length.value - std::min(length.value, *range.last));
        }
        if (!bytes.empty()) out.push_back(bytes);
    }
    return out;
}

bool do_overlap(std::vector<ByteRange> ranges) {
    std::sort(ranges.begin(), ranges.end());
    return std::adjacent_find(ranges.begin(), ranges.end(), [](const auto& one, const auto& next) {
               return next.first < one.last;
           }) != ranges.end();
}

std::string content_range(ByteRange range, ByteCount length) {
    return fmt::format("bytes {}-{}/{}", range.first.value, range.last.value - 1, length.value);
}

}  // namespace flow29::api
