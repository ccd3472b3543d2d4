// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <flow29/node.hpp>

#include "api/http_message.hpp"

/// A node, and a listener, that take the place of the real ones when a target is linked: no thread,
/// no socket, and every answer comes at once.
namespace flow29::fuzz {

/// What was asked of the node, as far as a rule is about it.
struct Asked {
    std::string what;
    std::filesystem::path path = {};
    std::string name = {};
    std::optional<ByteRange> range = {};
    unsigned copies = 0;
    bool changes = true;  ///< something here or elsewhere
};
/// By this thread, since it was last emptied: an API's own threads ask as well.
std::vector<Asked>& asked();

/// The handler of the listener that was made last.
api::HttpHandler& handler();

/// The content of every file, whatever its root.
inline constexpr std::uint64_t file_bytes = 700;
inline std::uint8_t file_octet(std::uint64_t offset) {
    return static_cast<std::uint8_t>(offset * 7 + offset / 256);
}
/// Whether the link is of a directory rather than of a file.
bool is_directory(const Link& link);

}  // namespace flow29::fuzz
