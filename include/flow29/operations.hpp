// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/directory.hpp>
#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/link.hpp>

// What a node is asked to do, and what comes of it.

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

struct Withdrawal {
    RootHash root;
    std::size_t holders_told = 0;
    std::size_t holders_obeyed = 0;
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

/// What `hash` prints; needs no node.
struct HashResult {
    RootHash root;
    ByteCount bytes;
    ChunkCount chunks;
};

}  // namespace flow29
