// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/engine.hpp"

#include <algorithm>

#include "core/families.hpp"
#include "core/log.hpp"
#include "node/local_peer.hpp"
#include "node/saved_limits.hpp"
#include "proto/dial_rules.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr auto node_record_lifetime = std::chrono::hours(24);
constexpr auto node_record_refresh = std::chrono::hours(12);
constexpr Duration self_announce_retry = 5s;

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
                     settings_.bootstrap_names, settings_.neighbourhood_period),
      finder_(services, tasks_, peers_, neighbourhood_, table_),
      announcer_(services, tasks_, [this] { return announced_addresses(); }),
      loose_(services),
      keeper_(services, settings_, tasks_, peers_, neighbourhood_, pull_budget_, loose_,
              {[this](const Kept& kept) { on_kept(kept); }, [this] { return make_room(); }}),
      caretaker_(services, settings_, tasks_, peers_, neighbourhood_, finder_, table_,
                 [this] { return local_record(); }),
      hinter_(services, tasks_, peers_, table_, caretaker_.planner(), caretaker_.sync().ledger()),
      auditor_(services, settings_, tasks_, peers_, table_, caretaker_),
      transfers_(services),
      fetcher_(services, settings_, tasks_, peers_, finder_, neighbourhood_, announcer_,
               pull_budget_, transfers_),
      survey_(services, tasks_, peers_, finder_, neighbourhood_, table_,
              [this](const NodeId& node, const proto::Stored& stored) {
                  caretaker_.on_stored(node, stored);
              }),
      locator_(services, peers_, finder_, neighbourhood_, fetcher_),
      placements_(services, settings_, tasks_, peers_, neighbourhood_, table_, announcer_,
                  caretaker_, survey_, transfers_, loose_, [this] { return local_record(); },
                  {[this](bool storing) { set_storing(storing); }, [this] { return make_room(); },
                   [this] { leases_.check_renewals(); },
                   [this](const proto::Lease& lease) { leases_.on_lease(lease); },
                   [this](RootHash root) { return withdraw(root, ProgressFn()); },
                   [this] { tasks_.start(leases_.collect()); }}),
      leases_(services, tasks_, peers_, caretaker_, announcer_, loose_,
              {[this] { return placements_.publishing(); }, [this] { keeper_.tell_of_room(); },
               [this] { return keeper_.awaited(); }, [this] { return settings_.blocked_roots; },
               [this] { return keeper_.give_up_parts(); }}),
      trimmer_(services, settings_, tasks_, peers_, caretaker_, announcer_),
      blocker_(services, settings_, table_, peers_, caretaker_, announcer_, leases_),
      pins_(services, settings_, leases_,
            {[this] { return make_room(); },
             [this](RootHash root) { return withdraw(root, ProgressFn()); }}),
      verifier_(services, tasks_, neighbourhood_, table_, caretaker_, keeper_,
                {[this](const ExtentHash& extent) { on_damaged(extent); },
                 [this](const Kept& kept) { on_kept(kept); }}),
      reporter_(services, settings_, peers_, neighbourhood_, caretaker_, keeper_, announcer_),
      server_(services, settings_, keeper_, caretaker_.sync(), trimmer_, hinter_, table_,
              [this] { return local_record(); },
              {[this](const ExtentHash& extent) { on_damaged(extent); },
               [this](const proto::Lease& lease) { leases_.on_lease(lease); },
               [this](const RootHash& root) { return placements_.part(root); },
               [this](net::PeerPtr asker, std::uint16_t port) {
                   return peers_.dial_back(std::move(asker), port);
               }}),
      reach_(services, tasks_, peers_,
             {[this](bool by_v4) { return addresses_.port(by_v4); }, [this] { on_reach(); }}),
      addresses_(settings_.addresses),
      may_store_(settings_.storing),
      started_wall_(services.runtime.wall_now()) {
    blocker_.load();
    limits_ = load_limits(services.store);
    apply(settings_.limits);
}

Engine::~Engine() = default;

