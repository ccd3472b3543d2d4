// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/caretaker.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "node/holdings.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration tick = 1s;
constexpr Duration lost_contact_pause = 2s;
constexpr Duration confirmation_grace = 3s;
constexpr unsigned searches_max = 4;  // for candidates, at a time

proto::CopyPlanner::Options planner_options(const Services& services, const Settings& settings) {
    proto::CopyPlanner::Options options;
    options.self = services.identity.id();
    options.keys = services.keys;
    options.takeover = settings.takeover;
    // Right after a start nobody has been met yet, and everything looks lost.
    options.settle = settings.takeover * 2;
    return options;
}

ByteCount length_of(const proto::ItemId& item, const core::Descriptor& descriptor) {
    if (item.kind == proto::ItemId::Kind::descriptor) return ByteCount(descriptor.encode().size());
    for (std::uint64_t i = 0; i < descriptor.extents.size(); ++i)
        if (descriptor.extents[i] == item.extent())
            return descriptor.layout().extent_length(ExtentIndex(i));
    return ByteCount(0);
}
}  // namespace

Caretaker::Caretaker(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
                     Neighbourhood& neighbourhood, Finder& finder, proto::NodeTable& table,
                     OwnRecord own_record)
    : services_(services),
      settings_(settings),
      tasks_(tasks),
      peers_(peers),
      neighbourhood_(neighbourhood),
      finder_(finder),
      table_(table),
      own_record_(std::move(own_record)),
      planner_(table, planner_options(services, settings)),
      sync_(services, tasks, peers, planner_,
            [this](const NodeId& node, const std::vector<proto::ItemId>& kept,
                   const std::vector<proto::ItemId>& lost) { on_learned(node, kept, lost); }),
      inviter_(services, tasks, peers, table, Inviter::Purpose::repair),
      changed_(services.runtime) {}

void Caretaker::wake() {
    changed_.notify_all();
    sync_.wake();
}

asio::awaitable<void> Caretaker::load() {
    auto& store = services_.store;
    auto read = [&store] { return store.objects(); };
    const auto objects = co_await net::offload(services_.runtime, std::move(read));
    for (const auto& object : objects) {
        const auto& self = services_.identity;
        const auto wall_now = services_.runtime.wall_now();
        struct Found {
            std::vector<proto::ItemId> held, kept;
        };
        auto look = [&store, &object, &self, wall_now] {
            std::vector<proto::ItemId> all{proto::ItemId::of(object.root)};
            for (const auto& extent : object.descriptor.extents)
                all.push_back(proto::ItemId::of(extent));
            const auto least = object.published ? proto::Holding::cached : proto::Holding::kept;
            const auto holdings = holdings_of(store, all, self, wall_now);
            Found found;
            for (std::size_t i = 0; i < all.size(); ++i) {
                if (holdings[i] >= least) found.held.push_back(all[i]);
                if (holdings[i] == proto::Holding::kept) found.kept.push_back(all[i]);
            }
            return found;
        };
        auto found = co_await net::offload(services_.runtime, std::move(look));
        sync_.on_kept(found.kept);
        const auto holders = co_await adopt(object.root, std::move(found.held));
        co_await expect_again(holders);
    }
    sync_.on_loaded();
}

Caretaker::Reading Caretaker::read(const RootHash& root, const std::vector<proto::ItemId>& items,
                                   WallTime wall_now) const {
    auto& store = services_.store;
    Reading reading;
    reading.terms = terms_of(store, items, services_.identity, wall_now);
    auto object = store.object(root);
    const auto leases = store.leases(root);
    const auto widest = widest_live(leases, wall_now);
    if (!object || !widest) return reading;
    Care care;
    care.descriptor = std::move(object->descriptor);
    care.lease = widest;
    care.next_end = widest->expires;
    for (const auto& lease : leases)
        if (is_live(lease, wall_now)) care.next_end = std::min(care.next_end, lease.expires);
    reading.care = std::move(care);
    reading.holders = store.holders(items);
    return reading;
}

