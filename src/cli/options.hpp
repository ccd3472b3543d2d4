// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <flow29/node.hpp>

/// What a command line asks for, as plain values. An optional without a value was not given.
namespace flow29::cli {

enum class ProgressMode { automatic, always, never };

struct GlobalOptions {
    std::optional<std::filesystem::path> data;
    std::optional<std::filesystem::path> config;
    std::vector<std::string> bootstrap;
    std::optional<std::filesystem::path> swarm_key;
    ProgressMode progress = ProgressMode::automatic;
    bool json = false;
    bool quiet = false;
    bool no_color = false;
    int verbose = 0;
};

struct NodeOptions {
    std::optional<std::uint16_t> port;
    std::vector<std::string> listen;
    std::optional<ByteCount> capacity;
    std::optional<unsigned> copies;
    std::optional<std::chrono::milliseconds> grace;
    std::optional<std::chrono::milliseconds> audit;
    std::optional<unsigned> quota_publisher;  ///< percent
    std::optional<unsigned> quota_group;      ///< likewise
    std::optional<ByteCount> repair_limit;    ///< bytes per second; 0: none
    std::optional<ByteCount> up_limit;        ///< likewise
    std::optional<ByteCount> down_limit;      ///< likewise
    std::optional<std::string> web;           ///< ADDRESS:PORT or "off"
    std::optional<std::string> gateway;       ///< likewise
    std::optional<std::string> control_group;
    std::optional<std::filesystem::path> control_socket;
    bool no_store = false;
    bool no_port_mapping = false;
    bool no_discovery = false;
};

struct PublishOptions {
    std::vector<std::string> paths;  ///< "-": standard input
    std::optional<unsigned> copies;
    std::optional<std::uint64_t> extent_chunks;
    std::optional<std::chrono::milliseconds> expires;
    std::optional<std::chrono::milliseconds> timeout;
    std::string name;
    PublishWait wait = PublishWait::copies;
    bool by_reference = false;
    bool is_private = false;
    bool times = false;
    bool qr = false;
};

struct FetchOptions {
    std::string link;  ///< "-": from standard input; empty: from FLOW29_LINK
    std::optional<std::string> output;
    std::optional<ByteRange> range;
    std::optional<std::chrono::milliseconds> timeout;
    bool overwrite = false;
    bool no_share = false;
    bool keep_copy = false;
};

struct CatOptions {
    std::string link;
    std::optional<ByteRange> range;
    std::optional<std::chrono::milliseconds> timeout;
};

struct HashOptions {
    std::string path;
    bool times = false;
};

struct LocateOptions {
    std::string hash;
    std::optional<std::string> in;
    std::optional<std::chrono::milliseconds> timeout;
};

struct HealthOptions {
    std::string link;
    std::optional<std::chrono::milliseconds> timeout;
    bool watch = false;
    bool repair = false;
};

enum class Listing { status, peers, objects, transfers };
struct ListOptions {
    Listing what = Listing::status;
    bool watch = false;
    std::optional<std::string> link;  ///< of `ls`: the directory to list, not the objects kept here
    std::optional<std::chrono::milliseconds> timeout;
    std::string node;  ///< of `peers`: the beginning of an id; empty: all
};

enum class ObjectAction { pin, unpin, withdraw };
struct ObjectOptions {
    ObjectAction action = ObjectAction::pin;
    std::string link;
};

struct TransferOptions {
    TransferAction action = TransferAction::pause;
    std::uint64_t id = 0;
};

struct VerifyOptions {
    std::optional<std::string> link;  ///< nothing: everything that is kept here
};

struct LogOptions {
    std::string level = "debug";  ///< and what is more severe
    bool follow = false;
};

struct WebOptions {
    bool print = false;
};

struct ConfigOptions {
    bool path = false;
};

struct LeaveOptions {
    bool force = false;
    std::optional<std::chrono::milliseconds> timeout;
};

struct BlockOptions {
    std::string name;  ///< empty: list what is blocked
    bool blocked = true;
};

/// In bytes per second; 0: none.
struct LimitOptions {
    std::optional<ByteCount> up;
    std::optional<ByteCount> down;
    std::optional<ByteCount> repair;
};

struct InviteOptions {};

struct JoinOptions {
    std::string invite;   ///< "-": from standard input
    bool is_new = false;  ///< begin a private swarm instead
};

struct VersionOptions {};

enum class Shell { bash, zsh, fish };
struct ManualOptions {};
struct CompletionOptions {
    Shell shell = Shell::bash;
};

using Command =
    std::variant<VersionOptions, NodeOptions, PublishOptions, FetchOptions, CatOptions, HashOptions,
                 LocateOptions, HealthOptions, ListOptions, ObjectOptions, TransferOptions,
                 VerifyOptions, LogOptions, WebOptions, ConfigOptions, LeaveOptions, BlockOptions,
                 LimitOptions, InviteOptions, JoinOptions, CompletionOptions, ManualOptions>;

struct Invocation {
    GlobalOptions global;
    Command command;
};

}  // namespace flow29::cli
