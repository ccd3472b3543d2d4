// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/render.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <flow29/link.hpp>

#include "api/json_results.hpp"
#include "cli/quantity.hpp"
#include "cli/text.hpp"

namespace flow29::cli {
namespace {

using api::Json;
using std::chrono::milliseconds;

constexpr std::size_t short_id_chars = 12;
constexpr std::size_t minute_chars = 16;  // of an RFC 3339 time
constexpr std::size_t bar_cells = 30;

Json parse(std::string_view line) {
    Json json = Json::parse(line, nullptr, false);
    return json.is_object() ? json : Json::object();
}

/// The field at a path of names; null when there is none.
const Json& at(const Json& json, std::initializer_list<const char*> names) {
    static const Json nothing;
    const Json* current = &json;
    for (const char* const name : names) {
        const auto found = current->find(name);
        if (found == current->end()) return nothing;
        current = &*found;
    }
    return *current;
}

std::string string_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_string() ? printable(field.get<std::string>()) : std::string();
}

std::uint64_t number_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_number_unsigned() ? field.get<std::uint64_t>() : 0;
}

double real_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_number() ? field.get<double>() : 0;
}

bool flag_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_boolean() && field.get<bool>();
}

std::string size_at(const Json& json, std::initializer_list<const char*> names) {
    return format_size(ByteCount(number_at(json, names)));
}

std::string duration_at(const Json& json, std::initializer_list<const char*> names) {
    return format_duration(milliseconds(number_at(json, names)));
}

std::string short_id(const std::string& id) {
    return id.substr(0, short_id_chars);
}

/// A root as links have it; nothing of what is not one.
std::string short_root(const std::string& hex) {
    const auto root = id_from_hex<RootHash>(hex);
    return root ? to_base32(*root) : std::string();
}

/// "1 copy", "4 copies", "2 holders".
std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", format_count(count), count == 1 ? one : many);
}

std::string yes_or_no(bool yes) {
    return yes ? "yes" : "no";
}

std::string joined(const Json& strings) {
    std::string out;
    for (const Json& element : strings)
        if (element.is_string())
            out += (out.empty() ? "" : ", ") + printable(element.get<std::string>());
    return out;
}

/// " (at most 2.0 MiB/s)", or nothing without a limit.
std::string at_most(std::uint64_t rate) {
    if (rate == 0) return {};
    return fmt::format(" (at most {})", format_rate(static_cast<double>(rate)));
}

std::string reach_text(const Json& json) {
    const auto method = string_at(json, {"port_mapping", "method"});
    const auto problem = string_at(json, {"port_mapping", "problem"});
    const auto reach = string_at(json, {"reach"});
    std::string out = "no other node has dialled this one yet";
    if (reach == "reachable") out = "another node has dialled this one";
    if (reach == "unreachable") out = "others cannot dial this node, so it keeps nothing for them";
    if (!method.empty())
        return fmt::format("{}; mapped to {} by {}", out,
                           string_at(json, {"port_mapping", "external"}),
                           method == "upnp" ? "UPnP" : "NAT-PMP");
    return problem.empty() ? out : fmt::format("{}; no port mapping: {}", out, problem);
}

}  // namespace

PublishedText render_published(std::string_view line, bool in_process) {
    const Json json = parse(line);
    PublishedText text;
    text.degraded = flag_at(json, {"degraded"});
    const std::string link = string_at(json, {"link"});
    text.link = link + "\n";
    const auto copies = number_at(json, {"copies", "min"});
    const auto target = number_at(json, {"target"});
    text.note = fmt::format("published {} in {}; {} on other nodes (wanted: {})\n",
                            size_at(json, {"bytes"}),
                            counted(number_at(json, {"extents"}), "extent", "extents"),
                            counted(copies, "copy", "copies"), target);
    const std::string shortfall = string_at(json, {"shortfall"});
    if (text.degraded) {
        const std::string_view advice =
            in_process ? "publish it again from a running node (`flow29 node`), which goes on "
                         "making them"
                       : "keep this node running, it goes on making them";
        text.note += fmt::format("degraded: only {} of {} copies{}{}; {}\n", copies, target,
                                 shortfall.empty() ? "" : ": ", shortfall, advice);
    }
    const auto parsed = Link::parse(link);
    if (parsed) text.parsed = *parsed;
    const std::string output = parsed ? file_name_for(*parsed) : "FILE";
    if (parsed && !parsed->key.empty())
        text.note += "private: whoever has the whole link can read it, and nobody else\n";
    text.note += fmt::format("fetch it with:  flow29 fetch {} -o {}\n", shell_quote(link),
                             shell_quote(output));
    return text;
}

