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
constexpr std::uint64_t repair_queue_s = 30;
constexpr auto forerunners_period = std::chrono::seconds(1);
}  // namespace

Keeper::Keeper(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
               Neighbourhood& neighbourhood, proto::PullBudget& budget, LooseMark& loose,
               Events events)
    : services_(services),
      settings_(settings),
      tasks_(tasks),
      peers_(peers),
      neighbourhood_(neighbourhood),
      budget_(budget),
      loose_(loose),
      events_(std::move(events)),
      quotas_(services.store, settings),
      awaited_(quotas_),
      part_ended_(services.runtime) {
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
    const bool has_object = !invite.part && store.descriptor(invite.lease.root).has_value();
    for (const auto& [item, length] : invite.items) {
        const bool is_extent = item.kind == proto::ItemId::Kind::extent;
        known.here.push_back(is_extent ? store.owns_extent(item.extent()) : has_object);
        known.owned.push_back(has_object && known.here.back());
    }
    known.left = quotas_.left(asker, wall_now);
    return known;
}

void Keeper::count_in(const Intake& intake, std::uint64_t bytes) {
    bytes_coming_ += bytes;
    if (intake.group() && bytes != 0) coming_from_[*intake.group()].bytes += bytes;
    if (intake.is_repair()) repair_coming_ += bytes;
    if (intake.asker()) quotas_.begin(*intake.asker(), bytes);
}

void Keeper::count_out(const Intake& intake, std::uint64_t bytes) {
    bytes_coming_ -= bytes;
    take_off(intake, 0, bytes);
    if (intake.is_repair()) repair_coming_ -= bytes;
    if (intake.asker()) quotas_.end(*intake.asker(), bytes);
}

void Keeper::take_off(const Intake& intake, std::size_t items, std::uint64_t bytes) {
    if (!intake.group()) return;
    const auto found = coming_from_.find(*intake.group());
    if (found == coming_from_.end()) return;
    auto& coming = found->second;
    coming.items -= std::min(coming.items, items);
    coming.bytes -= std::min(coming.bytes, bytes);
    if (coming.items == 0 && coming.bytes == 0) coming_from_.erase(found);
}

