// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/keeper.hpp"

#include <flow29/limits.hpp>

#include <algorithm>
#include <numeric>

#include "core/log.hpp"
#include "node/holdings.hpp"
#include "node/terms.hpp"

namespace flow29::node {

namespace log = core::log;

namespace {
constexpr ByteCount memory_bytes_max{40ULL << 20};
constexpr std::size_t coming_items_max = 131'072;
constexpr std::size_t turned_away_max = 1024;
constexpr std::uint64_t repair_queue_s = 30;
}  // namespace

Keeper::Keeper(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
               Neighbourhood& neighbourhood, proto::PullBudget& budget, Events events)
    : services_(services),
      settings_(settings),
      tasks_(tasks),
      peers_(peers),
      neighbourhood_(neighbourhood),
      budget_(budget),
      events_(std::move(events)),
      quotas_(services, settings) {
    intake_events_.on_kept = events_.on_kept;
    intake_events_.on_settled = [this](const auto& intake, const auto& items, auto bytes) {
        on_settled(intake, items, bytes);
    };
    intake_events_.memory_max = [this](const Intake& intake) { return memory_for(intake); };
    intake_events_.on_memory_free = [this] {
        for (const auto& intake : intakes_)
            intake->wake();
    };
}

ByteCount Keeper::pulled() const {
    auto sum = pulled_;
    for (const auto& intake : intakes_)
        sum += intake->fetched();
    return sum;
}

/// Under a limit no more is accepted than comes before the inviter loses patience, one item at
/// least.
bool Keeper::may_take_repair(std::uint64_t bytes) const {
    const auto rate = budget_.repair_rate_max().value;
    return rate == 0 || repair_coming_ == 0 || repair_coming_ + bytes <= rate * repair_queue_s;
}

/// On a worker.
Keeper::Known Keeper::look(const proto::Invite& invite, const Quotas::Asker& asker,
                           WallTime wall_now) const {
    auto& store = services_.store;
    Known known;
    known.superseded = is_superseded(store, invite.lease, wall_now);
    known.leased = is_in_force(store, invite.lease, wall_now);
    // Without its descriptor nothing would keep an extent that is here: an intake gets that, and
    // pulls nothing that is here.
    const bool has_object = store.descriptor(invite.lease.root).has_value();
    for (const auto& [item, length] : invite.items)
        known.owned.push_back(has_object && (item.kind != proto::ItemId::Kind::extent ||
                                             store.owns_extent(item.extent())));
    known.left = quotas_.left(asker, wall_now);
    return known;
}

void Keeper::count_in(const Intake& intake, std::uint64_t bytes) {
    bytes_coming_ += bytes;
    if (intake.is_repair()) repair_coming_ += bytes;
    if (intake.asker()) quotas_.begin(*intake.asker(), bytes);
}

void Keeper::count_out(const Intake& intake, std::uint64_t bytes) {
    bytes_coming_ -= bytes;
    if (intake.is_repair()) repair_coming_ -= bytes;
    if (intake.asker()) quotas_.end(*intake.asker(), bytes);
}

/// What it has, and what nobody has; one extent whatever its size when there is nothing else.
ByteCount Keeper::memory_for(const Intake& intake) const {
    ByteCount used;
    for (const auto& other : intakes_)
        used += other->memory();
    if (used.value == 0) return ByteCount(limits::extent_bytes_max);
    const ByteCount free(memory_bytes_max.value - std::min(memory_bytes_max, used).value);
    return intake.memory() + free;
}

Keeper::Room Keeper::reserve_most(store::Store& store,
                                  const std::vector<proto::Invite::Item>& items) {
    const auto room_for = [&](std::size_t count) {
        const auto end = items.begin() + static_cast<std::ptrdiff_t>(count);
        auto reserved = store.reserve_for({items.begin(), end});
        return reserved ? Room{std::move(*reserved), count} : Room{};
    };
    auto all = room_for(items.size());
    if (all.reserved) return all;
    std::size_t fit = 0;
    for (auto too_many = items.size(); too_many - fit > 1;) {
        const auto count = std::midpoint(fit, too_many);
        (room_for(count).reserved ? fit : too_many) = count;
    }
    return fit > 0 ? room_for(fit) : Room{};
}

asio::awaitable<Keeper::Room> Keeper::reserve(std::vector<proto::Invite::Item> items) {
    auto& store = services_.store;
    auto ask = [&store, items] { return reserve_most(store, items); };
    auto ask_again = ask;
    auto room = co_await net::offload(services_.runtime, std::move(ask));
    if (room.items == items.size()) co_return room;
    room = Room{};
    auto making = events_.make_room();
    (void)co_await std::move(making);  // whether it made any shows in what fits now
    co_return co_await net::offload(services_.runtime, std::move(ask_again));
}

asio::awaitable<proto::InviteReply> Keeper::on_invite(net::PeerPtr from, proto::Invite invite) {
    using Answer = proto::InviteAnswer;
    proto::InviteReply reply;
    reply.answers.assign(invite.items.size(), Answer::refused);
    const auto wall_now = services_.runtime.wall_now();
    if (!settings_.storing || invite.lease.withdrawn || !is_acceptable(invite.lease, wall_now) ||
        tasks_.stopping())
        co_return reply;

    const auto& self = services_.identity;
    // Its publisher is the one node that an object may not depend on.
    if (invite.lease.publisher == self.public_key() || settings_.is_blocked(invite.lease.root))
        co_return reply;
    const Quotas::Asker asker{invite.lease.publisher, from->remote().group()};
    auto look = [this, &invite, asker, wall_now] { return this->look(invite, asker, wall_now); };
    const auto known = co_await net::offload(services_.runtime, std::move(look));
    if (known.superseded) co_return reply;

    Intake::Order order;
    order.lease = invite.lease;
    order.sources = std::move(invite.sources);
    order.inviter = from;
    order.asker = asker;
    order.is_repair = invite.repair || from->id() != core::node_id_of(invite.lease.publisher);
    const auto intake = make_intake(std::move(order));
    std::vector<proto::ItemId> held;
    std::vector<proto::Invite::Item> accepted;
    for (std::size_t i = 0; i < invite.items.size(); ++i) {
        const auto& [item, length] = invite.items[i];
        auto& answer = reply.answers[i];
        const bool leads = invite.leads.empty() || invite.leads[i];
        const auto charged = intake->bytes() + length.value;
        const bool over_quota = quotas_.is_over(asker, known.left, charged);
        if (known.owned[i] && (known.leased || !over_quota)) {
            answer = Answer::held;
            held.push_back(item);
        } else if (known.owned[i]) {
            answer = Answer::over_quota;
        } else if (const auto coming = coming_.find(item); coming != coming_.end()) {
            answer = Answer::coming;
            coming->second->join(from, item, leads);
        } else if (length.value > limits::extent_bytes_max) {
            answer = Answer::refused;
        } else if (coming_.size() >= coming_items_max ||
                   bytes_coming_ + charged > limits::coming_bytes_max) {
            answer = Answer::busy;
        } else if (over_quota) {
            answer = Answer::over_quota;
        } else if (intake->is_repair() && !may_take_repair(charged)) {
            answer = Answer::busy;
        } else {
            answer = Answer::accepted;
            intake->add(invite.items[i], leads);
            accepted.push_back(invite.items[i]);
            coming_.emplace(item, intake);
        }
    }
    // Before the wait for room: others ask meanwhile.
    count_in(*intake, intake->bytes());
    auto room = co_await reserve(accepted);
    intake->set_room(std::move(room.reserved));
    if (room.items < accepted.size())
        log::info("keeper", "room for {} of {} items", room.items, accepted.size());
    for (std::size_t i = room.items; i < accepted.size(); ++i) {
        count_out(*intake, accepted[i].length.value);
        intake->remove(accepted[i]);
        coming_.erase(accepted[i].item);
        for (std::size_t j = 0; j < invite.items.size(); ++j)
            if (invite.items[j].item == accepted[i].item) reply.answers[j] = Answer::full;
    }
    if (!held.empty()) {
        const auto kept = co_await keep_held(invite.lease, asker, held);
        if (kept) {
            events_.on_kept({invite.lease.root, held, true});
        } else {
            // What is not durably marked must not be counted on.
            log::warn("keeper", "lease not kept: {}", kept.error().message());
            for (auto& answer : reply.answers)
                if (answer == Answer::held) answer = Answer::full;
        }
    }
    const auto lacks_room = [](Answer a) { return a == Answer::full || a == Answer::over_quota; };
    if (std::ranges::any_of(reply.answers, lacks_room) && turned_away_.size() < turned_away_max)
        turned_away_.insert(from->id());
    if (!intake->empty()) tasks_.start(carry_out(intake));
    co_return reply;
}

std::shared_ptr<Intake> Keeper::make_intake(Intake::Order order) {
    return std::make_shared<Intake>(services_, settings_, tasks_, peers_, neighbourhood_, budget_,
                                    intake_events_, std::move(order));
}

asio::awaitable<Result<void>> Keeper::keep_held(proto::Lease lease, Quotas::Asker asker,
                                                std::vector<proto::ItemId> held) {
    auto& store = services_.store;
    const auto self = services_.identity.id();
    const auto wall_now = services_.runtime.wall_now();
    auto keep = [&store, lease, held, self, wall_now, asker]() -> Result<void> {
        if (auto put = store.put_lease(lease); !put) return fail(put.error());
        if (!is_in_force(store, lease, wall_now)) return fail(Errc::refused, "withdrawn");
        if (auto noted = store.set_asker(lease.root, lease.publisher, asker.group); !noted)
            return noted;
        return mark_kept(store, lease.root, held, self);
    };
    co_return co_await net::offload(services_.runtime, std::move(keep));
}

asio::awaitable<void> Keeper::carry_out(std::shared_ptr<Intake> intake) {
    intakes_.push_back(intake);
    co_await intake->run();
    std::erase(intakes_, intake);
    pulled_ += intake->fetched();
    if (intake->is_repair()) repaired_ += intake->fetched();
}

void Keeper::on_settled(const Intake& intake, const std::vector<proto::ItemId>& items,
                        std::uint64_t bytes) {
    for (const auto& item : items)
        coming_.erase(item);
    count_out(intake, bytes);
}

void Keeper::tell_of_room() {
    if (!settings_.storing) return;
    for (const auto& node : std::exchange(turned_away_, {}))
        if (const auto peer = peers_.find(node)) peer->notify(proto::Room{});
}

void Keeper::heal(proto::Lease lease, std::vector<proto::Invite::Item> items,
                  std::vector<proto::NodeRecord> sources) {
    Intake::Order order;
    order.lease = std::move(lease);
    order.sources = std::move(sources);
    order.is_repair = true;
    const auto intake = make_intake(std::move(order));
    for (const auto& item : items) {
        if (!coming_.emplace(item.item, intake).second) continue;
        intake->add(item, true);
        count_in(*intake, item.length.value);
    }
    if (!intake->empty()) tasks_.start(carry_out(intake));
}

void Keeper::on_uninvite(const NodeId& node, const proto::Uninvite& uninvite) {
    for (const auto& intake : intakes_)
        if (intake->root() == uninvite.root && intake->inviter() && intake->inviter()->id() == node)
            intake->on_uninvite(uninvite);
}

void Keeper::on_stored(const NodeId& node, const proto::Stored& stored) {
    for (const auto& intake : intakes_)
        if (intake->root() == stored.root) intake->on_stored(node, stored);
}

}  // namespace flow29::node
