// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/folder_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>

#include <flow29/limits.hpp>

namespace flow29::api {
namespace {

using node::FolderEntry;
using node::Replacing;

constexpr timeval answer_timeout{30, 0};

enum class Operation : std::uint32_t { open, enter, look, list, make, remove, move, sync };

struct RequestHead {
    Operation operation = Operation::open;
    std::uint32_t folder = 0;
    std::int32_t flags = 0;  ///< of open; of move, what it replaces
    std::uint32_t mode = 0;
    std::uint32_t path_bytes = 0;
};

struct AnswerHead {
    std::int32_t code = 0;  ///< an Errc
    std::uint32_t value = 0;
    std::uint32_t more = 0;  ///< packets of the same answer follow
};

/// An entry of a list, before its name.
struct EntryHead {
    struct stat facts {};
    std::uint32_t name_bytes = 0;
};

template <class T>
void append(std::string& packet, const T& value) {
    packet.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
bool take(std::string_view& packet, T& value) {
    if (packet.size() < sizeof value) return false;
    std::memcpy(&value, packet.data(), sizeof value);
    packet.remove_prefix(sizeof value);
    return true;
}

struct Packet {
    std::string octets;
    UniqueFd descriptor;
};

Result<void> send_packet(int socket, const std::string& octets, int descriptor = -1) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{const_cast<char*>(octets.data()), octets.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
        if (errno != EINTR) return fail_errno(errno, "asking for a file");
    }
}

/// Errc::interrupted at the end, or when nothing came in time, or more than a packet may be.
Result<Packet> receive_packet(int socket) {
    // Most packets are small, and clearing this for each would cost more than all the rest.
    std::array<char, limits::folder_packet_bytes_max> buffer;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t count = 0;
    do {
        count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count <= 0)
        return fail(Errc::interrupted, "whoever asked for it opens no files for it any more");
    Packet packet;
    if (const cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
        packet.descriptor.reset(fd);
    }
    if ((message.msg_flags & MSG_TRUNC) != 0)
        return fail(Errc::interrupted, "a packet is too long");
    packet.octets.assign(buffer.data(), static_cast<std::size_t>(count));
    return packet;
}

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
    [[nodiscard]] static bool allows(const Place& place, Operation operation,
                                     const std::string& path);
    [[nodiscard]] Result<void> move(const Place& place, const std::string& from,
                                    const std::string& to, Replacing replacing) const;
    [[nodiscard]] Result<void> reply(const Result<void>& done, std::uint32_t value = 0,
                                     int descriptor = -1) const;
    [[nodiscard]] Result<void> reply(const std::vector<FolderEntry>& entries) const;
};

bool FolderServer::Desk::allows(const Place& place, Operation operation, const std::string& path) {
    if (place.is_whole) return true;
    if (place.only_read)
        return operation == Operation::open || operation == Operation::list ||
               operation == Operation::look;
    if (operation == Operation::sync) return true;
    if (path == place.output) return operation == Operation::look;
    if (operation == Operation::list || operation == Operation::move) return false;
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
    append(packet, AnswerHead{done ? 0 : static_cast<std::int32_t>(done.error().code), value, 0});
    if (!done) packet += done.error().message().substr(0, limits::folder_packet_bytes_max / 2);
    return send_packet(socket.get(), packet, descriptor);
}

Result<void> FolderServer::Desk::reply(const std::vector<FolderEntry>& entries) const {
    std::string packet;
    append(packet, AnswerHead{0, 0, 1});
    for (const auto& entry : entries) {
        if (packet.size() + sizeof(EntryHead) + entry.name.size() >
            limits::folder_packet_bytes_max) {
            if (auto sent = send_packet(socket.get(), packet); !sent) return sent;
            packet.resize(sizeof(AnswerHead));
        }
        append(packet, EntryHead{entry.facts, static_cast<std::uint32_t>(entry.name.size())});
        packet += entry.name;
    }
    const AnswerHead last;
    std::memcpy(packet.data(), &last, sizeof last);
    return send_packet(socket.get(), packet);
}

Result<void> FolderServer::Desk::answer(std::string_view packet) {
    RequestHead head;
    if (!take(packet, head) || head.path_bytes > packet.size() || head.folder >= places.size())
        return fail(Errc::refused, "the node asks for files in a way that makes no sense");
    const std::string path(packet.substr(0, head.path_bytes));
    const std::string name(packet.substr(head.path_bytes));
    const Place place = places[head.folder];
    if (head.operation == Operation::move)
        return reply(move(place, path, name, static_cast<Replacing>(head.flags)));
    if (!allows(place, head.operation, path))
        return reply(fail(Errc::refused, "the node may not touch " + path));
    auto& folder = *place.folder;
    switch (head.operation) {
        case Operation::open: {
            if (!may_open_so(head.flags, head.mode, place.only_read)) break;
            const auto opened = folder.open(path, head.flags, head.mode);
            if (!opened) return reply(fail(opened.error()));
            return reply({}, 0, opened->get());
        }
        case Operation::enter: {
            if (places.size() == limits::folders_entered_max) break;
            auto entered = folder.enter(path);
            if (!entered) return reply(fail(entered.error()));
            places.push_back({std::move(*entered), {}, true, false, true});
            return reply({}, static_cast<std::uint32_t>(places.size() - 1));
        }
        case Operation::look: {
            const auto found = folder.look(path);
            if (!found) return reply(fail(found.error()));
            return reply(*found ? std::vector{FolderEntry{{}, **found}}
                                : std::vector<FolderEntry>());
        }
        case Operation::list: {
            const auto entries = folder.list(path);
            if (!entries) return reply(fail(entries.error()));
            return reply(*entries);
        }
        case Operation::make:
            return reply(folder.make_directories(path));
        case Operation::remove:
            return reply(folder.remove(path));
        case Operation::sync:
            return reply(folder.sync());
        case Operation::move:
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

namespace {

/// The node's end of the socket. Any thread; one asks at a time.
class Channel {
  public:
    explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

    struct Answer {
        std::uint32_t value = 0;
        UniqueFd descriptor;
        std::vector<FolderEntry> entries;
    };
    [[nodiscard]] Result<Answer> ask(const RequestHead& head, const std::string& path,
                                     const std::string& name = {});

  private:
    [[nodiscard]] Result<Answer> receive(bool has_entries);
    [[nodiscard]] static bool take_entries(std::string_view octets, Answer& answer);
    [[nodiscard]] tl::unexpected<Error> give_up(const Error& why);

    UniqueFd socket_;
    std::mutex mutex_;
    bool broken_ = false;  // guarded by mutex_
};

tl::unexpected<Error> Channel::give_up(const Error& why) {
    broken_ = true;
    ::shutdown(socket_.get(), SHUT_RDWR);
    return fail(Errc::interrupted, why.message());
}

bool Channel::take_entries(std::string_view octets, Answer& answer) {
    while (!octets.empty()) {
        EntryHead head;
        if (!take(octets, head) || head.name_bytes > octets.size()) return false;
        if (answer.entries.size() == limits::folder_entries_max ||
            head.name_bytes > limits::path_component_bytes_max)
            return false;
        answer.entries.push_back({std::string(octets.substr(0, head.name_bytes)), head.facts});
        octets.remove_prefix(head.name_bytes);
    }
    return true;
}

Result<Channel::Answer> Channel::receive(bool has_entries) {
    Answer answer;
    for (;;) {
        auto packet = receive_packet(socket_.get());
        if (!packet) return give_up(packet.error());
        std::string_view octets = packet->octets;
        AnswerHead head;
        if (!take(octets, head)) return give_up({Errc::refused, "an answer is too short"});
        if (head.code != 0) return fail(static_cast<Errc>(head.code), std::string(octets));
        if (has_entries && !take_entries(octets, answer))
            return give_up(
                {Errc::refused, "what is in a directory makes no sense, or is too much"});
        answer.value = head.value;
        answer.descriptor = std::move(packet->descriptor);
        if (head.more == 0) return answer;
    }
}

Result<Channel::Answer> Channel::ask(const RequestHead& head, const std::string& path,
                                     const std::string& name) {
    std::string packet;
    auto full = head;
    full.path_bytes = static_cast<std::uint32_t>(path.size());
    append(packet, full);
    packet += path;
    packet += name;
    if (packet.size() > limits::folder_packet_bytes_max)
        return fail(Errc::usage, "a path is too long");
    const std::lock_guard lock(mutex_);
    if (broken_)
        return fail(Errc::interrupted, "whoever asked for it opens no files for it any more");
    if (auto sent = send_packet(socket_.get(), packet); !sent) return give_up(sent.error());
    return receive(head.operation == Operation::list || head.operation == Operation::look);
}

class RemoteFolder final : public node::Folder {
  public:
    RemoteFolder(std::shared_ptr<Channel> channel, std::uint32_t number, uid_t user,
                 bool is_own_user)
        : channel_(std::move(channel)), number_(number), user_(user), is_own_user_(is_own_user) {}

    [[nodiscard]] Result<core::UniqueFd> open(const std::string& path, int flags,
                                              unsigned mode) override {
        auto answer = channel_->ask({Operation::open, number_, flags, mode}, path);
        if (!answer) return fail(answer.error());
        struct stat facts {};
        const bool good =
            ::fstat(answer->descriptor.get(), &facts) == 0 &&
            ((flags & O_DIRECTORY) != 0 ? S_ISDIR(facts.st_mode) : S_ISREG(facts.st_mode));
        if (!good) return fail(Errc::refused, path + " is not a regular file");
        return std::move(answer->descriptor);
    }
    [[nodiscard]] Result<std::shared_ptr<Folder>> enter(const std::string& path) override {
        // What is made through its descriptor is the same user's, wherever this process may not
        // look: thousands of files then need no question each.
        if (is_own_user_) {
            auto inside = open(path, O_RDONLY | O_DIRECTORY, 0);
            if (!inside) return fail(inside.error());
            return std::make_shared<node::LocalFolder>(std::move(*inside));
        }
        const auto answer = channel_->ask({Operation::enter, number_}, path);
        if (!answer) return fail(answer.error());
        return std::make_shared<RemoteFolder>(channel_, answer->value, user_, false);
    }
    [[nodiscard]] Result<std::optional<struct stat>> look(const std::string& path) override {
        const auto answer = channel_->ask({Operation::look, number_}, path);
        if (!answer) return fail(answer.error());
        if (answer->entries.empty()) return std::optional<struct stat>();
        return std::optional(answer->entries.front().facts);
    }
    [[nodiscard]] Result<std::vector<FolderEntry>> list(const std::string& path) override {
        auto answer = channel_->ask({Operation::list, number_}, path);
        if (!answer) return fail(answer.error());
        return std::move(answer->entries);
    }
    [[nodiscard]] Result<void> make_directories(const std::string& path) override {
        return done(channel_->ask({Operation::make, number_}, path));
    }
    [[nodiscard]] Result<void> remove(const std::string& path) override {
        return done(channel_->ask({Operation::remove, number_}, path));
    }
    [[nodiscard]] Result<void> move(const std::string& from, const std::string& to,
                                    Replacing replacing) override {
        return done(channel_->ask({Operation::move, number_, static_cast<std::int32_t>(replacing)},
                                  from, to));
    }
    [[nodiscard]] Result<void> sync() override {
        return done(channel_->ask({Operation::sync, number_}, {}));
    }
    [[nodiscard]] uid_t user() const override { return user_; }

  private:
    [[nodiscard]] static Result<void> done(const Result<Channel::Answer>& answer) {
        if (!answer) return fail(answer.error());
        return {};
    }

    std::shared_ptr<Channel> channel_;
    std::uint32_t number_;
    uid_t user_;
    bool is_own_user_;
};

}  // namespace

Result<std::vector<std::shared_ptr<node::Folder>>> remote_folders(UniqueFd socket,
                                                                  std::size_t count,
                                                                  uid_t own_user) {
    int type = 0;
    socklen_t size = sizeof type;
    ucred peer{};
    socklen_t peer_size = sizeof peer;
    const bool good = ::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                      type == SOCK_SEQPACKET &&
                      ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 &&
                      ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &answer_timeout,
                                   sizeof answer_timeout) == 0 &&
                      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &answer_timeout,
                                   sizeof answer_timeout) == 0;
    if (!good) return fail(Errc::usage, "what came with the request is no socket for its files");
    const auto channel = std::make_shared<Channel>(std::move(socket));
    std::vector<std::shared_ptr<node::Folder>> folders;
    for (std::uint32_t i = 0; i < count; ++i)
        folders.push_back(
            std::make_shared<RemoteFolder>(channel, i, peer.uid, peer.uid == own_user));
    return folders;
}

}  // namespace flow29::api
