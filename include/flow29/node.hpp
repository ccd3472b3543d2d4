// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <flow29/config.hpp>
#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/link.hpp>
#include <flow29/operations.hpp>
#include <flow29/status.hpp>

namespace flow29 {

/// A node of the swarm, running on threads of its own. All functions return at once and may be
/// called from any thread; callbacks run on the node's thread and must not block.
///
/// The whole program is GPL-3.0-or-later because OpenDHT 2.4 is: so is what embeds it.
class Node {
  public:
    /// Opens the data directory, listens and begins to join.
    /// Errors: locked, file_error, no_space, corrupt_store, usage (an address), other (port in
    /// use).
    [[nodiscard]] static Result<std::unique_ptr<Node>> start(const Config& config);

    /// Stops and waits for the threads; callbacks of unfinished operations get Errc::interrupted.
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] const NodeId& id() const;
    /// The port in use, for both UDP and TCP.
    [[nodiscard]] std::uint16_t port() const;
    /// Where it listens, with the port.
    [[nodiscard]] std::vector<std::string> listening() const;

    void publish(PublishRequest request, ProgressFn progress, DoneFn<PublishResult> done);
    void fetch(FetchRequest request, ProgressFn progress, DoneFn<FetchResult> done);
    void stream(StreamRequest request, HeadFn head, SinkFn sink, ProgressFn progress,
                DoneFn<FetchResult> done);
    /// A path that names a file gives that one. Errors: as `fetch`; usage for the link of a file.
    void list(ListRequest request, ProgressFn progress, DoneFn<Listing> done);
    /// `hash`: a root, extent or chunk in hexadecimal or base32; `in`: the object to search in.
    void locate(std::string hash, std::optional<Link> in, std::chrono::milliseconds timeout,
                ProgressFn progress, DoneFn<Located> done);
    void health(Link link, std::chrono::milliseconds timeout, ProgressFn progress,
                DoneFn<Health> done);
    /// Who keeps which part, unaudited. Errors: as `health`.
    void map(Link link, std::chrono::milliseconds timeout, ProgressFn progress,
             DoneFn<ObjectMap> done);
    /// Makes missing copies now, without waiting for those whose turn it is; then as `health`.
    /// not_found when nobody reachable keeps it under a lease.
    void repair(Link link, std::chrono::milliseconds timeout, ProgressFn progress,
                DoneFn<Health> done);
    /// Ends this node's own lease and tells the holders; local copies become collectable.
    void withdraw(RootHash root, ProgressFn progress, DoneFn<Withdrawal> done);
    void pin(RootHash root, bool pinned, DoneFn<bool> done);
    /// Reads everything that is kept here, or what is kept of one object, against its hashes, at
    /// limits::verify_rate. What is damaged is dropped at once, and got again from other holders as
    /// far as this node is to keep it. Errors: not_found (no such object here), interrupted.
    void verify(VerifyRequest request, ProgressFn progress, DoneFn<Verification> done);
    /// Has others take up what only this node and too few others keep, then says goodbye. When some
    /// of it cannot be handed over, the node stays, unless forced. Destroy the node once it left.
    /// Errors: interrupted; refused when it is leaving already.
    void leave(LeaveRequest request, ProgressFn progress, DoneFn<Departure> done);

    /// Blocks, or no longer blocks, a node or an object: a link or base32 names an object, 64
    /// hexadecimal digits whatever of both is known here by that name, and both if neither is;
    /// fewer of them, limits::node_prefix_min at least, the one known node whose id begins with
    /// them. With a blocked node there are no connections; a blocked object is neither held nor
    /// served, fetched or published here. Durable. Gives the new list.
    void block(std::string name, bool blocked, DoneFn<Blocklist> done);
    void blocklist(DoneFn<Blocklist> done);
    /// Changes limits at once and durably; gives those in force. Errors: usage, below
    /// limits::line_rate_min.
    void limit(RateLimitsChange change, DoneFn<RateLimits> done);

    /// Errors: no_network, no address is known under which others could reach the swarm.
    void invite(DoneFn<Invitation> done);
    /// Remembers the addresses that an invitation names and tries them. Errors: usage, the word is
    /// wrong, and where; refused, it is of another swarm than this node is in.
    void join(std::string invite, DoneFn<Joined> done);

    /// What runs now: fetches, streams and publications.
    void transfers(DoneFn<std::vector<TransferInfo>> done);
    /// A paused fetch or stream asks for nothing more and keeps what it has; whoever waits goes on
    /// waiting, and no idle timeout counts. A paused publication invites nobody more; what others
    /// have accepted they still take. A cancelled one ends with Errc::interrupted; a fetch of the
    /// same resumes it. Gives the new list. Errors: not_found.
    void control_transfer(std::uint64_t id, TransferAction action,
                          DoneFn<std::vector<TransferInfo>> done);
    void status(DoneFn<Status> done);
    void peers(DoneFn<std::vector<PeerInfo>> done);
    void objects(DoneFn<std::vector<ObjectEntry>> done);

  private:
    struct State;
    explicit Node(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Hashes a file or directory (an open descriptor) on all cores, as PublishRequest::times says.
/// Errors: file_error; refused when something changed meanwhile, or cannot be part of a directory;
/// usage when a file was to have a time.
[[nodiscard]] Result<HashResult> hash_file(int fd, const std::function<void(ByteCount)>& progress,
                                           bool times = false);

}  // namespace flow29
