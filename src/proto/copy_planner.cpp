// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/copy_planner.hpp"

#include <algorithm>

#include <flow29/limits.hpp>
#include "core/assert.hpp"

namespace flow29::proto {
namespace {

/// Items one poll looks at without finding something to send: keeps a call short when a small swarm
/// leaves a hundred thousand items with nobody to ask.
constexpr unsigned looks_max = 256;
constexpr std::size_t stuck_told_max = 64;

ByteCount bytes_of(ByteCount length, unsigned copies) {
    return ByteCount(length.value * copies);
}

}  // namespace

CopyPlanner::CopyPlanner(const NodeTable& table, Options options)
    : table_(table), options_(options) {}

void CopyPlanner::add_item(const ItemId& item, const RootHash& root, ByteCount length,
                           unsigned copies) {
    const auto [found, is_new] = items_.try_emplace(item);
    Item& entry = found->second;
    if (is_new) {
        entry.root = root;
        entry.length = length;
        entry.key = item.key(options_.keys);
        entry.order = next_order_++;
        entry.copies = count_copies(entry);
        new_items_.push_back(item);
    } else {
        count_out(entry);
    }
    entry.target = std::max(entry.target, std::min(copies, limits::copies_max));
    count_in(entry);
    refresh(item, entry);
}

void CopyPlanner::change_item(const ItemId& item, const RootHash& root, unsigned copies) {
    Item& entry = items_.at(item);
    entry.root = root;
    copies = std::min(copies, limits::copies_max);
    if (copies == entry.target) return;
    count_out(entry);
    entry.target = copies;
    count_in(entry);
    refresh(item, entry);
}

void CopyPlanner::remove_item(const ItemId& item) {
    const auto found = items_.find(item);
    if (found == items_.end()) return;
    Item& entry = found->second;
    queue_.remove(item);
    count_out(entry);
    while (!entry.pending.empty())
        end_pending(item, entry, NodeId(entry.pending.begin()->first));
    while (!entry.holders.empty()) {
        const auto last = std::prev(entry.holders.end());
        const NodeId node = last->first;
        entry.holders.erase(last);
        --by_node_.at(node).held;
        forget_if_unrelated(item, entry, node);
    }
    items_.erase(found);
    leads_.erase(item);
    blocked_ = false;
}

void CopyPlanner::set_bystander(const ItemId& item) {
    if (Item* entry = find(item)) entry->bystander = true;
}

void CopyPlanner::on_copy(const ItemId& item, const NodeId& node, TimePoint now) {
    latest_ = std::max(latest_, now);
    Item* entry = find(item);
    if (entry == nullptr || node == options_.self) return;
    // Said again and again by those who are connected: nothing new, and so it costs nothing.
    if (entry->holders.contains(node)) return;
    end_pending(item, *entry, node);
    entry->refusals.erase(node);
    const bool counts = is_counted(node);
    entry->holders.insert(node, counts);
    auto& of_node = by_node_[node];
    of_node.items.insert(item);
    ++of_node.held;
    of_node.all_count = of_node.all_count && counts;
    set_copies(item, *entry, entry->copies + (counts ? 1 : 0));
}

void CopyPlanner::on_no_copy(const ItemId& item, const NodeId& node, TimePoint now) {
    latest_ = std::max(latest_, now);
    Item* entry = find(item);
    if (entry == nullptr) return;
    const auto holder = entry->holders.find(node);
    if (holder == entry->holders.end()) return;
    const bool counted = holder->second;
    entry->holders.erase(holder);
    --by_node_.at(node).held;
    forget_if_unrelated(item, *entry, node);
    set_copies(item, *entry, entry->copies - (counted ? 1 : 0));
}

void CopyPlanner::on_answer(const ItemId& item, const NodeId& node, InviteAnswer answer,
                            TimePoint now) {
    note_answer(item, node, now);
    switch (answer) {
        case InviteAnswer::accepted:
        case InviteAnswer::coming: {
            latest_ = std::max(latest_, now);
            Item* entry = find(item);
            if (entry == nullptr || node == options_.self) return;
            if (entry->holders.contains(node)) return;
            const auto known = entry->pending.find(node);
            const auto refusal = entry->refusals.find(node);
            const bool was_given_up = known == entry->pending.end() &&
                                      refusal != entry->refusals.end() && refusal->second.is_busy;
            if (was_given_up && !wants_more(*entry)) {
                withdrawn_.push_back({item, entry->root, node});
                return;
            }
            auto pending = known != entry->pending.end() ? known->second : Pending{};
            pending.until = now + options_.patience;
            pending.unanswered_since.reset();
            add_pending(item, *entry, node, pending);
            refresh(item, *entry);
            return;
        }
        case InviteAnswer::held:
            on_copy(item, node, now);
            return;
        case InviteAnswer::busy:
            latest_ = std::max(latest_, now);
            refuse(item, node, now + options_.busy_retry, true);
            return;
        case InviteAnswer::full:
        case InviteAnswer::refused:
        case InviteAnswer::over_quota:
            latest_ = std::max(latest_, now);
            refuse(item, node, now + options_.retry);
            return;
    }
}

void CopyPlanner::on_invite_failed(const ItemId& item, const NodeId& node, TimePoint now) {
    latest_ = std::max(latest_, now);
    refuse(item, node, now + options_.retry);
}

void CopyPlanner::on_sign_of_life(const NodeId& node, TimePoint now) {
    latest_ = std::max(latest_, now);
    const auto found = by_node_.find(node);
    if (found == by_node_.end()) return;
    for (const ItemId& item : found->second.items) {
        auto& pending = items_.at(item).pending;
        const auto invited = pending.find(node);
        if (invited == pending.end()) continue;
        expiries_.erase({invited->second.until, item, node});
        invited->second.until = now + options_.patience;
        expiries_.insert({invited->second.until, item, node});
    }
}

void CopyPlanner::on_node_changed(const NodeId& node, TimePoint now) {
    latest_ = std::max(latest_, now);
    const auto found = by_node_.find(node);
    const bool counts = is_counted(node);
    const bool may_answer = table_.is_alive(node);
    const auto is_invited = [&] { return found->second.items.size() > found->second.held; };
    // Nothing changes, in O(1), when a holder is missing or back within its grace period.
    const bool is_news =
        !counts || queue_.size() > 0 || (!may_answer && found != by_node_.end() && is_invited());
    if (found != by_node_.end() && (is_news || !found->second.all_count)) {
        const auto& items = found->second.items;
        const std::vector<ItemId> concerned(items.begin(), items.end());
        found->second.all_count = counts;
        for (const ItemId& item : concerned) {
            Item& entry = items_.at(item);
            if (!may_answer) end_pending(item, entry, node);
            // The others are as they were, so that one node's change is not paid for by all.
            unsigned copies = entry.copies;
            const auto holder = entry.holders.find(node);
            if (holder != entry.holders.end() && holder->second != counts) {
                holder->second = counts;
                copies = counts ? copies + 1 : copies - 1;
            }
            set_copies(item, entry, copies);
        }
    }
    queue_.on_candidates_changed(now);
}

void CopyPlanner::on_candidates_changed(TimePoint now) {
    latest_ = std::max(latest_, now);
    queue_.on_candidates_changed(now);
}

std::optional<CopyPlanner::Invitation> CopyPlanner::poll_invite(TimePoint now, WallTime wall_now) {
    latest_ = std::max(latest_, now);
    note_new_items(now);
    give_up_late(now);
    if (table_.cut_off()) return std::nullopt;
    queue_.wake(now);
    for (unsigned looks = 0; looks < looks_max; ++looks) {
        const std::optional<ItemId> item = queue_.first_ready();
        if (!item) break;
        Item& entry = items_.at(*item);
        if (count_copies(entry) != entry.copies) {  // the table changed and nobody said so
            refresh(*item, entry);
            continue;
        }
        if (!entry.under_since) entry.under_since = now;
        const TimePoint turn = our_turn(entry);
        if (turn > now) {
            queue_.put_off(*item, turn);
            continue;
        }
        blocked_ = !fits(entry);
        if (blocked_) break;
        std::erase_if(entry.refusals, [now](const auto& r) { return r.second.until <= now; });
        const std::optional<NodeId> node = choose(entry, now, wall_now);
        if (node) return invite(*item, entry, *node, now, wall_now);
        queue_.set_stuck(*item, look_again_at(entry, now));
        if (stuck_.size() < stuck_told_max) stuck_.push_back(*item);
    }
    return std::nullopt;
}

std::optional<TimePoint> CopyPlanner::next_deadline() const {
    if (table_.cut_off()) return std::nullopt;
    if (queue_.first_ready() && !blocked_) return latest_;
    std::optional<TimePoint> result = queue_.next_deadline();
    const auto consider = [&result](TimePoint at) { result = result ? std::min(*result, at) : at; };
    if (!expiries_.empty()) consider(expiries_.begin()->at);
    const auto within = answers_within();
    if (within && !unanswered_.empty()) consider(unanswered_.begin()->at + *within);
    return result;
}

/// The copies that an item below its target is brought to.
unsigned CopyPlanner::goal(const Item& entry) const {
    const std::size_t here = entry.copies - (options_.self_is_copy ? 1 : 0);
    const bool come_and_go = entry.holders.size() - here >= options_.spare_from;
    return std::min(entry.target + (come_and_go ? options_.spare : 0), limits::copies_max);
}

/// Whether one more is to be invited, by the copies as counted last.
bool CopyPlanner::wants_more(const Item& entry) const {
    return entry.copies < entry.target && entry.copies + entry.pending.size() < goal(entry);
}

bool CopyPlanner::fits(const Item& entry) const {
    return bytes_in_flight_.value == 0 ||
           bytes_in_flight_ + entry.length <= options_.bytes_in_flight_max;
}

void CopyPlanner::note_new_items(TimePoint now) {
    for (const ItemId& item : new_items_) {
        Item* entry = find(item);
        if (entry != nullptr && !entry->settled_at) entry->settled_at = now + options_.settle;
    }
    new_items_.clear();
}

void CopyPlanner::give_up_late(TimePoint now) {
    while (!expiries_.empty() && expiries_.begin()->at <= now) {
        const Expiry late = *expiries_.begin();
        refuse(late.item, late.node, now + options_.retry);
    }
    const auto within = answers_within();
    while (within && !unanswered_.empty() && unanswered_.begin()->at + *within <= now) {
        const Expiry late = *unanswered_.begin();
        refuse(late.item, late.node, now + options_.busy_retry, true);
        silent_.insert(late.node);
    }
}

void CopyPlanner::note_answer(const ItemId& item, const NodeId& node, TimePoint now) {
    const Item* entry = find(item);
    if (entry == nullptr) return;
    const auto pending = entry->pending.find(node);
    if (pending == entry->pending.end() || !pending->second.unanswered_since) return;
    ++answered_;
    answer_time_ += now - *pending->second.unanswered_since;
}

CopyPlanner::Item* CopyPlanner::find(const ItemId& item) {
    const auto found = items_.find(item);
    return found == items_.end() ? nullptr : &found->second;
}

const CopyPlanner::Item* CopyPlanner::find(const ItemId& item) const {
    const auto found = items_.find(item);
    return found == items_.end() ? nullptr : &found->second;
}

/// Rule 7.
bool CopyPlanner::is_counted(const NodeId& node) const {
    return options_.counts_missing ? table_.counts(node) : table_.is_alive(node);
}

unsigned CopyPlanner::count_copies(const Item& entry) const {
    const auto live = std::ranges::count_if(
        entry.holders, [this](const auto& holder) { return is_counted(holder.first); });
    return static_cast<unsigned>(live) + (options_.self_is_copy ? 1 : 0);
}

void CopyPlanner::count_in(const Item& entry) {
    ++items_by_copies_[entry.copies];
    sum_copies_ += entry.copies;
    if (entry.copies < entry.target) ++under_target_;
    bytes_wanted_ += bytes_of(entry.length, entry.target);
    bytes_made_ += bytes_of(entry.length, std::min(entry.copies, entry.target));
}

void CopyPlanner::count_out(const Item& entry) {
    const auto same = items_by_copies_.find(entry.copies);
    if (--same->second == 0) items_by_copies_.erase(same);
    sum_copies_ -= entry.copies;
    if (entry.copies < entry.target) --under_target_;
    bytes_wanted_ -= bytes_of(entry.length, entry.target);
    bytes_made_ -= bytes_of(entry.length, std::min(entry.copies, entry.target));
}

/// Counts the copies again, see set_copies.
void CopyPlanner::refresh(const ItemId& item, Item& entry) {
    for (auto& [node, counts] : entry.holders) {
        counts = is_counted(node);
        if (!counts) by_node_.at(node).all_count = false;
    }
    const auto live = std::ranges::count_if(entry.holders, &HolderList::Entry::second);
    set_copies(item, entry, static_cast<unsigned>(live) + (options_.self_is_copy ? 1 : 0));
}

/// Has the item looked at if its copies, with those on the way, are too few.
void CopyPlanner::set_copies(const ItemId& item, Item& entry, unsigned copies) {
    if (copies != entry.copies) {
        const bool more = copies > entry.copies;
        count_out(entry);
        entry.copies = copies;
        count_in(entry);
        entry.under_since.reset();
        if (more) call_off_surplus(item, entry);
    }
    if (wants_more(entry))
        queue_.set_ready(item, copies, entry.order);
    else
        queue_.remove(item);
    blocked_ = false;
}

/// Rule 8.
void CopyPlanner::call_off_surplus(const ItemId& item, Item& entry) {
    while (!entry.pending.empty() && entry.copies + entry.pending.size() > goal(entry)) {
        const auto latest = std::ranges::max_element(
            entry.pending, {}, [](const auto& p) { return std::pair(p.second, p.first); });
        const NodeId node = latest->first;
        end_pending(item, entry, node);
        withdrawn_.push_back({item, entry.root, node});
    }
}

TimePoint CopyPlanner::look_again_at(const Item& entry, TimePoint now) const {
    TimePoint again = now + options_.retry;
    for (const auto& [node, refusal] : entry.refusals)
        again = std::min(again, refusal.until);
    return again;
}

/// Begins, or prolongs, the wait for `node`. The caller refreshes.
void CopyPlanner::add_pending(const ItemId& item, Item& entry, const NodeId& node,
                              Pending pending) {
    end_pending(item, entry, node);
    entry.refusals.erase(node);
    entry.pending.emplace(node, pending);
    expiries_.insert({pending.until, item, node});
    if (pending.unanswered_since) unanswered_.insert({*pending.unanswered_since, item, node});
    by_node_[node].items.insert(item);
    bytes_in_flight_ += entry.length;
}

/// False when the node was not invited. The caller refreshes.
bool CopyPlanner::end_pending(const ItemId& item, Item& entry, const NodeId& node) {
    const auto found = entry.pending.find(node);
    if (found == entry.pending.end()) return false;
    expiries_.erase({found->second.until, item, node});
    if (const auto sent = found->second.unanswered_since) unanswered_.erase({*sent, item, node});
    entry.pending.erase(found);
    bytes_in_flight_ -= entry.length;
    forget_if_unrelated(item, entry, node);
    return true;
}

void CopyPlanner::refuse(const ItemId& item, const NodeId& node, TimePoint until, bool is_busy) {
    Item* entry = find(item);
    if (entry == nullptr || !end_pending(item, *entry, node)) return;
    entry->refusals[node] = {.at = latest_, .until = until, .is_busy = is_busy};
    refresh(item, *entry);
}

void CopyPlanner::forget_if_unrelated(const ItemId& item, const Item& entry, const NodeId& node) {
    if (entry.holders.contains(node) || entry.pending.contains(node)) return;
    const auto found = by_node_.find(node);
    found->second.items.erase(item);
    if (found->second.items.empty()) by_node_.erase(found);
}

}  // namespace flow29::proto
