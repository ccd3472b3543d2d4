// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <map>

#include <flow29/limits.hpp>

#include "api/folder_channel.hpp"
#include "api/folder_packet.hpp"

#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;
namespace fs = std::filesystem;
using Operation = api::FolderOperation;

constexpr std::string_view output = "film";
constexpr std::string_view partial = "film.flow29-part";

/// A caller's directory, with links that lead out of it, and what is outside.
class Playground {
  public:
    explicit Playground(fuzz::Input& input) {
        has_output = input.flag();
        fs::create_directories(inside() / "inner");
        fs::create_directories(outside());
        fuzz::write_file(outside() / "secret", Bytes{1});
        fuzz::write_file(inside() / "diary", Bytes{1, 2});
        fuzz::write_file(inside() / "inner/x", Bytes{1, 2, 3});
        fs::create_directory_symlink("../outside", inside() / "out");
        if (has_output) fuzz::write_file(inside() / output, Bytes{1, 2, 3, 4});
        switch (input.number(4)) {
            case 0:
                break;
            case 1:
                fuzz::write_file(inside() / partial, Bytes{5});
                break;
            case 2:
                fs::create_directories(inside() / partial / "a");
                fs::create_directory_symlink("../../outside", inside() / partial / "out");
                break;
            case 3:
                fs::create_symlink("../outside/secret", inside() / partial);
                break;
            case 4:
                fs::create_directory_symlink("inner", inside() / partial);
                break;
        }
        before = sizes();
        times_before = times();
    }

    [[nodiscard]] fs::path inside() const { return place_.path() / "inside"; }
    [[nodiscard]] fs::path outside() const { return place_.path() / "outside"; }
    [[nodiscard]] bool is_inside(int fd) const {
        std::array<char, PATH_MAX> target{};
        const auto link = "/proc/self/fd/" + std::to_string(fd);
        const auto size = ::readlink(link.c_str(), target.data(), target.size());
        FLOW29_ASSERT(size > 0);
        const std::string found(target.data(), static_cast<std::size_t>(size));
        return found == inside() || found.starts_with(inside().string() + "/");
    }
    /// Whether the facts are those of something that is not in the directory.
    [[nodiscard]] bool is_of_outside(const struct stat& facts) const {
        for (const auto& path : {place_.path(), outside(), outside() / "secret"}) {
            struct stat there {};
            FLOW29_ASSERT(::lstat(path.c_str(), &there) == 0);
            if (there.st_dev == facts.st_dev && there.st_ino == facts.st_ino) return true;
        }
        return false;
    }
    /// What is directly in it: the sizes of files, and 0 for the rest.
    [[nodiscard]] std::map<std::string, std::uintmax_t> sizes() const {
        std::map<std::string, std::uintmax_t> found;
        for (const auto& entry : fs::directory_iterator(inside()))
            found[entry.path().filename().string()] =
                entry.is_symlink() || !entry.is_regular_file() ? 0 : entry.file_size();
        return found;
    }
    /// When those were changed that nobody may touch.
    [[nodiscard]] std::vector<fs::file_time_type> times() const {
        return {fs::last_write_time(outside() / "secret"), fs::last_write_time(inside() / "diary"),
                fs::last_write_time(inside() / "inner/x")};
    }
    /// Outside nothing came, went or grew, and inside nothing that was not granted.
    void check(bool may_write, bool may_replace) const {
        FLOW29_ASSERT(std::distance(fs::directory_iterator(place_.path()), {}) == 2);
        FLOW29_ASSERT(std::distance(fs::directory_iterator(outside()), {}) == 1);
        FLOW29_ASSERT(fs::file_size(outside() / "secret") == 1);
        FLOW29_ASSERT(fs::file_size(inside() / "inner/x") == 3);
        FLOW29_ASSERT(std::distance(fs::directory_iterator(inside() / "inner"), {}) == 1);
        FLOW29_ASSERT(times() == times_before);
        auto expected = before;
        auto found = sizes();
        if (may_write) {
            for (const auto& name : {std::string(partial), std::string(partial) + ".log"}) {
                expected.erase(name);
                found.erase(name);
            }
            if (may_replace || !has_output) {
                expected.erase(std::string(output));
                found.erase(std::string(output));
            }
        }
        FLOW29_ASSERT(found == expected);
    }

    bool has_output = false;
    std::map<std::string, std::uintmax_t> before;
    std::vector<fs::file_time_type> times_before;

  private:
    fuzz::Place place_;
};

std::string a_path(fuzz::Input& input) {
    static const std::array<std::string, 14> known{"",
                                                   "film",
                                                   "film.flow29-part",
                                                   "film.flow29-part.log",
                                                   "film.flow29-part/a",
                                                   "film.flow29-part/out/secret",
                                                   "film.flow29-part/..",
                                                   "film.flow29-part/../diary",
                                                   "diary",
                                                   "inner",
                                                   "inner/x",
                                                   "out",
                                                   "out/secret",
                                                   ".."};
    const auto choice = input.number(known.size());
    return choice < known.size() ? known[choice] : input.text(30);
}

