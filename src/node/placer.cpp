// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/placer.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration join_timeout = 10s;
constexpr Duration stuck_patience = 3s;  // for candidates that are only being discovered
constexpr Duration tick = 250ms;
constexpr Duration invite_period = 100ms;  // so that who has room for a little is asked for more
constexpr Duration sign_period = 5s;
constexpr Duration busy_retry = 2s;  // who takes in much at once is soon done with some
constexpr ByteCount bytes_in_flight_max{4ULL << 30};  // each target takes what it can
constexpr std::size_t explorations_max = 16;
constexpr Duration answer_patience = 1s;
constexpr Duration poor_lead_pause = 10min;
constexpr Duration silent_pause = 10min;

proto::CopyPlanner::Options planner_options(const Services& services) {
    proto::CopyPlanner::Options options;
    options.self = services.identity.id();
    options.keys = services.keys;
    options.self_is_copy = false;
    options.always_act = true;
    options.counts_missing = false;  // whoever publishes may leave when it is told that all is well
    options.bytes_in_flight_max = bytes_in_flight_max;
    options.busy_retry = busy_retry;
    options.answer_patience = answer_patience;
    return options;
}
}  // namespace

Placer::Placer(Services services, Tasks& tasks, PeerBook& peers, Neighbourhood& neighbourhood,
               proto::NodeTable& table, OwnRecord own_record, Inviter::Purpose purpose)
    : services_(services),
      tasks_(tasks),
      neighbourhood_(neighbourhood),
      table_(table),
      own_record_(std::move(own_record)),
      is_part_(purpose == Inviter::Purpose::part),
      inviter_(services, tasks, peers, table, purpose),
      changed_(services.runtime),
      planner_(table, planner_options(services)) {}

void Placer::add(const proto::ItemId& item, const RootHash& root, ByteCount length,
                 unsigned copies) {
    if (planner_.has_item(item)) return;  // equal extents are one item
    items_.push_back(item);
    planner_.add_item(item, root, length, copies);
}

void Placer::on_copy(const proto::ItemId& item, const NodeId& node) {
    if (planner_.has_item(item)) planner_.on_copy(item, node, services_.runtime.now());
}

asio::awaitable<void> Placer::explore_key(std::shared_ptr<Placer> self, DhtKey key) {
    co_await self->neighbourhood_.ensure_near(key);
    --self->exploring_;
    self->planner_.on_candidates_changed(self->services_.runtime.now());
    self->changed_.notify_all();
}

asio::awaitable<void> Placer::explore_keys(std::shared_ptr<Placer> self) {
    for (const auto& item : self->items_) {
        while (self->exploring_ >= explorations_max)
            co_await self->changed_.wait();
        if (self->tasks_.stopping()) break;
        ++self->exploring_;
        self->tasks_.start(explore_key(self, item.key(self->services_.keys)));
    }
    while (self->exploring_ > 0)
        co_await self->changed_.wait();
    self->explored_ = true;
    self->changed_.notify_all();
}

bool Placer::all_stuck(TimePoint now) const {
    const auto wall_now = services_.runtime.wall_now();
    if (planner_.counts().in_flight > 0) return false;
    return std::all_of(items_.begin(), items_.end(), [&](const auto& item) {
        return planner_.copies(item) >= planner_.target(item) ||
               planner_.stuck(item, now, wall_now);
    });
}

asio::awaitable<void> Placer::run(Inviter::LeaseOf lease_of, Duration idle_timeout,
                                  std::stop_token stop, ReportFn report,
                                  std::function<bool()> is_paused) {
    const auto patience = std::min(Duration(join_timeout), idle_timeout);
    const bool joined = co_await neighbourhood_.wait_joined(services_.runtime.now() + patience);
    if (!joined) co_return;
    tasks_.start(explore_keys(shared_from_this()));
    while (!explored_ && !tasks_.stopping())
        co_await changed_.wait();

    const std::weak_ptr<Placer> weak = weak_from_this();
    const Inviter::Answered answered = [weak] {
        if (const auto self = weak.lock()) self->changed_.notify_all();
    };
    auto last_progress = services_.runtime.now();
    auto last_counts = planner_.counts();
    auto most_in_flight = last_counts.in_flight;  // since a copy was made
    auto next_invite = last_progress;
    while (planner_.counts().under_target > 0 && !tasks_.stopping() && !stop.stop_requested()) {
        const bool paused = is_paused && is_paused();
        const auto now = services_.runtime.now();
        if (!paused && now >= next_invite) {
            inviter_.send_due(planner_, own_record_(), lease_of, alive_, answered);
            note_silent();
            next_invite = now + Duration(invite_period);
        }
        inviter_.call_off(planner_);
        const auto counts = planner_.counts();
        report(counts);
        // To be turned away, and ask again, is none.
        const bool is_copied = counts.sum_copies > last_counts.sum_copies;
        if (paused || is_copied || counts.in_flight > most_in_flight) last_progress = now;
        most_in_flight = is_copied ? counts.in_flight : std::max(most_in_flight, counts.in_flight);
        last_counts = counts;
        if (all_stuck(now) && now > last_progress + Duration(stuck_patience)) break;
        if (now > last_progress + idle_timeout) break;
        auto wake = now + Duration(tick);
        if (const auto next = planner_.next_deadline())
            wake = std::clamp(*next, std::max(next_invite, now + Duration(5ms)), wake);
        co_await changed_.wait_until(wake);
    }
}

void Placer::note_silent() {
    for (const auto& node : planner_.take_silent()) {
        log::info("placer", "node {} lets others wait; they are invited before it for a while",
                  to_hex(node).substr(0, 12));
        table_.on_silent(node, services_.runtime.now() + silent_pause);
    }
}

void Placer::on_stored(const NodeId& node, const proto::Stored& stored) {
    const auto now = services_.runtime.now();
    if (stored.part == is_part_) {
        for (const auto& item : stored.items)
            if (planner_.has_item(item)) planner_.on_copy(item, node, now);
        for (const auto& item : stored.failed)
            if (planner_.has_item(item)) planner_.on_invite_failed(item, node, now);
    }
    on_sign_of_life(node);
    changed_.notify_all();
}

void Placer::on_pulled(const NodeId& node, const ExtentHash& extent) {
    const auto now = services_.runtime.now();
    const auto poor = planner_.on_pulled(proto::ItemId::of(extent), node, now);
    note_silent();
    if (poor) {
        log::info("placer", "node {} does not serve what it leads; others lead for a while",
                  to_hex(*poor).substr(0, 12));
        table_.on_poor_lead(*poor, now + poor_lead_pause);
    }
    on_sign_of_life(node);
}

bool Placer::on_sent(const NodeId& node, const ExtentHash& extent, ByteCount bytes) {
    if (!planner_.has_item(proto::ItemId::of(extent)) || !asked().contains(node)) return false;
    if (on_sent_) on_sent_(node, bytes);
    return true;
}

void Placer::on_sign_of_life(const NodeId& node) {
    const auto now = services_.runtime.now();
    auto& last = signs_[node];
    if (last != TimePoint{} && now < last + Duration(sign_period)) return;
    last = now;
    planner_.on_sign_of_life(node, now);
}

void Placer::on_node_changed(const NodeId& node) {
    planner_.on_node_changed(node, services_.runtime.now());
    on_candidates_changed();
}

void Placer::on_candidates_changed() {
    planner_.on_candidates_changed(services_.runtime.now());
    changed_.notify_all();
}

}  // namespace flow29::node
