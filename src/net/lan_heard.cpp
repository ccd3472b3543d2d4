// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/lan_heard.hpp"

#include <algorithm>

#include <flow29/limits.hpp>

namespace flow29::net {

void LanHeard::on_called(const core::LanNonce& nonce) {
    called_.push_back(nonce);
    if (called_.size() > limits::lan_calls_max) called_.pop_front();
}

bool LanHeard::on_heard(const core::LanNonce& nonce, const core::Endpoint& node) {
    if (std::ranges::count(called_, nonce) > 0 || nodes_.contains(node)) return false;
    if (nodes_.size() >= limits::lan_nodes_max) nodes_.clear();
    nodes_.insert(node);
    return true;
}

}  // namespace flow29::net