void Engine::start() {
    peers_.set_local(std::make_shared<LocalPeer>(services_.identity.id(), server_, local_record()));
    services_.transport.start(*this);
    tasks_.start(neighbourhood_.keep_known(core::dht_position(services_.identity.id())));
    tasks_.start(neighbourhood_.follow_names());
    tasks_.start(peers_.keep_contact());
    tasks_.start(caretaker_.load());
    tasks_.start(caretaker_.run());
    tasks_.start(hinter_.run());
    tasks_.start(leases_.run());
    tasks_.start(auditor_.run());
    tasks_.start(announcer_.run());
    tasks_.start(announce_stored());
    tasks_.start(announce_self());
    if (settings_.check_reach) tasks_.start(reach_.run());
}

asio::awaitable<void> Engine::stop() {
    tasks_.request_stop();
    transfers_.stop();
    announcer_.wake();
    caretaker_.wake();
    hinter_.wake();
    auditor_.wake();
    reach_.wake();
    // No goodbye: a stop is usually a restart, which the grace period is for.
    services_.transport.stop();
    if (services_.names != nullptr) services_.names->stop();
    services_.index.stop();
    co_await tasks_.drain();
}

/// Who cannot be dialled names no address to those who would fetch from it.
std::vector<core::Endpoint> Engine::announced_addresses() const {
    if (reach_.reach() == Reach::unreachable) return {};
    return core::first_of_each_family(addresses_.all());
}

proto::NodeRecord Engine::local_record() {
    const auto wall_now = services_.runtime.wall_now();
    auto addresses = addresses_.all();
    const bool fresh = record_ && record_->addresses == addresses &&
                       wall_now < record_->expires - node_record_refresh;
    if (fresh) return *record_;
    proto::NodeRecord record;
    record.addresses = std::move(addresses);
    if (!record.addresses.empty()) table_.set_self_group(record.addresses.front().group());
    record.capacity_class = core::capacity_class_of(settings_.capacity);
    record.storing = may_be_chosen();
    record.started_ms = to_unix_ms(started_wall_);
    // Others keep the first one of two that are equally new.
    record.sequence = std::max(to_unix_ms(wall_now), last_sequence_ + 1);
    last_sequence_ = record.sequence;
    record.expires = wall_now + node_record_lifetime;
    record.sign(services_.identity);
    record_ = record;
    return record;
}

void Engine::set_storing(bool storing) {
    settings_.storing = storing;
    record_.reset();
    // Whoever met this node meanwhile does not count it as a holder.
    if (storing) peers_.tell_all(proto::UpdateRecord{local_record()});
}

void Engine::on_mapping(PortMapping mapping, std::optional<core::Endpoint> external) {
    mapping_ = std::move(mapping);
    addresses_.on_mapped(external);
    reach_.on_new_address();
}

/// What others are told. Before it is known whether they can dial this node, it takes in what it is
/// given, as the first node of a swarm has to, but does not offer itself.
bool Engine::may_be_chosen() const {
    return settings_.storing && (!settings_.check_reach || reach_.counts());
}

/// Whoever cannot be dialled is of no use as a holder, so it says that it stores nothing, and what
/// it keeps counts no more. It is one again as soon as somebody gets through.
void Engine::on_reach() {
    if (placements_.leaving() || tasks_.stopping()) return;
    const bool stores = may_store_ && reach_.reach() != Reach::unreachable;
    if (stores != settings_.storing) {
        settings_.storing = stores;
        table_.set_self_stores(stores);
    }
    if (!record_ || record_->storing == may_be_chosen()) return;
    record_.reset();
    peers_.tell_all(proto::UpdateRecord{local_record()});
}

void Engine::on_heard(const core::Endpoint& node) {
    if (tasks_.stopping()) return;
    services_.index.bootstrap({node});
    tasks_.start(meet(node));
}

asio::awaitable<void> Engine::meet(core::Endpoint node) {
    std::vector<core::Endpoint> points{node};
    const auto reached = co_await neighbourhood_.enter(std::move(points));
    log::debug("engine", "{} {}", node.to_string(), reached == 0 ? "is not met" : "is met");
}

