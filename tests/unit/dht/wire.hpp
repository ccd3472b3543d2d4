// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include <flow29/ids.hpp>
#include "dht/datagram_guard.hpp"

/// Datagrams that OpenDHT 2.4.12 nodes exchanged on a network numbered 0x29f10029, and a writer for
/// those that none would send.
namespace flow29::dht::test {

inline constexpr std::uint32_t recorded_network = 0x29f10029;

struct Recorded {
    std::string_view name;
    DatagramKind kind;
    std::string_view hex;
};

inline constexpr Recorded recorded[] = {
    {"a client's ping", DatagramKind::ping,
     "87a173c3a16181a26964c414cc9ecf05a5fccec101ffa2bceb82f712cb176282a171a470696e67a1"
     "74cef064a36ea179a171a176a4524e4731a16ece29f10029"},
    {"a server's ping", DatagramKind::ping,
     "86a16181a26964c414d53ee7858471b2e31e7f8903b1cd2c83baab00b5a171a470696e67a174ce8d"
     "ca9469a179a171a176a4524e4731a16ece29f10029"},
    {"find", DatagramKind::find,
     "87a173c3a16182a26964c414950a1a342093e8af68aff56b393416fab142d44ba6746172676574c4"
     "145d567176932da1384674d584350c616f8d10c84da171a466696e64a174ceacbb06fda179a171a1"
     "76a4524e4731a16ece29f10029"},
    {"get that selects ids", DatagramKind::get,
     "87a173c3a16183a26964c41408a7b9c42906651037065c5c146d927d9b1e91baa168c414d53ee785"
     "8471b2e31e7f8903b1cd2c83baab00b5a17182a1739101a17790a171a3676574a174ced744ec26a1"
     "79a171a176a4524e4731a16ece29f10029"},
    {"get of one value", DatagramKind::get,
     "87a173c3a16183a26964c414950a1a342093e8af68aff56b393416fab142d44ba168c4145d567176"
     "932da1384674d584350c616f8d10c84da17182a17390a1779182a16601a176cf19e0d364a14618f7"
     "a171a3676574a174ce9f065227a179a171a176a4524e4731a16ece29f10029"},
    {"put", DatagramKind::put,
     "87a173c3a16185a26964c414950a1a342093e8af68aff56b393416fab142d44ba168c4145d567176"
     "932da1384674d584350c616f8d10c84da676616c7565739182a26964cf19e0d364a14618f7a36461"
     "7481a4626f647982a474797065cd0b54a464617461c47997c420dca09020f065a656d5a1e0bad584"
     "fee4887858d96650f5738a8ef76d9d382615c4047f00004dcd96c801cf000001a2049a1aa3c0c440"
     "3d7c1bae91c1100c59700a0c2c76c1ac9998c6c5559ac2202e52adbfb70970c2c829fcc072fa2c32"
     "d4c0e6c842b6c4e4f82c2495adb2dd6323947f3575c1c50ca163ce6b01e861a5746f6b656ec4203c"
     "c1dc1241ff3ad4216c9d2a277574ff0734974c8cec2795f87e5dc31ae36620a171a3707574a174ce"
     "9f065223a179a171a176a4524e4731a16ece29f10029"},
    {"pong", DatagramKind::reply,
     "85a17282a26964c4142ee8ec950005e0106e52bf11681cdaf7c5e8b9cca27361c4047f000001a174"
     "cef064a36ea179a172a176a4524e4731a16ece29f10029"},
    {"reply to a put", DatagramKind::reply,
     "85a17283a26964c4140f8638fbfba8e2f940e1548cfa5b37fa891cfc64a3766964cf19e0d364a146"
     "18f7a27361c4047f00004da174ce9f065223a179a172a176a4524e4731a16ece29f10029"},
    {"reply with a contact and a token", DatagramKind::reply,
     "85a17284a26964c414d53ee7858471b2e31e7f8903b1cd2c83baab00b5a27361c4047f000002a26e"
     "34c41a2ee8ec950005e0106e52bf11681cdaf7c5e8b9cc7f00000190d4a5746f6b656ec420a9653f"
     "d986ee9b8a3c373c61c28571442279bcd568caab14676b5317c8a6c873a174ced744ec26a179a172"
     "a176a4524e4731a16ece29f10029"},
    {"reply with eight contacts", DatagramKind::reply,
     "85a17285a26964c414804faa288f4bcb3939647caec573da973027d851a27361c4047f000001a26e"
     "34c4b67519935135f4b692bd0dc16d28809945cdb225c07f000004d18b48511f0727f9cfb2b1f279"
     "50f352525a332a87b37f000006a60982c181df7fb0100c5fbdf74173e959cc0162c3457f000003d5"
     "ba9cd9c89cf3034893314e15e6cf76d68c3507d50d7f000007b256c9f111b4c2ebc19f35d116a95d"
     "4a983234ed70047f0000019dedd6499f4000ba66588076d7a4a429fe073f6267467f00000590cbdd"
     "cecbb028fd46f3f45e5d2ec3e732ec18ea53ff7f000008c106a5746f6b656ec4203a08395079423a"
     "da4e3097855952863084e1f82b83980cb5790c3cf26c10e51da666696c65647382a1669101a17691"
     "cfafe6d2b328051b69a174ceeccbf568a179a172a176a4524e4731a16ece29f10029"},
    {"reply with ids", DatagramKind::reply,
     "85a17285a26964c4140f8638fbfba8e2f940e1548cfa5b37fa891cfc64a27361c4047f00004da26e"
     "34c44e048833a1ef1b3bd559de7e6645b94c8089e6ae657f000004e9172ee8ec950005e0106e52bf"
     "11681cdaf7c5e8b9cc7f00000190d4d53ee7858471b2e31e7f8903b1cd2c83baab00b57f00000298"
     "b4a5746f6b656ec4203cc1dc1241ff3ad4216c9d2a277574ff0734974c8cec2795f87e5dc31ae366"
     "20a666696c65647382a1669101a17692cf19e0d364a14618f7cfab9f97327f6288f7a174ce9f0652"
     "25a179a172a176a4524e4731a16ece29f10029"},
    {"reply with a value", DatagramKind::reply,
     "85a17285a26964c4140f8638fbfba8e2f940e1548cfa5b37fa891cfc64a27361c4047f00004da26e"
     "34c44e048833a1ef1b3bd559de7e6645b94c8089e6ae657f000004e9172ee8ec950005e0106e52bf"
     "11681cdaf7c5e8b9cc7f00000190d4d53ee7858471b2e31e7f8903b1cd2c83baab00b57f00000298"
     "b4a5746f6b656ec4203cc1dc1241ff3ad4216c9d2a277574ff0734974c8cec2795f87e5dc31ae366"
     "20a676616c7565739182a26964cf19e0d364a14618f7a364617481a4626f647982a474797065cd0b"
     "54a464617461c47997c420dca09020f065a656d5a1e0bad584fee4887858d96650f5738a8ef76d9d"
     "382615c4047f00004dcd96c801cf000001a2049a1aa3c0c4403d7c1bae91c1100c59700a0c2c76c1"
     "ac9998c6c5559ac2202e52adbfb70970c2c829fcc072fa2c32d4c0e6c842b6c4e4f82c2495adb2dd"
     "6323947f3575c1c50ca174ce9f065227a179a172a176a4524e4731a16ece29f10029"},
};

/// Ends an unguarded OpenDHT 2.4.12: `u` is no map and is walked as one.
inline constexpr std::string_view killer_hex =
    "83a175f4a26964c4142326bcef1956988ab676c8cc58f784a871847d0fa1740fa179a172";

inline Bytes unhex(std::string_view text) {
    const auto raw = from_hex(text);
    REQUIRE(raw.has_value());
    return *raw;
}

/// Writes msgpack, sound or not: nothing checks that counts are kept.
class Wire {
  public:
    Wire& map(unsigned pairs) { return octet(0x80 | pairs); }
    Wire& array(unsigned items) {
        if (items < 16) return octet(0x90 | items);
        return octet(0xdc).octet(items >> 8).octet(items & 0xff);
    }
    Wire& str(std::string_view text) {
        octet(0xa0 | static_cast<unsigned>(text.size()));
        octets_.insert(octets_.end(), text.begin(), text.end());
        return *this;
    }
    Wire& bin(ByteView raw) {
        octet(0xc5).octet(static_cast<unsigned>(raw.size() >> 8)).octet(raw.size() & 0xff);
        octets_.insert(octets_.end(), raw.begin(), raw.end());
        return *this;
    }
    Wire& bin(std::size_t zeroes) { return bin(Bytes(zeroes)); }
    Wire& uint(std::uint64_t value) {
        octet(0xcf);
        for (int shift = 56; shift >= 0; shift -= 8)
            octet(value >> shift & 0xff);
        return *this;
    }
    Wire& octet(std::uint64_t value) {
        octets_.push_back(static_cast<std::uint8_t>(value));
        return *this;
    }
    Wire& raw(const Bytes& more) {
        octets_.insert(octets_.end(), more.begin(), more.end());
        return *this;
    }
    [[nodiscard]] const Bytes& bytes() const { return octets_; }

  private:
    Bytes octets_;
};

/// The four fields every datagram ends with.
inline Wire& envelope(Wire& wire, std::string_view kind) {
    return wire.str("y").str(kind).str("t").uint(7).str("v").str("RNG1").str("n").uint(
        recorded_network);
}
inline Bytes query(std::string_view name, const Wire& arguments) {
    Wire wire;
    wire.map(6).str("a").raw(arguments.bytes()).str("q").str(name);
    return envelope(wire, "q").bytes();
}
inline Bytes reply(const Wire& body) {
    Wire wire;
    wire.map(5).str("r").raw(body.bytes());
    return envelope(wire, "r").bytes();
}

}  // namespace flow29::dht::test