std::string render_fetched(std::string_view line) {
    const Json json = parse(line);
    const auto bytes = number_at(json, {"bytes"});
    const auto fetched = number_at(json, {"fetched_bytes"});
    std::string size = size_at(json, {"bytes"});
    if (string_at(json, {"kind"}) == "directory")
        size = fmt::format("{}, {}", counted(number_at(json, {"files"}), "file", "files"), size);
    // Of a directory more is fetched than its files have: what describes them, and what is between.
    std::string out =
        fmt::format("saved {} ({}, verified; {} from {} in {})\n", string_at(json, {"path"}), size,
                    fetched >= bytes ? "all" : size_at(json, {"fetched_bytes"}),
                    counted(number_at(json, {"holders"}), "holder", "holders"),
                    duration_at(json, {"elapsed_ms"}));
    return out;
}

std::string render_sharing(std::string_view line) {
    const Json json = parse(line);
    const auto shared = string_at(json, {"shared"});
    const auto why = string_at(json, {"unshared_why"});
    if (!why.empty()) return fmt::format("not shared with others: {}\n", why);
    if (shared == "copy")
        return fmt::format("shared with others from a copy in the node's store, another {}\n",
                           size_at(json, {"bytes"}));
    return {};
}

std::string render_located(std::string_view line) {
    const Json json = parse(line);
    std::string out =
        fmt::format("{} {}: {}\n", string_at(json, {"kind"}), short_root(string_at(json, {"hash"})),
                    counted(at(json, {"holders"}).size(), "holder", "holders"));
    std::vector<std::vector<std::string>> rows{{"NODE", "ADDRESS", "FOUND BY"}};
    for (const Json& holder : at(json, {"holders"}))
        rows.push_back({short_id(string_at(holder, {"node"})), joined(at(holder, {"addresses"})),
                        string_at(holder, {"source"})});
    return out + table(rows);
}

std::string render_health(std::string_view line) {
    const Json json = parse(line);
    const auto minimum = number_at(json, {"copies", "min"});
    const auto target = number_at(json, {"target"});
    const std::string upkeep = string_at(json, {"upkeep"});
    std::string out = fmt::format("object     {} ({})\n", short_root(string_at(json, {"root"})),
                                  size_at(json, {"bytes"}));
    // It is not ill: nobody is to keep it any more.
    if (upkeep == "expired" || upkeep == "withdrawn")
        return out +
               fmt::format(
                   "state      {}: nobody is asked to keep it any more; {} of it {} "
                   "left, until the room is needed\n",
                   upkeep, counted(minimum, "copy", "copies"), minimum == 1 ? "is" : "are") +
               "           `flow29 publish` with the same content brings it back\n";
    out += fmt::format("state      {} {} of {}{}\n",
                       flag_at(json, {"degraded"}) ? "degraded" : "healthy", minimum, target,
                       upkeep == "unknown" ? "; who asked for copies is not known" : "");
    out += fmt::format("copies     at least {}, on average {:.1f} (wanted: {})\n", minimum,
                       real_at(json, {"copies", "mean"}), target);
    const Json& histogram = at(json, {"copies", "histogram"});
    std::uint64_t most = 1;
    for (const auto& [copies, extents] : histogram.items())
        most = std::max(most, extents.is_number_unsigned() ? extents.get<std::uint64_t>() : 0);
    for (const auto& [copies, extents] : histogram.items()) {
        const auto count = extents.is_number_unsigned() ? extents.get<std::uint64_t>() : 0;
        const auto filled = std::max<std::uint64_t>(count == 0 ? 0 : 1, count * bar_cells / most);
        std::string bar;
        for (std::uint64_t i = 0; i < filled; ++i)
            bar += "█";
        out += fmt::format("  {:>3} {} {}\n", printable(copies), bar, format_count(count));
    }
    out += fmt::format("groups     {}\n",
                       counted(number_at(json, {"groups"}), "address group", "address groups"));
    out += fmt::format("at risk    {}\n",
                       counted(number_at(json, {"at_risk_chunks"}), "chunk", "chunks"));
    const auto missing = number_at(json, {"repair", "missing_bytes"});
    if (missing > 0) {
        out += fmt::format("repair     {} missing, {} on the way, ",
                           size_at(json, {"repair", "missing_bytes"}),
                           counted(number_at(json, {"repair", "in_flight"}), "copy", "copies"));
        out += at(json, {"repair", "time_to_target_ms"}).is_null()
                   ? "time left not known yet\n"
                   : fmt::format("about {} left\n",
                                 duration_at(json, {"repair", "time_to_target_ms"}));
    }
    out +=
        fmt::format("publisher may leave: {}\n", yes_or_no(flag_at(json, {"publisher_may_leave"})));
    return out;
}

