// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <flow29/node.hpp>

#include "core/log_ring.hpp"

/// The JSON that scripts and the page see. Fields keep the order in which they are written here;
/// bytes and rates are integers, hashes whole and in hexadecimal, durations in milliseconds.
namespace flow29::api {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json to_json(const PublishResult& result);
[[nodiscard]] Json to_json(const FetchResult& result);
[[nodiscard]] Json to_json(const HashResult& result);
[[nodiscard]] Json to_json(const Located& result);
[[nodiscard]] Json to_json(const Health& result);
/// `nodes` and `parts`, whose `holders` are places in `nodes`. At most limits::map_parts_max parts,
/// the descriptor and then every n-th extent; `parts_total` says of how many.
[[nodiscard]] Json to_json(const ObjectMap& result);
[[nodiscard]] Json to_json(const Status& result);
[[nodiscard]] Json to_json(const std::vector<PeerInfo>& peers);
[[nodiscard]] Json to_json(const std::vector<ObjectEntry>& objects);
[[nodiscard]] Json to_json(const Withdrawal& result);
[[nodiscard]] Json to_json(const Blocklist& result);
/// A fetch or stream has a `map`, three strings of one character a cell: `done`, the verified
/// tenths 0 to 9, "a" for all, "." for nothing wanted; `holders`, 0 to 9 or more; `by`, who
/// delivered last, "A" for the first of the transfer's holders and so on, "-" for nobody, "+" for
/// one further on.
[[nodiscard]] Json to_json(const std::vector<TransferInfo>& transfers);
[[nodiscard]] Json to_json(const RateLimits& result);
[[nodiscard]] Json to_json(const Departure& result);
[[nodiscard]] Json to_json(const Verification& result);

/// Lines of the log; `next` is what to ask after next time.
[[nodiscard]] Json log_json(const std::vector<core::log::Line>& lines, std::uint64_t after);

[[nodiscard]] Json to_json(const Invitation& result);
[[nodiscard]] Json to_json(const Joined& result);

/// `{"event":"progress","stage":…}` with the numbers that mean something for the stage.
[[nodiscard]] Json progress_event(const Progress& progress);
/// `{"event":"done"}` followed by the fields of `result`.
[[nodiscard]] Json done_event(const Json& result);
/// `{"event":"error","code":…,"exit":…,"message":…}`.
[[nodiscard]] Json error_event(const Error& error);

/// The done line of a listing. Entries have `kind`, "file" or "directory" (an empty one), and a
/// `link` when JSON cannot carry their path, which is not UTF-8. Written entry by entry: a million
/// of them as one JSON value would take a gigabyte.
[[nodiscard]] std::string listing_line(const Listing& result);

/// One line with its newline. Octets that are not UTF-8 (names come from peers) become U+FFFD.
[[nodiscard]] std::string to_line(const Json& object);
[[nodiscard]] std::string error_line(const Error& error);

}  // namespace flow29::api
