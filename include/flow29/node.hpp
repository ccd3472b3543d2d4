// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <flow29/config.hpp>
#include <flow29/directory.hpp>
#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/link.hpp>

namespace flow29 {

namespace node {
class Folder;  // src/node/folder.hpp: only the program itself gives one
}

/// What an operation is waiting for or doing; every wait has one.
enum class Stage : std::uint8_t {
    joining,     ///< finding the swarm
    hashing,     ///< reading and hashing the source
    looking_up,  ///< asking the DHT
    nobody_yet,  ///< looking up again: all who were asked lack it
    connecting,  ///< dialling holders
    tree,        ///< getting and checking the descriptor
    data,        ///< moving chunks
    copies,      ///< waiting for others to hold it durably
    checking,    ///< asking holders what they hold
    verifying,   ///< reading what is kept here against its hashes
    healing,     ///< getting what was found damaged from others
    paused,      ///< until somebody resumes it
};
/// "looking up": for people. "looking_up": for scripts.
[[nodiscard]] std::string_view stage_text(Stage stage) noexcept;
[[nodiscard]] std::string_view stage_name(Stage stage) noexcept;

/// How far an operation has come. Numbers that mean nothing for the stage are 0.
struct Progress {
    Stage stage = Stage::joining;
    ByteCount done;  ///< of Stage::copies, the bytes of all durable copies that are wanted
    ByteCount total;
    ByteCount own;              ///< of `done`, what this node had already
    std::uint64_t holders = 0;  ///< peers that serve now, or hold it
    unsigned copies_min = 0;    ///< of all extents and the descriptor
    unsigned copies_target = 0;
    ByteCount sent;        ///< of a publication, by this node so far; holders send each other, too
    double sent_rate = 0;  ///< bytes per second of that, over the last seconds
    /// Of a publication, until all copies are made; nothing as long as it is not known.
    std::optional<std::chrono::milliseconds> eta;
};
/// Called on the node's thread, at most a few times a second and at each change of stage.
using ProgressFn = std::function<void(const Progress&)>;
/// Called once, on the node's thread.
template <class T>
using DoneFn = std::function<void(Result<T>)>;

/// Copies of an object's extents and descriptor on distinct nodes.
struct Copies {
    unsigned min = 0;
    double mean = 0;
    std::map<unsigned, std::uint64_t> histogram;  ///< copies → how many extents (and descriptor)
};

enum class PublishWait : std::uint8_t { copies, announced, none };

struct PublishRequest {
    /// What to read, a file or a directory: an open descriptor (the node duplicates it), or -1 to
    /// open `path`. What is in a directory is opened by the node, beneath it.
    int fd = -1;
    std::filesystem::path path;
    /// Instead of both, a directory that somebody else opens for the node.
    std::shared_ptr<node::Folder> folder{};
    std::string name;  ///< for the link and the catalogue
    unsigned copies = limits::copies_default;
    std::optional<unsigned> extent_level;  ///< log2 of chunks per extent; default automatic
    bool by_reference = false;             ///< serve from `path`, a file, instead of copying it
    /// Encrypt it: only who has the link, which carries the key, can read it or the names in it.
    /// Not with by_reference.
    bool encrypt = false;
    bool times = false;  ///< of a directory: when each file was changed is part of it, and its hash
    std::chrono::milliseconds lease = std::chrono::hours(24 * 365);
    /// Sign it anew, for as long again, whenever less than half of it is left.
    bool renew = true;
    PublishWait wait = PublishWait::copies;
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(60);
    std::stop_token stop;
    /// When `stop` comes after others were asked to keep it, take it back from them, unless it was
    /// published before. Else it stays published, and its copies are made as those that are lost.
    bool withdraw_on_stop = false;
};
struct PublishResult {
    RootHash root;
    Link link;
    ByteCount bytes;
    ChunkCount chunks;
    std::uint64_t extents = 0;
    Copies copies;  ///< on nodes other than this one, confirmed durable
    unsigned target = 0;
    std::chrono::milliseconds elapsed{};
    /// What stood in the way when copies.min < target: "only 2 other nodes store"…
    std::string shortfall;
};

struct FetchRequest {
    Link link;  ///< of a file, a directory, or a path inside a directory
    /// Where to write. The node writes to `path` + ".flow29-part" beside it, remembers what is
    /// verified, resumes from that, and renames at the end.
    std::filesystem::path path;
    /// When `path` is a directory and the link names a file: what the file is called in it. Empty:
    /// then `path` is in the way.
    std::string name;
    std::optional<ByteRange> range;  ///< of a file
    /// Replaces a file by a file, a whole directory by a directory.
    bool overwrite = false;
    /// Serve what was fetched from where it lies, while it is unchanged; files only, and not what
    /// is private.
    bool share = true;
    /// With `share`: take a copy into the node's own store instead, so that the file may be changed
    /// or deleted. Costs as much disk again, until the room is needed.
    bool keep_copy = false;
    /// Who opens, makes and renames what is in the directory that `path` is in, and in `path` if
    /// that is a directory; null: the node itself does, by `path`.
    std::shared_ptr<node::Folder> folder{};
    std::shared_ptr<node::Folder> inside{};
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(60);
    std::stop_token stop;
};
/// How others are served what was fetched.
enum class Sharing : std::uint8_t {
    none,
    in_place,  ///< from where it lies, without a second copy
    copy,      ///< from a copy in the node's store
};
/// For scripts, like "in_place".
[[nodiscard]] std::string_view sharing_name(Sharing sharing) noexcept;
struct FetchResult {
    RootHash root;
    std::filesystem::path path;
    ObjectKind kind = ObjectKind::file;  ///< of what the link names
    std::uint64_t files = 1;             ///< written
    ByteCount bytes;                     ///< of the object or range; of the files of a directory
    ByteCount fetched;                   ///< over the network now; less than bytes after a resume
    std::uint64_t holders = 0;           ///< how many served
    Sharing shared = Sharing::none;
    std::string unshared_why;  ///< for people, when it was to be shared and is not
    std::chrono::milliseconds elapsed{};
    std::chrono::milliseconds first_byte{};
};

/// Bytes in order, each verified before it is handed on.
struct StreamRequest {
    Link link;  ///< of a file, or a file's path inside a directory; else Errc::is_directory
    std::optional<ByteRange> range;
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(60);
    std::stop_token stop;
};
/// Takes the next bytes. Called on the node's thread; must not block: it keeps the bytes and calls
/// `next` (from any thread) when it wants more. `next(false)` ends the stream.
using SinkFn = std::function<void(ByteView bytes, std::function<void(bool go_on)> next)>;
/// Told once, before the first bytes, what is coming; `object_bytes` of the file inside a directory
/// if that was asked for.
using HeadFn = std::function<void(ObjectKind kind, ByteCount object_bytes, ByteRange range)>;

/// What is in a directory, or below a path inside it. None of its files is fetched.
struct ListRequest {
    Link link;
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(60);
    std::stop_token stop;
};
struct Listing {
    RootHash root;
    std::string key;                      ///< of a private object, as in its link
    std::string path;                     ///< that was asked for
    ByteCount bytes;                      ///< of the files listed
    std::vector<DirectoryEntry> entries;  ///< by path, which begins at the root
};

struct Holder {
    NodeId node;
    std::vector<std::string> addresses;
    bool by_record = false;  ///< found through the DHT, else in the neighbourhood of the key
};
struct Located {
    std::string hash;  ///< as asked, in hexadecimal
    std::string kind;  ///< "root", "extent" or "chunk"
    std::vector<Holder> holders;
};

/// Whether holders are asked to keep an object.
enum class Upkeep : std::uint8_t {
    leased,     ///< until a lease ends
    expired,    ///< the last lease is over
    withdrawn,  ///< by its publisher
    unknown,    ///< nobody who was asked knows a lease
};
/// For scripts, like "leased".
[[nodiscard]] std::string_view upkeep_name(Upkeep upkeep) noexcept;

struct Health {
    RootHash root;
    ByteCount bytes;
    Upkeep upkeep = Upkeep::unknown;
    unsigned target = 0;     ///< 0 once it expired or was withdrawn
    Copies copies;           ///< live now: answered this node; descriptor included
    std::size_t groups = 0;  ///< fewest address groups (/24, /48) that hold any one extent
    std::uint64_t at_risk_chunks = 0;  ///< in extents with fewer live copies than the target
    ByteCount missing;                 ///< of copies below the target, descriptor included
    std::uint64_t coming = 0;          ///< copies that are being made now
    /// By how fast copies came since an earlier look; 0 when none is missing, nothing when unknown.
    std::optional<std::chrono::milliseconds> time_to_target;
    std::uint64_t audited = 0;  ///< chunks and descriptors that holders proved just now
    /// At least `target` copies without the publisher's, at holders that passed that audit.
    bool publisher_may_leave = false;
};

/// Where the parts of an object are, by the word of those who keep them.
struct ObjectMap {
    struct Part {
        std::string hash;  ///< in hexadecimal; the root's for the descriptor
        ByteCount bytes;
        std::vector<NodeId> holders;  ///< others than this node that keep it under a lease
        bool held_here = false;       ///< likewise, by this node
        std::size_t coming = 0;       ///< nodes that are pulling it now
    };
    RootHash root;
    ByteCount bytes;
    std::vector<Part> parts;  ///< the descriptor, then the extents in order
};

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
    std::string problem;      ///< why nobody is connected, for people; empty: nothing is wrong
    bool dht_connected = false;
    std::size_t dht_nodes = 0;
    std::chrono::milliseconds clock_skew{};
    std::size_t peers = 0;
    ByteCount used, capacity;
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

struct Withdrawal {
    RootHash root;
    std::size_t holders_told = 0;
    std::size_t holders_obeyed = 0;
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

struct VerifyRequest {
    std::optional<RootHash> root;  ///< nothing: everything that is kept here
    std::stop_token stop;
};
/// What a look at everything that is kept here found. Extents that are parts of several objects
/// count once.
struct Verification {
    ByteCount checked;                    ///< of extents, read from where they lie
    std::uint64_t checked_extents = 0;    ///< sound or not
    std::uint64_t damaged_extents = 0;    ///< of these; dropped, so that nobody is served them
    std::uint64_t missing_extents = 0;    ///< that ought to be here besides, and were not
    std::uint64_t healed_extents = 0;     ///< of both, how many came again from others
    std::uint64_t checked_objects = 0;    ///< how many descriptors were read
    std::uint64_t damaged_objects = 0;    ///< of these
    std::uint64_t healed_objects = 0;     ///< of these
    bool catalogue_is_damaged = false;    ///< the next start makes it anew from what can be read
    std::vector<std::string> complaints;  ///< what is damaged and was not healed, for people; some

