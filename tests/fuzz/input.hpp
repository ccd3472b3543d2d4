// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <flow29/ids.hpp>

#include "core/assert.hpp"

namespace flow29::fuzz {

/// A fuzzer's octets as a sequence of decisions. Once they are used up, every further one is 0.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

    [[nodiscard]] bool empty() const { return left_.empty(); }
    [[nodiscard]] std::size_t left() const { return left_.size(); }

    std::uint8_t octet() {
        if (left_.empty()) return 0;
        const std::uint8_t value = left_.front();
        left_ = left_.subspan(1);
        return value;
    }
    bool flag() { return octet() % 2 != 0; }
    /// 0 to `max`, from as few octets as that takes.
    std::uint64_t number(std::uint64_t max) {
        std::uint64_t value = 0;
        for (std::uint64_t bound = max; bound != 0; bound >>= 8)
            value = value << 8 | octet();
        return max == ~std::uint64_t{0} ? value : value % (max + 1);
    }
    /// At most so many octets, as one octet before them says (two when they may be over 255).
    ByteView octets(std::size_t bytes_max) {
        const auto wanted = static_cast<std::size_t>(number(bytes_max));
        const auto taken = left_.first(std::min(wanted, left_.size()));
        left_ = left_.subspan(taken.size());
        return taken;
    }
    std::string text(std::size_t bytes_max) {
        const auto taken = octets(bytes_max);
        return {taken.begin(), taken.end()};
    }
    /// Of which octets that are missing are 0.
    template <class Id>
    Id id() {
        Id id;
        for (auto& octet_of : id.bytes)
            octet_of = octet();
        return id;
    }
    /// All that is left.
    ByteView rest() {
        const auto taken = left_;
        left_ = {};
        return taken;
    }

  private:
    ByteView left_;
};

/// What a target gets, as text.
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace flow29::fuzz
