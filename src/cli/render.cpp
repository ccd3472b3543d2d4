// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/render.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/quantity.hpp"
#include "cli/render_fields.hpp"
#include "cli/text.hpp"
#include "core/printable.hpp"

namespace flow29::cli {

using api::Json;

namespace {

/// " (at most 2.0 MiB/s)", or nothing without a limit.
std::string at_most(std::uint64_t rate) {
    if (rate == 0) return {};
    return fmt::format(" (at most {})", format_rate(static_cast<double>(rate)));
}

/// Whether nobody outside this machine could have dialled the node.
bool is_on_loopback(const Json& addresses) {
    return !addresses.empty() && std::ranges::all_of(addresses, [](const Json& address) {
        const auto text = address.is_string() ? address.get<std::string>() : std::string();
        return text.starts_with("127.") || text.starts_with("[::1]");
    });
}

std::string reach_text(const Json& json) {
    if (is_on_loopback(at(json, {"addresses"})))
        return "other nodes of this machine, and no others";
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

std::string render_status(std::string_view line) {
    const Json json = object_in(line);
    std::string out;
    out += fmt::format("node       {}\n", string_at(json, {"node"}));
    out += fmt::format("version    {}, up {}\n", string_at(json, {"version"}),
                       duration_at(json, {"uptime_ms"}));
    out += fmt::format("listening  {}\n", joined(at(json, {"listening"})));
    out += fmt::format("addresses  {}\n", at(json, {"addresses"}).empty()
                                              ? "none known at which others can dial it"
                                              : joined(at(json, {"addresses"})));
    out += fmt::format("reach      {}\n", reach_text(json));
    out += fmt::format("swarm      {}{}; {} in the index, {}\n",
                       flag_at(json, {"private"}) ? "private, " : "",
                       flag_at(json, {"dht", "connected"}) ? "connected" : "not connected",
                       counted(number_at(json, {"dht", "nodes"}), "node", "nodes"),
                       counted(number_at(json, {"peers"}), "peer", "peers"));
    const std::string problem = string_at(json, {"problem"});
    if (!problem.empty())
        out += fmt::format("problem    {}\n", problem);
    else if (json.contains("peers") && number_at(json, {"peers"}) == 0)
        out += "alone      `flow29 invite` prints a word with which another node joins\n";
    out +=
        fmt::format("storage    {} of {}, {} and {}{}\n", size_at(json, {"storage", "used_bytes"}),
                    size_at(json, {"storage", "capacity_bytes"}),
                    counted(number_at(json, {"storage", "objects"}), "object", "objects"),
                    counted(number_at(json, {"storage", "extents"}), "extent", "extents"),
                    flag_at(json, {"storing"}) ? "" : "; holds nothing for others");
    if (const auto left = at(json, {"storage", "disk_left_bytes"});
        left.is_number() && number_at(json, {"storage", "used_bytes"}) + left.get<std::uint64_t>() <
                                number_at(json, {"storage", "capacity_bytes"}))
        out += fmt::format("disk       {} left, less than the capacity allows\n",
                           size_at(json, {"storage", "disk_left_bytes"}));
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

std::string render_peers(std::string_view line, const std::string& chosen) {
    const Json json = object_in(line);
    std::string out = chosen.empty()
                          ? "no peers are connected; `flow29 status` says why, if it is known\n"
                          : fmt::format("no peer whose id begins with {} is connected\n",
                                        core::printable(chosen));
    if (!at(json, {"peers"}).empty()) {
        std::vector<std::vector<std::string>> rows{
            {"NODE", "ADDRESS", "RTT", "UP", "DOWN", "RATE", "HOLDS", "SCORE", "STRIKES"}};
        for (const Json& peer : at(json, {"peers"}))
            rows.push_back(
                {short_id(string_at(peer, {"node"})), string_at(peer, {"address"}),
                 fmt::format("{:.1f} ms", real_at(peer, {"rtt_ms"})), size_at(peer, {"up_bytes"}),
                 size_at(peer, {"down_bytes"}), format_rate(real_at(peer, {"rate"})),
                 flag_at(peer, {"storing"}) ? format_count(number_at(peer, {"holds_extents"}))
                                            : "-",
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

LogText render_log(std::string_view line) {
    const Json json = object_in(line);
    LogText log{{}, number_at(json, {"next"})};
    for (const Json& entry : at(json, {"lines"}))
        log.text += fmt::format("{} {:<5} {}: {}\n", string_at(entry, {"time"}),
                                string_at(entry, {"level"}), string_at(entry, {"component"}),
                                string_at(entry, {"text"}));
    return log;
}

DepartureText render_departure(std::string_view line) {
    const Json json = object_in(line);
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
    const Json json = object_in(line);
    std::string out;
    for (const Json& node : at(json, {"nodes"}))
        if (node.is_string())
            out += fmt::format("node  {}\n", short_id(core::printable(node.get<std::string>())));
    for (const Json& root : at(json, {"roots"}))
        if (root.is_string()) out += fmt::format("root  {}\n", short_root(root.get<std::string>()));
    return out.empty() ? "nothing is blocked\n" : out;
}

std::string render_limits(std::string_view line) {
    const Json json = object_in(line);
    std::string out;
    for (const char* const name : {"up", "down", "repair"}) {
        const auto rate = number_at(json, {name});
        out += fmt::format("{:<7} {}\n", name,
                           rate == 0 ? "no limit" : format_rate(static_cast<double>(rate)));
    }
    return out;
}

InvitationText render_invitation(std::string_view line) {
    const Json json = object_in(line);
    InvitationText text{string_at(json, {"invite"}) + "\n",
                        fmt::format("through {}; elsewhere: flow29 join INVITE\n",
                                    joined(at(json, {"addresses"})))};
    if (flag_at(json, {"private"}))
        text.note += "whoever has this word is in the private swarm: pass it on like a password\n";
    return text;
}

std::string render_joined(std::string_view line) {
    const Json json = object_in(line);
    const std::string swarm = flag_at(json, {"private"}) ? "the private swarm" : "the swarm";
    if (!flag_at(json, {"running"}))
        return fmt::format("the node is in {} of {} from its next start, `flow29 node`\n", swarm,
                           joined(at(json, {"addresses"})));
    const auto reached = number_at(json, {"reached"});
    return fmt::format("joining {}: {} of {} answered{}\n", swarm, reached,
                       counted(at(json, {"addresses"}).size(), "address", "addresses"),
                       reached == 0 ? "; the node keeps trying" : "");
}

std::string with_event(std::string_view line, const char* event) {
    Json json = object_in(line);
    json["event"] = event;
    return api::to_line(json);
}

}  // namespace flow29::cli
