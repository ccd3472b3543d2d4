// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/identity.hpp"
#include "core/layout.hpp"
#include "net/asio_runtime.hpp"
#include "net/tls_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace flow29::net {

/// A node that answers ranges with octets that depend on their position, and keeps what it is told.
class EchoNode final : public PeerHandler {
  public:
    EchoNode(Runtime& runtime, const std::string& listen, bool bind_source = false,
             std::optional<core::SwarmKey> swarm_key = std::nullopt)
        : runtime_(runtime), identity_(*core::Identity::generate()) {
        TlsTransport::Options options;
        options.listen = {*core::Endpoint::parse(listen)};
        options.bind_source = bind_source;
        options.swarm_key = swarm_key;
        auto created = TlsTransport::create(runtime, identity_, std::move(options));
        REQUIRE(created);
        transport = std::move(*created);
        transport->start(*this);
    }

    [[nodiscard]] const core::Endpoint& endpoint() const { return transport->listening().front(); }
    [[nodiscard]] const core::Identity& identity() const { return identity_; }
    [[nodiscard]] NodeId id() const { return identity_.id(); }

    proto::NodeRecord local_record() override {
        proto::NodeRecord record;
        record.addresses = transport->listening();
        record.storing = true;
        if (says_something_new) ++record_sequence;
        record.sequence = record_sequence;
        record.expires = runtime_.wall_now() + record_lifetime;
        record.sign(record_signer == nullptr ? identity_ : *record_signer);
        return record;
    }
    void on_peer(PeerPtr peer) override { peers.push_back(std::move(peer)); }
    void on_peer_closed(PeerPtr, Error reason) override { closed.push_back(std::move(reason)); }
    void on_notification(PeerPtr, proto::Message message) override {
        notifications.push_back(std::move(message));
    }
    void on_observed_address(const PeerPtr&, const core::Endpoint& address) override {
        observed.push_back(address);
    }

    asio::awaitable<Result<Reply>> on_request(PeerPtr, proto::Message request) override {
        ++requests;
        if (std::holds_alternative<proto::GetClosest>(request)) {
            // Never answered.
            Signal never(runtime_);
            co_await never.wait();
        }
        if (std::holds_alternative<proto::GetDescriptor>(request))
            co_return fail(Errc::peer_lacks, "no such descriptor");
        if (const auto* const range = std::get_if<proto::GetRange>(&request)) {
            const auto bytes = core::bytes_of(range->chunks, range->extent_length);
            Reply reply{proto::RangeReply{}, core::Buffer(bytes.count().value)};
            for (std::size_t i = 0; i < reply.body.size(); ++i)
                reply.body.data()[i] = pattern(bytes.first.value + i);
            co_return reply;
        }
        Reply reply;
        reply.message = proto::LeaseReply{true};
        co_return reply;
    }

    [[nodiscard]] static std::uint8_t pattern(std::uint64_t position) {
        return static_cast<std::uint8_t>(position * 131 + (position >> 9));
    }

    std::unique_ptr<TlsTransport> transport;
    std::vector<PeerPtr> peers;
    std::vector<Error> closed;
    std::vector<proto::Message> notifications;
    std::vector<core::Endpoint> observed;
    std::size_t requests = 0;
    std::chrono::milliseconds record_lifetime = std::chrono::hours(1);
    std::uint64_t record_sequence = 1;
    bool says_something_new = false;                // of itself, each time
    const core::Identity* record_signer = nullptr;  // outlives this; nobody: the node itself

  private:
    Runtime& runtime_;  // outlives this
    core::Identity identity_;
};

/// Runs one coroutine to its end, with a bound in case it hangs.
class Stage {
  public:
    AsioRuntime runtime;

    void run(asio::awaitable<void> act) {
        runtime.add_timer(runtime.now() + std::chrono::seconds(60), [this] {
            FAIL_CHECK("the test hangs");
            runtime.stop();
        });
        spawn(runtime, perform(runtime, std::move(act)));
        runtime.run();
    }

  private:
    static asio::awaitable<void> perform(AsioRuntime& runtime, asio::awaitable<void> act) {
        co_await std::move(act);
        runtime.stop();
    }
};

/// Waits until the condition holds; the stage bounds how long.
inline asio::awaitable<void> until(Runtime& runtime, std::function<bool()> condition) {
    while (!condition())
        co_await sleep_for(runtime, std::chrono::milliseconds(1));
}

inline proto::GetRange whole_range(std::uint64_t bytes) {
    proto::GetRange get;
    get.extent_length = ByteCount(bytes);
    get.chunks.last = ChunkIndex(core::chunks_in(get.extent_length).value);
    return get;
}

}  // namespace flow29::net
