// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <flow29/ids.hpp>

namespace flow29::dht {

/// Reads msgpack items one after the other from a datagram, without allocating. After the first
/// mismatch `ok()` is false and every read yields zero or nothing. Results borrow from the
/// datagram.
///
/// Takes unsigned integers only: OpenDHT writes no others.
class WireCursor {
  public:
    explicit WireCursor(ByteView data) : data_(data) {}

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool at_end() const { return ok_ && at_ == data_.size(); }
    [[nodiscard]] std::size_t position() const { return at_; }
    void fail() { ok_ = false; }

    std::uint64_t uint(std::uint64_t max) {
        const std::uint8_t head = octet();
        std::uint64_t value = head;
        if (head >= 0x80) {
            if (head < 0xcc || head > 0xcf) return refuse();
            value = big_endian(std::size_t{1} << (head - 0xcc));
        }
        return value <= max ? value : refuse();
    }
    bool boolean() {
        const std::uint8_t head = octet();
        if (head != 0xc2 && head != 0xc3) refuse();
        return ok_ && head == 0xc3;
    }
    std::size_t map(std::size_t pairs_max) { return count(0x80, 0xde, pairs_max); }
    std::size_t array(std::size_t items_max) { return count(0x90, 0xdc, items_max); }
    ByteView bin(std::size_t bytes_max) {
        const std::uint8_t head = octet();
        if (head < 0xc4 || head > 0xc6) {
            refuse();
            return {};
        }
        return take(big_endian(std::size_t{1} << (head - 0xc4)), bytes_max);
    }
    std::string_view str(std::size_t bytes_max) {
        const std::uint8_t head = octet();
        std::uint64_t length = head & 0x1fU;
        if (head < 0xa0 || head > 0xbf) {
            if (head != 0xd9 && head != 0xda) {
                refuse();
                return {};
            }
            length = big_endian(head == 0xd9 ? 1 : 2);
        }
        const ByteView octets = take(length, bytes_max);
        return {reinterpret_cast<const char*>(octets.data()), octets.size()};
    }

  private:
    std::uint64_t refuse() {
        ok_ = false;
        return 0;
    }
    std::uint8_t octet() {
        if (!ok_ || at_ >= data_.size()) return static_cast<std::uint8_t>(refuse());
        return data_[at_++];
    }
    std::uint64_t big_endian(std::size_t octets) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < octets; ++i)
            value = value << 8 | octet();
        return value;
    }
    std::size_t count(std::uint8_t fix, std::uint8_t wide, std::size_t max) {
        const std::uint8_t head = octet();
        std::uint64_t items = head & 0x0fU;
        if ((head & 0xf0U) != fix) {
            if (head != wide && head != wide + 1) return refuse();
            items = big_endian(head == wide ? 2 : 4);
        }
        return items <= max ? static_cast<std::size_t>(items) : refuse();
    }
    ByteView take(std::uint64_t length, std::size_t max) {
        if (!ok_ || length > max || length > data_.size() - at_) {
            refuse();
            return {};
        }
        const ByteView octets = data_.subspan(at_, static_cast<std::size_t>(length));
        at_ += octets.size();
        return octets;
    }

    ByteView data_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace flow29::dht
