// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/blocked.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace flow29::node {

namespace {
constexpr std::string_view nodes_setting = "blocked_nodes";
constexpr std::string_view roots_setting = "blocked_roots";

template <class Id>
std::set<Id> read(store::Store& store, std::string_view setting) {
    std::set<Id> ids;
    const auto saved = store.setting(setting);
    if (!saved) return ids;
    if (saved->size() % Id::size != 0)
        core::log::warn("node", "the list of what is blocked is damaged");
    for (std::size_t at = 0; at + Id::size <= saved->size(); at += Id::size)
        if (const auto id = Id::from(ByteView(*saved).subspan(at, Id::size))) ids.insert(*id);
    return ids;
}

template <class Id>
Result<void> write(store::Store& store, std::string_view setting, const std::set<Id>& ids) {
    Bytes octets;
    for (const auto& id : ids)
        octets.insert(octets.end(), id.bytes.begin(), id.bytes.end());
    return store.set_setting(setting, octets);
}

template <class Id>
Result<void> change(std::set<Id>& ids, const Id& id, bool blocked) {
    if (blocked && ids.size() >= limits::blocked_max && !ids.contains(id))
        return fail(Errc::refused, "too many are blocked already");
    if (blocked)
        ids.insert(id);
    else
        ids.erase(id);
    return {};
}
}  // namespace

Blocked Blocked::load(store::Store& store) {
    Blocked blocked;
    blocked.nodes_ = read<NodeId>(store, nodes_setting);
    blocked.roots_ =
        std::make_shared<const std::set<RootHash>>(read<RootHash>(store, roots_setting));
    return blocked;
}

Result<Blocked::Target> Blocked::parse(const std::string& name, bool is_node, store::Store& store) {
    const auto link = Link::parse(name);
    if (!link) return fail(link.error());
    const auto node = id_from_hex<NodeId>(name);
    if (!node) return Target{std::nullopt, link->root};
    if (is_node || store.node_record(*node)) return Target{node, std::nullopt};
    if (store.descriptor(link->root)) return Target{std::nullopt, link->root};
    return Target{node, link->root};
}

Result<void> Blocked::set(const Target& target, bool blocked) {
    auto nodes = nodes_;
    auto roots = *roots_;
    if (target.node)
        if (auto changed = change(nodes, *target.node, blocked); !changed) return changed;
    if (target.root)
        if (auto changed = change(roots, *target.root, blocked); !changed) return changed;
    nodes_ = std::move(nodes);
    roots_ = std::make_shared<const std::set<RootHash>>(std::move(roots));
    return {};
}

Result<void> Blocked::save(store::Store& store) const {
    if (auto saved = write(store, nodes_setting, nodes_); !saved) return saved;
    return write(store, roots_setting, *roots_);
}

Blocklist Blocked::list() const {
    return {{nodes_.begin(), nodes_.end()}, {roots_->begin(), roots_->end()}};
}

}  // namespace flow29::node
