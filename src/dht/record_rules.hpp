// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include <flow29/ids.hpp>
#include <flow29/limits.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"
#include "proto/record.hpp"

namespace flow29::dht {

/// The kind of a stored value: the number under which OpenDHT knows it.
enum class RecordType : std::uint16_t { provider = 2900, node = 2901 };

/// A record's own octets. OpenDHT wraps them in 40 more and cuts values of 600 octets and above
/// into parts, which the datagram guard refuses.
inline constexpr std::size_t record_payload_bytes_max = 559;
static_assert(record_payload_bytes_max <= limits::record_bytes_max);

/// A value as it lies in the index, not looked into yet.
struct RawValue {
    RecordType type = RecordType::provider;
    std::uint64_t id = 0;
    Bytes octets;
};

/// A value that a neighbour asks this node to store.
struct Offer {
    RecordType type = RecordType::provider;
    DhtKey key;
    std::uint64_t value_id = 0;
    ByteView octets;
    core::Endpoint source;  ///< where the request came from; its owner has echoed a token
};

/// The value id under which a node record is stored: 64 bits of SHA-256(signer ‖ key), never 0.
[[nodiscard]] std::uint64_t node_value_id(const PublicKey& signer, const DhtKey& key);

/// The record in a value found at `key`, or nothing unless it is well-formed, signed, within its
/// window and under the value id of its signer.
[[nodiscard]] std::optional<proto::ProviderRecord> read_provider(const DhtKey& key,
                                                                 const RawValue& value,
                                                                 WallTime now);
/// Likewise; `key` must be the core::node_key of the signer.
[[nodiscard]] std::optional<proto::NodeRecord> read_node(const DhtKey& key, const RawValue& value,
                                                         WallTime now);

/// Decides what a storing node accepts from others.
///
/// Rules:
/// 1. A record is stored only if a reader would believe it, and only from the IP address it names.
///    The port is not compared: puts come from a second socket. A record without addresses (a node
///    that cannot be dialled) may come from anywhere. This node's own records, and on a node not
///    bound to loopback everything that comes from this machine, need not match.
///    Rationale: else one machine could fill a key with records that name others.
/// 2. At most `records_per_key` signers at a key and `records_per_group` of one address group.
///    Rationale: whoever owns a /24 must not crowd out the true holders. A swarm on loopback is
///    exempt if `loopback_is_diverse`.
/// 3. A record is replaced only by its own signer and only by a higher sequence.
/// 4. Cheap checks come before the signature, which costs 185 µs.
///
/// OpenDHT's policies cannot see its store, so this keeps a book of what was accepted. An entry
/// goes when its record expires; `records` bounds the book and with it the store.
class RecordRules {
  public:
    struct Options {
        NodeId self{};
        bool bound_to_loopback = false;
        bool loopback_is_diverse = false;
        unsigned records_per_group = limits::records_per_group_max;
        unsigned records_per_key = limits::records_per_key_max;
        std::size_t records = 500'000;  ///< at 0.9 KB each in OpenDHT's store
    };

    explicit RecordRules(const Options& options) : options_(options) {}

    /// Whether a value that is not in the store yet may enter it. O(records at the key).
    [[nodiscard]] bool may_store(const Offer& offer, WallTime now);
    /// Whether `offer` may replace `stored`, which has the same key and value id.
    [[nodiscard]] bool may_replace(const Offer& offer, ByteView stored, WallTime now);

    /// Records in the book, the expired ones that were not looked at again included.
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    struct Entry {
        std::uint64_t value_id;
        core::AddressGroup group;
        bool counts_in_group;
        WallTime expires;
    };
    using Entries = std::vector<Entry>;

    struct Claim;
    [[nodiscard]] static std::optional<Claim> claim_of(RecordType type, const DhtKey& key,
                                                       std::uint64_t value_id, ByteView octets);
    [[nodiscard]] bool has_room(const Offer& offer, WallTime now);
    [[nodiscard]] bool may_come_from(const Claim& claim, const core::Endpoint& source) const;
    [[nodiscard]] bool counts_in_group(const core::Endpoint& source) const;
    void drop_expired(Entries& entries, WallTime now);
    void sweep(WallTime now);
    void enter(const Offer& offer, WallTime expires);

    Options options_;
    std::unordered_map<DhtKey, Entries> by_key_;
    std::size_t size_ = 0;
    WallTime next_sweep_{};
};

}  // namespace flow29::dht