std::vector<proto::ItemId> Caretaker::apply(const RootHash& root,
                                            const std::vector<proto::ItemId>& items,
                                            const std::vector<std::optional<Terms>>& terms) {
    std::vector<proto::ItemId> without;
    std::unordered_map<proto::ItemId, ByteCount> lengths;
    const auto& descriptor = care_.at(root).descriptor;
    for (std::uint64_t i = 0; i < descriptor.extents.size(); ++i)
        lengths[proto::ItemId::of(descriptor.extents[i])] =
            descriptor.layout().extent_length(ExtentIndex(i));
    for (std::size_t i = 0; i < items.size(); ++i) {
        const auto& item = items[i];
        if (!terms[i]) {
            without.push_back(item);
            continue;
        }
        // An invitation needs the descriptor as well, which is at hand for objects cared for.
        const auto& of = terms[i]->lease.root;
        const auto& object = care_.contains(of) ? of : root;
        const auto length = lengths.contains(item) ? lengths[item] : length_of(item, descriptor);
        planner_.add_item(item, object, length, 0);
        planner_.change_item(item, object, terms[i]->copies);
        const bool published = terms[i]->copies > terms[i]->lease.copies;
        if (published) planner_.set_bystander(item);
    }
    return without;
}

asio::awaitable<std::vector<store::KnownHolder>> Caretaker::adopt(
    RootHash root, std::vector<proto::ItemId> items) {
    const auto wall_now = services_.runtime.wall_now();
    auto look = [this, root, &items, wall_now] { return read(root, items, wall_now); };
    auto known = co_await net::offload(services_.runtime, std::move(look));
    if (!known.care) co_return std::vector<store::KnownHolder>();
    known.care->revision = care_[root].revision + 1;
    care_[root] = std::move(*known.care);
    (void)apply(root, items, known.terms);  // those without terms were not cared for before
    co_return std::move(known.holders);
}

/// Whoever kept something before this node restarted counts for its grace period, and is met again:
/// then its ledger says what it keeps now.
asio::awaitable<void> Caretaker::expect_again(std::vector<store::KnownHolder> holders) {
    std::set<NodeId> nodes;
    for (const auto& [item, node] : holders)
        nodes.insert(node);
    auto& store = services_.store;
    auto read = [&store, &nodes] {
        std::vector<proto::NodeRecord> records;
        for (const auto& node : nodes)
            if (auto record = store.node_record(node)) records.push_back(std::move(*record));
        return records;
    };
    const auto records = co_await net::offload(services_.runtime, std::move(read));
    const auto now = services_.runtime.now();
    for (const auto& record : records)
        table_.on_known(record, now);
    for (const auto& [item, node] : holders)
        planner_.on_copy(item, node, now);
}

asio::awaitable<void> Caretaker::take_up(RootHash root, std::vector<proto::ItemId> items,
                                         std::vector<store::KnownHolder> confirmed) {
    const auto holders = co_await adopt(root, items);
    std::erase_if(items, [this](const auto& item) { return !planner_.has_item(item); });
    if (items.empty()) co_return;
    for (const auto& [item, node] : confirmed)
        planner_.on_copy(item, node, services_.runtime.now());
    std::map<NodeId, std::vector<proto::ItemId>> to_ask;
    for (const auto& [item, node] : holders)
        to_ask[node].push_back(item);
    for (const auto& peer : peers_.open())
        if (peer->record().storing)
            for (const auto& item : items)
                to_ask[peer->id()].push_back(item);
    sync_.on_more_cared_for();
    for (const auto& [node, asked] : to_ask)
        confirm_later(node, asked);
    changed_.notify_all();
}

