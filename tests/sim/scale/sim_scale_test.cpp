// SPDX-License-Identifier: GPL-3.0-or-later
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "sim/scale/report.hpp"

namespace flow29::sim::scale {
namespace {

using namespace std::chrono_literals;

constexpr Duration day = 24h;

double in_hours(Duration duration) {
    return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

Result<AvtTrace> read(const std::string& text) {
    std::istringstream in(text);
    return read_avt(in);
}

double figure(const std::vector<Figure>& list, std::string_view key) {
    const auto found = std::ranges::find(list, key, &Figure::key);
    REQUIRE(found != list.end());
    return found->value;
}

/// The fraction of `length` that the slots are up.
double measured_availability(Sessions& sessions, std::size_t slots, Duration length) {
    Duration up_time{};
    for (std::size_t slot = 0; slot < slots; ++slot) {
        const Sessions::Start start = sessions.start(slot);
        bool up = start.up;
        Duration left = start.left;
        for (Duration at{}; at < length; left = sessions.next(slot, up = !up)) {
            if (up) up_time += std::min(left, length - at);
            at += left;
        }
    }
    return std::chrono::duration<double>(up_time) / std::chrono::duration<double>(length) /
           static_cast<double>(slots);
}

TEST_CASE("an .avt trace is read: names, comments, blanks, and times from the first start on") {
    const auto trace = read(
        "# name sessions start end ...\n"
        "\n"
        "planetlab1 2 1000 1060.5 2000 3000\n"
        "  192.0.2.7\t1\t1500 1501\r\n"
        "never-up 0\n");
    REQUIRE(trace.has_value());
    REQUIRE(trace->nodes.size() == 2);
    using Intervals = std::vector<AvtTrace::Interval>;
    CHECK(trace->nodes[0] == Intervals{{0s, 60500ms}, {1000s, 2000s}});
    CHECK(trace->nodes[1] == Intervals{{500s, 501s}});
    CHECK(trace->length == Duration(2000s));
}

TEST_CASE("sessions of an .avt trace that touch are one, and empty ones are none") {
    const auto trace = read("a 4 0 10 10 20 25 25 30 40\nb 1 5 5\n");
    REQUIRE(trace.has_value());
    REQUIRE(trace->nodes.size() == 1);
    CHECK(trace->nodes[0] == std::vector<AvtTrace::Interval>{{0s, 20s}, {30s, 40s}});
}

TEST_CASE("a damaged .avt trace is refused, and the line named") {
    for (const auto* line :
         {"a", "a x 0 1", "a -1 0 1", "a 1", "a 1 0", "a 2 0 1", "a 1 0 1 2 3", "a 1 0 1 2",
          "a 1 5 4", "a 2 0 10 5 20", "a 1 -5 4", "a 1 nan 4", "a 1 0 inf", "a 1 0 1e300",
          "a 1 0 1x", "a 1 zero one", "a 18446744073709551617 0 1"}) {
        CAPTURE(line);
        const auto trace = read(std::string("good 1 0 1\n") + line + "\n");
        REQUIRE_FALSE(trace.has_value());
        CHECK(trace.error().code == Errc::usage);
        CHECK(trace.error().context.starts_with("line 2: "));
    }
    for (const auto* text : {"", "# nothing\n", "a 0\n", "a 1 7 7\n"}) {
        CAPTURE(text);
        CHECK_FALSE(read(text).has_value());
    }
}

TEST_CASE("a trace is replayed, and begins anew at its end, at the same time of day") {
    auto trace = read("a 2 0 3600 7200 10800\nb 1 3600 180000\n");
    REQUIRE(trace.has_value());
    TraceSessions sessions(3, std::move(*trace));
    const auto a = sessions.start(0);
    CHECK(a.up);
    CHECK(a.left == Duration(1h));
    CHECK(sessions.next(0, false) == Duration(1h));
    CHECK(sessions.next(0, true) == Duration(1h));
    CHECK(sessions.next(0, false) == Duration(72h - 3h));  // two days and two hours: three days
    CHECK(sessions.next(0, true) == Duration(1h));
    const auto b = sessions.start(1);
    CHECK_FALSE(b.up);
    CHECK(b.left == Duration(1h));
    CHECK(sessions.next(1, true) == Duration(49h));
    const auto a_again = sessions.start(2);  // a day later in the life of a
    CHECK_FALSE(a_again.up);
    CHECK(a_again.left == Duration(48h));
}

TEST_CASE("Weibull sessions have the median and the availability that were asked for") {
    for (const double shape : {0.5, 1.0, 2.0}) {
        CAPTURE(shape);
        WeibullSessions sessions(400, {.median = 2h, .shape = shape, .availability = 0.35});
        CHECK(measured_availability(sessions, 400, 200 * day) ==
              doctest::Approx(0.35).epsilon(0.02));
        std::vector<Duration> lengths;
        Duration sum{};
        for (unsigned i = 0; i < 40'000; ++i) {
            lengths.push_back(sessions.next(i % 400, true));
            sum += lengths.back();
        }
        std::ranges::nth_element(lengths, lengths.begin() + 20'000);
        CHECK(in_hours(lengths[20'000]) == doctest::Approx(2).epsilon(0.04));
        CHECK(in_hours(sum / 40'000) ==
              doctest::Approx(in_hours(sessions.mean_session())).epsilon(0.05));
    }
    // Γ(2) is 1: with shape 1 the mean is the median over ln 2.
    const WeibullSessions exponential(1, {.median = 2h, .shape = 1});
    CHECK(in_hours(exponential.mean_session()) == doctest::Approx(2 / std::log(2.0)));
}

TEST_CASE("the ring finds the nearest by XOR, as going through all of them does") {
    Random random(7);
    LiveRing ring;
    std::vector<std::uint64_t> places;
    for (std::uint32_t node = 0; node < 300; ++node) {
        places.push_back(random());
        ring.insert(places.back(), node);
    }
    for (std::uint32_t node = 250; node < 300; ++node)
        ring.erase(places[node]);
    places.resize(250);
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t place = i % 2 == 0 ? random() : places[static_cast<std::size_t>(i)];
        std::vector<std::uint32_t> all(places.size());
        for (std::uint32_t node = 0; node < all.size(); ++node)
            all[node] = node;
        std::ranges::sort(all, {}, [&](std::uint32_t node) { return places[node] ^ place; });
        for (const std::size_t count : {0, 1, 20, 250, 400}) {
            const auto found = ring.nearest(place, count);
            CHECK(std::ranges::equal(
                found, std::vector(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(
                                                                  std::min(count, all.size())))));
        }
    }
}

TEST_CASE("truth adds up who was without copies, window by window") {
    const TimePoint begin{};
    Truth truth(1, 2, {{begin, begin + 100s}, {begin + 50s, begin + 100s}});
    truth.on_copy_live(0, begin);
    truth.on_copy_live(0, begin);
    truth.on_copy_away(0, begin + 10s);  // one left
    truth.on_copy_away(0, begin + 40s);  // none
    truth.on_copy_live(0, begin + 60s);
    truth.on_copy_live(0, begin + 70s);
    truth.on_copy_away(0, begin + 95s);
    truth.finish(begin + 100s);
    const Totals& whole = truth.totals()[0];
    CHECK(whole.none_seconds == doctest::Approx(20));
    CHECK(whole.under_seconds == doctest::Approx(60 + 5));
    CHECK(whole.outages == 1);
    CHECK(whole.under_lengths == std::vector<float>{60});  // the last one has not ended
    const Totals& later = truth.totals()[1];
    CHECK(later.none_seconds == doctest::Approx(10));
    CHECK(later.under_seconds == doctest::Approx(20 + 5));
    CHECK(later.under_lengths.empty());
}

ScaleSwarm::Options small_swarm() {
    ScaleSwarm::Options options;
    options.nodes = 80;
    options.extents = 60;
    options.length = 4 * day;
    return options;
}

std::string run_report(const ScaleSwarm::Options& options) {
    WeibullSessions sessions(options.nodes, {.seed = options.seed});
    ScaleSwarm swarm(options, sessions);
    swarm.run();
    swarm.check_invariants();
    return report_json(swarm, 0);
}

TEST_CASE("the same seed gives the same run, and another one another") {
    ScaleSwarm::Options options = small_swarm();
    options.spare = 1;
    const std::string first = run_report(options);
    CHECK(run_report(options) == first);
    options.seed = 2;
    CHECK(run_report(options) != first);
}

TEST_CASE("nodes that stay up for ever cost nothing") {
    ScaleSwarm::Options options = small_swarm();
    options.life = Duration::zero();
    auto always = read("a 1 0 1\n");
    REQUIRE(always.has_value());
    always->nodes[0][0].end = always->length = 1000 * day;
    TraceSessions sessions(options.nodes, std::move(*always));
    ScaleSwarm swarm(options, sessions);
    swarm.run();
    const auto list = figures(swarm.truth().totals().front(), swarm);
    CHECK(figure(list, "availability") == doctest::Approx(1));
    CHECK(figure(list, "copies_per_day") == 0);
    CHECK(figure(list, "under") == 0);
    CHECK(figure(run_figures(swarm), "stored") == options.copies);
}

TEST_CASE("a small swarm keeps its copies; without any repair it would not") {
    ScaleSwarm::Options options = small_swarm();
    options.length = 10 * day;
    WeibullSessions sessions(options.nodes, {.availability = 0.5});
    ScaleSwarm swarm(options, sessions);
    swarm.run();
    swarm.check_invariants();
    const auto list = figures(swarm.truth().totals().front(), swarm);
    CHECK(figure(list, "unavailable") < 1e-3);
    CHECK(figure(list, "under") < 0.05);
    CHECK(figure(list, "copies_per_day") > 0.1);
    CHECK(figure(run_figures(swarm), "lost") == 0);

    options.grace = options.settle = 1000 * day;
    WeibullSessions same(options.nodes, {.availability = 0.5});
    ScaleSwarm careless(options, same);
    careless.run();
    const auto without = figures(careless.truth().totals().front(), careless);
    CHECK(figure(without, "copies_per_day") == 0);
    CHECK(figure(without, "under") > 0.5);
    CHECK(figure(without, "unavailable") > 0.01);
}

TEST_CASE("spare copies leave an extent with too few copies less often") {
    ScaleSwarm::Options options = small_swarm();
    options.length = 10 * day;
    std::vector<double> under;
    for (const unsigned spare : {0U, 4U}) {
        options.spare = spare;
        WeibullSessions sessions(options.nodes, {});
        ScaleSwarm swarm(options, sessions);
        swarm.run();
        swarm.check_invariants();
        under.push_back(figure(figures(swarm.truth().totals().front(), swarm), "under_times"));
    }
    CHECK(under[1] < under[0]);
}

TEST_CASE("what rots unnoticed is found by audits and made again") {
    ScaleSwarm::Options options = small_swarm();
    options.life = Duration::zero();
    options.copy_life = 10 * day;
    options.audit_period = 1h;
    auto always = read("a 1 0 1\n");
    REQUIRE(always.has_value());
    always->nodes[0][0].end = always->length = 1000 * day;
    TraceSessions sessions(options.nodes, std::move(*always));
    ScaleSwarm swarm(options, sessions);
    swarm.run();
    swarm.check_invariants();
    const auto& whole = swarm.truth().totals().front();
    CHECK(whole.copies_lost > 20);
    CHECK(swarm.rotten_found() >= whole.copies_lost * 9 / 10);
    CHECK(whole.copies_made >= swarm.rotten_found() * 9 / 10);
    CHECK(swarm.truth().live(0) >= 3);
}

TEST_CASE("a drop of most nodes at once is survived, and counted") {
    ScaleSwarm::Options options = small_swarm();
    options.drop_fraction = 0.6;
    options.drop_period = 4 * day;
    WeibullSessions sessions(options.nodes, {.availability = 0.5});
    ScaleSwarm swarm(options, sessions);
    swarm.run();
    swarm.check_invariants();
    CHECK(figure(run_figures(swarm), "lost") == 0);
    CHECK(swarm.truth().totals().front().under_lengths.size() > 30);
}

}  // namespace
}  // namespace flow29::sim::scale
