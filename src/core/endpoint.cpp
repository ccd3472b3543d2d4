// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/endpoint.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "core/link_local.hpp"

namespace flow29::core {
namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::uint64_t port_max = 65'535;

tl::unexpected<Error> malformed(std::string why) {
    return fail(Errc::usage, std::move(why));
}

/// `text` in quotes, cut so that an error stays one line.
std::string quoted(std::string_view text) {
    constexpr std::size_t bytes_max = 64;
    const bool cut = text.size() > bytes_max;
    return fmt::format("\"{}{}\"", text.substr(0, bytes_max), cut ? "…" : "");
}

Result<std::uint16_t> parse_port(std::string_view text) {
    if (text.empty()) return malformed("the port is missing after the colon");
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!std::ranges::all_of(text, is_digit))
        return malformed("port " + quoted(text) + " is not a number");
    std::uint64_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc() || port > port_max)
        return malformed("port " + std::string(text.substr(0, 20)) + " is above 65535");
    return static_cast<std::uint16_t>(port);
}

/// The zone that follows the last '%' of a link-local address, taken off `host`: a number, as only
/// the system knows its interfaces' names. 0 when there is none.
Result<std::uint32_t> take_zone(std::string& host) {
    const auto mark = host.rfind('%');
    if (mark == std::string::npos) return 0U;
    const auto digits = host.substr(mark + 1);
    std::uint32_t zone = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), zone);
    if (ec != std::errc() || end != digits.data() + digits.size() || zone == 0)
        return malformed(quoted(digits) + " is not the number of an interface");
    host.resize(mark);
    return zone;
}

/// The host in brackets or before the only colon, and what follows its colon.
struct Parts {
    std::string_view host;
    std::string_view port;
    bool bracketed = false;
};

Result<Parts> split(std::string_view text) {
    if (text.empty()) return malformed("the address is empty");
    if (text.front() == '[') {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos)
            return malformed("address " + quoted(text) + " lacks the closing bracket");
        const std::string_view rest = text.substr(close + 1);
        if (rest.empty() || rest.front() != ':')
            return malformed("address " + quoted(text) + " lacks a port: write [address]:port");
        return Parts{text.substr(1, close - 1), rest.substr(1), true};
    }
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos)
        return malformed("address " + quoted(text) + " lacks a port: write address:port");
    if (text.find(':', colon + 1) != std::string_view::npos)
        return malformed("IPv6 address " + quoted(text) +
                         " needs brackets and a port: write [address]:port");
    return Parts{text.substr(0, colon), text.substr(colon + 1), false};
}

}  // namespace

bool Endpoint::is_v4() const {
    return std::ranges::equal(mapped_prefix, std::span(address).first<12>());
}

bool Endpoint::is_loopback() const {
    if (is_v4()) return address[12] == 127;
    std::array<std::uint8_t, 16> loopback{};
    loopback[15] = 1;
    return address == loopback;
}

bool Endpoint::is_unspecified() const {
    const auto significant = std::span(address).subspan(is_v4() ? 12 : 0);
    return port == 0 || std::ranges::all_of(significant, [](std::uint8_t b) { return b == 0; });
}

AddressGroup Endpoint::group() const {
    const Bytes raw = octets();
    AddressGroup group;
    group.bytes[0] = is_v4() ? 4 : 6;
    std::copy_n(raw.begin(), is_v4() ? 3 : 6, group.bytes.begin() + 1);
    return group;
}

std::string Endpoint::host() const {
    const Bytes raw = octets();
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(is_v4() ? AF_INET : AF_INET6, raw.data(), text.data(), text.size());
    const auto zone = zone_of(*this);
    return zone == 0 ? std::string(text.data()) : fmt::format("{}%{}", text.data(), zone);
}

std::string Endpoint::to_string() const {
    return is_v4() ? fmt::format("{}:{}", host(), port) : fmt::format("[{}]:{}", host(), port);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    const auto parts = split(text);
    if (!parts) return fail(parts.error());
    const auto port = parse_port(parts->port);
    if (!port) return fail(port.error());
    // inet_pton stops at a NUL, and would take "192.0.2.1\0junk".
    std::string host(parts->host);
    const bool has_nul = host.find('\0') != std::string::npos;
    const auto zone = parts->bracketed ? take_zone(host) : Result<std::uint32_t>(0U);
    if (!zone) return fail(zone.error());
    std::array<std::uint8_t, 16> raw{};
    const int family = parts->bracketed ? AF_INET6 : AF_INET;
    if (has_nul || ::inet_pton(family, host.c_str(), raw.data()) != 1)
        return malformed(quoted(host) + (parts->bracketed ? " is not an IPv6 address"
                                                          : " is not an IPv4 address"));
    const auto endpoint = from_octets(ByteView(raw).first(parts->bracketed ? 16 : 4), *port);
    if (*zone == 0) return endpoint;
    if (!is_link_local(*endpoint))
        return malformed(quoted(host) + " is of no one link, and has no \"%\"");
    return with_zone(*endpoint, *zone);
}

Result<Endpoint> Endpoint::from_octets(ByteView octets, std::uint16_t port) {
    Endpoint endpoint;
    endpoint.port = port;
    if (octets.size() == 4) {
        std::ranges::copy(mapped_prefix, endpoint.address.begin());
        std::ranges::copy(octets, endpoint.address.begin() + 12);
    } else if (octets.size() == 16) {
        std::ranges::copy(octets, endpoint.address.begin());
        endpoint = with_zone(endpoint, 0);
    } else {
        return malformed("an address has 4 or 16 octets, not " + std::to_string(octets.size()));
    }
    return endpoint;
}

Bytes Endpoint::octets() const {
    const auto bare = with_zone(*this, 0).address;
    return {bare.begin() + (is_v4() ? 12 : 0), bare.end()};
}

}  // namespace flow29::core

std::size_t std::hash<flow29::core::Endpoint>::operator()(
    const flow29::core::Endpoint& endpoint) const noexcept {
    std::array<char, 18> key;
    std::memcpy(key.data(), endpoint.address.data(), 16);
    std::memcpy(key.data() + 16, &endpoint.port, 2);
    return std::hash<std::string_view>{}({key.data(), key.size()});
}
