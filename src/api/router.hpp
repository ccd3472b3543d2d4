// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/node.hpp>

#include "api/byte_output.hpp"
#include "api/unique_fd.hpp"

namespace flow29::api {

/// One operation asked of a node, whatever carried it here.
struct Request {
    std::string method;
    std::string params;  ///< a JSON object; empty: none
    /// What `publish` reads; none: params name a path. A socket of a FolderServer if that is a
    /// directory, and likewise of where `fetch` writes.
    UniqueFd input;
    std::shared_ptr<ByteOutput> output;  ///< what `cat` writes to
    /// False for callers that may not make the node read or write files of their choice.
    bool may_name_paths = false;
    /// Of the group that the node is shared with, and not its owner: see Router.
    bool is_member = false;
    std::stop_token stop;
    std::stop_token gone;  ///< whoever asked hears nothing any more, nor opens files for it
};

/// Takes one JSON line (newline included). Any number of progress lines come first; exactly one
/// line, with `last` true, ends the operation. Called from any thread, one call at a time.
using EmitFn = std::function<void(std::string line, bool last)>;

/// Splits `{"method":…,"params":{…}}`. Errc::usage says what is malformed.
[[nodiscard]] Result<Request> parse_request(std::string_view line);

/// Turns requests into calls of a node and results into the JSON lines of the contract. It knows no
/// transport: the control socket and HTTP share it.
///
/// | method  | params (optional in brackets)                                                     |
/// |---------|-----------------------------------------------------------------------------------|
/// | publish | path or input, [name, copies, extent_chunks, by_reference, private, times,         |
/// |         | lease_ms, wait, idle_timeout_ms, withdraw_on_stop]                                |
/// | fetch   | link, path, [input, inside: `path` is a directory, and its folder the second one;  |
/// |         | name, range: {first, end}, overwrite, share, keep_copy, idle_timeout_ms]          |
/// | cat     | link and output, [range, idle_timeout_ms]                                         |
/// | list    | link, [idle_timeout_ms]                                                           |
/// | locate  | hash, [in, timeout_ms]                                                            |
/// | health  | link, [timeout_ms, repair]                                                        |
/// | map     | link, [timeout_ms]                                                                |
/// | rm, pin, unpin | link                                                                       |
/// | block   | [name]; without it the list                                                       |
/// | unblock | name                                                                              |
/// | limit   | [up, down, repair: bytes per second, 0 for none]; without, those in force          |
/// | verify  | [link]; without it everything                                                     |
/// | log     | [level, after, count]; lines kept in memory, those after a number                  |
/// | leave   | [force, idle_timeout_ms]                                                          |
/// | transfers/pause, transfers/resume, transfers/cancel | id                                   |
/// | status, peers, ls, transfers | none                                                         |
///
/// Ranges are half-open; a missing `end` is the object's end. Unknown params are refused, so that a
/// misspelt one is not silently without effect.
///
/// A member uses the node and what it keeps, as all members do: who published something is not
/// told apart. What changes the node itself or its swarm, or tells its secrets, is its owner's:
/// leave, join, invite, log and unblock, and limit and block when they change something. A file
/// comes from a member as a descriptor and a directory as a FolderServer's socket. Rationale: in a
/// directory that came as a descriptor the node would look with its own rights, so that `/` would
/// give away its keys.
class Router {
  public:
    /// `copies`: the floor of a publish that names none. `left`: called, from any thread, after the
    /// node has left the swarm and the answer that says so went out.
    Router(Node& node, unsigned copies, std::function<void()> left = {})
        : node_(node), copies_(copies), left_(std::move(left)) {}

    /// Starts the operation; returns at once.
    void call(Request request, EmitFn emit);
    /// How many operations have begun, or ended, that may change what is kept here.
    [[nodiscard]] std::uint64_t changes() const { return *changes_; }

  private:
    Node& node_;  // owned by whoever made this router, and outlives it
    unsigned copies_;
    std::function<void()> left_;
    /// Operations may end after the router is gone.
    std::shared_ptr<std::atomic<std::uint64_t>> changes_ =
        std::make_shared<std::atomic<std::uint64_t>>(0U);
};

}  // namespace flow29::api
