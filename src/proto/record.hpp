// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/identity.hpp"
#include "core/time.hpp"

/// What nodes sign. Each encoding is a msgpack array whose last field is an Ed25519 signature over
/// the domain string followed by the encoding of all fields before it. A decoder checks
/// the signature, so a decoded record is what its signer said; whether it still holds is for the
/// caller to judge by `expires` and `sequence`.
namespace flow29::proto {

/// Where a node is and what it offers; signed by the node itself.
struct NodeRecord {
    PublicKey key;
    std::vector<core::Endpoint> addresses;  ///< best first, 0 to 8; none: cannot be dialled
    std::uint8_t capacity_class = 0;        ///< core::capacity_class_of
    bool storing = false;                   ///< false: fetches and publishes only
    std::uint64_t started_ms = 0;           ///< unix ms at which the node started: its youth
    std::uint64_t sequence = 0;             ///< unix ms of signing; a higher one replaces
    WallTime expires;
    Signature signature;

    bool operator==(const NodeRecord&) const = default;
    [[nodiscard]] NodeId node() const { return core::node_id_of(key); }

    /// Sets key and signature.
    void sign(const core::Identity& identity);
    [[nodiscard]] Bytes encode() const;
    /// Errc::peer_misbehaved when malformed, Errc::verification_failed when not signed by `key`.
    [[nodiscard]] static Result<NodeRecord> decode(ByteView raw);
};

/// What a root hash commits to, so that a reader can check a record before it dials anyone.
struct ObjectSummary {
    ObjectKind kind = ObjectKind::file;
    ByteCount length;
    TreeHash tree;
    unsigned level = 0;

    bool operator==(const ObjectSummary&) const = default;
    [[nodiscard]] bool matches(const RootHash& root) const;
};

/// "This node holds what is at `key`": the descriptor of a root, an extent, or a single chunk.
/// Packed it is at most limits::record_bytes_max.
struct ProviderRecord {
    DhtKey key;  ///< signed but not encoded: the reader knows where it looked
    PublicKey signer;
    core::Endpoint address;
    std::uint64_t sequence = 0;  ///< unix ms of signing
    WallTime expires;
    std::optional<ObjectSummary> summary;  ///< at root keys only
    Signature signature;

    bool operator==(const ProviderRecord&) const = default;
    [[nodiscard]] NodeId node() const { return core::node_id_of(signer); }
    /// 64 bits of SHA-256(signer ‖ key), never 0: one value per signer and key.
    [[nodiscard]] std::uint64_t value_id() const;

    void sign(const core::Identity& identity);
    [[nodiscard]] Bytes encode() const;
    [[nodiscard]] static Result<ProviderRecord> decode(ByteView raw, const DhtKey& key);
};

/// Leave to hold an object, and for how long: a stored extent lives while any lease on a root that
/// contains it does. A withdrawal is a lease with `withdrawn` set and a higher sequence; it ends
/// the publisher's own lease only.
struct Lease {
    RootHash root;
    PublicKey publisher;
    std::uint8_t copies = 4;  ///< wanted on nodes other than the publisher
    WallTime expires;
    std::uint64_t sequence = 0;
    bool withdrawn = false;
    Signature signature;

    bool operator==(const Lease&) const = default;

    void sign(const core::Identity& identity);
    [[nodiscard]] Bytes encode() const;
    [[nodiscard]] static Result<Lease> decode(ByteView raw);
};

/// Whether a record with this expiry may be believed at `now`: not past (with the tolerance for
/// clocks that differ) and not further ahead than a record may live.
[[nodiscard]] bool within_record_window(WallTime expires, WallTime now);

}  // namespace flow29::proto
