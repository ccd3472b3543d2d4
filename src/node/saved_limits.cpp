// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/saved_limits.hpp"

namespace flow29::node {

namespace {
constexpr std::string_view up_setting = "up_limit";
constexpr std::string_view down_setting = "down_limit";
constexpr std::string_view repair_setting = "repair_limit";

ByteCount load(store::Store& store, std::string_view setting, ByteCount otherwise) {
    const auto saved = store.setting(setting);
    std::uint64_t limit = 0;
    if (!saved || saved->size() != sizeof limit) return otherwise;
    for (const auto octet : *saved)
        limit = limit << 8 | octet;
    return ByteCount(limit);
}

Result<void> save(store::Store& store, std::string_view setting, std::optional<ByteCount> limit) {
    if (!limit) return {};
    Bytes octets;
    for (int shift = 56; shift >= 0; shift -= 8)
        octets.push_back(static_cast<std::uint8_t>(limit->value >> shift));
    return store.set_setting(setting, octets);
}
}  // namespace

RateLimits load_limits(store::Store& store) {
    return {.up = load(store, up_setting, ByteCount(0)),
            .down = load(store, down_setting, ByteCount(0)),
            .repair = load(store, repair_setting, repair_limit_default)};
}

Result<void> save_limits(store::Store& store, RateLimitsChange change) {
    if (auto saved = save(store, up_setting, change.up); !saved) return saved;
    if (auto saved = save(store, down_setting, change.down); !saved) return saved;
    return save(store, repair_setting, change.repair);
}

}  // namespace flow29::node
