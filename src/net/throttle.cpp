// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/throttle.hpp"

#include "core/assert.hpp"

#include <algorithm>

namespace flow29::net {
namespace {

using namespace std::chrono_literals;

// The rate may change while somebody waits.
constexpr Duration wait_max = 100ms;
// Timers are not exact; what comes early would find nothing.
constexpr Duration wait_min = 1ms;

}  // namespace

Throttle::~Throttle() {
    FLOW29_ASSERT(flows_.empty());
    if (timer_) runtime_.cancel_timer(*timer_);
}

void Throttle::hand_out() {
    const TimePoint now = runtime_.now();
    while (const auto turn = share_.poll_turn(now))
        flows_.at(turn->flow)->on_turn(turn->octets);
    const auto due = share_.next_deadline();
    if (!due || timer_) return;
    timer_ = runtime_.add_timer(std::clamp(*due, now + wait_min, now + wait_max), [this] {
        timer_.reset();
        hand_out();
    });
}

ThrottledFlow::ThrottledFlow(Throttle& throttle, std::function<void()> on_turn)
    : throttle_(throttle), on_turn_(std::move(on_turn)), id_(throttle.share_.add()) {
    throttle_.flows_.emplace(id_, this);
}

ThrottledFlow::~ThrottledFlow() {
    rest();
    throttle_.flows_.erase(id_);
    throttle_.share_.remove(id_);
}

bool ThrottledFlow::acquire(proto::FairShare::Class as) {
    if (!is_limited()) {
        credit_ = 0;
        return true;
    }
    asking_ = true;
    // What was spent too much is made up for by whole turns.
    while (credit_ <= 0 && !waits_) {
        waits_ = true;
        throttle_.share_.want(id_, as);
        throttle_.hand_out();
    }
    asking_ = false;
    return credit_ > 0;
}

bool ThrottledFlow::acquire_at_once(std::size_t octets) {
    return throttle_.budget_.charge_at_once(ByteCount(octets + record_overhead),
                                            throttle_.runtime_.now());
}

void ThrottledFlow::spend(std::size_t octets) {
    if (is_limited()) credit_ -= static_cast<std::int64_t>(octets + record_overhead);
}

void ThrottledFlow::rest() {
    if (credit_ <= 0) return;
    throttle_.share_.give_back(id_, ByteCount(static_cast<std::uint64_t>(credit_)));
    credit_ = 0;
}

void ThrottledFlow::on_turn(ByteCount octets) {
    waits_ = false;
    credit_ += static_cast<std::int64_t>(octets.value);
    if (!asking_) on_turn_();
}

}  // namespace flow29::net
