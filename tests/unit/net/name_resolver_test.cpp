// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/name_resolver.hpp"

#include <algorithm>
#include <future>
#include <memory>

#include <doctest/doctest.h>

#include "net/resolve.hpp"

using namespace flow29;
using net::NameResolver;

namespace {

NameResolver::Addresses one_address() {
    return std::vector{core::Endpoint::parse("192.0.2.1:2929").value()};
}

/// A resolver that says nothing of "silent:1" until it is let go, and knows "known:1".
struct SlowNameServer {
    std::promise<void> answer;
    std::shared_ptr<std::promise<void>> answered = std::make_shared<std::promise<void>>();

    NameResolver::ResolveFn resolve() {
        return [answered = answered, gate = answer.get_future().share()](
                   const std::string& name) -> NameResolver::Addresses {
            if (name == "known:1") return one_address();
            if (name != "silent:1") return fail(Errc::no_network, name + ": no such name");
            gate.wait();
            answered->set_value();
            return one_address();
        };
    }
    void let_go() {
        answer.set_value();
        answered->get_future().wait();
    }
};

/// What one look-up came to. A second answer would throw.
struct Outcome {
    std::promise<NameResolver::Addresses> told;

    NameResolver::DoneFn done() {
        return [this](NameResolver::Addresses addresses) { told.set_value(std::move(addresses)); };
    }
    NameResolver::Addresses wait() { return told.get_future().get(); }
};

}  // namespace

TEST_CASE("what became of a name is told, with its addresses or the reason") {
    SlowNameServer server;
    Outcome known;
    Outcome unknown;
    NameResolver resolver(server.resolve());
    resolver.look_up("known:1", known.done());
    resolver.look_up("unknown:1", unknown.done());
    CHECK(known.wait().value() == one_address().value());
    const auto failed = unknown.wait();
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Errc::no_network);
}

TEST_CASE("a name that is not answered keeps neither another one nor the end waiting") {
    SlowNameServer server;
    Outcome silent;
    Outcome known;
    {
        NameResolver resolver(server.resolve());
        resolver.look_up("silent:1", silent.done());
        resolver.look_up("known:1", known.done());
        CHECK(known.wait().has_value());
    }
    const auto broken_off = silent.wait();
    REQUIRE_FALSE(broken_off.has_value());
    CHECK(broken_off.error().code == Errc::interrupted);
    // It comes back to a resolver that has gone, and tells nobody a second time.
    server.let_go();
}

TEST_CASE("a resolver that was stopped looks nothing up") {
    SlowNameServer server;
    NameResolver resolver(server.resolve());
    resolver.stop();
    Outcome late;
    resolver.look_up("known:1", late.done());
    const auto refused = late.wait();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::interrupted);
}

TEST_CASE("what is no HOST:PORT is found without looking it up") {
    for (const char* const right : {"seed.example.org:2929", "192.0.2.1:1", "[2001:db8::1]:65535"})
        CHECK_MESSAGE(net::check_host_and_port(right).has_value(), right);
    for (const char* const wrong :
         {"", "seed.example.org", ":2929", "seed.example.org:", "seed.example.org:0",
          "seed.example.org:65536", "seed.example.org:29x", "seed.example.org:-1", "::1",
          "2001:db8::1:2929", "[2001:db8::1:2929"}) {
        const auto checked = net::check_host_and_port(wrong);
        REQUIRE_MESSAGE(!checked.has_value(), wrong);
        CHECK(checked.error().code == Errc::usage);
        CHECK(net::resolve(wrong).error().code == Errc::usage);
    }
}

TEST_CASE("the system's resolver gives all addresses of a name, each once") {
    const auto found = net::resolve("localhost:2929");
    REQUIRE(found.has_value());
    for (const auto& endpoint : *found) {
        CHECK(endpoint.is_loopback());
        CHECK(endpoint.port == 2929);
        CHECK(std::count(found->begin(), found->end(), endpoint) == 1);
    }
}
