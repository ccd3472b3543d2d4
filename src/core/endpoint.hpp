// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::core {

/// Addresses that probably share an owner or a wire: an IPv4 /24 or an IPv6 /48.
using AddressGroup = FixedBytes<struct AddressGroupTag, 8>;

/// An IP address and the one port number a node uses (UDP for the DHT, TCP for transfers).
/// IPv4 is mapped, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2); fe80::/10 is as in core/link_local.hpp.
struct Endpoint {
    std::array<std::uint8_t, 16> address{};
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const = default;

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_loopback() const;
    /// 0.0.0.0 or ::, or port 0: nothing that can be dialled.
    [[nodiscard]] bool is_unspecified() const;
    /// The first 24 (IPv4) or 48 (IPv6) bits, with the family.
    [[nodiscard]] AddressGroup group() const;
    /// "192.0.2.1:2929", "[2001:db8::1]:2929" or, on interface 2, "[fe80::1%2]:2929".
    [[nodiscard]] std::string to_string() const;
    /// The address alone.
    [[nodiscard]] std::string host() const;

    /// A literal address and port as `to_string` writes them; Errc::usage names what is wrong.
    [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
    /// 4 or 16 octets in network order.
    [[nodiscard]] static Result<Endpoint> from_octets(ByteView octets, std::uint16_t port);
    /// The 4 or 16 octets.
    [[nodiscard]] Bytes octets() const;
};

}  // namespace flow29::core

template <>
struct std::hash<flow29::core::Endpoint> {
    std::size_t operator()(const flow29::core::Endpoint& endpoint) const noexcept;
};
