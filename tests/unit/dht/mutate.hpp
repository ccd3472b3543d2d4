// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <random>

#include <flow29/ids.hpp>

namespace flow29::dht::test {

/// `datagram` with 1 to 4 octets changed, inserted, removed, or runs of it doubled or cut off.
inline Bytes mutated(Bytes datagram, std::mt19937_64& random) {
    const auto below = [&random](std::size_t end) { return end == 0 ? 0 : random() % end; };
    // Heads that change what follows are likelier to hurt than octets at random.
    constexpr std::uint8_t heads[] = {0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xbf,
                                      0xc0, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xcb, 0xcc, 0xcf, 0xd3,
                                      0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
        const auto at = static_cast<std::ptrdiff_t>(below(datagram.size()));
        const auto octet =
            below(2) == 0 ? heads[below(std::size(heads))] : static_cast<std::uint8_t>(random());
        switch (below(6)) {
            case 0:
            case 1:
                if (!datagram.empty()) datagram[static_cast<std::size_t>(at)] = octet;
                break;
            case 2:
                if (!datagram.empty())
                    datagram[static_cast<std::size_t>(at)] ^=
                        static_cast<std::uint8_t>(1 << below(8));
                break;
            case 3:
                datagram.insert(datagram.begin() + at, octet);
                break;
            case 4:
                if (!datagram.empty()) datagram.erase(datagram.begin() + at);
                break;
            default: {
                const Bytes run(datagram.begin() + at,
                                datagram.begin() + at +
                                    static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                        below(40), datagram.size() - std::size_t(at))));
                const auto to = static_cast<std::ptrdiff_t>(below(datagram.size()));
                datagram.insert(datagram.begin() + to, run.begin(), run.end());
            }
        }
    }
    return datagram;
}

}  // namespace flow29::dht::test
