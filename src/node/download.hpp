// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>

#include "core/buffer.hpp"
#include "core/descriptor.hpp"
#include "core/file_key.hpp"
#include "core/merkle.hpp"
#include "core/range_set.hpp"
#include "node/peer_book.hpp"
#include "node/services.hpp"
#include "node/tasks.hpp"
#include "proto/download_planner.hpp"
#include "proto/pull_budget.hpp"

namespace flow29::node {

/// A verified run of chunks of one extent.
struct Piece {
    ExtentIndex extent;
    ChunkRange chunks;  ///< within the extent
    ByteRange bytes;    ///< within the object
};

/// Takes verified pieces, in any order, each once.
class PieceSink {
  public:
    virtual ~PieceSink() = default;
    /// On a worker, several at once: what blocks or costs time. `hashes` came of verifying it.
    [[nodiscard]] virtual Result<void> store(const Piece& piece, ByteView data,
                                             const core::VerifiedRange& hashes) = 0;
    /// On the executor, after store: what touches the node's state. May take the data.
    virtual void deliver(const Piece& piece, core::Buffer& data) = 0;
};

/// Pulls wanted bytes of one object from whoever delivers: the planner decides, this asks, verifies
/// and hands on. No byte reaches the sink before its proof holds.
class Download : public std::enable_shared_from_this<Download> {
  public:
    struct Options {
        proto::DownloadPlanner::Options planner;
        /// Extents that this node has itself: nobody else is asked for them unless they turn out
        /// damaged.
        std::set<ExtentIndex> local;
        Duration idle_timeout = std::chrono::seconds(60);
        std::stop_token stop;
        /// Of a private object: what the sink gets is decrypted.
        std::optional<core::FileKey> key;
        /// Null, or what bounds it; it outlives the download.
        proto::PullBudget* budget = nullptr;
        /// Nobody waits for it, here or at those who are asked.
        bool is_repair = false;
        /// May be empty. While it says so nothing more is asked for, and no idle timeout counts.
        std::function<bool()> is_paused;
        /// How much may be begun and not taken, see proto::DownloadPlanner; empty: any amount.
        std::function<ByteCount()> begin_max;
        /// Asked now and then for more holders while an extent has none; may be empty. It calls
        /// add_holder itself.
        std::function<asio::awaitable<void>(std::vector<ExtentIndex> starved)> find_more;
        /// Called at most every 200 ms and at the end.
        std::function<void(const Download&)> progress;
    };

    Download(Services services, Tasks& tasks, PeerBook& peers, core::Descriptor descriptor,
             ByteRange want, const core::RangeSet& have, PieceSink& sink, Options options);

    /// A connected node to pull from; it is asked what it holds unless `holds_all`.
    void add_holder(const net::PeerPtr& peer, bool holds_all);
    /// A connected node that is known to hold these, whatever else it holds.
    void add_holder_of(const net::PeerPtr& peer, const std::vector<ExtentIndex>& extents);
    /// A connected node that probably holds this extent: it is asked without having said so.
    void guess_holder(const net::PeerPtr& peer, ExtentIndex extent);
    /// A node said that it now holds this. If it is connected it serves as well.
    /// O(items × log extents).
    void on_stored(const NodeId& node, const std::vector<proto::ItemId>& items);
    /// In order only: the consumer has taken everything before this offset.
    void on_consumed(ByteCount offset);
    /// An extent was taken from the sink, or is wanted no longer, see proto::DownloadPlanner.
    void on_taken(ExtentIndex extent);
    void drop(ExtentIndex extent);
    /// It was stopped, paused or resumed, or what `begin_max` says went up: do not wait to notice.
    void wake() { moved_.notify_all(); }

    /// Until everything wanted was delivered. Errors: timed_out or not_found (nothing moved for the
    /// idle timeout), interrupted, or what the sink says.
    [[nodiscard]] asio::awaitable<Result<void>> run();
    /// Until there is something left for which nobody can be asked, or `patience` has passed; false
    /// when nothing was left before that. The caller keeps this alive.
    [[nodiscard]] asio::awaitable<bool> wait_short_of_holders(Duration patience);

