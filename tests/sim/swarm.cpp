// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/swarm.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "core/assert.hpp"

namespace flow29::sim {

using namespace std::chrono_literals;

namespace {
constexpr Duration operation_timeout = 10min;

core::Endpoint endpoint_of(std::size_t number, unsigned nodes_per_group) {
    const auto group = number / nodes_per_group;
    const Bytes octets{10, static_cast<std::uint8_t>(group / 250),
                       static_cast<std::uint8_t>(group % 250),
                       static_cast<std::uint8_t>(1 + number % nodes_per_group)};
    return *core::Endpoint::from_octets(octets, 2929);
}
}  // namespace

Swarm::Swarm(Options options) : options_(options), world_(options.seed), network_(world_) {}

Swarm::~Swarm() {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (up(i)) crash(i);
    world_.run_for(5min);
}

void Swarm::boot(SimNode& node) {
    node.runtime = std::make_unique<SimRuntime>(world_, world_.random()());
    node.transport =
        std::make_unique<SimTransport>(network_, *node.runtime, node.identity.id(), node.endpoint);
    node.index =
        std::make_unique<SimIndex>(network_, node.identity.id(), node.endpoint, node.storing);
    node::Settings settings;
    settings.storing = node.storing;
    settings.capacity = options_.capacity;
    settings.addresses = {node.endpoint};
    settings.grace = options_.grace;
    settings.audit_period = options_.audit_period;
    std::vector<core::Endpoint> running;
    for (const auto& [endpoint, transport] : network_.transports)
        running.push_back(endpoint);
    if (!running.empty()) settings.bootstrap = {running[world_.random()() % running.size()]};
    const node::Services services{*node.runtime, *node.transport, *node.index, *node.store,
                                  node.identity};
    node.engine = std::make_unique<node::Engine>(services, std::move(settings));
    node.index->go_up();
    node.engine->start();
}

std::size_t Swarm::add(bool storing) {
    const auto number = nodes_.size();
    auto node =
        std::make_unique<SimNode>(make_identity(options_.seed * 1'000'003 + number), storing);
    node->endpoint = endpoint_of(number, options_.nodes_per_group);
    node->store = std::make_unique<LossyStore>(store::make_memory_store(options_.capacity));
    boot(*node);
    nodes_.push_back(std::move(node));
    return number;
}

void Swarm::crash(std::size_t number) {
    auto& node = *nodes_[number];
    FLOW29_ASSERT(node.engine != nullptr);
    node.transport->crash();
    node.index->go_down();
    auto remains = std::make_unique<Remains>();
    remains->runtime = std::move(node.runtime);
    remains->transport = std::move(node.transport);
    remains->index = std::move(node.index);
    remains->engine = std::move(node.engine);
    net::spawn(*remains->runtime, remains->engine->stop());
    remains_.push_back(std::move(remains));
}

void Swarm::restart(std::size_t number) {
    boot(*nodes_[number]);
}

void Swarm::grow_to(std::size_t count, Duration between) {
    while (nodes_.size() < count) {
        add();
        world_.run_for(between);
    }
}

Result<PublishResult> Swarm::publish(std::size_t number, const Bytes& content, unsigned copies,
                                     std::optional<unsigned> level) {
    PublishRequest request;
    request.copies = copies;
    request.extent_level = level;
    return publish(number, content, std::move(request));
}

Result<PublishResult> Swarm::publish(std::size_t number, const Bytes& content,
                                     PublishRequest request) {
    const int fd = ::memfd_create("content", MFD_CLOEXEC);
    FLOW29_ASSERT(fd >= 0);
    std::size_t written = 0;
    while (written < content.size()) {
        const auto wrote = ::write(fd, content.data() + written, content.size() - written);
        FLOW29_ASSERT(wrote > 0);
        written += static_cast<std::size_t>(wrote);
    }
    request.fd = fd;
    std::optional<Result<PublishResult>> outcome;
    auto run = [](node::Engine* engine, PublishRequest asked,
                  std::optional<Result<PublishResult>>* out) -> asio::awaitable<void> {
        ProgressFn silent;
        auto result = co_await engine->placements().publish(std::move(asked), std::move(silent));
        out->emplace(std::move(result));
    };
    net::spawn(*nodes_[number]->runtime, run(&engine(number), std::move(request), &outcome));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    ::close(fd);
    FLOW29_ASSERT(outcome.has_value());
    return std::move(*outcome);
}

Result<Withdrawal> Swarm::withdraw(std::size_t number, const RootHash& root) {
    std::optional<Result<Withdrawal>> outcome;
    auto run = [](node::Engine* engine, RootHash object,
                  std::optional<Result<Withdrawal>>* out) -> asio::awaitable<void> {
        ProgressFn silent;
        auto result = co_await engine->withdraw(object, std::move(silent));
        out->emplace(std::move(result));
    };
    net::spawn(*nodes_[number]->runtime, run(&engine(number), root, &outcome));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    FLOW29_ASSERT(outcome.has_value());
    return std::move(*outcome);
}

Result<net::Reply> Swarm::ask(std::size_t from, std::size_t to, proto::Message request) {
    std::optional<Result<net::Reply>> outcome;
    auto run = [](SimTransport* transport, core::Endpoint endpoint, proto::Message message,
                  std::optional<Result<net::Reply>>* out) -> asio::awaitable<void> {
        const auto peer = co_await transport->connect(endpoint, std::nullopt, std::nullopt);
        if (!peer) {
            out->emplace(fail(peer.error()));
            co_return;
        }
        auto reply = co_await (*peer)->request(std::move(message), operation_timeout);
        out->emplace(std::move(reply));
    };
    net::spawn(*nodes_[from]->runtime, run(nodes_[from]->transport.get(), nodes_[to]->endpoint,
                                           std::move(request), &outcome));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    FLOW29_ASSERT(outcome.has_value());
    return std::move(*outcome);
}

std::vector<std::size_t> Swarm::keepers(const core::Descriptor& descriptor,
                                        std::optional<std::size_t> besides) {
    std::vector<std::size_t> nodes;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const auto has = [&](const ExtentHash& extent) { return store(i).has_extent(extent); };
        if (up(i) && besides != i && std::ranges::any_of(descriptor.extents, has))
            nodes.push_back(i);
    }
    return nodes;
}

