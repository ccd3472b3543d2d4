// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/name_schedule.hpp"
#include "proto/node_table.hpp"

namespace flow29::node {

/// Turns "near this key" into confirmed nodes: what the DHT lists is dialled, and those who answer
/// are asked for theirs. Only after that is anybody a candidate for placement. Where many more are
/// found than there should be, somebody may be hiding the others: then they are looked for beside.
class Neighbourhood {
  public:
    Neighbourhood(Services services, Tasks& tasks, PeerBook& peers, const proto::NodeTable& table,
                  std::vector<core::Endpoint> bootstrap, const std::vector<std::string>& names,
                  Duration period)
        : services_(services),
          tasks_(tasks),
          peers_(peers),
          table_(table),
          bootstrap_(std::move(bootstrap)),
          names_(names),
          period_(period),
          lane_free_(services.runtime) {}

    /// Longer nobody is waited for where others do as well: whoever is honest answers sooner, and
    /// who is slow is met all the same.
    static constexpr Duration patience = std::chrono::seconds(1);

    /// Looks the key up and confirms the nodes nearest to it, those that answer within `patience`.
    /// Returns the look-up, providers included; `seen` as with the index. Many at once are served
    /// `lanes` at a time.
    [[nodiscard]] asio::awaitable<dht::Lookup> explore(DhtKey key, dht::Index::SeenFn seen = {});

    /// Looks the key up and no more, at once.
    [[nodiscard]] asio::awaitable<dht::Lookup> look_up(DhtKey key, dht::Index::SeenFn seen);

    /// As explore, but free while the last explorations found nobody new: in a swarm whose every
    /// node is known, looking up each of a thousand keys would only cost packets.
    [[nodiscard]] asio::awaitable<void> ensure_near(DhtKey key);

    /// Joins the swarm and keeps knowing the own neighbours, until the tasks stop.
    [[nodiscard]] asio::awaitable<void> keep_known(DhtKey self);

    /// Looks up the names to join through, and dials what they stand for, as proto::NameSchedule
    /// says, until the tasks stop.
    [[nodiscard]] asio::awaitable<void> follow_names();
    /// The addresses behind HOST:PORT. Errors: no_network, interrupted.
    [[nodiscard]] asio::awaitable<net::NameResolver::Addresses> find_addresses(std::string name);

    /// True once any node of the swarm was met.
    [[nodiscard]] bool joined() const { return joined_; }
    /// Waits until joined, the deadline, or as long as there is anybody to wait for.
    [[nodiscard]] asio::awaitable<bool> wait_joined(TimePoint deadline);

    /// Why nobody is connected, for people. Empty while somebody is, while it is too soon to say,
    /// and where no address is known: the first node of a swarm is alone.
    [[nodiscard]] std::string trouble() const;
    /// Which names to join through have no address, for people. Empty: none.
    [[nodiscard]] std::string unresolved() const { return names_.problem(); }
    /// What somebody is told who has waited: what did not answer, and why that may be.
    [[nodiscard]] std::string nobody_answered() const;

    /// Dials these too, now and whenever nobody is connected. How many of them answered.
    [[nodiscard]] asio::awaitable<std::size_t> enter(std::vector<core::Endpoint> points);

    /// Dials all of them at once and waits for the outcomes, or for so long. Whoever answers later
    /// is connected then.
    [[nodiscard]] asio::awaitable<std::vector<net::PeerPtr>> dial_all(
        std::vector<dht::Contact> contacts, Duration longest = Duration::max());
    [[nodiscard]] asio::awaitable<std::vector<net::PeerPtr>> reach_all(
        std::vector<Named> nodes, Duration longest = Duration::max());

  private:
    [[nodiscard]] asio::awaitable<void> widen(DhtKey key, std::size_t asks);
    /// Dials those who were silent before. Who answers after all, as when a line is mended, is
    /// asked for nodes near the key, too.
    [[nodiscard]] asio::awaitable<void> meet_again(std::vector<dht::Contact> doubtful, DhtKey key);
    /// Where to look as well, when suspiciously many were found near the key (proto::Crowd).
    [[nodiscard]] std::vector<DhtKey> keys_beside(const DhtKey& key, const dht::Lookup& lookup);
    /// Whom the look-ups of these list, each once.
    [[nodiscard]] asio::awaitable<std::vector<dht::Contact>> look_up_all(std::vector<DhtKey> keys);
    [[nodiscard]] asio::awaitable<std::vector<Named>> ask_closest(net::PeerPtr peer, DhtKey key);
    [[nodiscard]] asio::awaitable<void> dial_bootstrap();
    [[nodiscard]] asio::awaitable<void> follow_name(std::string name);
    /// The first node of a swarm knows nobody to wait for.
    [[nodiscard]] bool has_hope() const;
    /// Says once in a while when nobody is connected, and when that is over.
    void note_company();
    [[nodiscard]] std::string silence(std::string_view how_long) const;

    static constexpr unsigned saturated_after = 8;  ///< explorations in a row without a new node
    static constexpr unsigned lanes = 16;

    Services services_;
    Tasks& tasks_;                   // owned by the engine
    PeerBook& peers_;                // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
    std::vector<core::Endpoint> bootstrap_;
    proto::NameSchedule names_;
    Duration period_;
    net::Signal lane_free_;
    unsigned in_flight_ = 0;
    unsigned without_news_ = 0;
    TimePoint saturated_until_{};
    bool joined_ = false;
    std::optional<TimePoint> alone_since_;    // as far as was looked
    std::optional<TimePoint> complained_at_;  // while alone
};

}  // namespace flow29::node
