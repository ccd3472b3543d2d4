// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_transport.hpp"

#include <flow29/limits.hpp>

#include "core/log.hpp"
#include "net/reply_room.hpp"
#include "net/sockets.hpp"
#include "net/tls_peer.hpp"
#include "net/tls_stream.hpp"
#include "proto/arrival_rules.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace flow29::net {
namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr auto as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
constexpr Duration accept_pause = 100ms;

/// Runs an action at a time unless it goes out of scope before.
class Deadline {
  public:
    Deadline(Runtime& runtime, TimePoint when, std::function<void()> action)
        : runtime_(runtime), passed_(std::make_shared<bool>(false)) {
        timer_ = runtime.add_timer(when, [passed = passed_, action = std::move(action)] {
            *passed = true;
            action();
        });
    }
    Deadline(const Deadline&) = delete;
    ~Deadline() { runtime_.cancel_timer(timer_); }

    [[nodiscard]] bool passed() const { return *passed_; }

  private:
    Runtime& runtime_;  // outlives the coroutine that this is a local of
    std::shared_ptr<bool> passed_;
    Runtime::TimerId timer_ = 0;
};

}  // namespace

/// What the coroutines share; it outlives the transport by as much as they need to notice.
class TlsTransport::State final : public TlsPeerOwner, public std::enable_shared_from_this<State> {
  public:
    State(Runtime& runtime, std::shared_ptr<const TlsCredentials> credentials, core::Line* line)
        : runtime_(runtime),
          credentials_(std::move(credentials)),
          up_(runtime, line != nullptr ? line->up : unlimited_.up),
          down_(runtime, line != nullptr ? line->down : unlimited_.down),
          dial_ended_(runtime),
          room_(runtime, [this] { return std::vector(peers_.begin(), peers_.end()); }) {}

    void listen(std::vector<tcp::acceptor> acceptors);
    void bind_source() { bind_source_ = true; }
    void close_to_strangers(const core::SwarmKey& key) {
        gate_ = std::make_shared<SwarmGate>(key, runtime_);
    }
    [[nodiscard]] const std::vector<core::Endpoint>& listening() const { return listening_; }

    void start(PeerHandler& handler);
    void stop();
    /// Nothing calls the handler from now on.
    void forget_handler() { handler_ = nullptr; }

    [[nodiscard]] PeerHandler* handler() override { return handler_; }
    [[nodiscard]] Throttle& up() override { return up_; }
    [[nodiscard]] Throttle& down() override { return down_; }
    [[nodiscard]] const proto::ReplyBudget& budget() override { return room_.budget(); }
    void on_owed(const TlsPeer& peer, ByteCount before, ByteCount now) override {
        room_.on_owed(peer, before, now);
    }
    void wait_for_room(const std::shared_ptr<TlsPeer>& peer) override { room_.wait(peer); }
    void on_closed(const std::shared_ptr<TlsPeer>& peer, const Error& reason) override;

    [[nodiscard]] static asio::awaitable<Result<PeerPtr>> connect(std::shared_ptr<State> self,
                                                                  core::Endpoint endpoint,
                                                                  TlsTerms terms,
                                                                  OpeningPtr opening);

  private:
    /// A handshake that somebody else began.
    struct Welcome {
        std::weak_ptr<TlsStream> stream;
        core::AddressGroup group;
    };
    struct DialSlot {
        State& state;  // held by the coroutine that this is a local of
        explicit DialSlot(State& s) : state(s) { ++state.dials_; }
        DialSlot(const DialSlot&) = delete;
        ~DialSlot() {
            --state.dials_;
            state.dial_ended_.notify_all();
        }
    };

    [[nodiscard]] static asio::awaitable<void> accept_loop(std::shared_ptr<State> self,
                                                           std::size_t acceptor);
    [[nodiscard]] static asio::awaitable<void> welcome(std::shared_ptr<State> self,
                                                       std::shared_ptr<TlsStream> stream,
                                                       core::Endpoint remote);
    [[nodiscard]] static asio::awaitable<Result<std::shared_ptr<TlsPeer>>> establish(
        std::shared_ptr<State> self, std::shared_ptr<TlsStream> stream, core::Endpoint remote,
        bool dialled, OpeningPtr opening);
    [[nodiscard]] static asio::awaitable<Result<tcp::socket>> dial(std::shared_ptr<State> self,
                                                                   core::Endpoint endpoint);
    void on_accepted(tcp::socket socket);
    [[nodiscard]] std::uint64_t welcome_to_displace() const;
    [[nodiscard]] Result<void> admit(const std::shared_ptr<TlsPeer>& peer, std::uint64_t told);
    [[nodiscard]] std::optional<core::Endpoint> source_for(const core::Endpoint& target) const;
    [[nodiscard]] proto::Hello hello_to(const core::Endpoint& remote);

