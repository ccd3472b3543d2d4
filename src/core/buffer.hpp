// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include <flow29/ids.hpp>

namespace flow29::core {

/// A movable block of octets that is not zeroed first: zeroing what the network is about to fill
/// costs 0.1 CPU-seconds per GiB. One of `page_bytes` or more begins on a page border, so that it
/// can be written past the page cache.
class Buffer {
  public:
    static constexpr std::size_t page_bytes = 4096;

    Buffer() = default;
    explicit Buffer(std::size_t size)
        : block_(std::make_unique_for_overwrite<std::uint8_t[]>(size + slack(size))),
          octets_(block_.get()),
          size_(size) {
        // Not aligned_alloc: what is freed of that, glibc 2.36 does not use for the next one.
        std::size_t room = size + slack(size);
        void* first = octets_;
        if (slack(size) != 0)
            octets_ = static_cast<std::uint8_t*>(std::align(page_bytes, size, first, room));
    }
    [[nodiscard]] static Buffer copy_of(ByteView source) {
        Buffer buffer(source.size());
        if (!source.empty()) std::memcpy(buffer.data(), source.data(), source.size());
        return buffer;
    }

    Buffer(Buffer&& other) noexcept
        : block_(std::move(other.block_)),
          octets_(std::exchange(other.octets_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        block_ = std::move(other.block_);
        octets_ = std::exchange(other.octets_, nullptr);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    [[nodiscard]] std::uint8_t* data() { return octets_; }
    [[nodiscard]] const std::uint8_t* data() const { return octets_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] ByteView view() const { return {octets_, size_}; }
    [[nodiscard]] std::span<std::uint8_t> span() { return {octets_, size_}; }

  private:
    static std::size_t slack(std::size_t size) { return size < page_bytes ? 0 : page_bytes; }

    std::unique_ptr<std::uint8_t[]> block_;
    std::uint8_t* octets_ = nullptr;  // in the block
    std::size_t size_ = 0;
};

}  // namespace flow29::core
