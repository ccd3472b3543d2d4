// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/download_planner.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "download_world.hpp"

namespace flow29::proto {
namespace {

using Blame = DownloadPlanner::Blame;
using Options = DownloadPlanner::Options;
using PieceId = DownloadPlanner::PieceId;
using Request = DownloadPlanner::Request;

TEST_CASE("a request names the same chunks within the extent and bytes within the object") {
    Download d(64);
    d.add(1);
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    CHECK(requests[1].extent == ExtentIndex(0));
    CHECK(requests[1].chunks ==
          ChunkRange{ChunkIndex(chunks_per_mib), ChunkIndex(2 * chunks_per_mib)});
    CHECK(requests[1].bytes == ByteRange{ByteCount(mib), ByteCount(2 * mib)});
    CHECK(d.planner.in_flight() == 2);
}

TEST_CASE("every chunk of a level 0 object is a piece") {
    const core::Layout layout(ByteCount(10 * 512 + 7), 0);
    DownloadPlanner planner(layout, {ByteCount(0), layout.length()}, {},
                            {.pieces_min = 64, .pieces_max = 64});
    planner.add_peer(fake_node(1), at(0s));
    planner.set_holds_all(fake_node(1));
    std::uint64_t extent = 0;
    while (const auto request = planner.poll_request(at(0s))) {
        CHECK(request->extent.value == extent++);
        CHECK(request->chunks == ChunkRange{ChunkIndex(0), ChunkIndex(1)});
        CHECK(planner.on_piece(request->piece, fake_node(1), at(0s)));
    }
    CHECK(extent == 11);
    CHECK(planner.done());
    CHECK(planner.verified() == layout.length());
}

TEST_CASE("an empty object or want is done before it begins") {
    DownloadPlanner nothing(core::Layout(ByteCount(0), 11), {ByteCount(0), ByteCount(0)}, {}, {});
    CHECK(nothing.done());
    nothing.add_peer(fake_node(1), at(0s));
    nothing.set_holds_all(fake_node(1));
    nothing.set_holds(fake_node(1), ExtentIndex(0));
    CHECK_FALSE(nothing.poll_request(at(0s)));
    CHECK_FALSE(nothing.next_deadline(at(0s)));
    CHECK(nothing.starved(10, at(0s)).empty());
    nothing.check_invariants();
}

TEST_CASE("what is in `have` is neither asked for nor counted") {
    core::RangeSet have;
    have.insert(0, 30 * mib);
    have.insert(31 * mib, 64 * mib - 1);
    Download d(64, {}, have);
    d.add(1);
    CHECK(d.planner.wanted() == ByteCount(mib + 512));
    CHECK(d.planner.verified() == ByteCount(0));
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].bytes == ByteRange{ByteCount(30 * mib), ByteCount(31 * mib)});
    CHECK(requests[1].bytes == ByteRange{ByteCount(64 * mib - 512), ByteCount(64 * mib)});
    for (const Request& request : requests)
        CHECK(d.planner.on_piece(request.piece, request.peer, at(1s)));
    CHECK(d.planner.done());
}

TEST_CASE("cells say what is missing, who has it and who gave it") {
    core::RangeSet have;
    have.insert(0, 4 * mib);  // two extents of 2 MiB
    Download d(64, {}, have);
    d.add(1);
    auto cells = d.planner.cells(100);
    REQUIRE(cells.size() == 32);
    CHECK(cells[1].wanted == ByteCount(2 * mib));
    CHECK(cells[1].missing == ByteCount(0));
    CHECK(cells[2].missing == ByteCount(2 * mib));
    CHECK(cells[2].holders == 1);
    CHECK_FALSE(cells[2].by);
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    CHECK(d.planner.cells(100)[2].missing == ByteCount(2 * mib));  // asked is not there
    CHECK(d.planner.on_piece(requests[0].piece, fake_node(1), at(1s)));
    cells = d.planner.cells(100);
    CHECK(cells[2].missing == ByteCount(mib));
    CHECK(cells[2].by == fake_node(1));
    CHECK_FALSE(cells[3].by);
    d.planner.remove_peer(fake_node(1), at(1s));
    CHECK(d.planner.cells(100)[2].holders == 0);

    // 32 extents in at most 10 cells: four each, so eight.
    cells = d.planner.cells(10);
    REQUIRE(cells.size() == 8);
    CHECK(cells[0].wanted == ByteCount(8 * mib));
    CHECK(cells[0].missing == ByteCount(3 * mib));
    CHECK(cells[0].by == fake_node(1));
}

