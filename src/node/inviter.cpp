// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/inviter.hpp"

#include <set>

#include "core/log.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration answer_timeout = 15s;
constexpr Duration full_pause = 60s;
constexpr std::size_t items_per_invite = 2048;
constexpr std::size_t sources_max = 32;
}  // namespace

void Inviter::send_due(proto::CopyPlanner& planner, const proto::NodeRecord& own_record,
                       const LeaseOf& lease_of, std::weak_ptr<void> guard, Answered answered) {
    const auto now = services_.runtime.now();
    const auto wall_now = services_.runtime.wall_now();
    std::map<std::pair<NodeId, RootHash>, std::vector<proto::CopyPlanner::Invitation>> batches;
    std::map<RootHash, std::set<NodeId>> sources;
    while (auto invitation = planner.poll_invite(now, wall_now)) {
        batches[{invitation->target, invitation->root}].push_back(*invitation);
        auto& named = sources[invitation->root];
        if (named.size() >= sources_max) continue;
        // Those who hold it, and those who will, now or since an earlier time: they trade.
        for (const auto& node : planner.invited(invitation->item))
            named.insert(node);
        for (const auto& holder : planner.holders(invitation->item))
            named.insert(holder);
    }
    for (const auto& [target_and_root, invitations] : batches) {
        const auto& [target, root] = target_and_root;
        const auto peer = peers_.find(target);
        const auto lease = lease_of(root);
        if (!peer || !lease) {
            for (const auto& invitation : invitations)
                planner.on_invite_failed(invitation.item, target, now);
            continue;
        }
        if (purpose_ != Purpose::repair) asked_.insert(target);
        for (std::size_t first = 0; first < invitations.size(); first += items_per_invite) {
            const auto last = std::min(invitations.size(), first + items_per_invite);
            proto::Invite invite;
            invite.lease = *lease;
            invite.repair = purpose_ == Purpose::repair;
            invite.part = purpose_ == Purpose::part;
            for (std::size_t i = first; i < last; ++i) {
                invite.items.push_back({invitations[i].item, invitations[i].length});
                // What is repaired has holders beside this one, and anybody may pull from all.
                if (!invite.repair) invite.leads.push_back(invitations[i].leads);
            }
            invite.sources.push_back(own_record);
            // No holder, but it has it, and has to hear of the copy.
            const auto publisher = core::node_id_of(lease->publisher);
            if (const auto* entry = table_.find(publisher);
                entry != nullptr && table_.is_alive(publisher))
                invite.sources.push_back(entry->record);
            for (const auto& node : sources[root]) {
                if (node == target || node == publisher || invite.sources.size() >= sources_max)
                    continue;
                if (const auto* entry = table_.find(node)) invite.sources.push_back(entry->record);
            }
            tasks_.start(send(peer, std::move(invite), &planner, guard, answered));
        }
    }
}

void Inviter::call_off(proto::CopyPlanner& planner) {
    std::map<std::pair<NodeId, RootHash>, std::vector<proto::ItemId>> batches;
    for (const auto& [item, root, target] : planner.take_withdrawn())
        batches[{target, root}].push_back(item);
    for (auto& [target_and_root, items] : batches) {
        const auto& [target, root] = target_and_root;
        const auto peer = peers_.find(target);
        if (!peer) continue;
        for (std::size_t first = 0; first < items.size(); first += items_per_invite) {
            const auto last = std::min(items.size(), first + items_per_invite);
            proto::Uninvite message{root, {}};
            message.items.assign(items.begin() + static_cast<std::ptrdiff_t>(first),
                                 items.begin() + static_cast<std::ptrdiff_t>(last));
            peer->notify(std::move(message));
        }
    }
}

asio::awaitable<void> Inviter::send(net::PeerPtr peer, proto::Invite invite,
                                    proto::CopyPlanner* planner, std::weak_ptr<void> guard,
                                    Answered answered) {
    const auto items = invite.items;
    const auto node = peer->id();
    log::debug("inviter", "asking {} to hold {} items of {}", to_hex(node).substr(0, 12),
               items.size(), to_hex(invite.lease.root).substr(0, 12));
    proto::Message ask = std::move(invite);
    auto reply = co_await peer->request(std::move(ask), answer_timeout);
    if (guard.expired()) co_return;
    const auto now = services_.runtime.now();
    const auto* answer = reply ? std::get_if<proto::InviteReply>(&reply->message) : nullptr;
    const bool usable = answer != nullptr && answer->answers.size() == items.size();
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (!usable) {
            planner->on_invite_failed(items[i].item, node, now);
            continue;
        }
        if (answer->answers[i] == proto::InviteAnswer::full) table_.on_full(node, now + full_pause);
        if (answer->answers[i] == proto::InviteAnswer::over_quota) over_quota_.insert(node);
        planner->on_answer(items[i].item, node, answer->answers[i], now);
    }
    answered();
}

}  // namespace flow29::node
