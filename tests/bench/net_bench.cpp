// SPDX-License-Identifier: GPL-3.0-or-later
// What moving bytes between two nodes costs, both ends and hashing excluded: 1 GiB of 1 MiB ranges
// over loopback, both transports on one thread.
#include "core/identity.hpp"
#include "core/layout.hpp"
#include "net/asio_runtime.hpp"
#include "net/tls_transport.hpp"

#include <malloc.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace flow29::net {
namespace {

constexpr std::uint64_t range_bytes = 1024 * 1024;
constexpr unsigned requests_at_once = 8;

class Server final : public PeerHandler {
  public:
    explicit Server(Runtime& runtime) : runtime_(runtime), identity_(*core::Identity::generate()) {
        transport =
            *TlsTransport::create(runtime, identity_, {{*core::Endpoint::parse("127.0.0.1:0")}});
        transport->start(*this);
    }

    proto::NodeRecord local_record() override {
        proto::NodeRecord record;
        record.expires = runtime_.wall_now() + std::chrono::hours(1);
        record.sign(identity_);
        return record;
    }
    void on_peer(PeerPtr) override {}
    void on_peer_closed(PeerPtr, Error) override {}
    void on_notification(PeerPtr, proto::Message) override {}
    void on_observed_address(const PeerPtr&, const core::Endpoint&) override {}
    asio::awaitable<Result<Reply>> on_request(PeerPtr, proto::Message) override {
        Reply reply{proto::RangeReply{}, core::Buffer(range_bytes)};
        // Touched, as a disk read would.
        for (std::size_t i = 0; i < range_bytes; i += 4096)
            reply.body.data()[i] = 1;
        co_return reply;
    }

    std::unique_ptr<TlsTransport> transport;

  private:
    Runtime& runtime_;  // outlives this
    core::Identity identity_;
};

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

asio::awaitable<void> pull(PeerPtr peer, unsigned& left, unsigned& running) {
    while (left > 0) {
        --left;
        proto::GetRange get;
        get.extent_length = ByteCount(range_bytes);
        get.chunks.last = ChunkIndex(core::chunks_in(get.extent_length).value);
        proto::Message message = get;
        auto reply = co_await peer->request(std::move(message), std::chrono::seconds(20));
        if (!reply || reply->body.size() != range_bytes) std::abort();
    }
    --running;
}

asio::awaitable<void> measure(AsioRuntime& runtime, Server& server, Server& client,
                              unsigned ranges) {
    const core::Endpoint endpoint = server.transport->listening().front();
    auto peer = co_await client.transport->connect(endpoint, std::nullopt, std::nullopt);
    if (!peer) std::abort();
    const double cpu = cpu_seconds();
    const TimePoint start = runtime.now();
    unsigned left = ranges;
    unsigned running = requests_at_once;
    for (unsigned i = 0; i < requests_at_once; ++i)
        spawn(runtime, pull(*peer, left, running));
    while (running > 0)
        co_await sleep_for(runtime, std::chrono::milliseconds(1));
    const double gib = static_cast<double>(ranges) / 1024;
    const std::chrono::duration<double> wall = runtime.now() - start;
    std::printf("%.2f GiB: %.3f CPU-s per GiB, %.3f s per GiB\n", gib, (cpu_seconds() - cpu) / gib,
                wall.count() / gib);
    runtime.stop();
}

}  // namespace
}  // namespace flow29::net

int main(int argc, char** argv) {
    using namespace flow29::net;
    // As the node does: blocks of 1 MiB come and go, and each return to the system is paid for in
    // page faults, 0.2 CPU-s per GiB.
    mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 128 * 1024 * 1024);
    const auto ranges = static_cast<unsigned>(argc > 1 ? std::atoi(argv[1]) : 1024);
    AsioRuntime runtime;
    Server server(runtime);
    Server client(runtime);
    spawn(runtime, measure(runtime, server, client, ranges));
    runtime.run();
}
