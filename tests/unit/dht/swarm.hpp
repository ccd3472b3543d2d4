// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/clock.hpp"
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/identity.hpp"
#include "dht/opendht_index.hpp"
#include "dht/record_rules.hpp"

/// Real indexes on loopback sockets with ports that the system picks.
namespace flow29::dht::test {

using namespace std::chrono_literals;

inline constexpr std::uint32_t test_network = 0x29f10029;
// No test waits for time to pass: this only ends one that would hang.
inline constexpr auto patience = 20s;

inline core::Endpoint loopback(unsigned host, std::uint16_t port = 0) {
    core::Endpoint endpoint = core::Endpoint::parse("127.0.0.1:1").value();
    endpoint.address[14] = static_cast<std::uint8_t>(host >> 8);
    endpoint.address[15] = static_cast<std::uint8_t>(host);
    endpoint.port = port;
    return endpoint;
}

inline DhtKey key_of(const std::string& text) {
    const ByteView raw(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    return core::dht_key("test", raw);
}

/// An answer of the index, waited for on the calling thread.
template <class T>
class Answer {
  public:
    Answer() : promise_(std::make_shared<std::promise<T>>()), future_(promise_->get_future()) {}
    /// To be given to the index; a second call would throw.
    [[nodiscard]] std::function<void(T)> callback() const {
        return [promise = promise_](T value) { promise->set_value(std::move(value)); };
    }
    [[nodiscard]] T get() {
        REQUIRE(future_.wait_for(patience) == std::future_status::ready);
        return future_.get();
    }

  private:
    std::shared_ptr<std::promise<T>> promise_;
    std::future<T> future_;
};

/// One node: a key pair and an index.
struct Peer {
    explicit Peer(OpenDhtIndex::Options options)
        : identity(core::Identity::generate().value()), index(start(std::move(options))) {}

    std::unique_ptr<OpenDhtIndex> start(OpenDhtIndex::Options options) const {
        options.identity = &identity;
        options.network = test_network;
        auto started = OpenDhtIndex::start(std::move(options));
        REQUIRE_MESSAGE(started.has_value(), started.error().message());
        return std::move(*started);
    }

    [[nodiscard]] proto::ProviderRecord record(const DhtKey& key, std::uint64_t sequence = 1,
                                               WallTime expires = core::wall_now() + 1h) const {
        proto::ProviderRecord result;
        result.key = key;
        result.address = index->local_endpoint();
        result.sequence = sequence;
        result.expires = expires;
        result.sign(identity);
        return result;
    }

    bool announce(const proto::ProviderRecord& what) {
        Answer<bool> answer;
        index->announce(what, answer.callback());
        return answer.get();
    }
    Lookup find(const DhtKey& key) {
        Answer<Lookup> answer;
        index->find(key, answer.callback());
        return answer.get();
    }
    IndexStatus status() {
        Answer<IndexStatus> answer;
        index->status(answer.callback());
        return answer.get();
    }

    core::Identity identity;
    std::unique_ptr<OpenDhtIndex> index;
};

/// Waits until `reached` holds; polls because the network says nothing when it has settled.
template <class Condition>
bool eventually(Condition reached) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!reached()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

/// Storing nodes, each on an address of its own, all pointed at the first.
struct Swarm {
    explicit Swarm(unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            peers.push_back(
                std::make_unique<Peer>(OpenDhtIndex::Options{.bind = {loopback(1 + i)}}));
            if (i > 0) peers[i]->index->bootstrap({peers[0]->index->local_endpoint()});
        }
        REQUIRE(eventually([this] {
            return std::ranges::all_of(peers,
                                       [](const auto& peer) { return peer->status().connected; });
        }));
    }
    Peer& operator[](std::size_t i) { return *peers[i]; }

    std::vector<std::unique_ptr<Peer>> peers;
};

}  // namespace flow29::dht::test
