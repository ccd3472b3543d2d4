// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/asio_socket.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/ip/udp.hpp>
#include <asio/ip/v6_only.hpp>

#include <flow29/limits.hpp>

#include "core/clock.hpp"
#include "core/link_local.hpp"
#include "core/seal.hpp"
#include "dht/arrival.hpp"
#include "dht/id_proofs.hpp"
#include "dht/return_paths.hpp"

namespace flow29::dht {
namespace {

using asio::ip::udp;

constexpr int receive_buffer_bytes = 4 * 1024 * 1024;
// Datagrams taken before other work gets its turn.
constexpr int datagrams_per_turn = 64;
constexpr std::size_t position_bytes = 20;
constexpr std::string_view datagram_purpose = "datagram";

udp::endpoint to_asio(const core::Endpoint& endpoint) {
    if (!endpoint.is_v4()) {
        const auto bare = core::with_zone(endpoint, 0).address;
        return {asio::ip::address_v6(bare, core::zone_of(endpoint)), endpoint.port};
    }
    asio::ip::address_v4::bytes_type octets{};
    std::ranges::copy(std::span(endpoint.address).last<4>(), octets.begin());
    return {asio::ip::address_v4(octets), endpoint.port};
}

core::Endpoint from_asio(const udp::endpoint& endpoint) {
    const auto address = endpoint.address();
    core::Endpoint result;
    if (address.is_v4())
        result.address = asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes();
    else
        result.address = address.to_v6().to_bytes();
    result.port = endpoint.port();
    if (address.is_v4()) return result;
    return core::with_zone(result, static_cast<std::uint32_t>(address.to_v6().scope_id()));
}

bool is_question(const GuardedDatagram& facts) {
    return facts.kind != DatagramKind::reply && facts.kind != DatagramKind::error;
}

std::array<std::uint8_t, 32> random_secret() {
    std::array<std::uint8_t, 32> secret{};
    core::random_bytes(secret);
    return secret;
}

/// What a private swarm's socket seals and opens with.
struct Envelope {
    core::Sealer sealer;
    core::Opener opener;
    Bytes sealed{};
    Bytes opened{};
};

}  // namespace

struct AsioSocket::State : std::enable_shared_from_this<State> {
    State(asio::io_context& io, const Options& o, TrafficCounters& c)
        : options(o), counters(c), socket(io), proofs(o.identity), paths(random_secret()) {
        if (!options.swarm_key) return;
        // A client's port is new each time, so nothing can have been recorded on its way to it.
        const auto since =
            options.identity == nullptr ? std::nullopt : std::optional(core::wall_now());
        envelope.emplace(core::Sealer(*options.swarm_key, datagram_purpose),
                         core::Opener(*options.swarm_key, datagram_purpose, since));
    }

    std::error_code bind() {
        const udp::endpoint local = to_asio(options.bind);
        std::error_code ec;
        socket.open(local.protocol(), ec);
        if (!ec && !options.bind.is_v4()) socket.set_option(asio::ip::v6_only(true), ec);
        if (!ec) socket.bind(local, ec);
        if (!ec) socket.non_blocking(true, ec);
        // The kernel caps this at net.core.rmem_max; a smaller buffer loses packets in bursts only.
        std::error_code capped;
        socket.set_option(asio::socket_base::receive_buffer_size(receive_buffer_bytes), capped);
        if (!ec && !note_arrivals(socket.native_handle(), options.bind.is_v4()))
            return std::make_error_code(std::errc::not_supported);
        if (!ec) bound = from_asio(socket.local_endpoint(ec));
        return ec;
    }

    void wait() {
        socket.async_wait(udp::socket::wait_read,
                          [weak = weak_from_this()](const std::error_code& ec) {
                              const auto self = weak.lock();
                              if (ec || !self || !self->socket.is_open()) return;
                              self->receive_some();
                          });
    }

    void receive_some() {
        for (int i = 0; i < datagrams_per_turn && socket.is_open(); ++i) {
            // An ICMP error for something sent earlier shows up here as well, and ends the turn.
            const auto arrival = receive_arrival(socket.native_handle(), buffer, bound);
            if (!arrival) break;
            const auto datagram = std::span(buffer).first(arrival->octets);
            count(datagram.size());
            if (envelope)
                open(datagram, *arrival);
            else
                judge(datagram, *arrival);
        }
        if (drained) drained();
        if (socket.is_open()) wait();
    }

    void count(std::size_t octets) {
        ++counters.packets_down;
        counters.bytes_down += octets;
        // It is here already: others wait the longer for it.
        if (options.line != nullptr)
            options.line->down.charge(ByteCount(octets), core::monotonic_now());
    }

    /// What no member sealed goes no further: nothing of it was looked at, and nobody is answered.
    void open(std::span<std::uint8_t> datagram, const Arrival& arrival) {
        if (envelope->opener.open(datagram, arrival.at, core::wall_now(), envelope->opened))
            return judge(envelope->opened, arrival);
        ++counters.datagrams_foreign;
    }

    void judge(std::span<std::uint8_t> datagram, const Arrival& arrival) {
        const std::size_t octets = datagram.size();
        const auto path = take_path_field(datagram);
        const auto proof = take_proof(datagram);
        const auto facts = guard_datagram(datagram, options.network);
        if (!facts || !is_its_id(datagram, *facts, proof, arrival)) {
            ++counters.datagrams_dropped;
            return;
        }
        if (is_question(*facts))
            paths.on_question(arrival.from, path, octets, core::monotonic_now());
        else
            paths.on_answer(arrival.from, path, core::monotonic_now());
        receive(datagram, *facts, arrival.from);
    }

