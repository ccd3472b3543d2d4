// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/world.hpp"

#include <asio/post.hpp>

#include "core/assert.hpp"

namespace flow29::sim {

namespace {
// Some day in 2026, so that expiry times look like real ones.
constexpr std::uint64_t wall_origin_ms = 1'790'000'000'000;

std::string base64(ByteView raw) {
    static constexpr char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < raw.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 3; ++j)
            bits = bits << 8 | (i + j < raw.size() ? raw[i + j] : 0U);
        for (int j = 3; j >= 0; --j) {
            const bool padding = i + static_cast<std::size_t>(3 - j) > raw.size();
            text += padding ? '=' : alphabet[bits >> (6 * j) & 63];
        }
    }
    return text;
}
}  // namespace

World::World(std::uint64_t seed) : random_(seed) {}
World::~World() = default;

WallTime World::wall_now() const {
    return from_unix_ms(wall_origin_ms) +
           std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch());
}

World::EventId World::at(TimePoint when, std::function<void()> event) {
    const EventId id{std::max(when, now_), ++last_event_};
    events_.emplace(id, std::move(event));
    return id;
}

void World::settle() {
    context_.restart();
    while (context_.poll() > 0)
        context_.restart();
}

bool World::run_until(TimePoint until, const std::function<bool()>& done) {
    for (;;) {
        settle();
        if (check_) check_();
        if (done && done()) return true;
        if (events_.empty() || events_.begin()->first.first > until) break;
        auto event = events_.extract(events_.begin());
        now_ = event.key().first;
        event.mapped()();
    }
    now_ = until;
    return done && done();
}

void World::trace(std::string_view what, ByteView from, ByteView to) {
    const auto at = std::to_string(now_.time_since_epoch().count());
    trace_.update({reinterpret_cast<const std::uint8_t*>(at.data()), at.size()});
    trace_.update({reinterpret_cast<const std::uint8_t*>(what.data()), what.size()});
    trace_.update(from);
    trace_.update(to);
    ++traced_;
}

std::string World::trace_hash() {
    const auto digest = trace_.finish();
    return to_hex(ByteView(digest));
}

SimRuntime::TimerId SimRuntime::add_timer(TimePoint when, std::function<void()> fire) {
    const auto id = ++last_timer_;
    timers_[id] = world_.at(when, [this, id, fire = std::move(fire)] {
        timers_.erase(id);
        fire();
    });
    return id;
}

void SimRuntime::cancel_timer(TimerId id) {
    const auto found = timers_.find(id);
    if (found == timers_.end()) return;
    world_.cancel(found->second);
    timers_.erase(found);
}

void SimRuntime::run_on_worker(std::function<void()> job, std::function<void()> done) {
    job();
    if (worker_time_ > Duration::zero())
        add_timer(now() + worker_time_, std::move(done));
    else
        asio::post(world_.context(), std::move(done));
}

core::Identity make_identity(std::uint64_t seed) {
    // PKCS#8 of an Ed25519 key (RFC 8410) is a fixed head followed by the 32-byte seed.
    Bytes der = *from_hex("302e020100300506032b657004220420");
    Bytes text(8);
    for (std::size_t i = 0; i < 8; ++i)
        text[i] = static_cast<std::uint8_t>(seed >> (8 * i));
    const auto secret = core::sha256({ByteView(text)});
    der.insert(der.end(), secret.begin(), secret.end());
    const auto pem =
        "-----BEGIN PRIVATE KEY-----\n" + base64(der) + "\n-----END PRIVATE KEY-----\n";
    auto identity = core::Identity::from_pem(pem);
    FLOW29_ASSERT(identity.has_value());
    return std::move(*identity);
}

}  // namespace flow29::sim
