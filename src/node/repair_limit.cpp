// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/repair_limit.hpp"

namespace flow29::node {

namespace {
constexpr std::string_view setting = "repair_limit";
}  // namespace

ByteCount load_repair_limit(store::Store& store) {
    const auto saved = store.setting(setting);
    std::uint64_t limit = 0;
    if (!saved || saved->size() != sizeof limit) return repair_limit_default;
    for (const auto octet : *saved)
        limit = limit << 8 | octet;
    return ByteCount(limit);
}

Result<void> save_repair_limit(store::Store& store, ByteCount limit) {
    Bytes octets;
    for (int shift = 56; shift >= 0; shift -= 8)
        octets.push_back(static_cast<std::uint8_t>(limit.value >> shift));
    return store.set_setting(setting, octets);
}

}  // namespace flow29::node
