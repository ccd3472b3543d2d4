// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_frames.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"

#include <algorithm>
#include <cstring>

namespace flow29::net {
namespace {

// So much is still in the core's cache when the kernel, or another connection's turn, looks at it:
// a turn of 1 MiB costs a quarter more CPU.
constexpr std::size_t writer_turn_bytes = 256 * 1024;
// Frames up to here show that we live, or ask for something: they need not wait under a limit.
constexpr std::size_t urgent_bytes_max = 1024;
// What waits in the kernel has used the line already: under a limit it is a part of a second's
// worth.
constexpr std::uint64_t windows_per_second = 8;
constexpr std::uint64_t window_min = 16 * 1024;

}  // namespace

FrameReader::FrameReader(TlsStream& stream, ThrottledFlow& flow, Signal& turn,
                         std::function<void()> on_arrival)
    : stream_(stream),
      flow_(flow),
      turn_(turn),
      on_arrival_(std::move(on_arrival)),
      buffer_(TlsStream::record_bytes_max) {}

void FrameReader::bound_window() {
    window_for_ = flow_.rate();
    stream_.bound_window(window_for_.value == 0
                             ? std::nullopt
                             : std::optional(ByteCount(
                                   std::max(window_for_.value / windows_per_second, window_min))));
}

asio::awaitable<Result<std::size_t>> FrameReader::read_some(std::span<std::uint8_t> out) {
    for (;;) {
        if (flow_.rate() != window_for_) bound_window();
        if (stream_.open() && !flow_.acquire(proto::FairShare::Class::foreground)) {
            co_await turn_.wait();
            on_arrival_();  // it was we who did not look
            continue;
        }
        // Under a limit a turn is short.
        const std::size_t room =
            flow_.is_limited() ? std::min(out.size(), TlsStream::record_bytes_max) : out.size();
        const TlsStream::Progress progress = stream_.try_read(out.first(room));
        if (progress.status == TlsStream::Status::moved) {
            flow_.spend(progress.octets);
            octets_read_ += progress.octets;
            octets_this_turn_ += progress.octets;
            co_return progress.octets;
        }
        flow_.rest();
        if (progress.status == TlsStream::Status::ended) co_return fail(stream_.error());
        const bool ready = co_await stream_.wait(progress.status);
        if (!ready) co_return fail(Errc::peer_unreachable, "the connection is closed");
        octets_this_turn_ = 0;
        on_arrival_();
    }
}

void FrameReader::make_room(std::size_t octets) {
    if (begin_ != 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
        end_ -= begin_;
        begin_ = 0;
    }
    // A long head needs more for a while; give it back when it has gone.
    const std::size_t wanted = std::max(octets, TlsStream::record_bytes_max);
    if (buffer_.size() < wanted || (buffer_.size() > wanted && end_ <= wanted)) {
        buffer_.resize(wanted);
        buffer_.shrink_to_fit();
    }
}

asio::awaitable<Result<void>> FrameReader::need(std::size_t octets) {
    while (buffered() < octets) {
        if (begin_ + octets > buffer_.size() || begin_ == end_) make_room(octets);
        const std::span<std::uint8_t> room(buffer_.data() + end_, buffer_.size() - end_);
        auto got = co_await read_some(room);
        if (!got) co_return fail(std::move(got.error()));
        end_ += *got;
    }
    co_return Result<void>{};
}

asio::awaitable<Result<FrameReader::Frame>> FrameReader::next() {
    constexpr std::size_t prefix = proto::FrameLengths::size;
    auto have = co_await need(prefix);
    if (!have) co_return fail(std::move(have.error()));
    const std::span<const std::uint8_t, prefix> raw(buffer_.data() + begin_, prefix);
    auto lengths = proto::FrameLengths::decode(raw);
    if (!lengths) co_return fail(std::move(lengths.error()));
    have = co_await need(prefix + lengths->head);
    if (!have) co_return fail(std::move(have.error()));
    auto head = proto::decode_head(ByteView(buffer_).subspan(begin_ + prefix, lengths->head));
    if (!head) co_return fail(std::move(head.error()));
    begin_ += prefix + lengths->head;
    Frame frame;
    frame.head = std::move(*head);
    frame.body = ByteCount(lengths->body);
    co_return std::move(frame);
}

asio::awaitable<Result<void>> FrameReader::read_body(std::span<std::uint8_t> out) {
    const std::size_t ready = std::min(out.size(), buffered());
    if (ready != 0) std::memcpy(out.data(), buffer_.data() + begin_, ready);
    begin_ += ready;
    out = out.subspan(ready);
    while (!out.empty()) {
        auto got = co_await read_some(out);
        if (!got) co_return fail(std::move(got.error()));
        out = out.subspan(*got);
    }
    co_return Result<void>{};
}

asio::awaitable<Result<void>> FrameReader::skip_body(ByteCount octets) {
    while (octets.value != 0) {
        if (buffered() == 0) {
            auto have = co_await need(1);
            if (!have) co_return fail(std::move(have.error()));
        }
        const std::size_t part = std::min<std::size_t>(octets.value, buffered());
        begin_ += part;
        octets -= ByteCount(part);
    }
    co_return Result<void>{};
}

void FrameWriter::push(ByteView head, core::Buffer body, Class as) {
    FLOW29_ASSERT(!head.empty());
    FLOW29_ASSERT(head.size() <= limits::frame_head_bytes_max);
    FLOW29_ASSERT(body.size() <= limits::frame_body_bytes_max);
    const proto::FrameLengths lengths{static_cast<std::uint32_t>(head.size()),
                                      static_cast<std::uint32_t>(body.size())};
    const auto raw = lengths.encode();
    Frame frame;
    frame.prefix.reserve(raw.size() + head.size());
    frame.prefix.insert(frame.prefix.end(), raw.begin(), raw.end());
    frame.prefix.insert(frame.prefix.end(), head.begin(), head.end());
    frame.body = std::move(body);
    frame.as = as;
    waiting_ += frame.left();
    auto& bulk = as == Class::foreground ? bulk_ : background_;
    auto& queue = frame.body.empty() ? urgent_ : bulk;
    queue.push_back(std::move(frame));
}

/// Under a limit, what follows may take a while.
bool FrameWriter::more_follows() const {
    return waiting_ != 0 && !flow_.is_limited();
}

std::deque<FrameWriter::Frame>& FrameWriter::next_queue() {
    if (!urgent_.empty()) return urgent_;
    return bulk_.empty() ? background_ : bulk_;
}

/// How long a record may be that is sent now; 0 when it must wait.
std::size_t FrameWriter::room_for_record() {
    if (!flow_.is_limited()) return record_.size();
    if (current_ && current_->left() == 0) current_.reset();
    if (!current_ && next_queue().empty()) return record_.size();
    const Frame& next = current_ ? *current_ : next_queue().front();
    const std::size_t left = next.left();
    if (next.body.empty() && left <= urgent_bytes_max && flow_.acquire_at_once(left)) return left;
    if (!flow_.acquire(next.as)) return 0;
    const std::size_t room = std::min(record_.size(), flow_.octets_max());
    flow_.spend(std::min(room, waiting_));
    return room;
}

ByteView FrameWriter::next_piece() {
    if (current_ && current_->left() == 0) current_.reset();
    if (!current_) {
        auto& queue = next_queue();
        if (queue.empty()) return {};
        current_ = std::move(queue.front());
        queue.pop_front();
    }
    const std::size_t prefix = current_->prefix.size();
    if (current_->sent < prefix) return ByteView(current_->prefix).subspan(current_->sent);
    return current_->body.view().subspan(current_->sent - prefix);
}

void FrameWriter::take(std::size_t octets) {
    current_->sent += octets;
    waiting_ -= octets;
}

ByteView FrameWriter::next_record(std::size_t room) {
    std::size_t used = 0;
    while (used < room) {
        const ByteView piece = next_piece();
        if (piece.empty()) break;
        const std::size_t part = std::min(piece.size(), room - used);
        take(part);
        if (part == room) return piece.first(part);
        std::memcpy(record_.data() + used, piece.data(), part);
        used += part;
    }
    return ByteView(record_).first(used);
}

FrameWriter::Turn FrameWriter::pump() {
    std::size_t turn = 0;
    while (turn < writer_turn_bytes) {
        TlsStream::Progress progress;
        if (unfinished_) {
            held_ = more_follows();
            progress = stream_.resume_write(held_);
        } else {
            const std::size_t room = room_for_record();
            const ByteView record = room == 0 ? ByteView() : next_record(room);
            if (!record.empty()) {
                held_ = more_follows();
                progress = stream_.try_write(record, held_);
            } else if (held_) {  // what should have followed may not, or is gone
                held_ = false;
                progress = stream_.resume_write(false);
            } else if (room == 0) {
                return Turn::wants_turn;
            } else {
                flow_.rest();
                return Turn::idle;
            }
        }
        if (progress.status == TlsStream::Status::ended) return Turn::ended;
        unfinished_ = progress.status != TlsStream::Status::moved;
        if (progress.status == TlsStream::Status::wants_write) return Turn::wants_write;
        if (progress.status == TlsStream::Status::wants_read) return Turn::wants_read;
        octets_written_ += progress.octets;
        turn += progress.octets;
    }
    return Turn::spent;
}

}  // namespace flow29::net