asio::awaitable<std::vector<proto::ItemId>> Caretaker::refresh(RootHash root) {
    std::vector<proto::ItemId> gone;
    for (;;) {
        const auto found = care_.find(root);
        if (found == care_.end()) co_return gone;
        const auto revision = found->second.revision;
        std::vector<proto::ItemId> items{proto::ItemId::of(root)};
        for (const auto& extent : found->second.descriptor.extents)
            items.push_back(proto::ItemId::of(extent));
        std::erase_if(items, [this](const auto& item) { return !planner_.has_item(item); });
        const auto wall_now = services_.runtime.wall_now();
        auto look = [this, root, &items, wall_now] { return read(root, items, wall_now); };
        auto known = co_await net::offload(services_.runtime, std::move(look));
        const auto now_found = care_.find(root);
        if (now_found == care_.end()) co_return gone;
        // Taken up meanwhile: what was read may be from before that.
        if (now_found->second.revision != revision) continue;
        auto& care = now_found->second;
        if (known.care) care = std::move(*known.care);
        care.revision = revision + 1;
        gone = apply(root, items, known.terms);
        give_up(gone);
        tasks_.start(sync_.refresh(items));
        if (!known.care) care_.erase(root);
        changed_.notify_all();
        co_return gone;
    }
}

std::vector<RootHash> Caretaker::ended(WallTime now) const {
    std::vector<RootHash> roots;
    for (const auto& [root, care] : care_)
        if (care.next_end <= now) roots.push_back(root);
    std::ranges::sort(roots);
    return roots;
}

std::set<NodeId> Caretaker::holders_of(const RootHash& root) const {
    std::set<NodeId> nodes;
    const auto found = care_.find(root);
    if (found == care_.end()) return nodes;
    const auto add = [&](const proto::ItemId& item) {
        const auto holders = planner_.holders(item);
        nodes.insert(holders.begin(), holders.end());
    };
    add(proto::ItemId::of(root));
    for (const auto& extent : found->second.descriptor.extents)
        add(proto::ItemId::of(extent));
    return nodes;
}

void Caretaker::give_up(const std::vector<proto::ItemId>& items) {
    for (const auto& item : items)
        planner_.remove_item(item);
    tasks_.start(sync_.refresh(items));
}

void Caretaker::on_learned(const NodeId& node, const std::vector<proto::ItemId>& kept,
                           const std::vector<proto::ItemId>& lost) {
    const auto now = services_.runtime.now();
    std::vector<proto::ItemId> news;
    for (const auto& item : kept) {
        if (!planner_.has_item(item)) continue;
        planner_.on_copy(item, node, now);
        news.push_back(item);
    }
    for (const auto& item : lost)
        planner_.on_no_copy(item, node, now);
    remember_holder(node, news);
    forget_holder(node, lost);
    changed_.notify_all();
}

void Caretaker::confirm_later(const NodeId& node, const std::vector<proto::ItemId>& items,
                              std::optional<Named> named) {
    if (node == services_.identity.id()) return;
    auto& waiting = to_confirm_[node];
    waiting.items.insert(items.begin(), items.end());
    if (named) waiting.named = std::move(named);
    changed_.notify_all();
}

void Caretaker::start_confirmations() {
    for (auto it = to_confirm_.begin(); it != to_confirm_.end();) {
        auto& [node, waiting] = *it;
        if (confirming_.contains(node)) {
            ++it;
            continue;
        }
        confirming_.insert(node);
        confirm_until_ = services_.runtime.now() + confirmation_grace;
        std::vector<proto::ItemId> items(waiting.items.begin(), waiting.items.end());
        tasks_.start(confirm(node, std::move(items), std::move(waiting.named)));
        it = to_confirm_.erase(it);
    }
}

