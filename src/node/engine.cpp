// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/engine.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "node/holdings.hpp"
#include "node/local_peer.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr auto node_record_lifetime = std::chrono::hours(24);
constexpr auto node_record_refresh = std::chrono::hours(12);
constexpr std::size_t clock_skews_max = 31;
constexpr Duration self_announce_period = 6h;
constexpr Duration self_announce_retry = 5s;
constexpr std::size_t withdrawals_told_max = 1024;
constexpr Duration withdrawal_timeout = 10s;
constexpr Duration goodbye_pause = 300ms;  // for the goodbyes to get out before the connections end

proto::NodeTable::Options table_options(const Services& services, const Settings& settings) {
    proto::NodeTable::Options options;
    options.self = services.identity.id();
    options.self_stores = settings.storing;
    options.grace = settings.grace;
    return options;
}
}  // namespace

Engine::Engine(Services services, Settings settings)
    : services_(services),
      settings_(std::move(settings)),
      tasks_(services.runtime),
      table_(table_options(services, settings_)),
      peers_(services, tasks_, table_, [this](const NodeId& node) { on_node_changed(node); }),
      neighbourhood_(services, tasks_, peers_, table_, settings_.bootstrap,
                     settings_.neighbourhood_period),
      finder_(services, tasks_, peers_, neighbourhood_, table_),
      announcer_(services, tasks_, [this] { return own_address(); }),
      keeper_(services, settings_, tasks_, peers_, neighbourhood_,
              [this](const Kept& kept) { on_kept(kept); }),
      caretaker_(services, settings_, tasks_, peers_, neighbourhood_, finder_, table_,
                 [this] { return local_record(); }),
      auditor_(services, settings_, tasks_, peers_, table_, caretaker_),
      fetcher_(services, settings_, tasks_, peers_, finder_, neighbourhood_, announcer_),
      survey_(services, tasks_, peers_, finder_, neighbourhood_, table_, fetcher_),
      server_(services, keeper_, table_, [this] { return local_record(); },
              {[this](const ExtentHash& extent) { on_damaged(extent); },
               [this](const proto::Lease& lease) { on_lease(lease); }}),
      started_wall_(services.runtime.wall_now()),
      started_(services.runtime.now()) {}

Engine::~Engine() = default;

void Engine::start() {
    peers_.set_local(std::make_shared<LocalPeer>(services_.identity.id(), server_, local_record()));
    services_.transport.start(*this);
    tasks_.start(neighbourhood_.keep_known(core::dht_position(services_.identity.id())));
    tasks_.start(peers_.keep_contact());
    tasks_.start(caretaker_.load());
    tasks_.start(caretaker_.run());
    tasks_.start(auditor_.run());
    tasks_.start(announcer_.run());
    tasks_.start(announce_stored());
    tasks_.start(announce_self());
}

asio::awaitable<void> Engine::stop() {
    tasks_.request_stop();
    announcer_.wake();
    caretaker_.wake();
    auditor_.wake();
    // No goodbye: a stop is usually a restart, which the grace period is for.
    services_.transport.stop();
    services_.index.stop();
    co_await tasks_.drain();
}

std::optional<core::Endpoint> Engine::own_address() const {
    for (const auto& address : settings_.addresses)
        if (!address.is_unspecified()) return address;
    if (!observed_ || settings_.addresses.empty()) return std::nullopt;
    auto address = *observed_;
    address.port = settings_.addresses.front().port;
    return address;
}

proto::NodeRecord Engine::local_record() {
    const auto wall_now = services_.runtime.wall_now();
    std::vector<core::Endpoint> addresses;
    for (const auto& address : settings_.addresses)
        if (!address.is_unspecified()) addresses.push_back(address);
    if (addresses.empty())
        if (const auto own = own_address()) addresses.push_back(*own);
    const bool fresh = record_ && record_->addresses == addresses &&
                       wall_now < record_->expires - node_record_refresh;
    if (fresh) return *record_;
    proto::NodeRecord record;
    record.addresses = std::move(addresses);
    if (!record.addresses.empty()) table_.set_self_group(record.addresses.front().group());
    record.capacity_class = core::capacity_class_of(settings_.capacity);
    record.storing = settings_.storing;
    record.started_ms = to_unix_ms(started_wall_);
    record.sequence = to_unix_ms(wall_now);
    record.expires = wall_now + node_record_lifetime;
    record.sign(services_.identity);
    record_ = record;
    return record;
}

