// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_records.hpp"

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

namespace flow29::net {
namespace {

using core::RecordCipher;
using tls::ContentType;

std::unique_ptr<RecordCipher> cipher(std::uint64_t sequence = 0) {
    static const Bytes key(16, 7);
    static const Bytes iv(RecordCipher::nonce_bytes, 9);
    return RecordCipher::create({RecordCipher::Algorithm::aes_128_gcm, key, iv, sequence}).value();
}

Bytes pattern(std::size_t octets) {
    Bytes bytes(octets);
    for (std::size_t i = 0; i < octets; ++i)
        bytes[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8));
    return bytes;
}

struct Ends {
    RecordSealer sealer{cipher()};
    RecordOpener opener{cipher()};

    void seal(ByteView plain, ContentType type = ContentType::application_data) {
        REQUIRE(sealer.seal(type, plain));
    }
    Bytes sealed() {
        const ByteView unsent = sealer.unsent();
        Bytes octets(unsent.begin(), unsent.end());
        sealer.sent(octets.size());
        return octets;
    }
    /// What comes out, taken `part` octets at a time, when `octets` come `step` at a time.
    Result<Bytes> pass(ByteView octets, std::size_t step, std::size_t part) {
        Bytes all;
        Bytes out(part);
        for (;;) {
            auto taken = opener.take(out);
            if (!taken) return fail(taken.error());
            all.insert(all.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*taken));
            if (*taken != 0) continue;
            if (octets.empty()) {
                opener.rest();
                return all;
            }
            const auto room = opener.room();
            REQUIRE_FALSE(room.empty());
            const std::size_t got = std::min({step, room.size(), octets.size()});
            std::memcpy(room.data(), octets.data(), got);
            opener.arrived(got);
            octets = octets.subspan(got);
        }
    }
    std::string fault(ByteView octets) {
        const auto result = pass(octets, 100'000, 1000);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Errc::peer_unreachable);
        CHECK_FALSE(pass({}, 1, 1).has_value());  // and so it stays
        return result.error().context;
    }
    /// A record whose inside is this, the type among it.
    static Bytes raw(ByteView inner, std::uint64_t sequence = 0) {
        const std::size_t length = inner.size() + RecordCipher::tag_bytes;
        Bytes record{23, 3, 3, static_cast<std::uint8_t>(length >> 8),
                     static_cast<std::uint8_t>(length)};
        const Bytes header = record;
        record.resize(record.size() + length);
        cipher(sequence)->seal(header, inner.first(inner.size() - 1), inner.back(),
                               record.data() + header.size());
        return record;
    }
};

}  // namespace

