// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/settings.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include "api/web_address.hpp"
#include "cli/quantity.hpp"
#include "core/small_file.hpp"

namespace flow29::cli {
namespace {

namespace fs = std::filesystem;

// As the unit's RuntimeDirectory= makes it.
constexpr const char* shared_socket_default = "/run/flow29/control.sock";

/// `$<variable>/flow29`, or `~/<fallback>/flow29` (XDG base directories).
std::optional<fs::path> user_directory(const GetEnvironment& environment, const char* variable,
                                       const char* fallback) {
    // The specification has relative paths ignored.
    if (const auto base = environment(variable); base && fs::path(*base).is_absolute())
        return fs::path(*base) / "flow29";
    if (const auto home = environment("HOME")) return fs::path(*home) / fallback / "flow29";
    return std::nullopt;
}

Result<FileSettings> read_config(const fs::path& path) {
    const auto cannot = "cannot read the configuration file " + path.string() + ": ";
    const auto file = core::read_small_file(path);
    if (!file) return fail(file.error().code, cannot + file.error().message());
    if (!*file)
        return fail(Errc::file_error, cannot + "there is no such file; --config names another one");
    return parse_config((*file)->text, path.string());
}

/// A file that is named must be there; the default one need not.
Result<FileSettings> find_config(const GlobalOptions& global, const GetEnvironment& environment) {
    if (global.config) return read_config(*global.config);
    if (const auto named = environment("FLOW29_CONFIG")) return read_config(*named);
    const auto directory = user_directory(environment, "XDG_CONFIG_HOME", ".config");
    std::error_code ignored;  // a file that cannot be looked at is not used
    if (!directory || !fs::exists(*directory / "config.toml", ignored)) return FileSettings{};
    return read_config(*directory / "config.toml");
}

Result<fs::path> find_data(const GlobalOptions& global, const FileSettings& file,
                           const GetEnvironment& environment) {
    if (global.data) return *global.data;
    if (const auto named = environment("FLOW29_DATA")) return fs::path(*named);
    if (file.data) return *file.data;
    if (auto directory = user_directory(environment, "XDG_DATA_HOME", ".local/share"))
        return std::move(*directory);
    return fail(Errc::usage, "there is no home directory; name a data directory with --data");
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
}

Result<Config> resolve_config(const GlobalOptions& global, const NodeOptions& node,
                              const GetEnvironment& environment) {
    const auto file = find_config(global, environment);
    if (!file) return fail(file.error());
    const auto data = find_data(global, *file, environment);
    if (!data) return fail(data.error());

    Config config;
    std::error_code error;
    config.data = fs::absolute(*data, error);
    if (error) return fail(Errc::file_error, data->string() + ": " + error.message());
    config.port = node.port.value_or(file->node.port.value_or(config.port));
    config.listen = node.listen.empty() ? file->node.listen : node.listen;
    config.bootstrap = global.bootstrap.empty() ? file->bootstrap : global.bootstrap;
    if (const auto& key = global.swarm_key ? global.swarm_key : file->swarm_key) {
        config.swarm_key = fs::absolute(*key, error);
        if (error) return fail(Errc::file_error, key->string() + ": " + error.message());
    }
    config.capacity = node.capacity.value_or(file->node.capacity.value_or(config.capacity));
    config.copies = node.copies.value_or(file->node.copies.value_or(config.copies));
    config.grace = node.grace.value_or(file->node.grace.value_or(config.grace));
    config.audit_period = node.audit.value_or(file->node.audit.value_or(config.audit_period));
    config.quota_publisher =
        node.quota_publisher.value_or(file->node.quota_publisher.value_or(config.quota_publisher));
    config.quota_group =
        node.quota_group.value_or(file->node.quota_group.value_or(config.quota_group));
    config.repair_limit = node.repair_limit ? node.repair_limit : file->node.repair_limit;
    config.up_limit = node.up_limit ? node.up_limit : file->node.up_limit;
    config.down_limit = node.down_limit ? node.down_limit : file->node.down_limit;
    config.store = !node.no_store && !file->node.no_store;
    config.discover = !node.no_discovery && !file->node.no_discovery;
    config.map_port = !node.no_port_mapping && !file->node.no_port_mapping;
    return config;
}

Result<WebSettings> resolve_web(const GlobalOptions& global, const NodeOptions& node,
                                const GetEnvironment& environment) {
    const auto file = find_config(global, environment);
    if (!file) return fail(file.error());
    const auto page = node.web ? node.web : file->node.web;
    const auto gateway = node.gateway ? node.gateway : file->node.gateway;
    const auto page_at =
        api::parse_web_address(page.value_or(std::string(api::web_address_default)));
    if (!page_at) return fail(Errc::usage, "--web: " + page_at.error().message());
    const auto gateway_at =
        api::parse_web_address(gateway.value_or(std::string(api::gateway_address_default)));
    if (!gateway_at) return fail(Errc::usage, "--gateway: " + gateway_at.error().message());
    return WebSettings{*page_at, *gateway_at, page.has_value(), gateway.has_value()};
}

Result<std::optional<Sharing>> resolve_sharing(const GlobalOptions& global, const NodeOptions& node,
                                               const GetEnvironment& environment) {
    const auto file = find_config(global, environment);
    if (!file) return fail(file.error());
    const auto& group = node.control_group ? node.control_group : file->node.control_group;
    const auto& socket = node.control_socket ? node.control_socket : file->node.control_socket;
    if (!group && node.control_socket)
        return fail(Errc::usage, "--control-socket is for the users that --control-group names");
    if (!group) return std::nullopt;
    std::error_code error;
    const auto absolute = fs::absolute(socket.value_or(shared_socket_default), error);
    if (error) return fail(Errc::file_error, socket->string() + ": " + error.message());
    return Sharing{*group, absolute};
}

Result<std::optional<fs::path>> shared_control_socket(const GlobalOptions& global,
                                                      const GetEnvironment& environment) {
    if (global.data || environment("FLOW29_DATA")) return std::nullopt;
    const auto file = find_config(global, environment);
    if (!file) return fail(file.error());
    if (file->data) return std::nullopt;
    return fs::path(environment("FLOW29_SOCKET").value_or(shared_socket_default));
}

Result<fs::path> config_path(const GlobalOptions& global, const GetEnvironment& environment) {
    if (global.config) return *global.config;
    if (const auto named = environment("FLOW29_CONFIG")) return fs::path(*named);
    const auto directory = user_directory(environment, "XDG_CONFIG_HOME", ".config");
    if (!directory)
        return fail(Errc::usage, "there is no home directory; name a file with --config");
    return *directory / "config.toml";
}

Result<std::vector<SettingInForce>> settings_in_force(const GlobalOptions& global,
                                                      const GetEnvironment& environment) {
    const auto config = resolve_config(global, {}, environment);
    if (!config) return fail(config.error());
    const auto file = find_config(global, environment);
    if (!file) return fail(file.error());
    const auto& node = file->node;
    std::vector<SettingInForce> settings;
    const auto add = [&settings](std::string name, std::string value, bool in_file) {
        settings.push_back({std::move(name), std::move(value), in_file ? "file" : "default"});
    };
    const auto list = [](const std::vector<std::string>& words) {
        std::string text;
        for (const std::string& word : words)
            text += fmt::format("{}{}", text.empty() ? "" : ", ", word);
        return text;
    };
    const auto rate = [](const std::optional<ByteCount>& limit) {
        if (!limit) return std::string("as `flow29 limit` set it");
        return limit->value == 0 ? std::string("off")
                                 : format_rate(static_cast<double>(limit->value));
    };
    const auto percent = [](unsigned share) { return fmt::format("{}%", share); };

    add("data", config->data.string(), file->data.has_value());
    if (environment("FLOW29_DATA")) settings.back().source = "environment";
    if (global.data) settings.back().source = "flag";
    add("bootstrap", list(config->bootstrap), !file->bootstrap.empty());
    if (!global.bootstrap.empty()) settings.back().source = "flag";
    // Unless one is named, the node looks into its own directory for it.
    add("swarm-key",
        config->swarm_key.empty() ? "swarm.key in the data directory, if it is there"
                                  : config->swarm_key.string(),
        file->swarm_key.has_value());
    if (global.swarm_key) settings.back().source = "flag";
    add("port", std::to_string(config->port), node.port.has_value());
    add("listen", config->listen.empty() ? "0.0.0.0, ::" : list(config->listen),
        !node.listen.empty());
    add("capacity", format_size(config->capacity), node.capacity.has_value());
    add("no-store", config->store ? "false" : "true", node.no_store);
    add("no-port-mapping", config->map_port ? "false" : "true", node.no_port_mapping);
    add("no-discovery", config->discover ? "false" : "true", node.no_discovery);
    add("copies", std::to_string(config->copies), node.copies.has_value());
    add("grace", format_duration(config->grace), node.grace.has_value());
    add("audit", format_duration(config->audit_period), node.audit.has_value());
    add("quota-publisher", percent(config->quota_publisher), node.quota_publisher.has_value());
    add("quota-group", percent(config->quota_group), node.quota_group.has_value());
    add("repair-limit", rate(config->repair_limit), node.repair_limit.has_value());
    add("up-limit", rate(config->up_limit), node.up_limit.has_value());
    add("down-limit", rate(config->down_limit), node.down_limit.has_value());
    add("web", node.web.value_or(std::string(api::web_address_default)), node.web.has_value());
    add("gateway", node.gateway.value_or(std::string(api::gateway_address_default)),
        node.gateway.has_value());
    add("control-group", node.control_group.value_or("none"), node.control_group.has_value());
    add("control-socket", node.control_socket.value_or(shared_socket_default).string(),
        node.control_socket.has_value());
    return settings;
}

fs::path page_url_file(const Config& config) {
    return config.data / "web.url";
}

fs::path page_token_file(const Config& config) {
    return config.data / "web.token";
}

fs::path control_socket(const Config& config) {
    return config.data / "control.sock";
}

}  // namespace flow29::cli
