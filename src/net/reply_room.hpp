// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "net/runtime.hpp"
#include "proto/reply_budget.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace flow29::net {

class TlsPeer;

/// The connections of a transport that wait until there is room for a reply, first come, first
/// told.
///
/// When one to which nothing is owed has waited for two seconds, or more is owed than may be, those
/// are hung up on that take nothing just now and would need eight seconds for what is owed to them.
/// Rationale: whoever asks and does not read would keep the others from being served.
class ReplyRoom {
  public:
    using Peers = std::function<std::vector<std::shared_ptr<TlsPeer>>()>;

    /// `peers`: all that are connected.
    ReplyRoom(Runtime& runtime, Peers peers) : runtime_(runtime), peers_(std::move(peers)) {}
    ~ReplyRoom();
    ReplyRoom(const ReplyRoom&) = delete;
    ReplyRoom& operator=(const ReplyRoom&) = delete;

    [[nodiscard]] const proto::ReplyBudget& budget() const { return budget_; }
    void on_owed(const TlsPeer& peer, ByteCount before, ByteCount now);
    void wait(std::weak_ptr<TlsPeer> peer);

  private:
    [[nodiscard]] bool is_over() const;
    void tell_next(std::size_t count_max);
    void watch();
    void look();
    [[nodiscard]] bool is_urgent(const std::vector<std::shared_ptr<TlsPeer>>& peers) const;

    Runtime& runtime_;  // outlives the transport
    Peers peers_;
    proto::ReplyBudget budget_;
    std::deque<std::weak_ptr<TlsPeer>> waiting_;
    std::optional<Runtime::TimerId> timer_;
    std::map<const TlsPeer*, std::uint64_t> taken_;  // octets, when it was last looked
};

}  // namespace flow29::net
