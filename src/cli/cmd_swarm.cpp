// SPDX-License-Identifier: GPL-3.0-or-later
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "api/json_results.hpp"
#include "cli/commands.hpp"
#include "cli/render.hpp"
#include "cli/requests.hpp"
#include "core/invite.hpp"
#include "node/swarm_files.hpp"

namespace flow29::cli {
namespace {

/// The word, from standard input if it is "-": there it stays out of the list of processes.
Result<std::string> read_word(const std::string& argument) {
    if (argument != "-") return argument;
    std::string line;
    if (!std::getline(std::cin, line))
        return fail(Errc::usage, "standard input ended before an invitation came");
    return line;
}

int say(const std::string& line, Output& output) {
    if (output.is_json()) output.json(line);
    output.result(render_joined(line));
    return 0;
}

/// The node that commands here use otherwise is not the one that was meant, or it is.
void say_whose(Context& context) {
    if (!Backend::is_shared_running(context)) return;
    context.output.note(fmt::format(
        "that is a node of your own, with its data in {}; the one at {} is its owner's to join\n",
        context.config.data.string(), context.shared_socket->string()));
}

int begin_private_swarm(Context& context) {
    Output& output = context.output;
    if (Backend::daemon(context.config))
        return output.fail({Errc::refused,
                            "a node is running here; stop it first, or name another directory "
                            "with --data"});
    const auto path = node::found_private_swarm(context.config);
    if (!path) return output.fail(path.error());
    const api::Json json = {{"private", true}, {"swarm_key", path->string()}};
    if (output.is_json()) output.json(api::to_line(api::done_event(json)));
    output.result(
        fmt::format("the key of a new private swarm is {}; start its first node with "
                    "`flow29 node`, then invite others with `flow29 invite`\n",
                    path->string()));
    say_whose(context);
    return 0;
}

}  // namespace

int run_invite(Context& context) {
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    const auto line = run_call(**backend, {"invite", {}, {}}, context);
    if (!line) return context.output.fail(line.error());
    if (context.output.is_json()) context.output.json(*line);
    const InvitationText text = render_invitation(*line);
    context.output.result(text.word);
    context.output.note(text.note);
    return 0;
}

int run_join(const JoinOptions& options, Context& context) {
    if (options.is_new) return begin_private_swarm(context);
    const auto word = read_word(options.invite);
    if (!word) return context.output.fail(word.error());
    const auto invite = core::Invite::parse(*word);
    if (!invite) return context.output.fail(invite.error());
    auto backend = Backend::daemon(context.config);
    if (backend) {
        const auto line = run_call(**backend, {"join", join_params(*word), {}}, context);
        if (!line) return context.output.fail(line.error());
        return say(*line, context.output);
    }
    if (backend.error().code != Errc::no_node) return context.output.fail(backend.error());
    const auto joined = node::join_when_started(context.config, *invite);
    if (!joined) return context.output.fail(joined.error());
    const int status = say(api::to_line(api::done_event(api::to_json(*joined))), context.output);
    say_whose(context);
    return status;
}

}  // namespace flow29::cli
