// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/node.hpp>

#include <algorithm>
#include <iterator>
#include <thread>

#include <asio/post.hpp>

#include "core/families.hpp"
#include "core/identity.hpp"
#include "core/log.hpp"
#include "core/private_directory.hpp"
#include "dht/opendht_index.hpp"
#include "net/asio_runtime.hpp"
#include "net/lan_discovery.hpp"
#include "net/name_resolver.hpp"
#include "net/port_mapper.hpp"
#include "net/resolve.hpp"
#include "net/sockets.hpp"
#include "net/tls_transport.hpp"
#include "node/engine.hpp"
#include "node/membership.hpp"
#include "node/outcome_log.hpp"
#include "node/swarm_files.hpp"
#include "store/store.hpp"

namespace flow29 {

namespace log = core::log;

namespace {
constexpr unsigned port_attempts = 20;
constexpr std::size_t saved_neighbours_max = 64;

/// Whether it listens on whatever addresses there are, or on one of a network of its own.
bool is_within(const core::Endpoint& listening) {
    const core::Endpoint some_port{listening.address, 1};
    return some_port.is_unspecified() || (net::is_private(listening) && !listening.is_loopback());
}

/// The literal listen addresses; when none was given, all of each family that there is.
Result<std::vector<core::Endpoint>> listen_endpoints(const Config& config) {
    std::vector<core::Endpoint> endpoints;
    for (const auto& host : config.listen) {
        const bool v6 = host.find(':') != std::string::npos && host.front() != '[';
        if (v6 && host.find(':') == host.rfind(':'))
            return fail(Errc::usage, "listen address " + host +
                                         ": an address without a port; --port is for that");
        auto endpoint = core::Endpoint::parse((v6 ? "[" + host + "]" : host) + ":0");
        if (!endpoint)
            return fail(Errc::usage, "listen address " + host + ": " + endpoint.error().message());
        endpoints.push_back(*endpoint);
    }
    if (endpoints.empty()) {
        endpoints.push_back(*core::Endpoint::parse("0.0.0.0:0"));
        if (net::has_ipv6()) endpoints.push_back(*core::Endpoint::parse("[::]:0"));
    }
    for (auto& endpoint : endpoints)
        endpoint.port = config.port;
    return endpoints;
}
}  // namespace

struct Node::State {
    Config config;
    std::optional<core::Identity> identity;
    std::optional<core::SwarmKey> swarm_key;
    std::vector<core::Endpoint> endpoints;  // that it listens on
    std::unique_ptr<store::Store> store;
    core::Line line;
    std::unique_ptr<net::AsioRuntime> runtime;
    std::unique_ptr<dht::OpenDhtIndex> index;
    std::unique_ptr<net::TlsTransport> transport;
    std::unique_ptr<net::NameResolver> names;
    std::unique_ptr<node::Engine> engine;
    std::unique_ptr<node::Membership> membership;
    std::unique_ptr<net::PortMapper> mapper;
    std::unique_ptr<net::LanDiscovery> discovery;
    std::thread thread;
    std::uint16_t port = 0;

    [[nodiscard]] Result<void> open();
    [[nodiscard]] Result<void> listen();
    [[nodiscard]] Result<void> find_starting_points(node::Settings& settings) const;
    [[nodiscard]] asio::awaitable<void> shut_down();
    void map_port();
    void discover();

