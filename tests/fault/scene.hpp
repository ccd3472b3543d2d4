// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "fault/arena.hpp"
#include "sim/swarm.hpp"

namespace flow29::fault {

/// A swarm in virtual time that has what one node with a real disk is to fetch and to keep. It is
/// set up once; every run forks and goes on in a copy of its own. The same in every process.
class Scene {
  public:
    static constexpr std::size_t others = 5;
    static constexpr std::size_t source = 0;       ///< published all of it
    static constexpr std::size_t lost_holder = 1;  ///< holds all of it, and is to go
    static constexpr std::size_t reader = 2;       ///< stays
    static constexpr unsigned level = 8;           ///< extents of 128 KiB

    Scene();

    [[nodiscard]] sim::Swarm& swarm() { return *swarm_; }
    /// Ends all of it, and closes the stores in good order.
    void close() { swarm_.reset(); }
    /// Two extents in files and one inside the catalogue.
    [[nodiscard]] const Bytes& file() const { return file_; }
    [[nodiscard]] RootHash file_root() const { return file_root_; }
    [[nodiscard]] const std::map<std::string, Bytes>& tree() const { return tree_; }
    [[nodiscard]] RootHash tree_root() const { return tree_root_; }

    /// Runs until it is done, and blames what never is.
    template <class T>
    [[nodiscard]] Result<T> run(std::size_t node, asio::awaitable<Result<T>> operation,
                                Arena& arena);
    /// Lets time pass until after what a run reached, so that its node does not find the clock set
    /// back.
    void catch_up(const Arena& arena);
    /// Runs until a node is in touch with the others.
    [[nodiscard]] bool join(std::size_t node);

  private:
    template <class T>
    static asio::awaitable<void> run_into(std::shared_ptr<std::optional<Result<T>>> outcome,
                                          asio::awaitable<Result<T>> operation) {
        auto result = co_await std::move(operation);
        outcome->emplace(std::move(result));
    }

    std::optional<sim::Swarm> swarm_;
    Bytes file_;
    RootHash file_root_;
    std::map<std::string, Bytes> tree_;
    RootHash tree_root_;
};

template <class T>
Result<T> Scene::run(std::size_t node, asio::awaitable<Result<T>> operation, Arena& arena) {
    const auto outcome = std::make_shared<std::optional<Result<T>>>();
    net::spawn(swarm_->runtime(node), run_into(outcome, std::move(operation)));
    swarm_->world().run_for(std::chrono::minutes(10), [&] { return outcome->has_value(); });
    if (outcome->has_value()) return std::move(**outcome);
    arena.blame("an operation never ended");
    return fail(Errc::timed_out, "never ended");
}

}  // namespace flow29::fault
