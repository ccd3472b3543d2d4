// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/log.hpp"
#include "core/log_ring.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <array>
#include <cstdio>

using namespace flow29::core;

namespace {

/// Restores the default level when a test ends.
struct LevelGuard {
    ~LevelGuard() { log::set_level(log::Level::warn); }
};

/// What `call` writes to standard error.
template <class Call>
std::string captured(const Call& call) {
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    std::fflush(stderr);
    const int saved = ::dup(STDERR_FILENO);
    ::dup2(::fileno(file), STDERR_FILENO);
    call();
    std::fflush(stderr);
    ::dup2(saved, STDERR_FILENO);
    ::close(saved);
    std::rewind(file);
    std::array<char, 4096> text{};
    const std::size_t size = std::fread(text.data(), 1, text.size(), file);
    std::fclose(file);
    return {text.data(), size};
}

bool ends_with(const std::string& text, std::string_view end) {
    return std::string_view(text).ends_with(end);
}

}  // namespace

TEST_CASE("log drops what is below the level") {
    const LevelGuard guard;
    CHECK(log::enabled(log::Level::warn));
    CHECK_FALSE(log::enabled(log::Level::info));
    CHECK(captured([] { log::info("test", "unseen"); }).empty());
    CHECK(captured([] { log::write(log::Level::info, "test", "unseen"); }).empty());
    CHECK(ends_with(captured([] { log::warn("test", "seen {}", 29); }), "warning test: seen 29\n"));

    log::set_level(log::Level::debug);
    CHECK(ends_with(captured([] { log::debug("test", "seen"); }), "debug test: seen\n"));
    log::set_level(log::Level::error);
    CHECK(captured([] { log::warn("test", "unseen"); }).empty());
    CHECK(ends_with(captured([] { log::error("test", "seen"); }), "error test: seen\n"));
}

TEST_CASE("log escapes control characters, so that foreign text cannot forge lines") {
    const auto line = [](std::string_view text) {
        return captured([&] { log::write(log::Level::error, "test", text); });
    };
    CHECK(ends_with(line("a\nb"), "test: a\\x0ab\n"));
    CHECK(ends_with(line("\x1b[2J\r\t\x7f"), "test: \\x1b[2J\\x0d\\x09\\x7f\n"));
    CHECK(ends_with(line(std::string_view("a\0b", 3)), "test: a\\x00b\n"));
    CHECK(ends_with(line("\xc2\x9b"
                         "2J"),
                    "test: \\xc2\\x9b2J\n"));
}

TEST_CASE("log leaves other text as it is, braces and umlauts included") {
    const auto line = captured([] { log::write(log::Level::error, "test", "{} käse © %s ☃"); });
    CHECK(ends_with(line, "test: {} käse © %s ☃\n"));
}

TEST_CASE("what was logged last is kept, in order, by level and after a number") {
    const LevelGuard guard;
    log::set_level(log::Level::info);
    const auto before = log::recent(0, log::Level::debug, log::ring_lines_max);
    const auto start = before.empty() ? 0 : before.back().number;
    (void)captured([] {
        log::debug("ring", "not kept");
        log::info("ring", "one\n");
        log::warn("ring", "two");
        log::info("ring", "{}", std::string(5000, 'x'));
    });
    const auto lines = log::recent(start, log::Level::debug, 100);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].text == "one\\x0a");
    CHECK(lines[0].component == "ring");
    CHECK(lines[0].number == start + 1);
    CHECK(lines[1].level == log::Level::warn);
    CHECK(lines[2].text.size() == log::ring_line_bytes_max);
    CHECK(log::recent(start, log::Level::warn, 100).size() == 1);
    CHECK(log::recent(start + 2, log::Level::debug, 100).size() == 1);
    CHECK(log::recent(start, log::Level::debug, 1).front().number == start + 3);
    CHECK(log::level_name(log::Level::warn) == "warn");
}

TEST_CASE("no more lines are kept than the ring has room for") {
    const LevelGuard guard;
    log::set_level(log::Level::info);
    (void)captured([] {
        for (std::size_t i = 0; i <= log::ring_lines_max; ++i)
            log::info("ring", "{}", i);
    });
    const auto lines = log::recent(0, log::Level::debug, 10 * log::ring_lines_max);
    REQUIRE(lines.size() == log::ring_lines_max);
    CHECK(lines.front().text == "1");
    CHECK(lines.back().text == std::to_string(log::ring_lines_max));
}
