// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/opendht_runner.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <opendht/dhtrunner.h>
#include <opendht/node.h>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "core/clock.hpp"
#include "core/descriptor.hpp"
#include "core/link_local.hpp"
#include "dht/link_alias.hpp"
#include "dht/loopback_alias.hpp"

namespace flow29::dht {
namespace {

// Beyond it a get's values are dropped: each costs a signature check, and anybody may answer.
constexpr std::size_t values_per_get_max = 4 * limits::records_per_key_max;

::dht::InfoHash to_hash(const DhtKey& key) {
    return ::dht::InfoHash(key.bytes.data(), key.bytes.size());
}

DhtKey from_hash(const ::dht::InfoHash& hash) {
    DhtKey key;
    std::copy_n(hash.data(), DhtKey::size, key.bytes.begin());
    return key;
}

::dht::SockAddr to_address(const core::Endpoint& endpoint) {
    ::dht::SockAddr address;
    const Bytes octets = endpoint.octets();
    address.setFamily(endpoint.is_v4() ? AF_INET : AF_INET6);
    if (endpoint.is_v4())
        std::memcpy(&address.getIPv4().sin_addr, octets.data(), octets.size());
    else
        std::memcpy(&address.getIPv6().sin6_addr, octets.data(), octets.size());
    address.setPort(endpoint.port);
    return address;
}

/// All zeroes for a family that is neither.
core::Endpoint from_address(const ::dht::SockAddr& address) {
    Bytes octets;
    if (address.getFamily() == AF_INET) {
        octets.resize(4);
        std::memcpy(octets.data(), &address.getIPv4().sin_addr, octets.size());
    } else if (address.getFamily() == AF_INET6) {
        octets.resize(16);
        std::memcpy(octets.data(), &address.getIPv6().sin6_addr, octets.size());
    }
    return core::Endpoint::from_octets(octets, address.getPort()).value_or(core::Endpoint{});
}

/// As OpenDHT is shown an address; `loopback`: those of loopback under another one.
core::Endpoint shown(const core::Endpoint& endpoint, bool loopback) {
    return loopback ? alias_of_loopback(endpoint) : alias_of_link_local(endpoint);
}

/// What it was shown so.
core::Endpoint meant(const core::Endpoint& endpoint, bool loopback) {
    return loopback ? loopback_of_alias(endpoint) : link_local_of_alias(endpoint);
}

/// Translates between OpenDHT's socket interface and ours.
class SocketAdaptor final : public ::dht::net::DatagramSocket {
  public:
    SocketAdaptor(std::unique_ptr<AsioSocket> socket, bool alias_loopback, std::uint32_t network)
        : socket_(std::move(socket)),
          v4_(socket_->local_endpoint().is_v4()),
          alias_loopback_(alias_loopback),
          network_(network),
          bound_(to_address(socket_->local_endpoint())) {}

    void start(std::function<void()> drained,
               std::function<void(const core::Endpoint&)> on_request) {
        on_request_ = std::move(on_request);
        socket_->start([this](std::span<std::uint8_t> datagram, const GuardedDatagram& facts,
                              const core::Endpoint& from) { deliver(datagram, facts, from); },
                       std::move(drained));
    }

    int sendTo(const ::dht::SockAddr& to, const std::uint8_t* data, std::size_t size,
               bool /*replied*/) override {
        const ByteView datagram(data, size);
        const auto target = meant(from_address(to), alias_loopback_);
        has_links_ = has_links_ || core::is_link_local(target);
        if (!alias_loopback_ && !has_links_) return socket_->send(datagram, target);
        outgoing_.assign(datagram.begin(), datagram.end());
        if (const auto facts = guard_datagram(outgoing_, network_)) {
            const std::span all(outgoing_);
            if (alias_loopback_)
                reveal_contacts(all.subspan(facts->contacts4_offset, facts->contacts4_bytes));
            else
                reveal_link_contacts(all.subspan(facts->contacts6_offset, facts->contacts6_bytes));
        }
        return socket_->send(outgoing_, target);
    }

