// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/folder_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <flow29/limits.hpp>

#include "api/folder_packet.hpp"

namespace flow29::api {

using node::FolderEntry;
using node::Replacing;

namespace {

/// What a node may say of how a file is to be opened.
bool may_open_so(int flags, unsigned mode, bool only_read) {
    constexpr int reading = O_NONBLOCK | O_NOCTTY | O_DIRECTORY;
    constexpr int writing = reading | O_RDWR | O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_DIRECT;
    return (flags & ~(only_read ? reading : writing)) == 0 && mode <= 0777;
}

}  // namespace

/// What the server's thread works on.
struct FolderServer::Desk {
    struct Place {
        std::shared_ptr<node::Folder> folder;
        std::string output;
        bool may_replace = false;
        bool only_read = false;
        bool is_whole = false;  ///< the node may do anything in it
    };

    UniqueFd socket;
    std::vector<Place> places;

    void run();
    [[nodiscard]] Result<void> answer(std::string_view packet);
    /// Whether the node may do that at this path.
    [[nodiscard]] static bool allows(const Place& place, FolderOperation operation,
                                     const std::string& path);
    [[nodiscard]] Result<void> move(const Place& place, const std::string& from,
                                    const std::string& to, Replacing replacing) const;
    [[nodiscard]] Result<void> reply(const Result<void>& done, std::uint32_t value = 0,
                                     int descriptor = -1) const;
    [[nodiscard]] Result<void> reply(const std::vector<FolderEntry>& entries) const;
};

bool FolderServer::Desk::allows(const Place& place, FolderOperation operation,
                                const std::string& path) {
    if (place.is_whole) return true;
    if (place.only_read)
        return operation == FolderOperation::open || operation == FolderOperation::list ||
               operation == FolderOperation::look;
    if (operation == FolderOperation::sync) return true;
    if (path == place.output) return operation == FolderOperation::look;
    if (operation == FolderOperation::list || operation == FolderOperation::move) return false;
    return path == node::partial_name(place.output) || path == node::journal_name(place.output);
}

Result<void> FolderServer::Desk::move(const Place& place, const std::string& from,
                                      const std::string& to, Replacing replacing) const {
    const bool allowed = !place.output.empty() && from == node::partial_name(place.output) &&
                         to == place.output &&
                         (place.may_replace || replacing == Replacing::nothing);
    if (!allowed) return fail(Errc::refused, "the node may not move " + from + " to " + to);
    return place.folder->move(from, to, replacing);
}

Result<void> FolderServer::Desk::reply(const Result<void>& done, std::uint32_t value,
                                       int descriptor) const {
    std::string packet;
    append(packet, FolderAnswer{done ? 0 : static_cast<std::int32_t>(done.error().code), value, 0});
    if (!done) packet += done.error().message().substr(0, limits::folder_packet_bytes_max / 2);
    return send_packet(socket.get(), packet, descriptor);
}

Result<void> FolderServer::Desk::reply(const std::vector<FolderEntry>& entries) const {
    std::string packet;
    append(packet, FolderAnswer{0, 0, 1});
    for (const auto& entry : entries) {
        if (packet.size() + sizeof(FolderEntryHead) + entry.name.size() >
            limits::folder_packet_bytes_max) {
            if (auto sent = send_packet(socket.get(), packet); !sent) return sent;
            packet.resize(sizeof(FolderAnswer));
        }
        append(packet, FolderEntryHead{entry.facts, static_cast<std::uint32_t>(entry.name.size())});
        packet += entry.name;
    }
    const FolderAnswer last;
    std::memcpy(packet.data(), &last, sizeof last);
    return send_packet(socket.get(), packet);
}

Result<void> FolderServer::Desk::answer(std::string_view packet) {
    FolderRequest head;
    if (!take(packet, head) || head.path_bytes > packet.size() || head.folder >= places.size())
        return fail(Errc::refused, "the node asks for files in a way that makes no sense");
    const std::string path(packet.substr(0, head.path_bytes));
    const std::string name(packet.substr(head.path_bytes));
    const Place place = places[head.folder];
    if (head.operation == FolderOperation::move)
        return reply(move(place, path, name, static_cast<Replacing>(head.flags)));
    if (!allows(place, head.operation, path))
        return reply(fail(Errc::refused, "the node may not touch " + path));
    auto& folder = *place.folder;
    switch (head.operation) {
        case FolderOperation::open: {
            if (!may_open_so(head.flags, head.mode, place.only_read)) break;
            const auto opened = folder.open(path, head.flags, head.mode);
            if (!opened) return reply(fail(opened.error()));
            return reply({}, 0, opened->get());
        }
        case FolderOperation::enter: {
            if (places.size() == limits::folders_entered_max) break;
            auto entered = folder.enter(path);
            if (!entered) return reply(fail(entered.error()));
            places.push_back({std::move(*entered), {}, true, false, true});
            return reply({}, static_cast<std::uint32_t>(places.size() - 1));
        }
        case FolderOperation::look: {
            const auto found = folder.look(path);
            if (!found) return reply(fail(found.error()));
            return reply(*found ? std::vector{FolderEntry{{}, **found}}
                                : std::vector<FolderEntry>());
        }
        case FolderOperation::list: {
            const auto entries = folder.list(path);
            if (!entries) return reply(fail(entries.error()));
            return reply(*entries);
        }
        case FolderOperation::make:
            return reply(folder.make_directories(path));
        case FolderOperation::remove:
            return reply(folder.remove(path));
        case FolderOperation::sync:
            return reply(folder.sync());
        case FolderOperation::set_modified: {
            const FileTime time{std::chrono::nanoseconds(head.time)};
            return reply(folder.set_modified(path, time));
        }
        case FolderOperation::move:
            break;
    }
    return reply(fail(Errc::refused, "the node may not do that to " + path));
}

void FolderServer::Desk::run() {
    for (;;) {
        const auto packet = receive_packet(socket.get());
        if (!packet || !answer(packet->octets)) break;
    }
    ::shutdown(socket.get(), SHUT_RDWR);
}

FolderServer::FolderServer(std::unique_ptr<Desk> desk)
    : desk_(std::move(desk)), thread_([desk = desk_.get()] { desk->run(); }) {}

FolderServer::~FolderServer() {
    ::shutdown(desk_->socket.get(), SHUT_RDWR);
    thread_.join();
}

Result<std::unique_ptr<FolderServer>> FolderServer::start(std::vector<FolderGrant> grants,
                                                          UniqueFd& there) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno(errno, "cannot make a pair of sockets");
    auto desk = std::make_unique<Desk>();
    desk->socket.reset(ends[0]);
    there.reset(ends[1]);
    for (auto& grant : grants) {
        const bool only_read = grant.output.empty();
        desk->places.push_back({std::make_shared<node::LocalFolder>(std::move(grant.directory)),
                                std::move(grant.output), grant.may_replace, only_read, false});
    }
    return std::unique_ptr<FolderServer>(new FolderServer(std::move(desk)));
}

}  // namespace flow29::api
