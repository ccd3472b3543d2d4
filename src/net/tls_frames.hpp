// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/buffer.hpp"
#include "net/throttle.hpp"
#include "net/tls_stream.hpp"
#include "proto/message.hpp"

#include <array>
#include <deque>
#include <functional>
#include <vector>

namespace flow29::net {

/// Cuts what comes from a stream into frames. Heads go through a buffer that reads ahead by as much
/// as a TLS record; bodies are decrypted in place, but for the part that came with their head.
class FrameReader {
  public:
    struct Frame {
        proto::Head head;
        ByteCount body;  ///< octets that follow, to be read or skipped before the next frame
    };

    /// `on_arrival` is called after each wait that octets ended. `stream` and `flow` outlive the
    /// reader; `turn` is notified when the flow has a turn, and when the stream is closed.
    FrameReader(TlsStream& stream, ThrottledFlow& flow, Signal& turn,
                std::function<void()> on_arrival);

    [[nodiscard]] asio::awaitable<Result<Frame>> next();
    [[nodiscard]] asio::awaitable<Result<void>> read_body(std::span<std::uint8_t> out);
    [[nodiscard]] asio::awaitable<Result<void>> skip_body(ByteCount octets);

    [[nodiscard]] std::uint64_t octets_read() const { return octets_read_; }
    /// Octets read since the stream last had to wait: past some bound, give others a turn.
    [[nodiscard]] std::size_t octets_this_turn() const { return octets_this_turn_; }
    void begin_turn() { octets_this_turn_ = 0; }

  private:
    [[nodiscard]] std::size_t buffered() const { return end_ - begin_; }
    [[nodiscard]] asio::awaitable<Result<void>> need(std::size_t octets);
    [[nodiscard]] asio::awaitable<Result<std::size_t>> read_some(std::span<std::uint8_t> out);
    void make_room(std::size_t octets);
    void bound_window();

    TlsStream& stream_;  // owned by the connection, as are the next two
    ThrottledFlow& flow_;
    Signal& turn_;
    std::function<void()> on_arrival_;
    std::vector<std::uint8_t> buffer_;
    std::size_t begin_ = 0;  // buffer_[begin_, end_) is read but not used
    std::size_t end_ = 0;
    std::uint64_t octets_read_ = 0;
    std::size_t octets_this_turn_ = 0;
    ByteCount window_for_;  // the rate that the window was bounded for
};

/// Sends frames, those without a body before those with one, and those in the background last, but
/// never inside one. Everything is packed into full TLS records; of a body only what shares a
/// record with something else is copied.
///
///     | lengths head body… | body | body | …body lengths head body… |     each | | a record
///
/// Under a limit, records are as small as a turn, and a short frame without a body, such as a ping,
/// goes without waiting for one.
class FrameWriter {
  public:
    enum class Turn {
        idle,         ///< nothing left to send
        wants_read,   ///< wait on the stream, then pump again
        wants_write,  ///< likewise
        wants_turn,   ///< pump again when the flow has one, or when something urgent was pushed
        spent,        ///< more to send, but let others have a turn
        ended,
    };

    using Class = proto::FairShare::Class;

    /// `stream` and `flow` outlive the writer.
    FrameWriter(TlsStream& stream, ThrottledFlow& flow) : stream_(stream), flow_(flow) {}

    /// Requires a head and a body within the frame limits. Without a body it is urgent whatever its
    /// class.
    void push(ByteView head, core::Buffer body, Class as = Class::foreground);
    /// Sends what can be sent without waiting.
    [[nodiscard]] Turn pump();

    /// Octets pushed and not yet handed to TLS.
    [[nodiscard]] ByteCount waiting() const { return ByteCount(waiting_); }
    /// Those and the ones that stay in memory until their frame has gone.
    [[nodiscard]] ByteCount held() const {
        return ByteCount(waiting_ + (current_ ? current_->sent : 0));
    }
    [[nodiscard]] std::uint64_t octets_written() const { return octets_written_; }

  private:
    struct Frame {
        Bytes prefix;  // lengths and head
        core::Buffer body;
        std::size_t sent = 0;  // of prefix, then body
        Class as = Class::foreground;

        [[nodiscard]] std::size_t left() const { return prefix.size() + body.size() - sent; }
    };

    [[nodiscard]] bool more_follows() const;
    [[nodiscard]] std::deque<Frame>& next_queue();
    [[nodiscard]] std::size_t room_for_record();
    [[nodiscard]] ByteView next_piece();
    void take(std::size_t octets);
    [[nodiscard]] ByteView next_record(std::size_t room);

    TlsStream& stream_;  // owned by the connection, as is the next
    ThrottledFlow& flow_;
    std::deque<Frame> urgent_;
    std::deque<Frame> bulk_;
    std::deque<Frame> background_;
    std::optional<Frame> current_;
    std::array<std::uint8_t, TlsStream::record_bytes_max> record_{};
    bool unfinished_ = false;  // TLS holds a record that the socket did not take
    bool held_ = false;        // or one that waits for what follows
    std::size_t waiting_ = 0;
    std::uint64_t octets_written_ = 0;
};

}  // namespace flow29::net
