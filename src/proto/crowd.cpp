// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/crowd.hpp"

#include <algorithm>
#include <cmath>

namespace flow29::proto {
namespace {

/// How far apart, as a part of the key space: in [0, 1).
double apart(const DhtKey& a, const DhtKey& b) {
    double result = 0;
    for (int i = 7; i >= 0; --i)
        result = (result +
                  (a.bytes[static_cast<std::size_t>(i)] ^ b.bytes[static_cast<std::size_t>(i)])) /
                 256;
    return result;
}

/// How many nodes a swarm has in which so many lie so near to a key.
double size_seen(const DhtKey& key, std::span<const DhtKey> nodes) {
    double farthest = std::ldexp(1.0, -64);
    for (const auto& node : nodes)
        farthest = std::max(farthest, apart(key, node));
    return static_cast<double>(nodes.size()) / farthest;
}

bool bit_of(const DhtKey& key, unsigned place) {
    return (key.bytes[place / 8] >> (7 - place % 8) & 1U) != 0;
}

void set_bit(DhtKey& key, unsigned place, bool value) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> place % 8);
    auto& octet = key.bytes[place / 8];
    octet = static_cast<std::uint8_t>(value ? octet | mask : octet & ~mask);
}

}  // namespace

Crowd::Crowd(const DhtKey& self, std::span<const DhtKey> around) {
    if (around.size() >= density_from) size_ = size_seen(self, around);
}

std::vector<DhtKey> Crowd::keys_beside(const DhtKey& key, std::span<const DhtKey> found,
                                       const DhtKey& salt) const {
    if (size_ == 0 || found.size() < found_min || size_seen(key, found) < crowded_times * size_)
        return {};
    // So many first bits of the key are kept.
    const auto kept =
        static_cast<unsigned>(std::clamp(std::floor(std::log2(size_ / beside_nodes)), 0.0, 64.0));
    std::vector<DhtKey> keys;
    for (unsigned part = 0; part < 1U << beside_bits; ++part) {
        DhtKey beside = salt;
        for (unsigned bit = 0; bit < kept; ++bit)
            set_bit(beside, bit, bit_of(key, bit));
        for (unsigned bit = 0; bit < beside_bits; ++bit)
            set_bit(beside, kept + bit, (part >> bit & 1U) != 0);
        keys.push_back(beside);
    }
    return keys;
}

}  // namespace flow29::proto
