// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/qr.hpp"

#include <sstream>
#include <vector>

#include <doctest/doctest.h>

#include "cli/text.hpp"

using namespace flow29;
using namespace flow29::cli;

namespace {

/// Whether each module is dark, the margin included.
std::vector<std::vector<bool>> modules_of(const std::string& drawn) {
    std::vector<std::vector<bool>> modules;
    std::istringstream lines(drawn);
    for (std::string line; std::getline(lines, line);) {
        std::vector<bool> above, below;
        for (std::size_t at = 0; at < line.size();) {
            const bool blank = line[at] == ' ';
            const std::string cell = line.substr(at, blank ? 1 : 3);
            above.push_back(cell == " " || cell == "▄");
            below.push_back(cell == " " || cell == "▀");
            at += cell.size();
        }
        modules.push_back(above);
        modules.push_back(below);
    }
    return modules;
}

TEST_CASE("a root's QR code has 29 modules, its three finders and a light margin") {
    const auto modules = modules_of(qr_code(Link{}, false));
    REQUIRE(modules.size() == 38);  // one line more than there are modules
    for (std::size_t y = 0; y < 37; ++y) {
        REQUIRE(modules[y].size() == 37);
        for (std::size_t x = 0; x < 37; ++x)
            if (x < 4 || y < 4 || x >= 33 || y >= 33) REQUIRE_FALSE(modules[y][x]);
    }
    const auto is_finder = [&](std::size_t left, std::size_t top) {
        for (std::size_t y = 0; y < 7; ++y)
            for (std::size_t x = 0; x < 7; ++x) {
                const bool ring = x == 0 || y == 0 || x == 6 || y == 6;
                const bool heart = x >= 2 && x <= 4 && y >= 2 && y <= 4;
                if (modules[4 + top + y][4 + left + x] != (ring || heart)) return false;
            }
        return true;
    };
    CHECK(is_finder(0, 0));
    CHECK(is_finder(22, 0));
    CHECK(is_finder(0, 22));
    CHECK_FALSE(is_finder(22, 22));
}

TEST_CASE("another root has another code, and colours change nothing but colours") {
    Link other;
    other.root.bytes[31] = 1;
    CHECK(qr_code(Link{}, false) != qr_code(other, false));
    std::istringstream plain(qr_code(other, false));
    std::istringstream coloured(qr_code(other, true));
    for (std::string a, b; std::getline(plain, a) && std::getline(coloured, b);) {
        CHECK(b == "\x1b[38;5;231;48;5;16m" + a + "\x1b[0m");
        CHECK(cells(b) == 37);
    }
}

}  // namespace

TEST_CASE("a private link's code has its key, and not its name") {
    Link link;
    link.key = std::string(60, 'a');
    const auto code = qr_code(link, false);
    CHECK(modules_of(code).size() > 38);
    link.name = "diary.txt";
    CHECK(qr_code(link, false) == code);
    link.key.back() = 'b';
    CHECK(qr_code(link, false) != code);
}
