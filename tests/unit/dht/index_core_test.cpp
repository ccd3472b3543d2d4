// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/index_core.hpp"

#include <asio/io_context.hpp>

#include <flow29/limits.hpp>

#include "swarm.hpp"

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

namespace {

/// The core of an index, bound, whose thread does not run yet: what is begun waits.
struct Still {
    explicit Still(std::vector<Contact> saved = {}) {
        OpenDhtIndex::Options options;
        options.bind = {loopback(1)};
        options.identity = &identity;
        options.network = test_network;
        options.saved = std::move(saved);
        core.emplace(io, std::move(options));
        const auto opened = core->open();
        REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
    }

    core::Identity identity = core::Identity::generate().value();
    asio::io_context io;
    std::optional<IndexCore> core;
};

}  // namespace

TEST_CASE("so many operations wait for a first neighbour, one more fails at once") {
    Still still;
    still.core->bootstrap({loopback(99, 9)});
    std::size_t ended = 0;
    std::size_t good = 0;
    const auto begin = [&] {
        IndexCore::Operation operation{.key = key_of("x")};
        operation.done = [&](const RunnerOutcome& outcome) {
            ++ended;
            if (outcome.ok) ++good;
        };
        still.core->begin(std::move(operation));
    };
    for (std::size_t i = 0; i < limits::index_operations_max; ++i)
        begin();
    CHECK(ended == 0);
    begin();
    CHECK(ended == 1);
    still.core->shut_down();
    CHECK(ended == limits::index_operations_max + 1);
    CHECK(good == 0);
}

TEST_CASE("so many addresses are pinged to join, and the first of them are forgotten first") {
    std::vector<core::Endpoint> heard;
    std::vector<Contact> saved;
    for (unsigned i = 0; i <= limits::bootstrap_endpoints_max; ++i) {
        heard.push_back(loopback(100 + i, 9));
        saved.push_back({key_of(std::to_string(i)), loopback(300 + i, 9)});
    }
    Still still(saved);
    const auto& known = still.core->sides().front()->bootstrap_endpoints();
    CHECK(known.size() == limits::bootstrap_endpoints_max);
    still.core->bootstrap(heard);
    CHECK(known == std::vector(heard.begin() + 1, heard.end()));
    still.core->shut_down();
}