std::string render_status(std::string_view line) {
    const Json json = parse(line);
    std::string out;
    out += fmt::format("node       {}\n", string_at(json, {"node"}));
    out += fmt::format("version    {}, up {}\n", string_at(json, {"version"}),
                       duration_at(json, {"uptime_ms"}));
    out += fmt::format("listening  port {} ({})\n", number_at(json, {"port"}),
                       joined(at(json, {"addresses"})));
    out += fmt::format("reach      {}\n", reach_text(json));
    out += fmt::format("swarm      {}{}; {} in the index, {}\n",
                       flag_at(json, {"private"}) ? "private, " : "",
                       flag_at(json, {"dht", "connected"}) ? "connected" : "not connected",
                       counted(number_at(json, {"dht", "nodes"}), "node", "nodes"),
                       counted(number_at(json, {"peers"}), "peer", "peers"));
    const std::string problem = string_at(json, {"problem"});
    if (!problem.empty()) out += fmt::format("problem    {}\n", problem);
    out +=
        fmt::format("storage    {} of {}, {} and {}{}\n", size_at(json, {"storage", "used_bytes"}),
                    size_at(json, {"storage", "capacity_bytes"}),
                    counted(number_at(json, {"storage", "objects"}), "object", "objects"),
                    counted(number_at(json, {"storage", "extents"}), "extent", "extents"),
                    flag_at(json, {"storing"}) ? "" : "; holds nothing for others");
    const auto limit = number_at(json, {"repair", "limit"});
    out += fmt::format(
        "repair     {} under target, {} in flight, {} so far{}\n",
        counted(number_at(json, {"repair", "under_target_extents"}), "extent", "extents"),
        number_at(json, {"repair", "in_flight"}), size_at(json, {"repair", "bytes_total"}),
        limit == 0 ? std::string()
                   : fmt::format(", at most {}", format_rate(static_cast<double>(limit))));
    out +=
        fmt::format("announce   {}, {:.1f} due an hour, {} put{}\n",
                    counted(number_at(json, {"announce", "records"}), "record", "records"),
                    real_at(json, {"announce", "due_per_hour"}), number_at(json, {"dht", "puts"}),
                    flag_at(json, {"announce", "behind"}) ? ", behind" : "");
    out += fmt::format(
        "traffic    {} up{}, {} down{}; index {} up, {} down\n",
        size_at(json, {"traffic", "up_bytes"}), at_most(number_at(json, {"traffic", "up_limit"})),
        size_at(json, {"traffic", "down_bytes"}),
        at_most(number_at(json, {"traffic", "down_limit"})),
        size_at(json, {"traffic", "dht_up_bytes"}), size_at(json, {"traffic", "dht_down_bytes"}));
    const double skew = real_at(json, {"clock_skew_ms"});
    if (skew != 0) out += fmt::format("clock      {:+.0f} ms from the others\n", skew);
    return out;
}

