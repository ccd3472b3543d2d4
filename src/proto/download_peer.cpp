// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/download_peer.hpp"

#include <algorithm>
#include <cmath>

#include "core/assert.hpp"

namespace flow29::proto {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr double rate_memory_s = 2;
constexpr double busy_s_min = 1e-6;  // two deliveries at one instant are not an infinite rate
constexpr unsigned pause_doublings_max = 6;
constexpr int usual_times = 4;  // rule 4
constexpr double usual_s_max = 3600;

Duration to_duration(double seconds) {
    return std::chrono::duration_cast<Duration>(Seconds(seconds));
}

}  // namespace

void RateEstimate::add(ByteCount bytes, Duration busy) {
    const double seconds = Seconds(busy).count();
    const double kept = std::exp(-seconds / rate_memory_s);
    bytes_ = bytes_ * kept + static_cast<double>(bytes.value);
    seconds_ = seconds_ * kept + seconds;
}

std::optional<double> RateEstimate::per_second() const {
    if (bytes_ <= 0) return std::nullopt;
    return bytes_ / std::max(seconds_, busy_s_min);
}

void DownloadPeer::pause(Duration pause_min, TimePoint now) {
    paused_until_ = now + pause_min * (1 << std::min(pauses_, pause_doublings_max));
    ++pauses_;
}

void DownloadPeer::set_holds(ExtentIndex extent) {
    guessed_.erase(extent);
    if (lacks_.contains(extent) || holds_.contains(extent)) return;
    holds_.insert(extent);
    nothing_in_epoch = 0;
}

void DownloadPeer::set_holds_all() {
    guessed_.clear();
    holds_.insert_all(lacks_);
    nothing_in_epoch = 0;
}

void DownloadPeer::guess_holds(ExtentIndex extent) {
    if (lacks_.contains(extent) || holds_.contains(extent)) return;
    guessed_.insert(extent);
    holds_.insert(extent);
    nothing_in_epoch = 0;
}

void DownloadPeer::set_lacks(ExtentIndex extent) {
    // Of a wrong guess several pieces may have been asked for: the first answer ended it.
    if (holds_.contains(extent) && guessed_.erase(extent) == 0) lacks_.insert(extent);
    holds_.erase(extent);
}

void DownloadPeer::ask(PieceId piece, ByteCount bytes, TimePoint now) {
    if (asked_.empty()) mark_ = now;
    asked_.push_back({piece, bytes});
    asked_bytes_ += bytes;
}

bool DownloadPeer::settle(PieceId piece) {
    const auto found = std::ranges::find(asked_, piece, &Asked::piece);
    if (found == asked_.end()) return false;
    asked_bytes_ -= found->bytes;
    asked_.erase(found);
    return true;
}

void DownloadPeer::on_delivered(ByteCount bytes, ByteCount piece_bytes,
                                const DownloadPlanner::Options& options, TimePoint now) {
    FLOW29_ASSERT(!asked_.empty());
    rate_.add(bytes, now - mark_);
    mark_ = now;
    bytes_ += bytes.value;
    pauses_ = 0;
    ramp_ = std::min(ramp_ * 2, options.pieces_max);

    const double per_piece_s = static_cast<double>(piece_bytes.value) / *rate();
    const double by_rate = std::ceil(Seconds(options.horizon).count() / per_piece_s);
    allowance_ = static_cast<std::size_t>(std::clamp<double>(by_rate, options.pieces_min, ramp_));
    const Duration usual = to_duration(std::min(per_piece_s, usual_s_max));
    stall_limit_ = std::max(options.stall_min, usual_times * usual);
}

double DownloadPeer::finish_s(ByteCount more, double rate_if_unknown) const {
    const double bytes = static_cast<double>((asked_bytes_ + more).value);
    return bytes / rate().value_or(rate_if_unknown);
}

TimePoint DownloadPeer::expected_at(std::size_t position) const {
    FLOW29_ASSERT(position < asked_.size());
    const auto per_second = rate();
    if (!per_second) return mark_;
    ByteCount bytes;
    for (std::size_t i = 0; i <= position; ++i)
        bytes += asked_[i].bytes;
    const double seconds = static_cast<double>(bytes.value) / *per_second;
    return mark_ + to_duration(std::min(seconds, usual_s_max));
}

}  // namespace flow29::proto
