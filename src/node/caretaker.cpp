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