TEST_CASE("what is sealed comes out, however it is cut") {
    const Bytes data = pattern(5 * tls::plain_bytes_max + 100);
    for (const std::size_t step : {1UL, 5UL, 1000UL, 16'406UL, 1'000'000UL})
        for (const std::size_t part : {1UL, 17UL, 16'384UL, 16'385UL, 1'000'000UL}) {
            if (step * part < 1000) continue;  // long, and the same
            CAPTURE(step);
            CAPTURE(part);
            Ends ends;
            for (ByteView left = data; !left.empty();) {
                const ByteView record = left.first(std::min(left.size(), tls::plain_bytes_max));
                ends.seal(record);
                left = left.subspan(record.size());
            }
            const auto passed = ends.pass(ends.sealed(), step, part);
            REQUIRE(passed.has_value());
            CHECK(*passed == data);
        }
}

TEST_CASE("what was sent in part is followed by the rest") {
    Ends ends;
    Bytes sent;
    const Bytes data = pattern(90'000);
    for (std::size_t i = 0; i < 9; ++i) {
        ends.seal(ByteView(data).subspan(i * 10'000, 10'000));
        const ByteView some = ends.sealer.unsent().first(7'000);
        sent.insert(sent.end(), some.begin(), some.end());
        ends.sealer.sent(some.size());
        ends.sealer.rest();  // which keeps what is unsent
    }
    const Bytes left = ends.sealed();
    sent.insert(sent.end(), left.begin(), left.end());
    ends.sealer.rest();
    ends.seal(ByteView(data).first(1));
    const Bytes last = ends.sealed();
    sent.insert(sent.end(), last.begin(), last.end());
    auto passed = ends.pass(sent, 12'345, 5'000);
    REQUIRE(passed.has_value());
    CHECK(passed->back() == data.front());
    passed->pop_back();
    CHECK(*passed == data);
}

TEST_CASE("zeros behind the type are passed over, and a session ticket") {
    Ends ends;
    const Bytes ticket{4, 0, 0, 1, 0, 22};
    const Bytes padded{'a', 'b', 0, 23, 0, 0, 0};
    Bytes octets = Ends::raw(ticket, 0);
    for (const Bytes& record : {Ends::raw(padded, 1), Ends::raw(Bytes{'c', 23}, 2)})
        octets.insert(octets.end(), record.begin(), record.end());
    const auto passed = ends.pass(octets, 3, 100);
    REQUIRE(passed.has_value());
    CHECK(*passed == Bytes{'a', 'b', 0, 'c'});
}

TEST_CASE("data before the end come out before it") {
    Ends ends;
    ends.seal(pattern(100));
    ends.seal(Bytes{1, 0}, ContentType::alert);
    const Bytes octets = ends.sealed();
    Bytes out(1000);
    std::memcpy(ends.opener.room().data(), octets.data(), octets.size());
    ends.opener.arrived(octets.size());
    CHECK(ends.opener.take(out).value() == 100);
    CHECK(ends.opener.take(out).error().context == "the peer ended the connection");
}

TEST_CASE("an alert has its name") {
    Ends ends;
    ends.seal(Bytes{2, 20}, ContentType::alert);
    CHECK(ends.fault(ends.sealed()) == "the peer ended the connection: TLS alert Bad record MAC");
    Ends unknown;
    unknown.seal(Bytes{2, 250}, ContentType::alert);
    CHECK(unknown.fault(unknown.sealed()) ==
          "the peer ended the connection: TLS alert of an unknown kind");
}

TEST_CASE("what is no record of the other end ends the connection") {
    const std::string foreign = "TLS: a record is not of the other end";
    const std::string kind = "TLS: a record of a kind that nobody asked for";
    const std::string length = "TLS: a record is too short or too long";
    Bytes touched = Ends::raw(Bytes{'a', 23});
    touched[6] ^= 1;
    CHECK(Ends().fault(touched) == foreign);
    CHECK(Ends().fault(Ends::raw(Bytes{'a', 23}, 1)) == foreign);  // one was left out
    CHECK(Ends().fault(Bytes{22, 3, 3, 0, 100}) == "TLS: what came is not an encrypted record");
    CHECK(Ends().fault(Bytes{'G', 'E', 'T', ' ', '/'}) ==
          "TLS: what came is not an encrypted record");
    CHECK(Ends().fault(Bytes{23, 3, 3, 0, 16}) == length);
    CHECK(Ends().fault(Bytes{23, 3, 3, 0x41, 0x01}) == length);
    CHECK(Ends().fault(Ends::raw(Bytes(40, 0))) == "TLS: a record has no type");
    Bytes long_one = pattern(tls::plain_bytes_max + 1);
    long_one.push_back(23);
    CHECK(Ends().fault(Ends::raw(long_one)) == "TLS: a record is too long");
    CHECK(Ends().fault(Ends::raw(Bytes{24, 0, 0, 1, 0, 22})) == kind);  // KeyUpdate
    CHECK(Ends().fault(Ends::raw(Bytes{1, 20})) == kind);               // ChangeCipherSpec
    CHECK(Ends().fault(Ends::raw(Bytes{22})) == kind);
    CHECK(Ends().fault(Ends::raw(Bytes{0, 21})) == kind);  // half an alert
}

TEST_CASE("no peer sends records without data for ever") {
    Ends ends;
    for (unsigned i = 0; i < limits::records_without_data_max; ++i)
        ends.seal({});
    CHECK(ends.pass(ends.sealed(), 1000, 10).value().empty());
    ends.seal(Bytes{'a'});  // which begins anew
    for (unsigned i = 0; i < limits::records_without_data_max; ++i)
        ends.seal({});
    CHECK(ends.pass(ends.sealed(), 1000, 10).value() == Bytes{'a'});
    ends.seal({});
    CHECK(ends.fault(ends.sealed()) == "TLS: records without end and without data");
}

TEST_CASE("a key that is used up seals and opens nothing more") {
    RecordSealer sealer(cipher(RecordCipher::records_max - 1));
    CHECK(sealer.seal(ContentType::application_data, Bytes{'a'}));
    CHECK_FALSE(sealer.seal(ContentType::application_data, Bytes{'b'}));
    Ends ends;
    ends.opener = RecordOpener(cipher(RecordCipher::records_max));
    CHECK(ends.fault(Ends::raw(Bytes{'a', 23})) ==
          "TLS: the connection has carried what one key may");
}

}  // namespace flow29::net
