// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <flow29/ids.hpp>

namespace flow29::proto {

/// How the nodes met in this run have behaved, and which of them are not talked to any more.
/// Sans-IO.
///
/// Rules:
/// 1. Who was caught in a lie is banned: data that do not match their hash, a claim it cannot
/// prove.
///    Rationale: that cannot happen to an honest node, nor be laid at its door by another.
/// 2. Who breaks a rule of the protocol gets a strike; at `strikes_max` it is banned.
///    Rationale: that may be an error in another version, so once is no proof; but each time costs
///    a connection, which whoever goes on must not have for nothing.
/// 3. A ban lasts as long as this node runs, or until `nodes_max` others have been met since.
/// 4. At most `nodes_max` nodes are remembered; who is not banned, then who was noted longest ago,
/// is
///    forgotten first. Rationale: identities cost nothing, so remembering must not either.
///
/// Every member takes O(log nodes), but `marked`, which takes O(nodes).
class PeerConduct {
  public:
    static constexpr unsigned strikes_max = 3;
    static constexpr unsigned score_max = 100;

    struct Entry {
        unsigned score = score_max;  ///< how much of what was lately asked of it came, in percent
        unsigned strikes = 0;        ///< times that it broke a rule or lied
        unsigned disconnects = 0;    ///< connections that ended for that
        bool banned = false;
        std::string reason;   ///< of the last strike; empty: none
        std::string address;  ///< where it was then, if that is known
    };

    explicit PeerConduct(std::size_t nodes_max);

    /// It delivered what was asked of it, or it did not.
    void on_outcome(const NodeId& node, bool delivered);
    /// It broke a rule. True when that made it banned.
    [[nodiscard]] bool on_strike(const NodeId& node, std::string_view why);
    /// It lied. False when it was banned already.
    [[nodiscard]] bool on_lie(const NodeId& node, std::string_view why);
    /// A connection to it was ended for what it did.
    void on_disconnected(const NodeId& node, std::string address);

    [[nodiscard]] bool is_banned(const NodeId& node) const;
    /// What is known of it; a fresh entry when nothing is.
    [[nodiscard]] Entry of(const NodeId& node) const;
    /// Those with strikes, by id.
    [[nodiscard]] std::vector<std::pair<NodeId, Entry>> marked() const;
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    void check_invariants() const;

  private:
    using Age = std::pair<bool, std::uint64_t>;  // banned, then when last noted
    struct Noted {
        Entry entry;
        Age age;
        unsigned share = 0;  // of what was asked that came, in 1/score_scale of a percent
    };

    Noted& note(const NodeId& node);
    void touch(const NodeId& node, Noted& noted);

    std::size_t nodes_max_;
    std::uint64_t clock_ = 0;
    std::unordered_map<NodeId, Noted> entries_;
    std::map<Age, NodeId> by_age_;
};

}  // namespace flow29::proto
