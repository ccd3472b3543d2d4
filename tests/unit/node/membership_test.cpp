// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/membership.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/invite.hpp"
#include "node/swarm_files.hpp"

namespace flow29::node {
namespace {

using Addresses = std::vector<std::string>;

/// The configuration of a node in a directory that goes with the test.
struct Scratch {
    Config config;

    Scratch() {
        std::string name = (std::filesystem::temp_directory_path() / "flow29-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        config.data = std::filesystem::path(name) / "data";
    }
    Scratch(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(config.data.parent_path(), ignored);
    }
};

core::Invite invite_of(Addresses addresses, std::optional<core::SwarmKey> key = std::nullopt) {
    core::Invite invite;
    invite.addresses = std::move(addresses);
    invite.key = key;
    return invite;
}

TEST_CASE("an invitation names this node first, then others, none twice and none that is no use") {
    CHECK(addresses_to_invite({}).empty());
    CHECK(addresses_to_invite({.own = {"0.0.0.0:1", "a:1", "a:1"},
                               .configured = {"b:1", "a:1", "no port"},
                               .peers = {"c:1", "b:1"}}) == Addresses{"a:1", "b:1", "c:1"});
    const Addresses many{"a:1", "a:2", "a:3", "a:4", "a:5", "a:6"};
    const auto chosen = addresses_to_invite({many, {"b:1", "b:2", "b:3"}, {"c:1", "c:2", "c:3"}});
    CHECK(chosen == Addresses{"a:1", "a:2", "a:3", "a:4", "b:1", "b:2", "c:1", "c:2"});
    CHECK(chosen.size() <= core::Invite::addresses_max);
}

TEST_CASE("the addresses joined last come first, and the oldest are forgotten") {
    const Scratch node;
    REQUIRE(join_when_started(node.config, invite_of({"a:1", "b:1"})));
    REQUIRE(join_when_started(node.config, invite_of({"c:1", "a:1"})));
    CHECK(remembered_addresses(node.config.data, {}).value() == Addresses{"c:1", "a:1", "b:1"});
    for (std::size_t i = 0; i < remembered_addresses_max; ++i)
        REQUIRE(remember_addresses(node.config.data, {}, {"x:" + std::to_string(i + 1)}));
    const auto kept = remembered_addresses(node.config.data, {}).value();
    CHECK(kept.size() == remembered_addresses_max);
    CHECK(kept.front() == "x:" + std::to_string(remembered_addresses_max));
    CHECK(kept.back() == "x:1");
}

TEST_CASE("a directory takes one private swarm's key, and no other's") {
    const Scratch node;
    const auto key = core::new_swarm_key();
    CHECK_FALSE(find_swarm_key(node.config).value().has_value());
    CHECK(join_when_started(node.config, invite_of({"a:1"}, key))->is_private);
    CHECK(find_swarm_key(node.config).value() == key);
    CHECK(join_when_started(node.config, invite_of({"b:1"}, key)));
    for (const auto& other : {invite_of({"c:1"}), invite_of({"c:1"}, core::new_swarm_key())}) {
        const auto joined = join_when_started(node.config, other);
        REQUIRE_FALSE(joined);
        CHECK(joined.error().code == Errc::exists_already);
    }
    CHECK(found_private_swarm(node.config).error().code == Errc::exists_already);
    CHECK(remembered_addresses(node.config.data, core::name_of_swarm(key)).value() ==
          Addresses{"b:1", "a:1"});
}

TEST_CASE("addresses are those of one swarm, and of a time before they said of which of any") {
    const Scratch node;
    const auto key = core::new_swarm_key();
    const auto name = core::name_of_swarm(key);
    REQUIRE(join_when_started(node.config, invite_of({"public:1"})));
    REQUIRE(join_when_started(node.config, invite_of({"private:1"}, key)));
    CHECK(remembered_addresses(node.config.data, {}).value() == Addresses{"public:1"});
    CHECK(remembered_addresses(node.config.data, name).value() == Addresses{"private:1"});
    CHECK(remembered_addresses(node.config.data, core::name_of_swarm(core::new_swarm_key()))
              .value()
              .empty());
    // Whoever is invited to an address again is told of which swarm it is now.
    REQUIRE(remember_addresses(node.config.data, name, {"public:1"}));
    CHECK(remembered_addresses(node.config.data, {}).value().empty());

    std::ofstream(node.config.data / "bootstrap") << "old:1\nno port\nother:1 00ff\n";
    CHECK(remembered_addresses(node.config.data, {}).value() == Addresses{"old:1"});
    CHECK(remembered_addresses(node.config.data, name).value() == Addresses{"old:1"});
}

TEST_CASE("a key that is named must be there, and is where a new one goes") {
    Scratch node;
    node.config.swarm_key = node.config.data / "elsewhere";
    CHECK(find_swarm_key(node.config).error().code == Errc::file_error);
    CHECK(found_private_swarm(node.config).value() == node.config.swarm_key);
    CHECK(find_swarm_key(node.config).value().has_value());
    CHECK_FALSE(std::filesystem::exists(node.config.data / "swarm.key"));
}

TEST_CASE("a running node joins its own swarm only") {
    const auto key = core::new_swarm_key();
    CHECK(check_same_swarm(std::nullopt, invite_of({"a:1"})));
    CHECK(check_same_swarm(key, invite_of({"a:1"}, key)));
    CHECK(check_same_swarm(std::nullopt, invite_of({"a:1"}, key)).error().code == Errc::refused);
    CHECK(check_same_swarm(key, invite_of({"a:1"})).error().code == Errc::refused);
    CHECK(check_same_swarm(key, invite_of({"a:1"}, core::new_swarm_key())).error().code ==
          Errc::refused);
}

}  // namespace
}  // namespace flow29::node
