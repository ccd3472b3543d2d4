// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <flow29/node.hpp>

#include "api/caller.hpp"
#include "api/control_server.hpp"
#include "api/gateway.hpp"
#include "api/http_server.hpp"
#include "api/json_results.hpp"
#include "api/router.hpp"
#include "api/web_address.hpp"
#include "cli/commands.hpp"
#include "cli/quantity.hpp"
#include "cli/settings.hpp"
#include "core/log.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t node_prefix_chars = 12;

/// The addresses under which the node may be reached, as far as it knows them yet.
std::vector<std::string> addresses_of(Node& node) {
    auto promise = std::make_shared<std::promise<Result<Status>>>();
    auto answer = promise->get_future();
    node.status([promise](Result<Status> status) { promise->set_value(std::move(status)); });
    if (answer.wait_for(5s) != std::future_status::ready) return {};
    auto status = answer.get();
    return status ? std::move(status->addresses) : std::vector<std::string>();
}

std::string listening_on(const Node& node) {
    std::string out;
    for (const std::string& endpoint : node.listening()) {
        if (!out.empty()) out += ", ";
        out += endpoint;
    }
    return out;
}

/// What the node serves over HTTP. Members go in reverse: the page first.
struct Web {
    std::unique_ptr<api::Gateway> gateway;
    std::unique_ptr<api::HttpServer> page;
    std::string gateway_url;  ///< empty: off
    std::string page_url;     ///< likewise
};

struct WebFace {
    std::string_view option;
    core::Endpoint at;
    bool is_given = false;
};

/// Begins to serve. A default port that is taken is no failure: several nodes on one machine need
/// no flags. Returns where it is, or nothing then.
template <class Server>
Result<std::optional<core::Endpoint>> serve(std::unique_ptr<Server>& server, const WebFace& face) {
    const auto listening = server->listen(face.at);
    if (listening && !listening->is_loopback())
        core::log::warn("node",
                        "{} is at {}, where others may reach it; it is meant for this machine",
                        face.option, listening->to_string());
    if (listening) return *listening;
    if (face.is_given)
        return fail(listening.error().code, fmt::format("{}: {}; give it another address, or off",
                                                        face.option, listening.error().message()));
    core::log::warn("node", "{}, so there is nothing at it; {} names another address, or off",
                    listening.error().message(), face.option);
    server.reset();
    return std::nullopt;
}

Result<Web> start_web(Node& node, api::Router& router, const WebSettings& settings,
                      const Config& config) {
    Web web;
    if (settings.gateway) {
        web.gateway = std::make_unique<api::Gateway>(node);
        auto at = serve(web.gateway, {"--gateway", *settings.gateway, settings.gateway_is_given});
        if (!at) return fail(at.error());
        if (*at) web.gateway_url = api::url_of(**at);
    }
    if (settings.page) {
        web.page = std::make_unique<api::HttpServer>(
            node, router,
            api::HttpServerOptions{.token_file = page_token_file(config),
                                   .gateway_url = web.gateway_url});
        auto at = serve(web.page, {"--web", *settings.page, settings.page_is_given});
        if (!at) return fail(at.error());
        if (*at) {
            web.page_url = api::url_of(**at);
            if (web.gateway) web.gateway->let_in_page((*at)->port);
        }
    }
    return web;
}

/// Lets the users of a group in as well.
Result<void> share(api::ControlServer& server, const Sharing& sharing) {
    const auto group = api::find_group(sharing.group);
    if (!group) return fail(group.error().code, "--control-group: " + group.error().message());
    return server.listen(sharing.socket, *group);
}

/// For `flow29 web`. One that was killed may have left its own behind.
void say_page(const Web& web, const Config& config) {
    const auto path = page_url_file(config);
    ::unlink(path.c_str());
    if (web.page_url.empty()) return;
    std::ofstream file(path);
    file << web.page_url << '\n';
    if (!file.flush()) core::log::warn("node", "{} cannot be written", path.string());
}

/// With less, a node is of little use to others.
constexpr ByteCount extent_room{8 * 1024 * 1024};

/// A disk may have less than what was promised to others, and says so only when it is full.
void warn_of_capacity(const Config& config) {
    if (!config.store) return;
    if (config.capacity < extent_room)
        core::log::warn(
            "node",
            "a capacity of {} is hardly enough for one part of a file; --capacity 100GiB "
            "would be more, with its unit",
            format_size(config.capacity));
    std::error_code error;
    const auto disk = std::filesystem::space(config.data, error);
    if (error || config.capacity.value <= disk.capacity) return;
    core::log::warn("node",
                    "the capacity of {} is more than the whole disk has, {}; --capacity says less",
                    format_size(config.capacity), format_size(ByteCount(disk.capacity)));
}

void say_ready(Node& node, const Web& web, Context& context) {
    Output& output = context.output;
    if (output.is_json()) {
        api::Json json = {{"event", "ready"},
                          {"node", to_hex(node.id())},
                          {"port", node.port()},
                          {"listening", node.listening()},
                          {"addresses", addresses_of(node)},
                          {"data", context.config.data.string()}};
        if (!web.page_url.empty()) json["web"] = web.page_url;
        if (!web.gateway_url.empty()) json["gateway"] = web.gateway_url;
        output.json(api::to_line(json));
        return;
    }
    if (output.is_quiet()) return;
    output.result(fmt::format("listening on {} (node {}), data in {}\n", listening_on(node),
                              to_hex(node.id()).substr(0, node_prefix_chars),
                              context.config.data.string()));
    if (!web.page_url.empty()) output.result(fmt::format("page at {}\n", web.page_url));
    if (!web.gateway_url.empty())
        output.result(fmt::format("gateway at {}/f/HASH\n", web.gateway_url));
}

}  // namespace

int run_node(const NodeOptions& options, Context& context) {
    const auto settings = resolve_web(context.global, options, process_environment);
    if (!settings) return context.output.fail(settings.error());
    const auto sharing = resolve_sharing(context.global, options, process_environment);
    if (!sharing) return context.output.fail(sharing.error());
    auto node = Node::start(context.config);
    if (!node) return context.output.fail(node.error());
    warn_of_capacity(context.config);
    api::Router router(**node, context.config.copies, [&context] { context.interrupt.request(); });
    std::optional<api::ControlServer> server;
    server.emplace(router);
    if (const auto listening = server->listen(control_socket(context.config)); !listening)
        return context.output.fail(listening.error());
    if (*sharing)
        if (const auto shared = share(*server, **sharing); !shared)
            return context.output.fail(shared.error());
    auto web = start_web(**node, router, *settings, context.config);
    if (!web) return context.output.fail(web.error());
    say_page(*web, context.config);
    say_ready(**node, *web, context);

    static_cast<void>(context.interrupt.wait_for(-1ms));
    context.interrupt.restore();
    core::log::info("node", "stopping");
    ::unlink(page_url_file(context.config).c_str());
    // Clients are told before the node that serves them goes.
    web->page.reset();
    web->gateway.reset();
    server.reset();
    node->reset();
    if (context.output.is_json()) {
        const api::Json json = {{"event", "done"}};
        context.output.json(api::to_line(json));
    }
    return 0;
}

}  // namespace flow29::cli
