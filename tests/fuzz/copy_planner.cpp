// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/copy_planner.hpp"

#include <algorithm>

#include "fixtures.hpp"
#include "input.hpp"

namespace {

using namespace flow29;
using namespace std::chrono_literals;
using proto::CopyPlanner;
using proto::InviteAnswer;
using proto::ItemId;
using proto::NodeTable;

constexpr std::uint32_t nodes = 10;  // besides this one, which is 0
constexpr std::uint32_t items = 5;
constexpr std::uint32_t item_bytes = 1 << 20;

CopyPlanner::Options make_options(fuzz::Input& input) {
    CopyPlanner::Options options{.self = proto::fake_node(0)};
    options.always_act = input.flag();
    options.self_is_copy = !options.always_act;
    options.spare = static_cast<unsigned>(input.number(2));
    options.spare_from = static_cast<unsigned>(input.number(3));
    options.settle = std::chrono::seconds(input.number(20));
    options.bytes_in_flight_max = ByteCount(input.number(4 * item_bytes));
    if (input.flag()) options.answer_patience = std::chrono::seconds(input.number(20));
    return options;
}

/// A planner, its table, and what was said to it.
class Run {
  public:
    explicit Run(fuzz::Input input)
        : input_(input), options_(make_options(input_)), planner_(table_, options_) {}

    void all() {
        while (!input_.empty()) {
            step();
            check();
        }
        finish();
    }

  private:
    using Known = std::map<NodeId, bool>;  // who was said to hold an item, or not to

