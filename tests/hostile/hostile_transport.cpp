// SPDX-License-Identifier: GPL-3.0-or-later
#include "hostile/hostile_transport.hpp"

#include <flow29/limits.hpp>

#include "core/layout.hpp"

#include <algorithm>

namespace flow29::hostile {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t invented_nodes = 48;
constexpr std::size_t questions_at_once = 200;
constexpr std::size_t silent_at_once = 48;  // connections to one victim
constexpr Duration silent_for = 5s;
constexpr Duration raw_pause = 2s;
constexpr Duration raw_patience = 5s;
constexpr Duration unread_for = 15s;
constexpr std::size_t unread_names = 40;  // under which one victim is asked
constexpr std::size_t known_ranges_max = 64;

template <class Id>
Id random_id(std::mt19937_64& random) {
    Id id;
    for (auto& octet : id.bytes)
        octet = static_cast<std::uint8_t>(random());
    return id;
}
}  // namespace

HostileTransport::HostileTransport(net::Runtime& runtime, const core::Identity& identity,
                                   net::Transport& inner, Options options)
    : runtime_(runtime),
      identity_(identity),
      inner_(inner),
      options_(options),
      raw_(runtime, identity, options.address),
      never_(runtime) {
    const bool lies = options_.behaviour == Behaviour::lies_about_addresses;
    const bool hoards = options_.behaviour == Behaviour::reads_nothing;
    for (std::size_t i = 0; i < (lies ? invented_nodes : hoards ? unread_names : 0); ++i)
        if (auto somebody = core::Identity::generate()) nobodies_.push_back(std::move(*somebody));
}

void HostileTransport::start(net::PeerHandler& handler) {
    handler_ = &handler;
    inner_.start(*this);
}

asio::awaitable<Result<net::PeerPtr>> HostileTransport::connect(core::Endpoint endpoint,
                                                                std::optional<NodeId> expected,
                                                                std::optional<DhtKey> position,
                                                                net::OpeningPtr opening) {
    auto at = endpoint;
    if (options_.trickle != nullptr) {
        auto way = options_.trickle->way_to(endpoint);
        if (!way) co_return fail(way.error());
        at = *way;
    }
    auto peer = co_await inner_.connect(at, expected, position, std::move(opening));
    co_return peer;
}

proto::NodeRecord HostileTransport::local_record() {
    auto record = handler_->local_record();
    if (!begun_ || options_.behaviour != Behaviour::lies_about_addresses) return record;
    // Its own addresses come last, behind those of whoever it has met.
    std::vector<core::Endpoint> addresses;
    for (const auto& victim : attacked_)
        if (addresses.size() + 2 < limits::addresses_per_record_max) addresses.push_back(victim);
    auto nowhere = options_.address;
    nowhere.port = 1;
    addresses.push_back(nowhere);
    addresses.push_back(options_.address);
    record.addresses = std::move(addresses);
    record.sequence = to_unix_ms(runtime_.wall_now());
    record.sign(identity_);
    return record;
}

void HostileTransport::on_peer(net::PeerPtr peer) {
    peers_.insert(peer);
    for (const auto& address : peer->record().addresses)
        if (address != options_.address) met_.insert(address);
    if (begun_) turn_on(peer);
    handler_->on_peer(std::move(peer));
}

void HostileTransport::begin() {
    begun_ = true;
    if (options_.trickle != nullptr) options_.trickle->begin();
    for (const auto& target : met_)
        attack(target);
    for (const auto& peer : peers_)
        turn_on(peer);
}

void HostileTransport::turn_on(const net::PeerPtr& peer) {
    for (const auto& address : peer->record().addresses)
        attack(address);
    if (options_.behaviour == Behaviour::floods_requests)
        net::spawn(runtime_, flood_requests(peer));
}

void HostileTransport::on_peer_closed(net::PeerPtr peer, Error reason) {
    peers_.erase(peer);
    handler_->on_peer_closed(std::move(peer), std::move(reason));
}

void HostileTransport::on_notification(net::PeerPtr peer, proto::Message message) {
    handler_->on_notification(std::move(peer), std::move(message));
}

void HostileTransport::on_observed_address(const net::PeerPtr& peer,
                                           const core::Endpoint& observed) {
    handler_->on_observed_address(peer, observed);
}