    bool hasIPv4() const override { return v4_; }
    bool hasIPv6() const override { return !v4_; }
    const ::dht::SockAddr& getBoundRef(sa_family_t family) const override {
        return family == AF_UNSPEC || family == bound_.getFamily() ? bound_ : none_;
    }
    void stop() override { socket_->close(); }

  private:
    void deliver(std::span<std::uint8_t> datagram, const GuardedDatagram& facts,
                 const core::Endpoint& from) {
        has_links_ = has_links_ || core::is_link_local(from);
        if (alias_loopback_)
            alias_contacts(datagram.subspan(facts.contacts4_offset, facts.contacts4_bytes));
        else
            alias_link_contacts(datagram.subspan(facts.contacts6_offset, facts.contacts6_bytes),
                                from);
        const bool request = facts.kind != DatagramKind::reply && facts.kind != DatagramKind::error;
        if (request && !facts.from_client) on_request_(from);
        auto packets = getNewPacket();
        auto& packet = packets.front();
        packet.data.assign(datagram.begin(), datagram.end());
        packet.from = to_address(shown(from, alias_loopback_));
        packet.received = ::dht::clock::now();
        onReceived(std::move(packets));
    }

    std::unique_ptr<AsioSocket> socket_;
    bool v4_;
    bool alias_loopback_;
    bool has_links_ = false;  // whether any address was of one link
    std::uint32_t network_;
    ::dht::SockAddr bound_;
    ::dht::SockAddr none_;
    std::function<void(const core::Endpoint&)> on_request_;
    Bytes outgoing_;
};

}  // namespace

struct OpenDhtRunner::State : std::enable_shared_from_this<State> {
    State(asio::io_context& context, const Options& o) : options(o), io(context), timer(context) {}

    void run(std::unique_ptr<AsioSocket> socket);
    void register_types();
    ::dht::ValueType type_of(RecordType type);
    [[nodiscard]] Offer offer_of(const ::dht::InfoHash& key, const ::dht::Value& value,
                                 const ::dht::SockAddr& source) const;
    /// Lets OpenDHT work soon. `turns`: it takes queued operations only after urgent ones.
    void kick(int turns = 1);
    void loop();
    [[nodiscard]] ::dht::SockAddr address_of(const core::Endpoint& endpoint) const {
        return to_address(shown(endpoint, alias_loopback));
    }
    [[nodiscard]] Contact contact_of(const ::dht::InfoHash& id,
                                     const ::dht::SockAddr& address) const {
        return {from_hash(id), meant(from_address(address), alias_loopback)};
    }
    ::dht::DoneCallback completion(const DhtKey& key, std::shared_ptr<RunnerOutcome> outcome,
                                   Done done);

    Options options;
    asio::io_context& io;  // owned by the index
    asio::steady_timer timer;
    core::Endpoint local;
    Events events;
    bool alias_loopback = false;
    bool connected = false;
    int turns_due = 0;
    ::dht::DhtRunner runner;
};

void OpenDhtRunner::State::run(std::unique_ptr<AsioSocket> socket) {
    local = socket->local_endpoint();
    alias_loopback = local.is_v4() && local.is_loopback();
    auto adaptor =
        std::make_unique<SocketAdaptor>(std::move(socket), alias_loopback, options.network);
    adaptor->start(
        [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->kick();
        },
        [this](const core::Endpoint& from) {
            if (!events.on_request) return;
            asio::post(io, [weak = weak_from_this(), from] {
                if (const auto self = weak.lock()) self->events.on_request(from);
            });
        });

    ::dht::DhtRunner::Config config;
    config.threaded = false;
    auto& node = config.dht_config.node_config;
    node.node_id = to_hash(options.position);
    node.network = options.network;
    // -1 for the first alone would make the second 0: a node that answers nobody.
    node.max_req_per_sec = -1;
    node.max_peer_req_per_sec = -1;
    // Bounds other than -1 overflow or lose data silently; RecordRules bounds the store.
    node.max_store_size = -1;
    node.max_store_keys = -1;
    node.max_searches = -1;
    node.maintain_storage = false;
    node.public_stable = true;

    ::dht::DhtRunner::Context context;
    context.sock = std::move(adaptor);
    // Called within loop(), with the runner's lock held.
    context.statusChangedCallback = [this](::dht::NodeStatus v4, ::dht::NodeStatus v6) {
        connected = v4 == ::dht::NodeStatus::Connected || v6 == ::dht::NodeStatus::Connected;
        asio::post(io, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->events.on_status();
        });
    };
    runner.run(config, std::move(context));
    register_types();
    kick();
}