asio::awaitable<void> Caretaker::confirm(NodeId node, std::vector<proto::ItemId> items,
                                         std::optional<Named> named) {
    auto peer = peers_.find(node);
    if (!peer) {
        std::optional<proto::NodeRecord> record;
        if (const auto* entry = table_.find(node)) {
            record = entry->record;
        } else {
            auto& store = services_.store;
            auto read = [&store, node] { return store.node_record(node); };
            record = co_await net::offload(services_.runtime, std::move(read));
        }
        if (record) {
            Named known{std::move(*record)};
            auto reached = co_await peers_.reach(std::move(known));
            if (reached) peer = *reached;
        }
        if (!peer && named) {
            auto reached = co_await peers_.reach(std::move(*named));
            if (reached) peer = *reached;
        }
    }
    if (peer) {
        std::vector<net::PeerPtr> only{peer};
        auto holdings = co_await finder_.ask_holdings(std::move(only), items);
        const auto now = services_.runtime.now();
        std::vector<proto::ItemId> kept;
        if (const auto found = holdings.find(node); found != holdings.end())
            for (std::size_t i = 0; i < items.size(); ++i) {
                if (found->second[i] == proto::Holding::kept) {
                    kept.push_back(items[i]);
                    planner_.on_copy(items[i], node, now);
                } else {
                    planner_.on_no_copy(items[i], node, now);
                }
            }
        remember_holder(node, kept);
    }
    confirming_.erase(node);
    changed_.notify_all();
}

void Caretaker::on_node_changed(const NodeId& node) {
    const auto now = services_.runtime.now();
    planner_.on_node_changed(node, now);
    // A node that comes (back) may hold what is held here, or may have lost it meanwhile.
    if (table_.is_alive(node)) sync_.look_now(node);
    on_candidates_changed();
}

void Caretaker::on_candidates_changed() {
    planner_.on_candidates_changed(services_.runtime.now());
    changed_.notify_all();
}

void Caretaker::on_stored(const NodeId& node, const proto::Stored& stored) {
    const auto now = services_.runtime.now();
    std::vector<proto::ItemId> news;
    for (const auto& item : stored.items) {
        if (!planner_.has_item(item)) continue;
        planner_.on_copy(item, node, now);
        news.push_back(item);
    }
    for (const auto& item : stored.failed) {
        if (!planner_.has_item(item)) continue;
        planner_.on_invite_failed(item, node, now);
        planner_.on_no_copy(item, node, now);
    }
    changed_.notify_all();
    remember_holder(node, news);
    forget_holder(node, stored.failed);
}

void Caretaker::remember_holder(const NodeId& node, const std::vector<proto::ItemId>& items) {
    if (items.empty()) return;
    std::vector<store::KnownHolder> news;
    for (const auto& item : items)
        news.push_back({item, node});
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, news] {
            if (auto kept = store.add_holders(news); !kept)
                log::warn("caretaker", "holders not kept: {}", kept.error().message());
        },
        [] {});
}

void Caretaker::forget_holder(const NodeId& node, const std::vector<proto::ItemId>& items) {
    if (items.empty()) return;
    std::vector<store::KnownHolder> gone;
    for (const auto& item : items)
        gone.push_back({item, node});
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, gone] {
            if (auto forgotten = store.remove_holders(gone); !forgotten)
                log::warn("caretaker", "holders not forgotten: {}", forgotten.error().message());
        },
        [] {});
}

void Caretaker::on_holder_table(const proto::HolderTable& table, const core::Endpoint& namer) {
    std::map<NodeId, std::vector<proto::ItemId>> to_ask;
    for (const auto& entry : table.entries) {
        if (!planner_.has_item(entry.item)) continue;
        for (const auto position : entry.nodes)
            if (position < table.nodes.size())
                to_ask[table.nodes[position].node()].push_back(entry.item);
    }
    std::map<NodeId, proto::NodeRecord> named;
    for (const auto& record : table.nodes)
        named.insert_or_assign(record.node(), record);
    // Whoever reads a record from the store does not know who named it. A record is signed as a
    // whole, so one address in it that may not be named keeps it out.
    const auto may_name = [&namer](const core::Endpoint& address) {
        return proto::DialRules::may_name(namer, address);
    };
    auto records = table.nodes;
    std::erase_if(records, [&may_name](const proto::NodeRecord& record) {
        return !std::ranges::all_of(record.addresses, may_name);
    });
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, records] {
            for (const auto& record : records)
                if (auto kept = store.put_node_record(record); !kept)
                    log::warn("caretaker", "record not kept: {}", kept.error().message());
        },
        [] {});
    const auto now = services_.runtime.now();
    for (const auto& [node, items] : to_ask) {
        // One that went away before it could be asked is waited for, as long as for any other: its
        // copy may be all right, and whether it is shows when it comes back.
        const auto* known = table_.find(node);
        if (known != nullptr && known->state != proto::NodeTable::State::gone)
            for (const auto& item : items)
                planner_.on_copy(item, node, now);
        confirm_later(node, items, Named{named.at(node), namer});
    }
}

