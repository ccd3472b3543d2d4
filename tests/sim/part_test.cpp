// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/object.hpp"

using namespace flow29;
using namespace flow29::sim;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1 << 20;
constexpr std::size_t size = 80 * mib;  // hashed in three goes

Swarm::Options options(std::uint64_t seed) {
    return {.seed = seed,
            .capacity = ByteCount(256 * mib),
            .audit_period = no_audits,
            .part_bytes = ByteCount(16 * mib)};
}

/// A swarm whose node 0 is about to publish something, and is slow to read it.
struct Slow {
    Swarm swarm;
    bool hashed = false;            ///< the publisher knows its object
    std::uint64_t ahead_bytes = 0;  ///< others had of it by then

    Slow(Swarm::Options what, std::size_t nodes) : swarm(what) {
        swarm.grow_to(nodes, 500ms);
        swarm.world().run_for(30s);
        swarm.runtime(0).set_worker_time(1s);
    }

    [[nodiscard]] std::uint64_t used(std::size_t node) const {
        return swarm.store(node).usage().used.value;
    }
    /// Of all nodes up but the publisher.
    [[nodiscard]] std::uint64_t used_by_others() const {
        std::uint64_t sum = 0;
        for (std::size_t node = 1; node < swarm.size(); ++node)
            if (swarm.up(node)) sum += used(node);
        return sum;
    }
    [[nodiscard]] std::uint64_t sent() const {
        return swarm.network().sent(swarm.id(0), "range_reply").bytes;
    }
    /// Whatever else is to happen at each moment.
    void watch(std::function<void()> also = {}) {
        swarm.world().watch([this, also = std::move(also)] {
            const auto roots = swarm.up(0) ? swarm.store(0).roots() : std::vector<RootHash>();
            if (!hashed && !roots->empty()) {
                hashed = true;
                ahead_bytes = used_by_others();
            }
            if (also) also();
        });
    }
    void soon(std::function<void()> what) {
        swarm.world().at(swarm.world().now() + 1ms, std::move(what));
    }
};

}  // namespace

TEST_CASE("what is hashed is pushed while the rest is not, and sent once") {
    for (const std::size_t nodes : {5, 9}) {
        CAPTURE(nodes);
        Slow slow(options(101), nodes);
        slow.watch();
        const auto object = publish(slow.swarm, {.bytes = size});
        slow.swarm.world().watch({});
        CHECK(slow.ahead_bytes >= 16 * mib);
        CHECK(object.result.copies.min == 4);
        CHECK(copies(slow.swarm, object) == 4);
        CHECK(slow.sent() <= size * 11 / 10);
        CHECK(slow.swarm.network().data_bytes() <= 4 * size * 11 / 10);
        // Nobody but those concerned ever heard of a part.
        for (std::size_t node = 0; node < slow.swarm.size(); ++node)
            CHECK(slow.swarm.store(node).roots()->size() <= 1);
        slow.swarm.world().run_for(10min);
        CHECK(copies(slow.swarm, object) == 4);
        CHECK(readable(slow.swarm, object, 1));
    }
}

TEST_CASE("a publisher that dies in the middle leaves nothing, on nodes that restart either") {
    Slow slow(options(102), 6);
    const auto before = slow.used_by_others();
    slow.watch([&slow] {
        if (slow.swarm.up(0) && slow.used_by_others() > 8 * mib)
            slow.soon([&slow] {
                if (slow.swarm.up(0)) slow.swarm.crash(0);
            });
    });
    CHECK_FALSE(slow.swarm.publish(0, random_content(1, size)).has_value());
    slow.swarm.world().watch({});
    CHECK_FALSE(slow.hashed);
    CHECK(slow.used_by_others() > before + 8 * mib);
    std::size_t restarted = 1;
    while (slow.used(restarted) < mib)
        ++restarted;
    slow.swarm.crash(restarted);
    slow.swarm.world().run_for(1s);
    slow.swarm.restart(restarted);
    slow.swarm.world().run_for(6min);
    for (std::size_t node = 1; node < slow.swarm.size(); ++node) {
        CHECK(slow.swarm.store(node).usage().extents == 0);
        CHECK(slow.swarm.store(node).roots()->empty());
    }
}

