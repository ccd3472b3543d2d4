// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>
#include <random>

#include "dht/id_proofs.hpp"
#include "dht/return_paths.hpp"
#include "mutate.hpp"
#include "stranger.hpp"

// A stranger who counts what comes back to an address that shows nothing of what it receives.

using namespace flow29;
using namespace flow29::dht;
using namespace flow29::dht::test;

namespace {

constexpr unsigned nodes = 16;
constexpr unsigned repeats = 40;

Bytes recorded_as(std::string_view name) {
    const auto* found = std::ranges::find(recorded, name, &Recorded::name);
    REQUIRE(found != std::end(recorded));
    return unhex(found->hex);
}

/// A recorded question with another key in place of its own, as short as OpenDHT writes it.
Bytes asking_for(std::string_view name, std::string_view field, const DhtKey& key) {
    Bytes question = recorded_as(name);
    Bytes marker{static_cast<std::uint8_t>(0xa0 | field.size())};
    marker.insert(marker.end(), field.begin(), field.end());
    marker.insert(marker.end(), {0xc4, 20});
    const auto found = std::ranges::search(question, marker);
    REQUIRE_FALSE(found.empty());
    std::ranges::copy(key.bytes, found.end());
    return question;
}

Bytes renamed(Bytes question, std::string_view from, std::string_view to) {
    Bytes marker{0xa1, 'q', static_cast<std::uint8_t>(0xa0 | from.size())};
    marker.insert(marker.end(), from.begin(), from.end());
    const auto found = std::ranges::search(question, marker);
    REQUIRE_FALSE(found.empty());
    Bytes name{0xa1, 'q', static_cast<std::uint8_t>(0xa0 | to.size())};
    name.insert(name.end(), to.begin(), to.end());
    const auto at = question.erase(found.begin(), found.end());
    question.insert(at, name.begin(), name.end());
    return question;
}

Bytes as_client(const Bytes& question) {
    if (std::ranges::search(question, Bytes{0xa1, 's', 0xc3}).size() > 0) return question;
    Bytes flagged;
    REQUIRE(flag_as_client(question, flagged));
    return flagged;
}

Bytes with_field(const Bytes& question, const PathField& field) {
    Bytes longer;
    REQUIRE(add_path_field(question, field, longer));
    return longer;
}

/// As this program asks who it has not heard from.
Bytes made_long(const Bytes& question, DatagramKind kind) {
    PathField field{.first = {1, 2, 3, 4, 5, 6, 7, 8}, .filler = 1};
    const std::size_t octets = with_field(question, field).size();
    const std::size_t least = asked_with(kind);
    if (octets < least) field.filler += least - octets;
    return with_field(question, field);
}

/// A node among others, at whose own position as many records lie as fit.
struct Scene {
    Scene() : swarm(nodes), victim(swarm[0].index->local_endpoint()), control(9'000, victim) {
        key = core::dht_position(swarm[0].identity.id());
        key.bytes.back() ^= 1;
        const WallTime later = core::wall_now() + 1h;
        for (unsigned i = 0; i < limits::records_per_key_max; ++i) {
            Stranger signer(100 + i, victim);
            const auto record =
                record_of(core::Identity::generate().value(), key, signer.endpoint(), later);
            signer.put(key, record.value_id(), record.encode(), signer.token());
            value_id = record.value_id();
        }
        REQUIRE(eventually([this] {
            return swarm[0].status().stored_values >= limits::records_per_key_max &&
                   swarm[0].status().good_nodes >= 8;
        }));
    }

    /// Returns when the victim has dealt with all that was sent to it before.
    void settle() {
        control.swallow();
        Wire arguments;
        arguments.map(1).str("id").bin(Bytes(20, 0x5a));
        control.ask("ping", arguments);
        control.await();
    }

    Swarm swarm;
    core::Endpoint victim;
    Stranger control;
    DhtKey key;
    std::uint64_t value_id = 0;
};

/// A question of the victim's own, with all that goes with it, weighs less.
constexpr std::size_t question_bytes_max = 300;

/// Sends a question again and again from an address of its own; octets that came for each sent.
/// Whoever is worth asking back draws one question in `beyond_again` more than it has sent for.
double weigh(Scene& scene, unsigned host, const Bytes& question, bool is_asked_back = false) {
    Stranger stranger(host, scene.victim);
    const auto began = core::monotonic_now();
    std::size_t sent = 0;
    std::size_t received = 0;
    for (unsigned i = 0; i < repeats; ++i) {
        stranger.send(question);
        sent += question.size();
        scene.settle();
        received += stranger.swallow();
        const auto periods = 1 + (core::monotonic_now() - began) / ReturnPaths::beyond_again;
        const std::size_t beyond =
            is_asked_back ? question_bytes_max * static_cast<std::size_t>(periods) : 0;
        CHECK(received < ReturnPaths::answer_factor * sent + beyond);
    }
    return static_cast<double>(received) / static_cast<double>(sent);
}

}  // namespace

