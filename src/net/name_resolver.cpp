// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/name_resolver.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace flow29::net {

/// What the threads use, for as long as the slowest of them runs.
struct NameResolver::Shared {
    explicit Shared(ResolveFn resolve_name) : resolve(std::move(resolve_name)) {}

    /// Tells whoever waits for the look-up, unless it was told before. Within the lock, so that
    /// nobody is told anything once `stop` has returned.
    void finish(std::uint64_t id, Addresses addresses) {
        const std::scoped_lock lock(mutex);
        const auto found = waiting.find(id);
        if (found == waiting.end()) return;
        const auto done = std::move(found->second);
        waiting.erase(found);
        done(std::move(addresses));
    }

    const ResolveFn resolve;
    std::mutex mutex;  // guards what follows
    std::map<std::uint64_t, DoneFn> waiting;
    std::uint64_t last_id = 0;
    bool stopped = false;
};

NameResolver::NameResolver(ResolveFn resolve)
    : shared_(std::make_shared<Shared>(std::move(resolve))) {}

NameResolver::~NameResolver() {
    stop();
}

void NameResolver::look_up(std::string name, DoneFn done) {
    std::uint64_t id = 0;
    {
        const std::scoped_lock lock(shared_->mutex);
        if (shared_->stopped) return done(fail(Errc::interrupted, name + ": stopping"));
        id = ++shared_->last_id;
        shared_->waiting.emplace(id, std::move(done));
    }
    try {
        std::thread([shared = shared_, id, name] {
            shared->finish(id, shared->resolve(name));
        }).detach();
    } catch (const std::system_error& error) {
        // Of threads, a container may have few.
        shared_->finish(id, fail(Errc::other, name + ": " + error.what()));
    }
}

void NameResolver::stop() {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stopped = true;
    for (const auto& [id, done] : std::exchange(shared_->waiting, {}))
        done(fail(Errc::interrupted, "stopping"));
}

}  // namespace flow29::net
