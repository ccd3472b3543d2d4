// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/record_rules.hpp"

#include <doctest/doctest.h>

#include "core/descriptor.hpp"
#include "core/identity.hpp"
#include "dht/greetings.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace std::chrono_literals;

namespace {

const WallTime now = from_unix_ms(1'800'000'000'000);

core::Endpoint at(const std::string& text) {
    return core::Endpoint::parse(text).value();
}

/// A provider record under way to a store, with everything right.
struct Sample {
    explicit Sample(const std::string& address = "192.0.2.7:2929") {
        record.key.bytes[0] = 1;
        record.address = at(address);
        record.sequence = 10;
        record.expires = now + 2h;
        source = at(address);
        source.port = 40'000;
        sign();
    }
    void sign() {
        record.sign(identity);
        octets = record.encode();
    }
    [[nodiscard]] Offer offer() const {
        return {.type = RecordType::provider,
                .key = record.key,
                .value_id = record.value_id(),
                .octets = octets,
                .source = source};
    }

    core::Identity identity = core::Identity::generate().value();
    proto::ProviderRecord record;
    core::Endpoint source;
    Bytes octets;
};

RecordRules rules(RecordRules::Options options = {}) {
    return RecordRules(options);
}

}  // namespace

TEST_CASE("a sound record from the address it names may be stored") {
    const Sample sample;
    auto subject = rules();
    CHECK(subject.may_store(sample.offer(), now));
    CHECK(subject.size() == 1);
    const RawValue raw{RecordType::provider, sample.record.value_id(), sample.octets};
    CHECK(read_provider(sample.record.key, raw, now) == sample.record);
}

TEST_CASE("a record is refused, and not believed when read, if anything in it is wrong") {
    Sample sample;
    auto subject = rules();
    Offer offer = sample.offer();
    SUBCASE("one octet changed") {
        sample.octets[sample.octets.size() / 2] ^= 1;
    }
    SUBCASE("another key") {
        offer.key.bytes[1] ^= 1;
    }
    SUBCASE("another value id") {
        offer.value_id += 1;
    }
    SUBCASE("the other type") {
        offer.type = RecordType::node;
    }
    SUBCASE("empty") {
        offer.octets = {};
    }
    SUBCASE("oversize") {
        sample.octets.resize(record_payload_bytes_max + 1);
        offer.octets = sample.octets;
    }
    SUBCASE("expired") {
        sample.record.expires = now - limits::record_clock_tolerance - 1ms;
        sample.sign();
        offer = sample.offer();
    }
    SUBCASE("too far ahead") {
        sample.record.expires =
            now + limits::record_lifetime_max + limits::record_clock_tolerance + 1ms;
        sample.sign();
        offer = sample.offer();
    }
    CHECK_FALSE(subject.may_store(offer, now));
    CHECK(subject.size() == 0);
    const RawValue raw{offer.type, offer.value_id, Bytes(offer.octets.begin(), offer.octets.end())};
    CHECK(read_provider(offer.key, raw, now) == std::nullopt);
    CHECK(read_node(offer.key, raw, now) == std::nullopt);
}

TEST_CASE("a record comes only from the address it names, whatever the port") {
    Sample sample;
    auto subject = rules();
    sample.source = at("192.0.2.8:2929");
    CHECK_FALSE(subject.may_store(sample.offer(), now));
    sample.source = at("192.0.2.7:1");
    CHECK(subject.may_store(sample.offer(), now));
}

TEST_CASE("this node's own record and this machine's records may come over loopback") {
    Sample sample;
    sample.source = at("127.0.0.1:5000");
    CHECK(rules().may_store(sample.offer(), now));
    CHECK_FALSE(rules({.bound_to_loopback = true}).may_store(sample.offer(), now));
    CHECK(rules({.self = sample.identity.id(), .bound_to_loopback = true})
              .may_store(sample.offer(), now));
}

TEST_CASE("an address group fills at most its share of a key") {
    auto subject = rules();
    CHECK(subject.may_store(Sample("192.0.2.1:1").offer(), now));
    CHECK(subject.may_store(Sample("192.0.2.2:1").offer(), now));
    CHECK_FALSE(subject.may_store(Sample("192.0.2.3:1").offer(), now));
    CHECK(subject.may_store(Sample("192.0.3.1:1").offer(), now));
    Sample elsewhere("192.0.2.3:1");
    elsewhere.record.key.bytes[0] = 2;
    elsewhere.sign();
    CHECK(subject.may_store(elsewhere.offer(), now));
    // The first two have expired: there is room again.
    Sample later("192.0.2.9:1");
    later.record.expires = now + 5h;
    later.sign();
    CHECK(subject.may_store(later.offer(), now + 3h));
}

TEST_CASE("loopback counts as one group unless it is said to be diverse") {
    const auto stored = [](RecordRules subject) {
        int count = 0;
        for (int host = 1; host <= 5; ++host)
            count +=
                subject.may_store(Sample("127.0.0." + std::to_string(host) + ":9").offer(), now);
        return count;
    };
    CHECK(stored(rules({.bound_to_loopback = true})) == 2);
    CHECK(stored(rules({.bound_to_loopback = true, .loopback_is_diverse = true})) == 5);
    CHECK(stored(rules({.bound_to_loopback = true, .records_per_group = 3})) == 3);
}

