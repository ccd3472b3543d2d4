// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_schedule.hpp"

#include <algorithm>
#include <array>

namespace flow29::net {
namespace {

using namespace std::chrono_literals;

constexpr std::array<Duration, 3> first_pauses{2s, 8s, 20s};

}  // namespace

TimePoint LanSchedule::next_call() const {
    if (!called_at_) return TimePoint::min();
    if (is_asked_) return *called_at_ + pause_before_answer;
    const auto made = calls_ - 1;
    return *called_at_ + (made < first_pauses.size() ? first_pauses[made] : pause);
}

TimePoint LanSchedule::next_deadline() const {
    return look_at_ ? std::min(*look_at_, next_call()) : next_call();
}

std::optional<LanSchedule::Step> LanSchedule::poll(TimePoint now) {
    if (now >= next_call()) {
        if (!is_asked_ || calls_ == 0) ++calls_;
        is_asked_ = false;
        look_at_.reset();
        called_at_ = now;
        return Step::call;
    }
    if (!look_at_ || now < *look_at_) return std::nullopt;
    look_at_.reset();
    return Step::look;
}

void LanSchedule::on_network_changed(TimePoint now) {
    if (!look_at_) look_at_ = now + pause_before_answer;
}

void LanSchedule::on_new_source() {
    calls_ = 0;
    is_asked_ = true;
}

}  // namespace flow29::net