std::string render_peers(std::string_view line) {
    const Json json = parse(line);
    std::string out = "no peers are connected; `flow29 status` says why, if it is known\n";
    if (!at(json, {"peers"}).empty()) {
        std::vector<std::vector<std::string>> rows{
            {"NODE", "ADDRESS", "RTT", "UP", "DOWN", "RATE", "HOLDS", "SCORE", "STRIKES"}};
        for (const Json& peer : at(json, {"peers"}))
            rows.push_back({short_id(string_at(peer, {"node"})), string_at(peer, {"address"}),
                            fmt::format("{:.1f} ms", real_at(peer, {"rtt_ms"})),
                            size_at(peer, {"up_bytes"}), size_at(peer, {"down_bytes"}),
                            format_rate(real_at(peer, {"rate"})),
                            format_count(number_at(peer, {"holds_extents"})),
                            fmt::format("{} %", number_at(peer, {"score"})),
                            format_count(number_at(peer, {"strikes"}))});
        out = table(rows);
    }
    if (at(json, {"dropped"}).empty()) return out;
    std::vector<std::vector<std::string>> rows{{"DROPPED", "ADDRESS", "STRIKES", "", "WHY"}};
    for (const Json& peer : at(json, {"dropped"}))
        rows.push_back({short_id(string_at(peer, {"node"})), string_at(peer, {"address"}),
                        format_count(number_at(peer, {"strikes"})),
                        flag_at(peer, {"banned"}) ? "banned" : "", string_at(peer, {"reason"})});
    return out + "\n" + table(rows);
}

/// "4/4", "?/4" when nobody here counts them, "-" when none are wanted; those above what is wanted
/// apart, which may go any time.
std::string copies_text(const Json& object) {
    const auto target = number_at(object, {"target"});
    const bool is_known = at(object, {"copies_min"}).is_number_unsigned();
    const auto copies = number_at(object, {"copies_min"});
    if (target == 0) return is_known ? format_count(copies) : "-";
    if (!is_known) return fmt::format("?/{}", target);
    return copies <= target ? fmt::format("{}/{}", copies, target)
                            : fmt::format("{}/{} +{}", target, target, copies - target);
}

std::string until_text(const Json& object) {
    if (flag_at(object, {"expired"})) return "expired";
    if (flag_at(object, {"renewed"})) return "renewed";
    const std::string end = string_at(object, {"expires"}).substr(0, minute_chars);
    return end.empty() ? "-" : end;
}

std::string render_objects(std::string_view line) {
    const Json json = parse(line);
    if (at(json, {"objects"}).empty())
        return "nothing is kept here yet; publish a file with `flow29 publish PATH`\n";
    std::vector<std::vector<std::string>> rows{
        {"ROOT", "SIZE", "HERE", "COPIES", "KEPT AS", "UNTIL", "NAME"}};
    for (const Json& object : at(json, {"objects"})) {
        const bool published = flag_at(object, {"published"});
        const bool pinned = flag_at(object, {"pinned"});
        rows.push_back({short_root(string_at(object, {"root"})), size_at(object, {"bytes"}),
                        fmt::format("{}/{}", number_at(object, {"extents_held"}),
                                    number_at(object, {"extents"})),
                        copies_text(object),
                        published ? (pinned ? "published, pinned" : "published")
                                  : (pinned ? "pinned" : "held"),
                        until_text(object), string_at(object, {"name"})});
    }
    return table(rows);
}

