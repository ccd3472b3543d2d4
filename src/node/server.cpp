// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/server.hpp"

#include <algorithm>
#include <map>

#include "core/log.hpp"
#include "node/holdings.hpp"
#include "node/terms.hpp"

namespace flow29::node {

namespace log = core::log;

namespace {
constexpr std::size_t closest_count = limits::candidates_max;

Result<net::Reply> reply_with(proto::Message message) {
    return net::Reply{std::move(message), core::Buffer()};
}
using Roots = std::shared_ptr<const std::set<RootHash>>;

/// Whether all objects that contain the extent are blocked. On a worker.
bool is_blocked(store::Store& store, const Roots& blocked, const ExtentHash& extent) {
    if (blocked->empty()) return false;
    const auto roots = store.roots_of(extent);
    return !roots.empty() && std::ranges::all_of(roots, [&](const RootHash& root) {
        return blocked->contains(root);
    });
}
}  // namespace

asio::awaitable<Result<net::Reply>> Server::answer(net::PeerPtr peer, proto::Message request) {
    if (auto* ask = std::get_if<proto::GetRange>(&request)) co_return co_await range(*ask);
    if (auto* ask = std::get_if<proto::GetDescriptor>(&request))
        co_return co_await descriptor(*ask);
    if (auto* ask = std::get_if<proto::GetHolders>(&request)) co_return co_await holders(*ask);
    if (auto* ask = std::get_if<proto::Have>(&request)) co_return co_await have(std::move(*ask));
    if (auto* ask = std::get_if<proto::Invite>(&request))
        co_return co_await invite(std::move(peer), std::move(*ask));
    if (auto* ask = std::get_if<proto::GetClosest>(&request)) co_return co_await closest(*ask);
    if (auto* ask = std::get_if<proto::UpdateLease>(&request)) co_return co_await lease(peer, *ask);
    if (auto* ask = std::get_if<proto::GetLeases>(&request)) co_return co_await leases(*ask);
    if (auto* ask = std::get_if<proto::GetKept>(&request)) co_return co_await sync_.answer(*ask);
    if (auto* ask = std::get_if<proto::GetHinted>(&request))
        co_return reply_with(hinter_.answer(*ask));
    if (auto* ask = std::get_if<proto::Pledge>(&request))
        co_return reply_with(proto::PledgeReply{trimmer_.pledge(peer->id(), ask->item)});
    if (auto* ask = std::get_if<proto::DialBack>(&request))
        co_return co_await dial_back(std::move(peer), *ask);
    co_return fail(Errc::refused, "not a request of this version");
}

asio::awaitable<Result<net::Reply>> Server::range(proto::GetRange request) {
    auto& store = services_.store;
    const auto blocked = settings_.blocked_roots;
    auto read = [&store, request, blocked]() -> Result<store::ExtentSlice> {
        if (is_blocked(store, blocked, request.extent)) return fail(Errc::peer_lacks, "blocked");
        return store.read(request.extent, request.chunks);
    };
    auto slice = co_await net::offload(services_.runtime, std::move(read));
    if (!slice) {
        if (slice.error().code == Errc::corrupt_store) {
            log::warn("server", "a held extent is damaged: {}", slice.error().message());
            events_.on_damaged(request.extent);
        }
        co_return fail(Errc::peer_lacks, "not held");
    }
    co_return net::Reply{proto::RangeReply{std::move(slice->proof)}, std::move(slice->data)};
}

asio::awaitable<Result<net::Reply>> Server::descriptor(proto::GetDescriptor request) {
    if (settings_.is_blocked(request.root)) co_return fail(Errc::peer_lacks, "not held");
    if (const auto part = events_.part(request.root)) {
        const auto encoded = part->encode();
        co_return net::Reply{proto::DescriptorReply{}, core::Buffer::copy_of(encoded)};
    }
    auto& store = services_.store;
    auto read = [&store, request] { return store.descriptor(request.root); };
    auto found = co_await net::offload(services_.runtime, std::move(read));
    if (!found) co_return fail(Errc::peer_lacks, "not held");
    const auto encoded = found->encode();
    co_return net::Reply{proto::DescriptorReply{}, core::Buffer::copy_of(encoded)};
}

asio::awaitable<Result<net::Reply>> Server::holders(proto::GetHolders request) {
    struct Known {
        std::vector<store::KnownHolder> holders;
        std::map<NodeId, proto::NodeRecord> records;
    };
    if (settings_.is_blocked(request.root)) co_return fail(Errc::peer_lacks, "not held");
    auto& store = services_.store;
    auto read = [&store, request]() -> std::optional<Known> {
        auto descriptor = store.descriptor(request.root);
        if (!descriptor) return std::nullopt;
        std::vector<proto::ItemId> items;
        if (request.first == 0) items.push_back(proto::ItemId::of(request.root));
        const auto last = std::min<std::uint64_t>(std::uint64_t{request.first} + request.count,
                                                  descriptor->extents.size());
        for (std::uint64_t i = request.first; i < last; ++i)
            items.push_back(proto::ItemId::of(descriptor->extents[i]));
        Known known;
        known.holders = store.holders(items);
        for (const auto& [item, node] : known.holders)
            if (!known.records.contains(node))
                if (auto record = store.node_record(node)) known.records.emplace(node, *record);
        return known;
    };
    auto known = co_await net::offload(services_.runtime, std::move(read));
    if (!known) co_return fail(Errc::peer_lacks, "not held");

    proto::HolderTable table;
    table.root = request.root;
    std::map<NodeId, std::uint32_t> positions;
    std::map<proto::ItemId, std::vector<std::uint32_t>> entries;
    const auto self = services_.identity.id();
    for (const auto& [item, node] : known->holders) {
        auto position = positions.find(node);
        if (position == positions.end()) {
            std::optional<proto::NodeRecord> record;
            if (node == self) {
                record = own_record_();
            } else if (const auto* entry = table_.find(node)) {
                record = entry->record;
            } else if (const auto stored = known->records.find(node);
                       stored != known->records.end()) {
                record = stored->second;
            }
            if (!record || table.nodes.size() >= limits::records_per_message_max) continue;
            position =
                positions.emplace(node, static_cast<std::uint32_t>(table.nodes.size())).first;
            table.nodes.push_back(std::move(*record));
        }
        entries[item].push_back(position->second);
    }
    for (auto& [item, nodes] : entries)
        table.entries.push_back({item, std::move(nodes)});
    co_return reply_with(std::move(table));
}

asio::awaitable<Result<net::Reply>> Server::have(proto::Have request) {
    auto& store = services_.store;
    const auto& self = services_.identity;
    const auto wall_now = services_.runtime.wall_now();
    const auto blocked = settings_.blocked_roots;
    auto look = [&store, &request, &self, wall_now, blocked] {
        proto::HaveReply reply{holdings_of(store, request.items, self, wall_now)};
        for (std::size_t i = 0; i < request.items.size() && !blocked->empty(); ++i) {
            const auto& item = request.items[i];
            const bool lacks = item.kind == proto::ItemId::Kind::extent
                                   ? is_blocked(store, blocked, item.extent())
                                   : blocked->contains(item.root());
            if (lacks) reply.items[i] = proto::Holding::lacks;
        }
        return reply;
    };
    auto reply = co_await net::offload(services_.runtime, std::move(look));
    for (std::size_t i = 0; i < reply.items.size(); ++i)
        if (reply.items[i] == proto::Holding::lacks && keeper_.is_coming(request.items[i]))
            reply.items[i] = proto::Holding::coming;
    co_return reply_with(std::move(reply));
}

asio::awaitable<Result<net::Reply>> Server::invite(net::PeerPtr peer, proto::Invite request) {
    auto reply = co_await keeper_.on_invite(std::move(peer), std::move(request));
    co_return reply_with(std::move(reply));
}

asio::awaitable<Result<net::Reply>> Server::closest(proto::GetClosest request) {
    proto::ClosestReply reply;
    reply.nodes = table_.nearest(request.key, closest_count);
    co_return reply_with(std::move(reply));
}

asio::awaitable<Result<net::Reply>> Server::lease(net::PeerPtr peer, proto::UpdateLease request) {
    auto& store = services_.store;
    auto lease = request.lease;
    const auto wall_now = services_.runtime.wall_now();
    if (!is_acceptable(lease, wall_now))
        co_return fail(Errc::refused, "a lease that is over, or ends too far ahead");
    if (settings_.is_blocked(lease.root)) co_return fail(Errc::refused, "not held");
    const auto asker = peer ? std::optional(peer->remote().group()) : std::nullopt;
    struct Outcome {
        Result<bool> is_new = false;
        bool in_force = false;
    };
    auto put = [this, &store, lease, asker, wall_now] {
        Outcome outcome;
        if (const auto object = store.descriptor(lease.root)) {
            if (asker && takes_too_much(*object, lease, *asker, wall_now))
                outcome.is_new = fail(Errc::no_space, "over the quota of this publisher");
            else
                outcome.is_new = store.put_lease(lease);
            if (asker && outcome.is_new.value_or(false))
                if (auto noted = store.set_asker(lease.root, lease.publisher, *asker); !noted)
                    log::warn("server", "asker not noted: {}", noted.error().message());
        }
        // Who heard of a withdrawal from somebody else has obeyed as well, and forgotten the rest.
        const auto known = store.leases(lease.root);
        outcome.in_force = std::ranges::find(known, lease) != known.end();
        return outcome;
    };
    const auto outcome = co_await net::offload(services_.runtime, std::move(put));
    if (!outcome.is_new) co_return fail(outcome.is_new.error());
    if (*outcome.is_new) events_.on_lease(lease);
    proto::LeaseReply reply{outcome.in_force};
    co_return reply_with(std::move(reply));
}

/// Whether the lease of a publisher that keeps none of this here yet would keep too much. On a
/// worker.
bool Server::takes_too_much(const core::Descriptor& object, const proto::Lease& lease,
                            const core::AddressGroup& asker, WallTime wall_now) const {
    if (lease.withdrawn || lease.publisher == services_.identity.public_key()) return false;
    auto& store = services_.store;
    const auto known = store.leases(lease.root);
    const auto same = std::ranges::find(known, lease.publisher, &proto::Lease::publisher);
    if (same != known.end() && is_live(*same, wall_now)) return false;
    ByteCount held;
    for (std::uint64_t i = 0; i < object.extents.size(); ++i)
        if (store.owns_extent(object.extents[i]))
            held += object.layout().extent_length(ExtentIndex(i));
    const auto left = keeper_.quotas().left({lease.publisher, asker}, wall_now);
    return held.value > left.of_publisher || held.value > left.of_group;
}

asio::awaitable<Result<net::Reply>> Server::leases(proto::GetLeases request) {
    auto& store = services_.store;
    const auto wall_now = services_.runtime.wall_now();
    auto look = [&store, request, wall_now] {
        proto::Leases live;
        for (auto& lease : store.leases(request.root))
            if (is_live(lease, wall_now) && live.leases.size() < limits::leases_per_message_max)
                live.leases.push_back(std::move(lease));
        return live;
    };
    auto reply = co_await net::offload(services_.runtime, std::move(look));
    co_return reply_with(std::move(reply));
}

/// Where the peer is and nowhere else, so that nobody has others dialled through this node.
asio::awaitable<Result<net::Reply>> Server::dial_back(net::PeerPtr peer, proto::DialBack request) {
    if (!dial_back_rules_.begin(peer->remote(), services_.runtime.now()))
        co_return fail(Errc::peer_busy, "dialling others");
    const auto reached = co_await events_.dial_back(std::move(peer), request.port);
    dial_back_rules_.end();
    if (!reached) co_return fail(Errc::peer_busy, "that address was dialled in vain just before");
    co_return reply_with(proto::DialBackReply{*reached});
}

}  // namespace flow29::node
