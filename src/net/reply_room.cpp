// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/reply_room.hpp"

#include <algorithm>
#include <utility>

#include <asio/post.hpp>

#include <flow29/limits.hpp>

#include "net/tls_peer.hpp"

namespace flow29::net {
namespace {

using namespace std::chrono_literals;

constexpr Duration look_period = 1s;
constexpr Duration patience = 2s;
constexpr std::uint64_t looks_to_take_all = 8;
constexpr std::size_t told_at_once = 8;  // more of them are told as more comes free

}  // namespace

ReplyRoom::~ReplyRoom() {
    if (timer_) runtime_.cancel_timer(*timer_);
}

bool ReplyRoom::is_over() const {
    return budget_.owed().value > limits::owed_bytes_max;
}

void ReplyRoom::on_owed(const TlsPeer& peer, ByteCount before, ByteCount now) {
    budget_.change(peer.remote().group(), before, now);
    if (now < before) tell_next(told_at_once);
    if (is_over()) watch();
}

void ReplyRoom::wait(std::weak_ptr<TlsPeer> peer) {
    waiting_.push_back(std::move(peer));
    watch();
}

/// Not from here: whoever made room is in the middle of something.
void ReplyRoom::tell_next(std::size_t count_max) {
    for (auto left = std::min(count_max, waiting_.size()); left > 0; --left) {
        asio::post(runtime_.executor(), [waiting = std::move(waiting_.front())] {
            if (const auto peer = waiting.lock()) peer->go_on();
        });
        waiting_.pop_front();
    }
}

void ReplyRoom::watch() {
    if (timer_) return;
    timer_ = runtime_.add_timer(runtime_.now() + look_period, [this] {
        timer_.reset();
        look();
    });
}

bool ReplyRoom::is_urgent(const std::vector<std::shared_ptr<TlsPeer>>& peers) const {
    const auto now = runtime_.now();
    return is_over() || std::ranges::any_of(peers, [now](const auto& peer) {
               const auto since = peer->short_of_room_since();
               return since && peer->owed().value == 0 && now - *since >= patience;
           });
}

void ReplyRoom::look() {
    const auto before = std::exchange(taken_, {});
    if (waiting_.empty() && !is_over()) return;
    const auto peers = peers_();
    const bool urgent = is_urgent(peers);
    for (const auto& peer : peers) {
        const auto taken = peer->traffic().bytes_up;
        taken_.emplace(peer.get(), taken);
        const auto known = before.find(peer.get());
        if (!urgent || known == before.end() || !peer->is_stalled()) continue;
        if (peer->owed().value > looks_to_take_all * (taken - known->second))
            peer->close({Errc::timed_out, "the peer takes too little, and others wait"});
    }
    tell_next(waiting_.size());
    watch();
}

}  // namespace flow29::net
