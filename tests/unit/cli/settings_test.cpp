// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/settings.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

GetEnvironment environment_of(std::map<std::string, std::string> variables) {
    return [variables](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    };
}

/// A home with a configuration file in it.
struct ScratchHome {
    fs::path path;

    explicit ScratchHome(const std::string& config) {
        std::string name = (fs::temp_directory_path() / "flow29-home-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
        fs::create_directories(path / ".config/flow29");
        std::ofstream(path / ".config/flow29/config.toml") << config;
    }
    ~ScratchHome() { fs::remove_all(path); }
};

std::string error_of(std::string_view text) {
    const auto file = parse_config(text, "config.toml");
    REQUIRE_FALSE(file);
    CHECK(file.error().code == Errc::usage);
    return file.error().context;
}

}  // namespace

TEST_CASE("a configuration file has the node's options as keys") {
    const auto file = parse_config(R"(
data = "/srv/flow29"
bootstrap = ["192.0.2.1:2929", "192.0.2.2:2929"]
port = 3000
listen = "127.0.0.1"
capacity = "10GiB"
no-store = true
no-port-mapping = true
no-discovery = true
copies = 6
grace = "3s"
)",
                                   "config.toml");
    REQUIRE(file);
    CHECK(file->data == "/srv/flow29");
    CHECK(file->bootstrap.size() == 2);
    CHECK(file->node.port == 3000);
    CHECK(file->node.listen == std::vector<std::string>{"127.0.0.1"});
    CHECK(file->node.capacity->value == 10ULL << 30);
    CHECK(file->node.no_store);
    CHECK(file->node.no_port_mapping);
    CHECK(file->node.no_discovery);
    CHECK(file->node.copies == 6);
    CHECK(file->node.grace == 3s);
    CHECK(parse_config("", "empty"));
}

TEST_CASE("each setting in force says where it comes from") {
    const ScratchHome home("data = \"/srv/flow29\"\ncopies = 6\nbootstrap = \"a:1\"\n");
    const auto source_of = [&](const std::string& name, const GlobalOptions& global,
                               std::map<std::string, std::string> variables) {
        variables["HOME"] = home.path.string();
        const auto settings = settings_in_force(global, environment_of(variables));
        REQUIRE(settings);
        const auto found = std::ranges::find(*settings, name, &SettingInForce::name);
        REQUIRE(found != settings->end());
        return found->value + " " + found->source;
    };
    GlobalOptions flags;
    flags.data = "/flag";
    flags.bootstrap = {"b:2"};
    CHECK(source_of("data", {}, {}) == "/srv/flow29 file");
    CHECK(source_of("data", {}, {{"FLOW29_DATA", "/env"}}) == "/env environment");
    CHECK(source_of("data", flags, {{"FLOW29_DATA", "/env"}}) == "/flag flag");
    CHECK(source_of("copies", {}, {}) == "6 file");
    CHECK(source_of("swarm-key", {}, {}) ==
          "swarm.key in the data directory, if it is there default");
    flags.swarm_key = "/keys/ours";
    CHECK(source_of("swarm-key", flags, {}) == "/keys/ours flag");
    CHECK(source_of("port", {}, {}) == "2929 default");
    CHECK(source_of("bootstrap", {}, {}) == "a:1 file");
    CHECK(source_of("bootstrap", flags, {}) == "b:2 flag");
    CHECK(source_of("up-limit", {}, {}) == "as `flow29 limit` set it default");
    CHECK(config_path({}, environment_of({{"HOME", "/home/a"}})) ==
          fs::path("/home/a/.config/flow29/config.toml"));
    CHECK(config_path({}, environment_of({{"FLOW29_CONFIG", "/c"}})) == fs::path("/c"));
    CHECK_FALSE(config_path({}, environment_of({})));
}

TEST_CASE("the swarm's key comes from the option, else from the file, else from the data") {
    const ScratchHome home("swarm-key = \"/etc/flow29/swarm.key\"\n");
    const auto environment = environment_of({{"HOME", home.path}});
    CHECK(resolve_config({}, {}, environment)->swarm_key == "/etc/flow29/swarm.key");
    GlobalOptions global;
    global.swarm_key = "/other";
    CHECK(resolve_config(global, {}, environment)->swarm_key == "/other");
    CHECK(resolve_config({}, {}, environment_of({{"HOME", "/nowhere"}}))->swarm_key.empty());
    CHECK(error_of("swarm-key = 5").find("must be a string") != std::string::npos);
}

