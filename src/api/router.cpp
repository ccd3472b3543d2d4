// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/router.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/folder_channel.hpp"
#include "api/json_results.hpp"
#include "api/params.hpp"
#include "api/uploads.hpp"
#include "core/log_ring.hpp"

namespace flow29::api {
namespace {

constexpr auto idle_timeout_default = std::chrono::seconds(60);

/// One operation on its way into the node.
struct Call {
    Node& node;
    Request request;
    Params params;
    EmitFn emit;
    unsigned copies_default;
    std::function<void()> left;

    void fail_with(const Error& error) const { emit(error_line(error), true); }
    /// False, and the error is sent, when the params are not in order.
    [[nodiscard]] bool params_are_good() const {
        const auto checked = params.check();
        if (!checked) fail_with(checked.error());
        return checked.has_value();
    }
};

ProgressFn progress_to(const EmitFn& emit) {
    return [emit](const Progress& progress) { emit(to_line(progress_event(progress)), false); };
}

/// Ends the operation with the result's JSON or with its error.
template <class T>
DoneFn<T> done_to(const EmitFn& emit) {
    return [emit](Result<T> result) {
        const Json line = result ? done_event(to_json(*result)) : error_event(result.error());
        emit(to_line(line), true);
    };
}

Result<PublishWait> parse_wait(std::string_view text) {
    if (text == "copies") return PublishWait::copies;
    if (text == "announced") return PublishWait::announced;
    if (text == "none") return PublishWait::none;
    return fail(Errc::usage, "\"wait\" must be copies, announced or none");
}

Result<std::optional<unsigned>> parse_extent_level(std::uint64_t chunks) {
    if (chunks == 0) return std::optional<unsigned>{};
    const auto level = static_cast<unsigned>(std::countr_zero(chunks));
    if (!std::has_single_bit(chunks) || level > limits::extent_level_max)
        return fail(Errc::usage, fmt::format("\"extent_chunks\" must be a power of two up to {}",
                                             1U << limits::extent_level_max));
    return std::optional<unsigned>{level};
}

/// Errc::usage unless `path` may be used: it comes from a process whose working directory is
/// another one, so it must not depend on it.
Result<void> check_path(const Request& request, const std::filesystem::path& path) {
    if (!request.may_name_paths) return fail(Errc::refused, "files cannot be named from here");
    if (!path.is_absolute()) return fail(Errc::usage, "\"path\" must be absolute");
    return {};
}

/// Errc::usage for a name under which nobody could save what has it.
Result<void> check_name(const std::string& name) {
    if (name.size() > limits::path_component_bytes_max)
        return fail(Errc::usage,
                    fmt::format("the name has {} bytes, and file systems take {}; --name gives "
                                "another one",
                                name.size(), limits::path_component_bytes_max));
    if (!name.empty() && !is_file_name(name))
        return fail(Errc::usage, "the name is one of a file: without \"/\", and neither . nor ..");
    return {};
}

Result<PublishRequest> publish_request(Call& call) {
    Params& params = call.params;
    PublishRequest publish;
    publish.fd = call.request.input.get();
    publish.path = params.string_or("path", {});
    publish.name = params.string_or("name", {});
    const auto copies = params.number_or("copies", call.copies_default);
    const auto level = parse_extent_level(params.number_or("extent_chunks", 0));
    publish.by_reference = params.flag_or("by_reference", false);
    publish.encrypt = params.flag_or("private", false);
    // Who says how long it lasts wants it to end then.
    publish.renew = !params.has("lease_ms");
    publish.lease = params.duration_or("lease_ms", limits::lease_default);
    const auto wait = parse_wait(params.string_or("wait", "copies"));
    publish.idle_timeout = params.duration_or("idle_timeout_ms", idle_timeout_default);
    publish.stop = call.request.stop;
    if (const auto checked = params.check(); !checked) return fail(checked.error());

    if (!level) return fail(level.error());
    if (publish.lease < limits::lease_min || publish.lease > limits::lease_max)
        return fail(Errc::usage, "a lease lasts between a minute and ten years");
    if (!wait) return fail(wait.error());
    if (const auto named = check_name(publish.name); !named) return fail(named.error());
    if (copies < 1 || copies > limits::copies_max)
        return fail(Errc::usage, fmt::format("\"copies\" must be 1 to {}", limits::copies_max));
    publish.copies = static_cast<unsigned>(copies);
    publish.extent_level = *level;
    publish.wait = *wait;
    if (publish.fd < 0 || publish.by_reference || !publish.path.empty())
        if (const auto checked = check_path(call.request, publish.path); !checked)
            return fail(checked.error());
    return publish;
}

/// Fewer copies than asked is a result, not an error: the object is published. It is marked, so
/// that the caller need not compare.
Json published_json(const PublishResult& result, PublishWait wait) {
    Json json = done_event(to_json(result));
    if (wait == PublishWait::copies && result.copies.min < result.target) json["degraded"] = true;
    return json;
}

/// S_IFREG, S_IFSOCK and so on; 0: none was given.
mode_t type_of(const UniqueFd& fd) {
    struct stat facts {};
    return fd && ::fstat(fd.get(), &facts) == 0 ? facts.st_mode & S_IFMT : 0;
}

/// The folders of whoever asks. What a member's process claims to be of this user is not.
Result<std::vector<std::shared_ptr<node::Folder>>> folders_of(Request& request, std::size_t count) {
    constexpr auto nobody = static_cast<uid_t>(-1);
    return remote_folders(std::move(request.input), count,
                          request.is_member ? nobody : ::geteuid());
}

void publish(Call& call) {
    auto request = publish_request(call);
    if (!request) return call.fail_with(request.error());
    const auto type = type_of(call.request.input);
    if (call.request.is_member && type != S_IFREG && type != S_IFSOCK)
        return call.fail_with({Errc::refused,
                               "what comes from another user is a file that it opened, or the "
                               "socket of a directory"});
    if (type == S_IFSOCK) {
        auto folders = folders_of(call.request, 1);
        if (!folders) return call.fail_with(folders.error());
        request->fd = -1;
        request->folder = folders->front();
    }
    const PublishWait wait = request->wait;
    // The source stays open until the node is done with it.
    auto source = std::make_shared<UniqueFd>(std::move(call.request.input));
    call.node.publish(std::move(*request), progress_to(call.emit),
                      [emit = call.emit, wait, source](Result<PublishResult> result) {
                          const Json line =
                              result ? published_json(*result, wait) : error_event(result.error());
                          emit(to_line(line), true);
                      });
}

void fetch(Call& call) {
    Params& params = call.params;
    FetchRequest fetch;
    fetch.link = params.link("link");
    fetch.path = params.string("path");
    fetch.name = params.string_or("name", {});
    fetch.range = params.range("range");
    fetch.overwrite = params.flag_or("overwrite", false);
    fetch.share = params.flag_or("share", true);
    fetch.keep_copy = params.flag_or("keep_copy", false);
    const bool inside = params.flag_or("inside", false);
    fetch.idle_timeout = params.duration_or("idle_timeout_ms", idle_timeout_default);
    fetch.stop = call.request.stop;
    if (!call.params_are_good()) return;
    if (const auto checked = check_path(call.request, fetch.path); !checked)
        return call.fail_with(checked.error());
    if (fetch.name == "." || fetch.name == ".." || fetch.name.find('/') != std::string::npos)
        return call.fail_with({Errc::usage, "\"name\" must be the name of a file"});
    if (call.request.input) {
        auto folders = folders_of(call.request, inside ? 2 : 1);
        if (!folders) return call.fail_with(folders.error());
        fetch.folder = folders->front();
        if (inside) fetch.inside = folders->back();
    }
    call.node.fetch(std::move(fetch), progress_to(call.emit), done_to<FetchResult>(call.emit));
}

void cat(Call& call) {
    StreamRequest stream;
    stream.link = call.params.link("link");
    stream.range = call.params.range("range");
    stream.idle_timeout = call.params.duration_or("idle_timeout_ms", idle_timeout_default);
    stream.stop = call.request.stop;
    if (!call.params_are_good()) return;
    const auto output = call.request.output;
    if (!output) return call.fail_with({Errc::usage, "\"cat\" needs a socket to write to"});
    call.node.stream(
        std::move(stream),
        [output](ObjectKind kind, ByteCount bytes, ByteRange range) {
            output->begin(kind, bytes, range);
        },
        [output](ByteView bytes, std::function<void(bool)> next) {
            output->write(bytes, std::move(next));
        },
        progress_to(call.emit),
        [output, emit = call.emit](Result<FetchResult> result) {
            if (!result) {
                output->abort();
                return emit(error_line(result.error()), true);
            }
            Json line = done_event(to_json(*result));
            for (const char* const of_files : {"path", "kind", "files", "shared", "unshared_why"})
                line.erase(of_files);
            output->finish([emit, text = to_line(line)](bool all_written) {
                if (all_written) return emit(text, true);
                emit(error_line({Errc::interrupted, "the output was closed"}), true);
            });
        });
}

void list(Call& call) {
    ListRequest list;
    list.link = call.params.link("link");
    list.idle_timeout = call.params.duration_or("idle_timeout_ms", idle_timeout_default);
    list.stop = call.request.stop;
    if (!call.params_are_good()) return;
    call.node.list(std::move(list), progress_to(call.emit),
                   [emit = call.emit](Result<Listing> result) {
                       emit(result ? listing_line(*result) : error_line(result.error()), true);
                   });
}

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
                                   "that is for the user whose node it is, and for root; others "
                                   "of its group use it"});
        return route.start(call);
    }
    call.fail_with({Errc::usage, fmt::format("unknown method \"{}\"", call.request.method)});
}

}  // namespace flow29::api