bool Keeper::has_its_share(const core::AddressGroup& group, std::uint64_t bytes) const {
    const auto found = coming_from_.find(group);
    const auto coming = found == coming_from_.end() ? Coming{} : found->second;
    return coming_.size() + coming.items >= limits::coming_items_max ||
           bytes_coming_ + coming.bytes + 2 * bytes > limits::coming_bytes_max;
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

asio::awaitable<Keeper::Room> Keeper::reserve(std::vector<proto::Invite::Item> items,
                                              bool makes_room) {
    auto& store = services_.store;
    auto ask = [&store, items] { return reserve_most(store, items); };
    auto ask_again = ask;
    auto room = co_await net::offload(services_.runtime, std::move(ask));
    if (room.items == items.size() || !makes_room) co_return room;
    room = Room{};
    auto making = events_.make_room();
    (void)co_await std::move(making);  // whether it made any shows in what fits now
    co_return co_await net::offload(services_.runtime, std::move(ask_again));
}

/// Of what is neither here with its object nor on its way with it. A part asks for nobody's room
/// but what is free.
Keeper::Verdict Keeper::judge(const Intake& intake, const proto::Invite::Item& invited,
                              bool is_here, const Quotas::Asker& asker,
                              const Quotas::Left& left) const {
    using Answer = proto::InviteAnswer;
    const auto charged = intake.bytes() + invited.length.value;
    const auto of_quota = intake.is_part() ? invited.length.value : charged;  // the rest is awaited
    if (invited.length.value > limits::extent_bytes_max) return {Answer::refused};
    if (has_its_share(asker.group, is_here ? 0 : charged)) return {Answer::busy};
    if (intake.is_part() && !awaited_.has_room()) return {Answer::busy};
    if (quotas_.is_over(asker, left, of_quota)) return {Answer::over_quota};
    if (intake.is_repair() && !may_take_repair(charged)) return {Answer::busy};
    return {Answer::accepted, !is_here};
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
    const auto publisher = core::node_id_of(invite.lease.publisher);
    // It is kept while its publisher is there, so nobody else has any business asking for it.
    if (invite.part && from->id() != publisher) co_return reply;
    const Quotas::Asker asker{invite.lease.publisher, from->remote().group()};
    auto look = [this, &invite, asker, wall_now] { return this->look(invite, asker, wall_now); };
    const auto known = co_await net::offload(services_.runtime, std::move(look));
    if (known.superseded) co_return reply;

    Intake::Order order;
    order.lease = invite.lease;
    order.sources = std::move(invite.sources);
    order.inviter = from;
    if (!invite.part) order.asker = asker;  // a part is charged for as long as it is awaited
    order.is_repair = !invite.part && (invite.repair || from->id() != publisher);
    order.is_part = invite.part;
    const auto intake = make_intake(std::move(order));
    std::vector<proto::ItemId> held;
    std::vector<proto::Invite::Item> needing;  // room
    for (std::size_t i = 0; i < invite.items.size(); ++i) {
        const auto& [item, length] = invite.items[i];
        auto& answer = reply.answers[i];
        const bool leads = invite.leads.empty() || invite.leads[i];
        const bool was_awaited = !invite.part && awaited_.take_over(asker.publisher, item);
        const auto coming = coming_.find(item);
        const auto other = coming == coming_.end() ? nullptr : coming->second;
        if (invite.part && item.kind != proto::ItemId::Kind::extent) {
            answer = Answer::refused;
        } else if (known.owned[i]) {
            const bool over_quota =
                quotas_.is_over(asker, known.left, intake->bytes() + length.value);
            answer = known.leased || !over_quota ? Answer::held : Answer::over_quota;
            if (answer == Answer::held) held.push_back(item);
        } else if (other && (invite.part || !other->is_part())) {
            answer = Answer::coming;
            if (!invite.part) other->join(from, item, leads);
            if (was_awaited) other->take_over();
        } else {
            // What the same publisher's part is pulling is as good as here, and has its room.
            const bool is_on_its_way = other && was_awaited;
            const auto verdict =
                judge(*intake, invite.items[i], known.here[i] || is_on_its_way, asker, known.left);
            answer = verdict.answer;
            if (was_awaited && answer != Answer::accepted) awaited_.on_left_over();
            if (answer != Answer::accepted) continue;
            if (invite.part)
                awaited_.add(invite.lease.root, asker, invite.items[i], from->record().started_ms);
            if (invite.part && known.here[i]) {
                answer = Answer::held;
                continue;
            }
            intake->add(invite.items[i], leads);
            if (was_awaited) intake->take_over();
            if (verdict.needs_room) needing.push_back(invite.items[i]);
            if (is_on_its_way) intake->wait_for(other);
            note_coming(intake, item);
        }
    }
    // Before the wait for room: others ask meanwhile.
    count_in(*intake, intake->bytes());
    if (invite.part && !intake->empty()) co_await loose_.set();
    auto room = co_await reserve(needing, !invite.part);
    intake->set_room(std::move(room.reserved));
    if (room.items < needing.size())
        log::info("keeper", "room for {} of {} items", room.items, needing.size());
    for (std::size_t i = room.items; i < needing.size(); ++i) {
        const auto& [item, length] = needing[i];
        count_out(*intake, length.value);
        intake->remove(needing[i]);
        forget_coming(*intake, item);
        if (invite.part) awaited_.take_over(asker.publisher, item);
        for (std::size_t j = 0; j < invite.items.size(); ++j)
            if (invite.items[j].item == item)
                reply.answers[j] = invite.part ? Answer::busy : Answer::full;
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
            awaited_.on_left_over();  // perhaps
        }
    }
    const auto lacks_room = [](Answer a) { return a == Answer::full || a == Answer::over_quota; };
    if (!invite.part && std::ranges::any_of(reply.answers, lacks_room) &&
        turned_away_.size() < limits::turned_away_max)
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
    while (intake->is_waiting()) {
        const auto look_again = services_.runtime.now() + Duration(forerunners_period);
        (void)co_await part_ended_.wait_until(look_again);
    }
    co_await intake->run();
    if (intake->left_over()) awaited_.on_left_over();
    std::erase(intakes_, intake);
    if (intake->is_part()) part_ended_.notify_all();
    pulled_ += intake->fetched();
    if (intake->is_repair()) repaired_ += intake->fetched();
}

void Keeper::on_settled(const Intake& intake, const std::vector<proto::ItemId>& items,
                        std::uint64_t bytes) {
    for (const auto& item : items)
        forget_coming(intake, item);
    count_out(intake, bytes);
}

/// Another one may have been to bring it.
void Keeper::note_coming(const std::shared_ptr<Intake>& intake, const proto::ItemId& item) {
    if (const auto other = coming_.find(item); other != coming_.end())
        take_off(*other->second, 1, 0);
    if (intake->group()) ++coming_from_[*intake->group()].items;
    coming_.insert_or_assign(item, intake);
}

/// Unless another one is to bring it now, after this one.
void Keeper::forget_coming(const Intake& intake, const proto::ItemId& item) {
    const auto found = coming_.find(item);
    if (found == coming_.end() || found->second.get() != &intake) return;
    take_off(intake, 1, 0);
    coming_.erase(found);
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
    if (uninvite.items.empty()) awaited_.drop(node, uninvite.root);
}

std::unordered_set<ExtentHash> Keeper::awaited() const {
    auto extents = awaited_.extents();
    for (const auto& [item, intake] : coming_)
        if (item.kind == proto::ItemId::Kind::extent) extents.insert(item.extent());
    return extents;
}

bool Keeper::give_up_parts() {
    const auto started_of = [this](const NodeId& node) {
        const auto peer = peers_.find(node);
        return peer ? std::optional(peer->record().started_ms) : std::nullopt;
    };
    awaited_.look(started_of, services_.runtime.now());
    return awaited_.take_dropped();
}

void Keeper::on_stored(const NodeId& node, const proto::Stored& stored) {
    for (const auto& intake : intakes_)
        if (intake->root() == stored.root || (intake->is_part() && !stored.part))
            intake->on_stored(node, stored);
}

}  // namespace flow29::node
