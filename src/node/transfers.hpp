// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>

#include <flow29/node.hpp>
#include "node/copy_pace.hpp"
#include "node/download.hpp"
#include "node/rate_window.hpp"
#include "node/services.hpp"
#include "proto/transfer_reason.hpp"

namespace flow29::node {

/// One fetch, stream or publication while it runs, as its user sees it. Whoever runs it owns this,
/// asks it whether to go on, and tells it how far things are. On the executor's thread only.
class Transfer {
  public:
    struct Options {
        TransferKind kind = TransferKind::fetch;
        std::optional<RootHash> root;  ///< a publication learns it when it is hashed
        std::string name;
        std::string path;
        std::stop_token stop;  ///< of whoever asked for it
    };

    Transfer(std::uint64_t id, Services services, Options options);

    [[nodiscard]] std::uint64_t id() const { return id_; }
    [[nodiscard]] bool paused() const { return paused_; }
    /// Stopped when its user cancels it, or whoever asked for it does.
    [[nodiscard]] std::stop_token stop_token() const { return stop_.get_token(); }

    void set_root(const RootHash& root) { root_ = root; }
    /// Where the bytes come in; it is woken when something is asked of the transfer.
    void watch(const std::shared_ptr<Download>& download) { download_ = download; }
    /// Tells the transfer of progress, then `progress`, for which a pause is a stage, and which is
    /// told what was sent as well. This and the next do not own the transfer: answers still to come
    /// keep them for longer than it runs.
    [[nodiscard]] static ProgressFn noted(const std::shared_ptr<Transfer>& self,
                                          ProgressFn progress);
    [[nodiscard]] static std::function<bool()> is_paused(const std::shared_ptr<Transfer>& self);
    /// Notes what those were sent who were asked to keep what is published.
    [[nodiscard]] static std::function<void(const NodeId&, ByteCount)> sent_to(
        const std::shared_ptr<Transfer>& self);

    void set_paused(bool paused);
    void cancel();
    [[nodiscard]] TransferInfo info() const;

  private:
    struct Sent {
        ByteCount bytes;
        RateWindow window;
    };

    void note(const Progress& progress);
    [[nodiscard]] Progress shown() const;
    void on_sent(const NodeId& node, ByteCount bytes);
    [[nodiscard]] double rate() const;
    /// By a publication, to all.
    [[nodiscard]] ByteCount sent() const;
    [[nodiscard]] std::optional<std::chrono::milliseconds> copies_left() const;
    void look_at(const Download& download, TransferInfo& info, proto::TransferFacts& facts) const;

    std::uint64_t id_;
    Services services_;
    TransferKind kind_;
    std::optional<RootHash> root_;
    std::string name_;
    std::string path_;
    std::stop_source stop_;
    std::stop_callback<std::function<void()>> forward_;
    bool paused_ = false;
    Progress progress_;
    std::weak_ptr<Download> download_;
    RateWindow moved_;             // of this stage, without what lay here already
    CopyPace pace_;                // of a publication
    std::map<NodeId, Sent> sent_;  // of a publication
};

/// What a node does for its users now. On the executor's thread only.
class Transfers {
  public:
    explicit Transfers(Services services) : services_(services) {}

    /// It is listed until the last owner lets go of it.
    [[nodiscard]] std::shared_ptr<Transfer> begin(Transfer::Options options);
    /// Oldest first.
    [[nodiscard]] std::vector<TransferInfo> list() const;
    /// Gives the new list. Errors: not_found.
    [[nodiscard]] Result<std::vector<TransferInfo>> control(std::uint64_t id,
                                                            TransferAction action);
    /// Cancels all.
    void stop();

  private:
    Services services_;
    std::map<std::uint64_t, std::weak_ptr<Transfer>> running_;
    std::uint64_t last_id_ = 0;
};

}  // namespace flow29::node
