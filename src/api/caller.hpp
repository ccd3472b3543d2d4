// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flow29/error.hpp>

namespace flow29::api {

/// Who asks something of a node through a control socket.
enum class Caller : std::uint8_t {
    owner,   ///< the node's user, or root, who may do everything anyway
    member,  ///< of the group that the node is shared with (see Router)
};

/// Whom the kernel names as the one who connected.
struct PeerIds {
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups{};  ///< supplementary ones
};

/// Nothing: it is neither. `shared_with`: the group, if there is one.
[[nodiscard]] std::optional<Caller> caller_of(const PeerIds& peer, uid_t own_user,
                                              std::optional<gid_t> shared_with);
/// The same of a Unix socket's other end, as it was when it connected. Nothing, too, when the
/// system does not say (unix(7): SO_PEERCRED, SO_PEERGROUPS).
[[nodiscard]] std::optional<Caller> caller_at(int socket, std::optional<gid_t> shared_with);

/// A group by its name or number. Errc::usage: there is none of that name.
[[nodiscard]] Result<gid_t> find_group(const std::string& name);

}  // namespace flow29::api
