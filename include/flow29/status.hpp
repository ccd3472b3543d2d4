// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/directory.hpp>
#include <flow29/ids.hpp>
#include <flow29/operations.hpp>

// What a node says of itself: how it is, what it is doing, what is in it.

namespace flow29 {

struct PeerInfo {
    NodeId node;
    std::string address;
    std::chrono::microseconds rtt{};
    ByteCount up;
    ByteCount down;
    double rate = 0;  ///< bytes per second from it lately
    bool storing = false;
    std::uint64_t holds_extents = 0;  ///< of those this node knows
    bool connected = true;            ///< false: it is listed for what it did
    unsigned score = 100;             ///< how much of what was lately asked of it came, in percent
    unsigned strikes = 0;             ///< times that it broke a rule or lied
    unsigned disconnects = 0;         ///< connections that ended for that
    bool banned = false;              ///< not talked to any more in this run
    std::string reason;               ///< of the last strike; empty: none
};

/// Whether others can dial this node, as far as it has seen.
enum class Reach : std::uint8_t {
    unknown,      ///< nobody has dialled it yet
    reachable,    ///< somebody has
    unreachable,  ///< those who were asked to dial it could not: it is no holder
};
/// For scripts, like "unreachable".
[[nodiscard]] std::string_view reach_name(Reach reach) noexcept;

/// What a gateway was asked for, so that nodes outside can dial this one.
struct PortMapping {
    std::string method;    ///< "natpmp" or "upnp"; empty: there is no mapping
    std::string external;  ///< ADDRESS:PORT outside
    std::string problem;   ///< for people: why there is none; empty too when it was not tried
};

struct Status {
    NodeId node;
    std::string version;
    std::chrono::milliseconds uptime{};
    std::uint16_t port = 0;
    std::vector<std::string> listening;  ///< where, with the port
    std::vector<std::string> addresses;  ///< at which others can dial it, as far as known
    Reach reach = Reach::unknown;
    PortMapping mapping;
    bool storing = false;
    bool is_private = false;  ///< only who has the swarm's key is answered
    std::string problem;      ///< what keeps it from its work, for people; empty: nothing
    bool dht_connected = false;
    std::size_t dht_nodes = 0;
    std::chrono::milliseconds clock_skew{};
    std::size_t peers = 0;
    ByteCount used, capacity;
    std::optional<ByteCount> disk_left;  ///< what it may still take of the disk, if that is known
    std::uint64_t objects = 0, extents = 0;
    std::uint64_t under_target = 0, repairs_in_flight = 0;
    ByteCount repaired;
    ByteCount repair_limit;          ///< bytes per second; 0: none
    ByteCount up_limit, down_limit;  ///< likewise
    std::uint64_t announced_records = 0;
    double announce_due_per_hour = 0;  ///< that of the node itself included
    bool announce_behind = false;
    ByteCount up, down, dht_up, dht_down;
    std::uint64_t dht_packets_up = 0, dht_packets_down = 0;
    std::uint64_t dht_foreign = 0;  ///< datagrams of whoever has not the swarm's key; dropped
    std::uint64_t dht_puts = 0, dht_lookups = 0;  ///< since the start, failed ones included
    std::uint64_t dht_records = 0;                ///< kept for others now, and of its own
};

enum class TransferKind : std::uint8_t { fetch, stream, publish };
/// Why a transfer is no faster than it is.
enum class TransferReason : std::uint8_t {
    paused,
    looking_up,
    no_holders,         ///< nobody who can be asked has what is missing, or takes it
    limited_by_us,      ///< by `limit`
    limited_by_holder,  ///< those who serve or store it are no faster
    reader,             ///< whoever reads the stream takes his time
    disk,               ///< reading and hashing, or checking and writing
};
/// For scripts, like "no_holders".
[[nodiscard]] std::string_view reason_name(TransferReason reason) noexcept;
[[nodiscard]] std::string_view kind_name(TransferKind kind) noexcept;

struct TransferHolder {
    NodeId node;
    double rate = 0;  ///< bytes per second now
    ByteCount bytes;  ///< delivered so far
};
/// Neighbouring extents of what is fetched, seen as one.
struct TransferCell {
    ByteCount wanted;         ///< of it, what this transfer is for; 0: nothing
    ByteCount missing;        ///< of that, what is not verified here yet
    std::size_t holders = 0;  ///< who can be asked and has it, of the extent with the fewest
    /// Who delivered of it last; nothing: nobody yet.
    std::optional<NodeId> by;
};
/// What a node does for one of its users now.
struct TransferInfo {
    std::uint64_t id = 0;  ///< unique while the node runs
    TransferKind kind = TransferKind::fetch;
    std::optional<RootHash> root;  ///< a publication has one once it is hashed
    std::string name, path;
    Stage stage = Stage::joining;
    bool paused = false;
    ByteCount done, total;  ///< of the stage
    ByteCount own;          ///< of `done`, what this node had already
    double rate = 0;        ///< bytes per second over the last seconds, without those
    std::optional<std::chrono::milliseconds> eta;
    std::vector<TransferHolder> holders;  ///< who sends; of a publication, who is sent to
    std::vector<TransferCell> cells;  ///< of a fetch or stream, in order; at most limits::cells_max
    unsigned copies_min = 0, copies_target = 0;
    TransferReason reason = TransferReason::looking_up;
    std::optional<NodeId> slowest;  ///< whom limited_by_holder means, if one stands out
    std::string why;                ///< the reason for people
};
enum class TransferAction : std::uint8_t { pause, resume, cancel };

struct ObjectEntry {
    RootHash root;
    std::string name;
    ObjectKind kind = ObjectKind::file;
    ByteCount bytes;
    std::uint64_t extents = 0, extents_held = 0;
    bool published = false, pinned = false;
    /// Of the worst part, at other nodes and, unless it was published here, at this one; those that
    /// cannot be reached now are not counted. `health` asks them. Nothing: this node does not watch
    /// over it.
    std::optional<unsigned> copies_min;
    /// In extents with fewer copies than the target, counted likewise; nothing: not known.
    std::optional<std::uint64_t> at_risk_chunks;
    unsigned target = 0;
    /// When the last lease ends that keeps it, or ended that kept it; nothing: there was none, or
    /// it was withdrawn.
    std::optional<std::chrono::system_clock::time_point> expires;
    bool expired = false;  ///< that is over: nobody is to keep it any more
    bool renewed = false;  ///< by this node, before that
};

/// What this node has nothing to do with, because its operator says so.
struct Blocklist {
    std::vector<NodeId> nodes;
    std::vector<RootHash> roots;
};

/// In bytes per second; 0: none.
struct RateLimits {
    ByteCount up;      ///< everything sent: over connections, as TLS records, and in datagrams
    ByteCount down;    ///< everything received, likewise
    ByteCount repair;  ///< taking in copies that others than their publisher ask for
};
/// What is not named stays.
struct RateLimitsChange {
    std::optional<ByteCount> up;
    std::optional<ByteCount> down;
    std::optional<ByteCount> repair;
};

}  // namespace flow29