    [[nodiscard]] bool is_sound() const {
        return healed_extents == damaged_extents + missing_extents &&
               healed_objects == damaged_objects && !catalogue_is_damaged;
    }
};

struct LeaveRequest {
    /// Go even when something that is kept here cannot have its copies elsewhere.
    bool force = false;
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(60);
    std::stop_token stop;
};
struct Departure {
    bool left = false;               ///< neighbours were told; the node is to be stopped now
    std::uint64_t items = 0;         ///< extents and descriptors that were kept here
    std::uint64_t handed_over = 0;   ///< of them, how many lacked copies elsewhere and got them
    std::uint64_t below_target = 0;  ///< of them, how many still lack copies elsewhere
};

/// What brings another node into this one's swarm.
struct Invitation {
    std::string word;  ///< to be pasted after `flow29 join`
    std::vector<std::string> addresses;
    bool is_private = false;  ///< then the word is a secret: whoever has it is in
};
struct Joined {
    std::vector<std::string> addresses;  ///< those of the invitation
    std::size_t reached = 0;             ///< of them, how many answered just now
    bool is_private = false;
    bool running = false;  ///< else the node uses them when it is started next
};

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

/// What `hash` prints; needs no node.
struct HashResult {
    RootHash root;
    ByteCount bytes;
    ChunkCount chunks;
};
/// Hashes a file or directory (an open descriptor) on all cores, as PublishRequest::times says.
/// Errors: file_error; refused when something changed meanwhile, or cannot be part of a directory;
/// usage when a file was to have a time.
[[nodiscard]] Result<HashResult> hash_file(int fd, const std::function<void(ByteCount)>& progress,
                                           bool times = false);

}  // namespace flow29
