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
Result<void> add(std::set<Id>& ids, const Id& id) {
    if (ids.size() >= limits::blocked_max && !ids.contains(id))
        return fail(Errc::refused, "too many are blocked already");
    ids.insert(id);
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

Result<Blocked::Target> Blocked::find(const std::string& name) const {
    const auto link = Link::parse(name);
    if (!link) return fail(link.error());
    Target target;
    if (const auto node = id_from_hex<NodeId>(name); node && nodes_.contains(*node))
        target.node = node;
    if (roots_->contains(link->root)) target.root = link->root;
    if (!target.node && !target.root) return fail(Errc::not_found, "that is not blocked");
    return target;
}

Result<void> Blocked::add(const Target& target) {
    auto nodes = nodes_;
    auto roots = *roots_;
    if (target.node)
        if (auto added = node::add(nodes, *target.node); !added) return added;
    if (target.root)
        if (auto added = node::add(roots, *target.root); !added) return added;
    nodes_ = std::move(nodes);
    roots_ = std::make_shared<const std::set<RootHash>>(std::move(roots));
    return {};
}

void Blocked::remove(const Target& target) {
    auto roots = *roots_;
    if (target.node) nodes_.erase(*target.node);
    if (target.root) roots.erase(*target.root);
    roots_ = std::make_shared<const std::set<RootHash>>(std::move(roots));
}

Result<void> Blocked::save(store::Store& store) const {
    if (auto saved = write(store, nodes_setting, nodes_); !saved) return saved;
    return write(store, roots_setting, *roots_);
}

Blocklist Blocked::list() const {
    return {{nodes_.begin(), nodes_.end()}, {roots_->begin(), roots_->end()}};
}

}  // namespace flow29::node
