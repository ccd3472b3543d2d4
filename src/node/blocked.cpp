// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/blocked.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "core/log.hpp"

namespace flow29::node {

namespace {
constexpr std::size_t named_max = 4;  // in a message
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
        return fail(Errc::refused, fmt::format("{} are blocked already, and there is no room for "
                                               "more; `flow29 unblock` takes some off the list",
                                               limits::blocked_max));
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

bool Blocked::is_prefix(const std::string& name) {
    const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
    return name.size() < 2 * NodeId::size && std::ranges::all_of(name, is_digit) &&
           !Link::parse(name);
}

Result<NodeId> Blocked::find_node(const std::string& prefix, const std::set<NodeId>& known) {
    if (prefix.size() < limits::node_prefix_min)
        return fail(Errc::usage, fmt::format("\"{}\" is too short for a node's id: at least {} "
                                             "digits of it are needed",
                                             prefix, limits::node_prefix_min));
    std::string wanted = prefix;
    for (char& c : wanted)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::vector<NodeId> found;
    for (const auto& node : known)
        if (to_hex(node).starts_with(wanted)) found.push_back(node);
    if (found.size() == 1) return found.front();
    if (found.empty())
        return fail(Errc::not_found, "no node is known here whose id begins with " + wanted +
                                         "; `flow29 peers` lists those that are connected, and all "
                                         "64 digits name any");
    std::string names;
    for (std::size_t i = 0; i < std::min(found.size(), named_max); ++i)
        names += (i == 0 ? "" : ", ") + to_hex(found[i]);
    if (found.size() > named_max) names += fmt::format(" and {} more", found.size() - named_max);
    return fail(Errc::usage, fmt::format("the ids of {} nodes begin with {}; give more digits: {}",
                                         found.size(), wanted, names));
}

Result<Blocked::Target> Blocked::find(const std::string& name) const {
    if (is_prefix(name)) {
        const auto node = find_node(name, nodes_);
        if (node) return Target{*node, std::nullopt};
        if (node.error().code == Errc::usage) return fail(node.error());
        return fail(Errc::not_found, "no node is blocked whose id begins with " + name +
                                         "; `flow29 block` lists what is");
    }
    const auto link = Link::parse(name);
    if (!link) return fail(link.error());
    Target target;
    if (const auto node = id_from_hex<NodeId>(name); node && nodes_.contains(*node))
        target.node = node;
    if (roots_->contains(link->root)) target.root = link->root;
    if (!target.node && !target.root)
        return fail(Errc::not_found, "that is not blocked; `flow29 block` lists what is");
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