/// Two lines a transfer, and one for each holder that delivers.
std::string render_transfers(std::string_view line) {
    const Json json = parse(line);
    if (at(json, {"transfers"}).empty()) return "nothing is being transferred\n";
    std::string out;
    for (const Json& transfer : at(json, {"transfers"})) {
        const auto total = number_at(transfer, {"total_bytes"});
        const auto done = number_at(transfer, {"done_bytes"});
        const auto root = id_from_hex<RootHash>(string_at(transfer, {"root"}));
        auto name = string_at(transfer, {"path"});
        if (name.empty()) name = string_at(transfer, {"name"});
        if (name.empty() && root) name = to_base32(*root);
        out += fmt::format("{}  {} {}\n", number_at(transfer, {"id"}),
                           string_at(transfer, {"kind"}), printable(name));
        std::string stage = string_at(transfer, {"stage"});
        std::ranges::replace(stage, '_', ' ');
        out += "   " + stage;
        if (total != 0)
            out += fmt::format(", {:.0f}% of {}",
                               100 * static_cast<double>(done) / static_cast<double>(total),
                               format_size(ByteCount(total)));
        if (at(transfer, {"copies"}).is_object())
            out += fmt::format(", {} of {} copies", number_at(transfer, {"copies", "min"}),
                               number_at(transfer, {"copies", "target"}));
        const double rate = real_at(transfer, {"rate"});
        if (rate > 0) out += ", " + format_rate(rate);
        if (at(transfer, {"eta_ms"}).is_number())
            out += ", ETA " +
                   format_duration(std::chrono::milliseconds(number_at(transfer, {"eta_ms"})));
        out += "; " + string_at(transfer, {"why"}) + "\n";
        if (number_at(transfer, {"own_bytes"}) != 0)
            out += fmt::format("   this node     {} that it kept already\n",
                               size_at(transfer, {"own_bytes"}));
        for (const Json& holder : at(transfer, {"holders"}))
            out += fmt::format("   {}  {}, {} so far\n", short_id(string_at(holder, {"node"})),
                               format_rate(real_at(holder, {"rate"})), size_at(holder, {"bytes"}));
    }
    return out;
}

std::string render_listing(std::string_view line) {
    const Json json = parse(line);
    std::vector<std::vector<std::string>> rows{{"SIZE", "", "PATH"}};
    for (const Json& entry : at(json, {"entries"})) {
        const bool is_directory = string_at(entry, {"kind"}) == "directory";
        rows.push_back({is_directory ? std::string() : size_at(entry, {"bytes"}),
                        flag_at(entry, {"executable"}) ? "x" : "",
                        string_at(entry, {"path"}) + (is_directory ? "/" : "")});
    }
    return table(rows);
}

VerificationText render_verification(std::string_view line) {
    const Json json = parse(line);
    const bool sound = flag_at(json, {"sound"});
    const auto damaged = number_at(json, {"damaged_extents"});
    const auto missing = number_at(json, {"missing_extents"});
    const auto objects = number_at(json, {"damaged_objects"});
    std::string out =
        fmt::format("read {} in {}, and {}\n", size_at(json, {"checked_bytes"}),
                    counted(number_at(json, {"checked_extents"}), "extent", "extents"),
                    counted(number_at(json, {"checked_objects"}), "descriptor", "descriptors"));
    if (damaged + missing + objects == 0 && sound) return {out + "all of it is sound\n", sound};
    out += fmt::format("{} damaged, {} missing; {} healed from others\n",
                       counted(damaged, "extent", "extents"), format_count(missing),
                       format_count(number_at(json, {"healed_extents"})));
    if (objects != 0)
        out += fmt::format("{} damaged; {} healed\n", counted(objects, "descriptor", "descriptors"),
                           format_count(number_at(json, {"healed_objects"})));
    for (const Json& complaint : at(json, {"complaints"}))
        if (complaint.is_string()) out += printable(complaint.get<std::string>()) + "\n";
    return {std::move(out), sound};
}

LogText render_log(std::string_view line) {
    const Json json = parse(line);
    LogText log{{}, number_at(json, {"next"})};
    for (const Json& entry : at(json, {"lines"}))
        log.text += fmt::format("{} {:<5} {}: {}\n", string_at(entry, {"time"}),
                                string_at(entry, {"level"}), string_at(entry, {"component"}),
                                string_at(entry, {"text"}));
    return log;
}

