// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include <flow29/ids.hpp>

namespace flow29::core {

/// A movable block of octets that is not zeroed first: zeroing what the network is about to fill
/// costs 0.1 CPU-seconds per GiB.
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(std::size_t size)
        : octets_(std::make_unique_for_overwrite<std::uint8_t[]>(size)), size_(size) {}
    [[nodiscard]] static Buffer copy_of(ByteView source) {
        Buffer buffer(source.size());
        if (!source.empty()) std::memcpy(buffer.data(), source.data(), source.size());
        return buffer;
    }

    Buffer(Buffer&& other) noexcept
        : octets_(std::move(other.octets_)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        octets_ = std::move(other.octets_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    [[nodiscard]] std::uint8_t* data() { return octets_.get(); }
    [[nodiscard]] const std::uint8_t* data() const { return octets_.get(); }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] ByteView view() const { return {octets_.get(), size_}; }
    [[nodiscard]] std::span<std::uint8_t> span() { return {octets_.get(), size_}; }

  private:
    std::unique_ptr<std::uint8_t[]> octets_;
    std::size_t size_ = 0;
};

}  // namespace flow29::core
