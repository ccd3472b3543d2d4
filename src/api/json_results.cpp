// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/json_results.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>

#include "core/utf8.hpp"

namespace flow29::api {
namespace {

/// Two decimals: what a mean of copies is worth.
double rounded(double value) {
    return std::round(value * 100) / 100;
}

Json copies_json(const Copies& copies) {
    return {{"min", copies.min}, {"mean", rounded(copies.mean)}};
}

Json histogram_json(const Copies& copies) {
    Json histogram = Json::object();
    for (const auto& [count, extents] : copies.histogram)
        histogram[std::to_string(count)] = extents;
    return histogram;
}

const char* kind_name(ObjectKind kind) {
    if (kind == ObjectKind::encrypted) return "private";
    return kind == ObjectKind::directory ? "directory" : "file";
}

std::string time_text(std::chrono::system_clock::time_point time) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(time));
}

Json entry_json(const DirectoryEntry& entry, const Listing& listing) {
    const bool is_directory = entry.type == EntryType::empty_directory;
    Json json = {{"path", entry.path},
                 {"kind", kind_name(is_directory ? ObjectKind::directory : ObjectKind::file)},
                 {"bytes", entry.length.value},
                 {"executable", entry.type == EntryType::executable}};
    if (entry.modified)
        json["modified"] = time_text(
            std::chrono::time_point_cast<std::chrono::system_clock::duration>(*entry.modified));
    if (core::is_utf8(entry.path)) return json;
    Link link;
    link.root = listing.root;
    link.path = entry.path;
    link.key = listing.key;
    json["link"] = link.to_string();
    return json;
}

std::string text_of(const Json& object) {
    return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Bytes per second; null without a limit.
Json rate_json(ByteCount rate) {
    return rate.value == 0 ? Json() : Json(rate.value);
}

/// RFC 3339, in UTC.
Json map_json(const TransferInfo& transfer) {
    constexpr std::size_t letters = 26;
    std::string done, holders, by;
    for (const TransferCell& cell : transfer.cells) {
        const auto wanted = cell.wanted.value;
        const auto here = wanted - std::min(cell.missing.value, wanted);
        done += wanted == 0      ? '.'
                : here == wanted ? 'a'
                                 : static_cast<char>('0' + here / (wanted / 10 + 1));
        holders += static_cast<char>('0' + std::min<std::size_t>(cell.holders, 9));
        const auto giver = std::ranges::find_if(
            transfer.holders, [&](const auto& holder) { return holder.node == cell.by; });
        const auto place = static_cast<std::size_t>(giver - transfer.holders.begin());
        by += giver == transfer.holders.end() ? '-'
              : place < letters               ? static_cast<char>('A' + place)
                                              : '+';
    }
    return {{"done", done}, {"holders", holders}, {"by", by}};
}

std::uint64_t whole(double value) {
    return value > 0 ? static_cast<std::uint64_t>(std::llround(value)) : 0;
}

}  // namespace

Json to_json(const PublishResult& result) {
    Json json = {{"root", to_hex(result.root)}, {"link", result.link.to_string()},
                 {"bytes", result.bytes.value}, {"chunks", result.chunks.value},
                 {"extents", result.extents},   {"copies", copies_json(result.copies)},
                 {"target", result.target},     {"elapsed_ms", result.elapsed.count()}};
    if (!result.shortfall.empty()) json["shortfall"] = result.shortfall;
    return json;
}

Json to_json(const FetchResult& result) {
    return {{"root", to_hex(result.root)},           {"path", result.path.string()},
            {"kind", kind_name(result.kind)},        {"files", result.files},
            {"bytes", result.bytes.value},           {"verified", true},
            {"fetched_bytes", result.fetched.value}, {"holders", result.holders},
            {"shared", sharing_name(result.shared)}, {"unshared_why", result.unshared_why},
            {"elapsed_ms", result.elapsed.count()},  {"first_byte_ms", result.first_byte.count()}};
}

Json to_json(const HashResult& result) {
    return {{"root", to_hex(result.root)},
            {"bytes", result.bytes.value},
            {"chunks", result.chunks.value}};
}

