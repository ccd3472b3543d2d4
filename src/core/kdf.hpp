// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <initializer_list>

#include <flow29/ids.hpp>

#include "core/hash.hpp"

namespace flow29::core {

/// HMAC-SHA256 (RFC 2104) of the parts, one after the other.
[[nodiscard]] Sha256Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);
/// HKDF-SHA256 (RFC 5869): `octets` (at most 8,160) that follow from the secret and the info, and
/// say nothing of either. An empty salt is none.
[[nodiscard]] Bytes hkdf_sha256(ByteView salt, ByteView secret, ByteView info, std::size_t octets);
/// In a time that does not depend on where they differ.
[[nodiscard]] bool equal_secrets(ByteView a, ByteView b);

}  // namespace flow29::core
