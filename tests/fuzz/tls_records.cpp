// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_records.hpp"

#include <algorithm>

#include "core/assert.hpp"
#include "input.hpp"

/// What comes after a handshake, from a peer that has its keys or from somebody in between: what is
/// taken is a beginning of the data that were sealed, in whatever parts it comes and is asked for,
/// and there is a fault only if somebody misbehaved.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    using net::tls::ContentType;
    static const Bytes key(16, 7);
    static const Bytes iv(core::RecordCipher::nonce_bytes, 9);
    const core::RecordCipher::Secret secret{core::RecordCipher::Algorithm::aes_128_gcm, key, iv, 0};
    fuzz::Input input(data, size);
    net::RecordSealer sealer(core::RecordCipher::create(secret).value());
    net::RecordOpener opener(core::RecordCipher::create(secret).value());
    Bytes wire;
    Bytes sealed;
    Bytes taken;
    bool honest = true;
    bool ended = false;
    while (!input.empty() && !ended) {
        switch (input.number(6)) {
            case 0: {  // data, long or short
                const ByteView some = input.octets(60);
                Bytes plain(some.begin(), some.end());
                if (input.octet() % 4 == 0 && wire.size() < 200'000)
                    plain.resize(input.number(net::tls::plain_bytes_max));
                if (plain.empty()) honest = false;  // too many of those end it
                FLOW29_ASSERT(sealer.seal(ContentType::application_data, plain));
                sealed.insert(sealed.end(), plain.begin(), plain.end());
                break;
            }
            case 1: {  // something else that the peer's keys allow
                honest = false;
                const ByteView content = input.octets(8);
                const auto type =
                    static_cast<ContentType>(input.octet() | 1);  // 0 would be padding
                FLOW29_ASSERT(sealer.seal(type, content));
                if (type == ContentType::application_data)
                    sealed.insert(sealed.end(), content.begin(), content.end());
                break;
            }
            case 2: {  // on the wire
                const ByteView unsent = sealer.unsent();
                const ByteView part = unsent.first(input.number(unsent.size()));
                wire.insert(wire.end(), part.begin(), part.end());
                sealer.sent(part.size());
                if (input.octet() % 2 == 0) sealer.rest();
                break;
            }
            case 3: {  // touched there
                if (wire.empty() || input.octet() % 8 != 0) break;
                honest = false;
                wire[input.number(wire.size() - 1)] ^= static_cast<std::uint8_t>(input.octet());
                break;
            }
            case 4: {  // put in between
                if (input.octet() % 8 != 0) break;
                honest = false;
                const ByteView octets = input.octets(40);
                wire.insert(wire.end(), octets.begin(), octets.end());
                break;
            }
            default: {
                Bytes out(1 + input.number(3 * net::tls::plain_bytes_max));
                const auto got = opener.take(out);
                if (!got) {
                    FLOW29_ASSERT(!honest);
                    FLOW29_ASSERT(got.error().code == Errc::peer_unreachable);
                    ended = true;
                    break;
                }
                FLOW29_ASSERT(*got <= out.size());
                taken.insert(taken.end(), out.begin(),
                             out.begin() + static_cast<std::ptrdiff_t>(*got));
                if (*got != 0) break;
                const auto room = opener.room();
                FLOW29_ASSERT(!room.empty());
                const std::size_t came = std::min({room.size(), wire.size(), input.number(70'000)});
                std::copy_n(wire.begin(), came, room.begin());
                wire.erase(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(came));
                opener.arrived(came);
                if (came == 0) opener.rest();
            }
        }
        FLOW29_ASSERT(taken.size() <= sealed.size());
        FLOW29_ASSERT(std::equal(taken.begin(), taken.end(), sealed.begin()));
    }
    return 0;
}