DepartureText render_departure(std::string_view line) {
    const Json json = parse(line);
    const bool left = flag_at(json, {"left"});
    const auto below = number_at(json, {"below_target"});
    std::string out = fmt::format("{} kept here, {} handed over\n",
                                  counted(number_at(json, {"items"}), "item", "items"),
                                  number_at(json, {"handed_over"}));
    if (below > 0)
        out += fmt::format("{} cannot have enough copies without this node\n",
                           counted(below, "item", "items"));
    out +=
        left ? "left; the node stops\n" : "the node stays; --force makes it leave nevertheless\n";
    return {std::move(out), left};
}

std::string render_blocklist(std::string_view line) {
    const Json json = parse(line);
    std::string out;
    for (const Json& node : at(json, {"nodes"}))
        if (node.is_string())
            out += fmt::format("node  {}\n", short_id(printable(node.get<std::string>())));
    for (const Json& root : at(json, {"roots"}))
        if (root.is_string()) out += fmt::format("root  {}\n", short_root(root.get<std::string>()));
    return out.empty() ? "nothing is blocked\n" : out;
}

std::string render_limits(std::string_view line) {
    const Json json = parse(line);
    std::string out;
    for (const char* const name : {"up", "down", "repair"}) {
        const auto rate = number_at(json, {name});
        out += fmt::format("{:<7} {}\n", name,
                           rate == 0 ? "no limit" : format_rate(static_cast<double>(rate)));
    }
    return out;
}

InvitationText render_invitation(std::string_view line) {
    const Json json = parse(line);
    InvitationText text{string_at(json, {"invite"}) + "\n",
                        fmt::format("through {}; elsewhere: flow29 join INVITE\n",
                                    joined(at(json, {"addresses"})))};
    if (flag_at(json, {"private"}))
        text.note += "whoever has this word is in the private swarm: pass it on like a password\n";
    return text;
}

std::string render_joined(std::string_view line) {
    const Json json = parse(line);
    const std::string swarm = flag_at(json, {"private"}) ? "the private swarm" : "the swarm";
    if (!flag_at(json, {"running"}))
        return fmt::format("the node is in {} of {} from its next start, `flow29 node`\n", swarm,
                           joined(at(json, {"addresses"})));
    const auto reached = number_at(json, {"reached"});
    return fmt::format("joining {}: {} of {} answered{}\n", swarm, reached,
                       counted(at(json, {"addresses"}).size(), "address", "addresses"),
                       reached == 0 ? "; the node keeps trying" : "");
}

std::string render_withdrawal(std::string_view line) {
    const Json json = parse(line);
    const auto told = number_at(json, {"holders_told"});
    const auto obeyed = number_at(json, {"holders_obeyed"});
    std::string out =
        fmt::format("withdrawn; {} of {} obeyed\n", obeyed, counted(told, "holder", "holders"));
    if (obeyed < told) out += "the others drop it when its lease ends, or keep it as their own\n";
    return out;
}

std::string with_event(std::string_view line, const char* event) {
    Json json = parse(line);
    json["event"] = event;
    return api::to_line(json);
}

std::string published_event(std::string_view line, const std::string& path) {
    Json json = parse(line);
    json["event"] = "published";
    json["path"] = path;
    return api::to_line(json);
}

std::string failed_event(const FailedInput& failed) {
    Json json = api::error_event(failed.error);
    json["event"] = "failed";
    json["path"] = failed.path;
    return api::to_line(json);
}

std::string publish_summary(const std::vector<std::string>& lines,
                            const std::vector<FailedInput>& failed) {
    Json objects = Json::array();
    for (const std::string& line : lines) {
        Json object = parse(line);
        object.erase("event");
        objects.push_back(std::move(object));
    }
    Json json = {{"event", "done"}};
    json["objects"] = std::move(objects);
    if (!failed.empty()) json["failed"] = failed.size();
    return api::to_line(json);
}

}  // namespace flow29::cli
