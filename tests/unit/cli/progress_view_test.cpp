// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/progress_view.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "cli/text.hpp"

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;
using Kind = ProgressStyle::Kind;

ProgressEvent event(std::string stage, std::uint64_t done = 0, std::uint64_t total = 0) {
    ProgressEvent made;
    made.stage = std::move(stage);
    made.done = ByteCount(done);
    made.total = ByteCount(total);
    return made;
}

TimePoint at(Duration since_start) {
    return TimePoint(1h) + since_start;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a log gets a line at each stage and, while something changes, at most one a second") {
    ProgressView view({Kind::lines});
    CHECK(view.on_progress(event("tree"), at(0ms)) == "tree\n");
    CHECK(view.on_progress(event("looking_up"), at(0ms)) == "looking up\n");
    CHECK(view.on_progress(event("looking_up"), at(500ms)).empty());
    CHECK(contains(view.on_progress(event("data", 0, 1024), at(600ms)), "data"));
    int lines = 0;
    for (unsigned i = 1; i <= 40; ++i)
        lines += view.on_progress(event("data", i, 1024), at(600ms + i * 100ms)).empty() ? 0 : 1;
    CHECK(lines == 4);
    CHECK(view.on_tick(at(1h)).empty());
    CHECK(view.on_end(at(1h)).empty());
}

TEST_CASE("a log says nothing while nothing changes, and what changed last is not forgotten") {
    ProgressView view({Kind::lines});
    CHECK_FALSE(view.on_progress(event("data", 1, 1024), at(0s)).empty());
    for (int i = 1; i <= 100; ++i)
        CHECK(view.on_progress(event("data", 1, 1024), at(i * 1s)).empty());
    CHECK_FALSE(view.on_progress(event("data", 2, 1024), at(101s)).empty());
    CHECK(view.on_progress(event("data", 3, 1024), at(102s)).empty());
    CHECK(view.on_tick(at(103s)).empty());
    CHECK(contains(view.on_tick(at(112s)), "3 B of"));
    CHECK(view.on_tick(at(200s)).empty());
    ProgressEvent sent = event("copies");
    CHECK_FALSE(view.on_progress(sent, at(200s)).empty());
    sent.sent = ByteCount(1024);
    CHECK(contains(view.on_progress(sent, at(202s)), "1.0 KiB sent"));
}

TEST_CASE("a long stage has a line every ten seconds at most in a log") {
    ProgressView view({Kind::lines});
    int lines = 0;
    for (unsigned i = 0; i < 3600; ++i)
        lines += view.on_progress(event("data", i, 3600), at(i * 1s)).empty() ? 0 : 1;
    CHECK(lines < 390);
    CHECK(lines > 350);
}

TEST_CASE("a log ends each stage on the values that were reached, and says nothing twice") {
    ProgressView view({Kind::lines});
    CHECK(contains(view.on_progress(event("data", 0, 1024), at(0ms)), "0%"));
    CHECK(view.on_progress(event("data", 512, 1024), at(100ms)).empty());
    const std::string next = view.on_progress(event("copies"), at(200ms));
    CHECK(next.find(" 50%") < next.find("copies"));
    ProgressEvent reached = event("copies");
    reached.copies_min = reached.copies_target = 4;
    CHECK(view.on_progress(reached, at(300ms)).empty());
    CHECK(contains(view.on_end(at(400ms)), "4 of 4 copies"));
    CHECK(view.on_end(at(500ms)).empty());
}

TEST_CASE("who waits in vain is told what may be wrong") {
    ProgressView view({Kind::lines});
    CHECK(view.on_progress(event("nobody_yet"), at(0ms)) ==
          "nobody has it yet; is the link right?\n");
}

TEST_CASE("a terminal's line is drawn over and removed at the end") {
    ProgressView view({Kind::redraw, false, 200});
    const std::string first = view.on_progress(event("data", 512, 1024), at(0ms));
    CHECK(first.starts_with("\r\x1b[K"));
    CHECK(contains(first, " 50%"));
    CHECK(contains(first, "512 B of 1.0 KiB"));
    CHECK(std::count(first.begin(), first.end(), '\n') == 0);
    CHECK(view.on_progress(event("data", 513, 1024), at(50ms)).empty());
    CHECK_FALSE(view.on_tick(at(150ms)).empty());
    CHECK(view.on_end(at(1s)) == "\r\x1b[K");
    CHECK(view.on_end(at(1s)).empty());
}

TEST_CASE("a stage that lasted leaves its line behind and a short one does not") {
    ProgressView view({Kind::redraw, false, 80});
    CHECK_FALSE(view.on_progress(event("looking_up"), at(0ms)).empty());
    CHECK(contains(view.on_progress(event("connecting"), at(400ms)), "looking up"));
    const std::string third = view.on_progress(event("tree"), at(450ms));
    CHECK_FALSE(contains(third, "connecting"));
    CHECK_FALSE(contains(third, "\n"));
}

