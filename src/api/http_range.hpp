// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/ids.hpp>

namespace flow29::api {

/// Of more ranges the header is ignored: each costs a stream of its own.
inline constexpr std::size_t http_ranges_max = 16;

/// One range of a `Range` header, both ends included as HTTP has them. One without `first` is the
/// last `last` bytes; one without `last` goes to the end.
struct HttpRange {
    std::optional<std::uint64_t> first;
    std::optional<std::uint64_t> last;
};

/// A `Range` header's, in the order asked. None: there is nothing to heed (RFC 9110 §14.2), because
/// it is malformed, of another unit or has more than `http_ranges_max`. The largest number of 64
/// bits stands for those that are larger: no object reaches either.
[[nodiscard]] std::vector<HttpRange> parse_http_ranges(std::string_view text);

/// Half-open; a range that ends where numbers do goes to the end. Only for one with `first`.
[[nodiscard]] ByteRange half_open(const HttpRange& range);

/// Those that have a byte of an object of this length, cut at its end, in the order asked.
[[nodiscard]] std::vector<ByteRange> satisfiable(const std::vector<HttpRange>& ranges,
                                                 ByteCount length);

/// Whether any byte is in two of them. O(n log n).
[[nodiscard]] bool do_overlap(std::vector<ByteRange> ranges);

/// A `Content-Range` header, of a range that is not empty.
[[nodiscard]] std::string content_range(ByteRange range, ByteCount length);

}  // namespace flow29::api