TEST_CASE("a cell of which nothing is wanted says so") {
    const core::Layout layout(ByteCount(8 * mib), 12);
    const DownloadPlanner planner(layout, {ByteCount(5 * mib), ByteCount(6 * mib)}, {}, {});
    const auto cells = planner.cells(4);
    REQUIRE(cells.size() == 4);
    CHECK(cells[1].wanted == ByteCount(0));
    CHECK(cells[1].missing == ByteCount(0));
    CHECK(cells[2].wanted == ByteCount(mib));
    CHECK(cells[2].missing == ByteCount(mib));
    const DownloadPlanner nothing(core::Layout(ByteCount(0), 11), {}, {}, {});
    CHECK(nothing.cells(4).empty());
}

TEST_CASE("an extent is begun only while those begun and not taken have room for it") {
    Download d(64);
    d.planner.set_begin_max(ByteCount(4 * mib));  // two extents
    d.add(1);
    d.add(2);
    d.add(3);
    const auto requests = d.poll_all(0s);
    CHECK(mebibytes_of(requests) == std::vector<std::uint64_t>{0, 1, 2, 3});
    CHECK(d.planner.begun() == ByteCount(4 * mib));
    for (const Request& request : requests)
        CHECK(d.planner.on_piece(request.piece, request.peer, at(1s)));
    CHECK(d.poll_all(1s).empty());
    d.planner.on_taken(ExtentIndex(0));
    CHECK(d.planner.begun() == ByteCount(2 * mib));
    CHECK(mebibytes_of(d.poll_all(1s)) == std::vector<std::uint64_t>{4, 5});
    d.planner.set_begin_max(ByteCount(8 * mib));
    CHECK(mebibytes_of(d.poll_all(1s)) == std::vector<std::uint64_t>{6, 7, 8, 9});
}

TEST_CASE("what was begun goes on without room for more") {
    Download d(64);
    d.planner.set_begin_max(ByteCount(2 * mib));
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    d.planner.on_failure(requests[1].piece, peer, Blame::ours, at(0s));
    d.planner.set_begin_max(ByteCount(0));
    CHECK(mebibytes_of(d.poll_all(0s)) == std::vector<std::uint64_t>{1});
}

TEST_CASE("an extent that is dropped is not asked for, and what was asked of it still counts") {
    Download d(64);
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);  // the first extent
    REQUIRE(requests.size() == 2);
    d.planner.drop(ExtentIndex(0));
    d.planner.drop(ExtentIndex(1));
    d.planner.check_invariants();
    CHECK(d.planner.wanted() == ByteCount(62 * mib));
    CHECK(d.planner.on_piece(requests[0].piece, peer, at(1s)));
    d.planner.on_failure(requests[1].piece, peer, Blame::ours, at(1s));
    d.planner.check_invariants();
    CHECK(d.planner.wanted() == ByteCount(61 * mib));
    while (!d.planner.done()) {
        const auto next = d.poll_all(2s);
        REQUIRE_FALSE(next.empty());
        for (const Request& request : next) {
            CHECK(request.extent.value >= 2);
            CHECK(d.planner.on_piece(request.piece, peer, at(2s)));
        }
    }
    CHECK(d.planner.verified() == ByteCount(61 * mib));
}

TEST_CASE("planner asks a peer only for extents it is said to hold") {
    Download d(64);
    const NodeId peer = d.add(1, false);
    CHECK(d.poll_all(0s).empty());
    d.planner.set_holds(peer, ExtentIndex(7));
    d.planner.set_holds(peer, ExtentIndex(32));  // the object has 32: 0 to 31
    const auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    for (const Request& request : requests)
        CHECK(request.extent == ExtentIndex(7));
}

TEST_CASE("planner does not ask a peer for an extent it lacks, whatever is said later") {
    Download d(64);
    const NodeId peer = d.add(1);
    auto requests = d.poll_all(0s);
    REQUIRE(requests[0].extent == ExtentIndex(0));
    d.planner.on_failure(requests[0].piece, peer, Blame::lacks, at(1s));
    CHECK(d.planner.in_flight() == 1);  // the other asking stands
    d.planner.on_failure(requests[1].piece, peer, Blame::lacks, at(1s));
    d.planner.set_holds_all(peer);
    d.planner.set_holds(peer, ExtentIndex(0));
    requests = d.poll_all(1s);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].extent == ExtentIndex(1));
    const NodeId other = d.add(2);
    requests = d.poll_all(1s);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].extent == ExtentIndex(0));
    CHECK(requests[0].peer == other);
}