    Runtime& runtime_;  // outlives this
    std::shared_ptr<const TlsCredentials> credentials_;
    core::Line unlimited_;
    Throttle up_;
    Throttle down_;
    PeerHandler* handler_ = nullptr;  // outlives the transport, which ends by forgetting it
    std::vector<tcp::acceptor> acceptors_;
    std::vector<core::Endpoint> listening_;
    bool bind_source_ = false;
    std::shared_ptr<SwarmGate> gate_;  // of a private swarm
    bool stopped_ = false;
    std::set<std::shared_ptr<TlsPeer>> peers_;
    std::uint64_t last_welcome_ = 0;
    std::map<std::uint64_t, Welcome> welcomes_;  // oldest first
    proto::ArrivalRules arrivals_;
    unsigned dials_ = 0;
    Signal dial_ended_;
    ReplyRoom room_;
};

void TlsTransport::State::listen(std::vector<tcp::acceptor> acceptors) {
    acceptors_ = std::move(acceptors);
    for (const tcp::acceptor& acceptor : acceptors_)
        listening_.push_back(from_asio(acceptor.local_endpoint()));
}

void TlsTransport::State::start(PeerHandler& handler) {
    handler_ = &handler;
    for (std::size_t i = 0; i < acceptors_.size(); ++i)
        spawn(runtime_, accept_loop(shared_from_this(), i));
}

void TlsTransport::State::stop() {
    if (std::exchange(stopped_, true)) return;
    for (tcp::acceptor& acceptor : acceptors_) {
        std::error_code ignored;
        acceptor.close(ignored);
    }
    const auto welcomes = std::exchange(welcomes_, {});
    for (const auto& [number, welcome] : welcomes) {
        if (const auto stream = welcome.stream.lock()) stream->close();
    }
    const auto peers = peers_;
    for (const auto& peer : peers)
        peer->close({Errc::peer_unreachable, "this node has stopped"});
    dial_ended_.notify_all();
}

void TlsTransport::State::on_closed(const std::shared_ptr<TlsPeer>& peer, const Error& reason) {
    // One that was never admitted, nobody has heard of.
    if (peers_.erase(peer) == 0) return;
    asio::post(runtime_.executor(), [self = shared_from_this(), peer, reason] {
        if (self->handler_ != nullptr) self->handler_->on_peer_closed(peer, reason);
    });
}

asio::awaitable<void> TlsTransport::State::accept_loop(std::shared_ptr<State> self,
                                                       std::size_t acceptor) {
    bool complained = false;
    while (!self->stopped_) {
        auto accepted = co_await self->acceptors_[acceptor].async_accept(as_tuple);
        auto& [ec, socket] = accepted;
        if (self->stopped_) break;
        if (!ec) {
            complained = false;
            self->on_accepted(std::move(socket));
        } else {
            // Out of descriptors, the connection stays in the queue: the next accept fails at once.
            if (!std::exchange(complained, true))
                core::log::warn("net", "cannot accept connections: {}", ec.message());
            co_await sleep_for(self->runtime_, accept_pause);
        }
    }
}

void TlsTransport::State::on_accepted(tcp::socket socket) {
    std::error_code ec;
    const tcp::endpoint remote = socket.remote_endpoint(ec);
    if (ec || !arrivals_.may_come(from_asio(remote).group(), runtime_.now())) return;
    if (peers_.size() >= limits::peers_max || !prepare_connected(socket)) return;
    if (welcomes_.size() >= limits::handshakes_max) {
        const auto displaced = welcomes_.extract(welcome_to_displace());
        if (const auto stream = displaced.mapped().stream.lock()) stream->close();
    }
    const tcp::endpoint local = socket.local_endpoint(ec);
    if (ec) return;
    TlsTerms terms{.role = TlsStream::Role::server};
    terms.gate = gate_;
    terms.at = from_asio(local);
    auto stream = std::make_shared<TlsStream>(std::move(socket), credentials_, terms);
    spawn(runtime_, welcome(shared_from_this(), std::move(stream), from_asio(remote)));
}