asio::awaitable<Status> Engine::status() {
    auto record = local_record();
    auto status = co_await reporter_.status(std::move(record), limits_);
    status.reach = reach_.reach();
    status.mapping = mapping_;
    co_return status;
}

/// What nothing keeps any more goes first, then what others keep often enough.
asio::awaitable<bool> Engine::make_room() {
    const bool collected = co_await leases_.make_room();
    if (collected) co_return true;
    co_return co_await trimmer_.make_room();
}

void Engine::on_peer(net::PeerPtr peer) {
    reporter_.note_clock_skew(peer->clock_skew());
    peers_.on_peer(peer);
    if (peer->dialled())
        reach_.on_judge();
    else
        reach_.on_dialled_by(peer->remote());
    hear_of_addresses(*peer);
    remember(*peer);
}

/// For the next start, which needs somebody to dial.
void Engine::remember(const net::Peer& peer) {
    if (!peer.record().storing) return;
    auto& store = services_.store;
    const auto record = peer.record();
    services_.runtime.run_on_worker(
        [&store, record] {
            if (auto kept = store.put_node_record(record); !kept)
                log::warn("engine", "record not kept: {}", kept.error().message());
        },
        [] {});
}

/// Whoever is met by one family may be the first to be known who has the other.
void Engine::hear_of_addresses(const net::Peer& peer) {
    std::vector<core::Endpoint> others;
    for (const auto& address : peer.record().addresses)
        if (address.is_v4() != peer.remote().is_v4() &&
            proto::DialRules::may_name(peer.remote(), address))
            others.push_back(address);
    if (!others.empty()) services_.index.hear_of(others);
}

void Engine::on_peer_closed(net::PeerPtr peer, Error reason) {
    log::debug("engine", "connection to {} ended: {}", to_hex(peer->id()).substr(0, 12),
               reason.message());
    peers_.on_peer_closed(peer, reason);
}

asio::awaitable<Result<net::Reply>> Engine::on_request(net::PeerPtr peer, proto::Message request) {
    if (tasks_.stopping()) co_return fail(Errc::refused, "stopping");
    const auto* range = std::get_if<proto::GetRange>(&request);
    const auto extent = range != nullptr ? std::optional(range->extent) : std::nullopt;
    const NodeId asker = peer->id();
    if (extent) placements_.on_pulled(asker, *extent);
    auto reply = co_await server_.answer(std::move(peer), std::move(request));
    if (extent && reply) placements_.on_sent(asker, *extent, ByteCount(reply->body.view().size()));
    co_return reply;
}

void Engine::on_notification(net::PeerPtr peer, proto::Message message) {
    if (const auto* stored = std::get_if<proto::Stored>(&message)) {
        keeper_.on_stored(peer->id(), *stored);
        placements_.on_stored(peer->id(), *stored);
        if (stored->part) return;  // no copy, and of no object
        caretaker_.on_stored(peer->id(), *stored);
        leases_.on_stored(peer->id(), *stored);
    } else if (const auto* update = std::get_if<proto::UpdateHolders>(&message)) {
        caretaker_.on_holder_table(update->table, peer->remote());
    } else if (const auto* uninvite = std::get_if<proto::Uninvite>(&message)) {
        keeper_.on_uninvite(peer->id(), *uninvite);
    } else if (const auto* hint = std::get_if<proto::Hint>(&message)) {
        hinter_.on_hint(peer->id(), *hint);
    } else if (std::holds_alternative<proto::Room>(message)) {
        on_room(peer->id());
    } else if (std::holds_alternative<proto::UpdateRecord>(message)) {
        peers_.on_record(peer);
        hear_of_addresses(*peer);
        remember(*peer);
    } else if (std::holds_alternative<proto::Goodbye>(message)) {
        peers_.on_goodbye(peer);
    }
}

