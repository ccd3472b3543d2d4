// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/blocker.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace flow29::node {

namespace log = core::log;

void Blocker::load() {
    blocked_ = Blocked::load(services_.store);
    settings_.blocked_roots = blocked_.roots();
    for (const auto& node : blocked_.list().nodes)
        peers_.block(node);
}

asio::awaitable<Result<Blocked::Target>> Blocker::target_of(std::string name, bool blocked) const {
    if (!blocked) co_return blocked_.find(name);
    auto& store = services_.store;
    if (Blocked::is_prefix(name)) {
        std::set<NodeId> known;
        for (const auto& record : table_.alive_records())
            known.insert(record.node());
        for (const auto& record : table_.missing_records())
            known.insert(record.node());
        for (const auto& peer : peers_.open())
            known.insert(peer->id());
        const auto node = Blocked::find_node(name, known);
        if (!node) co_return fail(node.error());
        co_return Blocked::Target{*node, std::nullopt};
    }
    const auto node = id_from_hex<NodeId>(name);
    const bool is_node = node && (table_.find(*node) != nullptr || peers_.find(*node) != nullptr);
    auto parse = [&store, name, is_node] { return Blocked::parse(name, is_node, store); };
    auto target = co_await net::offload(services_.runtime, std::move(parse));
    if (target && target->node == services_.identity.id()) {
        if (!target->root) co_return fail(Errc::usage, "that is this very node");
        target->node.reset();
    }
    co_return target;
}

asio::awaitable<Result<Blocklist>> Blocker::set(std::string name, bool blocked) {
    const auto target = co_await target_of(std::move(name), blocked);
    if (!target) co_return fail(target.error());
    if (saving_)
        co_return fail(Errc::refused, "another change of the list is under way; try again");
    auto changed = blocked_;
    if (!blocked)
        changed.remove(*target);
    else if (auto added = changed.add(*target); !added)
        co_return fail(added.error());
    saving_ = true;
    auto& store = services_.store;
    auto save = [&store, changed] { return changed.save(store); };
    const auto saved = co_await net::offload(services_.runtime, std::move(save));
    saving_ = false;
    if (!saved) co_return fail(saved.error());
    blocked_ = std::move(changed);
    settings_.blocked_roots = blocked_.roots();
    if (target->node && blocked) peers_.block(*target->node);
    if (target->node && !blocked) peers_.unblock(*target->node);
    if (target->root && blocked) co_await let_go(*target->root);
    co_return blocked_.list();
}

/// Frees what is here of a blocked object, and says so to those who count on it.
asio::awaitable<void> Blocker::let_go(RootHash root) {
    auto& store = services_.store;
    auto release = [&store, root] { return store.release(root); };
    const auto released = co_await net::offload(services_.runtime, std::move(release));
    if (!released) {
        log::warn("blocker", "a blocked object was not released: {}", released.error().message());
        co_return;
    }
    auto gone = co_await caretaker_.refresh(root);
    announcer_.remove(gone);
    co_await leases_.collect();
    while (!gone.empty()) {
        const auto count = std::min<std::size_t>(gone.size(), limits::items_per_message_max);
        proto::Stored lost{root, {}, {gone.end() - static_cast<std::ptrdiff_t>(count), gone.end()}};
        gone.resize(gone.size() - count);
        for (const auto& peer : peers_.open())
            peer->notify(lost);
    }
}

}  // namespace flow29::node
