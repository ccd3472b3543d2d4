// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/node.hpp>
#include "core/invite.hpp"
#include "core/swarm_key.hpp"

/// What a data directory says about the swarm that its node is in:
///
///     DATA/swarm.key   the key of a private swarm, mode 0600; unless Config::swarm_key names
///                      another
///     DATA/bootstrap   HOST:PORT of nodes, one a line, those joined last first; behind a blank the
///                      core::SwarmName of their swarm in hexadecimal, else they may be of any
///
/// For the node itself, and for a command when none is running.
namespace flow29::node {

inline constexpr std::size_t remembered_addresses_max = 16;

/// The swarm's key; nothing when DATA/swarm.key is not there.
/// Errors: those of core::load_swarm_key; file_error (Config::swarm_key is not there).
[[nodiscard]] Result<std::optional<core::SwarmKey>> find_swarm_key(const Config& config);

/// What is remembered of this swarm. Other lines are passed over. Errors: those of the file system.
[[nodiscard]] Result<std::vector<std::string>> remembered_addresses(
    const std::filesystem::path& data, const core::SwarmName& swarm);
/// Puts `addresses`, of this swarm, in front of what is remembered; the oldest go. Errors: as
/// above.
[[nodiscard]] Result<void> remember_addresses(const std::filesystem::path& data,
                                              const core::SwarmName& swarm,
                                              const std::vector<std::string>& addresses);

/// Errc::refused unless a node with `own` key is in the swarm that is invited to.
[[nodiscard]] Result<void> check_same_swarm(const std::optional<core::SwarmKey>& own,
                                            const core::Invite& invite);

/// Writes what the invitation says into the directory, which is made if need be, for the next start
/// of its node. Errors: exists_already (it is in another private swarm), file_error.
[[nodiscard]] Result<Joined> join_when_started(const Config& config, const core::Invite& invite);
/// Makes a key: a private swarm that has no node yet. Where it lies. Errors: exists_already,
/// file_error.
[[nodiscard]] Result<std::filesystem::path> found_private_swarm(const Config& config);

}  // namespace flow29::node
