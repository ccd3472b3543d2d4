// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/backend.hpp"

#include <fmt/format.h>

#include <flow29/node.hpp>

#include "api/control_server.hpp"
#include "api/fd_channel.hpp"
#include "api/router.hpp"
#include "cli/settings.hpp"

namespace flow29::cli {

/// In the order of construction: the server answers no more before the node goes.
struct Backend::Local {
    Local(std::unique_ptr<Node> started, unsigned copies)
        : node(std::move(started)), router(*node, copies), server(router) {}

    std::unique_ptr<Node> node;
    api::Router router;
    api::ControlServer server;
};

Backend::Backend(Config config) : config_(std::move(config)) {}
Backend::~Backend() = default;

Result<std::unique_ptr<Backend>> Backend::daemon(const Config& config) {
    const auto socket = control_socket(config);
    const auto answered = api::connect_to(socket);
    if (answered) return std::unique_ptr<Backend>(new Backend(config));
    if (answered.error().code != Errc::no_node) return fail(answered.error());
    return fail(Errc::no_node, fmt::format("no node is running (looked for {}); start one with "
                                           "`flow29 node`",
                                           socket.string()));
}

Result<std::unique_ptr<Backend>> Backend::any(Config config,
                                              const std::vector<std::string>& addresses) {
    auto running = daemon(config);
    if (running || running.error().code != Errc::no_node) return running;

    config.port = 0;
    config.store = false;
    config.map_port = false;  // nobody will dial it in the time that it is there
    config.discover = false;
    config.listen.clear();
    config.bootstrap.insert(config.bootstrap.end(), addresses.begin(), addresses.end());
    auto node = Node::start(config);
    if (!node) {
        if (node.error().code != Errc::locked) return fail(node.error());
        return fail(Errc::locked,
                    fmt::format("another process uses {} but does not answer on {}; wait for it to "
                                "end, or name another directory with --data",
                                config.data.string(), control_socket(config).string()));
    }
    const unsigned copies = config.copies;
    std::unique_ptr<Backend> backend(new Backend(std::move(config)));
    backend->local_ = std::make_unique<Local>(std::move(*node), copies);
    return backend;
}

Result<api::UniqueFd> Backend::connect() {
    if (local_) return local_->server.connect();
    return api::connect_to(control_socket(config_));
}

bool Backend::is_in_process() const {
    return local_ != nullptr;
}

const std::filesystem::path& Backend::data() const {
    return config_.data;
}

}  // namespace flow29::cli