TEST_CASE("quotas and the limit of repair come from the file, in either spelling") {
    const ScratchHome home(
        "quota-publisher = \"40%\"\nquota_group = 60\nrepair-limit = \"2MiB\"\n");
    const auto environment = environment_of({{"HOME", home.path}});
    NodeOptions node;
    auto config = resolve_config({}, node, environment);
    REQUIRE(config);
    CHECK(config->quota_publisher == 40);
    CHECK(config->quota_group == 60);
    CHECK(config->repair_limit == ByteCount(2 << 20));
    node.quota_publisher = 100;
    node.repair_limit = ByteCount(0);
    config = resolve_config({}, node, environment);
    CHECK(config->quota_publisher == 100);
    CHECK(config->repair_limit == ByteCount(0));
    const auto plain = resolve_config({}, {}, environment_of({{"HOME", "/nowhere"}}));
    CHECK(plain->quota_publisher == limits::quota_publisher_default);
    CHECK(plain->quota_group == limits::quota_group_default);
    CHECK_FALSE(plain->repair_limit.has_value());
    CHECK(error_of("quota-group = \"0%\"").find("from 1% to 100%") != std::string::npos);
    CHECK(error_of("quota_publisher = 101").find("from 1 to 100") != std::string::npos);
}

TEST_CASE("limits of the line come from the file unless an option says otherwise") {
    const ScratchHome home("up-limit = \"2MiB\"\ndown-limit = \"off\"\n");
    const auto environment = environment_of({{"HOME", home.path}});
    NodeOptions node;
    auto config = resolve_config({}, node, environment);
    REQUIRE(config);
    CHECK(config->up_limit == ByteCount(2 << 20));
    CHECK(config->down_limit == ByteCount(0));
    node.up_limit = ByteCount(0);
    CHECK(resolve_config({}, node, environment)->up_limit == ByteCount(0));
    CHECK_FALSE(resolve_config({}, {}, environment_of({{"HOME", "/nowhere"}}))->up_limit);
    CHECK(error_of("up-limit = \"1KiB\"").find("keep in touch") != std::string::npos);
}

TEST_CASE("a node is shared with a group only when that is named") {
    const auto nowhere = environment_of({{"HOME", "/nowhere"}});
    CHECK_FALSE(resolve_sharing({}, {}, nowhere).value());
    NodeOptions node;
    node.control_socket = "/run/ours";
    CHECK(resolve_sharing({}, node, nowhere).error().code == Errc::usage);
    node.control_group = "staff";
    auto sharing = resolve_sharing({}, node, nowhere).value();
    REQUIRE(sharing);
    CHECK(sharing->group == "staff");
    CHECK(sharing->socket == "/run/ours");

    const ScratchHome home("control-group = \"flow29\"\n");
    const auto environment = environment_of({{"HOME", home.path}});
    sharing = resolve_sharing({}, {}, environment).value();
    REQUIRE(sharing);
    CHECK(sharing->group == "flow29");
    CHECK(sharing->socket == "/run/flow29/control.sock");
    CHECK(resolve_sharing({}, node, environment).value()->group == "staff");
    CHECK(error_of("control-group = 5").find("must be a string") != std::string::npos);
}

TEST_CASE("a shared node is looked for unless a data directory is named") {
    using Variables = std::map<std::string, std::string>;
    const ScratchHome with_data("data = \"/srv/flow29\"\n");
    const auto looked_for = [](const GlobalOptions& global, Variables variables) {
        variables.emplace("HOME", "/nowhere");
        return shared_control_socket(global, environment_of(std::move(variables))).value();
    };
    CHECK(looked_for({}, {}) == "/run/flow29/control.sock");
    CHECK(looked_for({}, {{"FLOW29_SOCKET", "/run/ours"}}) == "/run/ours");
    GlobalOptions named;
    named.data = "/d";
    CHECK_FALSE(looked_for(named, {{"FLOW29_SOCKET", "/run/ours"}}));
    CHECK_FALSE(looked_for({}, {{"FLOW29_DATA", "/d"}}));
    CHECK_FALSE(looked_for({}, {{"HOME", with_data.path}}));
}

TEST_CASE("an unknown key names the nearest one and its line") {
    CHECK(error_of("port = 1\ncapcity = \"1GiB\"") ==
          "config.toml:2: unknown key \"capcity\"; did you mean \"capacity\"?");
    CHECK(error_of("zebra = 1") == "config.toml:1: unknown key \"zebra\"");
    CHECK(error_of("[node]\nport = 1") == "config.toml:1: unknown key \"node\"");
}

