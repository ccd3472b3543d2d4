// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/content_calls.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/folder_channel.hpp"
#include "api/json_results.hpp"
#include "api/uploads.hpp"

namespace flow29::api {
namespace {

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
    publish.times = params.flag_or("times", false);
    publish.withdraw_on_stop = params.flag_or("withdraw_on_stop", false);
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
    return remote_folders(std::move(request.input), count, request.is_member ? nobody : ::geteuid(),
                          request.gone);
}

}  // namespace

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

}  // namespace flow29::api
