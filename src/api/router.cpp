// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/router.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <fmt/format.h>
#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "api/call.hpp"
#include "api/content_calls.hpp"
#include "core/json_depth.hpp"
#include "core/log_ring.hpp"

namespace flow29::api {
namespace {

void locate(Call& call) {
    std::string hash = call.params.string("hash");
    std::optional<Link> in;
    if (call.params.has("in")) in = call.params.link("in");
    const auto timeout = call.params.duration_or("timeout_ms", idle_timeout_default);
    if (!call.params_are_good()) return;
    call.node.locate(std::move(hash), std::move(in), timeout, progress_to(call.emit),
                     [emit = call.emit](Result<Located> result) {
                         if (result && result->holders.empty())
                             result = fail(Errc::not_found, "nobody reachable holds it");
                         done_to<Located>(emit)(std::move(result));
                     });
}

void health(Call& call) {
    Link link = call.params.link("link");
    const auto timeout = call.params.duration_or("timeout_ms", idle_timeout_default);
    const bool repair = call.params.flag_or("repair", false);
    if (!call.params_are_good()) return;
    if (repair)
        return call.node.repair(std::move(link), timeout, progress_to(call.emit),
                                done_to<Health>(call.emit));
    call.node.health(std::move(link), timeout, progress_to(call.emit), done_to<Health>(call.emit));
}

void map(Call& call) {
    Link link = call.params.link("link");
    const auto timeout = call.params.duration_or("timeout_ms", idle_timeout_default);
    if (!call.params_are_good()) return;
    call.node.map(std::move(link), timeout, progress_to(call.emit), done_to<ObjectMap>(call.emit));
}

void withdraw(Call& call) {
    const Link link = call.params.link("link");
    if (!call.params_are_good()) return;
    call.node.withdraw(link.root, progress_to(call.emit), done_to<Withdrawal>(call.emit));
}

void verify(Call& call) {
    VerifyRequest request;
    if (call.params.has("link")) request.root = call.params.link("link").root;
    request.stop = call.request.stop;
    if (!call.params_are_good()) return;
    call.node.verify(std::move(request), progress_to(call.emit), done_to<Verification>(call.emit));
}

void leave(Call& call) {
    LeaveRequest request;
    request.force = call.params.flag_or("force", false);
    request.idle_timeout = call.params.duration_or("idle_timeout_ms", idle_timeout_default);
    request.stop = call.request.stop;
    if (!call.params_are_good()) return;
    call.node.leave(std::move(request), progress_to(call.emit),
                    [emit = call.emit, left = call.left](Result<Departure> result) {
                        const bool gone = result && result->left;
                        done_to<Departure>(emit)(std::move(result));
                        if (gone && left) left();
                    });
}

void set_pin(Call& call, bool pinned) {
    const Link link = call.params.link("link");
    if (!call.params_are_good()) return;
    call.node.pin(link.root, pinned,
                  [emit = call.emit, root = link.root, pinned](Result<bool> result) {
                      if (!result) return emit(error_line(result.error()), true);
                      const Json json = {{"root", to_hex(root)}, {"pinned", pinned}};
                      emit(to_line(done_event(json)), true);
                  });
}

void set_block(Call& call, bool blocked) {
    const std::string name = call.params.string_or("name", {});
    if (!call.params_are_good()) return;
    if (!name.empty()) return call.node.block(name, blocked, done_to<Blocklist>(call.emit));
    if (!blocked) return call.fail_with({Errc::usage, "\"name\" must be given"});
    call.node.blocklist(done_to<Blocklist>(call.emit));
}

void limit(Call& call) {
    RateLimitsChange change;
    const auto rate = [&call](const char* name) -> std::optional<ByteCount> {
        if (!call.params.has(name)) return std::nullopt;
        return ByteCount(call.params.number_or(name, 0));
    };
    change.up = rate("up");
    change.down = rate("down");
    change.repair = rate("repair");
    if (!call.params_are_good()) return;
    call.node.limit(change, done_to<RateLimits>(call.emit));
}

std::optional<core::log::Level> parse_level(std::string_view name) {
    using core::log::Level;
    for (const Level level : {Level::debug, Level::info, Level::warn, Level::error})
        if (core::log::level_name(level) == name) return level;
    return std::nullopt;
}

void log(Call& call) {
    const auto level = parse_level(call.params.string_or("level", "debug"));
    const auto after = call.params.number_or("after", 0);
    const auto count = call.params.number_or("count", core::log::ring_lines_max);
    if (!call.params_are_good()) return;
    if (!level)
        return call.fail_with({Errc::usage, "\"level\" must be debug, info, warn or error"});
    call.emit(to_line(done_event(log_json(core::log::recent(after, *level, count), after))), true);
}

void invite(Call& call) {
    if (call.params_are_good()) call.node.invite(done_to<Invitation>(call.emit));
}

void join(Call& call) {
    std::string word = call.params.string("invite");
    if (call.params_are_good()) call.node.join(std::move(word), done_to<Joined>(call.emit));
}

void status(Call& call) {
    if (call.params_are_good()) call.node.status(done_to<Status>(call.emit));
}

/// `node`: only those whose ids begin with these digits.
void peers(Call& call) {
    std::string prefix = call.params.string_or("node", {});
    if (!call.params_are_good()) return;
    for (char& c : prefix)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool is_hex = prefix.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!is_hex || (!prefix.empty() && prefix.size() < limits::node_prefix_min))
        return call.fail_with({Errc::usage, fmt::format("\"{}\" is no node's id: at least {} "
                                                        "hexadecimal digits of one are needed",
                                                        prefix, limits::node_prefix_min)});
    call.node.peers([emit = call.emit, prefix](Result<std::vector<PeerInfo>> peers) {
        if (peers)
            std::erase_if(*peers, [&prefix](const PeerInfo& peer) {
                return !to_hex(peer.node).starts_with(prefix);
            });
        done_to<std::vector<PeerInfo>>(emit)(std::move(peers));
    });
}

void transfers(Call& call) {
    if (call.params_are_good()) call.node.transfers(done_to<std::vector<TransferInfo>>(call.emit));
}

void control_transfer(Call& call, TransferAction action) {
    const auto id = call.params.number("id");
    if (!call.params_are_good()) return;
    call.node.control_transfer(id, action, done_to<std::vector<TransferInfo>>(call.emit));
}

void objects(Call& call) {
    if (call.params_are_good()) call.node.objects(done_to<std::vector<ObjectEntry>>(call.emit));
}

/// Whom an operation is for.
enum class For { all, owner, owner_to_change };

struct Route {
    std::string_view method;
    void (*start)(Call&);
    For whom = For::all;
};

/// Those that change nothing.
constexpr std::array<std::string_view, 9> reading{"cat",    "list",  "locate", "map",      "log",
                                                  "status", "peers", "ls",     "transfers"};

/// Without parameters, what changes something only tells how it is.
bool is_open_to_members(const Route& route, std::string_view params) {
    return route.whom == For::all ||
           (route.whom == For::owner_to_change && (params.empty() || params == "{}"));
}

constexpr std::array routes{
    Route{"publish", publish},
    Route{"fetch", fetch},
    Route{"cat", cat},
    Route{"list", list},
    Route{"locate", locate},
    Route{"health", health},
    Route{"map", map},
    Route{"rm", withdraw},
    Route{"verify", verify},
    Route{"leave", leave, For::owner},
    Route{"pin", [](Call& call) { set_pin(call, true); }},
    Route{"unpin", [](Call& call) { set_pin(call, false); }},
    Route{"block", [](Call& call) { set_block(call, true); }, For::owner_to_change},
    Route{"unblock", [](Call& call) { set_block(call, false); }, For::owner},
    Route{"limit", limit, For::owner_to_change},
    Route{"log", log, For::owner},
    Route{"invite", invite, For::owner},
    Route{"join", join, For::owner},
    Route{"status", status},
    Route{"peers", peers},
    Route{"ls", objects},
    Route{"transfers", transfers},
    Route{"transfers/pause", [](Call& call) { control_transfer(call, TransferAction::pause); }},
    Route{"transfers/resume", [](Call& call) { control_transfer(call, TransferAction::resume); }},
    Route{"transfers/cancel", [](Call& call) { control_transfer(call, TransferAction::cancel); }},
};

}  // namespace

