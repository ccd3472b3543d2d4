// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

/// Quantities as people write and read them. Nothing here depends on the locale.
namespace flow29::cli {

/// "50GiB", "8MB", "1.5 GiB", "512". kB, MB, GB, TB count in thousands; KiB, MiB, GiB, TiB and the
/// bare K, M, G, T in 1024s; no unit is bytes. Errc::usage says what is wrong.
[[nodiscard]] Result<ByteCount> parse_size(std::string_view text);

/// "500ms", "3s", "5m", "1h30m", "30d", "2w", "1y" (365 days). A unit is required.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "50%" or "50", from 1 to 100.
[[nodiscard]] Result<unsigned> parse_percent(std::string_view text);
/// A size a second, "5MiB"; "off" is 0.
[[nodiscard]] Result<ByteCount> parse_rate(std::string_view text);
/// Likewise for a whole line: at least limits::line_rate_min.
[[nodiscard]] Result<ByteCount> parse_line_rate(std::string_view text);

/// "A-B", the first and the last byte, counted from 0 and both included as in HTTP; "A-" goes to
/// the end, which is the largest 64-bit number here.
[[nodiscard]] Result<ByteRange> parse_range(std::string_view text);

/// A whole number of [min, max].
struct NumberBounds {
    std::uint64_t min = 0;
    std::uint64_t max = 0;
};
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, NumberBounds bounds);

/// "8.0 MiB", "512 B": three figures or so.
[[nodiscard]] std::string format_size(ByteCount size);
/// "12.3 MB/s" would mix units with sizes; this says "11.7 MiB/s".
[[nodiscard]] std::string format_rate(double bytes_per_second);
/// "350 ms", "3.2 s", "4 min 5 s", "2 h 3 min", "5 d 1 h".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);
/// An estimate of the time left: "4 s", "4 min 5 s", never less than what is left.
[[nodiscard]] std::string format_left(std::chrono::milliseconds left);
/// 16384 as "16,384".
[[nodiscard]] std::string format_count(std::uint64_t count);

}  // namespace flow29::cli