asio::awaitable<Result<net::Reply>> HostileTransport::on_request(net::PeerPtr peer,
                                                                 proto::Message request) {
    if (const auto* invite = std::get_if<proto::Invite>(&request)) note_ranges(*invite);
    if (!begun_) {
        auto honest = co_await handler_->on_request(std::move(peer), std::move(request));
        co_return honest;
    }
    const auto* const range = std::get_if<proto::GetRange>(&request);
    const bool wants_data =
        range != nullptr || std::holds_alternative<proto::GetDescriptor>(request);
    switch (options_.behaviour) {
        case Behaviour::wrong_byte:
        case Behaviour::wrong_proof:
        case Behaviour::short_reply:
        case Behaviour::long_reply:
            if (range != nullptr) co_return co_await false_range(std::move(peer), *range);
            break;
        case Behaviour::other_chunk:
            if (range != nullptr) co_return co_await other_range(std::move(peer), *range);
            break;
        case Behaviour::claims_and_lacks:
            if (wants_data || std::holds_alternative<proto::Have>(request) ||
                std::holds_alternative<proto::Invite>(request) ||
                std::holds_alternative<proto::Pledge>(request))
                co_return empty_promise(peer, request);
            break;
        case Behaviour::accepts_and_deletes:
            // The engine still has it, and never gives it: from outside that is the same.
            if (wants_data) co_return fail(Errc::peer_lacks, "not held");
            if (const auto* have = std::get_if<proto::Have>(&request)) {
                proto::HaveReply reply;
                reply.items.assign(have->items.size(), proto::Holding::lacks);
                co_return net::Reply{std::move(reply), {}};
            }
            break;
        case Behaviour::stalls:
            if (wants_data) co_await never_.wait();
            break;
        case Behaviour::msgpack_bombs:
            if (std::holds_alternative<proto::GetDescriptor>(request)) {
                const Bytes bomb{0x95, 0x01, 0x00, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff,
                                 0xff, 0xff, 0xff, 0x00, 0xc6, 0xff, 0xff, 0xff, 0xff};
                co_return net::Reply{proto::DescriptorReply{}, core::Buffer::copy_of(bomb)};
            }
            break;
        case Behaviour::reads_nothing:
        case Behaviour::lies_about_addresses:
        case Behaviour::one_byte_a_second:
        case Behaviour::floods_requests:
        case Behaviour::floods_connections:
            break;
    }
    auto reply = co_await handler_->on_request(std::move(peer), std::move(request));
    if (reply && options_.behaviour == Behaviour::lies_about_addresses) add_lies(reply->message);
    co_return reply;
}

asio::awaitable<HostileTransport::Reply> HostileTransport::false_range(net::PeerPtr peer,
                                                                       proto::GetRange request) {
    proto::Message ask = request;
    auto reply = co_await handler_->on_request(std::move(peer), std::move(ask));
    if (!reply) co_return reply;
    auto& proof = std::get<proto::RangeReply>(reply->message).proof;
    const auto whole = reply->body.view();
    Bytes octets(whole.begin(), whole.end());
    const auto at = static_cast<std::size_t>(runtime_.random()() % octets.size());
    switch (options_.behaviour) {
        case Behaviour::wrong_byte:
            octets[at] ^= 0x10;
            break;
        case Behaviour::wrong_proof:
            if (proof.empty())
                proof.push_back(random_id<TreeHash>(runtime_.random()));
            else
                proof[at % proof.size()].bytes[at % 32] ^= 1;
            break;
        case Behaviour::short_reply:
            octets.pop_back();
            break;
        default:
            octets.push_back(0);
            break;
    }
    reply->body = core::Buffer::copy_of(octets);
    co_return reply;
}

asio::awaitable<HostileTransport::Reply> HostileTransport::other_range(net::PeerPtr peer,
                                                                       proto::GetRange request) {
    const auto chunks = core::chunks_in(request.extent_length).value;
    const auto count = request.chunks.count().value;
    auto other = request;
    const auto first = request.chunks.first.value;
    // The next so many chunks, or those before; of a whole extent there are no others.
    const bool after = first + 2 * count <= chunks;
    if (after || first >= count) {
        other.chunks.first = ChunkIndex(after ? first + count : first - count);
        other.chunks.last = ChunkIndex(other.chunks.first.value + count);
    }
    const auto wanted = core::bytes_of(request.chunks, request.extent_length).count();
    proto::Message ask = other;
    auto reply = co_await handler_->on_request(std::move(peer), std::move(ask));
    if (!reply) co_return reply;
    const auto whole = reply->body.view();
    Bytes octets(whole.begin(), whole.end());
    if (other.chunks.first == request.chunks.first && count > 1)
        std::swap_ranges(octets.begin(), octets.begin() + limits::chunk_bytes / 2,
                         octets.begin() + limits::chunk_bytes / 2);
    octets.resize(wanted.value);
    reply->body = core::Buffer::copy_of(octets);
    co_return reply;
}

