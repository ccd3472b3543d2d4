// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/backend.hpp"

#include <grp.h>
#include <sys/stat.h>

#include <system_error>

#include <fmt/format.h>

#include <flow29/node.hpp>

#include "api/control_server.hpp"
#include "api/fd_channel.hpp"
#include "api/router.hpp"
#include "cli/call.hpp"
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

namespace {
/// Whose group a socket is, with the way into it. The directory is its group's as well, and can be
/// looked at by those who cannot look into it.
std::string group_of(const std::filesystem::path& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0 && ::stat(path.parent_path().c_str(), &facts) != 0)
        return "whatever its name";
    const struct group* const group = ::getgrgid(facts.st_gid);
    if (group == nullptr) return fmt::format("number {}", facts.st_gid);
    return fmt::format("`{0}`: `sudo adduser $USER {0}` lets it in after the next login",
                       group->gr_name);
}
}  // namespace

Backend::Backend(std::filesystem::path socket, std::filesystem::path spool)
    : socket_(std::move(socket)), spool_(std::move(spool)) {}
Backend::~Backend() = default;

Result<std::unique_ptr<Backend>> Backend::daemon(const Config& config) {
    const auto socket = control_socket(config);
    const auto answered = api::connect_to(socket);
    if (answered) return std::unique_ptr<Backend>(new Backend(socket, config.data));
    if (answered.error().code != Errc::no_node) return fail(answered.error());
    return fail(Errc::no_node, fmt::format("no node is running (looked for {}); start one with "
                                           "`flow29 node`",
                                           socket.string()));
}

Result<std::unique_ptr<Backend>> Backend::running(const Context& context) {
    auto own = daemon(context.config);
    if (own || own.error().code != Errc::no_node || !context.shared_socket) return own;
    const auto answered = api::connect_to(*context.shared_socket);
    std::error_code error;
    const auto spool = std::filesystem::temp_directory_path(error);
    if (answered && !error)
        return std::unique_ptr<Backend>(new Backend(*context.shared_socket, spool));
    // It runs, and is shared with others.
    if (!answered && answered.error().code != Errc::no_node)
        own.error().context += fmt::format(
            "; one that others use is at {}, and this user is not in the group that may, {}",
            context.shared_socket->string(), group_of(*context.shared_socket));
    return own;
}

bool Backend::is_shared_running(const Context& context) {
    return context.shared_socket && api::connect_to(*context.shared_socket).has_value();
}

Result<std::unique_ptr<Backend>> Backend::any(const Context& context,
                                              const std::vector<std::string>& addresses) {
    auto found = running(context);
    if (found || found.error().code != Errc::no_node) return found;

    auto config = context.config;
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
    std::unique_ptr<Backend> backend(new Backend({}, config.data));
    backend->local_ = std::make_unique<Local>(std::move(*node), config.copies);
    return backend;
}

Result<api::UniqueFd> Backend::connect() {
    if (local_) return local_->server.connect();
    return api::connect_to(socket_);
}

bool Backend::is_in_process() const {
    return local_ != nullptr;
}

const std::filesystem::path& Backend::data() const {
    return spool_;
}

}  // namespace flow29::cli
