// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "core/time.hpp"

namespace flow29::sim::scale {

/// Something that happens at a time. What the three numbers mean depends on `kind`.
struct Event {
    enum class Kind : std::uint8_t {
        turn,       ///< slot, turn: it comes up or goes down
        death,      ///< slot: its disk is lost, a new node takes its place
        noticed,    ///< the oldest departure not yet noticed: its peers miss it
        act,        ///< node, session: its classes are asked what to do
        audit,      ///< node, session
        pulled,     ///< node, session, extent: a transfer to it ends
        unreached,  ///< node, session, extent: the oldest invitation of it nobody answered
        gossip,     ///< node, session, extent or all: who else holds what it holds
        drop,       ///< a part of the swarm goes down at once
        rot,        ///< some copy is lost without anybody noticing
    };
    TimePoint at{};
    Kind kind = Kind::turn;
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
};

/// Events by time, and by when they were added where that is equal.
class EventQueue {
  public:
    void add(const Event& event) { events_.push({event, ++added_}); }
    [[nodiscard]] bool empty() const { return events_.empty(); }
    [[nodiscard]] TimePoint next_at() const { return events_.top().event.at; }
    Event take() {
        const Event event = events_.top().event;
        events_.pop();
        return event;
    }

  private:
    struct Entry {
        Event event;
        std::uint64_t order;
        bool operator>(const Entry& other) const {
            return event.at != other.event.at ? event.at > other.event.at : order > other.order;
        }
    };
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> events_;
    std::uint64_t added_ = 0;
};

}  // namespace flow29::sim::scale