Json to_json(const Located& result) {
    Json holders = Json::array();
    for (const Holder& holder : result.holders)
        holders.push_back({{"node", to_hex(holder.node)},
                           {"addresses", holder.addresses},
                           {"source", holder.by_record ? "record" : "neighbourhood"}});
    return {{"hash", result.hash}, {"kind", result.kind}, {"holders", std::move(holders)}};
}

Json to_json(const Health& result) {
    Json copies = copies_json(result.copies);
    copies["histogram"] = histogram_json(result.copies);
    Json repair{{"missing_bytes", result.missing.value},
                {"in_flight", result.coming},
                {"time_to_target_ms", nullptr}};
    if (result.time_to_target) repair["time_to_target_ms"] = result.time_to_target->count();
    return {{"root", to_hex(result.root)},
            {"bytes", result.bytes.value},
            {"upkeep", upkeep_name(result.upkeep)},
            {"target", result.target},
            {"degraded", result.copies.min < result.target},
            {"copies", std::move(copies)},
            {"groups", result.groups},
            {"at_risk_chunks", result.at_risk_chunks},
            {"repair", std::move(repair)},
            {"audited", result.audited},
            {"publisher_may_leave", result.publisher_may_leave}};
}

Json to_json(const ObjectMap& result) {
    const std::size_t extents = result.parts.empty() ? 0 : result.parts.size() - 1;
    const std::size_t step = std::max<std::size_t>(
        1, (extents + limits::map_parts_max - 2) / (limits::map_parts_max - 1));
    std::map<NodeId, std::size_t> places;
    Json nodes = Json::array();
    Json parts = Json::array();
    for (std::size_t i = 0; i < result.parts.size(); i = i == 0 ? 1 : i + step) {
        const ObjectMap::Part& part = result.parts[i];
        Json holders = Json::array();
        for (const NodeId& node : part.holders) {
            const auto [place, is_new] = places.try_emplace(node, places.size());
            if (is_new) nodes.push_back(to_hex(node));
            holders.push_back(place->second);
        }
        parts.push_back({{"index", i},
                         {"hash", part.hash},
                         {"bytes", part.bytes.value},
                         {"holders", std::move(holders)},
                         {"held_here", part.held_here},
                         {"coming", part.coming}});
    }
    return {{"root", to_hex(result.root)},
            {"bytes", result.bytes.value},
            {"parts_total", result.parts.size()},
            {"nodes", std::move(nodes)},
            {"parts", std::move(parts)}};
}

Json to_json(const Status& result) {
    return {{"node", to_hex(result.node)},
            {"version", result.version},
            {"uptime_ms", result.uptime.count()},
            {"port", result.port},
            {"listening", result.listening},
            {"addresses", result.addresses},
            {"reach", reach_name(result.reach)},
            {"port_mapping",
             {{"method", result.mapping.method},
              {"external", result.mapping.external},
              {"problem", result.mapping.problem}}},
            {"storing", result.storing},
            {"private", result.is_private},
            {"problem", result.problem.empty() ? Json() : Json(result.problem)},
            {"dht",
             {{"connected", result.dht_connected},
              {"nodes", result.dht_nodes},
              {"foreign_packets", result.dht_foreign},
              {"puts", result.dht_puts},
              {"lookups", result.dht_lookups},
              {"records", result.dht_records}}},
            {"clock_skew_ms", result.clock_skew.count()},
            {"peers", result.peers},
            {"storage",
             {{"used_bytes", result.used.value},
              {"capacity_bytes", result.capacity.value},
              {"disk_left_bytes", result.disk_left ? Json(result.disk_left->value) : Json()},
              {"objects", result.objects},
              {"extents", result.extents}}},
            {"repair",
             {{"under_target_extents", result.under_target},
              {"in_flight", result.repairs_in_flight},
              {"bytes_total", result.repaired.value},
              {"limit", rate_json(result.repair_limit)}}},
            {"announce",
             {{"records", result.announced_records},
              {"due_per_hour", rounded(result.announce_due_per_hour)},
              {"behind", result.announce_behind}}},
            {"traffic",
             {{"up_bytes", result.up.value},
              {"down_bytes", result.down.value},
              {"dht_up_bytes", result.dht_up.value},
              {"dht_down_bytes", result.dht_down.value},
              {"dht_up_packets", result.dht_packets_up},
              {"dht_down_packets", result.dht_packets_down},
              {"up_limit", rate_json(result.up_limit)},
              {"down_limit", rate_json(result.down_limit)}}}};
}

