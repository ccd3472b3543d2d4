// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/caller.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace flow29::api {
namespace {

constexpr std::size_t groups_first = 64;
constexpr std::size_t group_record_bytes_max = 1 << 20;  // it names all members

std::optional<std::vector<gid_t>> groups_at(int socket) {
    std::vector<gid_t> groups(groups_first);
    for (int attempt = 0; attempt < 2; ++attempt) {
        auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        const bool told =
            ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0;
        if (!told && errno != ERANGE) return std::nullopt;
        // What does not fit is told how much there is.
        groups.resize(bytes / sizeof(gid_t));
        if (told) return groups;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Caller> caller_of(const PeerIds& peer, uid_t own_user,
                                std::optional<gid_t> shared_with) {
    if (peer.user == 0 || peer.user == own_user) return Caller::owner;
    if (!shared_with) return std::nullopt;
    const bool is_member =
        peer.group == *shared_with || std::ranges::count(peer.groups, *shared_with) > 0;
    return is_member ? std::optional(Caller::member) : std::nullopt;
}

std::optional<Caller> caller_at(int socket, std::optional<gid_t> shared_with) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
    PeerIds ids{peer.uid, peer.gid};
    if (shared_with) ids.groups = groups_at(socket).value_or(std::vector<gid_t>());
    return caller_of(ids, ::geteuid(), shared_with);
}

Result<gid_t> find_group(const std::string& name) {
    std::vector<char> buffer(4096);
    group record{};
    group* found = nullptr;
    int code = ERANGE;
    while (code == ERANGE && buffer.size() <= group_record_bytes_max) {
        code = ::getgrnam_r(name.c_str(), &record, buffer.data(), buffer.size(), &found);
        if (code == ERANGE) buffer.resize(2 * buffer.size());
    }
    if (found != nullptr) return found->gr_gid;
    gid_t number = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && stop == name.data() + name.size()) return number;
    return fail(Errc::usage, "there is no group \"" + name + "\" on this machine");
}

}  // namespace flow29::api