    /// What stands for OpenDHT's `datagram` on the wire, and 0; it is empty when nothing may be
    /// sent, or the errno value of what is wrong with it. Valid until the next call.
    int dress(ByteView& datagram, const core::Endpoint& to) {
        const auto facts = guard_datagram(datagram, options.network);
        const TimePoint now = core::monotonic_now();
        ByteView proof;
        if (options.identity == nullptr) {
            if (!flag_as_client(datagram, flagged)) return EINVAL;
            datagram = flagged;
        } else {
            proof = proofs.proof_for(to, now, core::wall_now());
        }
        if (facts && is_question(*facts)) return ask(*facts, datagram, proof, to, now);
        return answer(datagram, proof, to, now);
    }

    int ask(const GuardedDatagram& facts, ByteView& datagram, ByteView proof,
            const core::Endpoint& to, TimePoint now) {
        const std::size_t octets = datagram.size() + (proof.empty() ? 0 : proof_field_bytes);
        const auto path = paths.field_of_question(to, facts.kind, octets, now);
        if (!put_in_front(datagram, proof, path)) return EINVAL;
        if (!paths.may_ask(to, facts.kind, datagram.size(), now)) datagram = {};
        return 0;
    }

    int answer(ByteView& datagram, ByteView proof, const core::Endpoint& to, TimePoint now) {
        const ByteView bare = datagram;
        const auto path = paths.field_of_answer(to, now);
        if (!put_in_front(datagram, proof, path)) return EINVAL;
        if (paths.may_answer(to, datagram.size(), now)) return 0;
        // Who made no long question looks at no proofs either.
        datagram = !path && paths.may_answer(to, bare.size(), now) ? bare : ByteView();
        return 0;
    }

    bool put_in_front(ByteView& datagram, ByteView proof, const std::optional<PathField>& path) {
        if (!proof.empty()) {
            if (!add_proof(datagram, proof, proved)) return false;
            datagram = proved;
        }
        if (path) {
            if (!add_path_field(datagram, *path, outgoing)) return false;
            datagram = outgoing;
        }
        return true;
    }

    bool is_its_id(std::span<std::uint8_t> datagram, const GuardedDatagram& facts,
                   const std::optional<IdProofs::Proof>& proof, const Arrival& arrival) {
        const ClaimedId id{datagram.subspan(facts.id_offset, position_bytes), facts.from_client};
        return proofs.admit(id, proof ? ByteView(*proof) : ByteView(),
                            {arrival.from, arrival.at, core::monotonic_now(), core::wall_now()});
    }

    Options options;
    TrafficCounters& counters;  // owned by the index
    udp::socket socket;
    core::Endpoint bound;
    std::optional<Envelope> envelope;  // of a private swarm
    IdProofs proofs;
    ReturnPaths paths;
    Receive receive;
    std::function<void()> drained;
    Bytes flagged;
    Bytes proved;
    Bytes outgoing;
    // One octet more than is allowed, so that what was cut off is seen to be too long.
    std::array<std::uint8_t, limits::datagram_bytes_max + path_field_bytes + proof_field_bytes +
                                 core::seal_overhead + 1>
        buffer{};
};

AsioSocket::AsioSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}
AsioSocket::~AsioSocket() {
    close();
}

Result<std::unique_ptr<AsioSocket>> AsioSocket::open(asio::io_context& io, const Options& options,
                                                     TrafficCounters& counters) {
    auto state = std::make_shared<State>(io, options, counters);
    if (const std::error_code ec = state->bind())
        return fail(
            Errc::other,
            fmt::format("cannot listen on UDP {}: {}", options.bind.to_string(),
                        ec == asio::error::address_in_use ? "the port is in use" : ec.message()));
    return std::unique_ptr<AsioSocket>(new AsioSocket(std::move(state)));
}

void AsioSocket::start(Receive receive, std::function<void()> drained) {
    state_->receive = std::move(receive);
    state_->drained = std::move(drained);
    state_->wait();
}

int AsioSocket::send(ByteView datagram, const core::Endpoint& to) {
    State& state = *state_;
    if (!state.socket.is_open()) return EPIPE;
    if (to.is_v4() != state.options.bind.is_v4()) return EAFNOSUPPORT;
    if (const int wrong = state.dress(datagram, to); wrong != 0) return wrong;
    // Nobody waits for longer than for what is lost on the way.
    if (datagram.empty()) return 0;
    if (state.envelope) {
        state.envelope->sealer.seal(datagram, to, core::wall_now(), state.envelope->sealed);
        datagram = state.envelope->sealed;
    }
    if (state.options.line != nullptr &&
        !state.options.line->up.charge_at_once(ByteCount(datagram.size()), core::monotonic_now()))
        return 0;
    std::error_code ec;
    state.socket.send_to(asio::buffer(datagram.data(), datagram.size()), to_asio(to), 0, ec);
    if (ec == asio::error::would_block) return EAGAIN;
    if (ec) return ec.value();
    ++state.counters.packets_up;
    state.counters.bytes_up += datagram.size();
    return 0;
}

core::Endpoint AsioSocket::local_endpoint() const {
    std::error_code ec;
    return from_asio(state_->socket.local_endpoint(ec));
}

void AsioSocket::close() {
    std::error_code ignored;
    state_->socket.close(ignored);
}

}  // namespace flow29::dht
