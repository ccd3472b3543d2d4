// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/same_user.hpp"

#include <unistd.h>

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

bool has_port(std::string_view address, std::uint16_t port) {
    const auto colon = address.rfind(':');
    return colon != std::string_view::npos && number(address.substr(colon + 1), 16) == port;
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
        if (!has_port(columns[local_column], connection.client_port) ||
            !has_port(columns[remote_column], connection.server_port))
            continue;
        const auto owner = number(columns[user_column], 10);
        owners.any = true;
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