TEST_CASE("values of the wrong kind are refused with their line") {
    CHECK(error_of("port = 70000") == "config.toml:1: port must be a whole number from 0 to 65535");
    CHECK(error_of("port = \"1\"").find("port must be a whole number") != std::string::npos);
    CHECK(error_of("\ncapacity = 5").find("config.toml:2: capacity must be a string such as") == 0);
    CHECK(error_of("capacity = \"5X\"").find("capacity: \"X\" is not a unit") != std::string::npos);
    CHECK(error_of("listen = [1]").find("list of strings") != std::string::npos);
    CHECK(error_of("no-discovery = 1").find("true or false") != std::string::npos);
    CHECK(error_of("no-store = 1").find("true or false") != std::string::npos);
    CHECK(error_of("copies = 17").find("from 1 to 16") != std::string::npos);
    CHECK(error_of("port = ").find("config.toml:1:") == 0);
}

TEST_CASE("flags come before the environment, that before the file, and that before defaults") {
    const ScratchHome home("data = \"/from/file\"\nport = 1111\ncopies = 5\n");
    GlobalOptions global;
    NodeOptions node;
    auto environment = environment_of({{"HOME", home.path}});
    auto config = resolve_config(global, node, environment);
    REQUIRE(config);
    CHECK(config->data == "/from/file");
    CHECK(config->port == 1111);
    CHECK(config->copies == 5);
    CHECK(config->grace == 5min);

    environment = environment_of({{"HOME", home.path}, {"FLOW29_DATA", "/from/environment"}});
    CHECK(resolve_config(global, node, environment)->data == "/from/environment");

    global.data = "/from/flag";
    node.port = 2222;
    config = resolve_config(global, node, environment);
    CHECK(config->data == "/from/flag");
    CHECK(config->port == 2222);
    CHECK(control_socket(*config) == "/from/flag/control.sock");
}

TEST_CASE("directories follow the XDG variables, when those are absolute") {
    GlobalOptions global;
    CHECK(resolve_config(global, {}, environment_of({{"HOME", "/nowhere"}}))->data ==
          "/nowhere/.local/share/flow29");
    CHECK(resolve_config(global, {},
                         environment_of({{"HOME", "/nowhere"}, {"XDG_DATA_HOME", "/xdg"}}))
              ->data == "/xdg/flow29");
    CHECK(resolve_config(global, {},
                         environment_of({{"HOME", "/nowhere"}, {"XDG_DATA_HOME", "relative"}}))
              ->data == "/nowhere/.local/share/flow29");
    CHECK(resolve_config(global, {}, environment_of({})).error().code == Errc::usage);
}

TEST_CASE("a configuration file that is named must be there") {
    GlobalOptions global;
    global.config = "/nowhere/config.toml";
    CHECK(resolve_config(global, {}, environment_of({{"HOME", "/nowhere"}})).error().code ==
          Errc::file_error);
    global.config.reset();
    CHECK_FALSE(resolve_config(
        global, {}, environment_of({{"HOME", "/nowhere"}, {"FLOW29_CONFIG", "/nowhere/c"}})));
}

TEST_CASE("a configuration file that is none is refused, whatever it is") {
    const ScratchHome home("");
    const auto error = [](const fs::path& path) {
        GlobalOptions global;
        global.config = path;
        const auto resolved = resolve_config(global, {}, environment_of({{"HOME", "/nowhere"}}));
        REQUIRE_FALSE(resolved);
        CHECK(resolved.error().message().find(path.string()) != std::string::npos);
        return resolved.error().code;
    };
    CHECK(error(home.path) == Errc::file_error);
    CHECK(error("/dev/zero") == Errc::file_error);
    const auto deep = home.path / "deep.toml";
    std::string key = "a";
    while (key.size() < 200'000)
        key += ".a";
    std::ofstream(deep) << key << " = 1\n";
    CHECK(error(deep) == Errc::file_error);
    std::ofstream(deep) << key.substr(0, 15'001) << " = 1\n";
    CHECK(error(deep) == Errc::usage);
}

TEST_CASE("a relative data directory is made absolute") {
    GlobalOptions global;
    global.data = "here";
    CHECK(resolve_config(global, {}, environment_of({}))->data == fs::current_path() / "here");
}

}  // namespace flow29::cli
