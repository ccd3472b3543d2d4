// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include <flow29/node.hpp>
#include "store/store.hpp"

namespace flow29::node {

/// What the operator blocks, durably. A value: a change is made to a copy, which is saved before it
/// takes the other's place.
class Blocked {
  public:
    /// What a name stands for: a node, an object, or perhaps either.
    struct Target {
        std::optional<NodeId> node;
        std::optional<RootHash> root;
    };

    [[nodiscard]] static Blocked load(store::Store& store);

    /// A link or base32 is an object. Of 64 hexadecimal digits it is whatever is known here by
    /// them, and either when neither is: nothing else has that name. On a worker. Errc::usage.
    [[nodiscard]] static Result<Target> parse(const std::string& name, bool is_node,
                                              store::Store& store);
    /// The one of `known` whose id begins with these hexadecimal digits, in either case.
    /// Errc::usage: too few digits, or several begin so, which are named; not_found.
    [[nodiscard]] static Result<NodeId> find_node(const std::string& prefix,
                                                  const std::set<NodeId>& known);
    /// True for what can only be the beginning of a node's id.
    [[nodiscard]] static bool is_prefix(const std::string& name);

    /// What on the list a name stands for, the beginning of a node's id included. Errc::usage;
    /// not_found when nothing is.
    [[nodiscard]] Result<Target> find(const std::string& name) const;
    /// Errc::refused when the list is full.
    [[nodiscard]] Result<void> add(const Target& target);
    void remove(const Target& target);
    /// On a worker. Errors: the store's.
    [[nodiscard]] Result<void> save(store::Store& store) const;

    [[nodiscard]] Blocklist list() const;
    [[nodiscard]] std::shared_ptr<const std::set<RootHash>> roots() const { return roots_; }

  private:
    std::set<NodeId> nodes_;
    std::shared_ptr<const std::set<RootHash>> roots_ = std::make_shared<const std::set<RootHash>>();
};

}  // namespace flow29::node
