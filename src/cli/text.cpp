// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/text.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include <flow29/limits.hpp>

#include "core/printable.hpp"

namespace flow29::cli {
namespace {

/// Damerau-Levenshtein distance (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i)
        cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j)
        cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({replaced, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

bool is_control(unsigned char byte) {
    return byte < 0x20 || byte == 0x7f;
}

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// Length of the colour sequence (ESC [ … m) at the front of `text`; 0 when there is none.
std::size_t colour_length(std::string_view text) {
    if (text.substr(0, 2) != "\x1b[") return 0;
    const auto end = text.find('m');
    return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
    constexpr std::size_t word_max = 64;
    if (word.size() > word_max) return std::nullopt;
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t away = distance(word, candidate);
        // A prefix is what a person types who expects completion.
        const bool begins = word.size() >= 3 && candidate.substr(0, word.size()) == word;
        if (away >= best_distance && !(begins && !best)) continue;
        best_distance = std::min(away, best_distance);
        best = candidate;
    }
    return best;
}

std::string shell_quote(std::string_view text) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
    if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos)
        return std::string(text);
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else {
            out.push_back(c);
        }
    }
    return out + "'";
}

std::string printable_lines(std::string_view text) {
    std::string out;
    for (;;) {
        const auto end = std::min(text.find('\n'), text.size());
        out += core::printable(text.substr(0, end));
        if (end == text.size()) return out;
        text.remove_prefix(end + 1);
        out += "\n  ";
    }
}

std::string file_name_for(const Link& link) {
    constexpr std::size_t root_characters = 12;
    std::string name = link.path.empty() ? link.name : link.path;
    name = name.substr(name.find_last_of('/') + 1);
    std::erase_if(name, [](char c) { return is_control(static_cast<unsigned char>(c)); });
    while (name.size() > limits::path_component_bytes_max ||
           (!name.empty() && name.size() == limits::path_component_bytes_max &&
            continues_character(name.back())))
        name.pop_back();
    // A leading dot would hide the file or name the directory above; a dash looks like an option.
    if (name.empty() || name.front() == '.' || name.front() == '-')
        return to_base32(link.root).substr(0, root_characters);
    return name;
}

std::size_t cells(std::string_view text) {
    std::size_t count = 0;
    while (!text.empty()) {
        if (const auto colour = colour_length(text); colour != 0) {
            text.remove_prefix(colour);
            continue;
        }
        if (!continues_character(text.front())) ++count;
        text.remove_prefix(1);
    }
    return count;
}

std::string cut_to(std::string_view text, std::size_t width) {
    std::string out;
    std::size_t used = 0;
    while (!text.empty()) {
        if (const auto colour = colour_length(text); colour != 0) {
            out += text.substr(0, colour);
            text.remove_prefix(colour);
            continue;
        }
        if (!continues_character(text.front())) ++used;
        // Colour sequences after the cut are kept: one of them switches the colour off.
        if (used <= width) out.push_back(text.front());
        text.remove_prefix(1);
    }
    return out;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], cells(row[i]));
    }
    std::string out;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size()) out += std::string(widths[i] - cells(row[i]) + 2, ' ');
        }
        out.push_back('\n');
    }
    return out;
}

namespace {

/// Where the value of a field begins, if the line is one.
std::size_t indent_of(std::string_view line) {
    constexpr std::size_t name_max = 12, otherwise = 4;
    const auto name_end = line.find("  ");
    const auto value =
        name_end == std::string_view::npos ? name_end : line.find_first_not_of(' ', name_end);
    return value <= name_max ? value : otherwise;
}

/// Octets of `line` up to the space at which it is to be broken, between two columns if there are
/// such; all when there is none.
std::size_t break_of(std::string_view line, std::size_t from, std::size_t width) {
    constexpr auto none = std::string_view::npos;
    std::size_t word = none, column = none;
    for (auto space = line.find(' ', from); space != none; space = line.find(' ', space + 1)) {
        if (word != none && cells(line.substr(0, space)) > width) break;
        word = space;
        if (line.substr(space + 1, 1) == " ") column = space;
    }
    return std::min(column != none ? column : word, line.size());
}

std::string folded_line(std::string_view line, std::size_t width) {
    std::string out;
    const std::string margin(indent_of(line), ' ');
    std::string rest(line);
    std::size_t from = margin.size();  // what is before that is no place to break
    while (cells(rest) > width) {
        const auto end = break_of(rest, std::min(from, rest.size()), width);
        if (end == rest.size()) break;
        const auto last = rest.find_last_not_of(' ', end);
        const auto next = rest.find_first_not_of(' ', end);
        if (last == std::string::npos || next == std::string::npos) break;
        out += rest.substr(0, last + 1) + "\n";
        rest = margin + rest.substr(next);
    }
    return out + rest;
}

}  // namespace

std::string folded(std::string_view text, std::size_t width) {
    std::string out;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        out += folded_line(text.substr(0, end), width);
        if (end == text.size()) return out;
        out.push_back('\n');
        text.remove_prefix(end + 1);
    }
    return out;
}

std::string fitted(std::string_view text, std::size_t width, std::size_t height) {
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n'));
    const std::size_t room = std::max<std::size_t>(height, 2) - 1;
    const std::size_t shown = lines <= room ? lines : room - 1;
    std::string out;
    for (std::size_t i = 0; i < shown; ++i) {
        const auto end = text.find('\n');
        out += cut_to(text.substr(0, end), width) + "\n";
        text.remove_prefix(end + 1);
    }
    if (shown < lines) out += cut_to(fmt::format("({} more lines)", lines - shown), width) + "\n";
    return out;
}

}  // namespace flow29::cli
