// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/event.hpp"

#include <doctest/doctest.h>

namespace flow29::cli {

TEST_CASE("lines of a node's answer are understood") {
    const auto progress = parse_event(
        R"({"event":"progress","stage":"data","done_bytes":5,"total_bytes":10,"own_bytes":3,"holders":2,"new":1})");
    REQUIRE(progress);
    CHECK(progress->kind == Event::Kind::progress);
    CHECK(progress->progress.stage == "data");
    CHECK(progress->progress.done.value == 5);
    CHECK(progress->progress.total.value == 10);
    CHECK(progress->progress.own.value == 3);
    CHECK(progress->progress.holders == 2);
    CHECK(parse_event(R"({"event":"done","root":"x"})")->kind == Event::Kind::done);
}

TEST_CASE(
    "progress of copies comes with what was sent, and with the time left unless it is absurd") {
    const auto line = [](std::string_view eta) {
        return R"({"event":"progress","stage":"copies","sent_bytes":7,"sent_rate":3,"eta_ms":)" +
               std::string(eta) + "}";
    };
    const auto progress = parse_event(line("1500"));
    REQUIRE(progress);
    CHECK(progress->progress.sent.value == 7);
    CHECK(progress->progress.sent_rate == 3);
    CHECK(progress->progress.eta == std::chrono::milliseconds(1500));
    for (const char* eta : {"0", "18446744073709551615", "-1", "null"})
        CHECK_FALSE(parse_event(line(eta))->progress.eta);
}

TEST_CASE("every error comes back from its line with its code") {
    for (int value = 1; value <= static_cast<int>(Errc::locked); ++value) {
        const auto code = static_cast<Errc>(value);
        const auto event = parse_event("{\"event\":\"error\",\"code\":\"" +
                                       std::string(errc_name(code)) + "\",\"message\":\"m\"}");
        REQUIRE(event);
        CHECK(event->kind == Event::Kind::error);
        CHECK(event->error.code == code);
        CHECK(event->error.context == "m");
    }
    CHECK(parse_event(R"({"event":"error","code":"of_tomorrow"})")->error.code == Errc::other);
}

TEST_CASE("what is no answer is refused") {
    for (const char* line : {"", "{", "[]", "{}", R"({"event":"surprise"})", R"({"event":5})"})
        CHECK_MESSAGE(!parse_event(line), line);
}

TEST_CASE("progress of this process has the form of a node's") {
    ProgressEvent progress;
    progress.stage = "hashing";
    progress.done = ByteCount(7);
    const auto event = parse_event(progress_line(progress));
    REQUIRE(event);
    CHECK(event->progress.stage == "hashing");
    CHECK(event->progress.done.value == 7);
}

}  // namespace flow29::cli
