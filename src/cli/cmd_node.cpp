// SPDX-License-Identifier: GPL-3.0-or-later
#include <future>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <flow29/node.hpp>

#include "api/control_server.hpp"
#include "api/json_results.hpp"
#include "api/router.hpp"
#include "cli/commands.hpp"
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

/// What it was told to listen on, with the port that it got.
std::string listening_on(const Config& config, std::uint16_t port) {
    if (config.listen.empty()) return fmt::format("0.0.0.0:{}", port);
    std::string out;
    for (const std::string& address : config.listen) {
        const bool is_v6 = address.find(':') != std::string::npos && address.front() != '[';
        out += fmt::format("{}{}:{}", out.empty() ? "" : ", ",
                           is_v6 ? "[" + address + "]" : address, port);
    }
    return out;
}

void say_ready(Node& node, Context& context) {
    Output& output = context.output;
    if (output.is_json()) {
        const api::Json json = {{"event", "ready"},
                                {"node", to_hex(node.id())},
                                {"port", node.port()},
                                {"addresses", addresses_of(node)},
                                {"data", context.config.data.string()}};
        output.json(api::to_line(json));
        return;
    }
    if (output.is_quiet()) return;
    output.result(fmt::format(
        "listening on {} (node {}), data in {}\n", listening_on(context.config, node.port()),
        to_hex(node.id()).substr(0, node_prefix_chars), context.config.data.string()));
}

}  // namespace

int run_node(const NodeOptions&, Context& context) {
    auto node = Node::start(context.config);
    if (!node) return context.output.fail(node.error());
    api::Router router(**node, context.config.copies);
    std::optional<api::ControlServer> server;
    server.emplace(router);
    if (const auto listening = server->listen(control_socket(context.config)); !listening)
        return context.output.fail(listening.error());
    say_ready(**node, context);

    static_cast<void>(context.interrupt.wait_for(-1ms));
    context.interrupt.restore();
    core::log::info("node", "stopping");
    // Clients are told before the node that serves them goes.
    server.reset();
    node->reset();
    if (context.output.is_json()) {
        const api::Json json = {{"event", "done"}};
        context.output.json(api::to_line(json));
    }
    return 0;
}

}  // namespace flow29::cli
