// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "node/peer_book.hpp"
#include "node/placer.hpp"
#include "node/services.hpp"
#include "node/transfers.hpp"

namespace flow29::node {

/// Has others take in what is hashed of a publication while the rest still is.
///
/// Rules:
/// 1. A part is a run of extents of some `Settings::part_bytes`, and for those who take it in an
///    object of its own with a root of its own, which nobody else hears of. What is shorter than
///    two parts, and the last part, are left to the publication itself.
/// 2. Whoever took in a part holds no copy. When all is hashed they are invited as if there had
///    been no parts, and say at once what they have.
///    Rationale: what was placed ahead can only be of use; when it fails, nothing is different.
/// 3. Not more than `parts_at_once` are under way; the others wait, and go in order.
/// 4. Everybody who was asked is told in the end that no part is wanted any more.
class PartPusher : public std::enable_shared_from_this<PartPusher> {
  public:
    static constexpr std::size_t parts_at_once = 8;

    /// How to begin with a placer of parts, and to be done with one: it hears of what happens in
    /// between.
    struct Placers {
        std::function<std::shared_ptr<Placer>()> start;
        std::function<void(const std::shared_ptr<Placer>&)> end;
    };

    PartPusher(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
               Placers placers, std::shared_ptr<Transfer> transfer)
        : services_(services),
          settings_(settings),
          tasks_(tasks),
          peers_(peers),
          placers_(std::move(placers)),
          transfer_(std::move(transfer)) {}

    /// Before the first extents: how many copies of them there are to be.
    void set_terms(unsigned copies, Duration idle_timeout) {
        copies_ = copies;
        idle_timeout_ = idle_timeout;
    }
    /// The next extents, in order, are here and can be pulled.
    void on_hashed(const core::Layout& layout, std::span<const ExtentHash> hashes);
    /// All is hashed, or will not be: nobody more is asked.
    void stop() { stop_.request_stop(); }
    /// Nothing more is wanted of any part: who was asked hears that. Requires stop before.
    void call_off();

    /// The descriptor of a part; nothing if it is none of these.
    [[nodiscard]] std::optional<core::Descriptor> part(const RootHash& root) const;

  private:
    struct Part {
        RootHash root;
        core::Descriptor descriptor;
        std::shared_ptr<Placer> placer;
    };

    void start_next();
    [[nodiscard]] asio::awaitable<void> push(std::shared_ptr<PartPusher> self, Part part);

    Services services_;
    const Settings& settings_;  // owned by the engine
    Tasks& tasks_;              // owned by the engine
    PeerBook& peers_;           // owned by the engine
    Placers placers_;
    std::shared_ptr<Transfer> transfer_;
    unsigned copies_ = 0;
    Duration idle_timeout_{};
    std::stop_source stop_;
    std::vector<ExtentHash> hashed_;        // in no part yet
    std::uint64_t seen_ = 0;                // extents
    std::deque<core::Descriptor> waiting_;  // not begun
    std::vector<Part> parts_;               // begun
    std::size_t running_ = 0;
};

}  // namespace flow29::node
