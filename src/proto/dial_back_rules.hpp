// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <map>

#include <flow29/limits.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"

namespace flow29::proto {

/// Whether a peer that asks to be dialled is dialled. Sans-IO.
///
/// Rules:
/// 1. At most limits::dial_backs_max at the same time.
/// 2. A host is not dialled again within `rest`. Rationale: who shares an address with others must
///    not have their ports tried one after the other.
/// 3. At most limits::dial_back_hosts_max hosts are remembered; when that is full, nobody new is
///    dialled until some have rested.
class DialBackRules {
  public:
    static constexpr Duration rest = std::chrono::seconds(2);

    /// Whether to dial; if so, `end` follows once that came to an end.
    [[nodiscard]] bool begin(const core::Endpoint& asker, TimePoint now);
    void end();

    [[nodiscard]] std::size_t remembered() const { return rests_until_.size(); }

  private:
    using Host = std::array<std::uint8_t, 16>;
    std::map<Host, TimePoint> rests_until_;
    std::size_t running_ = 0;
};

}  // namespace flow29::proto