Json to_json(const std::vector<PeerInfo>& peers) {
    Json list = Json::array();
    Json dropped = Json::array();
    for (const PeerInfo& peer : peers) {
        Json json = {
            {"node", to_hex(peer.node)}, {"address", peer.address},         {"score", peer.score},
            {"strikes", peer.strikes},   {"disconnects", peer.disconnects}, {"banned", peer.banned},
            {"reason", peer.reason}};
        if (!peer.connected) {
            dropped.push_back(std::move(json));
            continue;
        }
        json.update({{"rtt_ms", rounded(static_cast<double>(peer.rtt.count()) / 1000)},
                     {"up_bytes", peer.up.value},
                     {"down_bytes", peer.down.value},
                     {"rate", whole(peer.rate)},
                     {"storing", peer.storing},
                     {"holds_extents", peer.holds_extents}});
        list.push_back(std::move(json));
    }
    return {{"peers", std::move(list)}, {"dropped", std::move(dropped)}};
}

Json to_json(const std::vector<TransferInfo>& transfers) {
    Json list = Json::array();
    for (const TransferInfo& transfer : transfers) {
        Json holders = Json::array();
        for (const TransferHolder& holder : transfer.holders)
            holders.push_back({{"node", to_hex(holder.node)},
                               {"rate", whole(holder.rate)},
                               {"bytes", holder.bytes.value}});
        Json json = {{"id", transfer.id},
                     {"kind", kind_name(transfer.kind)},
                     {"root", transfer.root ? Json(to_hex(*transfer.root)) : Json()},
                     {"name", transfer.name},
                     {"path", transfer.path},
                     {"stage", stage_name(transfer.stage)},
                     {"paused", transfer.paused},
                     {"done_bytes", transfer.done.value},
                     {"total_bytes", transfer.total.value},
                     {"own_bytes", transfer.own.value},
                     {"rate", whole(transfer.rate)},
                     {"eta_ms", transfer.eta ? Json(transfer.eta->count()) : Json()},
                     {"holders", std::move(holders)},
                     {"reason", reason_name(transfer.reason)},
                     {"why", transfer.why}};
        if (!transfer.cells.empty()) json["map"] = map_json(transfer);
        if (transfer.slowest) json["reason_holder"] = to_hex(*transfer.slowest);
        if (transfer.copies_target != 0)
            json["copies"] = {{"min", transfer.copies_min}, {"target", transfer.copies_target}};
        list.push_back(std::move(json));
    }
    return {{"transfers", std::move(list)}};
}

Json to_json(const std::vector<ObjectEntry>& objects) {
    Json list = Json::array();
    for (const ObjectEntry& object : objects) {
        Link link;
        link.root = object.root;
        // Without its key the link cannot be read, and then its name need not be either.
        if (object.kind != ObjectKind::encrypted) link.name = object.name;
        link.size = object.bytes;
        list.push_back(
            {{"root", to_hex(object.root)},
             {"link", link.to_string()},
             {"name", object.name},
             {"kind", kind_name(object.kind)},
             {"bytes", object.bytes.value},
             {"extents", object.extents},
             {"extents_held", object.extents_held},
             {"published", object.published},
             {"pinned", object.pinned},
             {"copies_min", object.copies_min ? Json(*object.copies_min) : Json()},
             {"at_risk_chunks", object.at_risk_chunks ? Json(*object.at_risk_chunks) : Json()},
             {"target", object.target},
             {"expires", object.expires ? Json(time_text(*object.expires)) : Json()},
             {"expired", object.expired},
             {"renewed", object.renewed}});
    }
    return {{"objects", std::move(list)}};
}

