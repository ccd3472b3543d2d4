// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/line.hpp"
#include "net/runtime.hpp"
#include "proto/fair_share.hpp"

#include <functional>
#include <map>

namespace flow29::net {

/// Hands out turns on one direction of the line to those who wait for them: proto::FairShare with a
/// timer. On the executor's thread only. Outlives its flows.
class Throttle {
  public:
    Throttle(Runtime& runtime, core::LineBudget& budget)
        : runtime_(runtime), budget_(budget), share_(budget) {}
    ~Throttle();
    Throttle(const Throttle&) = delete;
    Throttle& operator=(const Throttle&) = delete;

    [[nodiscard]] bool is_limited() const { return budget_.is_limited(); }
    [[nodiscard]] ByteCount rate() const { return budget_.rate(); }

  private:
    friend class ThrottledFlow;

    void hand_out();

    Runtime& runtime_;          // owned by the node
    core::LineBudget& budget_;  // owned by the node
    proto::FairShare share_;
    std::map<proto::FairShare::FlowId, class ThrottledFlow*>
        flows_;  // each enters and leaves itself
    std::optional<Runtime::TimerId> timer_;
};

/// One direction of one connection: what it may move now.
class ThrottledFlow {
  public:
    /// What one TLS record adds to what it carries: header, type and tag.
    static constexpr std::size_t record_overhead = 22;

    /// `on_turn` is called when `acquire` said no and there is a turn now; never from within.
    ThrottledFlow(Throttle& throttle, std::function<void()> on_turn);
    ~ThrottledFlow();
    ThrottledFlow(const ThrottledFlow&) = delete;
    ThrottledFlow& operator=(const ThrottledFlow&) = delete;

    /// True when something may move now. Else it waits for a turn.
    [[nodiscard]] bool acquire(proto::FairShare::Class as);
    /// True when these octets, which must not wait, may move now; then they are spent.
    [[nodiscard]] bool acquire_at_once(std::size_t octets);
    /// So many octets moved, in a record of their own. May exceed what was acquired: then the next
    /// turns make up for it.
    void spend(std::size_t octets);
    /// Nothing is left to move: others may have the rest of the turn.
    void rest();

    [[nodiscard]] bool is_limited() const { return throttle_.is_limited(); }
    [[nodiscard]] bool waits() const { return waits_; }
    /// The most that should move at a time.
    [[nodiscard]] std::size_t octets_max() const { return throttle_.share_.quantum().value; }
    /// Bytes per second of all flows; 0 without a limit.
    [[nodiscard]] ByteCount rate() const { return throttle_.rate(); }

  private:
    friend class Throttle;
    void on_turn(ByteCount octets);

    Throttle& throttle_;  // owned by the transport, which outlives its connections
    std::function<void()> on_turn_;
    proto::FairShare::FlowId id_;
    std::int64_t credit_ = 0;
    bool waits_ = false;
    bool asking_ = false;
};

}  // namespace flow29::net