void OpenDhtRunner::State::register_types() {
    runner.registerType(type_of(RecordType::provider));
    runner.registerType(type_of(RecordType::node));
}

::dht::ValueType OpenDhtRunner::State::type_of(RecordType type) {
    // A runner's own puts reach its store without a question to these.
    auto store = [this](::dht::InfoHash key, std::shared_ptr<::dht::Value>& value,
                        const ::dht::InfoHash&, const ::dht::SockAddr& source) {
        if (options.rules == nullptr) return false;
        return options.rules->may_store(offer_of(key, *value, source), core::wall_now());
    };
    auto edit = [this](::dht::InfoHash key, const std::shared_ptr<::dht::Value>& stored,
                       std::shared_ptr<::dht::Value>& value, const ::dht::InfoHash&,
                       const ::dht::SockAddr& source) {
        if (options.rules == nullptr || stored->type != value->type) return false;
        return options.rules->may_replace(offer_of(key, *value, source), stored->data,
                                          core::wall_now());
    };
    return ::dht::ValueType(static_cast<::dht::ValueType::Id>(type), "29 flow",
                            limits::record_lifetime_max, std::move(store), std::move(edit));
}

Offer OpenDhtRunner::State::offer_of(const ::dht::InfoHash& key, const ::dht::Value& value,
                                     const ::dht::SockAddr& source) const {
    Offer offer;
    offer.type = static_cast<RecordType>(value.type);
    offer.key = from_hash(key);
    offer.value_id = value.id;
    offer.octets = value.data;
    offer.source = contact_of(key, source).endpoint;
    return offer;
}

void OpenDhtRunner::State::kick(int turns) {
    const bool posted = turns_due > 0;
    turns_due = std::max(turns_due, turns);
    if (posted) return;
    asio::post(io, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->loop();
    });
}

void OpenDhtRunner::State::loop() {
    auto wake = ::dht::time_point::max();
    for (; turns_due > 0; --turns_due)
        wake = runner.loop();
    if (wake == ::dht::time_point::max()) return;
    timer.expires_at(wake);
    timer.async_wait([weak = weak_from_this()](const std::error_code& ec) {
        const auto self = weak.lock();
        if (!ec && self) self->kick();
    });
}

::dht::DoneCallback OpenDhtRunner::State::completion(const DhtKey& key,
                                                     std::shared_ptr<RunnerOutcome> outcome,
                                                     Done done) {
    return [this, key, outcome = std::move(outcome), done = std::move(done)](
               bool ok, const std::vector<std::shared_ptr<::dht::Node>>& nodes) {
        outcome->ok = ok;
        for (const auto& node : nodes)
            outcome->nodes.push_back(contact_of(node->getId(), node->getAddr()));
        std::ranges::sort(outcome->nodes, [&key](const Contact& a, const Contact& b) {
            return core::nearer(key, a.position, b.position);
        });
        asio::post(io, [outcome, done] { done(std::move(*outcome)); });
    };
}