TEST_CASE("who shows nothing of what it receives gets less than three times what it sent") {
    Scene scene;
    const Bytes find = asking_for("find", "target", scene.key);
    const Bytes ids = asking_for("get that selects ids", "h", scene.key);
    struct Question {
        std::string_view name;
        Bytes octets;
        bool is_answered;
    };
    Wire value;
    value.map(3).str("id").bin(Bytes(20, 0x5a)).str("h").bin(scene.key.view()).str("q");
    value.map(2).str("s").array(0).str("w").array(1);
    value.map(2).str("f").octet(1).str("v").uint(scene.value_id);
    const std::vector<Question> questions{
        {"ping", as_client(recorded_as("a client's ping")), true},
        {"find", as_client(find), true},
        {"get that selects ids", as_client(ids), true},
        {"get of one value", as_client(query("get", value)), true},
        {"put", as_client(recorded_as("put")), true},
        {"listen", as_client(renamed(ids, "get", "listen")), false},
        {"refresh", as_client(renamed(recorded_as("put"), "put", "refresh")), false},
        {"long ping", made_long(as_client(recorded_as("a client's ping")), DatagramKind::ping),
         true},
        {"long find", made_long(as_client(find), DatagramKind::find), true},
        {"long get", made_long(as_client(ids), DatagramKind::get), true},
        {"false pass", with_field(as_client(ids), {.first = {9, 9, 9}}), true},
    };
    unsigned host = 2'000;
    for (const auto& [name, octets, is_answered] : questions) {
        CAPTURE(name);
        const double ratio = weigh(scene, ++host, octets);
        MESSAGE(name, ": ", octets.size(), " octets, ", ratio, " times as many came");
        CHECK(ratio < ReturnPaths::answer_factor);
        CHECK((ratio > 0) == is_answered);
    }
}

TEST_CASE("who proves an id and shows nothing of what it receives draws no more either") {
    Scene scene;
    const auto identity = core::Identity::generate().value();
    IdProofs proofs(&identity);
    const auto id = core::dht_position(identity.id());
    for (const auto* name : {"a server's ping", "find", "get that selects ids"}) {
        CAPTURE(name);
        const auto proof = proofs.proof_for(scene.victim, TimePoint(1h), core::wall_now());
        Bytes question;
        REQUIRE(add_proof(asking_for(name, "id", id), proof, question));
        CHECK(weigh(scene, 3'000, question, true) < ReturnPaths::answer_factor);
    }
}

TEST_CASE("a long question is answered in full, and with the pass it brings so is a short one") {
    Scene scene;
    const Bytes question = as_client(asking_for("get that selects ids", "h", scene.key));
    Stranger stranger(4'000, scene.victim);
    stranger.send(made_long(question, DatagramKind::get));
    Bytes answer = stranger.await();
    std::span<std::uint8_t> rest(answer);
    const auto field = take_path_field(rest);
    REQUIRE(field.has_value());
    CHECK(field->first == PathField::Code{1, 2, 3, 4, 5, 6, 7, 8});
    REQUIRE(field->second.has_value());
    CHECK(take_proof(rest).has_value());
    const std::size_t whole = rest.size();
    // Eight contacts, and eight octets of each id.
    CHECK(whole > 8 * 26 + 8 * limits::records_per_key_max);

    const Bytes with_pass = with_field(question, {.first = *field->second});
    for (unsigned i = 0; i < repeats; ++i) {
        stranger.send(with_pass);
        CHECK(stranger.await().size() >= whole);
    }
    // The pass is for that address and no other.
    CHECK(weigh(scene, 4'001, with_pass) < ReturnPaths::answer_factor);
}

TEST_CASE(
    "who makes no long questions is answered when it asks again, as one does whose answer was "
    "lost") {
    Scene scene;
    for (const auto& question : {as_client(asking_for("find", "target", scene.key)),
                                 as_client(asking_for("get of one value", "h", scene.key))}) {
        Stranger stranger(6'000, scene.victim);
        std::size_t asked = 0;
        std::size_t received = 0;
        // OpenDHT asks three times, a second apart.
        while (received < 8 * 26 && asked < 3) {
            stranger.send(question);
            ++asked;
            scene.settle();
            received += stranger.swallow();
        }
        CHECK(received > 8 * 26);
    }
}

TEST_CASE("no datagram, sound or broken, is worth three times its octets") {
    Scene scene;
    const char* chosen = std::getenv("FLOW29_TEST_SEED");
    const std::uint64_t seed = chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 29;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    std::vector<Bytes> seeds;
    for (const Recorded& one : recorded) {
        seeds.push_back(unhex(one.hex));
        seeds.push_back(as_client(unhex(one.hex)));
        seeds.push_back(made_long(seeds.back(), one.kind));
    }
    std::size_t all = 0;
    for (unsigned host = 0; host < 100; ++host) {
        Stranger stranger(5'000 + host, scene.victim);
        std::size_t sent = 0;
        std::size_t received = 0;
        for (unsigned i = 0; i < 40; ++i) {
            Bytes datagram = seeds[random() % seeds.size()];
            if (random() % 2 == 0) datagram = mutated(std::move(datagram), random);
            stranger.send(datagram);
            sent += datagram.size();
        }
        scene.settle();
        received += stranger.swallow();
        CHECK(received < ReturnPaths::answer_factor * sent);
        all += received;
    }
    CHECK(all > 0);
}
