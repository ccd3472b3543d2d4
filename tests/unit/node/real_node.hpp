// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <asio/post.hpp>

#include "dht/opendht_index.hpp"
#include "net/asio_runtime.hpp"
#include "net/tls_transport.hpp"
#include "node/engine.hpp"
#include "support/forwarding_store.hpp"

namespace flow29::test {

/// A whole node on 127.0.k.1 with a store in memory: a ForwardingStore, or one made of it.
template <class Store>
class RealNode {
  public:
    /// `also`: where others get to it as well, on the same port; its record does not say so.
    explicit RealNode(unsigned k, std::vector<core::Endpoint> bootstrap = {},
                      const std::optional<std::string>& also = {})
        : identity_(*core::Identity::generate()),
          store_(store::make_memory_store(ByteCount(256ULL << 20))) {
        const auto host = "127.0." + std::to_string(k) + ".1:0";
        net::TlsTransport::Options listen{{*core::Endpoint::parse(host)}, true};
        if (also) listen.listen.push_back(*core::Endpoint::parse(*also + ":0"));
        transport_ = std::move(*net::TlsTransport::create(runtime_, identity_, listen));
        endpoint_ = transport_->listening().front();
        dht::OpenDhtIndex::Options options;
        options.bind = {endpoint_};
        options.identity = &identity_;
        options.network = 4711;
        index_ = std::move(*dht::OpenDhtIndex::start(options));
        index_->bootstrap(bootstrap);
        node::Settings settings;
        settings.capacity = ByteCount(256ULL << 20);
        settings.addresses = {endpoint_};
        settings.bootstrap = std::move(bootstrap);
        const node::Services services{runtime_, *transport_, *index_, store_, identity_};
        engine_ = std::make_unique<node::Engine>(services, settings);
        asio::post(runtime_.context(), [this] { engine_->start(); });
        thread_ = std::thread([this] { runtime_.run(); });
    }

    ~RealNode() {
        asio::post(runtime_.context(), [this] { net::spawn(runtime_, end()); });
        thread_.join();
    }

    [[nodiscard]] core::Endpoint endpoint() const { return endpoint_; }
    [[nodiscard]] Store& store() { return store_; }
    [[nodiscard]] const core::Identity& identity() const { return identity_; }
    [[nodiscard]] NodeId id() const { return identity_.id(); }

    /// Runs a coroutine of the engine on its thread and waits for the outcome.
    template <class T>
    T run(std::function<asio::awaitable<T>(node::Engine&)> operation) {
        std::promise<T> promise;
        auto future = promise.get_future();
        asio::post(runtime_.context(), [this, &operation, &promise] {
            net::spawn(runtime_, carry<T>(&operation, &promise));
        });
        return future.get();
    }
    std::size_t alive() {
        return run<std::size_t>([](node::Engine& engine) { return count(&engine); });
    }

  private:
    template <class T>
    asio::awaitable<void> carry(std::function<asio::awaitable<T>(node::Engine&)>* operation,
                                std::promise<T>* promise) {
        auto result = co_await (*operation)(*engine_);
        promise->set_value(std::move(result));
    }
    static asio::awaitable<std::size_t> count(node::Engine* engine) {
        co_return engine->table().alive();
    }
    asio::awaitable<void> end() {
        co_await engine_->stop();
        runtime_.stop();
    }

    net::AsioRuntime runtime_;
    core::Identity identity_;
    Store store_;
    core::Endpoint endpoint_;
    std::unique_ptr<net::TlsTransport> transport_;
    std::unique_ptr<dht::OpenDhtIndex> index_;
    std::unique_ptr<node::Engine> engine_;
    std::thread thread_;
};

}  // namespace flow29::test