TEST_CASE("what lay in the node's own store has no rate") {
    ProgressView view({Kind::redraw, false, 200});
    (void)view.on_progress(event("data", 0, 100 << 20), at(0s));
    ProgressEvent now = event("data", 64 << 20, 100 << 20);
    now.own = ByteCount(62 << 20);
    const auto text = view.on_progress(now, at(1s));
    CHECK(contains(text, "2.0 MiB/s"));
    CHECK(contains(text, "62.0 MiB were here"));
}

TEST_CASE("rate and time left follow from what moved lately") {
    ProgressView view({Kind::redraw, false, 200});
    constexpr std::uint64_t mib = 1U << 20;
    std::string last;
    for (unsigned i = 0; i <= 20; ++i)
        last = view.on_progress(event("data", i * mib, 100 * mib), at(i * 500ms));
    CHECK(contains(last, "2.0 MiB/s"));
    CHECK(contains(last, "ETA 40 s"));
}

TEST_CASE("holders and copies are counted") {
    ProgressView view({Kind::lines});
    ProgressEvent waiting = event("copies");
    waiting.holders = 1;
    waiting.copies_min = 2;
    waiting.copies_target = 4;
    CHECK(contains(view.on_progress(waiting, at(0ms)), "1 holder  2 of 4 copies"));
}

TEST_CASE("copies have a bar of what is made, what was sent, and the node's time left") {
    ProgressView view({Kind::redraw, false, 200});
    ProgressEvent copies = event("copies", 25, 100);
    copies.copies_min = 0;
    copies.copies_target = 4;
    copies.sent = ByteCount(3 << 20);
    copies.sent_rate = 2 << 20;
    std::string drawn = view.on_progress(copies, at(0ms));
    CHECK(contains(drawn, "█████░░░░░░░░░░░░░░░  25%  3.0 MiB sent  2.0 MiB/s  0 of 4 copies"));
    // Copies that are made have no rate of this node's.
    copies.done = ByteCount(90);
    CHECK_FALSE(contains(view.on_progress(copies, at(1s)), "ETA"));
    copies.eta = 12s;
    CHECK(contains(view.on_progress(copies, at(2s)),
                   "  2.0 MiB/s  ETA 12 s  0 of 4 copies  after 2"));
}

TEST_CASE("on a narrow terminal the bar is shorter, and what matters least is left out") {
    ProgressEvent moved = event("data", 0, 1U << 30);
    const auto drawn_on = [&](std::size_t width) {
        ProgressView view({Kind::redraw, false, width});
        moved.holders = 0;
        moved.done = ByteCount(0);
        (void)view.on_progress(moved, at(0s));
        moved.holders = 3;
        moved.done = ByteCount(512U << 20);
        return view.on_progress(moved, at(4s)).substr(4);
    };
    CHECK(drawn_on(200) ==
          "data       ██████████░░░░░░░░░░  50%  512.0 MiB of 1.0 GiB  128.0 MiB/s  ETA 4 s"
          "  3 holders  after 4.0 s");
    CHECK(drawn_on(80) ==
          "data       ████░░░░  50%  512.0 MiB of 1.0 GiB  128.0 MiB/s  ETA 4 s  3 holders");
    CHECK(drawn_on(60) == "data       ███░░░  50%  128.0 MiB/s  ETA 4 s  3 holders");
    CHECK(drawn_on(34) == "data       ██░░░  50%  ETA 4 s");
    CHECK(drawn_on(20) == "data        50%");
    CHECK(drawn_on(12) == "data");
}

TEST_CASE("a line never exceeds the terminal") {
    ProgressEvent all = event("copies", 512, 1024);
    all.holders = all.copies_min = all.copies_target = 4;
    all.sent = all.own = ByteCount(1000 << 10);
    all.sent_rate = 1000 << 10;
    all.eta = 100h;
    for (std::size_t width = 2; width <= 200; ++width) {
        ProgressView view({Kind::redraw, true, width});
        const auto first = view.on_progress(all, at(0ms));
        CHECK(cells(first.substr(4)) < width);
        CHECK(cells(view.on_tick(at(1h)).substr(4)) < width);
    }
}

TEST_CASE("nothing is shown when nothing was asked for") {
    ProgressView view({});
    CHECK(view.on_progress(event("data"), at(0ms)).empty());
    CHECK(view.on_tick(at(1s)).empty());
    CHECK(view.on_end(at(1s)).empty());
}

}  // namespace flow29::cli
