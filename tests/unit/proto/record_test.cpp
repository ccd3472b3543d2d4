// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/record.hpp"

#include <flow29/limits.hpp>

#include "core/hash.hpp"
#include "core/pack.hpp"
#include "samples.hpp"

#include <doctest/doctest.h>

#include <random>

namespace flow29::proto {
namespace {

ProviderRecord sample_provider(bool summary) {
    ProviderRecord record;
    record.key = sample_id<DhtKey>(9);
    record.address = sample_v6();
    record.sequence = sample_now_ms;
    record.expires = from_unix_ms(sample_now_ms + 1);
    if (summary)
        record.summary = ObjectSummary{ObjectKind::directory, ByteCount(limits::object_bytes_max),
                                       sample_id<TreeHash>(1), limits::extent_level_max};
    record.sign(sample_identity());
    return record;
}

TEST_CASE("records and leases survive their encoding") {
    for (std::size_t addresses = 0; addresses <= limits::addresses_per_record_max; ++addresses) {
        const NodeRecord record = sample_record(addresses);
        const auto decoded = NodeRecord::decode(record.encode());
        REQUIRE(decoded);
        CHECK(*decoded == record);
        CHECK(decoded->node() == sample_identity().id());
    }
    for (const bool summary : {false, true}) {
        const ProviderRecord record = sample_provider(summary);
        const auto decoded = ProviderRecord::decode(record.encode(), record.key);
        REQUIRE(decoded);
        CHECK(*decoded == record);
    }
    const auto lease = Lease::decode(sample_lease().encode());
    REQUIRE(lease);
    CHECK(*lease == sample_lease());
}

TEST_CASE("the longest provider record fits into a datagram") {
    CHECK(sample_provider(true).encode().size() < limits::record_bytes_max);
    CHECK(sample_record(limits::addresses_per_record_max).encode().size() <
          limits::record_bytes_max);
}

TEST_CASE("a provider record is valid at the key it was signed for only") {
    const ProviderRecord record = sample_provider(true);
    const auto elsewhere = ProviderRecord::decode(record.encode(), sample_id<DhtKey>(10));
    REQUIRE_FALSE(elsewhere);
    CHECK(elsewhere.error().code == Errc::verification_failed);
}

TEST_CASE("a provider's value id depends on signer and key and is never 0") {
    const ProviderRecord record = sample_provider(true);
    ProviderRecord other = record;
    other.key = sample_id<DhtKey>(10);
    CHECK(record.value_id() != 0);
    CHECK(record.value_id() == sample_provider(false).value_id());
    CHECK(record.value_id() != other.value_id());
    other = record;
    other.signer.bytes[0] ^= 1;
    CHECK(record.value_id() != other.value_id());
}

template <class Decode>
void check_mutations(const Bytes& raw, Decode decode) {
    for (std::size_t length = 0; length < raw.size(); ++length)
        CHECK_FALSE(decode(Bytes(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(length))));
    std::mt19937_64 random(31);
    for (int i = 0; i < 2'000; ++i) {
        CAPTURE(i);
        Bytes mutated = raw;
        const std::size_t at = random() % raw.size();
        mutated[at] = static_cast<std::uint8_t>(mutated[at] ^ (1 + random() % 255));
        const auto result = decode(mutated);
        REQUIRE_FALSE(result);
        const Errc code = result.error().code;
        CHECK((code == Errc::peer_misbehaved || code == Errc::verification_failed));
    }
}

TEST_CASE("no change to a signed record goes unnoticed") {
    check_mutations(sample_record().encode(), [](ByteView raw) { return NodeRecord::decode(raw); });
    check_mutations(sample_lease().encode(), [](ByteView raw) { return Lease::decode(raw); });
    const ProviderRecord provider = sample_provider(true);
    check_mutations(provider.encode(),
                    [&](ByteView raw) { return ProviderRecord::decode(raw, provider.key); });
}

TEST_CASE("a record that breaks a limit is malformed although it is signed") {
    NodeRecord record = sample_record(limits::addresses_per_record_max + 1);
    CHECK(NodeRecord::decode(record.encode()).error().code == Errc::peer_misbehaved);
    record = sample_record();
    record.addresses[0] = {};
    record.sign(sample_identity());
    CHECK(NodeRecord::decode(record.encode()).error().code == Errc::peer_misbehaved);
    Lease lease = sample_lease();
    for (const unsigned copies : {0U, limits::copies_max + 1}) {
        lease.copies = static_cast<std::uint8_t>(copies);
        lease.sign(sample_identity());
        CHECK(Lease::decode(lease.encode()).error().code == Errc::peer_misbehaved);
    }
    ProviderRecord provider = sample_provider(true);
    provider.summary->level = 0;  // far more extents than an object may have
    provider.sign(sample_identity());
    CHECK(ProviderRecord::decode(provider.encode(), provider.key).error().code ==
          Errc::peer_misbehaved);
}

TEST_CASE("a summary belongs to the root that commits to it") {
    const ObjectSummary summary{ObjectKind::file, ByteCount(1000), sample_id<TreeHash>(1), 11};
    const RootHash root =
        core::root_hash(ObjectKind::file, ByteCount(1000), sample_id<TreeHash>(1));
    CHECK(summary.matches(root));
    ObjectSummary other = summary;
    other.length = ByteCount(1001);
    CHECK_FALSE(other.matches(root));
    other = summary;
    other.kind = ObjectKind::directory;
    CHECK_FALSE(other.matches(root));
}

TEST_CASE("a record's window has the tolerance of differing clocks at both ends") {
    using std::chrono::milliseconds;
    const WallTime now = from_unix_ms(sample_now_ms);
    const auto tolerance = milliseconds(limits::record_clock_tolerance);
    const auto lifetime = milliseconds(limits::record_lifetime_max);
    CHECK(within_record_window(now, now));
    CHECK(within_record_window(now - tolerance + milliseconds(1), now));
    CHECK_FALSE(within_record_window(now - tolerance, now));
    CHECK(within_record_window(now + lifetime + tolerance, now));
    CHECK_FALSE(within_record_window(now + lifetime + tolerance + milliseconds(1), now));
}

}  // namespace
}  // namespace flow29::proto
