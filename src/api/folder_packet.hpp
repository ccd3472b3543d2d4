// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <flow29/error.hpp>

#include "api/unique_fd.hpp"

/// The packets between a node and whoever opens files for it: see FolderServer. Both run on one
/// machine, so numbers are as they are in memory.
namespace flow29::api {

/// What a node may ask for.
enum class FolderOperation : std::uint32_t {
    open,
    enter,
    look,
    list,
    make,
    remove,
    move,
    sync,
    set_modified,
};

/// Before the path and the name.
struct FolderRequest {
    FolderOperation operation = FolderOperation::open;
    std::uint32_t folder = 0;
    std::int32_t flags = 0;  ///< of open; of move, what it replaces
    std::uint32_t mode = 0;
    std::uint32_t path_bytes = 0;
    std::uint32_t unused = 0;  // no octet of it is undefined
    std::int64_t time = 0;     ///< of set_modified; nanoseconds since 1970
};

/// Before the text or the entries.
struct FolderAnswer {
    std::int32_t code = 0;  ///< an Errc
    std::uint32_t value = 0;
    std::uint32_t more = 0;  ///< packets of the same answer follow
};

/// An entry of a list, before its name.
struct FolderEntryHead {
    struct stat facts {};
    std::uint32_t name_bytes = 0;
};

/// Adds a number or a head.
template <class T>
void append(std::string& packet, const T& value) {
    packet.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Takes one off the beginning; false when there is less.
template <class T>
[[nodiscard]] bool take(std::string_view& packet, T& value) {
    if (packet.size() < sizeof value) return false;
    std::memcpy(&value, packet.data(), sizeof value);
    packet.remove_prefix(sizeof value);
    return true;
}

struct FolderPacket {
    std::string octets;
    UniqueFd descriptor;
};

/// Borrows the descriptor, if there is one. Blocks while the other end reads nothing.
[[nodiscard]] Result<void> send_packet(int socket, const std::string& octets, int descriptor = -1);

/// Errc::interrupted at the end, or when nothing came in time, or more than a packet may be
/// (limits::folder_packet_bytes_max).
[[nodiscard]] Result<FolderPacket> receive_packet(int socket);

}  // namespace flow29::api
