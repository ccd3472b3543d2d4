// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include <flow29/ids.hpp>

namespace flow29::core {

/// A movable block of octets that is not zeroed first: zeroing what the network is about to fill
/// costs 0.1 CPU-seconds per GiB. One of `page_bytes` or more begins on a page border, so that it can
/// be written past the page cache.
class Buffer {
  public:
    static constexpr std::size_t page_bytes = 4096;

    Buffer() = default;
    explicit Buffer(std::size_t size) : octets_(allocate(size)), size_(size) {}
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
    struct Free {
        void operator()(std::uint8_t* octets) const { std::free(octets); }
    };
    static std::uint8_t* allocate(std::size_t size) {
        void* const octets =
            size < page_bytes
                ? std::malloc(std::max<std::size_t>(size, 1))
                : std::aligned_alloc(page_bytes, (size + page_bytes - 1) / page_bytes * page_bytes);
        if (octets == nullptr) throw std::bad_alloc();
        return static_cast<std::uint8_t*>(octets);
    }

    std::unique_ptr<std::uint8_t[], Free> octets_;
    std::size_t size_ = 0;
};

}  // namespace flow29::core