void Caretaker::expire_nodes() {
    const auto now = services_.runtime.now();
    for (const auto& node : table_.expire(now)) {
        const auto items = planner_.items_of(node).size();
        if (items > 0)
            log::info("caretaker", "node {} is lost; {} items held here had a copy there",
                      to_hex(node).substr(0, 12), items);
        planner_.on_node_changed(node, now);
    }
}

void Caretaker::hand_over(Placer& placer) const {
    for (const auto& item : planner_.items()) {
        const auto found = care_.find(planner_.root_of(item));
        if (found == care_.end() || !found->second.lease) continue;
        placer.add(item, found->first, planner_.length_of(item), found->second.lease->copies);
        for (const auto& node : planner_.holders(item))
            placer.on_copy(item, node);
    }
}

const core::Descriptor* Caretaker::descriptor_with(const proto::ItemId& item) const {
    if (!planner_.has_item(item)) return nullptr;
    const auto found = care_.find(planner_.root_of(item));
    return found == care_.end() ? nullptr : &found->second.descriptor;
}

asio::awaitable<void> Caretaker::on_audit_failed(NodeId node, proto::ItemId item, bool answered) {
    co_await confirm(node, planner_.items_of(node), std::nullopt);
    const auto holders = planner_.holders(item);
    if (std::ranges::find(holders, node) == holders.end()) co_return;
    const auto now = services_.runtime.now();
    for (const auto& claimed : planner_.items_of(node))
        planner_.on_no_copy(claimed, node, now);
    if (answered) peers_.ban(node, "it says that it keeps what it cannot prove");
    changed_.notify_all();
}

std::optional<proto::Lease> Caretaker::lease_of(const RootHash& root) const {
    const auto found = care_.find(root);
    if (found == care_.end()) return std::nullopt;
    return found->second.lease;
}

asio::awaitable<void> Caretaker::find_candidates(DhtKey key) {
    ++searching_;
    const auto known = table_.alive();
    co_await neighbourhood_.ensure_near(key);
    --searching_;
    if (table_.alive() != known) on_candidates_changed();
}

/// Who has what is asked first, but a node that does not answer must not hold up repair.
bool Caretaker::hearing_others() const {
    const bool confirming = !confirming_.empty() && services_.runtime.now() <= confirm_until_;
    return confirming || sync_.expecting();
}

asio::awaitable<void> Caretaker::run() {
    const Inviter::LeaseOf lease_of = [this](const RootHash& root) { return this->lease_of(root); };
    const Inviter::Answered answered = [this] { changed_.notify_all(); };
    // After a start, holders are asked before anything is made again: most are still there.
    const bool started = co_await tasks_.sleep_for(lost_contact_pause);
    if (!started) co_return;
    tasks_.start(sync_.run());
    while (!tasks_.stopping()) {
        expire_nodes();
        start_confirmations();
        if (!hearing_others())
            inviter_.send_due(planner_, own_record_(), lease_of, alive_, answered);
        inviter_.call_off(planner_);
        for (const auto& item : planner_.take_stuck())
            if (searching_ < searches_max) tasks_.start(find_candidates(item.key(services_.keys)));
        const auto now = services_.runtime.now();
        auto wake = now + Duration(tick);
        if (const auto next = planner_.next_deadline()) wake = std::min(wake, *next);
        wake = std::max(wake, now + Duration(20ms));
        co_await changed_.wait_until(wake);
        if (tasks_.stopping()) co_return;
        const bool go_on = co_await tasks_.sleep_for(20ms);
        if (!go_on) co_return;
    }
}

}  // namespace flow29::node
