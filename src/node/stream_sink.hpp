// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>

#include <flow29/node.hpp>
#include "node/download.hpp"

namespace flow29::node {

/// Hands verified pieces to a consumer in order, one at a time, and tells how far it has come: the
/// planner's window, and so the memory, follows the reader.
class StreamSink : public PieceSink, public std::enable_shared_from_this<StreamSink> {
  public:
    StreamSink(net::Runtime& runtime, ByteRange range, SinkFn consumer)
        : runtime_(runtime),
          range_(range),
          consumer_(std::move(consumer)),
          position_(range.first),
          changed_(runtime) {}

    [[nodiscard]] Result<void> store(const Piece&, ByteView, const core::VerifiedRange&) override {
        return {};
    }
    void deliver(const Piece& piece, core::Buffer& data) override;

    void on_consumed(std::function<void(ByteCount)> consumed) { consumed_ = std::move(consumed); }
    /// Called when the consumer wants no more.
    void on_refused(std::function<void()> refused) { on_refused_ = std::move(refused); }
    [[nodiscard]] bool refused() const { return refused_; }
    /// Waits until the consumer has taken everything; false when it refused or `stop` came.
    [[nodiscard]] asio::awaitable<bool> drained(std::stop_token stop);

  private:
    struct Waiting {
        Piece piece;
        core::Buffer data;
    };

    void pump();
    void on_next(bool go_on);

    net::Runtime& runtime_;  // owned by the node
    ByteRange range_;
    SinkFn consumer_;
    ByteCount position_;                        // next byte to hand over
    std::map<std::uint64_t, Waiting> waiting_;  // by first byte
    std::optional<Waiting> handed_;             // the consumer's until it asks for more
    std::function<void(ByteCount)> consumed_;
    std::function<void()> on_refused_;
    net::Signal changed_;
    bool refused_ = false;
};

}  // namespace flow29::node
