// SPDX-License-Identifier: GPL-3.0-or-later
#include <functional>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/link_argument.hpp"
#include "cli/render.hpp"
#include "cli/requests.hpp"
#include "cli/text.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

using Render = std::function<std::string(std::string_view line)>;

/// A question that may be asked again and again.
struct Question {
    std::string method;
    std::string params;
    Render render;
    bool watch = false;
    std::chrono::milliseconds interval = 1s;
};

Result<std::string> ask_once(const Question& question, Backend& backend, Context& context) {
    return run_call(backend, {question.method, question.params, {}}, context);
}

/// From the top left over what is there, the rest of each line and all below cleared. Cleared
/// first, it would flicker, and some terminals keep what was cleared for scrolling back.
std::string redrawn(std::string_view text) {
    std::string out = "\x1b[H";
    for (const char c : text) {
        if (c == '\n') out += "\x1b[K";
        out.push_back(c);
    }
    return out + "\x1b[J";
}

void show(const Question& question, const std::string& line, Output& output) {
    if (output.is_json()) {
        output.json(question.watch ? with_event(line, "update") : line);
        return;
    }
    auto text = question.render(line);
    if (output.can_redraw() && question.watch) {
        text = redrawn(fitted(text, output.size().width, output.size().height));
    } else if (output.can_redraw()) {
        text = folded(text, output.size().width);
    }
    output.result(text);
}

/// Asks once, or until a signal comes.
int ask(const Question& question, Backend& backend, Context& context) {
    for (;;) {
        const auto line = ask_once(question, backend, context);
        if (!line && question.watch && line.error().code == Errc::interrupted)
            return context.output.end_view();
        if (!line) return context.output.fail(line.error());
        show(question, *line, context.output);
        if (!question.watch) return 0;
        // One that came during the question was taken there, and the answer came nevertheless.
        if (context.interrupt.was_taken() || context.interrupt.wait_for(question.interval))
            return context.output.end_view();
    }
}

Question question_for(const ListOptions& options) {
    switch (options.what) {
        case Listing::status:
            return {"status", {}, render_status, options.watch};
        case Listing::peers:
            return {
                "peers", peers_params(options),
                [node = options.node](std::string_view line) { return render_peers(line, node); },
                options.watch};
        case Listing::objects:
            return {"ls", {}, render_objects, options.watch};
        case Listing::transfers:
            return {"transfers", {}, render_transfers, options.watch};
    }
    return {};
}

const char* method_for(ObjectAction action) {
    switch (action) {
        case ObjectAction::pin:
            return "pin";
        case ObjectAction::unpin:
            return "unpin";
        case ObjectAction::withdraw:
            return "rm";
    }
    return "";
}

const char* method_for(TransferAction action) {
    switch (action) {
        case TransferAction::pause:
            return "transfers/pause";
        case TransferAction::resume:
            return "transfers/resume";
        case TransferAction::cancel:
            return "transfers/cancel";
    }
    return "";
}

std::string render_object(ObjectAction action, const Link& link, std::string_view line) {
    if (action == ObjectAction::withdraw) return render_withdrawal(line);
    const bool pinned = action == ObjectAction::pin;
    return fmt::format("{} {}\n", pinned ? "keeping" : "no longer keeping", to_base32(link.root));
}

int run_list_directory(const ListOptions& options, Context& context) {
    const auto link = read_link(*options.link, process_environment);
    if (!link) return context.output.fail(link.error());
    auto backend = Backend::any(context, link->at);
    if (!backend) return context.output.fail(backend.error());
    return ask({"list", list_params(options, link->to_string()), render_listing}, **backend,
               context);
}

}  // namespace

int run_locate(const LocateOptions& options, Context& context) {
    // A hash has the form of a root, whatever it names.
    const auto hash = read_link(options.hash, process_environment);
    if (!hash) return context.output.fail(hash.error());
    std::vector<std::string> addresses = hash->at;
    if (options.in) {
        const auto in = Link::parse(*options.in);
        if (!in) return context.output.fail(in.error());
        addresses.insert(addresses.end(), in->at.begin(), in->at.end());
    }
    auto backend = Backend::any(context, addresses);
    if (!backend) return context.output.fail(backend.error());
    return ask({"locate", locate_params(options, to_hex(hash->root)), render_located}, **backend,
               context);
}

int run_health(const HealthOptions& options, Context& context) {
    const auto link = read_link(options.link, process_environment);
    if (!link) return context.output.fail(link.error());
    auto backend = Backend::any(context, link->at);
    if (!backend) return context.output.fail(backend.error());
    return ask(
        {"health", health_params(options, link->to_string()), render_health, options.watch, 3s},
        **backend, context);
}

int run_list(const ListOptions& options, Context& context) {
    if (options.link) return run_list_directory(options, context);
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    return ask(question_for(options), **backend, context);
}

int run_verify(const VerifyOptions& options, Context& context) {
    std::string params;
    if (options.link) {
        const auto link = read_link(*options.link, process_environment);
        if (!link) return context.output.fail(link.error());
        params = link_params(link->to_string());
    }
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    const auto line = run_call(**backend, {"verify", std::move(params), {}}, context);
    if (!line) return context.output.fail(line.error());
    if (context.output.is_json()) context.output.json(*line);
    const VerificationText verification = render_verification(*line);
    if (!context.output.is_quiet() || !verification.sound) context.output.result(verification.text);
    return exit_code(verification.sound ? Errc::ok : Errc::corrupt_store);
}

int run_leave(const LeaveOptions& options, Context& context) {
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    const auto line = run_call(**backend, {"leave", leave_params(options), {}}, context);
    if (!line) return context.output.fail(line.error());
    if (context.output.is_json()) context.output.json(*line);
    const DepartureText departure = render_departure(*line);
    if (!context.output.is_quiet()) context.output.result(departure.text);
    return exit_code(departure.left ? Errc::ok : Errc::partly_done);
}

int run_block(const BlockOptions& options, Context& context) {
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    return ask({options.blocked ? "block" : "unblock", block_params(options), render_blocklist},
               **backend, context);
}

int run_transfer(const TransferOptions& options, Context& context) {
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    return ask({method_for(options.action), transfer_params(options), render_transfers}, **backend,
               context);
}

int run_limit(const LimitOptions& options, Context& context) {
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    return ask({"limit", limit_params(options), render_limits}, **backend, context);
}

int run_object(const ObjectOptions& options, Context& context) {
    const auto link = read_link(options.link, process_environment);
    if (!link) return context.output.fail(link.error());
    auto backend = Backend::running(context);
    if (!backend) return context.output.fail(backend.error());
    const auto line = run_call(
        **backend, {method_for(options.action), link_params(link->to_string()), {}}, context);
    if (!line) return context.output.fail(line.error());
    if (context.output.is_json()) context.output.json(*line);
    if (!context.output.is_quiet())
        context.output.result(render_object(options.action, *link, *line));
    return 0;
}

}  // namespace flow29::cli
