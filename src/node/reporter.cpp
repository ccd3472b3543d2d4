// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/reporter.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "node/terms.hpp"

namespace flow29::node {

namespace {
constexpr std::size_t clock_skews_max = 31;
constexpr ByteCount disk_left_min{limits::chunk_bytes << limits::extent_level_auto_min};
constexpr double own_records_per_hour =
    1 / std::chrono::duration<double, std::ratio<3600>>(limits::own_record_period).count();

void note_conduct(PeerInfo& info, const proto::PeerConduct::Entry& conduct) {
    info.score = conduct.score;
    info.strikes = conduct.strikes;
    info.disconnects = conduct.disconnects;
    info.banned = conduct.banned;
    info.reason = conduct.reason;
}

/// A capacity that is used up is as it should be; a disk that is full is not.
std::string disk_problem(const store::Usage& usage) {
    if (!usage.disk_left || *usage.disk_left >= disk_left_min) return {};
    return "the disk that holds the node's data is full: nothing more can be published or kept "
           "until there is room on it";
}
}  // namespace

void Reporter::note_clock_skew(std::chrono::milliseconds skew) {
    if (clock_skews_.size() < clock_skews_max) clock_skews_.push_back(skew);
}

/// The median, so that one peer with a wrong clock says nothing about ours.
std::chrono::milliseconds Reporter::clock_skew() const {
    if (clock_skews_.empty()) return {};
    auto skews = clock_skews_;
    const auto middle = skews.begin() + static_cast<std::ptrdiff_t>(skews.size() / 2);
    std::nth_element(skews.begin(), middle, skews.end());
    return *middle;
}

std::string Reporter::problem(const dht::IndexStatus& index, const store::Usage& usage) const {
    const auto disk = disk_problem(usage);
    const auto swarm = swarm_problem(index);
    return disk + (disk.empty() || swarm.empty() ? "" : "; ") + swarm;
}

std::string Reporter::swarm_problem(const dht::IndexStatus& index) const {
    const auto skew = std::chrono::abs(clock_skew());
    if (skew > limits::record_clock_tolerance) {
        const auto minutes = [](auto time) {
            return std::chrono::duration_cast<std::chrono::minutes>(time).count();
        };
        return fmt::format(
            "this clock and those of the others differ by {} min, and beyond {} they "
            "refuse each other's records: is it set?",
            minutes(skew), minutes(limits::record_clock_tolerance));
    }
    if (!peers_.open().empty()) return {};
    const auto trouble = neighbourhood_.trouble();
    if (!trouble.empty() && index.connected)
        return "nodes answer by UDP, and none by TCP: a firewall before their ports?";
    const auto unresolved = neighbourhood_.unresolved();
    if (trouble.empty() || unresolved.empty()) return trouble + unresolved;
    return trouble + "; " + unresolved;
}

asio::awaitable<Status> Reporter::status(proto::NodeRecord own_record, RateLimits limits) {
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
    for (const auto& address : settings_.addresses)
        status.listening.push_back(address.to_string());
    for (const auto& address : own_record.addresses)
        status.addresses.push_back(address.to_string());
    if (!settings_.addresses.empty()) status.port = settings_.addresses.front().port;
    status.storing = settings_.storing;
    status.is_private = settings_.is_private;
    status.problem = problem(index, usage);
    status.dht_connected = index.connected;
    status.dht_nodes = index.good_nodes;
    status.clock_skew = clock_skew();
    status.peers = peers_.open().size();
    status.used = usage.used;
    status.capacity = usage.capacity;
    status.disk_left = usage.disk_left;
    status.objects = usage.objects;
    status.extents = usage.extents;
    const auto counts = caretaker_.planner().counts();
    status.under_target = counts.under_target;
    status.repairs_in_flight = counts.in_flight + keeper_.coming();
    status.repaired = keeper_.repaired();
    status.up_limit = limits.up;
    status.down_limit = limits.down;
    status.repair_limit = limits.repair;
    const auto forecast = announcer_.forecast();
    status.announced_records = forecast.records;
    status.announce_due_per_hour = forecast.due_per_hour;
    if (settings_.storing) status.announce_due_per_hour += own_records_per_hour;
    status.announce_behind = forecast.behind;
    const auto traffic = peers_.traffic();
    status.up = ByteCount(traffic.bytes_up);
    status.down = ByteCount(traffic.bytes_down);
    status.dht_up = ByteCount(index.bytes_up);
    status.dht_down = ByteCount(index.bytes_down);
    status.dht_packets_up = index.packets_up;
    status.dht_packets_down = index.packets_down;
    status.dht_foreign = index.datagrams_foreign;
    status.dht_puts = index.puts;
    status.dht_lookups = index.lookups;
    status.dht_records = index.stored_values;
    co_return status;
}

std::vector<PeerInfo> Reporter::peers() const {
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
        note_conduct(info, peers_.conduct().of(peer->id()));
        const auto items = caretaker_.planner().items_of(peer->id());
        info.holds_extents = static_cast<std::uint64_t>(
            std::ranges::count(items, proto::ItemId::Kind::extent, &proto::ItemId::kind));
        infos.push_back(std::move(info));
    }
    for (const auto& [node, conduct] : peers_.conduct().marked()) {
        if (peers_.find(node)) continue;
        PeerInfo info;
        info.node = node;
        info.address = conduct.address;
        info.connected = false;
        note_conduct(info, conduct);
        infos.push_back(std::move(info));
    }
    return infos;
}