OpenDhtRunner::OpenDhtRunner(std::shared_ptr<State> state) : state_(std::move(state)) {}

OpenDhtRunner::~OpenDhtRunner() {
    state_->runner.join();
}

Result<std::unique_ptr<OpenDhtRunner>> OpenDhtRunner::start(asio::io_context& io,
                                                            const Options& options,
                                                            TrafficCounters& counters,
                                                            Events events) {
    auto socket = AsioSocket::open(io,
                                   {.bind = options.bind,
                                    .network = options.network,
                                    .identity = options.identity,
                                    .line = options.line,
                                    .swarm_key = options.swarm_key},
                                   counters);
    if (!socket) return fail(socket.error());
    auto state = std::make_shared<State>(io, options);
    state->events = std::move(events);
    try {
        state->run(std::move(*socket));
    } catch (const std::exception& e) {
        return fail(Errc::other, std::string("OpenDHT does not start: ") + e.what());
    }
    return std::unique_ptr<OpenDhtRunner>(new OpenDhtRunner(std::move(state)));
}

void OpenDhtRunner::put(const DhtKey& key, const RawValue& value,
                        std::chrono::milliseconds lifetime, Done done) {
    auto stored = std::make_shared<::dht::Value>(static_cast<::dht::ValueType::Id>(value.type),
                                                 ::dht::Blob(value.octets), value.id);
    // Receivers keep it until `created` plus the type's lifetime.
    const auto spent = limits::record_lifetime_max -
                       std::min<std::chrono::milliseconds>(lifetime, limits::record_lifetime_max);
    state_->runner.put(to_hash(key), std::move(stored),
                       state_->completion(key, std::make_shared<RunnerOutcome>(), std::move(done)),
                       ::dht::clock::now() - spent);
    state_->kick(2);
}

void OpenDhtRunner::get(const DhtKey& key, Done done, Seen seen) {
    auto outcome = std::make_shared<RunnerOutcome>();
    ::dht::GetCallback collect = [outcome, seen = std::move(seen), &io = state_->io](
                                     const std::vector<std::shared_ptr<::dht::Value>>& values) {
        const auto before = static_cast<std::ptrdiff_t>(outcome->values.size());
        for (const auto& value : values)
            if (outcome->values.size() < values_per_get_max)
                outcome->values.push_back(
                    {static_cast<RecordType>(value->type), value->id, value->data});
        std::vector<RawValue> fresh(outcome->values.begin() + before, outcome->values.end());
        if (seen && !fresh.empty())
            asio::post(io, [seen, fresh = std::move(fresh)] { seen(fresh); });
        return true;
    };
    state_->runner.get(to_hash(key), std::move(collect),
                       state_->completion(key, outcome, std::move(done)));
    state_->kick(2);
}

void OpenDhtRunner::ping(const core::Endpoint& endpoint) {
    state_->runner.bootstrap(state_->address_of(endpoint), ::dht::DoneCallbackSimple{});
    state_->kick(2);
}

void OpenDhtRunner::insert(const std::vector<Contact>& contacts) {
    for (const Contact& contact : contacts)
        state_->runner.bootstrap(to_hash(contact.position), state_->address_of(contact.endpoint));
    state_->kick(2);
}

bool OpenDhtRunner::connected() const {
    return state_->connected;
}

std::vector<Contact> OpenDhtRunner::good_nodes() const {
    std::vector<Contact> contacts;
    for (const auto& node : state_->runner.exportNodes())
        contacts.push_back(state_->contact_of(node.id, ::dht::SockAddr(node.ss, node.sslen)));
    return contacts;
}

std::size_t OpenDhtRunner::stored_values() const {
    return state_->runner.getStoreSize().second;
}
core::Endpoint OpenDhtRunner::local_endpoint() const {
    return state_->local;
}
const DhtKey& OpenDhtRunner::position() const {
    return state_->options.position;
}

}  // namespace flow29::dht
