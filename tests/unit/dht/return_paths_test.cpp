// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/return_paths.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <flow29/limits.hpp>

using namespace flow29;
using namespace flow29::dht;
using namespace std::chrono_literals;

namespace {

core::Endpoint at(const std::string& text) {
    return core::Endpoint::parse(text).value();
}

const core::Endpoint here = at("192.0.2.1:2929");
const core::Endpoint there = at("198.51.100.7:2929");
const core::Endpoint elsewhere = at("203.0.113.9:2929");
constexpr std::size_t short_question = 100;
constexpr auto kind = DatagramKind::get;

core::Endpoint numbered(std::size_t i) {
    auto endpoint = here;
    endpoint.address[13] = static_cast<std::uint8_t>(i >> 16);
    endpoint.address[14] = static_cast<std::uint8_t>(i >> 8);
    endpoint.address[15] = static_cast<std::uint8_t>(i);
    return endpoint;
}

/// Two ends, and the clock of both.
struct Talk {
    ReturnPaths asker{{1}};
    ReturnPaths answerer{{2}};
    TimePoint now{1h};

    /// What comes with a question from `here` to `there`; its answer is not given yet.
    PathField ask() {
        const auto field = asker.field_of_question(there, kind, short_question, now);
        answerer.on_question(here, field, short_question + field.octets() + 4, now);
        return field;
    }
    bool answer(std::size_t octets) {
        const auto field = answerer.field_of_answer(here, now);
        if (!answerer.may_answer(here, octets, now)) return false;
        asker.on_answer(there, field, now);
        return true;
    }
};

bool is_long(const PathField& field) {
    return short_question + field.octets() + path_field_bytes >= asked_with(kind);
}

}  // namespace

TEST_CASE("less than three octets are answered for each that came") {
    Talk talk;
    auto& paths = talk.answerer;
    CHECK_FALSE(paths.may_answer(here, 1, talk.now));
    paths.on_question(here, {}, 100, talk.now);
    CHECK_FALSE(paths.may_answer(here, 300, talk.now));
    CHECK_FALSE(paths.may_answer(elsewhere, 1, talk.now));
    CHECK(paths.may_answer(here, 200, talk.now));
    CHECK(paths.may_answer(here, 99, talk.now));
    CHECK_FALSE(paths.may_answer(here, 1, talk.now));
    for (unsigned i = 0; i < 1000; ++i)
        paths.on_question(here, {}, 1000, talk.now);
    CHECK_FALSE(paths.may_answer(here, limits::answer_credit_max, talk.now));
    CHECK(paths.may_answer(here, limits::answer_credit_max - 1, talk.now));
    paths.on_question(here, {}, 100, talk.now);
    talk.now += ReturnPaths::credit_lasts;
    CHECK_FALSE(paths.may_answer(here, 1, talk.now));
}

