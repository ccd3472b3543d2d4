// SPDX-License-Identifier: GPL-3.0-or-later
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>

#include <nlohmann/json.hpp>

#include "api/json_results.hpp"
#include "cli/command_line.hpp"
#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/manual.hpp"
#include "cli/settings.hpp"
#include "cli/source_file.hpp"
#include "cli/text.hpp"
#include "core/printable.hpp"
#include "node/source.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

/// Hashes on another thread, so that this one can show progress and notice signals.
Result<HashResult> hash_with_progress(const OpenSource& source, bool times, Output& output,
                                      Interrupt& interrupt) {
    std::atomic<std::uint64_t> hashed = 0;
    auto result = std::async(std::launch::async, [&] {
        const auto tell = [&](ByteCount done) { hashed.store(done.value); };
        return hash_file(source.fd.get(), tell, times);
    });
    ProgressEvent progress;
    progress.stage = "hashing";
    progress.total = source.bytes;
    while (result.wait_for(100ms) != std::future_status::ready) {
        if (interrupt.take()) {
            // Hashing changes nothing and may be stuck in a read, so it is left where it is.
            std::_Exit(output.fail({Errc::interrupted, "interrupted"}));
        }
        progress.done = ByteCount(hashed.load());
        output.progress(progress, progress_line(progress));
    }
    return result.get();
}

}  // namespace

int run_hash(const HashOptions& options, Output& output, Interrupt& interrupt) {
    auto source = open_source(options.path);
    if (!source) return output.fail(source.error());
    if (options.times && !source->is_directory)
        return output.fail({Errc::usage, options.path + ": " + node::no_time_text});
    if (!source->is_regular && !source->is_directory) {
        std::error_code error;
        const auto directory = std::filesystem::temp_directory_path(error);
        if (error)
            return output.fail({Errc::file_error, "no temporary directory: " + error.message()});
        const auto spooled = spool(*source, directory, output, interrupt);
        if (!spooled) return output.fail(spooled.error());
    }
    const auto hash = hash_with_progress(*source, options.times, output, interrupt);
    if (!hash) return output.fail(hash.error());
    if (output.is_json()) output.json(api::to_line(api::done_event(api::to_json(*hash))));
    output.result(to_hex(hash->root) + "\n");
    return 0;
}

int run_config(const ConfigOptions& options, const GlobalOptions& global, Output& output) {
    const auto path = config_path(global, process_environment);
    if (!path) return output.fail(path.error());
    if (options.path) {
        const api::Json json = {{"path", path->string()}};
        if (output.is_json()) output.json(api::to_line(api::done_event(json)));
        output.result(path->string() + "\n");
        return 0;
    }
    const auto settings = settings_in_force(global, process_environment);
    if (!settings) return output.fail(settings.error());
    api::Json list = api::Json::array();
    std::vector<std::vector<std::string>> rows{{"SETTING", "VALUE", "FROM"}};
    for (const auto& [name, value, source] : *settings) {
        list.push_back({{"name", name}, {"value", value}, {"source", source}});
        rows.push_back({name, core::printable(value), source});
    }
    const api::Json json = {{"path", path->string()}, {"settings", std::move(list)}};
    if (output.is_json()) output.json(api::to_line(api::done_event(json)));
    output.result(table(rows));
    return 0;
}

int run_version(Output& output) {
    const api::Json json = {{"version", FLOW29_VERSION}};
    if (output.is_json()) output.json(api::to_line(api::done_event(json)));
    output.result("flow29 " FLOW29_VERSION "\n");
    return 0;
}

int run_completion(const CompletionOptions& options, Output& output) {
    const std::string script = completion_script(options.shell, describe_commands());
    const api::Json json = {{"script", script}};
    if (output.is_json()) output.json(api::to_line(api::done_event(json)));
    output.result(script);
    return 0;
}

int run_manual(Output& output) {
    const std::string page = manual_page(describe_commands());
    const api::Json json = {{"page", page}};
    if (output.is_json()) output.json(api::to_line(api::done_event(json)));
    output.result(page);
    return 0;
}

}  // namespace flow29::cli
