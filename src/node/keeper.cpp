// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/keeper.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/log.hpp"
#include "node/extent_assembler.hpp"
#include "node/holdings.hpp"
#include "node/terms.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr std::uint64_t group_bytes = 16ULL << 20;  // pulled, then synced together
constexpr std::uint64_t memory_bytes_max = 64ULL << 20;
constexpr std::uint64_t coming_bytes_max = 1ULL << 30;
constexpr std::size_t coming_items_max = 131'072;
constexpr std::size_t turned_away_max = 1024;
constexpr std::uint64_t repair_queue_s = 30;
constexpr Duration idle_timeout = 30s;
constexpr Duration descriptor_timeout = 10s;
constexpr Duration takeover_saves_min = 250ms;

/// Which chunks of the object a group of extents does not need.
core::RangeSet all_but(const core::Layout& layout, const std::vector<ExtentIndex>& extents) {
    core::RangeSet rest;
    rest.insert(0, layout.length().value);
    for (const auto extent : extents) {
        const auto bytes = layout.extent_bytes(extent);
        rest.erase(bytes.first.value, bytes.last.value);
    }
    return rest;
}
}  // namespace

ByteCount Keeper::pulled() const {
    auto sum = pulled_;
    for (const auto& download : downloads_)
        sum += download->fetched();
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
    for (const auto& [item, length] : invite.items)
        known.owned.push_back(item.kind == proto::ItemId::Kind::extent
                                  ? store.owns_extent(item.extent())
                                  : store.descriptor(item.root()).has_value());
    known.left = quotas_.left(asker, wall_now);
    return known;
}

void Keeper::begin(const Job& job) {
    bytes_coming_ += job.bytes;
    if (job.is_repair) repair_coming_ += job.bytes;
    if (job.asker) quotas_.begin(*job.asker, job.bytes);
}

