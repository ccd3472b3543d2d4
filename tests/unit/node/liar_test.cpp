// SPDX-License-Identifier: GPL-3.0-or-later
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "real_node.hpp"

// Real OpenDHT, real TLS, real sockets: only the store of one holder is a liar's.

using namespace flow29;
using namespace std::chrono_literals;

namespace {

/// Serves every range with one byte changed, under a proof that was right for the true bytes.
class LyingStore : public test::ForwardingStore {
  public:
    using ForwardingStore::ForwardingStore;

    std::atomic<unsigned> lies = 0;
    std::atomic<bool> lying = false;

    Result<store::ExtentSlice> read(const ExtentHash& extent, ChunkRange chunks) override {
        auto slice = ForwardingStore::read(extent, chunks);
        if (slice && lying) {
            slice->data.data()[slice->data.size() / 2] ^= 1;
            ++lies;
        }
        return slice;
    }
};

using RealNode = test::RealNode<LyingStore>;

Bytes some_content(std::size_t size) {
    Bytes content(size);
    std::uint32_t state = 1;
    for (auto& octet : content) {
        state = state * 1664525 + 1013904223;
        octet = static_cast<std::uint8_t>(state >> 24);
    }
    return content;
}

}  // namespace

TEST_CASE("a holder that serves one wrong byte is found out, and the file arrives right") {
    std::vector<std::unique_ptr<RealNode>> nodes;
    nodes.push_back(std::make_unique<RealNode>(1, std::vector<core::Endpoint>{}));
    const std::vector seed{nodes[0]->endpoint()};
    for (unsigned k = 2; k <= 6; ++k)
        nodes.push_back(std::make_unique<RealNode>(k, seed));
    while (nodes[0]->alive() < 5)
        std::this_thread::sleep_for(20ms);

    const auto content = some_content(6'000'000);
    const int fd = ::memfd_create("content", MFD_CLOEXEC);
    REQUIRE(::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    const auto published = nodes[0]->run<Result<PublishResult>>([fd](node::Engine& engine) {
        PublishRequest request;
        request.fd = fd;
        return engine.placements().publish(request, {});
    });
    ::close(fd);
    REQUIRE(published.has_value());
    CHECK(published->copies.min >= 4);

    // The publisher and one of the others lie from now on; a reader that had nothing fetches.
    nodes[0]->store().lying = true;
    nodes[1]->store().lying = true;
    auto reader = std::make_unique<RealNode>(7, seed);
    const auto received = std::make_shared<Bytes>();
    const auto fetched = reader->run<Result<FetchResult>>([&](node::Engine& engine) {
        StreamRequest request;
        request.link.root = published->root;
        SinkFn sink = [received](ByteView bytes, std::function<void(bool)> next) {
            received->insert(received->end(), bytes.begin(), bytes.end());
            next(true);
        };
        return engine.fetcher().stream(request, {}, sink, {});
    });
    REQUIRE(fetched.has_value());
    CHECK(*received == content);
    CHECK(nodes[0]->store().lies + nodes[1]->store().lies > 0);
    // Whoever lied is not talked to any more.
    const auto peers = reader->run<std::vector<NodeId>>([](node::Engine& engine) {
        return [](node::Engine* of) -> asio::awaitable<std::vector<NodeId>> {
            std::vector<NodeId> ids;
            for (const auto& peer : of->reporter().peers())
                if (peer.connected) ids.push_back(peer.node);
            co_return ids;
        }(&engine);
    });
    for (unsigned liar = 0; liar < 2; ++liar)
        if (nodes[liar]->store().lies > 0)
            CHECK(std::find(peers.begin(), peers.end(), nodes[liar]->id()) == peers.end());
}