    void step() {
        const auto choice = input_.octet() % 16;
        const auto number = static_cast<std::uint32_t>(input_.number(nodes));
        const auto node = proto::fake_node(number);
        const auto item = proto::fake_item(static_cast<std::uint32_t>(input_.number(items - 1)));
        const bool cared_for = planner_.has_item(item);
        switch (choice) {
            case 0:
            case 1:
                add(item);
                break;
            case 2:
                if (input_.octet() < 64) remove(item);
                break;
            case 3:
                if (cared_for) planner_.change_item(item, RootHash{}, 1U + input_.octet() % 6U);
                break;
            case 4:
                planner_.on_copy(item, node, now_);
                if (cared_for && number != 0) said_[item][node] = true;
                break;
            case 5:
                planner_.on_no_copy(item, node, now_);
                if (cared_for) said_[item][node] = false;
                break;
            case 6:
            case 7:
                answer(item, node);
                break;
            case 8:
                planner_.on_invite_failed(item, node, now_);
                break;
            case 9:
                planner_.on_sign_of_life(node, now_);
                break;
            case 10:
            case 11:
                change_node(number);
                break;
            case 12:
                now_ += std::chrono::milliseconds(input_.number(90'000));
                for (const auto& gone : table_.expire(now_))
                    planner_.on_node_changed(gone, now_);
                break;
            case 13:
                for (const auto& withdrawn : planner_.take_withdrawn())
                    FLOW29_ASSERT(withdrawn.target != options_.self);
                for (const auto& stuck : planner_.take_stuck())
                    FLOW29_ASSERT(stuck.kind == ItemId::Kind::extent);
                for (const auto& silent : planner_.take_silent()) {
                    FLOW29_ASSERT(silent != options_.self);
                    table_.on_silent(silent, now_ + 10min);
                }
                if (cared_for) planner_.set_bystander(item);
                break;
            case 14:
                pull(item, node);
                break;
            default:
                static_cast<void>(invite());
        }
    }
    void add(const ItemId& item) {
        const auto copies = static_cast<unsigned>(1 + input_.number(20));
        const auto before = planner_.has_item(item) ? planner_.target(item) : 0;
        planner_.add_item(item, RootHash{}, ByteCount(item_bytes), copies);
        FLOW29_ASSERT(planner_.target(item) ==
                      std::max(before, std::min(copies, limits::copies_max)));
    }
    void remove(const ItemId& item) {
        planner_.remove_item(item);
        said_.erase(item);
        led_.erase(item);
        FLOW29_ASSERT(!planner_.has_item(item));
    }
    void answer(const ItemId& item, const NodeId& node) {
        const auto said = static_cast<InviteAnswer>(input_.number(6));
        planner_.on_answer(item, node, said, now_);
        if (planner_.has_item(item) && said == InviteAnswer::held && node != options_.self)
            said_[item][node] = true;
    }
    void change_node(std::uint32_t number) {
        const auto node = proto::fake_node(number);
        const auto choice = input_.octet() % 8;
        if (choice < 5)
            table_.on_alive(proto::fake_record(number), now_);
        else if (choice < 7)
            table_.on_missing(node, now_);
        else
            table_.on_goodbye(node, now_);
        planner_.on_node_changed(node, now_);
        if (choice < 5) planner_.on_candidates_changed(now_);
    }

    /// Rule 12: whoever is to be blamed was told to lead, by somebody who was not.
    void pull(const ItemId& item, const NodeId& node) {
        const auto invited = planner_.invited(item);
        const auto poor = planner_.on_pulled(item, node, now_);
        if (!poor) return;
        FLOW29_ASSERT(led_.at(item) == *poor && *poor != node);
        FLOW29_ASSERT(std::ranges::count(invited, node) == 1);
        table_.on_poor_lead(*poor, now_ + 10min);
    }

    /// What rules 3, 5, 6, 11 and 12 say of every invitation.
    std::optional<CopyPlanner::Invitation> invite() {
        std::map<ItemId, std::vector<NodeId>> invited;
        std::size_t in_flight = 0;
        for (const auto& item : planner_.items()) {
            invited[item] = planner_.invited(item);
            in_flight += invited[item].size();
        }
        const auto invitation = planner_.poll_invite(now_, wall());
        if (!invitation) return invitation;
        const auto& target = invitation->target;
        FLOW29_ASSERT(planner_.has_item(invitation->item) && target != options_.self);
        FLOW29_ASSERT(!table_.cut_off() && table_.is_alive(target));
        const auto holders = planner_.holders(invitation->item);
        FLOW29_ASSERT(std::ranges::count(holders, target) == 0);
        // Not even if it is given up within this call: it has then refused.
        FLOW29_ASSERT(std::ranges::count(invited[invitation->item], target) == 0);
        const auto now_invited = planner_.invited(invitation->item);
        FLOW29_ASSERT(std::ranges::count(now_invited, target) == 1);
        FLOW29_ASSERT(planner_.copies(invitation->item) + now_invited.size() <=
                      planner_.target(invitation->item) + options_.spare);
        std::size_t now_in_flight = 0;
        for (const auto& item : planner_.items())
            now_in_flight += planner_.invited(item).size();
        FLOW29_ASSERT(now_in_flight == 1 ||
                      now_in_flight * item_bytes <= options_.bytes_in_flight_max.value);
        FLOW29_ASSERT(now_in_flight <= in_flight + 1);
        const bool is_held = std::ranges::any_of(
            holders, [this](const auto& holder) { return table_.counts(holder); });
        FLOW29_ASSERT(!invitation->leads || !is_held);
        // The first one leads, unless it does that badly.
        if (now_invited.size() == 1 && !is_held && table_.may_lead(target, now_))
            FLOW29_ASSERT(invitation->leads);
        if (invitation->leads) led_[invitation->item] = target;
        return invitation;
    }

    void check() {
        planner_.check_invariants();
        table_.check_invariants();
        std::size_t in_flight = 0;
        for (const auto& item : planner_.items()) {
            const auto holders = planner_.holders(item);
            unsigned counting = options_.self_is_copy ? 1 : 0;
            for (const auto& holder : holders) {
                FLOW29_ASSERT(holder != options_.self && said_[item][holder]);
                counting += table_.counts(holder) ? 1 : 0;
            }
            for (const auto& [node, holds] : said_[item])
                FLOW29_ASSERT(!holds || std::ranges::count(holders, node) == 1);
            FLOW29_ASSERT(planner_.copies(item) == counting);
            in_flight += planner_.invited(item).size();
            const auto others = planner_.others_to_rely_on(item);
            if (!others.empty()) FLOW29_ASSERT(planner_.are_enough(item, others));
        }
        const auto counts = planner_.counts();
        FLOW29_ASSERT(counts.items == planner_.items().size() && counts.in_flight == in_flight);
    }

    /// Everybody is there and does as asked: every item gets its copies, as far as there are nodes.
    void finish() {
        for (std::uint32_t number = 1; number <= nodes; ++number) {
            table_.on_alive(proto::fake_record(number), now_);
            planner_.on_node_changed(proto::fake_node(number), now_);
        }
        planner_.on_candidates_changed(now_);
        const auto end = now_ + 30min;
        while (now_ < end) {
            if (const auto invitation = invite()) {
                planner_.on_answer(invitation->item, invitation->target, InviteAnswer::held, now_);
                said_[invitation->item][invitation->target] = true;
                check();
                continue;
            }
            const auto next = planner_.next_deadline();
            now_ = std::max(now_ + 1s, std::min(end, next.value_or(end)));
        }
        for (const auto& item : planner_.items()) {
            const auto possible = nodes + (options_.self_is_copy ? 1 : 0);
            FLOW29_ASSERT(planner_.copies(item) >= std::min(planner_.target(item), possible));
        }
    }
    [[nodiscard]] WallTime wall() const { return proto::wall(now_ - proto::at(0s)); }

    fuzz::Input input_;
    CopyPlanner::Options options_;
    TimePoint now_ = proto::at(0s);
    NodeTable table_{{.self = proto::fake_node(0)}};
    CopyPlanner planner_;
    std::map<ItemId, Known> said_;
    std::map<ItemId, NodeId> led_;  // who was told to lead last
};

}  // namespace

/// A planner under any sequence of events invites only whom its rules allow, counts the copies that
/// a naive count finds, and reaches its targets once all nodes are there and obey.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Run(fuzz::Input(data, size)).all();
    return 0;
}