TEST_CASE("a publisher that dies when all is hashed leaves nothing that no object contains") {
    for (const auto after : {1ms, 1010ms, 1500ms, 2500ms}) {
        CAPTURE(after.count());
        Slow slow(options(110), 6);
        bool crashes = false;
        slow.watch([&] {
            if (!slow.hashed || crashes) return;
            crashes = true;
            slow.swarm.world().at(slow.swarm.world().now() + after,
                                  [&slow] { slow.swarm.crash(0); });
        });
        CHECK_FALSE(slow.swarm.publish(0, random_content(1, size)).has_value());
        slow.swarm.world().watch({});
        CHECK(slow.ahead_bytes >= 16 * mib);
        slow.swarm.world().run_for(6min);
        for (std::size_t node = 1; node < slow.swarm.size(); ++node) {
            CAPTURE(node);
            const auto loose = slow.swarm.store(node).collect(slow.swarm.world().wall_now());
            REQUIRE(loose.has_value());
            CHECK(loose->value == 0);
        }
    }
}

TEST_CASE("parts that come as soon as a node has started are collected when it starts again") {
    Swarm swarm(options(111));
    swarm.grow_to(6, 100ms);
    swarm.runtime(0).set_worker_time(300ms);
    const auto used_by_others = [&swarm] {
        std::uint64_t sum = 0;
        for (std::size_t node = 1; node < swarm.size(); ++node)
            sum += swarm.store(node).usage().used.value;
        return sum;
    };
    bool crashes = false;
    swarm.world().watch([&] {
        if (crashes || used_by_others() < 8 * mib) return;
        crashes = true;
        swarm.world().at(swarm.world().now() + 1ms, [&swarm] { swarm.crash(0); });
    });
    const auto began = swarm.world().now();
    CHECK_FALSE(swarm.publish(0, random_content(1, size)).has_value());
    swarm.world().watch({});
    REQUIRE(swarm.world().now() < began + 3s);  // before the nodes look for what they had before
    swarm.world().run_for(10s);
    for (std::size_t node = 1; node < swarm.size(); ++node)
        swarm.crash(node);
    CHECK(used_by_others() >= 8 * mib);
    for (std::size_t node = 1; node < swarm.size(); ++node)
        swarm.restart(node);
    swarm.world().run_for(1min);
    for (std::size_t node = 1; node < swarm.size(); ++node)
        CHECK(swarm.store(node).usage().extents == 0);
}

TEST_CASE("what is called off before all is hashed is gone soon, though its publisher stays") {
    Slow slow(options(103), 6);
    std::stop_source stop;
    slow.watch([&] {
        if (slow.used_by_others() > 8 * mib) stop.request_stop();
    });
    PublishRequest request;
    request.copies = 4;
    request.stop = stop.get_token();
    CHECK_FALSE(slow.swarm.publish(0, random_content(1, size), std::move(request)).has_value());
    slow.swarm.world().watch({});
    CHECK(slow.used_by_others() > 8 * mib);
    slow.swarm.world().run_for(3min);
    for (std::size_t node = 1; node < slow.swarm.size(); ++node)
        CHECK(slow.swarm.store(node).usage().extents == 0);
}

