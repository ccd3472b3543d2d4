// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/transfer_reason.hpp"

#include <doctest/doctest.h>

#include "samples.hpp"

using namespace flow29;
using namespace flow29::proto;
using Reason = TransferReason;

namespace {

const auto fast = sample_id<NodeId>(1);
const auto slow = sample_id<NodeId>(2);

/// A fetch that gets data from two holders.
TransferFacts flowing() {
    TransferFacts facts;
    facts.stage = Stage::data;
    facts.holders = 2;
    facts.peers = {{fast, 9e6, 4}, {slow, 1e5, 2}};
    return facts;
}

}  // namespace

TEST_CASE("before there is data it is looked up, or read from disk") {
    TransferFacts facts;
    for (const auto stage : {Stage::joining, Stage::looking_up, Stage::connecting, Stage::tree}) {
        facts.stage = stage;
        CHECK(explain(facts).reason == Reason::looking_up);
    }
    facts.kind = TransferKind::publish;
    facts.stage = Stage::hashing;
    CHECK(explain(facts).reason == Reason::disk);
}

TEST_CASE("a pause comes before every other reason") {
    auto facts = flowing();
    facts.paused = facts.line_full = true;
    CHECK(explain(facts).reason == Reason::paused);
    facts.stage = Stage::looking_up;
    CHECK(explain(facts).reason == Reason::paused);
}

TEST_CASE("without anybody to ask, or with nobody who has the rest, holders are missing") {
    auto facts = flowing();
    facts.holders = 0;
    facts.peers.clear();
    CHECK(explain(facts).reason == Reason::no_holders);
    facts = flowing();
    facts.starved = true;
    CHECK(explain(facts).reason == Reason::limited_by_holder);
    for (auto& peer : facts.peers)
        peer.in_flight = 0;
    CHECK(explain(facts).reason == Reason::no_holders);
}

TEST_CASE("a full line of ours, else the slowest of those who are asked") {
    auto facts = flowing();
    CHECK(explain(facts) == TransferExplanation{Reason::limited_by_holder, slow});
    facts.line_full = true;
    CHECK(explain(facts) == TransferExplanation{Reason::limited_by_us, std::nullopt});
    facts.line_full = false;
    facts.peers[1].in_flight = 0;
    CHECK(explain(facts).holder == fast);
}

TEST_CASE("the disk, once more than half of what was asked for waits for it") {
    auto facts = flowing();
    facts.being_written = 3;
    CHECK(explain(facts).reason == Reason::limited_by_holder);
    facts.being_written = 4;
    facts.line_full = true;
    CHECK(explain(facts).reason == Reason::disk);
}

TEST_CASE("a fetch that asks nobody yet, though holders are there, is still looking") {
    auto facts = flowing();
    for (auto& peer : facts.peers)
        peer.in_flight = 0;
    CHECK(explain(facts) == TransferExplanation{Reason::looking_up, std::nullopt});
    facts.being_written = 1;
    CHECK(explain(facts).reason == Reason::disk);
}

TEST_CASE("a stream of which nothing is asked waits for its reader") {
    auto facts = flowing();
    facts.kind = TransferKind::stream;
    CHECK(explain(facts).reason == Reason::limited_by_holder);
    for (auto& peer : facts.peers)
        peer.in_flight = 0;
    CHECK(explain(facts).reason == Reason::reader);
    facts.being_written = 1;
    CHECK(explain(facts).reason == Reason::disk);
}

TEST_CASE("a publication waits for others, for our line, or for those who store it") {
    TransferFacts facts;
    facts.kind = TransferKind::publish;
    facts.stage = Stage::copies;
    CHECK(explain(facts).reason == Reason::no_holders);
    facts.holders = 4;
    CHECK(explain(facts) == TransferExplanation{Reason::limited_by_holder, std::nullopt});
    facts.line_full = true;
    CHECK(explain(facts).reason == Reason::limited_by_us);
}

TEST_CASE("people are told whom the reason means") {
    const auto text = explanation_text({Reason::limited_by_holder, slow}, TransferKind::fetch);
    CHECK(text == "limited by holder " + to_hex(slow).substr(0, 12));
    CHECK(explanation_text({Reason::no_holders, {}}, TransferKind::publish) !=
          explanation_text({Reason::no_holders, {}}, TransferKind::fetch));
}
