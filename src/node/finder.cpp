// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/finder.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "node/gather.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration request_timeout = 8s;
constexpr Duration join_timeout = 15s;
constexpr Duration retry_pause_min = 500ms;
constexpr Duration retry_pause_max = 5s;
constexpr Duration conclusive_after = 8s;
constexpr Duration alone_for = join_timeout;  // as long as a node that has met nobody yet waits
constexpr unsigned conclusive_searches = 2;
constexpr std::size_t holders_enough = 2;  // of whom an answer is counted
constexpr std::size_t table_sources = 3;
constexpr std::size_t table_nodes_max = 64;
constexpr std::size_t hinted_asks = 8;  // nearest nodes: those that holders tell

void add_unique(std::vector<net::PeerPtr>& peers, const net::PeerPtr& peer) {
    const auto same = [&peer](const auto& other) { return other->id() == peer->id(); };
    if (std::none_of(peers.begin(), peers.end(), same)) peers.push_back(peer);
}
}  // namespace

asio::awaitable<Result<FoundObject>> Finder::find_object(RootHash root,
                                                         std::vector<core::Endpoint> at,
                                                         Duration timeout, std::stop_token stop,
                                                         StageFn stage, Aim aim) {
    auto& store = services_.store;
    auto look_in_store = [&store, root] { return store.descriptor(root); };
    auto local = co_await net::offload(services_.runtime, std::move(look_in_store));

    const auto deadline = services_.runtime.now() + timeout;
    if (!neighbourhood_.joined()) stage(Stage::joining, 0);
    const auto join_deadline = std::min(deadline, services_.runtime.now() + Duration(join_timeout));
    if (!at.empty() && !neighbourhood_.joined()) {
        std::vector<dht::Contact> hinted;
        for (const auto& endpoint : at)
            hinted.push_back({DhtKey{}, endpoint});
        co_await neighbourhood_.dial_all(std::move(hinted));
    }
    if (!local) {
        const bool joined = co_await neighbourhood_.wait_joined(join_deadline);
        if (!joined) co_return fail(Errc::no_network, neighbourhood_.nobody_answered());
    }

    FoundObject found;
    std::size_t asked = 0;
    Duration pause = retry_pause_min;
    DescriptorSearch::Options options{
        .root = root, .at = std::move(at), .stop = stop, .stage = stage};
    options.enough = aim == Aim::first ? 1 : holders_enough;
    options.thorough = aim == Aim::all;
    bool by_hint = false;
    const auto began = services_.runtime.now();
    unsigned conclusive = 0;
    for (;;) {
        if (by_hint) options.named = co_await hinted(proto::ItemId::of(root));
        found.search = std::make_shared<DescriptorSearch>(services_, tasks_, peers_, neighbourhood_,
                                                          table_, options);
        co_await found.search->run();
        asked = std::max(asked, found.search->asked());
        if (found.search->descriptor()) {
            found.descriptor = *found.search->descriptor();
            found.holders = found.search->holders();
            co_return found;
        }
        if (local) {
            found.descriptor = std::move(*local);
            co_return found;
        }
        if (stop.stop_requested() || tasks_.stopping())
            co_return fail(Errc::interrupted, "stopped");
        const bool is_thorough = std::exchange(options.thorough, true);
        // Those near the key do not have it: they may know who does.
        if (!std::exchange(by_hint, true)) continue;
        const auto now = services_.runtime.now();
        const bool means_something = is_thorough && found.search->is_conclusive() &&
                                     !is_somebody_away(services_.keys.root_key(root));
        conclusive = means_something ? conclusive + 1 : 0;
        if (conclusive >= conclusive_searches && now >= began + conclusive_after) break;
        const bool is_alone = asked == 0 && peers_.open().empty();
        if (now + pause >= deadline || (is_alone && now >= began + alone_for)) break;
        // From now on there is nothing else to be said.
        options.stage = [stage](Stage, std::size_t) { stage(Stage::nobody_yet, 0); };
        options.stage(Stage::nobody_yet, 0);
        co_await tasks_.sleep_for(pause);
        pause = std::min<Duration>(pause * 2, retry_pause_max);
    }
    if (asked == 0 && peers_.open().empty())
        co_return fail(Errc::not_found,
                       "nobody reachable has it: no node that is known here answers at the moment");
    co_return fail(
        Errc::not_found,
        fmt::format("nobody reachable has it (looked up in the DHT, asked {} node{}); is "
                    "the link right, and of this swarm?",
                    asked, asked == 1 ? "" : "s"));
}