TEST_CASE("a guess is asked like what was said, and forgotten when it was wrong") {
    Download d(64);
    d.planner.add_peer(fake_node(1), at(0s));
    d.planner.guess_holds(fake_node(1), ExtentIndex(0));
    auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 2);
    for (const Request& request : requests) {
        CHECK(request.extent == ExtentIndex(0));
        d.planner.on_failure(request.piece, request.peer, Blame::lacks, at(1s));
    }
    CHECK(d.poll_all(1s).empty());
    CHECK(d.planner.starved(1, at(1s)) == std::vector{ExtentIndex(0)});
    // It has it now, and says so.
    d.planner.set_holds(fake_node(1), ExtentIndex(0));
    requests = d.poll_all(2s);
    CHECK(requests.size() == 2);
    // What was said, and turns out wrong, is not believed again.
    for (const Request& request : requests)
        d.planner.on_failure(request.piece, request.peer, Blame::lacks, at(3s));
    d.planner.set_holds(fake_node(1), ExtentIndex(0));
    d.planner.guess_holds(fake_node(1), ExtentIndex(0));
    CHECK(d.poll_all(3s).empty());
    d.planner.check_invariants();
}

TEST_CASE(
    "in order, the first piece is asked of two that are guessed to hold it, of one that says so") {
    Download d(64, {.in_order = true});
    for (const std::uint32_t number : {1, 2, 3}) {
        d.planner.add_peer(fake_node(number), at(0s));
        d.planner.guess_holds(fake_node(number), ExtentIndex(0));
    }
    const auto requests = d.poll_all(0s);
    const auto askings_of_first = std::ranges::count_if(
        requests, [](const Request& request) { return request.bytes.first == ByteCount(0); });
    CHECK(askings_of_first == 2);
    std::set<std::pair<NodeId, PieceId>> distinct;
    for (const Request& request : requests)
        CHECK(distinct.emplace(request.peer, request.piece).second);

    Download sure(64, {.in_order = true});
    sure.add(1);
    sure.add(2);
    std::set<PieceId> pieces;
    for (const Request& request : sure.poll_all(0s))
        CHECK(pieces.insert(request.piece).second);
}

TEST_CASE(
    "a new peer starts with the least and may have twice as much with each piece it delivers") {
    Download d(256);
    const NodeId peer = d.add(1);
    auto requests = d.poll_all(0s);
    std::size_t delivered = 0;
    std::vector<std::size_t> in_flight{d.planner.in_flight()};
    for (Duration now = 1ms; delivered < 5; now += 1ms) {
        CHECK(d.planner.on_piece(requests[delivered++].piece, peer, at(now)));
        for (const Request& request : d.poll_all(now))
            requests.push_back(request);
        in_flight.push_back(d.planner.in_flight());
    }
    CHECK(in_flight == std::vector<std::size_t>{2, 4, 8, 16, 16, 16});
}

TEST_CASE("a peer has in flight what it delivers within the horizon") {
    struct Case {
        Duration per_piece;
        std::size_t in_flight;
    };
    for (const Case& c : {Case{2000ms, 2}, Case{200ms, 2}, Case{101ms, 4}, Case{51ms, 8},
                          Case{41ms, 10}, Case{10ms, 16}}) {
        Download d(256);
        const NodeId peer = d.add(1);
        Duration now = 0s;
        d.warm_up(peer, now, c.per_piece, 12);
        CHECK(d.poll_all(now).size() == c.in_flight);
        CHECK(d.planner.peers()[0].rate ==
              doctest::Approx(double(mib) / std::chrono::duration<double>(c.per_piece).count())
                  .epsilon(0.01));
    }
}

TEST_CASE("the peer that would be done first is asked for the first piece") {
    Download d(256);
    const NodeId slow = d.add(1);
    Duration now = 0s;
    d.warm_up(slow, now, 500ms, 3);
    d.planner.remove_peer(slow, at(now));
    const NodeId fast = d.add(2);
    d.warm_up(fast, now, 20ms, 8);
    d.planner.add_peer(slow, at(now));
    const auto requests = d.poll_all(now);
    REQUIRE(requests.size() == 18);
    for (std::size_t i = 0; i < 16; ++i)
        CHECK(requests[i].peer == fast);
    CHECK(mebibytes_of(requests)[0] == 11);
}

