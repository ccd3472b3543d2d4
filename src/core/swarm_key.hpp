// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/kdf.hpp"

namespace flow29::core {

/// The secret of a private swarm: whoever has it is in, and nobody else is answered. Nothing is
/// encrypted or authenticated with it directly, see derive_key.
using SwarmKey = FixedBytes<struct SwarmKeyTag, 32>;

/// 32 octets from the operating system's generator.
[[nodiscard]] SwarmKey new_swarm_key();

/// 52 characters of base32 or 64 hexadecimal digits, blanks around them aside.
/// Errc::usage, with what is wrong; never with the text itself, which is a secret.
[[nodiscard]] Result<SwarmKey> parse_swarm_key(std::string_view text);
/// As a file has it: base32 and a newline.
[[nodiscard]] std::string swarm_key_text(const SwarmKey& key);

/// Nothing when there is no such file. Errors: file_error (unreadable, or no key is in it), refused
/// (others than its owner may read it, or change it).
[[nodiscard]] Result<std::optional<SwarmKey>> load_swarm_key(const std::filesystem::path& path);
/// Creates or replaces the file, with mode 0600. Errors: those of the file system.
[[nodiscard]] Result<void> save_swarm_key(const std::filesystem::path& path, const SwarmKey& key);

/// Which swarm something that a node wrote down belongs to: of the public one all zero, of a
/// private one what follows from its key, of which it says nothing.
using SwarmName = FixedBytes<struct SwarmNameTag, 8>;
[[nodiscard]] SwarmName name_of_swarm(const std::optional<SwarmKey>& key);

/// A key for one purpose: HKDF-SHA256 (RFC 5869) without salt, with "flow29/" and `purpose` as
/// info.
[[nodiscard]] Bytes derive_key(const SwarmKey& key, std::string_view purpose, std::size_t octets);

}  // namespace flow29::core