TEST_CASE("a key and the whole book have bounds, and what expires makes room") {
    auto subject = rules({.records_per_key = 3, .records = 4});
    const auto from_group = [](int group) {
        return Sample("192.0." + std::to_string(group) + ".1:1");
    };
    for (int i = 0; i < 3; ++i)
        CHECK(subject.may_store(from_group(i).offer(), now));
    CHECK_FALSE(subject.may_store(from_group(3).offer(), now));
    const auto at_key = [&](std::uint8_t key) {
        Sample sample = from_group(9);
        sample.record.key.bytes[0] = key;
        sample.record.expires = now + 9h;
        sample.sign();
        return sample;
    };
    CHECK(subject.may_store(at_key(50).offer(), now));
    CHECK_FALSE(subject.may_store(at_key(51).offer(), now));
    CHECK(subject.size() == 4);
    CHECK(subject.may_store(at_key(52).offer(), now + 4h));
    CHECK(subject.size() == 2);
}

TEST_CASE("of ten thousand signed records at one key as many are kept as a key holds") {
    auto subject = rules();
    Sample honest("198.51.100.1:2929");
    REQUIRE(subject.may_store(honest.offer(), now));
    unsigned stored = 1;
    for (unsigned i = 0; i < 10'000; ++i) {
        // Four networks would hold eight of them; these have five thousand.
        const auto group = std::to_string(i / 2 / 256) + "." + std::to_string(i / 2 % 256);
        const Sample sybil("10." + group + ".7:2929");
        if (subject.may_store(sybil.offer(), now)) ++stored;
    }
    CHECK(stored == limits::records_per_key_max);
    CHECK(subject.size() == stored);
    // Who was there before them stays, and goes on renewing its record.
    const auto before = honest.octets;
    honest.record.sequence += 1;
    honest.sign();
    CHECK(subject.may_replace(honest.offer(), before, now));
}

TEST_CASE("only the same signer replaces a record, and only with a higher sequence") {
    Sample sample;
    auto subject = rules();
    REQUIRE(subject.may_store(sample.offer(), now));
    const Bytes stored = sample.octets;
    CHECK(subject.may_replace(sample.offer(), stored, now));

    sample.record.expires = now + 3h;
    sample.sign();
    CHECK_FALSE(subject.may_replace(sample.offer(), stored, now));
    sample.record.sequence = 9;
    sample.sign();
    CHECK_FALSE(subject.may_replace(sample.offer(), stored, now));
    sample.record.sequence = 11;
    sample.sign();
    CHECK(subject.may_replace(sample.offer(), stored, now));
    CHECK(subject.size() == 1);

    Sample other;
    other.record.sequence = 99;
    other.sign();
    Offer theft = other.offer();
    theft.value_id = sample.record.value_id();
    CHECK_FALSE(subject.may_replace(theft, stored, now));
}

TEST_CASE("a node record belongs at the key of its signer") {
    const auto identity = core::Identity::generate().value();
    proto::NodeRecord record;
    record.addresses = {at("192.0.2.7:2929"), at("[2001:db8::7]:2929")};
    record.sequence = 4;
    record.expires = now + 1h;
    record.sign(identity);
    const Bytes octets = record.encode();
    const DhtKey key = core::node_key(identity.id());
    Offer offer{.type = RecordType::node,
                .key = key,
                .value_id = node_value_id(record.key, key),
                .octets = octets,
                .source = at("192.0.2.7:5")};
    auto subject = rules();
    CHECK(subject.may_store(offer, now));
    offer.source = at("[2001:db8::7]:5");
    CHECK(subject.may_store(offer, now));
    offer.source = at("192.0.2.8:5");
    CHECK_FALSE(subject.may_store(offer, now));
    CHECK(read_node(key, {RecordType::node, offer.value_id, octets}, now) == record);
    CHECK(read_node(key, {RecordType::node, offer.value_id + 1, octets}, now) == std::nullopt);

    offer.source = at("192.0.2.7:5");
    offer.key.bytes[3] ^= 1;
    offer.value_id = node_value_id(record.key, offer.key);
    CHECK_FALSE(subject.may_store(offer, now));
}

TEST_CASE("the longest node record fits one datagram") {
    const auto identity = core::Identity::generate().value();
    proto::NodeRecord record;
    for (std::uint16_t i = 0; i < limits::addresses_per_record_max; ++i)
        record.addresses.push_back(at("[2001:db8::ffff:ffff]:" + std::to_string(60'000 + i)));
    record.capacity_class = 20;
    record.started_ms = record.sequence = ~std::uint64_t{0} >> 1;
    record.expires = now;
    record.sign(identity);
    CHECK(record.encode().size() <= record_payload_bytes_max);
}

TEST_CASE("an address is greeted once, and not many in a second") {
    Greetings greetings;
    const TimePoint start{};
    CHECK(greetings.should_greet(at("192.0.2.1:1"), start));
    CHECK_FALSE(greetings.should_greet(at("192.0.2.1:1"), start + 10s));
    CHECK(greetings.should_greet(at("192.0.2.1:1"), start + Greetings::again_after));
    unsigned greeted = 0;
    for (unsigned port = 1; port < 200; ++port)
        greeted += greetings.should_greet(at("192.0.2.2:" + std::to_string(port)), start + 1h);
    CHECK(greeted == limits::greetings_per_second_max);
    CHECK(greetings.should_greet(at("192.0.2.3:1"), start + 1h + 1s));
    CHECK_FALSE(greetings.should_greet(at("0.0.0.0:1"), start + 2h));
}

TEST_CASE("so many addresses that were greeted are remembered, and nobody else is greeted then") {
    Greetings greetings;
    TimePoint now{1h};
    std::size_t greeted = 0;
    // Within the time after which all are forgotten.
    for (std::size_t i = 0; i < 2 * limits::greeted_max; ++i, now += 31250us) {
        const auto host = std::to_string(i / 250) + "." + std::to_string(i % 250);
        greeted += greetings.should_greet(at("192.0." + host + ":1"), now);
    }
    CHECK(greeted == limits::greeted_max);
    CHECK(greetings.should_greet(at("203.0.113.1:1"), now + Greetings::again_after));
}