Result<Request> parse_request(std::string_view line) {
    if (core::is_nested_beyond(line, limits::json_depth_max))
        return fail(Errc::usage, "the request is nested too deeply");
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return fail(Errc::usage, "the request is not a JSON object");
    Request request;
    for (const auto& [name, value] : json.items()) {
        if (name == "method" && value.is_string()) {
            request.method = value.get<std::string>();
        } else if (name == "params" && value.is_object()) {
            request.params = value.dump(-1, ' ', false, Json::error_handler_t::replace);
        } else {
            return fail(Errc::usage,
                        fmt::format("a request has a \"method\" (string) and \"params\""
                                    " (object), and no \"{}\" like this",
                                    name));
        }
    }
    if (request.method.empty()) return fail(Errc::usage, "the request names no \"method\"");
    return request;
}

void Router::call(Request request, EmitFn emit) {
    const std::string params = std::move(request.params);
    if (std::ranges::find(reading, request.method) == reading.end()) {
        ++*changes_;
        emit = [changes = changes_, emit = std::move(emit)](std::string line, bool last) {
            emit(std::move(line), last);
            if (last) ++*changes;
        };
    }
    Call call{node_, std::move(request), Params(params), std::move(emit), copies_, left_};
    for (const Route& route : routes) {
        if (route.method != call.request.method) continue;
        if (call.request.is_member && !is_open_to_members(route, params))
            return call.fail_with({Errc::refused,
                                   "that is for the user whose node it is, and for root (as with "
                                   "`sudo flow29 --data DIRECTORY`); others of its group use it"});
        return route.start(call);
    }
    call.fail_with({Errc::usage, fmt::format("unknown method \"{}\"", call.request.method)});
}

}  // namespace flow29::api
