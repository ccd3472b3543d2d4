// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_records.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"

#include <fmt/format.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <cstring>

namespace flow29::net {
namespace {

using core::RecordCipher;
using tls::ContentType;

constexpr std::size_t record_bytes_max = tls::header_bytes + tls::sealed_bytes_max;
// What a busy connection asks the kernel for at once.
constexpr std::size_t busy_bytes = 4 * record_bytes_max;
constexpr std::uint8_t close_notify = 0;
constexpr std::uint8_t new_session_ticket = 4;

tl::unexpected<Error> broken(const char* how) {
    return fail(Errc::peer_unreachable, fmt::format("TLS: {}", how));
}

void write_header(std::uint8_t* out, std::size_t sealed_bytes) {
    out[0] = static_cast<std::uint8_t>(ContentType::application_data);
    out[1] = 3;
    out[2] = 3;
    out[3] = static_cast<std::uint8_t>(sealed_bytes >> 8);
    out[4] = static_cast<std::uint8_t>(sealed_bytes);
}

}  // namespace

void RecordSealer::make_room(std::size_t octets) {
    if (end_ + octets <= size_) return;
    const std::size_t kept = end_ - begin_;
    const std::size_t wanted = kept + octets;
    if (wanted <= size_) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
    } else {
        const std::size_t size = kept == 0 ? wanted : std::max(wanted, busy_bytes);
        auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(size);
        if (kept != 0) std::memcpy(larger.get(), buffer_.get() + begin_, kept);
        buffer_ = std::move(larger);
        size_ = size;
    }
    begin_ = 0;
    end_ = kept;
}

bool RecordSealer::seal(ContentType type, ByteView plain) {
    FLOW29_ASSERT(plain.size() <= tls::plain_bytes_max);
    if (!cipher_->usable()) return false;
    const std::size_t sealed_bytes = plain.size() + 1 + RecordCipher::tag_bytes;
    make_room(tls::header_bytes + sealed_bytes);
    std::uint8_t* const header = buffer_.get() + end_;
    write_header(header, sealed_bytes);
    cipher_->seal({header, tls::header_bytes}, plain, static_cast<std::uint8_t>(type),
                  header + tls::header_bytes);
    end_ += tls::header_bytes + sealed_bytes;
    return true;
}

void RecordSealer::sent(std::size_t octets) {
    FLOW29_ASSERT(octets <= end_ - begin_);
    begin_ += octets;
    if (begin_ == end_) begin_ = end_ = 0;
}

void RecordSealer::rest() {
    if (begin_ != end_) return;
    buffer_.reset();
    size_ = 0;
}

std::span<std::uint8_t> RecordOpener::room() {
    FLOW29_ASSERT(opened_.empty());
    const std::size_t kept = buffered();
    // What is kept is less than a record.
    const std::size_t wanted = filled_ ? busy_bytes : record_bytes_max;
    if (size_ < wanted) {
        auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(wanted);
        if (kept != 0) std::memcpy(larger.get(), buffer_.get() + begin_, kept);
        buffer_ = std::move(larger);
        size_ = wanted;
    } else if (kept != 0 && begin_ != 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
    }
    begin_ = 0;
    end_ = kept;
    return {buffer_.get() + end_, size_ - end_};
}

void RecordOpener::arrived(std::size_t octets) {
    FLOW29_ASSERT(octets <= size_ - end_);
    end_ += octets;
    filled_ = end_ == size_;
}

void RecordOpener::rest() {
    if (!opened_.empty() || buffered() != 0) return;
    buffer_.reset();
    size_ = begin_ = end_ = 0;
    filled_ = false;
}