    template <class T>
    [[nodiscard]] static asio::awaitable<void> deliver(asio::awaitable<Result<T>> work,
                                                       DoneFn<T> done) {
        auto result = co_await std::move(work);
        done(std::move(result));
    }
    template <class T>
    [[nodiscard]] static asio::awaitable<void> deliver_value(asio::awaitable<T> work,
                                                             DoneFn<T> done) {
        auto value = co_await std::move(work);
        done(Result<T>(std::move(value)));
    }
    /// Runs `begin` on the node's thread unless the node is stopping, in which case `done` is told.
    template <class T>
    void post(DoneFn<T> done, std::function<asio::awaitable<void>(DoneFn<T>)> begin) {
        asio::post(runtime->context(), [this, done = std::move(done), begin = std::move(begin)] {
            if (engine->tasks().stopping()) {
                done(fail(Errc::interrupted, "the node is stopping"));
                return;
            }
            engine->tasks().start(begin(done));
        });
    }
};

Result<void> Node::State::listen() {
    // One number for UDP and TCP: with port 0 the transport picks, and the index must get the same.
    std::string problem;
    for (unsigned attempt = 0; attempt < port_attempts; ++attempt) {
        net::TlsTransport::Options options;
        options.listen = endpoints;
        options.bind_source = true;
        options.line = &line;
        options.swarm_key = swarm_key;
        auto opened = net::TlsTransport::create(*runtime, *identity, std::move(options));
        if (!opened) return fail(opened.error());
        const auto listening = (*opened)->listening();
        const auto chosen = listening.empty() ? config.port : listening.front().port;

        dht::OpenDhtIndex::Options dht_options;
        dht_options.bind = core::first_of_each_family(endpoints);
        for (auto& endpoint : dht_options.bind)
            endpoint.port = chosen;
        dht_options.identity = &*identity;
        dht_options.storing = config.store;
        dht_options.network = config.network;
        dht_options.line = &line;
        dht_options.swarm_key = swarm_key;
        auto started = dht::OpenDhtIndex::start(std::move(dht_options));
        if (!started && config.port == 0) {
            problem = started.error().message();
            continue;
        }
        if (!started) return fail(started.error());
        transport = std::move(*opened);
        index = std::move(*started);
        port = chosen;
        for (auto& endpoint : endpoints)
            endpoint.port = chosen;
        return {};
    }
    return fail(Errc::other, "no port is free for both UDP and TCP: " + problem);
}

/// Names are looked up once the node runs: a name server that does not answer is waited for long.
Result<void> Node::State::find_starting_points(node::Settings& settings) const {
    const auto remembered = node::remembered_addresses(config.data, core::name_of_swarm(swarm_key));
    if (!remembered) return fail(remembered.error());
    auto points = config.bootstrap;
    points.insert(points.end(), remembered->begin(), remembered->end());
    for (auto& point : points) {
        if (const auto literal = core::Endpoint::parse(point)) {
            settings.bootstrap.push_back(*literal);
            continue;
        }
        if (const auto checked = net::check_host_and_port(point); !checked)
            return fail(Errc::usage, "bootstrap " + point + ": " + checked.error().message());
        settings.bootstrap_names.push_back(std::move(point));
    }
    for (const auto& record : store->node_records(saved_neighbours_max))
        std::ranges::copy(core::first_of_each_family(record.addresses),
                          std::back_inserter(settings.bootstrap));
    for (auto& point : settings.bootstrap)
        point = net::on_sole_link(point);
    return {};
}

Result<void> Node::State::open() {
    if (auto made = core::make_private_directory(config.data); !made) return made;
    auto key = node::find_swarm_key(config);
    if (!key) return fail(key.error());
    swarm_key = *key;
    auto opened =
        store::open_disk_store({config.data, config.capacity, core::name_of_swarm(swarm_key)});
    if (!opened) return fail(opened.error());
    store = std::move(*opened);
    auto loaded = core::Identity::load_or_create(config.data / "node.key");
    if (!loaded) return fail(loaded.error());
    identity = std::move(*loaded);
    auto wanted = listen_endpoints(config);
    if (!wanted) return fail(wanted.error());
    endpoints = std::move(*wanted);

    runtime = std::make_unique<net::AsioRuntime>();
    if (auto listening = listen(); !listening) return listening;

    node::Settings settings;
    settings.storing = config.store;
    // On loopback everybody can dial everybody.
    settings.check_reach =
        config.store && !std::ranges::all_of(endpoints, &core::Endpoint::is_loopback);
    settings.is_private = swarm_key.has_value();
    settings.capacity = config.capacity;
    settings.grace = config.grace;
    settings.audit_period = config.audit_period;
    settings.quota_publisher = config.quota_publisher;
    settings.quota_group = config.quota_group;
    settings.limits = {
        .up = config.up_limit, .down = config.down_limit, .repair = config.repair_limit};
    settings.takeover =
        std::clamp<Duration>(config.grace / 10, std::chrono::seconds(1), std::chrono::seconds(10));
    settings.addresses = endpoints;
    if (auto found = find_starting_points(settings); !found) return found;
    names = std::make_unique<net::NameResolver>(
        [](const std::string& name) { return net::resolve(name); });
    const node::Services services{*runtime,
                                  *transport,
                                  *index,
                                  *store,
                                  *identity,
                                  &line,
                                  swarm_key ? core::KeySpace(*swarm_key) : core::KeySpace(),
                                  names.get()};
    index->bootstrap(settings.bootstrap);
    node::Membership::Options member{config.data, swarm_key, config.bootstrap, settings.addresses};
    engine = std::make_unique<node::Engine>(services, std::move(settings));
    membership = std::make_unique<node::Membership>(services, std::move(member), engine->peers(),
                                                    engine->neighbourhood());
    return {};
}

void Node::State::map_port() {
    mapper = std::make_unique<net::PortMapper>(port, [this](const net::MappedPort& mapped) {
        PortMapping mapping{mapped.method,
                            mapped.external ? mapped.external->to_string() : std::string(),
                            mapped.problem};
        asio::post(runtime->context(), [this, mapping, external = mapped.external] {
            engine->on_mapping(mapping, external);
        });
    });
}

void Node::State::discover() {
    discovery = std::make_unique<net::LanDiscovery>(
        core::LanCaller(swarm_key, config.network), net::LanDiscovery::Options{port, endpoints},
        [this](const core::Endpoint& heard) {
            asio::post(runtime->context(), [this, heard] { engine->on_heard(heard); });
        });
}

asio::awaitable<void> Node::State::shut_down() {
    co_await engine->stop();
    runtime->stop();
}

Result<std::unique_ptr<Node>> Node::start(const Config& config) {
    auto state = std::make_unique<State>();
    state->config = config;
    if (auto opened = state->open(); !opened) return fail(opened.error());
    auto* running = state.get();
    const auto is_behind = [](const auto& at) { return at.is_v4() && is_within(at); };
    // Neighbours on a link have public IPv6 addresses as a rule.
    const auto has_lan = [](const auto& at) {
        return is_within(at) || (!at.is_v4() && !at.is_loopback());
    };
    if (config.map_port && std::ranges::any_of(running->endpoints, is_behind)) running->map_port();
    if (config.discover && std::ranges::any_of(running->endpoints, has_lan)) running->discover();
    asio::post(running->runtime->context(), [running] { running->engine->start(); });
    running->thread = std::thread([running] { running->runtime->run(); });
    return std::unique_ptr<Node>(new Node(std::move(state)));
}

Node::Node(std::unique_ptr<State> state) : state_(std::move(state)) {}

Node::~Node() {
    auto* state = state_.get();
    state->mapper.reset();
    state->discovery.reset();
    asio::post(state->runtime->context(),
               [state] { net::spawn(*state->runtime, state->shut_down()); });
    state->thread.join();
    // Workers may still hold jobs that use the store; they end with the runtime, before it.
    state->engine.reset();
    state->transport.reset();
    state->index.reset();
    state->runtime.reset();
}

const NodeId& Node::id() const {
    return state_->identity->id();
}
std::uint16_t Node::port() const {
    return state_->port;
}
std::vector<std::string> Node::listening() const {
    std::vector<std::string> listening;
    for (const auto& endpoint : state_->endpoints)
        listening.push_back(endpoint.to_string());
    return listening;
}

void Node::publish(PublishRequest request, ProgressFn progress, DoneFn<PublishResult> done) {
    auto* state = state_.get();
    state->post<PublishResult>(node::logged(std::move(done)), [state, request = std::move(request),
                                                               progress = std::move(progress)](
                                                                  DoneFn<PublishResult> finish) {
        return State::deliver<PublishResult>(state->engine->placements().publish(request, progress),
                                             std::move(finish));
    });
}

void Node::fetch(FetchRequest request, ProgressFn progress, DoneFn<FetchResult> done) {
    auto* state = state_.get();
    const auto root = request.link.root;
    state->post<FetchResult>(node::logged(root, std::move(done)),
                             [state, request = std::move(request),
                              progress = std::move(progress)](DoneFn<FetchResult> finish) {
                                 return State::deliver<FetchResult>(
                                     state->engine->fetcher().fetch(request, progress),
                                     std::move(finish));
                             });
}

void Node::stream(StreamRequest request, HeadFn head, SinkFn sink, ProgressFn progress,
                  DoneFn<FetchResult> done) {
    auto* state = state_.get();
    state->post<FetchResult>(
        std::move(done),
        [state, request = std::move(request), head = std::move(head), sink = std::move(sink),
         progress = std::move(progress)](DoneFn<FetchResult> finish) {
            return State::deliver<FetchResult>(
                state->engine->fetcher().stream(request, head, sink, progress), std::move(finish));
        });
}

void Node::list(ListRequest request, ProgressFn progress, DoneFn<Listing> done) {
    auto* state = state_.get();
    state->post<Listing>(std::move(done), [state, request = std::move(request),
                                           progress = std::move(progress)](DoneFn<Listing> finish) {
        return State::deliver<Listing>(state->engine->fetcher().list(request, progress),
                                       std::move(finish));
    });
}

void Node::locate(std::string hash, std::optional<Link> in, std::chrono::milliseconds timeout,
                  ProgressFn progress, DoneFn<Located> done) {
    auto* state = state_.get();
    state->post<Located>(
        std::move(done), [state, hash = std::move(hash), in = std::move(in), timeout,
                          progress = std::move(progress)](DoneFn<Located> finish) {
            return State::deliver<Located>(
                state->engine->locator().locate(hash, in, timeout, progress), std::move(finish));
        });
}

void Node::health(Link link, std::chrono::milliseconds timeout, ProgressFn progress,
                  DoneFn<Health> done) {
    auto* state = state_.get();
    state->post<Health>(std::move(done), [state, link = std::move(link), timeout,
                                          progress = std::move(progress)](DoneFn<Health> finish) {
        return State::deliver<Health>(state->engine->survey().health(link, timeout, progress),
                                      std::move(finish));
    });
}

void Node::map(Link link, std::chrono::milliseconds timeout, ProgressFn progress,
               DoneFn<ObjectMap> done) {
    auto* state = state_.get();
    state->post<ObjectMap>(
        std::move(done), [state, link = std::move(link), timeout,
                          progress = std::move(progress)](DoneFn<ObjectMap> finish) {
            return State::deliver<ObjectMap>(state->engine->survey().map(link, timeout, progress),
                                             std::move(finish));
        });
}

void Node::repair(Link link, std::chrono::milliseconds timeout, ProgressFn progress,
                  DoneFn<Health> done) {
    auto* state = state_.get();
    state->post<Health>(std::move(done), [state, link = std::move(link), timeout,
                                          progress = std::move(progress)](DoneFn<Health> finish) {
        return State::deliver<Health>(state->engine->placements().repair(link, timeout, progress),
                                      std::move(finish));
    });
}

void Node::withdraw(RootHash root, ProgressFn progress, DoneFn<Withdrawal> done) {
    auto* state = state_.get();
    state->post<Withdrawal>(
        std::move(done), [state, root, progress = std::move(progress)](DoneFn<Withdrawal> finish) {
            return State::deliver<Withdrawal>(state->engine->withdraw(root, progress),
                                              std::move(finish));
        });
}

void Node::pin(RootHash root, bool pinned, DoneFn<bool> done) {
    auto* state = state_.get();
    state->post<bool>(std::move(done), [state, root, pinned](DoneFn<bool> finish) {
        return State::deliver<bool>(state->engine->pins().set(root, pinned), std::move(finish));
    });
}

void Node::verify(VerifyRequest request, ProgressFn progress, DoneFn<Verification> done) {
    auto* state = state_.get();
    state->post<Verification>(
        std::move(done), [state, request = std::move(request),
                          progress = std::move(progress)](DoneFn<Verification> finish) {
            return State::deliver<Verification>(state->engine->verifier().verify(request, progress),
                                                std::move(finish));
        });
}

void Node::leave(LeaveRequest request, ProgressFn progress, DoneFn<Departure> done) {
    auto* state = state_.get();
    state->post<Departure>(
        std::move(done), [state, request = std::move(request),
                          progress = std::move(progress)](DoneFn<Departure> finish) {
            return State::deliver<Departure>(state->engine->placements().leave(request, progress),
                                             std::move(finish));
        });
}

void Node::block(std::string name, bool blocked, DoneFn<Blocklist> done) {
    auto* state = state_.get();
    state->post<Blocklist>(std::move(done),
                           [state, name = std::move(name), blocked](DoneFn<Blocklist> finish) {
                               return State::deliver<Blocklist>(
                                   state->engine->blocker().set(name, blocked), std::move(finish));
                           });
}

void Node::blocklist(DoneFn<Blocklist> done) {
    auto* state = state_.get();
    asio::post(state->runtime->context(),
               [state, done = std::move(done)] { done(state->engine->blocker().list()); });
}

void Node::limit(RateLimitsChange change, DoneFn<RateLimits> done) {
    auto* state = state_.get();
    state->post<RateLimits>(std::move(done), [state, change](DoneFn<RateLimits> finish) {
        return State::deliver<RateLimits>(state->engine->limit(change), std::move(finish));
    });
}

void Node::invite(DoneFn<Invitation> done) {
    auto* state = state_.get();
    state->post<Invitation>(std::move(done), [state](DoneFn<Invitation> finish) {
        return State::deliver<Invitation>(
            state->membership->invite(state->engine->local_record().addresses), std::move(finish));
    });
}

void Node::join(std::string invite, DoneFn<Joined> done) {
    auto* state = state_.get();
    state->post<Joined>(
        std::move(done), [state, invite = std::move(invite)](DoneFn<Joined> finish) {
            return State::deliver<Joined>(state->membership->join(invite), std::move(finish));
        });
}

void Node::transfers(DoneFn<std::vector<TransferInfo>> done) {
    auto* state = state_.get();
    asio::post(state->runtime->context(),
               [state, done = std::move(done)] { done(state->engine->transfers().list()); });
}

void Node::control_transfer(std::uint64_t id, TransferAction action,
                            DoneFn<std::vector<TransferInfo>> done) {
    auto* state = state_.get();
    asio::post(state->runtime->context(), [state, id, action, done = std::move(done)] {
        done(state->engine->transfers().control(id, action));
    });
}

void Node::status(DoneFn<Status> done) {
    auto* state = state_.get();
    state->post<Status>(std::move(done), [state](DoneFn<Status> finish) {
        return State::deliver_value<Status>(state->engine->status(), std::move(finish));
    });
}

void Node::peers(DoneFn<std::vector<PeerInfo>> done) {
    auto* state = state_.get();
    asio::post(state->runtime->context(),
               [state, done = std::move(done)] { done(state->engine->reporter().peers()); });
}

void Node::objects(DoneFn<std::vector<ObjectEntry>> done) {
    auto* state = state_.get();
    state->post<std::vector<ObjectEntry>>(
        std::move(done), [state](DoneFn<std::vector<ObjectEntry>> finish) {
            return State::deliver_value<std::vector<ObjectEntry>>(
                state->engine->reporter().objects(), std::move(finish));
        });
}

}  // namespace flow29