void Engine::on_peer(net::PeerPtr peer) {
    if (clock_skews_.size() < clock_skews_max) clock_skews_.push_back(peer->clock_skew());
    peers_.on_peer(peer);
    if (!peer->record().storing) return;
    auto& store = services_.store;
    const auto record = peer->record();
    services_.runtime.run_on_worker(
        [&store, record] {
            if (auto kept = store.put_node_record(record); !kept)
                log::warn("engine", "record not kept: {}", kept.error().message());
        },
        [] {});
}

void Engine::on_peer_closed(net::PeerPtr peer, Error reason) {
    log::debug("engine", "connection to {} ended: {}", to_hex(peer->id()).substr(0, 12),
               reason.message());
    peers_.on_peer_closed(peer);
}

asio::awaitable<Result<net::Reply>> Engine::on_request(net::PeerPtr peer, proto::Message request) {
    if (tasks_.stopping()) co_return fail(Errc::refused, "stopping");
    co_return co_await server_.answer(std::move(peer), std::move(request));
}

void Engine::on_notification(net::PeerPtr peer, proto::Message message) {
    if (const auto* stored = std::get_if<proto::Stored>(&message)) {
        keeper_.on_stored(peer->id(), *stored);
        caretaker_.on_stored(peer->id(), *stored);
        for (const auto& placer : placers_)
            placer->on_stored(peer->id(), *stored);
    } else if (const auto* update = std::get_if<proto::UpdateHolders>(&message)) {
        caretaker_.on_holder_table(update->table);
    } else if (std::holds_alternative<proto::Goodbye>(message)) {
        peers_.on_goodbye(peer);
    }
}

void Engine::on_observed_address(const net::PeerPtr&, const core::Endpoint& observed) {
    if (!observed_) observed_ = observed;
}

asio::awaitable<void> Engine::tell_withdrawals(NodeId node) {
    auto& store = services_.store;
    auto read = [&store] { return store.withdrawals(withdrawals_told_max); };
    const auto withdrawn = co_await net::offload(services_.runtime, std::move(read));
    for (const auto& lease : withdrawn) {
        const auto peer = peers_.find(node);
        if (!peer || tasks_.stopping()) co_return;
        proto::Message ask = proto::UpdateLease{lease};
        const auto reply = co_await peer->request(std::move(ask), withdrawal_timeout);
        if (!reply) co_return;
    }
}

void Engine::on_node_changed(const NodeId& node) {
    // Who was away when something was withdrawn must not bring it back.
    if (table_.is_alive(node)) tasks_.start(tell_withdrawals(node));
    caretaker_.on_node_changed(node);
    announcer_.on_network_size(table_.alive() + 1);
    for (const auto& placer : placers_)
        placer->on_node_changed(node);
}

void Engine::on_kept(const Kept& kept) {
    tasks_.start(take_up_kept(kept));
}

asio::awaitable<void> Engine::take_up_kept(Kept kept) {
    auto& store = services_.store;
    const auto root = kept.root;
    auto read = [&store, root] { return store.descriptor(root); };
    const auto descriptor = co_await net::offload(services_.runtime, std::move(read));
    if (!descriptor) {
        log::warn("engine", "kept items not taken up: {}", descriptor.error().message());
        co_return;
    }
    // Whoever holds an extent holds the descriptor, so it watches over both.
    auto items = kept.items;
    const auto own = proto::ItemId::of(kept.root);
    if (std::find(items.begin(), items.end(), own) == items.end()) items.push_back(own);
    announcer_.add(kept.root, *descriptor, items);
    std::vector<store::KnownHolder> unconfirmed;
    co_await caretaker_.take_up(kept.root, std::move(items), std::move(unconfirmed));
}