void Keeper::end(const Job& job) {
    bytes_coming_ -= job.bytes;
    if (job.is_repair) repair_coming_ -= job.bytes;
    if (job.asker) quotas_.end(*job.asker, job.bytes);
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

    auto& store = services_.store;
    const auto& self = services_.identity;
    // Its publisher is the one node that an object may not depend on.
    if (invite.lease.publisher == self.public_key() || settings_.is_blocked(invite.lease.root))
        co_return reply;
    const Quotas::Asker asker{invite.lease.publisher, from->remote().group()};
    auto look = [this, &invite, asker, wall_now] { return this->look(invite, asker, wall_now); };
    const auto known = co_await net::offload(services_.runtime, std::move(look));
    if (known.superseded) co_return reply;

    auto job = std::make_shared<Job>();
    job->root = invite.lease.root;
    job->lease = invite.lease;
    job->sources = std::move(invite.sources);
    job->inviter = from;
    job->asker = asker;
    job->is_repair = invite.repair || from->id() != core::node_id_of(invite.lease.publisher);
    std::uint64_t bytes = 0;
    std::vector<proto::ItemId> held;
    std::vector<proto::Invite::Item> accepted;
    for (std::size_t i = 0; i < invite.items.size(); ++i) {
        const auto& [item, length] = invite.items[i];
        auto& answer = reply.answers[i];
        const auto charged = bytes + length.value;
        const bool over_quota = quotas_.is_over(asker, known.left, charged);
        if (known.owned[i] && (known.leased || !over_quota)) {
            answer = Answer::held;
            held.push_back(item);
        } else if (known.owned[i]) {
            answer = Answer::over_quota;
        } else if (const auto coming = coming_.find(item); coming != coming_.end()) {
            answer = Answer::coming;
            tell_too(*coming->second, from);
        } else if (length.value > limits::extent_bytes_max) {
            answer = Answer::refused;
        } else if (coming_.size() >= coming_items_max ||
                   bytes_coming_ + bytes + length.value > coming_bytes_max) {
            answer = Answer::busy;
        } else if (over_quota) {
            answer = Answer::over_quota;
        } else if (job->is_repair && !may_take_repair(charged)) {
            answer = Answer::busy;
        } else {
            answer = Answer::accepted;
            bytes += length.value;
            job->items.push_back(item);
            accepted.push_back(invite.items[i]);
            coming_.emplace(item, job);
        }
    }
    // Before the wait for room: others ask meanwhile.
    job->bytes = bytes;
    begin(*job);
    auto room = co_await reserve(accepted);
    job->room = std::move(room.reserved);
    if (room.items < accepted.size()) {
        log::info("keeper", "room for {} of {} items", room.items, accepted.size());
        end(*job);
        job->items.resize(room.items);
        for (std::size_t i = room.items; i < accepted.size(); ++i) {
            job->bytes -= accepted[i].length.value;
            coming_.erase(accepted[i].item);
            for (std::size_t j = 0; j < invite.items.size(); ++j)
                if (invite.items[j].item == accepted[i].item) reply.answers[j] = Answer::full;
        }
        begin(*job);
    }
    if (!held.empty()) {
        // The lease keeps what is here already, too.
        auto lease = invite.lease;
        auto keep = [&store, lease, held, &self, wall_now, asker]() -> Result<void> {
            if (auto put = store.put_lease(lease); !put) return fail(put.error());
            if (!is_in_force(store, lease, wall_now)) return fail(Errc::refused, "withdrawn");
            if (auto noted = store.set_asker(lease.root, lease.publisher, asker.group); !noted)
                return noted;
            return mark_kept(store, lease.root, held, self.id());
        };
        const auto kept = co_await net::offload(services_.runtime, std::move(keep));
        if (kept) {
            events_.on_kept({job->root, held, true});
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
    if (job->items.empty())
        end(*job);
    else
        tasks_.start(pull(job));
    co_return reply;
}

void Keeper::tell_of_room() {
    if (!settings_.storing) return;
    for (const auto& node : std::exchange(turned_away_, {}))
        if (const auto peer = peers_.find(node)) peer->notify(proto::Room{});
}

void Keeper::heal(proto::Lease lease, std::vector<proto::Invite::Item> items,
                  std::vector<proto::NodeRecord> sources) {
    auto job = std::make_shared<Job>();
    job->root = lease.root;
    job->lease = std::move(lease);
    job->sources = std::move(sources);
    job->is_repair = true;
    for (const auto& [item, length] : items)
        if (coming_.emplace(item, job).second) job->items.push_back(item);
    if (!job->items.empty()) tasks_.start(pull(job));
}

void Keeper::on_uninvite(const NodeId& node, const proto::Uninvite& uninvite) {
    for (const auto& job : jobs_) {
        if (job->root != uninvite.root || !job->inviter || job->inviter->id() != node) continue;
        job->unwanted.insert(uninvite.items.begin(), uninvite.items.end());
        const bool all_unwanted =
            !job->group.empty() && std::ranges::all_of(job->group, [&job](const auto& item) {
                return job->unwanted.contains(item);
            });
        if (all_unwanted) job->stop.request_stop();
    }
}

void Keeper::on_stored(const NodeId& node, const proto::Stored& stored) {
    for (const auto& download : downloads_)
        if (download->descriptor().root() == stored.root) download->on_stored(node, stored.items);
}

void Keeper::tell_too(Job& job, const net::PeerPtr& peer) {
    const auto same = [&peer](const auto& record) { return record.node() == peer->id(); };
    const bool told =
        (job.inviter && job.inviter->id() == peer->id()) || std::ranges::any_of(job.sources, same);
    if (!told) job.sources.push_back(peer->record());
}

void Keeper::report(const Job& job, std::vector<proto::ItemId> stored,
                    std::vector<proto::ItemId> failed) {
    proto::Stored message{job.root, std::move(stored), std::move(failed)};
    // The publisher watches as well, though nobody counts its copy and so nobody may have named it.
    std::set<NodeId> concerned{core::node_id_of(job.lease.publisher)};
    for (const auto& source : job.sources)
        concerned.insert(source.node());
    if (job.inviter) {
        concerned.erase(job.inviter->id());
        job.inviter->notify(message);
    }
    for (const auto& node : concerned)
        if (const auto peer = peers_.find(node)) peer->notify(message);
}

asio::awaitable<Result<core::Descriptor>> Keeper::get_descriptor(std::shared_ptr<Job> job) {
    auto& store = services_.store;
    const auto root = job->root;
    auto look = [&store, root] { return store.descriptor(root); };
    auto local = co_await net::offload(services_.runtime, std::move(look));
    if (local) co_return local;
    auto sources = co_await neighbourhood_.reach_all(job->sources);
    if (job->inviter) sources.insert(sources.begin(), job->inviter);
    for (const auto& peer : sources) {
        proto::Message ask = proto::GetDescriptor{root};
        auto reply = co_await peer->request(std::move(ask), descriptor_timeout);
        if (!reply) continue;
        auto descriptor = core::Descriptor::decode(reply->body.view(), root);
        if (descriptor) co_return descriptor;
        peers_.ban(peer->id(), "it sent a descriptor that is not the root's");
    }
    co_return fail(Errc::not_found, "no source has the descriptor");
}

asio::awaitable<void> Keeper::add_sources(std::shared_ptr<Job> job,
                                          std::shared_ptr<Download> download) {
    auto sources = co_await neighbourhood_.reach_all(job->sources);
    for (const auto& peer : sources)
        download->add_holder(peer, false);
}

asio::awaitable<Result<void>> Keeper::pull_group(std::shared_ptr<Job> job,
                                                 std::shared_ptr<const core::Descriptor> descriptor,
                                                 std::vector<ExtentIndex> extents) {
    const auto layout = descriptor->layout();
    ExtentAssembler assembler(*descriptor);
    Download::Options options;
    options.idle_timeout = idle_timeout;
    options.stop = job->stop.get_token();
    // Nobody waits for a copy so much that bytes may be pulled twice to have it a moment sooner.
    options.planner.takeover_saves_min = takeover_saves_min;
    options.budget = &budget_;
    options.is_repair = job->is_repair;
    options.planner.start_at = layout.extent_bytes(extents.front()).first.value;
    const ByteRange everything{ByteCount(0), layout.length()};
    const auto download =
        std::make_shared<Download>(services_, tasks_, peers_, *descriptor, everything,
                                   all_but(layout, extents), assembler, std::move(options));
    downloads_.push_back(download);
    if (job->inviter) download->add_holder(job->inviter, false);
    tasks_.start(add_sources(job, download));
    auto outcome = co_await download->run();
    std::erase(downloads_, download);
    pulled_ += download->fetched();
    if (job->is_repair) repaired_ += download->fetched();
    if (!outcome) log::info("keeper", "a pull ended: {}", outcome.error().message());

    // Extents that did come are kept even when others of the group did not.
    auto whole = assembler.take_whole();
    if (whole.empty()) co_return outcome;
    auto& store = services_.store;
    auto put = [&store, job, extents_in = std::move(whole)]() mutable {
        return store.put_extents(std::move(extents_in), job->room.get());
    };
    auto stored = co_await net::offload(services_.runtime, std::move(put));
    if (!stored) co_return stored;
    co_return outcome;
}

asio::awaitable<void> Keeper::pull(std::shared_ptr<Job> job) {
    jobs_.push_back(job);
    auto& store = services_.store;
    auto got = co_await get_descriptor(job);
    std::vector<proto::ItemId> stored;
    std::vector<ExtentIndex> wanted;
    if (got && settings_.is_blocked(job->root)) got = fail(Errc::refused, "it is blocked here");
    if (got) {
        const auto root = job->root;
        auto lease = job->lease;
        const auto self = services_.identity.id();
        const auto wall_now = services_.runtime.wall_now();
        const auto asker = job->asker;
        auto put = [&store, root, lease, self, wall_now, asker,
                    &descriptor = *got]() -> Result<void> {
            if (auto kept = store.put_lease(lease); !kept) return fail(kept.error());
            // It may have been withdrawn since the invitation.
            if (!is_in_force(store, lease, wall_now)) return fail(Errc::refused, "withdrawn");
            if (asker)
                if (auto noted = store.set_asker(root, lease.publisher, asker->group); !noted)
                    return noted;
            if (auto kept = store.put_object(root, descriptor, ""); !kept) return kept;
            return mark_kept(store, root, {}, self);
        };
        const auto kept = co_await net::offload(services_.runtime, std::move(put));
        if (!kept) {
            got = fail(kept.error());
        } else {
            const std::set<proto::ItemId> items(job->items.begin(), job->items.end());
            std::set<ExtentHash> seen;
            for (std::uint64_t i = 0; i < got->extents.size(); ++i)
                if (items.contains(proto::ItemId::of(got->extents[i])) &&
                    seen.insert(got->extents[i]).second)
                    wanted.push_back(ExtentIndex(i));
            const auto own = proto::ItemId::of(root);
            if (items.contains(own)) stored.push_back(own);
            // Room and quota were given for the lengths that the inviter named.
            std::uint64_t bytes = 0;
            for (const auto extent : wanted)
                bytes += got->layout().extent_length(extent).value;
            if (job->inviter && bytes > job->bytes) {
                wanted.clear();
                peers_.ban(job->inviter->id(), "it named extents shorter than they are");
            }
        }
    }
    if (!got) log::info("keeper", "invitation not followed: {}", got.error().message());
    if (!stored.empty()) {
        events_.on_kept({job->root, stored, job->inviter != nullptr});
        report(*job, stored, {});
        for (const auto& item : stored)
            coming_.erase(item);
    }

    if (got && !wanted.empty()) {
        const auto descriptor = std::make_shared<const core::Descriptor>(std::move(*got));
        const auto layout = descriptor->layout();
        // Everybody invited begins somewhere else, so that they can trade.
        std::rotate(wanted.begin(),
                    wanted.begin() +
                        static_cast<std::ptrdiff_t>(services_.runtime.random()() % wanted.size()),
                    wanted.end());
        for (std::size_t first = 0; first < wanted.size();) {
            std::vector<ExtentIndex> group;
            std::uint64_t bytes = 0;
            job->stop = std::stop_source();
            job->group.clear();
            while (first < wanted.size()) {
                const auto item = proto::ItemId::of(descriptor->extents[wanted[first].value]);
                if (job->unwanted.contains(item)) {
                    ++first;
                    continue;
                }
                const auto length = layout.extent_length(wanted[first]).value;
                if (!group.empty() && bytes + length > group_bytes) break;
                bytes += length;
                group.push_back(wanted[first++]);
                job->group.push_back(item);
            }
            if (group.empty()) break;
            // What trickles in under a budget must not keep others waiting; there is little of it,
            // see may_take_repair.
            const bool trickles = job->is_repair && budget_.repair().is_limited();
            const auto memory = trickles ? 0 : bytes;
            while (memory > 0 && memory_used_ > 0 && memory_used_ + memory > memory_bytes_max)
                co_await memory_free_.wait();
            memory_used_ += memory;
            const auto outcome = co_await pull_group(job, descriptor, group);
            memory_used_ -= memory;
            memory_free_.notify_all();
            (void)outcome;  // what is in the store now is what counts
            std::vector<proto::ItemId> have, lack;
            const auto root = job->root;
            const auto self = services_.identity.id();
            const auto lease = job->lease;
            const auto wall_now = services_.runtime.wall_now();
            auto look = [&store, descriptor, group, root, self, lease, wall_now] {
                std::vector<bool> held(group.size());
                if (!is_in_force(store, lease, wall_now)) return held;
                held.clear();
                std::vector<proto::ItemId> kept;
                for (const auto extent : group) {
                    const auto hash = descriptor->extents[extent.value];
                    held.push_back(store.owns_extent(hash));
                    if (held.back()) kept.push_back(proto::ItemId::of(hash));
                }
                if (auto marked = mark_kept(store, root, kept, self); !marked) {
                    log::warn("keeper", "not marked: {}", marked.error().message());
                    held.assign(held.size(), false);
                }
                return held;
            };
            const auto held = co_await net::offload(services_.runtime, std::move(look));
            for (std::size_t i = 0; i < group.size(); ++i) {
                const auto item = proto::ItemId::of(descriptor->extents[group[i].value]);
                (held[i] ? have : lack).push_back(item);
                coming_.erase(item);
            }
            if (!have.empty()) events_.on_kept({job->root, have, job->inviter != nullptr});
            report(*job, std::move(have), std::move(lack));
        }
    }
    // Whatever is still marked was no part of the object, or never came.
    std::vector<proto::ItemId> failed;
    for (const auto& item : job->items)
        if (coming_.erase(item) > 0) failed.push_back(item);
    if (!failed.empty()) report(*job, {}, std::move(failed));
    end(*job);
    job->room.reset();
    std::erase(jobs_, job);
}

}  // namespace flow29::node