TEST_CASE("in order, nothing ends beyond the window, and the window moves") {
    Options options{.in_order = true, .window = ByteCount(2 * mib), .start_at = 5 * mib};
    options.pieces_min = options.pieces_max = 100;
    Download d(64, options);
    const NodeId peer = d.add(1);
    auto requests = d.poll_all(0s);
    REQUIRE(requests.size() == 8);  // of 256 KiB
    CHECK(requests.front().bytes.first == ByteCount(0));
    CHECK(requests.back().bytes.last == ByteCount(2 * mib));
    for (const Request& request : requests)
        CHECK(d.planner.on_piece(request.piece, peer, at(1s)));
    CHECK(d.poll_all(1s).empty());
    d.planner.on_consumed(ByteCount(256 * 1024 - 1));
    CHECK(d.poll_all(1s).empty());
    d.planner.on_consumed(ByteCount(512 * 1024));
    d.planner.on_consumed(ByteCount(5));  // does not go back
    requests = d.poll_all(1s);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].bytes.first == ByteCount(2 * mib));
    CHECK(requests[1].bytes.last == ByteCount(2 * mib + 512 * 1024));
}

TEST_CASE("in order, the piece at the reading position is asked for however small the window") {
    const core::Layout layout(ByteCount(mib), 11);
    DownloadPlanner planner(layout, {ByteCount(100'001), ByteCount(mib)}, {},
                            {.in_order = true, .window = ByteCount(0)});
    planner.add_peer(fake_node(1), at(0s));
    planner.set_holds_all(fake_node(1));
    std::uint64_t read = 100'001;
    while (!planner.done()) {
        const auto request = planner.poll_request(at(0s));
        REQUIRE(request);
        REQUIRE(request->bytes.first.value <= read);
        REQUIRE(request->bytes.last.value > read);
        CHECK_FALSE(planner.poll_request(at(0s)));
        CHECK(planner.on_piece(request->piece, fake_node(1), at(0s)));
        read = request->bytes.last.value;
        planner.on_consumed(ByteCount(read));
    }
    CHECK(read == mib);
}

TEST_CASE("otherwise the order begins at an offset and wraps around") {
    Options options{.start_at = (64 + 61) * mib + 12'345};
    options.pieces_min = options.pieces_max = 100;
    Download d(64, options);
    d.add(1);
    const auto order = mebibytes_of(d.poll_all(0s));
    REQUIRE(order.size() == 64);
    for (std::uint64_t i = 0; i < 64; ++i)
        CHECK(order[i] == (61 + i) % 64);
}

TEST_CASE("a start outside of what is wanted does not matter") {
    for (const std::uint64_t start : {0 * mib, 9 * mib, 10 * mib, 60 * mib}) {
        const core::Layout layout(ByteCount(64 * mib), 12);
        DownloadPlanner planner(layout, {ByteCount(10 * mib), ByteCount(11 * mib)}, {},
                                {.start_at = start});
        planner.add_peer(fake_node(1), at(0s));
        planner.set_holds_all(fake_node(1));
        const auto request = planner.poll_request(at(0s));
        REQUIRE(request);
        CHECK(request->bytes.first == ByteCount(10 * mib));
    }
}

TEST_CASE("unfinished extents are those with a byte that is wanted and not verified") {
    const core::Layout layout(ByteCount(10 * mib), 11);
    const ByteRange want{ByteCount(2 * mib - 1), ByteCount(5 * mib)};
    core::RangeSet have;
    have.insert(3 * mib, 4 * mib);
    DownloadPlanner planner(layout, want, have, {});
    const std::vector all{ExtentIndex(1), ExtentIndex(2), ExtentIndex(4)};
    CHECK(planner.unfinished() == all);
    planner.add_peer(fake_node(1), at(0s));
    planner.set_holds(fake_node(1), ExtentIndex(2));
    while (const auto request = planner.poll_request(at(0s))) {
        CHECK(planner.unfinished() == all);  // asked is not there yet
        CHECK(planner.on_piece(request->piece, fake_node(1), at(0s)));
    }
    CHECK(planner.unfinished() == std::vector{ExtentIndex(1), ExtentIndex(4)});
}

TEST_CASE("starved extents are those unfinished that no usable peer holds") {
    Download d(64);
    const auto starved = [&](std::size_t count_max = 100) {
        std::set<std::uint64_t> result;
        for (const ExtentIndex e : d.planner.starved(count_max, at(1s)))
            result.insert(e.value);
        return result;
    };
    CHECK(starved().size() == 32);
    CHECK(starved(3) == std::set<std::uint64_t>{0, 1, 2});
    CHECK(starved(0).empty());
    const NodeId peer = d.add(1, false);
    for (std::uint64_t e = 2; e < 32; ++e)
        d.planner.set_holds(peer, ExtentIndex(e));
    CHECK(starved() == std::set<std::uint64_t>{0, 1});
    const NodeId other = d.add(2, false);
    d.planner.set_holds(other, ExtentIndex(0));
    CHECK(starved() == std::set<std::uint64_t>{1});
    const auto requests = d.poll_all(0s);
    for (const Request& request : requests)
        if (request.peer == other) CHECK(d.planner.on_piece(request.piece, other, at(1s)));
    // All of extent 0 is there, so nobody is needed for it.
    d.planner.remove_peer(other, at(1s));
    CHECK(starved() == std::set<std::uint64_t>{1});
    for (const Request& request : requests)
        if (request.peer == peer && request.chunks.first.value == 0)
            d.planner.on_failure(request.piece, peer, Blame::lacks, at(1s));
    CHECK(starved() == std::set<std::uint64_t>{1, 2});
    d.planner.on_failure(requests[0].piece, peer, Blame::lied, at(1s));
    CHECK(starved().size() == 31);
}

TEST_CASE("an extent is promised once somebody was said to hold it, whatever comes of that") {
    Download d(4);
    const auto promised = [&d](std::uint64_t e) { return d.planner.was_promised(ExtentIndex(e)); };
    const NodeId guessed = d.add(1, false);
    d.planner.guess_holds(guessed, ExtentIndex(0));
    CHECK_FALSE(promised(0));
    for (const Request& request : d.poll_all(0s))
        d.planner.on_failure(request.piece, guessed, Blame::lacks, at(0s));
    CHECK_FALSE(promised(0));
    const NodeId said = d.add(2, false);
    d.planner.set_holds(said, ExtentIndex(1));
    CHECK(promised(1));
    for (const Request& request : d.poll_all(0s))
        d.planner.on_failure(request.piece, said, Blame::lacks, at(0s));
    CHECK(promised(1));
    d.planner.set_holds(said, ExtentIndex(0));
    d.planner.remove_peer(said, at(1s));
    CHECK(promised(0));
}

TEST_CASE("an extent that only silent peers hold is starved, until something of it comes") {
    Download d(64);
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);
    CHECK(d.planner.starved(100, at(2s - 1ns)).empty());
    CHECK(d.planner.silent(at(2s - 1ns)).empty());
    CHECK(d.planner.starved(100, at(2s)).size() == 32);
    CHECK(d.planner.silent(at(2s)) == std::vector{peer});
    d.planner.on_heard(peer, at(2s));
    CHECK(d.planner.starved(100, at(2s)).empty());
    CHECK(d.planner.starved(100, at(4s)).size() == 32);
    // Whoever has nothing to send is not silent.
    for (const Request& request : requests)
        d.planner.on_failure(request.piece, peer, Blame::ours, at(4s));
    CHECK(d.planner.starved(100, at(4s)).empty());
    CHECK(d.planner.silent(at(4s)).empty());
}

TEST_CASE("a small download is cut small enough for several holders to share it") {
    Download d(1);
    for (std::uint32_t i = 1; i <= 4; ++i)
        d.add(i);
    std::set<NodeId> asked;
    for (const Request& request : d.poll_all(0s))
        asked.insert(request.peer);
    CHECK(asked.size() == 4);
}

TEST_CASE("peers report what they did") {
    Download d(64);
    const NodeId peer = d.add(1);
    const auto requests = d.poll_all(0s);
    CHECK(d.planner.on_piece(requests[0].piece, peer, at(500ms)));
    const auto status = d.planner.peers();
    REQUIRE(status.size() == 1);
    CHECK(status[0].peer == peer);
    CHECK(status[0].bytes == mib);
    CHECK(status[0].rate == doctest::Approx(2.0 * mib));
    CHECK(status[0].in_flight == 1);
    CHECK_FALSE(status[0].banned);
}

TEST_CASE("of any number of nodes that are said to hold it, so many are remembered") {
    Download d(8);
    for (std::uint32_t i = 0; i <= limits::download_peers_max; ++i)
        d.planner.set_holds_all(fake_node(i));
    d.planner.add_peer(fake_node(limits::download_peers_max), at(0s));
    CHECK(d.planner.peers().empty());
    CHECK(d.poll_all(0s).empty());
    d.planner.add_peer(fake_node(limits::download_peers_max - 1), at(0s));
    CHECK_FALSE(d.poll_all(0s).empty());
}

TEST_CASE("a map of the largest object has so many cells") {
    const core::Layout layout(ByteCount(limits::extents_per_object_max * limits::chunk_bytes), 0);
    const DownloadPlanner planner(layout, {ByteCount(0), layout.length()}, {}, {});
    CHECK(planner.cells(limits::cells_max).size() == limits::cells_max);
    CHECK(planner.cells(limits::extents_per_object_max).size() == limits::extents_per_object_max);
}

}  // namespace
}  // namespace flow29::proto
