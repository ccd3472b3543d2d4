// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/record.hpp"

#include <flow29/limits.hpp>

#include "core/hash.hpp"
#include "core/layout.hpp"
#include "core/pack.hpp"

#include <algorithm>
#include <string_view>

namespace flow29::proto {
namespace {

// One domain for each kind of signed text, so that a signature never serves as another kind's. None
// is a prefix of what another kind signs: msgpack's array marker follows, which is not ASCII.
constexpr std::string_view node_record_domain = "flow29/node-record/1";
constexpr std::string_view provider_record_domain = "flow29/provider-record/1";
constexpr std::string_view lease_domain = "flow29/lease/1";

// Far beyond any real date, and far from where adding a lifetime would overflow.
constexpr std::uint64_t unix_ms_max = 1ULL << 52;

constexpr std::size_t octets_of_address_max = 16;

Bytes with_domain(std::string_view domain, ByteView fields) {
    Bytes text(domain.begin(), domain.end());
    text.insert(text.end(), fields.begin(), fields.end());
    return text;
}

void pack_endpoint(core::Packer& out, const core::Endpoint& endpoint) {
    out.bin(endpoint.octets()).uint(endpoint.port);
}

core::Endpoint read_endpoint(core::FieldReader& in) {
    const ByteView octets = in.bin(octets_of_address_max);
    const auto port = static_cast<std::uint16_t>(in.uint(0xffff));
    if (!in.ok()) return {};
    const auto endpoint = core::Endpoint::from_octets(octets, port);
    if (!endpoint || endpoint->is_unspecified()) {
        in.fail();
        return {};
    }
    return *endpoint;
}

WallTime read_time(core::FieldReader& in) {
    return from_unix_ms(in.uint(unix_ms_max));
}

// The fields that are both signed and encoded, in their order on the wire.
constexpr std::size_t node_record_fields = 7;
void pack_fields(core::Packer& out, const NodeRecord& record) {
    out.id(record.key).array(record.addresses.size());
    for (const core::Endpoint& address : record.addresses) {
        out.array(2);
        pack_endpoint(out, address);
    }
    out.uint(record.capacity_class).boolean(record.storing).uint(record.started_ms);
    out.uint(record.sequence).uint(to_unix_ms(record.expires));
}

constexpr std::size_t provider_record_fields = 6;
void pack_fields(core::Packer& out, const ProviderRecord& record) {
    out.id(record.signer);
    pack_endpoint(out, record.address);
    out.uint(record.sequence).uint(to_unix_ms(record.expires));
    if (!record.summary) {
        out.nil();
        return;
    }
    out.array(4).uint(static_cast<std::uint64_t>(record.summary->kind));
    out.uint(record.summary->length.value).id(record.summary->tree).uint(record.summary->level);
}

constexpr std::size_t lease_fields = 6;
void pack_fields(core::Packer& out, const Lease& lease) {
    out.id(lease.root).id(lease.publisher).uint(lease.copies).uint(to_unix_ms(lease.expires));
    out.uint(lease.sequence).boolean(lease.withdrawn);
}

Bytes signed_text(const NodeRecord& record) {
    core::Packer out;
    out.array(node_record_fields);
    pack_fields(out, record);
    return with_domain(node_record_domain, out.take());
}

Bytes signed_text(const ProviderRecord& record) {
    core::Packer out;
    out.array(provider_record_fields + 1).id(record.key);
    pack_fields(out, record);
    return with_domain(provider_record_domain, out.take());
}

Bytes signed_text(const Lease& lease) {
    core::Packer out;
    out.array(lease_fields);
    pack_fields(out, lease);
    return with_domain(lease_domain, out.take());
}

template <class Record>
Bytes encode_signed(const Record& record, std::size_t fields) {
    core::Packer out;
    out.array(fields + 1);
    pack_fields(out, record);
    out.id(record.signature);
    return out.take();
}

/// The signature is checked over our own encoding of what was read. So a record passed on is
/// encoded as its signer encoded it, and one that was packed in another way is refused here rather
/// than by whoever gets it next.
template <class Record>
Result<Record> verified(Record record, const PublicKey& signer, const char* malformed, bool ok) {
    if (!ok) return fail(Errc::peer_misbehaved, malformed);
    if (!core::verify_signature(signer, signed_text(record), record.signature))
        return fail(Errc::verification_failed, "signature is not by the key in the record");
    return record;
}

std::optional<ObjectSummary> read_summary(core::FieldReader& in) {
    if (in.skip_nil()) return std::nullopt;
    core::FieldReader fields = in.array(4);
    ObjectSummary summary;
    summary.kind =
        static_cast<ObjectKind>(fields.uint(static_cast<std::uint8_t>(ObjectKind::encrypted)));
    summary.length = ByteCount(fields.uint(limits::object_bytes_max));
    summary.tree = fields.id<TreeHash>();
    summary.level = static_cast<unsigned>(fields.uint(limits::extent_level_max));
    if (fields.ok() &&
        core::Layout(summary.length, summary.level).extents() > limits::extents_per_object_max)
        fields.fail();
    in.require(fields);
    return summary;
}

}  // namespace

void NodeRecord::sign(const core::Identity& identity) {
    key = identity.public_key();
    signature = identity.sign(signed_text(*this));
}

Bytes NodeRecord::encode() const {
    return encode_signed(*this, node_record_fields);
}

Result<NodeRecord> NodeRecord::decode(ByteView raw) {
    const auto document = core::Document::parse(raw);
    if (!document) return fail(document.error());
    core::FieldReader in = document->fields();
    NodeRecord record;
    record.key = in.id<PublicKey>();
    core::FieldReader addresses = in.array(limits::addresses_per_record_max);
    while (addresses.ok() && addresses.remaining() > 0) {
        core::FieldReader pair = addresses.array(2);
        record.addresses.push_back(read_endpoint(pair));
        addresses.require(pair);
    }
    in.require(addresses);
    record.capacity_class = static_cast<std::uint8_t>(in.uint(0xff));
    record.storing = in.boolean();
    record.started_ms = in.uint(unix_ms_max);
    record.sequence = in.uint(unix_ms_max);
    record.expires = read_time(in);
    record.signature = in.id<Signature>();
    const bool ok = in.ok() && in.remaining() == 0;
    const PublicKey signer = record.key;
    return verified(std::move(record), signer, "malformed node record", ok);
}

bool ObjectSummary::matches(const RootHash& root) const {
    return core::root_hash(kind, length, tree) == root;
}

std::uint64_t ProviderRecord::value_id() const {
    const core::Sha256Digest digest = core::sha256({signer.view(), key.view()});
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
        value = value << 8 | digest[i];
    return value == 0 ? 1 : value;
}

void ProviderRecord::sign(const core::Identity& identity) {
    signer = identity.public_key();
    signature = identity.sign(signed_text(*this));
}

Bytes ProviderRecord::encode() const {
    return encode_signed(*this, provider_record_fields);
}

Result<ProviderRecord> ProviderRecord::decode(ByteView raw, const DhtKey& key) {
    const auto document = core::Document::parse(raw);
    if (!document) return fail(document.error());
    core::FieldReader in = document->fields();
    ProviderRecord record;
    record.key = key;
    record.signer = in.id<PublicKey>();
    record.address = read_endpoint(in);
    record.sequence = in.uint(unix_ms_max);
    record.expires = read_time(in);
    record.summary = read_summary(in);
    record.signature = in.id<Signature>();
    const bool ok = in.ok() && in.remaining() == 0;
    const PublicKey signer = record.signer;
    return verified(std::move(record), signer, "malformed provider record", ok);
}

void Lease::sign(const core::Identity& identity) {
    publisher = identity.public_key();
    signature = identity.sign(signed_text(*this));
}

Bytes Lease::encode() const {
    return encode_signed(*this, lease_fields);
}

Result<Lease> Lease::decode(ByteView raw) {
    const auto document = core::Document::parse(raw);
    if (!document) return fail(document.error());
    core::FieldReader in = document->fields();
    Lease lease;
    lease.root = in.id<RootHash>();
    lease.publisher = in.id<PublicKey>();
    lease.copies = static_cast<std::uint8_t>(in.uint(limits::copies_max));
    lease.expires = read_time(in);
    lease.sequence = in.uint(unix_ms_max);
    lease.withdrawn = in.boolean();
    lease.signature = in.id<Signature>();
    const bool ok = in.ok() && in.remaining() == 0 && lease.copies > 0;
    const PublicKey signer = lease.publisher;
    return verified(lease, signer, "malformed lease", ok);
}

bool within_record_window(WallTime expires, WallTime now) {
    return expires + limits::record_clock_tolerance > now &&
           expires <= now + limits::record_lifetime_max + limits::record_clock_tolerance;
}

}  // namespace flow29::proto
