// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <flow29/ids.hpp>
#include <flow29/node.hpp>

namespace flow29::proto {

/// How a transfer stands at one moment.
struct TransferFacts {
    struct Peer {
        NodeId node;
        double rate = 0;            ///< bytes per second, estimated; 0: nothing came yet
        std::size_t in_flight = 0;  ///< pieces asked for and not yet written
    };
    TransferKind kind = TransferKind::fetch;
    Stage stage = Stage::joining;
    bool paused = false;
    bool line_full = false;         ///< our own limit holds bytes back, in the direction it needs
    std::uint64_t holders = 0;      ///< that can be asked, or that could store it
    bool starved = false;           ///< something wanted is at nobody who can be asked
    std::size_t being_written = 0;  ///< pieces that came and are being checked and written
    std::vector<Peer> peers;        ///< of a fetch or stream: who is asked
};

struct TransferExplanation {
    TransferReason reason = TransferReason::looking_up;
    std::optional<NodeId> holder;  ///< of limited_by_holder, if one stands out

    bool operator==(const TransferExplanation&) const = default;
};

/// Why a transfer is no faster than it is: the one thing that would have to change first.
///
/// Rules, the first that applies:
/// 1. It is paused.
/// 2. Before there is anything to move: the source is being read (disk), or it is looked up.
/// 3. Nobody who can be asked has what is missing.
/// 4. Nothing is asked for and nothing is being written, though holders are there: whoever reads
///    the stream takes his time; a fetch has just begun or been resumed, and looks for whom to ask.
/// 5. More than half of what was asked for is here, and is being checked and written: the disk, or
///    the processor, which is not told from it.
/// 6. Our own limit is exhausted.
/// 7. Else those who are asked deliver no faster; of several the one with the lowest rate.
[[nodiscard]] TransferExplanation explain(const TransferFacts& facts);

/// "limited by holder 3f2a91bc04de": for people.
[[nodiscard]] std::string explanation_text(const TransferExplanation& explanation,
                                           TransferKind kind);

}  // namespace flow29::proto
