// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/key_space.hpp"

#include "core/assert.hpp"
#include "core/hash.hpp"

namespace flow29::core {
namespace {
constexpr std::string_view root_domain = "flow29 root";
constexpr std::string_view extent_domain = "flow29 extent";
}  // namespace

KeySpace::KeySpace(const SwarmKey& key)
    : secret_(SwarmKey::from(derive_key(key, "dht-key", SwarmKey::size))) {
    FLOW29_ASSERT(secret_.has_value());
}

DhtKey KeySpace::key_of(std::string_view domain, ByteView hash) const {
    if (!secret_) return dht_key(domain, hash);
    const ByteView prefix(reinterpret_cast<const std::uint8_t*>(domain.data()), domain.size());
    const auto digest = hmac_sha256(secret_->view(), {prefix, hash});
    return *DhtKey::from(ByteView(digest).first(DhtKey::size));
}

DhtKey KeySpace::root_key(const RootHash& root) const {
    return key_of(root_domain, root.view());
}

DhtKey KeySpace::extent_key(const ExtentHash& extent) const {
    return key_of(extent_domain, extent.view());
}

}  // namespace flow29::core