std::vector<ExtentHash> Swarm::lose_extents(std::size_t number, const core::Descriptor& descriptor,
                                            unsigned one_in, bool claims) {
    auto& store = *nodes_[number]->store;
    std::vector<ExtentHash> lost;
    std::size_t held = 0;
    for (const auto& extent : descriptor.extents) {
        if (!store.has_extent(extent) || held++ % one_in != 0) continue;
        store.lose(extent, claims);
        lost.push_back(extent);
    }
    return lost;
}

Result<Departure> Swarm::leave(std::size_t number, bool force) {
    LeaveRequest request;
    request.force = force;
    std::optional<Result<Departure>> outcome;
    auto run = [](node::Engine* engine, LeaveRequest asked,
                  std::optional<Result<Departure>>* out) -> asio::awaitable<void> {
        ProgressFn silent;
        auto result = co_await engine->placements().leave(std::move(asked), std::move(silent));
        out->emplace(std::move(result));
    };
    net::spawn(*nodes_[number]->runtime, run(&engine(number), std::move(request), &outcome));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    FLOW29_ASSERT(outcome.has_value());
    return std::move(*outcome);
}

Result<Health> Swarm::repair(std::size_t number, const RootHash& root) {
    Link link;
    link.root = root;
    std::optional<Result<Health>> outcome;
    auto run = [](node::Engine* engine, Link asked,
                  std::optional<Result<Health>>* out) -> asio::awaitable<void> {
        ProgressFn silent;
        const Duration timeout = 30s;
        auto result =
            co_await engine->placements().repair(std::move(asked), timeout, std::move(silent));
        out->emplace(std::move(result));
    };
    net::spawn(*nodes_[number]->runtime, run(&engine(number), std::move(link), &outcome));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    FLOW29_ASSERT(outcome.has_value());
    return std::move(*outcome);
}

Result<Bytes> Swarm::fetch(std::size_t number, const RootHash& root) {
    const auto bytes = std::make_shared<Bytes>();
    StreamRequest request;
    request.link.root = root;
    SinkFn sink = [bytes](ByteView more, std::function<void(bool)> next) {
        bytes->insert(bytes->end(), more.begin(), more.end());
        next(true);
    };
    std::optional<Result<FetchResult>> outcome;
    auto run = [](node::Engine* engine, StreamRequest asked, SinkFn into,
                  std::optional<Result<FetchResult>>* out) -> asio::awaitable<void> {
        HeadFn head;
        ProgressFn silent;
        auto result = co_await engine->fetcher().stream(std::move(asked), std::move(head),
                                                        std::move(into), std::move(silent));
        out->emplace(std::move(result));
    };
    net::spawn(*nodes_[number]->runtime,
               run(&engine(number), std::move(request), std::move(sink), &outcome));
    world_.run_for(operation_timeout, [&outcome] { return outcome.has_value(); });
    FLOW29_ASSERT(outcome.has_value());
    if (!*outcome) return fail(outcome->error());
    return std::move(*bytes);
}

unsigned Swarm::copies(const RootHash& root, const core::Descriptor& descriptor,
                       std::optional<std::size_t> besides) {
    unsigned least = ~0U;
    const auto count = [this, &besides](const std::function<bool(store::Store&)>& holds) {
        unsigned holders = 0;
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (up(i) && besides != i && holds(store(i))) ++holders;
        return holders;
    };
    least = count([&root](store::Store& store) { return store.descriptor(root).has_value(); });
    for (const auto& extent : descriptor.extents)
        least = std::min(
            least, count([&extent](store::Store& store) { return store.has_extent(extent); }));
    return least;
}

Bytes random_content(std::uint64_t seed, std::size_t size) {
    std::mt19937_64 random(seed);
    Bytes content(size);
    for (auto& octet : content)
        octet = static_cast<std::uint8_t>(random());
    return content;
}

}  // namespace flow29::sim