/// The oldest handshake of the address group that has most of them.
std::uint64_t TlsTransport::State::welcome_to_displace() const {
    std::map<core::AddressGroup, std::size_t> by_group;
    for (const auto& [number, welcome] : welcomes_)
        ++by_group[welcome.group];
    const auto crowd =
        std::ranges::max_element(by_group, {}, [](const auto& group) { return group.second; });
    const auto oldest = std::ranges::find_if(
        welcomes_, [&](const auto& entry) { return entry.second.group == crowd->first; });
    return oldest->first;
}

asio::awaitable<void> TlsTransport::State::welcome(std::shared_ptr<State> self,
                                                   std::shared_ptr<TlsStream> stream,
                                                   core::Endpoint remote) {
    const std::uint64_t number = ++self->last_welcome_;
    self->welcomes_.emplace(number, Welcome{stream, remote.group()});
    auto peer = co_await establish(self, std::move(stream), remote, false, nullptr);
    self->welcomes_.erase(number);
    if (!peer)
        core::log::debug("net", "a connection from {} came to nothing: {}", remote.to_string(),
                         peer.error().message());
}

asio::awaitable<Result<std::shared_ptr<TlsPeer>>> TlsTransport::State::establish(
    std::shared_ptr<State> self, std::shared_ptr<TlsStream> stream, core::Endpoint remote,
    bool dialled, OpeningPtr opening) {
    const TimePoint until = self->runtime_.now() + limits::handshake_timeout;
    const Deadline deadline(self->runtime_, until, [weak = std::weak_ptr(stream)] {
        if (const auto late = weak.lock()) late->close();
    });
    const auto late = [] { return fail(Errc::timed_out, "the handshake took too long"); };
    auto key = co_await stream->handshake();
    if (deadline.passed()) co_return late();
    if (!key) {
        stream->close();
        co_return fail(std::move(key.error()));
    }
    if (self->stopped_ || self->handler_ == nullptr)
        co_return fail(Errc::peer_unreachable, "this node has stopped");
    TlsPeer::Options options;
    options.owner = self;
    options.stream = std::move(stream);
    options.key = *key;
    options.remote = remote;
    options.dialled = dialled;
    auto peer = std::make_shared<TlsPeer>(self->runtime_, std::move(options));
    proto::Hello hello = self->hello_to(remote);
    const std::uint64_t told = hello.record.sequence;
    auto greeted = co_await TlsPeer::greet(peer, std::move(hello), std::move(opening));
    Result<void> admitted = greeted;
    if (deadline.passed()) admitted = late();
    if (admitted) admitted = self->admit(peer, told);
    if (!admitted) {
        peer->close(admitted.error());
        co_return fail(std::move(admitted.error()));
    }
    co_return peer;
}

/// `told`: the sequence of the record that this node's hello carried.
Result<void> TlsTransport::State::admit(const std::shared_ptr<TlsPeer>& peer, std::uint64_t told) {
    if (stopped_ || handler_ == nullptr)
        return fail(Errc::peer_unreachable, "this node has stopped");
    if (peers_.size() >= limits::peers_max)
        return fail(Errc::peer_busy, "this node has too many connections");
    if (!peer->open()) return fail(Errc::peer_unreachable, "the connection is closed");
    peers_.insert(peer);
    handler_->on_peer(peer);
    if (handler_ != nullptr) handler_->on_observed_address(peer, peer->observed());
    peer->start();
    if (handler_ == nullptr) return {};
    // What changed during the handshake went to those who were connected by then.
    proto::NodeRecord record = handler_->local_record();
    if (record.sequence > told) peer->notify(proto::UpdateRecord{std::move(record)});
    return {};
}

proto::Hello TlsTransport::State::hello_to(const core::Endpoint& remote) {
    proto::Hello hello;
    hello.record = handler_->local_record();
    hello.observed = remote;
    hello.unix_ms = to_unix_ms(runtime_.wall_now());
    hello.agent = "flow29/" FLOW29_VERSION;
    return hello;
}

std::optional<core::Endpoint> TlsTransport::State::source_for(const core::Endpoint& target) const {
    if (!bind_source_) return std::nullopt;
    for (const core::Endpoint& endpoint : listening_) {
        if (endpoint.is_v4() == target.is_v4()) return endpoint;
    }
    return std::nullopt;
}

