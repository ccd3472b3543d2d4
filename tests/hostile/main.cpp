// SPDX-License-Identifier: GPL-3.0-or-later
#include <CLI/CLI.hpp>

#include <flow29/config.hpp>

#include "dht/opendht_index.hpp"
#include "hostile/hostile_transport.hpp"
#include "net/asio_runtime.hpp"
#include "net/resolve.hpp"
#include "net/tls_transport.hpp"
#include "node/engine.hpp"

#include <fmt/format.h>
#include <asio/signal_set.hpp>

#include <csignal>
#include <cstdio>
#include <map>

// A node that is hostile in one way: its own engine, store, TLS identity and DHT node are those of
// any other. It is ended by a signal and does not clean up.

namespace {

using namespace flow29;

struct Options {
    std::string behaviour;
    std::string listen = "127.0.0.1";
    std::uint16_t port = 0;
    std::vector<std::string> bootstrap;
    bool waits = false;
};

constexpr ByteCount capacity{50ULL << 30};  // as a node has that was told nothing

int complain(const Error& error) {
    fmt::print(stderr, "hostile_node: {}\n", error.message());
    return 1;
}

int run(const Options& options, hostile::Behaviour behaviour) {
    net::AsioRuntime runtime;
    const auto identity = core::Identity::generate();
    if (!identity) return complain(identity.error());
    auto at = core::Endpoint::parse(fmt::format("{}:{}", options.listen, options.port));
    if (!at) return complain(at.error());
    auto store = store::make_memory_store(capacity);

    const bool slow = behaviour == hostile::Behaviour::one_byte_a_second;
    auto inside = *at;
    if (slow) inside.port = 0;
    net::TlsTransport::Options listen;
    listen.listen = {inside};
    listen.bind_source = true;
    auto transport = net::TlsTransport::create(runtime, *identity, listen);
    if (!transport) return complain(transport.error());
    auto address = (*transport)->listening().front();
    hostile::Trickle trickle(runtime, address);
    if (slow) {
        const auto outside = trickle.listen(*at, address);
        if (!outside) return complain(outside.error());
        address = *outside;
    }

    dht::OpenDhtIndex::Options dht_options;
    dht_options.bind = {address};
    dht_options.identity = &*identity;
    dht_options.network = Config{}.network;
    auto index = dht::OpenDhtIndex::start(std::move(dht_options));
    if (!index) return complain(index.error());

    hostile::HostileTransport::Options hostile_options;
    hostile_options.behaviour = behaviour;
    hostile_options.address = address;
    if (slow) hostile_options.trickle = &trickle;
    hostile::HostileTransport hostile(runtime, *identity, **transport, hostile_options);

    node::Settings settings;
    settings.capacity = capacity;
    settings.addresses = {address};
    for (const auto& name : options.bootstrap) {
        const auto resolved = net::resolve(name);
        if (!resolved) return complain(resolved.error());
        settings.bootstrap.insert(settings.bootstrap.end(), resolved->begin(), resolved->end());
    }
    (*index)->bootstrap(settings.bootstrap);
    const node::Services services{runtime, hostile, **index, *store, *identity};
    node::Engine engine(services, std::move(settings));
    engine.start();
    asio::signal_set signals(runtime.context(), SIGUSR1);
    if (options.waits)
        signals.async_wait([&hostile](const std::error_code&, int) { hostile.begin(); });
    else
        hostile.begin();
    fmt::print("{{\"event\":\"ready\",\"node\":\"{}\",\"port\":{}}}\n", to_hex(identity->id()),
               address.port);
    std::fflush(stdout);
    runtime.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    std::map<std::string, hostile::Behaviour> names;
    for (const auto& [name, behaviour] : hostile::behaviours)
        names.emplace(name, behaviour);
    auto behaviour = hostile::Behaviour::wrong_byte;
    bool list = false;
    CLI::App app("A node that is hostile in one way, for tests.");
    app.add_flag("--list", list, "print the behaviours");
    app.add_option("--behaviour", behaviour, "in which")->transform(CLI::CheckedTransformer(names));
    app.add_option("--listen", options.listen, "address");
    app.add_option("--port", options.port, "of UDP and TCP; 0: any");
    app.add_option("--bootstrap", options.bootstrap, "HOST:PORT of a node")->take_all();
    app.add_flag("--wait", options.waits, "be honest until SIGUSR1");
    CLI11_PARSE(app, argc, argv);
    if (list) {
        for (const auto& [name, value] : hostile::behaviours)
            fmt::print("{}\n", name);
        return 0;
    }
    return run(options, behaviour);
}
