// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/placements.hpp"

#include "core/log.hpp"
#include "node/publisher.hpp"

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
constexpr Duration goodbye_pause = 300ms;  // for the goodbyes to get out before the connections end

Placer::ReportFn copies_reporter(ProgressFn progress) {
    return [progress = std::move(progress)](const proto::CopyPlanner::Counts& counts) {
        if (!progress) return;
        Progress now;
        now.stage = Stage::copies;
        now.done = counts.bytes_made;
        now.total = counts.bytes_wanted;
        now.copies_min = static_cast<unsigned>(counts.min_copies);
        progress(now);
    };
}
}  // namespace

std::shared_ptr<Placer> Placements::start_placer(Inviter::Purpose purpose) {
    return placers_.emplace_back(std::make_shared<Placer>(services_, tasks_, peers_, neighbourhood_,
                                                          table_, own_record_, purpose));
}

std::shared_ptr<PartPusher> Placements::start_pusher(std::shared_ptr<Transfer> transfer) {
    PartPusher::Placers placers;
    placers.start = [this, noted = Transfer::sent_to(transfer)] {
        const auto placer = start_placer(Inviter::Purpose::part);
        placer->set_on_sent(noted);
        return placer;
    };
    placers.end = [this](const auto& placer) { std::erase(placers_, placer); };
    return pushers_.emplace_back(std::make_shared<PartPusher>(
        services_, settings_, tasks_, peers_, std::move(placers), std::move(transfer)));
}

std::optional<core::Descriptor> Placements::part(const RootHash& root) const {
    for (const auto& pusher : pushers_)
        if (auto part = pusher->part(root)) return part;
    return std::nullopt;
}

asio::awaitable<Result<PublishResult>> Placements::publish(PublishRequest request,
                                                           ProgressFn progress) {
    const auto transfer = transfers_.begin({.kind = TransferKind::publish,
                                            .root = {},
                                            .name = request.name,
                                            .path = request.path.string(),
                                            .stop = request.stop});
    request.stop = transfer->stop_token();
    progress = Transfer::noted(transfer, std::move(progress));
    auto first_request = request;
    auto first_progress = progress;
    auto result =
        co_await publish_once(std::move(first_request), std::move(first_progress), transfer);
    if (!result && result.error().code == Errc::no_space) {
        auto making = events_.make_room();
        const bool made = co_await std::move(making);
        if (made) result = co_await publish_once(std::move(request), std::move(progress), transfer);
    }
    if (!result && result.error().code == Errc::no_network)
        result = fail(Errc::no_network, neighbourhood_.nobody_answered());
    if (result)
        events_.on_published();
    else
        events_.on_failed();
    co_return result;
}

asio::awaitable<Result<PublishResult>> Placements::publish_once(
    PublishRequest request, ProgressFn progress, std::shared_ptr<Transfer> transfer) {
    const auto placer = start_placer();
    placer->set_on_sent(Transfer::sent_to(transfer));
    const auto pusher = start_pusher(transfer);
    Publisher publisher(services_, settings_, tasks_, peers_, table_, announcer_, placer, pusher,
                        std::move(transfer));
    publishers_.push_back(&publisher);
    co_await loose_.set();  // what is hashed is in no object until all is
    const bool withdraws = request.withdraw_on_stop;
    auto result = co_await publisher.run(std::move(request), std::move(progress));
    std::erase(publishers_, &publisher);
    pusher->stop();
    pusher->call_off();
    std::erase(pushers_, pusher);
    std::erase(placers_, placer);
    const bool was_stopped = !result && result.error().code == Errc::interrupted;
    if (!result && (!was_stopped || !publisher.is_kept() || tasks_.stopping())) co_return result;
    const auto root = publisher.root();
    if (was_stopped) stopped_[root] = placer->asked();
    const auto another = std::ranges::find_if(publishers_, [&root](const Publisher* other) {
        return other->is_kept() && other->root() == root;
    });
    const bool goes_on = another != publishers_.end();
    if (was_stopped && goes_on) (*another)->take_over_from(publisher);
    if (was_stopped && withdraws && !goes_on && !publisher.was_published()) {
        auto withdrawing = events_.withdraw(root);
        if (const auto withdrawn = co_await std::move(withdrawing))
            result = fail(Errc::interrupted,
                          "stopped; those who had begun to keep it were told to drop it");
        co_return result;
    }
    // From here on the copies are watched from here as well, short ones included.
    auto& store = services_.store;
    auto read = [&store, root] {
        std::vector<proto::ItemId> items{proto::ItemId::of(root)};
        if (const auto descriptor = store.descriptor(root))
            for (const auto& extent : descriptor->extents)
                items.push_back(proto::ItemId::of(extent));
        return items;
    };
    const auto items = co_await net::offload(services_.runtime, std::move(read));
    std::vector<store::KnownHolder> confirmed;
    for (const auto& item : placer->items())
        for (const auto& node : placer->planner().holders(item))
            confirmed.push_back({item, node});
    co_await caretaker_.take_up(root, items, std::move(confirmed));
    // More nodes may hold it than were asked now, and go by what was wished before.
    if (const auto lease = publisher.changed_lease()) events_.on_lease(*lease);
    co_return result;
}

