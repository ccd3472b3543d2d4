// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/swarm_files.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "core/private_directory.hpp"
#include "core/small_file.hpp"

namespace flow29::node {

namespace {
std::filesystem::path key_path(const Config& config) {
    return config.swarm_key.empty() ? config.data / "swarm.key" : config.swarm_key;
}
std::filesystem::path bootstrap_path(const std::filesystem::path& data) {
    return data / "bootstrap";
}

/// A line of DATA/bootstrap.
struct Remembered {
    std::string address;
    std::string swarm;  // in hexadecimal; empty: any

    bool operator==(const Remembered&) const = default;
};

Result<std::vector<Remembered>> read_remembered(const std::filesystem::path& data) {
    const auto file = core::read_small_file(bootstrap_path(data));
    if (!file) return fail(file.error());
    std::vector<Remembered> all;
    std::istringstream lines(*file ? (*file)->text : std::string());
    for (std::string line; std::getline(lines, line);) {
        const auto blank = std::min(line.find(' '), line.size());
        Remembered one{line.substr(0, blank), line.substr(std::min(blank + 1, line.size()))};
        if (core::check_invitable(one.address) && all.size() < remembered_addresses_max)
            all.push_back(std::move(one));
    }
    return all;
}
}  // namespace

Result<std::optional<core::SwarmKey>> find_swarm_key(const Config& config) {
    auto key = core::load_swarm_key(key_path(config));
    // One that was named must be there: a private swarm must not become a public one by a typo.
    if (key && !*key && !config.swarm_key.empty())
        return fail(Errc::file_error,
                    fmt::format("there is no swarm key {}; `flow29 join --new` makes one, and "
                                "`flow29 join` takes one from an invitation",
                                config.swarm_key.string()));
    return key;
}

Result<std::vector<std::string>> remembered_addresses(const std::filesystem::path& data,
                                                      const core::SwarmName& swarm) {
    const auto all = read_remembered(data);
    if (!all) return fail(all.error());
    std::vector<std::string> addresses;
    for (const auto& [address, of] : *all)
        if (of.empty() || of == to_hex(swarm)) addresses.push_back(address);
    return addresses;
}

Result<void> remember_addresses(const std::filesystem::path& data, const core::SwarmName& swarm,
                                const std::vector<std::string>& addresses) {
    const auto before = read_remembered(data);
    if (!before) return fail(before.error());
    std::vector<Remembered> all;
    for (const auto& address : addresses)
        all.push_back({address, to_hex(swarm)});
    for (const auto& one : *before)
        if (std::ranges::count(all, one.address, &Remembered::address) == 0) all.push_back(one);
    if (all.size() > remembered_addresses_max) all.resize(remembered_addresses_max);
    if (all == *before) return {};
    std::string text;
    for (const auto& [address, of] : all)
        text += address + (of.empty() ? "" : " ") + of + "\n";
    return core::write_small_file(bootstrap_path(data), text);
}

Result<void> check_same_swarm(const std::optional<core::SwarmKey>& own,
                              const core::Invite& invite) {
    if (own == invite.key) return {};
    if (!own)
        return fail(Errc::refused,
                    "the invitation is to a private swarm, and this node runs without its key; "
                    "stop it, run `flow29 join` again and start it");
    return fail(Errc::refused,
                fmt::format("the invitation is to {}, and this node runs in a private one; give "
                            "another node to it with --data",
                            invite.key ? "another private swarm" : "a public swarm"));
}

Result<Joined> join_when_started(const Config& config, const core::Invite& invite) {
    if (auto made = core::make_private_directory(config.data); !made) return fail(made.error());
    const auto path = key_path(config);
    const auto own = core::load_swarm_key(path);
    if (!own) return fail(own.error());
    if (*own && *own != invite.key)
        return fail(Errc::exists_already,
                    fmt::format("the node of {} is in another swarm, which is private; name "
                                "another directory with --data, or move {} away",
                                config.data.string(), path.string()));
    // The key first: the addresses without it would be asked in vain.
    if (invite.key && !*own)
        if (auto saved = core::save_swarm_key(path, *invite.key); !saved)
            return fail(saved.error());
    if (auto saved =
            remember_addresses(config.data, core::name_of_swarm(invite.key), invite.addresses);
        !saved)
        return fail(saved.error());
    Joined joined;
    joined.addresses = invite.addresses;
    joined.is_private = invite.key.has_value();
    return joined;
}

Result<std::filesystem::path> found_private_swarm(const Config& config) {
    if (auto made = core::make_private_directory(config.data); !made) return fail(made.error());
    const auto path = key_path(config);
    const auto own = core::load_swarm_key(path);
    if (!own) return fail(own.error());
    if (*own)
        return fail(Errc::exists_already,
                    path.string() + " is there: the node is in a private swarm already");
    if (auto saved = core::save_swarm_key(path, core::new_swarm_key()); !saved)
        return fail(saved.error());
    return path;
}

}  // namespace flow29::node