asio::awaitable<Result<tcp::socket>> TlsTransport::State::dial(std::shared_ptr<State> self,
                                                               core::Endpoint endpoint) {
    auto opened = dialling_socket(self->runtime_.executor(), endpoint, self->source_for(endpoint));
    if (!opened) co_return fail(std::move(opened.error()));
    const auto socket = std::make_shared<tcp::socket>(std::move(*opened));
    const TimePoint until = self->runtime_.now() + limits::connect_timeout;
    const Deadline deadline(self->runtime_, until, [weak = std::weak_ptr(socket)] {
        std::error_code ignored;
        if (const auto late = weak.lock()) late->close(ignored);
    });
    const tcp::endpoint target = to_asio(endpoint);
    auto connected = co_await socket->async_connect(target, as_tuple);
    const std::error_code ec = std::get<0>(connected);
    if (deadline.passed())
        co_return fail(Errc::timed_out, "no answer from " + endpoint.to_string());
    if (ec) co_return fail(Errc::peer_unreachable, endpoint.to_string() + ": " + ec.message());
    if (!prepare_connected(*socket))
        co_return fail(Errc::peer_unreachable, endpoint.to_string() + ": connection lost");
    co_return std::move(*socket);
}

asio::awaitable<Result<PeerPtr>> TlsTransport::State::connect(std::shared_ptr<State> self,
                                                              core::Endpoint endpoint,
                                                              TlsTerms terms, OpeningPtr opening) {
    if (self->handler_ == nullptr) co_return fail(Errc::refused, "the transport is not started");
    if (endpoint.is_unspecified())
        co_return fail(Errc::peer_unreachable, endpoint.to_string() + " cannot be dialled");
    if (terms.expected && *terms.expected == self->credentials_->own_id())
        co_return fail(Errc::refused, "this is this very node");
    const TimePoint until = self->runtime_.now() + limits::handshake_timeout;
    while (!self->stopped_ && self->dials_ >= limits::handshakes_max) {
        const bool told = co_await self->dial_ended_.wait_until(until);
        if (!told) co_return fail(Errc::timed_out, "too many other dials are under way");
    }
    if (self->stopped_) co_return fail(Errc::peer_unreachable, "this node has stopped");
    if (self->peers_.size() >= limits::peers_max)
        co_return fail(Errc::peer_busy, "this node has too many connections");
    const DialSlot slot(*self);
    auto socket = co_await dial(self, endpoint);
    if (!socket) co_return fail(std::move(socket.error()));
    terms.gate = self->gate_;
    terms.at = endpoint;
    auto stream = std::make_shared<TlsStream>(std::move(*socket), self->credentials_, terms);
    auto peer = co_await establish(self, std::move(stream), endpoint, true, std::move(opening));
    if (!peer) co_return fail(std::move(peer.error()));
    co_return PeerPtr(std::move(*peer));
}

TlsTransport::TlsTransport(std::shared_ptr<State> state) : state_(std::move(state)) {}

TlsTransport::~TlsTransport() {
    state_->stop();
    state_->forget_handler();
}

Result<std::unique_ptr<TlsTransport>> TlsTransport::create(Runtime& runtime,
                                                           const core::Identity& identity,
                                                           Options options) {
    auto credentials = TlsCredentials::create(identity);
    if (!credentials) return fail(std::move(credentials.error()));
    auto acceptors = listen_on(runtime.executor(), std::move(options.listen));
    if (!acceptors) return fail(std::move(acceptors.error()));
    auto state = std::make_shared<State>(runtime, std::move(*credentials), options.line);
    state->listen(std::move(*acceptors));
    if (options.bind_source) state->bind_source();
    if (options.swarm_key) state->close_to_strangers(*options.swarm_key);
    // A constructor that only this class may call.
    return std::unique_ptr<TlsTransport>(new TlsTransport(std::move(state)));
}

const std::vector<core::Endpoint>& TlsTransport::listening() const {
    return state_->listening();
}

void TlsTransport::start(PeerHandler& handler) {
    state_->start(handler);
}

asio::awaitable<Result<PeerPtr>> TlsTransport::connect(core::Endpoint endpoint,
                                                       std::optional<NodeId> expected,
                                                       std::optional<DhtKey> position,
                                                       OpeningPtr opening) {
    TlsTerms terms;
    terms.expected = expected;
    terms.position = position;
    auto peer = co_await State::connect(state_, endpoint, terms, std::move(opening));
    co_return peer;
}

void TlsTransport::stop() {
    state_->stop();
}

}  // namespace flow29::net