Json to_json(const Verification& result) {
    return {{"sound", result.is_sound()},
            {"checked_bytes", result.checked.value},
            {"checked_extents", result.checked_extents},
            {"damaged_extents", result.damaged_extents},
            {"missing_extents", result.missing_extents},
            {"healed_extents", result.healed_extents},
            {"checked_objects", result.checked_objects},
            {"damaged_objects", result.damaged_objects},
            {"healed_objects", result.healed_objects},
            {"catalogue_sound", !result.catalogue_is_damaged},
            {"complaints", result.complaints}};
}

Json to_json(const Withdrawal& result) {
    return {{"root", to_hex(result.root)},
            {"holders_told", result.holders_told},
            {"holders_obeyed", result.holders_obeyed}};
}

Json to_json(const Blocklist& result) {
    Json nodes = Json::array();
    for (const NodeId& node : result.nodes)
        nodes.push_back(to_hex(node));
    Json roots = Json::array();
    for (const RootHash& root : result.roots)
        roots.push_back(to_hex(root));
    return {{"nodes", std::move(nodes)}, {"roots", std::move(roots)}};
}

Json to_json(const RateLimits& result) {
    return {{"up", rate_json(result.up)},
            {"down", rate_json(result.down)},
            {"repair", rate_json(result.repair)}};
}

Json to_json(const Departure& result) {
    return {{"left", result.left},
            {"items", result.items},
            {"handed_over", result.handed_over},
            {"below_target", result.below_target}};
}

Json log_json(const std::vector<core::log::Line>& lines, std::uint64_t after) {
    Json list = Json::array();
    for (const core::log::Line& line : lines) {
        after = line.number;
        const std::chrono::system_clock::time_point time = line.time;
        list.push_back({{"number", line.number},
                        {"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(time),
                                             line.time.time_since_epoch().count() % 1000)},
                        {"level", core::log::level_name(line.level)},
                        {"component", line.component},
                        {"text", line.text}});
    }
    return {{"lines", std::move(list)}, {"next", after}};
}

Json to_json(const Invitation& result) {
    return {
        {"invite", result.word}, {"addresses", result.addresses}, {"private", result.is_private}};
}

Json to_json(const Joined& result) {
    return {{"addresses", result.addresses},
            {"reached", result.reached},
            {"private", result.is_private},
            {"running", result.running}};
}

Json progress_event(const Progress& progress) {
    Json json = {{"event", "progress"}, {"stage", stage_name(progress.stage)}};
    if (progress.done.value != 0 || progress.total.value != 0) {
        json["done_bytes"] = progress.done.value;
        json["total_bytes"] = progress.total.value;
    }
    if (progress.own.value != 0) json["own_bytes"] = progress.own.value;
    if (progress.holders != 0) json["holders"] = progress.holders;
    if (progress.copies_target != 0) {
        json["copies_min"] = progress.copies_min;
        json["copies_target"] = progress.copies_target;
    }
    if (progress.sent.value != 0) {
        json["sent_bytes"] = progress.sent.value;
        json["sent_rate"] = whole(progress.sent_rate);
    }
    if (progress.eta) json["eta_ms"] = progress.eta->count();
    return json;
}

Json done_event(const Json& result) {
    Json json = {{"event", "done"}};
    json.update(result);
    return json;
}

Json error_event(const Error& error) {
    return {{"event", "error"},
            {"code", errc_name(error.code)},
            {"exit", exit_code(error.code)},
            {"message", error.message()}};
}

std::string listing_line(const Listing& result) {
    std::string line = text_of(done_event(
        {{"root", to_hex(result.root)}, {"path", result.path}, {"bytes", result.bytes.value}}));
    line.pop_back();
    line += ",\"entries\":[";
    for (const DirectoryEntry& entry : result.entries) {
        if (line.back() != '[') line += ',';
        line += text_of(entry_json(entry, result));
    }
    line += "]}\n";
    return line;
}

std::string to_line(const Json& object) {
    return text_of(object) + '\n';
}

std::string error_line(const Error& error) {
    return to_line(error_event(error));
}

}  // namespace flow29::api