TEST_CASE(
    "the first question is a long one, and what its answer brought makes the next ones short") {
    Talk talk;
    CHECK(is_long(talk.ask()));
    CHECK_FALSE(talk.answer(ReturnPaths::answer_factor * (asked_with(kind) + 10)));
    CHECK(talk.answer(ReturnPaths::answer_factor * asked_with(kind) - 10));
    for (unsigned i = 0; i < 10; ++i) {
        const auto field = talk.ask();
        CHECK(field.octets() == 8);
        CHECK(talk.answer(1'500));
        CHECK_FALSE(talk.answer(1'500));
    }
    talk.now += ReturnPaths::code_lasts;
    CHECK(is_long(talk.ask()));
    CHECK(talk.answer(1'000));
    CHECK_FALSE(is_long(talk.ask()));
}

TEST_CASE("a pass is good at its address, for a time, and only so often before it is answered") {
    Talk talk;
    talk.ask();
    REQUIRE(talk.answer(1'000));
    const auto pass = talk.asker.field_of_question(there, kind, short_question, talk.now);
    auto& paths = talk.answerer;
    paths.on_question(elsewhere, pass, 100, talk.now);
    CHECK_FALSE(paths.may_answer(elsewhere, 301, talk.now));
    for (unsigned i = 0; i < 2 * limits::answers_due_max; ++i)
        paths.on_question(here, pass, 100, talk.now);
    unsigned answered = 0;
    while (paths.may_answer(here, 9'000, talk.now))
        ++answered;
    CHECK(answered == limits::answers_due_max);
    talk.now += 2 * ReturnPaths::code_lasts;
    paths.on_question(here, pass, 100, talk.now);
    CHECK_FALSE(paths.may_answer(here, 301, talk.now));
}

TEST_CASE("who has begun anew is asked at length when a short question was not answered") {
    Talk talk;
    talk.ask();
    REQUIRE(talk.answer(1'000));
    talk.answerer = ReturnPaths({3});
    CHECK_FALSE(is_long(talk.ask()));
    CHECK_FALSE(talk.answer(1'000));
    CHECK_FALSE(is_long(talk.ask()));
    talk.now += ReturnPaths::answer_due;
    CHECK(is_long(talk.ask()));
    CHECK(talk.answer(1'000));
    CHECK_FALSE(is_long(talk.ask()));
}

TEST_CASE("nobody can give a pass in another's name") {
    Talk talk;
    talk.ask();
    const PathField guessed{.first = {7}, .second = PathField::Code{8}};
    talk.asker.on_answer(there, guessed, talk.now);
    CHECK(is_long(talk.ask()));
    const auto given = talk.answerer.field_of_answer(here, talk.now);
    REQUIRE(given.has_value());
    talk.asker.on_answer(elsewhere, given, talk.now);
    CHECK(is_long(talk.asker.field_of_question(elsewhere, kind, short_question, talk.now)));
}

TEST_CASE("a newcomer is asked as far as its credit goes, and whoever showed itself always") {
    Talk talk;
    auto& paths = talk.answerer;
    const auto may_ask = [&](DatagramKind what = DatagramKind::ping) {
        return paths.may_ask(here, what, 200, talk.now);
    };
    CHECK(may_ask());
    paths.on_question(here, {}, 100, talk.now);
    CHECK(may_ask());
    // Beyond its credit, once: who is there answers, and has shown itself.
    CHECK(may_ask(DatagramKind::find));
    CHECK_FALSE(may_ask());
    CHECK_FALSE(may_ask(DatagramKind::find));
    CHECK(may_ask(DatagramKind::get));
    CHECK_FALSE(paths.may_answer(here, 1, talk.now));

    SUBCASE("by asking with a pass") {
        talk.ask();
        REQUIRE(talk.answer(1'000));
        CHECK_FALSE(is_long(talk.ask()));
    }
    SUBCASE("by an answer") {
        const auto field = paths.field_of_question(here, kind, short_question, talk.now);
        talk.asker.on_question(there, field, 500, talk.now);
        paths.on_answer(here, talk.asker.field_of_answer(there, talk.now), talk.now);
    }
    SUBCASE("by silence") {
        talk.now += ReturnPaths::credit_lasts;
    }
    for (unsigned i = 0; i < 100; ++i)
        CHECK(may_ask());
}

TEST_CASE("beyond its credit a newcomer is asked once a minute, however often it is forged") {
    Talk talk;
    auto& paths = talk.answerer;
    unsigned asked = 0;
    for (unsigned second = 0; second < 600; ++second, talk.now += 1s) {
        paths.on_question(here, {}, 10, talk.now);
        asked += paths.may_ask(here, DatagramKind::ping, 300, talk.now) ? 1 : 0;
    }
    // 18,000 octets may have been spent, and one a minute beyond.
    CHECK(asked <= 18'000 / 300 + 10);
    CHECK(asked >= 10);
}

TEST_CASE("so many addresses are remembered and no more, of those that ask and of those asked") {
    Talk talk;
    for (std::size_t i = 0; i < 2 * limits::return_paths_max; ++i) {
        talk.answerer.on_question(numbered(i), {}, 100, talk.now);
        CHECK(talk.answerer.remembered() <= limits::return_paths_max);
    }
    ReturnPaths asker({4});
    for (std::size_t i = 0; i < 2 * limits::return_paths_max; ++i) {
        auto field = asker.field_of_question(numbered(i), kind, short_question, talk.now);
        field.second = PathField::Code{1};
        field.filler = 0;
        asker.on_answer(numbered(i), field, talk.now);
        CHECK(asker.remembered() <= limits::return_paths_max);
    }
    CHECK(asker.remembered() > 0);
}

TEST_CASE("a path field comes off a datagram as it was put on") {
    const Bytes datagram{0x82, 0xa1, 'y', 0xa1, 'q', 0xa1, 't', 0x07};
    for (const std::size_t filler : {0, 1, 7, 239, 240, 247, 248, 1'008}) {
        CAPTURE(filler);
        const PathField put_on{{1, 2}, PathField::Code{3}, filler};
        Bytes sent;
        REQUIRE(add_path_field(datagram, put_on, sent));
        for (std::size_t length = 0; length < sent.size() - datagram.size(); ++length) {
            std::span<std::uint8_t> cut(sent.data(), length);
            CHECK_FALSE(take_path_field(cut).has_value());
            CHECK(cut.size() == length);
        }
        std::span<std::uint8_t> received(sent);
        CHECK(take_path_field(received) == put_on);
        CHECK(std::ranges::equal(received, datagram));
    }
    Bytes sent;
    CHECK_FALSE(add_path_field(datagram, {{}, PathField::Code{}, 1'009}, sent));
    CHECK_FALSE(add_path_field(Bytes{0x90}, {}, sent));
    CHECK_FALSE(add_path_field(Bytes{0x8f}, {}, sent));
    CHECK_FALSE(add_path_field({}, {}, sent));

    Bytes plain = datagram;
    std::span<std::uint8_t> without(plain);
    CHECK_FALSE(take_path_field(without).has_value());
    CHECK(std::ranges::equal(without, datagram));
    REQUIRE(add_path_field(datagram, {.first = {5}}, sent));
    std::span<std::uint8_t> received(sent);
    CHECK(take_path_field(received) == PathField{.first = {5}});
}