void Engine::on_damaged(const ExtentHash& extent) {
    const auto item = proto::ItemId::of(extent);
    const auto& planner = caretaker_.planner();
    if (planner.has_item(item)) {
        const auto lease = caretaker_.lease_of(planner.root_of(item));
        // Those known to keep it, and those near its key, who may without our having heard of it.
        auto sources = table_.nearest(item.key(), limits::candidates_max);
        for (const auto& node : planner.holders(item)) {
            const auto same = [&node](const auto& record) { return record.node() == node; };
            const auto* known = table_.find(node);
            if (known != nullptr && std::ranges::none_of(sources, same))
                sources.push_back(known->record);
        }
        if (lease && settings_.storing)
            keeper_.heal(*lease, {{item, planner.length_of(item)}}, std::move(sources));
    }
    caretaker_.give_up({item});
    announcer_.remove({item});
}

void Engine::on_lease(const proto::Lease& lease) {
    if (lease.withdrawn) tasks_.start(collect());
}

asio::awaitable<void> Engine::collect() {
    auto& store = services_.store;
    // Extents of a publication under way are in no object yet, so they would be collected.
    while (publishing_ > 0) {
        const bool go_on = co_await tasks_.sleep_for(1s);
        if (!go_on) co_return;
    }
    const auto wall_now = services_.runtime.wall_now();
    struct Gone {
        Result<ByteCount> freed;
        std::vector<proto::ItemId> items;
    };
    const auto cared = caretaker_.planner().items();
    const auto& self = services_.identity;
    auto job = [&store, wall_now, &cared, &self] {
        Gone gone{store.collect(wall_now), {}};
        const auto holdings = holdings_of(store, cared, self, wall_now);
        for (std::size_t i = 0; i < cared.size(); ++i)
            if (holdings[i] == proto::Holding::lacks) gone.items.push_back(cared[i]);
        return gone;
    };
    const auto gone = co_await net::offload(services_.runtime, std::move(job));
    if (!gone.freed) {
        log::warn("engine", "nothing collected: {}", gone.freed.error().message());
        co_return;
    }
    log::info("engine", "collected {} bytes", gone.freed->value);
    caretaker_.give_up(gone.items);
    announcer_.remove(gone.items);
}

asio::awaitable<void> Engine::announce_stored() {
    if (!settings_.storing) co_return;
    auto& store = services_.store;
    auto read = [&store] { return store.objects(); };
    const auto objects = co_await net::offload(services_.runtime, std::move(read));
    for (const auto& object : objects) {
        const auto& descriptor = object.descriptor;
        auto look = [&store, &descriptor] {
            std::vector<proto::ItemId> held;
            for (const auto& extent : descriptor.extents)
                if (store.has_extent(extent)) held.push_back(proto::ItemId::of(extent));
            return held;
        };
        const auto held = co_await net::offload(services_.runtime, std::move(look));
        if (held.empty() && !descriptor.extents.empty()) continue;
        announcer_.add(object.root, descriptor, held);
    }
}

asio::awaitable<void> Engine::announce_self() {
    if (!settings_.storing) co_return;
    while (!tasks_.stopping()) {
        auto pause = self_announce_retry;
        if (neighbourhood_.joined() && own_address()) {
            auto record = local_record();
            std::function<void(std::function<void(bool)>)> start =
                [this, record](std::function<void(bool)> done) {
                    services_.index.announce(record, std::move(done));
                };
            const bool taken = co_await net::await_callback<bool>(std::move(start));
            if (taken) pause = self_announce_period;
        }
        const bool go_on = co_await tasks_.sleep_for(pause);
        if (!go_on) co_return;
    }
}

std::shared_ptr<Placer> Engine::start_placer() {
    return placers_.emplace_back(std::make_shared<Placer>(
        services_, tasks_, peers_, neighbourhood_, table_, [this] { return local_record(); }));
}

