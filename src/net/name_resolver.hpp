// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <flow29/error.hpp>
#include "core/endpoint.hpp"

namespace flow29::net {

/// Looks names up without keeping anybody waiting: the system's resolver blocks for as long as it
/// likes, so each look-up has a thread of its own.
///
/// Nobody joins those threads, since a look-up cannot be broken off, and whoever ends must not wait
/// for a name server that is gone. What a thread uses it shares with the resolver, which hands on
/// nothing after `stop`.
class NameResolver {
  public:
    using Addresses = Result<std::vector<core::Endpoint>>;
    /// The addresses behind HOST:PORT; blocks. Called on many threads, perhaps after the resolver
    /// has gone: it owns what it uses.
    using ResolveFn = std::function<Addresses(const std::string& name)>;
    /// Called once, always, on a thread of the resolver's or within `stop`: post, and return. Never
    /// calls the resolver.
    using DoneFn = std::function<void(Addresses addresses)>;

    explicit NameResolver(ResolveFn resolve);
    /// stop().
    ~NameResolver();
    NameResolver(const NameResolver&) = delete;
    NameResolver& operator=(const NameResolver&) = delete;

    /// Begins a look-up; returns at once. How many there are at a time is the caller's matter.
    void look_up(std::string name, DoneFn done);
    /// Every look-up under way, and every later one, is told Errc::interrupted. At once.
    void stop();

  private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace flow29::net