void Reporter::count_copies(const store::ObjectInfo& object, ObjectEntry& entry) const {
    const auto& extents = object.descriptor.extents;
    // What cannot be read here any more was there before others had all of it, or it would have
    // been healed. Which parts those are nobody has said.
    if (object.published && object.extents_held < extents.size()) {
        entry.copies_min = 0;
        return;
    }
    const auto& planner = caretaker_.planner();
    // Whether it has fewer than the target.
    const auto is_short = [&](const proto::ItemId& item) {
        if (!planner.has_item(item)) return false;
        // Who is away still counts for the planner, which waits for it, and so does what is left
        // with one that nobody can dial, as long as nobody has taken it over; who asks now is told
        // what can be had now. What is published here is counted without the copy here, which may
        // leave.
        unsigned live = object.published ? 0 : 1;
        for (const auto& node : planner.holders(item)) {
            const auto peer = peers_.find(node);
            live += peer != nullptr && peer->record().storing ? 1 : 0;
        }
        entry.copies_min = std::min(entry.copies_min.value_or(live), live);
        return live < entry.target;
    };
    const auto layout = object.descriptor.layout();
    const bool no_description = is_short(proto::ItemId::of(object.root));
    std::uint64_t at_risk = 0;
    for (std::size_t i = 0; i < extents.size(); ++i)
        if (is_short(proto::ItemId::of(extents[i])))
            at_risk += layout.extent_chunks(ExtentIndex(i)).count().value;
    // Without its description nothing of it can be read.
    if (no_description) at_risk = layout.chunks().value;
    if (entry.copies_min) entry.at_risk_chunks = at_risk;
}

asio::awaitable<std::vector<ObjectEntry>> Reporter::objects() {
    auto& store = services_.store;
    struct Row {
        store::ObjectInfo object;
        unsigned target = 0;
        std::optional<WallTime> expires;
        std::optional<WallTime> expired;
    };
    const auto wall_now = services_.runtime.wall_now();
    auto read = [&store, wall_now] {
        std::vector<Row> rows;
        for (auto& object : store.objects()) {
            Row row{std::move(object), 0, std::nullopt, std::nullopt};
            for (const auto& lease : store.leases(row.object.root)) {
                if (lease.withdrawn) continue;
                if (!is_live(lease, wall_now)) {
                    row.expired = std::max(row.expired.value_or(lease.expires), lease.expires);
                    continue;
                }
                row.target = std::max<unsigned>(row.target, lease.copies);
                row.expires = std::max(row.expires.value_or(lease.expires), lease.expires);
            }
            rows.push_back(std::move(row));
        }
        return rows;
    };
    const auto rows = co_await net::offload(services_.runtime, std::move(read));
    std::vector<ObjectEntry> entries;
    for (const auto& [object, target, expires, expired] : rows) {
        ObjectEntry entry;
        entry.root = object.root;
        entry.name = object.name;
        entry.kind = object.descriptor.kind;
        entry.bytes = object.descriptor.length;
        entry.extents = object.descriptor.extents.size();
        entry.extents_held = object.extents_held;
        entry.published = object.published;
        entry.pinned = object.pinned;
        entry.renewed = (object.published || object.pinned) && object.renewal.count() != 0;
        entry.target = target;
        entry.expired = !expires && expired;
        if (const auto end = expires ? expires : expired)
            entry.expires = std::chrono::system_clock::time_point(end->time_since_epoch());
        if (!entry.expired) count_copies(object, entry);
        entries.push_back(std::move(entry));
    }
    co_return entries;
}

}  // namespace flow29::node