void HostileTransport::note_ranges(const proto::Invite& invite) {
    for (const auto& item : invite.items) {
        if (item.item.kind != proto::ItemId::Kind::extent) continue;
        if (known_ranges_.size() >= known_ranges_max) return;
        proto::GetRange range{item.item.extent(), item.length, {}};
        const auto chunks = std::min(core::chunks_in(item.length).value,
                                     limits::range_bytes_max / limits::chunk_bytes);
        range.chunks.last = ChunkIndex(chunks);
        known_ranges_.push_back(range);
    }
}

/// Everything is kept here, everything is welcome; nothing is given.
HostileTransport::Reply HostileTransport::empty_promise(const net::PeerPtr& peer,
                                                        const proto::Message& request) {
    if (const auto* have = std::get_if<proto::Have>(&request)) {
        proto::HaveReply reply;
        reply.items.assign(have->items.size(), proto::Holding::kept);
        return net::Reply{std::move(reply), {}};
    }
    if (const auto* invite = std::get_if<proto::Invite>(&request)) {
        proto::InviteReply reply;
        reply.answers.assign(invite->items.size(), proto::InviteAnswer::accepted);
        proto::Stored stored{.root = invite->lease.root, .items = {}, .failed = {}};
        for (const auto& item : invite->items)
            stored.items.push_back(item.item);
        const auto say = [peer, stored] { peer->notify(stored); };
        runtime_.add_timer(runtime_.now() + 20ms, say);
        return net::Reply{std::move(reply), {}};
    }
    if (std::holds_alternative<proto::Pledge>(request))
        return net::Reply{proto::PledgeReply{true}, {}};
    return fail(Errc::peer_lacks, "not held");
}

/// Nodes that do not exist, at addresses where nobody listens and where others live.
std::vector<proto::NodeRecord> HostileTransport::invented() const {
    const auto wall_now = runtime_.wall_now();
    std::vector<proto::NodeRecord> found;
    auto victim = attacked_.begin();
    for (const auto& nobody : nobodies_) {
        proto::NodeRecord record;
        for (unsigned a = 1; a < limits::addresses_per_record_max; ++a) {
            auto nowhere = options_.address;
            nowhere.port = static_cast<std::uint16_t>(a);
            record.addresses.push_back(nowhere);
        }
        if (victim == attacked_.end()) victim = attacked_.begin();
        record.addresses.front() = victim == attacked_.end() ? options_.address : *victim++;
        record.capacity_class = 20;
        record.storing = true;
        record.sequence = to_unix_ms(wall_now);
        record.expires = wall_now + std::chrono::hours(20);
        record.sign(nobody);
        found.push_back(std::move(record));
    }
    return found;
}

/// The lists that this node gives are full of nodes that do not exist, in front.
void HostileTransport::add_lies(proto::Message& reply) {
    const auto lies = invented();
    if (auto* closest = std::get_if<proto::ClosestReply>(&reply))
        closest->nodes.insert(closest->nodes.begin(), lies.begin(), lies.end());
    auto* const table = std::get_if<proto::HolderTable>(&reply);
    if (table == nullptr) return;
    const auto shift = static_cast<std::uint32_t>(lies.size());
    if (table->nodes.size() + shift > limits::records_per_message_max) return;
    table->nodes.insert(table->nodes.begin(), lies.begin(), lies.end());
    for (auto& entry : table->entries) {
        for (auto& node : entry.nodes)
            node += shift;
        for (std::uint32_t lie = 0; lie < shift; ++lie)
            entry.nodes.push_back(lie);
    }
}