TEST_CASE("what is awaited is not collected, however long it takes to hash the rest") {
    Slow slow(options(104), 5);
    bool slower = false;
    std::optional<std::uint64_t> left;
    slow.watch([&] {
        if (!slower && !slow.hashed && slow.used_by_others() > 16 * mib) {
            slower = true;
            slow.swarm.runtime(0).set_worker_time(4min);  // what peers ask for as well
        }
        if (!slow.hashed || left) return;
        slow.swarm.runtime(0).set_worker_time({});
        for (std::size_t node = 1; node < slow.swarm.size(); ++node)
            CHECK(slow.swarm.store(node).collect(slow.swarm.world().wall_now(),
                                                 slow.swarm.engine(node).keeper().awaited()));
        left = slow.used_by_others();
    });
    const auto object = publish(slow.swarm, {.bytes = size});
    slow.swarm.world().watch({});
    REQUIRE(slower);
    REQUIRE(left);
    CHECK(*left >= 16 * mib);
    CHECK(object.result.copies.min == 4);
}

TEST_CASE("a part takes no room twice, and whoever has none is no obstacle") {
    auto narrow = options(105);
    narrow.capacity = ByteCount(size + 8 * mib);
    Slow slow(narrow, 5);
    slow.swarm.add({.capacity = ByteCount(20 * mib)});
    slow.swarm.world().run_for(30s);
    slow.watch();
    const auto object = publish(slow.swarm, {.bytes = size});
    slow.swarm.world().watch({});
    CHECK(slow.ahead_bytes >= 16 * mib);
    CHECK(object.result.copies.min == 4);
    CHECK(slow.sent() <= size * 11 / 10);
}

TEST_CASE("parts are no way around a quota") {
    auto strict = options(106);
    strict.quota_publisher = 10;  // 25 MiB, less than is to be published
    Slow slow(strict, 5);
    std::uint64_t most = 0;
    slow.watch([&] {
        for (std::size_t node = 1; node < slow.swarm.size(); ++node)
            most = std::max(most, slow.used(node));
    });
    PublishRequest request;
    request.copies = 4;
    const auto result = slow.swarm.publish(0, random_content(1, size), std::move(request));
    slow.swarm.world().watch({});
    REQUIRE(result.has_value());
    CHECK(result->copies.min == 0);
    CHECK(most >= 16 * mib);
    CHECK(most <= 27 * mib);
}

TEST_CASE("a holder that dies between a part and its object costs no copy") {
    Slow slow(options(107), 7);
    std::optional<std::size_t> gone;
    slow.watch([&] {
        for (std::size_t node = 1; slow.hashed && !gone && node < slow.swarm.size(); ++node) {
            if (slow.used(node) < mib) continue;
            gone = node;
            slow.soon([&slow, node] { slow.swarm.crash(node); });
        }
    });
    const auto object = publish(slow.swarm, {.bytes = size});
    slow.swarm.world().watch({});
    REQUIRE(gone);
    CHECK(slow.ahead_bytes >= 16 * mib);
    slow.swarm.world().run_for(5min);
    CHECK(copies(slow.swarm, object) == 4);
    CHECK(slow.sent() < 2 * size);
}

TEST_CASE("a holder that freezes while the rest is hashed costs no copy") {
    Slow slow(options(108), 7);
    std::optional<std::size_t> frozen;
    slow.watch([&] {
        if (slow.hashed || frozen || slow.used_by_others() < 8 * mib) return;
        for (std::size_t node = 1; node < slow.swarm.size() && !frozen; ++node)
            if (slow.used(node) > 0) frozen = node;
        slow.soon([&slow, node = *frozen] { slow.swarm.cut_off({node}); });
    });
    const auto object = publish(slow.swarm, {.bytes = size});
    slow.swarm.world().watch({});
    REQUIRE(frozen);
    CHECK(object.result.copies.min == 4);
    CHECK(slow.sent() <= size * 13 / 10);
}

TEST_CASE("whoever leads nothing waits for the others, however slow the publisher is") {
    for (const std::size_t length : {12 * mib, 30 * mib}) {
        CAPTURE(length);
        Slow slow(options(109), 9);
        const auto object = publish(slow.swarm, {.bytes = length});
        CHECK(object.result.copies.min == 4);
        CHECK(slow.sent() <= length * 101 / 100);
    }
}
