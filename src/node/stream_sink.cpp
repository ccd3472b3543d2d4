// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/stream_sink.hpp"

#include <asio/post.hpp>

namespace flow29::node {

using namespace std::chrono_literals;

void StreamSink::deliver(const Piece& piece, core::Buffer& data) {
    waiting_.emplace(piece.bytes.first.value, Waiting{piece, std::move(data)});
    pump();
}

void StreamSink::pump() {
    if (handed_ || refused_ || waiting_.empty()) return;
    auto next = waiting_.begin();
    if (next->first > position_.value) return;
    handed_ = std::move(next->second);
    waiting_.erase(next);
    const auto first = std::max(handed_->piece.bytes.first, range_.first);
    const auto last = std::min(handed_->piece.bytes.last, range_.last);
    const auto view = handed_->data.view().subspan(first.value - handed_->piece.bytes.first.value,
                                                   (last - first).value);
    const auto weak = weak_from_this();
    const auto executor = runtime_.executor();
    consumer_(view, [weak, executor](bool go_on) {
        asio::post(executor, [weak, go_on] {
            if (const auto self = weak.lock()) self->on_next(go_on);
        });
    });
}

void StreamSink::on_next(bool go_on) {
    if (!handed_) return;
    position_ = handed_->piece.bytes.last;
    handed_.reset();
    if (!go_on) {
        refused_ = true;
        if (on_refused_) on_refused_();
    } else {
        if (consumed_) consumed_(position_);
        pump();
    }
    changed_.notify_all();
}

asio::awaitable<bool> StreamSink::drained(std::stop_token stop) {
    while (!refused_ && !stop.stop_requested() && position_ < range_.last)
        co_await changed_.wait_until(runtime_.now() + Duration(200ms));
    co_return !refused_ && position_ >= range_.last;
}

}  // namespace flow29::node