void Engine::on_observed_address(const net::PeerPtr& peer, const core::Endpoint& observed) {
    // Nobody sees an address of the family by which it is not connected.
    if (observed.is_v4() != peer->remote().is_v4()) return;
    const auto before = core::first_of_each_family(addresses_.all()).size();
    addresses_.on_observed(observed);
    const auto now = core::first_of_each_family(addresses_.all()).size();
    // Those who were met before have nothing by which others of that family could get here.
    if (now > before && settings_.storing) peers_.tell_all(proto::UpdateRecord{local_record()});
}

void Engine::on_node_changed(const NodeId& node) {
    if (table_.is_alive(node)) leases_.on_node_alive(node);
    caretaker_.on_node_changed(node);
    hinter_.on_node_changed(node);
    announcer_.on_network_size(table_.alive() + 1);
    placements_.on_node_changed(node);
}

void Engine::on_room(const NodeId& node) {
    if (!table_.on_room(node, services_.runtime.now())) return;
    caretaker_.on_candidates_changed();
    placements_.on_candidates_changed();
}

void Engine::on_kept(const Kept& kept) {
    // Before anybody is told that it is stored: a ledger without it would take that back.
    if (kept.invited) {
        auto items = kept.items;
        items.push_back(proto::ItemId::of(kept.root));
        caretaker_.sync().on_kept(items);
        hinter_.on_kept(items);
    }
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
        auto sources = table_.nearest(item.key(services_.keys), limits::candidates_max);
        for (const auto& node : planner.holders(item)) {
            const auto same = [&node](const auto& record) { return record.node() == node; };
            const auto* known = table_.find(node);
            if (known != nullptr && std::ranges::none_of(sources, same))
                sources.push_back(known->record);
        }
        if (lease && settings_.storing && !sources.empty())
            keeper_.heal(*lease, {{item, planner.length_of(item)}}, std::move(sources));
    }
    caretaker_.give_up({item});
    announcer_.remove({item});
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
        if (may_be_chosen() && neighbourhood_.joined() && !addresses_.all().empty()) {
            auto record = local_record();
            std::function<void(std::function<void(bool)>)> start =
                [this, record](std::function<void(bool)> done) {
                    services_.index.announce(record, std::move(done));
                };
            const bool taken = co_await net::await_callback<bool>(std::move(start));
            if (taken) pause = limits::own_record_period;
        }
        const bool go_on = co_await tasks_.sleep_for(pause);
        if (!go_on) co_return;
    }
}

asio::awaitable<Result<Withdrawal>> Engine::withdraw(RootHash root, ProgressFn progress) {
    auto asked = placements_.asked(root);
    auto result = co_await survey_.withdraw(root, std::move(asked), std::move(progress));
    if (!result) co_return result;
    placements_.forget_asked(root);
    auto& store = services_.store;
    auto read = [&store, root] { return store.leases(root); };
    const auto leases = co_await net::offload(services_.runtime, std::move(read));
    const auto own =
        std::ranges::find(leases, services_.identity.public_key(), &proto::Lease::publisher);
    if (own != leases.end()) co_await leases_.take_in(*own);
    co_await leases_.collect();
    co_return result;
}

asio::awaitable<Result<RateLimits>> Engine::limit(RateLimitsChange change) {
    for (const auto& line : {change.up, change.down})
        if (line && line->value != 0 && line->value < limits::line_rate_min)
            co_return fail(Errc::usage,
                           fmt::format("below {} bytes a second a node cannot keep in touch",
                                       limits::line_rate_min));
    auto& store = services_.store;
    auto save = [&store, change] { return save_limits(store, change); };
    const auto saved = co_await net::offload(services_.runtime, std::move(save));
    if (!saved) co_return fail(saved.error());
    apply(change);
    co_return limits_;
}

void Engine::apply(const RateLimitsChange& change) {
    limits_.up = change.up.value_or(limits_.up);
    limits_.down = change.down.value_or(limits_.down);
    limits_.repair = change.repair.value_or(limits_.repair);
    const auto now = services_.runtime.now();
    pull_budget_.set_limits({.down = limits_.down, .repair = limits_.repair}, now);
    if (services_.line == nullptr) return;
    services_.line->up.set_rate(limits_.up, now);
    services_.line->down.set_rate(limits_.down, now);
}

}  // namespace flow29::node