/// How much is behind the header of the record that is next, once all of it has come.
Result<std::optional<std::size_t>> RecordOpener::whole_record() const {
    if (buffered() < tls::header_bytes) return std::nullopt;
    const std::uint8_t* const header = buffer_.get() + begin_;
    const std::size_t length = std::size_t{header[3]} << 8 | header[4];
    if (header[0] != static_cast<std::uint8_t>(ContentType::application_data) || header[1] != 3)
        return broken("what came is not an encrypted record");
    if (length <= RecordCipher::tag_bytes || length > tls::sealed_bytes_max)
        return broken("a record is too short or too long");
    if (buffered() < tls::header_bytes + length) return std::nullopt;
    return length;
}

Result<RecordOpener::Inner> RecordOpener::open(std::size_t length, std::uint8_t* out) {
    const ByteView header(buffer_.get() + begin_, tls::header_bytes);
    const ByteView sealed(buffer_.get() + begin_ + tls::header_bytes, length);
    if (!cipher_->usable()) return broken("the connection has carried what one key may");
    begin_ += tls::header_bytes + length;
    if (!cipher_->open(header, sealed, out)) return broken("a record is not of the other end");
    std::size_t end = length - RecordCipher::tag_bytes;
    while (end != 0 && out[end - 1] == 0)
        --end;
    if (end == 0) return broken("a record has no type");
    if (end - 1 > tls::plain_bytes_max) return broken("a record is too long");
    return Inner{static_cast<ContentType>(out[end - 1]), end - 1};
}

/// Judges what is no data.
Result<void> RecordOpener::pass(Inner inner, const std::uint8_t* content) {
    if (inner.type == ContentType::alert && inner.octets == 2) {
        if (content[1] == close_notify)
            return fail(Errc::peer_unreachable, "the peer ended the connection");
        const char* const name =
            gnutls_alert_get_name(static_cast<gnutls_alert_description_t>(content[1]));
        return fail(Errc::peer_unreachable,
                    fmt::format("the peer ended the connection: TLS alert {}",
                                name == nullptr ? "of an unknown kind" : name));
    }
    const bool passing = (inner.type == ContentType::application_data && inner.octets == 0) ||
                         (inner.type == ContentType::handshake && inner.octets != 0 &&
                          content[0] == new_session_ticket);
    // A key that is updated among them: 29 Flow makes a new connection instead.
    if (!passing) return broken("a record of a kind that nobody asked for");
    // No peer may send such for ever.
    if (++without_data_ > limits::records_without_data_max)
        return broken("records without end and without data");
    return {};
}

std::size_t RecordOpener::take_opened(std::span<std::uint8_t> out) {
    const std::size_t octets = std::min(out.size(), opened_.size());
    std::memcpy(out.data(), opened_.data(), octets);
    opened_ = opened_.subspan(octets);
    return octets;
}

Result<std::size_t> RecordOpener::take_record(std::size_t length, std::span<std::uint8_t> out) {
    // The type, and zeros behind it, need room as well.
    const bool fits = out.size() >= length - RecordCipher::tag_bytes;
    std::uint8_t* const place = fits ? out.data() : buffer_.get() + begin_ + tls::header_bytes;
    const auto inner = open(length, place);
    if (!inner) return fail(inner.error());
    if (inner->type != ContentType::application_data || inner->octets == 0) {
        const auto passed = pass(*inner, place);
        if (!passed) return fail(passed.error());
        return 0;
    }
    without_data_ = 0;
    if (fits) return inner->octets;
    opened_ = {place, inner->octets};
    return take_opened(out);
}

Result<std::size_t> RecordOpener::take(std::span<std::uint8_t> out) {
    FLOW29_ASSERT(!out.empty());
    std::size_t taken = opened_.empty() ? 0 : take_opened(out);
    while (!fault_ && opened_.empty() && taken < out.size()) {
        auto length = whole_record();
        if (length && !*length) break;
        auto got = length ? take_record(**length, out.subspan(taken)) : fail(length.error());
        if (got)
            taken += *got;
        else
            fault_ = std::move(got.error());
    }
    if (taken != 0 || !fault_) return taken;
    return fail(*fault_);
}

}  // namespace flow29::net
