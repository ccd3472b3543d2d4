// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <map>
#include <optional>
#include <utility>

#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"

namespace flow29::proto {

/// Which addresses are dialled, and when again after that came to nothing. Sans-IO.
///
/// Rules:
/// 1. An address where nobody answers rests: `rest_min`, twice as long each time, `rest_max` at
///    most, and `rest_alone_max` for who has no connection at all. Rationale: when it is this node
///    that was cut off, its user waits for it to be back.
/// 2. Where somebody else answers than was looked for, that node is not looked for there for as
///    long; anybody else may be. Rationale: a list may name an honest node's address for a node
///    that does not exist, and must not thereby make the honest one unreachable.
/// 3. What a peer hands over is dialled only if it is no narrower than the peer's own address, from
///    public ones over those of a private network and of one link to those of this machine.
///    Rationale: nobody outside may have this node knock at what is inside.
/// 4. Of one host, at most `failures_per_host_max` addresses that were handed over are tried in
/// vain
///    within `host_period`; those where somebody has answered are not counted.
///    Rationale: lists of made-up addresses must not make their readers scan a host.
/// 5. A node that ends a connection to it within `settling` does not want it: there it is not
///    dialled for as long as in rule 1, until a connection to it has lasted. Rationale: who is not
///    welcome somewhere, or comes where all places are taken, would dial again at once, and each
///    time costs both ends a handshake.
/// 6. At most limits::dials_remembered_max addresses rest, and as many hosts; when that is full,
///    those whose time is over are forgotten, then all.
class DialRules {
  public:
    static constexpr Duration rest_min = std::chrono::seconds(1);
    static constexpr Duration rest_max = std::chrono::minutes(5);
    static constexpr Duration rest_alone_max = std::chrono::seconds(10);
    static constexpr unsigned failures_per_host_max = 16;
    static constexpr Duration host_period = std::chrono::minutes(1);
    static constexpr Duration settling = std::chrono::seconds(2);

    /// Rule 3: whether `namer`, the address of a peer, may hand over `target`.
    [[nodiscard]] static bool may_name(const core::Endpoint& namer, const core::Endpoint& target);

    struct Target {
        core::Endpoint endpoint;
        std::optional<DhtKey> whom;  ///< the position of who is expected there; nothing: anybody
        bool handed_over = false;    ///< by a peer, and not known from elsewhere
    };
    /// `is_alone`: this node has no connection.
    [[nodiscard]] bool may_dial(const Target& target, TimePoint now, bool is_alone = false) const;
    /// Nobody answered when it was last dialled, and nobody has since, whether it rests or not.
    [[nodiscard]] bool was_silent(const core::Endpoint& endpoint) const;
    /// A node that proved itself is there.
    void on_answered(const core::Endpoint& endpoint);
    void on_no_answer(const Target& target, TimePoint now);
    void on_somebody_else(const Target& target, TimePoint now);
    /// Whom it was made to ended a connection after that time. Whether this is rule 5.
    [[nodiscard]] bool on_ended(const Target& target, Duration lasted, TimePoint now);

    [[nodiscard]] std::size_t remembered() const { return resting_.size() + hosts_.size(); }

  private:
    using Place = std::pair<core::Endpoint, std::optional<DhtKey>>;
    using Host = std::array<std::uint8_t, 16>;
    struct Rest {
        TimePoint until;
        Duration length{};
    };
    struct Failures {
        unsigned count = 0;
        TimePoint forgotten_at;
    };

    [[nodiscard]] bool rests(const Place& place, TimePoint now, Duration longest) const;
    void rest(const Place& place, TimePoint now);

    std::map<Place, Rest> resting_;
    std::map<Host, Failures> hosts_;
};

}  // namespace flow29::proto
