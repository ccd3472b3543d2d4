// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/quantity.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <flow29/limits.hpp>

#include "core/size_text.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto duration_max = std::chrono::duration_cast<milliseconds>(24h * 365 * 100);

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::uint64_t kilo = 1000;
constexpr std::uint64_t kibi = 1024;

constexpr std::array size_units{
    Unit{"", 1},
    Unit{"b", 1},
    Unit{"kb", kilo},
    Unit{"mb", kilo* kilo},
    Unit{"gb", kilo* kilo* kilo},
    Unit{"tb", kilo* kilo* kilo* kilo},
    Unit{"k", kibi},
    Unit{"m", kibi* kibi},
    Unit{"g", kibi* kibi* kibi},
    Unit{"t", kibi* kibi* kibi* kibi},
    Unit{"kib", kibi},
    Unit{"mib", kibi* kibi},
    Unit{"gib", kibi* kibi* kibi},
    Unit{"tib", kibi* kibi* kibi* kibi},
};

constexpr std::uint64_t second_ms = 1000;
constexpr std::uint64_t day_ms = 24 * 3600 * second_ms;

constexpr std::array duration_units{
    Unit{"ms", 1},
    Unit{"s", second_ms},
    Unit{"sec", second_ms},
    Unit{"m", 60 * second_ms},
    Unit{"min", 60 * second_ms},
    Unit{"h", 3600 * second_ms},
    Unit{"d", day_ms},
    Unit{"w", 7 * day_ms},
    Unit{"y", 365 * day_ms},
};

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

template <std::size_t N>
std::optional<std::uint64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
    const std::string lower = to_lower(name);
    for (const Unit& unit : units)
        if (unit.name == lower) return unit.factor;
    return std::nullopt;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// A decimal number in front of a unit. Kept as text until the unit is known, so that whole numbers
/// stay exact.
struct Counted {
    std::string_view number;
    std::string_view unit;
};

/// Takes the first number and unit off `text`; an empty number when there is none.
Counted take_counted(std::string_view& text) {
    std::size_t digits = 0;
    while (digits < text.size() && (is_digit(text[digits]) || text[digits] == '.'))
        ++digits;
    const std::string_view number = text.substr(0, digits);
    text.remove_prefix(digits);
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    std::size_t letters = 0;
    while (letters < text.size() && !is_digit(text[letters]) && text[letters] != ' ' &&
           text[letters] != '.')
        ++letters;
    const std::string_view unit = text.substr(0, letters);
    text.remove_prefix(letters);
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    return {number, unit};
}

/// `number` times `factor`, rounded down; nothing when it is no number or more than `max`.
std::optional<std::uint64_t> multiply(std::string_view number, std::uint64_t factor,
                                      std::uint64_t max) {
    std::uint64_t whole = 0;
    const char* const end = number.data() + number.size();
    auto [stop, error] = std::from_chars(number.data(), end, whole);
    if (error == std::errc{} && stop == end)
        return whole <= max / factor ? std::optional(whole * factor) : std::nullopt;
    double fraction = 0;
    const auto parsed = std::from_chars(number.data(), end, fraction, std::chars_format::fixed);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
    const double product = fraction * static_cast<double>(factor);
    // The limit itself may not be a double; anything near it is past any real disk or life.
    if (!(product < static_cast<double>(max))) return std::nullopt;
    return static_cast<std::uint64_t>(product);
}

}  // namespace

Result<ByteCount> parse_size(std::string_view text) {
    std::string_view rest = text;
    const Counted counted = take_counted(rest);
    const auto factor = factor_of(size_units, counted.unit);
    if (counted.number.empty() || !rest.empty())
        return fail(Errc::usage,
                    fmt::format("\"{}\" is not a size; write one like 50GiB or 8MB", text));
    if (!factor)
        return fail(
            Errc::usage,
            fmt::format("\"{}\" is not a unit of size; B, kB, MB, GB, TB, KiB, MiB, GiB and "
                        "TiB are",
                        counted.unit));
    const auto size = multiply(counted.number, *factor, std::numeric_limits<std::int64_t>::max());
    if (!size) return fail(Errc::usage, fmt::format("\"{}\" is not a possible size", text));
    return ByteCount(*size);
}

