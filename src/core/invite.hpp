// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/error.hpp>
#include "core/swarm_key.hpp"

namespace flow29::core {

/// What brings a node into a swarm, as one word that survives being pasted, read out and typed.
///
///     flow29i:<base32 of>  version 1 | flags | number of addresses | addresses | key | checksum
///     flags                1: the swarm is private and its key is here
///     address              4 or 6, the octets, port | 0, length, a host's name, port
///     checksum             first 4 octets of SHA-256("flow29 invite" | what is before)
///
/// Upper case is as good, and so are blanks, line ends and hyphens within.
struct Invite {
    std::vector<std::string> addresses;  ///< HOST:PORT, 1 to addresses_max
    std::optional<SwarmKey> key;         ///< of a private swarm

    static constexpr std::size_t addresses_max = 8;
    static constexpr std::size_t host_bytes_max = 253;  ///< of a name in the DNS (RFC 1035)

    bool operator==(const Invite&) const = default;

    /// Requires addresses that `parse` would give. Hosts that are names keep their spelling.
    [[nodiscard]] std::string to_string() const;
    /// Errc::usage says what is wrong and where: of a single wrong character which one, and what it
    /// probably was, unless long names of hosts make it longer than 512 characters.
    [[nodiscard]] static Result<Invite> parse(std::string_view text);
};

/// Errc::usage unless `text` is HOST:PORT and fits into an invite.
[[nodiscard]] Result<void> check_invitable(std::string_view address);

}  // namespace flow29::core
