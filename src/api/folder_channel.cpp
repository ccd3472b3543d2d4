// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/folder_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <functional>
#include <mutex>
#include <optional>

#include <flow29/limits.hpp>

#include "api/folder_packet.hpp"
#include "core/waiting.hpp"

namespace flow29::api {
namespace {

using node::FolderEntry;
using node::Replacing;

constexpr timeval answer_timeout{30, 0};

/// The node's end of the socket. Any thread; one asks at a time.
class Channel {
  public:
    Channel(UniqueFd socket, std::stop_token gone)
        : socket_(std::move(socket)),
          on_gone_(std::move(gone), [this] { ::shutdown(socket_.get(), SHUT_RDWR); }) {}

    struct Answer {
        std::uint32_t value = 0;
        UniqueFd descriptor;
        std::vector<FolderEntry> entries;
    };
    [[nodiscard]] Result<Answer> ask(const FolderRequest& head, const std::string& path,
                                     const std::string& name = {});

  private:
    [[nodiscard]] Result<Answer> receive(bool has_entries);
    [[nodiscard]] static bool take_entries(std::string_view octets, Answer& answer);
    [[nodiscard]] tl::unexpected<Error> give_up(const Error& why);

    UniqueFd socket_;
    std::mutex mutex_;
    bool broken_ = false;                                // guarded by mutex_
    std::stop_callback<std::function<void()>> on_gone_;  // last: it uses the socket
};

tl::unexpected<Error> Channel::give_up(const Error& why) {
    broken_ = true;
    ::shutdown(socket_.get(), SHUT_RDWR);
    return fail(Errc::interrupted, why.message());
}

bool Channel::take_entries(std::string_view octets, Answer& answer) {
    while (!octets.empty()) {
        FolderEntryHead head;
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
        FolderAnswer head;
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

Result<Channel::Answer> Channel::ask(const FolderRequest& head, const std::string& path,
                                     const std::string& name) {
    std::string packet;
    auto full = head;
    full.path_bytes = static_cast<std::uint32_t>(path.size());
    append(packet, full);
    packet += path;
    packet += name;
    if (packet.size() > limits::folder_packet_bytes_max)
        return fail(Errc::usage, "a path is too long");
    // Whoever answers is in no hurry.
    const core::Waiting waiting;
    const std::lock_guard lock(mutex_);
    if (broken_)
        return fail(Errc::interrupted, "whoever asked for it opens no files for it any more");
    if (auto sent = send_packet(socket_.get(), packet); !sent) return give_up(sent.error());
    return receive(head.operation == FolderOperation::list ||
                   head.operation == FolderOperation::look);
}

class RemoteFolder final : public node::Folder {
  public:
    RemoteFolder(std::shared_ptr<Channel> channel, std::uint32_t number, uid_t user,
                 bool is_own_user)
        : channel_(std::move(channel)), number_(number), user_(user), is_own_user_(is_own_user) {}

    [[nodiscard]] Result<core::UniqueFd> open(const std::string& path, int flags,
                                              unsigned mode) override {
        auto answer = channel_->ask({FolderOperation::open, number_, flags, mode}, path);
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
        const auto answer = channel_->ask({FolderOperation::enter, number_}, path);
        if (!answer) return fail(answer.error());
        return std::make_shared<RemoteFolder>(channel_, answer->value, user_, false);
    }
    [[nodiscard]] Result<std::optional<struct stat>> look(const std::string& path) override {
        const auto answer = channel_->ask({FolderOperation::look, number_}, path);
        if (!answer) return fail(answer.error());
        if (answer->entries.empty()) return std::optional<struct stat>();
        return std::optional(answer->entries.front().facts);
    }
    [[nodiscard]] Result<std::vector<FolderEntry>> list(const std::string& path) override {
        auto answer = channel_->ask({FolderOperation::list, number_}, path);
        if (!answer) return fail(answer.error());
        return std::move(answer->entries);
    }
    [[nodiscard]] Result<void> make_directories(const std::string& path) override {
        return done(channel_->ask({FolderOperation::make, number_}, path));
    }
    [[nodiscard]] Result<void> remove(const std::string& path) override {
        return done(channel_->ask({FolderOperation::remove, number_}, path));
    }
    [[nodiscard]] Result<void> move(const std::string& from, const std::string& to,
                                    Replacing replacing) override {
        return done(channel_->ask(
            {FolderOperation::move, number_, static_cast<std::int32_t>(replacing)}, from, to));
    }
    [[nodiscard]] Result<void> set_modified(const std::string& path, FileTime time) override {
        FolderRequest head{FolderOperation::set_modified, number_};
        head.time = time.time_since_epoch().count();
        return done(channel_->ask(head, path));
    }
    [[nodiscard]] Result<void> sync() override {
        return done(channel_->ask({FolderOperation::sync, number_}, {}));
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
                                                                  std::size_t count, uid_t own_user,
                                                                  std::stop_token gone) {
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
    const auto channel = std::make_shared<Channel>(std::move(socket), std::move(gone));
    std::vector<std::shared_ptr<node::Folder>> folders;
    for (std::uint32_t i = 0; i < count; ++i)
        folders.push_back(
            std::make_shared<RemoteFolder>(channel, i, peer.uid, peer.uid == own_user));
    return folders;
}

}  // namespace flow29::api
