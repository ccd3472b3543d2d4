// SPDX-License-Identifier: GPL-3.0-or-later
// What the nodes of a ScaleSwarm do about their extents: the part of the product's node layer that
// carries out what its classes decide.
#include "sim/scale/scale_swarm.hpp"

#include "core/assert.hpp"

namespace flow29::sim::scale {
namespace {

using namespace std::chrono_literals;
using Kind = Event::Kind;

constexpr Duration round_trip = 200ms;
constexpr Duration announce_step = 1s;
constexpr int audit_steps = 8;  // a period: what is due within one goes out together

}  // namespace

bool ScaleSwarm::has(const Node& node, ExtentNumber extent) const {
    return contains(node.kept, extent) && !contains(node.rotten, extent);
}

/// Each extent is taken up by the first of those that the node nearest to it would invite. What
/// publishing costs is not the subject here.
void ScaleSwarm::publish_all() {
    for (ExtentNumber extent = 0; extent < extents_.size(); ++extent) {
        const DhtKey key = extents_[extent].item.key(core::KeySpace());
        const auto nearest = ring_.nearest(place_of(key.view()), 1);
        if (nearest.empty()) continue;
        const proto::NodeTable& table = nodes_[nearest.front()].mind->table;
        auto candidates = table.candidates(key, now_, wall_at(now_));
        candidates.resize(std::min<std::size_t>(candidates.size(), options_.copies));
        Numbers holders;
        for (const core::Candidate& candidate : candidates)
            holders.push_back(numbers_.at(candidate.id));
        for (const NodeNumber holder : holders) {
            insert(nodes_[holder].kept, extent);
            insert(extents_[extent].live_holders, holder);
            truth_.on_copy_stored(extent);
            truth_.on_copy_live(extent, now_);
            take_up(holder, extent);
            extents_[extent].first_slots.push_back(nodes_[holder].slot);
        }
        for (const NodeNumber self : holders)
            for (const NodeNumber other : holders) {
                if (self == other) continue;
                connect(self, other);
                learn(self, other, extent);
            }
    }
}

/// Has the node act when its classes next want to.
void ScaleSwarm::touch(NodeNumber number) {
    Mind& mind = *nodes_[number].mind;
    const TimePoint next = std::max(mind.next_deadline(), now_);
    if (next >= mind.acts_at) return;
    mind.acts_at = next;
    queue_.add({.at = next, .kind = Kind::act, .a = number, .b = nodes_[number].session});
}

void ScaleSwarm::act(NodeNumber number) {
    Mind& mind = *nodes_[number].mind;
    mind.acts_at = TimePoint::max();
    for (const NodeId& gone : mind.table.expire(now_))
        mind.planner.on_node_changed(gone, now_);
    for (;;) {
        if (const auto invitation = mind.planner.poll_invite(now_, wall_at(now_))) {
            invite(number, *invitation);
            continue;
        }
        const auto next = mind.planner.next_deadline();
        if (!next || *next > now_) break;
    }
    for (const proto::ItemId& stuck : mind.planner.take_stuck())
        find_candidates(number, stuck.key(core::KeySpace()));
    announce(number);
    touch(number);
}

/// Puts what is due within a second, each at its own moment.
void ScaleSwarm::announce(NodeNumber number) {
    Node& node = nodes_[number];
    proto::AnnounceScheduler& announcer = node.mind->announcer;
    for (;;) {
        const auto due = announcer.next_deadline();
        if (!due || *due > now_ + announce_step) return;
        const TimePoint at = std::max(*due, now_);
        const auto item = announcer.poll(at);
        if (!item) return;
        announcer.on_put(*item, true, at);
        truth_.count_put(now_);
        node.puts.count(now_);
        most_puts_of_a_node_ = std::max(most_puts_of_a_node_, node.puts.largest());
    }
}

void ScaleSwarm::audit(NodeNumber number) {
    Node& node = nodes_[number];
    proto::AuditPlanner& auditor = node.mind->auditor;
    while (const auto probe = auditor.poll(now_)) {
        const NodeNumber asked = numbers_.at(probe->node);
        const ExtentNumber extent = number_of(probe->item);
        using Outcome = proto::AuditPlanner::Outcome;
        const Outcome outcome = !nodes_[asked].up            ? Outcome::none
                                : has(nodes_[asked], extent) ? Outcome::passed
                                                             : Outcome::failed;
        if (auditor.on_outcome(*probe, outcome)) discard(asked, extent);
    }
    after(options_.audit_period / audit_steps,
          {.kind = Kind::audit, .a = number, .b = node.session});
}

void ScaleSwarm::invite(NodeNumber inviter, const proto::CopyPlanner::Invitation& invitation) {
    const ExtentNumber extent = number_of(invitation.item);
    const NodeNumber number = numbers_.at(invitation.target);
    Node& target = nodes_[number];
    proto::CopyPlanner& planner = nodes_[inviter].mind->planner;
    truth_.count(&Totals::invitations, now_);
    if (!target.up || !connected(inviter, number)) {
        unreached_.push_back({inviter, nodes_[inviter].session, number, extent});
        after(options_.answer_timeout, {.kind = Kind::unreached});
        return;
    }
    if (contains(target.kept, extent)) {
        planner.on_answer(invitation.item, target.id, proto::InviteAnswer::held, now_);
        return;
    }
    const auto who = std::pair(inviter, nodes_[inviter].session);
    const auto under_way = std::ranges::find(target.pulls, extent, &Pull::extent);
    if (under_way != target.pulls.end()) {
        under_way->inviters.push_back(who);
        planner.on_answer(invitation.item, target.id, proto::InviteAnswer::coming, now_);
        return;
    }
    planner.on_answer(invitation.item, target.id, proto::InviteAnswer::accepted, now_);
    target.pulls.push_back({extent, {who}});
    const double seconds =
        static_cast<double>(options_.extent_bytes.value) / options_.bytes_per_second;
    target.link_free_at =
        std::max(target.link_free_at, now_ + round_trip) +
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    queue_.add({.at = target.link_free_at,
                .kind = Kind::pulled,
                .a = number,
                .b = target.session,
                .c = extent});
}

/// The invitation that was sent longest ago to somebody who was not there fails.
void ScaleSwarm::end_unreached() {
    const Unreached failed = unreached_.front();
    unreached_.pop_front();
    const Node& node = nodes_[failed.inviter];
    if (!node.up || node.session != failed.session) return;
    node.mind->planner.on_invite_failed(extents_[failed.extent].item, nodes_[failed.target].id,
                                        now_);
    touch(failed.inviter);
}

void ScaleSwarm::end_pull(NodeNumber number, ExtentNumber extent) {
    Node& node = nodes_[number];
    const auto found = std::ranges::find(node.pulls, extent, &Pull::extent);
    FLOW29_ASSERT(found != node.pulls.end());
    const auto inviters = std::move(found->inviters);
    node.pulls.erase(found);
    const bool arrived = truth_.live(extent) > 0;
    if (arrived) {
        insert(node.kept, extent);
        insert(extents_[extent].live_holders, number);
        truth_.on_copy_stored(extent);
        truth_.on_copy_live(extent, now_);
        truth_.count_copy(now_);
        take_up(number, extent);
    }
    for (const auto& [inviter, session] : inviters) {
        if (!nodes_[inviter].up || nodes_[inviter].session != session) continue;
        if (!arrived) {
            nodes_[inviter].mind->planner.on_invite_failed(extents_[extent].item, node.id, now_);
            touch(inviter);
            continue;
        }
        // The inviter was among the sources, and tells the other holders.
        connect(number, inviter);
        Numbers holders = live_holders(inviter, extent);
        holders.push_back(inviter);
        for (const NodeNumber holder : holders) {
            if (holder == number) continue;
            connect(number, holder);
            learn(number, holder, extent);
            learn(holder, number, extent);
        }
    }
    if (!arrived) return;
    after(options_.gossip, {.kind = Kind::gossip, .a = number, .b = node.session, .c = extent});
    note_sizes();
    touch(number);
}

/// The node cares for an extent that it keeps.
void ScaleSwarm::take_up(NodeNumber number, ExtentNumber extent) {
    Mind& mind = *nodes_[number].mind;
    const proto::ItemId& item = extents_[extent].item;
    mind.planner.add_item(item, RootHash{}, options_.extent_bytes, options_.copies);
    mind.announcer.add(item, false, now_);
}

/// The node could not prove an extent: it no longer says that it keeps it, and its peers hear so.
void ScaleSwarm::discard(NodeNumber number, ExtentNumber extent) {
    Node& node = nodes_[number];
    if (!node.up || !contains(node.kept, extent)) return;
    ++rotten_found_;
    const proto::ItemId& item = extents_[extent].item;
    erase(node.kept, extent);
    erase(extents_[extent].live_holders, number);
    erase(node.rotten, extent);
    node.mind->planner.remove_item(item);
    node.mind->announcer.remove(item);
    for (const NodeNumber peer : node.peers) {
        nodes_[peer].mind->planner.on_no_copy(item, node.id, now_);
        touch(peer);
    }
    touch(number);
}

/// A copy drawn at random is lost, and nobody notices.
void ScaleSwarm::rot() {
    Node& node = nodes_[slots_[random_.below(slots_.size())].node];
    // Nodes are drawn evenly and keep unequally much: one in proportion is let through.
    const std::uint64_t drawn = random_.below(rot_bound);
    if (drawn >= node.kept.size()) return;
    const ExtentNumber extent = node.kept[drawn];
    if (!has(node, extent)) return;
    insert(node.rotten, extent);
    if (node.up) truth_.on_copy_away(extent, now_);
    truth_.on_copy_lost(extent, now_);
}

/// Requires that no node keeps more than rot_bound extents.
void ScaleSwarm::plan_rot() {
    if (options_.copy_life <= Duration::zero()) return;
    const double mean = static_cast<double>(options_.copy_life.count()) /
                        static_cast<double>(slots_.size() * rot_bound);
    after(Duration(static_cast<Duration::rep>(mean * random_.exponential())), {.kind = Kind::rot});
}

}  // namespace flow29::sim::scale