bool Finder::is_somebody_away(const DhtKey& key) const {
    const auto near = table_.nearest_ids(key, limits::candidates_max);
    const auto missing = table_.missing_records();
    return std::ranges::any_of(missing, [&](const proto::NodeRecord& record) {
        const auto node = record.node();
        if (!record.storing || !table_.counts(node)) return false;
        return near.size() < limits::candidates_max ||
               core::nearer(key, core::dht_position(node), core::dht_position(near.back()));
    });
}

void Finder::Table::merge(Table other) {
    for (auto& [node, record] : other.nodes) {
        auto& known = nodes[node];
        if (known.sequence < record.sequence) known = std::move(record);
    }
    for (auto& [item, named] : other.holders)
        holders[item].merge(named);
}

asio::awaitable<Finder::Table> Finder::ask_table(net::PeerPtr peer, RootHash root,
                                                 ExtentSpan extents) {
    Table table;
    auto first = extents.first.value;
    do {
        const auto count =
            std::min<std::uint64_t>(limits::table_entries_per_message, extents.last.value - first);
        proto::Message ask = proto::GetHolders{root, static_cast<std::uint32_t>(first),
                                               static_cast<std::uint32_t>(count)};
        first += count;
        auto reply = co_await peer->request(std::move(ask), request_timeout);
        auto* answer = reply ? std::get_if<proto::HolderTable>(&reply->message) : nullptr;
        if (answer == nullptr) break;
        for (const auto& entry : answer->entries)
            for (const auto position : entry.nodes)
                if (position < answer->nodes.size())
                    table.holders[entry.item].insert(answer->nodes[position].node());
        for (auto& record : answer->nodes) {
            const auto node = record.node();
            table.nodes.insert_or_assign(node, std::move(record));
        }
    } while (first < extents.last.value);
    co_return table;
}

asio::awaitable<Finder::Table> Finder::holder_table(RootHash root, std::size_t extents,
                                                    std::vector<net::PeerPtr> sources) {
    Gather<Table> gather(services_.runtime, tasks_);
    const ExtentSpan all{ExtentIndex(0), ExtentIndex(extents)};
    for (const auto& peer : sources)
        gather.start(ask_table(peer, root, all));
    auto answers = co_await gather.all();
    Table merged;
    for (auto& answer : answers)
        merged.merge(std::move(answer));
    co_return merged;
}

struct Finder::Reaching {
    HolderFn tell;
    std::set<NodeId> named{};
};

asio::awaitable<bool> Finder::reach_holder(Named named, std::shared_ptr<Reaching> reaching) {
    const auto peer = co_await peers_.reach(std::move(named));
    if (peer) reaching->tell(*peer);
    co_return peer.has_value();
}

asio::awaitable<bool> Finder::reach_named_by(net::PeerPtr source, RootHash root, ExtentSpan extents,
                                             std::shared_ptr<Reaching> reaching) {
    auto table = co_await ask_table(source, root, extents);
    Gather<bool> gather(services_.runtime, tasks_);
    for (auto& [node, record] : table.nodes) {
        if (node == services_.identity.id() || reaching->named.size() >= table_nodes_max) continue;
        if (!reaching->named.insert(node).second) continue;
        Named named{std::move(record), source->remote()};
        gather.start(reach_holder(std::move(named), reaching));
    }
    const auto reached = co_await gather.all();
    co_return !reached.empty();
}

asio::awaitable<void> Finder::reach_holders(RootHash root, ExtentSpan extents,
                                            std::vector<net::PeerPtr> descriptor_holders,
                                            HolderFn tell) {
    for (const auto& peer : descriptor_holders)
        tell(peer);
    const auto reaching = std::make_shared<Reaching>(Reaching{std::move(tell)});
    if (descriptor_holders.size() > table_sources) descriptor_holders.resize(table_sources);
    Gather<bool> gather(services_.runtime, tasks_);
    for (const auto& peer : descriptor_holders)
        gather.start(reach_named_by(peer, root, extents, reaching));
    co_await gather.all();
}

std::vector<net::PeerPtr> Finder::likely_holders(const proto::ItemId& item,
                                                 std::size_t count_max) const {
    std::vector<net::PeerPtr> likely;
    const auto now = services_.runtime.now();
    for (const auto& candidate :
         table_.candidates(item.key(services_.keys), now, services_.runtime.wall_now())) {
        if (likely.size() >= count_max) break;
        if (auto peer = peers_.find(candidate.id)) likely.push_back(std::move(peer));
    }
    return likely;
}