void HostileTransport::attack(const core::Endpoint& target) {
    if (target == options_.address || !attacked_.insert(target).second) return;
    if (options_.behaviour == Behaviour::floods_connections)
        net::spawn(runtime_, flood_connections(target));
    if (options_.behaviour == Behaviour::msgpack_bombs) net::spawn(runtime_, throw_bombs(target));
    if (options_.behaviour == Behaviour::floods_requests) net::spawn(runtime_, overask(target));
    if (options_.behaviour == Behaviour::reads_nothing)
        for (const auto& nobody : nobodies_)
            net::spawn(runtime_, ask_and_not_read(target, nobody));
}

proto::Message HostileTransport::random_question() {
    auto& random = runtime_.random();
    switch (random() % 4) {
        case 0: {
            proto::Have have;
            while (have.items.size() < limits::items_per_message_max)
                have.items.push_back(proto::ItemId::of(random_id<ExtentHash>(random)));
            return have;
        }
        case 1:
            return proto::GetClosest{random_id<DhtKey>(random)};
        case 2:
            return proto::GetDescriptor{random_id<RootHash>(random)};
        default:
            return proto::GetLeases{random_id<RootHash>(random)};
    }
}

asio::awaitable<void> HostileTransport::flood_requests(net::PeerPtr peer) {
    for (std::size_t i = 0; i < questions_at_once; ++i)
        net::spawn(runtime_, ask_on(peer));
    co_return;
}

asio::awaitable<void> HostileTransport::ask_on(net::PeerPtr peer) {
    while (peer->open()) {
        auto question = random_question();
        const auto reply =
            co_await peer->request(std::move(question), limits::request_idle_timeout);
        if (!reply && reply.error().code == Errc::peer_unreachable) co_return;
    }
}

/// More questions at once than anybody may have open.
asio::awaitable<void> HostileTransport::overask(core::Endpoint target) {
    for (;;) {
        Bytes octets;
        for (std::uint64_t i = 1; i <= 2 * limits::requests_in_flight_per_peer_max; ++i) {
            const auto head = proto::encode_head(i, proto::GetDescriptor{});
            const auto frame = frame_of(head);
            octets.insert(octets.end(), frame.begin(), frame.end());
        }
        const RawConnections::Manner manner{.patience = raw_patience};
        co_await send_raw(raw_, local_record(), target, std::move(octets), manner);
    }
}

asio::awaitable<void> HostileTransport::throw_bombs(core::Endpoint target) {
    const auto all = bombs();
    for (std::size_t next = 0;; ++next) {
        Bytes octets = frame_of(all[next % all.size()]);
        const RawConnections::Manner manner{.patience = raw_patience};
        co_await send_raw(raw_, local_record(), target, std::move(octets), manner);
    }
}

/// All the requests that may be open, of ranges as long as they may be; and not an octet is read.
asio::awaitable<void> HostileTransport::ask_and_not_read(core::Endpoint target,
                                                         const core::Identity& as) {
    RawConnections raw(runtime_, as, options_.address);
    for (;;) {
        Bytes octets;
        for (std::uint64_t i = 0; i < limits::requests_in_flight_per_peer_max; ++i) {
            if (known_ranges_.empty()) break;
            const auto head = proto::encode_head(i + 1, known_ranges_[i % known_ranges_.size()]);
            const auto frame = frame_of(head);
            octets.insert(octets.end(), frame.begin(), frame.end());
        }
        auto record = local_record();
        record.storing = false;
        record.sign(as);
        const RawConnections::Manner manner{.patience = unread_for, .reads = false};
        co_await send_raw(raw, std::move(record), target, std::move(octets), manner);
    }
}

asio::awaitable<void> HostileTransport::send_raw(RawConnections& raw, proto::NodeRecord record,
                                                 core::Endpoint target, Bytes octets,
                                                 RawConnections::Manner manner) {
    proto::Hello hello;
    hello.record = std::move(record);
    hello.observed = target;
    hello.unix_ms = to_unix_ms(runtime_.wall_now());
    hello.agent = "hostile";
    (void)co_await raw.send(target, std::move(hello), std::move(octets), manner);
    co_await net::sleep_for(runtime_, raw_pause);
}

asio::awaitable<void> HostileTransport::flood_connections(core::Endpoint target) {
    for (;;) {
        for (std::size_t i = 0; i < silent_at_once; ++i)
            net::spawn(runtime_, raw_.stay_silent(target, silent_for));
        co_await net::sleep_for(runtime_, silent_for);
    }
}

}  // namespace flow29::hostile
