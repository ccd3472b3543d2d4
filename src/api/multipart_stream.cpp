// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/multipart_stream.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "api/http_range.hpp"
#include "core/identity.hpp"

namespace flow29::api {
namespace {

std::string random_boundary() {
    std::array<std::uint8_t, 16> octets{};
    core::random_bytes(octets);
    return to_hex(ByteView(octets));
}

Bytes bytes_of(const std::string& text) {
    return {text.begin(), text.end()};
}

}  // namespace

MultipartStream::MultipartStream(Node& node, Link link, Options options, std::stop_token stop)
    : node_(node),
      link_(std::move(link)),
      options_(std::move(options)),
      stop_(std::move(stop)),
      boundary_(random_boundary()),
      stream_(open(0)) {}

Result<void> MultipartStream::wait_head() {
    const auto head = stream_->wait_head();
    if (!head) return fail(head.error());
    return {};
}

std::optional<Bytes> MultipartStream::next() {
    if (in_part_) {
        auto piece = stream_->next();
        // A part that ends early ends all: what follows would be taken for its bytes.
        if (!piece || piece->size() > left_) return std::nullopt;
        left_ -= piece->size();
        if (left_ == 0) {
            stream_.reset();
            in_part_ = false;
            ++part_;
        }
        return piece;
    }
    const auto parts = options_.ranges.size();
    if (part_ > parts) return std::nullopt;
    if (part_ == parts) {
        ++part_;
        return bytes_of(end());
    }
    if (!stream_) stream_ = open(part_);
    in_part_ = true;
    left_ = options_.ranges[part_].count().value;
    return bytes_of(head_of(part_));
}

std::string MultipartStream::content_type() const {
    return "multipart/byteranges; boundary=" + boundary_;
}

std::uint64_t MultipartStream::length() const {
    std::uint64_t length = end().size();
    for (std::size_t part = 0; part < options_.ranges.size(); ++part)
        length += head_of(part).size() + options_.ranges[part].count().value;
    return length;
}

std::unique_ptr<ObjectStream> MultipartStream::open(std::size_t part) const {
    return std::make_unique<ObjectStream>(
        node_, link_, ObjectStream::Options{.range = options_.ranges[part]}, stop_);
}

std::string MultipartStream::head_of(std::size_t part) const {
    return fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
                       part == 0 ? "" : "\r\n", boundary_, options_.content_type,
                       content_range(options_.ranges[part], options_.object_bytes));
}

std::string MultipartStream::end() const {
    return fmt::format("\r\n--{}--\r\n", boundary_);
}

}  // namespace flow29::api