    [[nodiscard]] const core::Descriptor& descriptor() const { return descriptor_; }
    [[nodiscard]] const proto::DownloadPlanner& planner() const { return planner_; }
    /// What is wanted, and what of that is here: no more than was asked for, although chunks are
    /// wanted whole.
    [[nodiscard]] ByteCount total() const {
        return std::min(planner_.wanted() + earlier_, want_.count());
    }
    [[nodiscard]] ByteCount done() const {
        return std::min(planner_.verified() + earlier_, total());
    }
    /// Other nodes that delivered something.
    [[nodiscard]] std::size_t served_by() const { return served_by_.size(); }
    /// When the first verified bytes came; nothing before.
    [[nodiscard]] std::optional<TimePoint> first_bytes_at() const { return first_bytes_at_; }
    /// Pieces that came and are being checked and written.
    [[nodiscard]] std::size_t storing() const { return storing_; }
    /// From other nodes.
    [[nodiscard]] ByteCount fetched() const { return fetched_; }
    /// What was here already: from this node's own store, or from an earlier attempt.
    [[nodiscard]] ByteCount own() const { return std::min(own_ + earlier_, done()); }
    /// When something last came, or a node last said that it has more.
    [[nodiscard]] TimePoint last_progress() const { return last_progress_; }

  private:
    using Position = std::pair<ExtentHash, ExtentIndex>;
    struct Verdict {
        Result<void> outcome;
        bool sink_failed = false;
    };

    [[nodiscard]] asio::awaitable<void> fetch_piece(std::shared_ptr<Download> self,
                                                    proto::DownloadPlanner::Request request);
    [[nodiscard]] asio::awaitable<void> ask_holdings(std::shared_ptr<Download> self,
                                                     net::PeerPtr peer);
    /// False when it did not answer.
    [[nodiscard]] asio::awaitable<bool> ask_which(std::shared_ptr<Download> self, net::PeerPtr peer,
                                                  std::vector<ExtentIndex> extents);
    [[nodiscard]] asio::awaitable<void> ask_again(std::shared_ptr<Download> self, net::PeerPtr peer,
                                                  std::vector<ExtentIndex> starved);
    [[nodiscard]] asio::awaitable<void> find_more(std::shared_ptr<Download> self,
                                                  std::vector<ExtentIndex> starved);
    [[nodiscard]] Verdict verify_and_store(const Piece& piece, core::Buffer& data,
                                           const core::Proof& proof) const;
    void on_request_failed(const proto::DownloadPlanner::Request& request, const Error& error);
    void give_up_local();
    void drop_closed_peers();
    void note_heard(TimePoint now);
    void look_for_more();
    void set_waited_for(bool waited_for);
    void report(bool force);

    Services services_;
    Tasks& tasks_;     // owned by the engine
    PeerBook& peers_;  // owned by the engine
    core::Descriptor descriptor_;
    core::Layout layout_;
    ByteRange want_;
    proto::DownloadPlanner planner_;
    PieceSink& sink_;  // owned by the caller of run, who outlives it
    Options options_;
    std::vector<Position> positions_;  // sorted; of all extents, once somebody stored some
    net::Signal moved_;
    std::set<NodeId> asked_;    // for what they hold
    std::set<NodeId> present_;  // in the planner as usable
    std::set<NodeId> served_by_;
    std::map<NodeId, std::uint64_t> heard_;  // bytes that had come from it when it was asked last
    std::set<NodeId> silent_;
    bool holder_lost_ = false;  // since somebody was last looked for, one failed or fell silent
    std::optional<TimePoint> first_bytes_at_;
    ByteCount fetched_;
    ByteCount own_;      // from the store
    ByteCount earlier_;  // what there was of it in the beginning
    TimePoint last_progress_{};
    TimePoint last_report_{};
    TimePoint next_search_{};
    Error last_error_;
    std::optional<Error> fatal_;
    std::size_t storing_ = 0;  // pieces on a worker now: the sink must outlive them
    bool searching_ = false;
    bool waited_for_ = false;
    bool ended_ = false;
};

}  // namespace flow29::node
