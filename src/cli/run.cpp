// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/run.hpp"

#include <type_traits>

#include <nlohmann/json.hpp>

#include "api/json_results.hpp"
#include "cli/command_line.hpp"
#include "cli/commands.hpp"
#include "cli/settings.hpp"
#include "core/log.hpp"

namespace flow29::cli {
namespace {

using core::log::Level;

/// A node's log is its output; a command's log would only be in the way of it.
Level log_level(const Invocation& invocation) {
    const GlobalOptions& global = invocation.global;
    const bool is_node = std::holds_alternative<NodeOptions>(invocation.command);
    if (global.quiet) return is_node ? Level::warn : Level::error;
    if (global.verbose > 1) return Level::debug;
    if (global.verbose == 1) return is_node ? Level::debug : Level::info;
    return is_node ? Level::info : Level::error;
}

int dispatch(const NodeOptions& options, Context& context) {
    return run_node(options, context);
}
int dispatch(const PublishOptions& options, Context& context) {
    return run_publish(options, context);
}
int dispatch(const FetchOptions& options, Context& context) {
    return run_fetch(options, context);
}
int dispatch(const CatOptions& options, Context& context) {
    return run_cat(options, context);
}
int dispatch(const LocateOptions& options, Context& context) {
    return run_locate(options, context);
}
int dispatch(const HealthOptions& options, Context& context) {
    return run_health(options, context);
}
int dispatch(const ListOptions& options, Context& context) {
    return run_list(options, context);
}
int dispatch(const VerifyOptions& options, Context& context) {
    return run_verify(options, context);
}
int dispatch(const LogOptions& options, Context& context) {
    return run_log(options, context);
}
int dispatch(const WebOptions& options, Context& context) {
    return run_web(options, context);
}
int dispatch(const LeaveOptions& options, Context& context) {
    return run_leave(options, context);
}
int dispatch(const BlockOptions& options, Context& context) {
    return run_block(options, context);
}
int dispatch(const LimitOptions& options, Context& context) {
    return run_limit(options, context);
}
int dispatch(const TransferOptions& options, Context& context) {
    return run_transfer(options, context);
}
int dispatch(const InviteOptions&, Context& context) {
    return run_invite(context);
}
int dispatch(const JoinOptions& options, Context& context) {
    return run_join(options, context);
}
int dispatch(const ObjectOptions& options, Context& context) {
    return run_object(options, context);
}

/// Runs a command that needs to know where its node is.
template <class Options>
int run_with_config(const Options& options, const Invocation& invocation, Output& output,
                    Interrupt& interrupt) {
    NodeOptions node;
    if constexpr (std::is_same_v<Options, NodeOptions>) node = options;
    const auto config = resolve_config(invocation.global, node, process_environment);
    if (!config) return output.fail(config.error());
    auto shared = shared_control_socket(invocation.global, process_environment);
    if (!shared) return output.fail(shared.error());
    Context context{invocation.global, *config, output, interrupt, std::move(*shared)};
    return dispatch(options, context);
}

int run_command(const Invocation& invocation, Output& output) {
    core::log::set_level(log_level(invocation));
    Interrupt interrupt;
    return std::visit(
        [&](const auto& options) {
            using Options = std::decay_t<decltype(options)>;
            if constexpr (std::is_same_v<Options, VersionOptions>) {
                return run_version(output);
            } else if constexpr (std::is_same_v<Options, ManualOptions>) {
                return run_manual(output);
            } else if constexpr (std::is_same_v<Options, CompletionOptions>) {
                return run_completion(options, output);
            } else if constexpr (std::is_same_v<Options, ConfigOptions>) {
                return run_config(options, invocation.global, output);
            } else if constexpr (std::is_same_v<Options, HashOptions>) {
                return run_hash(options, output, interrupt);
            } else {
                return run_with_config(options, invocation, output, interrupt);
            }
        },
        invocation.command);
}

}  // namespace

int run(const std::vector<std::string>& arguments) {
    GlobalOptions early;
    early.json = asks_for_json(arguments);
    Output output(early);
    auto parsed = parse_command_line(arguments);
    if (!parsed) return output.fail(parsed.error());
    if (const auto* const help = std::get_if<HelpText>(&*parsed)) {
        if (output.is_json()) output.json(api::to_line(api::done_event({{"help", help->text}})));
        output.result(help->text);
        return output.ended(0);
    }
    const auto& invocation = std::get<Invocation>(*parsed);
    Output chosen(invocation.global);
    return chosen.ended(run_command(invocation, chosen));
}

}  // namespace flow29::cli