asio::awaitable<std::vector<Named>> Finder::ask_hinted(net::PeerPtr peer, proto::ItemId item) {
    proto::Message ask = proto::GetHinted{{item}};
    auto reply = co_await peer->request(std::move(ask), request_timeout);
    auto* table = reply ? std::get_if<proto::HolderTable>(&reply->message) : nullptr;
    std::vector<Named> nodes;
    if (table == nullptr) co_return nodes;
    for (auto& record : table->nodes)
        nodes.push_back({std::move(record), peer->remote()});
    co_return nodes;
}

asio::awaitable<std::vector<net::PeerPtr>> Finder::hinted(proto::ItemId item) {
    Gather<std::vector<Named>> gather(services_.runtime, tasks_);
    for (const auto& node : table_.nearest_ids(item.key(services_.keys), hinted_asks))
        if (const auto peer = peers_.find(node)) gather.start(ask_hinted(peer, item));
    auto answers = co_await gather.within(Neighbourhood::patience);
    std::map<NodeId, Named> named;
    for (auto& answer : answers)
        for (auto& one : answer)
            if (named.size() < table_nodes_max) named.emplace(one.record.node(), std::move(one));
    std::vector<Named> nodes;
    for (auto& [node, one] : named)
        nodes.push_back(std::move(one));
    co_return co_await neighbourhood_.reach_all(std::move(nodes), Neighbourhood::patience);
}

asio::awaitable<Finder::Located> Finder::locate(proto::ItemId item) {
    Located located;
    const auto key = item.key(services_.keys);
    auto lookup = co_await neighbourhood_.explore(key);
    std::vector<dht::Contact> providers;
    for (const auto& record : lookup.providers) {
        providers.push_back({core::dht_position(record.node()), record.address});
        if (record.summary && record.summary->level == 0)
            located.chunk_length = record.summary->length;
    }
    located.by_record =
        co_await neighbourhood_.dial_all(std::move(providers), Neighbourhood::patience);
    for (const auto& near : table_.nearest(key, limits::candidates_max)) {
        const auto peer = peers_.find(near.node());
        if (!peer) continue;
        const auto same = [&peer](const auto& other) { return other->id() == peer->id(); };
        if (std::none_of(located.by_record.begin(), located.by_record.end(), same))
            located.nearby.push_back(peer);
    }
    const auto named = co_await hinted(item);
    for (const auto& peer : named) {
        const auto same = [&peer](const auto& other) { return other->id() == peer->id(); };
        if (std::none_of(located.by_record.begin(), located.by_record.end(), same))
            add_unique(located.nearby, peer);
    }
    co_return located;
}

asio::awaitable<std::pair<NodeId, std::optional<std::vector<proto::Holding>>>> Finder::ask_one(
    net::PeerPtr peer, std::vector<proto::ItemId> items) {
    std::vector<proto::Holding> held;
    for (std::size_t first = 0; first < items.size(); first += limits::items_per_message_max) {
        const auto last = std::min(items.size(), first + limits::items_per_message_max);
        proto::Have have;
        have.items.assign(items.begin() + static_cast<std::ptrdiff_t>(first),
                          items.begin() + static_cast<std::ptrdiff_t>(last));
        proto::Message ask = std::move(have);
        auto reply = co_await peer->request(std::move(ask), request_timeout);
        const auto* answer = reply ? std::get_if<proto::HaveReply>(&reply->message) : nullptr;
        if (answer == nullptr || answer->items.size() != last - first)
            co_return std::pair(peer->id(), std::optional<std::vector<proto::Holding>>());
        held.insert(held.end(), answer->items.begin(), answer->items.end());
    }
    co_return std::pair(peer->id(), std::optional<std::vector<proto::Holding>>(std::move(held)));
}

asio::awaitable<Finder::Holdings> Finder::ask_holdings(std::vector<net::PeerPtr> peers,
                                                       std::vector<proto::ItemId> items) {
    Gather<std::pair<NodeId, std::optional<std::vector<proto::Holding>>>> gather(services_.runtime,
                                                                                 tasks_);
    for (const auto& peer : peers)
        gather.start(ask_one(peer, items));
    Holdings holdings;
    auto answers = co_await gather.all();
    for (auto& [node, held] : answers)
        if (held) holdings.emplace(node, std::move(*held));
    co_return holdings;
}

}  // namespace flow29::node