asio::awaitable<Result<PublishResult>> Engine::publish(PublishRequest request,
                                                       ProgressFn progress) {
    const auto placer = start_placer();
    Publisher publisher(services_, settings_, tasks_, peers_, table_, announcer_, placer);
    ++publishing_;
    auto result = co_await publisher.run(std::move(request), std::move(progress));
    --publishing_;
    std::erase(placers_, placer);
    // From here on the copies are watched from here as well, short ones included.
    if (result) {
        auto& store = services_.store;
        const auto root = result->root;
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
    }
    co_return result;
}

asio::awaitable<Result<Withdrawal>> Engine::withdraw(RootHash root, ProgressFn progress) {
    auto result = co_await survey_.withdraw(root, std::move(progress));
    if (result) co_await collect();
    co_return result;
}

asio::awaitable<Result<bool>> Engine::pin(RootHash root, bool pinned) {
    auto& store = services_.store;
    auto job = [&store, root, pinned]() -> Result<bool> {
        if (auto kept = store.set_pinned(root, pinned); !kept) return fail(kept.error());
        return pinned;
    };
    co_return co_await net::offload(services_.runtime, std::move(job));
}

asio::awaitable<Result<Health>> Engine::repair(Link link, Duration timeout, ProgressFn progress) {
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
    Placer::ReportFn report = [progress](const proto::CopyPlanner::Counts& counts) {
        if (!progress) return;
        Progress now;
        now.stage = Stage::copies;
        now.copies_min = static_cast<unsigned>(counts.min_copies);
        progress(now);
    };
    Inviter::LeaseOf lease_of = [lease](const RootHash&) { return lease; };
    co_await placer->run(std::move(lease_of), timeout, std::stop_token(), std::move(report));
    std::erase(placers_, placer);
    co_return co_await survey_.health(std::move(link), timeout, std::move(progress));
}

asio::awaitable<Result<Departure>> Engine::leave(LeaveRequest request, ProgressFn progress) {
    if (leaving_) co_return fail(Errc::refused, "it is leaving already");
    leaving_ = true;
    // From now on it takes nothing more, and whoever meets it anew does not ask.
    const bool stored = std::exchange(settings_.storing, false);
    record_.reset();
    const auto placer = start_placer();
    caretaker_.hand_over(*placer);
    const auto before = placer->planner().counts();
    Departure departure;
    departure.items = before.items;
    Placer::ReportFn report = [&progress](const proto::CopyPlanner::Counts& counts) {
        if (!progress) return;
        Progress now;
        now.stage = Stage::copies;
        now.copies_min = static_cast<unsigned>(counts.min_copies);
        progress(now);
    };
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
        settings_.storing = stored;
        record_.reset();
        leaving_ = false;
        if (interrupted) co_return fail(Errc::interrupted, "stopped; the node stays");
        co_return departure;
    }
    for (const auto& peer : peers_.open())
        peer->notify(proto::Goodbye{});
    co_await tasks_.sleep_for(goodbye_pause);
    co_return departure;
}

