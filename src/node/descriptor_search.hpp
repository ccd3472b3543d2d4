// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <vector>

#include <flow29/node.hpp>
#include "core/descriptor.hpp"
#include "node/neighbourhood.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"

namespace flow29::node {

/// Told what a search is doing, for progress lines.
using StageFn = std::function<void(Stage stage, std::size_t holders)>;

/// One search for one object's descriptor: all that may have it are asked side by side, and the
/// first answer that proves itself counts.
///
/// Rules:
/// 1. At once: the addresses that the link names are dialled, connected nodes are asked, those
///    first that placement would have chosen, and the key is looked up. A provider is dialled when
///    its record arrives, not when the look-up ends.
///    Who has few connections asks one of them for the nodes near the key as well: it has just
///    joined, and the other one has the neighbourhood at hand that the look-up still has to find.
///    Rationale: each of these takes round trips, and any of them may be the one that answers.
/// 2. At most `asks_at_once` asks and `dials_at_once` dials are under way; one that takes longer
///    than `patience` does not count any more, so that who is silent holds up nobody.
/// 3. Nobody is asked twice. Once `enough` have it, nobody else is asked; what is under way then
///    may still bring a holder, of which `on_holder` tells.
/// 4. A search that found nothing says whether that means something: somebody was asked, of those
///    near the key most answered that they lack it, and whoever is on record as having it, or is
///    named by the link, was heard as well.
///    Rationale: who cannot be reached now may have it, and be back in a moment.
/// 5. A thorough search ends only when all who are near the key have been met, whatever was found:
///    it is made for somebody who counts.
class DescriptorSearch : public std::enable_shared_from_this<DescriptorSearch> {
  public:
    struct Options {
        RootHash root;
        std::vector<core::Endpoint> at;
        std::size_t enough = 1;  ///< holders
        bool thorough = false;
        std::vector<net::PeerPtr> named{};  ///< to be asked before all others
        std::stop_token stop{};
        StageFn stage;
    };

    DescriptorSearch(Services services, Tasks& tasks, PeerBook& peers, Neighbourhood& neighbourhood,
                     const proto::NodeTable& table, Options options);

    /// Until enough have it, or nobody is left to ask, or it is to stop.
    [[nodiscard]] asio::awaitable<void> run();

    /// Once one was found.
    [[nodiscard]] std::optional<core::Descriptor>& descriptor() { return descriptor_; }
    [[nodiscard]] const std::vector<net::PeerPtr>& holders() const { return holders_; }
    /// Once it is over: nobody has it, as far as can be told (rule 4).
    [[nodiscard]] bool is_conclusive() const {
        return !descriptor_ && named_unheard_ == 0 && unheard_ < lacking_;
    }
    /// Nodes asked so far.
    [[nodiscard]] std::size_t asked() const { return asked_.size(); }
    /// `tell` hears of every holder that is found from now on.
    void on_holder(std::function<void(const net::PeerPtr&)> tell) { tell_ = std::move(tell); }

  private:
    enum class Rank : std::uint8_t { named, placed, near, connected };
    using Since = std::map<std::uint64_t, TimePoint>;  // what is under way, by number

    [[nodiscard]] static asio::awaitable<void> look_up(std::shared_ptr<DescriptorSearch> self);
    [[nodiscard]] static asio::awaitable<void> ask_closest(std::shared_ptr<DescriptorSearch> self,
                                                           net::PeerPtr peer);
    [[nodiscard]] static asio::awaitable<void> dial(std::shared_ptr<DescriptorSearch> self,
                                                    dht::Contact contact, Rank rank,
                                                    std::uint64_t number);
    [[nodiscard]] static asio::awaitable<void> ask(std::shared_ptr<DescriptorSearch> self,
                                                   net::PeerPtr peer, Rank rank,
                                                   std::uint64_t number);
    void on_providers(const std::vector<proto::ProviderRecord>& records);
    void on_answer(const net::PeerPtr& peer, const Result<net::Reply>& reply, Rank rank);
    void on_unheard(Rank rank) { ++(rank == Rank::named ? named_unheard_ : unheard_); }
    void offer(const net::PeerPtr& peer, Rank rank);
    void offer_connected();
    void want_dial(const dht::Contact& contact, Rank rank);
    void want_placed(const std::vector<proto::NodeRecord>& near);
    void pump();
    [[nodiscard]] bool is_enough() const { return holders_.size() >= options_.enough; }
    [[nodiscard]] bool is_exhausted() const;
    /// Those that still count against a bound.
    [[nodiscard]] std::size_t fresh(const Since& under_way) const;

    Services services_;
    Tasks& tasks_;                   // owned by the engine
    PeerBook& peers_;                // owned by the engine
    Neighbourhood& neighbourhood_;   // owned by the engine
    const proto::NodeTable& table_;  // owned by the engine
    Options options_;
    DhtKey key_;
    net::Signal moved_;
    std::map<std::pair<Rank, std::uint64_t>, net::PeerPtr> to_ask_;
    std::map<std::pair<Rank, std::uint64_t>, dht::Contact> to_dial_;
    std::set<core::Endpoint> dialled_;
    std::set<NodeId> asked_;
    Since asking_, dialling_;
    std::uint64_t last_number_ = 0;
    std::size_t lacking_ = 0;        // said so
    std::size_t unheard_ = 0;        // near the key, and not reached, or silent
    std::size_t named_unheard_ = 0;  // likewise, of those that are said to have it
    bool looking_up_ = false;
    bool asked_closest_ = false;
    bool over_ = false;
    std::optional<core::Descriptor> descriptor_;
    std::vector<net::PeerPtr> holders_;
    std::function<void(const net::PeerPtr&)> tell_;
};

}  // namespace flow29::node