Result<milliseconds> parse_duration(std::string_view text) {
    std::string_view rest = text;
    std::uint64_t total = 0;
    do {
        const Counted counted = take_counted(rest);
        if (counted.number.empty())
            return fail(
                Errc::usage,
                fmt::format("\"{}\" is not a duration; write one like 3s, 5m or 30d", text));
        if (counted.unit.empty())
            return fail(Errc::usage,
                        fmt::format("\"{}\" lacks a unit; ms, s, m, h, d, w and y are", text));
        const auto factor = factor_of(duration_units, counted.unit);
        if (!factor)
            return fail(Errc::usage,
                        fmt::format("\"{}\" is not a unit of time; ms, s, m, h, d, w and y are",
                                    counted.unit));
        const auto part = multiply(counted.number, *factor,
                                   static_cast<std::uint64_t>(duration_max.count()) - total);
        if (!part)
            return fail(Errc::usage,
                        fmt::format("\"{}\" is not a possible duration (at most 100y)", text));
        total += *part;
    } while (!rest.empty());
    return milliseconds(total);
}

Result<std::uint64_t> parse_number(std::string_view text, NumberBounds bounds) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop != end || number < bounds.min || number > bounds.max)
        return fail(Errc::usage, fmt::format("\"{}\" is not a whole number from {} to {}", text,
                                             bounds.min, bounds.max));
    return number;
}

Result<unsigned> parse_percent(std::string_view text) {
    auto digits = text;
    if (digits.ends_with('%')) digits.remove_suffix(1);
    const auto number = parse_number(digits, {1, 100});
    if (!number)
        return fail(Errc::usage, fmt::format("\"{}\" is not a share from 1% to 100%", text));
    return static_cast<unsigned>(*number);
}

Result<ByteCount> parse_rate(std::string_view text) {
    if (text == "off") return ByteCount(0);
    auto rate = parse_size(text);
    if (!rate) return rate;
    if (rate->value == 0)
        return fail(Errc::usage, "a rate of 0 would stop it; off takes the limit away");
    return rate;
}

Result<ByteCount> parse_line_rate(std::string_view text) {
    auto rate = parse_rate(text);
    if (rate && rate->value != 0 && rate->value < limits::line_rate_min)
        return fail(Errc::usage,
                    fmt::format("below {}/s a node cannot keep in touch with the others",
                                format_size(ByteCount(limits::line_rate_min))));
    return rate;
}

Result<ByteRange> parse_range(std::string_view text) {
    constexpr auto position_max = std::numeric_limits<std::uint64_t>::max();
    const auto dash = text.find('-');
    if (dash == std::string_view::npos || dash == 0)
        return fail(Errc::usage,
                    fmt::format("\"{}\" is not a range; write the first and the last byte, like "
                                "0-511, or 512- to the end",
                                text));
    const auto first = parse_number(text.substr(0, dash), {0, position_max - 1});
    if (!first) return fail(first.error());
    if (dash + 1 == text.size()) return ByteRange{ByteCount(*first), ByteCount(position_max)};
    const auto last = parse_number(text.substr(dash + 1), {0, position_max - 1});
    if (!last) return fail(last.error());
    if (*last < *first)
        return fail(Errc::usage, fmt::format("the range {} ends before it begins", text));
    return ByteRange{ByteCount(*first), ByteCount(*last + 1)};
}

std::string format_size(ByteCount size) {
    return core::size_text(size);
}

std::string format_rate(double bytes_per_second) {
    if (!(bytes_per_second > 0)) return "0 B/s";
    return format_size(ByteCount(static_cast<std::uint64_t>(bytes_per_second))) + "/s";
}

std::string format_duration(milliseconds duration) {
    const auto ms = duration.count();
    if (ms < 1000) return fmt::format("{} ms", ms);
    if (ms < 60'000) return fmt::format("{:.1f} s", std::floor(static_cast<double>(ms) / 100) / 10);
    const auto seconds = ms / 1000;
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    const auto minutes = seconds / 60;
    if (minutes < 24 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
    const auto hours = minutes / 60;
    return fmt::format("{} d {} h", hours / 24, hours % 24);
}

std::string format_left(milliseconds left) {
    const auto whole = std::chrono::ceil<std::chrono::seconds>(left);
    return whole < 1min ? fmt::format("{} s", whole.count()) : format_duration(whole);
}

std::string format_count(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t i = digits.size(); i > 3; i -= 3)
        digits.insert(i - 3, 1, ',');
    return digits;
}

}  // namespace flow29::cli
