// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <flow29/link.hpp>
#include <flow29/node.hpp>

#include "cli/quantity.hpp"
#include "cli/render.hpp"
#include "cli/render_fields.hpp"
#include "cli/text.hpp"
#include "core/printable.hpp"

// What is published, kept and on its way.
namespace flow29::cli {

using api::Json;

namespace {

constexpr std::size_t minute_chars = 16;  // of an RFC 3339 time
constexpr std::size_t bar_cells = 30;

std::string yes_or_no(bool yes) {
    return yes ? "yes" : "no";
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

}  // namespace

PublishedText render_published(std::string_view line, bool in_process) {
    const Json json = object_in(line);
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
    const Json json = object_in(line);
    const auto bytes = number_at(json, {"bytes"});
    const auto fetched = number_at(json, {"fetched_bytes"});
    std::string size = size_at(json, {"bytes"});
    if (string_at(json, {"kind"}) == "directory")
        size = fmt::format("{}, {}", counted(number_at(json, {"files"}), "file", "files"), size);
    // Of a directory more is fetched than its files have: what describes them, and what is between.
    const std::string holders = counted(number_at(json, {"holders"}), "holder", "holders");
    std::string source = "all from " + holders;
    if (fetched == 0 && bytes == 0)
        source = "nothing to be fetched,";
    else if (fetched == 0)
        source = "all of it was here already,";
    else if (fetched < bytes)
        source = fmt::format("{} from {}, the rest was here already,",
                             format_size(ByteCount(fetched)), holders);
    return fmt::format("saved {} ({}, verified; {} in {})\n", string_at(json, {"path"}), size,
                       source, duration_at(json, {"elapsed_ms"}));
}

std::string render_sharing(std::string_view line) {
    const Json json = object_in(line);
    const auto shared = string_at(json, {"shared"});
    const auto why = string_at(json, {"unshared_why"});
    if (!why.empty()) return fmt::format("not shared with others: {}\n", why);
    if (shared == "copy")
        return fmt::format("shared with others from a copy in the node's store, another {}\n",
                           size_at(json, {"bytes"}));
    return {};
}

std::string render_located(std::string_view line) {
    const Json json = object_in(line);
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
    const Json json = object_in(line);
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
    // More than wanted is no share of it.
    const auto share = minimum > target
                           ? fmt::format("with {} copies where {} are wanted", minimum, target)
                           : fmt::format("{} of {}", minimum, target);
    out += fmt::format("state      {} {}{}\n", flag_at(json, {"degraded"}) ? "degraded" : "healthy",
                       share, upkeep == "unknown" ? "; who asked for copies is not known" : "");
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
        out += fmt::format("  {:>3} {} {}\n", core::printable(copies), bar, format_count(count));
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

std::string render_objects(std::string_view line) {
    const Json json = object_in(line);
    if (at(json, {"objects"}).empty())
        return "no files are known here; `flow29 publish PATH` publishes one, and `flow29 status` "
               "counts what is kept for others\n";
    std::vector<std::vector<std::string>> rows{
        {"SIZE", "HERE", "COPIES", "KEPT AS", "UNTIL", "NAME", "ROOT"}};
    for (const Json& object : at(json, {"objects"})) {
        const bool published = flag_at(object, {"published"});
        const bool pinned = flag_at(object, {"pinned"});
        rows.push_back({size_at(object, {"bytes"}),
                        fmt::format("{}/{}", number_at(object, {"extents_held"}),
                                    number_at(object, {"extents"})),
                        copies_text(object),
                        published ? (pinned ? "published, pinned" : "published")
                                  : (pinned ? "pinned" : "held"),
                        until_text(object), string_at(object, {"name"}),
                        short_root(string_at(object, {"root"}))});
    }
    return table(rows);
}

/// Two lines a transfer, and one for each holder that delivers.
std::string render_transfers(std::string_view line) {
    const Json json = object_in(line);
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
                           string_at(transfer, {"kind"}), core::printable(name));
        std::string stage = string_at(transfer, {"stage"});
        std::ranges::replace(stage, '_', ' ');
        out += "   " + stage;
        if (total != 0)
            out += fmt::format(", {:.0f}%",
                               100 * static_cast<double>(done) / static_cast<double>(total));
        // The bytes of all copies are a number that nobody has seen before.
        if (total != 0 && stage != stage_name(Stage::copies))
            out += " of " + format_size(ByteCount(total));
        if (at(transfer, {"copies"}).is_object())
            out += fmt::format(", {} of {} copies", number_at(transfer, {"copies", "min"}),
                               number_at(transfer, {"copies", "target"}));
        const double rate = real_at(transfer, {"rate"});
        if (rate > 0) out += ", " + format_rate(rate);
        if (at(transfer, {"eta_ms"}).is_number())
            out +=
                ", ETA " + format_left(std::chrono::milliseconds(number_at(transfer, {"eta_ms"})));
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
    const Json json = object_in(line);
    const Json& entries = at(json, {"entries"});
    const bool has_times =
        std::ranges::any_of(entries, [](const Json& entry) { return entry.contains("modified"); });
    std::vector<std::vector<std::string>> rows{{"SIZE", "", "PATH"}};
    if (has_times) rows.front().insert(rows.front().end() - 1, "MODIFIED");
    for (const Json& entry : entries) {
        const bool is_directory = string_at(entry, {"kind"}) == "directory";
        auto& row = rows.emplace_back();
        row.push_back(is_directory ? std::string() : size_at(entry, {"bytes"}));
        row.emplace_back(flag_at(entry, {"executable"}) ? "x" : "");
        if (has_times) row.push_back(string_at(entry, {"modified"}));
        row.push_back(string_at(entry, {"path"}) + (is_directory ? "/" : ""));
    }
    return table(rows);
}

VerificationText render_verification(std::string_view line) {
    const Json json = object_in(line);
    const bool sound = flag_at(json, {"sound"});
    const auto damaged = number_at(json, {"damaged_extents"});
    const auto missing = number_at(json, {"missing_extents"});
    const auto objects = number_at(json, {"damaged_objects"});
    std::string out =
        fmt::format("read {} in {}, and {}\n", size_at(json, {"checked_bytes"}),
                    counted(number_at(json, {"checked_extents"}), "extent", "extents"),
                    counted(number_at(json, {"checked_objects"}), "descriptor", "descriptors"));
    const Json& complaints = at(json, {"complaints"});
    const bool is_whole = damaged + missing + objects == 0 && sound;
    if (is_whole && complaints.empty())
        out += "all of it is sound\n";
    else if (!is_whole)
        out += fmt::format("{} damaged, {} missing; {} healed from others\n",
                           counted(damaged, "extent", "extents"), format_count(missing),
                           format_count(number_at(json, {"healed_extents"})));
    if (objects != 0)
        out += fmt::format("{} damaged; {} healed\n", counted(objects, "descriptor", "descriptors"),
                           format_count(number_at(json, {"healed_objects"})));
    for (const Json& complaint : complaints)
        if (complaint.is_string()) out += core::printable(complaint.get<std::string>()) + "\n";
    if (is_whole && !complaints.empty()) out += "the rest of it is sound\n";
    return {std::move(out), sound};
}

std::string render_withdrawal(std::string_view line) {
    const Json json = object_in(line);
    const auto told = number_at(json, {"holders_told"});
    const auto obeyed = number_at(json, {"holders_obeyed"});
    std::string out =
        fmt::format("withdrawn; {} of {} obeyed\n", obeyed, counted(told, "holder", "holders"));
    if (obeyed < told) out += "the others drop it when its lease ends, or keep it as their own\n";
    return out;
}

std::string published_event(std::string_view line, const std::string& path) {
    Json json = object_in(line);
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
        Json object = object_in(line);
        object.erase("event");
        objects.push_back(std::move(object));
    }
    Json json = {{"event", "done"}};
    json["objects"] = std::move(objects);
    if (!failed.empty()) json["failed"] = failed.size();
    return api::to_line(json);
}

}  // namespace flow29::cli
