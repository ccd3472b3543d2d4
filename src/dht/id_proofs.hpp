// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/identity.hpp"
#include "core/time.hpp"

namespace flow29::dht {

/// Where a datagram keeps the id of its sender, and what goes with it.
struct ClaimedId {
    std::span<std::uint8_t> octets;  ///< 20, in the datagram; may be altered
    bool is_client = false;          ///< the sender does not want to be a neighbour
};

/// Binds the ids of the DHT to keys: which id a datagram may carry. OpenDHT believes any id, and
/// moves one that it knows to whatever address a datagram claims it from.
///
///     proof = key (32) ‖ destination (16 + 2) ‖ unix ms (8) ‖ signature (64)
///
/// The signature is over a domain and what stands between the key and it.
///
/// Rules:
/// 1. A neighbour's datagram passes from an address that proved the id it carries, with that very
///    datagram or in the last `proof_lasts`. The id is the beginning of the key's NodeId, and the
///    proof is for the address where it came (core::is_for). Rationale: nobody can show a proof
///    that another gave to him.
/// 2. A client's id is replaced by one made of its address. Rationale: it is random, means nothing
///    to anybody, and so need not be proved, nor may it be somebody's.
/// 3. A signature is looked at when the id fits the key, the time is near, the destination ours,
///    and both the sender's address group and everybody together have not had too many looked at
///    in this second. Rationale: it costs more than all else about a datagram.
/// 4. At most `ids_proven_max` addresses are remembered, `ids_proven_per_group_max` of a /24 or
///    /48; of a full group, or of all, the one proven longest ago goes.
/// 5. A proof goes along with the first `proofs_at_first` datagrams to an address and with each
///    that follows `silence` in which nothing came from there, or a proof from there, or
///    `proof_renewed`. Rationale: whoever lost it, or has forgotten it, gets another before it
///    gives up; a talk under way costs nothing.
///
/// What it does not prevent: who can read and delay what is on its way to a node can show that node
/// a proof first, from another address, until the next one comes. And of a receiver behind an
/// address translation, every public address is an address.
class IdProofs {
  public:
    static constexpr std::size_t proof_bytes = 32 + 18 + 8 + 64;
    using Proof = std::array<std::uint8_t, proof_bytes>;
    static constexpr auto proof_lasts = std::chrono::hours(1);
    static constexpr auto proof_renewed = std::chrono::minutes(20);
    static constexpr auto silence = std::chrono::seconds(2);
    static constexpr unsigned proofs_at_first = 4;

    struct Arrival {
        core::Endpoint from;
        core::Endpoint at;  ///< the address of this node at which it came
        TimePoint now;
        WallTime wall_now;
    };

    /// `identity`: of this node, which outlives this; null: a client, who proves nothing.
    explicit IdProofs(const core::Identity* identity) : identity_(identity) {}

    /// Whether a datagram may go on. `proof`: what came with it, or empty.
    [[nodiscard]] bool admit(const ClaimedId& id, ByteView proof, const Arrival& arrival);
    /// The proof to send along; empty: none now. Valid until the next call.
    [[nodiscard]] ByteView proof_for(const core::Endpoint& to, TimePoint now, WallTime wall_now);

    [[nodiscard]] std::size_t proven() const { return proven_.size(); }
    [[nodiscard]] std::size_t made() const { return told_.size(); }
    [[nodiscard]] std::uint64_t signatures_checked() const { return signatures_checked_; }

  private:
    struct Proven {
        DhtKey id;
        TimePoint at;
        std::uint64_t number = 0;  // in the order of proving
    };
    struct Told {
        Bytes proof;
        TimePoint signed_at;
        TimePoint heard_at;
        unsigned left = proofs_at_first;
    };
    struct Group {
        std::size_t proven = 0;
        unsigned checks = 0;  // in this second
    };

    [[nodiscard]] bool is_proof(ByteView proof, const DhtKey& id, const Arrival& arrival);
    [[nodiscard]] bool may_check(const core::AddressGroup& group, TimePoint now);
    void remember(const DhtKey& id, const Arrival& arrival);
    void forget(const core::Endpoint& endpoint);
    void note_heard(const core::Endpoint& from, bool proved, TimePoint now);

    const core::Identity* identity_;  // owned by the node
    std::unordered_map<core::Endpoint, Proven> proven_;
    std::map<std::uint64_t, core::Endpoint> by_age_;
    std::unordered_map<core::Endpoint, Told> told_;
    std::map<core::AddressGroup, Group> groups_;
    std::uint64_t last_number_ = 0;
    TimePoint second_ends_{};
    unsigned checks_ = 0;
    std::uint64_t signatures_checked_ = 0;
};

/// What a proof adds to a datagram.
inline constexpr std::size_t proof_field_bytes = 4 + IdProofs::proof_bytes;

/// Writes a datagram with a proof in front of its other fields: `k` in its outermost map. False
/// when it is no map of at most 14 fields.
[[nodiscard]] bool add_proof(ByteView datagram, ByteView proof, Bytes& out);
/// Takes the proof off again, so that the rest is as it was. Nothing when there is none, and
/// nothing is altered then.
[[nodiscard]] std::optional<IdProofs::Proof> take_proof(std::span<std::uint8_t>& datagram);

}  // namespace flow29::dht