asio::awaitable<Status> Engine::status() {
    std::function<void(std::function<void(dht::IndexStatus)>)> start =
        [this](std::function<void(dht::IndexStatus)> done) {
            services_.index.status(std::move(done));
        };
    const auto index = co_await net::await_callback<dht::IndexStatus>(std::move(start));
    auto& store = services_.store;
    auto read = [&store] { return store.usage(); };
    const auto usage = co_await net::offload(services_.runtime, std::move(read));

    Status status;
    status.node = services_.identity.id();
    status.version = FLOW29_VERSION;
    status.uptime =
        std::chrono::duration_cast<std::chrono::milliseconds>(services_.runtime.now() - started_);
    const auto record = local_record();
    for (const auto& address : record.addresses)
        status.addresses.push_back(address.to_string());
    if (!settings_.addresses.empty()) status.port = settings_.addresses.front().port;
    status.storing = settings_.storing;
    status.dht_connected = index.connected;
    status.dht_nodes = index.good_nodes;
    if (!clock_skews_.empty()) {
        auto skews = clock_skews_;
        const auto middle = skews.begin() + static_cast<std::ptrdiff_t>(skews.size() / 2);
        std::nth_element(skews.begin(), middle, skews.end());
        status.clock_skew = *middle;
    }
    status.peers = peers_.open().size();
    status.used = usage.used;
    status.capacity = usage.capacity;
    status.objects = usage.objects;
    status.extents = usage.extents;
    const auto counts = caretaker_.planner().counts();
    status.under_target = counts.under_target;
    status.repairs_in_flight = counts.in_flight + keeper_.coming();
    status.repaired = keeper_.pulled();
    const auto forecast = announcer_.forecast();
    status.announced_records = forecast.records;
    status.announce_due_per_hour = forecast.due_per_hour;
    status.announce_behind = forecast.behind;
    const auto traffic = peers_.traffic();
    status.up = ByteCount(traffic.bytes_up);
    status.down = ByteCount(traffic.bytes_down);
    status.dht_up = ByteCount(index.bytes_up);
    status.dht_down = ByteCount(index.bytes_down);
    status.dht_packets_up = index.packets_up;
    status.dht_packets_down = index.packets_down;
    co_return status;
}

std::vector<PeerInfo> Engine::peers() const {
    std::vector<PeerInfo> infos;
    for (const auto& peer : peers_.open()) {
        const auto traffic = peer->traffic();
        PeerInfo info;
        info.node = peer->id();
        info.address = peer->record().addresses.empty() ? peer->remote().to_string()
                                                        : peer->record().addresses[0].to_string();
        info.rtt = std::chrono::duration_cast<std::chrono::microseconds>(traffic.rtt);
        info.up = ByteCount(traffic.bytes_up);
        info.down = ByteCount(traffic.bytes_down);
        info.storing = peer->record().storing;
        info.rate = peers_.rate(peer->id());
        const auto items = caretaker_.planner().items_of(peer->id());
        info.holds_extents = static_cast<std::uint64_t>(
            std::ranges::count(items, proto::ItemId::Kind::extent, &proto::ItemId::kind));
        infos.push_back(std::move(info));
    }
    return infos;
}

asio::awaitable<std::vector<ObjectEntry>> Engine::objects() {
    auto& store = services_.store;
    struct Row {
        store::ObjectInfo object;
        unsigned target = 0;
    };
    auto read = [&store] {
        std::vector<Row> rows;
        for (auto& object : store.objects()) {
            Row row{std::move(object), 0};
            for (const auto& lease : store.leases(row.object.root))
                if (!lease.withdrawn) row.target = std::max<unsigned>(row.target, lease.copies);
            rows.push_back(std::move(row));
        }
        return rows;
    };
    const auto rows = co_await net::offload(services_.runtime, std::move(read));
    std::vector<ObjectEntry> entries;
    for (const auto& [object, target] : rows) {
        ObjectEntry entry;
        entry.root = object.root;
        entry.name = object.name;
        entry.kind = object.descriptor.kind;
        entry.bytes = object.descriptor.length;
        entry.extents = object.descriptor.extents.size();
        entry.extents_held = object.extents_held;
        entry.published = object.published;
        entry.pinned = object.pinned;
        entry.target = target;
        unsigned least = ~0U;
        const auto& planner = caretaker_.planner();
        const auto root_item = proto::ItemId::of(object.root);
        if (planner.has_item(root_item)) least = planner.copies(root_item);
        for (const auto& extent : object.descriptor.extents) {
            const auto item = proto::ItemId::of(extent);
            if (planner.has_item(item)) least = std::min(least, planner.copies(item));
        }
        // What is published here is counted without the copy here, which may leave.
        if (least != ~0U) entry.copies_min = least - (object.published && least > 0 ? 1U : 0U);
        entries.push_back(std::move(entry));
    }
    co_return entries;
}

}  // namespace flow29::node
