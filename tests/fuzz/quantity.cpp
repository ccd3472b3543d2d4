// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/quantity.hpp"

#include <algorithm>
#include <limits>

#include <flow29/limits.hpp>

#include "input.hpp"

namespace {

using namespace flow29;

template <class T>
void check_error(const Result<T>& result) {
    FLOW29_ASSERT(result ||
                  (result.error().code == Errc::usage && !result.error().context.empty()));
}

}  // namespace

/// Quantities as people write them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::text_of(data, size);
    constexpr std::uint64_t size_max = std::numeric_limits<std::int64_t>::max();
    const auto bytes = cli::parse_size(text);
    check_error(bytes);
    if (bytes) {
        FLOW29_ASSERT(bytes->value <= size_max && !cli::format_size(*bytes).empty());
        const auto exact = cli::parse_size(std::to_string(bytes->value));
        FLOW29_ASSERT(exact && *exact == *bytes);
        const auto thousandfold = cli::parse_size(std::to_string(bytes->value) + " kB");
        FLOW29_ASSERT(thousandfold.has_value() == (bytes->value <= size_max / 1000));
        if (thousandfold) FLOW29_ASSERT(thousandfold->value == bytes->value * 1000);
    }
    const auto rate = cli::parse_rate(text);
    check_error(rate);
    FLOW29_ASSERT(rate.has_value() == (text == "off" || (bytes && bytes->value > 0)));
    const auto line_rate = cli::parse_line_rate(text);
    check_error(line_rate);
    FLOW29_ASSERT(line_rate.has_value() ==
                  (rate && (rate->value == 0 || rate->value >= limits::line_rate_min)));
    const auto duration = cli::parse_duration(text);
    check_error(duration);
    if (duration) {
        FLOW29_ASSERT(duration->count() >= 0 && *duration <= std::chrono::hours(24 * 365 * 100));
        FLOW29_ASSERT(!cli::format_duration(*duration).empty());
        FLOW29_ASSERT(cli::parse_duration(std::to_string(duration->count()) + "ms") == *duration);
    }
    const auto number = cli::parse_number(text, {0, ~std::uint64_t{0}});
    check_error(number);
    const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    FLOW29_ASSERT(!number || digits);
    if (digits && size < 20) FLOW29_ASSERT(number.has_value());
    if (number) FLOW29_ASSERT(cli::parse_number(std::to_string(*number), {*number, *number}));
    const auto percent = cli::parse_percent(text);
    check_error(percent);
    FLOW29_ASSERT(!percent || (*percent >= 1 && *percent <= 100));
    const auto range = cli::parse_range(text);
    check_error(range);
    if (range) FLOW29_ASSERT(!range->empty());
    return 0;
}
