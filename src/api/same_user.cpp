// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/same_user.hpp"

#include <unistd.h>

#include <array>
#include <bit>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace flow29::api {
namespace {

// Columns of the table, counted from 0.
constexpr std::size_t local_column = 1;
constexpr std::size_t remote_column = 2;
constexpr std::size_t state_column = 3;
constexpr std::size_t user_column = 7;
constexpr std::string_view established = "01";
constexpr std::string_view listening = "0A";

std::vector<std::string_view> columns_of(std::string_view line) {
    std::vector<std::string_view> columns;
    while (true) {
        const auto begin = line.find_first_not_of(' ');
        if (begin == std::string_view::npos) return columns;
        const auto end = std::min(line.find(' ', begin), line.size());
        columns.push_back(line.substr(begin, end - begin));
        line.remove_prefix(end);
    }
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

/// An address of 8 or 32 digits, words as this machine keeps them, and a port.
std::optional<core::Endpoint> endpoint(std::string_view text) {
    constexpr std::size_t word_digits = 8;
    const auto colon = text.rfind(':');
    if (colon != word_digits && colon != 4 * word_digits) return std::nullopt;
    Bytes octets;
    for (std::size_t at = 0; at < colon; at += word_digits) {
        const auto value = number(text.substr(at, word_digits), 16);
        if (!value) return std::nullopt;
        const auto word =
            std::bit_cast<std::array<std::uint8_t, 4>>(static_cast<std::uint32_t>(*value));
        octets.insert(octets.end(), word.begin(), word.end());
    }
    const auto port = number(text.substr(colon + 1), 16);
    if (!port) return std::nullopt;
    const auto found = core::Endpoint::from_octets(octets, static_cast<std::uint16_t>(*port));
    return found ? std::optional(*found) : std::nullopt;
}

std::string read_all(const char* file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

Owners owners_in(std::string_view table, const LocalConnection& connection, std::uint64_t user) {
    Owners owners;
    while (!table.empty()) {
        const auto end = std::min(table.find('\n'), table.size());
        const auto columns = columns_of(table.substr(0, end));
        table.remove_prefix(std::min(end + 1, table.size()));
        if (columns.size() <= user_column || columns[state_column] == listening) continue;
        const auto client = endpoint(columns[local_column]);
        const auto server = endpoint(columns[remote_column]);
        if (!client || !server || client->port != connection.client.port ||
            server->port != connection.server.port)
            continue;
        const auto owner = number(columns[user_column], 10);
        owners.any = owners.any || (*client == connection.client && *server == connection.server);
        // One that is being closed may be nobody's any more, and is then shown as root's.
        owners.foreign = owners.foreign || columns[state_column] != established || !owner ||
                         (*owner != user && *owner != 0);
    }
    return owners;
}

bool is_of_same_user(const LocalConnection& connection) {
    const auto user = ::geteuid();
    // By way of the process itself, as a sandbox may hide what else there is in /proc.
    const auto v4 = owners_in(read_all("/proc/self/net/tcp"), connection, user);
    const auto v6 = owners_in(read_all("/proc/self/net/tcp6"), connection, user);
    return (v4.any || v6.any) && !v4.foreign && !v6.foreign;
}

}  // namespace flow29::api
