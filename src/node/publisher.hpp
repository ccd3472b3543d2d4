// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include <flow29/node.hpp>
#include "node/announcer.hpp"
#include "node/ingest.hpp"
#include "node/part_pusher.hpp"
#include "node/placer.hpp"
#include "node/services.hpp"
#include "node/transfers.hpp"

namespace flow29::node {

/// One publication: hash, and push parts meanwhile; keep, invite, wait until enough others hold
/// every extent and the descriptor durably, tell the holders of each other.
class Publisher {
  public:
    Publisher(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
              proto::NodeTable& table, Announcer& announcer, std::shared_ptr<Placer> placer,
              std::shared_ptr<PartPusher> parts, std::shared_ptr<Transfer> transfer);

    [[nodiscard]] asio::awaitable<Result<PublishResult>> run(PublishRequest request,
                                                             ProgressFn progress);
    /// The lease, if it takes the place of an earlier one that holders know. After run.
    [[nodiscard]] std::optional<proto::Lease> changed_lease() const {
        return replaces_lease_ ? std::optional(lease_) : std::nullopt;
    }

    /// After run: whether it is among what this node publishes, also when run failed.
    [[nodiscard]] bool is_kept() const { return is_kept_; }
    /// Before this and those that it has taken over from.
    [[nodiscard]] bool was_published() const { return was_published_; }
    /// Another one of the same was stopped.
    void take_over_from(const Publisher& other) {
        was_published_ = was_published_ && other.was_published_;
    }
    [[nodiscard]] const RootHash& root() const { return root_; }

  private:
    /// Hashes what is in it, derives the key, and gives it encrypted.
    [[nodiscard]] asio::awaitable<Result<std::unique_ptr<Source>>> encrypt(
        std::unique_ptr<Source> plain, std::stop_token stop);
    /// `fd` is of what is published, unless that comes in a folder.
    [[nodiscard]] asio::awaitable<Result<core::Descriptor>> ingest(const PublishRequest& request,
                                                                   int fd);
    [[nodiscard]] asio::awaitable<Result<void>> keep(const PublishRequest& request);
    [[nodiscard]] asio::awaitable<void> place(const PublishRequest& request);
    [[nodiscard]] asio::awaitable<Result<void>> place_and_announce(const PublishRequest& request);
    void tell_holders();
    [[nodiscard]] Copies copies() const;
    /// What stood in the way of so many copies.
    [[nodiscard]] std::string shortfall(unsigned copies) const;
    void report(Stage stage, ByteCount done, ByteCount total);
    void report_copies();

    Services services_;
    const Settings& settings_;  // owned by the engine
    Tasks& tasks_;              // owned by the engine
    PeerBook& peers_;           // owned by the engine
    proto::NodeTable& table_;   // owned by the engine
    Announcer& announcer_;      // owned by the engine
    std::shared_ptr<Placer> placer_;
    std::shared_ptr<PartPusher> parts_;
    std::shared_ptr<Transfer> transfer_;
    ProgressFn progress_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // guards what workers post
    std::optional<core::FileKey> key_;                       // of a private object
    core::Descriptor descriptor_;
    RootHash root_;
    proto::Lease lease_;
    bool replaces_lease_ = false;
    bool was_published_ = false;  // before
    bool is_kept_ = false;
};

}  // namespace flow29::node
