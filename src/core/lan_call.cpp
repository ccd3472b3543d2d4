// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lan_call.hpp"

#include <algorithm>
#include <array>

#include "core/kdf.hpp"

namespace flow29::core {
namespace {

constexpr std::string_view purpose = "lan";
constexpr std::array<std::uint8_t, 5> magic{'F', '2', '9', 'L', 1};
constexpr std::size_t said_bytes = magic.size() + LanNonce::size + 2;
constexpr std::size_t mac_bytes = 16;
constexpr std::size_t key_bytes = 32;

}  // namespace

LanCaller::LanCaller(const std::optional<SwarmKey>& key, std::uint32_t network) {
    if (key) {
        key_ = derive_key(*key, purpose, key_bytes);
        return;
    }
    // Everybody knows this one: it keeps swarms of different numbers apart.
    SwarmKey number;
    for (unsigned i = 0; i < 4; ++i)
        number.bytes[i] = static_cast<std::uint8_t>(network >> (8 * i));
    key_ = derive_key(number, "public lan", key_bytes);
}

Bytes LanCaller::encode(const LanCall& call) const {
    Bytes raw;
    raw.reserve(said_bytes + mac_bytes);
    raw.assign(magic.begin(), magic.end());
    raw.insert(raw.end(), call.nonce.bytes.begin(), call.nonce.bytes.end());
    raw.push_back(static_cast<std::uint8_t>(call.port >> 8));
    raw.push_back(static_cast<std::uint8_t>(call.port & 0xff));
    const auto mac = hmac_sha256(key_, {ByteView(raw)});
    raw.insert(raw.end(), mac.begin(), mac.begin() + mac_bytes);
    return raw;
}

std::optional<LanCall> LanCaller::decode(ByteView raw) const {
    if (raw.size() != said_bytes + mac_bytes) return std::nullopt;
    const auto said = raw.first(said_bytes);
    if (!std::equal(magic.begin(), magic.end(), said.begin())) return std::nullopt;
    const auto mac = hmac_sha256(key_, {said});
    if (!equal_secrets(raw.subspan(said_bytes), ByteView(mac).first(mac_bytes)))
        return std::nullopt;
    LanCall call;
    const auto nonce = said.subspan(magic.size(), LanNonce::size);
    std::copy(nonce.begin(), nonce.end(), call.nonce.bytes.begin());
    call.port = static_cast<std::uint16_t>(said[said_bytes - 2] << 8 | said[said_bytes - 1]);
    if (call.port == 0) return std::nullopt;
    return call;
}

}  // namespace flow29::core
