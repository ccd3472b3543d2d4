// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/transfer_reason.hpp"

#include <algorithm>

namespace flow29::proto {
namespace {

using Reason = TransferReason;

constexpr std::size_t short_id_digits = 12;

std::optional<NodeId> slowest(const std::vector<TransferFacts::Peer>& peers) {
    const TransferFacts::Peer* found = nullptr;
    for (const auto& peer : peers)
        if (peer.in_flight > 0 && (found == nullptr || peer.rate < found->rate)) found = &peer;
    if (found == nullptr) return std::nullopt;
    return found->node;
}

TransferExplanation explain_publish(const TransferFacts& facts) {
    if (facts.holders == 0) return {Reason::no_holders, {}};
    if (facts.line_full) return {Reason::limited_by_us, {}};
    return {Reason::limited_by_holder, {}};
}

}  // namespace

TransferExplanation explain(const TransferFacts& facts) {
    if (facts.paused) return {Reason::paused, {}};
    if (facts.stage == Stage::hashing) return {Reason::disk, {}};
    if (facts.stage == Stage::copies) return explain_publish(facts);
    if (facts.stage != Stage::data) return {Reason::looking_up, {}};

    std::size_t in_flight = 0;
    for (const auto& peer : facts.peers)
        in_flight += peer.in_flight;
    const bool idle = in_flight == 0 && facts.being_written == 0;
    if (facts.holders == 0 || (idle && facts.starved)) return {Reason::no_holders, {}};
    if (idle && facts.kind == TransferKind::stream) return {Reason::reader, {}};
    if (idle) return {Reason::looking_up, {}};
    if (2 * facts.being_written > in_flight) return {Reason::disk, {}};
    if (facts.line_full) return {Reason::limited_by_us, {}};
    return {Reason::limited_by_holder, slowest(facts.peers)};
}

std::string explanation_text(const TransferExplanation& explanation, TransferKind kind) {
    switch (explanation.reason) {
        case Reason::paused:
            return "paused";
        case Reason::looking_up:
            return "looking up";
        case Reason::no_holders:
            return kind == TransferKind::publish ? "no other node takes it"
                                                 : "no holders of what is missing";
        case Reason::limited_by_us:
            return "limited by us";
        case Reason::limited_by_holder:
            if (explanation.holder)
                return "limited by holder " +
                       to_hex(*explanation.holder).substr(0, short_id_digits);
            return "limited by the holders";
        case Reason::reader:
            return "the reader takes its time";
        case Reason::disk:
            return "disk or processor of this machine";
    }
    return "";
}

}  // namespace flow29::proto