std::set<NodeId> Placements::asked(const RootHash& root) const {
    const auto found = stopped_.find(root);
    return found == stopped_.end() ? std::set<NodeId>() : found->second;
}

asio::awaitable<Result<Health>> Placements::repair(Link link, Duration timeout,
                                                   ProgressFn progress) {
    const auto root = link.root;
    auto asked = link;
    auto census = co_await survey_.census(std::move(asked), timeout, progress);
    if (!census) co_return fail(census.error());
    auto descriptor_holders = census->holders.front();
    const auto lease = co_await survey_.widest_lease(root, std::move(descriptor_holders));
    if (!lease) co_return fail(Errc::not_found, "nobody reachable keeps it under a lease");

    const auto placer = start_placer();
    const auto layout = census->descriptor.layout();
    for (std::size_t i = 0; i < census->holders.size(); ++i) {
        const auto& extents = census->descriptor.extents;
        const auto item = i == 0 ? proto::ItemId::of(root) : proto::ItemId::of(extents[i - 1]);
        const auto length = i == 0 ? ByteCount(census->descriptor.encode().size())
                                   : layout.extent_length(ExtentIndex(i - 1));
        // A copy that this node keeps counts, and the placer does not count it.
        const unsigned here = census->held_here[i] ? 1 : 0;
        if (lease->copies == here) continue;
        placer->add(item, root, length, lease->copies - here);
        for (const auto& peer : census->holders[i])
            placer->on_copy(item, peer->id());
    }
    auto report = copies_reporter(progress);
    Inviter::LeaseOf lease_of = [lease](const RootHash&) { return lease; };
    co_await placer->run(std::move(lease_of), timeout, std::stop_token(), std::move(report));
    std::erase(placers_, placer);
    co_return co_await survey_.health(std::move(link), timeout, std::move(progress));
}

asio::awaitable<Result<Departure>> Placements::leave(LeaveRequest request, ProgressFn progress) {
    if (leaving_) co_return fail(Errc::refused, "it is leaving already");
    leaving_ = true;
    // From now on it takes nothing more, and whoever meets it anew does not ask.
    const bool stored = settings_.storing;
    events_.set_storing(false);
    const auto placer = start_placer();
    caretaker_.hand_over(*placer);
    const auto before = placer->planner().counts();
    Departure departure;
    departure.items = before.items;
    auto report = copies_reporter(std::move(progress));
    Inviter::LeaseOf lease_of = [this](const RootHash& root) { return caretaker_.lease_of(root); };
    const auto idle_timeout = Duration(request.idle_timeout);
    const auto stop = request.stop;
    co_await placer->run(std::move(lease_of), idle_timeout, stop, std::move(report));
    std::erase(placers_, placer);
    departure.below_target = placer->planner().counts().under_target;
    departure.handed_over =
        before.under_target - std::min<std::size_t>(before.under_target, departure.below_target);
    const bool interrupted = stop.stop_requested() || tasks_.stopping();
    departure.left = !interrupted && (departure.below_target == 0 || request.force);
    if (!departure.left) {
        events_.set_storing(stored);
        leaving_ = false;
        if (interrupted) co_return fail(Errc::interrupted, "stopped; the node stays");
        co_return departure;
    }
    for (const auto& peer : peers_.open())
        peer->notify(proto::Goodbye{});
    co_await tasks_.sleep_for(goodbye_pause);
    co_return departure;
}

void Placements::on_stored(const NodeId& node, const proto::Stored& stored) {
    for (const auto& placer : placers_)
        placer->on_stored(node, stored);
}

void Placements::on_pulled(const NodeId& node, const ExtentHash& extent) {
    for (const auto& placer : placers_)
        placer->on_pulled(node, extent);
}

void Placements::on_sent(const NodeId& node, const ExtentHash& extent, ByteCount bytes) {
    for (const auto& placer : placers_)
        if (placer->on_sent(node, extent, bytes)) return;
}

void Placements::on_node_changed(const NodeId& node) {
    for (const auto& placer : placers_)
        placer->on_node_changed(node);
}

void Placements::on_candidates_changed() {
    for (const auto& placer : placers_)
        placer->on_candidates_changed();
}

}  // namespace flow29::node
