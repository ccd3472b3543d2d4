// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/swarm.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace flow29::sim {

using namespace std::chrono_literals;

namespace {
constexpr Duration survey_timeout = 30s;

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

ByteCount Swarm::capacity_of(const SimNode& node) const {
    return node.options.capacity.value_or(options_.capacity);
}

std::unique_ptr<Swarm::Disk> Swarm::new_disk(const SimNode& node) const {
    return std::unique_ptr<Disk>(new Disk{make_identity(node.key_seed),
                                          LossyStore(store::make_memory_store(capacity_of(node)))});
}

void Swarm::boot(SimNode& node) {
    const auto& identity = node.disk->identity;
    node.runtime = std::make_unique<SimRuntime>(world_, world_.random()());
    node.transport =
        std::make_unique<SimTransport>(network_, *node.runtime, identity.id(), node.endpoint);
    node.index =
        std::make_unique<SimIndex>(network_, identity.id(), node.endpoint, node.options.storing);
    node::Settings settings;
    settings.storing = node.options.storing;
    settings.check_reach = node.options.check_reach;
    settings.capacity = capacity_of(node);
    settings.addresses = {node.endpoint};
    settings.grace = options_.grace;
    settings.audit_period = options_.audit_period;
    settings.quota_publisher = options_.quota_publisher;
    settings.quota_group = options_.quota_group;
    settings.part_bytes = options_.part_bytes;
    std::vector<core::Endpoint> running;
    for (const auto& [endpoint, transport] : network_.transports)
        running.push_back(endpoint);
    if (!running.empty()) settings.bootstrap = {running[world_.random()() % running.size()]};
    const node::Services services{*node.runtime, *node.transport, *node.index, node.disk->store,
                                  identity};
    node.engine = std::make_unique<node::Engine>(services, std::move(settings));
    node.index->go_up();
    node.engine->start();
}

std::size_t Swarm::add(NodeOptions options) {
    const auto capacity = options.capacity.value_or(options_.capacity);
    return add(options, store::make_memory_store(capacity));
}

std::size_t Swarm::add(NodeOptions options, std::unique_ptr<store::Store> store) {
    const auto number = nodes_.size();
    auto node = std::make_unique<SimNode>();
    node->options = options;
    node->key_seed = options_.seed * 1'000'003 + keys_++;
    node->endpoint = endpoint_of(number, options_.nodes_per_group);
    node->disk.reset(new Disk{make_identity(node->key_seed), LossyStore(std::move(store))});
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

void Swarm::lose_disk(std::size_t number, bool new_key) {
    FLOW29_ASSERT(!up(number));
    auto& node = *nodes_[number];
    if (new_key) node.key_seed = options_.seed * 1'000'003 + 500'000 + keys_++;
    lost_disks_.push_back(std::exchange(node.disk, new_disk(node)));
}

void Swarm::cut_off(const std::set<std::size_t>& nodes) {
    std::set<core::Endpoint> inside, outside;
    for (std::size_t number = 0; number < nodes_.size(); ++number)
        (nodes.contains(number) ? inside : outside).insert(endpoint(number));
    network_.cut(std::move(inside), std::move(outside));
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

namespace {
core::UniqueFd file_of(const Bytes& content) {
    core::UniqueFd file(::memfd_create("content", MFD_CLOEXEC));
    FLOW29_ASSERT(file.get() >= 0);
    std::size_t written = 0;
    while (written < content.size()) {
        const auto wrote = ::write(file.get(), content.data() + written, content.size() - written);
        FLOW29_ASSERT(wrote > 0);
        written += static_cast<std::size_t>(wrote);
    }
    return file;
}

asio::awaitable<Result<PublishResult>> publish_from(core::UniqueFd file, node::Placements& by,
                                                    PublishRequest request) {
    request.fd = file.get();
    ProgressFn untold;
    co_return co_await by.publish(std::move(request), std::move(untold));
}
}  // namespace

Result<PublishResult> Swarm::publish(std::size_t number, const Bytes& content,
                                     PublishRequest request) {
    auto& placements = engine(number).placements();
    return finish(number, publish_from(file_of(content), placements, std::move(request)));
}

void Swarm::begin_to_publish(std::size_t number, const Bytes& content, PublishRequest request,
                             std::optional<Result<PublishResult>>* result) {
    auto& placements = engine(number).placements();
    net::spawn(*nodes_[number]->runtime,
               run_into(result, publish_from(file_of(content), placements, std::move(request))));
}

Result<Duration> Swarm::first_byte(std::size_t number, const RootHash& root) {
    const auto began = world_.now();
    const auto first = std::make_shared<std::optional<TimePoint>>();
    StreamRequest request;
    request.link.root = root;
    SinkFn sink = [first, &world = world_](ByteView, std::function<void(bool)> next) {
        if (!*first) *first = world.now();
        next(true);
    };
    auto& fetcher = engine(number).fetcher();
    const auto outcome =
        finish(number, fetcher.stream(std::move(request), {}, std::move(sink), {}));
    if (!outcome) return fail(outcome.error());
    FLOW29_ASSERT(first->has_value());
    return **first - began;
}

Result<Bytes> Swarm::fetch(std::size_t number, const RootHash& root,
                           std::optional<ByteRange> range) {
    const auto bytes = std::make_shared<Bytes>();
    StreamRequest request;
    request.link.root = root;
    request.range = range;
    SinkFn sink = [bytes](ByteView more, std::function<void(bool)> next) {
        bytes->insert(bytes->end(), more.begin(), more.end());
        next(true);
    };
    auto& fetcher = engine(number).fetcher();
    const auto outcome =
        finish(number, fetcher.stream(std::move(request), {}, std::move(sink), {}));
    if (!outcome) return fail(outcome.error());
    return std::move(*bytes);
}

void Swarm::limit_repair(ByteCount bytes_per_second) {
    for (std::size_t number = 0; number < nodes_.size(); ++number)
        if (up(number)) {
            const auto set = finish(
                number,
                nodes_[number]->engine->limit({.up = {}, .down = {}, .repair = bytes_per_second}));
            FLOW29_ASSERT(set.has_value());
        }
}

Result<Withdrawal> Swarm::withdraw(std::size_t number, const RootHash& root) {
    return finish(number, engine(number).withdraw(root, {}));
}

namespace {
asio::awaitable<Result<net::Reply>> ask_at(SimTransport* transport, core::Endpoint endpoint,
                                           proto::Message message) {
    const auto peer = co_await transport->connect(endpoint, std::nullopt, std::nullopt);
    if (!peer) co_return fail(peer.error());
    co_return co_await (*peer)->request(std::move(message), Swarm::operation_timeout);
}
asio::awaitable<bool> tell_at(net::Transport* transport, core::Endpoint where,
                              proto::Message notification) {
    auto peer = co_await transport->connect(where, std::nullopt, std::nullopt);
    if (peer) (*peer)->notify(std::move(notification));
    co_return peer.has_value();
}

}  // namespace

void Swarm::tell(std::size_t from, std::size_t to, proto::Message notification) {
    const bool told = finish(from, tell_at(nodes_[from]->transport.get(), nodes_[to]->endpoint,
                                           std::move(notification)));
    FLOW29_ASSERT(told);
    world_.run_for(std::chrono::seconds(1));
}

Result<net::Reply> Swarm::ask(std::size_t from, std::size_t to, proto::Message request) {
    return finish(from,
                  ask_at(nodes_[from]->transport.get(), nodes_[to]->endpoint, std::move(request)));
}

void Swarm::begin_to_ask(std::size_t from, std::size_t to, proto::Message request,
                         std::optional<Result<net::Reply>>* reply) {
    net::spawn(*nodes_[from]->runtime,
               run_into(reply, ask_at(nodes_[from]->transport.get(), nodes_[to]->endpoint,
                                      std::move(request))));
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
    auto& store = nodes_[number]->disk->store;
    std::vector<ExtentHash> lost;
    std::size_t held = 0;
    for (const auto& extent : descriptor.extents) {
        if (!store.has_extent(extent) || held++ % one_in != 0) continue;
        store.lose(extent, claims);
        lost.push_back(extent);
    }
    return lost;
}

Result<Verification> Swarm::verify(std::size_t number, std::optional<RootHash> root) {
    VerifyRequest request;
    request.root = root;
    return finish(number, engine(number).verifier().verify(std::move(request), {}));
}

Result<Departure> Swarm::leave(std::size_t number, bool force) {
    LeaveRequest request;
    request.force = force;
    return finish(number, engine(number).placements().leave(std::move(request), {}));
}

Status Swarm::status(std::size_t number) {
    return finish(number, engine(number).status());
}

std::vector<ObjectEntry> Swarm::objects(std::size_t number) {
    return finish(number, engine(number).reporter().objects());
}

std::vector<Holder> Swarm::locate(std::size_t number, const proto::ItemId& item) {
    auto hash = to_hex(item.extent());
    auto located = finish(
        number, engine(number).locator().locate(std::move(hash), std::nullopt, survey_timeout, {}));
    return located ? std::move(located->holders) : std::vector<Holder>();
}

Result<Health> Swarm::health(std::size_t number, const RootHash& root) {
    Link link;
    link.root = root;
    return finish(number, engine(number).survey().health(std::move(link), survey_timeout, {}));
}

Result<Health> Swarm::repair(std::size_t number, const RootHash& root) {
    Link link;
    link.root = root;
    return finish(number, engine(number).placements().repair(std::move(link), survey_timeout, {}));
}

std::vector<std::size_t> Swarm::holders(const proto::ItemId& item) const {
    std::vector<std::size_t> holders;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (!up(i)) continue;
        const bool has = item.kind == proto::ItemId::Kind::descriptor
                             ? store(i).descriptor(item.root()).has_value()
                             : store(i).has_extent(item.extent());
        if (has) holders.push_back(i);
    }
    return holders;
}

unsigned Swarm::copies(const RootHash& root, const core::Descriptor& descriptor,
                       std::optional<std::size_t> besides) const {
    std::vector<proto::ItemId> items{proto::ItemId::of(root)};
    for (const auto& extent : descriptor.extents)
        items.push_back(proto::ItemId::of(extent));
    auto least = nodes_.size();
    for (const auto& item : items) {
        auto holding = holders(item);
        if (besides) std::erase(holding, *besides);
        least = std::min(least, holding.size());
    }
    return static_cast<unsigned>(least);
}

Bytes random_content(std::uint64_t seed, std::size_t size) {
    std::mt19937_64 random(seed);
    Bytes content(size);
    for (auto& octet : content)
        octet = static_cast<std::uint8_t>(random());
    return content;
}

}  // namespace flow29::sim