int some_flags(fuzz::Input& input) {
    constexpr std::array known{O_RDONLY,    O_WRONLY, O_RDWR,     O_CREAT, O_EXCL,
                               O_DIRECTORY, O_PATH,   O_NONBLOCK, O_TRUNC, O_APPEND};
    int flags = 0;
    for (auto left = input.number(3); left > 0; --left)
        flags |= known[input.number(known.size() - 1)];
    return input.number(15) == 1 ? static_cast<int>(input.number(~0U)) : flags;
}

std::string a_request(fuzz::Input& input) {
    const auto kind = input.number(15);
    if (kind == 1) return input.text(60);
    if (kind == 2) return std::string(limits::folder_packet_bytes_max + input.number(1), 'x');
    api::FolderRequest head;
    head.operation = static_cast<Operation>(input.number(9));
    head.folder = static_cast<std::uint32_t>(input.number(4));
    head.flags = some_flags(input);
    head.mode = static_cast<std::uint32_t>(input.number(07777));
    if (head.operation == Operation::set_modified)
        head.time = static_cast<std::int64_t>(input.number(~std::uint64_t{0}));
    const bool is_move = head.operation == Operation::move;
    // The one move that is granted, often: what it replaces is up to the flags.
    const bool is_usual = is_move && input.flag();
    const std::string path = is_usual ? std::string(partial) : a_path(input);
    const std::string name = is_usual ? std::string(output) : is_move ? a_path(input) : "";
    head.path_bytes = static_cast<std::uint32_t>(path.size());
    if (kind == 3) head.path_bytes = static_cast<std::uint32_t>(input.number(~0U));
    std::string packet;
    api::append(packet, head);
    return packet + path + name;
}

/// Whether a request could change something outside the whole playground if nothing held it back:
/// a fault found must not cost whoever looks for it his files.
bool is_dangerous(std::string_view packet) {
    api::FolderRequest head;
    if (!api::take(packet, head)) return false;
    const bool changes =
        head.operation == Operation::make || head.operation == Operation::remove ||
        head.operation == Operation::move || head.operation == Operation::set_modified ||
        (head.operation == Operation::open && (head.flags & (O_CREAT | O_TRUNC)) != 0);
    const auto name = packet.substr(std::min<std::size_t>(head.path_bytes, packet.size()));
    const auto up = packet.find("..");
    const bool leads_out =
        packet.starts_with('/') || name.starts_with('/') ||
        (up != std::string_view::npos && packet.find("..", up + 1) != std::string_view::npos);
    return changes && leads_out;
}

/// Reads the whole answer, of one or more packets. False when the channel has ended.
bool check_answer(int socket, const Playground& playground, bool may_write) {
    for (;;) {
        const auto packet = api::receive_packet(socket);
        if (!packet) return false;
        std::string_view octets = packet->octets;
        api::FolderAnswer head;
        FLOW29_ASSERT(api::take(octets, head));
        if (packet->descriptor) {
            const int fd = packet->descriptor.get();
            FLOW29_ASSERT(head.code == 0 && playground.is_inside(fd));
            FLOW29_ASSERT(may_write || (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
        }
        if (head.code != 0) {
            FLOW29_ASSERT(!octets.empty() && head.more == 0);
            return true;
        }
        api::FolderEntryHead entry;
        while (api::take(octets, entry)) {
            FLOW29_ASSERT(entry.name_bytes <= octets.size());
            const auto name = octets.substr(0, entry.name_bytes);
            FLOW29_ASSERT(name != "." && name != ".." && name.find('/') == name.npos);
            FLOW29_ASSERT(!playground.is_of_outside(entry.facts));
            octets.remove_prefix(entry.name_bytes);
        }
        FLOW29_ASSERT(octets.empty());
        if (head.more == 0) return true;
    }
}

}  // namespace

/// What a node asks of whoever opens files for it: each request is answered or ends the channel,
/// and whatever it is, nothing is opened, told of, made, moved or deleted but what was granted.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const Playground playground(input);
    std::vector<api::FolderGrant> grants;
    bool may_write = false;
    bool may_replace = false;
    for (auto left = 1 + input.number(1); left > 0; --left) {
        api::FolderGrant grant;
        grant.directory.reset(
            ::open(playground.inside().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (input.number(3) != 0) {
            grant.output = output;
            grant.may_replace = input.flag();
            may_write = true;
            may_replace = may_replace || grant.may_replace;
        }
        grants.push_back(std::move(grant));
    }
    api::UniqueFd socket;
    const auto server = api::FolderServer::start(std::move(grants), socket);
    FLOW29_ASSERT(server.has_value());
    constexpr unsigned requests_max = 20;  // more than may be entered
    for (unsigned left = requests_max; left > 0 && !input.empty(); --left) {
        const auto request = a_request(input);
        if (is_dangerous(request)) continue;
        if (!api::send_packet(socket.get(), request)) break;
        if (!check_answer(socket.get(), playground, may_write)) break;
    }
    playground.check(may_write, may_replace);
    return 0;
}
